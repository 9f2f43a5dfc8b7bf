//! Innermost loops: iterative modulo scheduling (Rau, MICRO 1994) with reservation tables, recurrences
//! and registers. An iteration starts every *interval* cycles; the least one is bound by resources and
//! by recurrences, and grows until registers fit.

use super::compiler::{Names, Pipelining, SEARCHED_INTERVALS};
use super::graph::{Edge, Graph, Node};
use super::registers::{Lifetime, Parts, RegisterFile, lifetimes, most_live};
use super::resources::{Mask, resource_bound};
use kiln_dsl::device::Device;
use kiln_dsl::kernel::ops::{LatencyClass, Slot};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// What sets the interval of a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// These resources are busy in every cycle.
    Resources(Mask),
    /// An iteration waits for what an earlier one computes.
    Recurrence,
    /// A file has no more registers.
    Registers(RegisterFile),
    /// A value lives as long as its one register may.
    Lifetime,
    /// No more iterations may be in flight.
    Stages,
    /// No schedule of the next smaller interval was found.
    Search,
    /// The loop is not pipelined: an iteration runs to its end.
    Sequence,
}

/// A pipelined loop.
#[derive(Clone, Debug)]
pub(super) struct Pipelined {
    /// Cycle of each node in the schedule of one iteration.
    pub cycles: Vec<u32>,
    /// Slot of each node.
    pub slots: Vec<Slot>,
    /// Cycles between iterations.
    pub interval: u32,
    /// Cycles from the first bundle of an iteration to its last.
    pub length: u32,
    pub limit: Limit,
    /// Repetitions of the body with other registers.
    pub copies: u32,
    /// Most registers taken at once.
    pub live: Parts,
}

impl Pipelined {
    /// Iterations in flight.
    pub fn stages(&self) -> u32 {
        self.length.div_ceil(self.interval).max(1)
    }
}

/// Placements tried for each node before an interval is given up.
const BUDGET_PER_NODE: usize = 12;

/// Intervals above the least that are tried before a loop is taken not to be pipelined, as a part
/// of the least: beyond it a sequence is as good.
const TRIED_BEYOND: u32 = 2;

impl Graph {
    /// Pipelines a loop whose one iteration takes `sequence` cycles by itself. `None` when no
    /// interval shorter than that fits.
    pub fn pipeline(
        &self,
        device: &Device,
        how: Pipelining,
        room: &super::list::Room,
        sequence: u32,
    ) -> Option<Pipelined> {
        let (least, mut limit) = self.least_interval();
        let most = sequence.min(least.saturating_mul(TRIED_BEYOND) + TRIED_BEYOND * 8);
        let free = |file| room.most.get(file).saturating_sub(room.held.get(file));
        let free = Parts { vector: free(RegisterFile::Vector), accumulator: free(RegisterFile::Accumulator) };
        for interval in least..=most.max(least) {
            let Some(mut plan) = Plan::search(self, interval) else {
                limit = Limit::Search;
                continue;
            };
            plan.sink(self, how.names == Names::One);
            let length = self.length(&plan.cycles);
            if length.div_ceil(interval) > how.stages_max {
                limit = Limit::Stages;
                continue;
            }
            let lives = lifetimes(self, device, &plan.cycles, interval, how.names);
            let longest = lives.iter().map(|l| l.length()).max().unwrap_or(1);
            let copies = u32::try_from(longest).unwrap_or(u32::MAX).div_ceil(interval).max(1);
            if how.names != Names::Many && copies > 1 {
                limit = Limit::Lifetime;
                continue;
            }
            let live = most_live(&lives, interval);
            if let Some(file) = live.over(&free) {
                limit = Limit::Registers(file);
                continue;
            }
            let Plan { cycles, slots, .. } = plan;
            return Some(Pipelined { cycles, slots, interval, length, limit, copies, live });
        }
        None
    }

    /// Pipelines a loop before registers are allocated: values that live longer than an interval are copied, and so are
    /// `pointers`, all in the move slot. Gives the loop with its copies. `None` when no interval in reach fits.
    pub fn pipeline_with_copies(
        &self,
        device: &Device,
        how: Pipelining,
        room: &super::list::Room,
        pointers: u32,
    ) -> Option<(Graph, Pipelined)> {
        let (least, mut limit) = self.least_interval();
        let free = |file| room.most.get(file).saturating_sub(room.held.get(file));
        let free = Parts { vector: free(RegisterFile::Vector), accumulator: free(RegisterFile::Accumulator) };
        for interval in least..=least + SEARCHED_INTERVALS {
            let Some(mut plan) = Plan::search(self, interval) else { continue };
            plan.sink(self, false);
            let lives = lifetimes(self, device, &plan.cycles, interval, how.names);
            let live = most_live(&lives, interval);
            if self.length(&plan.cycles).div_ceil(interval) > how.stages_max || live.over(&free).is_some() {
                continue;
            }
            let mut graph = self.clone();
            const MOVE: &[Slot] = &[Slot::Mv];
            let copies = self.copies(&lives, interval);
            let vmov = Node::new("vmov", MOVE, LatencyClass::VectorAlu);
            let mov = Node::new("mov", MOVE, LatencyClass::ScalarAlu);
            graph.nodes.extend(std::iter::repeat_n(vmov, copies as usize));
            graph.nodes.extend(std::iter::repeat_n(mov, pointers as usize));
            let (with_copies, busy) = graph.least_interval();
            if with_copies > interval {
                limit = busy;
            }
            let reach = with_copies.max(interval)..=with_copies.max(interval) + SEARCHED_INTERVALS;
            let (mut plan, interval) = reach.into_iter().find_map(|i| Some((Plan::search(&graph, i)?, i)))?;
            plan.sink(&graph, false);
            let length = graph.length(&plan.cycles);
            if length.div_ceil(interval) > how.stages_max {
                return None;
            }
            let Plan { cycles, slots, .. } = plan;
            return Some((graph, Pipelined { cycles, slots, interval, length, limit, copies: 1, live }));
        }
        None
    }

    /// Copies of vectors that live longer than an interval, one for each further one.
    fn copies(&self, lives: &[Lifetime], interval: u32) -> u32 {
        let names = |l: &Lifetime| u32::try_from(l.length()).unwrap_or(1).div_ceil(interval).max(1);
        let vectors = lives.iter().filter(|l| l.def.file == RegisterFile::Vector);
        let (mut copies, mut last) = (0, None::<(usize, u32)>);
        for life in vectors {
            let more = names(life) - 1;
            // Parts of one value are copied together.
            let before = last.filter(|&(node, _)| {
                node + 1 == life.node
                    && self.nodes[node].op.is_some()
                    && self.nodes[node].op == self.nodes[life.node].op
            });
            copies += more.saturating_sub(before.map_or(0, |(_, more)| more));
            last = Some((life.node, more.max(before.map_or(0, |(_, more)| more))));
        }
        copies
    }

    /// The interval that resources and recurrences allow, and which of them it is.
    pub fn least_interval(&self) -> (u32, Limit) {
        let resources = resource_bound(&self.nodes);
        let least = resources.cycles.max(1);
        let recurrence = self.recurrence_bound(least);
        match recurrence > least {
            true => (recurrence, Limit::Recurrence),
            false => (least, Limit::Resources(resources.resources)),
        }
    }

    /// Cycles from the first bundle to the end of the last result that the loop waits for.
    fn length(&self, cycles: &[u32]) -> u32 {
        self.nodes.iter().zip(cycles).map(|(n, c)| c + n.tail).max().unwrap_or(1)
    }

    /// The least interval, from `least` on, at which no recurrence takes longer than its iterations.
    fn recurrence_bound(&self, least: u32) -> u32 {
        if self.heights(least).is_some() {
            return least;
        }
        // One iteration after another always works.
        let (mut low, mut high) = (least, self.edges.iter().map(|e| e.cycles).sum::<u32>().max(least + 1));
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            match self.heights(middle) {
                Some(_) => high = middle,
                None => low = middle,
            }
        }
        high
    }

    /// The longest path from each node, where an edge takes `cycles - interval * distance`; `None`
    /// when a recurrence makes one endless.
    fn heights(&self, interval: u32) -> Option<Vec<i64>> {
        let mut height: Vec<i64> = self.nodes.iter().map(|n| i64::from(n.tail)).collect();
        for _ in 0..=self.nodes.len() {
            let mut changed = false;
            for edge in self.edges.iter().rev() {
                let below = height[edge.to] + weight(edge, interval);
                if below > height[edge.from] {
                    height[edge.from] = below;
                    changed = true;
                }
            }
            if !changed {
                return Some(height);
            }
        }
        None
    }
}

fn weight(edge: &Edge, interval: u32) -> i64 {
    i64::from(edge.cycles) - i64::from(interval) * i64::from(edge.distance)
}

/// A schedule in the making: nodes at cycles, and what they take of each cycle modulo the interval.
struct Plan {
    interval: u32,
    cycles: Vec<u32>,
    slots: Vec<Slot>,
    placed: Vec<bool>,
    table: Vec<Mask>,
    preds: Vec<Vec<Edge>>,
    succs: Vec<Vec<Edge>>,
}

impl Plan {
    /// Looks for a schedule of this interval.
    fn search(graph: &Graph, interval: u32) -> Option<Plan> {
        let count = graph.nodes.len();
        let height = graph.heights(interval)?;
        let mut plan = Plan {
            interval,
            cycles: vec![0; count],
            slots: vec![Slot::Alu; count],
            placed: vec![false; count],
            table: vec![0; interval as usize],
            preds: vec![Vec::new(); count],
            succs: vec![Vec::new(); count],
        };
        for edge in &graph.edges {
            plan.succs[edge.from].push(*edge);
            plan.preds[edge.to].push(*edge);
        }
        let mut tried: Vec<Option<u32>> = vec![None; count];
        let mut queue: BTreeSet<(Reverse<i64>, usize)> =
            (0..count).map(|n| (Reverse(height[n]), n)).collect();
        let mut budget = BUDGET_PER_NODE * count.max(1);
        while let Some((_, node)) = queue.pop_first() {
            budget = budget.checked_sub(1)?;
            let earliest = plan.earliest(node);
            let found = (earliest..earliest + interval)
                .find_map(|cycle| plan.free_slot(graph, node, cycle).map(|slot| (cycle, slot)));
            let (cycle, slot) = match found {
                Some(place) => place,
                None => {
                    let cycle = tried[node].map_or(earliest, |before| earliest.max(before + 1));
                    let slot = *graph.nodes[node].slots.first()?;
                    let clash = graph.nodes[node].occupies(slot);
                    let row = (cycle % interval) as usize;
                    for (other, &below) in height.iter().enumerate() {
                        let taken = plan.placed[other] && (plan.cycles[other] % interval) as usize == row;
                        if taken && graph.nodes[other].occupies(plan.slots[other]) & clash != 0 {
                            plan.remove(graph, other);
                            queue.insert((Reverse(below), other));
                        }
                    }
                    (cycle, slot)
                }
            };
            tried[node] = Some(cycle);
            plan.place(graph, node, cycle, slot);
            for at in 0..plan.succs[node].len() {
                let edge = plan.succs[node][at];
                let late = i64::from(cycle) + weight(&edge, interval);
                if edge.to != node && plan.placed[edge.to] && i64::from(plan.cycles[edge.to]) < late {
                    plan.remove(graph, edge.to);
                    queue.insert((Reverse(height[edge.to]), edge.to));
                }
            }
        }
        let first = plan.cycles.iter().copied().min().unwrap_or(0);
        // Whole intervals, so that the table stays.
        let early = first / interval * interval;
        plan.cycles.iter_mut().for_each(|c| *c -= early);
        Some(plan)
    }

    fn earliest(&self, node: usize) -> u32 {
        let after = |edge: &Edge| i64::from(self.cycles[edge.from]) + weight(edge, self.interval);
        let placed = self.preds[node].iter().filter(|e| e.from != node && self.placed[e.from]);
        u32::try_from(placed.map(after).max().unwrap_or(0)).unwrap_or(0)
    }

    fn free_slot(&self, graph: &Graph, node: usize, cycle: u32) -> Option<Slot> {
        graph.nodes[node].free_slot(self.table[(cycle % self.interval) as usize])
    }

    fn place(&mut self, graph: &Graph, node: usize, cycle: u32, slot: Slot) {
        self.table[(cycle % self.interval) as usize] |= graph.nodes[node].occupies(slot);
        (self.cycles[node], self.slots[node], self.placed[node]) = (cycle, slot, true);
    }

    fn remove(&mut self, graph: &Graph, node: usize) {
        let row = &mut self.table[(self.cycles[node] % self.interval) as usize];
        *row &= !graph.nodes[node].occupies(self.slots[node]);
        self.placed[node] = false;
    }

    /// Issues instructions as late as their readers allow where that takes fewer registers: loads
    /// above all, which read none.
    /// With `one` name a value, also those that hold one longer than an interval.
    fn sink(&mut self, graph: &Graph, one: bool) {
        for _ in 0..SINK_ROUNDS {
            let mut nodes: Vec<usize> = (0..graph.nodes.len()).collect();
            nodes.sort_by_key(|&n| (Reverse(self.cycles[n]), n));
            let mut moved = false;
            for node in nodes {
                moved |= self.sink_node(graph, node, one);
            }
            if !moved {
                break;
            }
        }
    }

    fn sink_node(&mut self, graph: &Graph, node: usize, one: bool) -> bool {
        let Some(def) = graph.nodes[node].def else { return false };
        let read: u32 = self.preds[node]
            .iter()
            .filter(|e| e.reads_after.is_some() && e.from != node)
            .filter(|e| self.is_last_read(e))
            .filter_map(|e| graph.nodes[e.from].def)
            .map(|d| d.parts)
            .sum();
        let neutral = read >= def.parts;
        let beyond = if one { self.beyond_an_interval(node) } else { 0 };
        if neutral && beyond == 0 {
            return false;
        }
        let before = |edge: &Edge| i64::from(self.cycles[edge.to]) - weight(edge, self.interval);
        let others = self.succs[node].iter().filter(|e| e.to != node);
        let Some(latest) = others.map(before).min() else { return false };
        let (now, slot) = (self.cycles[node], self.slots[node]);
        self.remove(graph, node);
        let mut latest = u32::try_from(latest).unwrap_or(0).max(now);
        if neutral {
            // No further than it must: its operands live longer for it.
            latest = latest.min(now + beyond);
        }
        // A schedule repeats after an interval: no later place is better than the first tried.
        let span = latest.saturating_sub(now).min(self.interval - 1);
        let found = (latest - span..=latest)
            .rev()
            .filter(|&cycle| cycle > now)
            .find_map(|cycle| self.free_slot(graph, node, cycle).map(|slot| (cycle, slot)));
        let (cycle, slot) = found.unwrap_or((now, slot));
        self.place(graph, node, cycle, slot);
        found.is_some()
    }

    /// Cycles that what a node makes is kept beyond an interval.
    fn beyond_an_interval(&self, node: usize) -> u32 {
        let reads = self.succs[node].iter().filter(|e| e.reads_after.is_some());
        let there = reads.clone().map(|e| e.cycles).min().unwrap_or(0) + self.cycles[node];
        let last = reads.map(|e| self.cycles[e.to] + self.interval * e.distance).max().unwrap_or(0);
        (last + 1).saturating_sub(there + self.interval)
    }

    /// Whether nothing reads what the edge passes later than its reader does.
    fn is_last_read(&self, edge: &Edge) -> bool {
        let read = |e: &Edge| i64::from(self.cycles[e.to]) + i64::from(self.interval) * i64::from(e.distance);
        let reads = self.succs[edge.from].iter().filter(|e| e.reads_after.is_some());
        reads.map(read).max() <= Some(read(edge))
    }
}

/// Passes over a schedule that move instructions later.
const SINK_ROUNDS: usize = 4;

#[cfg(test)]
mod tests {
    use super::super::graph::Node;
    use super::super::list::Room;
    use super::super::registers::Def;
    use super::super::resources::bits;
    use super::*;
    use kiln_dsl::kernel::ops::LatencyClass;

    const ROOM: Room =
        Room { most: Parts { vector: 24, accumulator: 36 }, held: Parts { vector: 0, accumulator: 0 } };
    const FREE: Pipelining = Pipelining { names: Names::Many, stages_max: u32::MAX };

    fn node(slot: &'static [Slot]) -> Node {
        Node::new("x", slot, LatencyClass::ScalarAlu)
    }

    fn edge(from: usize, to: usize, cycles: u32, distance: u32) -> Edge {
        Edge { from, to, cycles, distance, reads_after: Some(0) }
    }

    fn pipeline(nodes: Vec<Node>, edges: Vec<Edge>, how: Pipelining, room: &Room) -> Option<Pipelined> {
        Graph { nodes, edges, ..Graph::default() }.pipeline(Device::npu1(), how, room, 100)
    }

    /// A load and, 7 cycles later, its reader.
    fn load_and_use() -> (Vec<Node>, Vec<Edge>) {
        let def = Some(Def { file: RegisterFile::Vector, parts: 2 });
        let load = Node { def, class: LatencyClass::LoadVector, ..node(&[Slot::Lda]) };
        (vec![load, node(&[Slot::Vec])], vec![edge(0, 1, 7, 0)])
    }

    #[test]
    fn the_interval_is_the_recurrence_divided_by_its_distance() {
        let nodes = vec![node(&[Slot::Vec]), node(&[Slot::Mv])];
        for (distance, interval) in [(1, 7), (2, 4)] {
            let edges = vec![edge(0, 1, 5, 0), edge(1, 0, 2, distance)];
            let found = pipeline(nodes.clone(), edges, FREE, &ROOM).expect("a schedule");
            assert_eq!((found.interval, found.limit), (interval, Limit::Recurrence));
        }
    }

    #[test]
    fn a_busy_slot_sets_the_interval() {
        let nodes = vec![node(&[Slot::St]), node(&[Slot::St]), node(&[Slot::Mv])];
        let found = pipeline(nodes, vec![edge(2, 0, 2, 0)], FREE, &ROOM).expect("a schedule");
        assert_eq!((found.interval, found.limit), (2, Limit::Resources(bits(Slot::St))));
        assert_ne!(found.cycles[0] % 2, found.cycles[1] % 2);
    }

    #[test]
    fn a_load_in_flight_takes_no_register_unless_allocated_before() {
        let (nodes, edges) = load_and_use();
        let found = pipeline(nodes.clone(), edges.clone(), FREE, &ROOM).expect("a schedule");
        assert_eq!((found.interval, found.stages(), found.copies), (1, 8, 1));
        let early = Pipelining { names: Names::OneFromIssue, ..FREE };
        let found = pipeline(nodes.clone(), edges.clone(), early, &ROOM).expect("a schedule");
        assert_eq!((found.interval, found.limit), (8, Limit::Lifetime));
        let two = Pipelining { stages_max: 2, ..FREE };
        let found = pipeline(nodes, edges, two, &ROOM).expect("a schedule");
        assert_eq!((found.interval, found.limit), (4, Limit::Stages));
    }

    #[test]
    fn registers_bound_what_is_in_flight() {
        // The value is read 20 cycles after it arrived.
        let (nodes, _) = load_and_use();
        let edges = vec![edge(0, 1, 27, 0)];
        let found = pipeline(nodes.clone(), edges.clone(), FREE, &ROOM).expect("a schedule");
        // 21 cycles of two halves each, 24 halves.
        assert_eq!((found.interval, found.copies), (2, 11));
        assert_eq!(found.limit, Limit::Registers(RegisterFile::Vector));
        let one = Pipelining { names: Names::One, ..FREE };
        assert_eq!(pipeline(nodes, edges, one, &ROOM).map(|p| p.interval), None);
    }
}
