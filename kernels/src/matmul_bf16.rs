//! `c[M, N] = a[M, K] x b[K, N]` of bf16 with f32 sums, the whole K in one call.
//!
//! The bound is the multiplier: M * K * N / 128 products of 4x8x4 tiles. A sum takes a new product every 4 cycles, so at
//! least four are needed at a time; a group of 4x2 tiles has eight, in 8 of the 18 accumulators of 512 bits, and loads
//! 8 + 4 halves for 8 products. K is written out and the innermost loop is over groups, so that the stores of one overlap
//! the products of the next.
//!
//! Core time of 64 x 64 x 64, of which 2,048 cycles are products: the ideal schedule predicts 2,078 and `peano` 2,126
//! (`kernels/tests/core_time.rs`), both bound by the multiplier. Measured objects of such loops also shuffle operands,
//! which is not selected here.

use crate::case::{Arg, Case, Entry, Source, bytes_of};
use crate::float::mac;
use crate::tiles::to_tiles;
use half::bf16;
use kiln_dsl::kernel::Kernel;
use kiln_dsl::kernel::build::{AccFloat, Accum, Block2 as _, Builder, TileBuf, mmul};
use kiln_dsl::num::{Rounding, Saturation};
use ndarray::{Array2, ArrayView2, s};

/// Depth of a product: terms that one instruction adds.
const DEPTH: usize = 8;

/// Tiles of C in a group.
const GROUP: [u32; 2] = [4, 2];

/// `c[M, N] = start[M, N] + a[M, K] x b[K, N]`, eight products and the sum so far at a time as [`mac`] adds them; without
/// `start` the first eight have no sum.
///
/// # Panics
/// When the sizes do not fit, K is not a multiple of 8, or an operand is not finite.
pub fn reference(a: ArrayView2<bf16>, b: ArrayView2<bf16>, start: Option<ArrayView2<f32>>) -> Array2<f32> {
    assert_eq!(a.ncols(), b.nrows(), "columns of a and rows of b");
    assert!(a.ncols().is_multiple_of(DEPTH), "a depth of {}: tiles are {DEPTH} deep", a.ncols());
    Array2::from_shape_fn((a.nrows(), b.ncols()), |(m, n)| {
        (0..a.ncols())
            .step_by(DEPTH)
            .fold(start.map(|s| s[(m, n)]), |sum, p| {
                let (row, column) = (a.slice(s![m, p..p + DEPTH]), b.slice(s![p..p + DEPTH, n]));
                let products = row.iter().zip(&column).map(|(a, b)| (a.to_f32(), b.to_f32()));
                Some(mac(sum, products))
            })
            .unwrap_or(0.0)
    })
}

/// Type of C.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Out {
    /// The sums, rounded to nearest even as they are stored.
    Bf16,
    /// The sums.
    F32,
    /// f32, to which the sums are added.
    Accumulate,
}

/// Shape of a kernel. Sizes are of the tile in L1, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bf16Matmul {
    /// Rows of A and C: a multiple of 16.
    pub m: u32,
    /// Columns of A, rows of B: a multiple of 8.
    pub k: u32,
    /// Columns of B and C: a multiple of 8.
    pub n: u32,
    /// Type of C.
    pub out: Out,
}

impl Bf16Matmul {
    /// Name of the kernel: unique for a shape.
    pub fn name(&self) -> String {
        let Bf16Matmul { m, k, n, out } = self;
        let out = match out {
            Out::Bf16 => "bf16",
            Out::F32 => "f32",
            Out::Accumulate => "acc",
        };
        format!("matmul_bf16_{out}_{m}x{k}x{n}")
    }

    /// Multiply-accumulates of a call.
    pub fn macs(&self) -> u64 {
        u64::from(self.m) * u64::from(self.k) * u64::from(self.n)
    }
}

/// C, by its type.
enum C<'k> {
    Bf16(TileBuf<'k, bf16, 16>),
    F32(TileBuf<'k, f32, 16>),
}

/// The kernel of a shape. Tile-major: A in 4x8, B in 8x4 and C in 4x4 tiles, each contiguous, the grids row-major.
///
/// # Panics
/// When a size is not a multiple of what [`Bf16Matmul`] says.
pub fn matmul_bf16(shape: Bf16Matmul) -> Kernel {
    let [rows, cols] = GROUP;
    let fits =
        shape.m.is_multiple_of(4 * rows) && shape.k.is_multiple_of(8) && shape.n.is_multiple_of(4 * cols);
    assert!(fits && shape.macs() > 0, "{shape:?}: sizes must be multiples of the groups");
    let (mt, kt, nt) = (shape.m / 4, shape.k / 8, shape.n / 4);
    let kernel = Kernel::build(&shape.name(), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let a = k.input_tiles::<bf16, 32>("a", [4, 8], [mt, kt]);
        let b = k.input_tiles::<bf16, 32>("b", [8, 4], [kt, nt]);
        let c = match shape.out {
            Out::Bf16 => C::Bf16(k.output_tiles("c", [4, 4], [mt, nt])),
            Out::F32 => C::F32(k.output_tiles("c", [4, 4], [mt, nt])),
            Out::Accumulate => C::F32(k.inout_tiles("c", [4, 4], [mt, nt])),
        };
        k.for_step(0, mt, rows, |i| {
            k.pipelined(nt / cols).for_step(0, nt, cols, |j| {
                const R: usize = GROUP[0] as usize;
                const N: usize = GROUP[1] as usize;
                let mut sum: Option<[[Accum<AccFloat, 16>; N]; R]> = match (&c, shape.out) {
                    (C::F32(c), Out::Accumulate) => {
                        let before = |r, q| c.load(i + r as u32, j + q as u32).to_accum();
                        Some([[(); N]; R].map2(|r, q, ()| before(r, q)))
                    }
                    _ => None,
                };
                for p in 0..kt {
                    let av: [_; R] = std::array::from_fn(|r| a.load(i + r as u32, p));
                    let bv: [_; N] = std::array::from_fn(|q| b.load(p, j + q as u32));
                    sum = Some([[(); N]; R].map2(|r, q, ()| match sum {
                        None => k.mmul(mmul::BF16_4X8X4, av[r], bv[q]),
                        Some(sum) => k.mac(mmul::BF16_4X8X4, sum[r][q], av[r], bv[q]),
                    }));
                }
                let Some(sum) = sum else { return };
                sum.each2(|r, q, acc| match &c {
                    C::Bf16(c) => c.store(i + r as u32, j + q as u32, acc.to_vector()),
                    C::F32(c) => c.store(i + r as u32, j + q as u32, acc.to_vector()),
                });
            });
        });
    });
    kernel.with_doc(&format!(
        "{}: A[{m}, {k}] bf16 in 4x8 tiles, B[{k}, {n}] bf16 in 8x4 tiles, C[{m}, {n}] in 4x4 tiles.",
        shape.name(),
        m = shape.m,
        k = shape.k,
        n = shape.n,
    ))
}

/// The kernel with its test cases.
pub fn entry(shape: Bf16Matmul) -> Entry {
    Entry::new(matmul_bf16(shape), move |source| case(source, shape))
}

fn case(source: &mut Source, shape: Bf16Matmul) -> Case {
    let [m, k, n] = [shape.m as usize, shape.k as usize, shape.n as usize];
    let mut matrix = |size: [usize; 2]| {
        // Every mantissa, both signs, zeros, and exponents far enough apart that terms round away.
        let bits = source.matrix::<i16>(size, [-4096, 4095]);
        bits.mapv(|v| {
            let [sign, mantissa] = [i32::from(v < 0), i32::from(v) & 0x7f];
            let exponent = 127 - 16 + (i32::from(v) >> 7 & 0x1f);
            if v == 0 { bf16::ZERO } else { bf16::from_bits((sign << 15 | exponent << 7 | mantissa) as u16) }
        })
    };
    let (a, b) = (matrix([m, k]), matrix([k, n]));
    // Sums so far: those of another product, with all their bits.
    let start = reference(a.view(), matrix([k, n]).view(), None);
    let accumulates = shape.out == Out::Accumulate;
    let product = reference(a.view(), b.view(), accumulates.then_some(start.view()));
    let out = match shape.out {
        Out::Bf16 => bytes_of(&to_tiles(product.mapv(bf16::from_f32).view(), [4, 4])),
        Out::F32 | Out::Accumulate => bytes_of(&to_tiles(product.view(), [4, 4])),
    };
    let before = if accumulates { bytes_of(&to_tiles(start.view(), [4, 4])) } else { vec![0; out.len()] };
    let args = vec![
        Arg::Bytes(bytes_of(&to_tiles(a.view(), [4, 8]))),
        Arg::Bytes(bytes_of(&to_tiles(b.view(), [8, 4]))),
        Arg::Bytes(before),
    ];
    Case { args, expected: vec![(2, out)] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr2;

    #[test]
    fn small_products() {
        let b = |v: f32| bf16::from_f32(v);
        let mut a = Array2::from_elem((1, 8), b(0.0));
        let mut c = Array2::from_elem((8, 1), b(0.0));
        (a[(0, 0)], a[(0, 7)], c[(0, 0)], c[(7, 0)]) = (b(1.5), b(-2.0), b(4.0), b(0.25));
        assert_eq!(reference(a.view(), c.view(), None), arr2(&[[5.5]]));
    }
}
