//! Hazards in words.

use super::super::error::channel_name;
use kiln_dsl::array::Tile;
use kiln_dsl::array::lowered::{Channel, Direction};
use kiln_dsl::kernel::Loc;
use std::fmt;

/// Who touches bytes, and where its author wrote that.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Site {
    /// A kernel call of a core.
    Call {
        /// Where.
        tile: Tile,
        /// Name of the kernel.
        kernel: String,
        /// Name of its parameter.
        param: String,
        /// The call.
        loc: Loc,
    },
    /// A word that a core's program reads of an object.
    Word {
        /// Where.
        tile: Tile,
        /// The acquire of the object.
        loc: Loc,
    },
    /// A BD of a static channel.
    Bd {
        /// Where.
        tile: Tile,
        /// Channel.
        channel: Channel,
        /// Position in the channel's program.
        bd: u32,
        /// FIFO of its flow.
        fifo: String,
        /// The FIFO's declaration.
        loc: Loc,
    },
    /// A task of the sequence.
    Task {
        /// Where.
        tile: Tile,
        /// Channel.
        channel: Channel,
        /// Position of the command.
        command: u32,
        /// FIFO of the channel.
        fifo: String,
        /// The copy.
        loc: Loc,
    },
}

/// Bytes of a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes {
    /// Its tile; `None` for a buffer of the host.
    pub tile: Option<Tile>,
    /// Its name; the tile's memory itself outside of all buffers.
    pub buffer: String,
    /// First byte in it.
    pub from: u64,
    /// One past the last.
    pub to: u64,
}

/// What is wrong with an access to memory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hazard {
    /// Two touch the same bytes, at least one writes, and nothing orders them.
    Race {
        /// Which bytes.
        bytes: Bytes,
        /// Came first in this run, and whether it writes.
        first: (Site, bool),
        /// Came second, and whether it writes.
        second: (Site, bool),
    },
    /// A read of bytes that nothing has written.
    Unwritten {
        /// Which bytes.
        bytes: Bytes,
        /// Who reads.
        reader: Site,
    },
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Site::Call { tile, kernel, param, loc } => {
                write!(f, "core {tile}, {kernel}({param}) at {loc}")
            }
            Site::Word { tile, loc } => write!(f, "core {tile}, a word of the object acquired at {loc}"),
            Site::Bd { tile, channel, bd, fifo, loc } => {
                write!(f, "{} of tile {tile}, BD {bd} of FIFO {fifo} ({loc})", channel_name(*channel))
            }
            Site::Task { tile, channel, command, fifo, loc } => {
                let to = match channel.direction {
                    Direction::Mm2s => "to",
                    Direction::S2mm => "from",
                };
                write!(
                    f,
                    "{} of tile {tile}, command {command}, a copy {to} FIFO {fifo} at {loc}",
                    channel_name(*channel)
                )
            }
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bytes {}..{} of ", self.from, self.to)?;
        match self.tile {
            Some(tile) => write!(f, "{} in tile {tile}", self.buffer),
            None => write!(f, "host buffer {}", self.buffer),
        }
    }
}

impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = |writes: bool| if writes { "writes" } else { "reads" };
        match self {
            Hazard::Race { bytes, first, second } => write!(
                f,
                "race on {bytes}: nothing orders\n    {}, which {} them, and\n    {}, which {} them",
                first.0,
                verb(first.1),
                second.0,
                verb(second.1)
            ),
            Hazard::Unwritten { bytes, reader } => {
                write!(f, "{bytes} are read and nothing has written them:\n    {reader}")
            }
        }
    }
}
