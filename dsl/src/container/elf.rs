//! ELF files of core programs: 32 bits, little-endian, machine 264 (`EM_AIE`).
//!
//! [`CoreElf::read`] takes what LLVM's AIE back end, AMD's compiler and Kiln write; what counts are the loadable
//! segments. A core sees its program at 0 and data memories in windows, its own at [`OWN_WINDOW`].

use super::bytes::{Bytes, pad, shown};
use thiserror::Error;

/// `EM_AIE` (llvm-aie 10f46a1b, `llvm/include/llvm/BinaryFormat/ELF.h`).
pub const EM_AIE: u16 = 264;
/// `e_flags` of AIE2.
pub const FLAGS_AIE2: u32 = 2;
/// Where a core sees its own data memory (`reference/backend.md`, checked on two of AMD's programs).
pub const OWN_WINDOW: u32 = 0x7_0000;
/// Size of a window.
pub const WINDOW_BYTES: u32 = 0x1_0000;
/// `PT_LOAD`.
const LOAD: u32 = 1;
/// `SHT_PROGBITS`, `SHT_STRTAB`.
const PROGBITS: u32 = 1;
const STRTAB: u32 = 3;
/// Bytes of the header, of a segment's header, of a section's.
const HEADER_BYTES: u64 = 52;
const SEGMENT_BYTES: u64 = 32;
const SECTION_BYTES: u64 = 40;
/// Largest memory that all segments of a program together may have: far beyond a core's.
const MOST_BYTES: u64 = 16 << 20;
/// Most segments of a program; linkers make a handful.
const MOST_SEGMENTS: usize = 1024;
/// Alignment of segments in the file.
const ALIGN_BYTES: usize = 16;

/// A loadable segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where the core sees it.
    pub address: u32,
    /// Its bytes; those that the file leaves out are 0.
    pub bytes: Vec<u8>,
    /// Whether it is code.
    pub executable: bool,
    /// Whether the program writes it.
    pub writable: bool,
}

/// A section, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElfSection {
    /// Its name.
    pub name: String,
    /// Its `sh_type`.
    pub kind: u32,
    /// Where the core sees it.
    pub address: u32,
    /// Its size.
    pub bytes: u32,
}

/// A core program as its file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreElf {
    /// Where it begins.
    pub entry: u32,
    /// Its flags: the generation of the core.
    pub flags: u32,
    /// Loadable segments that are not empty.
    pub segments: Vec<Segment>,
    /// Sections.
    pub sections: Vec<ElfSection>,
}

/// Why bytes are no core program.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ElfError {
    /// Another beginning.
    #[error("ELF: it does not begin with 7f 45 4c 46\n  help: this is no ELF file")]
    Magic,
    /// Another class or byte order.
    #[error(
        "ELF: class {class} and data {data}, expected 1 and 1: 32 bits, little-endian\n  help: this is no program of a core"
    )]
    Class {
        /// `EI_CLASS`.
        class: u8,
        /// `EI_DATA`.
        data: u8,
    },
    /// Another machine.
    #[error("ELF: machine {got}, expected {EM_AIE} (AIE)\n  help: this is a program of another processor")]
    Machine {
        /// `e_machine`.
        got: u16,
    },
    /// A part lies outside.
    #[error(
        "ELF: {what} at {at:#x}, {bytes} B, lies outside the file's {size} B\n  help: the file is cut off or damaged"
    )]
    Outside {
        /// Which part.
        what: &'static str,
        /// Where.
        at: u64,
        /// Its size.
        bytes: u64,
        /// Size of the file.
        size: usize,
    },
    /// Entries of another size.
    #[error("ELF: {what} of {got} B, expected {expected}\n  help: the file is damaged")]
    Entry {
        /// Of which table.
        what: &'static str,
        /// What it says.
        got: u16,
        /// What they have.
        expected: u64,
    },
    /// A segment that has more bytes in the file than in memory, or leaves the address space.
    #[error(
        "ELF: segment {segment} at {address:#x} has {in_file} B in the file and {in_memory} B in memory\n  help: the file is damaged"
    )]
    Segment {
        /// Which.
        segment: usize,
        /// Where.
        address: u32,
        /// Bytes in the file.
        in_file: u32,
        /// Bytes in memory.
        in_memory: u32,
    },
    /// More memory than any core has.
    #[error(
        "ELF: its segments have {bytes} B, expected at most {MOST_BYTES} B\n  help: this is no program of a core"
    )]
    TooLarge {
        /// Together.
        bytes: u64,
    },
    /// More segments than any linker makes.
    #[error("ELF: more than {MOST_SEGMENTS} loadable segments\n  help: this is no program of a core")]
    TooMany,
    /// Two segments at one place.
    #[error(
        "ELF: two segments hold address {address:#x}\n  help: the file is damaged, or was linked for another core"
    )]
    Overlap {
        /// An address of both.
        address: u32,
    },
}

impl CoreElf {
    /// Reads a file.
    ///
    /// # Errors
    /// See [`ElfError`].
    pub fn read(bytes: &[u8]) -> Result<CoreElf, ElfError> {
        let b = Bytes(bytes);
        if !bytes.starts_with(b"\x7FELF") {
            return Err(ElfError::Magic);
        }
        let outside = |what, at, bytes: u64| ElfError::Outside { what, at, bytes, size: b.0.len() };
        let head = b.slice(0, HEADER_BYTES).map(Bytes).ok_or(outside("its header", 0, HEADER_BYTES))?;
        let u16_at = |at| head.u16(at).unwrap_or(0);
        let u32_at = |at| head.u32(at).unwrap_or(0);
        let (class, data) = (head.u8(4).unwrap_or(0), head.u8(5).unwrap_or(0));
        if (class, data) != (1, 1) {
            return Err(ElfError::Class { class, data });
        }
        if u16_at(18) != EM_AIE {
            return Err(ElfError::Machine { got: u16_at(18) });
        }
        let table = |what, at: u32, size: u16, count: u16, expected: u64| {
            if count > 0 && u64::from(size) != expected {
                return Err(ElfError::Entry { what, got: size, expected });
            }
            let len = u64::from(count) * expected;
            b.slice(u64::from(at), len).ok_or(outside(what, at.into(), len))
        };
        let headers = table("segment headers", u32_at(28), u16_at(42), u16_at(44), SEGMENT_BYTES)?;
        let segments = segments(b, headers)?;
        let headers = table("section headers", u32_at(32), u16_at(46), u16_at(48), SECTION_BYTES)?;
        let sections = sections(b, headers, u16_at(50));
        Ok(CoreElf { entry: u32_at(24), flags: u32_at(36), segments, sections })
    }

    /// A file of segments, each with a section of its own.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut names = vec![0u8];
        let mut name = |text: &str| {
            let at = names.len() as u32;
            names.extend(text.as_bytes());
            names.push(0);
            at
        };
        let segments = &self.segments;
        let segment_names: Vec<u32> =
            segments.iter().map(|s| name(if s.executable { ".text" } else { ".data" })).collect();
        let names_name = name(".shstrtab");

        let mut out = vec![0; HEADER_BYTES as usize + segments.len() * SEGMENT_BYTES as usize];
        let mut section_headers: Vec<[u32; 10]> = vec![[0; 10]];
        let put = |out: &mut Vec<u8>, at: usize, words: &[u32]| {
            let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
            out[at..at + bytes.len()].copy_from_slice(&bytes);
        };
        for (n, (s, &name)) in segments.iter().zip(&segment_names).enumerate() {
            pad(&mut out, ALIGN_BYTES);
            let (at, size) = (out.len() as u32, s.bytes.len() as u32);
            out.extend(&s.bytes);
            // R is 4, W 2, X 1; of a section ALLOC is 2, WRITE 1, EXECINSTR 4.
            let access = 4 | u32::from(s.writable) << 1 | u32::from(s.executable);
            let flags = 2 | u32::from(s.writable) | u32::from(s.executable) << 2;
            let header = [LOAD, at, s.address, s.address, size, size, access, ALIGN_BYTES as u32];
            put(&mut out, HEADER_BYTES as usize + n * SEGMENT_BYTES as usize, &header);
            section_headers.push([name, PROGBITS, flags, s.address, at, size, 0, 0, ALIGN_BYTES as u32, 0]);
        }
        let (at, size) = (out.len() as u32, names.len() as u32);
        section_headers.push([names_name, STRTAB, 0, 0, at, size, 0, 0, 1, 0]);
        out.extend(&names);
        pad(&mut out, 4);
        let sections_at = out.len() as u32;
        out.extend(section_headers.as_flattened().iter().flat_map(|w| w.to_le_bytes()));

        out[..16].copy_from_slice(b"\x7FELF\x01\x01\x01\0\0\0\0\0\0\0\0\0");
        let halves = |low: usize, high: u64| (high as u32) << 16 | low as u32;
        let segments_at = if segments.is_empty() { 0 } else { HEADER_BYTES as u32 };
        put(&mut out, 16, &[halves(2, EM_AIE.into()), 1, self.entry, segments_at, sections_at, self.flags]);
        let counts = [
            halves(HEADER_BYTES as usize, SEGMENT_BYTES),
            halves(segments.len(), SECTION_BYTES),
            halves(section_headers.len(), section_headers.len() as u64 - 1),
        ];
        put(&mut out, 40, &counts);
        out
    }
}

fn segments(b: Bytes<'_>, headers: &[u8]) -> Result<Vec<Segment>, ElfError> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut total = 0u64;
    for (segment, header) in headers.chunks_exact(SEGMENT_BYTES as usize).enumerate() {
        let word = |n: u64| Bytes(header).u32(4 * n).unwrap_or(0);
        let [kind, at, address, in_file, in_memory, access] = [0, 1, 2, 4, 5, 6].map(word);
        if kind != LOAD || in_memory == 0 {
            continue;
        }
        if in_file > in_memory || address.checked_add(in_memory).is_none() {
            return Err(ElfError::Segment { segment, address, in_file, in_memory });
        }
        if segments.len() == MOST_SEGMENTS {
            return Err(ElfError::TooMany);
        }
        total += u64::from(in_memory);
        if total > MOST_BYTES {
            return Err(ElfError::TooLarge { bytes: total });
        }
        let (at, len) = (u64::from(at), u64::from(in_file));
        let outside = ElfError::Outside { what: "a segment", at, bytes: len, size: b.0.len() };
        let mut bytes = b.slice(at, len).ok_or(outside)?.to_vec();
        bytes.resize(in_memory as usize, 0);
        let (executable, writable) = (access & 1 != 0, access & 2 != 0);
        segments.push(Segment { address, bytes, executable, writable });
    }
    let mut places: Vec<(u64, u64)> = segments
        .iter()
        .map(|s| (u64::from(s.address), u64::from(s.address) + s.bytes.len() as u64))
        .collect();
    places.sort_unstable();
    match places.windows(2).find(|pair| pair[1].0 < pair[0].1) {
        Some(pair) => Err(ElfError::Overlap { address: pair[1].0 as u32 }),
        None => Ok(segments),
    }
}

/// Sections are for people: one whose name is not there has none, and of a long name only the start is read.
fn sections(b: Bytes<'_>, headers: &[u8], names: u16) -> Vec<ElfSection> {
    let header = |n: usize| headers.chunks_exact(SECTION_BYTES as usize).nth(n).map(Bytes);
    let table = header(names.into()).and_then(|h| b.slice(h.u32(16)?.into(), h.u32(20)?.into()));
    let one = |h: Bytes<'_>| {
        let word = |n: u64| h.u32(4 * n).unwrap_or(0);
        let name = table.and_then(|t| Bytes(t).text(word(0).into(), 64)).map(shown).unwrap_or_default();
        ElfSection { name, kind: word(1), address: word(3), bytes: word(5) }
    };
    headers.chunks_exact(SECTION_BYTES as usize).map(Bytes).map(one).filter(|s| s.kind != 0).collect()
}

#[cfg(test)]
mod tests;
