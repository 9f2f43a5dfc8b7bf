//! Schedules of one interval: two orders in which instructions find their places, and loads that sink to their readers.

use super::graph::{Edge, Graph, Node};
use super::resources::Mask;
use kiln_dsl::kernel::ops::Slot;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Placements tried for each node before an interval is given up.
const BUDGET_PER_NODE: usize = 12;

pub(super) fn weight(edge: &Edge, interval: u32) -> i64 {
    i64::from(edge.cycles) - i64::from(interval) * i64::from(edge.distance)
}

/// A schedule in the making: nodes at cycles, and what they take of each cycle modulo the interval.
pub(super) struct Plan {
    pub interval: u32,
    /// Cycle of each node.
    pub cycles: Vec<u32>,
    /// Slot of each node.
    pub slots: Vec<Slot>,
    placed: Vec<bool>,
    table: Vec<Mask>,
    preds: Vec<Vec<Edge>>,
    succs: Vec<Vec<Edge>>,
}

/// Which instruction is placed next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The one with the longest path to the end: finds the shortest iterations.
    Height,
    /// The one the author wrote next, loads last of all: finds the shortest lifetimes.
    Source,
}

impl Plan {
    /// Looks for a schedule of this interval.
    pub fn of(graph: &Graph, order: Order, interval: u32) -> Option<Plan> {
        match order {
            Order::Height => Plan::search(graph, interval),
            Order::Source => Plan::in_order(graph, interval),
        }
    }

    /// A plan without nodes.
    fn empty(graph: &Graph, interval: u32) -> Plan {
        let count = graph.nodes.len();
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
        plan
    }

    /// Looks for a schedule of this interval that keeps values short, without a second try: what computes in the author's
    /// order, each as early as it may; then what reads no value, loads above all, the last needed first and as late as its
    /// readers allow. Where loads take nearly all slots that is what an author of assembly does, and the other order,
    /// which loads as early as it can, runs out of registers.
    fn in_order(graph: &Graph, interval: u32) -> Option<Plan> {
        graph.heights(interval)?;
        let mut plan = Plan::empty(graph, interval);
        let count = graph.nodes.len();
        // Cycles before the first instruction that computes, for loads.
        let longest = graph.edges.iter().map(|e| e.cycles).max().unwrap_or(0);
        let ahead = interval * (longest.div_ceil(interval) + LOADED_AHEAD);
        let reads = |node: usize| plan.preds[node].iter().any(|e| e.reads_after.is_some());
        let (computing, mut sources): (Vec<usize>, Vec<usize>) = (0..count).partition(|&n| reads(n));
        for node in computing {
            let earliest = plan.earliest(node).max(ahead);
            let last = plan.latest(node).min(i64::from(earliest + interval - 1));
            let (cycle, slot) = (earliest..=u32::try_from(last).ok()?)
                .find_map(|cycle| plan.free_slot(graph, node, cycle).map(|slot| (cycle, slot)))?;
            plan.place(graph, node, cycle, slot);
        }
        // What needs the busiest unit has the fewest places.
        let units = |n: &Node| n.slots.iter().fold(Mask::MAX, |all, &slot| all & n.occupies(slot));
        let mut needed = [0u32; Mask::BITS as usize];
        let each = |units: Mask| (0..Mask::BITS).filter(move |bit| units >> bit & 1 != 0);
        graph.nodes.iter().flat_map(|n| each(units(n))).for_each(|bit| needed[bit as usize] += 1);
        let busiest = |n: usize| each(units(&graph.nodes[n])).map(|bit| needed[bit as usize]).max();
        sources.sort_by_key(|&n| (Reverse(busiest(n)), Reverse(plan.latest(n)), Reverse(n)));
        for node in sources {
            let earliest = plan.earliest(node);
            let last = match plan.latest(node) {
                // What nothing reads may issue at once.
                i64::MAX => earliest.max(ahead),
                last => u32::try_from(last).ok().filter(|&last| last >= earliest)?,
            };
            let (cycle, slot) = (last.saturating_sub(interval - 1).max(earliest)..=last)
                .rev()
                .find_map(|cycle| plan.free_slot(graph, node, cycle).map(|slot| (cycle, slot)))?;
            plan.place(graph, node, cycle, slot);
        }
        plan.start_early();
        Some(plan)
    }

    /// The last cycle in which a node may issue, by what is placed after it.
    fn latest(&self, node: usize) -> i64 {
        let before = |edge: &Edge| i64::from(self.cycles[edge.to]) - weight(edge, self.interval);
        let placed = self.succs[node].iter().filter(|e| e.to != node && self.placed[e.to]);
        placed.map(before).min().unwrap_or(i64::MAX)
    }

    /// Moves the schedule to its first interval: by whole intervals, so that the table stays.
    fn start_early(&mut self) {
        let first = self.cycles.iter().copied().min().unwrap_or(0);
        let early = first / self.interval * self.interval;
        self.cycles.iter_mut().for_each(|c| *c -= early);
    }

    /// Looks for a schedule of this interval that is short: the longest path first, what is in the way evicted.
    fn search(graph: &Graph, interval: u32) -> Option<Plan> {
        let count = graph.nodes.len();
        let height = graph.heights(interval)?;
        let mut plan = Plan::empty(graph, interval);
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
        plan.start_early();
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
    pub fn sink(&mut self, graph: &Graph, one: bool) {
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

/// Intervals before an iteration's first computation in which it may load.
const LOADED_AHEAD: u32 = 4;

/// Passes over a schedule that move instructions later.
const SINK_ROUNDS: usize = 4;
