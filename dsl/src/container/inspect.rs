//! What a file says, for people and as JSON: [`inspect`] finds out which kind it is.

mod text;

use super::bytes::shown;
use super::cdo::{Cdo, CdoError};
use super::elf::{CoreElf, ElfError};
use super::image::Piece;
use super::pdi::{Pdi, PdiError};
use super::state::{ArrayState, BdState, RouteState, StateError};
use super::xclbin::{self, Partition, PartitionError, Xclbin, XclbinError, kind};
use crate::array::Tile;
use crate::device::{Device, TileKind};
use crate::emit::bundle::Sha;
use crate::emit::{DecodeError, decode_insts, insts_from_bytes};
use serde::Serialize;
use thiserror::Error;

/// Why a file cannot be told of.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InspectError {
    /// A damaged xclbin.
    #[error(transparent)]
    Xclbin(#[from] XclbinError),
    /// A damaged partition.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// A damaged PDI.
    #[error(transparent)]
    Pdi(#[from] PdiError),
    /// A damaged CDO.
    #[error(transparent)]
    Cdo(#[from] CdoError),
    /// A CDO that cannot be executed.
    #[error(transparent)]
    State(#[from] StateError),
    /// A damaged core program.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// Not one of these files; the error is that of an instruction stream.
    #[error("it begins as no xclbin, PDI, CDO or ELF file, and is no instruction stream: {0}")]
    Unknown(DecodeError),
    /// A table of an xclbin that leaves its section.
    #[error("xclbin: the table of section {section} leaves the section\n  help: the file is damaged")]
    Table {
        /// XRT's name of the section.
        section: &'static str,
    },
}

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "file", rename_all = "lowercase")]
pub enum FileReport {
    /// A core program.
    Elf(ElfReport),
    /// A configuration.
    Cdo(CdoReport),
    /// A configuration as the firmware loads it.
    Pdi(PdiReport),
    /// What XRT loads.
    Xclbin(XclbinReport),
    /// An instruction stream.
    Insts {
        /// It in words, a line each.
        lines: Vec<String>,
    },
}

/// A range of memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PieceReport {
    /// First byte.
    pub address: u32,
    /// Its size.
    pub bytes: u32,
    /// Of its content.
    pub sha256: Sha,
}

/// A core program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ElfReport {
    /// Where it begins.
    pub entry: u32,
    /// The generation of the core; 2 is AIE2.
    pub flags: u32,
    /// Loadable segments.
    pub segments: Vec<PieceReport>,
    /// Sections: name, address, size.
    pub sections: Vec<SectionReport>,
}

/// A section of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SectionReport {
    /// Its kind in an xclbin.
    pub kind: Option<String>,
    /// Its name.
    pub name: String,
    /// Its address in a core program.
    pub address: Option<u32>,
    /// Its size.
    pub bytes: u64,
}

/// A configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CdoReport {
    /// Its version.
    pub version: u32,
    /// Number of its commands.
    pub commands: usize,
    /// Tiles that it writes.
    pub tiles: Vec<TileReport>,
    /// Ways through the switches.
    pub routes: Vec<RouteReport>,
    /// What is wrong with the switches.
    pub problems: Vec<String>,
}

/// A tile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TileReport {
    /// Column and row.
    pub tile: [u8; 2],
    /// `shim`, `mem` or `core`.
    pub kind: &'static str,
    /// Its core.
    pub core: Option<CoreReport>,
    /// What is written to its data memory.
    pub data: Vec<PieceReport>,
    /// Locks with their values.
    pub locks: Vec<LockReport>,
    /// Buffer descriptors.
    pub bds: Vec<BdReport>,
    /// Tasks that channels begin with.
    pub channels: Vec<ChannelReport>,
    /// Registers beside these that are written.
    pub other_registers: usize,
}

/// A core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CoreReport {
    /// Whether it runs in the end.
    pub runs: bool,
    /// Its program.
    pub program: Vec<PieceReport>,
    /// Where its cascade comes from and goes.
    pub cascade: Option<[&'static str; 2]>,
}

/// A lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LockReport {
    /// Its number in the tile; those of a mem tile's neighbours are below 0 and beyond its own.
    pub lock: i64,
    /// Its value, or what is added to it; an acquire of a negative value waits for it.
    pub value: i64,
}

/// A dimension of a BD, innermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DimReport {
    /// Steps; none ends with the transfer.
    pub size: Option<u32>,
    /// Distance of two in words.
    pub step_words: u32,
}

/// A buffer descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BdReport {
    /// Its number.
    pub bd: u32,
    /// Whether it can run.
    pub valid: bool,
    /// First byte, from the start of the tile's memory.
    pub address: i64,
    /// Bytes moved.
    pub bytes: u64,
    /// Order of access; none is linear.
    pub dims: Vec<DimReport>,
    /// Lock that it waits for.
    pub acquire: Option<LockReport>,
    /// Lock that it gives.
    pub release: Option<LockReport>,
    /// The BD that follows.
    pub next: Option<u32>,
    /// Id of the packets that it sends.
    pub packet: Option<u32>,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelReport {
    /// `S2MM0`, ...
    pub channel: String,
    /// Its first BD.
    pub bd: u32,
    /// How often.
    pub runs: u32,
    /// Whether its end issues a token.
    pub token: bool,
}

/// A way through the switches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteReport {
    /// Where it begins.
    pub from: String,
    /// Id and mask of its packets; none is a circuit.
    pub packets: Option<[u32; 2]>,
    /// Where it ends.
    pub to: Vec<String>,
}

/// A PDI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PdiReport {
    /// Names of its images.
    pub images: Vec<String>,
    /// Its configurations.
    pub cdos: Vec<CdoReport>,
}

/// A kernel of an xclbin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KernelReport {
    /// Kernel and instance.
    pub name: String,
    /// Its id, of a kernel of the NPU.
    pub id: Option<u16>,
    /// Memory of each argument that has one: number, name of the memory.
    pub arguments: Vec<(u32, String)>,
}

/// A group of a PDI's kernels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupReport {
    /// Its name.
    pub name: String,
    /// Ids of its kernels.
    pub kernel_ids: Vec<u64>,
}

/// The array's part of an xclbin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartitionReport {
    /// Columns that it takes.
    pub columns: u16,
    /// Columns where it may begin.
    pub start_columns: Vec<u16>,
    /// PDIs, and whom they serve.
    pub pdis: Vec<(Vec<GroupReport>, PdiReport)>,
}

/// An xclbin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct XclbinReport {
    /// The platform that it is for.
    pub platform: String,
    /// Its UUID.
    pub uuid: String,
    /// Its sections.
    pub sections: Vec<SectionReport>,
    /// Its kernels.
    pub kernels: Vec<KernelReport>,
    /// The array's part.
    pub partition: Option<PartitionReport>,
}

/// Tells what a file says; a device reads the registers that it writes.
///
/// # Errors
/// See [`InspectError`].
pub fn inspect(bytes: &[u8], device: &Device) -> Result<FileReport, InspectError> {
    let word = |n: usize| bytes.get(4 * n..4 * n + 4);
    if bytes.starts_with(b"xclbin2") {
        xclbin_report(bytes, device).map(FileReport::Xclbin)
    } else if bytes.starts_with(b"\x7FELF") {
        Ok(FileReport::Elf(elf_report(&CoreElf::read(bytes)?)))
    } else if word(1) == Some(b"CDO\0") {
        cdo_report(bytes, device).map(FileReport::Cdo)
    } else if word(1) == Some(&[0x44, 0x33, 0x22, 0x11]) {
        pdi_report(bytes, device).map(FileReport::Pdi)
    } else {
        let insts = insts_from_bytes(bytes).and_then(|words| decode_insts(&words));
        let text = insts.map_err(InspectError::Unknown)?.to_string();
        Ok(FileReport::Insts { lines: text.lines().map(str::to_owned).collect() })
    }
}

fn piece(piece: &Piece) -> PieceReport {
    PieceReport { address: piece.address, bytes: piece.bytes.len() as u32, sha256: Sha::of(&piece.bytes) }
}

fn elf_report(elf: &CoreElf) -> ElfReport {
    let segment = |s: &super::elf::Segment| piece(&Piece { address: s.address, bytes: s.bytes.clone() });
    let section = |s: &super::elf::ElfSection| SectionReport {
        kind: None,
        name: s.name.clone(),
        address: Some(s.address),
        bytes: s.bytes.into(),
    };
    ElfReport {
        entry: elf.entry,
        flags: elf.flags,
        segments: elf.segments.iter().map(segment).collect(),
        sections: elf.sections.iter().map(section).collect(),
    }
}

fn cdo_report(bytes: &[u8], device: &Device) -> Result<CdoReport, InspectError> {
    let cdo = Cdo::read(bytes)?;
    let state = ArrayState::of(&cdo, device)?;
    let (routes, problems) = state.routes();
    let route = |r: RouteState| RouteReport {
        from: r.from.to_string(),
        packets: r.packets.map(|(id, mask)| [id, mask]),
        to: r.to.iter().map(ToString::to_string).collect(),
    };
    Ok(CdoReport {
        version: cdo.version,
        commands: cdo.commands.len(),
        tiles: state.tiles.iter().map(|(&tile, t)| tile_report(&state, tile, t.kind)).collect(),
        routes: routes.into_iter().map(route).collect(),
        problems,
    })
}

fn tile_report(state: &ArrayState<'_>, tile: Tile, kind: TileKind) -> TileReport {
    let regs = state.device().tile_registers(kind);
    let (origin, first) = (i64::from(regs.dma_memory_address()), i64::from(regs.dma_first_lock()));
    let lock = |l: super::state::BdLock| LockReport { lock: i64::from(l.id) - first, value: l.value.into() };
    let bd = |(bd, b): (u32, BdState)| BdReport {
        bd,
        valid: b.valid,
        address: b.address as i64 - origin,
        bytes: b.len_bytes,
        dims: b
            .dims
            .iter()
            .map(|d| DimReport { size: (d.wrap != 0).then_some(d.wrap), step_words: d.step })
            .collect(),
        acquire: b.acquire.map(lock),
        release: b.release.map(lock),
        next: b.next,
        packet: b.packet.map(|(_, id)| id),
    };
    let starts = state.tiles.get(&tile).map_or(&[][..], |t| &t.starts);
    let channel = |s: &super::state::Start| ChannelReport {
        channel: s.channel.to_string(),
        bd: s.bd,
        runs: s.runs,
        token: s.token,
    };
    let core = (kind == TileKind::Core).then(|| CoreReport {
        runs: state.enabled(tile) == Some(true),
        program: state.program(tile).iter().map(piece).collect(),
        cascade: state.cascade(tile).map(|c| [c.from, c.to]),
    });
    TileReport {
        tile: [tile.col, tile.row],
        kind: match kind {
            TileKind::Shim => "shim",
            TileKind::Mem => "mem",
            TileKind::Core => "core",
        },
        core,
        data: state.data(tile).iter().map(piece).collect(),
        locks: state
            .locks(tile)
            .into_iter()
            .map(|(lock, value)| LockReport { lock: lock.into(), value: value.into() })
            .collect(),
        bds: state.bds(tile).into_iter().map(bd).collect(),
        channels: starts.iter().map(channel).collect(),
        other_registers: state.others(tile).len(),
    }
}

fn pdi_report(bytes: &[u8], device: &Device) -> Result<PdiReport, InspectError> {
    let pdi = Pdi::read(bytes)?;
    let cdos = pdi.cdos.iter().map(|cdo| cdo_report(cdo, device)).collect::<Result<_, _>>()?;
    Ok(PdiReport { images: pdi.images, cdos })
}

fn xclbin_report(bytes: &[u8], device: &Device) -> Result<XclbinReport, InspectError> {
    let file = Xclbin::read(bytes)?;
    let section = |s: &xclbin::Section| SectionReport {
        kind: Some(s.kind_name()),
        name: shown(&s.name),
        address: None,
        bytes: s.bytes.len() as u64,
    };
    let partition = match file.section(kind::AIE_PARTITION) {
        None => None,
        Some(section) => Some(partition_report(&Partition::read(&section.bytes)?, device)?),
    };
    Ok(XclbinReport {
        platform: shown(&file.header.platform),
        uuid: file.header.uuid.iter().map(|b| format!("{b:02x}")).collect(),
        sections: file.sections.iter().map(section).collect(),
        kernels: kernels(&file)?,
        partition,
    })
}

/// A table of a section; none of a section that is not there.
fn table<T>(
    file: &Xclbin,
    of: u32,
    section: &'static str,
    read: impl Fn(&[u8]) -> Option<Vec<T>>,
) -> Result<Vec<T>, InspectError> {
    match file.section(of).filter(|s| !s.bytes.is_empty()) {
        None => Ok(Vec::new()),
        Some(s) => read(&s.bytes).ok_or(InspectError::Table { section }),
    }
}

fn kernels(file: &Xclbin) -> Result<Vec<KernelReport>, InspectError> {
    let memories = table(file, kind::MEM_TOPOLOGY, "MEM_TOPOLOGY", xclbin::read_memories)?;
    let entries = table(file, kind::IP_LAYOUT, "IP_LAYOUT", xclbin::read_ip_layout)?;
    let rows = table(file, kind::CONNECTIVITY, "CONNECTIVITY", xclbin::read_connectivity)?;
    let mut kernels: Vec<KernelReport> = entries
        .into_iter()
        .map(|e| KernelReport { name: e.name, id: e.kernel_id, arguments: Vec::new() })
        .collect();
    for row in rows {
        let memory =
            memories.get(row.memory as usize).map_or_else(|| row.memory.to_string(), |m| m.tag.clone());
        if let Some(kernel) = kernels.get_mut(row.instance as usize) {
            kernel.arguments.push((row.argument, memory));
        }
    }
    Ok(kernels)
}

fn partition_report(partition: &Partition, device: &Device) -> Result<PartitionReport, InspectError> {
    let mut pdis = Vec::new();
    for pdi in &partition.pdis {
        let group =
            |g: &xclbin::CdoGroup| GroupReport { name: g.name.clone(), kernel_ids: g.kernel_ids.clone() };
        pdis.push((pdi.groups.iter().map(group).collect(), pdi_report(&pdi.image, device)?));
    }
    Ok(PartitionReport {
        columns: partition.column_width,
        start_columns: partition.start_columns.clone(),
        pdis,
    })
}

#[cfg(test)]
mod tests;
