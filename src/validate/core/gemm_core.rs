//! `gemm_core`: one call of a blocked matrix product, `C += A x B`.

use super::super::names::Dtype;
use super::super::workload::{Conditions, Outcome, Workload};
use super::{call, check_bytes, hot_loop, outcome};
use kiln_dsl::kernel::build::{
    Acc32, AccElement, AccLanes, Accum, Buf, Builder, Element, IntoScalar, Loadable, Mmul, Scalar, TileBuf,
    Vector, mmul,
};
use kiln_dsl::kernel::{Elem, Kernel};
use kiln_dsl::num::{Rounding, Saturation, shuffle};
use serde::Deserialize;

/// `C[m, n] += A[m, k] x B[k, n]` in tiles of the native product, each tile contiguous and tiles row-major, as in
/// mlir-aie's `mm.cc`: C is read into accumulators and written back once in each block of tiles.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GemmCore {
    /// Elements of A, and of B if `in_b` is absent.
    #[serde(rename = "in")]
    input: Dtype,
    in_b: Option<Dtype>,
    /// Elements of C.
    out: Dtype,
    m: u32,
    k: u32,
    n: u32,
    /// Rows and columns of tiles that are accumulated in registers at a time; that of `mm.cc` if absent.
    block: Option<[u32; 2]>,
    /// C starts at zero instead of being read.
    #[serde(default)]
    zero_init: bool,
    /// The loop along k carries the hints that let a compiler pipeline it.
    #[serde(default)]
    hinted: bool,
    /// The products along k are written out instead of in a loop.
    #[serde(default)]
    unrolled_k: bool,
    /// Columns of blocks are written out too: the loop over rows of blocks is the innermost.
    #[serde(default)]
    unrolled_n: bool,
    /// Everything is written out: no loops.
    #[serde(default)]
    unrolled: bool,
    /// Depth of the tiles of A and B, that of the native product if absent: 16 for i8 are two products, whose left halves
    /// are shuffled apart.
    tile_k: Option<u32>,
}

impl Workload for GemmCore {
    const KIND: &'static str = "gemm_core";
    const QUANTITIES: &'static [&'static str] = &["loop_bundles", "loop_vmac"];

    fn simulate(&self, conditions: &Conditions) -> Result<Outcome, String> {
        let [a, b, c] = [self.input, self.in_b.unwrap_or(self.input), self.out].map(|dtype| dtype.0.bytes());
        let arrays: [(&str, &[u32]); 3] =
            [("A", &[self.m, self.k, a]), ("B", &[self.k, self.n, b]), ("C", &[self.m, self.n, c])];
        check_bytes(&arrays, conditions.device)?;
        let kernel = self.kernel()?;
        let hot = if self.unrolled { Vec::new() } else { hot_loop(&kernel, conditions)?.quantities() };
        let macs = &conditions.device.macs_per_cycle;
        let peak = match (self.input.0, self.in_b.unwrap_or(self.input).0) {
            (Elem::I16, Elem::I8) => macs.i16_i8(),
            (Elem::I16, _) => macs.i16_i16(),
            (Elem::I32, _) => macs.i32_i16(),
            (Elem::Bf16, _) => macs.bf16_bf16(),
            _ => macs.i8_i8(),
        };
        Ok(Outcome { quantities: hot, ..outcome(call(kernel, &[], conditions)?, peak) })
    }
}

impl GemmCore {
    /// As `mm.cc` has it.
    pub(in crate::validate) fn plain(input: Dtype, out: Dtype, [m, k, n]: [u32; 3]) -> GemmCore {
        GemmCore {
            input,
            in_b: None,
            out,
            m,
            k,
            n,
            block: None,
            zero_init: false,
            hinted: false,
            unrolled_k: false,
            unrolled_n: false,
            unrolled: false,
            tile_k: None,
        }
    }

    pub(in crate::validate) fn kernel(&self) -> Result<Kernel, String> {
        use Elem::{Bf16, F32, I8, I16, I32, U8};
        let types = (self.input.0, self.in_b.unwrap_or(self.input).0, self.out.0);
        match (self.tile_k, types) {
            (None | Some(8), _) => {}
            (Some(16), (I8, I8, I8)) => return self.deep::<i8>(|sum| sum.srs(0)),
            (Some(16), (I8, I8, I16)) => return self.deep::<i16>(|sum| sum.srs(0)),
            (Some(16), (I8, I8, I32)) => return self.deep::<i32>(|sum| sum.srs(0)),
            (Some(depth), _) => {
                return Err(format!(
                    "tile_k: {depth}, expected 16 with i8 x i8 to i8, i16 or i32, or nothing"
                ));
            }
        }
        // Blocks where none is given: those of mm.cc.
        macro_rules! integer {
            ($shape:ident, $out:ty, $block:expr) => {
                self.build(mmul::$shape, $block, |v: Vector<'_, $out, _>| v.ups(0), |sum| sum.srs(0))
            };
        }
        match types {
            (I8, I8, I8) => integer!(I8_I8_4X8X8, i8, [4, 2]),
            (I8, I8, I16) => integer!(I8_I8_4X8X8, i16, [4, 2]),
            (I8, I8, I32) => integer!(I8_I8_4X8X8, i32, [4, 2]),
            (U8, I8, I8) => integer!(U8_I8_4X8X8, i8, [4, 2]),
            (U8, I8, I16) => integer!(U8_I8_4X8X8, i16, [4, 2]),
            (U8, I8, I32) => integer!(U8_I8_4X8X8, i32, [4, 2]),
            (I16, I8, I16) => integer!(I16_I8_4X4X8, i16, [2, 2]),
            (I16, I8, I32) => integer!(I16_I8_4X4X8, i32, [2, 2]),
            (I16, I16, I16) => integer!(I16_I16_4X4X4, i16, [2, 2]),
            (I16, I16, I32) => integer!(I16_I16_4X4X4, i32, [2, 2]),
            (I32, I16, I32) => integer!(I32_I16_4X4X4, i32, [2, 2]),
            (Bf16, Bf16, Bf16) => self.build(
                mmul::BF16_4X8X4,
                [4, 4],
                |v: Vector<'_, half::bf16, 16>| v.to_accum(),
                |sum| sum.to_vector(),
            ),
            (Bf16, Bf16, F32) => self.build(
                mmul::BF16_4X8X4,
                [4, 4],
                |v: Vector<'_, f32, 16>| v.to_accum(),
                |sum| sum.to_vector(),
            ),
            (a, b, out) => Err(format!(
                "in {a} x {b}, out {out}: expected i8 or u8 x i8 to i8, i16 or i32; i16 x i8 or i16 to i16 or i32; \
                 i32 x i16 to i32; or bf16 x bf16 to bf16 or f32"
            )),
        }
    }

    fn build<L, R, T, A, const LA: usize, const LB: usize, const LC: usize>(
        &self,
        product: Mmul<L, R, A, LA, LB, LC>,
        block: [u32; 2],
        read: impl for<'k> Fn(Vector<'k, T, LC>) -> Accum<'k, A, LC>,
        write: impl for<'k> Fn(Accum<'k, A, LC>) -> Vector<'k, T, LC>,
    ) -> Result<Kernel, String>
    where
        L: Element + Loadable<LA>,
        R: Element + Loadable<LB>,
        T: Element + Loadable<LC>,
        A: AccElement + AccLanes<LC>,
    {
        let [tm, tk, tn] = product.shape().map(u32::from);
        let [rows, cols] = self.block.unwrap_or(block);
        let [mt, kt, nt] = self.tiles([tm, tk, tn], [rows, cols])?;
        Ok(Kernel::build("gemm_core", Rounding::ConvEven, Saturation::On, |k: &Builder| {
            let a = k.input_tiles::<L, LA>("a", [tm, tk], [mt, kt]);
            let b = k.input_tiles::<R, LB>("b", [tk, tn], [kt, nt]);
            let c = k.inout_tiles::<T, LC>("c", [tm, tn], [mt, nt]);
            let block = |f: &mut dyn FnMut(u32, u32)| (0..rows).for_each(|r| (0..cols).for_each(|q| f(r, q)));
            self.blocks(k, [mt, nt], [rows, cols], |i, j| {
                let mut start = Vec::new();
                block(&mut |r, q| {
                    let zero = self.zero_init;
                    start.push(if zero { k.acc_zeros() } else { read(c.load(i + r, j + q)) });
                });
                let step = |p, sums| products(k, product, (a, b), [i, j, p], sums, cols);
                let sums = if self.writes_out_k() {
                    (0..kt).fold(start, |sums, p| step(p.into_scalar(k), sums))
                } else if self.hinted {
                    k.pipelined(kt).fold(kt, start, step)
                } else {
                    k.fold(kt, start, step)
                };
                block(&mut |r, q| c.store(i + r, j + q, write(sums[(r * cols + q) as usize])));
            });
        }))
    }

    /// Rows, depth and columns of the matrices in tiles.
    fn tiles(&self, [tm, tk, tn]: [u32; 3], [rows, cols]: [u32; 2]) -> Result<[u32; 3], String> {
        if !(1..=8).contains(&rows) || !(1..=8).contains(&cols) {
            return Err(format!("block: [{rows}, {cols}], expected 1 to 8 rows and columns of tiles"));
        }
        for (name, size, of) in [("m", self.m, tm * rows), ("k", self.k, tk), ("n", self.n, tn * cols)] {
            if size == 0 || !size.is_multiple_of(of) {
                return Err(format!(
                    "{name}: {size}, expected a multiple of {of}: tiles of {tm}x{tk}x{tn}, blocks of [{rows}, {cols}]"
                ));
            }
        }
        let tiles = [self.m / tm, self.k / tk, self.n / tn];
        let products = tiles.iter().map(|&t| u64::from(t)).product::<u64>();
        if self.unrolled && products > WRITTEN_OUT_MAX {
            return Err(format!(
                "unrolled: {products} products, expected at most {WRITTEN_OUT_MAX} written out"
            ));
        }
        Ok(tiles)
    }

    fn writes_out_k(&self) -> bool {
        self.unrolled_k || self.unrolled_n || self.unrolled
    }

    /// Runs `body` for the first row and column of each block of tiles.
    fn blocks<'k>(
        &self,
        k: &'k Builder,
        [mt, nt]: [u32; 2],
        [rows, cols]: [u32; 2],
        body: impl Fn(Scalar<'k>, Scalar<'k>),
    ) {
        if self.unrolled {
            for i in (0..mt).step_by(rows as usize) {
                for j in (0..nt).step_by(cols as usize) {
                    body(i.into_scalar(k), j.into_scalar(k));
                }
            }
            return;
        }
        k.pipelined(mt / rows).for_step(0, mt, rows, |i| {
            if self.unrolled_n {
                return (0..nt).step_by(cols as usize).for_each(|j| body(i, j.into_scalar(k)));
            }
            k.pipelined(nt / cols).for_step(0, nt, cols, |j| body(i, j));
        });
    }

    /// Tiles of 4x16x8 of bytes, C from zero: aie_api makes two products of each, of the halves of A's tile. A's tiles lie
    /// one above the other, so that one pointer reads all of a block.
    fn deep<T>(
        &self,
        write: impl for<'k> Fn(Accum<'k, Acc32, 32>) -> Vector<'k, T, 32>,
    ) -> Result<Kernel, String>
    where
        T: Element + Loadable<32>,
    {
        const TILE: [u32; 3] = [4, 16, 8];
        let [rows, cols] = self.block.unwrap_or([2, 1]);
        let [mt, kt, nt] = self.tiles(TILE, [rows, cols])?;
        if !self.zero_init {
            return Err("tile_k: 16 without `zero_init: true`, expected C to start at zero".to_owned());
        }
        Ok(Kernel::build("gemm_core", Rounding::ConvEven, Saturation::On, |k: &Builder| {
            let a = k.input::<i8>("a", [self.m * self.k]);
            let b = k.input_tiles::<i8, 64>("b", [TILE[1] / 2, TILE[2]], [nt, kt * 2]);
            let c = k.output_tiles::<T, 32>("c", [TILE[0], TILE[2]], [mt, nt]);
            self.blocks(k, [mt, nt], [rows, cols], |i, j| {
                let row = i * (kt * DEEP_BYTES) as i32;
                let step = |p, sums| deep_products(k, (a, b), [row, j, p], sums, [rows, cols]);
                let start = (0..rows * cols).map(|_| k.acc_zeros::<Acc32, 32>()).collect::<Vec<_>>();
                let sums = match (self.writes_out_k(), self.hinted) {
                    (true, _) => (0..kt).fold(start, |sums, p| step(p.into_scalar(k), sums)),
                    (false, true) => k.pipelined(kt).fold(kt, start, step),
                    (false, false) => k.fold(kt, start, step),
                };
                for r in 0..rows {
                    for q in 0..cols {
                        c.store(i + r, j + q, write(sums[(r * cols + q) as usize]));
                    }
                }
            });
        }))
    }
}

/// Bytes of a tile of 4x16.
const DEEP_BYTES: u32 = 64;

/// The sums of a block after the products of its tiles of 4x16 and 16x8 at depth `p`; A's begin at element `row`.
fn deep_products<'k>(
    k: &'k Builder,
    (a, b): (Buf<'k, i8>, TileBuf<'k, i8, 64>),
    [row, j, p]: [Scalar<'k>; 3],
    mut sums: Vec<Accum<'k, Acc32, 32>>,
    [rows, cols]: [u32; 2],
) -> Vec<Accum<'k, Acc32, 32>> {
    let left: Vec<[Vector<'k, i8, 32>; 2]> = (0..rows)
        .map(|r| {
            let tile = a.load::<64>(row + p * (rows * DEEP_BYTES) as i32 + (r * DEEP_BYTES) as i32);
            [shuffle::T64_8X2_LO, shuffle::T64_8X2_HI].map(|mode| tile.shuffle(tile, mode).low::<32>())
        })
        .collect();
    for q in 0..cols {
        let right = [0, 1].map(|half| b.load(j + q, p * 2 + half));
        for (r, halves) in left.iter().enumerate() {
            let sum = &mut sums[r * cols as usize + q as usize];
            for (&half, right) in halves.iter().zip(right) {
                *sum = k.mac(mmul::I8_I8_4X8X8, *sum, half, right);
            }
        }
    }
    sums
}

/// Products that are written out at most; each takes about ten instructions.
const WRITTEN_OUT_MAX: u64 = 1024;

/// The sums of a block, row by row with `cols` in each, after the products of tiles `p` of rows `i..` and columns `j..`.
fn products<'k, L, R, A, const LA: usize, const LB: usize, const LC: usize>(
    k: &'k Builder,
    product: Mmul<L, R, A, LA, LB, LC>,
    (a, b): (TileBuf<'k, L, LA>, TileBuf<'k, R, LB>),
    [i, j, p]: [Scalar<'k>; 3],
    sums: Vec<Accum<'k, A, LC>>,
    cols: u32,
) -> Vec<Accum<'k, A, LC>>
where
    L: Element + Loadable<LA>,
    R: Element + Loadable<LB>,
    A: AccElement,
{
    let left: Vec<_> = (0..sums.len() as u32 / cols).map(|r| a.load(i + r, p)).collect();
    let right: Vec<_> = (0..cols).map(|q| b.load(p, j + q)).collect();
    let pairs = left.iter().flat_map(|&row| right.iter().map(move |&column| (row, column)));
    sums.into_iter().zip(pairs).map(|(sum, (row, column))| k.mac(product, sum, row, column)).collect()
}
