//! Addresses: folds the scalar arithmetic of an index into an affine form.

use super::{Scalar, State};
use crate::kernel::ir::{Address, Imm, ParamId, ValueId};
use crate::kernel::ops::Opcode;
use smallvec::SmallVec;

/// `constant + sum(coefficient * value)`, in elements.
#[derive(Clone, Debug, Default)]
pub(super) struct Affine {
    terms: SmallVec<[(ValueId, i64); 4]>,
    constant: i64,
}

impl Affine {
    fn constant(constant: i64) -> Affine {
        Affine { terms: SmallVec::new(), constant }
    }

    fn scaled(mut self, factor: i64) -> Affine {
        if factor == 0 {
            return Affine::default();
        }
        self.constant *= factor;
        self.terms.iter_mut().for_each(|(_, c)| *c *= factor);
        self
    }

    fn plus(mut self, other: Affine, sign: i64) -> Affine {
        self.constant += sign * other.constant;
        for (value, c) in other.terms {
            match self.terms.iter_mut().find(|(v, _)| *v == value) {
                Some((_, mine)) => *mine += sign * c,
                None => self.terms.push((value, sign * c)),
            }
        }
        self.terms.retain(|(_, c)| *c != 0);
        self
    }

    /// Whether it is the constant 0.
    pub(super) fn is_zero(&self) -> bool {
        self.terms.is_empty() && self.constant == 0
    }

    /// The same address in bytes of `param`.
    pub(super) fn address(self, param: ParamId, element_bytes: u32) -> Address {
        let scaled = self.scaled(i64::from(element_bytes));
        Address { param, terms: scaled.terms, offset_bytes: scaled.constant }
    }
}

impl State {
    /// The affine form of a scalar: looks through sums, differences, and products and left shifts
    /// by constants. Anything else is a term of its own. Address arithmetic is assumed not to
    /// wrap, which `verify`'s bounds make true for every access in range.
    pub(super) fn affine(&self, value: ValueId) -> Affine {
        let Some(op) = self.definition(value) else { return self.term(value) };
        let operand = |i: usize| op.operands[i];
        match op.opcode {
            Opcode::SConst => match op.imm {
                Imm::Int(c) => Affine::constant(c),
                _ => self.term(value),
            },
            Opcode::SAdd => self.affine(operand(0)).plus(self.affine(operand(1)), 1),
            Opcode::SSub => self.affine(operand(0)).plus(self.affine(operand(1)), -1),
            Opcode::SMul => {
                let (a, b) = (self.affine(operand(0)), self.affine(operand(1)));
                match (a.terms.is_empty(), b.terms.is_empty()) {
                    (true, _) => b.scaled(a.constant),
                    (_, true) => a.scaled(b.constant),
                    _ => self.term(value),
                }
            }
            Opcode::SShl => {
                let (a, b) = (self.affine(operand(0)), self.affine(operand(1)));
                if b.terms.is_empty() { a.scaled(1 << (b.constant & 31)) } else { self.term(value) }
            }
            _ => self.term(value),
        }
    }

    fn term(&self, value: ValueId) -> Affine {
        Affine { terms: [(value, 1)].into_iter().collect(), constant: 0 }
    }
}

/// An element index: a constant of the Rust program or a scalar of the kernel.
pub trait Index<'k> {
    /// The index as a constant, or the scalar.
    fn index(self) -> Result<i64, Scalar<'k>>;
}

impl<'k> Index<'k> for Scalar<'k> {
    fn index(self) -> Result<i64, Scalar<'k>> {
        Err(self)
    }
}

macro_rules! constant_index {
    ($($t:ty)*) => {$(
        impl<'k> Index<'k> for $t {
            fn index(self) -> Result<i64, Scalar<'k>> {
                Ok(i64::from(self))
            }
        }
    )*};
}
constant_index!(i32 u32 i64);

impl<'k> Scalar<'k> {
    pub(super) fn affine_of(k: &'k super::Builder, index: impl Index<'k>) -> Affine {
        match index.index() {
            Ok(constant) => Affine::constant(constant),
            Err(scalar) => k.with(|s| s.affine(scalar.id)),
        }
    }
}

impl Affine {
    /// `rows * row_stride + self`, for tile and row-major indices.
    pub(super) fn plus_scaled(self, other: Affine, factor: i64) -> Affine {
        self.plus(other.scaled(factor), 1)
    }
}

impl Affine {
    /// `self + lanes`.
    pub(super) fn plus_lanes(mut self, lanes: i64) -> Affine {
        self.constant += lanes;
        self
    }
}
