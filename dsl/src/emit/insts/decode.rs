//! The words of an instruction stream read back, everything checked: what is accepted is encoded to
//! the same words again.

use super::{HEADER_WORDS, Inst, Insts, InstsHeader, opcode};
use crate::array::Tile;
use crate::array::lowered::{Channel, Direction};
use crate::device::Device;
use thiserror::Error;

/// Why words are no instruction stream. Positions are in words from the start of the stream.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A file that is not made of words.
    #[error(
        "{bytes} bytes are no whole number of 32-bit words\n  help: the file is cut off or not an insts.bin"
    )]
    NotWords {
        /// Size of the file.
        bytes: usize,
    },
    /// There is no whole header.
    #[error(
        "expected a header of 4 words, got {words} words\n  help: the file is cut off or not an insts.bin"
    )]
    NoHeader {
        /// Size of the stream.
        words: usize,
    },
    /// Another version of the format.
    #[error("expected format {}.{}, got {major}.{minor}\n  help: the file may not be an insts.bin", expected.0, expected.1)]
    Version {
        /// The version that is read.
        expected: (u8, u8),
        /// Before the point.
        major: u8,
        /// After the point.
        minor: u8,
    },
    /// A device that is not built in.
    #[error(
        "device generation {got} is not one that is known: {known:?}\n  help: 4 is a later NPU (Strix, Krackan)"
    )]
    Generation {
        /// What the header says.
        got: u8,
        /// Generations of the built-in devices.
        known: Vec<u32>,
    },
    /// A partition that the device does not have.
    #[error(
        "the header states {columns} columns and {rows} rows, {mem_rows} of mem tiles; {device} has up to {max_columns} columns and {max_rows} rows, {max_mem_rows} of mem tiles"
    )]
    Partition {
        /// Name of the device.
        device: String,
        /// Columns stated.
        columns: u8,
        /// Rows stated.
        rows: u8,
        /// Rows of mem tiles stated.
        mem_rows: u8,
        /// Columns of the device.
        max_columns: u32,
        /// Rows of the device.
        max_rows: u32,
        /// Rows of mem tiles of the device.
        max_mem_rows: usize,
    },
    /// The header's size is not the stream's.
    #[error(
        "the header states {stated} bytes, the stream has {got}\n  help: the file is cut off, or something follows it"
    )]
    Size {
        /// In the header, in bytes.
        stated: u32,
        /// Of the stream, in bytes.
        got: u64,
    },
    /// The header's count is not the number of instructions.
    #[error("the header states {stated} operations, the stream has {got}")]
    Count {
        /// In the header.
        stated: u32,
        /// In the stream.
        got: usize,
    },
    /// No operation has this number.
    #[error(
        "word {at}: no operation has the number {op:#04x}\n  help: the operation before it may be of the wrong size"
    )]
    UnknownOp {
        /// Where.
        at: usize,
        /// The number.
        op: u32,
    },
    /// The operation's words are not public.
    #[error("word {at}: the words of operation {op:#04x} ({name}) are not published")]
    UnsupportedOp {
        /// Where.
        at: usize,
        /// The number.
        op: u32,
        /// Its name.
        name: &'static str,
    },
    /// The stream ends inside an operation.
    #[error("word {at}: the operation has {words} words, the stream ends after {left} of them")]
    Truncated {
        /// Where the operation starts.
        at: usize,
        /// Its size.
        words: usize,
        /// What is there.
        left: usize,
    },
    /// An operation states a size that it cannot have.
    #[error("word {at}: a size of {got} bytes, expected {expected}")]
    OpSize {
        /// Where the size stands.
        at: usize,
        /// Stated.
        got: u32,
        /// What it can be.
        expected: &'static str,
    },
    /// Bits that are always zero are not.
    #[error("word {at}: {got:#010x} where only the bits {allowed:#010x} may be set")]
    Reserved {
        /// Where.
        at: usize,
        /// The word.
        got: u32,
        /// Bits with a meaning.
        allowed: u32,
    },
    /// A register address in the middle of a word.
    #[error("word {at}: address {address:#010x} is not a multiple of 4")]
    Misaligned {
        /// Where.
        at: usize,
        /// The address.
        address: u32,
    },
    /// A tile outside the partition.
    #[error("word {at}: tile {tile} is outside the partition of {columns} columns and {rows} rows")]
    TileOutside {
        /// Where.
        at: usize,
        /// The tile.
        tile: Tile,
        /// Columns in the header.
        columns: u8,
        /// Rows in the header.
        rows: u8,
    },
    /// A block write past the last register of its tile.
    #[error("word {at}: a block of {bytes} bytes from {address:#010x} leaves its tile")]
    LeavesTile {
        /// Where the operation starts.
        at: usize,
        /// First register.
        address: u32,
        /// Size of the block.
        bytes: u32,
    },
    /// A block write that names two tiles.
    #[error("word {at}: tile {stated} is stated, the address is in tile {of_address}")]
    TwoTiles {
        /// Where the tile is stated.
        at: usize,
        /// The tile stated.
        stated: Tile,
        /// The tile of the address.
        of_address: Tile,
    },
    /// A sync for a channel that does not exist.
    #[error(
        "word {at}: tile {tile} has no channel {channel} of direction {direction} (0 is S2MM, 1 is MM2S)"
    )]
    NoChannel {
        /// Where the operation starts.
        at: usize,
        /// The tile.
        tile: Tile,
        /// The direction's number.
        direction: u8,
        /// The channel.
        channel: u8,
    },
}

/// The words of a file, each with its lowest byte first.
///
/// # Errors
/// [`DecodeError::NotWords`].
pub fn insts_from_bytes(bytes: &[u8]) -> Result<Vec<u32>, DecodeError> {
    let (words, rest) = bytes.as_chunks::<4>();
    match rest {
        [] => Ok(words.iter().map(|&w| u32::from_le_bytes(w)).collect()),
        _ => Err(DecodeError::NotWords { bytes: bytes.len() }),
    }
}

/// The instructions of a stream for a built-in device.
///
/// # Errors
/// The first thing that is wrong; nothing is guessed or skipped.
pub fn decode_insts(words: &[u32]) -> Result<Insts, DecodeError> {
    let Some((&[first, second, count, bytes], _)) = words.split_first_chunk::<HEADER_WORDS>() else {
        return Err(DecodeError::NoHeader { words: words.len() });
    };
    let header = header(first, second)?;
    let got = words.len() as u64 * 4;
    if u64::from(bytes) != got {
        return Err(DecodeError::Size { stated: bytes, got });
    }
    let Some(device) = header.device() else { return Err(unknown_generation(header.device_generation)) };
    let mut reader = Reader { words, at: HEADER_WORDS, header, device };
    let mut ops = Vec::new();
    while reader.at < words.len() {
        ops.push(reader.op()?);
    }
    if ops.len() as u64 != u64::from(count) {
        return Err(DecodeError::Count { stated: count, got: ops.len() });
    }
    Ok(Insts { header, ops })
}

fn unknown_generation(got: u8) -> DecodeError {
    let devices = Device::BUILT_IN.iter().filter_map(|name| Device::named(name).ok());
    let mut known: Vec<u32> = devices.map(|d| d.instructions.device_generation()).collect();
    known.sort_unstable();
    known.dedup();
    DecodeError::Generation { got, known }
}

fn header(first: u32, second: u32) -> Result<InstsHeader, DecodeError> {
    let [format_major, format_minor, device_generation, rows] = first.to_le_bytes();
    let [columns, mem_rows, ..] = second.to_le_bytes();
    let header = InstsHeader { format_major, format_minor, device_generation, rows, columns, mem_rows };
    let Some(device) = header.device() else { return Err(unknown_generation(device_generation)) };
    let expected = (device.instructions.format_major() as u8, device.instructions.format_minor() as u8);
    if (format_major, format_minor) != expected {
        return Err(DecodeError::Version { expected, major: format_major, minor: format_minor });
    }
    zero_outside(1, second, 0xFFFF)?;
    let g = &device.geometry;
    let fits = (1..=g.columns()).contains(&u32::from(columns))
        && u32::from(rows) == g.rows()
        && usize::from(mem_rows) == g.mem_rows().len();
    if !fits {
        return Err(DecodeError::Partition {
            device: device.name.clone(),
            columns,
            rows,
            mem_rows,
            max_columns: g.columns(),
            max_rows: g.rows(),
            max_mem_rows: g.mem_rows().len(),
        });
    }
    Ok(header)
}

fn zero_outside(at: usize, got: u32, allowed: u32) -> Result<(), DecodeError> {
    if got & !allowed == 0 { Ok(()) } else { Err(DecodeError::Reserved { at, got, allowed }) }
}

impl InstsHeader {
    /// The built-in device of the header's generation.
    pub fn device(&self) -> Option<&'static Device> {
        let mut devices = Device::BUILT_IN.iter().filter_map(|name| Device::named(name).ok());
        devices.find(|d| d.instructions.device_generation() == u32::from(self.device_generation))
    }
}

struct Reader<'w> {
    words: &'w [u32],
    at: usize,
    header: InstsHeader,
    device: &'static Device,
}

impl Reader<'_> {
    /// The next `N` words, which are one operation.
    fn take<const N: usize>(&mut self) -> Result<[u32; N], DecodeError> {
        let left = self.words.get(self.at..).unwrap_or_default();
        let Some((&op, _)) = left.split_first_chunk::<N>() else {
            return Err(DecodeError::Truncated { at: self.at, words: N, left: left.len() });
        };
        self.at += N;
        Ok(op)
    }

    fn op(&mut self) -> Result<Inst, DecodeError> {
        let at = self.at;
        let Some(&first) = self.words.get(at) else {
            return Err(DecodeError::Truncated { at, words: 1, left: 0 });
        };
        let op = first & 0xFF;
        // Bits of the first word beside the operation's number.
        let extra = match op {
            opcode::PREEMPT | opcode::CREATE_SCRATCHPAD => 0xFF00,
            opcode::LOAD_PDI => 0xFFFF_0000,
            opcode::UPDATE_REGISTER => 0x00FF_FF00,
            _ => 0,
        };
        zero_outside(at, first, 0xFF | extra)?;
        let [_, second, third, _] = first.to_le_bytes();
        Ok(match op {
            opcode::WRITE => {
                let [_, reserved, address, high, value, bytes] = self.take()?;
                self.fixed(at, [(1, reserved), (3, high)], (5, bytes), 24, "24")?;
                self.register(at + 2, address)?;
                Inst::Write { address, value }
            }
            opcode::BLOCK_WRITE => self.block_write()?,
            opcode::MASK_WRITE | opcode::MASK_POLL | opcode::MASK_POLL_BUSY => {
                let [_, reserved, address, high, value, mask, bytes] = self.take()?;
                self.fixed(at, [(1, reserved), (3, high)], (6, bytes), 28, "28")?;
                self.register(at + 2, address)?;
                match op {
                    opcode::MASK_WRITE => Inst::MaskWrite { address, value, mask },
                    _ => Inst::MaskPoll { address, value, mask, busy: op == opcode::MASK_POLL_BUSY },
                }
            }
            opcode::NOOP => {
                self.take::<1>()?;
                Inst::Noop
            }
            opcode::PREEMPT => {
                self.take::<1>()?;
                Inst::Preempt { level: second }
            }
            opcode::LOAD_PDI => {
                let [_, bytes, low, high] = self.take()?;
                let id = (first >> 16) as u16;
                Inst::LoadPdi { id, bytes, address: u64::from(high) << 32 | u64::from(low) }
            }
            opcode::CREATE_SCRATCHPAD => {
                let [_, bytes, low, high] = self.take()?;
                let address = u64::from(high) << 32 | u64::from(low);
                Inst::CreateScratchpad { usage: second, bytes, address }
            }
            opcode::UPDATE_REGISTER => {
                let [_, argument, address] = self.take()?;
                self.register(at + 2, address)?;
                Inst::UpdateRegister { state: second, function: third, argument, address }
            }
            opcode::SYNC => self.sync()?,
            opcode::PATCH => {
                let [_, bytes, a, b, c, action, address, high, argument, d, offset_bytes, e] = self.take()?;
                let reserved = [(2, a), (3, b), (4, c), (5, action), (7, high), (9, d), (11, e)];
                self.fixed(at, reserved, (1, bytes), 48, "48")?;
                self.register(at + 6, address)?;
                Inst::Patch { address, argument, offset_bytes }
            }
            _ => {
                let named = opcode::NAMED.iter().find(|(number, _)| *number == op);
                return Err(match named {
                    Some(&(op, name)) => DecodeError::UnsupportedOp { at, op, name },
                    None => DecodeError::UnknownOp { at, op },
                });
            }
        })
    }

    /// Words that must be zero, and the size that the operation must state.
    fn fixed<const N: usize>(
        &self,
        at: usize,
        zero: [(usize, u32); N],
        (size_at, got): (usize, u32),
        bytes: u32,
        expected: &'static str,
    ) -> Result<(), DecodeError> {
        for (offset, word) in zero {
            zero_outside(at + offset, word, 0)?;
        }
        if got == bytes { Ok(()) } else { Err(DecodeError::OpSize { at: at + size_at, got, expected }) }
    }

    fn block_write(&mut self) -> Result<Inst, DecodeError> {
        let at = self.at;
        let [_, place, address, bytes] = self.take()?;
        zero_outside(at + 1, place, 0xFFFF)?;
        let of_address = self.register(at + 2, address)?;
        if bytes < 20 || !bytes.is_multiple_of(4) {
            let expected = "a multiple of 4 from 20";
            return Err(DecodeError::OpSize { at: at + 3, got: bytes, expected });
        }
        let len = (bytes / 4) as usize - 4;
        let left = self.words.get(self.at..).unwrap_or_default();
        let Some(words) = left.get(..len) else {
            return Err(DecodeError::Truncated { at, words: len + 4, left: left.len() + 4 });
        };
        let tile_bytes = 1u64 << self.device.registers.row_shift();
        if u64::from(address) % tile_bytes + u64::from(bytes - 16) > tile_bytes {
            return Err(DecodeError::LeavesTile { at, address, bytes: bytes - 16 });
        }
        let [col, row, ..] = place.to_le_bytes();
        let tile = (place != 0).then_some(Tile::new(col, row));
        if let Some(stated) = tile.filter(|&t| t != of_address) {
            return Err(DecodeError::TwoTiles { at: at + 1, stated, of_address });
        }
        self.at += len;
        Ok(Inst::BlockWrite { address, tile, words: words.to_vec() })
    }

    fn sync(&mut self) -> Result<Inst, DecodeError> {
        let at = self.at;
        let [_, bytes, place, extent] = self.take()?;
        self.fixed(at, [], (1, bytes), 16, "16")?;
        zero_outside(at + 2, place, 0x00FF_FFFF)?;
        zero_outside(at + 3, extent, 0xFFFF_FF00)?;
        let [direction, row, col, _] = place.to_le_bytes();
        let [_, rows, columns, index] = extent.to_le_bytes();
        let tile = Tile::new(col, row);
        let last = Tile::new(
            col.saturating_add(columns.saturating_sub(1)),
            row.saturating_add(rows.saturating_sub(1)),
        );
        self.inside(at + 2, tile)?;
        self.inside(at + 3, last)?;
        let no_channel = DecodeError::NoChannel { at, tile, direction, channel: index };
        let Some(dma) = self.device.tile_kind(tile).map(|kind| self.device.tile_dma(kind)) else {
            return Err(no_channel);
        };
        let (direction, channels) = match direction {
            0 => (Direction::S2mm, dma.s2mm_channels()),
            1 => (Direction::Mm2s, dma.mm2s_channels()),
            _ => return Err(no_channel),
        };
        if u32::from(index) >= channels {
            return Err(no_channel);
        }
        Ok(Inst::Sync { tile, columns, rows, channel: Channel { direction, index } })
    }

    fn inside(&self, at: usize, tile: Tile) -> Result<(), DecodeError> {
        let (columns, rows) = (self.header.columns, self.header.rows);
        if tile.col < columns && tile.row < rows {
            Ok(())
        } else {
            Err(DecodeError::TileOutside { at, tile, columns, rows })
        }
    }

    /// The tile of a register's address.
    fn register(&self, at: usize, address: u32) -> Result<Tile, DecodeError> {
        if !address.is_multiple_of(4) {
            return Err(DecodeError::Misaligned { at, address });
        }
        let (tile, _) = self.device.place(address);
        self.inside(at, tile)?;
        Ok(tile)
    }
}
