//! Streams: circuit-switched flows that move chunks of words between active channels.
//!
//! A flow carries one word a cycle when its source and all its destinations are active; the slowest
//! holds all others. The latency of the route shifts a destination's time against the source's: the
//! FIFOs along a route hold at least as many words as it has cycles, so a destination that gets
//! ready late is served from them without a gap.

use super::dma::{Channel, State};
use super::engine::Cycles;

/// A destination of a flow.
#[derive(Clone, Copy, Debug)]
pub struct Destination {
    /// Dense index of the S2MM channel.
    pub channel: u32,
    /// Of the route to it.
    pub latency: Cycles,
}

/// A stream connection.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Dense index of the MM2S channel.
    pub source: u32,
    /// Its S2MM channels.
    pub destinations: Vec<Destination>,
    /// The chunk on its way.
    pub chunk: Option<Chunk>,
}

/// Words that move without interruption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// When the first leaves the source.
    pub start: Cycles,
    /// When the last has left it.
    pub end: Cycles,
    /// How many.
    pub words: u64,
}

impl Flow {
    /// The chunk that can move now: the fewest words left of all ends, at most `limit`; `None` while
    /// one is on its way or an end is not active.
    pub fn plan(&self, channels: &[Channel], limit: u64, words_per_cycle: u64) -> Option<Chunk> {
        let active = |c: u32| Some(&channels[c as usize]).filter(|c| c.state == State::Active);
        if self.chunk.is_some() {
            return None;
        }
        let source = active(self.source)?;
        let mut chunk = Chunk { start: source.ready, end: 0, words: source.words_left.min(limit) };
        for destination in &self.destinations {
            let channel = active(destination.channel)?;
            chunk.start = chunk.start.max(channel.ready.saturating_sub(destination.latency));
            chunk.words = chunk.words.min(channel.words_left);
        }
        chunk.end = chunk.start + chunk.words.div_ceil(words_per_cycle);
        Some(chunk)
    }
}
