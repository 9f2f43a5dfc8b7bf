//! Core programs: SSA values are resolved while reading, so that only effects are left.

use super::{MlirCore, MlirLine, MlirStmt, MlirTrips, MlirValue, Named, Parsed, Parser};
use std::collections::BTreeMap;

/// Loop bounds from here on are endless: authors write 2^32 - 1 or 2^63 - 1.
const ENDLESS: i64 = u32::MAX as i64;

/// Dialects whose operations compute in the core itself.
const INLINE: [&str; 5] = ["arith.", "math.", "memref.", "vector.", "index."];

/// What a name of a core's region stands for.
#[derive(Clone)]
enum Local {
    Value(MlirValue),
    Subview(usize),
}

/// Names in scope, and the number of acquires read so far.
#[derive(Default)]
struct Scope {
    names: BTreeMap<String, Local>,
    /// What each name meant before it was defined, oldest first, for the end of the block.
    hidden: Vec<(String, Option<Local>)>,
    acquires: usize,
    /// Open blocks.
    depth: usize,
}

/// Blocks in each other that are read: far more than anyone writes, and few enough for the stack of a thread.
const DEEPEST: usize = 256;

impl Scope {
    fn define(&mut self, name: String, local: Local) {
        let before = self.names.insert(name.clone(), local);
        self.hidden.push((name, before));
    }

    /// Forgets what was defined since `hidden` was that long.
    fn end(&mut self, since: usize) {
        for (name, before) in self.hidden.drain(since..).rev() {
            match before {
                Some(local) => self.names.insert(name, local),
                None => self.names.remove(&name),
            };
        }
    }
}

impl Parser<'_> {
    pub(super) fn core(&mut self, line: MlirLine) -> Parsed<()> {
        self.c.expect("(")?;
        let tile = self.tile()?;
        self.c.expect(")")?;
        self.c.expect("{")?;
        let mut scope = Scope::default();
        let body = self.block(&mut scope)?;
        let stack = self.attributes()?.get("stack_size").cloned();
        let stack_bytes = stack.map(|s| self.integer_of(&s)).transpose()?;
        if self.design.cores.insert(tile, MlirCore { stack_bytes, body, line }).is_some() {
            return Err(self.c.error(format!("before this the only core of tile {tile}")));
        }
        Ok(())
    }

    /// Statements up to and including `}`; names end with the block.
    fn block(&mut self, scope: &mut Scope) -> Parsed<Vec<MlirStmt>> {
        self.block_of(scope, None)
    }

    /// The same, with the index of a loop.
    fn block_of(&mut self, scope: &mut Scope, index: Option<String>) -> Parsed<Vec<MlirStmt>> {
        if scope.depth == DEEPEST {
            return Err(self.c.error(format!("at most {DEEPEST} blocks in each other")));
        }
        let outer = scope.hidden.len();
        scope.depth += 1;
        if let Some(index) = index {
            let computed = MlirValue::Computed("the index of a loop".to_owned());
            scope.define(index, Local::Value(computed));
        }
        let mut body = Vec::new();
        while !self.c.eat("}") {
            if self.c.eat("aie.end") || self.c.eat("scf.yield") {
                continue;
            }
            if self.c.sees("%") {
                body.extend(self.assignment(scope)?);
            } else {
                body.push(self.effect(scope)?);
            }
        }
        scope.depth -= 1;
        scope.end(outer);
        Ok(body)
    }

    fn local(&mut self, scope: &Scope) -> Parsed<Local> {
        let name = self.c.value()?.to_owned();
        if let Some(local) = scope.names.get(&name) {
            return Ok(local.clone());
        }
        match self.values.get(&name) {
            Some(Named::Buffer(buffer)) => Ok(Local::Value(MlirValue::Buffer(buffer.clone()))),
            Some(Named::Constant(value)) => Ok(Local::Value(MlirValue::Constant(*value))),
            _ => Err(self.c.error(format!("before this a value in scope, not %{name},"))),
        }
    }

    fn operand(&mut self, scope: &Scope) -> Parsed<MlirValue> {
        match self.local(scope)? {
            Local::Value(value) => Ok(value),
            Local::Subview(_) => Err(self.c.error("before this a value, not a subview,")),
        }
    }

    fn constant(&mut self, scope: &Scope) -> Parsed<i64> {
        match self.operand(scope)? {
            MlirValue::Constant(value) => Ok(value),
            _ => Err(self.c.error("a constant before this")),
        }
    }

    /// `[%index]`.
    fn subscript(&mut self, scope: &Scope) -> Parsed<i64> {
        self.c.expect("[")?;
        let index = self.constant(scope)?;
        self.c.expect("]")?;
        Ok(index)
    }

    fn assignment(&mut self, scope: &mut Scope) -> Parsed<Option<MlirStmt>> {
        let line = self.c.here();
        let mut names = vec![self.c.value()?.to_owned()];
        while self.c.eat(",") {
            names.push(self.c.value()?.to_owned());
        }
        self.c.expect("=")?;
        if self.c.eat("aie.objectfifo.acquire") {
            return self.acquire(scope, names, line).map(Some);
        }
        let value = self.pure(scope)?;
        for name in names {
            scope.define(name, Local::Value(value.clone()));
        }
        Ok(None)
    }

    /// `@fifo(Port, count) : !aie.objectfifosubview<..>`, or one memref for each object.
    fn acquire(&mut self, scope: &mut Scope, names: Vec<String>, line: MlirLine) -> Parsed<MlirStmt> {
        let (fifo, port, count) = self.port()?;
        self.c.expect(":")?;
        let mut types = vec![self.c.ty()?];
        while self.c.eat(",") {
            types.push(self.c.ty()?);
        }
        let acquire = scope.acquires;
        scope.acquires += 1;
        let subview = types.iter().any(|t| t.starts_with("!aie.objectfifosubview"));
        for (element, name) in (0i64..).zip(names) {
            let object = Local::Value(MlirValue::Object { acquire, element });
            scope.define(name, if subview { Local::Subview(acquire) } else { object });
        }
        Ok(MlirStmt::Acquire { fifo, port, count, line })
    }

    /// An operation that only makes a value.
    fn pure(&mut self, scope: &Scope) -> Parsed<MlirValue> {
        if self.c.eat("arith.constant") {
            if !self.c.sees_integer() {
                return Ok(MlirValue::Computed(format!("arith.constant {}", self.c.line())));
            }
            let value = self.c.integer()?;
            self.c.expect(":")?;
            self.c.ty()?;
            Ok(MlirValue::Constant(value))
        } else if self.c.eat("aie.objectfifo.subview.access") {
            let Local::Subview(acquire) = self.local(scope)? else {
                return Err(self.c.error("a subview before this"));
            };
            self.c.expect("[")?;
            let element = self.c.integer()?;
            self.c.expect("]")?;
            self.cast("->")?;
            Ok(MlirValue::Object { acquire, element })
        } else if self.c.eat("memref.view") {
            let of = Box::new(self.operand(scope)?);
            let byte_offset = self.subscript(scope)?;
            self.c.expect("[")?;
            self.c.expect("]")?;
            let ty = self.cast("to")?;
            Ok(MlirValue::View { of, byte_offset, ty })
        } else if self.c.eat("memref.reinterpret_cast") {
            self.reinterpret(scope)
        } else if self.c.sees("memref.subview") {
            Err(self.c.error("memref.view: a call would lose the offset of a subview"))
        } else if self.c.eat("memref.load") {
            self.load(scope)
        } else if self.c.eat("arith.index_cast") {
            let value = self.operand(scope)?;
            self.cast("to")?;
            Ok(value)
        } else if INLINE.iter().any(|dialect| self.c.starts(dialect)) {
            Ok(MlirValue::Computed(self.c.line()))
        } else {
            Err(self.c.error("an operation of the subset"))
        }
    }

    /// `: from to into`; returns `into`.
    fn cast(&mut self, to: &str) -> Parsed<String> {
        self.c.expect(":")?;
        self.c.ty()?;
        self.c.expect(to)?;
        self.c.ty()
    }

    /// `%x[%i, ..] : type`; an index that is computed makes the whole computed.
    fn load(&mut self, scope: &Scope) -> Parsed<MlirValue> {
        let of = Box::new(self.operand(scope)?);
        let start = self.c.clone();
        let mut indices = Vec::new();
        self.c.expect("[")?;
        while !self.c.eat("]") {
            if !indices.is_empty() {
                self.c.expect(",")?;
            }
            indices.push(self.operand(scope)?);
        }
        match indices[..] {
            [MlirValue::Constant(index)] => {
                self.c.expect(":")?;
                self.c.ty()?;
                Ok(MlirValue::Load { of, index })
            }
            _ => {
                self.c = start;
                Ok(MlirValue::Computed(format!("memref.load {}", self.c.line())))
            }
        }
    }

    /// `%x to offset: [0], sizes: [n], strides: [1] : a to b`. Another offset would be lost by calls
    /// with bare pointers, so it is not in the subset.
    fn reinterpret(&mut self, scope: &Scope) -> Parsed<MlirValue> {
        let of = Box::new(self.operand(scope)?);
        let mut lists = Vec::new();
        for keyword in ["to offset:", ", sizes:", ", strides:"] {
            for word in keyword.split(' ') {
                self.c.expect(word)?;
            }
            lists.push(self.c.list("[", "]", |c| c.integer())?);
        }
        if lists[0] != [0] || lists[2].last() != Some(&1) {
            return Err(self.c.error("offset 0 and stride 1 before this (write memref.view)"));
        }
        let ty = self.cast("to")?;
        Ok(MlirValue::View { of, byte_offset: 0, ty })
    }

    /// `@fifo(Port, count)`.
    fn port(&mut self) -> Parsed<(String, String, i64)> {
        let fifo = self.c.symbol()?.to_owned();
        self.c.expect("(")?;
        let port = self.c.word()?.to_owned();
        self.c.expect(",")?;
        let count = self.c.integer()?;
        self.c.expect(")")?;
        Ok((fifo, port, count))
    }

    /// An operation without a result.
    fn effect(&mut self, scope: &mut Scope) -> Parsed<MlirStmt> {
        let line = self.c.here();
        if self.c.eat("aie.objectfifo.release") {
            let (fifo, port, count) = self.port()?;
            Ok(MlirStmt::Release { fifo, port, count, line })
        } else if self.c.eat("func.call") {
            self.call(scope, line)
        } else if self.c.eat("scf.for") {
            self.for_loop(scope, line)
        } else if self.c.eat("scf.if") {
            self.condition(scope, line)
        } else if self.c.eat("scf.index_switch") {
            self.switch(scope, line)
        } else if INLINE.iter().any(|dialect| self.c.starts(dialect)) {
            Ok(MlirStmt::Inline { text: self.c.line(), line })
        } else {
            Err(self.c.error("an operation of the subset"))
        }
    }

    fn call(&mut self, scope: &Scope, line: MlirLine) -> Parsed<MlirStmt> {
        let function = self.c.symbol()?.to_owned();
        let mut args = Vec::new();
        self.c.expect("(")?;
        while !self.c.eat(")") {
            if !args.is_empty() {
                self.c.expect(",")?;
            }
            args.push(self.operand(scope)?);
        }
        self.c.expect(":")?;
        self.c.list("(", ")", |c| c.ty())?;
        self.c.expect("->")?;
        self.c.expect("(")?;
        self.c.expect(")")?;
        Ok(MlirStmt::Call { function, args, line })
    }

    fn for_loop(&mut self, scope: &mut Scope, line: MlirLine) -> Parsed<MlirStmt> {
        let index = self.c.value()?.to_owned();
        self.c.expect("=")?;
        let from = self.operand(scope)?;
        self.c.expect("to")?;
        let bound = self.operand(scope)?;
        self.c.expect("step")?;
        let step = self.constant(scope)?;
        if step < 1 {
            return Err(self.c.error("a step of at least 1 before this"));
        }
        let trips = match (from, bound) {
            (MlirValue::Constant(from), MlirValue::Constant(to)) => {
                let span = to.saturating_sub(from).max(0);
                let trips = span / step + i64::from(span % step != 0);
                if trips >= ENDLESS { MlirTrips::Endless } else { MlirTrips::Constant(trips) }
            }
            (MlirValue::Constant(0), bound) if step == 1 => MlirTrips::Value(bound),
            _ => return Err(self.c.error("a loop from 0 by 1, or of constant bounds, before this")),
        };
        if self.c.eat(":") {
            self.c.ty()?;
        }
        self.c.expect("{")?;
        let body = self.block_of(scope, Some(index))?;
        Ok(MlirStmt::For { trips, line, body })
    }

    fn condition(&mut self, scope: &mut Scope, line: MlirLine) -> Parsed<MlirStmt> {
        let on = self.operand(scope)?;
        self.c.expect("{")?;
        let then = self.block(scope)?;
        let mut otherwise = Vec::new();
        if self.c.eat("else") {
            self.c.expect("{")?;
            otherwise = self.block(scope)?;
        }
        Ok(MlirStmt::If { on, line, then, otherwise })
    }

    fn switch(&mut self, scope: &mut Scope, line: MlirLine) -> Parsed<MlirStmt> {
        let on = self.operand(scope)?;
        let mut cases = Vec::new();
        while self.c.eat("case") {
            let value = self.c.integer()?;
            self.c.expect("{")?;
            cases.push((value, self.block(scope)?));
        }
        self.c.expect("default")?;
        self.c.expect("{")?;
        let default = self.block(scope)?;
        Ok(MlirStmt::Switch { on, line, cases, default })
    }
}
