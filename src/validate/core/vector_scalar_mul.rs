//! `vector_scalar_mul`: each element times one number.

use super::super::workload::{Conditions, Outcome, Workload};
use super::{call, check_lanes, hot_loop, outcome, yes};
use kiln_dsl::kernel::build::{Acc32, Acc64, Builder};
use kiln_dsl::kernel::{Elem, Kernel};
use kiln_dsl::num::{Rounding, Saturation};
use serde::Deserialize;

/// `c[i] = factor * a[i]`, `n` elements: the number of elements is known at run time only, as in mlir-aie's example.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorScalarMul {
    dtype: Dtype,
    n: u32,
    /// A loop over vectors of 512 bits; otherwise over elements.
    #[serde(default = "yes")]
    vectorised: bool,
    /// The loop carries the hints that let a compiler pipeline it: at least 16 iterations.
    #[serde(default)]
    pipelined: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Dtype {
    I16,
    I32,
}

/// Iterations that the source code promises the compiler, where it makes as many.
const PROMISED_TRIPS: u32 = 16;

impl Workload for VectorScalarMul {
    const KIND: &'static str = "vector_scalar_mul";
    const QUANTITIES: &'static [&'static str] = &["loop_bundles", "loop_vmac"];

    fn simulate(&self, conditions: &Conditions) -> Result<Outcome, String> {
        let elem = if self.dtype == Dtype::I16 { Elem::I16 } else { Elem::I32 };
        check_lanes(elem, self.n, self.vectorised)?;
        let macs = &conditions.device.macs_per_cycle;
        let peak = if self.dtype == Dtype::I16 { macs.i16_i16() } else { macs.i32_i16() };
        let kernel = self.kernel();
        let quantities = hot_loop(&kernel, conditions).map(|hot| hot.quantities()).unwrap_or_default();
        Ok(Outcome { quantities, ..outcome(call(kernel, &[3, self.n as i32], conditions)?, peak) })
    }
}

impl VectorScalarMul {
    fn kernel(&self) -> Kernel {
        Kernel::build("vector_scalar_mul", Rounding::ConvEven, Saturation::On, |k: &Builder| {
            let (factor, n) = (k.param_i32("factor"), k.param_i32("n"));
            let lanes = if self.dtype == Dtype::I16 { 32 } else { 16 };
            let hinted = k.pipelined(PROMISED_TRIPS.min(self.n / lanes));
            match self.dtype {
                Dtype::I16 => {
                    let (a, c) = (k.input::<i16>("a", [self.n]), k.output::<i16>("c", [self.n]));
                    if !self.vectorised {
                        return k.for_n(n, |i| c.set(i, a.get(i) * factor));
                    }
                    let factor = k.splat::<i16, 32>(factor);
                    let body = |i| c.store(i, a.load::<32>(i).times::<Acc32, i16>(factor).srs::<i16>(0));
                    if self.pipelined { hinted.for_step(0, n, 32, body) } else { k.for_step(0, n, 32, body) }
                }
                Dtype::I32 => {
                    let (a, c) = (k.input::<i32>("a", [self.n]), k.output::<i32>("c", [self.n]));
                    if !self.vectorised {
                        return k.for_n(n, |i| c.set(i, a.get(i) * factor));
                    }
                    let factor = k.splat::<i32, 16>(factor);
                    let body = |i| c.store(i, a.load::<16>(i).times::<Acc64, i32>(factor).srs::<i32>(0));
                    if self.pipelined { hinted.for_step(0, n, 16, body) } else { k.for_step(0, n, 16, body) }
                }
            }
        })
    }
}
