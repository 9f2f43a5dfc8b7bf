//! `gemm_core`: one call of a blocked matrix product, `C += A x B`.

use super::super::names::Dtype;
use super::super::workload::{Conditions, Outcome, Workload};
use super::{call, hot_loop, outcome};
use kiln_dsl::kernel::build::{
    AccElement, AccLanes, Accum, Builder, Element, IntoScalar, Loadable, Mmul, Scalar, TileBuf, Vector, mmul,
};
use kiln_dsl::kernel::{Elem, Kernel};
use kiln_dsl::num::{Rounding, Saturation};
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
}

impl Workload for GemmCore {
    const KIND: &'static str = "gemm_core";
    const QUANTITIES: &'static [&'static str] = &["loop_bundles", "loop_vmac"];

    fn simulate(&self, conditions: &Conditions) -> Result<Outcome, String> {
        let kernel = self.kernel()?;
        let hot = hot_loop(&kernel, conditions)?;
        let macs = &conditions.device.macs_per_cycle;
        let peak = match (self.input.0, self.in_b.unwrap_or(self.input).0) {
            (Elem::I16, Elem::I8) => macs.i16_i8(),
            (Elem::I16, _) => macs.i16_i16(),
            (Elem::I32, _) => macs.i32_i16(),
            (Elem::Bf16, _) => macs.bf16_bf16(),
            _ => macs.i8_i8(),
        };
        let quantities = hot.quantities();
        Ok(Outcome { quantities, ..outcome(call(kernel, &[], conditions)?, peak) })
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
        }
    }

    pub(in crate::validate) fn kernel(&self) -> Result<Kernel, String> {
        use Elem::{Bf16, F32, I8, I16, I32, U8};
        let types = (self.input.0, self.in_b.unwrap_or(self.input).0, self.out.0);
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
        let (mt, kt, nt) = (self.m / tm, self.k / tk, self.n / tn);
        Ok(Kernel::build("gemm_core", Rounding::ConvEven, Saturation::On, |k: &Builder| {
            let a = k.input_tiles::<L, LA>("a", [tm, tk], [mt, kt]);
            let b = k.input_tiles::<R, LB>("b", [tk, tn], [kt, nt]);
            let c = k.inout_tiles::<T, LC>("c", [tm, tn], [mt, nt]);
            let block = |f: &mut dyn FnMut(u32, u32)| (0..rows).for_each(|r| (0..cols).for_each(|q| f(r, q)));
            k.pipelined(mt / rows).for_step(0, mt, rows, |i| {
                k.pipelined(nt / cols).for_step(0, nt, cols, |j| {
                    let mut start = Vec::new();
                    block(&mut |r, q| {
                        let zero = self.zero_init;
                        start.push(if zero { k.acc_zeros() } else { read(c.load(i + r, j + q)) });
                    });
                    let step = |p, sums| products(k, product, (a, b), [i, j, p], sums, cols);
                    let sums = if self.unrolled_k {
                        (0..kt).fold(start, |sums, p| step(p.into_scalar(k), sums))
                    } else if self.hinted {
                        k.pipelined(kt).fold(kt, start, step)
                    } else {
                        k.fold(kt, start, step)
                    };
                    block(&mut |r, q| c.store(i + r, j + q, write(sums[(r * cols + q) as usize])));
                });
            });
        }))
    }
}

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
