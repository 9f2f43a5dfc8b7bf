//! 32-bit scalars: loop indices, shifts, trip counts and what is computed from them.

use super::{Builder, Draft};
use crate::kernel::ir::{Loc, ValueId};
use crate::kernel::ops::Opcode;
use crate::kernel::types::Type;
use std::ops::{Add, BitAnd, BitOr, BitXor, Mul, Neg, Sub};

/// A 32-bit scalar value.
#[derive(Clone, Copy, Debug)]
pub struct Scalar<'k> {
    pub(super) k: &'k Builder,
    pub(super) id: ValueId,
}

/// A scalar or a constant of the Rust program.
pub trait IntoScalar<'k> {
    /// The value in `k`.
    #[track_caller]
    fn into_scalar(self, k: &'k Builder) -> Scalar<'k>;
}

impl<'k> IntoScalar<'k> for Scalar<'k> {
    fn into_scalar(self, _: &'k Builder) -> Scalar<'k> {
        self
    }
}

impl<'k> IntoScalar<'k> for i32 {
    #[track_caller]
    fn into_scalar(self, k: &'k Builder) -> Scalar<'k> {
        let draft = Draft::new(Opcode::SConst, &[]).imm(i64::from(self));
        Scalar::from_id(k, k.value(draft, Type::Scalar, Loc::caller()))
    }
}

impl<'k> IntoScalar<'k> for u32 {
    #[track_caller]
    fn into_scalar(self, k: &'k Builder) -> Scalar<'k> {
        (self as i32).into_scalar(k)
    }
}

impl Builder {
    /// A constant.
    #[track_caller]
    pub fn constant(&self, value: i32) -> Scalar<'_> {
        value.into_scalar(self)
    }
}

impl<'k> Scalar<'k> {
    pub(super) fn from_id(k: &'k Builder, id: ValueId) -> Scalar<'k> {
        Scalar { k, id }
    }

    #[track_caller]
    fn binary(self, opcode: Opcode, other: impl IntoScalar<'k>) -> Scalar<'k> {
        let other = other.into_scalar(self.k);
        let draft = Draft::new(opcode, &[self.id, other.id]);
        Scalar::from_id(self.k, self.k.value(draft, Type::Scalar, Loc::caller()))
    }

    /// The lesser, signed.
    #[track_caller]
    pub fn min(self, other: impl IntoScalar<'k>) -> Scalar<'k> {
        self.binary(Opcode::SMin, other)
    }

    /// The greater, signed.
    #[track_caller]
    pub fn max(self, other: impl IntoScalar<'k>) -> Scalar<'k> {
        self.binary(Opcode::SMax, other)
    }

    /// Signed quotient toward zero; 37 instructions, AIE2 has no divider.
    #[track_caller]
    pub fn quotient(self, other: impl IntoScalar<'k>) -> Scalar<'k> {
        self.binary(Opcode::SDiv, other)
    }

    /// Shifted left by `count & 31`.
    #[track_caller]
    pub fn shift_left(self, count: impl IntoScalar<'k>) -> Scalar<'k> {
        self.binary(Opcode::SShl, count)
    }

    /// Shifted right by `count & 31`, copies of the sign coming in.
    #[track_caller]
    pub fn shift_right(self, count: impl IntoScalar<'k>) -> Scalar<'k> {
        self.binary(Opcode::SAshr, count)
    }

    /// Shifted right by `count & 31`, zeros coming in.
    #[track_caller]
    pub fn shift_right_logical(self, count: impl IntoScalar<'k>) -> Scalar<'k> {
        self.binary(Opcode::SLshr, count)
    }

    /// 1 when less than `other`, signed, else 0.
    #[track_caller]
    pub fn lt(self, other: impl IntoScalar<'k>) -> Scalar<'k> {
        self.binary(Opcode::SLt, other)
    }

    /// 1 when equal, else 0.
    #[track_caller]
    pub fn eq(self, other: impl IntoScalar<'k>) -> Scalar<'k> {
        self.binary(Opcode::SEq, other)
    }

    /// Number of leading zero bits, 32 for zero.
    #[track_caller]
    pub fn leading_zeros(self) -> Scalar<'k> {
        let draft = Draft::new(Opcode::SClz, &[self.id]);
        Scalar::from_id(self.k, self.k.value(draft, Type::Scalar, Loc::caller()))
    }

    /// Magnitude; the least value stays.
    #[track_caller]
    pub fn abs(self) -> Scalar<'k> {
        let draft = Draft::new(Opcode::SAbs, &[self.id]);
        Scalar::from_id(self.k, self.k.value(draft, Type::Scalar, Loc::caller()))
    }

    /// `if_nonzero` when this is not 0, else `if_zero`.
    #[track_caller]
    pub fn select(self, if_nonzero: impl IntoScalar<'k>, if_zero: impl IntoScalar<'k>) -> Scalar<'k> {
        let (a, b) = (if_nonzero.into_scalar(self.k), if_zero.into_scalar(self.k));
        let draft = Draft::new(Opcode::SSelect, &[self.id, a.id, b.id]);
        Scalar::from_id(self.k, self.k.value(draft, Type::Scalar, Loc::caller()))
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $opcode:ident) => {
        impl<'k, R: IntoScalar<'k>> $trait<R> for Scalar<'k> {
            type Output = Scalar<'k>;
            #[track_caller]
            fn $method(self, other: R) -> Scalar<'k> {
                self.binary(Opcode::$opcode, other)
            }
        }
    };
}
operator!(Add, add, SAdd);
operator!(Sub, sub, SSub);
operator!(Mul, mul, SMul);
operator!(BitAnd, bitand, SAnd);
operator!(BitOr, bitor, SOr);
operator!(BitXor, bitxor, SXor);

impl<'k> Neg for Scalar<'k> {
    type Output = Scalar<'k>;
    #[track_caller]
    fn neg(self) -> Scalar<'k> {
        0.into_scalar(self.k) - self
    }
}
