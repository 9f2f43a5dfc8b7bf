//! `eltwise`: one operation on each element.

use super::super::names::Dtype;
use super::super::workload::{Conditions, Outcome, Workload};
use super::{call, outcome, yes};
use half::bf16;
use kiln_dsl::kernel::build::{
    AccFloat, Accum, Alu, Buf, Builder, Element, IntoScalar, Loadable, Ordered, Scalar, Vector,
};
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

/// What is computed of each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    Copy,
    Abs,
    Relu,
    AddOffset,
    Add,
    Sub,
    Max,
    Min,
}

impl Op {
    /// Arrays that it reads.
    pub fn operands(self) -> u32 {
        match self {
            Op::Copy | Op::Abs | Op::Relu | Op::AddOffset => 1,
            Op::Add | Op::Sub | Op::Max | Op::Min => 2,
        }
    }
}

impl Workload for Eltwise {
    const KIND: &'static str = "eltwise";
    const QUANTITIES: &'static [&'static str] = &[];

    fn simulate(&self, conditions: &Conditions) -> Result<Outcome, String> {
        Ok(outcome(call(self.kernel()?, &[5, self.n as i32], conditions)?, 0))
    }
}

fn float(x: Vector<'_, bf16, 16>) -> Accum<'_, AccFloat, 16> {
    x.to_accum()
}

/// What the loop reads.
struct Operands<'k, E: Element> {
    a: Buf<'k, E>,
    b: Buf<'k, E>,
    offset: Scalar<'k>,
}

impl Eltwise {
    /// As a core of an array computes it: over vectors, with hints, on operands of `n` elements.
    pub fn on_tile(op: Op, dtype: Dtype, n: u32) -> Eltwise {
        Eltwise { op, dtype, n, vectorised: true, constant_trips: true, pipelined: true }
    }

    /// Its kernel: the integers `offset` and `n`, then the operands and the result.
    ///
    /// # Errors
    /// When it has no such form.
    pub fn kernel(&self) -> Result<Kernel, String> {
        let elem = self.dtype.0;
        let lanes = if elem == Elem::Bf16 { 16 } else { 64 / elem.bytes() };
        if self.n == 0 || (self.vectorised && !self.n.is_multiple_of(lanes)) {
            let n = self.n;
            return Err(match self.vectorised {
                true => format!("n: {n} of {elem}, expected a multiple of {lanes}, the lanes of a vector"),
                false => format!("n: {n}, expected 1 or more"),
            });
        }
        if (elem, self.op, self.vectorised) == (Elem::U8, Op::Abs, true) {
            return Err(
                "op: abs of u8 over vectors, expected i8, i16 or i32: unsigned elements are what they are\n\
                        help: `op: copy`"
                    .to_owned(),
            );
        }
        match elem {
            Elem::I8 => Ok(self.integer::<i8, 64>()),
            Elem::U8 => Ok(self.integer::<u8, 64>()),
            Elem::I16 => Ok(self.integer::<i16, 32>()),
            Elem::I32 => Ok(self.integer::<i32, 16>()),
            Elem::Bf16 => self.float(),
            other @ Elem::F32 => Err(format!("dtype: {other}, expected i8, u8, i16, i32 or bf16")),
        }
    }

    /// Vectors of 16 bf16, which add up in float accumulators.
    fn float(&self) -> Result<Kernel, String> {
        if !self.vectorised || matches!(self.op, Op::Abs | Op::AddOffset) {
            return Err("dtype: bf16 has copy, relu, add, sub, max and min over vectors".to_owned());
        }
        let n = self.n;
        Ok(Kernel::build("eltwise", Rounding::ConvEven, Saturation::On, |k: &Builder| {
            k.param_i32("offset");
            let end = k.param_i32("n");
            let a = k.input::<bf16>("a", [n]);
            let b = if self.op.operands() == 2 { k.input::<bf16>("b", [n]) } else { a };
            let c = k.output::<bf16>("c", [n]);
            let zero = k.zeros::<bf16, 16>();
            let end = if self.constant_trips { n.into_scalar(k) } else { end };
            let body = |i: Scalar<'_>| {
                let x = a.load::<16>(i);
                let y = || b.load::<16>(i);
                match self.op {
                    Op::Relu => c.store(i, x.max(zero)),
                    Op::Max => c.store(i, x.max(y())),
                    Op::Min => c.store(i, x.min(y())),
                    Op::Add => c.store(i, (float(x) + float(y())).to_vector::<bf16>()),
                    Op::Sub => c.store(i, (float(x) - float(y())).to_vector::<bf16>()),
                    Op::Copy | Op::Abs | Op::AddOffset => c.store(i, x),
                }
            };
            if self.pipelined {
                k.pipelined(n / 16).for_step(0, end, 16, body);
            } else {
                k.for_step(0, end, 16, body);
            }
        }))
    }

    fn integer<E, const N: usize>(&self) -> Kernel
    where
        E: Loadable<N> + Alu<N> + Ordered<N>,
    {
        Kernel::build("eltwise", Rounding::ConvEven, Saturation::On, |k: &Builder| {
            let (offset, n) = (k.param_i32("offset"), k.param_i32("n"));
            let sizes = [self.n];
            let a = k.input::<E>("a", sizes);
            let b = if self.op.operands() == 2 { k.input::<E>("b", sizes) } else { a };
            let c = k.output::<E>("c", sizes);
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
