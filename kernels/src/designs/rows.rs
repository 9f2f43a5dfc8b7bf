//! Row-wise operations on all 16 cores, one program: every column of cores takes a share of the rows, its mem tile
//! splits each object over its four cores and joins their results.
//!
//! What the program does, a core reads from the first object of a dispatch (the first few, where objects are shorter than
//! the header), which it keeps: [`HeaderLayout`] says where the operation, the number of turns and the operands of the
//! kernels lie in it. So residual addition and both LayerNorms are three sequences over one array program, and no
//! reconfiguration lies between them.
//!
//! Where program memory is too short for all three, each operation is a program of its own ([`Programs`]), with the same
//! header; a change of operation is then a change of design.
//!
//! A turn of a core is four rows, or two or one where a core has no room for that ([`Room`]). Every row of a result has two
//! bytes for each column: results of 16 bits fill them, bytes (and the multiplier of their row,
//! [`crate::requantise::ROW_BLOCK`]) lie at their start. Where the stream is bytes, so is every result. An addition takes
//! two objects a turn, the rows of each summand.
//!
//! Operands lie in blocks of four rows ([`crate::layout`]). A turn of four rows is contiguous; of fewer, the shims' copies
//! of norms gather it. Cores work on rows: their DMAs put the strips that come one behind another into rows, and send
//! results as strips. They do it in pieces of 16 bytes, a row of a strip of 16 bits; for results in bytes a kernel
//! ([`crate::weave`]) puts into each piece what lies there in host memory. Additions do not ask which element is which.
//!
//! A column's share is a whole number of objects and of blocks; where the rows do not divide, the last shares start earlier
//! and write what they share with their neighbours a second time, so that rows past the last block are never read or
//! written.

use super::choose::{TooBig, first_that_fits};
use super::cores;
use super::gemm::STACK_BYTES;
use crate::case::bytes_of;
use crate::copy;
use crate::layernorm::{LayerNorm, layernorm, layernorm_bytes, layernorm_rows};
use crate::layout::{BLOCK_ROWS, Blocked, STRIP};
use crate::requantise::ROW_BLOCK;
use crate::residual_add::{ResidualAdd, residual_add, residual_add_i8};
use crate::weave::weave;
use crate::whisper::scheme::Number;
use kiln_dsl::array::{
    Arg, CoreBuilder, Design, DesignBuilder, FifoId, KernelId, LocalId, MemType, ObjectId, Port, Tile, View,
    WordRef,
};
use kiln_dsl::device::Device;
use kiln_dsl::kernel::{Elem, Kernel, verify};
use kiln_dsl::sequence::HostBufferId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Cores in a column, and columns.
const GRID: u32 = 4;

/// What a dispatch of the program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowOp {
    /// The sum of two tensors of different scales.
    Add,
    /// LayerNorm to what matrices read, as the program has it.
    Norm,
    /// LayerNorm to the stream's type.
    NormPost,
}

impl RowOp {
    const ALL: [RowOp; 3] = [RowOp::Add, RowOp::Norm, RowOp::NormPost];

    /// The name of its design.
    pub const fn name(self) -> &'static str {
        match self {
            RowOp::Add => "residual_add",
            RowOp::Norm => "layernorm",
            RowOp::NormPost => "layernorm_post",
        }
    }

    /// The word that stands for it in a header.
    const fn code(self) -> i32 {
        match self {
            RowOp::Add => 0,
            RowOp::Norm => 1,
            RowOp::NormPost => 2,
        }
    }
}

/// Where things lie in a header, for rows of `d` columns: `gain` (i16) and `beta` (i32) of every column, then words. The
/// first eight are the parameters of the kernel (an addition's two multipliers and shift, or a norm's shift), after them
/// come the operation and the number of turns. Packer, kernels' views and the core's program all take it from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderLayout {
    d: u32,
}

impl HeaderLayout {
    /// Words of the kernel's parameters.
    const PARAM_WORDS: u32 = 8;

    /// The layout for rows of `d` columns.
    pub const fn new(d: u32) -> HeaderLayout {
        HeaderLayout { d }
    }

    fn beta_byte(self) -> u32 {
        2 * self.d
    }

    fn words_byte(self) -> u32 {
        6 * self.d
    }

    fn op_word(self) -> u32 {
        self.words_byte() / 4 + Self::PARAM_WORDS
    }

    /// All of it.
    pub fn bytes(self) -> u32 {
        self.words_byte() + 2 * 4 * Self::PARAM_WORDS
    }

    /// Views of gain, beta and parameters: first byte, element type, elements.
    fn views(self) -> [(u32, Elem, u32); 3] {
        [
            (0, Elem::I16, self.d),
            (self.beta_byte(), Elem::I32, self.d),
            (self.words_byte(), Elem::I32, Self::PARAM_WORDS),
        ]
    }

    fn pack(self, gain: &[i16], beta: &[i32], params: &[i32], op: RowOp, turns: u32) -> Vec<u8> {
        let mut bytes = vec![0; self.bytes() as usize];
        let mut put =
            |at: u32, part: Vec<u8>| bytes[at as usize..at as usize + part.len()].copy_from_slice(&part);
        put(0, bytes_of(gain));
        put(self.beta_byte(), bytes_of(beta));
        put(self.words_byte(), bytes_of(params));
        put(4 * self.op_word(), bytes_of(&[op.code(), turns as i32]));
        bytes
    }
}

/// What the memories of a device hold of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Rows of a turn of one core: an object.
    pub turn_rows: u32,
    /// Copies that bring a column's summands: one has a limit of turns.
    pub copies: u32,
    /// Objects at the ends of FIFOs in the mem tiles, whole ones.
    pub mem: u32,
    /// In a core. An addition holds two; two more may be on their way.
    pub core_in: u32,
    /// In a core, results.
    pub core_out: u32,
}

/// What the programs of a core hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Programs {
    /// One holds every operation.
    One,
    /// Each operation has one.
    Each,
}

/// The row-wise operations of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowProgram {
    /// Columns: a multiple of 64.
    pub d: u32,
    /// Rows.
    pub rows: u32,
    /// Type of summands, sums and what is normalised: 16 bits or bytes.
    pub stream: Number,
    /// Type of [`RowOp::Norm`]'s results: bytes, bytes with a multiplier for each row, or bf16.
    pub norm: Number,
    /// Its objects.
    pub room: Room,
    /// Its programs.
    pub programs: Programs,
}

/// A core's kernels and what it keeps.
struct Core<'a> {
    keep: KernelId,
    /// The operations of its program.
    ops: &'a [(RowOp, KernelId)],
    kept: LocalId,
    /// Rows of bytes of [`RowOp::Norm`], and what orders them.
    woven: Option<(LocalId, KernelId)>,
}

/// Copies of a sequence repeat at most so often.
const REPEATS: u64 = 64;

impl RowProgram {
    /// Bytes of a row of every input and output.
    fn row_bytes(&self) -> u32 {
        self.stream.elem().bytes() * self.d
    }

    /// Bytes of one core's part of an object.
    fn part_bytes(&self) -> u32 {
        self.room.turn_rows * self.row_bytes()
    }

    /// Rows of whole blocks.
    fn whole_rows(&self) -> u32 {
        self.rows.next_multiple_of(BLOCK_ROWS)
    }

    /// Rows that one column works on: a whole number of objects.
    fn share(&self) -> u32 {
        self.rows.div_ceil(GRID).next_multiple_of(self.turn())
    }

    /// Rows that a column takes at a time.
    fn turn(&self) -> u32 {
        GRID * self.room.turn_rows
    }

    /// Turns of a core.
    fn turns(&self) -> u32 {
        self.share() / self.turn()
    }

    /// Rows that input and output buffers must have.
    pub fn rows_needed(&self) -> u32 {
        self.whole_rows().max(self.share())
    }

    /// Whether norms are bytes of a stream of 16 bits.
    fn norm_narrows(&self) -> bool {
        self.norm.elem().bytes() < self.stream.elem().bytes()
    }

    /// Bytes of a row of a norm, with what its multiplier takes.
    fn norm_bytes(&self) -> u32 {
        match self.norm {
            Number::I8 => self.d,
            Number::I8Rows => self.d + ROW_BLOCK as u32,
            Number::I16 | Number::Bf16 => self.row_bytes(),
        }
    }

    /// Operands of `rows` rows.
    pub fn layout(&self, rows: u32) -> Blocked {
        Blocked::new(rows, self.d)
    }

    /// Results of norms of `rows` rows, in elements of their type.
    pub fn norm_layout(&self, rows: u32) -> Blocked {
        Blocked::new(rows, self.row_bytes() / self.norm.elem().bytes())
    }

    /// The order in which cores' DMAs go through an object: strips of all rows, one behind another.
    fn strips(&self) -> Option<[(u32, u32); 3]> {
        let piece = self.stream.elem().bytes() * STRIP;
        let rows = self.room.turn_rows;
        (rows > 1).then(|| [(self.d / STRIP, piece), (rows, self.row_bytes()), (piece, 1)])
    }

    /// Objects that bring the header to a core.
    fn header_objects(&self) -> u32 {
        HeaderLayout::new(self.d).bytes().div_ceil(self.part_bytes())
    }

    /// Bytes of the header in each of them.
    fn header_piece(&self) -> u32 {
        let bytes = HeaderLayout::new(self.d).bytes();
        bytes.div_ceil(self.header_objects()).next_multiple_of(copy::STEP)
    }

    /// Bytes of the header's buffer: its objects, each once for each core.
    pub fn header_len(&self) -> u64 {
        u64::from(self.header_objects() * GRID * self.part_bytes())
    }

    fn header(&self, gain: &[i16], beta: &[i32], params: &[i32], op: RowOp) -> Vec<u8> {
        let all = HeaderLayout::new(self.d).pack(gain, beta, params, op, self.turns());
        let object = |piece: &[u8]| {
            let mut part = piece.to_vec();
            part.resize(self.part_bytes() as usize, 0);
            // As a core's DMA puts it together again.
            let strips = |[strips, rows, (piece, _)]: [(u32, u32); 3]| -> Vec<u8> {
                let starts = (0..strips.0).flat_map(|s| (0..rows.0).map(move |r| s * strips.1 + r * rows.1));
                starts.flat_map(|at| part[at as usize..][..piece as usize].to_vec()).collect()
            };
            self.strips().map_or(part.clone(), strips).repeat(GRID as usize)
        };
        all.chunks(self.header_piece() as usize).flat_map(object).collect()
    }

    /// The header's buffer of an addition.
    pub fn add_header(&self, add: &ResidualAdd) -> Vec<u8> {
        self.header(&[], &[], &[add.mult_x.into(), add.mult_y.into(), add.shift as i32], RowOp::Add)
    }

    /// The header's buffer of a norm.
    pub fn norm_header(&self, op: RowOp, norm: &LayerNorm) -> Vec<u8> {
        self.header(&norm.gain, &norm.beta, &[norm.shift as i32], op)
    }

    /// The program for `rows` rows of `d` columns with the largest and most objects that the memories of a device have
    /// room for; one for all operations, unless that has too little program memory everywhere.
    ///
    /// # Errors
    /// When not even one row at a time fits, of one of the operations.
    ///
    /// # Panics
    /// As [`RowProgram::design`].
    pub fn fitted(
        [rows, d]: [u32; 2],
        stream: Number,
        norm: Number,
        device: &Device,
    ) -> Result<RowProgram, TooBig> {
        let objects = [[2, 4, 2], [1, 4, 2], [2, 2, 2], [1, 2, 2], [1, 2, 1]];
        let turns = [(4, 1), (2, 1), (2, 2), (1, 2), (1, 3)];
        let rooms = turns.into_iter().flat_map(|(turn_rows, copies)| {
            objects.map(|[mem, core_in, core_out]| Room { turn_rows, copies, mem, core_in, core_out })
        });
        let rooms = [Programs::One, Programs::Each].map(|programs| rooms.clone().map(move |r| (programs, r)));
        let candidates = rooms.into_iter().flatten().map(|(programs, room)| {
            let program = RowProgram { d, rows, stream, norm, room, programs };
            let designs = RowOp::ALL.map(|op| program.design(op.name(), op, program.rows_needed()));
            (program, designs)
        });
        Ok(first_that_fits(device, candidates)?.0)
    }

    /// The design named `name` that does `op` on buffers of `buffer_rows` rows: `header` bytes, `x` of the
    /// stream's type (for an addition both summands, one after the other), and `y`. An addition writes the first half of
    /// a buffer of the size of its input.
    ///
    /// # Panics
    /// When `d` is not a multiple of 64, or one of the kernels does not verify.
    pub fn design(&self, name: &str, op: RowOp, buffer_rows: u32) -> Design {
        let Room { turn_rows, mem: mem_objects, core_in: in_objects, core_out: out_objects, .. } = self.room;
        assert!(self.d.is_multiple_of(64), "rows of {} columns: expected a multiple of 64", self.d);
        let d = DesignBuilder::new(name, format!("Row-wise operations on rows of {}: {op:?}.", self.d));
        let kernel = |k: Kernel| d.kernel(Arc::new(verify(k).unwrap_or_else(|e| panic!("{e}"))));
        let keep = kernel(copy::copy_i8(self.header_piece()));
        let held: &[RowOp] = match self.programs {
            Programs::One => &RowOp::ALL,
            Programs::Each => &[op],
        };
        // Where the stream is bytes, both norms are one kernel.
        let mut known = BTreeMap::new();
        let mut of = |op: RowOp| {
            let body = self.kernel(op);
            *known.entry(body.name.clone()).or_insert_with(|| kernel(body))
        };
        let ops: Vec<(RowOp, KernelId)> = held.iter().map(|&op| (op, of(op))).collect();
        let weave = (held.contains(&RowOp::Norm) && self.norm_narrows() && turn_rows > 1)
            .then(|| kernel(weave(turn_rows, self.norm_bytes(), self.d)));
        // Bytes, since they are seen as several things and `memref.view` takes only bytes.
        let part = MemType::flat(Elem::I8, self.part_bytes());
        let whole = MemType::flat(Elem::I8, GRID * self.part_bytes());
        let (mut inputs, mut outputs) = (vec![], vec![]);
        let (mut core_in, mut core_out): (Vec<FifoId>, Vec<FifoId>) = (vec![], vec![]);
        for col in 0..GRID {
            let (shim, mem) = (Tile::new(col as u8, 0), Tile::new(col as u8, 1));
            let (input, output) = (format!("in{col}"), format!("out{col}"));
            inputs.push(d.fifo(input, shim, [mem], whole.clone()).depths([2, mem_objects]).id());
            outputs.push(d.fifo(output, mem, [shim], whole.clone()).depths([mem_objects, 2]).id());
            let first = core_in.len();
            for row in 0..GRID {
                let core = Tile::new(col as u8, 2 + row as u8);
                let strips = || self.strips().into_iter().flatten();
                let input = d.fifo(format!("in{col}_{row}"), mem, [core], part.clone());
                core_in.push(input.depths([2, in_objects]).from_stream(core, strips()).id());
                let output = d.fifo(format!("out{col}_{row}"), core, [mem], part.clone());
                core_out.push(output.depths([out_objects, 2]).to_stream(strips()).id());
            }
            let offsets = |fifos: &[FifoId]| -> Vec<(FifoId, u32)> {
                fifos[first..].iter().enumerate().map(|(i, &f)| (f, i as u32 * self.part_bytes())).collect()
            };
            d.split(inputs[col as usize], offsets(&core_in));
            d.join(offsets(&core_out), outputs[col as usize]);
        }
        for (at, (input, output)) in cores().zip(core_in.into_iter().zip(core_out)) {
            let kept = MemType::flat(Elem::I8, self.header_objects() * self.header_piece());
            let kept = d.local(format!("header_{}_{}", at.col, at.row), at, kept, None, None);
            let woven = weave.map(|weave| {
                let rows = MemType::flat(Elem::I8, turn_rows * self.norm_bytes());
                (d.local(format!("rows_{}_{}", at.col, at.row), at, rows, None, None), weave)
            });
            let core = Core { keep, ops: &ops, kept, woven };
            d.core(at, |p| {
                p.stack_bytes(STACK_BYTES);
                p.forever(|p| self.dispatch(p, &core, input, output));
            });
        }
        self.sequence(&d, op, buffer_rows, &inputs, &outputs);
        d.build()
    }

    /// What an operation does with a turn, or an addition, or a row of a norm.
    fn kernel(&self, op: RowOp) -> Kernel {
        match (op, self.stream, self.norm) {
            (RowOp::Add, Number::I8, _) => residual_add_i8(self.room.turn_rows * self.d),
            (RowOp::Add, ..) => residual_add(self.room.turn_rows * self.d),
            (_, Number::I8, _) => layernorm_bytes(1, self.d),
            (RowOp::Norm, _, Number::I8Rows) => layernorm_rows(1, self.d),
            (RowOp::Norm, _, other) => layernorm(1, self.d, other.elem()),
            (RowOp::NormPost, ..) => layernorm(1, self.d, Elem::I16),
        }
    }

    /// What a core does in one dispatch: keeps the header, and takes the turns it says.
    fn dispatch(&self, p: &CoreBuilder, core: &Core, input: FifoId, output: FifoId) {
        let layout = HeaderLayout::new(self.d);
        let view = |byte_offset: u32, elem, len| {
            Some(View { byte_offset: byte_offset.into(), ty: MemType::flat(elem, len) })
        };
        let kept = |byte, elem, len| Arg::Local { buffer: core.kept, view: view(byte, elem, len) };
        let (piece, last) = (self.header_piece(), self.header_objects() - 1);
        debug_assert!(last * piece <= layout.words_byte(), "the words come in the last object");
        let keep = |i: u32| {
            let object = p.consume(input);
            let from = Arg::Object { object, view: view(0, Elem::I8, piece) };
            p.call(core.keep, vec![from, kept(i * piece, Elem::I8, piece)]);
            p.release(input, Port::Consume, 1);
            object
        };
        let objects: Vec<ObjectId> = (0..=last).map(keep).collect();
        let object = objects[last as usize];
        let first_word = layout.op_word() - last * piece / 4;
        let [op, turns] = [0, 1].map(|i| WordRef { object, index: first_word + i });
        let [gain, beta, params] = layout.views().map(|(byte, elem, len)| kept(byte, elem, len));
        let row = |object: ObjectId, row: u32, elem, len| Arg::Object {
            object,
            view: view(row * self.row_bytes(), elem, len),
        };
        let width = self.norm_bytes() / self.norm.elem().bytes();
        let add = |p: &CoreBuilder, kernel: KernelId, y: ObjectId| {
            let all = |object| row(object, 0, self.stream.elem(), self.room.turn_rows * self.d);
            let pair = p.acquire(input, Port::Consume, 2);
            p.call(kernel, vec![all(pair[0]), all(pair[1]), params.clone(), all(y)]);
            p.release(input, Port::Consume, 2);
        };
        let norm = |p: &CoreBuilder, kernel: KernelId, y: ObjectId, op: RowOp| {
            let (woven, elem, len) = match op {
                RowOp::Norm => (core.woven, self.norm.elem(), width),
                _ => (None, self.stream.elem(), self.d),
            };
            let x = p.consume(input);
            for r in 0..self.room.turn_rows {
                let x = row(x, r, self.stream.elem(), self.d);
                let operands = [x, gain.clone(), beta.clone(), params.clone()];
                let to = match woven {
                    Some((buffer, _)) => Arg::Local { buffer, view: view(r * len, elem, len) },
                    None => row(y, r, elem, len),
                };
                p.call(kernel, [&operands[..], &[to]].concat());
            }
            if let Some((rows, weave)) = woven {
                p.call(weave, vec![rows.into(), y.into()]);
            }
            p.release(input, Port::Consume, 1);
        };
        let work = |p: &CoreBuilder, (op, kernel): (RowOp, KernelId), y: ObjectId| match op {
            RowOp::Add => add(p, kernel, y),
            RowOp::Norm | RowOp::NormPost => norm(p, kernel, y, op),
        };
        p.repeat_word(turns, |p| {
            let y = p.produce(output);
            match core.ops {
                &[only] => work(p, only, y),
                ops => p.switch(op, |branches| {
                    for &of in ops {
                        branches.case(of.0.code().into(), |p| work(p, of, y));
                    }
                }),
            }
            p.release(output, Port::Produce, 1);
        });
    }

    fn sequence(
        &self,
        d: &DesignBuilder,
        op: RowOp,
        buffer_rows: u32,
        inputs: &[FifoId],
        outputs: &[FifoId],
    ) {
        debug_assert!(RowOp::ALL.contains(&op));
        let flat = |elem, len: u64| {
            MemType::flat(elem, u32::try_from(len).expect("host buffers below 4 Gi elements"))
        };
        let [share, rows, width] = [self.share(), self.whole_rows(), self.d].map(u64::from);
        let distance = self.layout(buffer_rows).len();
        let [turn, turns] = [self.turn(), self.turns()].map(u64::from);
        let each = turns.div_ceil(self.room.copies.into());
        let parts = (0..turns).step_by(each as usize).map(|done| (done, each.min(turns - done)));
        let parts: Vec<(u64, u64)> = parts.collect();
        // Rows of a block in one turn, and how often a copy goes through a block for those.
        let turn_rows = u64::from(self.room.turn_rows);
        let (block, turns_of_block) = (u64::from(BLOCK_ROWS) * width, u64::from(BLOCK_ROWS) / turn_rows);
        let blocks = share / u64::from(BLOCK_ROWS);
        d.sequence(|s| {
            let header = s.buffer("header", flat(Elem::I8, self.header_len()));
            let x = s.buffer("x", flat(self.stream.elem(), 2 * distance));
            let y_len = if op == RowOp::Add { 2 * distance } else { distance };
            let y = s.buffer("y", flat(self.stream.elem(), y_len));
            // A share of a norm's operand or result: whole blocks as they lie, or turn by turn strips of `strip` elements.
            let gathered = |of: HostBufferId, fifo: FifoId, first: u64, strip: u64| -> usize {
                if turns_of_block == 1 {
                    s.copy_linear(of, fifo, first, share * width).token();
                    return 1;
                }
                let parts = (0..blocks).step_by(REPEATS as usize);
                let copies = parts.map(|done| {
                    let sizes =
                        [(blocks - done).min(REPEATS), turns_of_block, block / strip, strip / turns_of_block];
                    let strides = [block, strip / turns_of_block, strip, 1];
                    s.copy(of, fifo, [0, 0, 0, first + done * block], sizes, strides).token();
                });
                copies.count()
            };
            let strip = u64::from(BLOCK_ROWS * STRIP);
            // Bytes have half as many elements of 16 bits in a strip.
            let result_strip = if op == RowOp::Norm && self.norm_narrows() { strip / 2 } else { strip };
            let mut waits = vec![];
            for col in 0..GRID as usize {
                let first = (col as u64 * share).min(rows.saturating_sub(share)) * width;
                let results = if op == RowOp::Add {
                    s.copy_linear(y, outputs[col], first, share * width).token();
                    1
                } else {
                    gathered(y, outputs[col], first, result_strip)
                };
                s.copy_linear(header, inputs[col], 0, self.header_len()).token();
                let operands = if op == RowOp::Add {
                    for &(done, turns) in &parts {
                        let sizes = [turns, 2, turn, width];
                        let strides = [turn * width, distance, width, 1];
                        let first = first + done * turn * width;
                        s.copy(x, inputs[col], [0, 0, 0, first], sizes, strides).token();
                    }
                    parts.len()
                } else {
                    gathered(x, inputs[col], first, strip)
                };
                waits.push((1 + operands, results));
            }
            for (col, (of_input, of_output)) in waits.into_iter().enumerate() {
                (0..of_input).for_each(|_| s.wait(inputs[col]));
                (0..of_output).for_each(|_| s.wait(outputs[col]));
            }
        });
    }
}
