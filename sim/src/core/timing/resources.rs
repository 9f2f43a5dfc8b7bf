//! What an instruction occupies in its bundle: slots, and units that several slots share.

use super::graph::Node;
use kiln_dsl::kernel::ParamId;
use kiln_dsl::kernel::ops::Slot;

/// Resources of one cycle as bits.
pub(super) type Mask = u64;

/// The six slots of a bundle.
pub(super) const ALL_SLOTS: Mask = 63;

/// The unit that shifts, rounds and saturates 8- to 32-bit results: `vsrs` and `vst.srs` share it.
pub(super) const SRS_UNIT: Mask = 1 << 6;

/// First of the bits that stand for parameters.
const PARAMS_FROM: u32 = 8;

/// The slots of a bundle as bits; an immediate branch takes the ALU's and the move slot's.
pub(super) const fn bits(slot: Slot) -> Mask {
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

/// Slots in the order of their bits.
pub(super) const SLOTS: [Slot; 6] = [Slot::Lda, Slot::Ldb, Slot::St, Slot::Alu, Slot::Mv, Slot::Vec];

/// The vector load of a parameter: a second one in the same cycle would meet it in its bank and
/// stall, so no compiler pairs them. Parameters beyond the bits share some, which only costs pairs.
pub(super) fn load_of(param: ParamId) -> Mask {
    1 << (PARAMS_FROM + (param.index() as u32) % (Mask::BITS - PARAMS_FROM))
}

impl Node {
    /// What the node occupies when it issues in `slot`.
    pub fn occupies(&self, slot: Slot) -> Mask {
        bits(slot) | self.also
    }

    /// The first of its slots that is free besides `used`.
    pub fn free_slot(&self, used: Mask) -> Option<Slot> {
        self.slots.iter().copied().find(|&slot| used & self.occupies(slot) == 0)
    }
}

/// What bounds the rate of a loop from below by resources alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ResourceBound {
    pub cycles: u32,
    /// The resources that are busy all the time.
    pub resources: Mask,
}

/// For every set of slots: the instructions that can issue nowhere else need this many cycles.
/// Likewise for the shared units.
pub(super) fn resource_bound(nodes: &[Node]) -> ResourceBound {
    let slots = (1..=ALL_SLOTS).map(|set| {
        let inside =
            |n: &&Node| !n.slots.is_empty() && n.slots.iter().all(|&s| n.occupies(s) & ALL_SLOTS & !set == 0);
        let width = |n: &Node| n.slots.first().map_or(0, |&s| (n.occupies(s) & ALL_SLOTS).count_ones());
        let count: u32 = nodes.iter().filter(inside).map(width).sum();
        ResourceBound { cycles: count.div_ceil(set.count_ones()), resources: set }
    });
    let shared = nodes.iter().fold(0, |all, n| all | n.also) & !ALL_SLOTS;
    let units = (0..Mask::BITS).map(|bit| 1 << bit).filter(|unit| shared & unit != 0).map(|unit| {
        let count = nodes.iter().filter(|n| n.also & unit != 0).count() as u32;
        ResourceBound { cycles: count, resources: unit }
    });
    let none = ResourceBound { cycles: 0, resources: 0 };
    // The smallest set of the largest bound says most.
    slots.chain(units).fold(none, |best, bound| {
        let smaller = bound.resources.count_ones() < best.resources.count_ones();
        if bound.cycles > best.cycles || (bound.cycles == best.cycles && smaller && bound.cycles > 0) {
            bound
        } else {
            best
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_dsl::kernel::ops::LatencyClass;

    fn node(slots: &'static [Slot]) -> Node {
        Node::new("x", slots, LatencyClass::ScalarAlu)
    }

    const LOAD: &[Slot] = &[Slot::Ldb, Slot::Lda];

    fn bound(nodes: &[Node]) -> (u32, Mask) {
        let bound = resource_bound(nodes);
        (bound.cycles, bound.resources)
    }

    #[test]
    fn two_loads_a_cycle_and_one_store() {
        let both = bits(Slot::Lda) | bits(Slot::Ldb);
        assert_eq!(bound(&[node(LOAD), node(LOAD), node(LOAD), node(&[Slot::St])]), (2, both));
    }

    #[test]
    fn loads_of_one_unit_are_counted_before_either() {
        let lda: &[Slot] = &[Slot::Lda];
        assert_eq!(bound(&[node(lda), node(lda), node(lda), node(LOAD)]), (3, bits(Slot::Lda)));
    }

    #[test]
    fn a_branch_takes_alu_and_move() {
        let nodes = [node(&[Slot::Lng]), node(&[Slot::Mv]), node(&[Slot::Alu])];
        assert_eq!(bound(&nodes).0, 2);
    }

    #[test]
    fn a_parallel_lookup_keeps_the_other_load_unit_idle() {
        let mut lookup = node(&[Slot::Ldb]);
        lookup.also = bits(Slot::Lda);
        assert_eq!(bound(&[lookup.clone(), lookup, node(&[Slot::Lda])]).0, 3);
    }

    #[test]
    fn loads_of_one_parameter_do_not_pair() {
        let mut load = node(LOAD);
        load.also = load_of(ParamId(3));
        assert_eq!(bound(&[load.clone(), load.clone(), load]), (3, load_of(ParamId(3))));
    }
}
