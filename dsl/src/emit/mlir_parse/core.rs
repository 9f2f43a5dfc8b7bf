//! Core programs: SSA values are resolved while reading, so that only effects are left.

use super::{MlirCore, MlirStmt, MlirTrips, MlirValue, Named, Parsed, Parser};
use std::collections::BTreeMap;

/// Loop bounds from here on are endless: authors write 2^32 - 1 or 2^63 - 1.
const ENDLESS: i64 = u32::MAX as i64;

/// What a name of a core's region stands for.
#[derive(Clone)]
enum Local {
    Value(MlirValue),
    Subview(usize),
}

/// Names in scope, and the number of acquires read so far.
#[derive(Clone, Default)]
struct Scope {
    names: BTreeMap<String, Local>,
    acquires: usize,
}

impl Parser<'_> {
    pub(super) fn core(&mut self) -> Parsed<()> {
        self.c.expect("(")?;
        let tile = self.tile()?;
        self.c.expect(")")?;
        self.c.expect("{")?;
        let mut scope = Scope::default();
        let body = self.block(&mut scope)?;
        let stack = self.attributes()?.get("stack_size").cloned();
        let stack_bytes = stack.map(|s| self.integer_of(&s)).transpose()?;
        self.design.cores.insert(tile, MlirCore { stack_bytes, body });
        Ok(())
    }

    /// Statements up to and including `}`; names end with the block.
    fn block(&mut self, outer: &mut Scope) -> Parsed<Vec<MlirStmt>> {
        let mut scope = outer.clone();
        let mut body = Vec::new();
        while !self.c.eat("}") {
            if self.c.eat("aie.end") || self.c.eat("scf.yield") {
                continue;
            }
            if self.c.sees("%") {
                body.extend(self.assignment(&mut scope)?);
            } else {
                body.push(self.effect(&mut scope)?);
            }
        }
        outer.acquires = scope.acquires;
        Ok(body)
    }

    fn local(&mut self, scope: &Scope) -> Parsed<Local> {
        let name = self.c.value()?.to_owned();
        if let Some(local) = scope.names.get(&name) {
            return Ok(local.clone());
        }
        match self.values.get(&name) {
            Some(Named::Buffer(buffer)) => Ok(Local::Value(MlirValue::Buffer(buffer.clone()))),
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
        let name = self.c.value()?.to_owned();
        self.c.expect("=")?;
        let mut effect = None;
        let local = if self.c.eat("aie.objectfifo.acquire") {
            let (fifo, port, count) = self.port()?;
            self.c.expect(":")?;
            self.c.ty()?;
            effect = Some(MlirStmt::Acquire { fifo, port, count });
            scope.acquires += 1;
            Local::Subview(scope.acquires - 1)
        } else {
            Local::Value(self.pure(scope)?)
        };
        scope.names.insert(name, local);
        Ok(effect)
    }

    /// An operation that only makes a value.
    fn pure(&mut self, scope: &Scope) -> Parsed<MlirValue> {
        if self.c.eat("arith.constant") {
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
            self.c.expect(":")?;
            self.c.ty()?;
            self.c.expect("->")?;
            self.c.ty()?;
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
        } else if self.c.eat("memref.load") {
            let of = Box::new(self.operand(scope)?);
            let index = self.subscript(scope)?;
            self.c.expect(":")?;
            self.c.ty()?;
            Ok(MlirValue::Load { of, index })
        } else if self.c.eat("arith.index_cast") {
            let value = self.operand(scope)?;
            self.cast("to")?;
            Ok(value)
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
        if lists[0] != [0] || lists[2] != [1] {
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
        if self.c.eat("aie.objectfifo.release") {
            let (fifo, port, count) = self.port()?;
            Ok(MlirStmt::Release { fifo, port, count })
        } else if self.c.eat("func.call") {
            let function = self.c.symbol()?.to_owned();
            let names = self.c.list("(", ")", |c| c.value().map(str::to_owned))?;
            let args: Parsed<Vec<MlirValue>> = names.iter().map(|n| self.named(scope, n)).collect();
            self.c.expect(":")?;
            self.c.list("(", ")", |c| c.ty())?;
            self.c.expect("->")?;
            self.c.expect("(")?;
            self.c.expect(")")?;
            Ok(MlirStmt::Call { function, args: args? })
        } else if self.c.eat("scf.for") {
            self.for_loop(scope)
        } else if self.c.eat("scf.index_switch") {
            self.switch(scope)
        } else {
            Err(self.c.error("an operation of the subset"))
        }
    }

    fn named(&mut self, scope: &Scope, name: &str) -> Parsed<MlirValue> {
        match (scope.names.get(name), self.values.get(name)) {
            (Some(Local::Value(value)), _) => Ok(value.clone()),
            (None, Some(Named::Buffer(buffer))) => Ok(MlirValue::Buffer(buffer.clone())),
            _ => Err(self.c.error(format!("before this a value in scope, not %{name},"))),
        }
    }

    fn for_loop(&mut self, scope: &mut Scope) -> Parsed<MlirStmt> {
        let index = self.c.value()?.to_owned();
        self.c.expect("=")?;
        let from = self.constant(scope)?;
        self.c.expect("to")?;
        let bound = self.operand(scope)?;
        self.c.expect("step")?;
        let step = self.constant(scope)?;
        if from != 0 || step != 1 {
            return Err(self.c.error("a loop from 0 by 1 before this"));
        }
        let trips = match bound {
            MlirValue::Constant(n) if n >= ENDLESS => MlirTrips::Endless,
            MlirValue::Constant(n) => MlirTrips::Constant(n),
            value => MlirTrips::Value(value),
        };
        self.c.expect("{")?;
        // The index of a loop is no value of the subset: a use of it is an error.
        let shadowed = scope.names.remove(&index);
        let body = self.block(scope)?;
        scope.names.extend(shadowed.map(|local| (index, local)));
        Ok(MlirStmt::For { trips, body })
    }

    fn switch(&mut self, scope: &mut Scope) -> Parsed<MlirStmt> {
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
        Ok(MlirStmt::Switch { on, cases, default })
    }
}
