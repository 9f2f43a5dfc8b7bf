//! Core time: what a kernel call costs its core, in cycles, and how big its code is.
//!
//! ```text
//! kernel --select--> instructions --graph--> dependences --modulo--> innermost loops
//!                                                        '--list---> code around them --> KernelCost
//! ```
//!
//! The model reads the machine instructions of each operation from the op table, every number from
//! the device description, and what a compiler loses from `compiler`. It is computed once a kernel
//! into a [`KernelCost`]: constants of the call and of each loop. Executors add them as loops run,
//! because trip counts may be run-time values; so cycles are exact and the same in every executor.
//!
//! - `select`: instructions of operations; loads and stores convert on the way where they can.
//! - `region`: blocks cut into straight runs and loops, invariant operations moved out.
//! - `graph`, `memory`: what must wait for what, in an iteration and across iterations.
//! - `resources`: slots of a bundle and units that slots share.
//! - `modulo`, `plan`: innermost loops, an iteration every so many cycles; `registers`: whether they fit.
//! - `list`: straight code; `nest`: puts loops and code together; `listing`: bundles and their bytes.
//!
//! - `banks`: which bundles wait for a memory bank, once a call says where its parameters lie.
//!
//! `docs/timing.md` has the mechanisms, their reasons and their evidence.

mod banks;
mod compiler;
mod graph;
mod list;
mod listing;
mod memory;
mod modulo;
mod nest;
mod plan;
mod region;
mod registers;
mod resources;
mod select;

pub use listing::{Bundle, Issued, LoopFacts, Section, SectionKind};

use super::live::live_ops;
use crate::executor::{ArgValue, CallCost};
use banks::{Banks, Stalls};
use kiln_dsl::device::{Compiler, Device};
use kiln_dsl::fit::CodeBytes;
use kiln_dsl::kernel::ops::{LatencyClass, Opcode, form};
use kiln_dsl::kernel::{BlockId, Kernel, OpId, Type};
use nest::Nest;
use region::Regions;
use select::Selection;

/// What a kernel's cost depends on besides the kernel: the core and the compiler.
///
/// A device alone means its cores and the default compiler.
#[derive(Clone, Copy, Debug)]
pub struct CoreModel<'d> {
    /// Slots, latencies, registers.
    pub device: &'d Device,
    /// Who schedules.
    pub compiler: Compiler,
    /// What the C++ tells the compiler of a loop.
    pub hints: Hints,
}

/// What the C++ of a kernel tells the compiler of its loops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hints {
    /// All that is known: emitted C++ says of each loop how often it runs at least.
    #[default]
    Emitted,
    /// Only what the author said of a loop: C++ written by hand, whose loops may have constant bounds and no hint.
    Written,
}

impl<'d> From<&'d Device> for CoreModel<'d> {
    fn from(device: &'d Device) -> CoreModel<'d> {
        CoreModel { device, compiler: Compiler::default(), hints: Hints::default() }
    }
}

/// What a loop adds each time it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoopCost {
    /// Cycles spent even when there is no iteration.
    pub setup_cycles: u64,
    /// Cycles that filling and draining add when there is one.
    pub ramp_cycles: u64,
    /// Cycles of each iteration. Of a loop around loops: without those.
    pub interval_cycles: u64,
    /// Iterations' worth of intervals that the code around the loop has in it: it fills and drains
    /// the loop. Never more than the loop is known to run.
    pub peeled_trips: u64,
    /// Iterations in one trip of the code, where the compiler unrolls; 0 is as 1. Intervals, peeled trips and stalls
    /// are of trips.
    pub iterations_each: u64,
    /// Multiply-accumulates of one iteration, without inner loops.
    pub macs: u64,
    /// What iterations wait for banks; of a loop around loops: without those. Nothing unless a call is known.
    pub(crate) stalls: Stalls,
}

impl LoopCost {
    /// Adds a run of `trips` iterations.
    pub fn add(&self, trips: u64, total: &mut CallCost) {
        total.cycles += self.setup_cycles;
        if trips > 0 {
            total.cycles += self.ramp_cycles;
        }
        let rounds = trips.div_ceil(self.iterations_each.max(1));
        let trips_here = rounds.saturating_sub(self.peeled_trips);
        let stalls = self.stalls.of(trips_here);
        total.cycles += trips_here * self.interval_cycles + stalls;
        total.stall_cycles += stalls;
        total.macs += self.macs * trips;
    }
}

/// What a kernel costs: of the call itself, and of each loop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelCost {
    call: CallCost,
    /// By operation id; zeros for what is no loop.
    loops: Vec<LoopCost>,
    size: CodeBytes,
    banks: Banks,
}

impl KernelCost {
    /// The cost of `kernel` on the cores of `model`.
    pub fn new<'d>(kernel: &Kernel, model: impl Into<CoreModel<'d>>) -> KernelCost {
        Schedule::new(kernel, model).cost
    }

    /// The call, its modes and everything outside loops.
    pub fn call(&self) -> CallCost {
        self.call
    }

    /// The cost of a loop.
    pub fn of_loop(&self, op: OpId) -> LoopCost {
        self.loops.get(op.index()).copied().unwrap_or_default()
    }

    /// The cost of a call with `args`: also what its core waits for banks of the memories that they lie in.
    pub fn at(&self, args: &[ArgValue]) -> KernelCost {
        let mut cost = self.clone();
        for (within, stalls) in self.banks.stalls(args) {
            match within.and_then(|op| cost.loops.get_mut(op.index())) {
                Some(cost) => cost.stalls = stalls,
                None => {
                    cost.call.cycles += stalls.of(1);
                    cost.call.stall_cycles += stalls.of(1);
                }
            }
        }
        cost
    }

    /// Whether no call waits for a bank, wherever its arguments lie.
    pub fn never_stalls(&self) -> bool {
        self.banks.is_empty()
    }

    /// Program memory of its bundles, stack of its spilled registers.
    pub fn size(&self) -> CodeBytes {
        self.size
    }
}

/// A kernel's code: its cost, and the bundles it comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Cycles and sizes.
    pub cost: KernelCost,
    /// The code, in order.
    pub sections: Vec<Section>,
}

/// Bytes of a 256-bit part of a register in the frame.
const PART_BYTES: u32 = 32;

impl Schedule {
    /// Schedules `kernel` for the cores of `model`.
    pub fn new<'d>(kernel: &Kernel, model: impl Into<CoreModel<'d>>) -> Schedule {
        let model = model.into();
        let regions = Regions::new(kernel, &live_ops(kernel));
        let selection = Selection::new(kernel);
        let mut nest = Nest::new(kernel, model, &selection, &regions);
        let (body, sections) = nest.kernel();
        // The jump here; the return is part of the body, whose last bundles fill its delay slots.
        let cycles = u64::from(model.device.core_timing.branch_cycles()) + body;
        let size = CodeBytes {
            program: sections.iter().map(Section::bytes).sum(),
            frame: sections.iter().map(|s| s.spilled).sum::<u32>() * PART_BYTES,
        };
        let call = CallCost { cycles, macs: macs_of_block(kernel, Kernel::BODY), stall_cycles: 0 };
        let banks = Banks::new(kernel, model.device.core.banks(), &sections);
        Schedule { cost: KernelCost { call, loops: nest.loops, size, banks }, sections }
    }
}

/// Useful multiply-accumulates of a block, without inner loops: M x K x N of a matrix product, one
/// a lane otherwise.
fn macs_of_block(kernel: &Kernel, block: BlockId) -> u64 {
    let of = |op: &OpId| {
        let data = kernel.op(*op);
        match data.opcode {
            Opcode::MMul | Opcode::MMac => {
                let shape = form(kernel, data).and_then(|f| f.shape).unwrap_or_default();
                shape.iter().map(|&d| u64::from(d)).product()
            }
            Opcode::Mul | Opcode::Mac | Opcode::Msc => {
                data.results.first().map_or(0, |&v| u64::from(kernel.ty(v).lanes()))
            }
            _ => 0,
        }
    };
    kernel.block(block).ops.iter().map(of).sum()
}

/// Whether a class writes accumulators in the multiplier's pipeline, and if so whether as floats.
fn accumulates(class: LatencyClass) -> Option<bool> {
    match class {
        LatencyClass::Vmac | LatencyClass::AccAlu => Some(false),
        LatencyClass::VmacFloat | LatencyClass::AccAluFloat => Some(true),
        _ => None,
    }
}

/// Cycles from the issue of a producer to the issue of its consumer, by their classes and the type
/// of the value between them.
fn flow_cycles(device: &Device, from: LatencyClass, to: LatencyClass, ty: Type) -> u32 {
    let timing = &device.core_timing;
    let latency = device.latency_cycles(from);
    match (accumulates(from), accumulates(to)) {
        (Some(false), Some(_)) if is_accumulator(ty) => timing.accumulator_chain_int_cycles(),
        (Some(true), Some(_)) if is_accumulator(ty) => timing.accumulator_chain_float_cycles(),
        // The accumulator operand is read later than the others, which are read in cycle 1.
        (None, Some(_)) if is_accumulator(ty) => {
            (latency + 1).saturating_sub(timing.accumulator_read_cycle()).max(1)
        }
        _ if from == LatencyClass::VectorAlu && to == LatencyClass::VectorAlu => {
            timing.vector_alu_chain_cycles()
        }
        _ => latency,
    }
}

fn is_accumulator(ty: Type) -> bool {
    matches!(ty, Type::Accum { .. })
}
