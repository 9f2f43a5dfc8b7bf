//! Core programs: what is held where. Every loop turn and every branch must leave each FIFO end as
//! it found it, so that one walk of the program (loop bodies twice, but not in the second turn of a loop around them)
//! sees every state there is.

use super::{ArrayError, Check, end_depth, is_flat_bytes};
use crate::array::ir::{Core, Count, FifoId, ObjectId, Port, Stmt, WordRef};
use crate::array::lower::{Plan, link_of};
use crate::kernel::Loc;
use indexmap::IndexMap;

/// What a core holds of one FIFO end: objects `released..released + held`, counted from the start.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Held {
    released: u64,
    held: u32,
}

/// An object in scope: its end and its number there.
#[derive(Clone, Copy)]
pub(super) struct Bound {
    pub fifo: FifoId,
    pub port: Port,
    number: u64,
}

impl Bound {
    /// What makes two names the same object.
    pub fn identity(self) -> (FifoId, Port, u64) {
        (self.fifo, self.port, self.number)
    }
}

/// The state of the walk.
#[derive(Clone, Default)]
pub(super) struct Scope {
    ends: IndexMap<(FifoId, Port), Held>,
    objects: IndexMap<ObjectId, Bound>,
    /// In a loop's second turn: the loops in it have had theirs.
    second_turn: bool,
}

impl Scope {
    /// An object in scope.
    pub fn object(&self, object: ObjectId) -> Option<Bound> {
        self.objects.get(&object).copied()
    }

    /// Whether a bound object has not been released.
    fn is_held(&self, bound: Bound) -> bool {
        let end = self.ends.get(&(bound.fifo, bound.port)).copied().unwrap_or_default();
        bound.number >= end.released
    }
}

impl Check<'_> {
    /// Every core's program.
    pub(super) fn programs(&mut self, plan: &Plan) {
        for core in &self.design.cores {
            let mut scope = Scope::default();
            let endless = self.body(core, plan, &core.body, &mut scope);
            if !endless {
                let ends: Vec<_> = scope.ends.iter().map(|(k, v)| (*k, *v)).collect();
                for ((fifo, port), end) in ends.into_iter().filter(|(_, end)| end.held > 0) {
                    let (fifo, loc) = (self.fifo_name(fifo), core.loc.clone());
                    self.push(ArrayError::NotReleased { tile: core.tile, fifo, port, held: end.held, loc });
                }
            }
        }
    }

    /// Walks statements; `true` when they never end.
    fn body(&mut self, core: &Core, plan: &Plan, body: &[Stmt], scope: &mut Scope) -> bool {
        for (at, stmt) in body.iter().enumerate() {
            let endless = self.stmt(core, plan, stmt, scope);
            if endless {
                if at + 1 < body.len() {
                    self.push(ArrayError::Unreachable { tile: core.tile, loc: core.loc.clone() });
                }
                return true;
            }
        }
        false
    }

    fn stmt(&mut self, core: &Core, plan: &Plan, stmt: &Stmt, scope: &mut Scope) -> bool {
        match stmt {
            Stmt::Loop { count, body } => self.repeat(core, plan, *count, body, scope),
            Stmt::Acquire { fifo, port, objects, loc } => {
                self.acquire(core, plan, (*fifo, *port), objects, loc, scope);
                false
            }
            Stmt::Release { fifo, port, count, loc } => {
                self.release(core, (*fifo, *port), *count, loc, scope);
                false
            }
            Stmt::Call { kernel, args, loc } => {
                self.call(core, *kernel, args, loc, scope);
                false
            }
            Stmt::Switch { on, cases, default, loc } => {
                self.word(core, *on, loc, scope);
                for (at, (value, _)) in cases.iter().enumerate() {
                    if cases[..at].iter().any(|(other, _)| other == value) {
                        self.push(ArrayError::CaseTwice { tile: core.tile, value: *value, loc: loc.clone() });
                    }
                }
                let branches = cases.iter().map(|(_, body)| body).chain([default]);
                self.branches(core, plan, branches, loc, scope)
            }
        }
    }

    fn repeat(&mut self, core: &Core, plan: &Plan, count: Count, body: &[Stmt], scope: &mut Scope) -> bool {
        if let Count::Word(word) = count {
            self.word(core, word, &core.loc, scope);
        }
        // The second turn finds uses of objects that the first released.
        let outer = scope.objects.clone();
        let in_second = scope.second_turn;
        for second_turn in [false, true].into_iter().take(if in_second { 1 } else { 2 }) {
            scope.second_turn = in_second || second_turn;
            let before = scope.clone();
            let endless = self.body(core, plan, body, scope);
            scope.objects.clone_from(&outer);
            if endless {
                scope.second_turn = in_second;
                return true;
            }
            let keys: Vec<_> = scope.ends.keys().copied().collect();
            for key in keys {
                let held = |scope: &Scope| scope.ends.get(&key).map_or(0, |e| e.held);
                let (before, after) = (held(&before), held(scope));
                if before != after {
                    let (fifo, port) = (self.fifo_name(key.0), key.1);
                    let loc = first_loc(body, key).unwrap_or_else(|| core.loc.clone());
                    self.push(ArrayError::LoopUnbalanced { tile: core.tile, fifo, port, before, after, loc });
                    if let Some(end) = scope.ends.get_mut(&key) {
                        end.held = before;
                    }
                }
            }
        }
        scope.second_turn = in_second;
        count == Count::Forever
    }

    fn branches<'s>(
        &mut self,
        core: &Core,
        plan: &Plan,
        branches: impl Iterator<Item = &'s Vec<Stmt>>,
        loc: &Loc,
        scope: &mut Scope,
    ) -> bool {
        let before = scope.clone();
        let mut merged: Option<Scope> = None;
        for body in branches {
            let mut branch = before.clone();
            if self.body(core, plan, body, &mut branch) {
                continue;
            }
            branch.objects.clone_from(&before.objects);
            let Some(so_far) = &mut merged else {
                merged = Some(branch);
                continue;
            };
            for (key, end) in branch.ends {
                let known = so_far
                    .ends
                    .entry(key)
                    .or_insert_with(|| before.ends.get(&key).copied().unwrap_or_default());
                if known.held != end.held {
                    let (one, other) = (known.held, end.held);
                    let (fifo, port) = (self.fifo_name(key.0), key.1);
                    let (tile, loc) = (core.tile, loc.clone());
                    self.push(ArrayError::SwitchUnbalanced { tile, fifo, port, one, other, loc });
                }
                known.released = known.released.max(end.released);
            }
        }
        match merged {
            Some(merged) => {
                *scope = merged;
                false
            }
            None => true,
        }
    }

    fn acquire(
        &mut self,
        core: &Core,
        plan: &Plan,
        (fifo, port): (FifoId, Port),
        objects: &[ObjectId],
        loc: &Loc,
        scope: &mut Scope,
    ) {
        let tile = core.tile;
        if !self.known("fifo", fifo.0, self.design.fifos.len(), loc) {
            return;
        }
        let name = self.fifo_name(fifo);
        let is_end = match port {
            Port::Produce => self.design.fifo(fifo).producer == tile,
            Port::Consume => self.design.fifo(fifo).consumers.contains(&tile),
        };
        if !is_end {
            self.push(ArrayError::NotAnEnd { tile, fifo: name.clone(), port, loc: loc.clone() });
        } else if link_of(self.design, fifo, port, tile).is_some() {
            self.push(ArrayError::EndIsLinked { tile, fifo: name.clone(), port, loc: loc.clone() });
        } else if let Some(depth) = end_depth(plan, self.design, fifo, port, tile)
            && objects.len() as u64 > u64::from(depth)
        {
            let wanted = objects.len() as u32;
            self.push(ArrayError::AcquireTooDeep {
                tile,
                fifo: name.clone(),
                wanted,
                depth,
                loc: loc.clone(),
            });
        }
        if objects.is_empty() {
            self.push(ArrayError::ZeroObjects { tile, fifo: name, what: "acquire", loc: loc.clone() });
        }
        let end = scope.ends.entry((fifo, port)).or_default();
        end.held = end.held.max(objects.len() as u32);
        let first = end.released;
        for (number, &object) in (first..).zip(objects) {
            if scope.objects.contains_key(&object) || object.0 >= core.objects {
                self.push(ArrayError::ObjectTwice { tile, object: object.to_string(), loc: loc.clone() });
            }
            scope.objects.insert(object, Bound { fifo, port, number });
        }
    }

    fn release(
        &mut self,
        core: &Core,
        (fifo, port): (FifoId, Port),
        count: u32,
        loc: &Loc,
        scope: &mut Scope,
    ) {
        let tile = core.tile;
        if !self.known("fifo", fifo.0, self.design.fifos.len(), loc) {
            return;
        }
        let name = self.fifo_name(fifo);
        let end = scope.ends.entry((fifo, port)).or_default();
        let held = end.held;
        end.held = held.saturating_sub(count);
        end.released += u64::from(count.min(held));
        if count == 0 {
            self.push(ArrayError::ZeroObjects { tile, fifo: name, what: "release", loc: loc.clone() });
        } else if count > held {
            self.push(ArrayError::ReleaseTooMany { tile, fifo: name, port, count, held, loc: loc.clone() });
        }
    }

    /// An object in scope and still held; reports it if not.
    pub(super) fn held_object(
        &mut self,
        core: &Core,
        object: ObjectId,
        loc: &Loc,
        scope: &Scope,
    ) -> Option<Bound> {
        let tile = core.tile;
        let Some(bound) = scope.object(object) else {
            self.push(ArrayError::ObjectUnbound { tile, object: object.to_string(), loc: loc.clone() });
            return None;
        };
        if !scope.is_held(bound) {
            let (object, fifo) = (object.to_string(), self.fifo_name(bound.fifo));
            self.push(ArrayError::ObjectReleased { tile, object, fifo, loc: loc.clone() });
        }
        Some(bound)
    }

    /// A word of a consumed object; its object may be released already.
    pub(super) fn word(&mut self, core: &Core, word: WordRef, loc: &Loc, scope: &Scope) {
        let (tile, index) = (core.tile, word.index);
        let object = word.object.to_string();
        let Some(bound) = scope.object(word.object) else {
            self.push(ArrayError::ObjectUnbound { tile, object, loc: loc.clone() });
            return;
        };
        if bound.port == Port::Produce {
            self.push(ArrayError::WordOfProduced { tile, object: object.clone(), index, loc: loc.clone() });
        }
        let fifo = self.design.fifo(bound.fifo);
        let ty = fifo.object.clone();
        let words = match ty.elem {
            crate::kernel::Elem::I32 if ty.shape.len() == 1 => ty.elements(),
            _ if is_flat_bytes(&ty) => ty.bytes() / 4,
            _ => 0,
        };
        if u64::from(index) >= words {
            let fifo = fifo.name.clone();
            self.push(ArrayError::NoSuchWord { tile, object, fifo, ty, index, words, loc: loc.clone() });
        }
    }
}

/// Where a body first acquires from or releases to an end.
fn first_loc(body: &[Stmt], key: (FifoId, Port)) -> Option<Loc> {
    let mut found = None;
    crate::array::lower::each_stmt(body, &mut |s| {
        if let Stmt::Acquire { fifo, port, loc, .. } | Stmt::Release { fifo, port, loc, .. } = s
            && (*fifo, *port) == key
            && found.is_none()
        {
            found = Some(loc.clone());
        }
    });
    found
}
