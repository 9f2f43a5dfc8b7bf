//! Rust types that stand for lanes, and the traits that say what AIE2 has. Each impl comes from
//! the same list as the op table's form.

use crate::kernel::ops::{
    acc_half_shapes, acc_move_shapes, acc_shapes, alu_shapes, half_shapes, lookup_shapes, memory_shapes,
    mmul_shapes, mul_shapes, ups_srs_shapes,
};
use crate::kernel::types::{AccKind, Elem};
use half::bf16;
use std::fmt::Debug;
use std::marker::PhantomData;

/// A lane type of memory and vectors: `i8`, `u8`, `i16`, `i32`, `half::bf16` or `f32`.
pub trait Element: Copy + Debug + 'static {
    /// The IR's name of it.
    const ELEM: Elem;
}

/// A lane type of accumulators.
pub trait AccElement: Copy + Debug + 'static {
    /// The IR's name of it.
    const KIND: AccKind;
}

/// 32-bit integer accumulator lanes.
#[derive(Clone, Copy, Debug)]
pub struct Acc32;
/// 64-bit integer accumulator lanes.
#[derive(Clone, Copy, Debug)]
pub struct Acc64;
/// IEEE single accumulator lanes.
#[derive(Clone, Copy, Debug)]
pub struct AccFloat;

macro_rules! elements {
    ($($rust:ty => $elem:ident),*) => {$(
        impl Element for $rust {
            const ELEM: Elem = Elem::$elem;
        }
    )*};
}
elements!(i8 => I8, u8 => U8, i16 => I16, i32 => I32, bf16 => Bf16, f32 => F32);

macro_rules! acc_elements {
    ($($kind:ident),*) => {$(
        impl AccElement for $kind {
            const KIND: AccKind = AccKind::$kind;
        }
    )*};
}
acc_elements!(Acc32, Acc64, AccFloat);

/// `N` lanes of this element load, store, cast and zero.
pub trait Loadable<const N: usize>: Element {}
/// `N` lanes of this integer go through the vector ALU.
pub trait Alu<const N: usize>: Element {}
/// `N` lanes compare, select, and have a greater and a lesser.
pub trait Ordered<const N: usize>: Element {}
/// A vector of `W` lanes has two halves of `H`.
pub trait Halves<const W: usize, const H: usize>: Element {}
/// An accumulator of `W` lanes has two halves of `H`.
pub trait AccHalves<const W: usize, const H: usize>: AccElement {}
/// Accumulators of `N` lanes exist.
pub trait AccLanes<const N: usize>: AccElement {}
/// Accumulators of `N` lanes are as wide as the cascade, 512 bits.
pub trait CascadeLanes<const N: usize>: AccElement {}
impl CascadeLanes<16> for Acc32 {}
impl CascadeLanes<8> for Acc64 {}
impl CascadeLanes<16> for AccFloat {}
/// Accumulators of `N` lanes come from vectors of `E`, with a shift.
pub trait FromVector<E: Element, const N: usize>: AccElement {}
/// Accumulators of `N` lanes go to vectors of `E`, with a shift.
pub trait ToVector<E: Element, const N: usize>: AccElement {}
/// Float accumulators of `N` lanes go to and from vectors of `E`, without a shift.
pub trait FloatVector<E: Element, const N: usize>: AccElement {}
/// `N` lanes of `L` times `N` lanes of `R` accumulate here.
pub trait Product<L: Element, R: Element, const N: usize>: AccElement {}
/// Tables of this element are looked up by `N` lanes of index `I`.
pub trait LookedUp<I: Element, const N: usize>: Element {}

macro_rules! alu_impl {
    ($rust:ty, $elem:ident, $lanes:literal) => {
        impl Alu<$lanes> for $rust {}
        impl Ordered<$lanes> for $rust {}
    };
}
alu_shapes!(alu_impl);
impl Ordered<16> for bf16 {}
impl Ordered<32> for bf16 {}

macro_rules! memory_impl {
    ($rust:ty, $elem:ident, $lanes:literal) => {
        impl Loadable<$lanes> for $rust {}
    };
}
memory_shapes!(memory_impl);

macro_rules! half_impl {
    ($rust:ty, $elem:ident, $whole:literal, $half:literal) => {
        impl Halves<$whole, $half> for $rust {}
    };
}
half_shapes!(half_impl);

macro_rules! acc_half_impl {
    ($kind:ident, $whole:literal, $half:literal) => {
        impl AccHalves<$whole, $half> for $kind {}
    };
}
acc_half_shapes!(acc_half_impl);

macro_rules! acc_impl {
    ($kind:ident, $lane:ty, $lanes:literal) => {
        impl AccLanes<$lanes> for $kind {}
    };
}
acc_shapes!(acc_impl);

macro_rules! ups_srs_impl {
    ($rust:ty, $elem:ident, $kind:ident, $lane:ty, $lanes:literal) => {
        impl FromVector<$rust, $lanes> for $kind {}
        impl ToVector<$rust, $lanes> for $kind {}
    };
}
ups_srs_shapes!(ups_srs_impl);

macro_rules! acc_move_impl {
    ($rust:ty, $elem:ident, $kind:ident, $lanes:literal) => {
        impl FromVector<$rust, $lanes> for $kind {}
        impl ToVector<$rust, $lanes> for $kind {}
    };
}
acc_move_shapes!(acc_move_impl);
impl FloatVector<bf16, 16> for AccFloat {}
impl FloatVector<f32, 16> for AccFloat {}

macro_rules! mul_impl {
    ($lt:ty, $le:ident, $rt:ty, $re:ident, $kind:ident, $lane:ty, $lanes:literal, $halves:literal,
     $vmuls:literal) => {
        impl Product<$lt, $rt, $lanes> for $kind {}
    };
}
mul_shapes!(mul_impl);
impl Product<bf16, bf16, 16> for AccFloat {}

macro_rules! lookup_impl {
    ($it:ty, $ie:ident, $vt:ty, $ve:ident, $lanes:literal) => {
        impl LookedUp<$it, $lanes> for $vt {}
    };
}
lookup_shapes!(lookup_impl);

/// A matrix product that AIE2 has: `LA` lanes of `L` times `LB` lanes of `R` into `LC` lanes of `A`.
/// The values are the constants of [`mmul`].
#[derive(Clone, Copy, Debug)]
pub struct Mmul<L, R, A, const LA: usize, const LB: usize, const LC: usize> {
    pub(super) shape: [u8; 3],
    lanes: PhantomData<(L, R, A)>,
}

impl<L, R, A, const LA: usize, const LB: usize, const LC: usize> Mmul<L, R, A, LA, LB, LC> {
    const fn new(m: u8, k: u8, n: u8) -> Self {
        Mmul { shape: [m, k, n], lanes: PhantomData }
    }

    /// Rows, inner dimension and columns.
    pub const fn shape(&self) -> [u8; 3] {
        self.shape
    }
}

/// The matrix products, named by element types and M x K x N.
pub mod mmul {
    use super::{Acc32, Acc64, AccFloat, Mmul, bf16};

    macro_rules! constant {
        ($name:ident, $m:literal, $k:literal, $n:literal, $lt:ty, $le:ident, $la:literal, $rt:ty, $re:ident,
         $lb:literal, $kind:ident, $lane:ty, $lc:literal) => {
            #[doc = concat!(stringify!($m), "x", stringify!($k), "x", stringify!($n), ": ", stringify!($lt), " by ", stringify!($rt), ".")]
            pub const $name: Mmul<$lt, $rt, $kind, $la, $lb, $lc> = Mmul::new($m, $k, $n);
        };
    }
    super::mmul_shapes!(constant);
    /// 4x8x4: bf16 by bf16.
    pub const BF16_4X8X4: Mmul<bf16, bf16, AccFloat, 32, 32, 16> = Mmul::new(4, 8, 4);
}
