//! `softmax`: rows of bf16, the exponential by tables.

use super::super::names::Dtype;
use super::super::workload::{Conditions, Outcome, Workload};
use super::{call, check_bytes, outcome};
use half::bf16;
use kiln_dsl::kernel::build::{AccFloat, Buf, Builder, IntoScalar, Scalar, Vector};
use kiln_dsl::kernel::{Elem, Kernel};
use kiln_dsl::num::{Rounding, Saturation};
use serde::Deserialize;

/// Softmax of `rows` rows of `n` bf16 in the form of mlir-aie's `softmax.cc`: exponentials as products of two looked-up
/// factors, summed as they are stored; a scalar reciprocal; a pass that multiplies by it. Its time is that of such code;
/// the tables hold zeros.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Softmax {
    n: u32,
    #[serde(default = "one")]
    rows: u32,
    #[serde(default = "bf16_elements")]
    dtype: Dtype,
    /// The loops have hints and trip counts that let a compiler pipeline them.
    #[serde(default)]
    pipelined: bool,
}

fn one() -> u32 {
    1
}

fn bf16_elements() -> Dtype {
    Dtype(Elem::Bf16)
}

/// Elements that a step takes: two vectors of 16 floats.
const STEP: u32 = 32;

impl Workload for Softmax {
    const KIND: &'static str = "softmax";
    const QUANTITIES: &'static [&'static str] = &[];

    fn simulate(&self, conditions: &Conditions) -> Result<Outcome, String> {
        if self.dtype.0 != Elem::Bf16 {
            return Err(format!("dtype: {}, expected bf16", self.dtype.0));
        }
        if self.rows == 0 || self.n == 0 || !self.n.is_multiple_of(STEP) {
            return Err(format!("n: {} in {} rows, expected a multiple of {STEP}", self.n, self.rows));
        }
        check_bytes(&[("x", &[self.rows, self.n, Elem::Bf16.bytes()])], conditions.device)?;
        let cost = call(self.kernel(), &[self.rows as i32, self.n as i32], conditions)?;
        Ok(outcome(cost, conditions.device.macs_per_cycle.bf16_bf16()))
    }
}

type Floats<'k> = Vector<'k, bf16, 16>;

impl Softmax {
    fn kernel(&self) -> Kernel {
        Kernel::build("softmax_bf16", Rounding::ConvEven, Saturation::On, |k: &Builder| {
            let x = k.input::<bf16>("x", [self.rows * self.n]);
            let y = k.output::<bf16>("y", [self.rows * self.n]);
            let whole = k.lookup_tables::<i16>("whole", &[0; 256], [2, 3]);
            let part = k.lookup_tables::<i16>("part", &[0; 256], [2, 3]);
            let mantissas = k.table::<i16>("mantissas", vec![0; 256]);
            let (rows, n) = (k.param_i32("rows"), k.param_i32("n"));
            let n = if self.pipelined { self.n.into_scalar(k) } else { n };
            let trips = if self.pipelined { self.n / STEP } else { 0 };
            let ones = k.splat_bf16::<16>(1.0);
            k.for_n(rows, |row| {
                let first = row * self.n as i32;
                let zeros = [k.acc_zeros::<AccFloat, 16>(), k.acc_zeros::<AccFloat, 16>()];
                let hinted = || k.pipelined(trips);
                let [low, high] = hinted().fold_step(0, n, STEP, zeros, |i, [low, high]| {
                    let bits = x.load::<32>(first + i).cast::<i16, 32>();
                    let whole = bits.lookup::<i16>(whole, 8, 128).cast::<bf16, 32>();
                    let part = bits.lookup::<i16>(part, 0, 128).cast::<bf16, 32>();
                    let exps = [product(whole.low(), part.low()), product(whole.high(), part.high())];
                    y.store(first + i, exps[0]);
                    y.store(first + i + 16, exps[1]);
                    [low.mac(exps[0], ones), high.mac(exps[1], ones)]
                });
                let sum = (low + high).to_vector::<f32>().cast::<i32, 16>().reduce_add();
                let scale = k.splat::<i16, 32>(reciprocal(sum, mantissas)).cast::<bf16, 32>().low::<16>();
                hinted().for_step(0, n, 16, |i| {
                    let exps = y.load::<16>(first + i);
                    y.store(first + i, exps.times::<AccFloat, bf16>(scale).to_vector::<bf16>());
                });
            });
        })
    }
}

fn product<'k>(a: Floats<'k>, b: Floats<'k>) -> Floats<'k> {
    a.times::<AccFloat, bf16>(b).to_vector()
}

/// The upper half of the bits of 1 / x: the exponent mirrored, the mantissa from a table.
fn reciprocal<'k>(bits: Scalar<'k>, mantissas: Buf<'k, i16>) -> Scalar<'k> {
    let mantissa = mantissas.get(bits.shift_right(16) & 127);
    let exponent = -(bits.shift_right(23) & 255) + 253;
    mantissa + exponent * 128
}
