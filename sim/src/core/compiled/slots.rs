//! Register slots of SSA values. A loop's carried argument, its final value, the value yielded for
//! it and its initial value share one slot wherever their lifetimes allow, so that accumulators are
//! updated in place and loops copy nothing.

use kiln_dsl::kernel::ops::Opcode;
use kiln_dsl::kernel::{BlockId, Kernel, OpData, OpId, ValueId};
use smallvec::{SmallVec, smallvec};

/// Program points between two operations: a loop's start reads initial values at its position,
/// defines its arguments one later, and reads its bounds up to two later.
const SPACING: u32 = 4;

/// Half-open ranges of program points in which a value's slot must not be written by others.
type Ranges = SmallVec<[(u32, u32); 2]>;

/// The slot of each value.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    of: Vec<u32>,
    members: Vec<u32>,
}

impl Slots {
    /// Assigns slots to all values of a kernel.
    pub fn new(kernel: &Kernel) -> Slots {
        let mut points =
            Points { starts: vec![0; kernel.ops.len()], ends: vec![0; kernel.ops.len()], next: SPACING };
        points.number(kernel, Kernel::BODY);
        let mut lifetimes = Lifetimes {
            kernel,
            points: &points,
            depth: vec![0; kernel.values.len()],
            defined: vec![0; kernel.values.len()],
            last: vec![0; kernel.values.len()],
            extra: vec![None; kernel.values.len()],
            open: Vec::new(),
            loops: Vec::new(),
        };
        lifetimes.block(Kernel::BODY);
        let (loops, ranges) = (std::mem::take(&mut lifetimes.loops), lifetimes.ranges());
        let mut classes = Classes { parent: (0..kernel.values.len() as u32).collect(), ranges };
        for join in [join_results as Join, join_yields, join_inits] {
            for &op in &loops {
                join(&mut classes, kernel, kernel.op(op));
            }
        }
        classes.number()
    }

    /// Slot of a value.
    pub fn of(&self, value: ValueId) -> u32 {
        self.of[value.index()]
    }

    /// Number of slots.
    pub fn count(&self) -> usize {
        self.members.len()
    }

    /// Whether a value has its slot for itself.
    pub fn is_alone(&self, value: ValueId) -> bool {
        self.members[self.of(value) as usize] == 1
    }
}

type Join = fn(&mut Classes, &Kernel, &OpData);

/// A loop's final values always live in their arguments' slots: a loop of no trips leaves the
/// initial values there.
fn join_results(classes: &mut Classes, kernel: &Kernel, op: &OpData) {
    for (&arg, &result) in carried(kernel, op).iter().zip(&op.results) {
        classes.merge(arg, result);
    }
}

fn join_yields(classes: &mut Classes, kernel: &Kernel, op: &OpData) {
    for (&arg, &value) in carried(kernel, op).iter().zip(yielded(kernel, op)) {
        classes.try_merge(arg, value);
    }
}

fn join_inits(classes: &mut Classes, kernel: &Kernel, op: &OpData) {
    for (&arg, &value) in carried(kernel, op).iter().zip(op.operands.iter().skip(2)) {
        classes.try_merge(arg, value);
    }
}

/// The carried arguments of a loop's body, without its index.
pub(super) fn carried<'k>(kernel: &'k Kernel, op: &OpData) -> &'k [ValueId] {
    op.body.and_then(|body| kernel.block(body).args.get(1..)).unwrap_or_default()
}

/// The values that a loop's body yields.
pub(super) fn yielded<'k>(kernel: &'k Kernel, op: &OpData) -> &'k [ValueId] {
    let last = op.body.and_then(|body| kernel.block(body).ops.last());
    last.map(|&op| kernel.op(op)).filter(|op| op.opcode == Opcode::Yield).map_or(&[], |op| &op.operands)
}

/// Program points of all operations, in order of execution.
struct Points {
    starts: Vec<u32>,
    /// Of a loop: the point of its body's end.
    ends: Vec<u32>,
    next: u32,
}

impl Points {
    fn number(&mut self, kernel: &Kernel, block: BlockId) {
        for &op in &kernel.block(block).ops {
            let data = kernel.op(op);
            if data.opcode == Opcode::Yield {
                continue;
            }
            self.starts[op.index()] = self.next;
            self.next += SPACING;
            if let Some(body) = data.body {
                self.number(kernel, body);
                self.ends[op.index()] = self.next;
                self.next += SPACING;
            }
        }
    }
}

struct Lifetimes<'a> {
    kernel: &'a Kernel,
    points: &'a Points,
    /// Number of loops around a value's definition.
    depth: Vec<usize>,
    defined: Vec<u32>,
    last: Vec<u32>,
    /// A second range: the point where a carried argument is written again.
    extra: Vec<Option<(u32, u32)>>,
    /// Ends of the loops around the current point, outermost first.
    open: Vec<u32>,
    /// Loops, inner ones first.
    loops: Vec<OpId>,
}

impl Lifetimes<'_> {
    fn define(&mut self, value: ValueId, at: u32) {
        self.depth[value.index()] = self.open.len();
        self.defined[value.index()] = at;
    }

    /// A use inside loops that the definition is outside of lasts until the outermost of them ends.
    fn touch(&mut self, value: ValueId, at: u32) {
        let end = self.open.get(self.depth[value.index()]).map_or(at, |end| end + 1);
        let last = &mut self.last[value.index()];
        *last = end.max(*last);
    }

    fn block(&mut self, block: BlockId) {
        let kernel = self.kernel;
        for &op in &kernel.block(block).ops {
            let data = kernel.op(op);
            if data.opcode == Opcode::Yield {
                continue;
            }
            let at = self.points.starts[op.index()];
            let bounds = if data.body.is_some() { 2 } else { 0 };
            for (i, &value) in data.operands.iter().enumerate() {
                self.touch(value, if i < bounds { at + 2 } else { at });
            }
            for &(value, _) in data.address.iter().flat_map(|a| &a.terms) {
                self.touch(value, at);
            }
            let mut defined = at;
            if let Some(body) = data.body {
                let end = self.points.ends[op.index()];
                self.run_loop(data, body, at, end);
                self.loops.push(op);
                defined = end + 1;
            }
            for &value in &data.results {
                self.define(value, defined);
            }
        }
    }

    fn run_loop(&mut self, data: &OpData, body: BlockId, start: u32, end: u32) {
        self.open.push(end);
        for (i, &arg) in self.kernel.block(body).args.iter().enumerate() {
            self.define(arg, start + 1);
            if i == 0 {
                // The index is counted up in place.
                self.touch(arg, end + 2);
            } else {
                self.extra[arg.index()] = Some((end, end + 1));
            }
        }
        self.block(body);
        for &value in yielded(self.kernel, data) {
            self.touch(value, end);
        }
        self.open.pop();
    }

    fn ranges(self) -> Vec<Ranges> {
        let all = self.defined.iter().zip(&self.last).zip(&self.extra);
        all.map(|((&start, &last), &extra)| {
            let mut ranges: Ranges = smallvec![(start, last.max(start + 1))];
            ranges.extend(extra);
            ranges
        })
        .collect()
    }
}

/// Union-find over values, with the ranges of each class.
struct Classes {
    parent: Vec<u32>,
    ranges: Vec<Ranges>,
}

impl Classes {
    fn root(&self, mut at: u32) -> u32 {
        while self.parent[at as usize] != at {
            at = self.parent[at as usize];
        }
        at
    }

    fn merge(&mut self, a: ValueId, b: ValueId) {
        let (a, b) = (self.root(a.0), self.root(b.0));
        if a != b {
            self.parent[b as usize] = a;
            let moved = std::mem::take(&mut self.ranges[b as usize]);
            self.ranges[a as usize].extend(moved);
        }
    }

    fn try_merge(&mut self, a: ValueId, b: ValueId) {
        let (x, y) = (&self.ranges[self.root(a.0) as usize], &self.ranges[self.root(b.0) as usize]);
        if x.iter().all(|x| y.iter().all(|y| x.1 <= y.0 || y.1 <= x.0)) {
            self.merge(a, b);
        }
    }

    fn number(self) -> Slots {
        let mut slot_of_root = vec![None; self.parent.len()];
        let mut members = Vec::new();
        let of = (0..self.parent.len() as u32)
            .map(|value| {
                let slot = *slot_of_root[self.root(value) as usize].get_or_insert_with(|| {
                    members.push(0);
                    members.len() as u32 - 1
                });
                members[slot as usize] += 1;
                slot
            })
            .collect();
        Slots { of, members }
    }
}

/// Orders copies `(to, from)` that happen at once into copies one after another; `spare` is a slot
/// that none of them names.
pub(super) fn sequence_copies(mut pending: Vec<(u32, u32)>, spare: u32) -> Vec<(u32, u32)> {
    pending.retain(|(to, from)| to != from);
    let mut ordered = Vec::new();
    while !pending.is_empty() {
        // A destination that nobody still reads can be written.
        let free = pending.iter().position(|&(to, _)| pending.iter().all(|&(_, from)| from != to));
        match free {
            Some(at) => ordered.push(pending.remove(at)),
            // Only cycles are left: save one member, and let its readers read the copy.
            None => {
                let saved = pending[0].0;
                ordered.push((spare, saved));
                for (_, from) in pending.iter_mut().filter(|(_, from)| *from == saved) {
                    *from = spare;
                }
            }
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn copies_in_sequence_equal_copies_at_once(from in proptest::collection::vec(0u32..6, 6)) {
            let copies: Vec<(u32, u32)> = (0..6).zip(from).collect();
            let before: Vec<u32> = (100..107).collect();
            let mut after = before.clone();
            for (to, from) in sequence_copies(copies.clone(), 6) {
                after[to as usize] = after[from as usize];
            }
            for (to, from) in copies {
                prop_assert_eq!(after[to as usize], before[from as usize]);
            }
        }
    }
}
