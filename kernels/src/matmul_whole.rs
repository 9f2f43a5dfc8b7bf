//! `c[M, N] = sat8(requantised(bias[N] + a[M, K] x b[K, N]))` of bytes with the whole K in one call, in the forms that
//! schedule best.
//!
//! The bound is the multiplier: M * K * N / 256 products, and one more a tile of C for its multipliers. All forms take
//! columns outside, so that a column's bias and multipliers are read once. They differ in what the compiler is asked to
//! overlap:
//!
//! - [`Form::Loop`] has K as its innermost loop and starts sums from the bias. Between two groups of sums the multiplier
//!   waits for the requantisation of the one and the first loads of the other.
//! - [`Form::Flat`] writes K out, so that the innermost loop is over groups: pipelining it multiplies for one group while
//!   the one before is requantised, with accumulators for both. Sums start from the first product and take the bias last,
//!   one addition more a tile, so that a column's parameters are needed late and the next column's products need not wait.
//!
//! Predicted cycles for 64 x 192 x 64, of which 3,072 are products (`kernels/tests/core_time.rs`; `kiln asm
//! matmul_i8_i8_64x192x64` prints the schedules):
//!
//! | form | bound | `peano` | `ideal` | what limits |
//! |---|---|---|---|---|
//! | [`matmul`](crate::matmul::matmul), 4x2 | 3,072 | 4,378 | 4,375 | parameters of a column made again for each tile |
//! | loop 4x2 | 3,072 | 3,822 | 3,600 | the multiplier in the loop, the code between groups |
//! | loop 2x2 | 3,072 | 4,142 | 3,788 | the same, twice as many groups |
//! | flat 2x2 | 3,328 | 4,038 | 3,684 | accumulators: a group's four and those of the next |
//! | flat 2x1 | 3,328 | 3,878 | 3,409 | the multiplier |

use crate::case::Entry;
use crate::matmul::{Block, Left, MatmulShape, Product, case};
use crate::requantise::Columns;
use kiln_dsl::kernel::Kernel;
use kiln_dsl::kernel::build::{Block2 as _, Builder, Scalar, TileBuf, Vector, mmul};
use kiln_dsl::num::{Rounding, Saturation};

/// What the innermost loop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// K, 8 deep an iteration.
    Loop,
    /// Groups of rows; K is written out.
    Flat,
}

/// Shape and form. Sizes are of the tile in L1, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WholeMatmul {
    /// Rows of A and C: a multiple of four times the block's rows.
    pub m: u32,
    /// Columns of A, rows of B: a multiple of 8.
    pub k: u32,
    /// Columns of B and C: a multiple of eight times the block's columns.
    pub n: u32,
    /// Rows and columns of 4x8 tiles of C in a group: 1x2, 2x1, 2x2, 4x1 or 4x2.
    pub block: [u32; 2],
    /// What the innermost loop is.
    pub form: Form,
}

impl WholeMatmul {
    /// Name of the kernel: unique for a shape and form.
    pub fn name(&self) -> String {
        let WholeMatmul { m, k, n, block: [rows, cols], form } = self;
        let form = match form {
            Form::Loop => "loop",
            Form::Flat => "flat",
        };
        format!("matmul_i8_i8_{m}x{k}x{n}_{form}{rows}x{cols}")
    }

    /// Multiply-accumulates of the product.
    pub fn macs(&self) -> u64 {
        u64::from(self.m) * u64::from(self.k) * u64::from(self.n)
    }
}

/// The kernel of a shape. Tile-major as [`crate::matmul::matmul`]'s, with the same parameters.
///
/// # Panics
/// When the block is none of those listed, or a size not a multiple of what [`WholeMatmul`] says.
pub fn matmul_whole(shape: WholeMatmul) -> Kernel {
    let [rows, cols] = shape.block;
    let fits =
        shape.m.is_multiple_of(4 * rows) && shape.k.is_multiple_of(8) && shape.n.is_multiple_of(8 * cols);
    assert!(fits && shape.macs() > 0, "{shape:?}: sizes must be multiples of the blocks");
    let kernel = match shape.block {
        [1, 2] => build::<1, 2>(shape),
        [2, 1] => build::<2, 1>(shape),
        [2, 2] => build::<2, 2>(shape),
        [4, 1] => build::<4, 1>(shape),
        [4, 2] => build::<4, 2>(shape),
        _ => panic!("{shape:?}: blocks are 1x2, 2x1, 2x2, 4x1 and 4x2 tiles"),
    };
    kernel.with_doc(&format!(
        "{}: A[{m}, {k}] i8 in 4x8 tiles, B[{k}, {n}] i8 in 8x8 tiles, C[{m}, {n}] i8 in 4x8 tiles; groups of {rows}x{cols} tiles.",
        shape.name(),
        m = shape.m,
        k = shape.k,
        n = shape.n,
    ))
}

fn build<const R: usize, const N: usize>(shape: WholeMatmul) -> Kernel {
    let (mt, kt, nt) = (shape.m / 4, shape.k / 8, shape.n / 8);
    Kernel::build(&shape.name(), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let a = k.input_tiles::<i8, 32>("a", [4, 8], [mt, kt]);
        let b = k.input_tiles::<i8, 64>("b", [8, 8], [kt, nt]);
        let columns = Columns::declare(k, shape.n);
        let c = k.output_tiles::<i8, 32>("c", [4, 8], [mt, nt]);
        k.for_step(0, nt, N as u32, |j| {
            let of: [_; N] = std::array::from_fn(|q| columns.of_tile(j + q as u32));
            k.pipelined(mt / R as u32).for_step(0, mt, R as u32, |i| match shape.form {
                Form::Loop => {
                    let start = [[(); N]; R].map2(|_, q, ()| of[q].start());
                    let step = k.pipelined(kt);
                    let sum = step.fold(kt, start, |p, sum| {
                        let (av, bv): ([_; R], [_; N]) = operands(&a, &b, [i, p, j]);
                        sum.map2(|r, q, acc| k.mac(mmul::I8_I8_4X8X8, acc, av[r], bv[q]))
                    });
                    sum.each2(|r, q, acc| {
                        c.store(i + r as u32, j + q as u32, of[q].scale(acc).srs(columns.out_shift()));
                    });
                }
                Form::Flat => {
                    let (av, bv): ([_; R], [_; N]) = operands(&a, &b, [i, k.constant(0), j]);
                    let first = [[(); N]; R].map2(|r, q, ()| k.mmul(mmul::I8_I8_4X8X8, av[r], bv[q]));
                    let sum = (1..kt).fold(first, |sum, p| {
                        let (av, bv): ([_; R], [_; N]) = operands(&a, &b, [i, k.constant(p as i32), j]);
                        sum.map2(|r, q, acc| k.mac(mmul::I8_I8_4X8X8, acc, av[r], bv[q]))
                    });
                    sum.each2(|r, q, acc| {
                        c.store(i + r as u32, j + q as u32, of[q].requantise(acc).srs(columns.out_shift()));
                    });
                }
            });
        });
    })
}

/// The tiles of A and B that a group of tiles of C needs at depth `p`.
fn operands<'k, const R: usize, const N: usize>(
    a: &TileBuf<'k, i8, 32>,
    b: &TileBuf<'k, i8, 64>,
    [i, p, j]: [Scalar<'k>; 3],
) -> ([Vector<'k, i8, 32>; R], [Vector<'k, i8, 64>; N]) {
    let av = std::array::from_fn(|r| a.load(i + r as u32, p));
    (av, std::array::from_fn(|q| b.load(p, j + q as u32)))
}

/// The kernel with its test cases: those of [`crate::matmul`].
pub fn entry(shape: WholeMatmul) -> Entry {
    let WholeMatmul { m, k, n, .. } = shape;
    let same = MatmulShape { m, k, n, left: Left::I8, product: Product::I8, block: Block::B2x2 };
    Entry::new(matmul_whole(shape), move |source| case::<i8>(source, same, [-128, 127]))
}
