//! Bundles: a greedy list schedule of a graph, and the least interval between loop iterations.

use super::graph::{Edge, Graph, Node};
use kiln_dsl::kernel::ops::{LatencyClass, Slot};
use std::cmp::Reverse;

/// The slots of a bundle as bits; an immediate branch takes the ALU's and the move slot's.
const fn bits(slot: Slot) -> u8 {
    match slot {
        Slot::Lda => 1,
        Slot::Ldb => 2,
        Slot::St => 4,
        Slot::Alu => 8,
        Slot::Mv => 16,
        Slot::Vec => 32,
        Slot::Lng => 8 | 16,
    }
}

const ALL_SLOTS: u8 = 63;

impl Node {
    /// What the node occupies when it issues in `slot`: a parallel lookup takes both load units
    /// (`isa_timing` section 2).
    fn occupies(&self, slot: Slot) -> u8 {
        bits(slot) | if self.class == LatencyClass::LoadLut { bits(Slot::Lda) } else { 0 }
    }
}

impl Graph {
    /// Cycles of one run: to the last bundle, and until results that others wait for are there.
    pub fn list_schedule(&self) -> u32 {
        let count = self.nodes.len();
        let edges: Vec<&Edge> = self.edges.iter().filter(|e| e.distance == 0).collect();
        let mut after: Vec<Vec<&Edge>> = vec![Vec::new(); count];
        let mut waiting = vec![0u32; count];
        for &edge in &edges {
            after[edge.from].push(edge);
            waiting[edge.to] += 1;
        }
        // Edges of distance 0 lead to later nodes, so one backward pass finds the longest paths.
        let mut height: Vec<u32> = self.nodes.iter().map(|n| n.tail).collect();
        for node in (0..count).rev() {
            let below = after[node].iter().map(|e| e.cycles + height[e.to]).max().unwrap_or(0);
            height[node] = height[node].max(below);
        }
        let mut earliest = vec![0u32; count];
        let mut ready: Vec<usize> = (0..count).filter(|&n| waiting[n] == 0).collect();
        let (mut cycle, mut end) = (0, 0);
        while !ready.is_empty() {
            ready.sort_by_key(|&n| (Reverse(height[n]), n));
            let mut used = 0u8;
            let mut issued = Vec::new();
            ready.retain(|&node| {
                let free = |slot: &&Slot| used & self.nodes[node].occupies(**slot) == 0;
                let slot = self.nodes[node].slots.iter().find(free).filter(|_| earliest[node] <= cycle);
                if let Some(&slot) = slot {
                    used |= self.nodes[node].occupies(slot);
                    issued.push(node);
                }
                slot.is_none()
            });
            for node in issued {
                end = end.max(cycle + self.nodes[node].tail);
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
        end
    }

    /// The least number of cycles between two iterations that slots and recurrences allow.
    pub fn initiation_interval(&self) -> u32 {
        let mut low = self.slot_bound().max(1);
        if self.is_feasible(low) {
            return low;
        }
        // One iteration after another always works.
        let mut high = self.edges.iter().map(|e| e.cycles).sum::<u32>().max(low + 1);
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            if self.is_feasible(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        high
    }

    /// For every set of slots: the instructions that can issue nowhere else need this many cycles.
    fn slot_bound(&self) -> u32 {
        let needs = |set: u8| {
            let inside = |n: &&Node| n.slots.iter().all(|&s| n.occupies(s) & !set == 0);
            let width = |n: &Node| n.slots.first().map_or(0, |&s| n.occupies(s).count_ones());
            let count: u32 = self.nodes.iter().filter(inside).map(width).sum();
            count.div_ceil(set.count_ones())
        };
        (1..=ALL_SLOTS).map(needs).max().unwrap_or(0)
    }

    /// Whether no recurrence takes longer than its iterations at this interval: no cycle of the
    /// graph has a positive sum of `cycles - interval * distance`.
    fn is_feasible(&self, interval: u32) -> bool {
        let mut start = vec![0i64; self.nodes.len()];
        for _ in 0..=self.nodes.len() {
            let mut changed = false;
            for edge in &self.edges {
                let weight = i64::from(edge.cycles) - i64::from(interval) * i64::from(edge.distance);
                if start[edge.from] + weight > start[edge.to] {
                    start[edge.to] = start[edge.from] + weight;
                    changed = true;
                }
            }
            if !changed {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(slots: &'static [Slot]) -> Node {
        Node { slots, class: LatencyClass::ScalarAlu, tail: 1 }
    }

    fn edge(from: usize, to: usize, cycles: u32, distance: u32) -> Edge {
        Edge { from, to, cycles, distance }
    }

    const LOAD: &[Slot] = &[Slot::Ldb, Slot::Lda];

    #[test]
    fn two_loads_a_cycle_and_one_store() {
        let graph =
            Graph { nodes: vec![node(LOAD), node(LOAD), node(LOAD), node(&[Slot::St])], edges: vec![] };
        assert_eq!(graph.list_schedule(), 2);
        assert_eq!(graph.initiation_interval(), 2);
    }

    #[test]
    fn loads_of_one_unit_are_counted_before_either() {
        let lda: &[Slot] = &[Slot::Lda];
        let graph = Graph { nodes: vec![node(lda), node(lda), node(lda), node(LOAD)], edges: vec![] };
        assert_eq!(graph.slot_bound(), 3);
    }

    #[test]
    fn a_branch_takes_alu_and_move() {
        let graph =
            Graph { nodes: vec![node(&[Slot::Lng]), node(&[Slot::Mv]), node(&[Slot::Alu])], edges: vec![] };
        assert_eq!(graph.slot_bound(), 2);
        assert_eq!(graph.list_schedule(), 2);
    }

    #[test]
    fn a_parallel_lookup_keeps_the_other_load_unit_idle() {
        let lookup = Node { class: LatencyClass::LoadLut, ..node(&[Slot::Ldb]) };
        let graph = Graph { nodes: vec![lookup.clone(), lookup, node(&[Slot::Lda])], edges: vec![] };
        assert_eq!(graph.slot_bound(), 3);
        assert_eq!(graph.list_schedule(), 3);
    }

    #[test]
    fn the_interval_is_the_recurrence_divided_by_its_distance() {
        let nodes = vec![node(&[Slot::Vec]), node(&[Slot::Mv])];
        let graph = Graph { nodes: nodes.clone(), edges: vec![edge(0, 1, 5, 0), edge(1, 0, 2, 1)] };
        assert_eq!(graph.initiation_interval(), 7);
        let graph = Graph { nodes, edges: vec![edge(0, 1, 5, 0), edge(1, 0, 2, 2)] };
        assert_eq!(graph.initiation_interval(), 4);
    }

    #[test]
    fn a_chain_takes_its_latencies() {
        let mut nodes = vec![node(LOAD), node(&[Slot::Vec]), node(&[Slot::St])];
        let edges = vec![edge(0, 1, 7, 0), edge(1, 2, 5, 0)];
        assert_eq!(Graph { nodes: nodes.clone(), edges: edges.clone() }.list_schedule(), 13);
        nodes[2].tail = 4;
        assert_eq!(Graph { nodes, edges }.list_schedule(), 16);
    }
}
