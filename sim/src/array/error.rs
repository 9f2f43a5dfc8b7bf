//! What can be wrong with a simulation: the array cannot be built, or it does wrong or stops.

use super::deadlock::{Remedy, Waiting, describe};
use super::engine::Cycles;
use super::hazards::Hazard;
use crate::core::RunError;
use crate::executor::ExecError;
use kiln_dsl::array::lowered::{Channel, Direction};
use kiln_dsl::array::{KernelId, ObjectId, Tile};
use std::fmt;

/// A channel as people write it: `S2MM 0`, `MM2S 1`.
pub fn channel_name(channel: Channel) -> String {
    let direction = match channel.direction {
        Direction::S2mm => "S2MM",
        Direction::Mm2s => "MM2S",
    };
    format!("{direction} {}", channel.index)
}

/// Something of a lowered design or its host buffers that cannot be simulated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Host buffers do not match the sequence.
    #[error("the sequence has {expected} host buffers, got {got}")]
    HostBufferCount {
        /// Arguments of the sequence.
        expected: usize,
        /// Buffers given.
        got: usize,
    },
    /// A host buffer has another size than the sequence says.
    #[error("host buffer {name}: expected {expected_bytes} bytes, got {got_bytes}")]
    HostBufferSize {
        /// Its name.
        name: String,
        /// Of its type.
        expected_bytes: u64,
        /// Given.
        got_bytes: u64,
    },
    /// A copy of the sequence leaves its host buffer.
    #[error(
        "command {command} of the sequence reaches byte {end} of host buffer {buffer}, which has {bytes} bytes"
    )]
    CopyOutside {
        /// Position of the command.
        command: usize,
        /// Name of the buffer.
        buffer: String,
        /// One past the last byte it touches.
        end: u64,
        /// Size of the buffer.
        bytes: u64,
    },
    /// A tile that the device does not have.
    #[error("the device has no tile {tile}")]
    NoSuchTile {
        /// Where.
        tile: Tile,
    },
    /// Something refers to a tile that the lowered design does not use.
    #[error("{place} refers to tile {tile}, which is not part of the lowered design")]
    TileNotLowered {
        /// Who.
        place: String,
        /// Which tile.
        tile: Tile,
    },
    /// A buffer leaves the memory of its tile.
    #[error(
        "tile {tile}: buffer {buffer} at 0x{address:x} with {bytes} bytes leaves the memory of {memory_bytes} bytes"
    )]
    BufferOutside {
        /// Where.
        tile: Tile,
        /// Its name.
        buffer: String,
        /// First byte.
        address: u32,
        /// Size.
        bytes: u32,
        /// Memory of the tile.
        memory_bytes: u32,
    },
    /// The initial content of a buffer has not its size.
    #[error("tile {tile}: buffer {buffer} has {bytes} bytes and {init_bytes} bytes of initial content")]
    InitSize {
        /// Where.
        tile: Tile,
        /// Its name.
        buffer: String,
        /// Size.
        bytes: u32,
        /// Given.
        init_bytes: usize,
    },
    /// A lock starts above its greatest value.
    #[error("tile {tile}: lock {lock} starts at {init}; locks hold at most {max_value}")]
    LockInit {
        /// Where.
        tile: Tile,
        /// Its name.
        lock: String,
        /// Its initial value.
        init: u8,
        /// Of the device.
        max_value: u32,
    },
    /// A BD leaves its buffer.
    #[error(
        "tile {tile}, {}, BD {bd}: reaches byte {end} of buffer {buffer}, which has {bytes} bytes",
        channel_name(*channel)
    )]
    BdOutside {
        /// Where.
        tile: Tile,
        /// Channel.
        channel: Channel,
        /// Position in the channel's program.
        bd: usize,
        /// Name of the buffer.
        buffer: String,
        /// One past the last byte it touches.
        end: u64,
        /// Size of the buffer.
        bytes: u64,
    },
    /// A BD's length is not what its dimensions visit, or not whole words.
    #[error(
        "tile {tile}, {}, BD {bd}: length {len_bytes} bytes, dimensions visit {visited_bytes} bytes\nhelp: both must be the same multiple of 4 above 0",
        channel_name(*channel)
    )]
    BdLength {
        /// Where.
        tile: Tile,
        /// Channel.
        channel: Channel,
        /// Position in the channel's program.
        bd: usize,
        /// Its length.
        len_bytes: u64,
        /// What its dimensions visit.
        visited_bytes: u64,
    },
    /// A copy of the sequence that does not move whole words.
    #[error(
        "command {command} of the sequence moves {bytes} bytes a run\nhelp: a run moves whole 4-byte words"
    )]
    CopyLength {
        /// Position of the command.
        command: usize,
        /// Of one run.
        bytes: u64,
    },
    /// More dimensions than a descriptor can have.
    #[error("{place}: {dims} dimensions; at most {max} that do not continue each other")]
    Dimensions {
        /// Which descriptor.
        place: String,
        /// Its dimensions.
        dims: usize,
        /// The limit.
        max: usize,
    },
    /// Something refers to what is not there.
    #[error("{place} refers to {what} {index}, which does not exist")]
    Dangling {
        /// Who.
        place: String,
        /// What kind of thing.
        what: &'static str,
        /// Its position or id.
        index: u64,
    },
    /// A channel that no flow, or more than one, ends at.
    #[error("tile {tile}, {}: {flows} flows; a channel is one end of one flow", channel_name(*channel))]
    ChannelFlows {
        /// Where.
        tile: Tile,
        /// Channel.
        channel: Channel,
        /// Number of flows.
        flows: usize,
    },
    /// A view leaves its object or buffer.
    #[error("core {tile}: a view of {kernel} reaches byte {end} of {what}, which has {bytes} bytes")]
    ViewOutside {
        /// Where.
        tile: Tile,
        /// Name of the kernel called.
        kernel: String,
        /// What it is a view of.
        what: String,
        /// One past its last byte.
        end: u64,
        /// Size of what it is a view of.
        bytes: u64,
    },
    /// A word leaves its object.
    #[error("core {tile}: word {index} of {object} lies outside its {bytes} bytes")]
    WordOutside {
        /// Where.
        tile: Tile,
        /// Which object.
        object: ObjectId,
        /// In 32-bit words from the object's start.
        index: u32,
        /// Size of the object.
        bytes: u32,
    },
    /// A copy for a FIFO without a shim end.
    #[error("command {command} of the sequence names FIFO {fifo}, which has no shim end")]
    NoShimEnd {
        /// Position of the command.
        command: usize,
        /// Name of the FIFO.
        fifo: String,
    },
    /// A cascade to or from a core that does nothing.
    #[error("the cascade from {from} to {to}: core {idle} has no program")]
    CascadeEnd {
        /// Writes it.
        from: Tile,
        /// Reads it.
        to: Tile,
        /// The core without a program.
        idle: Tile,
    },
}

/// Why a simulation ended without a result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// The array could not be built.
    #[error("the design cannot be simulated:{}", lines(problems))]
    Invalid {
        /// Everything that is wrong.
        problems: Vec<Problem>,
    },
    /// A kernel could not be prepared.
    #[error("the design's kernels cannot be run: {source}")]
    Prepare {
        /// Why.
        source: RunError,
    },
    /// Nothing can move and the sequence is not done.
    #[error("{}", describe(*cycle, circle, *closed, others, remedy.as_ref()))]
    Deadlock {
        /// Time of the last event.
        cycle: Cycles,
        /// Each waits for the one after it.
        circle: Vec<Waiting>,
        /// Whether the last waits for the first; else it waits for nobody, and what it should do is
        /// in no program.
        closed: bool,
        /// Who else waits.
        others: Vec<Waiting>,
        /// A change that lets the sequence run to its end, if one was looked for and found.
        remedy: Option<Remedy>,
    },
    /// Accesses to memory whose result the design leaves to chance. Host buffers hold what came out.
    #[error("{} accesses to memory are wrong:{}{}", hazards.len(), lines(hazards), beyond(*more))]
    Hazards {
        /// Those found first.
        hazards: Vec<Hazard>,
        /// How many more were found.
        more: u64,
    },
    /// A task pushed to a full queue, which the hardware drops without a word.
    #[error(
        "cycle {cycle}: command {command} of the sequence pushes a task to {} of tile {tile} (FIFO {fifo}), whose queue holds {depth}\nhelp: await an earlier task of this FIFO first; the hardware would drop this one",
        channel_name(*channel)
    )]
    TaskQueueOverflow {
        /// When.
        cycle: Cycles,
        /// Position of the command.
        command: usize,
        /// Where.
        tile: Tile,
        /// Channel.
        channel: Channel,
        /// FIFO of the channel.
        fifo: String,
        /// Tasks a queue holds.
        depth: usize,
    },
    /// A release that takes a lock above what it can hold.
    #[error(
        "cycle {cycle}: lock {lock} of tile {tile} is released to {value}; locks hold at most {max_value}"
    )]
    LockOverflow {
        /// When.
        cycle: Cycles,
        /// Where.
        tile: Tile,
        /// Name of the lock.
        lock: String,
        /// The value it would have.
        value: u32,
        /// The greatest it can hold.
        max_value: u32,
    },
    /// A kernel call failed.
    #[error("cycle {cycle}, core {tile}, {kernel}: {source}")]
    Kernel {
        /// When.
        cycle: Cycles,
        /// Which core.
        tile: Tile,
        /// Which kernel.
        kernel: KernelId,
        /// Why.
        source: ExecError,
    },
    /// The run is longer than the limit.
    #[error(
        "the sequence is not done after {limit} cycles\nhelp: a larger `SimOptions::max_cycles` lets it run on"
    )]
    CycleLimit {
        /// `SimOptions::max_cycles`.
        limit: Cycles,
    },
}

fn beyond(more: u64) -> String {
    if more == 0 { String::new() } else { format!("\n  and {more} more") }
}

/// One per line, indented.
pub(super) fn lines<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(|i| format!("\n  {i}")).collect()
}
