//! CDOs (configuration data objects): lists of register writes that configure the array.
//!
//! A file is a header of five words and commands. A command is a word with its operation in the low half and the
//! number of words that follow in the high half; 255 says that the number is the next word. [`Cdo::read`] takes every
//! operation, [`CdoBuilder`] makes what mlir-aie makes: a no-op first, and one before each block whose data would else
//! not lie at a multiple of four words (AMD UG1304; the form is that of the files in `containers.json`).

use super::bytes::{Bytes, of_words};
use thiserror::Error;

/// Words of the header.
const HEADER_WORDS: usize = 5;
/// What the first word of the header says: the words of the header after it.
const HEADER_REST: u32 = 4;
/// The second word: `CDO` and a zero byte.
const MAGIC: u32 = 0x004F_4443;
/// The version that mlir-aie writes: 2.0.
pub const CDO_VERSION: u32 = 0x200;
/// The number of words that says "see the next word".
const LONG: u32 = 255;
/// Words to which the data of a block is aligned.
const ALIGN_WORDS: usize = 4;

/// Operations, the low half of a command's first word.
mod op {
    pub const MASK_WRITE_32: u16 = 0x102;
    pub const WRITE_32: u16 = 0x103;
    pub const BLOCK_WRITE: u16 = 0x105;
    pub const MASK_WRITE: u16 = 0x107;
    pub const WRITE: u16 = 0x108;
    pub const NOP: u16 = 0x111;
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CdoCommand {
    /// Nothing; its words are padding.
    Nop(Vec<u32>),
    /// Writes a register.
    Write {
        /// The register.
        address: u64,
        /// What it becomes.
        value: u32,
        /// Whether the address has 32 bits in the file, as in older ones.
        short: bool,
    },
    /// Writes some bits of a register.
    MaskWrite {
        /// The register.
        address: u64,
        /// Which bits.
        mask: u32,
        /// What they become.
        value: u32,
        /// Whether the address has 32 bits in the file, as in older ones.
        short: bool,
    },
    /// Writes registers in a row.
    BlockWrite {
        /// The first.
        address: u64,
        /// What they become.
        words: Vec<u32>,
    },
    /// Another operation.
    Other {
        /// Which.
        op: u16,
        /// Its words.
        words: Vec<u32>,
    },
}

/// A whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cdo {
    /// Its version.
    pub version: u32,
    /// Its commands, in order.
    pub commands: Vec<CdoCommand>,
}

/// Why bytes are no CDO. Positions are in words from its start.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CdoError {
    /// Not a number of words.
    #[error("CDO: {bytes} B are no whole number of 32-bit words\n  help: the file is cut off or no CDO")]
    NotWords {
        /// Its size.
        bytes: usize,
    },
    /// No whole header.
    #[error("CDO: expected a header of {HEADER_WORDS} words, got {words} words\n  help: the file is cut off")]
    NoHeader {
        /// Its words.
        words: usize,
    },
    /// Another first or second word.
    #[error(
        "CDO: expected the header to begin with {HEADER_REST:#x} {MAGIC:#010x}, got {:#x} {:#010x}\n  help: this is no CDO",
        got[0], got[1]
    )]
    Magic {
        /// The two words.
        got: [u32; 2],
    },
    /// The header's sum is wrong.
    #[error(
        "CDO: the header's checksum is {got:#010x}, expected {expected:#010x}\n  help: the file is damaged"
    )]
    Checksum {
        /// What it says.
        got: u32,
        /// What its words give.
        expected: u32,
    },
    /// The header states another size.
    #[error(
        "CDO: the header states {stated} words of commands, the file has {got}\n  help: the file is cut off or damaged"
    )]
    Size {
        /// What it says.
        stated: u32,
        /// What is there.
        got: usize,
    },
    /// A command leaves the file.
    #[error("CDO: the command at word {at} has {words} words, {left} are left\n  help: the file is damaged")]
    Truncated {
        /// Where.
        at: usize,
        /// Words that it states.
        words: u32,
        /// Words that are there.
        left: usize,
    },
    /// A known operation with another number of words.
    #[error(
        "CDO: the command at word {at}, operation {op:#x}, has {got} words, expected {expected}\n  help: the file is damaged"
    )]
    CommandSize {
        /// Where.
        at: usize,
        /// Which operation.
        op: u16,
        /// How many it should have.
        expected: &'static str,
        /// How many it has.
        got: usize,
    },
    /// Bits of a command's first word that have no meaning.
    #[error(
        "CDO: the command at word {at} begins with {got:#010x}, which states more than {LONG} words in its high half\n  help: the file is damaged"
    )]
    Prefix {
        /// Where.
        at: usize,
        /// The word.
        got: u32,
    },
}

impl Cdo {
    /// Reads a file.
    ///
    /// # Errors
    /// See [`CdoError`].
    pub fn read(bytes: &[u8]) -> Result<Cdo, CdoError> {
        if !bytes.len().is_multiple_of(4) {
            return Err(CdoError::NotWords { bytes: bytes.len() });
        }
        let words = Bytes(bytes).words();
        let Some((&[rest, magic, version, size, sum], body)) = words.split_first_chunk::<HEADER_WORDS>()
        else {
            return Err(CdoError::NoHeader { words: words.len() });
        };
        if [rest, magic] != [HEADER_REST, MAGIC] {
            return Err(CdoError::Magic { got: [rest, magic] });
        }
        let expected = checksum(&words[..HEADER_WORDS - 1]);
        if sum != expected {
            return Err(CdoError::Checksum { got: sum, expected });
        }
        if size as usize != body.len() {
            return Err(CdoError::Size { stated: size, got: body.len() });
        }
        let mut commands = Vec::new();
        let mut left = body;
        while let Some((&first, after)) = left.split_first() {
            let at = words.len() - left.len();
            let (mut count, mut data) = (first >> 16, after);
            if count > LONG {
                return Err(CdoError::Prefix { at, got: first });
            }
            if count == LONG {
                let long = after.split_first();
                (count, data) = match long {
                    Some((&count, data)) => (count, data),
                    None => return Err(CdoError::Truncated { at, words: LONG, left: 0 }),
                };
            }
            let split = usize::try_from(count).ok().and_then(|n| data.split_at_checked(n));
            let Some((payload, rest)) = split else {
                return Err(CdoError::Truncated { at, words: count, left: data.len() });
            };
            commands.push(command(at, first as u16, payload)?);
            left = rest;
        }
        Ok(Cdo { version, commands })
    }

    /// The file; [`Cdo::read`] gives back `self`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut words = vec![0; HEADER_WORDS];
        self.commands.iter().for_each(|c| c.encode(&mut words));
        let size = (words.len() - HEADER_WORDS) as u32;
        words[..HEADER_WORDS - 1].copy_from_slice(&[HEADER_REST, MAGIC, self.version, size]);
        words[HEADER_WORDS - 1] = checksum(&words[..HEADER_WORDS - 1]);
        of_words(&words)
    }
}

/// The complement of the sum of words: of a CDO's header, and of the tables of a PDI.
pub(super) fn checksum(words: &[u32]) -> u32 {
    !words.iter().fold(0u32, |sum, &w| sum.wrapping_add(w))
}

fn command(at: usize, op: u16, words: &[u32]) -> Result<CdoCommand, CdoError> {
    let wide = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
    let wrong = |expected| CdoError::CommandSize { at, op, expected, got: words.len() };
    Ok(match (op, words) {
        (op::NOP, words) => CdoCommand::Nop(words.to_vec()),
        (op::WRITE, &[high, low, value]) => {
            CdoCommand::Write { address: wide(high, low), value, short: false }
        }
        (op::WRITE, _) => return Err(wrong("3")),
        (op::WRITE_32, &[low, value]) => CdoCommand::Write { address: low.into(), value, short: true },
        (op::WRITE_32, _) => return Err(wrong("2")),
        (op::MASK_WRITE, &[high, low, mask, value]) => {
            CdoCommand::MaskWrite { address: wide(high, low), mask, value, short: false }
        }
        (op::MASK_WRITE, _) => return Err(wrong("4")),
        (op::MASK_WRITE_32, &[low, mask, value]) => {
            CdoCommand::MaskWrite { address: low.into(), mask, value, short: true }
        }
        (op::MASK_WRITE_32, _) => return Err(wrong("3")),
        (op::BLOCK_WRITE, [high, low, words @ ..]) => {
            CdoCommand::BlockWrite { address: wide(*high, *low), words: words.to_vec() }
        }
        (op::BLOCK_WRITE, _) => return Err(wrong("at least 2")),
        (op, words) => CdoCommand::Other { op, words: words.to_vec() },
    })
}

impl CdoCommand {
    fn encode(&self, out: &mut Vec<u32>) {
        let halves = |address: u64| [(address >> 32) as u32, address as u32];
        let (op, head, tail): (u16, Vec<u32>, &[u32]) = match self {
            CdoCommand::Nop(words) => (op::NOP, Vec::new(), words),
            CdoCommand::Other { op, words } => (*op, Vec::new(), words),
            CdoCommand::BlockWrite { address, words } => (op::BLOCK_WRITE, halves(*address).to_vec(), words),
            &CdoCommand::Write { address, value, short: true } => {
                (op::WRITE_32, vec![address as u32, value], &[])
            }
            &CdoCommand::Write { address, value, short: false } => {
                let [high, low] = halves(address);
                (op::WRITE, vec![high, low, value], &[])
            }
            &CdoCommand::MaskWrite { address, mask, value, short: true } => {
                (op::MASK_WRITE_32, vec![address as u32, mask, value], &[])
            }
            &CdoCommand::MaskWrite { address, mask, value, short: false } => {
                let [high, low] = halves(address);
                (op::MASK_WRITE, vec![high, low, mask, value], &[])
            }
        };
        let count = (head.len() + tail.len()) as u32;
        out.push(count.min(LONG) << 16 | u32::from(op));
        if count >= LONG {
            out.push(count);
        }
        out.extend(head);
        out.extend(tail);
    }
}

/// Makes a CDO as mlir-aie does.
#[derive(Clone, Debug)]
pub struct CdoBuilder {
    commands: Vec<CdoCommand>,
    /// Words so far, with the header.
    words: usize,
}

impl Default for CdoBuilder {
    fn default() -> CdoBuilder {
        CdoBuilder { commands: vec![CdoCommand::Nop(Vec::new())], words: HEADER_WORDS + 1 }
    }
}

impl CdoBuilder {
    fn push(&mut self, command: CdoCommand) {
        let mut encoded = Vec::new();
        command.encode(&mut encoded);
        self.words += encoded.len();
        self.commands.push(command);
    }

    /// Writes a register.
    pub fn write(&mut self, address: u32, value: u32) {
        self.push(CdoCommand::Write { address: address.into(), value, short: false });
    }

    /// Writes some bits of a register.
    pub fn mask_write(&mut self, address: u32, mask: u32, value: u32) {
        self.push(CdoCommand::MaskWrite { address: address.into(), mask, value, short: false });
    }

    /// Writes registers in a row, their values at a multiple of four words of the file.
    pub fn block_write(&mut self, address: u32, words: Vec<u32>) {
        // The command's own words before its data: first word, number where it is long, address.
        let before = if words.len() as u32 + 2 >= LONG { 4 } else { 3 };
        let gap = (self.words + before).next_multiple_of(ALIGN_WORDS) - (self.words + before);
        if let Some(padding) = gap.checked_sub(1) {
            self.push(CdoCommand::Nop(vec![0; padding]));
        }
        self.push(CdoCommand::BlockWrite { address: address.into(), words });
    }

    /// The CDO.
    pub fn finish(self) -> Cdo {
        Cdo { version: CDO_VERSION, commands: self.commands }
    }
}

#[cfg(test)]
mod tests;
