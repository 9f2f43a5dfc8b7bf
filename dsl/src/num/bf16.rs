//! bfloat16 and the single-precision accumulator: conversion, compare, multiply-accumulate.
//!
//! The multiplier is not IEEE. In one lane every product, and the accumulator when there is one,
//! is rounded to nearest even to a multiple of 2^(emax-23), where emax is the greatest exponent in
//! the lane (of a product: the sum of its operands' exponents); the terms are summed exactly, and
//! the sum is rounded once to nearest even. Denormal terms count with their value; a result below
//! the least normal number is flushed to zero.
//!
//! Proven by the vectors:
//! - conversions in ten roundings, denormals, NaN and infinity included;
//! - min, max and less-than on finite values;
//! - the eight-product `vmul.f` without accumulator: 608 finite lanes;
//! - the same with a NaN input, 640 lanes: exponent field 255 goes through as an ordinary number of
//!   2^128 and up, a sum that overflows has mantissa 0, and a NaN anywhere then sets exponent 255
//!   and the lowest mantissa bit. That gives sign and payload of all 640;
//! - accumulator sums and differences, the low 16 bits of each lane: that denormal terms count,
//!   that denormal results are flushed, and the same rule for NaN.
//!
//! Not proven: the accumulator together with products (reported from silicon by a second source,
//! with deviations), lanes with an infinity (IEEE here), whether denormal bf16 operands count
//! like denormal accumulators (they do here), whether a zero takes part in emax (not here), the
//! sign of a flushed result (kept here).

use super::Rounding;
use super::srs::round_shift;

const EXPONENT: u32 = 0x7f80_0000;
const SIGN: u32 = 0x8000_0000;

/// f32 bits to bf16 bits, rounded in the core's mode. The value is rounded as a sign-magnitude
/// integer, so denormals stay and a large value may become infinite; a NaN is truncated, and
/// one whose payload would vanish gets payload 1.
#[inline(always)]
pub fn bf16_from_f32(bits: u32, rounding: Rounding) -> u16 {
    let magnitude = bits & !SIGN;
    let sign = (bits >> 16 & 0x8000) as u16;
    if magnitude > EXPONENT {
        let truncated = (magnitude >> 16) as u16;
        return sign | truncated | u16::from(truncated == 0x7f80);
    }
    let signed = if sign == 0 { i64::from(magnitude) } else { -i64::from(magnitude) };
    sign | round_shift(signed, 16, rounding).unsigned_abs() as u16
}

/// bf16 bits to f32 bits: exact, NaN payloads kept.
#[inline(always)]
pub fn f32_from_bf16(bits: u16) -> u32 {
    u32::from(bits) << 16
}

/// The value of bf16 bits.
#[inline(always)]
pub fn f32_value(bits: u16) -> f32 {
    f32::from_bits(f32_from_bf16(bits))
}

#[inline(always)]
fn is_nan(bits: u16) -> bool {
    bits & 0x7fff > 0x7f80
}

/// A key that orders bf16 bits by sign and magnitude; both zeros have the same.
#[inline(always)]
fn order_key(bits: u16) -> i32 {
    let magnitude = i32::from(bits & 0x7fff);
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}

/// `a < b` by sign and magnitude; -0 equals +0; false with a NaN (one lane seen for less-than).
#[inline(always)]
pub fn lt(a: u16, b: u16) -> bool {
    order_key(a) < order_key(b) && !is_nan(a) && !is_nan(b)
}

/// `a >= b` by sign and magnitude: the complement of [`lt`] (not measured with a NaN).
#[inline(always)]
pub fn ge(a: u16, b: u16) -> bool {
    !lt(a, b)
}

/// The greater: `b` when `a < b`, else `a`, as `vmax_lt.bf16` selects.
#[inline(always)]
pub fn max(a: u16, b: u16) -> u16 {
    if lt(a, b) { b } else { a }
}

/// The lesser: `b` when `a >= b`, else `a`, as `vmin_ge.bf16` selects.
#[inline(always)]
pub fn min(a: u16, b: u16) -> u16 {
    if ge(a, b) { b } else { a }
}

/// A term of a lane: `value * 2^(exponent - 23)`, `value` below 2^25 in magnitude.
#[derive(Clone, Copy)]
struct Term {
    value: i32,
    exponent: i32,
}

/// Exponent of a zero term: below every other, so that it takes no part in emax.
const NO_EXPONENT: i32 = -1000;

const ZERO: Term = Term { value: 0, exponent: NO_EXPONENT };

/// Mantissa with the hidden bit, and unbiased exponent. Exponent field 255 is nothing special.
#[inline(always)]
fn unpack_bf16(bits: u16) -> (i32, i32) {
    let field = i32::from(bits >> 7 & 0xff);
    let mantissa = i32::from(bits & 0x7f) | i32::from(field != 0) << 7;
    (mantissa, field.max(1) - 127)
}

#[inline(always)]
fn product(a: u16, b: u16) -> Term {
    let ((ma, ea), (mb, eb)) = (unpack_bf16(a), unpack_bf16(b));
    let magnitude = (ma * mb) << 9;
    let value = if (a ^ b) & 0x8000 == 0 { magnitude } else { -magnitude };
    Term { value, exponent: if value == 0 { NO_EXPONENT } else { ea + eb } }
}

#[inline(always)]
fn term(x: f32) -> Term {
    let bits = x.to_bits();
    let field = (bits >> 23 & 0xff) as i32;
    let magnitude = (bits & 0x7f_ffff) as i32 | i32::from(field != 0) << 23;
    let value = if bits & SIGN == 0 { magnitude } else { -magnitude };
    Term { value, exponent: if value == 0 { NO_EXPONENT } else { field.max(1) - 127 } }
}

/// `value / 2^shift` to nearest even; `shift` >= 0, |value| < 2^27.
#[inline(always)]
fn align(value: i32, shift: i32) -> i32 {
    // 28 already makes anything that small 0.
    let shift = shift.min(28);
    let floor = value >> shift;
    let remainder = value & ((1 << shift) - 1);
    let half = (1 << shift) >> 1;
    let up = (remainder > half) | ((remainder == half) & (remainder != 0) & (floor & 1 == 1));
    floor + i32::from(up)
}

/// Sum of the terms by the multiplier's rule; an exact zero is +0.
#[inline(always)]
fn sum<const N: usize>(first: Term, rest: &[Term; N]) -> f32 {
    let emax = rest.iter().fold(first.exponent, |e, t| e.max(t.exponent));
    if emax == NO_EXPONENT {
        return 0.0;
    }
    // At most 9 terms below 2^26: no overflow.
    let mut total = align(first.value, emax - first.exponent);
    for t in rest {
        total += align(t.value, emax - t.exponent);
    }
    // i32 -> f64 and the scaling by a power of two are exact; the cast rounds to nearest even.
    let scale = f64::from_bits(((emax - 23 + 1023) as u64) << 52);
    let rounded = (f64::from(total) * scale) as f32;
    if rounded.is_subnormal() { f32::from_bits(rounded.to_bits() & SIGN) } else { rounded }
}

/// What a lane with an operand of exponent field 255 gives. `sum` is the result by the ordinary
/// rule, `ieee` the sum of the terms as IEEE has it.
#[cold]
fn special(any_nan: bool, ieee: f64, sum: f32) -> f32 {
    if !any_nan && !ieee.is_nan() {
        return ieee as f32;
    }
    let bits = sum.to_bits();
    let payload = if bits & EXPONENT == EXPONENT { 0 } else { bits & 0x7f_ffff };
    f32::from_bits(bits & SIGN | EXPONENT | payload | 1)
}

#[cold]
fn special_products<const N: usize>(acc: f32, products: &[(u16, u16); N], sum: f32) -> f32 {
    let any_nan = acc.is_nan() || products.iter().any(|&(a, b)| is_nan(a) || is_nan(b));
    // In f64 no product of finite bf16 overflows.
    let exact = |(a, b)| f64::from(f32_value(a)) * f64::from(f32_value(b));
    let ieee = products.iter().fold(f64::from(acc), |s, &p| s + exact(p));
    special(any_nan, ieee, sum)
}

#[inline(always)]
fn has_special<const N: usize>(products: &[(u16, u16); N]) -> bool {
    products.iter().fold(false, |s, &(a, b)| s | (a & 0x7f80 == 0x7f80) | (b & 0x7f80 == 0x7f80))
}

/// One lane of `vmul.f`: the sum of `N` (at most 8) products.
#[inline(always)]
pub fn mul_products<const N: usize>(products: &[(u16, u16); N]) -> f32 {
    const { assert!(N <= 8) };
    let result = sum(ZERO, &products.map(|(a, b)| product(a, b)));
    if has_special(products) { special_products(0.0, products, result) } else { result }
}

/// One lane of `vmac.f`: the accumulator plus `N` (at most 8) products.
#[inline(always)]
pub fn mac_products<const N: usize>(acc: f32, products: &[(u16, u16); N]) -> f32 {
    const { assert!(N <= 8) };
    let result = sum(term(acc), &products.map(|(a, b)| product(a, b)));
    if has_special(products) | (acc.to_bits() & EXPONENT == EXPONENT) {
        special_products(acc, products, result)
    } else {
        result
    }
}

/// One lane of an 8-deep bf16 matrix product with accumulator ([`mac_products`] of 8).
#[inline(always)]
pub fn mac_bf16(acc: f32, products: [(u16, u16); 8]) -> f32 {
    mac_products(acc, &products)
}

/// One lane of an elementwise product; exact unless it leaves the range of f32.
#[inline(always)]
pub fn mul(a: u16, b: u16) -> f32 {
    mul_products(&[(a, b)])
}

/// One lane of an elementwise multiply-accumulate.
#[inline(always)]
pub fn mac(acc: f32, a: u16, b: u16) -> f32 {
    mac_products(acc, &[(a, b)])
}

/// One lane of an elementwise multiply-subtract: the product's sign is inverted.
#[inline(always)]
pub fn msc(acc: f32, a: u16, b: u16) -> f32 {
    mac_products(acc, &[(a ^ 0x8000, b)])
}

/// One lane of an accumulator sum, `vadd.f`: the rule of the multiplier's terms.
#[inline(always)]
pub fn fadd(a: f32, b: f32) -> f32 {
    let result = sum(term(a), &[term(b)]);
    if a.is_finite() & b.is_finite() {
        return result;
    }
    special(a.is_nan() | b.is_nan(), f64::from(a) + f64::from(b), result)
}

/// One lane of an accumulator difference: [`fadd`] with the second sign inverted.
#[inline(always)]
pub fn fsub(a: f32, b: f32) -> f32 {
    fadd(a, -b)
}

/// `acc[M, N] += a[M, K] x b[K, N]`, row-major, K in steps of 8 products as `vmac.f` takes them
/// (K must be 8: one instruction).
#[inline]
pub fn mmul_bf16<const M: usize, const N: usize, const LA: usize, const LB: usize, const LC: usize>(
    acc: Option<&[f32; LC]>,
    a: &[u16; LA],
    b: &[u16; LB],
) -> [f32; LC] {
    const { assert!(LA == M * 8 && LB == 8 * N && LC == M * N) };
    let mut out = [0.0; LC];
    for m in 0..M {
        for n in 0..N {
            let mut products = [(0, 0); 8];
            for (k, p) in products.iter_mut().enumerate() {
                *p = (a[m * 8 + k], b[k * N + n]);
            }
            out[m * N + n] = match acc {
                Some(acc) => mac_products(acc[m * N + n], &products),
                None => mul_products(&products),
            };
        }
    }
    out
}
