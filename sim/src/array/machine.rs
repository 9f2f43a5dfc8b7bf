//! The running array: takes events in order and passes each between the parts.

use super::SimOptions;
use super::agent::Agent;
use super::attribution::{For, Waits};
use super::build::Array;
use super::controller::{Action, Controller};
use super::core::{Blocked, Step};
use super::ddr::{Access as DdrAccess, Ddr, Request, Rows};
use super::dma::{Next, Program, State, WORD_BYTES};
use super::engine::{Cycles, Engine};
use super::error::SimError;
use super::hazards::Hazards;
use super::locks::{LockId, LockOp};
use super::memory::{Access, Memory};
use super::timing::Timing;
use super::transport::Chunk;
use crate::executor::{CallCost, ExecError, KernelExecutor};
use crate::report::Checked;
use crate::trace::{Event as TraceName, Trace};
use kiln_dsl::array::lowered::Direction;
use kiln_dsl::array::{Design, KernelId, Tile};
use kiln_dsl::device::TileKind;
use smallvec::SmallVec;

/// Something that happens at a point in time.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A core is ready for its next step.
    Core(u32),
    /// A release by an agent takes effect.
    Release(LockOp, Agent),
    /// The last word of a flow's chunk has left its source, or has been read by it if that ends its BD.
    ChunkRead(u32),
    /// The last word of a BD or run has reached its S2MM channel.
    Received(u32),
    /// A shim task can move its first word.
    TaskReady(u32),
    /// A shim task has ended.
    TaskEnd(u32),
    /// The controller is done with a command.
    Controller,
}

/// What one kernel cost in all its calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct KernelTotal {
    /// Calls.
    pub calls: u64,
    /// Cycles and multiply-accumulates.
    pub cost: CallCost,
}

/// The array in execution.
pub struct Machine<'a, 'h> {
    pub(super) design: &'a Design,
    pub(super) array: Array,
    pub(super) controller: Controller,
    pub(super) ddr: Ddr,
    pub(super) trace: Trace,
    pub(super) kernels: Vec<KernelTotal>,
    pub(super) waits: Waits,
    pub(super) hazards: Option<Box<Hazards>>,
    pub(super) checked: Checked,
    timing: &'a Timing,
    options: &'a SimOptions,
    executor: &'a mut dyn KernelExecutor,
    engine: Engine<Event>,
    memory: Memory<'h>,
    destinations: Vec<Access>,
    finished: Option<Cycles>,
    /// When the command in progress began.
    command_since: Cycles,
}

impl<'a, 'h> Machine<'a, 'h> {
    /// An array at time 0.
    pub fn new(
        design: &'a Design,
        mut array: Array,
        timing: &'a Timing,
        host: &'h mut [Vec<u8>],
        options: &'a SimOptions,
        hazards: Option<Box<Hazards>>,
        executor: &'a mut dyn KernelExecutor,
    ) -> Machine<'a, 'h> {
        let commands = std::mem::take(&mut array.commands);
        let memories = std::mem::take(&mut array.memories);
        Machine {
            design,
            controller: Controller::new(commands, array.channels.len(), timing.controller),
            ddr: Ddr::new(timing.ddr, array.tiles.len()),
            trace: Trace::new(options.trace_events),
            waits: Waits::default(),
            hazards,
            checked: Checked::No,
            kernels: vec![KernelTotal::default(); design.kernels.len()],
            timing,
            options,
            executor,
            engine: Engine::default(),
            memory: Memory::new(memories, host),
            destinations: Vec::new(),
            finished: None,
            command_since: 0,
            array,
        }
    }

    /// Runs to the end of the sequence; returns that time.
    pub fn run(&mut self) -> Result<Cycles, SimError> {
        for channel in 0..self.array.channels.len() as u32 {
            let ready = self.timing.dma.start + self.fetch(channel);
            let c = &mut self.array.channels[channel as usize];
            if matches!(&c.program, Program::Static(bds) if !bds.is_empty()) {
                c.free_at = ready;
                self.start_task_event(channel);
                self.request_bd(channel);
            }
        }
        for core in 0..self.array.cores.len() as u32 {
            self.engine.schedule(0, Event::Core(core));
        }
        self.command();
        while self.finished.is_none() {
            let Some(event) = self.engine.next() else {
                return Err(self.deadlock(self.engine.now()));
            };
            if self.engine.now() > self.options.max_cycles {
                return Err(SimError::CycleLimit { limit: self.options.max_cycles });
            }
            match event {
                Event::Core(core) => self.core(core)?,
                Event::Release(op, by) => self.release(op, by)?,
                Event::ChunkRead(flow) => self.chunk_read(flow as usize),
                Event::Received(channel) => self.finish(channel, self.engine.now()),
                Event::TaskReady(channel) => self.activate(channel, self.engine.now()),
                Event::TaskEnd(channel) => self.task_end(channel),
                Event::Controller => self.controller()?,
            }
        }
        Ok(self.finished.unwrap_or_default())
    }

    /// Events processed.
    pub fn events(&self) -> u64 {
        self.engine.processed()
    }

    fn tile_of(&self, channel: u32) -> Tile {
        self.array.tiles[self.array.channels[channel as usize].tile as usize]
    }

    fn record_dma(
        &mut self,
        channel: u32,
        start: Cycles,
        end: Cycles,
        event: fn(kiln_dsl::array::lowered::Channel) -> TraceName,
    ) {
        let name = self.array.channels[channel as usize].name;
        self.trace.record(start, end, self.tile_of(channel), event(name));
    }

    fn start_task_event(&mut self, channel: u32) {
        let now = self.engine.now();
        self.array.channels[channel as usize].counters.tasks += 1;
        self.record_dma(channel, now, now, TraceName::DmaStartTask);
    }

    /// When a BD that waited for its lock, which it has now, takes part in its stream.
    fn ready_after_wait(&self, channel: u32) -> Cycles {
        let dma = &self.timing.dma;
        let granted = self.engine.now() + dma.acquire;
        match self.array.channels[channel as usize].name.direction {
            Direction::Mm2s => granted + dma.start + dma.memory_latency,
            // The words that came meanwhile are in its FIFO: as if it had been there for them.
            Direction::S2mm => granted.saturating_sub(dma.ingress_words / self.timing.words_per_cycle),
        }
    }

    /// What a channel needs from an address to the first word on the stream.
    fn fetch(&self, channel: u32) -> Cycles {
        match self.array.channels[channel as usize].name.direction {
            Direction::Mm2s => self.timing.dma.memory_latency,
            Direction::S2mm => 0,
        }
    }

    // ---- locks

    fn release(&mut self, op: LockOp, by: Agent) -> Result<(), SimError> {
        let now = self.engine.now();
        if let Err(over) = self.array.locks.release(op) {
            let (tile, lock) = self.array.lock_names[op.lock.0 as usize].clone();
            let (value, max_value) = (over.value, over.max_value);
            return Err(SimError::LockOverflow { cycle: now, tile, lock, value, max_value });
        }
        self.trace_lock(op.lock);
        while let Some(granted) = self.array.locks.grant(op.lock) {
            let stall = now - granted.since;
            let what = match granted.waiter {
                Agent::Core(at) => {
                    For::Objects(self.array.cores[at as usize].waiting_end.unwrap_or(0) as u32)
                }
                _ => For::Lock,
            };
            self.waits.add(granted.waiter, what, by, stall);
            self.took(granted.waiter, LockOp { lock: op.lock, count: granted.count });
            match granted.waiter {
                Agent::Core(at) => {
                    let core = &mut self.array.cores[at as usize];
                    core.waiting_end = None;
                    core.counters.lock_stall_cycles += stall;
                    self.trace.record(
                        granted.since,
                        now,
                        core.tile,
                        TraceName::LockStall { lock: op.lock.0 },
                    );
                    self.acquired(at);
                }
                Agent::Channel(channel) => {
                    self.record_dma(channel, granted.since, now, TraceName::DmaStalledLock);
                    let ready = self.ready_after_wait(channel);
                    let c = &mut self.array.channels[channel as usize];
                    c.counters.lock_stall_cycles += stall;
                    let ready = ready.max(c.free_at);
                    self.activate(channel, ready);
                }
                // Only cores and channels acquire.
                Agent::Controller => {}
            }
        }
        Ok(())
    }

    // ---- cores

    fn core(&mut self, at: u32) -> Result<(), SimError> {
        let now = self.engine.now();
        self.deliver(at)?;
        let core = &mut self.array.cores[at as usize];
        let site = core.site;
        let step = core.step(&self.memory.tiles);
        if !core.words_read.is_empty() {
            if let Some(hazards) = &mut self.hazards {
                hazards.words_read(at, site, &core.words_read);
            }
            core.words_read.clear();
        }
        match step {
            Step::Acquire(op) => {
                if self.array.locks.acquire(op, Agent::Core(at), now) {
                    core.waiting_end = None;
                    self.took(Agent::Core(at), op);
                    self.acquired(at);
                }
            }
            Step::Release(op) => {
                if let Some(hazards) = &mut self.hazards {
                    hazards.released(Agent::Core(at), op);
                }
                // At least one cycle: a program cannot loop without time passing.
                let released = now + self.timing.core.release.max(1);
                let end = released + std::mem::take(&mut core.overhead);
                core.counters.lock_op_cycles += end - now;
                self.engine.schedule(released, Event::Release(op, Agent::Core(at)));
                self.engine.schedule(end, Event::Core(at));
            }
            Step::Call(kernel) => self.call(at, kernel)?,
            Step::Stop => {}
        }
        Ok(())
    }

    /// An agent has taken a lock.
    fn took(&mut self, agent: Agent, op: LockOp) {
        if let Some(hazards) = &mut self.hazards {
            hazards.acquired(agent, op);
        }
        self.trace_lock(op.lock);
    }

    fn trace_lock(&mut self, lock: LockId) {
        if self.trace.on() {
            let (now, tile) = (self.engine.now(), self.array.lock_names[lock.0 as usize].0);
            let value = self.array.locks.value(lock);
            self.trace.record(now, now, tile, TraceName::LockValue { lock: lock.0, value });
        }
    }

    fn acquired(&mut self, at: u32) {
        let core = &mut self.array.cores[at as usize];
        let cost = self.timing.core.acquire.max(1) + std::mem::take(&mut core.overhead);
        core.counters.lock_op_cycles += cost;
        self.engine.schedule(self.engine.now() + cost, Event::Core(at));
    }

    fn call(&mut self, at: u32, kernel: KernelId) -> Result<(), SimError> {
        let now = self.engine.now();
        let core = &mut self.array.cores[at as usize];
        let cost = match self.executor.call(kernel, &core.values, &mut self.memory.tiles, &mut core.cascade) {
            Ok(cost) => cost,
            Err(ExecError::Blocked { site }) => {
                core.blocked = Some(Blocked { kernel, site, since: now });
                return Ok(());
            }
            Err(source) => return Err(SimError::Kernel { cycle: now, tile: core.tile, kernel, source }),
        };
        core.sent = core.cascade.take_output();
        if let Some(hazards) = &mut self.hazards {
            hazards.called(at, core, self.design, kernel);
        }
        // What finding objects has cost that were held already.
        let overhead = std::mem::take(&mut core.overhead);
        let (begin, end) = (now + overhead, now + overhead + cost.cycles.max(1));
        core.counters.lock_op_cycles += overhead;
        core.counters.busy_cycles += end - begin;
        core.counters.calls += 1;
        core.counters.macs += cost.macs;
        if let Some(total) = self.kernels.get_mut(kernel.index()) {
            total.calls += 1;
            total.cost.cycles += end - begin;
            total.cost.macs += cost.macs;
        }
        self.trace.record(begin, begin, core.tile, TraceName::InstrEvent0(kernel));
        self.trace.record(end, end, core.tile, TraceName::InstrEvent1(kernel));
        self.engine.schedule(end, Event::Core(at));
        Ok(())
    }

    /// Gives what a core's call, now ended, has written to the cascade to the core that reads it,
    /// whose call goes on if it waited for that.
    fn deliver(&mut self, at: u32) -> Result<(), SimError> {
        let core = &mut self.array.cores[at as usize];
        let sent = std::mem::take(&mut core.sent);
        let Some(to) = core.reader.filter(|_| !sent.is_empty()) else { return Ok(()) };
        if let Some(hazards) = &mut self.hazards {
            hazards.passed(at, to);
        }
        let reader = &mut self.array.cores[to as usize];
        reader.cascade.feed(sent);
        let Some(blocked) = reader.blocked.take() else { return Ok(()) };
        let now = self.engine.now();
        reader.counters.cascade_stall_cycles += now - blocked.since;
        self.waits.add(Agent::Core(to), For::Cascade, Agent::Core(at), now - blocked.since);
        self.trace.record(blocked.since, now, reader.tile, TraceName::CascadeStall);
        self.call(to, blocked.kernel)
    }

    // ---- DMA channels and flows

    fn request_bd(&mut self, channel: u32) {
        let now = self.engine.now();
        let c = &mut self.array.channels[channel as usize];
        let ready = c.free_at;
        match c.load_bd() {
            Some(op) if !self.array.locks.acquire(op, Agent::Channel(channel), now) => {
                c.state = State::LockStall(now);
            }
            op => {
                if let Some(op) = op {
                    self.took(Agent::Channel(channel), op);
                }
                self.activate(channel, ready);
            }
        }
    }

    fn activate(&mut self, channel: u32, ready: Cycles) {
        let c = &mut self.array.channels[channel as usize];
        c.state = State::Active;
        c.ready = ready;
        let flow = c.flow;
        self.start_chunk(flow);
    }

    fn is_shim(&self, channel: u32) -> bool {
        self.array.channels[channel as usize].kind == TileKind::Shim
    }

    /// Sends the next chunk of a flow, if all its ends are active.
    fn start_chunk(&mut self, at: u32) {
        let Some(flow) = self.array.flows.get(at as usize) else { return };
        let reads = self.is_shim(flow.source);
        let writes = flow.destinations.iter().any(|d| self.is_shim(d.channel));
        let grant = u64::from(self.options.ddr_grant_words).max(1);
        let limit = if reads || writes { grant } else { u64::MAX };
        let Some(mut chunk) = flow.plan(&self.array.channels, limit, self.timing.words_per_cycle) else {
            return;
        };
        let on_stream = chunk.end;
        if reads {
            let request = self.request(DdrAccess::Read, flow.source, chunk);
            chunk.end = chunk.end.max(self.ddr.request(&request));
        }
        for end in 0..flow.destinations.len() {
            let channel = self.array.flows[at as usize].destinations[end].channel;
            if self.is_shim(channel) {
                let request = self.request(DdrAccess::Write, channel, chunk);
                chunk.end = chunk.end.max(self.ddr.request(&request));
            }
        }
        self.count_chunk(at, chunk, on_stream);
        let flow = &mut self.array.flows[at as usize];
        flow.chunk = Some(chunk);
        // A tile's channel reads ahead: when it has read the last word of a BD, the BD has ended.
        let ends_bd = chunk.words == self.array.channels[flow.source as usize].words_left;
        let ahead = if ends_bd && !reads { self.timing.dma.egress_words.min(chunk.words) } else { 0 };
        let read = chunk.end.saturating_sub(ahead / self.timing.words_per_cycle);
        self.engine.schedule(read, Event::ChunkRead(at));
    }

    /// What a chunk asks of host memory at a shim channel.
    fn request(&self, access: DdrAccess, channel: u32, chunk: Chunk) -> Request {
        let c = &self.array.channels[channel as usize];
        let at = c.access();
        let rows = at.walk.rows(at.position, (chunk.words * WORD_BYTES) as usize);
        let rows = rows.map(|(count, stride)| Rows { count: count as u64, stride_bytes: stride as u64 });
        Request { access, tile: c.tile, start: chunk.start, words: chunk.words, rows }
    }

    /// Counts a chunk's time at the ends of its flow, and their waits for the one that was ready last.
    /// `on_stream` is when the chunk would end if host memory were not in its way.
    fn count_chunk(&mut self, at: u32, chunk: Chunk, on_stream: Cycles) {
        let flow = &self.array.flows[at as usize];
        let source = std::iter::once((flow.source, 0));
        let ends = source.chain(flow.destinations.iter().map(|d| (d.channel, d.latency)));
        let ends: SmallVec<[(u32, Cycles, Cycles); 4]> = ends
            .map(|(c, latency)| {
                let ready = self.array.channels[c as usize].ready;
                (c, ready.saturating_sub(latency), latency)
            })
            .collect();
        let Some(&(last, ..)) = ends.iter().rev().max_by_key(|e| e.1) else { return };
        for (channel, ready, latency) in ends {
            let wait = chunk.start.saturating_sub(ready);
            self.waits.add(Agent::Channel(channel), For::Stream, Agent::Channel(last), wait);
            if wait > 0 && self.trace.on() {
                self.record_dma(channel, ready + latency, chunk.start + latency, TraceName::DmaStreamStall);
            }
            if self.is_shim(channel) {
                let held = chunk.end - on_stream;
                self.waits.add(Agent::Channel(channel), For::Memory, Agent::Channel(channel), held);
            }
            let counters = &mut self.array.channels[channel as usize].counters;
            counters.moving_cycles += chunk.end - chunk.start;
        }
    }

    /// Words a stream carries in a cycle.
    pub(super) fn words_per_cycle(&self) -> u64 {
        self.timing.words_per_cycle
    }

    /// Moves the bytes of a flow's chunk and passes its ends on.
    fn chunk_read(&mut self, at: usize) {
        let flow = &mut self.array.flows[at];
        let Some(chunk) = flow.chunk.take() else { return };
        let channels = &mut self.array.channels;
        self.destinations.clear();
        self.destinations.extend(flow.destinations.iter().map(|d| channels[d.channel as usize].access()));
        let source = flow.source;
        if let Some(hazards) = &mut self.hazards {
            hazards.moved(flow, channels, (chunk.words * WORD_BYTES) as usize, &self.memory);
        }
        if self.options.move_data {
            let from = channels[source as usize].access();
            self.memory.copy(from, &self.destinations, (chunk.words * WORD_BYTES) as usize);
        }
        for destination in &flow.destinations {
            let channel = &mut channels[destination.channel as usize];
            channel.advance(chunk.words);
            let arrived = chunk.end + destination.latency;
            if channel.words_left == 0 {
                channel.state = State::Draining;
                self.engine.schedule(arrived, Event::Received(destination.channel));
            } else {
                channel.ready = arrived;
            }
        }
        let channel = &mut channels[source as usize];
        channel.advance(chunk.words);
        channel.ready = chunk.end;
        let done = channel.words_left == 0;
        if self.options.trace_events > 0 {
            self.record_ports(at, chunk.start, chunk.end);
        }
        if done {
            self.finish(source, chunk.end);
        }
        self.start_chunk(at as u32);
    }

    fn record_ports(&mut self, flow: usize, start: Cycles, end: Cycles) {
        let flow = &self.array.flows[flow];
        let source = std::iter::once((flow.source, 0));
        let ends = source.chain(flow.destinations.iter().map(|d| (d.channel, d.latency)));
        for (channel, latency) in ends {
            let c = &self.array.channels[channel as usize];
            let monitor = self.monitor(channel);
            let tile = self.array.tiles[c.tile as usize];
            let event = TraceName::PortRunning { monitor, channel: c.name };
            self.trace.record(start + latency, end + latency, tile, event);
        }
    }

    /// Monitor of a channel: S2MM channels of its tile first, then MM2S.
    fn monitor(&self, channel: u32) -> u8 {
        let c = &self.array.channels[channel as usize];
        let s2mm = |o: &&super::dma::Channel| o.tile == c.tile && o.name.direction == Direction::S2mm;
        match c.name.direction {
            Direction::S2mm => c.name.index,
            Direction::Mm2s => {
                let highest = self.array.channels.iter().filter(s2mm).map(|o| o.name.index + 1).max();
                highest.unwrap_or(0) + c.name.index
            }
        }
    }

    /// Ends the BD or run of a channel, whose last word is on the stream at `stream_end`, and goes on to
    /// what follows.
    fn finish(&mut self, channel: u32, stream_end: Cycles) {
        let now = self.engine.now();
        let c = &mut self.array.channels[channel as usize];
        let flow = self.array.flows.get(c.flow as usize);
        let (release, next) = c.finish();
        if let Some(hazards) = &mut self.hazards {
            hazards.ended(channel, flow);
            if let Some(op) = release {
                hazards.released(Agent::Channel(channel), op);
            }
        }
        c.free_at = stream_end.max(now) + self.timing.dma.hole;
        let ready = c.free_at;
        if let Some(op) = release {
            self.engine.schedule(now + self.timing.dma.release, Event::Release(op, Agent::Channel(channel)));
        }
        self.record_dma(channel, now, now, TraceName::DmaFinishedBd);
        let c = &mut self.array.channels[channel as usize];
        match next {
            Next::Bd => self.request_bd(channel),
            Next::Run => {
                c.load_run();
                self.activate(channel, ready);
            }
            Next::TaskEnd => {
                // What a write to memory takes beyond its words comes after them, a read's before. A cold memory
                // takes words before it has answered, and ends no task until then.
                let end = match c.name.direction {
                    Direction::Mm2s => now,
                    Direction::S2mm => {
                        now.max(c.answered) + self.timing.dma.memory_latency + self.timing.s2mm_task.task
                    }
                };
                c.state = State::Draining;
                self.engine.schedule(end, Event::TaskEnd(channel));
            }
            Next::Stop => {}
        }
    }

    // ---- shim tasks and the controller

    fn start_task(&mut self, channel: u32) {
        let now = self.engine.now();
        let c = &mut self.array.channels[channel as usize];
        if c.load_run().is_none() {
            return;
        }
        c.state = State::Starting;
        let idle = now - c.idle_since;
        c.idle_since = now;
        self.waits.add(Agent::Channel(channel), For::Task, Agent::Controller, idle);
        let direction = c.name.direction;
        if let Some(hazards) = &mut self.hazards {
            hazards.task_started(channel);
        }
        let costs = self.timing.task(direction);
        let mut delay = self.timing.dma.start;
        c.answered = now + delay + c.cold;
        if direction == Direction::Mm2s {
            delay += c.cold + self.timing.dma.memory_latency + costs.task;
        }
        c.cold = c.cold * costs.cold_decay_permille / 1000;
        self.start_task_event(channel);
        self.engine.schedule(now + delay, Event::TaskReady(channel));
    }

    fn task_end(&mut self, channel: u32) {
        let now = self.engine.now();
        let c = &mut self.array.channels[channel as usize];
        c.state = State::Idle;
        let token = c.pop_task();
        c.idle_since = now;
        if let (Some(hazards), true) = (&mut self.hazards, token) {
            hazards.token_issued(channel);
        }
        self.record_dma(channel, now, now, TraceName::DmaFinishedTask);
        self.start_task(channel);
        if token && self.controller.token(channel, now) {
            let waited = now - self.command_since;
            self.waits.add(Agent::Controller, For::Token, Agent::Channel(channel), waited);
            self.command();
        }
    }

    fn command(&mut self) {
        let now = self.engine.now();
        match self.controller.start(now) {
            Action::Busy(until) => self.engine.schedule(until, Event::Controller),
            Action::Blocked => {}
            Action::Finished => self.finished = Some(now),
        }
    }

    fn controller(&mut self) -> Result<(), SimError> {
        let command = self.controller.position();
        let now = self.engine.now();
        let event = TraceName::Command(command as u32);
        self.trace.record(self.command_since, now, Tile::new(0, 0), event);
        self.command_since = now;
        if let (Some(hazards), Some(channel)) = (&mut self.hazards, self.controller.awaited()) {
            hazards.awaited(channel);
        }
        if let Some((channel, task)) = self.controller.complete() {
            let queued = self.array.channels[channel as usize].tasks();
            let depth = self.timing.dma.queue_depth;
            if queued >= depth {
                return Err(SimError::TaskQueueOverflow {
                    cycle: self.engine.now(),
                    command,
                    tile: self.tile_of(channel),
                    channel: self.array.channels[channel as usize].name,
                    fifo: self.fifo_name(channel).to_owned(),
                    depth,
                });
            }
            let c = &mut self.array.channels[channel as usize];
            if let Some(hazards) = &mut self.hazards {
                hazards.pushed(channel);
            }
            if let Program::Queue(tasks) = &mut c.program {
                tasks.push_back(task);
            }
            if queued == 0 {
                self.start_task(channel);
            }
        }
        self.command();
        Ok(())
    }

    /// Name of the FIFO that a channel carries.
    pub(super) fn fifo_name(&self, channel: u32) -> &str {
        let flow = self.array.channels[channel as usize].flow as usize;
        let fifo = self.array.flow_fifos.get(flow).and_then(|f| self.design.fifos.get(f.index()));
        fifo.map_or("?", |f| &f.name)
    }
}
