//! What the toolchain builds from a design: buffers with addresses, locks, buffer descriptors,
//! channels, flows, and core programs over locks. The simulator and the budgets work on this.

mod json;

pub use json::{BdJson, BufferJson, ChannelJson, FlowJson, LockJson, LoweredJson, TileJson};

use super::ir::{Arg, CoreId, Count, Dim, FifoId, KernelId, ObjectId, Port, Tile, WordRef};
use super::lower::{COUNTER_PREFIX, LowerMode};
use crate::kernel::Loc;
use indexmap::IndexMap;

/// A buffer placed in the memory of one tile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedBuffer {
    /// Symbol, as the toolchain names it: `<fifo>_buff_k`, `<fifo>_cons_buff_k`, or the local's name.
    pub name: String,
    /// First byte in the tile's memory.
    pub address: u32,
    /// Logical bank of the first byte.
    pub bank: u8,
    /// Size.
    pub bytes: u32,
    /// Initial content.
    pub init: Option<Vec<u8>>,
}

impl PlacedBuffer {
    /// Whether it holds loop counters that the toolchain's dynamic lowering adds.
    pub fn is_counter(&self) -> bool {
        self.name.starts_with(COUNTER_PREFIX)
    }
}

/// A semaphore lock of one tile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Symbol.
    pub name: String,
    /// Number in the tile.
    pub id: u8,
    /// Value at start.
    pub init: u8,
}

/// Direction of a DMA channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Stream to memory.
    S2mm,
    /// Memory to stream.
    Mm2s,
}

/// A DMA channel of one tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Channel {
    /// Direction.
    pub direction: Direction,
    /// Number among the tile's channels of that direction.
    pub index: u8,
}

impl std::fmt::Display for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let direction = match self.direction {
            Direction::S2mm => "S2MM",
            Direction::Mm2s => "MM2S",
        };
        write!(f, "{direction}{}", self.index)
    }
}

/// A lock operation: position in `LoweredTile::locks` and a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockUse {
    /// Position in the tile's lock list.
    pub lock: usize,
    /// Acquire: wait for at least this value and subtract it. Release: add it.
    pub count: u8,
}

/// One buffer descriptor of a channel's program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bd {
    /// Position in `LoweredTile::buffers`.
    pub buffer: usize,
    /// First byte in the buffer.
    pub offset_bytes: u32,
    /// Bytes moved.
    pub len_bytes: u32,
    /// Order of access, in `element_bytes` elements, outermost first; empty means linear.
    pub dims: Vec<Dim>,
    /// Size of the elements that `dims` counts.
    pub element_bytes: u32,
    /// Number in the tile.
    pub bd_id: u8,
    /// The BD that follows, by position in this channel's list.
    pub next: Option<usize>,
    /// Taken before the transfer.
    pub acquire: LockUse,
    /// Given after it.
    pub release: LockUse,
}

/// The program of one DMA channel: BDs run from the first, following `next`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelProgram {
    /// Which channel.
    pub channel: Channel,
    /// Its BDs.
    pub bds: Vec<Bd>,
}

/// Everything in one tile.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LoweredTile {
    /// Buffers, in the toolchain's order: later FIFOs first, then locals, then the loop counters.
    pub buffers: Vec<PlacedBuffer>,
    /// Locks.
    pub locks: Vec<Lock>,
    /// DMA channels with a static program (not the shim's, whose tasks the sequence pushes).
    pub dma: Vec<ChannelProgram>,
    /// Stack of the core, if any, at address 0.
    pub stack_bytes: Option<u32>,
}

/// A stream connection from one MM2S channel to one or more S2MM channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Producing tile and MM2S channel number.
    pub from: (Tile, u8),
    /// Consuming tiles and S2MM channel numbers; more than one is a broadcast.
    pub to: Vec<(Tile, u8)>,
    /// The FIFO it carries.
    pub fifo: FifoId,
}

/// The end of a FIFO at a core: its buffers and locks, possibly in a neighbour's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreEnd {
    /// Tile whose memory and locks these are.
    pub memory: Tile,
    /// Buffers in rotation, positions in that tile's list; object `n` of the FIFO is in buffer `n % len`.
    pub buffers: Vec<usize>,
    /// Lock taken by acquire, position in that tile's list.
    pub acquire_lock: usize,
    /// Lock given by release.
    pub release_lock: usize,
    /// What one object counts in these locks: how often it is sent.
    pub tokens: u8,
}

/// One operation of a core program after lowering; the same tree as `Stmt`, over lowered ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoreOp {
    /// Repeats.
    Loop {
        /// Trip count.
        count: Count,
        /// What repeats.
        body: Vec<CoreOp>,
    },
    /// Takes locks and binds objects.
    Acquire {
        /// Position in `LoweredCore::ends`.
        end: usize,
        /// Objects bound, oldest first.
        objects: Vec<ObjectId>,
        /// Locks to take now: objects not already held since an earlier acquire.
        take: u8,
        /// Words of these objects that the program uses, read once the locks are taken.
        words: Vec<WordRef>,
        /// Where the author wrote it.
        loc: Loc,
    },
    /// Gives locks; advances the rotation.
    Release {
        /// Position in `LoweredCore::ends`.
        end: usize,
        /// How many.
        count: u8,
        /// Where the author wrote it.
        loc: Loc,
    },
    /// Runs a kernel.
    Call {
        /// Which.
        kernel: KernelId,
        /// Arguments; locals by position in the core tile's buffer list via `LoweredCore::locals`.
        args: Vec<Arg>,
        /// Where the author wrote it.
        loc: Loc,
    },
    /// Branches.
    Switch {
        /// On this word.
        on: WordRef,
        /// Cases.
        cases: Vec<(i64, Vec<CoreOp>)>,
        /// Otherwise.
        default: Vec<CoreOp>,
    },
}

/// One core after lowering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoweredCore {
    /// Which core of the design.
    pub core: CoreId,
    /// Where.
    pub tile: Tile,
    /// FIFO ends it uses.
    pub ends: Vec<(FifoId, Port, CoreEnd)>,
    /// Placed buffer of each `LocalId` the core uses.
    pub locals: IndexMap<u32, (Tile, usize)>,
    /// Its program.
    pub body: Vec<CoreOp>,
}

/// A whole lowered design.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lowered {
    /// Which of the toolchain's lowerings it follows.
    pub mode: LowerMode,
    /// Tiles in use, by (column, row).
    pub tiles: IndexMap<Tile, LoweredTile>,
    /// Stream connections.
    pub flows: Vec<Flow>,
    /// Cores.
    pub cores: Vec<LoweredCore>,
    /// Shim channel of each FIFO with a shim end: tile and channel.
    pub shim_channels: IndexMap<FifoId, (Tile, Channel)>,
}
