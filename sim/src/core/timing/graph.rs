//! The dependence graph of a straight run of operations or of one loop iteration.

use super::fuse::{Fusion, loading};
use super::{accumulates, flow_cycles};
use kiln_dsl::device::Device;
use kiln_dsl::kernel::ops::{Effect, LatencyClass, Machine, Opcode, Slot, form, scalar_store_machine, spec};
use kiln_dsl::kernel::{AccKind, Address, Imm, Kernel, OpData, OpId, Type, ValueId, access};
use smallvec::SmallVec;

/// One machine instruction.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Slots it may issue in, preferred first.
    pub slots: &'static [Slot],
    /// Class of its result.
    pub class: LatencyClass,
    /// Cycles after issue until the run may end: the latency of results that others wait for.
    pub tail: u32,
}

/// The second must issue at least `cycles` after the first of `distance` iterations before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub from: usize,
    pub to: usize,
    pub cycles: u32,
    pub distance: u32,
}

/// Instructions and what orders them.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
}

/// Cycles between accesses that must stay in order but pass no value: the next bundle.
const ORDER_CYCLES: u32 = 1;

/// What makes a value.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// An instruction of this iteration.
    Node(usize),
    /// A carried argument of the loop, by position.
    Carried(usize),
}

/// A use of a carried argument.
struct CarriedUse {
    arg: usize,
    node: usize,
    ty: Type,
}

struct Access<'k> {
    address: &'k Address,
    size_bytes: u64,
    writes: bool,
    /// Reads, changes and writes a word: keeps all other accesses off (`isa_timing` section 2).
    excludes: bool,
    nodes: Vec<usize>,
}

struct Builder<'k> {
    kernel: &'k Kernel,
    device: &'k Device,
    graph: Graph,
    sources: Vec<SmallVec<[Source; 2]>>,
    carried_uses: Vec<CarriedUse>,
    fusions: &'k [Fusion],
    /// Carried values that each value starts.
    starts: Vec<u32>,
    accesses: Vec<Access<'k>>,
    modes: Vec<usize>,
    /// Reads and writes of the cascade, in order.
    cascade: Vec<(Opcode, usize)>,
}

impl Graph {
    /// The graph of a straight run; results used elsewhere have their latency as tail.
    pub fn straight(kernel: &Kernel, device: &Device, fusions: &[Fusion], ops: &[OpId]) -> Graph {
        let mut builder = Builder::new(kernel, device, fusions);
        builder.add_all(ops);
        builder.finish(ops)
    }

    /// The graph of one iteration of the loop `data` whose body is `ops`, with what iterations
    /// pass on to later ones.
    pub fn of_loop(
        kernel: &Kernel,
        device: &Device,
        fusions: &[Fusion],
        data: &OpData,
        ops: &[OpId],
    ) -> Graph {
        let mut builder = Builder::new(kernel, device, fusions);
        let body = data.body.map(|b| kernel.block(b));
        let args = body.map_or(&[][..], |b| b.args.get(1..).unwrap_or_default());
        for (i, arg) in args.iter().enumerate() {
            builder.sources[arg.index()].push(Source::Carried(i));
        }
        builder.add_all(ops);
        let yielded = body.and_then(|b| b.ops.last()).map_or(&[][..], |&op| &kernel.op(op).operands);
        builder.close_values(yielded);
        builder.close_memory(data);
        builder.close_cascade();
        builder.finish(ops)
    }
}

impl<'k> Builder<'k> {
    fn new(kernel: &'k Kernel, device: &'k Device, fusions: &'k [Fusion]) -> Builder<'k> {
        Builder {
            kernel,
            device,
            graph: Graph::default(),
            sources: vec![SmallVec::new(); kernel.values.len()],
            carried_uses: Vec::new(),
            fusions,
            starts: starts(kernel),
            accesses: Vec::new(),
            modes: Vec::new(),
            cascade: Vec::new(),
        }
    }

    fn add_all(&mut self, ops: &[OpId]) {
        for &op in ops {
            self.add(op);
        }
    }

    fn add(&mut self, op: OpId) {
        let (kernel, data) = (self.kernel, self.kernel.op(op));
        let (stages, load) = match self.fusions[op.index()] {
            Fusion::None => (machine(kernel, data), None),
            Fusion::Absorbed => (Vec::new(), None),
            Fusion::Loads(load) => (loading(kernel, op), Some(kernel.op(load))),
        };
        let nodes = self.stages(&stages);
        let first: Vec<usize> = nodes.first().cloned().unwrap_or_default();
        let last: Vec<usize> = nodes.last().cloned().unwrap_or_default();
        let terms = data.address.iter().flat_map(|a| a.terms.iter().map(|(v, _)| v));
        let used: Vec<ValueId> = data.operands.iter().chain(terms).copied().collect();
        for &value in &used {
            self.use_value(value, &first);
        }
        // An operation without instructions renames its operands.
        let made: SmallVec<[Source; 2]> = if nodes.is_empty() {
            used.iter().flat_map(|v| self.sources[v.index()].clone()).collect()
        } else {
            last.iter().map(|&n| Source::Node(n)).collect()
        };
        for result in &data.results {
            self.sources[result.index()] = made.clone();
            self.copy_starts(*result, &made);
        }
        if self.fusions[op.index()] != Fusion::Absorbed {
            self.order(load.unwrap_or(data), nodes.concat());
        }
    }

    /// A value that starts several carried values is copied into the registers of all but one.
    fn copy_starts(&mut self, value: ValueId, made: &[Source]) {
        let ty = self.kernel.ty(value);
        let (slots, class) = copy(ty);
        for _ in 1..self.starts[value.index()] {
            let node = self.graph.nodes.len();
            let tail = self.device.latency_cycles(class);
            self.graph.nodes.push(Node { slots, class, tail });
            for source in made {
                if let Source::Node(from) = *source {
                    self.flow(from, node, ty, 0);
                }
            }
        }
    }

    /// Adds the instructions of an operation; each stage waits for the one before.
    fn stages(&mut self, stages: &[Machine]) -> Vec<Vec<usize>> {
        let mut added: Vec<Vec<usize>> = Vec::new();
        for machine in stages {
            let mut stage = Vec::new();
            for _ in 0..machine.times {
                let node = self.graph.nodes.len();
                self.graph.nodes.push(Node { slots: machine.slots, class: machine.latency, tail: 1 });
                for &before in added.last().into_iter().flatten() {
                    let class = self.graph.nodes[before].class;
                    let cycles = flow_cycles(self.device, class, machine.latency, Type::Scalar);
                    self.graph.edges.push(Edge { from: before, to: node, cycles, distance: 0 });
                }
                // Several products of one operation add up in one accumulator.
                if let (Some(&before), Some(_)) = (stage.last(), accumulates(machine.latency)) {
                    let ty = Type::accum(AccKind::Acc32, 16);
                    let cycles = flow_cycles(self.device, machine.latency, machine.latency, ty);
                    self.graph.edges.push(Edge { from: before, to: node, cycles, distance: 0 });
                }
                stage.push(node);
            }
            added.push(stage);
        }
        added
    }

    fn use_value(&mut self, value: ValueId, users: &[usize]) {
        let ty = self.kernel.ty(value);
        for source in self.sources[value.index()].clone() {
            for &node in users {
                match source {
                    Source::Node(from) => self.flow(from, node, ty, 0),
                    Source::Carried(arg) => self.carried_uses.push(CarriedUse { arg, node, ty }),
                }
            }
        }
    }

    fn flow(&mut self, from: usize, to: usize, ty: Type, distance: u32) {
        let cycles = flow_cycles(self.device, self.graph.nodes[from].class, self.graph.nodes[to].class, ty);
        self.graph.edges.push(Edge { from, to, cycles, distance });
    }

    /// Orders memory accesses, mode changes and the cascade after what came before them in this iteration.
    fn order(&mut self, data: &'k OpData, nodes: Vec<usize>) {
        for &mode in &self.modes {
            let cycles = self.device.latency_cycles(self.graph.nodes[mode].class);
            self.graph.edges.extend(nodes.iter().map(|&to| Edge { from: mode, to, cycles, distance: 0 }));
        }
        if spec(data.opcode).effect == Effect::Mode {
            let before = 0..nodes.first().copied().unwrap_or(0);
            for &to in &nodes {
                let edge = |from| Edge { from, to, cycles: ORDER_CYCLES, distance: 0 };
                self.graph.edges.extend(before.clone().map(edge));
            }
            self.modes.extend(&nodes);
        }
        if spec(data.opcode).effect == Effect::Cascade {
            for &to in &nodes {
                let before = self.cascade.iter().rev().find(|(opcode, _)| *opcode == data.opcode);
                if let Some(&(_, from)) = before {
                    let cycles = self.cascade_cycles(data.opcode);
                    self.graph.edges.push(Edge { from, to, cycles, distance: 0 });
                }
                self.cascade.push((data.opcode, to));
            }
        }
        let Some(address) = &data.address else { return };
        let writes = spec(data.opcode).effect == Effect::Write;
        // A lookup may read its whole table.
        let whole = self.kernel.param(address.param).bytes();
        let size_bytes = access(self.kernel, data).map_or(whole, |a| u64::from(a.size_bytes));
        let excludes = nodes.iter().any(|&n| self.graph.nodes[n].class == LatencyClass::PartStore);
        let access = Access { address, size_bytes, writes, excludes, nodes };
        for before in &self.accesses {
            if may_meet(before, &access) {
                join(&mut self.graph, self.device, before, &access, 0);
            }
        }
        self.accesses.push(access);
    }

    /// Cycles from one read or write of the cascade to the next of its kind.
    fn cascade_cycles(&self, opcode: Opcode) -> u32 {
        match opcode {
            Opcode::CascadePut => self.device.core_timing.cascade_write_cycles(),
            _ => ORDER_CYCLES,
        }
    }

    /// Keeps the cascade's order from one iteration to the next.
    fn close_cascade(&mut self) {
        for opcode in [Opcode::CascadePut, Opcode::CascadeGet] {
            let mut of = self.cascade.iter().filter(|c| c.0 == opcode).map(|c| c.1);
            if let Some(first) = of.next() {
                let (from, cycles) = (of.next_back().unwrap_or(first), self.cascade_cycles(opcode));
                self.graph.edges.push(Edge { from, to: first, cycles, distance: 1 });
            }
        }
    }

    /// Edges from what is yielded to the uses of the carried arguments in later iterations.
    fn close_values(&mut self, yielded: &[ValueId]) {
        for CarriedUse { arg, node, ty } in std::mem::take(&mut self.carried_uses) {
            let mut seen = vec![false; yielded.len()];
            let mut work = vec![(arg, 1)];
            while let Some((arg, distance)) = work.pop() {
                let Some(&value) = yielded.get(arg).filter(|_| !std::mem::replace(&mut seen[arg], true))
                else {
                    continue;
                };
                for source in self.sources[value.index()].clone() {
                    match source {
                        Source::Node(from) => self.flow(from, node, ty, distance),
                        Source::Carried(next) => work.push((next, distance + 1)),
                    }
                }
            }
        }
    }

    /// Edges between accesses of one iteration and those of later ones that they must stay before.
    fn close_memory(&mut self, data: &OpData) {
        let index = data.body.and_then(|b| self.kernel.block(b).args.first().copied());
        let step = match data.imm {
            Imm::Loop { step, .. } => i64::from(step),
            _ => 1,
        };
        for earlier in &self.accesses {
            for later in &self.accesses {
                if let Some(distance) = self.meets_after(earlier, later, index, step) {
                    join(&mut self.graph, self.device, earlier, later, distance);
                }
            }
        }
        // A mode set in one iteration governs the next.
        for &mode in &self.modes {
            let cycles = self.device.latency_cycles(self.graph.nodes[mode].class);
            let edge = |to| Edge { from: mode, to, cycles, distance: 1 };
            self.graph.edges.extend((0..self.graph.nodes.len()).map(edge));
            let edge = |from| Edge { from, to: mode, cycles: ORDER_CYCLES, distance: 1 };
            self.graph.edges.extend((0..self.graph.nodes.len()).map(edge));
        }
    }

    /// The least number of iterations after which `later` may touch bytes of `earlier`.
    fn meets_after(
        &self,
        earlier: &Access,
        later: &Access,
        index: Option<ValueId>,
        step: i64,
    ) -> Option<u32> {
        if earlier.excludes || later.excludes {
            return Some(1);
        }
        if !matters(earlier, later) {
            return None;
        }
        // A term made in the loop may have any value in the next iteration.
        let is_steady =
            |&(value, _): &(ValueId, i64)| Some(value) == index || self.sources[value.index()].is_empty();
        if !same_terms(earlier, later) || !earlier.address.terms.iter().all(is_steady) {
            return Some(1);
        }
        let along = earlier.address.terms.iter().find(|(v, _)| Some(*v) == index);
        let moves = along.map_or(0, |&(_, coefficient)| i128::from(coefficient) * i128::from(step));
        let gap = i128::from(later.address.offset_bytes) - i128::from(earlier.address.offset_bytes);
        let sizes = [earlier, later].map(|a| i128::from(a.size_bytes));
        // After d iterations `later` starts gap + d * moves after `earlier` did.
        let meets = |d: i128| gap + d * moves < sizes[0] && -sizes[1] < gap + d * moves;
        if moves == 0 {
            return meets(1).then_some(1);
        }
        // Only distances near the zero of gap + d * moves can meet.
        let reach = (sizes[0] + sizes[1]) / moves.abs() + 1;
        let centre = -gap / moves;
        (centre - reach..=centre + reach)
            .filter(|&d| d >= 1)
            .find(|&d| meets(d))
            .and_then(|d| u32::try_from(d).ok())
    }

    /// Sets the tails of results that are used outside `ops`.
    fn finish(mut self, ops: &[OpId]) -> Graph {
        let mut inside = vec![false; self.kernel.ops.len()];
        ops.iter().for_each(|op| inside[op.index()] = true);
        for (op, _) in self.kernel.ops.iter().zip(inside).filter(|(_, inside)| !inside) {
            let terms = op.address.iter().flat_map(|a| a.terms.iter().map(|(v, _)| v));
            for value in op.operands.iter().chain(terms) {
                for source in &self.sources[value.index()] {
                    if let Source::Node(node) = *source {
                        let node = &mut self.graph.nodes[node];
                        node.tail = node.tail.max(self.device.latency_cycles(node.class));
                    }
                }
            }
        }
        self.graph
    }
}

fn starts(kernel: &Kernel) -> Vec<u32> {
    let mut starts = vec![0; kernel.values.len()];
    for op in kernel.ops.iter().filter(|op| op.opcode == Opcode::For) {
        op.operands.iter().skip(2).for_each(|v| starts[v.index()] += 1);
    }
    starts
}

/// Slot and class of a register copy (`isa_timing` section 1).
fn copy(ty: Type) -> (&'static [Slot], LatencyClass) {
    match ty {
        Type::Scalar | Type::Mask { .. } => (&[Slot::Mv, Slot::Alu], LatencyClass::ScalarAlu),
        Type::Vector { .. } => (&[Slot::Mv], LatencyClass::VectorAlu),
        Type::Accum { kind: AccKind::AccFloat, .. } => (&[Slot::Vec], LatencyClass::AccAluFloat),
        Type::Accum { .. } => (&[Slot::Vec], LatencyClass::AccAlu),
    }
}

/// The instructions of an operation. A scalar store's depend on the width, which is the parameter's.
fn machine(kernel: &Kernel, data: &OpData) -> Vec<Machine> {
    match (&data.address, data.opcode) {
        (Some(address), Opcode::SStore) => vec![scalar_store_machine(kernel.param(address.param).elem)],
        _ => form(kernel, data).map(|f| f.machine.clone()).unwrap_or_default(),
    }
}

fn join(graph: &mut Graph, device: &Device, earlier: &Access, later: &Access, distance: u32) {
    for &from in &earlier.nodes {
        for &to in &later.nodes {
            let passes = earlier.excludes || (earlier.writes && !later.writes);
            let cycles = if passes { device.latency_cycles(graph.nodes[from].class) } else { ORDER_CYCLES };
            graph.edges.push(Edge { from, to, cycles, distance });
        }
    }
}

/// Whether two accesses must stay in order if they share a byte.
fn matters(a: &Access, b: &Access) -> bool {
    (a.writes || b.writes) && a.address.param == b.address.param
}

/// Whether two accesses of one iteration may share a byte, or one keeps the other off.
fn may_meet(a: &Access, b: &Access) -> bool {
    let end = |a: &Access| i128::from(a.address.offset_bytes) + i128::from(a.size_bytes);
    let apart = |a: &Access, b: &Access| end(a) <= i128::from(b.address.offset_bytes);
    a.excludes || b.excludes || (matters(a, b) && !(same_terms(a, b) && (apart(a, b) || apart(b, a))))
}

fn same_terms(a: &Access, b: &Access) -> bool {
    a.address.terms.len() == b.address.terms.len()
        && a.address.terms.iter().all(|t| b.address.terms.contains(t))
}
