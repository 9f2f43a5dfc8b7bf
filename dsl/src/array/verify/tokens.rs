//! Objects that come against objects that are taken.
//!
//! The runtime sequence fixes how many bytes pass each shim end; links pass them on; a core's
//! endless loop takes and gives a constant number of objects a turn. All FIFOs of a core must then
//! agree on the number of turns: with fewer objects than the others the core waits for ever, with
//! more some are left for the next run. FIFO ends under word counts or uneven branches are left out.

use super::{ArrayError, Check};
use crate::array::ir::{Core, Count, FifoId, Port, Stmt};
use crate::array::lower::LinkView;
use crate::sequence::Command;
use indexmap::IndexMap;
use std::ops::RangeInclusive;

/// Objects that a core releases to one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Flow {
    /// Before the endless loop.
    before: u128,
    /// In each turn of it.
    per_turn: u128,
    /// Held when a turn starts: a window, whose last objects are never released.
    held: u128,
}

impl Flow {
    /// Turns after which `total` objects are used up; `None` when no number of turns does it.
    fn turns(&self, total: u128) -> Option<RangeInclusive<u128>> {
        let most = total.checked_sub(self.before)?;
        let least = most.saturating_sub(self.held);
        if self.per_turn == 0 {
            // Any number of turns, if the total is what is taken before or held.
            return (least == 0).then_some(0..=u128::MAX);
        }
        let (least, most) = (least.div_ceil(self.per_turn), most / self.per_turn);
        (least <= most).then_some(least..=most)
    }
}

type Flows = IndexMap<(FifoId, Port), Flow>;

impl Check<'_> {
    /// Token counts of links and cores; only asked of designs that are sound otherwise.
    pub(super) fn tokens(&mut self) {
        let flows: Vec<Option<Flows>> = self.design.cores.iter().map(flows).collect();
        let mut bytes = self.bytes_at_shims();
        loop {
            let known = bytes.len();
            self.pass_links(&mut bytes);
            for (at, flows) in flows.iter().enumerate() {
                if let Some(flows) = flows {
                    self.pass_core(at, flows, &mut bytes);
                }
            }
            if bytes.len() == known {
                return;
            }
        }
    }

    fn bytes_at_shims(&self) -> IndexMap<FifoId, u128> {
        let mut bytes = IndexMap::new();
        for command in &self.design.sequence.commands {
            if let Command::Copy { buffer, fifo, sizes, .. } = command {
                let elem = u128::from(self.design.sequence.buffers[buffer.index()].ty.elem.bytes());
                *bytes.entry(*fifo).or_insert(0) +=
                    sizes.iter().map(|&s| u128::from(s)).product::<u128>() * elem;
            }
        }
        bytes
    }

    /// A link passes every byte; a part passes its share.
    fn pass_links(&mut self, bytes: &mut IndexMap<FifoId, u128>) {
        let design = self.design;
        let views: Vec<LinkView<'_>> = LinkView::all(design).collect();
        for view in views {
            let whole = if view.is_join() { view.link.targets[0] } else { view.link.sources[0] };
            let parts = if view.is_join() { &view.link.sources } else { &view.link.targets };
            let one_to_one = parts.len() == 1;
            for &part in parts {
                let size = |id: FifoId| u128::from(design.fifo(id).object.bytes());
                // Objects that are there at start come on top of those that a link passes.
                if [part, whole].iter().any(|&id| !design.fifo(id).init.is_empty()) {
                    continue;
                }
                let times = |id: FifoId| match view.link.targets.contains(&id) {
                    true => u128::from(design.fifo(id).repeat.max(1)),
                    false => 1,
                };
                // Bytes of the part for each byte of the whole, as a fraction.
                let (num, den) = if one_to_one { (1, 1) } else { (size(part), size(whole)) };
                let (num, den) = (num * times(part), den * times(whole));
                let share = |of: u128| of * num / den.max(1);
                match (bytes.get(&whole).copied(), bytes.get(&part).copied()) {
                    (Some(all), None) => {
                        bytes.insert(part, share(all));
                    }
                    (None, Some(some)) => {
                        bytes.insert(whole, some * den / num.max(1));
                    }
                    (Some(all), Some(some)) if share(all) != some => self.push(ArrayError::LinkBytes {
                        whole: self.fifo_name(whole),
                        whole_bytes: all,
                        part: self.fifo_name(part),
                        part_bytes: some,
                        expected_bytes: share(all),
                        loc: view.link.loc.clone(),
                    }),
                    _ => {}
                }
            }
        }
    }

    fn pass_core(&mut self, at: usize, flows: &Flows, bytes: &mut IndexMap<FifoId, u128>) {
        let core = &self.design.cores[at];
        // Bytes on the stream for each object of an end.
        let size = |fifo: FifoId, port: Port| {
            let fifo = self.design.fifo(fifo);
            let times = if port == Port::Produce { fifo.repeat } else { 1 };
            u128::from(fifo.object.bytes()) * u128::from(times)
        };
        let mut agreed: Option<(FifoId, u128, RangeInclusive<u128>)> = None;
        let mut errors = Vec::new();
        for (&(fifo, port), flow) in
            flows.iter().filter(|((fifo, _), _)| self.design.fifo(*fifo).init.is_empty())
        {
            let Some(total) = bytes.get(&fifo).map(|&b| b / size(fifo, port).max(1)) else { continue };
            let Some(turns) = flow.turns(total) else {
                errors.push(ArrayError::ObjectsPerTurn {
                    tile: core.tile,
                    fifo: self.fifo_name(fifo),
                    total,
                    before: flow.before,
                    per_turn: flow.per_turn,
                    loc: core.loc.clone(),
                });
                continue;
            };
            agreed = match agreed {
                None => Some((fifo, total, turns)),
                Some((other, other_total, range)) => {
                    let both = *range.start().max(turns.start())..=*range.end().min(turns.end());
                    if both.is_empty() {
                        errors.push(ArrayError::TurnsDiffer {
                            tile: core.tile,
                            one: self.fifo_name(other),
                            one_objects: other_total,
                            one_turns: *range.end(),
                            other: self.fifo_name(fifo),
                            other_objects: total,
                            other_turns: *turns.end(),
                            loc: core.loc.clone(),
                        });
                        Some((other, other_total, range))
                    } else {
                        Some((other, other_total, both))
                    }
                }
            };
        }
        // What the core passes on is known once its turns are.
        if let Some((_, _, turns)) = agreed
            && turns.start() == turns.end()
            && errors.is_empty()
        {
            let counted = |id: FifoId| self.design.fifo(id).init.is_empty();
            for (&(fifo, port), flow) in flows.iter().filter(|((id, _), f)| f.held == 0 && counted(*id)) {
                let passed = (flow.before + flow.per_turn * turns.start()) * size(fifo, port);
                bytes.entry(fifo).or_insert(passed);
            }
        }
        errors.into_iter().for_each(|e| self.push(e));
    }
}

/// Objects that each end of a core gets, where that is constant. `None` when the program has no
/// endless loop at its end: then it ends by itself, and says nothing about turns.
fn flows(core: &Core) -> Option<Flows> {
    let (last, before) = core.body.split_last()?;
    let Stmt::Loop { count: Count::Forever, body } = last else { return None };
    let (before, turn) = (counts(before)?, counts(body)?);
    let mut keys: Vec<(FifoId, Port)> = before.keys().chain(turn.keys()).copied().collect();
    keys.sort_unstable();
    keys.dedup();
    let mut flows = Flows::new();
    for key in keys {
        let one = |map: &IndexMap<(FifoId, Port), Option<Tally>>| {
            map.get(&key).copied().unwrap_or(Some(Tally::default()))
        };
        if let (Some(before), Some(turn)) = (one(&before), one(&turn)) {
            let held = before.acquired.saturating_sub(before.released);
            flows.insert(key, Flow { before: before.released, per_turn: turn.released, held });
        }
    }
    Some(flows)
}

/// What a body does to one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Tally {
    /// Objects released.
    released: u128,
    /// Objects released or held, at the most: what has been taken from the FIFO.
    acquired: u128,
}

/// Tally of each end over a body; an end whose tally is not constant is `None`. `None` altogether
/// for an endless loop inside.
fn counts(body: &[Stmt]) -> Option<IndexMap<(FifoId, Port), Option<Tally>>> {
    let mut sum: IndexMap<(FifoId, Port), Option<Tally>> = IndexMap::new();
    for stmt in body {
        match stmt {
            Stmt::Acquire { fifo, port, objects, .. } => {
                if let Some(t) = sum.entry((*fifo, *port)).or_insert(Some(Tally::default())) {
                    t.acquired = t.acquired.max(t.released + objects.len() as u128);
                }
            }
            Stmt::Release { fifo, port, count, .. } => {
                if let Some(t) = sum.entry((*fifo, *port)).or_insert(Some(Tally::default())) {
                    t.released += u128::from(*count);
                    t.acquired = t.acquired.max(t.released);
                }
            }
            Stmt::Loop { count, body } => {
                let trips = match count {
                    Count::Forever => return None,
                    Count::Const(trips) => Some(u128::from(*trips)),
                    Count::Word(_) => None,
                };
                for (key, tally) in counts(body)? {
                    let so_far = sum.entry(key).or_insert(Some(Tally::default()));
                    *so_far = match (*so_far, tally, trips) {
                        (Some(before), Some(turn), Some(trips)) => {
                            let released = before.released + turn.released * trips;
                            let window = turn.acquired.saturating_sub(turn.released);
                            let acquired = if trips > 0 {
                                before.acquired.max(released + window)
                            } else {
                                before.acquired
                            };
                            Some(Tally { released, acquired })
                        }
                        _ => None,
                    };
                }
            }
            Stmt::Switch { cases, default, .. } => {
                let mut branches = vec![counts(default)?];
                for (_, body) in cases {
                    branches.push(counts(body)?);
                }
                let mut keys: Vec<(FifoId, Port)> = branches.iter().flat_map(|b| b.keys().copied()).collect();
                keys.sort_unstable();
                keys.dedup();
                for key in keys {
                    let one = |b: &IndexMap<_, Option<Tally>>| {
                        b.get(&key).copied().unwrap_or(Some(Tally::default()))
                    };
                    let first = one(&branches[0]);
                    let same = branches.iter().all(|b| one(b) == first);
                    let so_far = sum.entry(key).or_insert(Some(Tally::default()));
                    *so_far = match (*so_far, first) {
                        (Some(before), Some(branch)) if same => Some(Tally {
                            released: before.released + branch.released,
                            acquired: before.acquired.max(before.released + branch.acquired),
                        }),
                        _ => None,
                    };
                }
            }
            Stmt::Call { .. } => {}
        }
    }
    Some(sum)
}
