//! xclbins: the files that XRT loads, a header and sections; see `partition` and `kernel` for what the sections hold.
//!
//! The layout is `struct axlf` of XRT 963c58ee (`src/runtime_src/core/include/xrt/detail/xclbin.h`).

mod kernel;
mod partition;

pub use kernel::{
    ArgumentUse, Connection, IpEntry, KernelArgument, KernelInterface, Memory, read_connectivity,
    read_ip_layout, read_memories,
};
pub use partition::{CdoGroup, Partition, PartitionError, PartitionPdi};

use super::bytes::{Bytes, pad};
use crate::emit::bundle::Sha;
use thiserror::Error;

/// First bytes of a file.
const MAGIC: &[u8; 8] = b"xclbin2\0";
/// Bytes before the section headers.
const HEADER_BYTES: usize = 0x1C8;
/// Bytes of a section header.
const SECTION_BYTES: usize = 40;
/// Contents lie at multiples of this.
const ALIGN_BYTES: usize = 8;
/// Sections of a file that is read: XRT's own limit (`XCLBIN_MAX_NUM_SECTION`).
const MOST_SECTIONS: u32 = 0x1_0000;
/// The version of `xclbinutil` that Riallto's files state, major, minor and patch: 2.11.598.
const VERSION: (u8, u8, u16) = (2, 11, 598);
/// `XCLBIN_HW_EMU`, the mode of Phoenix xclbins.
const MODE: u16 = 4;
/// `AM_LOAD_AIE`: the driver loads the AIE section.
const ACTION_MASK: u16 = 1;
/// The platform of Phoenix xclbins.
const PLATFORM: &str = "xilinx_v1_ipu_0_0";

/// Places of what the header says, in bytes.
mod at {
    pub const SIGNATURE: usize = 8;
    pub const UNIQUE_ID: usize = 296;
    pub const LENGTH: usize = 304;
    pub const TIME_STAMP: usize = 312;
    pub const ROM_TIME_STAMP: usize = 320;
    pub const PATCH: usize = 328;
    pub const MAJOR: usize = 330;
    pub const MINOR: usize = 331;
    pub const MODE: usize = 332;
    pub const ACTION_MASK: usize = 334;
    pub const INTERFACE_UUID: usize = 336;
    pub const PLATFORM: usize = 352;
    pub const UUID: usize = 416;
    pub const SECTIONS: usize = 448;
}

/// Kinds of sections (`axlf_section_kind`).
pub mod kind {
    /// Empty on an NPU.
    pub const BITSTREAM: u32 = 0;
    /// Kernels and their arguments, in XML.
    pub const EMBEDDED_METADATA: u32 = 2;
    /// Memories.
    pub const MEM_TOPOLOGY: u32 = 6;
    /// Which argument lies in which memory.
    pub const CONNECTIVITY: u32 = 7;
    /// Instances of kernels.
    pub const IP_LAYOUT: u32 = 8;
    /// How it was built, in JSON.
    pub const BUILD_METADATA: u32 = 14;
    /// A boot image; the NPU's are in the AIE partition.
    pub const PDI: u32 = 18;
    /// The system, in JSON.
    pub const SYSTEM_METADATA: u32 = 22;
    /// Memories, grouped.
    pub const GROUP_TOPOLOGY: u32 = 26;
    /// Which argument lies in which group of memories.
    pub const GROUP_CONNECTIVITY: u32 = 27;
    /// The array's configuration.
    pub const AIE_PARTITION: u32 = 32;

    /// XRT's name of a kind.
    pub const fn name(kind: u32) -> Option<&'static str> {
        Some(match kind {
            BITSTREAM => "BITSTREAM",
            EMBEDDED_METADATA => "EMBEDDED_METADATA",
            MEM_TOPOLOGY => "MEM_TOPOLOGY",
            CONNECTIVITY => "CONNECTIVITY",
            IP_LAYOUT => "IP_LAYOUT",
            BUILD_METADATA => "BUILD_METADATA",
            PDI => "PDI",
            SYSTEM_METADATA => "SYSTEM_METADATA",
            GROUP_TOPOLOGY => "ASK_GROUP_TOPOLOGY",
            GROUP_CONNECTIVITY => "ASK_GROUP_CONNECTIVITY",
            AIE_PARTITION => "AIE_PARTITION",
            _ => return None,
        })
    }
}

/// What the header says beside the sections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XclbinHeader {
    /// `m_uniqueId`.
    pub unique_id: u64,
    /// Seconds since 1970 when it was made.
    pub time_stamp: u64,
    /// The same of the platform.
    pub rom_time_stamp: u64,
    /// Version of the tool that made it: major, minor, patch.
    pub version: (u8, u8, u16),
    /// `XCLBIN_MODE`.
    pub mode: u16,
    /// What the driver loads.
    pub action_mask: u16,
    /// Of the platform's interface.
    pub interface_uuid: [u8; 16],
    /// The platform's name, ended by a zero where it is shorter.
    pub platform: [u8; 64],
    /// The file's own.
    pub uuid: [u8; 16],
}

/// One section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its kind; see [`kind`].
    pub kind: u32,
    /// Its name, ended by a zero where it is shorter.
    pub name: [u8; 16],
    /// Its content.
    pub bytes: Vec<u8>,
}

/// A whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xclbin {
    /// The header.
    pub header: XclbinHeader,
    /// Sections, in the order of their headers.
    pub sections: Vec<Section>,
    /// What follows the last section: `xclbinutil` repeats the headers there in JSON.
    pub tail: Vec<u8>,
}

/// Why bytes are no xclbin. Offsets are in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum XclbinError {
    /// Another beginning.
    #[error("xclbin: it does not begin with \"xclbin2\"\n  help: this is no xclbin")]
    Magic,
    /// No whole header.
    #[error("xclbin: expected a header of {HEADER_BYTES} B, got {size} B\n  help: the file is cut off")]
    NoHeader {
        /// Size of the file.
        size: usize,
    },
    /// The header states another size.
    #[error(
        "xclbin: the header states {stated} B, the file has {size} B\n  help: the file is cut off or damaged"
    )]
    Length {
        /// What it says.
        stated: u64,
        /// What is there.
        size: usize,
    },
    /// More sections than fit.
    #[error("xclbin: {sections} sections do not fit {size} B\n  help: the file is damaged")]
    Sections {
        /// How many it states.
        sections: u32,
        /// Size of the file.
        size: usize,
    },
    /// A section outside.
    #[error("xclbin: section {section} ({}) at {at:#x}, {bytes} B, lies outside the file's contents of {size} B\n  help: the file is cut off or damaged", named(*kind))]
    Outside {
        /// Its number.
        section: usize,
        /// Its kind.
        kind: u32,
        /// Where it would begin.
        at: u64,
        /// Its size.
        bytes: u64,
        /// Size of the file.
        size: usize,
    },
    /// Two sections of the same bytes.
    #[error("xclbin: sections {first} and {second} overlap\n  help: the file is damaged")]
    Overlap {
        /// One.
        first: usize,
        /// The other.
        second: usize,
    },
}

/// A kind by name, or by number where it has none.
fn named(of: u32) -> String {
    kind::name(of).map_or_else(|| format!("kind {of}"), str::to_owned)
}

impl Section {
    /// A section; of a name longer than 16 bytes the first count.
    pub fn new(kind: u32, name: &str, bytes: Vec<u8>) -> Section {
        Section { kind, name: padded(name), bytes }
    }

    /// XRT's name of its kind, or its number.
    pub fn kind_name(&self) -> String {
        named(self.kind)
    }
}

impl Xclbin {
    /// A file of sections as the Phoenix tools make it. It has no date; its UUID is of its content, so that the same
    /// sections give the same file.
    pub fn new(sections: Vec<Section>) -> Xclbin {
        let kinds: Vec<String> = sections.iter().map(Section::kind_name).collect();
        let uuid = uuid_of(kinds.iter().map(String::as_str).zip(sections.iter().map(|s| s.bytes.as_slice())));
        let header = XclbinHeader {
            unique_id: 0,
            time_stamp: 0,
            rom_time_stamp: 0,
            version: VERSION,
            mode: MODE,
            action_mask: ACTION_MASK,
            interface_uuid: [0; 16],
            platform: padded(PLATFORM),
            uuid,
        };
        Xclbin { header, sections, tail: Vec::new() }
    }

    /// The first section of a kind.
    pub fn section(&self, kind: u32) -> Option<&Section> {
        self.sections.iter().find(|s| s.kind == kind)
    }

    /// Reads a file. What sections hold is not looked at.
    ///
    /// # Errors
    /// See [`XclbinError`].
    pub fn read(bytes: &[u8]) -> Result<Xclbin, XclbinError> {
        let b = Bytes(bytes);
        if !bytes.starts_with(MAGIC) {
            return Err(XclbinError::Magic);
        }
        let size = bytes.len();
        let header = read_header(b).ok_or(XclbinError::NoHeader { size })?;
        let stated = b.u64(at::LENGTH as u64).unwrap_or(0);
        if stated != size as u64 {
            return Err(XclbinError::Length { stated, size });
        }
        let count = b.u32(at::SECTIONS as u64).unwrap_or(0);
        let contents = HEADER_BYTES as u64 + u64::from(count) * SECTION_BYTES as u64;
        if count > MOST_SECTIONS || contents > size as u64 {
            return Err(XclbinError::Sections { sections: count, size });
        }
        let mut sections = Vec::new();
        let mut taken: Vec<(u64, u64, usize)> = Vec::new();
        for section in 0..count as usize {
            let head = (HEADER_BYTES + section * SECTION_BYTES) as u64;
            let kind = b.u32(head).unwrap_or(0);
            let name = b.array(head + 4).unwrap_or_default();
            let (at, bytes) = (b.u64(head + 24).unwrap_or(0), b.u64(head + 32).unwrap_or(0));
            let content = b.slice(at, bytes).filter(|_| bytes == 0 || at >= contents);
            let content = content.ok_or(XclbinError::Outside { section, kind, at, bytes, size })?;
            if bytes > 0 {
                taken.push((at, at + bytes, section));
            }
            sections.push(Section { kind, name, bytes: content.to_vec() });
            // Checked one by one: copies of overlapping sections could be many times the file.
            if taken.iter().map(|(start, end, _)| end - start).sum::<u64>() > size as u64 {
                break;
            }
        }
        taken.sort_unstable();
        for pair in taken.windows(2) {
            if let &[(_, end, first), (start, _, second)] = pair
                && start < end
            {
                return Err(XclbinError::Overlap { first: first.min(second), second: first.max(second) });
            }
        }
        let end = taken.last().map_or(contents, |&(_, end, _)| end);
        let tail = bytes.get(usize::try_from(end).unwrap_or(size)..).unwrap_or_default().to_vec();
        Ok(Xclbin { header, sections, tail })
    }

    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![0; HEADER_BYTES];
        let h = &self.header;
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, MAGIC);
        put(at::SIGNATURE, &(-1i32).to_le_bytes());
        put(at::SIGNATURE + 4, &[0xFF; 28 + 256]);
        put(at::UNIQUE_ID, &h.unique_id.to_le_bytes());
        put(at::TIME_STAMP, &h.time_stamp.to_le_bytes());
        put(at::ROM_TIME_STAMP, &h.rom_time_stamp.to_le_bytes());
        put(at::PATCH, &h.version.2.to_le_bytes());
        put(at::MAJOR, &[h.version.0]);
        put(at::MINOR, &[h.version.1]);
        put(at::MODE, &h.mode.to_le_bytes());
        put(at::ACTION_MASK, &h.action_mask.to_le_bytes());
        put(at::INTERFACE_UUID, &h.interface_uuid);
        put(at::PLATFORM, &h.platform);
        put(at::UUID, &h.uuid);
        put(at::SECTIONS, &(self.sections.len() as u32).to_le_bytes());
        out.resize(HEADER_BYTES + self.sections.len() * SECTION_BYTES, 0);
        for (n, section) in self.sections.iter().enumerate() {
            pad(&mut out, ALIGN_BYTES);
            let (at, size) = (out.len() as u64, section.bytes.len() as u64);
            let head = HEADER_BYTES + n * SECTION_BYTES;
            let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
            put(head, &section.kind.to_le_bytes());
            put(head + 4, &section.name);
            put(head + 24, &at.to_le_bytes());
            put(head + 32, &size.to_le_bytes());
            out.extend(&section.bytes);
        }
        if self.tail.is_empty() {
            pad(&mut out, ALIGN_BYTES);
        }
        out.extend(&self.tail);
        let length = out.len() as u64;
        out[at::LENGTH..at::LENGTH + 8].copy_from_slice(&length.to_le_bytes());
        out
    }
}

fn read_header(b: Bytes<'_>) -> Option<XclbinHeader> {
    b.slice(0, HEADER_BYTES as u64)?;
    Some(XclbinHeader {
        unique_id: b.u64(at::UNIQUE_ID as u64)?,
        time_stamp: b.u64(at::TIME_STAMP as u64)?,
        rom_time_stamp: b.u64(at::ROM_TIME_STAMP as u64)?,
        version: (b.u8(at::MAJOR as u64)?, b.u8(at::MINOR as u64)?, b.u16(at::PATCH as u64)?),
        mode: b.u16(at::MODE as u64)?,
        action_mask: b.u16(at::ACTION_MASK as u64)?,
        interface_uuid: b.array(at::INTERFACE_UUID as u64)?,
        platform: b.array(at::PLATFORM as u64)?,
        uuid: b.array(at::UUID as u64)?,
    })
}

/// A text in a field of a fixed size.
fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut out = [0; N];
    let size = text.len().min(N);
    out[..size].copy_from_slice(&text.as_bytes()[..size]);
    out
}

/// A UUID made from content: the first half of its SHA-256, marked as version 8 (RFC 9562).
pub(super) fn uuid_of<'a>(parts: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> [u8; 16] {
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&Sha::of_parts(parts).bytes()[..16]);
    uuid[6] = uuid[6] & 0x0F | 0x80;
    uuid[8] = uuid[8] & 0x3F | 0x80;
    uuid
}

#[cfg(test)]
mod tests;
