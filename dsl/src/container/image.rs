//! What is loaded into one core: its program, and data of its own memory.

use super::elf::{CoreElf, OWN_WINDOW, Segment};
use crate::array::Tile;
use crate::device::Device;
use thiserror::Error;

/// Bytes at a place of a memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// First byte, from the start of the memory.
    pub address: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The content of one core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreImage {
    /// Where it runs.
    pub tile: Tile,
    /// Pieces of program memory.
    pub program: Vec<Piece>,
    /// Pieces of data memory.
    pub data: Vec<Piece>,
}

/// Why a program does not fit a core.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A segment outside both memories.
    #[error(
        "core {tile}: the program has {bytes} B at {address:#x}; a core loads its program, 0 to {program_bytes:#x}, and its own data memory, {OWN_WINDOW:#x} to {data_end:#x}\n  help: link the program for this core alone"
    )]
    Outside {
        /// Which core.
        tile: Tile,
        /// Where.
        address: u32,
        /// Its size.
        bytes: usize,
        /// Size of program memory.
        program_bytes: u32,
        /// End of the core's own data memory.
        data_end: u32,
    },
    /// A program that does not begin at 0.
    #[error(
        "core {tile}: the program begins at {entry:#x}, expected 0, where a core begins\n  help: link it with its start-up code first"
    )]
    Entry {
        /// Which core.
        tile: Tile,
        /// What the file says.
        entry: u32,
    },
    /// Nothing to run.
    #[error("core {tile}: the file has no program\n  help: link it with its start-up code")]
    NoProgram {
        /// Which core.
        tile: Tile,
    },
}

impl CoreImage {
    /// The content of an ELF file.
    ///
    /// # Errors
    /// See [`ImageError`].
    pub fn from_elf(tile: Tile, elf: &CoreElf, device: &Device) -> Result<CoreImage, ImageError> {
        if elf.entry != 0 {
            return Err(ImageError::Entry { tile, entry: elf.entry });
        }
        let program_bytes = device.core.program_memory_bytes();
        let data_end = OWN_WINDOW + device.core.data_memory_bytes();
        let mut image = CoreImage { tile, program: Vec::new(), data: Vec::new() };
        for Segment { address, bytes, .. } in &elf.segments {
            let (address, end) = (*address, u64::from(*address) + bytes.len() as u64);
            let piece = |from: u32| Piece { address: address - from, bytes: bytes.clone() };
            if end <= u64::from(program_bytes) {
                image.program.push(piece(0));
            } else if address >= OWN_WINDOW && end <= u64::from(data_end) {
                image.data.push(piece(OWN_WINDOW));
            } else {
                let bytes = bytes.len();
                return Err(ImageError::Outside { tile, address, bytes, program_bytes, data_end });
            }
        }
        if image.program.is_empty() {
            return Err(ImageError::NoProgram { tile });
        }
        Ok(image)
    }

    /// Bytes of its program.
    pub fn program_bytes(&self) -> u32 {
        self.program.iter().map(|p| p.bytes.len() as u32).sum()
    }
}

#[cfg(test)]
mod tests;
