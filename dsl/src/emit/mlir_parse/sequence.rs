//! Runtime sequences: copies and waits, or the tasks that newer tools write instead.

use super::{MlirCopy, MlirHostBuffer, MlirLine, MlirSequence, MlirStep, Parsed, Parser};
use crate::emit::mlir_parse::cursor::Cursor;
use std::collections::BTreeMap;

/// Names in a sequence's region.
#[derive(Default)]
struct Scope {
    /// Host buffers, by position.
    buffers: Vec<String>,
    constants: BTreeMap<String, i64>,
    /// Tasks that are configured.
    tasks: BTreeMap<String, MlirCopy>,
}

impl Scope {
    fn buffer(&self, c: &mut Cursor<'_>) -> Parsed<usize> {
        let name = c.value()?;
        self.buffers.iter().position(|n| n == name).ok_or_else(|| c.error("a host buffer before this"))
    }

    /// `[1, %c4, ..]`.
    fn integers(&self, c: &mut Cursor<'_>) -> Parsed<Vec<i64>> {
        c.list("[", "]", |c| {
            if !c.sees("%") {
                return c.integer();
            }
            let name = c.value()?;
            self.constants.get(name).copied().ok_or_else(|| c.error("a constant before this"))
        })
    }

    fn task(&self, c: &mut Cursor<'_>) -> Parsed<MlirCopy> {
        c.expect("(")?;
        let name = c.value()?;
        let task = self.tasks.get(name).cloned().ok_or_else(|| c.error("a configured task before this"))?;
        c.expect(")")?;
        Ok(task)
    }
}

impl Parser<'_> {
    pub(super) fn sequence(&mut self) -> Parsed<()> {
        if self.c.sees("@") {
            self.c.symbol()?;
        }
        let arguments = self.c.list("(", ")", |c| {
            let name = c.value()?.to_owned();
            c.expect(":")?;
            Ok(MlirHostBuffer { name, ty: c.ty()? })
        })?;
        let names = arguments.iter().map(|b| b.name.clone()).collect();
        self.c.expect("{")?;
        let mut scope = Scope { buffers: names, ..Scope::default() };
        let mut steps = Vec::new();
        while !self.c.eat("}") {
            steps.extend(self.step(&mut scope)?);
        }
        self.design.sequence = MlirSequence { buffers: arguments, steps };
        Ok(())
    }

    fn step(&mut self, scope: &mut Scope) -> Parsed<Option<MlirStep>> {
        let line = self.c.here();
        if self.c.sees("%") {
            let name = self.c.value()?.to_owned();
            self.c.expect("=")?;
            if self.c.eat("arith.constant") {
                let value = self.c.integer()?;
                self.c.expect(":")?;
                self.c.ty()?;
                scope.constants.insert(name, value);
            } else {
                self.c.expect("aiex.dma_configure_task_for")?;
                let task = self.configure(scope, line)?;
                scope.tasks.insert(name, task);
            }
            return Ok(None);
        }
        if self.c.eat("aiex.npu.dma_wait") {
            let attributes = self.attributes()?;
            let Some(symbol) = attributes.get("symbol") else {
                return Err(self.c.error("a symbol before this"));
            };
            return Ok(Some(MlirStep::Wait { fifo: symbol.trim_start_matches('@').to_owned(), line }));
        }
        if self.c.eat("aiex.dma_start_task") {
            return scope.task(&mut self.c).map(|task| Some(MlirStep::Copy(MlirCopy { line, ..task })));
        }
        if self.c.eat("aiex.dma_await_task") {
            return scope.task(&mut self.c).map(|task| Some(MlirStep::Wait { fifo: task.fifo, line }));
        }
        if self.c.eat("aiex.dma_free_task") {
            return scope.task(&mut self.c).map(|_| None);
        }
        self.c.expect("aiex.npu.dma_memcpy_nd")?;
        self.copy(scope, line).map(|copy| Some(MlirStep::Copy(copy)))
    }

    /// `(%x[offsets][sizes][strides]) {id = .., metadata = @fifo}`.
    fn copy(&mut self, scope: &Scope, line: MlirLine) -> Parsed<MlirCopy> {
        self.c.expect("(")?;
        while self.c.sees_integer() {
            // Before 2025-03, a place that nothing reads.
            self.c.integer()?;
            self.c.expect(",")?;
        }
        let buffer = scope.buffer(&mut self.c)?;
        let mut access = [Vec::new(), Vec::new(), Vec::new()];
        for list in &mut access {
            *list = scope.integers(&mut self.c)?;
        }
        self.c.expect(")")?;
        let attributes = self.attributes()?;
        self.c.expect(":")?;
        self.c.ty()?;
        let (Some(id), Some(fifo)) = (attributes.get("id"), attributes.get("metadata")) else {
            return Err(self.c.error("id and metadata before this"));
        };
        let id = Some(self.integer_of(id)?);
        let token = attributes.get("issue_token").is_some_and(|v| v == "true");
        Ok(MlirCopy { buffer, fifo: fifo.trim_start_matches('@').to_owned(), access, id, token, line })
    }

    /// `@fifo { aie.dma_bd(%x : type, offset, len, [<size = .., stride = ..>, ..]) aie.end } {issue_token = true}`,
    /// or with named fields.
    fn configure(&mut self, scope: &Scope, line: MlirLine) -> Parsed<MlirCopy> {
        let fifo = self.c.symbol()?.to_owned();
        self.c.expect("{")?;
        self.c.expect("aie.dma_bd")?;
        self.c.expect("(")?;
        let buffer = scope.buffer(&mut self.c)?;
        self.c.expect(":")?;
        self.c.ty()?;
        let (mut offset, mut len) = (0, None);
        let (mut sizes, mut strides) = (Vec::new(), Vec::new());
        if self.c.eat(",") {
            offset = self.c.integer()?;
            if self.c.eat(",") {
                len = Some(self.c.integer()?);
            }
            if self.c.eat(",") {
                let dims = self.c.list("[", "]", |c| Parser::dim(c))?;
                (sizes, strides) = dims.iter().map(|d| (i64::from(d.size), i64::from(d.stride))).unzip();
            }
        }
        while !self.c.eat(")") {
            if self.c.eat("offset") {
                self.c.expect("=")?;
                offset = self.c.integer()?;
            } else if self.c.eat("len") {
                self.c.expect("=")?;
                len = Some(self.c.integer()?);
            } else if self.c.eat("sizes") {
                self.c.expect("=")?;
                sizes = scope.integers(&mut self.c)?;
            } else {
                self.c.expect("strides")?;
                self.c.expect("=")?;
                strides = scope.integers(&mut self.c)?;
            }
        }
        self.attributes()?;
        self.c.expect("aie.end")?;
        self.c.expect("}")?;
        let attributes = self.attributes()?;
        let repeats = attributes.get("repeat_count").map(|r| self.integer_of(r)).transpose()?.unwrap_or(0);
        let token = attributes.get("issue_token").is_some_and(|v| v == "true");
        if sizes.is_empty() {
            let Some(len) = len else { return Err(self.c.error("a task with a length before this")) };
            (sizes, strides) = (vec![len], vec![1]);
        }
        let fits = sizes.len() == strides.len() && sizes.len() <= 4;
        if !fits || (repeats > 0 && sizes.len() == 4 && sizes[0] != 1) {
            return Err(self.c.error("a task of at most 4 dimensions before this"));
        }
        let pad = |list: &mut Vec<i64>, with: i64| {
            let missing = 4 - list.len();
            list.splice(0..0, std::iter::repeat_n(with, missing));
        };
        pad(&mut sizes, 1);
        pad(&mut strides, 0);
        if repeats > 0 {
            (sizes[0], strides[0]) = (repeats + 1, 0);
        }
        Ok(MlirCopy { buffer, fifo, access: [vec![0, 0, 0, offset], sizes, strides], id: None, token, line })
    }
}
