//! Vectors, masks and accumulators.

use super::typed::{
    AccElement, AccHalves, AccLanes, Alu, CascadeLanes, Element, FloatVector, FromVector, Halves, Loadable,
    LookedUp, Mmul, Ordered, Product, ToVector,
};
use super::{Buf, Builder, Draft, IntoScalar, Scalar};
use crate::kernel::ir::{Address, Imm, Loc, ValueId};
use crate::kernel::ops::{Opcode, shape_code};
use crate::kernel::types::{AccKind, Elem, Type};
use smallvec::SmallVec;
use std::marker::PhantomData;
use std::ops::{Add, BitAnd, BitOr, Neg, Sub};

/// A vector register of `N` lanes of `E`.
#[derive(Clone, Copy, Debug)]
pub struct Vector<'k, E: Element, const N: usize> {
    pub(super) k: &'k Builder,
    pub(super) id: ValueId,
    pub(super) lanes: PhantomData<E>,
}

/// An accumulator of `N` lanes of `A`.
#[derive(Clone, Copy, Debug)]
pub struct Accum<'k, A: AccElement, const N: usize> {
    pub(super) k: &'k Builder,
    pub(super) id: ValueId,
    pub(super) lanes: PhantomData<A>,
}

/// One bit for each of `N` lanes.
#[derive(Clone, Copy, Debug)]
pub struct Mask<'k, const N: usize> {
    pub(super) k: &'k Builder,
    pub(super) id: ValueId,
}

impl<'k, E: Element, const N: usize> Vector<'k, E, N> {
    pub(super) const TYPE: Type = Type::vector(E::ELEM, N as u16);

    pub(super) fn from_id(k: &'k Builder, id: ValueId) -> Self {
        Vector { k, id, lanes: PhantomData }
    }

    #[track_caller]
    fn make(k: &'k Builder, draft: Draft) -> Self {
        Vector::from_id(k, k.value(draft, Self::TYPE, Loc::caller()))
    }

    #[track_caller]
    fn scalar(self, opcode: Opcode, imm: Option<i64>) -> Scalar<'k> {
        let mut draft = Draft::new(opcode, &[self.id]);
        if let Some(imm) = imm {
            draft = draft.imm(imm);
        }
        Scalar::from_id(self.k, self.k.value(draft, Type::Scalar, Loc::caller()))
    }

    #[track_caller]
    fn mask(self, opcode: Opcode, other: Self) -> Mask<'k, N> {
        let ty = Type::Mask { lanes: N as u16 };
        Mask { k: self.k, id: self.k.value(Draft::new(opcode, &[self.id, other.id]), ty, Loc::caller()) }
    }

    /// Lanewise lesser.
    #[track_caller]
    pub fn min(self, other: Self) -> Self
    where
        E: Ordered<N>,
    {
        Self::make(self.k, Draft::new(Opcode::Min, &[self.id, other.id]))
    }

    /// Lanewise greater.
    #[track_caller]
    pub fn max(self, other: Self) -> Self
    where
        E: Ordered<N>,
    {
        Self::make(self.k, Draft::new(Opcode::Max, &[self.id, other.id]))
    }

    /// Lanewise difference where it is positive, else 0; a difference that does not fit wraps.
    #[track_caller]
    pub fn max_diff(self, other: Self) -> Self
    where
        E: Alu<N>,
    {
        Self::make(self.k, Draft::new(Opcode::MaxDiff, &[self.id, other.id]))
    }

    /// Lanes less than `other`'s.
    #[track_caller]
    pub fn lt(self, other: Self) -> Mask<'k, N>
    where
        E: Ordered<N>,
    {
        self.mask(Opcode::Lt, other)
    }

    /// Lanes at least `other`'s.
    #[track_caller]
    pub fn ge(self, other: Self) -> Mask<'k, N>
    where
        E: Ordered<N>,
    {
        self.mask(Opcode::Ge, other)
    }

    /// Lanes equal to `other`'s.
    #[track_caller]
    pub fn eq(self, other: Self) -> Mask<'k, N>
    where
        E: Alu<N>,
    {
        self.mask(Opcode::Eq, other)
    }

    /// Magnitude; the least value stays.
    #[track_caller]
    pub fn abs(self) -> Self
    where
        E: Alu<N>,
    {
        Self::make(self.k, Draft::new(Opcode::Abs, &[self.id]))
    }

    /// One lane, sign- or zero-extended.
    #[track_caller]
    pub fn lane(self, lane: u32) -> Scalar<'k>
    where
        E: Alu<N>,
    {
        self.scalar(Opcode::GetLane, Some(i64::from(lane)))
    }

    /// The greatest lane.
    #[track_caller]
    pub fn reduce_max(self) -> Scalar<'k>
    where
        E: Alu<N>,
    {
        self.scalar(Opcode::ReduceMax, None)
    }

    /// The least lane.
    #[track_caller]
    pub fn reduce_min(self) -> Scalar<'k>
    where
        E: Alu<N>,
    {
        self.scalar(Opcode::ReduceMin, None)
    }

    /// The same bits as `M` lanes of `T`; bytes must agree, which `verify` checks.
    #[track_caller]
    pub fn cast<T: Loadable<M>, const M: usize>(self) -> Vector<'k, T, M>
    where
        E: Loadable<N>,
    {
        Vector::make(self.k, Draft::new(Opcode::Cast, &[self.id]))
    }

    /// The low half.
    #[track_caller]
    pub fn low<const H: usize>(self) -> Vector<'k, E, H>
    where
        E: Halves<N, H>,
    {
        Vector::make(self.k, Draft::new(Opcode::Half, &[self.id]).imm(0))
    }

    /// The high half.
    #[track_caller]
    pub fn high<const H: usize>(self) -> Vector<'k, E, H>
    where
        E: Halves<N, H>,
    {
        Vector::make(self.k, Draft::new(Opcode::Half, &[self.id]).imm(1))
    }

    /// This vector's lanes, then `high`'s.
    #[track_caller]
    pub fn concat<const W: usize>(self, high: Self) -> Vector<'k, E, W>
    where
        E: Halves<W, N>,
    {
        Vector::make(self.k, Draft::new(Opcode::Concat, &[self.id, high.id]))
    }

    /// The two-register byte permutation `mode` of (`self`, `other`); 512-bit vectors only, which
    /// `verify` checks.
    #[track_caller]
    pub fn shuffle(self, other: Self, mode: u8) -> Self
    where
        E: Loadable<N>,
    {
        Self::make(self.k, Draft::new(Opcode::Shuffle, &[self.id, other.id]).imm(i64::from(mode)))
    }

    /// To an accumulator, shifted left by `shift`; 32 bits to 32 bits only by 0.
    #[track_caller]
    pub fn ups<A: FromVector<E, N>>(self, shift: impl IntoScalar<'k>) -> Accum<'k, A, N> {
        let shift = shift.into_scalar(self.k);
        Accum::make(self.k, shifting(self.k, Opcode::Ups, self.id, shift, E::ELEM, A::KIND))
    }

    /// To a float accumulator.
    #[track_caller]
    pub fn to_accum<A: FloatVector<E, N>>(self) -> Accum<'k, A, N> {
        Accum::make(self.k, Draft::new(Opcode::Ups, &[self.id]))
    }

    /// Lanewise product.
    #[track_caller]
    pub fn times<A: Product<E, R, N>, R: Element>(self, other: Vector<'k, R, N>) -> Accum<'k, A, N> {
        Accum::make(self.k, Draft::new(Opcode::Mul, &[self.id, other.id]))
    }

    /// Looks every lane up: entry `(lane >> step_log2) + bias`, clamped to the table's ends.
    /// `tables` are two copies of one table packed by `num::lut`, in different banks.
    #[track_caller]
    pub fn lookup<T: LookedUp<E, N>>(
        self,
        tables: [Buf<'k, T>; 2],
        step_log2: u8,
        bias: u32,
    ) -> Vector<'k, T, N> {
        let address = Address { param: tables[0].param, terms: SmallVec::new(), offset_bytes: 0 };
        let mut draft = Draft::new(Opcode::Lookup, &[self.id]).address(address);
        draft.imm = Imm::Lookup { second: tables[1].param, step_log2, bias };
        Vector::make(self.k, draft)
    }
}

impl<'k, const N: usize> Vector<'k, i32, N> {
    /// The sum of all lanes, wrapping.
    #[track_caller]
    pub fn reduce_add(self) -> Scalar<'k>
    where
        i32: Alu<N>,
    {
        self.scalar(Opcode::ReduceAdd, None)
    }
}

impl<'k> Vector<'k, i8, 32> {
    /// Sign-extended to 16 bits.
    #[track_caller]
    pub fn unpack(self) -> Vector<'k, i16, 32> {
        Vector::make(self.k, Draft::new(Opcode::Unpack, &[self.id]))
    }
}

impl<'k> Vector<'k, u8, 32> {
    /// Zero-extended to 16 bits.
    #[track_caller]
    pub fn unpack(self) -> Vector<'k, i16, 32> {
        Vector::make(self.k, Draft::new(Opcode::Unpack, &[self.id]))
    }
}

impl<'k> Vector<'k, i16, 32> {
    /// Narrowed to 8 bits in the saturation mode.
    #[track_caller]
    pub fn pack(self) -> Vector<'k, i8, 32> {
        Vector::make(self.k, Draft::new(Opcode::Pack, &[self.id]))
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $opcode:ident) => {
        impl<'k, E: Alu<N>, const N: usize> $trait for Vector<'k, E, N> {
            type Output = Self;
            #[track_caller]
            fn $method(self, other: Self) -> Self {
                Self::make(self.k, Draft::new(Opcode::$opcode, &[self.id, other.id]))
            }
        }
    };
}
operator!(Add, add, Add);
operator!(Sub, sub, Sub);
operator!(BitAnd, bitand, And);
operator!(BitOr, bitor, Or);

impl<'k, E: Alu<N>, const N: usize> Neg for Vector<'k, E, N> {
    type Output = Self;
    #[track_caller]
    fn neg(self) -> Self {
        Self::make(self.k, Draft::new(Opcode::Neg, &[self.id]))
    }
}

impl<'k, const N: usize> Mask<'k, N> {
    /// Lanes of `set` where this mask is set, of `clear` elsewhere.
    #[track_caller]
    pub fn select<E: Ordered<N>>(self, set: Vector<'k, E, N>, clear: Vector<'k, E, N>) -> Vector<'k, E, N> {
        Vector::make(self.k, Draft::new(Opcode::Select, &[self.id, set.id, clear.id]))
    }
}

impl<'k, A: AccElement, const N: usize> Accum<'k, A, N> {
    pub(super) const TYPE: Type = Type::accum(A::KIND, N as u16);

    pub(super) fn from_id(k: &'k Builder, id: ValueId) -> Self {
        Accum { k, id, lanes: PhantomData }
    }

    #[track_caller]
    fn make(k: &'k Builder, draft: Draft) -> Self {
        Accum::from_id(k, k.value(draft, Self::TYPE, Loc::caller()))
    }

    /// To a vector: shifted right by `shift`, rounded and saturated by the core's modes; 32 bits to
    /// 32 bits only by 0, and then unchanged in every mode.
    #[track_caller]
    pub fn srs<E: Element>(self, shift: impl IntoScalar<'k>) -> Vector<'k, E, N>
    where
        A: ToVector<E, N>,
    {
        let shift = shift.into_scalar(self.k);
        Vector::make(self.k, shifting(self.k, Opcode::Srs, self.id, shift, E::ELEM, A::KIND))
    }

    /// A float accumulator to a vector, rounded by the core's mode.
    #[track_caller]
    pub fn to_vector<E: Element>(self) -> Vector<'k, E, N>
    where
        A: FloatVector<E, N>,
    {
        Vector::make(self.k, Draft::new(Opcode::Srs, &[self.id]))
    }

    /// Plus the lanewise product of `a` and `b`.
    #[track_caller]
    pub fn mac<L: Element, R: Element>(self, a: Vector<'k, L, N>, b: Vector<'k, R, N>) -> Self
    where
        A: Product<L, R, N>,
    {
        Self::make(self.k, Draft::new(Opcode::Mac, &[self.id, a.id, b.id]))
    }

    /// Minus the lanewise product of `a` and `b`.
    #[track_caller]
    pub fn msc<L: Element, R: Element>(self, a: Vector<'k, L, N>, b: Vector<'k, R, N>) -> Self
    where
        A: Product<L, R, N>,
    {
        Self::make(self.k, Draft::new(Opcode::Msc, &[self.id, a.id, b.id]))
    }

    /// The low half.
    #[track_caller]
    pub fn low<const H: usize>(self) -> Accum<'k, A, H>
    where
        A: AccHalves<N, H>,
    {
        Accum::make(self.k, Draft::new(Opcode::AccHalf, &[self.id]).imm(0))
    }

    /// The high half.
    #[track_caller]
    pub fn high<const H: usize>(self) -> Accum<'k, A, H>
    where
        A: AccHalves<N, H>,
    {
        Accum::make(self.k, Draft::new(Opcode::AccHalf, &[self.id]).imm(1))
    }

    /// This accumulator's lanes, then `high`'s.
    #[track_caller]
    pub fn concat<const W: usize>(self, high: Self) -> Accum<'k, A, W>
    where
        A: AccHalves<W, N>,
    {
        Accum::make(self.k, Draft::new(Opcode::AccConcat, &[self.id, high.id]))
    }

    /// Sends this accumulator to the core that the cascade leads to; waits while the cascade is full.
    /// The reader may take it as an accumulator of any kind: the bits are the same.
    #[track_caller]
    pub fn cascade_put(self)
    where
        A: CascadeLanes<N>,
    {
        self.k.append(Draft::new(Opcode::CascadePut, &[self.id]), None, Loc::caller());
    }
}

macro_rules! acc_operator {
    ($trait:ident, $method:ident, $opcode:ident) => {
        impl<'k, A: AccLanes<N>, const N: usize> $trait for Accum<'k, A, N> {
            type Output = Self;
            #[track_caller]
            fn $method(self, other: Self) -> Self {
                Self::make(self.k, Draft::new(Opcode::$opcode, &[self.id, other.id]))
            }
        }
    };
}
acc_operator!(Add, add, AccAdd);
acc_operator!(Sub, sub, AccSub);

impl Builder {
    /// A vector of zeros.
    #[track_caller]
    pub fn zeros<E: Loadable<N>, const N: usize>(&self) -> Vector<'_, E, N> {
        Vector::make(self, Draft::new(Opcode::Zeros, &[]))
    }

    /// Every lane the low bits of `value`.
    #[track_caller]
    pub fn splat<'k, E: Alu<N>, const N: usize>(&'k self, value: impl IntoScalar<'k>) -> Vector<'k, E, N> {
        let value = value.into_scalar(self);
        Vector::make(self, Draft::new(Opcode::Splat, &[value.id]))
    }

    /// Every lane the bf16 nearest to `value`.
    #[track_caller]
    pub fn splat_bf16<const N: usize>(&self, value: f32) -> Vector<'_, half::bf16, N>
    where
        half::bf16: Ordered<N>,
    {
        let bits = i64::from(half::bf16::from_f32(value).to_bits());
        Vector::make(self, Draft::new(Opcode::FSplat, &[]).imm(bits))
    }

    /// The mask whose lowest `n` lanes are set, `n` clamped to 0..=N.
    #[track_caller]
    pub fn tail_mask<'k, const N: usize>(&'k self, n: impl IntoScalar<'k>) -> Mask<'k, N> {
        let n = n.into_scalar(self);
        let ty = Type::Mask { lanes: N as u16 };
        Mask { k: self, id: self.value(Draft::new(Opcode::TailMask, &[n.id]), ty, Loc::caller()) }
    }

    /// An accumulator of zeros.
    #[track_caller]
    pub fn acc_zeros<A: AccLanes<N>, const N: usize>(&self) -> Accum<'_, A, N> {
        Accum::make(self, Draft::new(Opcode::AccZeros, &[]))
    }

    /// The next accumulator from the cascade into this core; waits until there is one.
    #[track_caller]
    pub fn cascade_get<A: CascadeLanes<N>, const N: usize>(&self) -> Accum<'_, A, N> {
        Accum::make(self, Draft::new(Opcode::CascadeGet, &[]))
    }

    /// `a x b` of one tile.
    #[track_caller]
    pub fn mmul<
        'k,
        L: Element,
        R: Element,
        A: AccElement,
        const LA: usize,
        const LB: usize,
        const LC: usize,
    >(
        &'k self,
        shape: Mmul<L, R, A, LA, LB, LC>,
        a: Vector<'k, L, LA>,
        b: Vector<'k, R, LB>,
    ) -> Accum<'k, A, LC> {
        Accum::make(self, Draft::new(Opcode::MMul, &[a.id, b.id]).imm(shape_code(shape.shape)))
    }

    /// `acc + a x b` of one tile.
    #[track_caller]
    pub fn mac<
        'k,
        L: Element,
        R: Element,
        A: AccElement,
        const LA: usize,
        const LB: usize,
        const LC: usize,
    >(
        &'k self,
        shape: Mmul<L, R, A, LA, LB, LC>,
        acc: Accum<'k, A, LC>,
        a: Vector<'k, L, LA>,
        b: Vector<'k, R, LB>,
    ) -> Accum<'k, A, LC> {
        Accum::make(self, Draft::new(Opcode::MMac, &[acc.id, a.id, b.id]).imm(shape_code(shape.shape)))
    }
}

/// ups or srs. Between 32-bit lanes AIE2 only moves: the form has no shift, and with one other than
/// 0 there is none, which `verify` reports at the author's line.
fn shifting(
    k: &Builder,
    opcode: Opcode,
    value: ValueId,
    shift: Scalar<'_>,
    elem: Elem,
    kind: AccKind,
) -> Draft {
    let unshifted = k.state.borrow().affine(shift.id).is_zero();
    if unshifted && elem == Elem::I32 && kind == AccKind::Acc32 {
        Draft::new(opcode, &[value])
    } else {
        Draft::new(opcode, &[value, shift.id])
    }
}
