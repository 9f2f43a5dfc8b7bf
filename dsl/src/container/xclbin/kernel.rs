//! What XRT reads of a kernel: its memories, instance and arguments, in MEM_TOPOLOGY, IP_LAYOUT, CONNECTIVITY and
//! EMBEDDED_METADATA.
//!
//! Layouts: `struct mem_topology`, `ip_layout`, `connectivity` of XRT 963c58ee. The XML has the elements that XRT's
//! `xclbin_parser.cpp` asks for, and that Riallto's files have for their kernels of type dpu.

use super::{Section, kind};
use crate::container::bytes::{Bytes, shown};
use std::fmt::Write;

/// `MEM_DRAM`.
const DRAM: u8 = 2;
/// `IP_PS_KERNEL`.
const PS_KERNEL: u32 = 7;
/// `m_subtype` of a kernel of the NPU.
const DPU: u32 = 1;
/// The address of an instance that has none.
const NO_ADDRESS: u64 = u64::MAX;
/// The memory that holds instructions, and the one that holds data, by their places in [`MEMORIES`].
const MEMORY: [u32; 2] = [1, 0];
/// The memories that every Phoenix xclbin of Riallto and mlir-aie states: name, KiB, address.
const MEMORIES: [(&str, u64, u64); 2] = [("HOST", 0x1_0000, 0x400_0000), ("SRAM", 0xC000, 0x400_0000)];

/// What an argument is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentUse {
    /// A number.
    Scalar,
    /// A buffer of instructions.
    Instructions,
    /// A buffer of data.
    Data,
}

/// One argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelArgument {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub usage: ArgumentUse,
    /// Its type in C.
    pub c_type: &'static str,
    /// Its size.
    pub bytes: u32,
    /// Its place among the arguments.
    pub offset: u32,
}

/// A kernel as the host sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelInterface {
    /// Its name.
    pub name: String,
    /// Name of its instance.
    pub instance: String,
    /// Its id.
    pub id: u16,
    /// Its arguments, in order.
    pub arguments: Vec<KernelArgument>,
}

impl KernelInterface {
    /// The kernel by which mlir-aie's xclbins run an instruction stream, with its number of data buffers.
    pub fn mlir_aie(buffers: u32) -> KernelInterface {
        let argument = |name: &str, usage, c_type, bytes, offset| KernelArgument {
            name: name.to_owned(),
            usage,
            c_type,
            bytes,
            offset,
        };
        let mut arguments = vec![
            argument("opcode", ArgumentUse::Scalar, "uint64_t", 8, 0),
            argument("instr", ArgumentUse::Instructions, "char *", 8, 8),
            argument("ninstr", ArgumentUse::Scalar, "uint32_t", 4, 0x10),
        ];
        arguments.extend(
            (0..buffers).map(|n| argument(&format!("bo{n}"), ArgumentUse::Data, "void*", 8, 0x14 + 8 * n)),
        );
        KernelInterface { name: "MLIR_AIE".to_owned(), instance: "MLIRAIE".to_owned(), id: 0x901, arguments }
    }

    /// The sections that describe it, but for the AIE partition.
    pub fn sections(&self) -> Vec<Section> {
        let (memories, connections) = (memories(), self.connections());
        vec![
            Section::new(kind::MEM_TOPOLOGY, "mem_topology", memories.clone()),
            Section::new(kind::IP_LAYOUT, "", self.ip_layout()),
            Section::new(kind::CONNECTIVITY, "", connections.clone()),
            Section::new(kind::EMBEDDED_METADATA, "", self.xml().into_bytes()),
            Section::new(kind::GROUP_CONNECTIVITY, "", connections),
            Section::new(kind::GROUP_TOPOLOGY, "", memories),
        ]
    }

    fn ip_layout(&self) -> Vec<u8> {
        let mut name = [0; 64];
        let text = format!("{}:{}", self.name, self.instance);
        let text = &text.as_bytes()[..text.len().min(name.len() - 1)];
        name[..text.len()].copy_from_slice(text);
        let properties = u32::from(self.id) << 16 | DPU;
        let mut out = 1u64.to_le_bytes().to_vec();
        out.extend([PS_KERNEL, properties].iter().flat_map(|w| w.to_le_bytes()));
        out.extend(NO_ADDRESS.to_le_bytes());
        out.extend(name);
        out
    }

    /// Every buffer argument's memory.
    fn connections(&self) -> Vec<u8> {
        let memory = |usage| match usage {
            ArgumentUse::Scalar => None,
            ArgumentUse::Instructions => Some(MEMORY[0]),
            ArgumentUse::Data => Some(MEMORY[1]),
        };
        let buffers = self.arguments.iter().enumerate();
        let entries: Vec<[u32; 3]> =
            buffers.filter_map(|(n, a)| Some([n as u32, 0, memory(a.usage)?])).collect();
        let mut out = (entries.len() as u32).to_le_bytes().to_vec();
        out.extend(entries.as_flattened().iter().flat_map(|w| w.to_le_bytes()));
        out
    }

    fn xml(&self) -> String {
        let mut out = String::from(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<project>\n  <platform>\n    <device>\n      <core>\n",
        );
        // Writing to a `String` cannot fail.
        let _ =
            writeln!(out, "        <kernel name=\"{}\" language=\"c\" type=\"dpu\">", escaped(&self.name));
        let id = self.id;
        let _ = writeln!(
            out,
            "          <extended-data subtype=\"{DPU}\" functional=\"0\" dpu_kernel_id=\"{id:#x}\"/>"
        );
        for (n, a) in self.arguments.iter().enumerate() {
            let qualifier = u8::from(a.usage != ArgumentUse::Scalar);
            let (name, bytes, offset, c_type) = (escaped(&a.name), a.bytes, a.offset, a.c_type);
            let _ = writeln!(
                out,
                "          <arg name=\"{name}\" addressQualifier=\"{qualifier}\" id=\"{n}\" size=\"{bytes:#x}\" \
                 offset=\"{offset:#04x}\" hostOffset=\"0x0\" hostSize=\"{bytes:#x}\" type=\"{c_type}\"/>"
            );
        }
        let _ = writeln!(out, "          <instance name=\"{}\"/>", escaped(&self.instance));
        out + "        </kernel>\n      </core>\n    </device>\n  </platform>\n</project>\n"
    }
}

/// A text inside an attribute of XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

fn memories() -> Vec<u8> {
    let mut out = (MEMORIES.len() as u64).to_le_bytes().to_vec();
    for (name, size, address) in MEMORIES {
        let mut tag = [0; 16];
        tag[..name.len()].copy_from_slice(name.as_bytes());
        out.extend([DRAM, 1, 0, 0, 0, 0, 0, 0]);
        out.extend(size.to_le_bytes());
        out.extend(address.to_le_bytes());
        out.extend(tag);
    }
    out
}

/// A memory of MEM_TOPOLOGY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Its name.
    pub tag: String,
    /// Whether it is there.
    pub used: bool,
    /// Its size in KiB.
    pub size_kb: u64,
    /// Its address.
    pub address: u64,
}

/// An instance of IP_LAYOUT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpEntry {
    /// Kernel and instance.
    pub name: String,
    /// Id of a kernel of the NPU; `None` of anything else.
    pub kernel_id: Option<u16>,
}

/// A row of CONNECTIVITY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Number of the argument.
    pub argument: u32,
    /// Number of the instance.
    pub instance: u32,
    /// Number of the memory.
    pub memory: u32,
}

/// The entries of a table: `count` at 0, the first at `first`, `step` bytes each; `None` when they are not all there.
fn entries(section: &[u8], first: u64, step: u64) -> Option<impl Iterator<Item = Bytes<'_>>> {
    let count = u64::from(Bytes(section).u32(0)?);
    let all = Bytes(section).slice(first, count.checked_mul(step)?)?;
    Some(all.chunks_exact(step as usize).map(Bytes))
}

/// The memories of a section MEM_TOPOLOGY; `None` when it is damaged.
pub fn read_memories(section: &[u8]) -> Option<Vec<Memory>> {
    let one = |e: Bytes<'_>| {
        let tag = shown(e.slice(24, 16)?);
        Some(Memory { tag, used: e.u8(1)? != 0, size_kb: e.u64(8)?, address: e.u64(16)? })
    };
    entries(section, 8, 40)?.map(one).collect()
}

/// The instances of a section IP_LAYOUT; `None` when it is damaged.
pub fn read_ip_layout(section: &[u8]) -> Option<Vec<IpEntry>> {
    let one = |e: Bytes<'_>| {
        let (kind, properties) = (e.u32(0)?, e.u32(4)?);
        let kernel_id =
            (kind == PS_KERNEL && properties & 3 == DPU).then_some((properties >> 16) as u16 & 0xFFF);
        Some(IpEntry { name: shown(e.slice(16, 64)?), kernel_id })
    };
    entries(section, 8, 80)?.map(one).collect()
}

/// The rows of a section CONNECTIVITY; `None` when it is damaged.
pub fn read_connectivity(section: &[u8]) -> Option<Vec<Connection>> {
    let one = |e: Bytes<'_>| Some(Connection { argument: e.u32(0)?, instance: e.u32(4)?, memory: e.u32(8)? });
    entries(section, 4, 12)?.map(one).collect()
}
