//! What a CDO leaves in the array: [`ArrayState::of`] executes its writes, and tells memories, locks, buffer
//! descriptors, tasks and routes from the registers alone.

mod bd;
mod routes;

pub use bd::{BdDim, BdLock, BdState};
pub use routes::{End, RouteState};

use super::cdo::{Cdo, CdoCommand};
use super::image::Piece;
use crate::array::Tile;
use crate::array::lowered::{Channel, Direction};
use crate::device::fields::{
    CASCADE_INPUT, CASCADE_OUTPUT, CORE_ENABLE, CORE_RESET, QUEUE_BD, QUEUE_BD_MEM, QUEUE_REPEATS,
    QUEUE_TOKEN, SHIM_DEMUX, SHIM_DMA, SHIM_MUX,
};
use crate::device::registers::{Register, register};
use crate::device::{Device, TileKind};
use std::collections::BTreeMap;
use thiserror::Error;

/// Why a CDO cannot be executed. Positions count commands.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StateError {
    /// A write past the array.
    #[error(
        "CDO: command {command} writes {address:#x}, where {device} has no tile\n  help: the file is for another device, or damaged"
    )]
    Outside {
        /// Which command.
        command: usize,
        /// Where.
        address: u64,
        /// Name of the device.
        device: String,
    },
    /// An address between words.
    #[error(
        "CDO: command {command} writes {address:#x}, which is no multiple of 4\n  help: the file is damaged"
    )]
    Misaligned {
        /// Which command.
        command: usize,
        /// Where.
        address: u64,
    },
    /// An operation that is not known.
    #[error("CDO: command {command} is operation {op:#x}, which this program does not know")]
    Operation {
        /// Which command.
        command: usize,
        /// Which operation.
        op: u16,
    },
}

/// A task that a channel was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Which channel.
    pub channel: Channel,
    /// Its first BD.
    pub bd: u32,
    /// How often it runs.
    pub runs: u32,
    /// Whether its end issues a token.
    pub token: bool,
}

/// The state of one tile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileState {
    /// What stands there.
    pub kind: TileKind,
    /// Last values of its registers and memories, by address.
    words: BTreeMap<u32, u32>,
    /// Tasks, in the order in which they were given.
    pub starts: Vec<Start>,
}

/// Directions of a core's cascade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CascadeState {
    /// Where it comes from: north or west.
    pub from: &'static str,
    /// Where it goes: south or east.
    pub to: &'static str,
}

/// The state of the array.
#[derive(Clone, Debug, PartialEq)]
pub struct ArrayState<'d> {
    device: &'d Device,
    /// Tiles that were written, by column and row.
    pub tiles: BTreeMap<Tile, TileState>,
}

impl<'d> ArrayState<'d> {
    /// The state after a CDO. It takes memory in proportion to the words that the CDO writes.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn of(cdo: &Cdo, device: &'d Device) -> Result<ArrayState<'d>, StateError> {
        let mut state = ArrayState { device, tiles: BTreeMap::new() };
        for (command, what) in cdo.commands.iter().enumerate() {
            match what {
                CdoCommand::Nop(_) => {}
                &CdoCommand::Write { address, value, .. } => {
                    state.write(command, address, u32::MAX, value)?
                }
                &CdoCommand::MaskWrite { address, mask, value, .. } => {
                    state.write(command, address, mask, value)?;
                }
                CdoCommand::BlockWrite { address, words } => {
                    for (n, &word) in words.iter().enumerate() {
                        state.write(command, address.saturating_add(4 * n as u64), u32::MAX, word)?;
                    }
                }
                &CdoCommand::Other { op, .. } => return Err(StateError::Operation { command, op }),
            }
        }
        Ok(state)
    }

    /// Its device.
    pub fn device(&self) -> &'d Device {
        self.device
    }

    fn write(&mut self, command: usize, address: u64, mask: u32, value: u32) -> Result<(), StateError> {
        let device = self.device;
        let outside = || StateError::Outside { command, address, device: device.name.clone() };
        let narrow = u32::try_from(address).map_err(|_| outside())?;
        if !narrow.is_multiple_of(4) {
            return Err(StateError::Misaligned { command, address });
        }
        let (tile, offset) = device.place(narrow);
        let kind = device.tile_kind(tile).ok_or_else(outside)?;
        let fresh = || TileState { kind, words: BTreeMap::new(), starts: Vec::new() };
        let state = self.tiles.entry(tile).or_insert_with(fresh);
        if mask == 0 {
            return Ok(());
        }
        if let Some(Register::Queue(channel)) = register(device, kind, offset) {
            let field = if kind == TileKind::Mem { QUEUE_BD_MEM } else { QUEUE_BD };
            let runs = QUEUE_REPEATS.of(value) + 1;
            let token = QUEUE_TOKEN.of(value) == 1;
            state.starts.push(Start { channel, bd: field.of(value), runs, token });
            return Ok(());
        }
        let old = state.words.get(&offset).copied().unwrap_or(0);
        state.words.insert(offset, old & !mask | value & mask);
        Ok(())
    }

    /// The state of a tile that was written.
    fn tile(&self, tile: Tile) -> Option<&TileState> {
        self.tiles.get(&tile)
    }

    /// Registers that were written, with what they are.
    fn registers(&self, tile: Tile) -> impl Iterator<Item = (Register, u32)> {
        let state = self.tile(tile);
        let named = |state: &'_ TileState, (&at, &value): (&u32, &u32)| {
            Some((register(self.device, state.kind, at)?, value))
        };
        state.into_iter().flat_map(move |s| s.words.iter().filter_map(move |word| named(s, word)))
    }

    /// Registers that this program has no name for: address in the tile, and last value.
    pub fn others(&self, tile: Tile) -> Vec<(u32, u32)> {
        let Some(state) = self.tile(tile) else { return Vec::new() };
        let unnamed = |&(&at, _): &(&u32, &u32)| register(self.device, state.kind, at).is_none();
        state.words.iter().filter(unnamed).map(|(&at, &value)| (at, value)).collect()
    }

    /// Runs of words that follow each other, from the words that `of` takes, by address in their memory.
    fn pieces(&self, tile: Tile, of: impl Fn(Register) -> Option<u32>) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        for (what, value) in self.registers(tile) {
            let Some(address) = of(what) else { continue };
            match pieces.last_mut() {
                Some(last) if last.address + last.bytes.len() as u32 == address => {
                    last.bytes.extend(value.to_le_bytes());
                }
                _ => pieces.push(Piece { address, bytes: value.to_le_bytes().to_vec() }),
            }
        }
        pieces
    }

    /// What was written to program memory.
    pub fn program(&self, tile: Tile) -> Vec<Piece> {
        self.pieces(tile, |r| if let Register::Program(at) = r { Some(at) } else { None })
    }

    /// What was written to data memory.
    pub fn data(&self, tile: Tile) -> Vec<Piece> {
        self.pieces(tile, |r| if let Register::Data(at) = r { Some(at) } else { None })
    }

    /// Locks that were written, with their values.
    pub fn locks(&self, tile: Tile) -> BTreeMap<u32, u32> {
        self.registers(tile)
            .filter_map(|(r, v)| if let Register::Lock(id) = r { Some((id, v)) } else { None })
            .collect()
    }

    /// BDs that were written.
    pub fn bds(&self, tile: Tile) -> BTreeMap<u32, BdState> {
        let Some(state) = self.tile(tile) else { return BTreeMap::new() };
        let words = self.device.tile_registers(state.kind).bd_words() as usize;
        let mut all: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (r, value) in self.registers(tile) {
            if let Register::Bd { bd, word } = r {
                all.entry(bd).or_insert_with(|| vec![0; words])[word as usize] = value;
            }
        }
        all.into_iter().map(|(bd, words)| (bd, BdState::new(self.device, state.kind, &words))).collect()
    }

    /// Whether a core runs in the end; `None` when nothing says so.
    pub fn enabled(&self, tile: Tile) -> Option<bool> {
        let control = self.registers(tile).find(|(r, _)| *r == Register::CoreControl)?.1;
        Some(CORE_ENABLE.of(control) == 1 && CORE_RESET.of(control) == 0)
    }

    /// Directions of a core's cascade, when they were written.
    pub fn cascade(&self, tile: Tile) -> Option<CascadeState> {
        let (_, word) = self.registers(tile).find(|(r, _)| *r == Register::Cascade)?;
        let from = if CASCADE_INPUT.of(word) == 1 { "west" } else { "north" };
        let to = if CASCADE_OUTPUT.of(word) == 1 { "east" } else { "south" };
        Some(CascadeState { from, to })
    }

    /// The shim's channel behind a south port of its switch, when the multiplexer joins them.
    fn shim_channel(&self, tile: Tile, direction: Direction, south: u8) -> Option<Channel> {
        let shim = &self.device.shim;
        let (what, fields, ports) = match direction {
            Direction::Mm2s => (Register::ShimMux, SHIM_MUX, shim.mm2s_switch_ports()),
            Direction::S2mm => (Register::ShimDemux, SHIM_DEMUX, shim.s2mm_switch_ports()),
        };
        let (_, field) = fields.into_iter().find(|(port, _)| *port == u32::from(south))?;
        let (_, word) = self.registers(tile).find(|(r, _)| *r == what)?;
        let index = ports.iter().position(|&p| p == u32::from(south))?;
        (field.of(word) == SHIM_DMA).then_some(Channel { direction, index: index as u8 })
    }
}

#[cfg(test)]
mod tests;
