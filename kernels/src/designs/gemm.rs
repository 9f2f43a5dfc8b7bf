//! Matrix products on all 16 cores: `C[M, N] = requantised(bias + A[M, K] x B[K, N])`.
//!
//! ```text
//! shim c --A rows c--> mem tile c ==broadcast to row c of every column==> cores
//! shim c --B cols c--> mem tile c ==broadcast down column c===========> cores
//! cores of column c --C--> mem tile c, joined --> shim c
//! ```
//!
//! A and C lie in blocks of four rows and strips of eight columns ([`Blocked`]), which are the 4x8 tiles of the kernels in
//! their order: a core's part of A is a run of strips of each of its blocks of rows, and so is its part of C. Core (c, r)
//! computes rows `r` and columns `c` of a block of `4 m x 4 n`; K arrives in chunks of 64 and accumulates in L1 in 32 bits.
//!
//! B lies in host memory as the objects that cores take, in 8x8 tiles and in the order of each column of cores
//! ([`Gemm::pack_b`]): its copies are linear. Nothing in the array cuts or orders an operand.
//!
//! Where the rows of A have multipliers ([`Integers::row_scales`]), each row of A goes on for 64 bytes behind its K, eight
//! more strips: the *row block* ([`crate::requantise::row_block`]), an object that a core reads together with the column
//! block.
//!
//! Before the first chunk of a block of columns comes one object more: the *column block*, which a core keeps. It holds
//! bias, multipliers, shifts, the number of chunks, and whether a GELU follows ([`ColumnBlock`]), so
//! that one program serves every layer, and every product with the same types and tile: `same_program` of two designs
//! says whether it does.
//!
//! Products of bf16 ([`Numbers::Bf16`]) have f32 sums, B in 8x4 tiles, and column blocks of their own ([`SumsBlock`]); they
//! are in `bf16.rs`, and what both have in common is here.
//!
//! From `4 m` rows on M needs no padding but to a block of four rows: the last block of rows starts at `M - 4 m` and writes
//! what it shares with the block before a second time, so rows past it are never read or written.

mod bf16;

use super::choose::{TooBig, first_that_fits};
use super::cores;
use crate::case::bytes_of;
use crate::layout::{BLOCK_ROWS, Blocked};
use crate::matmul::{Block, Left, MatmulShape, Product};
use crate::requantise::Requant;
use crate::tiles::to_tiles;
use crate::{copy, gelu, gelu_table, matmul, requantise, zero};
use kiln_dsl::array::{Arg, CoreBuilder, Design, DesignBuilder, FifoId, MemType, Port, Tile, View, WordRef};
use kiln_dsl::device::Device;
use kiln_dsl::kernel::{Elem, Kernel, verify};
use kiln_dsl::sequence::HostBufferId;
use ndarray::{Array2, ArrayView2, s};
use std::sync::Arc;

pub use bf16::{SumsBlock, SumsWords};

/// Elements of K in one object.
pub const CHUNK: u32 = 64;

/// Rows and columns of B's tiles, in host memory and in cores.
pub const WEIGHT_TILE: [u32; 2] = [8, 8];

/// The same of bf16.
pub const BF16_WEIGHT_TILE: [u32; 2] = [8, 4];

/// Rows and columns of cores.
const GRID: u32 = 4;

/// Stack of a core: the least that the toolchain's own GEMMs use, see `reference/mlir.md`.
pub const STACK_BYTES: u32 = 2048;

/// A matrix operand in host memory: a flat buffer of `len` elements that holds one matrix a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand {
    /// The matrix of which a batch's is a part.
    pub layout: Blocked,
    /// Elements of the buffer.
    pub len: u64,
    /// First element of each batch's part: of a strip of a block of rows.
    pub offsets: Vec<u64>,
}

impl Operand {
    /// One matrix that is the whole buffer.
    pub fn whole(layout: Blocked) -> Operand {
        Operand { layout, len: layout.len(), offsets: vec![0] }
    }

    /// Where row `row`, the first of a block, of a batch's part begins, or the strip of its column `column`.
    fn at(&self, batch: usize, row: u64, column: u64) -> u64 {
        self.offsets[batch]
            + row / u64::from(BLOCK_ROWS) * self.layout.block_len()
            + column * u64::from(BLOCK_ROWS)
    }
}

/// Types of a product of integers: B is i8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Integers {
    /// Type of A.
    pub left: Left,
    /// Type of C: i8 or i16.
    pub out: Elem,
    /// Whether the program has a GELU: C is the GELU of the requantised product where the column block says so, by the
    /// fraction bits of i16, or by the table of i8 that the column block then holds.
    pub gelu: bool,
    /// Whether the rows of A have multipliers, behind their elements (i8 only).
    pub row_scales: bool,
}

/// Types of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Integers.
    Integers(Integers),
    /// A and B bf16; the column block says whether C is bf16 or i16, and whether a GELU comes before.
    Bf16,
}

/// An operand as FIFOs carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Carried {
    /// Its elements.
    elem: Elem,
    /// Whether objects are bytes, since a core sees them as several things.
    in_bytes: bool,
}

impl Carried {
    /// A part of the matrix.
    fn object(self, rows: u32, columns: u32) -> MemType {
        let (elem, each) = if self.in_bytes { (Elem::I8, self.elem.bytes()) } else { (self.elem, 1) };
        MemType::flat(elem, rows * columns * each)
    }
}

impl Numbers {
    /// A, B and C.
    fn carried(self) -> [Carried; 3] {
        let carried = |elem, in_bytes| Carried { elem, in_bytes };
        match self {
            Numbers::Integers(Integers { left, out, .. }) => {
                [carried(left.elem(), false), carried(Elem::I8, false), carried(out, false)]
            }
            Numbers::Bf16 => {
                [carried(Elem::Bf16, false), carried(Elem::Bf16, true), carried(Elem::Bf16, true)]
            }
        }
    }

    /// Rows and columns of B's tiles.
    const fn weight_tile(self) -> [u32; 2] {
        match self {
            Numbers::Integers(_) => WEIGHT_TILE,
            Numbers::Bf16 => BF16_WEIGHT_TILE,
        }
    }

    /// Whether the rows of A have multipliers.
    fn row_scales(self) -> bool {
        matches!(self, Numbers::Integers(Integers { row_scales: true, .. }))
    }
}

/// A matrix product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gemm {
    /// Name of the design.
    pub name: String,
    /// Types.
    pub numbers: Numbers,
    /// Rows of A and C.
    pub m: u32,
    /// Columns of A and rows of B: a multiple of 64.
    pub k: u32,
    /// Columns of B and C: a multiple of 32.
    pub n: u32,
    /// A: its elements, and where rows have multipliers their row blocks.
    pub a: Operand,
    /// C.
    pub c: Operand,
}

/// Rows and columns of the tile of C that one core computes at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreTile {
    /// Rows.
    pub m: u32,
    /// Columns.
    pub n: u32,
}

impl Gemm {
    /// Rows of the highest tile worth trying: 64, but no more than cover M.
    fn most_rows(&self) -> u32 {
        self.m.div_ceil(GRID).next_multiple_of(16).min(64)
    }

    /// Tiles worth trying, largest first: up to [`Self::most_rows`] rows, by columns that divide N over the
    /// four columns of cores.
    fn tiles(&self) -> Vec<CoreTile> {
        let most = self.most_rows();
        let rows = [most].into_iter().chain([32, 16].into_iter().filter(|&m| m < most));
        let widths = [96, 64, 48, 32, 16, 8].into_iter().filter(|n| self.n.is_multiple_of(GRID * n));
        let mut tiles: Vec<CoreTile> =
            rows.flat_map(|m| widths.clone().map(move |n| CoreTile { m, n })).collect();
        tiles.sort_by_key(|tile| std::cmp::Reverse(tile.m * tile.n));
        tiles
    }

    /// The design with the largest tile that fits a device; a mem tile that is too small for two objects
    /// of each FIFO holds one.
    ///
    /// # Errors
    /// When not even the smallest tile fits.
    ///
    /// # Panics
    /// When K is not a multiple of 64 or N of 32, or what it computes is asked for in other types.
    pub fn fitted(&self, device: &Device) -> Result<(CoreTile, Design), TooBig> {
        assert!(self.k.is_multiple_of(CHUNK) && self.n.is_multiple_of(32), "{}: K by 64, N by 32", self.name);
        if let Numbers::Integers(Integers { left, out, gelu, row_scales }) = self.numbers {
            assert!(!gelu || [Elem::I8, Elem::I16].contains(&out), "{}: GELU gives i8 or i16", self.name);
            assert!(!row_scales || left == Left::I8, "{}: rows of bytes have multipliers", self.name);
        }
        let candidates = self.tiles().into_iter().flat_map(|tile| [(tile, 2), (tile, 1)]);
        let candidates = candidates.map(|(tile, depth)| (tile, [self.design(tile, depth)]));
        let (tile, [design]) = first_that_fits(device, candidates)?;
        Ok((tile, design))
    }

    /// Elements of B's buffer: K rows and a column block.
    pub fn b_len(&self) -> u64 {
        u64::from(self.k + CHUNK) * u64::from(self.n)
    }

    /// The order in which B's buffer holds `blocks` blocks of columns: those of the first column of cores first.
    pub(super) fn block_order(blocks: usize) -> impl Iterator<Item = usize> {
        (0..GRID as usize).flat_map(move |column| (column..blocks).step_by(GRID as usize))
    }

    /// B's buffer, for tiles of `columns` columns: `weights[<= K, N]` with zeros below, and a column block for every
    /// `columns` of them ([`ColumnBlock::objects`], [`SumsBlock::objects`]). Columns of cores follow each other; each
    /// takes every fourth block of columns: its column block, then chunk by chunk of K as the kernel's tiles.
    ///
    /// # Panics
    /// When the weights have more rows than K, or their columns are not those of the column blocks.
    pub fn pack_b<T: bytemuck::Pod + Default>(
        &self,
        columns: u32,
        blocks: &[Vec<u8>],
        weights: ArrayView2<T>,
    ) -> Vec<u8> {
        let tile = self.numbers.weight_tile().map(|size| size as usize);
        let (wide, deep) = (columns as usize, CHUNK as usize);
        assert_eq!(weights.ncols(), wide * blocks.len(), "columns of weights and of column blocks");
        let mut padded = Array2::default((self.k as usize, weights.ncols()));
        padded.slice_mut(s![..weights.nrows(), ..]).assign(&weights);
        let mut packed = Vec::with_capacity(self.b_len() as usize * size_of::<T>());
        for block in Gemm::block_order(blocks.len()) {
            packed.extend(&blocks[block]);
            let own = padded.slice(s![.., block * wide..(block + 1) * wide]);
            for chunk in own.exact_chunks((deep, wide)) {
                packed.extend(bytes_of(&to_tiles(chunk, tile)));
            }
        }
        packed
    }

    /// Rows that the buffers of A and C must have, whatever the tile: M, or one whole block where M is smaller.
    pub fn rows_needed(&self) -> u32 {
        self.m.next_multiple_of(BLOCK_ROWS).max(GRID * self.most_rows())
    }

    /// The design for tiles of C of one size, with `depth` objects in the mem tiles at each FIFO.
    fn design(&self, tile: CoreTile, depth: u32) -> Design {
        let Gemm { m, k, n, .. } = self;
        let what = match self.numbers {
            Numbers::Integers(Integers { left, out, gelu, .. }) => format!(
                "C[{m}, {n}] {out} = requantised({} A[{m}, {k}] x i8 B[{k}, {n}]){}",
                left.elem(),
                if gelu { ", or its GELU" } else { "" }
            ),
            Numbers::Bf16 => {
                format!("C[{m}, {n}] bf16 or i16 = bf16 A[{m}, {k}] x bf16 B[{k}, {n}], or its GELU")
            }
        };
        let d =
            DesignBuilder::new(&self.name, format!("{what}; {}x{} of C a core at a time.", tile.m, tile.n));
        self.array(&d, tile, depth);
        d.build()
    }

    fn array(&self, d: &DesignBuilder, tile: CoreTile, depth: u32) {
        let CoreTile { m, n } = tile;
        let [a_carried, b_carried, c_carried] = self.numbers.carried();
        let (a_object, b_object) = (a_carried.object(m, CHUNK), b_carried.object(CHUNK, n));
        let (c_object, c_column) = (c_carried.object(m, n), c_carried.object(GRID * m, n));
        let shim = |c: u32| Tile::new(c as u8, 0);
        let mem = |c: u32| Tile::new(c as u8, 1);
        let core = |c: u32, r: u32| Tile::new(c as u8, 2 + r as u8);

        let (mut a_in, mut a, mut b_in, mut b, mut c_out) = (vec![], vec![], vec![], vec![], vec![]);
        for i in 0..GRID {
            let whole = d.fifo(format!("a_in{i}"), shim(i), [mem(i)], a_object.clone());
            a_in.push(whole.depths([2, depth]).id());
            let row = (0..GRID).map(|c| core(c, i));
            a.push(d.fifo(format!("a{i}"), mem(i), row, a_object.clone()).id());
            d.link([a_in[i as usize]], [a[i as usize]]);
        }
        for i in 0..GRID {
            let whole = d.fifo(format!("b_in{i}"), shim(i), [mem(i)], b_object.clone());
            b_in.push(whole.depths([2, depth]).id());
            let column = (0..GRID).map(|r| core(i, r));
            b.push(d.fifo(format!("b{i}"), mem(i), column, b_object.clone()).id());
            d.link([b_in[i as usize]], [b[i as usize]]);
        }
        let mut c = vec![vec![]; GRID as usize];
        for col in 0..GRID {
            for row in 0..GRID {
                let part = d.fifo(format!("c{col}_{row}"), core(col, row), [mem(col)], c_object.clone());
                c[col as usize].push(part.depths([1, 2]).id());
            }
            let joined = d.fifo(format!("c_out{col}"), mem(col), [shim(col)], c_column.clone());
            c_out.push(joined.depths([depth, 2]).id());
            let parts = c[col as usize].iter().enumerate().map(|(r, &f)| (f, r as u32 * c_object.shape[0]));
            d.join(parts, c_out[col as usize]);
        }
        let ends = Ends { a: &a, b: &b, c: &c };
        match self.numbers {
            Numbers::Integers(types) => types.cores(d, tile, ends),
            Numbers::Bf16 => bf16::cores_of(d, tile, ends),
        }
        self.sequence(d, tile, [&a_in, &b_in, &c_out].map(|f| f.as_slice()));
    }

    fn sequence(&self, d: &DesignBuilder, tile: CoreTile, [a_in, b_in, c_out]: [&[FifoId]; 3]) {
        let [m, n, k, chunk, high] = [tile.m, tile.n, self.k, CHUNK, BLOCK_ROWS].map(u64::from);
        let grid = u64::from(GRID);
        let (n_blocks, chunks) = (u64::from(self.n) / (grid * n), k / chunk);
        let rows = u64::from(self.m.next_multiple_of(BLOCK_ROWS));
        let row_blocks = rows.div_ceil(grid * m);
        let blocks: Vec<(usize, u64)> = (0..self.c.offsets.len())
            .flat_map(|batch| (0..row_blocks).map(move |block| (batch, block)))
            .map(|(batch, block)| (batch, (block * grid * m).min(rows.saturating_sub(grid * m))))
            .collect();
        d.sequence(|s| {
            let flat = |elem, len: u64| {
                MemType::flat(elem, u32::try_from(len).expect("host buffers below 4 Gi elements"))
            };
            let [a, b, c] = self.numbers.carried().map(|carried| carried.elem);
            let a: HostBufferId = s.buffer("a", flat(a, self.a.len));
            let b = s.buffer("b", flat(b, self.b_len()));
            let c = s.buffer("c", flat(c, self.c.len));
            let wait = |s: &kiln_dsl::array::SequenceBuilder| {
                a_in.iter().chain(b_in).chain(c_out).for_each(|&fifo| s.wait(fifo));
            };
            // Two blocks of rows in flight: the next block's copies wait in the queues of the shims.
            for (i, &(batch, row)) in blocks.iter().enumerate() {
                let bds = if i % 2 == 0 { [0, 1, 2] } else { [3, 4, 5] };
                if i >= 2 {
                    wait(s);
                }
                for col in 0..grid {
                    let at = col as usize;
                    let (first, stride) = (self.c.at(batch, row, col * n), self.c.layout.block_len());
                    let sizes = [1, n_blocks, grid * m / high, high * n];
                    let strides = [0, high * grid * n, stride, 1];
                    s.copy(c, c_out[at], [0, 0, 0, first], sizes, strides).bd(bds[0]).token();
                    let (first, stride) = (self.a.at(batch, row + col * m, 0), self.a.layout.block_len());
                    let objects = chunks + u64::from(self.numbers.row_scales());
                    let sizes = [n_blocks, objects, m / high, high * chunk];
                    let strides = [0, high * chunk, stride, 1];
                    s.copy(a, a_in[at], [0, 0, 0, first], sizes, strides).bd(bds[1]).token();
                    let share = self.b_len() / grid;
                    s.copy_linear(b, b_in[at], col * share, share).bd(bds[2]).token();
                }
            }
            (0..blocks.len().min(2)).for_each(|_| wait(s));
        });
    }
}

/// The FIFOs that cores read and write.
#[derive(Clone, Copy)]
struct Ends<'a> {
    /// By row.
    a: &'a [FifoId],
    /// By column.
    b: &'a [FifoId],
    /// By column and row.
    c: &'a [Vec<FifoId>],
}

impl Integers {
    /// The programs of all cores.
    fn cores(self, d: &DesignBuilder, tile: CoreTile, Ends { a, b, c }: Ends) {
        let CoreTile { m, n } = tile;
        let kernel = |k: Kernel| d.kernel(Arc::new(verify(k).unwrap_or_else(|e| panic!("{e}"))));
        let block = match self.left {
            _ if n == 8 => Block::B2x1,
            Left::I16 => Block::B2x2,
            Left::I8 | Left::U8 => Block::B4x2,
        };
        let shape = MatmulShape { m, k: CHUNK, n, left: self.left, product: Product::Accumulate, block };
        let clear = kernel(zero::zero_i32(m * n));
        let multiply = kernel(matmul::matmul(shape));
        let finish = kernel(if self.row_scales {
            requantise::requantise_rows(m, n, self.out)
        } else {
            requantise::requantise(m, n, self.out)
        });
        let by_table = self.out == Elem::I8;
        let gelu = self
            .gelu
            .then(|| kernel(if by_table { gelu_table::gelu_table(m * n) } else { gelu::gelu_i16(m * n) }));

        let columns = ColumnBlock::layout(n);
        let kept_bytes = columns.kept_bytes(self.gelu && by_table);
        let keep = kernel(copy::copy_i8(kept_bytes));
        for at in cores() {
            let (col, row) = (usize::from(at.col), usize::from(at.row - 2));
            let acc = d.local(format!("acc_{col}_{row}"), at, MemType::flat(Elem::I32, m * n), None, None);
            let before_gelu = gelu.map(|_| {
                d.local(format!("linear_{col}_{row}"), at, MemType::flat(self.out, m * n), None, None)
            });
            let kept = MemType::flat(Elem::I8, kept_bytes);
            let kept = d.local(format!("columns_{col}_{row}"), at, kept, None, None);
            d.core(at, |p| {
                p.stack_bytes(STACK_BYTES);
                p.forever(|p| {
                    let params = p.consume(b[col]);
                    let head = View { byte_offset: 0, ty: MemType::flat(Elem::I8, kept_bytes) };
                    p.call(keep, vec![Arg::Object { object: params, view: Some(head) }, kept.into()]);
                    let word = |index| WordRef { object: params, index };
                    let [acc_shift, out_shift, gelu_bits, row_shift, chunks] = columns.words.map(word);
                    p.release(b[col], Port::Consume, 1);
                    p.call(clear, [Arg::from(acc)]);
                    p.repeat_word(chunks, |p| {
                        let (av, bv) = (p.consume(a[row]), p.consume(b[col]));
                        p.call(multiply, (av, bv, acc));
                        p.release(a[row], Port::Consume, 1);
                        p.release(b[col], Port::Consume, 1);
                    });
                    let multipliers = self.row_scales.then(|| p.consume(a[row]));
                    let out = p.produce(c[col][row]);
                    let part = |byte_offset: u32, elem, len| Arg::Local {
                        buffer: kept,
                        view: Some(View { byte_offset: byte_offset.into(), ty: MemType::flat(elem, len) }),
                    };
                    let requantise_to = |p: &CoreBuilder, to: Arg| {
                        let mut args = vec![Arg::from(acc)];
                        args.extend(multipliers.map(Arg::from));
                        args.extend([part(0, Elem::I32, n), part(columns.mult_byte, Elem::I16, n)]);
                        args.extend([acc_shift, out_shift].map(Arg::from));
                        args.extend(multipliers.map(|_| Arg::from(row_shift)));
                        args.push(to);
                        p.call(finish, args);
                    };
                    match gelu.zip(before_gelu) {
                        Some((gelu, linear)) => p.switch(gelu_bits, |branches| {
                            branches.case(0, |p| requantise_to(p, out.into())).default(|p| {
                                requantise_to(p, linear.into());
                                p.call(
                                    gelu,
                                    if by_table {
                                        let table = part(columns.table_byte, Elem::I8, gelu_table::ENTRIES);
                                        vec![linear.into(), table, out.into()]
                                    } else {
                                        vec![linear.into(), out.into(), gelu_bits.into()]
                                    },
                                );
                            });
                        }),
                        None => requantise_to(p, out.into()),
                    }
                    if multipliers.is_some() {
                        p.release(a[row], Port::Consume, 1);
                    }
                    p.release(c[col][row], Port::Produce, 1);
                });
            });
        }
    }
}

/// Where a core finds the parameters of its columns inside one object of B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnBlock {
    /// First byte of the multipliers (i16); the biases (i32) start at 0.
    pub mult_byte: u32,
    /// Words of `acc_shift`, `out_shift`, and those of [`ColumnWords`] in order.
    pub words: [u32; 5],
    /// First byte of the GELU's table, where bytes go through one.
    pub table_byte: u32,
}

/// What a core does for the block of columns, besides the requantisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnWords {
    /// Fraction bits of the GELU, any but 0 where it is a table; 0 without one.
    pub gelu_bits: u32,
    /// Shift of row multipliers; 0 without them.
    pub row_shift: u32,
    /// Chunks of K.
    pub chunks: u32,
}

impl ColumnBlock {
    /// The layout for `n` columns.
    pub const fn layout(n: u32) -> ColumnBlock {
        let words = (6 * n).next_multiple_of(32) / 4;
        ColumnBlock {
            mult_byte: 4 * n,
            words: [words, words + 1, words + 2, words + 3, words + 4],
            table_byte: (4 * (words + 5)).next_multiple_of(32),
        }
    }

    /// Bytes that a core keeps while it takes the rows of B: biases and multipliers, and a table.
    const fn kept_bytes(self, table: bool) -> u32 {
        if table { self.table_byte + gelu_table::ENTRIES } else { 4 * self.words[0] }
    }

    /// Puts the table of a GELU of bytes into the objects of all blocks of `n` columns.
    ///
    /// # Panics
    /// When the table has more entries than bytes have values, or the objects are none of [`ColumnBlock::objects`].
    pub fn put_table(n: u32, objects: &mut [Vec<u8>], table: &[i8]) {
        assert!(table.len() <= gelu_table::ENTRIES as usize, "{} entries of a table", table.len());
        let at = ColumnBlock::layout(n).table_byte as usize;
        for object in objects {
            object[at..at + table.len()].copy_from_slice(bytemuck::cast_slice(table));
        }
    }

    /// The objects of all blocks of `n` columns: `bias[N]`, the requantisation of all `N` columns, and what else the core
    /// does. Each has as many bytes as a chunk of B.
    ///
    /// # Panics
    /// When `bias` and the multipliers differ in length, or that is not a multiple of `n`.
    pub fn objects(n: u32, bias: &[i32], q: &Requant, words: ColumnWords) -> Vec<Vec<u8>> {
        assert!(bias.len() == q.mult.len() && bias.len().is_multiple_of(n as usize), "columns by {n}");
        let layout = ColumnBlock::layout(n);
        let columns = n as usize;
        let object = |(bias, mult): (&[i32], &[i16])| {
            let mut bytes = vec![0u8; CHUNK as usize * columns];
            bytes[..4 * columns].copy_from_slice(bytemuck::cast_slice(bias));
            let at = layout.mult_byte as usize;
            bytes[at..at + 2 * columns].copy_from_slice(bytemuck::cast_slice(mult));
            let ColumnWords { gelu_bits, row_shift, chunks } = words;
            let words = [q.acc_shift, q.out_shift, gelu_bits, row_shift, chunks];
            for (word, value) in layout.words.into_iter().zip(words) {
                bytes[4 * word as usize..][..4].copy_from_slice(&value.to_le_bytes());
            }
            bytes
        };
        bias.chunks(columns).zip(q.mult.chunks(columns)).map(object).collect()
    }
}
