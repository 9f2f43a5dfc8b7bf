//! The array in time: tiles, DMA channels, streams, host memory and the controller, as deterministic
//! discrete events over a lowered design.
//!
//! ```text
//!  controller --tasks--> shim channels --flows--> mem tile channels --flows--> core tile channels
//!      ^                   |      ^                   |   locks                   |   locks
//!      '----- tokens ------'     ddr                memory                     memory <-- core programs
//! ```
//!
//! Each part is a module with a narrow interface: `engine` orders events, `locks` and `memory`
//! hold state, `dma` knows where a channel is in its work, `transport` when a stream can move,
//! `ddr` what host memory grants, `controller` what a command costs, `core` what a core does
//! next, and `machine` passes events between them. Three watch and change nothing: `hazards` checks
//! that accesses to memory are ordered, `attribution` counts who waits for whom, `deadlock` tells why
//! nothing can move. Costs come from `timing`, which takes every
//! number from the device description.
//!
//! Invariants: no event per word (a stream moves a chunk of as many words as all its ends have left);
//! simultaneous events happen in the order they were scheduled; nothing depends on addresses or hashes,
//! so two runs are equal in bytes, cycles and trace.
//!
//! Cascades are a first model: a kernel call happens at once, so the values that a call writes reach
//! the reading core when the call ends, and a call that reads starts when all the values it needs have
//! come. On silicon both calls run side by side, four values apart (`core.cascade_fifo_depth` at each
//! side); here the reader is later by up to a call, and a writer never waits for room.
//!
//! Time 0 is the first command of the sequence. Cores and static DMA programs are ready then: silicon
//! starts them tens of thousands of cycles earlier, in the part of a dispatch that is not in the result
//! (`ControllerTiming::dispatch_start_cycles`).

mod agent;
mod attribution;
mod build;
mod controller;
mod core;
mod ddr;
mod deadlock;
mod dma;
mod engine;
mod error;
mod hazards;
mod locks;
mod machine;
mod memory;
mod program;
mod timing;
mod transport;

pub use deadlock::{Change, Remedy, Waiting};
pub use engine::Cycles;
pub use error::channel_name;
pub use error::{Problem, SimError};
pub use hazards::{Bytes, Hazard, Site};
pub use memory::UNINITIALISED;

use crate::core::{CoreExecutor, CoreModel, Engine as CoreEngine};
use crate::executor::KernelExecutor;
use crate::report::{ChannelReport, Checked, CoreReport, KernelReport, SimReport};
use crate::trace;
use kiln_dsl::Verified;
use kiln_dsl::array::lowered::Lowered;
use kiln_dsl::array::{Design, FifoId, Tile};
use kiln_dsl::device::{Compiler, Device, Profile, TileKind};
use kiln_dsl::sequence::Command;
use machine::Machine;
use timing::Timing;

/// How to simulate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimOptions {
    /// Gives up after this many cycles. The default is 10^12, a quarter of an hour at 1 GHz.
    pub max_cycles: Cycles,
    /// Events that the trace keeps, from the start; 0 keeps none.
    pub trace_events: usize,
    /// Words that host memory grants a shim channel at a time while channels compete. It is the grain
    /// of the simulation, not a number of the hardware: bandwidth does not depend on it, only how
    /// finely the channels take turns.
    pub ddr_grant_words: u32,
    /// Whether streams carry bytes. Without, a run takes less time and its cycles are the same, as long as no core
    /// reads a trip count or a case from an object; buffers keep what they hold.
    pub move_data: bool,
    /// Compiler of the kernels. [`simulate_with`] takes it from its executor instead.
    pub compiler: Compiler,
    /// Whether accesses to memory are checked: two agents at the same bytes with nothing that orders
    /// them, and bytes read that nothing has written. Off by default.
    pub hazards: bool,
    /// Simulations that the search for a remedy of a deadlock may take; 0 looks for none.
    pub remedy_tries: u32,
}

impl Default for SimOptions {
    fn default() -> SimOptions {
        SimOptions {
            max_cycles: 1_000_000_000_000,
            trace_events: 0,
            ddr_grant_words: 256,
            move_data: true,
            compiler: Compiler::default(),
            hazards: false,
            remedy_tries: 64,
        }
    }
}

/// Runs a design's sequence on real bytes, its kernels compiled for this run: see [`simulate_with`],
/// which a caller that runs a design often gives a [`CoreExecutor`] of its own.
///
/// # Errors
/// As [`simulate_with`], or a kernel that cannot be prepared.
pub fn simulate(
    design: &Verified<Design>,
    lowered: &Lowered,
    device: &Device,
    profile: &Profile,
    host: &mut [Vec<u8>],
    options: &SimOptions,
) -> Result<SimReport, SimError> {
    let model = CoreModel { compiler: options.compiler, ..device.into() };
    let mut executor = CoreExecutor::new(&design.kernels, model, CoreEngine::Compiled)
        .map_err(|source| SimError::Prepare { source })?;
    simulate_with(design, lowered, device, profile, host, options, &mut executor)
}

/// Runs a design's sequence on real bytes: `host` holds one byte vector per buffer of the sequence, in
/// order, of the size of its type; results are written there. Kernels run on `executor`.
///
/// Memory that nothing has written holds [`UNINITIALISED`] bytes. The run ends with the last command
/// of the sequence, while cores, which loop for ever, wait or work.
///
/// # Errors
/// A design or host buffers that do not fit together, a deadlock, accesses to memory that nothing orders, a task pushed to a full queue, a
/// lock over its maximum, a kernel that fails, or more cycles than allowed.
pub fn simulate_with(
    design: &Verified<Design>,
    lowered: &Lowered,
    device: &Device,
    profile: &Profile,
    host: &mut [Vec<u8>],
    options: &SimOptions,
    executor: &mut dyn KernelExecutor,
) -> Result<SimReport, SimError> {
    let timing = Timing::new(device, profile);
    let array = build::build(design, lowered, device, &timing, host)
        .map_err(|problems| SimError::Invalid { problems })?;
    let hazards = options.hazards.then(|| Box::new(hazards::Hazards::new(&array, lowered, host)));
    let mut machine = Machine::new(design, array, &timing, host, options, hazards, executor);
    let cycles = match machine.run() {
        Err(SimError::Deadlock { cycle, circle, closed, others, .. }) => {
            let case = deadlock::Case { design, lowered, device, profile, host, options };
            let remedy = deadlock::find_remedy(&case, &circle);
            return Err(SimError::Deadlock { cycle, circle, closed, others, remedy });
        }
        run => run?,
    };
    if let Some(mut hazards) = machine.hazards.take() {
        let names = hazards::Names { array: &machine.array, design, lowered };
        let (found, more) = hazards.finish(&names);
        if !found.is_empty() {
            return Err(SimError::Hazards { hazards: found, more });
        }
        machine.checked = if hazards.stopped() { Checked::Partly } else { Checked::Fully };
    }
    let (l1_peak_bytes, l2_peak_bytes) = peaks(lowered, device);
    Ok(machine.report(cycles, l1_peak_bytes, l2_peak_bytes))
}

/// Bytes of buffers and stack in the fullest compute tile and the fullest mem tile.
fn peaks(lowered: &Lowered, device: &Device) -> (u64, u64) {
    let used = |kind: TileKind| {
        let of_kind = lowered.tiles.iter().filter(move |(t, _)| device.tile_kind(**t) == Some(kind));
        let bytes = of_kind.map(|(_, content)| {
            let buffers: u64 = content.buffers.iter().map(|b| u64::from(b.bytes)).sum();
            buffers + u64::from(content.stack_bytes.unwrap_or(0))
        });
        bytes.max().unwrap_or(0)
    };
    (used(TileKind::Core), used(TileKind::Mem))
}

impl Machine<'_, '_> {
    /// Names of what trace events hold by position.
    fn names(&self) -> trace::Names {
        if !self.trace.on() {
            return trace::Names::default();
        }
        let fifo = |id: FifoId| self.design.fifos.get(id.index()).map_or("?", |f| &f.name);
        let command = |command: &Command| match command {
            Command::Copy { buffer, fifo: id, .. } => {
                let buffer = self.design.sequence.buffers.get(buffer.index()).map_or("?", |b| &b.name);
                format!("copy between {buffer} and FIFO {}", fifo(*id))
            }
            Command::Wait { fifo: id, .. } => format!("wait for FIFO {}", fifo(*id)),
        };
        trace::Names {
            locks: self.array.lock_names.iter().map(|(_, name)| name.clone()).collect(),
            kernels: self.design.kernels.iter().map(|k| k.name.clone()).collect(),
            commands: self.design.sequence.commands.iter().map(command).collect(),
        }
    }

    fn report(mut self, cycles: Cycles, l1_peak_bytes: u64, l2_peak_bytes: u64) -> SimReport {
        let bottlenecks = self.bottlenecks(cycles);
        let names = self.names();
        for (_, pending) in self.array.locks.waiting() {
            if let agent::Agent::Core(at) = pending.waiter {
                self.array.cores[at as usize].counters.lock_stall_cycles += cycles - pending.since;
            }
        }
        for core in &mut self.array.cores {
            if let Some(blocked) = &core.blocked {
                core.counters.cascade_stall_cycles += cycles - blocked.since;
            }
        }
        let cores = self.array.cores.iter().map(|c| CoreReport {
            tile: c.tile,
            busy_cycles: c.counters.busy_cycles,
            lock_stall_cycles: c.counters.lock_stall_cycles,
            cascade_stall_cycles: c.counters.cascade_stall_cycles,
            lock_op_cycles: c.counters.lock_op_cycles,
            calls: c.counters.calls,
            macs: c.counters.macs,
        });
        let kernels = self.design.kernels.iter().zip(&self.kernels).map(|(kernel, total)| KernelReport {
            name: kernel.name.clone(),
            calls: total.calls,
            cycles: total.cost.cycles,
            macs: total.cost.macs,
        });
        let tile = |c: &dma::Channel| -> Tile { self.array.tiles[c.tile as usize] };
        let channels = self.array.channels.iter().enumerate().map(|(i, c)| ChannelReport {
            tile: tile(c),
            channel: c.name,
            fifo: self.fifo_name(i as u32).to_owned(),
            words: c.counters.words,
            transfers: c.counters.transfers,
            lock_stall_cycles: c.counters.lock_stall_cycles,
        });
        SimReport {
            cycles,
            controller_cycles: self.controller.busy_cycles(),
            cores: cores.collect(),
            kernels: kernels.collect(),
            channels: channels.collect(),
            ddr_read_bytes: self.ddr.read_bytes(),
            ddr_write_bytes: self.ddr.write_bytes(),
            l1_peak_bytes,
            l2_peak_bytes,
            sim_events: self.events(),
            bottlenecks,
            checked: self.checked,
            trace: std::mem::take(&mut self.trace).finish(names),
        }
    }
}
