//! Scalar and vector ALU rules that are not one Rust operator.
//!
//! Wrapping sums, bitwise operations, integer min, max and compares need no entry here: they are
//! Rust's own, and the silicon test judges them as such.

use super::Saturation;
use super::srs::saturate;

/// `clb`: the number of leading bits equal to the sign bit, the sign bit included (1..=32).
#[inline(always)]
pub const fn clb(x: i32) -> i32 {
    // Folding the sign makes every leading copy of it a zero.
    (x ^ (x >> 31)).leading_zeros() as i32
}

/// `lshl`: left by the low 5 bits of a count with bit 31 clear, else logically right by the low 5
/// bits of its negation.
#[inline(always)]
pub const fn lshl(x: i32, count: i32) -> i32 {
    if count >= 0 { x << (count & 31) } else { (x as u32 >> (count.wrapping_neg() & 31)) as i32 }
}

/// `ashl`: as [`lshl`], but the right shift keeps the sign.
#[inline(always)]
pub const fn ashl(x: i32, count: i32) -> i32 {
    if count >= 0 { x << (count & 31) } else { x >> (count.wrapping_neg() & 31) }
}

/// `vmaxdiff_lt`: the greater of 0 and the difference. A difference that does not fit wraps, as
/// the lanes' subtraction does; the comparison is exact.
#[inline(always)]
pub const fn maxdiff(a: i64, b: i64) -> i64 {
    if a < b { 0 } else { a - b }
}

/// `vpack` of one 16-bit lane to 8 bits: wrapped or clamped by the saturation mode, as
/// [`saturate`].
#[inline(always)]
pub fn pack8(x: i16, signed: bool, saturation: Saturation) -> u8 {
    saturate(x.into(), 8, signed, saturation) as u8
}

/// `vunpack` of one 8-bit lane to 16 bits: sign- or zero-extended.
#[inline(always)]
pub const fn unpack8(x: u8, signed: bool) -> i16 {
    if signed { x as i8 as i16 } else { x as i16 }
}

/// Position of the lane that an index register names: modulo the lanes of 512 bits
/// (`vextbcst`, `vinsert`).
#[inline(always)]
pub const fn lane_index(index: i32, lanes: u32) -> u32 {
    index as u32 % lanes
}
