//! Straight code: a list schedule into bundles, longest path first, that keeps to the registers.

use super::graph::{Edge, Graph};
use super::registers::{Def, Parts};
use super::resources::Mask;
use kiln_dsl::kernel::ops::Slot;
use std::cmp::Reverse;

/// A schedule of straight code.
#[derive(Clone, Debug, Default)]
pub(super) struct Straight {
    /// Cycle of each node.
    pub cycles: Vec<u32>,
    /// Slot of each node.
    pub slots: Vec<Slot>,
    /// Resources taken in each cycle, those that were taken before included.
    pub table: Vec<Mask>,
    /// Cycles to the last bundle, and until results that others wait for are there.
    pub length: u32,
    /// Registers, in parts of 256 bits, that were needed and not there.
    pub spilled: u32,
}

/// Registers around straight code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// What there is.
    pub most: Parts,
    /// What is taken all the time.
    pub held: Parts,
}

/// Which of the ready instructions goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// The one with the longest path to the end.
    Height,
    /// The one the author wrote first: needs the fewest registers.
    Source,
}

impl Graph {
    /// Schedules the nodes besides what `taken` holds already.
    pub fn list_schedule(&self, taken: &[Mask], room: &Room) -> Straight {
        let fast = self.list_in(Order::Height, taken, room);
        if fast.spilled == 0 {
            return fast;
        }
        let narrow = self.list_in(Order::Source, taken, room);
        if (narrow.spilled, narrow.length) < (fast.spilled, fast.length) { narrow } else { fast }
    }

    fn list_in(&self, order: Order, taken: &[Mask], room: &Room) -> Straight {
        let count = self.nodes.len();
        let mut after: Vec<Vec<&Edge>> = vec![Vec::new(); count];
        let mut before: Vec<Vec<&Edge>> = vec![Vec::new(); count];
        let mut waiting = vec![0u32; count];
        let mut readers = vec![0u32; count];
        for edge in self.edges.iter().filter(|e| e.distance == 0) {
            after[edge.from].push(edge);
            waiting[edge.to] += 1;
            if edge.reads_after.is_some() {
                readers[edge.from] += 1;
                before[edge.to].push(edge);
            }
        }
        // What later iterations or regions read stays.
        for edge in self.edges.iter().filter(|e| e.distance > 0 && e.reads_after.is_some()) {
            readers[edge.from] += 1;
        }
        // Edges of distance 0 lead to later nodes, so one backward pass finds the longest paths.
        let mut height: Vec<u32> = self.nodes.iter().map(|n| n.tail).collect();
        for node in (0..count).rev() {
            let below = after[node].iter().map(|e| e.cycles + height[e.to]).max().unwrap_or(0);
            height[node] = height[node].max(below);
        }
        let mut earliest: Vec<u32> = self.nodes.iter().map(|n| n.earliest).collect();
        let mut ready: Vec<usize> = (0..count).filter(|&n| waiting[n] == 0).collect();
        let mut out = Straight {
            cycles: vec![0; count],
            slots: vec![Slot::Alu; count],
            table: taken.to_vec(),
            ..Straight::default()
        };
        let mut live = room.held;
        let mut cycle = 0u32;
        while !ready.is_empty() {
            match order {
                Order::Height => ready.sort_by_key(|&n| (Reverse(height[n]), n)),
                Order::Source => ready.sort_unstable(),
            }
            if out.table.len() <= cycle as usize {
                out.table.push(0);
            }
            let mut issued = Vec::new();
            let mut blocked = None;
            for &node in &ready {
                if earliest[node] > cycle {
                    continue;
                }
                if self.nodes[node].slots.is_empty() {
                    // Issued before the region began.
                    live.add_all(self.nodes[node].def);
                    issued.push(node);
                    continue;
                }
                let Some(slot) = self.nodes[node].free_slot(out.table[cycle as usize]) else { continue };
                let freed = freed(self, &before[node], &readers);
                if !fits(&live, &freed, self.nodes[node].def, &room.most) {
                    blocked = blocked.min(Some(node)).or(Some(node));
                    continue;
                }
                self.issue(node, slot, cycle, &before, &mut readers, &mut live, &mut out);
                issued.push(node);
            }
            let in_flight = ready.iter().any(|&n| earliest[n] > cycle);
            if let (true, false, Some(node)) = (issued.is_empty(), in_flight, blocked)
                && let Some(slot) = self.nodes[node].free_slot(out.table[cycle as usize])
            {
                // Nothing else can go on: another value leaves its register for memory.
                let parts = self.nodes[node].def.map_or(0, |d| d.parts);
                out.spilled += parts;
                if let Some(def) = self.nodes[node].def {
                    *live.get_mut(def.file) = live.get(def.file).saturating_sub(parts);
                }
                self.issue(node, slot, cycle, &before, &mut readers, &mut live, &mut out);
                issued.push(node);
            }
            ready.retain(|n| !issued.contains(n));
            for node in issued {
                if !self.nodes[node].slots.is_empty() {
                    out.length = out.length.max(cycle + self.nodes[node].tail);
                }
                for edge in &after[node] {
                    earliest[edge.to] = earliest[edge.to].max(cycle + edge.cycles);
                    waiting[edge.to] -= 1;
                    if waiting[edge.to] == 0 {
                        ready.push(edge.to);
                    }
                }
            }
            cycle += 1;
        }
        out
    }

    #[expect(clippy::too_many_arguments, reason = "the state of one schedule")]
    fn issue(
        &self,
        node: usize,
        slot: Slot,
        cycle: u32,
        before: &[Vec<&Edge>],
        readers: &mut [u32],
        live: &mut Parts,
        out: &mut Straight,
    ) {
        out.table[cycle as usize] |= self.nodes[node].occupies(slot);
        out.cycles[node] = cycle;
        out.slots[node] = slot;
        for edge in &before[node] {
            readers[edge.from] -= 1;
            if let (0, Some(def)) = (readers[edge.from], self.nodes[edge.from].def) {
                *live.get_mut(def.file) = live.get(def.file).saturating_sub(def.parts);
            }
        }
        live.add_all(self.nodes[node].def);
    }
}

/// Registers whose last reader a node is.
fn freed(graph: &Graph, before: &[&Edge], readers: &[u32]) -> Parts {
    let mut parts = Parts::default();
    before
        .iter()
        .filter(|e| readers[e.from] == 1)
        .filter_map(|e| graph.nodes[e.from].def)
        .for_each(|def| parts.add(def));
    parts
}

fn fits(live: &Parts, freed: &Parts, def: Option<Def>, most: &Parts) -> bool {
    let Some(def) = def else { return true };
    let left = live.get(def.file).saturating_sub(freed.get(def.file));
    def.parts <= freed.get(def.file) || left + def.parts <= most.get(def.file)
}

#[cfg(test)]
mod tests {
    use super::super::graph::Node;
    use super::super::registers::RegisterFile;
    use super::*;
    use kiln_dsl::kernel::ops::LatencyClass;

    const ROOM: Room =
        Room { most: Parts { vector: 24, accumulator: 36 }, held: Parts { vector: 0, accumulator: 0 } };
    const LOAD: &[Slot] = &[Slot::Ldb, Slot::Lda];

    fn node(slots: &'static [Slot]) -> Node {
        Node::new("x", slots, LatencyClass::ScalarAlu)
    }

    fn edge(from: usize, to: usize, cycles: u32) -> Edge {
        Edge { from, to, cycles, distance: 0, reads_after: Some(0) }
    }

    #[test]
    fn a_chain_takes_its_latencies() {
        let nodes = vec![node(LOAD), node(&[Slot::Vec]), node(&[Slot::St])];
        let mut graph = Graph { nodes, edges: vec![edge(0, 1, 7), edge(1, 2, 5)], ..Graph::default() };
        assert_eq!(graph.list_schedule(&[], &ROOM).length, 13);
        graph.nodes[2].tail = 4;
        assert_eq!(graph.list_schedule(&[], &ROOM).length, 16);
    }

    #[test]
    fn what_is_taken_before_stays_taken() {
        let graph = Graph { nodes: vec![node(&[Slot::St])], ..Graph::default() };
        let store = super::super::resources::bits(Slot::St);
        assert_eq!(graph.list_schedule(&[store, store], &ROOM).cycles, [2]);
    }

    #[test]
    fn values_wait_for_registers() {
        // Three pairs of a load and its only user, in a file of two parts.
        let def = Some(Def { file: RegisterFile::Vector, parts: 1 });
        let mut nodes = vec![Node { def, ..node(LOAD) }; 3];
        nodes.extend(vec![node(&[Slot::St]); 3]);
        let edges = (0..3).map(|i| edge(i, i + 3, 7)).collect();
        let graph = Graph { nodes, edges, ..Graph::default() };
        let room = Room { most: Parts { vector: 2, accumulator: 0 }, ..ROOM };
        let narrow = graph.list_schedule(&[], &room);
        assert_eq!((narrow.spilled, narrow.length), (0, 16));
        assert_eq!(graph.list_schedule(&[], &ROOM).length, 10);
    }
}
