//! The runtime sequence (level 3): what the host tells the array's controller.

use crate::array::{FifoId, MemType};
use crate::kernel::Loc;

/// A buffer in host memory, an argument of the sequence in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostBuffer {
    /// Name of the argument.
    pub name: String,
    /// Its type.
    pub ty: MemType,
}

/// Position of a host buffer among the sequence's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostBufferId(pub u32);

impl HostBufferId {
    /// Position in the list.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One command of the sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `aiex.npu.dma_memcpy_nd`: an n-d copy between a host buffer and the shim end of a FIFO.
    /// Lists have four entries, outermost first, in elements of the buffer; dimension 0 (`sizes[0]`,
    /// the task's repeat) steps by `strides[0]`.
    Copy {
        /// Host memory.
        buffer: HostBufferId,
        /// The FIFO whose shim end it feeds or drains.
        fifo: FifoId,
        /// First element per dimension (each multiplied by its stride; the innermost by 1).
        offsets: [u64; 4],
        /// Steps per dimension.
        sizes: [u64; 4],
        /// Stride per dimension.
        strides: [u64; 4],
        /// Shim BD.
        bd_id: u8,
        /// Whether its end issues a token that `Wait` can await.
        issue_token: bool,
        /// Where the author wrote it.
        loc: Loc,
    },
    /// `aiex.npu.dma_wait`: waits for the oldest unawaited token of the FIFO's shim channel.
    Wait {
        /// Which FIFO.
        fifo: FifoId,
        /// Where the author wrote it.
        loc: Loc,
    },
}

impl Command {
    /// Where the author wrote it.
    pub fn loc(&self) -> &Loc {
        match self {
            Command::Copy { loc, .. } | Command::Wait { loc, .. } => loc,
        }
    }
}

/// The whole sequence.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Sequence {
    /// Host buffers, in argument order.
    pub buffers: Vec<HostBuffer>,
    /// Commands, in order.
    pub commands: Vec<Command>,
}
