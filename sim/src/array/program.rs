//! Flattens the tree of a core program into instructions with jumps.

use super::build::Builder;
use super::core::{Argument, End, Op, Program, Read, Trips, WORD_BYTES, Word};
use super::error::Problem;
use crate::executor::ArgValue;
use indexmap::IndexSet;
use kiln_dsl::array::lowered::{CoreOp, LoweredCore};
use kiln_dsl::array::{Arg, Count, KernelId, LocalId, ObjectId, View, WordRef};
use kiln_dsl::kernel::Loc;

/// The flat program of a core; `None` when something is wrong, which `builder` then knows.
pub(super) fn flatten(builder: &mut Builder<'_>, core: &LoweredCore) -> Option<Program> {
    let before = builder.problems.len();
    let mut flattener = Flattener {
        builder,
        core,
        program: Program::default(),
        object_bytes: Vec::new(),
        words: IndexSet::new(),
    };
    flattener.ends();
    flattener.block(&core.body);
    let mut program = flattener.program;
    program.objects = flattener.object_bytes.len();
    program.words = flattener.words.len();
    (builder.problems.len() == before).then_some(program)
}

struct Flattener<'a, 'b> {
    builder: &'a mut Builder<'b>,
    core: &'a LoweredCore,
    program: Program,
    /// Size of each object, by id; `None` before an acquire binds it.
    object_bytes: Vec<Option<u32>>,
    /// Words that acquires read, by position.
    words: IndexSet<WordRef>,
}

impl Flattener<'_, '_> {
    fn place(&self) -> String {
        format!("core {}", self.core.tile)
    }

    fn ends(&mut self) {
        for (at, (fifo, port, end)) in self.core.ends.iter().enumerate() {
            let place = || format!("core {}, end {at} ({fifo})", self.core.tile);
            let memory = self.builder.tile(end.memory, place);
            let acquire = self.builder.lock(end.memory, end.acquire_lock, place);
            let release = self.builder.lock(end.memory, end.release_lock, place);
            let buffers: Vec<_> =
                end.buffers.iter().map(|&b| self.builder.buffer(end.memory, b, place)).collect();
            if buffers.is_empty() {
                self.builder.dangling(place(), "buffer", 0);
            }
            let Some(declared) = self.builder.design.fifos.get(fifo.index()) else {
                self.builder.dangling(place(), "FIFO", u64::from(fifo.0));
                continue;
            };
            let bytes = u32::try_from(declared.object.bytes()).unwrap_or(u32::MAX);
            for buffer in buffers.iter().flatten().filter(|b| b.bytes < bytes) {
                let (what, kernel) = (format!("buffer {}", buffer.name), format!("FIFO {}", declared.name));
                let (end, bytes) = (u64::from(bytes), u64::from(buffer.bytes));
                let tile = self.core.tile;
                self.builder.problems.push(Problem::ViewOutside { tile, kernel, what, end, bytes });
            }
            if let (Some(memory), Some(acquire), Some(release)) = (memory, acquire, release) {
                let addresses: Vec<u32> = buffers.iter().flatten().map(|b| b.address).collect();
                let (costs, mode) = (&self.builder.timing.core, self.builder.lowered.mode);
                let (access, advance) = (costs.access(mode, addresses.len()), costs.advance(mode));
                let (fifo, port, tokens) = (*fifo, *port, u32::from(end.tokens));
                self.program.ends.push(End {
                    memory,
                    addresses,
                    acquire,
                    release,
                    tokens,
                    fifo,
                    port,
                    access,
                    advance,
                });
            }
        }
    }

    fn block(&mut self, body: &[CoreOp]) {
        for op in body {
            match op {
                CoreOp::Loop { count, body } => {
                    let trips = match count {
                        Count::Forever => Trips::Forever,
                        Count::Const(n) => Trips::Const(*n),
                        Count::Word(word) => Trips::Word(self.word(*word)),
                    };
                    let at = self.program.ops.len();
                    self.program.ops.push(Op::Loop { trips, exit: 0 });
                    self.block(body);
                    self.program.ops.push(Op::EndLoop);
                    self.program.ops[at] = Op::Loop { trips, exit: self.program.ops.len() };
                }
                CoreOp::Acquire { end, objects, take, words, loc } => {
                    let site = self.site(loc);
                    self.acquire(*end, objects, *take, words, site);
                }
                CoreOp::Release { end, count, loc } => {
                    if self.end(*end) && *count > 0 {
                        let (end, count, site) = (*end, u32::from(*count), self.site(loc));
                        self.program.ops.push(Op::Release { end, count, site });
                    }
                }
                CoreOp::Call { kernel, args, loc } => {
                    let site = self.site(loc);
                    self.call(*kernel, args, site);
                }
                CoreOp::Switch { on, cases, default } => {
                    let on = self.word(*on);
                    let at = self.program.ops.len();
                    self.program.ops.push(Op::Jump(0));
                    let (mut targets, mut ends) = (Vec::new(), Vec::new());
                    for (value, body) in cases {
                        targets.push((*value, self.program.ops.len()));
                        self.block(body);
                        ends.push(self.program.ops.len());
                        self.program.ops.push(Op::Jump(0));
                    }
                    let start = self.program.ops.len();
                    self.block(default);
                    let behind = self.program.ops.len();
                    for end in ends {
                        self.program.ops[end] = Op::Jump(behind);
                    }
                    self.program.ops[at] = Op::Switch { on, cases: targets, default: start };
                }
            }
        }
    }

    fn site(&mut self, loc: &Loc) -> u32 {
        self.program.locs.push(loc.clone());
        self.program.locs.len() as u32 - 1
    }

    fn end(&mut self, end: usize) -> bool {
        let known = end < self.core.ends.len();
        if !known {
            self.builder.dangling(self.place(), "FIFO end", end as u64);
        }
        known
    }

    fn acquire(&mut self, end: usize, objects: &[ObjectId], take: u8, words: &[WordRef], site: u32) {
        if !self.end(end) {
            return;
        }
        let fifo = self.core.ends[end].0;
        let bytes = self.builder.design.fifos.get(fifo.index()).map(|f| f.object.bytes() as u32);
        let start = self.program.bound.len();
        for object in objects {
            if self.object_bytes.len() <= object.index() {
                self.object_bytes.resize(object.index() + 1, None);
            }
            self.object_bytes[object.index()] = bytes;
            self.program.bound.push(object.0);
        }
        let objects = start..self.program.bound.len();
        self.program.ops.push(Op::Acquire { end, objects, take: u32::from(take), site });
        let start = self.program.reads.len();
        for &word in words {
            let bytes = self.object(word.object);
            let offset = word.index.saturating_mul(WORD_BYTES);
            if offset.saturating_add(WORD_BYTES) > bytes {
                let (tile, index) = (self.core.tile, word.index);
                self.builder.problems.push(Problem::WordOutside { tile, object: word.object, index, bytes });
            }
            let kept = Word(self.words.insert_full(word).0 as u32);
            self.program.reads.push(Read { word: kept, object: word.object.0, offset });
        }
        if !words.is_empty() {
            self.program.ops.push(Op::Read(start..self.program.reads.len()));
        }
    }

    /// Size of an object; a problem when no acquire before binds it.
    fn object(&mut self, object: ObjectId) -> u32 {
        match self.object_bytes.get(object.index()).copied().flatten() {
            Some(bytes) => bytes,
            None => {
                self.builder.dangling(self.place(), "object", u64::from(object.0));
                0
            }
        }
    }

    /// Where a word is kept; a problem when no acquire before reads it.
    fn word(&mut self, word: WordRef) -> Word {
        match self.words.get_index_of(&word) {
            Some(at) => Word(at as u32),
            None => {
                self.builder.dangling(self.place(), "word that no acquire reads", u64::from(word.index));
                Word(0)
            }
        }
    }

    fn call(&mut self, kernel: KernelId, args: &[Arg], site: u32) {
        let name = self.builder.design.kernels.get(kernel.index()).map(|k| k.name.clone());
        let name = name.unwrap_or_else(|| kernel.to_string());
        let start = self.program.args.len();
        for arg in args {
            let argument = match arg {
                Arg::Object { object, view } => {
                    let size = self.object(*object);
                    let (offset, bytes) = self.part(&name, object.to_string(), size, view.as_ref());
                    Argument::Object { object: object.0, offset, bytes }
                }
                Arg::Local { buffer, view } => {
                    let Some(value) = self.local(&name, *buffer, view.as_ref()) else { continue };
                    Argument::Fixed(value)
                }
                Arg::Const(value) => Argument::Fixed(ArgValue::I32(*value)),
                Arg::Word(word) => Argument::Word(self.word(*word)),
            };
            self.program.args.push(argument);
        }
        self.program.ops.push(Op::Call { kernel, args: start..self.program.args.len(), site });
    }

    fn local(&mut self, kernel: &str, id: LocalId, view: Option<&View>) -> Option<ArgValue> {
        let place = || format!("core {}, call of {kernel}", self.core.tile);
        let Some(&(tile, position)) = self.core.locals.get(&id.0) else {
            self.builder.dangling(place(), "local buffer", u64::from(id.0));
            return None;
        };
        let buffer = self.builder.buffer(tile, position, place);
        let (index, buffer) = (self.builder.tile(tile, place)?, buffer?);
        let (offset, bytes) = self.part(kernel, format!("buffer {}", buffer.name), buffer.bytes, view);
        Some(ArgValue::Memory { tile: index, address: buffer.address + offset, bytes })
    }

    /// Offset and size of a view, or of the whole.
    fn part(&mut self, kernel: &str, what: String, size: u32, view: Option<&View>) -> (u32, u32) {
        let Some(view) = view else { return (0, size) };
        let end = view.byte_offset + view.ty.bytes();
        if end > u64::from(size) {
            let (tile, kernel, bytes) = (self.core.tile, kernel.to_owned(), u64::from(size));
            self.builder.problems.push(Problem::ViewOutside { tile, kernel, what, end, bytes });
            return (0, 0);
        }
        (view.byte_offset as u32, view.ty.bytes() as u32)
    }
}
