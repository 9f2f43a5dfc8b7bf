//! `eltwise`: one operation on each element.

use super::super::names::Dtype;
use super::super::workload::{Conditions, Outcome, Workload};
use super::{call, outcome};
use kiln_dsl::kernel::build::{Alu, Buf, Builder, Element, IntoScalar, Loadable, Ordered, Scalar, Vector};
use kiln_dsl::kernel::{Elem, Kernel};
use kiln_dsl::num::{Rounding, Saturation};
use serde::Deserialize;

/// `c[i] = op(a[i])` or `op(a[i], b[i])`, `n` elements.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Eltwise {
    op: Op,
    dtype: Dtype,
    n: u32,
    /// A loop over vectors of 512 bits; otherwise over elements.
    #[serde(default = "yes")]
    vectorised: bool,
    /// The number of elements is a constant of the source code; otherwise an argument.
    #[serde(default = "yes")]
    constant_trips: bool,
    /// The loop has the hints that let a compiler pipeline it.
    #[serde(default)]
    pipelined: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Op {
    Copy,
    Abs,
    Relu,
    AddOffset,
    Add,
    Sub,
    Max,
    Min,
}

fn yes() -> bool {
    true
}

impl Workload for Eltwise {
    const KIND: &'static str = "eltwise";
    const QUANTITIES: &'static [&'static str] = &[];

    fn simulate(&self, conditions: &Conditions) -> Result<Outcome, String> {
        let lanes = 64 / self.dtype.0.bytes();
        if self.n == 0 || (self.vectorised && !self.n.is_multiple_of(lanes)) {
            return Err(format!("n: {}, expected a multiple of {lanes}, the lanes of a vector", self.n));
        }
        let kernel = match self.dtype.0 {
            Elem::I8 => self.kernel::<i8, 64>(),
            Elem::U8 => self.kernel::<u8, 64>(),
            Elem::I16 => self.kernel::<i16, 32>(),
            Elem::I32 => self.kernel::<i32, 16>(),
            other => return Err(format!("dtype: {other}, expected i8, u8, i16 or i32")),
        };
        Ok(outcome(call(kernel, &[5, self.n as i32], conditions)?, 0))
    }
}

/// What the loop reads.
struct Operands<'k, E: Element> {
    a: Buf<'k, E>,
    b: Buf<'k, E>,
    offset: Scalar<'k>,
}

impl Eltwise {
    fn kernel<E, const N: usize>(&self) -> Kernel
    where
        E: Loadable<N> + Alu<N> + Ordered<N>,
    {
        Kernel::build("eltwise", Rounding::ConvEven, Saturation::On, |k: &Builder| {
            let (offset, n) = (k.param_i32("offset"), k.param_i32("n"));
            let sizes = [self.n];
            let (a, b, c) = (k.input::<E>("a", sizes), k.input::<E>("b", sizes), k.output::<E>("c", sizes));
            let on = Operands { a, b, offset };
            let (step, trips) = if self.vectorised { (N as u32, self.n / N as u32) } else { (1, self.n) };
            let n = if self.constant_trips { self.n.into_scalar(k) } else { n };
            let splat = self.vectorised.then(|| k.splat::<E, N>(offset));
            let zero = self.vectorised.then(|| k.zeros::<E, N>());
            let body = |i| match (splat, zero) {
                (Some(splat), Some(zero)) => c.store(i, self.vector(&on, i, splat, zero)),
                _ => c.set(i, self.element(&on, i)),
            };
            if self.pipelined {
                k.pipelined(trips).for_step(0, n, step, body);
            } else {
                k.for_step(0, n, step, body);
            }
        })
    }

    fn vector<'k, E, const N: usize>(
        &self,
        on: &Operands<'k, E>,
        i: Scalar<'k>,
        splat: Vector<'k, E, N>,
        zero: Vector<'k, E, N>,
    ) -> Vector<'k, E, N>
    where
        E: Loadable<N> + Alu<N> + Ordered<N>,
    {
        let a = on.a.load::<N>(i);
        match self.op {
            Op::Copy => a,
            Op::Abs => a.abs(),
            Op::Relu => a.max(zero),
            Op::AddOffset => a + splat,
            Op::Add => a + on.b.load::<N>(i),
            Op::Sub => a - on.b.load::<N>(i),
            Op::Max => a.max(on.b.load::<N>(i)),
            Op::Min => a.min(on.b.load::<N>(i)),
        }
    }

    fn element<'k, E: Element>(&self, on: &Operands<'k, E>, i: Scalar<'k>) -> Scalar<'k> {
        let a = on.a.get(i);
        match self.op {
            Op::Copy => a,
            Op::Abs => a.abs(),
            Op::Relu => a.max(0),
            Op::AddOffset => a + on.offset,
            Op::Add => a + on.b.get(i),
            Op::Sub => a - on.b.get(i),
            Op::Max => a.max(on.b.get(i)),
            Op::Min => a.min(on.b.get(i)),
        }
    }
}
