//! Core time: what a kernel call costs its core, in cycles.
//!
//! The model reads the machine instructions of each operation from the op table and every number
//! from the device description. It is computed once a kernel into a [`KernelCost`]: constants of
//! the call and of each loop. Executors add them as loops run, because trip counts may be run-time
//! values; so cycles are exact and the same in every executor.
//!
//! - A run of operations without a loop in it is scheduled into bundles greedily, longest path
//!   first, with the slots and latencies of AIE2 (`schedule`).
//! - An innermost loop is taken as software-pipelined: one iteration every `II` cycles, where `II`
//!   is the larger of the slots' bound and the recurrences' bound, and one schedule length more for
//!   filling and draining.
//! - Loops around loops run their parts one after another and pay a branch each trip.
//! - Loads and stores convert on the way where they can (`fuse`).
//! - Addresses affine in scalars cost nothing: loads and stores increment their pointers.
//! - Pure operations whose operands do not change in a loop are computed before it.
//! - Bank conflicts, spills and what a compiler loses are not in it.

mod fuse;
mod graph;
mod region;
mod schedule;

use super::live::live_ops;
use crate::executor::CallCost;
use fuse::{Fusion, fusions};
use graph::Graph;
use kiln_dsl::device::{Compiler, Device};
use kiln_dsl::kernel::ops::{LatencyClass, Machine, Opcode, form, spec};
use kiln_dsl::kernel::{BlockId, Imm, Kernel, OpData, OpId, Type, ValueId};
use region::{Region, Regions};

/// A hardware loop's count, start and end registers, one move each (`isa_timing` section 3).
const LOOP_REGISTERS: u64 = 3;

/// What a kernel's cost depends on besides the kernel: the core and the compiler.
///
/// A device alone means its cores and the default compiler.
#[derive(Clone, Copy, Debug)]
pub struct CoreModel<'d> {
    /// Slots, latencies, registers.
    pub device: &'d Device,
    /// Who schedules.
    pub compiler: Compiler,
}

impl<'d> From<&'d Device> for CoreModel<'d> {
    fn from(device: &'d Device) -> CoreModel<'d> {
        CoreModel { device, compiler: Compiler::default() }
    }
}

/// What a loop adds each time it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoopCost {
    /// Cycles before the first iteration, spent even when there is none.
    pub setup_cycles: u64,
    /// Cycles of the first iteration, from its first bundle to its last result. Of a loop around
    /// loops: without those, as in `next_cycles`.
    pub length_cycles: u64,
    /// Cycles of each further iteration: the initiation interval of a pipelined loop.
    pub next_cycles: u64,
    /// Multiply-accumulates of one iteration, without inner loops.
    pub macs: u64,
}

impl LoopCost {
    /// Adds a run of `trips` iterations.
    pub fn add(&self, trips: u64, total: &mut CallCost) {
        total.cycles += self.setup_cycles;
        if trips > 0 {
            total.cycles += self.length_cycles + (trips - 1) * self.next_cycles;
        }
        total.macs += self.macs * trips;
    }
}

/// What a kernel costs: of the call itself, and of each loop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelCost {
    call: CallCost,
    /// By operation id; zeros for what is no loop.
    loops: Vec<LoopCost>,
}

impl KernelCost {
    /// The cost of `kernel` on the cores of `model`.
    pub fn new<'d>(kernel: &Kernel, model: impl Into<CoreModel<'d>>) -> KernelCost {
        let CoreModel { device, compiler: _ } = model.into();
        let regions = Regions::new(kernel, &live_ops(kernel));
        let loops = vec![LoopCost::default(); kernel.ops.len()];
        let mut model = Model { kernel, device, regions: &regions, fusions: fusions(kernel), loops };
        let body = model.nest(Kernel::BODY);
        let modes = [Opcode::SetRounding, Opcode::SetSaturation].into_iter().flat_map(|op| &spec(op).forms);
        let modes: u64 = modes.flat_map(|f| &f.machine).map(|m| occupied(device, m)).sum();
        let cycles = u64::from(device.core_timing.call_cycles()) + modes + body;
        KernelCost {
            call: CallCost { cycles, macs: macs_of_block(kernel, Kernel::BODY) },
            loops: model.loops,
        }
    }

    /// The call, its modes and everything outside loops.
    pub fn call(&self) -> CallCost {
        self.call
    }

    /// The cost of a loop.
    pub fn of_loop(&self, op: OpId) -> LoopCost {
        self.loops.get(op.index()).copied().unwrap_or_default()
    }
}

/// Cycles of instructions that nothing overlaps.
fn occupied(device: &Device, machine: &Machine) -> u64 {
    u64::from(device.latency_cycles(machine.latency)) * u64::from(machine.times)
}

struct Model<'a> {
    kernel: &'a Kernel,
    device: &'a Device,
    regions: &'a Regions,
    fusions: Vec<Fusion>,
    loops: Vec<LoopCost>,
}

impl Model<'_> {
    /// Cycles of one run of a block without its inner loops, whose costs are noted.
    fn nest(&mut self, block: BlockId) -> u64 {
        let mut cycles = 0;
        for region in self.regions.of(block) {
            match region {
                Region::Straight(ops) => {
                    cycles += u64::from(
                        Graph::straight(self.kernel, self.device, &self.fusions, ops).list_schedule(),
                    );
                }
                Region::Loop(op) => self.price(*op),
            }
        }
        cycles
    }

    fn price(&mut self, op: OpId) {
        let data = self.kernel.op(op);
        let Some(body) = data.body else { return };
        let timing = &self.device.core_timing;
        let branch = u64::from(timing.branch_cycles());
        // A hardware loop's end must be fetched some bundles after its registers are set.
        let bundles = u64::from(timing.loop_setup_bundles());
        let (length_cycles, next_cycles, late) = match self.regions.innermost(body) {
            Some(ops) => {
                let graph = Graph::of_loop(self.kernel, self.device, &self.fusions, data, ops);
                let length = u64::from(graph.list_schedule());
                (length, u64::from(graph.initiation_interval()), bundles.saturating_sub(length))
            }
            None => {
                let each = self.nest(body) + branch;
                (each, each, 0)
            }
        };
        let unrolled = matches!(data.imm, Imm::Loop { hint, .. } if hint.unroll);
        let guard = if runs_at_least_once(self.kernel, data) { 0 } else { branch };
        let setup_cycles = if unrolled { 0 } else { LOOP_REGISTERS + late + guard };
        self.loops[op.index()] =
            LoopCost { setup_cycles, length_cycles, next_cycles, macs: macs_of_block(self.kernel, body) };
    }
}

/// Whether bounds or hint prove a first iteration, so that no branch guards it.
fn runs_at_least_once(kernel: &Kernel, data: &OpData) -> bool {
    let constant = |value: ValueId| {
        let by = kernel.ops.iter().find(|op| op.results.first() == Some(&value))?;
        match (by.opcode, &by.imm) {
            (Opcode::SConst, Imm::Int(n)) => Some(*n),
            _ => None,
        }
    };
    let hinted = matches!(data.imm, Imm::Loop { hint, .. } if hint.min_trips > 0);
    let [lo, hi, ..] = data.operands.as_slice() else { return hinted };
    hinted || matches!((constant(*lo), constant(*hi)), (Some(lo), Some(hi)) if lo < hi)
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
