//! Keys for the product with queries: `[keys, heads * head_dim]` to one `[head_dim, keys]` matrix a head.
//!
//! A column of cores takes a share of the blocks of 64 keys; its mem tile cuts their heads into
//! 8x8 tiles, the cores transpose the tiles, and the mem tile puts the transposed blocks together.
//! A head has 64 rows (those past its dimensions are left as they are), and below them lie the 64
//! rows of its column block (see [`super::gemm`]), which this
//! design leaves as they are.

use super::cores;
use super::gemm::{CHUNK, STACK_BYTES};
use crate::transpose;
use kiln_dsl::array::{Design, DesignBuilder, MemType, Port, Tile};
use kiln_dsl::kernel::{Elem, verify};
use std::sync::Arc;

/// Cores in a column, and columns.
const GRID: u32 = 4;
/// Keys of one block.
const BLOCK: u32 = 64;

/// Rows of one head's result: one chunk of K for the product, and the column block.
pub const HEAD_ROWS: u32 = 2 * CHUNK;

/// The transposition of every head's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadTranspose {
    /// Name of the design.
    pub name: String,
    /// Heads.
    pub heads: u32,
    /// Dimensions of one head: a multiple of 8 up to 64. Rows of the result past them stay as they are.
    pub head_dim: u32,
    /// Keys; rows past them up to [`HeadTranspose::padded_keys`] are read, and must exist.
    pub keys: u32,
    /// Elements of the input buffer, `[padded keys or more, heads * head_dim]` row-major.
    pub input_len: u64,
}

impl HeadTranspose {
    /// Blocks of keys that one column takes: its parts fill whole objects of four.
    fn blocks_per_column(&self) -> u32 {
        let least = self.keys.div_ceil(BLOCK).div_ceil(GRID);
        (least..).find(|blocks| (blocks * self.heads).is_multiple_of(GRID)).unwrap_or(least)
    }

    /// Columns of every head's result: keys rounded up to what the array takes.
    pub fn padded_keys(&self) -> u32 {
        self.blocks_per_column() * GRID * BLOCK
    }

    /// Elements of the result: 64 rows and the column block's 64 for each head.
    pub fn output_len(&self) -> u64 {
        u64::from(self.heads * HEAD_ROWS) * u64::from(self.padded_keys())
    }

    /// The design.
    pub fn design(&self) -> Design {
        let dim = self.head_dim;
        let doc = format!("{} heads of {} keys transposed, {BLOCK} x {dim} a call.", self.heads, self.keys);
        let d = DesignBuilder::new(&self.name, doc);
        let kernel = verify(transpose::transpose_i8(BLOCK, dim)).unwrap_or_else(|e| panic!("{e}"));
        let kernel = d.kernel(Arc::new(kernel));
        let part = MemType::flat(Elem::I8, BLOCK * dim);
        let whole = MemType::flat(Elem::I8, BLOCK * dim * GRID);
        let keys_by_dims = [(BLOCK / 8, 8 * dim), (dim / 8, 8), (8, dim), (8, 1)];
        let dims_by_keys = [(dim / 8, 8 * BLOCK), (BLOCK / 8, 8), (8, BLOCK), (8, 1)];
        let (mut inputs, mut outputs, mut ends) = (vec![], vec![], vec![]);
        for col in 0..GRID {
            let (shim, mem) = (Tile::new(col as u8, 0), Tile::new(col as u8, 1));
            inputs.push(d.fifo(format!("in{col}"), shim, [mem], whole.clone()).id());
            outputs.push(d.fifo(format!("out{col}"), mem, [shim], whole.clone()).id());
            let first = ends.len();
            for row in 0..GRID {
                let core = Tile::new(col as u8, 2 + row as u8);
                let x =
                    d.fifo(format!("in{col}_{row}"), mem, [core], part.clone()).to_stream(keys_by_dims).id();
                let y = d
                    .fifo(format!("out{col}_{row}"), core, [mem], part.clone())
                    .from_stream(mem, dims_by_keys)
                    .id();
                ends.push((x, y));
            }
            let offset = |i: usize| i as u32 * BLOCK * dim;
            d.split(inputs[col as usize], ends[first..].iter().enumerate().map(|(i, e)| (e.0, offset(i))));
            d.join(ends[first..].iter().enumerate().map(|(i, e)| (e.1, offset(i))), outputs[col as usize]);
        }
        for (at, (x, y)) in cores().zip(ends) {
            d.core(at, |p| {
                p.stack_bytes(STACK_BYTES);
                p.forever(|p| {
                    let (from, to) = (p.consume(x), p.produce(y));
                    p.call(kernel, (from, to));
                    p.release(x, Port::Consume, 1);
                    p.release(y, Port::Produce, 1);
                });
            });
        }
        d.sequence(|s| {
            let flat =
                |len: u64| MemType::flat(Elem::I8, u32::try_from(len).expect("host buffers below 4 GiB"));
            let (x, y) = (s.buffer("x", flat(self.input_len)), s.buffer("y", flat(self.output_len())));
            let [blocks, heads, keys] =
                [self.blocks_per_column(), self.heads, self.padded_keys()].map(u64::from);
            let (block, dim, head_rows) = (u64::from(BLOCK), u64::from(dim), u64::from(HEAD_ROWS));
            for col in 0..u64::from(GRID) {
                let (from, at) = (col * blocks * block * heads * dim, col * blocks * block);
                let sizes = [blocks, heads, dim, block];
                s.copy(y, outputs[col as usize], [0, 0, 0, at], sizes, [block, head_rows * keys, keys, 1])
                    .token();
                let sizes = [blocks, heads, block, dim];
                let strides = [block * heads * dim, dim, heads * dim, 1];
                s.copy(x, inputs[col as usize], [0, 0, 0, from], sizes, strides).token();
            }
            inputs.iter().chain(&outputs).for_each(|&fifo| s.wait(fifo));
        });
        d.build()
    }
}
