//! Attention of all heads in one dispatch: scores and probabilities stay in the cores.
//!
//! ```text
//! shim c --q: 4 blocks of queries--> mem tile c ==one to each core of the column=========> cores
//! shim c --k and v, block by block-> mem tile c ==broadcast down the column=============> cores
//! cores of column c --ctx--> mem tile c, joined --> shim c
//! ```
//!
//! A *task* is a group of four blocks of queries of one head, one a core, against all keys of the head. Tasks are dealt to
//! the columns in turns of the head: column c takes a run of them, so that its consecutive tasks share a head. Queries,
//! keys and values are columns of one matrix in blocks of four rows ([`crate::layout`]), and so is the result: a head's
//! dimensions are a run of strips of every block of rows, which cores take as they come.
//!
//! Ahead of the keys of its first task every core reads one object that begins with the header
//! ([`crate::attention::Attention::header`]), and keeps it: layers differ in data only.
//!
//! With a running softmax an object of keys and one of values come together. Where it is normalised ([`Softmax`]), all
//! keys of a task come before its values.
//!
//! Blocks of keys past the last key are read as far as their block reaches, and masked; so the buffers
//! have [`AttentionDesign::rows_needed`] rows. Queries past the last give rows that mean nothing.

mod steps;

use super::choose::{TooBig, first_that_fits};
use super::cores;
use super::gemm::STACK_BYTES;
use crate::attention::{self, AttentionShape, HEADER_WORDS};
use crate::attention_bf16;
use crate::attention_normalised::{Header, NormalisedShape};
use crate::case::bytes_of;
use crate::code::Code;
use crate::copy;
use crate::layout::{BLOCK_ROWS, Blocked};
use kiln_dsl::array::{Arg, CoreBuilder, Design, DesignBuilder, FifoId, MemType, ObjectId, Port, Tile, View};
use kiln_dsl::device::Device;
use kiln_dsl::kernel::{Elem, Kernel, verify};
use std::sync::Arc;
use steps::Step;

/// Cores in a column, and columns.
const GRID: u32 = 4;

/// Copies of one FIFO that are under way at once: as many as a channel's queue holds.
const IN_FLIGHT: usize = 4;

/// Most blocks of keys in one copy: repeats of a shim's.
const REPEATS: u64 = 64;

/// Attention of one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttentionDesign {
    /// Name of the design.
    pub name: String,
    /// Heads.
    pub heads: u32,
    /// Dimensions of a head: a multiple of 8.
    pub head_dim: u32,
    /// Queries, and keys: up to [`attention::MAX_KEYS`].
    pub positions: u32,
    /// The input: q, k and v of every head side by side.
    pub input: Blocked,
    /// How scores become weights.
    pub softmax: Softmax,
    /// Type of ctx: i8 or i16, of q, k and v in bytes; or bf16, of q, k and v in bf16.
    pub out: Elem,
    /// The output: all heads' ctx side by side.
    pub output: Blocked,
}

/// How scores become weights, of q, k and v in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Softmax {
    /// While keys and values pass: [`crate::attention`], and [`crate::attention_bf16`] of bf16.
    Running,
    /// After all keys, before the values: [`crate::attention_normalised`]. ctx is i8.
    Normalised,
}

/// How much of the operands a core holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// Queries.
    pub rows: u32,
    /// Blocks of keys and values: two where one is at work and one on its way.
    pub keys: u32,
    /// How kernels of bytes with a running softmax are written; others have one form.
    pub code: Code,
}

/// The tile of the design document's section 4.2, with its design: 64 queries a core, 64 keys at a time, no second
/// block of keys on its way. Four heads over 256 positions, a task a column. What it takes does not follow the device:
/// it is what the document asks for.
pub fn attention_64x64() -> (AttentionDesign, Design) {
    let (heads, head_dim, positions) = (4, 64, 256);
    let width = heads * head_dim;
    let attention = AttentionDesign {
        name: "attention_64x64".into(),
        heads,
        head_dim,
        positions,
        input: Blocked::new(positions, 3 * width),
        softmax: Softmax::Running,
        out: Elem::I8,
        output: Blocked::new(positions, width),
    };
    let design = attention.design(Blocks { rows: 64, keys: 1, code: Code::Fast });
    (attention, design)
}

/// Where a column's tasks lie: groups `first..first + count` of one head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    head: u32,
    first: u32,
    count: u32,
}

impl AttentionDesign {
    /// Type of q, k and v.
    pub fn elem(&self) -> Elem {
        if self.out == Elem::Bf16 { Elem::Bf16 } else { Elem::I8 }
    }

    /// Keys of a block.
    fn keys(&self) -> u32 {
        if self.out == Elem::Bf16 { attention_bf16::KEYS } else { attention::KEYS }
    }

    /// Blocks of keys of a head.
    fn key_blocks(&self) -> u32 {
        self.positions.div_ceil(self.keys())
    }

    /// Groups of four blocks of queries, of `rows` each.
    fn groups(&self, rows: u32) -> u32 {
        self.positions.div_ceil(GRID * rows)
    }

    /// Rows that the buffers of input and output must have, for blocks of `rows` queries.
    pub fn rows_needed(&self, rows: u32) -> u32 {
        (self.groups(rows) * GRID * rows).max(self.key_blocks() * self.keys())
    }

    /// The same on matrices of `rows` rows.
    pub fn with_rows(self, rows: u32) -> AttentionDesign {
        let of = |matrix: Blocked| Blocked { rows, ..matrix };
        AttentionDesign { input: of(self.input), output: of(self.output), ..self }
    }

    /// The largest blocks that a device has room for: 64, 32 or 16 queries a core, or where their scores are resident 32
    /// to 4, but no more than a quarter of all needs, and two blocks of keys in a core or one. With compact kernels where
    /// others have too little program memory.
    ///
    /// # Errors
    /// When not even the smallest fit.
    pub fn blocks(&self, device: &Device) -> Result<Blocks, TooBig> {
        let sizes: &[u32] = match self.softmax {
            Softmax::Running => &[64, 32, 16],
            Softmax::Normalised => &[32, 24, 16, 12, 8, 4],
        };
        let needed = |rows: &u32| sizes.last() == Some(rows) || self.positions > GRID * rows / 2;
        let blocks = sizes.iter().copied().filter(needed);
        let blocks =
            |code| blocks.clone().flat_map(move |rows| [2, 1].map(|keys| Blocks { rows, keys, code }));
        let codes: &[Code] = match self.softmax {
            Softmax::Running if self.elem() == Elem::I8 => &[Code::Fast, Code::Compact],
            _ => &[Code::Fast],
        };
        let blocks = codes.iter().flat_map(|&code| blocks(code));
        let design = |blocks: Blocks| {
            let whole = self.clone().with_rows(self.rows_needed(blocks.rows));
            (blocks, [whole.design(blocks)])
        };
        Ok(first_that_fits(device, blocks.map(design))?.0)
    }

    /// Tasks that one column takes.
    fn tasks_per_column(&self, rows: u32) -> u32 {
        (self.heads * self.groups(rows)).div_ceil(GRID)
    }

    /// The tasks of a column, head by head. Where tasks do not divide, the last columns begin earlier and do again what
    /// their neighbours do: the result is the same.
    fn runs(&self, rows: u32, column: u32) -> Vec<Run> {
        let (groups, each) = (self.groups(rows), self.tasks_per_column(rows));
        let all = self.heads * groups;
        let first = (column * each).min(all - each);
        let mut runs: Vec<Run> = Vec::new();
        for task in first..first + each {
            let (head, group) = (task / groups, task % groups);
            match runs.last_mut().filter(|run| run.head == head) {
                Some(run) => run.count += 1,
                None => runs.push(Run { head, first: group, count: 1 }),
            }
        }
        runs
    }

    /// The design for blocks of a size.
    ///
    /// # Panics
    /// When a size is not one of the kernels'.
    pub fn design(&self, blocks: Blocks) -> Design {
        let rows = blocks.rows;
        let shape = AttentionShape { rows, dims: self.head_dim, code: blocks.code };
        let normalised = self.softmax == Softmax::Normalised;
        let doc = format!(
            "Attention of {} heads of {} dimensions, {} positions: {rows} queries a core, {} keys at a time.",
            self.heads,
            self.head_dim,
            self.positions,
            self.keys()
        );
        let d = DesignBuilder::new(&self.name, doc);
        let kernel = |k: Kernel| d.kernel(Arc::new(verify(k).unwrap_or_else(|e| panic!("{e}"))));
        let dim = self.head_dim;
        // All are bytes: weights lie in the result before ctx does, and the header in the first keys.
        let each = self.elem().bytes();
        let page = MemType::flat(Elem::I8, rows * dim * each);
        let keys = MemType::flat(Elem::I8, self.keys() * dim * each);
        let out = MemType::flat(Elem::I8, rows * dim * self.out.bytes());
        let times = |ty: &MemType, by: u32| MemType::flat(ty.elem, ty.shape[0] * by);
        let (mut q_in, mut kv_in, mut kv, mut ctx_out) = (vec![], vec![], vec![], vec![]);
        let mut ends: Vec<(FifoId, FifoId)> = vec![];
        for col in 0..GRID {
            let (shim, mem) = (Tile::new(col as u8, 0), Tile::new(col as u8, 1));
            let core = |row: u32| Tile::new(col as u8, 2 + row as u8);
            q_in.push(d.fifo(format!("q_in{col}"), shim, [mem], times(&page, GRID)).id());
            kv_in.push(d.fifo(format!("kv_in{col}"), shim, [mem], keys.clone()).id());
            // An object of keys and one of values a block, which a running softmax takes at once. Small objects fill
            // banks better.
            let down = d.fifo(format!("kv{col}"), mem, (0..GRID).map(core), keys.clone());
            let at_once = if normalised { 1 } else { 2 };
            kv.push(down.depths([2].into_iter().chain([at_once * blocks.keys; GRID as usize])).id());
            d.link([kv_in[col as usize]], [kv[col as usize]]);
            ctx_out.push(d.fifo(format!("ctx_out{col}"), mem, [shim], times(&out, GRID)).id());
            let first = ends.len();
            for row in 0..GRID {
                let q = d.fifo(format!("q{col}_{row}"), mem, [core(row)], page.clone());
                let ctx = d.fifo(format!("ctx{col}_{row}"), core(row), [mem], out.clone());
                ends.push((q.depths([2, 1]).id(), ctx.depths([1, 2]).id()));
            }
            let part = |i: usize, ty: &MemType| i as u32 * ty.shape[0];
            let ends = &ends[first..];
            d.split(q_in[col as usize], ends.iter().enumerate().map(|(i, e)| (e.0, part(i, &page))));
            d.join(ends.iter().enumerate().map(|(i, e)| (e.1, part(i, &out))), ctx_out[col as usize]);
        }

        let header_bytes = if normalised { Header::BYTES } else { 4 * HEADER_WORDS };
        let keep = kernel(copy::copy_i8(header_bytes));
        let steps = match self.softmax {
            Softmax::Normalised => {
                let keys = self.key_blocks() * self.keys();
                steps::of_bytes(&d, NormalisedShape { rows, dims: self.head_dim, keys })
            }
            Softmax::Running if self.elem() == Elem::Bf16 => steps::of_bf16(&d, shape),
            Softmax::Running => steps::of_integers(&d, shape, self.out),
        };
        for (at, (q, ctx)) in cores().zip(ends) {
            let kv = kv[usize::from(at.col)];
            let ty = MemType::flat(Elem::I8, header_bytes);
            let header = d.local(format!("header_{}_{}", at.col, at.row), at, ty, None, None);
            let at_start = |elem, len| Some(View { byte_offset: 0, ty: MemType::flat(elem, len) });
            let step = steps(at, header);
            let each_block = |p: &CoreBuilder, of: &dyn Fn(ObjectId) -> Step| {
                p.repeat(self.key_blocks().into(), |p| {
                    let object = p.consume(kv);
                    step(p, of(object));
                    p.release(kv, Port::Consume, 1);
                });
            };
            d.core(at, |p| {
                p.stack_bytes(STACK_BYTES);
                p.forever(|p| {
                    let object = p.consume(kv);
                    let view = at_start(Elem::I8, header_bytes);
                    p.call(keep, vec![Arg::Object { object, view }, header.into()]);
                    p.release(kv, Port::Consume, 1);
                    p.repeat(self.tasks_per_column(rows).into(), |p| {
                        let (queries, result) = (p.consume(q), p.produce(ctx));
                        step(p, Step::Start);
                        if normalised {
                            each_block(p, &|keys| Step::Keys { queries, keys });
                            step(p, Step::Softmax);
                            each_block(p, &|values| Step::Values { values });
                        } else {
                            p.repeat(self.key_blocks().into(), |p| {
                                let pair = p.acquire(kv, Port::Consume, 2);
                                step(p, Step::Block { queries, keys: pair[0], values: pair[1], result });
                                p.release(kv, Port::Consume, 2);
                            });
                        }
                        step(p, Step::Finish { result });
                        p.release(q, Port::Consume, 1);
                        p.release(ctx, Port::Produce, 1);
                    });
                });
            });
        }
        self.sequence(&d, rows, [&q_in, &kv_in, &ctx_out].map(|f| f.as_slice()));
        d.build()
    }

    /// Bytes of the header's buffer: one object of keys.
    fn header_len(&self) -> u64 {
        u64::from(self.keys() * self.head_dim * self.elem().bytes())
    }

    /// The header's buffer: an object like keys that begins with it.
    pub fn header(&self, words: [i32; HEADER_WORDS as usize]) -> Vec<u8> {
        self.object(bytes_of(&words))
    }

    /// The header's buffer where the softmax is normalised.
    pub fn normalised_header(&self, header: &Header) -> Vec<u8> {
        self.object([bytes_of(&header.words()), bytes_of(header.table)].concat())
    }

    fn object(&self, mut header: Vec<u8>) -> Vec<u8> {
        header.resize(self.header_len() as usize, 0);
        header
    }

    fn sequence(&self, d: &DesignBuilder, rows: u32, [q_in, kv_in, ctx_out]: [&[FifoId]; 3]) {
        let flat = |elem, len: u64| {
            MemType::flat(elem, u32::try_from(len).expect("host buffers below 4 Gi elements"))
        };
        let [keys, blocks, group, high] =
            [self.keys(), self.key_blocks(), GRID * rows, BLOCK_ROWS].map(u64::from);
        // A head's strips of a block of rows, and the distance from q to k and from k to v.
        let (strips, width) = (high * u64::from(self.head_dim), high * u64::from(self.heads * self.head_dim));
        let [x_block, y_block] = [self.input, self.output].map(|matrix| matrix.block_len());
        let runs: Vec<Vec<Run>> = (0..GRID).map(|column| self.runs(rows, column)).collect();
        d.sequence(|s| {
            let header = s.buffer("header", flat(Elem::I8, self.header_len()));
            let x = s.buffer("x", flat(self.elem(), self.input.len()));
            let y = s.buffer("y", flat(self.out, self.output.len()));
            s.keep_in_flight(IN_FLIGHT);
            for &fifo in kv_in {
                s.copy_linear(header, fifo, 0, self.header_len());
            }
            // Task by task over the columns, so that none waits for the copies of another.
            let mut at: Vec<(usize, u32)> = vec![(0, 0); GRID as usize];
            for _ in 0..self.tasks_per_column(rows) {
                for col in 0..GRID as usize {
                    let (index, done) = at[col];
                    let run = runs[col][index];
                    let head = u64::from(run.head) * strips;
                    if done == 0 {
                        let (count, first) = (u64::from(run.count), u64::from(run.first) * group / high);
                        let sizes = [1, count, group / high, strips];
                        let strides = |block: u64| [0, group / high * block, block, 1];
                        let offset = [0, 0, 0, first * y_block + head];
                        s.copy(y, ctx_out[col], offset, sizes, strides(y_block)).token();
                        let offset = [0, 0, 0, first * x_block + head];
                        s.copy(x, q_in[col], offset, sizes, strides(x_block));
                    }
                    // Keys beside their values, or one after the other.
                    let passes: &[(u64, u64)] = match self.softmax {
                        Softmax::Running => &[(1, 2)],
                        Softmax::Normalised => &[(1, 1), (2, 1)],
                    };
                    for &(operand, together) in passes {
                        for first in (0..blocks).step_by(REPEATS as usize) {
                            let offset = [0, 0, 0, first * keys / high * x_block + operand * width + head];
                            let sizes = [(blocks - first).min(REPEATS), together, keys / high, strips];
                            s.copy(x, kv_in[col], offset, sizes, [keys / high * x_block, width, x_block, 1]);
                        }
                    }
                    at[col] = if done + 1 == run.count { (index + 1, 0) } else { (index, done + 1) };
                }
            }
            q_in.iter().chain(kv_in).for_each(|&fifo| s.wait(fifo));
            for (runs, &fifo) in runs.iter().zip(ctx_out) {
                (0..runs.len().min(IN_FLIGHT)).for_each(|_| s.wait(fifo));
            }
        });
    }
}
