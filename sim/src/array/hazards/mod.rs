//! Accesses to memory that nothing orders, by what must have happened before what.
//!
//! Two accesses of the same bytes, at least one a write, are a race when no chain of lock tokens,
//! stream words, queue pushes, task tokens and cascade values leads from one to the other: so also
//! when they happen to come at different times in this run. Each agent has a vector clock
//! (`clocks`), each memory a record of who wrote and read which bytes last (`shadow`).
//!
//! Two unordered writes to host memory that write the same bytes are let pass: in either order the
//! result is the same. Designs whose blocks overlap at the end of a buffer do that.
//!
//! A DMA channel's accesses are recorded when what it knows changes or its BD ends, in as few
//! pieces as possible. A kernel call counts as reading all bytes of what it reads and writing all
//! bytes of what it writes, which is what the parameter's kind says.

mod clocks;
mod report;
mod shadow;

pub use report::{Bytes, Hazard, Site};

use super::agent::Agent;
use super::build::Array;
use super::core::Core;
use super::dma::{Channel, Program};
use super::locks::LockOp;
use super::memory::{Access, Memory, Place};
use super::transport::Flow;
use crate::executor::ArgValue;
use clocks::{Clocks, Snapshot};
use indexmap::IndexMap;
use kiln_dsl::array::lowered::Lowered;
use kiln_dsl::array::{Design, KernelId, Tile};
use kiln_dsl::kernel::{Loc, ParamKind};
use shadow::{Fault, Shadow, Span, Stamp, Written};
use std::collections::VecDeque;
use std::ops::Range;

/// Different hazards that are kept.
const KEPT: usize = 64;

/// Segments of memory with different histories, over all memories, beyond which checks end.
///
/// Whole objects make a few hundred. The limit, some 60 MB, is for sequences that scatter
/// single words over large host buffers.
const SEGMENTS: usize = 1 << 20;

/// Site of a core that reads a word of an object instead of calling a kernel.
const WORD: u32 = 0xff;

/// Bytes that a channel has accessed and that are not recorded yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    access: Access,
    bytes: usize,
    site: u32,
    write: bool,
    /// Whether it writes what is there already.
    same: bool,
}

/// Identity of a hazard: what, by whom, against whom, in which memory.
type Key = (u8, u32, u32, u32, u32, usize);

/// What was found, as recorded.
#[derive(Clone, Copy, Debug)]
struct Found {
    fault: Fault,
    by: Stamp,
    write: bool,
    place: usize,
    from: u64,
    to: u64,
}

/// The checks of a run.
#[derive(Debug)]
pub struct Hazards {
    clocks: Clocks,
    /// Tiles, then host buffers.
    shadows: Vec<Shadow>,
    tiles: usize,
    pending: Vec<Option<Pending>>,
    /// What the sequence knew when it pushed each task of a channel, oldest first.
    pushes: Vec<VecDeque<Snapshot>>,
    /// What a channel knew when it issued each token, oldest first.
    tokens: Vec<VecDeque<Snapshot>>,
    found: IndexMap<Key, Found>,
    more: u64,
    segments: usize,
    stopped: bool,
}

impl Hazards {
    /// Nothing has happened yet; buffers with initial content and host buffers are written.
    pub fn new(array: &Array, lowered: &Lowered, host: &[Vec<u8>]) -> Hazards {
        let (cores, channels) = (array.cores.len(), array.channels.len());
        let tile = |(at, tile): (usize, &Tile)| {
            let bytes = array.memories.all().get(at).map_or(0, Vec::len) as u64;
            let mut shadow = Shadow::new(bytes, Written::Never);
            for buffer in lowered.tiles.get(tile).map_or(&[][..], |t| &t.buffers) {
                if buffer.init.is_some() {
                    let from = u64::from(buffer.address);
                    shadow.initialise(from, from + u64::from(buffer.bytes));
                }
            }
            shadow
        };
        let tiles = array.tiles.iter().enumerate().map(tile);
        let hosts = host.iter().map(|b| Shadow::new(b.len() as u64, Written::Before));
        Hazards {
            clocks: Clocks::new(cores, channels, array.locks.values()),
            shadows: tiles.chain(hosts).collect(),
            tiles: array.tiles.len(),
            pending: vec![None; channels],
            pushes: vec![VecDeque::new(); channels],
            tokens: vec![VecDeque::new(); channels],
            found: IndexMap::new(),
            more: 0,
            segments: 0,
            stopped: false,
        }
    }

    // ---- what orders agents

    /// An agent has taken a lock.
    pub fn acquired(&mut self, agent: Agent, op: LockOp) {
        let at = self.clocks.index(agent);
        self.clocks.acquire(at, op);
    }

    /// An agent gives a lock.
    pub fn released(&mut self, agent: Agent, op: LockOp) {
        let at = self.clocks.index(agent);
        self.clocks.release(at, op);
    }

    /// A core's cascade values have come to another core.
    pub fn passed(&mut self, from: u32, to: u32) {
        let [from, to] = [from, to].map(|core| self.clocks.index(Agent::Core(core)));
        self.clocks.learn_from(to, from);
        self.clocks.tick(from);
    }

    /// The sequence pushes a task to a shim channel.
    pub fn pushed(&mut self, channel: u32) {
        let controller = self.clocks.index(Agent::Controller);
        let told = self.clocks.tell(controller);
        self.pushes[channel as usize].push_back(told);
    }

    /// A channel begins the oldest task of its queue.
    pub fn task_started(&mut self, channel: u32) {
        let Some(known) = self.pushes[channel as usize].pop_front() else { return };
        let at = self.clocks.index(Agent::Channel(channel));
        self.clocks.learn(at, &known);
    }

    /// A channel has ended a task that issues a token.
    pub fn token_issued(&mut self, channel: u32) {
        let at = self.clocks.index(Agent::Channel(channel));
        let told = self.clocks.tell(at);
        self.tokens[channel as usize].push_back(told);
    }

    /// The sequence has awaited a token of a channel.
    pub fn awaited(&mut self, channel: u32) {
        let Some(known) = self.tokens[channel as usize].pop_front() else { return };
        let controller = self.clocks.index(Agent::Controller);
        self.clocks.learn(controller, &known);
    }

    // ---- accesses

    /// The next `bytes` bytes of a flow move.
    pub fn moved(&mut self, flow: &Flow, channels: &[Channel], bytes: usize, memory: &Memory<'_>) {
        let from = channels[flow.source as usize].access();
        self.access(flow.source, &channels[flow.source as usize], bytes, false, false);
        for destination in &flow.destinations {
            let channel = &channels[destination.channel as usize];
            let [source, at] =
                [flow.source, destination.channel].map(|c| self.clocks.index(Agent::Channel(c)));
            if !self.clocks.knows(at, source, self.clocks.now(source)) {
                self.record(destination.channel);
                self.clocks.learn_from(at, source);
            }
            if channel.access().place == from.place {
                // The bytes may be the same: the read comes before the write.
                self.record(flow.source);
            }
            let to = channel.access();
            if let Place::Host(buffer) = to.place {
                let same = self.writes_the_same(at, buffer, from, to, bytes, memory);
                self.access(destination.channel, channel, bytes, true, same);
                // What the next writer of these bytes is compared with.
                self.record(destination.channel);
            } else {
                self.access(destination.channel, channel, bytes, true, false);
            }
        }
    }

    /// Whether a write to a host buffer meets one that nothing orders, and changes no byte.
    fn writes_the_same(
        &self,
        agent: usize,
        buffer: u32,
        from: Access,
        to: Access,
        bytes: usize,
        memory: &Memory<'_>,
    ) -> bool {
        let shadow = &self.shadows[self.tiles + buffer as usize];
        let known = |by: Stamp| self.clocks.knows(agent, by.agent as usize, by.clock);
        let mut unordered = false;
        to.walk.pieces(to.position, bytes, |at, len| {
            unordered |= shadow.overwrites(at as u64, (at + len) as u64, known);
        });
        unordered && memory.gather(from, bytes) == memory.gather(to, bytes)
    }

    /// The BD or run of a channel has ended. `flow` is the one it is an end of.
    pub fn ended(&mut self, channel: u32, flow: Option<&Flow>) {
        self.record(channel);
        // Who learns of the end of a receiver's BD knows what its sender had done, not what it does next.
        if let Some(flow) = flow.filter(|f| f.source != channel) {
            self.record(flow.source);
            let source = self.clocks.index(Agent::Channel(flow.source));
            self.clocks.tick(source);
        }
    }

    fn access(&mut self, at: u32, channel: &Channel, bytes: usize, write: bool, same: bool) {
        let (access, site) = (channel.access(), channel.site());
        if let Some(pending) = &mut self.pending[at as usize] {
            let old = pending.access;
            let goes_on = (old.place, old.walk, pending.site) == (access.place, access.walk, site);
            if goes_on && pending.same == same && old.position + pending.bytes == access.position {
                pending.bytes += bytes;
                return;
            }
            self.record(at);
        }
        self.pending[at as usize] = Some(Pending { access, bytes, site, write, same });
    }

    /// Records what a channel has accessed.
    fn record(&mut self, channel: u32) {
        let Some(pending) = self.pending[channel as usize].take() else { return };
        let Pending { access: Access { place, walk, position }, bytes, site, write, same } = pending;
        let place = match place {
            Place::Tile(tile) => tile as usize,
            Place::Host(buffer) => self.tiles + buffer as usize,
        };
        let agent = self.clocks.index(Agent::Channel(channel));
        let stamp = Stamp { agent: agent as u32, clock: self.clocks.now(agent), site };
        if position == 0 && bytes == walk.bytes() && walk.is_dense() {
            self.check(place, walk.base() as u64..walk.end() as u64, stamp, write, same);
        } else {
            walk.pieces(position, bytes, |from, len| {
                self.check(place, from as u64..(from + len) as u64, stamp, write, same);
            });
        }
    }

    /// A core calls a kernel with the arguments in [`Core::values`].
    pub fn called(&mut self, at: u32, core: &Core, design: &Design, kernel: KernelId) {
        let Some(kernel) = design.kernels.get(kernel.index()) else { return };
        let agent = self.clocks.index(Agent::Core(at));
        let clock = self.clocks.now(agent);
        for (i, (param, value)) in kernel.params.iter().zip(&core.values).enumerate() {
            let ArgValue::Memory { tile, address, bytes } = *value else { continue };
            let (from, to) = (u64::from(address), u64::from(address) + u64::from(bytes));
            let stamp = Stamp { agent: agent as u32, clock, site: core.site << 8 | (i as u32).min(WORD - 1) };
            // State and scratch mean nothing before the kernel itself has written them.
            if matches!(param.kind, ParamKind::In | ParamKind::InOut | ParamKind::Table(_)) {
                self.check(tile, from..to, stamp, false, false);
            }
            if param.kind.is_written() {
                self.check(tile, from..to, stamp, true, false);
            }
        }
    }

    /// A core's program has read words of objects: tile and address of each.
    pub fn words_read(&mut self, at: u32, site: u32, words: &[(usize, u32)]) {
        let agent = self.clocks.index(Agent::Core(at));
        let stamp = Stamp { agent: agent as u32, clock: self.clocks.now(agent), site: site << 8 | WORD };
        for &(tile, address) in words {
            let from = u64::from(address);
            self.check(tile, from..from + 4, stamp, false, false);
        }
    }

    /// One access; `same` says that it writes what is there already.
    fn check(&mut self, place: usize, bytes: Range<u64>, stamp: Stamp, write: bool, same: bool) {
        let Range { start: from, end: to } = bytes;
        if self.stopped || from >= to {
            return;
        }
        let Some(shadow) = self.shadows.get_mut(place) else { return };
        let (clocks, kept, more) = (&self.clocks, &mut self.found, &mut self.more);
        let known = |by: Stamp| clocks.knows(stamp.agent as usize, by.agent as usize, by.clock);
        let found = |from: u64, to: u64, fault: Fault| {
            let (kind, by) = match fault {
                Fault::WriteAfterWrite(_) if same => return,
                Fault::Unwritten => (0, stamp),
                Fault::ReadAfterWrite(by) => (1, by),
                Fault::WriteAfterWrite(by) => (2, by),
                Fault::WriteAfterRead(by) => (3, by),
            };
            let key = (kind, stamp.agent, stamp.site, by.agent, by.site, place);
            if let Some(known) = kept.get_mut(&key) {
                // Neighbours are told as one.
                if known.to == from {
                    known.to = to;
                }
            } else if kept.len() < KEPT {
                kept.insert(key, Found { fault, by: stamp, write, place, from, to });
            } else {
                *more += 1;
            }
        };
        let before = shadow.len();
        let span = Span { from, to, stamp };
        if write {
            shadow.write(span, known, found);
        } else {
            shadow.read(span, known, found);
        }
        self.segments = self.segments + shadow.len() - before;
        self.stopped = self.segments > SEGMENTS;
    }

    // ---- what was found

    /// Ends the checks: everything found, and how much more was.
    pub fn finish(&mut self, names: &Names<'_>) -> (Vec<Hazard>, u64) {
        (0..self.pending.len() as u32).for_each(|channel| self.record(channel));
        let site = |agent: u32, site: u32| names.site(self.clocks.agent(agent as usize), site);
        let found = self.found.values().map(|f| {
            let bytes = names.bytes(f.place, self.tiles, f.from, f.to);
            let second = site(f.by.agent, f.by.site);
            let (other, writes) = match f.fault {
                Fault::Unwritten => return Hazard::Unwritten { bytes, reader: second },
                Fault::ReadAfterWrite(by) | Fault::WriteAfterWrite(by) => (by, true),
                Fault::WriteAfterRead(by) => (by, false),
            };
            let first = (site(other.agent, other.site), writes);
            Hazard::Race { bytes, first, second: (second, f.write) }
        });
        (found.collect(), self.more)
    }

    /// Whether the checks ended early, since memories had too many different histories.
    pub fn stopped(&self) -> bool {
        self.stopped
    }
}

/// What agents, sites and bytes are called.
pub struct Names<'a> {
    /// The array.
    pub array: &'a Array,
    /// Its design.
    pub design: &'a Design,
    /// Its buffers.
    pub lowered: &'a Lowered,
}

impl Names<'_> {
    fn site(&self, agent: Agent, site: u32) -> Site {
        match agent {
            Agent::Core(at) => self.core(at, site),
            // The controller touches no memory.
            Agent::Channel(_) | Agent::Controller => {
                let at = if let Agent::Channel(at) = agent { at } else { 0 };
                self.channel(at, site)
            }
        }
    }

    fn core(&self, at: u32, site: u32) -> Site {
        let core = &self.array.cores[at as usize];
        let (at, param) = (site >> 8, site & 0xff);
        let loc = core.locs().get(at as usize).cloned().unwrap_or(Loc::UNKNOWN);
        let kernel = core.call_at(at).and_then(|k| self.design.kernels.get(k.index()));
        match kernel {
            Some(kernel) if param != WORD => Site::Call {
                tile: core.tile,
                kernel: kernel.name.clone(),
                param: kernel.params.get(param as usize).map_or_else(String::new, |p| p.name.clone()),
                loc,
            },
            _ => Site::Word { tile: core.tile, loc },
        }
    }

    fn channel(&self, at: u32, site: u32) -> Site {
        let channel = &self.array.channels[at as usize];
        let tile = self.array.tiles[channel.tile as usize];
        let fifo = self.array.flow_fifos.get(channel.flow as usize);
        let fifo = fifo.and_then(|f| self.design.fifos.get(f.index()));
        let name = fifo.map_or_else(|| "?".to_owned(), |f| f.name.clone());
        match &channel.program {
            Program::Static(_) => Site::Bd {
                tile,
                channel: channel.name,
                bd: site,
                fifo: name,
                loc: fifo.map_or(Loc::UNKNOWN, |f| f.loc.clone()),
            },
            Program::Queue(_) => {
                let command = self.design.sequence.commands.get(site as usize);
                let loc = command.map_or(Loc::UNKNOWN, |c| c.loc().clone());
                Site::Task { tile, channel: channel.name, command: site, fifo: name, loc }
            }
        }
    }

    /// The buffer that bytes of a place lie in.
    fn bytes(&self, place: usize, tiles: usize, from: u64, to: u64) -> Bytes {
        if let Some(buffer) = place.checked_sub(tiles) {
            let buffer = self.design.sequence.buffers.get(buffer);
            let name = buffer.map_or_else(|| "?".to_owned(), |b| b.name.clone());
            return Bytes { tile: None, buffer: name, from, to };
        }
        let tile = self.array.tiles.get(place).copied();
        let buffers = tile.and_then(|t| self.lowered.tiles.get(&t)).map_or(&[][..], |t| &t.buffers);
        let inside = |b: &&kiln_dsl::array::lowered::PlacedBuffer| {
            let start = u64::from(b.address);
            start <= from && from < start + u64::from(b.bytes)
        };
        match buffers.iter().find(inside) {
            Some(b) => {
                let start = u64::from(b.address);
                Bytes { tile, buffer: format!("buffer {}", b.name), from: from - start, to: to - start }
            }
            None => Bytes { tile, buffer: "memory".to_owned(), from, to },
        }
    }
}
