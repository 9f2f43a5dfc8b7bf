//! Matrix multiplication of integers: `acc[M, N] = bias[N] + a[M, K] x b[K, N]`, row-major, any M, K, N.

use crate::case::{Arg, Case, Entry, Source, bytes_of};
use crate::requantise::Columns;
use crate::requantise::{column_case, requantised_tiles};
use crate::tiles::to_tiles;
use kiln_dsl::kernel::build::{
    Acc32, Acc64, Accum, Block2 as _, Builder, Element, Loadable, Mmul, Scalar, TileBuf, Vector, mmul,
};
use kiln_dsl::kernel::{Elem, Kernel};
use kiln_dsl::num::{Rounding, Saturation};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

use crate::fixed::saturate_i32;

/// `acc[M, N] = bias[N] + a[M, K] x b[K, N]`: the exact sum, saturated to i32.
///
/// For i8 x i8, u8 x i8 and i16 x i8 operands. The quantiser keeps `sum |b| * max |a| + |bias|` of every column
/// below 2^31, so neither the saturation here nor a wrap of a 32-bit accumulator lane ever happens in a model.
///
/// # Panics
/// When `a`'s columns, `b`'s rows, or `b`'s columns and `bias` differ in number.
pub fn reference<A, B>(a: ArrayView2<A>, b: ArrayView2<B>, bias: ArrayView1<i32>) -> Array2<i32>
where
    A: Copy + Into<i64>,
    B: Copy + Into<i64>,
{
    assert_eq!(a.ncols(), b.nrows(), "columns of a and rows of b");
    assert_eq!(b.ncols(), bias.len(), "columns of b and entries of bias");
    Array2::from_shape_fn((a.nrows(), b.ncols()), |(m, n)| {
        let products = a.row(m).into_iter().zip(b.column(n)).map(|(&a, &b)| a.into() * b.into());
        saturate_i32(i64::from(bias[n]) + products.sum::<i64>())
    })
}

/// Type of the left operand's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Left {
    /// Signed bytes: mmul 4x8x8, 256 MAC a cycle, 32-bit lanes.
    I8,
    /// Unsigned bytes: as [`Left::I8`].
    U8,
    /// Signed 16-bit words: two mmul 2x8x8 a tile, 128 MAC a cycle, 64-bit lanes.
    I16,
}

impl Left {
    /// The element type.
    pub const fn elem(self) -> Elem {
        match self {
            Left::I8 => Elem::I8,
            Left::U8 => Elem::U8,
            Left::I16 => Elem::I16,
        }
    }
}

/// What leaves the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Product {
    /// `c += a x b` in i32: for a K that arrives in parts.
    Accumulate,
    /// `c = sat8(requantised(bias + a x b))`, the whole K in one call.
    I8,
    /// `c = sat16(requantised(bias + a x b))`, the whole K in one call.
    I16,
}

/// Shape and form of a matmul kernel. All sizes are of the tile in L1, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MatmulShape {
    /// Rows of A and C: a multiple of `4 * block[0]`.
    pub m: u32,
    /// Columns of A, rows of B: a multiple of 8.
    pub k: u32,
    /// Columns of B and C: a multiple of `8 * block[1]`.
    pub n: u32,
    /// Type of A.
    pub left: Left,
    /// Type of C and what it holds.
    pub product: Product,
    /// Rows and columns of 4x8 tiles that are accumulated in registers at a time.
    pub block: Block,
}

/// Register block: 4x8 tiles of C accumulated at a time. Nine 1024-bit accumulators exist, an i16
/// product needs two for each tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Block {
    /// 2 x 1 tiles: for results of 8 columns.
    B2x1,
    /// 2 x 2 tiles: 4 accumulators.
    B2x2,
    /// 4 x 2 tiles: 8 accumulators; one load a multiplication. Not for i16.
    B4x2,
}

impl Block {
    const fn dims(self) -> [u32; 2] {
        match self {
            Block::B2x1 => [2, 1],
            Block::B2x2 => [2, 2],
            Block::B4x2 => [4, 2],
        }
    }
}

impl MatmulShape {
    /// Name of the kernel: unique for a shape.
    pub fn name(&self) -> String {
        let out = match self.product {
            Product::Accumulate => "i32",
            Product::I8 => "i8",
            Product::I16 => "i16",
        };
        format!("matmul_{}_{out}_{}x{}x{}", self.left.elem(), self.m, self.k, self.n)
    }

    /// Multiply-accumulates of one call.
    pub fn macs(&self) -> u64 {
        u64::from(self.m) * u64::from(self.k) * u64::from(self.n)
    }
}

/// The kernel of a shape. Tile-major: A in 4x8, B in 8x8 and C in 4x8 tiles, each contiguous, the
/// grids row-major. Requantising products take `bias` (i32) and `mult` (i16) per column and the
/// shifts `acc_shift` and `out_shift` at run time, as [`crate::requantise`] says.
///
/// # Panics
/// When a size is not a multiple of what [`MatmulShape`] says, or the block does not fit the
/// accumulators.
pub fn matmul(shape: MatmulShape) -> Kernel {
    let [rows, cols] = shape.block.dims();
    let fits =
        shape.m.is_multiple_of(4 * rows) && shape.k.is_multiple_of(8) && shape.n.is_multiple_of(8 * cols);
    assert!(fits && shape.m * shape.k * shape.n > 0, "{shape:?}: sizes must be multiples of the blocks");
    let doc = format!(
        "{}: A[{m}, {k}] {} in 4x8 tiles, B[{k}, {n}] i8 in 8x8 tiles, C[{m}, {n}] in 4x8 tiles; {:?}.",
        shape.name(),
        shape.left.elem(),
        shape.product,
        m = shape.m,
        k = shape.k,
        n = shape.n,
    );
    let kernel = match (shape.left, shape.block) {
        (Left::I8, Block::B2x1) => bytes::<i8, 2, 1>(shape, mmul::I8_I8_4X8X8),
        (Left::I8, Block::B2x2) => bytes::<i8, 2, 2>(shape, mmul::I8_I8_4X8X8),
        (Left::I8, Block::B4x2) => bytes::<i8, 4, 2>(shape, mmul::I8_I8_4X8X8),
        (Left::U8, Block::B2x1) => bytes::<u8, 2, 1>(shape, mmul::U8_I8_4X8X8),
        (Left::U8, Block::B2x2) => bytes::<u8, 2, 2>(shape, mmul::U8_I8_4X8X8),
        (Left::U8, Block::B4x2) => bytes::<u8, 4, 2>(shape, mmul::U8_I8_4X8X8),
        (Left::I16, Block::B2x1) => words::<1>(shape),
        (Left::I16, Block::B2x2) => words::<2>(shape),
        (Left::I16, Block::B4x2) => panic!("{shape:?}: 16 accumulators of 64-bit lanes, AIE2 has 9"),
    };
    kernel.with_doc(&doc)
}

type Bytes<L> = Mmul<L, i8, Acc32, 32, 64, 32>;

/// One 4x8 tile of C: in an accumulator, or as lanes.
#[derive(Clone, Copy)]
enum CTile<'k> {
    Acc(Accum<'k, Acc32, 32>),
    Lanes(Vector<'k, i32, 32>),
}

impl<'k> CTile<'k> {
    fn acc(self) -> Accum<'k, Acc32, 32> {
        match self {
            CTile::Acc(acc) => acc,
            CTile::Lanes(lanes) => lanes.ups(0),
        }
    }
    fn lanes(self) -> Vector<'k, i32, 32> {
        match self {
            CTile::Acc(acc) => acc.srs(0),
            CTile::Lanes(lanes) => lanes,
        }
    }
}

/// Where a product's tiles start and end.
enum C<'k> {
    Accumulate(TileBuf<'k, i32, 32>),
    I8(TileBuf<'k, i8, 32>, Columns<'k>),
    I16(TileBuf<'k, i16, 32>, Columns<'k>),
}

impl<'k> C<'k> {
    fn declare(k: &'k Builder, shape: MatmulShape) -> C<'k> {
        let grid = [shape.m / 4, shape.n / 8];
        match shape.product {
            Product::Accumulate => C::Accumulate(k.inout_tiles("c", [4, 8], grid)),
            Product::I8 => {
                let columns = Columns::declare(k, shape.n);
                C::I8(k.output_tiles("c", [4, 8], grid), columns)
            }
            Product::I16 => {
                let columns = Columns::declare(k, shape.n);
                C::I16(k.output_tiles("c", [4, 8], grid), columns)
            }
        }
    }

    /// What the sum of tile `(i, j)` starts from; `None` is zero.
    fn start(&self, i: Scalar<'k>, j: Scalar<'k>) -> Option<Vector<'k, i32, 32>> {
        match self {
            C::Accumulate(c) => Some(c.load(i, j)),
            C::I8(..) | C::I16(..) => None,
        }
    }

    fn finish(&self, i: Scalar<'k>, j: Scalar<'k>, sum: CTile<'k>) {
        match self {
            C::Accumulate(c) => c.store(i, j, sum.lanes()),
            C::I8(c, columns) => {
                c.store(i, j, columns.of_tile(j).requantise(sum.acc()).srs(columns.out_shift()))
            }
            C::I16(c, columns) => {
                c.store(i, j, columns.of_tile(j).requantise(sum.acc()).srs(columns.out_shift()))
            }
        }
    }
}

/// Bytes: one accumulator a tile.
fn bytes<L: Element + Loadable<32>, const R: usize, const N: usize>(
    shape: MatmulShape,
    mmul: Bytes<L>,
) -> Kernel {
    let (mt, kt, nt) = (shape.m / 4, shape.k / 8, shape.n / 8);
    Kernel::build(&shape.name(), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let a = k.input_tiles::<L, 32>("a", [4, 8], [mt, kt]);
        let b = k.input_tiles::<i8, 64>("b", [8, 8], [kt, nt]);
        let c = C::declare(k, shape);
        k.for_step(0, mt, R as u32, |i| {
            k.for_step(0, nt, N as u32, |j| {
                let start = [[(); N]; R].map2(|r, q, ()| match c.start(i + r as u32, j + q as u32) {
                    Some(lanes) => lanes.ups(0),
                    None => k.acc_zeros(),
                });
                let sum = k.pipelined(1).fold(kt, start, |p, sum| {
                    let av: [_; R] = std::array::from_fn(|r| a.load(i + r as u32, p));
                    let bv: [_; N] = std::array::from_fn(|q| b.load(p, j + q as u32));
                    sum.map2(|r, q, acc| k.mac(mmul, acc, av[r], bv[q]))
                });
                sum.each2(|r, q, acc| c.finish(i + r as u32, j + q as u32, CTile::Acc(acc)));
            });
        });
    })
}

/// 16-bit words: the upper and lower two rows of a tile in one 64-bit accumulator each. A stored
/// sum saturates to 32 bits.
fn words<const N: usize>(shape: MatmulShape) -> Kernel {
    const SHAPE: Mmul<i16, i8, Acc64, 16, 64, 16> = mmul::I16_I8_2X8X8;
    let (mt, kt, nt) = (shape.m / 4, shape.k / 8, shape.n / 8);
    Kernel::build(&shape.name(), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let a = k.input_tiles::<i16, 32>("a", [4, 8], [mt, kt]);
        let b = k.input_tiles::<i8, 64>("b", [8, 8], [kt, nt]);
        let c = C::declare(k, shape);
        k.for_step(0, mt, 2, |i| {
            k.for_step(0, nt, N as u32, |j| {
                let start = [[(); N]; 2].map2(|r, q, ()| match c.start(i + r as u32, j + q as u32) {
                    Some(lanes) => [lanes.low::<16>().ups::<Acc64>(0), lanes.high::<16>().ups::<Acc64>(0)],
                    None => [k.acc_zeros(); 2],
                });
                let sum = k.pipelined(1).fold(kt, start, |p, sum| {
                    let part = |r: usize, lane| a.load_part::<16>(i + r as u32, p, lane);
                    let av = [[part(0, 0), part(0, 16)], [part(1, 0), part(1, 16)]];
                    let bv: [_; N] = std::array::from_fn(|q| b.load(p, j + q as u32));
                    sum.map2(|r, q, [upper, lower]| {
                        [k.mac(SHAPE, upper, av[r][0], bv[q]), k.mac(SHAPE, lower, av[r][1], bv[q])]
                    })
                });
                sum.each2(|r, q, [upper, lower]| {
                    let lanes = upper.srs::<i32>(0).concat(lower.srs::<i32>(0));
                    c.finish(i + r as u32, j + q as u32, CTile::Lanes(lanes));
                });
            });
        });
    })
}

/// The kernel with its test cases.
pub fn entry(shape: MatmulShape) -> Entry {
    Entry::new(matmul(shape), move |source| match shape.left {
        Left::I8 => case::<i8>(source, shape, [-128, 127]),
        Left::U8 => case::<u8>(source, shape, [0, 255]),
        Left::I16 => case::<i16>(source, shape, [-32768, 32767]),
    })
}

/// Random arguments of a shape's kernel, and what it gives.
pub(crate) fn case<L>(source: &mut Source, shape: MatmulShape, range: [i64; 2]) -> Case
where
    L: bytemuck::Pod + Default + TryFrom<i64> + Into<i64>,
{
    let [m, k, n] = [shape.m as usize, shape.k as usize, shape.n as usize];
    let a = source.matrix::<L>([m, k], range);
    let b = source.matrix::<i8>([k, n], [-128, 127]);
    let mut args = vec![
        Arg::Bytes(bytes_of(&to_tiles(a.view(), [4, 8]))),
        Arg::Bytes(bytes_of(&to_tiles(b.view(), [8, 8]))),
    ];
    let zeros = Array1::zeros(n);
    let product = reference(a.view(), b.view(), zeros.view());
    match shape.product {
        Product::Accumulate => {
            let before = source.matrix::<i32>([m, n], [-(1 << 20), 1 << 20]);
            let after = ndarray::Zip::from(&before).and(&product).map_collect(|x, y| x.saturating_add(*y));
            args.push(Arg::Bytes(bytes_of(&to_tiles(before.view(), [4, 8]))));
            Case { args, expected: vec![(2, bytes_of(&to_tiles(after.view(), [4, 8])))] }
        }
        Product::I8 | Product::I16 => {
            let (bias, q, params) = column_case(source, n);
            let elem = if shape.product == Product::I8 { Elem::I8 } else { Elem::I16 };
            // The saturated sum and the bias meet in a 32-bit accumulator lane, which wraps.
            let sums =
                ndarray::Zip::from(&product).and_broadcast(&bias).map_collect(|x, b| x.wrapping_add(*b));
            let out = requantised_tiles(sums.view(), &q, elem);
            args.extend(params);
            args.push(Arg::Bytes(vec![0; out.len()]));
            Case { args, expected: vec![(6, out)] }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{arr1, arr2, aview1};

    #[test]
    fn small_products() {
        let a = arr2(&[[1i8, -2, 3], [127, -128, 0]]);
        let b = arr2(&[[4i8, 5], [6, -7], [8, 9]]);
        assert_eq!(reference(a.view(), b.view(), aview1(&[10, -10])), arr2(&[[26, 36], [-250, 1521]]));
        let u = arr2(&[[255u8, 255, 255]]);
        assert_eq!(reference(u.view(), b.view(), aview1(&[0, 0])), arr2(&[[4590, 1785]]));
    }

    #[test]
    fn sixteen_bit_sums_saturate() {
        let a = Array2::from_elem((1, 1024), i16::MAX);
        let b = Array2::from_elem((1024, 1), 127i8);
        assert_eq!(reference(a.view(), b.view(), arr1(&[0]).view())[(0, 0)], i32::MAX);
        assert_eq!(reference(a.view(), b.mapv(|v| -v).view(), arr1(&[0]).view())[(0, 0)], i32::MIN);
    }
}
