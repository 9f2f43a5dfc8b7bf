//! Traces: what happened when, under the hardware's event names.

use crate::array::Cycles;
use kiln_dsl::array::Tile;
use kiln_dsl::array::lowered::{Channel, Direction};
use std::borrow::Cow;

/// What happened, as the event units of AIE2 name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// A core waits for a lock.
    LockStall,
    /// A core waits for the cascade.
    CascadeStall,
    /// A kernel starts.
    InstrEvent0,
    /// A kernel ends.
    InstrEvent1,
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
            Event::LockStall => "LOCK_STALL".into(),
            Event::CascadeStall => "CASCADE_STALL".into(),
            Event::InstrEvent0 => "INSTR_EVENT_0".into(),
            Event::InstrEvent1 => "INSTR_EVENT_1".into(),
            Event::PortRunning { monitor, .. } => format!("PORT_RUNNING_{monitor}").into(),
            Event::DmaStartTask(c) => dma(c, "START_TASK"),
            Event::DmaFinishedBd(c) => dma(c, "FINISHED_BD"),
            Event::DmaFinishedTask(c) => dma(c, "FINISHED_TASK"),
            Event::DmaStalledLock(c) => dma(c, "STALLED_LOCK"),
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

/// The first events of a run, by start; equal starts in the order in which they were recorded.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Trace {
    /// What was kept.
    pub events: Vec<TraceEvent>,
    /// Events that came after the trace was full.
    pub dropped: u64,
    limit: usize,
}

impl Trace {
    /// An empty trace that keeps `limit` events.
    pub fn new(limit: usize) -> Trace {
        Trace { events: Vec::new(), dropped: 0, limit }
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
    pub(crate) fn finish(mut self) -> Trace {
        self.events.sort_by_key(|e| e.start);
        self
    }
}
