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

/// A term of a lane, or an operand of one: its value and its exponent for emax.
#[derive(Clone, Copy)]
struct Term {
    value: f64,
    exponent: i32,
}

/// Exponent of a zero: below every other, also when added to one, so that it has no part in emax.
const NO_EXPONENT: i32 = -1000;

const ZERO: Term = Term { value: 0.0, exponent: NO_EXPONENT };

/// 2^exponent, for -1022..=1023.
#[inline(always)]
fn power(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

/// The number that f32 bits are. Exponent field 255 is nothing special here.
#[inline(always)]
fn term(bits: u32) -> Term {
    let field = (bits >> 23 & 0xff) as i32;
    let magnitude = if field == 0 {
        f64::from(bits & 0x7f_ffff) * power(-149)
    } else {
        // The f64 with the same mantissa, the exponent's bias changed from 127 to 1023.
        f64::from_bits((u64::from(bits & !SIGN) << 29) + (896 << 52))
    };
    let value = if bits & SIGN == 0 { magnitude } else { -magnitude };
    Term { value, exponent: if magnitude == 0.0 { NO_EXPONENT } else { field.max(1) - 127 } }
}

#[inline(always)]
fn term_bf16(bits: u16) -> Term {
    term(f32_from_bf16(bits))
}

/// Exact: 16 bits of mantissa.
#[inline(always)]
fn times(a: Term, b: Term) -> Term {
    Term { value: a.value * b.value, exponent: a.exponent + b.exponent }
}

/// Sum of the terms by the multiplier's rule; an exact zero is +0.
#[inline(always)]
fn sum<const N: usize>(first: Term, rest: &[Term; N]) -> f32 {
    let emax = rest.iter().fold(first.exponent, |e, t| e.max(t.exponent)).max(-300);
    // A term is below 2^(emax + 2). Added to this, its last bit in the f64 is worth 2^(emax - 23):
    // the addition rounds it to the grid, to nearest even; the subtraction is exact.
    let align = 1.5 * power(emax - 23 + 52);
    let mut total = (first.value + align) - align;
    for t in rest {
        // At most 9 terms of at most 26 bits: exact.
        total += (t.value + align) - align;
    }
    // Rounded to 24 bits as if exponents had no end, then fitted to the range of f32.
    let rounded = f64::from((total * power(23 - emax)) as f32) * power(emax - 23);
    let fitted = if rounded.abs() < f64::from(f32::MIN_POSITIVE) { rounded * 0.0 } else { rounded };
    // -0 + 0 is +0, but a flushed negative keeps its sign.
    if total == 0.0 { 0.0 } else { fitted as f32 }
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
    let result = sum(ZERO, &products.map(|(a, b)| times(term_bf16(a), term_bf16(b))));
    if has_special(products) { special_products(0.0, products, result) } else { result }
}

/// One lane of `vmac.f`: the accumulator plus `N` (at most 8) products.
#[inline(always)]
pub fn mac_products<const N: usize>(acc: f32, products: &[(u16, u16); N]) -> f32 {
    const { assert!(N <= 8) };
    let result = sum(term(acc.to_bits()), &products.map(|(a, b)| times(term_bf16(a), term_bf16(b))));
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
    if has_special(&[(a, b)]) {
        return mul_products(&[(a, b)]);
    }
    // 16 bits of mantissa: IEEE rounds only what is flushed here or is infinite in both.
    let product = f32_value(a) * f32_value(b);
    if (a & 0x7fff == 0) | (b & 0x7fff == 0) {
        0.0
    } else if product.abs() < f32::MIN_POSITIVE {
        f32::from_bits(product.to_bits() & SIGN)
    } else {
        product
    }
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
    let result = sum(term(a.to_bits()), &[term(b.to_bits())]);
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

/// `acc[M, N] + a[M, 8] x b[8, N]`, row-major: one `vmac.f`, or `vmul.f` without `acc`.
#[inline]
pub fn mmul_bf16<const M: usize, const N: usize, const LA: usize, const LB: usize, const LC: usize>(
    acc: Option<&[f32; LC]>,
    a: &[u16; LA],
    b: &[u16; LB],
) -> [f32; LC] {
    const { assert!(LA == M * 8 && LB == 8 * N && LC == M * N) };
    let is_special = |special, &x: &u16| special | (x & 0x7f80 == 0x7f80);
    let special = a.iter().fold(false, is_special) | b.iter().fold(false, is_special);
    let special = special | acc.is_some_and(|acc| acc.iter().fold(false, |s, x| s | !x.is_finite()));
    if special {
        return mmul_special::<M, N, LA, LB, LC>(acc, a, b);
    }
    let (a, b) = (a.map(term_bf16), b.map(term_bf16));
    std::array::from_fn(|at| {
        let (m, n) = (at / N, at % N);
        let first = acc.map_or(ZERO, |acc| term(acc[at].to_bits()));
        sum::<8>(first, &std::array::from_fn(|k| times(a[m * 8 + k], b[k * N + n])))
    })
}

/// Lane by lane, for tiles with an exponent field of 255.
#[cold]
fn mmul_special<const M: usize, const N: usize, const LA: usize, const LB: usize, const LC: usize>(
    acc: Option<&[f32; LC]>,
    a: &[u16; LA],
    b: &[u16; LB],
) -> [f32; LC] {
    std::array::from_fn(|at| {
        let products: [_; 8] = std::array::from_fn(|k| (a[at / N * 8 + k], b[k * N + at % N]));
        match acc {
            Some(acc) => mac_products(acc[at], &products),
            None => mul_products(&products),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// sign, integer mantissa and the power of two it counts.
    fn exact(x: f32) -> (i128, i32) {
        let bits = x.to_bits();
        let (field, fraction) = ((bits >> 23 & 0xff) as i32, i128::from(bits & 0x7f_ffff));
        let mantissa = if field == 0 { fraction } else { fraction + (1 << 23) };
        (if x.is_sign_negative() { -mantissa } else { mantissa }, field.max(1) - 150)
    }

    /// `n / d` to the nearest integer, ties to even, by comparing distances.
    fn nearest(n: i128, d: i128) -> i128 {
        let below = n.div_euclid(d);
        match (2 * (n - below * d)).cmp(&d) {
            std::cmp::Ordering::Less => below,
            std::cmp::Ordering::Greater => below + 1,
            std::cmp::Ordering::Equal => below + below.rem_euclid(2),
        }
    }

    /// The rule as it is stated, on exact integers: finite terms only.
    fn slow(acc: Option<f32>, products: &[(u16, u16)]) -> f32 {
        let mut terms: Vec<(i128, i32, i32)> = Vec::new();
        for &(a, b) in products {
            let ((ma, ea), (mb, eb)) = (exact(f32_value(a)), exact(f32_value(b)));
            // value, its power of two, and the sum of the operands' exponents
            terms.push((ma * mb, ea + eb, ea + eb + 46));
        }
        if let Some(acc) = acc {
            let (m, e) = exact(acc);
            terms.push((m, e, e + 23));
        }
        terms.retain(|t| t.0 != 0);
        let Some(emax) = terms.iter().map(|t| t.2).max() else { return 0.0 };
        let grid = emax - 23;
        let sum: i128 = terms
            .iter()
            .map(|&(value, power, _)| {
                let down = grid - power;
                if down <= 0 {
                    value << -down
                } else if down > 80 {
                    0
                } else {
                    nearest(value, 1 << down)
                }
            })
            .sum();
        let magnitude = sum.unsigned_abs() as i128;
        let sign = if sum < 0 { SIGN } else { 0 };
        let excess = (128 - magnitude.leading_zeros() as i32 - 24).max(0);
        let mantissa = nearest(magnitude, 1 << excess);
        let (mantissa, power) = if mantissa == 1 << 24 { (1 << 23, excess + 1) } else { (mantissa, excess) };
        if mantissa == 0 {
            return 0.0;
        }
        let left = mantissa.leading_zeros() as i32 - (128 - 24);
        let field = grid + power - left + 150;
        let fraction = ((mantissa << left) as u32) & 0x7f_ffff;
        match field {
            255.. => f32::from_bits(sign | EXPONENT),
            1..=254 => f32::from_bits(sign | (field as u32) << 23 | fraction),
            _ => f32::from_bits(sign),
        }
    }

    /// Finite bf16: anything, or of like magnitude, so that terms meet on the grid and cancel.
    fn finite() -> impl Strategy<Value = u16> {
        let every = any::<u16>().prop_filter("finite", |x| x & 0x7f80 != 0x7f80);
        let near =
            (any::<bool>(), 110u16..140, 0u16..128).prop_map(|(s, e, m)| u16::from(s) << 15 | e << 7 | m);
        prop_oneof![1 => every, 4 => near, 1 => Just(0), 1 => Just(0x8000)]
    }

    fn accumulator() -> impl Strategy<Value = f32> {
        let every = any::<u32>().prop_map(f32::from_bits).prop_filter("finite", |x| x.is_finite());
        let near = (any::<u32>(), 100u32..150).prop_map(|(m, e)| f32::from_bits(m & 0x807f_ffff | e << 23));
        prop_oneof![1 => every, 4 => near, 1 => Just(0.0)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn mac_is_the_stated_rule(acc in accumulator(), p in proptest::array::uniform8((finite(), finite()))) {
            prop_assert_eq!(mac_bf16(acc, p).to_bits(), slow(Some(acc), &p).to_bits());
            prop_assert_eq!(mul_products(&p).to_bits(), slow(None, &p).to_bits());
        }

        #[test]
        fn elementwise_and_sums_are_the_stated_rule(x in accumulator(), y in accumulator(), a in finite(), b in finite()) {
            prop_assert_eq!(mul(a, b).to_bits(), slow(None, &[(a, b)]).to_bits());
            prop_assert_eq!(mac(x, a, b).to_bits(), slow(Some(x), &[(a, b)]).to_bits());
            prop_assert_eq!(msc(x, a, b).to_bits(), slow(Some(x), &[(a ^ 0x8000, b)]).to_bits());
            // 1.0 is a bf16: x + y is then a lane with one product per term.
            if y.to_bits() & 0xffff == 0 {
                let one = (0x3f80, (y.to_bits() >> 16) as u16);
                prop_assert_eq!(fadd(x, y).to_bits(), slow(Some(x), &[one]).to_bits());
            }
            prop_assert_eq!(fsub(x, y).to_bits(), fadd(x, -y).to_bits());
        }

        #[test]
        fn a_product_in_range_is_exact(a in finite(), b in finite()) {
            let exact = f64::from(f32_value(a)) * f64::from(f32_value(b));
            if exact.abs() >= f64::from(f32::MIN_POSITIVE) && exact.abs() <= f64::from(f32::MAX) {
                prop_assert_eq!(f64::from(mul(a, b)), exact);
            }
        }

        #[test]
        fn conversion_to_even_is_the_half_crates(bits: u32) {
            let x = f32::from_bits(bits);
            if !x.is_nan() {
                let half = half::bf16::from_f32(x).to_bits();
                prop_assert_eq!(bf16_from_f32(bits, Rounding::ConvEven), half);
            }
            for rounding in Rounding::ALL {
                let back = bf16_from_f32(f32_from_bf16((bits >> 16) as u16), rounding);
                prop_assert_eq!(back, (bits >> 16) as u16);
            }
        }

        #[test]
        fn order_is_that_of_the_values(a in finite(), b in finite()) {
            let (x, y) = (f32_value(a), f32_value(b));
            prop_assert_eq!(lt(a, b), x < y);
            prop_assert_eq!(ge(a, b), x >= y);
            prop_assert_eq!(f32_value(max(a, b)), if x < y { y } else { x });
            prop_assert_eq!(f32_value(min(a, b)), if x >= y { y } else { x });
        }
    }

    #[test]
    fn infinities_and_nan() {
        let (inf, one, nan) = (0x7f80, 0x3f80, 0x7fc1);
        assert_eq!(mul(inf, one), f32::INFINITY);
        assert_eq!(mac(f32::NEG_INFINITY, one, one), f32::NEG_INFINITY);
        assert_eq!(mac(f32::NEG_INFINITY, inf, one).to_bits() & !SIGN, EXPONENT | 1);
        assert_eq!(mul(inf, 0).to_bits() & !SIGN, EXPONENT | 1);
        assert_eq!(mul(nan, one).to_bits(), EXPONENT | 1);
        assert_eq!(mul(nan | 0x8000, one).to_bits(), SIGN | EXPONENT | 1);
        assert_eq!(fadd(f32::NAN, 1.0).to_bits(), EXPONENT | 1);
        // A larger finite product keeps its mantissa under the NaN, as seen on silicon.
        let big = mul_products(&[(0x304e, 0x7fa1), (0xe2e0, 0x4def)]);
        assert!(big.is_nan() && big.to_bits() & 0x7f_ffff != 1);
    }

    #[test]
    fn small_terms_are_rounded_to_the_grid_of_the_greatest() {
        // 1 and seven halves of the grid's unit: each rounds to even, 0; IEEE sums them first.
        let half_unit = (0x3980, 0x3980); // 2^-12 x 2^-12
        let mut products = [half_unit; 8];
        products[0] = (0x3f80, 0x3f80);
        assert_eq!(mul_products(&products), 1.0);
        // 1 - 2^-24 is half a unit from 1 and rounds to it; IEEE gives -2^-24.
        assert_eq!(fadd(-1.0, f32::from_bits(0x3f7f_ffff)), 0.0);
    }
}
