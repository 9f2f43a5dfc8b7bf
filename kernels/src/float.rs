//! The float multiplier of AIE2 on exact integers, apart from the simulator's arithmetic: what references of bf16
//! kernels are made of; and the steps between integers and floats inside kernels, which the cores have no instruction for.
//!
//! One `vmac.f` adds up to eight products of bf16 and an f32 accumulator in a lane: every term is rounded to nearest even
//! to a multiple of `2^(e - 23)`, where `e` is the largest exponent among them (of a product: the sum of its operands'),
//! then added exactly, and the sum is rounded once to 24 bits. Zeros have no exponent.

use half::bf16;
use kiln_dsl::kernel::build::{AccFloat, Accum, Builder, Vector};
use kiln_dsl::num::shuffle::{T16_2X32_HI, T16_2X32_LO, T16_32X2_LO};

/// A finite number: `mantissa * 2^exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Exact {
    mantissa: i128,
    exponent: i32,
    /// Exponent of the leading bit of its format, whatever the mantissa: what terms align to.
    leading: i32,
}

/// Bits below the leading one in f32.
const FRACTION_BITS: i32 = 23;

fn exact(value: f32) -> Exact {
    assert!(value.is_finite(), "{value}: references take finite numbers");
    let bits = value.to_bits();
    let (field, fraction) = ((bits >> FRACTION_BITS & 0xff) as i32, i128::from(bits & 0x7f_ffff));
    let magnitude = if field == 0 { fraction } else { fraction | 1 << FRACTION_BITS };
    let leading = field.max(1) - 127;
    Exact {
        mantissa: if value < 0.0 { -magnitude } else { magnitude },
        exponent: leading - FRACTION_BITS,
        leading,
    }
}

/// `mantissa / 2^bits`, to nearest even.
fn shifted(mantissa: i128, bits: i32) -> i128 {
    if bits <= 0 {
        return mantissa << -bits;
    }
    // Nothing that far down rounds to anything but zero.
    let bits = bits.min(126);
    let (down, rest) = (mantissa >> bits, mantissa & ((1 << bits) - 1));
    let half = 1 << (bits - 1);
    down + i128::from(rest > half || (rest == half && down & 1 == 1))
}

/// One lane: `accumulator`, or nothing, plus the products; results below the least normal number become zero.
///
/// # Panics
/// When an operand is not finite.
pub fn mac(accumulator: Option<f32>, products: impl IntoIterator<Item = (f32, f32)>) -> f32 {
    let product = |(a, b)| {
        let (a, b) = (exact(a), exact(b));
        Exact {
            mantissa: a.mantissa * b.mantissa,
            exponent: a.exponent + b.exponent,
            leading: a.leading + b.leading,
        }
    };
    let terms: Vec<Exact> = products.into_iter().map(product).chain(accumulator.map(exact)).collect();
    let nonzero = terms.iter().filter(|t| t.mantissa != 0);
    let Some(leading) = nonzero.clone().map(|t| t.leading).max() else { return 0.0 };
    let grid = leading - FRACTION_BITS;
    let sum: i128 = nonzero.map(|t| shifted(t.mantissa, grid - t.exponent)).sum();
    if sum == 0 {
        return 0.0;
    }
    // To 24 bits, which an f32 holds exactly; f64 holds every such f32 and scales without rounding.
    let excess = (128 - sum.unsigned_abs().leading_zeros() as i32) - (FRACTION_BITS + 1);
    let (mantissa, exponent) = if excess > 0 { (shifted(sum, excess), grid + excess) } else { (sum, grid) };
    let value = mantissa as f64 * f64::from(exponent).exp2();
    if value.abs() < f64::from(f32::MIN_POSITIVE) { (value * 0.0) as f32 } else { value as f32 }
}

/// `a + b` of two accumulators: both are terms of the rule.
///
/// # Panics
/// When an operand is not finite.
pub fn add(a: f32, b: f32) -> f32 {
    mac(Some(a), [(b, 1.0)])
}

/// The nearest i16, ties to even.
pub fn to_i16(value: f32) -> i16 {
    // An `as` saturates.
    value.round_ties_even() as i16
}

/// The nearest bf16, ties to even.
pub fn from_i16(value: i16) -> bf16 {
    bf16::from_f32(value.into())
}

/// 1.5 * 2^23 as bits: a float below 2^22 added to it rounds to an integer, which is then the low half of the bits.
const TO_I16: i32 = 0x4b40_0000;

/// 2^23 as the high half of bits: with an unsigned low half, the float `2^23 + half`.
const FROM_U16: i32 = 0x4b00;

/// [`to_i16`] of 2 x 16 sums inside a kernel.
pub(crate) fn staged_to_i16<'k>(k: &'k Builder, sums: [Accum<'k, AccFloat, 16>; 2]) -> Vector<'k, i16, 32> {
    staged_steps(k, sums, TO_I16, [i16::MIN.into(), i16::MAX.into()])
}

/// The low halves of the bits of each sum plus the float with the bits `origin`, no more than `range` steps away from it.
/// Bits of floats are ordered like the floats, so that clamping them clamps any sum.
pub(crate) fn staged_steps<'k>(
    k: &'k Builder,
    sums: [Accum<'k, AccFloat, 16>; 2],
    origin: i32,
    range: [i32; 2],
) -> Vector<'k, i16, 32> {
    let add = k.splat::<i32, 16>(origin).cast::<f32, 16>().to_accum::<AccFloat>();
    let [least, most] = range.map(|steps| k.splat::<i32, 16>(origin + steps));
    let [low, high] = sums.map(|sum| (sum + add).to_vector::<f32>().cast::<i32, 16>().max(least).min(most));
    low.cast::<i16, 32>().shuffle(high.cast(), T16_32X2_LO)
}

/// [`from_i16`] of 32 integers inside a kernel.
pub(crate) fn staged_from_i16<'k>(k: &'k Builder, values: Vector<'k, i16, 32>) -> Vector<'k, bf16, 32> {
    let unsigned = values + k.splat(i32::from(i16::MIN));
    let high = k.splat::<i16, 32>(FROM_U16);
    let origin = (FROM_U16 << 16) + 0x8000;
    let origin = k.splat::<i32, 16>(origin).cast::<f32, 16>().to_accum::<AccFloat>();
    let [low, high] = [T16_2X32_LO, T16_2X32_HI].map(|mode| {
        let floats = unsigned.shuffle(high, mode).cast::<f32, 16>();
        (floats.to_accum::<AccFloat>() - origin).to_vector::<bf16>()
    });
    low.concat(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_sums_are_exact() {
        assert_eq!(mac(None, [(1.5, 2.0), (-0.5, 4.0)]), 1.0);
        assert_eq!(mac(Some(10.0), [(3.0, 3.0)]), 19.0);
        assert_eq!(mac(Some(1.0), [(1.0, -1.0)]).to_bits(), 0);
        assert_eq!(mac(None, []), 0.0);
    }

    #[test]
    fn integers_round_and_saturate() {
        let rounded = [0.5, 1.5, -2.5, 32767.4, 32767.5, -32768.5, 1e30, -1e30].map(to_i16);
        assert_eq!(rounded, [0, 2, -2, 32767, 32767, -32768, 32767, -32768]);
        // 8 bits of mantissa: 257 lies between 256 and 258, 259 between 258 and 260.
        assert_eq!(
            [257, 259, -32768, 32767].map(|v| from_i16(v).to_f32()),
            [256.0, 260.0, -32768.0, 32768.0]
        );
    }

    #[test]
    fn terms_align_to_the_largest_before_they_add() {
        let tiny = (-24f32).exp2();
        // Each is half of the last place of 1 and rounds to even, which is nothing; IEEE would keep their sum.
        assert_eq!(mac(Some(1.0), [(tiny, 1.0), (tiny, 1.0)]), 1.0);
        assert_eq!(mac(Some(1.0), [(tiny, 1.5)]), 1.0 + (-23f32).exp2());
    }
}
