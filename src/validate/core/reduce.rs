//! `reduce`: one number from many elements.

use super::super::names::Dtype;
use super::super::workload::{Conditions, Outcome, Workload};
use super::{call, check_lanes, outcome, yes};
use kiln_dsl::kernel::build::{Alu, Builder, Element, IntoScalar, Loadable, Ordered};
use kiln_dsl::kernel::{Elem, Kernel};
use kiln_dsl::num::{Rounding, Saturation};
use serde::Deserialize;

/// The greatest or least of `n` elements, or the position of the greatest, as mlir-aie's and NPUEval's kernels do.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reduce {
    op: Op,
    dtype: Dtype,
    n: u32,
    /// A pipelined loop over vectors of 512 bits, then a tree over lanes; otherwise a loop over elements. Positions
    /// have no vectors.
    #[serde(default = "yes")]
    vectorised: bool,
    /// The number of elements is a constant of the source code; otherwise an argument.
    #[serde(default = "yes")]
    constant_trips: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Op {
    Max,
    Min,
    Argmax,
}

/// Iterations that the source code promises the compiler, where it makes as many.
const PROMISED_TRIPS: u32 = 8;

impl Workload for Reduce {
    const KIND: &'static str = "reduce";
    const QUANTITIES: &'static [&'static str] = &[];

    fn simulate(&self, conditions: &Conditions) -> Result<Outcome, String> {
        if self.vectorised && self.op == Op::Argmax {
            return Err("op: argmax of vectors, expected `vectorised: false`".to_owned());
        }
        check_lanes(self.dtype.0, self.n, self.vectorised)?;
        let kernel = match self.dtype.0 {
            Elem::I8 => self.kernel::<i8, 64>(),
            Elem::U8 => self.kernel::<u8, 64>(),
            Elem::I16 => self.kernel::<i16, 32>(),
            Elem::I32 => self.kernel::<i32, 16>(),
            other => return Err(format!("dtype: {other}, expected i8, u8, i16 or i32")),
        };
        Ok(outcome(call(kernel, &[self.n as i32], conditions)?, 0))
    }
}

impl Reduce {
    fn kernel<E, const N: usize>(&self) -> Kernel
    where
        E: Element + Loadable<N> + Alu<N> + Ordered<N>,
    {
        Kernel::build("reduce", Rounding::ConvEven, Saturation::On, |k: &Builder| {
            let x = k.input::<E>("x", [self.n]);
            let out = k.output::<i32>("out", [1]);
            let n = k.param_i32("n");
            let n = if self.constant_trips { self.n.into_scalar(k) } else { n };
            let least = i32::MIN.into_scalar(k);
            let result = match (self.vectorised, self.op) {
                (true, op) => {
                    let start = k.splat::<E, N>(0);
                    let promised = PROMISED_TRIPS.min(self.n / N as u32);
                    let all = k.pipelined(promised).fold_step(0, n, N as u32, start, |i, so_far| {
                        let next = x.load::<N>(i);
                        if op == Op::Min { so_far.min(next) } else { so_far.max(next) }
                    });
                    if op == Op::Min { all.reduce_min() } else { all.reduce_max() }
                }
                (false, Op::Argmax) => {
                    let start = (least, 0.into_scalar(k));
                    let (_, at) = k.fold(n, start, |i, (most, at)| {
                        let next = x.get(i);
                        let greater = most.lt(next);
                        (greater.select(next, most), greater.select(i, at))
                    });
                    at
                }
                (false, op) => k.fold(n, least, |i, so_far| {
                    let next = x.get(i);
                    let better = if op == Op::Min { next.lt(so_far) } else { so_far.lt(next) };
                    better.select(next, so_far)
                }),
            };
            out.set(0, result);
        })
    }
}
