//! The controller's instruction stream of a design's runtime sequence: the words of `insts.bin`.
//!
//! A copy becomes a block write of its shim BD, a patch that adds a host argument's address to the
//! BD, for a copy with a token a masked write of the channel's controller id, and a write to the
//! channel's task queue. A wait becomes a sync. [`decode_insts`] reads such a stream back.

mod decode;
mod text;

pub use decode::{DecodeError, decode_insts, insts_from_bytes};

use crate::array::lowered::{Channel, Direction, Lowered};
use crate::array::{Design, FifoId, Tile};
use crate::device::fields::{CONTROLLER_ID, Field, QUEUE_BD, QUEUE_REPEATS, QUEUE_TOKEN, shim_bd};
use crate::device::{Device, TileKind};
use crate::kernel::Loc;
use crate::sequence::{Command, HostBufferId};
use crate::verified::Verified;
use thiserror::Error;

/// What the first word of an instruction says (mlir-aie `include/aie/Runtime/TxnEncoding.h`).
mod opcode {
    pub const WRITE: u32 = 0;
    pub const BLOCK_WRITE: u32 = 1;
    pub const MASK_WRITE: u32 = 3;
    pub const MASK_POLL: u32 = 4;
    pub const NOOP: u32 = 5;
    pub const PREEMPT: u32 = 6;
    pub const MASK_POLL_BUSY: u32 = 7;
    pub const LOAD_PDI: u32 = 8;
    pub const CREATE_SCRATCHPAD: u32 = 10;
    pub const UPDATE_REGISTER: u32 = 12;
    pub const SYNC: u32 = 0x80;
    pub const PATCH: u32 = 0x81;
    /// Known by name only: the words that follow are not public.
    pub const NAMED: [(u32, &str); 9] = [
        (2, "block set"),
        (9, "load program memory"),
        (11, "update state table"),
        (13, "update scratchpad"),
        (14, "configure shim BD"),
        (15, "configure shim BD from a DMA buffer"),
        (0x82, "read registers"),
        (0x83, "record timer"),
        (0x84, "merge sync"),
    ];
}

/// Words of the header of a stream.
const HEADER_WORDS: usize = 4;

/// The header of a stream: what it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstsHeader {
    /// Version of the format, before the point.
    pub format_major: u8,
    /// Version of the format, after the point.
    pub format_minor: u8,
    /// Generation of the device.
    pub device_generation: u8,
    /// Rows of the partition, all kinds.
    pub rows: u8,
    /// Columns of the partition.
    pub columns: u8,
    /// Rows of mem tiles.
    pub mem_rows: u8,
}

/// One instruction. Addresses are those of the array: column, row, byte in the tile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inst {
    /// Writes a register.
    Write {
        /// The register.
        address: u32,
        /// What it becomes.
        value: u32,
    },
    /// Writes registers in a row.
    BlockWrite {
        /// The first register.
        address: u32,
        /// The tile, when the stream says it beside the address.
        tile: Option<Tile>,
        /// What they become.
        words: Vec<u32>,
    },
    /// Writes some bits of a register.
    MaskWrite {
        /// The register.
        address: u32,
        /// What the bits become.
        value: u32,
        /// Which bits.
        mask: u32,
    },
    /// Waits until `register & mask == value`.
    MaskPoll {
        /// The register.
        address: u32,
        /// The value waited for.
        value: u32,
        /// Which bits count.
        mask: u32,
        /// Whether the controller does nothing else meanwhile.
        busy: bool,
    },
    /// Nothing.
    Noop,
    /// A point at which the controller may be taken from this stream.
    Preempt {
        /// How much is saved.
        level: u8,
    },
    /// Configures the array from a PDI.
    LoadPdi {
        /// Which of the xclbin's.
        id: u16,
        /// Its size.
        bytes: u32,
        /// Where it is in host memory.
        address: u64,
    },
    /// Makes a scratchpad of the controller.
    CreateScratchpad {
        /// What for.
        usage: u8,
        /// Its size.
        bytes: u32,
        /// Its place in host memory.
        address: u64,
    },
    /// Changes a register by an entry of the controller's state table.
    UpdateRegister {
        /// The entry.
        state: u8,
        /// How.
        function: u8,
        /// The operand of `function`.
        argument: u32,
        /// The register.
        address: u32,
    },
    /// Waits for one token of a channel in each tile of a rectangle.
    Sync {
        /// The tile with the lowest column and row.
        tile: Tile,
        /// Columns of the rectangle.
        columns: u8,
        /// Rows of the rectangle.
        rows: u8,
        /// The channel.
        channel: Channel,
    },
    /// Adds the device address of a host argument to a BD.
    Patch {
        /// The BD's address register.
        address: u32,
        /// The host argument, from 0.
        argument: u32,
        /// Added as well; holds `instructions.host_memory_address` when the firmware does not
        /// relocate the argument.
        offset_bytes: u32,
    },
}

/// A whole stream. [`Insts::encode`] gives its words, `to_string` prints it for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insts {
    /// Its header, without the counts.
    pub header: InstsHeader,
    /// Its instructions, in order.
    pub ops: Vec<Inst>,
}

/// Why a sequence has no instruction stream.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InstsError {
    /// The lowering is of another design.
    #[error(
        "fifo {fifo} has no shim channel in the lowering ({loc})\n  help: lower the design that is emitted"
    )]
    NoShimChannel {
        /// Name of the FIFO.
        fifo: String,
        /// The command.
        loc: Loc,
    },
    /// A copy's number exceeds its place in the stream.
    #[error(
        "copy of fifo {fifo}: {what} is {got}, at most {max} fits the controller's instruction ({loc})\n  help: split the copy"
    )]
    DoesNotFit {
        /// Name of the FIFO.
        fifo: String,
        /// The field.
        what: &'static str,
        /// What the copy asks for.
        got: u64,
        /// Largest value.
        max: u64,
        /// The copy.
        loc: Loc,
    },
    /// The device gives no id to the tokens of the shim's row.
    #[error(
        "device {device} has no token controller id for row {row}\n  help: instructions.token_controller_ids needs one entry per row"
    )]
    NoControllerId {
        /// Name of the device.
        device: String,
        /// The row.
        row: u8,
    },
    /// The device cannot encode the burst.
    #[error(
        "device {device}: a burst of {burst_bytes} bytes is not one of shim.burst_bytes\n  help: instructions.burst_bytes must be one of them"
    )]
    NoBurst {
        /// Name of the device.
        device: String,
        /// Burst asked for.
        burst_bytes: u32,
    },
    /// The stream's size does not fit its header.
    #[error("the stream has {words} words, more than its header can state\n  help: split the sequence")]
    TooLong {
        /// Its size in 32-bit words.
        words: usize,
    },
}

/// The words of the design's runtime sequence, for the toolchain's default of one partition from
/// column 0. `lowered` is the lowering of `design`.
///
/// A token is issued exactly where the sequence says so; mlir-aie also issues one for every copy that
/// drains the array, which differs only where such a copy is not awaited.
///
/// # Errors
/// See [`InstsError`].
pub fn emit_insts(
    design: &Verified<Design>,
    lowered: &Lowered,
    device: &Device,
) -> Result<Vec<u32>, InstsError> {
    let insts = instructions(design, lowered, device)?;
    let words = insts.encode();
    // The size in bytes, in the header, is a word.
    if words.len() > (u32::MAX / 4) as usize {
        return Err(InstsError::TooLong { words: words.len() });
    }
    Ok(words)
}

/// The content of `insts.bin`: the words, each with its lowest byte first.
pub fn insts_to_bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

fn instructions(design: &Verified<Design>, lowered: &Lowered, device: &Device) -> Result<Insts, InstsError> {
    // `Device` bounds each of these to a byte.
    let byte = |value: u32| value as u8;
    let i = &device.instructions;
    let header = InstsHeader {
        format_major: byte(i.format_major()),
        format_minor: byte(i.format_minor()),
        device_generation: byte(i.device_generation()),
        rows: byte(device.geometry.rows()),
        columns: design.columns,
        mem_rows: device.geometry.mem_rows().len() as u8,
    };
    let mut out = Emitter { design, lowered, device, ops: Vec::new() };
    for command in &design.sequence.commands {
        match command {
            Command::Copy { buffer, fifo, offsets, sizes, strides, bd_id, issue_token, loc } => {
                let (bd, token) = (*bd_id, *issue_token);
                out.copy(&Copy { buffer: *buffer, fifo: *fifo, offsets, sizes, strides, bd, token, loc })?;
            }
            Command::Wait { fifo, loc } => {
                let (tile, channel) = out.shim(*fifo, loc)?;
                out.ops.push(Inst::Sync { tile, columns: 1, rows: 1, channel });
            }
        }
    }
    Ok(Insts { header, ops: out.ops })
}

struct Copy<'a> {
    buffer: HostBufferId,
    fifo: FifoId,
    offsets: &'a [u64; 4],
    sizes: &'a [u64; 4],
    strides: &'a [u64; 4],
    bd: u8,
    token: bool,
    loc: &'a Loc,
}

struct Emitter<'a> {
    design: &'a Design,
    lowered: &'a Lowered,
    device: &'a Device,
    ops: Vec<Inst>,
}

impl Emitter<'_> {
    fn fifo(&self, id: FifoId) -> String {
        self.design.fifo(id).name.clone()
    }

    fn shim(&self, fifo: FifoId, loc: &Loc) -> Result<(Tile, Channel), InstsError> {
        let missing = || InstsError::NoShimChannel { fifo: self.fifo(fifo), loc: loc.clone() };
        self.lowered.shim_channels.get(&fifo).copied().ok_or_else(missing)
    }

    fn fits(&self, copy: &Copy<'_>, what: &'static str, got: u64, max: u64) -> Result<u32, InstsError> {
        match u32::try_from(got) {
            Ok(value) if got <= max => Ok(value),
            _ => {
                let (fifo, loc) = (self.fifo(copy.fifo), copy.loc.clone());
                Err(InstsError::DoesNotFit { fifo, what, got, max, loc })
            }
        }
    }

    fn put(&self, words: &mut [u32], copy: &Copy<'_>, field: Field, value: u64) -> Result<(), InstsError> {
        let value = self.fits(copy, field.name, value, u64::from(field.max()))?;
        words[field.word] |= value << field.bit;
        Ok(())
    }

    fn copy(&mut self, copy: &Copy<'_>) -> Result<(), InstsError> {
        let (tile, channel) = self.shim(copy.fifo, copy.loc)?;
        let regs = self.device.tile_registers(TileKind::Shim);
        let bd_address = regs.bds_address() + u32::from(copy.bd) * regs.bd_step_bytes();
        let words = self.bd(copy)?;
        let patched = bd_address + 4 * regs.bd_address_word();
        let (argument, offset_bytes) = (copy.buffer.0, self.offset(copy)?);
        let (address, patched) = (self.device.address(tile, bd_address), self.device.address(tile, patched));
        self.ops.push(Inst::BlockWrite { address, tile: None, words });
        self.ops.push(Inst::Patch { address: patched, argument, offset_bytes });
        let control = self.device.address(tile, regs.control_address(channel));
        if copy.token {
            let ids = self.device.instructions.token_controller_ids();
            let none = || InstsError::NoControllerId { device: self.device.name.clone(), row: tile.row };
            let id = *ids.get(usize::from(tile.row)).ok_or_else(none)?;
            let id = self.fits(copy, CONTROLLER_ID.name, u64::from(id), u64::from(CONTROLLER_ID.max()))?;
            let mask = CONTROLLER_ID.max() << CONTROLLER_ID.bit;
            self.ops.push(Inst::MaskWrite { address: control, value: id << CONTROLLER_ID.bit, mask });
        }
        let mut task = [0];
        self.put(&mut task, copy, QUEUE_BD, u64::from(copy.bd))?;
        self.put(&mut task, copy, QUEUE_REPEATS, copy.sizes[0].saturating_sub(1))?;
        self.put(&mut task, copy, QUEUE_TOKEN, u64::from(copy.token))?;
        let address = control + regs.task_queue_offset_bytes();
        self.ops.push(Inst::Write { address, value: task[0] });
        Ok(())
    }

    /// The BD of a copy, without the buffer's address.
    fn bd(&self, copy: &Copy<'_>) -> Result<Vec<u32>, InstsError> {
        let i = &self.device.instructions;
        let mut bd = vec![0; shim_bd::WORDS];
        let buffer = &self.design.sequence.buffers[copy.buffer.index()];
        let granule = u64::from(self.device.dma.granule_bytes());
        let words = |elements: u64| elements.saturating_mul(u64::from(buffer.ty.elem.bytes())) / granule;
        let [s3, s2, s1, s0] = *copy.sizes;
        let [t3, t2, t1, t0] = *copy.strides;
        // A stride is stored less one; it only counts where there is a second step.
        let step = |size: u64, stride: u64| if size > 1 { words(stride).saturating_sub(1) } else { 0 };
        let elements = s0.saturating_mul(s1).saturating_mul(s2);
        self.put(&mut bd, copy, shim_bd::BUFFER_LENGTH, words(elements))?;
        let contiguous = t0 == 1 && (s1 <= 1 || t1 == s0) && (s2 <= 1 || t2 == s0.saturating_mul(s1));
        if !contiguous {
            self.put(&mut bd, copy, shim_bd::D0_WRAP, words(s0))?;
            self.put(&mut bd, copy, shim_bd::D0_STEP, words(t0).saturating_sub(1))?;
            self.put(&mut bd, copy, shim_bd::D1_WRAP, s1)?;
            self.put(&mut bd, copy, shim_bd::D1_STEP, step(s1, t1))?;
            self.put(&mut bd, copy, shim_bd::D2_STEP, step(s2, t2))?;
        }
        // A repeat that stays in place is left to the task queue.
        if s3 > 1 && t3 > 0 {
            self.put(&mut bd, copy, shim_bd::ITERATION_WRAP, s3 - 1)?;
            self.put(&mut bd, copy, shim_bd::ITERATION_STEP, step(s3, t3))?;
        }
        let burst_bytes = i.burst_bytes();
        let burst = self.device.shim.burst_bytes().iter().position(|&b| b == burst_bytes);
        let no_burst = || InstsError::NoBurst { device: self.device.name.clone(), burst_bytes };
        self.put(&mut bd, copy, shim_bd::BURST_LENGTH, burst.ok_or_else(no_burst)? as u64)?;
        self.put(&mut bd, copy, shim_bd::AX_CACHE, u64::from(i.axi_cache()))?;
        self.put(&mut bd, copy, shim_bd::VALID, 1)?;
        Ok(bd)
    }

    /// What a patch adds to the address of the copy's argument.
    fn offset(&self, copy: &Copy<'_>) -> Result<u32, InstsError> {
        let elem = u64::from(self.design.sequence.buffers[copy.buffer.index()].ty.elem.bytes());
        let i = &self.device.instructions;
        let relocated = copy.buffer.0 < i.relocated_arguments();
        let base = if relocated { 0 } else { i.host_memory_address() };
        let mut at = 0u64;
        for (d, (&offset, &stride)) in copy.offsets.iter().zip(copy.strides).enumerate() {
            at = at.saturating_add(offset.saturating_mul(if d == 3 { 1 } else { stride }));
        }
        let room = u64::from(u32::MAX - base);
        Ok(base + self.fits(copy, "the offset into the buffer in bytes", at.saturating_mul(elem), room)?)
    }
}

impl Insts {
    /// The words of the stream; [`decode_insts`] gives back `self` when it accepts them.
    pub fn encode(&self) -> Vec<u32> {
        let h = &self.header;
        let mut words = vec![
            u32::from_le_bytes([h.format_major, h.format_minor, h.device_generation, h.rows]),
            u32::from_le_bytes([h.columns, h.mem_rows, 0, 0]),
            self.ops.len() as u32,
            0,
        ];
        self.ops.iter().for_each(|op| op.encode(&mut words));
        words[3] = (words.len() as u32).wrapping_mul(4);
        words
    }
}

impl Inst {
    fn encode(&self, out: &mut Vec<u32>) {
        let halves = |v: u64| (v as u32, (v >> 32) as u32);
        match *self {
            Inst::Write { address, value } => out.extend([opcode::WRITE, 0, address, 0, value, 24]),
            Inst::BlockWrite { address, tile, ref words } => {
                let tile = tile.map_or(0, |t| u32::from_le_bytes([t.col, t.row, 0, 0]));
                out.extend([opcode::BLOCK_WRITE, tile, address, 16 + 4 * words.len() as u32]);
                out.extend(words);
            }
            Inst::MaskWrite { address, value, mask } => {
                out.extend([opcode::MASK_WRITE, 0, address, 0, value, mask, 28]);
            }
            Inst::MaskPoll { address, value, mask, busy } => {
                let op = if busy { opcode::MASK_POLL_BUSY } else { opcode::MASK_POLL };
                out.extend([op, 0, address, 0, value, mask, 28]);
            }
            Inst::Noop => out.push(opcode::NOOP),
            Inst::Preempt { level } => out.push(opcode::PREEMPT | u32::from(level) << 8),
            Inst::LoadPdi { id, bytes, address } => {
                let (low, high) = halves(address);
                out.extend([opcode::LOAD_PDI | u32::from(id) << 16, bytes, low, high]);
            }
            Inst::CreateScratchpad { usage, bytes, address } => {
                let (low, high) = halves(address);
                out.extend([opcode::CREATE_SCRATCHPAD | u32::from(usage) << 8, bytes, low, high]);
            }
            Inst::UpdateRegister { state, function, argument, address } => {
                let what = u32::from(state) << 8 | u32::from(function) << 16;
                out.extend([opcode::UPDATE_REGISTER | what, argument, address]);
            }
            Inst::Sync { tile, columns, rows, channel } => {
                let direction = u8::from(channel.direction == Direction::Mm2s);
                let place = u32::from_le_bytes([direction, tile.row, tile.col, 0]);
                let extent = u32::from_le_bytes([0, rows, columns, channel.index]);
                out.extend([opcode::SYNC, 16, place, extent]);
            }
            Inst::Patch { address, argument, offset_bytes } => {
                out.extend([opcode::PATCH, 48, 0, 0, 0, 0, address, 0, argument, 0, offset_bytes, 0]);
            }
        }
    }
}

#[cfg(test)]
mod tests;
