//! One core's program as `aie.core`.

use super::{Writer, list, local_name, memref, param_types, tile_name};
use crate::array::{Arg, Core, Count, Design, KernelId, MemType, Stmt, WordRef};
use crate::kernel::Elem;
use std::collections::{BTreeMap, BTreeSet};

/// An `index` constant that no loop reaches: endless.
const ENDLESS: u64 = i64::MAX as u64;

pub(super) fn core(out: &mut Writer, design: &Design, core: &Core) {
    let mut body = Writer { text: String::new(), depth: out.depth + 1 };
    let mut program = Program { design, names: Names::default(), words: crate::array::words_used(core) };
    program.body(&mut body, &core.body);
    let (tile, name) = (core.tile, tile_name(core.tile));
    let stack = core.stack_bytes.map_or(String::new(), |b| format!(" {{stack_size = {b} : i32}}"));
    out.block_with(&format!("%core_{}_{} = aie.core({name})", tile.col, tile.row), &stack, |out| {
        for value in &program.names.indices {
            out.line(format_args!("%c{value} = arith.constant {value} : index"));
        }
        for value in &program.names.integers {
            out.line(format_args!("{} = arith.constant {value} : i32", integer(*value)));
        }
        out.text.push_str(&body.text);
        out.line(format_args!("aie.end"));
    });
}

/// SSA names and the constants that the program needs.
#[derive(Default)]
struct Names {
    indices: BTreeSet<u64>,
    integers: BTreeSet<i32>,
    loops: u32,
    acquires: u32,
    views: u32,
    switches: u32,
    /// Type of each object, for loads and views.
    objects: BTreeMap<u32, MemType>,
}

fn integer(value: i32) -> String {
    if value < 0 { format!("%cm{}_i32", value.unsigned_abs()) } else { format!("%c{value}_i32") }
}

fn word_name(word: WordRef) -> String {
    format!("%{}_w{}", word.object, word.index)
}

struct Program<'d> {
    design: &'d Design,
    names: Names,
    /// Words that the program uses, loaded where their object is acquired.
    words: Vec<WordRef>,
}

impl Program<'_> {
    fn index(&mut self, value: u64) -> String {
        self.names.indices.insert(value);
        format!("%c{value}")
    }

    fn body(&mut self, out: &mut Writer, body: &[Stmt]) {
        body.iter().for_each(|s| self.stmt(out, s));
    }

    fn stmt(&mut self, out: &mut Writer, stmt: &Stmt) {
        match stmt {
            Stmt::Loop { count, body } => self.repeat(out, *count, body),
            Stmt::Acquire { fifo, port, objects, .. } => {
                let fifo = self.design.fifo(*fifo);
                let ty = memref(&fifo.object);
                let subview = format!("%held{}", self.names.acquires);
                self.names.acquires += 1;
                out.line(format_args!(
                    "{subview} = aie.objectfifo.acquire @{}({port}, {}) : !aie.objectfifosubview<{ty}>",
                    fifo.name,
                    objects.len()
                ));
                for (at, object) in objects.iter().enumerate() {
                    out.line(format_args!(
                        "%{object} = aie.objectfifo.subview.access {subview}[{at}] : !aie.objectfifosubview<{ty}> -> {ty}"
                    ));
                    self.names.objects.insert(object.0, fifo.object.clone());
                    self.load_words(out, object.0, &fifo.object);
                }
            }
            Stmt::Release { fifo, port, count, .. } => {
                let name = &self.design.fifo(*fifo).name;
                out.line(format_args!("aie.objectfifo.release @{name}({port}, {count})"));
            }
            Stmt::Call { kernel, args, .. } => self.call(out, *kernel, args),
            Stmt::Switch { on, cases, default, .. } => self.switch(out, *on, cases, default),
        }
    }

    fn load_words(&mut self, out: &mut Writer, object: u32, ty: &MemType) {
        let mine: Vec<WordRef> = self.words.iter().filter(|w| w.object.0 == object).copied().collect();
        let Some(first) = mine.first() else { return };
        let mut source = format!("%{}", first.object);
        let mut words = ty.clone();
        if ty.elem != Elem::I32 {
            words = MemType::flat(Elem::I32, u32::try_from(ty.bytes() / 4).unwrap_or(u32::MAX));
            let zero = self.index(0);
            let (from, to) = (memref(ty), memref(&words));
            out.line(format_args!("{source}_words = memref.view {source}[{zero}][] : {from} to {to}"));
            source.push_str("_words");
        }
        for word in mine {
            let at = self.index(u64::from(word.index));
            out.line(format_args!("{} = memref.load {source}[{at}] : {}", word_name(word), memref(&words)));
        }
    }

    /// A word as an `index`; names are unique by position in the program.
    fn word_index(&mut self, out: &mut Writer, word: WordRef, name: String) -> String {
        out.line(format_args!("{name} = arith.index_cast {} : i32 to index", word_name(word)));
        name
    }

    fn repeat(&mut self, out: &mut Writer, count: Count, body: &[Stmt]) {
        let number = self.names.loops;
        self.names.loops += 1;
        let bound = match count {
            Count::Forever => self.index(ENDLESS),
            Count::Const(trips) => self.index(trips),
            Count::Word(word) => self.word_index(out, word, format!("%trips{number}")),
        };
        let (zero, one) = (self.index(0), self.index(1));
        out.block(&format!("scf.for %i{number} = {zero} to {bound} step {one}"), |out| self.body(out, body));
    }

    fn call(&mut self, out: &mut Writer, id: KernelId, args: &[Arg]) {
        let design = self.design;
        let kernel = design.kernel(id);
        let mut values = Vec::new();
        for arg in args {
            let (whole, ty, view) = match arg {
                Arg::Const(value) => {
                    self.names.integers.insert(*value);
                    values.push(integer(*value));
                    continue;
                }
                Arg::Word(word) => {
                    values.push(word_name(*word));
                    continue;
                }
                Arg::Object { object, view } => {
                    let ty = self.names.objects.get(&object.0).cloned();
                    (format!("%{object}"), ty, view)
                }
                Arg::Local { buffer, view } => {
                    let local = design.local(*buffer);
                    (local_name(local), Some(local.ty.clone()), view)
                }
            };
            let (Some(view), Some(ty)) = (view, ty) else {
                values.push(whole);
                continue;
            };
            let at = self.index(view.byte_offset);
            let name = format!("%view{}", self.names.views);
            self.names.views += 1;
            let (from, to) = (memref(&ty), memref(&view.ty));
            out.line(format_args!("{name} = memref.view {whole}[{at}][] : {from} to {to}"));
            values.push(name);
        }
        let (args, types) = (list(values, |v| v), param_types(kernel));
        out.line(format_args!("func.call @{}({args}) : ({types}) -> ()", kernel.name));
    }

    fn switch(&mut self, out: &mut Writer, on: WordRef, cases: &[(i64, Vec<Stmt>)], default: &[Stmt]) {
        let name = format!("%which{}", self.names.switches);
        self.names.switches += 1;
        let on = self.word_index(out, on, name);
        out.line(format_args!("scf.index_switch {on}"));
        for (value, body) in cases {
            out.block(&format!("case {value}"), |out| self.branch(out, body));
        }
        out.block("default", |out| self.branch(out, default));
    }

    fn branch(&mut self, out: &mut Writer, body: &[Stmt]) {
        self.body(out, body);
        out.line(format_args!("scf.yield"));
    }
}
