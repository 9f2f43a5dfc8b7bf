//! From a lowered design and a program for each core to the CDO that configures the array.
//!
//! The order is that of mlir-aie's three CDOs, one after the other: memories while cores and DMAs rest; then resets,
//! locks, buffer descriptors, task queues, switches and the shims' multiplexers; then the cores start.

mod bd;
mod switches;

use super::cdo::{Cdo, CdoBuilder};
use super::image::{CoreImage, Piece};
use crate::array::Tile;
use crate::array::lowered::{Channel, Direction, Lowered};
use crate::array::{CoreId, Design};
use crate::device::fields::{
    CASCADE_INPUT, CASCADE_OUTPUT, CHANNEL_RESET, CORE_ENABLE, CORE_RESET, QUEUE_BD, QUEUE_BD_MEM,
};
use crate::device::{Device, TileKind};
use crate::verified::Verified;
use thiserror::Error;

/// Why a design has no configuration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigureError {
    /// A core without a program.
    #[error("design {design}: core {tile} has no program\n  help: give one for every core of the design")]
    NoProgram {
        /// Name of the design.
        design: String,
        /// Which core.
        tile: Tile,
    },
    /// A program for no core, or a second one.
    #[error(
        "design {design}: a program for core {tile}, which the design does not have or which has one already"
    )]
    StrayProgram {
        /// Name of the design.
        design: String,
        /// Which tile.
        tile: Tile,
    },
    /// A program's data lies where the design has buffers.
    #[error(
        "design {design}: the program of core {tile} puts {bytes} B of data at {address:#x}, where buffer {buffer} is\n  help: link the program with the addresses of this lowering (`kiln lower`)"
    )]
    DataOverBuffer {
        /// Name of the design.
        design: String,
        /// Which core.
        tile: Tile,
        /// Where, from the start of its data memory.
        address: u32,
        /// How much.
        bytes: usize,
        /// The buffer's name.
        buffer: String,
    },
    /// Switches without enough ports.
    #[error(
        "design {design}: the switch of {tile} has too few ports {side}\n  help: `kiln fit {design}` says what needs them"
    )]
    NoRoute {
        /// Name of the design.
        design: String,
        /// Whose switch.
        tile: Tile,
        /// Which side.
        side: &'static str,
    },
    /// A port that the device's switch does not have.
    #[error("design {design}: the switch of {tile} has no {what}")]
    NoPort {
        /// Name of the design.
        design: String,
        /// Whose switch.
        tile: Tile,
        /// Which port.
        what: String,
    },
    /// A number that its field does not hold.
    #[error("design {design}: {tile}, BD {bd}: {field} is {got}, at most {max} fits")]
    Field {
        /// Name of the design.
        design: String,
        /// Which tile.
        tile: Tile,
        /// Which BD.
        bd: u8,
        /// Which field.
        field: &'static str,
        /// What it should be.
        got: u64,
        /// Largest value.
        max: u64,
    },
}

/// The CDO of a design. `lowered` is the lowering of `design`, `images` has the program of each of its cores.
///
/// # Errors
/// See [`ConfigureError`].
pub fn configure(
    design: &Verified<Design>,
    lowered: &Lowered,
    device: &Device,
    images: &[CoreImage],
) -> Result<Cdo, ConfigureError> {
    let mut out = Configurer { design, lowered, device, cdo: CdoBuilder::default() };
    let images = out.in_order(images)?;
    out.memories(&images)?;
    out.resets_and_locks();
    out.dmas()?;
    out.switches()?;
    out.cascades();
    for image in &images {
        let control = device.registers.core_control_address();
        out.mask_write(image.tile, control, CORE_ENABLE.mask(), CORE_ENABLE.at(1));
    }
    Ok(out.cdo.finish())
}

struct Configurer<'a> {
    design: &'a Verified<Design>,
    lowered: &'a Lowered,
    device: &'a Device,
    cdo: CdoBuilder,
}

impl<'a> Configurer<'a> {
    fn write(&mut self, tile: Tile, offset: u32, value: u32) {
        self.cdo.write(self.device.address(tile, offset), value);
    }

    fn mask_write(&mut self, tile: Tile, offset: u32, mask: u32, value: u32) {
        self.cdo.mask_write(self.device.address(tile, offset), mask, value);
    }

    fn block_write(&mut self, tile: Tile, offset: u32, words: Vec<u32>) {
        self.cdo.block_write(self.device.address(tile, offset), words);
    }

    fn name(&self) -> String {
        self.design.name.clone()
    }

    fn kind(&self, tile: Tile) -> TileKind {
        self.device.tile_kind(tile).unwrap_or(TileKind::Core)
    }

    /// The programs in the order of the design's cores.
    fn in_order<'i>(&self, images: &'i [CoreImage]) -> Result<Vec<&'i CoreImage>, ConfigureError> {
        let tiles: Vec<Tile> = self.lowered.cores.iter().map(|c| c.tile).collect();
        for (n, image) in images.iter().enumerate() {
            let again = images[..n].iter().any(|i| i.tile == image.tile);
            if again || !tiles.contains(&image.tile) {
                return Err(ConfigureError::StrayProgram { design: self.name(), tile: image.tile });
            }
        }
        let of = |&tile: &Tile| {
            let missing = || ConfigureError::NoProgram { design: self.name(), tile };
            images.iter().find(|i| i.tile == tile).ok_or_else(missing)
        };
        tiles.iter().map(of).collect()
    }

    fn channels(&self, tile: Tile) -> Vec<Channel> {
        let dma = self.device.tile_dma(self.kind(tile));
        let of = |direction, count: u32| (0..count).map(move |n| Channel { direction, index: n as u8 });
        of(Direction::Mm2s, dma.mm2s_channels()).chain(of(Direction::S2mm, dma.s2mm_channels())).collect()
    }

    fn piece(&mut self, tile: Tile, memory: u32, piece: &Piece) {
        // A block writes words: a piece that begins or ends inside one takes zeros there.
        let before = piece.address % 4;
        let mut bytes = vec![0; before as usize];
        bytes.extend(&piece.bytes);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        if !piece.bytes.is_empty() {
            self.block_write(tile, memory + piece.address - before, super::bytes::Bytes(&bytes).words());
        }
    }

    /// Programs, their data, and buffers with a content, while nothing moves.
    fn memories(&mut self, images: &[&CoreImage]) -> Result<(), ConfigureError> {
        let r = &self.device.registers;
        let (program, data) = (r.program_memory_address(), r.data_memory_address());
        let buffers: Vec<(Tile, Piece)> = self
            .lowered
            .tiles
            .iter()
            .flat_map(|(&tile, content)| {
                let filled = content.buffers.iter().filter_map(|b| Some((b.address, b.init.clone()?)));
                filled.map(move |(address, bytes)| (tile, Piece { address, bytes }))
            })
            .collect();
        for image in images {
            self.beside_buffers(image)?;
            self.mask_write(image.tile, r.core_control_address(), CORE_ENABLE.mask(), 0);
            self.hold_channels(image.tile, true);
            for piece in &image.data {
                self.piece(image.tile, data, piece);
            }
            for piece in &image.program {
                self.piece(image.tile, program, piece);
            }
            for (_, piece) in buffers.iter().filter(|(tile, _)| *tile == image.tile) {
                self.piece(image.tile, data, piece);
            }
            self.hold_channels(image.tile, false);
        }
        for (tile, piece) in &buffers {
            if images.iter().all(|i| i.tile != *tile) {
                self.piece(*tile, data, piece);
            }
        }
        Ok(())
    }

    /// A program's own data must not lie in a buffer of the design, but for the content of that buffer.
    fn beside_buffers(&self, image: &CoreImage) -> Result<(), ConfigureError> {
        let Some(tile) = self.lowered.tiles.get(&image.tile) else { return Ok(()) };
        for piece in &image.data {
            let (start, end) =
                (u64::from(piece.address), u64::from(piece.address) + piece.bytes.len() as u64);
            let over = tile.buffers.iter().find(|b| {
                let (from, to) = (u64::from(b.address), u64::from(b.address) + u64::from(b.bytes));
                let same = b.init.as_deref() == Some(&piece.bytes) && from == start;
                start < to && from < end && !same
            });
            if let Some(buffer) = over {
                return Err(ConfigureError::DataOverBuffer {
                    design: self.name(),
                    tile: image.tile,
                    address: piece.address,
                    bytes: piece.bytes.len(),
                    buffer: buffer.name.clone(),
                });
            }
        }
        Ok(())
    }

    fn hold_channels(&mut self, tile: Tile, hold: bool) {
        let regs = self.device.tile_registers(self.kind(tile));
        for channel in self.channels(tile) {
            let value = CHANNEL_RESET.at(u32::from(hold));
            self.mask_write(tile, regs.control_address(channel), CHANNEL_RESET.mask(), value);
        }
    }

    fn resets_and_locks(&mut self) {
        let (lowered, device) = (self.lowered, self.device);
        let control = device.registers.core_control_address();
        let lock = |kind: TileKind, id: u32| {
            let regs = device.tile_registers(kind);
            regs.locks_address() + id * regs.lock_step_bytes()
        };
        for core in &lowered.cores {
            self.mask_write(core.tile, control, CORE_RESET.mask(), CORE_RESET.at(1));
            self.mask_write(core.tile, control, CORE_RESET.mask(), 0);
            for id in 0..device.core.dma.locks() {
                self.write(core.tile, lock(TileKind::Core, id), 0);
            }
        }
        for (&tile, content) in &lowered.tiles {
            for l in &content.locks {
                self.write(tile, lock(self.kind(tile), l.id.into()), l.init.into());
            }
        }
    }

    /// Buffer descriptors, and the first task of each channel.
    fn dmas(&mut self) -> Result<(), ConfigureError> {
        let lowered = self.lowered;
        for (&tile, content) in &lowered.tiles {
            let kind = self.kind(tile);
            let regs = self.device.tile_registers(kind);
            for program in &content.dma {
                for bd in &program.bds {
                    let words = self.bd(tile, content, program, bd)?;
                    self.block_write(
                        tile,
                        regs.bds_address() + u32::from(bd.bd_id) * regs.bd_step_bytes(),
                        words,
                    );
                }
            }
            for program in &content.dma {
                let Some(first) = program.bds.first() else { continue };
                let control = regs.control_address(program.channel);
                let field = if kind == TileKind::Mem { QUEUE_BD_MEM } else { QUEUE_BD };
                self.write(tile, control + regs.task_queue_offset_bytes(), field.at(first.bd_id.into()));
                // A channel of AIE2 needs no start; aie-rt writes none of the bits of its control register.
                self.mask_write(tile, control, 0, 1);
            }
        }
        Ok(())
    }

    /// Both directions of the cascade of each core on one.
    fn cascades(&mut self) {
        let design = self.design;
        for id in 0..design.cores.len() as u32 {
            let tile = design.cores[CoreId(id).index()].tile;
            let mut value = 0;
            let mut used = false;
            for cascade in &design.cascades {
                let sideways = u32::from(cascade.from.col != cascade.to.col);
                if cascade.to == tile {
                    value |= CASCADE_INPUT.at(sideways);
                    used = true;
                }
                if cascade.from == tile {
                    value |= CASCADE_OUTPUT.at(sideways);
                    used = true;
                }
            }
            if used {
                self.write(tile, self.device.registers.core_cascade_address(), value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
