//! Softmax of score rows, in integers and without a division.
//!
//! Scores are i16 in sixteenths of an octave (a score 16 larger doubles the probability); probabilities are i16 in Q15.
//! A row is read twice: once for its maximum, once for `e = TABLE[max - t]` and the sum; then scaled by the sum's
//! reciprocal, a 15-bit mantissa and a shift.
//!
//! Core time: 32 scores take 6 cycles for the maximum (the scalar ALU makes the mask of valid keys), 13 for exponentials
//! (the move slot, around two lookups) and 2 for the scaling (stores): at least 2,016 cycles for 2 x 1536, of which the
//! ideal schedule predicts 2,264 and `peano` 2,271 (`kernels/tests/core_time.rs`).

use crate::case::{Arg, Case, Entry, bytes_of};
use crate::fixed::ReciprocalTable;
use kiln_dsl::kernel::Kernel;
use kiln_dsl::kernel::build::{Acc32, Builder};
use kiln_dsl::num::{Rounding, Saturation};
use std::sync::LazyLock;

use ndarray::{Array2, ArrayView2, Axis};

use crate::fixed::{reciprocal_q15, saturate_i16, srs};

/// Scores per octave: 16 steps cost nothing measurable against 32 in Whisper, and let 256 entries cover every
/// exponential that does not round to zero in 15 bits.
pub const STEPS_PER_OCTAVE: u32 = 16;

/// `round(32767 * 2^(-i/16))`: the exponential of a score `i` steps below the row's maximum, Q15. The last entry, which
/// stands for every larger distance too, is 0.
pub static EXP_TABLE: LazyLock<[i16; 256]> = LazyLock::new(|| {
    let e = |i: usize| (32767.0 * (-(i as f64) / f64::from(STEPS_PER_OCTAVE)).exp2()).round() as i16;
    std::array::from_fn(|i| if i == 255 { 0 } else { e(i) })
});

/// Probabilities `p[M, N]` in Q15 of scores `t[M, N]` in 1/16 octave; the first `valid` columns of each row are keys,
/// the rest is padding: read nowhere, probability 0.
///
/// `m = max t; e = EXP_TABLE[min(m - t, 255)]; l = sum e; p = sat16(srs(e * mantissa, shift))` with
/// `mantissa * 2^-shift = 2^15 / l`, so that a row sums to about 32768. `m - t` is a 17-bit number, so it saturates
/// at 32767 in 16-bit lanes, which the table's end makes harmless.
///
/// # Panics
/// When `valid` is 0 or more than N, or more than 2^15 (the sum's 30 bits).
pub fn reference(t: ArrayView2<i16>, valid: usize) -> Array2<i16> {
    assert!(valid > 0 && valid <= t.ncols() && valid <= 1 << 15, "{valid} valid keys of {}", t.ncols());
    let mut p = Array2::zeros(t.dim());
    for (t, mut p) in t.axis_iter(Axis(0)).zip(p.axis_iter_mut(Axis(0))) {
        let max = t.iter().take(valid).copied().fold(i16::MIN, i16::max);
        let below = |t: i16| (i32::from(max) - i32::from(t)).min(255) as usize;
        let sum = t.iter().take(valid).map(|&t| i32::from(EXP_TABLE[below(t)])).sum();
        let scale = reciprocal_q15(sum);
        for (p, &t) in p.iter_mut().zip(t).take(valid) {
            *p = saturate_i16(srs(i64::from(EXP_TABLE[below(t)]) * i64::from(scale.mantissa), scale.shift));
        }
    }
    p
}

/// Exponentials of the design document's softmax, Q15, of scores of 8 bits in steps of `scale` (natural logarithm): entry
/// `i` is that of a score `i` steps below the row's maximum.
pub fn exponentials(scale: f64) -> [i16; 256] {
    std::array::from_fn(|i| (32767.0 * (-scale * i as f64).exp()).round() as i16)
}

/// Probabilities `p[M, N]` in Q7, as bytes, by a table of [`exponentials`]: the design document's softmax, whose smallest
/// probability is 1/256 before it rounds to zero.
///
/// # Panics
/// When a row is longer than 2^15 (the sum's 30 bits).
pub fn reference_i8(t: ArrayView2<i16>, table: &[i16; 256]) -> Array2<i16> {
    let mut p = Array2::zeros(t.dim());
    for (t, mut p) in t.axis_iter(Axis(0)).zip(p.axis_iter_mut(Axis(0))) {
        let max = t.iter().copied().fold(i16::MIN, i16::max);
        let e = |t: i16| table[(i32::from(max) - i32::from(t)).min(255) as usize];
        let scale = reciprocal_q15(t.iter().map(|&t| i32::from(e(t))).sum());
        for (p, &t) in p.iter_mut().zip(t) {
            *p = srs(i64::from(e(t)) * i64::from(scale.mantissa), scale.shift + 8).min(127) as i16;
        }
    }
    p
}

/// Lanes that one step of a row takes.
const LANES: u32 = 32;

/// The kernel: [`reference()`] of `rows` rows of `columns` scores; `valid`, at run time, is the number
/// of keys. `t` and `p` are i16, row-major.
///
/// # Panics
/// When `columns` is not a multiple of 32.
pub fn softmax(rows: u32, columns: u32) -> Kernel {
    assert!(
        columns.is_multiple_of(LANES) && rows * columns > 0,
        "softmax of {columns} columns: expected n x 32"
    );
    let steps = columns / LANES;
    let exponentials: Vec<i32> = EXP_TABLE.iter().map(|&e| i32::from(e)).collect();
    Kernel::build(&format!("softmax_{rows}x{columns}"), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let t = k.input::<i16>("t", [rows, columns]);
        let p = k.output::<i16>("p", [rows, columns]);
        let valid = k.param_i32("valid");
        let exp = k.lookup_tables::<i16>("exp", &exponentials, [2, 3]);
        let reciprocal = ReciprocalTable::declare(k);
        let least = k.splat::<i16, 32>(i32::from(i16::MIN));
        let end_of_table = k.splat::<i16, 32>(255);
        k.for_n(rows, |row| {
            let at = row * columns;
            let max = k.pipelined(1).fold(steps, least, |j, max| {
                let scores = t.load::<32>(at + j * LANES);
                max.max(k.tail_mask::<32>(valid - j * LANES).select(scores, least))
            });
            let max = k.splat::<i16, 32>(max.reduce_max()).ups::<Acc32>(0);
            let sums = k.pipelined(1).fold(steps, k.acc_zeros::<Acc32, 32>(), |j, sums| {
                let below = max - t.load::<32>(at + j * LANES).ups(0);
                let e = below.srs::<i16>(0).min(end_of_table).lookup(exp, 0, 0);
                let e = k.tail_mask::<32>(valid - j * LANES).select(e, k.zeros());
                p.store(at + j * LANES, e);
                sums + e.ups(0)
            });
            let sums = sums.srs::<i32>(0);
            let scale = reciprocal.of((sums.low::<16>() + sums.high::<16>()).reduce_add());
            let mantissa = k.splat::<i16, 32>(scale.mantissa);
            k.pipelined(1).for_step(0, steps, 1, |j| {
                let e = p.load::<32>(at + j * LANES);
                p.store(at + j * LANES, e.times::<Acc32, i16>(mantissa).srs::<i16>(scale.shift));
            });
        });
    })
    .with_doc(&format!(
        "p[{rows}, {columns}] in Q15 of scores t[{rows}, {columns}] in 1/16 octave, over the first `valid` columns."
    ))
}

/// The kernel with its test cases.
pub fn entry(rows: u32, columns: u32) -> Entry {
    Entry::new(softmax(rows, columns), move |source| {
        let range = [[-32768, 32767], [-2000, 2000], [-40, 40]][source.number(0, 2) as usize];
        let t = source.matrix::<i16>([rows as usize, columns as usize], range);
        let valid = source.number(1, columns.into());
        let p = reference(t.view(), valid as usize);
        let (t, p) = (bytes_of(&t.into_raw_vec_and_offset().0), bytes_of(&p.into_raw_vec_and_offset().0));
        let args = vec![Arg::Bytes(t), Arg::Bytes(vec![0xa5; p.len()]), Arg::I32(valid as i32)];
        let locals = [Arg::Local, Arg::Local, Arg::Local];
        Case { args: args.into_iter().chain(locals).collect(), expected: vec![(1, p)] }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// |p - 2^15 softmax(t)| in LSB. With e = 32767 * 2^(-i/16) + d, |d| < 0.53, and l the quantised sum, the exact
    /// probability q satisfies e/l - q = (d - q * sum d) / l, so the table costs at most 0.53 (1 + q n) / l;
    /// the reciprocal 2^-13.7 of the value, the rounding half a step, the clip at 32767 one.
    fn worst_error(t: &[i16]) -> (f64, f64) {
        let max = f64::from(*t.iter().max().unwrap());
        let e: Vec<f64> = t.iter().map(|&v| ((f64::from(v) - max) / 16.0).exp2()).collect();
        let total: f64 = e.iter().sum();
        let quantised: f64 =
            t.iter().map(|&v| f64::from(EXP_TABLE[(max as i32 - i32::from(v)).min(255) as usize])).sum();
        let p = reference(ArrayView2::from_shape((1, t.len()), t).unwrap(), t.len());
        let (mut worst, mut share) = (0.0f64, 0.0f64);
        for (&p, e) in p.iter().zip(e) {
            let q = e / total;
            let bound = 32768.0 * 0.53 * (1.0 + q * t.len() as f64) / quantised
                + 32768.0 * (e * 32767.0).ceil() / quantised * (-13.7f64).exp2()
                + if q > 0.99 { 1.5 } else { 0.5 };
            let error = (f64::from(p) - q * 32768.0).abs();
            assert!(error <= bound, "p {p} exact {} bound {bound} row {t:?}", q * 32768.0);
            (worst, share) = (worst.max(error), share.max(error / bound));
        }
        (worst, share)
    }

    #[test]
    fn error_bound_over_every_distance() {
        for d in (0..=65535i32).step_by(7).chain(0..400) {
            worst_error(&[32767, (32767 - d) as i16]);
        }
        for n in [1, 63, 64, 65, 1500] {
            for spread in [0, 1, 5, 40, 150, 1000] {
                let row: Vec<i16> = (0..n).map(|i| ((i * 7919) % 1009 * spread / 1009) as i16).collect();
                let (worst, share) = worst_error(&row);
                println!("softmax: n {n} spread {spread}: worst {worst:.2} LSB, {share:.2} of the bound");
            }
        }
    }

    #[test]
    fn padding_is_never_read() {
        let mut t = Array2::from_shape_fn((3, 64), |(m, n)| (m * 100 + n) as i16);
        let p = reference(t.view(), 28);
        t.slice_mut(ndarray::s![.., 28..]).fill(i16::MAX);
        assert_eq!(reference(t.view(), 28), p);
        assert!(p.slice(ndarray::s![.., 28..]).iter().all(|&p| p == 0));
        assert!(p.slice(ndarray::s![.., ..28]).iter().all(|&p| p > 0));
    }

    proptest! {
        #[test]
        fn rows_sum_to_one(t in proptest::collection::vec(-2000i16..2000, 1..400)) {
            worst_error(&t);
            let p = reference(ArrayView2::from_shape((1, t.len()), &t).unwrap(), t.len());
            let sum: i32 = p.iter().map(|&p| i32::from(p)).sum();
            prop_assert!((f64::from(sum) - 32768.0).abs() <= 4.0 + 0.5 * t.len() as f64);
        }
    }
}
