//! Which memory accesses must keep their order, within an iteration and across iterations.

use kiln_dsl::kernel::{Address, Imm, OpData, ValueId};
use smallvec::SmallVec;
use std::borrow::Cow;

/// An access and the instructions that do it.
#[derive(Clone, Debug)]
pub(super) struct Access<'k> {
    pub address: Cow<'k, Address>,
    pub size_bytes: u64,
    pub writes: bool,
    /// Reads, changes and writes a word: keeps all other accesses off (`isa_timing` section 2).
    pub excludes: bool,
    pub nodes: Vec<usize>,
    /// Iteration of the loop around, when a region holds the end of one and the start of the next.
    pub epoch: u32,
}

/// Where an operation accesses memory: a lookup in both copies of its table.
pub(super) fn addresses(data: &OpData) -> impl Iterator<Item = Cow<'_, Address>> {
    let second = match data.imm {
        Imm::Lookup { second, .. } => {
            Some(Address { param: second, terms: SmallVec::new(), offset_bytes: 0 })
        }
        _ => None,
    };
    data.address.iter().map(Cow::Borrowed).chain(second.map(Cow::Owned))
}

/// A loop's index and its step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stepping {
    pub index: Option<ValueId>,
    pub step: i64,
}

/// Whether two accesses must stay in order if they share a byte.
pub(super) fn matters(a: &Access, b: &Access) -> bool {
    (a.writes || b.writes) && a.address.param == b.address.param
}

/// Whether two accesses of one iteration may share a byte, or both are read-modify-writes, one after the other. A load
/// may move before a store of a part word that does not touch its bytes.
pub(super) fn may_meet(a: &Access, b: &Access) -> bool {
    let end = |a: &Access| i128::from(a.address.offset_bytes) + i128::from(a.size_bytes);
    let apart = |a: &Access, b: &Access| end(a) <= i128::from(b.address.offset_bytes);
    (a.excludes && b.excludes) || (matters(a, b) && !(same_terms(a, b) && (apart(a, b) || apart(b, a))))
}

fn same_terms(a: &Access, b: &Access) -> bool {
    a.address.terms.len() == b.address.terms.len()
        && a.address.terms.iter().all(|t| b.address.terms.contains(t))
}

/// The least number of iterations after which `later` may touch bytes of `earlier`. `is_steady`
/// says of an address term, other than the index, whether its value is the same in all iterations.
pub(super) fn meets_after(
    earlier: &Access,
    later: &Access,
    along: Stepping,
    is_steady: impl Fn(ValueId) -> bool,
) -> Option<u32> {
    if earlier.excludes || later.excludes {
        return Some(1);
    }
    if !matters(earlier, later) {
        return None;
    }
    let steady = |&(value, _): &(ValueId, i64)| Some(value) == along.index || is_steady(value);
    if !same_terms(earlier, later) || !earlier.address.terms.iter().all(steady) {
        return Some(1);
    }
    let term = earlier.address.terms.iter().find(|(v, _)| Some(*v) == along.index);
    let moves = term.map_or(0, |&(_, coefficient)| i128::from(coefficient) * i128::from(along.step));
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
