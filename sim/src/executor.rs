//! The seam between the array simulation and what runs inside a core: a kernel call on tile memories.

use crate::core::{RunError, Site};
use kiln_dsl::array::KernelId;
use std::collections::VecDeque;

/// Bytes of every tile's data memory, by dense tile index.
///
/// A kernel reads and writes them in place; its arguments may lie in its own tile's memory or in a
/// neighbour's, and never overlap where one of them is written (`verify` refuses such calls).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TileMemories {
    memories: Vec<Vec<u8>>,
}

impl TileMemories {
    /// Memories with the given content; the position in the list is the dense tile index.
    pub fn new(memories: Vec<Vec<u8>>) -> TileMemories {
        TileMemories { memories }
    }

    /// Number of tiles.
    pub fn len(&self) -> usize {
        self.memories.len()
    }

    /// Whether there is no tile.
    pub fn is_empty(&self) -> bool {
        self.memories.is_empty()
    }

    /// `bytes` bytes from `address` of a tile's memory; `None` when they leave it.
    pub fn get(&self, tile: usize, address: u32, bytes: u32) -> Option<&[u8]> {
        let start = address as usize;
        self.memories.get(tile)?.get(start..start.checked_add(bytes as usize)?)
    }

    /// As [`TileMemories::get`], to write.
    pub fn get_mut(&mut self, tile: usize, address: u32, bytes: u32) -> Option<&mut [u8]> {
        let start = address as usize;
        self.memories.get_mut(tile)?.get_mut(start..start.checked_add(bytes as usize)?)
    }

    /// All memories, for a callee that works on several at once.
    pub fn all(&self) -> &[Vec<u8>] {
        &self.memories
    }

    /// All memories, to write, for a callee that works on several at once.
    pub fn all_mut(&mut self) -> &mut [Vec<u8>] {
        &mut self.memories
    }
}

/// One value of the cascade: 512 bits (`core.cascade_bits` of the device).
pub type CascadeValue = [u8; 64];

/// The cascade at one core: values that came and nobody has read, and values written.
///
/// Neither side has an end here. The hardware holds two values at each side and a core waits when
/// they are full; calls run whole in the simulation, so that nobody could read meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Cascade {
    input: VecDeque<CascadeValue>,
    output: Vec<CascadeValue>,
}

impl Cascade {
    /// Values for the core to read after those that are there.
    pub fn feed(&mut self, values: impl IntoIterator<Item = CascadeValue>) {
        self.input.extend(values);
    }

    /// Values that came and were not read.
    pub fn unread(&self) -> usize {
        self.input.len()
    }

    /// Takes what the core has written, oldest first.
    pub fn take_output(&mut self) -> Vec<CascadeValue> {
        std::mem::take(&mut self.output)
    }

    /// A read by the core; `None` when it has to wait.
    pub fn get(&mut self) -> Option<CascadeValue> {
        self.input.pop_front()
    }

    /// A write by the core.
    pub fn put(&mut self, value: CascadeValue) {
        self.output.push(value);
    }
}

/// One argument of a kernel call, in the order of the kernel's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArgValue {
    /// A part of a tile's memory.
    Memory {
        /// Dense tile index.
        tile: usize,
        /// First byte in that tile's memory.
        address: u32,
        /// Size.
        bytes: u32,
    },
    /// A run-time integer.
    I32(i32),
}

/// What a kernel call cost its core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CallCost {
    /// Core cycles from the first bundle of the kernel to its return.
    pub cycles: u64,
    /// Multiply-accumulates done by vector units, of any type.
    pub macs: u64,
    /// Part of the cycles in which the core waited for a memory bank that served another access of its own.
    pub stall_cycles: u64,
}

/// Runs the kernels of one design: function on the bytes, and core time.
pub trait KernelExecutor {
    /// Runs `kernel` to its end on `memories` and the core's side of the cascade.
    ///
    /// # Errors
    /// When the call cannot be made or the kernel leaves its parameters' bytes. After
    /// [`ExecError::Blocked`] memories and cascade are as before the call.
    fn call(
        &mut self,
        kernel: KernelId,
        args: &[ArgValue],
        memories: &mut TileMemories,
        cascade: &mut Cascade,
    ) -> Result<CallCost, ExecError>;
}

/// Why a kernel call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExecError {
    /// The design has no such kernel.
    #[error("{kernel} is not a kernel of this design, which has {kernels}")]
    UnknownKernel {
        /// Which was asked for.
        kernel: KernelId,
        /// How many there are.
        kernels: usize,
    },
    /// The call reads more of the cascade than has come: make it again when there is more.
    #[error("{site}: the cascade is empty")]
    Blocked {
        /// The read.
        site: Box<Site>,
    },
    /// The call could not be made, or an operation of the kernel failed.
    #[error(transparent)]
    Kernel(Box<RunError>),
}

impl From<RunError> for ExecError {
    fn from(error: RunError) -> ExecError {
        match error {
            RunError::CascadeEmpty { site } => ExecError::Blocked { site },
            error => ExecError::Kernel(Box::new(error)),
        }
    }
}
