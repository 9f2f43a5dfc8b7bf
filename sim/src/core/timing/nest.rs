//! A kernel's loop nest: innermost loops pipelined, the code around them scheduled with their starts
//! and ends, sections and costs collected.
//!
//! A pipelined loop of known length lends its start (the iterations that fill it) to the straight code
//! before it and its end to the code after it, where both share bundles with what stands there.

use super::compiler::{
    Body, Known, Names, indexes_locals, overlaps_groups, pipelining, shares_offsets, steps_in_dimensions,
    unrolled,
};
use super::graph::{Builder, Drain, Graph, Node};
use super::list::{Room, Straight};
use super::listing::{Bundle, LoopFacts, Page, Section, SectionKind, bound};
use super::memory::Stepping;
use super::modulo::{Limit, Pipelined};
use super::region::{Region, Regions};
use super::registers::{Parts, RegisterFile, held};
use super::resources::Mask;
use super::select::{Selection, constant_trips};
use super::{CoreModel, LoopCost, flow_cycles, macs_of_block};
use kiln_dsl::device::Device;
use kiln_dsl::kernel::ops::{Effect, LatencyClass, Opcode, Slot, spec};
use kiln_dsl::kernel::{
    Address, BlockId, Imm, Kernel, LoopHint, OpData, OpId, ParamId, ParamKind, Type, ValueId, access,
};

/// An innermost loop's schedule.
enum Inner<'k> {
    /// Pipelined; its start and end are in the code around it.
    Merged { op: OpId, graph: Graph, plan: Pipelined },
    /// By itself: pipelined for an unknown number of iterations, not pipelined, or around others.
    Alone { ops: Vec<&'k OpId> },
}

/// Straight code between loops, scheduled.
struct Code {
    cycles: u64,
    bundles: Vec<Bundle>,
    /// Parts of registers that go to the stack and come back.
    spilled: u32,
}

/// Schedules a kernel.
pub(super) struct Nest<'k> {
    kernel: &'k Kernel,
    model: CoreModel<'k>,
    selection: &'k Selection<'k>,
    regions: &'k Regions,
    most: Parts,
    /// By operation id.
    pub loops: Vec<LoopCost>,
}

impl<'k> Nest<'k> {
    pub fn new(
        kernel: &'k Kernel,
        model: CoreModel<'k>,
        selection: &'k Selection<'k>,
        regions: &'k Regions,
    ) -> Nest<'k> {
        let loops = vec![LoopCost::default(); kernel.ops.len()];
        let most = Parts::of_core(model.device);
        Nest { kernel, model, selection, regions, most, loops }
    }

    fn device(&self) -> &'k Device {
        self.model.device
    }

    /// Schedules the kernel's body: its cycles without those of loops, and all sections in order.
    pub fn kernel(&mut self) -> (u64, Vec<Section>) {
        let (cycles, _, sections) = self.block(Kernel::BODY, None, None, 0);
        (cycles, sections)
    }

    /// Schedules a block, the body of the loop `within`, which the loop `outer` is around. Gives the cycles of
    /// one run without inner loops, what the first run takes more, and the sections.
    fn block(
        &mut self,
        block: BlockId,
        within: Option<OpId>,
        outer: Option<OpId>,
        depth: u32,
    ) -> (u64, u64, Vec<Section>) {
        let around = within.map(|op| self.kernel.op(op));
        let (mut runs, mut loops): (Vec<&'k [OpId]>, Vec<OpId>) = (vec![&[]], Vec::new());
        for region in self.regions.of(block) {
            match region {
                Region::Straight(ops) => *runs.last_mut().expect("never empty") = ops,
                Region::Loop(op) => {
                    loops.push(*op);
                    runs.push(&[]);
                }
            }
        }
        let mut inners = Vec::new();
        let mut inner_sections = Vec::new();
        for &op in &loops {
            let (inner, sections) = self.inner(op, within, depth);
            inners.push(inner);
            inner_sections.push(sections);
        }
        let last = runs.len() - 1;
        let place = |k: usize| Place {
            after: k.checked_sub(1).and_then(|k| inners.get(k)),
            before: inners.get(k),
            around,
            is_first: k == 0,
            is_last: k == last,
        };
        let mut codes: Vec<Code> = (0..=last).map(|k| self.code(&[runs[k]], &place(k))).collect();
        let mut cycles: u64 = codes.iter().map(|c| c.cycles).sum();
        let mut more = 0;
        if let (Some(_), true, 1..) = (around, overlaps_groups(self.model.compiler), last) {
            let turn = Place {
                after: inners.last(),
                before: inners.first(),
                around,
                is_first: false,
                is_last: true,
            };
            let code = self.code(&[runs[last], runs[0]], &turn);
            let apart = codes[0].cycles + codes[last].cycles;
            if code.cycles < apart {
                more = apart - code.cycles;
                cycles -= more;
                codes[last] = code;
            }
        }
        let mut sections = Vec::new();
        for (k, (code, inner)) in
            codes.into_iter().zip(inner_sections.into_iter().map(Some).chain([None])).enumerate()
        {
            if !code.bundles.is_empty() {
                let title = match (around, k == last, more > 0) {
                    (None, _, _) if k == 0 => "start".to_owned(),
                    (None, true, _) => "end".to_owned(),
                    (Some(_), true, true) => "end of an iteration with the start of the next".to_owned(),
                    (Some(_), _, _) if k == 0 => "start of an iteration".to_owned(),
                    (Some(_), true, _) => "end of an iteration".to_owned(),
                    _ => "between loops".to_owned(),
                };
                // Where iterations overlap, the start of the first alone runs before the loop.
                let within = if k == 0 && more > 0 { outer } else { within };
                let kind = SectionKind::Straight;
                let Code { bundles, spilled, .. } = code;
                sections.push(Section { title, depth, within, kind, bundles, spilled });
            }
            sections.extend(inner.into_iter().flatten());
        }
        (cycles, more, sections)
    }

    /// Schedules a loop, notes its cost and gives its sections.
    fn inner(&mut self, op: OpId, outer: Option<OpId>, depth: u32) -> (Inner<'k>, Vec<Section>) {
        let data = self.kernel.op(op);
        let Some(body) = data.body else { return (Inner::Alone { ops: Vec::new() }, Vec::new()) };
        let title = format!("loop {op} at {}", data.loc);
        let branch = u64::from(self.device().core_timing.branch_cycles());
        let (hint, trips) = (hint(data), constant_trips(self.kernel, data));
        let trips_min = trips.unwrap_or(0).max(u64::from(hint.min_trips));
        let guard = if trips_min > 0 { 0 } else { branch };
        let macs = macs_of_block(self.kernel, body);
        let Some(ops) = self.regions.innermost(body) else {
            let (cycles, more, mut sections) = self.block(body, Some(op), outer, depth + 1);
            self.loops[op.index()] = LoopCost {
                setup_cycles: guard,
                ramp_cycles: more,
                interval_cycles: cycles,
                peeled_trips: 0,
                macs,
                ..LoopCost::default()
            };
            let kind = SectionKind::Nest(op);
            let within = Some(op);
            sections.insert(0, Section { title, depth, within, kind, bundles: Vec::new(), spilled: 0 });
            return (Inner::Alone { ops: blocks_ops(self.kernel, body) }, sections);
        };
        let along = stepping(self.kernel, data);
        let mut builder = Builder::new(self.kernel, self.device(), self.selection);
        if shares_offsets(self.model.compiler) {
            builder.share_offset(along.index, ops);
        }
        let CoreModel { compiler, hints, .. } = self.model;
        let vector_ops = ops.iter().filter(|&&op| !is_scalar(self.kernel, &[op])).count() as u64;
        let size = Body { is_scalar: is_scalar(self.kernel, ops), vector_ops };
        let count = unrolled(compiler, hints, hint, trips, size);
        let trips_min = trips_min / u64::from(count);
        let known = Known {
            hint,
            trips: trips.map(|trips| trips / u64::from(count)),
            trips_min,
            counts_only: counts_only(self.kernel, body, ops),
            carries: !data.results.is_empty(),
        };
        if indexes_locals(compiler, hints, &known) {
            builder.index_locals(along.index);
        }
        let mut graph = builder.of_loop(data, ops, along, count);
        let room = Room { most: self.most, held: held(&graph, self.kernel) };
        let sequence = graph.list_schedule(&[], &room);
        let each = graph.sequence_interval(&sequence);
        let plan = match pipelining(compiler, hints, &known) {
            Some(how) if how.names == Names::Copied => {
                let copied = self
                    .pointers(ops, along)
                    .and_then(|pointers| graph.pipeline_with_copies(self.device(), how, &room, pointers));
                copied.filter(|(_, plan)| plan.interval < each).map(|(with_copies, plan)| {
                    graph = with_copies;
                    plan
                })
            }
            how => how.and_then(|how| graph.pipeline(self.device(), how, &room, each)),
        };
        let spilled = if plan.is_some() { 0 } else { sequence.spilled };
        let plan = plan.unwrap_or_else(|| sequential(sequence, each));
        let (stages, interval) = (plan.stages(), u64::from(plan.interval));
        let setup = if hint.unroll { 0 } else { guard };
        let merged = trips_min >= u64::from(stages) && !hint.unroll;
        let late =
            u64::from(self.device().core_timing.loop_setup_bundles()).saturating_sub(u64::from(plan.length));
        let mut page = Page::default();
        for (i, node) in graph.nodes.iter().enumerate() {
            let stage = plan.cycles[i] / plan.interval;
            page.add(plan.cycles[i] % plan.interval, plan.slots[i], node, stages.saturating_sub(1 + stage));
        }
        self.loops[op.index()] = LoopCost {
            setup_cycles: setup + if merged || hint.unroll { 0 } else { late },
            ramp_cycles: if merged { 0 } else { u64::from(plan.length).saturating_sub(interval) },
            interval_cycles: interval,
            peeled_trips: if merged { u64::from(stages - 1) } else { 0 },
            macs,
            iterations_each: u64::from(count),
            ..LoopCost::default()
        };
        let live = |file| plan.live.get(file) + room.held.get(file);
        let facts = LoopFacts {
            interval_cycles: plan.interval,
            least_cycles: graph.least_interval().0,
            length_cycles: plan.length,
            stages,
            copies: plan.copies,
            bound: bound(self.kernel, plan.limit),
            macs,
            live_parts: [live(RegisterFile::Vector), live(RegisterFile::Accumulator)],
        };
        let bundles = page.repeated(plan.interval, plan.copies);
        let kind = SectionKind::Loop(op, facts);
        let section = Section { title, depth, within: Some(op), kind, bundles, spilled };
        let inner = if merged {
            Inner::Merged { op, graph, plan }
        } else {
            Inner::Alone { ops: ops.iter().collect() }
        };
        (inner, vec![section])
    }

    /// Copies of pointers in a loop of vectors that is pipelined before registers are allocated; `None` when the pointers
    /// do not fit their registers, which refuses it. An access of more than 256 bits goes through its pointer twice, and
    /// the second time the pointer may have stepped already: so it has two.
    fn pointers(&self, ops: &[OpId], along: Stepping) -> Option<u32> {
        let kernel = self.kernel;
        let moves = |a: &Address| a.terms.iter().any(|term| Some(term.0) == along.index);
        let mut streams: Vec<(&Address, bool)> = Vec::new();
        for data in ops.iter().map(|&op| kernel.op(op)) {
            let Some(address) = data.address.as_ref().filter(|a| moves(a)) else { continue };
            if !matches!(data.opcode, Opcode::SLoad | Opcode::SStore)
                && !streams.iter().any(|s| s.0 == address)
            {
                let wide =
                    access(kernel, data).is_some_and(|a| a.size_bytes > self.device().core.port_bytes());
                streams.push((address, wide));
            }
        }
        let wide = streams.iter().filter(|s| s.1).count() as u32;
        let (most, needed) = (self.device().core.pointer_registers(), streams.len() as u32 + wide);
        // The pointers of what is only accessed around the loop wait in other registers where there is no room.
        let inside = |param: ParamId| streams.iter().any(|s| s.0.param == param);
        let around = |data: &&OpData| data.address.as_ref().is_some_and(|a| !inside(a.param));
        let mut outside: Vec<ParamId> =
            kernel.ops.iter().filter(around).filter_map(|d| d.address.as_ref()).map(|a| a.param).collect();
        outside.sort_unstable();
        outside.dedup();
        let waiting = (needed + outside.len() as u32).saturating_sub(most);
        (needed <= most).then_some(wide + if streams.is_empty() { 0 } else { waiting })
    }

    /// Schedules straight code: `parts` are of one iteration of the loop around each, in order.
    fn code(&mut self, parts: &[&'k [OpId]], place: &Place<'_, 'k>) -> Code {
        let (kernel, device) = (self.kernel, self.device());
        let mut builder = Builder::new(kernel, device, self.selection);
        let (drain, taken) = place.after.map(|inner| drain(kernel, device, inner)).unwrap_or_default();
        builder.after(&drain);
        if place.around.is_none() && place.is_first {
            for machine in modes() {
                builder.add_free(Node::new(machine.0, machine.1, machine.2));
            }
        }
        for (i, ops) in parts.iter().enumerate() {
            if let (1.., Some(around)) = (i, place.around) {
                builder.next_iteration(around, stepping(kernel, around));
            }
            builder.add_all(ops);
        }
        self.point(&mut builder, place);
        let registers = self.set_up(&mut builder, place);
        let mut graph = builder.finish();
        if let Some(Inner::Alone { ops }) = place.before {
            let waits = |value| ops.iter().any(|&&op| uses(kernel.op(op)).any(|v| v == value));
            graph.await_results(device, waits);
        }
        let room = Room { most: self.most, held: held(&graph, kernel) };
        let mut straight = graph.list_schedule(&taken, &room);
        let mut starts_at = 0;
        if let Some(Inner::Merged { graph: inner, plan, .. }) = place.before {
            (straight, starts_at) = self.start(&graph, straight, &taken, &room, &registers, (inner, plan));
        }
        let mut page = Page::default();
        if let Some(Inner::Merged { graph, plan, .. }) = place.after {
            for (i, cycle, iteration) in draining(plan) {
                page.add(cycle, plan.slots[i], &graph.nodes[i], iteration);
            }
        }
        for (i, node) in graph.nodes.iter().enumerate().filter(|(_, n)| !n.slots.is_empty()) {
            page.add(straight.cycles[i], straight.slots[i], node, 0);
        }
        let mut length = straight.length.max(taken.len() as u32) + straight.spilled;
        if let Some(Inner::Merged { graph: inner, plan, .. }) = place.before {
            for (i, cycle, iteration) in filling(plan) {
                page.add(starts_at + cycle, plan.slots[i], &inner.nodes[i], iteration);
            }
            length = starts_at + filled(plan);
        }
        if place.is_last {
            // A branch back, or the return, and its delay slots.
            length = length.max(device.core_timing.branch_cycles());
        }
        let is_loop = matches!(place.before, Some(Inner::Merged { .. }));
        Code { cycles: u64::from(length), bundles: page.straight(length, is_loop), spilled: straight.spilled }
    }

    /// The pointers of the loop that follows, set before it: those that a surrounding loop moves, where
    /// the address registers do not step in its dimension too.
    fn point(&self, builder: &mut Builder, place: &Place) {
        let Some(Inner::Merged { op, .. }) = place.before else { return };
        if place.around.is_some() && steps_in_dimensions(self.model.compiler) {
            return;
        }
        let Some(body) = self.kernel.op(*op).body else { return };
        let mut streams: Vec<(ParamId, &[(ValueId, i64)])> = Vec::new();
        for op in &self.kernel.block(body).ops {
            if let Some(Address { param, terms, .. }) = &self.kernel.op(*op).address
                && !streams.contains(&(*param, terms.as_slice()))
            {
                streams.push((*param, terms));
            }
        }
        const POINTER: &[Slot] = &[Slot::St, Slot::Ldb, Slot::Lda];
        for _ in streams {
            builder.add_free(Node::new("padd", POINTER, LatencyClass::ScalarAlu));
        }
    }

    /// The registers of the hardware loop that follows; gives the instructions that set them.
    fn set_up(&self, builder: &mut Builder, place: &Place) -> Vec<usize> {
        let Some(before) = place.before else { return Vec::new() };
        const LNG: &[Slot] = &[Slot::Lng];
        const COUNT: &[Slot] = &[Slot::Mv, Slot::Alu];
        let one = |mnemonic, slots| Node::new(mnemonic, slots, LatencyClass::ScalarAlu);
        match before {
            Inner::Merged { .. } => [("movxm ls", LNG), ("movxm le", LNG), ("mov lc", COUNT)]
                .map(|(mnemonic, slots)| builder.add_free(one(mnemonic, slots)))
                .to_vec(),
            // A count in a register; a loop by itself pays for its registers where they are needed.
            Inner::Alone { .. } => vec![builder.add_free(one("mov", COUNT))],
        }
    }

    /// Puts the start of a loop beside the code before it: as early as it fits, the code moved around
    /// it where that helps. Gives the code's schedule and the cycle in which the start begins.
    fn start(
        &self,
        graph: &Graph,
        alone: Straight,
        taken: &[Mask],
        room: &Room,
        registers: &[usize],
        (inner, plan): (&Graph, &Pipelined),
    ) -> (Straight, u32) {
        // The loop's end is fetched some bundles after its registers are set.
        let bundles = self.device().core_timing.loop_setup_bundles();
        let until = filled(plan) + plan.interval * plan.copies;
        let least = |straight: &Straight| {
            let issued = graph.nodes.iter().zip(&straight.cycles).filter(|(n, _)| !n.slots.is_empty());
            let busy =
                issued.map(|(_, c)| c + 1).max().unwrap_or(0).max(taken.len() as u32) + straight.spilled;
            let set = registers.iter().map(|&n| straight.cycles[n]).max().unwrap_or(0);
            self.starts_after(graph, straight, inner, plan)
                .max(busy.saturating_sub(filled(plan)))
                .max((set + bundles).saturating_sub(until))
        };
        let late = first_free(least(&alone), inner, plan, &alone.table);
        for at in (0..late).take(STARTS_TRIED) {
            if clashes(at, inner, plan, taken) {
                continue;
            }
            let mut table = taken.to_vec();
            for (i, cycle, _) in filling(plan) {
                let cycle = (at + cycle) as usize;
                if table.len() <= cycle {
                    table.resize(cycle + 1, 0);
                }
                table[cycle] |= inner.nodes[i].occupies(plan.slots[i]);
            }
            let around = graph.list_schedule(&table, room);
            if around.spilled <= alone.spilled && least(&around) <= at {
                return (around, at);
            }
        }
        (alone, late)
    }

    /// The first cycle in which the loop's start may begin, by the values and bytes it needs.
    fn starts_after(&self, graph: &Graph, straight: &Straight, inner: &Graph, plan: &Pipelined) -> u32 {
        let device = self.device();
        let mut at = 0;
        for used in inner.outside.iter().chain(&inner.inits) {
            let nodes = graph.made.iter().filter(|(v, _)| *v == used.value).flat_map(|(_, nodes)| nodes);
            for &node in nodes {
                let class = inner.nodes[used.node].class;
                let wait = flow_cycles(device, graph.nodes[node].class, class, self.kernel.ty(used.value));
                let there = i64::from(straight.cycles[node] + wait) + graph.nodes[node].issued;
                at = at.max(there - i64::from(plan.cycles[used.node]));
            }
        }
        for (before, &cycle) in graph.nodes.iter().zip(&straight.cycles) {
            let Some((param, writes)) = before.memory else { continue };
            for (node, &later) in inner.nodes.iter().zip(&plan.cycles) {
                let Some((other, written)) = node.memory else { continue };
                if param == other && (writes || written) {
                    let wait = if writes && !written { device.latency_cycles(before.class) } else { 1 };
                    at = at.max(i64::from(cycle + wait) - i64::from(later));
                }
            }
        }
        u32::try_from(at).unwrap_or(0)
    }
}

/// Whether operations make no vectors.
fn is_scalar(kernel: &Kernel, ops: &[OpId]) -> bool {
    let made = ops.iter().flat_map(|&op| &kernel.op(op).results);
    made.map(|&value| kernel.ty(value)).all(|ty| ty == Type::Scalar)
}

/// Whether the index of a loop does nothing but count and step the pointers of vector accesses. The places of a local
/// array are computed from it.
fn counts_only(kernel: &Kernel, body: BlockId, ops: &[OpId]) -> bool {
    let Some(&index) = kernel.block(body).args.first() else { return true };
    ops.iter().map(|&op| kernel.op(op)).all(|data| {
        let param = data.address.as_ref().map(|address| &kernel.param(address.param).kind);
        let is_scalar =
            matches!(data.opcode, Opcode::SLoad | Opcode::SStore) || param == Some(&ParamKind::Scratch);
        let addressed = data.address.iter().flat_map(|a| &a.terms).any(|&(value, _)| value == index);
        !(data.operands.contains(&index) || is_scalar && addressed)
    })
}

/// Where straight code stands.
struct Place<'a, 'k> {
    after: Option<&'a Inner<'k>>,
    before: Option<&'a Inner<'k>>,
    around: Option<&'k OpData>,
    is_first: bool,
    is_last: bool,
}

impl Graph {
    /// Cycles from one iteration to the next when each ends before the next begins.
    fn sequence_interval(&self, straight: &Straight) -> u32 {
        let end = straight.cycles.iter().map(|c| c + 1).max().unwrap_or(1);
        let carried = self.edges.iter().filter(|e| e.distance > 0).map(|e| {
            let apart = i64::from(straight.cycles[e.from]) + i64::from(e.cycles);
            let apart = apart - i64::from(straight.cycles[e.to]);
            u32::try_from(apart).unwrap_or(0).div_ceil(e.distance)
        });
        carried.max().unwrap_or(0).max(end)
    }
}

/// The instructions of a loop's first iterations before all stages run: node, cycle, iteration.
fn filling(plan: &Pipelined) -> impl Iterator<Item = (usize, u32, u32)> + '_ {
    let end = filled(plan);
    (0..plan.stages()).flat_map(move |iteration| {
        let at =
            plan.cycles.iter().enumerate().map(move |(i, c)| (i, c + iteration * plan.interval, iteration));
        at.filter(move |&(_, cycle, _)| cycle < end)
    })
}

/// The instructions of a loop's last iterations after the first of them has ended.
fn draining(plan: &Pipelined) -> impl Iterator<Item = (usize, u32, u32)> + '_ {
    (1..plan.stages()).flat_map(move |left| {
        let begun = left * plan.interval;
        let after = plan.cycles.iter().enumerate().filter(move |&(_, &c)| c >= begun);
        after.map(move |(i, c)| (i, c - begun, plan.stages() - left))
    })
}

/// What a loop leaves, and the resources that its end takes.
fn drain(kernel: &Kernel, device: &Device, inner: &Inner) -> (Drain, Vec<Mask>) {
    let Inner::Merged { op, graph, plan } = inner else { return Default::default() };
    let mut taken: Vec<Mask> = Vec::new();
    for (i, cycle, _) in draining(plan) {
        let cycle = cycle as usize;
        if taken.len() <= cycle {
            taken.resize(cycle + 1, 0);
        }
        taken[cycle] |= graph.nodes[i].occupies(plan.slots[i]);
    }
    // Of the last iteration, which began one interval before the loop's end.
    let issued = |node: usize| i64::from(plan.cycles[node]) - i64::from(plan.interval);
    let mut drain = Drain::default();
    for &result in &kernel.op(*op).results {
        if let Some((_, nodes)) = graph.made.iter().find(|(v, _)| *v == result) {
            let nodes = nodes.iter().map(|&n| (issued(n), graph.nodes[n].class)).collect();
            drain.results.push((result, nodes));
        }
    }
    for (i, node) in graph.nodes.iter().enumerate() {
        if let Some((param, writes)) = node.memory {
            drain.accesses.push((param, writes, issued(i), device.latency_cycles(node.class)));
        }
    }
    (drain, taken)
}

/// Places of a loop's start that are tried with the code before it moved around it.
const STARTS_TRIED: usize = 256;

/// Cycles that fill a loop: from its first bundle to the first in which all stages run.
fn filled(plan: &Pipelined) -> u32 {
    plan.interval * (plan.stages() - 1)
}

/// Whether a loop's start at `at` finds resources taken.
fn clashes(at: u32, inner: &Graph, plan: &Pipelined, table: &[Mask]) -> bool {
    filling(plan).any(|(i, cycle, _)| {
        let taken = table.get((at + cycle) as usize).copied().unwrap_or(0);
        taken & inner.nodes[i].occupies(plan.slots[i]) != 0
    })
}

/// A loop whose iterations run one after another.
fn sequential(sequence: Straight, interval: u32) -> Pipelined {
    let interval = interval + sequence.spilled;
    Pipelined {
        cycles: sequence.cycles,
        slots: sequence.slots,
        interval,
        length: interval,
        limit: Limit::Sequence,
        copies: 1,
        live: Parts::default(),
    }
}

/// The first cycle from `at` on where a loop's start finds its resources free.
fn first_free(mut at: u32, inner: &Graph, plan: &Pipelined, table: &[Mask]) -> u32 {
    while clashes(at, inner, plan, table) {
        at += 1;
    }
    at
}

fn hint(data: &OpData) -> LoopHint {
    match data.imm {
        Imm::Loop { hint, .. } => hint,
        _ => LoopHint::default(),
    }
}

fn stepping(kernel: &Kernel, data: &OpData) -> Stepping {
    let index = data.body.and_then(|b| kernel.block(b).args.first().copied());
    let step = match data.imm {
        Imm::Loop { step, .. } => i64::from(step),
        _ => 1,
    };
    Stepping { index, step }
}

/// Values that an operation reads.
fn uses(data: &OpData) -> impl Iterator<Item = ValueId> + '_ {
    let terms = data.address.iter().flat_map(|a| a.terms.iter().map(|(v, _)| *v));
    data.operands.iter().copied().chain(terms)
}

/// All operations of a block and the loops in it.
fn blocks_ops(kernel: &Kernel, block: BlockId) -> Vec<&OpId> {
    let mut ops = Vec::new();
    for op in &kernel.block(block).ops {
        ops.push(op);
        if let Some(body) = kernel.op(*op).body {
            ops.extend(blocks_ops(kernel, body));
        }
    }
    ops
}

/// The instructions that set the core's modes at a kernel's start.
fn modes() -> impl Iterator<Item = (&'static str, &'static [Slot], LatencyClass)> {
    let forms = [Opcode::SetRounding, Opcode::SetSaturation].into_iter().flat_map(|op| &spec(op).forms);
    debug_assert_eq!(spec(Opcode::SetRounding).effect, Effect::Mode);
    forms.flat_map(|f| &f.machine).map(|m| (m.mnemonic, m.slots, m.latency))
}
