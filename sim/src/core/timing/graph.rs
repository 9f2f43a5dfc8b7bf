//! The dependence graph of a region of straight code or of one iteration of a loop.

use super::memory::{Access, Stepping, addresses, matters, may_meet, meets_after};
use super::registers::Def;
use super::resources::{Mask, SRS_UNIT, bits, load_of};
use super::select::{Selection, uses_srs_unit};
use super::{accumulates, flow_cycles, is_accumulator};
use kiln_dsl::device::Device;
use kiln_dsl::kernel::ops::{Effect, LatencyClass, Machine, Opcode, Slot, spec};
use kiln_dsl::kernel::{AccKind, Address, Kernel, OpData, OpId, ParamId, ParamKind, Type, ValueId, access};
use smallvec::SmallVec;

/// One machine instruction.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The operation it belongs to.
    pub op: Option<OpId>,
    pub mnemonic: &'static str,
    /// Slots it may issue in, preferred first.
    pub slots: &'static [Slot],
    /// Class of its result.
    pub class: LatencyClass,
    /// What it occupies besides its slot.
    pub also: Mask,
    /// Cycles after issue until the region may end.
    pub tail: u32,
    /// The register that it writes.
    pub def: Option<Def>,
    /// The memory that it accesses.
    pub memory: Option<(ParamId, bool)>,
    /// The first cycle it may issue in, of the region.
    pub earliest: u32,
    /// Of an instruction without slots, which stands for one of the loop before the region: when it
    /// really issues, from the region's first cycle.
    pub issued: i64,
}

impl Node {
    /// An instruction without register or memory.
    pub fn new(mnemonic: &'static str, slots: &'static [Slot], class: LatencyClass) -> Node {
        Node {
            op: None,
            mnemonic,
            slots,
            class,
            also: 0,
            tail: 1,
            def: None,
            memory: None,
            earliest: 0,
            issued: 0,
        }
    }
}

impl Node {
    /// Whether it multiplies.
    fn is_product(&self) -> bool {
        matches!(self.class, LatencyClass::Vmac | LatencyClass::VmacFloat)
    }
}

/// The second must issue at least `cycles` after the first of `distance` iterations before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub from: usize,
    pub to: usize,
    pub cycles: u32,
    pub distance: u32,
    /// Cycles after its issue in which the second reads the register of the first; `None`: it does not.
    pub reads_after: Option<u32>,
}

/// A use of a value from outside the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutsideUse {
    pub value: ValueId,
    pub node: usize,
}

/// Instructions and what orders them.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    /// Uses of values that are the same in all iterations, or made before the region.
    pub outside: Vec<OutsideUse>,
    /// Uses, in a loop's first iteration, of the values that it starts from.
    pub inits: Vec<OutsideUse>,
    /// Where values come from that others may use later.
    pub made: Vec<(ValueId, SmallVec<[usize; 2]>)>,
}

/// Cycles between accesses that must stay in order but pass no value: the next bundle.
const ORDER_CYCLES: u32 = 1;

/// What makes a value.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// An instruction of this graph.
    Node(usize),
    /// A carried argument of the loop, by position.
    Carried(usize),
}

impl Source {
    fn node(&self) -> Option<usize> {
        match *self {
            Source::Node(node) => Some(node),
            Source::Carried(_) => None,
        }
    }
}

/// A use of a carried argument.
struct CarriedUse {
    arg: usize,
    node: usize,
    ty: Type,
}

/// Cycles and classes of the instructions that make one value.
type Issues = SmallVec<[(i64, LatencyClass); 2]>;

/// What a pipelined loop leaves to the region after it.
#[derive(Clone, Debug, Default)]
pub(super) struct Drain {
    /// Cycle of the region, negative before it, in which each result's instructions issue.
    pub results: Vec<(ValueId, Issues)>,
    /// Last accesses: parameter, whether written, cycle and latency.
    pub accesses: Vec<(ParamId, bool, i64, u32)>,
}

/// Builds one graph, operation by operation.
pub(super) struct Builder<'k> {
    kernel: &'k Kernel,
    device: &'k Device,
    selection: &'k Selection<'k>,
    graph: Graph,
    sources: Vec<SmallVec<[Source; 2]>>,
    carried_uses: Vec<CarriedUse>,
    /// Carried values that each value starts.
    starts: Vec<u32>,
    accesses: Vec<Access<'k>>,
    drained: Vec<(ParamId, bool, i64, u32)>,
    modes: Vec<usize>,
    /// Reads and writes of the cascade, in order.
    cascade: Vec<(Opcode, usize)>,
    epoch: u32,
    /// Offset registers: value, coefficient and what writes them.
    offsets: Vec<(ValueId, i64, usize)>,
    /// The loop around, when the region holds parts of two of its iterations.
    around: Option<Stepping>,
    /// The index that scalar accesses share an offset register for.
    shared: Option<ValueId>,
    /// The index from which the addresses of local arrays are made in each iteration.
    indexed: Option<ValueId>,
}

impl<'k> Builder<'k> {
    pub fn new(kernel: &'k Kernel, device: &'k Device, selection: &'k Selection<'k>) -> Builder<'k> {
        Builder {
            kernel,
            device,
            selection,
            graph: Graph::default(),
            sources: vec![SmallVec::new(); kernel.values.len()],
            carried_uses: Vec::new(),
            starts: starts(kernel),
            accesses: Vec::new(),
            drained: Vec::new(),
            modes: Vec::new(),
            cascade: Vec::new(),
            epoch: 0,
            offsets: Vec::new(),
            around: None,
            shared: None,
            indexed: None,
        }
    }

    /// Scalar accesses at `index` share an offset register, where they are of several parameters.
    pub fn share_offset(&mut self, index: Option<ValueId>, ops: &[OpId]) {
        let Some(index) = index else { return };
        let kernel = self.kernel;
        let indexed = ops.iter().map(|&op| kernel.op(op)).filter(|data| is_scalar_access(data));
        let addresses = indexed.filter_map(|data| data.address.as_ref());
        let mut params: Vec<ParamId> =
            addresses.filter(|a| a.terms.iter().any(|t| t.0 == index)).map(|a| a.param).collect();
        params.sort_unstable();
        params.dedup();
        self.shared = Some(index).filter(|_| params.len() > 1);
    }

    /// Local arrays are accessed at an address that each iteration makes from `index`, so that nothing is known of where
    /// the next one accesses them.
    pub fn index_locals(&mut self, index: Option<ValueId>) {
        self.indexed = index;
    }

    fn is_indexed(&self, address: &Address) -> bool {
        let scratch = self.kernel.param(address.param).kind == ParamKind::Scratch;
        scratch && address.terms.iter().any(|term| Some(term.0) == self.indexed)
    }

    /// The graph of `count` iterations of the loop `data` whose body is `ops`, with what they pass on to
    /// later ones.
    pub fn of_loop(mut self, data: &OpData, ops: &[OpId], along: Stepping, count: u32) -> Graph {
        let body = data.body.map(|b| self.kernel.block(b));
        let args = body.map_or(&[][..], |b| b.args.get(1..).unwrap_or_default());
        for (i, arg) in args.iter().enumerate() {
            self.sources[arg.index()].push(Source::Carried(i));
        }
        self.add_all(ops);
        for _ in 1..count {
            self.next_iteration(data, along);
            self.offsets.clear();
            self.add_all(ops);
        }
        let yielded = body.and_then(|b| b.ops.last()).map_or(&[][..], |&op| &self.kernel.op(op).operands);
        let inits = data.operands.get(2..).unwrap_or_default();
        self.close_values(yielded, inits);
        self.close_memory(along, count);
        self.close_cascade();
        let yields = yielded.iter().zip(&data.results);
        for (&from, &to) in yields {
            self.sources[to.index()] = self.sources[from.index()].clone();
        }
        self.finish()
    }

    /// What the loop before this region leaves.
    pub fn after(&mut self, drain: &Drain) {
        for (value, issues) in &drain.results {
            let ty = self.kernel.ty(*value);
            for &(issued, class) in issues {
                let def = Def::of(ty, issues.len());
                let node = self.add_free(Node { issued, def, ..Node::new("", &[], class) });
                self.sources[value.index()].push(Source::Node(node));
            }
        }
        self.drained.extend(&drain.accesses);
    }

    /// What follows belongs to the next iteration of the loop `data`, whose body ends here.
    pub fn next_iteration(&mut self, data: &OpData, along: Stepping) {
        let body = data.body.map(|b| self.kernel.block(b));
        let args = body.map_or(&[][..], |b| b.args.get(1..).unwrap_or_default());
        let yielded = body.and_then(|b| b.ops.last()).map_or(&[][..], |&op| &self.kernel.op(op).operands);
        let next: Vec<_> = yielded.iter().map(|v| self.sources[v.index()].clone()).collect();
        for (arg, sources) in args.iter().zip(next) {
            self.sources[arg.index()] = sources;
        }
        self.epoch += 1;
        self.around = Some(along);
    }

    pub fn add_all(&mut self, ops: &[OpId]) {
        for &op in ops {
            self.add(op);
        }
    }

    /// Adds an instruction that belongs to no operation and depends on nothing.
    pub fn add_free(&mut self, node: Node) -> usize {
        self.graph.nodes.push(node);
        self.graph.nodes.len() - 1
    }

    fn add(&mut self, op: OpId) {
        let data = self.kernel.op(op);
        let stages = self.selection.of(op);
        let accessed = self.selection.accesses(op).map(|op| self.kernel.op(op));
        let nodes = self.stages(op, &stages, accessed);
        let first: Vec<usize> = nodes.first().cloned().unwrap_or_default();
        let last: Vec<usize> = match nodes.last() {
            // Products that add up: the last one has the sum.
            Some(sums) if self.graph.nodes[sums[0]].is_product() => sums[sums.len() - 1..].to_vec(),
            last => last.cloned().unwrap_or_default(),
        };
        // What the instructions load themselves is in no register before.
        let loaded = accessed.filter(|from| !std::ptr::eq(*from, data)).and_then(|from| from.results.first());
        for &value in data.operands.iter().filter(|v| Some(*v) != loaded) {
            // A sum goes into the product, whatever comes before that.
            let product = nodes.last().and_then(|sums| sums.first());
            match product
                .filter(|&&n| is_accumulator(self.kernel.ty(value)) && self.graph.nodes[n].is_product())
            {
                Some(&product) => self.use_value(value, &[product]),
                None => self.use_value(value, &first),
            }
        }
        for &(value, coefficient) in accessed.iter().flat_map(|d| d.address.iter()).flat_map(|a| &a.terms) {
            let indexed = accessed.and_then(|d| d.address.as_ref()).is_some_and(|a| self.is_indexed(a));
            let shares = indexed || self.shared == Some(value) && accessed.is_some_and(is_scalar_access);
            if let Some(offset) = self.offset(op, value, coefficient, shares) {
                let offset = if indexed { self.pointer(op, offset) } else { offset };
                first.iter().for_each(|&node| self.flow(offset, node, Type::Scalar, 0));
            }
        }
        // An operation without instructions renames its operands.
        let made: SmallVec<[Source; 2]> = if nodes.is_empty() {
            data.operands.iter().flat_map(|v| self.sources[v.index()].clone()).collect()
        } else {
            last.iter().map(|&n| Source::Node(n)).collect()
        };
        for result in &data.results {
            self.define(*result, &last);
            self.sources[result.index()] = made.clone();
            self.start_again(op, *result, &last);
        }
        self.order(accessed.filter(|_| !nodes.is_empty()).unwrap_or(data), nodes.concat());
    }

    /// The instruction that puts an address term made here into an offset register, scaled to bytes
    /// before. Loop indices, unless accesses share them, and values from outside are in pointers that step.
    fn offset(&mut self, op: OpId, value: ValueId, coefficient: i64, shares: bool) -> Option<usize> {
        let made: SmallVec<[usize; 2]> =
            self.sources[value.index()].iter().filter_map(Source::node).collect();
        if made.is_empty() && !shares {
            return None;
        }
        if let Some(&(.., node)) = self.offsets.iter().find(|o| (o.0, o.1) == (value, coefficient)) {
            return Some(node);
        }
        let one =
            |mnemonic, slots| Node { op: Some(op), ..Node::new(mnemonic, slots, LatencyClass::ScalarAlu) };
        let scale = (coefficient != 1).then(|| self.add_free(one("lshl", &[Slot::Alu])));
        let node = self.add_free(one("mov", &[Slot::Mv]));
        if let Some(scale) = scale {
            self.flow(scale, node, Type::Scalar, 0);
        }
        made.iter().for_each(|&from| self.flow(from, scale.unwrap_or(node), Type::Scalar, 0));
        self.offsets.push((value, coefficient, node));
        Some(node)
    }

    /// The pointer of an offset: an access of several parts has no room for both.
    fn pointer(&mut self, op: OpId, offset: usize) -> usize {
        let one = Node::new("padd", &[Slot::St, Slot::Ldb, Slot::Lda], LatencyClass::ScalarAlu);
        let node = self.add_free(Node { op: Some(op), ..one });
        self.flow(offset, node, Type::Scalar, 0);
        node
    }

    /// Says which registers the instructions that make `value` write: together, all of it.
    fn define(&mut self, value: ValueId, nodes: &[usize]) {
        let def = Def::of(self.kernel.ty(value), nodes.len());
        for &node in nodes {
            self.graph.nodes[node].def = def;
        }
    }

    /// A value that starts several carried values is in the registers of each: made again where that
    /// needs no operand, else copied.
    fn start_again(&mut self, op: OpId, value: ValueId, made: &[usize]) {
        let data = self.kernel.op(op);
        let (ty, again) = (self.kernel.ty(value), data.operands.is_empty() && data.address.is_none());
        for _ in 1..self.starts[value.index()] {
            let copies: Vec<Node> = match again {
                true => made.iter().map(|&n| self.graph.nodes[n].clone()).collect(),
                false => vec![copy(op, ty)],
            };
            for node in copies {
                let at = self.add_free(node);
                if !again {
                    made.iter().for_each(|&from| self.flow(from, at, ty, 0));
                }
                self.sources[value.index()].push(Source::Node(at));
            }
        }
    }

    /// Adds the instructions of an operation; each stage waits for the one before.
    fn stages(&mut self, op: OpId, stages: &[Machine], accessed: Option<&OpData>) -> Vec<Vec<usize>> {
        let mut added: Vec<Vec<usize>> = Vec::new();
        let address = accessed.and_then(|data| data.address.as_ref().map(|a| (data, a.param)));
        for machine in stages {
            let mut stage = Vec::new();
            for _ in 0..machine.times {
                let mut node = Node::new(machine.mnemonic, machine.slots, machine.latency);
                node.op = Some(op);
                node.def = Def::between(machine.latency);
                if let Some((data, param)) = address.filter(|_| touches_memory(machine)) {
                    node.memory = Some((param, spec(data.opcode).effect == Effect::Write));
                    if machine.latency != LatencyClass::LoadScalar && spec(data.opcode).effect == Effect::Read
                    {
                        node.also |= load_of(param);
                    }
                }
                if machine.latency == LatencyClass::LoadLut {
                    // Both load units (`isa_timing` section 2).
                    node.also = bits(Slot::Lda);
                }
                if uses_srs_unit(machine.mnemonic) {
                    node.also |= SRS_UNIT;
                }
                let at = self.add_free(node);
                let before = added.last().map_or(&[][..], Vec::as_slice);
                for (i, &from) in before.iter().enumerate() {
                    let is_product = self.graph.nodes[at].is_product();
                    if !is_product || multiplies(i, before.len(), stage.len(), machine.times) {
                        self.flow(from, at, Type::Scalar, 0);
                    }
                }
                // Several products of one operation add up in one accumulator.
                if let (Some(&before), Some(_)) = (stage.last(), accumulates(machine.latency)) {
                    self.flow(before, at, Type::accum(AccKind::Acc32, 16), 0);
                }
                stage.push(at);
            }
            added.push(stage);
        }
        added
    }

    fn use_value(&mut self, value: ValueId, users: &[usize]) {
        let ty = self.kernel.ty(value);
        let sources = self.sources[value.index()].clone();
        for &node in users {
            if sources.is_empty() {
                self.graph.outside.push(OutsideUse { value, node });
            }
            for &source in &sources {
                match source {
                    Source::Node(from) => self.flow(from, node, ty, 0),
                    Source::Carried(arg) => self.carried_uses.push(CarriedUse { arg, node, ty }),
                }
            }
        }
    }

    fn not_before(&mut self, node: usize, cycle: i64) {
        let node = &mut self.graph.nodes[node];
        node.earliest = node.earliest.max(u32::try_from(cycle).unwrap_or(0));
    }

    fn flow(&mut self, from: usize, to: usize, ty: Type, distance: u32) {
        let class = self.graph.nodes[to].class;
        let Node { class: made_by, issued, .. } = self.graph.nodes[from];
        let cycles = i64::from(flow_cycles(self.device, made_by, class, ty)) + issued;
        let cycles = u32::try_from(cycles).unwrap_or(0);
        let late = is_accumulator(ty) && accumulates(class).is_some();
        let reads_after = if late { self.device.core_timing.accumulator_read_cycle() - 1 } else { 0 };
        self.graph.edges.push(Edge { from, to, cycles, distance, reads_after: Some(reads_after) });
    }

    fn keep_order(&mut self, from: usize, to: usize, cycles: u32, distance: u32) {
        self.graph.edges.push(Edge { from, to, cycles, distance, reads_after: None });
    }

    /// Orders memory accesses, mode changes and the cascade after what came before them in this iteration.
    fn order(&mut self, data: &'k OpData, nodes: Vec<usize>) {
        if nodes.is_empty() {
            return;
        }
        for mode in self.modes.clone() {
            let cycles = self.device.latency_cycles(self.graph.nodes[mode].class);
            nodes.iter().for_each(|&to| self.keep_order(mode, to, cycles, 0));
        }
        if spec(data.opcode).effect == Effect::Mode {
            for &to in &nodes {
                (0..nodes[0]).for_each(|from| self.keep_order(from, to, ORDER_CYCLES, 0));
            }
            self.modes.extend(&nodes);
        }
        if spec(data.opcode).effect == Effect::Cascade {
            for &to in &nodes {
                let before = self.cascade.iter().rev().find(|(opcode, _)| *opcode == data.opcode).copied();
                if let Some((_, from)) = before {
                    self.keep_order(from, to, self.cascade_cycles(data.opcode), 0);
                }
                self.cascade.push((data.opcode, to));
            }
        }
        self.order_memory(data, nodes);
    }

    fn order_memory(&mut self, data: &'k OpData, nodes: Vec<usize>) {
        let nodes: Vec<usize> = nodes.into_iter().filter(|&n| self.graph.nodes[n].memory.is_some()).collect();
        let writes = spec(data.opcode).effect == Effect::Write;
        let excludes = nodes.iter().any(|&n| self.graph.nodes[n].class == LatencyClass::PartStore);
        for address in addresses(data) {
            // A lookup may read its whole table.
            let whole = self.kernel.param(address.param).bytes();
            let size_bytes = access(self.kernel, data).map_or(whole, |a| u64::from(a.size_bytes));
            let (nodes, epoch) = (nodes.clone(), self.epoch);
            self.order_access(Access { address, size_bytes, writes, excludes, nodes, epoch });
        }
    }

    fn order_access(&mut self, access: Access<'k>) {
        let (param, writes) = (access.address.param, access.writes);
        let drained = self.drained.clone();
        for (_, written, cycle, latency) in drained.iter().filter(|d| d.0 == param && (d.1 || writes)) {
            let wait = if *written && !writes { *latency } else { ORDER_CYCLES };
            for &node in &access.nodes {
                self.not_before(node, cycle + i64::from(wait));
            }
        }
        let before = std::mem::take(&mut self.accesses);
        for earlier in &before {
            let meets = match self.around {
                Some(along) if earlier.epoch != access.epoch => {
                    let apart = access.epoch - earlier.epoch;
                    let ordered = (earlier.excludes && access.excludes) || matters(earlier, &access);
                    ordered
                        && self.meets_after(earlier, &access, along).is_some_and(|distance| distance <= apart)
                }
                _ => may_meet(earlier, &access),
            };
            if meets {
                self.join(earlier, &access, 0);
            }
        }
        self.accesses = before;
        self.accesses.push(access);
    }

    fn join(&mut self, earlier: &Access, later: &Access, distance: u32) {
        for &from in &earlier.nodes {
            for &to in &later.nodes {
                let passes = earlier.excludes || (earlier.writes && !later.writes);
                let latency = self.device.latency_cycles(self.graph.nodes[from].class);
                self.keep_order(from, to, if passes { latency } else { ORDER_CYCLES }, distance);
            }
        }
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
            let of: Vec<usize> = self.cascade.iter().filter(|c| c.0 == opcode).map(|c| c.1).collect();
            if let (Some(&first), Some(&last)) = (of.first(), of.last()) {
                self.keep_order(last, first, self.cascade_cycles(opcode), 1);
            }
        }
    }

    /// Edges from what is yielded to the uses of the carried arguments in later iterations; in the
    /// first they use `inits`.
    fn close_values(&mut self, yielded: &[ValueId], inits: &[ValueId]) {
        for CarriedUse { arg, node, ty } in std::mem::take(&mut self.carried_uses) {
            if let Some(&value) = inits.get(arg) {
                self.graph.inits.push(OutsideUse { value, node });
            }
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
    fn close_memory(&mut self, along: Stepping, count: u32) {
        let accesses = std::mem::take(&mut self.accesses);
        for earlier in &accesses {
            for later in &accesses {
                let Some(distance) = self.meets_after(earlier, later, along) else { continue };
                // In trips of `count` iterations; 0: in the same trip, where the order is there already.
                let trips = (distance + earlier.epoch).saturating_sub(later.epoch).div_ceil(count);
                if trips > 0 {
                    self.join(earlier, later, trips);
                }
            }
        }
        self.accesses = accesses;
        // A mode set in one iteration governs the next.
        for mode in self.modes.clone() {
            let cycles = self.device.latency_cycles(self.graph.nodes[mode].class);
            (0..self.graph.nodes.len()).for_each(|to| self.keep_order(mode, to, cycles, 1));
            (0..self.graph.nodes.len()).for_each(|from| self.keep_order(from, mode, ORDER_CYCLES, 1));
        }
    }

    fn meets_after(&self, earlier: &Access, later: &Access, along: Stepping) -> Option<u32> {
        if matters(earlier, later) && self.is_indexed(&earlier.address) {
            return Some(1);
        }
        // A term made in the loop may have any value in the next iteration.
        meets_after(earlier, later, along, |value| self.sources[value.index()].is_empty())
    }

    /// The graph, with what makes each value.
    pub fn finish(mut self) -> Graph {
        for (i, sources) in self.sources.iter().enumerate() {
            let nodes: SmallVec<[usize; 2]> = sources.iter().filter_map(Source::node).collect();
            if !nodes.is_empty() {
                self.graph.made.push((ValueId(i as u32), nodes));
            }
        }
        self.graph
    }
}

impl Graph {
    /// Makes the region last until values that `is_awaited` says others wait for are there.
    pub fn await_results(&mut self, device: &Device, is_awaited: impl Fn(ValueId) -> bool) {
        for (_, nodes) in self.made.iter().filter(|(value, _)| is_awaited(*value)) {
            for &node in nodes {
                let node = &mut self.nodes[node];
                node.tail = node.tail.max(device.latency_cycles(node.class));
            }
        }
    }
}

/// Whether product `n` of `products` takes half `i` of `halves`: of one operand, or of the left and then of the right
/// one. The products go through the left halves once and through the right ones each time.
fn multiplies(i: usize, halves: usize, n: usize, products: u8) -> bool {
    match i / 2 {
        _ if halves < 2 => true,
        0 => i == n * 2 / usize::from(products).max(1),
        _ => i - 2 == n % 2,
    }
}

/// Whether an operation loads or stores one element.
fn is_scalar_access(data: &OpData) -> bool {
    matches!(data.opcode, Opcode::SLoad | Opcode::SStore)
}

/// Whether an instruction of a load, store or lookup is the one that accesses memory.
fn touches_memory(machine: &Machine) -> bool {
    matches!(
        machine.latency,
        LatencyClass::LoadScalar
            | LatencyClass::LoadVector
            | LatencyClass::LoadUps
            | LatencyClass::LoadLut
            | LatencyClass::Store
            | LatencyClass::PartStore
    )
}

fn starts(kernel: &Kernel) -> Vec<u32> {
    let mut starts = vec![0; kernel.values.len()];
    for op in kernel.ops.iter().filter(|op| op.opcode == Opcode::For) {
        op.operands.iter().skip(2).for_each(|v| starts[v.index()] += 1);
    }
    starts
}

/// A register copy (`isa_timing` section 1).
fn copy(op: OpId, ty: Type) -> Node {
    let (mnemonic, slots, class): (_, &'static [Slot], _) = match ty {
        Type::Scalar | Type::Mask { .. } => ("mov", &[Slot::Mv, Slot::Alu], LatencyClass::ScalarAlu),
        Type::Vector { .. } => ("vmov", &[Slot::Mv], LatencyClass::VectorAlu),
        Type::Accum { kind: AccKind::AccFloat, .. } => ("vmov", &[Slot::Vec], LatencyClass::AccAluFloat),
        Type::Accum { .. } => ("vmov", &[Slot::Vec], LatencyClass::AccAlu),
    };
    Node { op: Some(op), def: Def::of(ty, 1), ..Node::new(mnemonic, slots, class) }
}
