//! Shift, round, saturate: accumulator to vector (`srs`), and the shift back (`ups`).
//!
//! The vectors prove: all ten roundings x three saturations at shift 4 (s16 from s64), every form
//! at shift 0 (signed and unsigned), ups at shifts 0 and 4. Other shifts follow the same rule and
//! are not measured. Symmetric saturation of an unsigned type is not measured; its lower bound
//! is taken as 0.

use super::{Rounding, Saturation};

/// Bits of the core's shift registers s0..s3, hence shifts 0..=63 (AMD register reference,
/// Core_S0: bits 5:0; the AIE-ML intrinsics guide gives the same range for ups).
const SHIFT_MASK: u32 = 63;

/// 1 when a value with this floor and remainder rounds up, else 0. `value` is only looked at for
/// its sign; `remainder` is of 2^shift, `half` is 2^(shift-1).
macro_rules! round_up {
    ($mode:expr, $value:expr, $floor:expr, $remainder:expr, $half:expr) => {
        match $mode {
            Rounding::Floor => false,
            Rounding::Ceil => $remainder != 0,
            Rounding::TowardZero => ($remainder != 0) & ($value < 0),
            Rounding::AwayFromZero => ($remainder != 0) & ($value >= 0),
            Rounding::NegInf => $remainder > $half,
            Rounding::PosInf => $remainder >= $half,
            Rounding::SymZero => ($remainder > $half) | (($remainder == $half) & ($value < 0)),
            Rounding::SymInf => ($remainder > $half) | (($remainder == $half) & ($value >= 0)),
            Rounding::ConvEven => ($remainder > $half) | (($remainder == $half) & ($floor & 1 == 1)),
            Rounding::ConvOdd => ($remainder > $half) | (($remainder == $half) & ($floor & 1 == 0)),
        }
    };
}

/// `value / 2^shift` rounded to an integer; exact for every i64. `shift` is taken modulo 64.
#[inline(always)]
pub fn round_shift(value: i64, shift: u32, rounding: Rounding) -> i64 {
    let shift = shift & SHIFT_MASK;
    if shift == 0 {
        return value;
    }
    let floor = value >> shift;
    let remainder = value as u64 & ((1 << shift) - 1);
    let half = 1u64 << (shift - 1);
    // floor is at most 2^62, so the increment cannot overflow.
    floor + i64::from(round_up!(rounding, value, floor, remainder, half))
}

/// Least and greatest value of an integer of `bits` (1..=64; an unsigned 64-bit maximum is cut to
/// that of i64) under a saturating mode.
#[inline(always)]
pub fn limits(bits: u32, signed: bool, saturation: Saturation) -> (i64, i64) {
    let bits = bits.clamp(1, 64);
    if signed {
        let max = i64::MAX >> (64 - bits);
        (if saturation == Saturation::Symmetric { -max } else { -max - 1 }, max)
    } else {
        (0, if bits == 64 { i64::MAX } else { (1 << bits) - 1 })
    }
}

/// `value` made to fit an integer of `bits` (1..=64): wrapped when saturation is off, else clamped.
#[inline(always)]
pub fn saturate(value: i64, bits: u32, signed: bool, saturation: Saturation) -> i64 {
    let bits = bits.clamp(1, 64);
    match saturation {
        Saturation::Off => {
            let unused = 64 - bits;
            if signed { value << unused >> unused } else { ((value as u64) << unused >> unused) as i64 }
        }
        Saturation::On | Saturation::Symmetric => {
            let (low, high) = limits(bits, signed, saturation);
            value.clamp(low, high)
        }
    }
}

/// One lane of srs: `value / 2^shift`, rounded, then made to fit `bits`. The core holds the shift
/// in 6 bits, so only the low 6 bits count; a negative shift is outside the documented range
/// (0..=63) and kernels must not rely on it.
#[inline(always)]
pub fn srs(
    value: i64,
    shift: i32,
    bits: u32,
    signed: bool,
    rounding: Rounding,
    saturation: Saturation,
) -> i64 {
    saturate(round_shift(value, shift as u32, rounding), bits, signed, saturation)
}

/// One lane of ups: `value * 2^shift` wrapped to an accumulator lane of `acc_bits` (32 or 64).
/// Only the low 6 bits of the shift count, as for [`srs`].
///
/// The intrinsics guide gives ups a saturation operand, so an overflowing lane may clamp when
/// saturation is on. No vector overflows: kernels must not rely on either.
#[inline(always)]
pub fn ups(value: i64, shift: i32, acc_bits: u32) -> i64 {
    saturate(value << (shift as u32 & SHIFT_MASK), acc_bits, true, Saturation::Off)
}

/// srs of `N` accumulator lanes of 32 bits to an integer of `bits` (8 or 16, held in i32 lanes):
/// what [`srs`] does lane by lane, with the modes chosen once so that the loops vectorise.
#[inline]
pub fn srs_lanes_i32<const N: usize>(
    acc: &[i32; N],
    shift: i32,
    bits: u32,
    signed: bool,
    rounding: Rounding,
    saturation: Saturation,
) -> [i32; N] {
    let shift = shift as u32 & SHIFT_MASK;
    if shift > 31 || bits > 31 {
        return acc.map(|v| srs(v.into(), shift as i32, bits, signed, rounding, saturation) as i32);
    }
    let rounded = if shift == 0 { *acc } else { round_lanes_i32(acc, shift, rounding) };
    if saturation == Saturation::Off {
        let unused = 32 - bits;
        return if signed {
            rounded.map(|v| v << unused >> unused)
        } else {
            rounded.map(|v| ((v as u32) << unused >> unused) as i32)
        };
    }
    let (low, high) = limits(bits, signed, saturation);
    let (low, high) = (low as i32, high as i32);
    rounded.map(|v| v.max(low).min(high))
}

/// `shift` is 1..=31: the remainder is then below 2^31 and compares as a signed lane.
#[inline(always)]
fn round_lanes_i32<const N: usize>(acc: &[i32; N], shift: u32, rounding: Rounding) -> [i32; N] {
    let mask = ((1u32 << shift) - 1) as i32;
    let half = 1i32 << (shift - 1);
    macro_rules! lanes {
        ($mode:path) => {
            acc.map(|v| {
                let floor = v >> shift;
                let remainder = v & mask;
                floor + i32::from(round_up!($mode, v, floor, remainder, half))
            })
        };
    }
    // One loop per mode: a match inside the loop would keep LLVM from vectorising it.
    match rounding {
        Rounding::Floor => lanes!(Rounding::Floor),
        Rounding::Ceil => lanes!(Rounding::Ceil),
        Rounding::TowardZero => lanes!(Rounding::TowardZero),
        Rounding::AwayFromZero => lanes!(Rounding::AwayFromZero),
        Rounding::NegInf => lanes!(Rounding::NegInf),
        Rounding::PosInf => lanes!(Rounding::PosInf),
        Rounding::SymZero => lanes!(Rounding::SymZero),
        Rounding::SymInf => lanes!(Rounding::SymInf),
        Rounding::ConvEven => lanes!(Rounding::ConvEven),
        Rounding::ConvOdd => lanes!(Rounding::ConvOdd),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Rounding by its definition: between the integers around value / 2^shift, in exact
    /// arithmetic.
    fn slow_round(value: i64, shift: u32, rounding: Rounding) -> i64 {
        let (value, unit) = (i128::from(value), 1i128 << shift);
        let below = value.div_euclid(unit);
        let above = if below * unit == value { below } else { below + 1 };
        let (to_below, to_above) = (value - below * unit, above * unit - value);
        let (near_zero, far_from_zero) = if value < 0 { (above, below) } else { (below, above) };
        let (even, odd) = if below % 2 == 0 { (below, above) } else { (above, below) };
        let nearest = |tie| match to_below.cmp(&to_above) {
            std::cmp::Ordering::Less => below,
            std::cmp::Ordering::Greater => above,
            std::cmp::Ordering::Equal => tie,
        };
        let rounded = match rounding {
            Rounding::Floor => below,
            Rounding::Ceil => above,
            Rounding::TowardZero => near_zero,
            Rounding::AwayFromZero => far_from_zero,
            Rounding::NegInf => nearest(below),
            Rounding::PosInf => nearest(above),
            Rounding::SymZero => nearest(near_zero),
            Rounding::SymInf => nearest(far_from_zero),
            Rounding::ConvEven => nearest(if to_below == 0 { below } else { even }),
            Rounding::ConvOdd => nearest(if to_below == 0 { below } else { odd }),
        };
        i64::try_from(rounded).expect("no larger than the value")
    }

    fn slow_saturate(value: i64, bits: u32, signed: bool, saturation: Saturation) -> i64 {
        let size = 1i128 << bits;
        let (min, max) = if signed { (-size / 2, size / 2 - 1) } else { (0, size - 1) };
        let value = i128::from(value);
        let fitted = match saturation {
            Saturation::Off => (value - min).rem_euclid(size) + min,
            Saturation::On => value.max(min).min(max),
            Saturation::Symmetric => value.max(if signed { -max } else { 0 }).min(max),
        };
        i64::try_from(fitted).expect("at most 63 bits")
    }

    /// Values of every magnitude, and ones around ties.
    fn value() -> impl Strategy<Value = i64> {
        let scaled = (any::<i64>(), 0u32..64).prop_map(|(v, s)| v >> s);
        let near_tie = (any::<i32>(), 0u32..31, -1i64..=1).prop_map(|(v, s, d)| (i64::from(v) << s) + d);
        prop_oneof![scaled, near_tie, Just(i64::MIN), Just(i64::MAX)]
    }

    proptest! {
        #[test]
        fn round_shift_is_the_definition(v in value(), shift in 0u32..64) {
            for rounding in Rounding::ALL {
                prop_assert_eq!(round_shift(v, shift, rounding), slow_round(v, shift, rounding), "{:?}", rounding);
            }
        }

        #[test]
        fn srs_is_round_then_saturate(v in value(), shift in 0i32..64, signed: bool,
                                      bits in prop_oneof![Just(8u32), Just(16), Just(32)]) {
            for rounding in Rounding::ALL {
                for saturation in Saturation::ALL {
                    let slow = slow_saturate(slow_round(v, shift as u32, rounding), bits, signed, saturation);
                    prop_assert_eq!(srs(v, shift, bits, signed, rounding, saturation), slow,
                                    "{:?} {:?}", rounding, saturation);
                }
            }
        }

        #[test]
        fn lanes_of_32_bits_agree_with_single_ones(seed in proptest::array::uniform8(value()), shift in 0i32..64,
                                                   signed: bool,
                                                   bits in prop_oneof![Just(8u32), Just(16), Just(32)]) {
            let acc = seed.map(|v| v as i32);
            for rounding in Rounding::ALL {
                for saturation in Saturation::ALL {
                    let fast = srs_lanes_i32(&acc, shift, bits, signed, rounding, saturation);
                    let one = acc.map(|v| srs(v.into(), shift, bits, signed, rounding, saturation) as i32);
                    prop_assert_eq!(fast, one, "{:?} {:?}", rounding, saturation);
                }
            }
        }

        #[test]
        fn ups_is_a_wrapping_product(v in any::<i32>(), shift in 0i32..64) {
            let exact = i128::from(v) << shift;
            prop_assert_eq!(ups(v.into(), shift, 64), exact as i64);
            prop_assert_eq!(ups(v.into(), shift, 32), i64::from(exact as i32));
        }
    }
}
