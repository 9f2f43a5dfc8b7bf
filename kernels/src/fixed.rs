//! Integer arithmetic of the references: `srs` (shift, round, saturate) as the cores do it in mode `conv_even`,
//! and two small fixed-point functions that need only 32-bit scalar arithmetic, a count of leading zeros and a table.
//!
//! Written independently of the simulator's numerics, so that comparing the two means something.

use kiln_dsl::kernel::build::{Buf, Builder, Scalar};
use std::sync::LazyLock;

/// `value / 2^shift`, rounded to nearest, ties to even. `shift` is at most 62.
pub fn srs(value: i64, shift: u32) -> i64 {
    if shift == 0 {
        return value;
    }
    let floor = value >> shift;
    let rest = value - (floor << shift);
    floor + i64::from(rest + (floor & 1) > 1 << (shift - 1))
}

/// The nearest i8.
pub fn saturate_i8(value: i64) -> i8 {
    value.clamp(i8::MIN.into(), i8::MAX.into()) as i8
}

/// The nearest i16.
pub fn saturate_i16(value: i64) -> i16 {
    value.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// The nearest i32.
pub fn saturate_i32(value: i64) -> i32 {
    value.clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

/// A positive number as `mantissa * 2^-shift`, the mantissa in `2^14..2^15` so that it multiplies i16 lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// `2^14..=2^15 - 1`, or 0 for the number 0.
    pub mantissa: i16,
    /// Right shift that follows the multiplication.
    pub shift: u32,
}

/// Entries of [`RECIPROCAL_TABLE`].
pub const RECIPROCAL_ENTRIES: usize = 256;

/// First guess of `2^30 / f` for a 16-bit `f` in `2^15..2^16`, by `(f >> 7) - 256`: the value at the interval's centre.
pub static RECIPROCAL_TABLE: LazyLock<Vec<i32>> = LazyLock::new(|| {
    let centre = |i: usize| (((i + RECIPROCAL_ENTRIES) << 7) + 64) as f64;
    (0..RECIPROCAL_ENTRIES).map(|i| ((1u64 << 30) as f64 / centre(i)).round() as i32).collect()
});

/// `2^15 / l` for `l` in `1..2^30`, within a relative 2^-13.7 (tested for every `l` below 2^20 and densely above):
/// a table of 256 first guesses and one Newton step, every product below 2^31.
pub fn reciprocal_q15(l: i32) -> Scale {
    assert!(l > 0 && l < 1 << 30, "reciprocal of {l}: expected 1..2^30");
    let up = l.leading_zeros() - 1;
    let f = (l << up) >> 15;
    let guess = RECIPROCAL_TABLE[((f >> 7) - 256) as usize];
    let error = (1 << 30) - f * guess;
    let refined = guess + ((guess * (error >> 6) + (1 << 23)) >> 24);
    Scale { mantissa: refined.min(i16::MAX.into()) as i16, shift: 30 - up }
}

/// Entries of [`RSQRT_TABLE`].
pub const RSQRT_ENTRIES: usize = 192;

/// First guess of `2^14 / sqrt(f / 2^17)` for a 17-bit `f` in `2^15..2^17`, by `(f >> 9) - 64`:
/// the value at the interval's centre.
pub static RSQRT_TABLE: LazyLock<Vec<i32>> = LazyLock::new(|| {
    let centre = |i: usize| (((i + 64) << 9) + 256) as f64 / (1u64 << 17) as f64;
    (0..RSQRT_ENTRIES).map(|i| (16384.0 / centre(i).sqrt()).round() as i32).collect()
});

/// `1 / sqrt(s)` for `s` in `2^16..2^31`, as `mantissa * 2^-shift`, within a relative 2^-13.5:
/// a table of 192 first guesses and one Newton step, every product below 2^31.
pub fn rsqrt(s: i32) -> Scale {
    assert!(s >= 1 << 16, "rsqrt of {s}: expected 2^16..2^31");
    let up = s.leading_zeros() & !1;
    let f = s >> (15 - up);
    let guess = RSQRT_TABLE[((f >> 9) - 64) as usize];
    let square = (guess * guess + (1 << 14)) >> 15;
    let error = (1 << 30) - square * f;
    let refined = guess + ((guess * (error >> 8) + (1 << 22)) >> 23);
    Scale { mantissa: refined.min(i16::MAX.into()) as i16, shift: 30 - up / 2 }
}

/// A [`Scale`] inside a kernel.
#[derive(Clone, Copy)]
pub(crate) struct StagedScale<'k> {
    /// Mantissa, as a scalar.
    pub(crate) mantissa: Scalar<'k>,
    /// Right shift.
    pub(crate) shift: Scalar<'k>,
}

/// [`reciprocal_q15`] inside a kernel: the table is read by scalar loads.
#[derive(Clone, Copy)]
pub(crate) struct ReciprocalTable<'k> {
    table: Buf<'k, i16>,
}

/// The bytes of a table of values that fit i16.
fn table_bytes(values: &[i32]) -> Vec<u8> {
    let narrow = |&v: &i32| i16::try_from(v).expect("first guesses are below 2^15").to_le_bytes();
    values.iter().flat_map(narrow).collect()
}

impl<'k> ReciprocalTable<'k> {
    /// Declares the table.
    pub(crate) fn declare(k: &'k Builder) -> ReciprocalTable<'k> {
        ReciprocalTable { table: k.table("reciprocal", table_bytes(&RECIPROCAL_TABLE)) }
    }

    /// `2^15 / l` for `l` in `1..2^30`.
    pub(crate) fn of(&self, l: Scalar<'k>) -> StagedScale<'k> {
        let up = l.leading_zeros() - 1;
        let f = l.shift_left(up).shift_right(15);
        let guess = self.table.get(f.shift_right(7) - 256);
        let error = -(f * guess) + (1 << 30);
        let refined = guess + (guess * error.shift_right(6) + (1 << 23)).shift_right(24);
        StagedScale { mantissa: refined.min(i32::from(i16::MAX)), shift: -up + 30 }
    }
}

/// [`rsqrt`] inside a kernel: the table is read by scalar loads.
#[derive(Clone, Copy)]
pub(crate) struct RsqrtTable<'k> {
    table: Buf<'k, i16>,
}

impl<'k> RsqrtTable<'k> {
    /// Declares the table.
    pub(crate) fn declare(k: &'k Builder) -> RsqrtTable<'k> {
        RsqrtTable { table: k.table("rsqrt", table_bytes(&RSQRT_TABLE)) }
    }

    /// `1 / sqrt(s)` for `s` in `2^16..2^31`.
    pub(crate) fn of(&self, s: Scalar<'k>) -> StagedScale<'k> {
        let up = s.leading_zeros() & !1;
        let f = s.shift_right(-up + 15);
        let guess = self.table.get(f.shift_right(9) - 64);
        let square = (guess * guess + (1 << 14)).shift_right(15);
        let error = -(square * f) + (1 << 30);
        let refined = guess + (guess * error.shift_right(8) + (1 << 22)).shift_right(23);
        StagedScale { mantissa: refined.min(i32::from(i16::MAX)), shift: -up.shift_right(1) + 30 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn srs_rounds_half_to_even() {
        let got: Vec<i64> = [-6, -5, -3, -2, -1, 1, 2, 3, 5, 6, 7].map(|v| srs(v, 2)).to_vec();
        assert_eq!(got, [-2, -1, -1, 0, 0, 0, 0, 1, 1, 2, 2]);
        assert_eq!(srs(-7, 0), -7);
    }

    proptest! {
        #[test]
        fn srs_is_the_nearest(value in -(1i64 << 40)..1i64 << 40, shift in 0u32..32) {
            let (got, exact) = (srs(value, shift) as f64, value as f64 / (1u64 << shift) as f64);
            prop_assert!((got - exact).abs() <= 0.5);
            prop_assert!((got - exact).abs() < 0.5 || got % 2.0 == 0.0);
        }
    }

    fn relative(scale: Scale, exact: f64) -> f64 {
        (f64::from(scale.mantissa) / (scale.shift as f64).exp2() / exact - 1.0).abs()
    }

    #[test]
    fn reciprocal_bound_holds_for_every_sum() {
        let large = (0..1 << 20).map(|i| (1 << 20) + i * 1021);
        let worst = (1..1 << 20).chain(large).map(|l| relative(reciprocal_q15(l), 32768.0 / f64::from(l)));
        let worst = worst.fold(0.0, f64::max);
        println!("reciprocal: worst relative error 2^{:.2}", worst.log2());
        assert!(worst < (-13.7f64).exp2(), "{worst}");
    }

    #[test]
    fn rsqrt_bound_holds() {
        let dense = (0..1 << 20).map(|i| (1 << 16) + i);
        let wide = (0..1 << 20).map(|i: i64| ((1 << 16) + i * 2047) as i32);
        let worst =
            dense.chain(wide).map(|s| relative(rsqrt(s), 1.0 / f64::from(s).sqrt())).fold(0.0, f64::max);
        println!("rsqrt: worst relative error 2^{:.2}", worst.log2());
        assert!(worst < (-13.5f64).exp2(), "{worst}");
    }
}
