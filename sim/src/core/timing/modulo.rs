//! Innermost loops: iterative modulo scheduling (Rau, MICRO 1994) with reservation tables, recurrences
//! and registers. An iteration starts every *interval* cycles; the least one is bound by resources and
//! by recurrences, and grows until registers fit.

use super::compiler::{Names, Pipelining, SEARCHED_INTERVALS};
use super::graph::{Graph, Node};
use super::plan::{Order, Plan, weight};
use super::registers::{Lifetime, Parts, RegisterFile, lifetimes, most_live};
use super::resources::{Mask, resource_bound};
use kiln_dsl::device::Device;
use kiln_dsl::kernel::ops::{LatencyClass, Slot};

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
            for order in [Order::Height, Order::Source] {
                let Some(mut plan) = Plan::of(self, order, interval) else {
                    limit = if order == Order::Height { Limit::Search } else { limit };
                    continue;
                };
                plan.sink(self, how.names == Names::One);
                match self.fit(device, how, &free, plan) {
                    Ok(fitting) => return Some(Pipelined { limit, ..fitting }),
                    Err(refused) => limit = refused,
                }
            }
        }
        None
    }

    /// The loop that a plan makes, its limit left open; what refuses it where registers, stages or names do not suffice.
    fn fit(&self, device: &Device, how: Pipelining, free: &Parts, plan: Plan) -> Result<Pipelined, Limit> {
        let interval = plan.interval;
        let length = self.length(&plan.cycles);
        if length.div_ceil(interval) > how.stages_max {
            return Err(Limit::Stages);
        }
        let lives = lifetimes(self, device, &plan.cycles, interval, how.names);
        let longest = lives.iter().map(|l| l.length()).max().unwrap_or(1);
        let copies = u32::try_from(longest).unwrap_or(u32::MAX).div_ceil(interval).max(1);
        if how.names != Names::Many && copies > 1 {
            return Err(Limit::Lifetime);
        }
        let live = most_live(&lives, interval);
        if let Some(file) = live.over(free) {
            return Err(Limit::Registers(file));
        }
        let Plan { cycles, slots, .. } = plan;
        Ok(Pipelined { cycles, slots, interval, length, limit: Limit::Search, copies, live })
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
            let Some(mut plan) = Plan::of(self, Order::Height, interval) else { continue };
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
            let (mut plan, interval) =
                reach.into_iter().find_map(|i| Some((Plan::of(&graph, Order::Height, i)?, i)))?;
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
    pub(super) fn heights(&self, interval: u32) -> Option<Vec<i64>> {
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

#[cfg(test)]
mod tests {
    use super::super::graph::{Edge, Node};
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
