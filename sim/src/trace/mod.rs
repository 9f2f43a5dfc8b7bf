//! Traces: what happened when, under the hardware's event names.

mod perfetto;

pub use perfetto::{Perfetto, Run};

use crate::array::Cycles;
use kiln_dsl::array::lowered::{Channel, Direction};
use kiln_dsl::array::{KernelId, Tile};
use std::borrow::Cow;

/// What happened, as the event units of AIE2 name it.
///
/// `STREAM_STALL` and `MEMORY_STALL` of cores are absent: cores of object FIFO designs read no
/// streams, and bank conflicts are not modelled. Values of locks and commands of the sequence are
/// no events of the hardware and have names of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// A core waits for a lock.
    LockStall {
        /// Position among all locks of the array.
        lock: u32,
    },
    /// A core waits for the cascade.
    CascadeStall,
    /// A kernel starts.
    InstrEvent0(KernelId),
    /// A kernel ends.
    InstrEvent1(KernelId),
    /// Words pass the stream port of a DMA channel. The hardware has eight monitors per switch that
    /// a design points at ports; here each channel has one: S2MM channels first, then MM2S.
    PortRunning {
        /// Number of the monitor.
        monitor: u8,
        /// The channel it watches.
        channel: Channel,
    },
    /// A channel starts a task.
    DmaStartTask(Channel),
    /// A channel ends a BD.
    DmaFinishedBd(Channel),
    /// A channel ends a task.
    DmaFinishedTask(Channel),
    /// A BD waits for its lock.
    DmaStalledLock(Channel),
    /// A channel could move words and waits for the other ends of its stream.
    DmaStreamStall(Channel),
    /// A lock has a new value.
    LockValue {
        /// Position among all locks of the array.
        lock: u32,
        /// The value.
        value: u32,
    },
    /// The controller works on a command of the sequence, by position.
    Command(u32),
}

/// What an event belongs to, in its tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Track {
    /// The core.
    Core,
    /// A DMA channel.
    Channel(Channel),
    /// A lock.
    Lock(u32),
    /// The controller, which is in no tile.
    Controller,
}

impl Event {
    /// The hardware's name.
    pub fn name(self) -> Cow<'static, str> {
        let dma = |channel: Channel, event: &str| {
            let direction = match channel.direction {
                Direction::S2mm => "S2MM",
                Direction::Mm2s => "MM2S",
            };
            Cow::from(format!("DMA_{direction}_{}_{event}", channel.index))
        };
        match self {
            Event::LockStall { .. } => "LOCK_STALL".into(),
            Event::CascadeStall => "CASCADE_STALL".into(),
            Event::InstrEvent0(_) => "INSTR_EVENT_0".into(),
            Event::InstrEvent1(_) => "INSTR_EVENT_1".into(),
            Event::PortRunning { monitor, .. } => format!("PORT_RUNNING_{monitor}").into(),
            Event::DmaStartTask(c) => dma(c, "START_TASK"),
            Event::DmaFinishedBd(c) => dma(c, "FINISHED_BD"),
            Event::DmaFinishedTask(c) => dma(c, "FINISHED_TASK"),
            Event::DmaStalledLock(c) => dma(c, "STALLED_LOCK"),
            Event::DmaStreamStall(c) => match c.direction {
                Direction::S2mm => dma(c, "STREAM_STARVATION"),
                Direction::Mm2s => dma(c, "STREAM_BACKPRESSURE"),
            },
            Event::LockValue { .. } => "lock value".into(),
            Event::Command(_) => "command".into(),
        }
    }

    /// What it belongs to.
    pub fn track(self) -> Track {
        match self {
            Event::LockStall { .. } | Event::CascadeStall | Event::InstrEvent0(_) | Event::InstrEvent1(_) => {
                Track::Core
            }
            Event::PortRunning { channel: c, .. }
            | Event::DmaStartTask(c)
            | Event::DmaFinishedBd(c)
            | Event::DmaFinishedTask(c)
            | Event::DmaStalledLock(c)
            | Event::DmaStreamStall(c) => Track::Channel(c),
            Event::LockValue { lock, .. } => Track::Lock(lock),
            Event::Command(_) => Track::Controller,
        }
    }
}

/// Something that happened at a tile, once or for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceEvent {
    /// From when.
    pub start: Cycles,
    /// Until when; `start` for an event without duration.
    pub end: Cycles,
    /// Where.
    pub tile: Tile,
    /// What.
    pub event: Event,
}

/// Names of what events hold by position.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Names {
    /// Of locks.
    pub locks: Vec<String>,
    /// Of kernels.
    pub kernels: Vec<String>,
    /// Of the sequence's commands.
    pub commands: Vec<String>,
}

/// The first events of a run, by start; equal starts in the order in which they were recorded.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Trace {
    /// What was kept.
    pub events: Vec<TraceEvent>,
    /// Events that came after the trace was full.
    pub dropped: u64,
    /// Names of locks, kernels and commands.
    pub names: Names,
    limit: usize,
}

impl Trace {
    /// An empty trace that keeps `limit` events.
    pub fn new(limit: usize) -> Trace {
        Trace { limit, ..Trace::default() }
    }

    /// Whether it keeps events at all.
    #[inline]
    pub fn on(&self) -> bool {
        self.limit > 0
    }

    /// Records an event, if there is room.
    #[inline]
    pub fn record(&mut self, start: Cycles, end: Cycles, tile: Tile, event: Event) {
        if self.events.len() < self.limit {
            self.events.push(TraceEvent { start, end, tile, event });
        } else {
            self.dropped += 1;
        }
    }

    /// Puts the events in order of time: they are recorded at their end.
    pub(crate) fn finish(mut self, names: Names) -> Trace {
        self.events.sort_by_key(|e| e.start);
        self.names = names;
        self
    }

    /// The name of what an event holds by position, if it does.
    pub fn detail(&self, event: Event) -> Option<&str> {
        let (names, at) = match event {
            Event::InstrEvent0(kernel) | Event::InstrEvent1(kernel) => (&self.names.kernels, kernel.index()),
            Event::LockStall { lock } | Event::LockValue { lock, .. } => (&self.names.locks, lock as usize),
            Event::Command(command) => (&self.names.commands, command as usize),
            _ => return None,
        };
        names.get(at).map(String::as_str)
    }
}
