//! LayerNorm of i16 rows, in integers, without a division or a square root.
//!
//! `out = (x - mean) / sqrt(mean((x - mean)^2)) * gamma + beta`. The scale of `x` cancels, so the row is brought to
//! 14 bits (block floating point); the unit vector `z = c / |c|` is i16 in Q15, and `sqrt(d)` lives in the gains.
//! The epsilon (1e-5 in Whisper, against variances above 0.01) is left out: a row of equal values yields beta.

use crate::case::{Arg, Case, Entry, bytes_of};
use crate::fixed::RsqrtTable;
use kiln_dsl::kernel::build::{Acc32, Accum, Builder, Loadable, Scalar, ToVector};
use kiln_dsl::kernel::{Elem, Kernel};
use kiln_dsl::num::{Rounding, Saturation};
use ndarray::{Array2, ArrayView2, Axis};

use crate::fixed::{rsqrt, saturate_i8, saturate_i16, srs};

/// Bits of the largest |c| of a row.
const ROW_BITS: u32 = 14;

/// Gains, offsets and their common scale of one LayerNorm over `d` columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerNorm {
    /// `gamma[j] * sqrt(d) / out_scale * 2^(shift - 15)`: multiplies `z` in Q15.
    pub gain: Vec<i16>,
    /// `beta[j] / out_scale * 2^shift`, |beta| <= 2^30 so that the sum with a product fits 32 bits.
    pub beta: Vec<i32>,
    /// Right shift of `z * gain + beta`.
    pub shift: u32,
}

impl LayerNorm {
    /// The integers for gains `gamma` and offsets `beta` and an output in units of `out_scale`.
    ///
    /// # Panics
    /// When the slices differ in length or are empty, or `out_scale` is not positive.
    pub fn new(gamma: &[f32], beta: &[f32], out_scale: f64) -> LayerNorm {
        assert_eq!(gamma.len(), beta.len(), "gains and offsets");
        assert!(!gamma.is_empty() && out_scale > 0.0, "columns {}, out_scale {out_scale}", gamma.len());
        let peak = |values: &[f32]| values.iter().map(|v| f64::from(v.abs())).fold(1e-30, f64::max);
        let gain = |shift: u32| (gamma.len() as f64).sqrt() / out_scale * (f64::from(shift) - 15.0).exp2();
        let offset = |shift: u32| f64::from(shift).exp2() / out_scale;
        let fits = |s: &u32| peak(gamma) * gain(*s) <= 32767.0 && peak(beta) * offset(*s) <= (1 << 30) as f64;
        let shift = (0..=30).rev().find(fits).unwrap_or(0);
        LayerNorm {
            gain: gamma
                .iter()
                .map(|g| (f64::from(*g) * gain(shift)).round().clamp(-32767.0, 32767.0) as i16)
                .collect(),
            beta: beta
                .iter()
                .map(|b| (f64::from(*b) * offset(shift)).round().clamp(-1073741824.0, 1073741824.0) as i32)
                .collect(),
            shift,
        }
    }
}

/// Bits of the row's values that are squared: the most whose squares' sum over `d` columns stays below 2^31.
pub fn square_bits(d: usize) -> u32 {
    (1..ROW_BITS).rev().find(|b| (d as u64) << (2 * b) < 1 << 31).unwrap_or(1)
}

/// A normalised row: `z[j] = c[j] / |c|` in Q15, `c = x - mean`. All zeros when the row is constant.
///
/// Exactly: `sum` and the extremes of x; `peak = max(d * max - sum, sum - d * min)`, which is d times the largest
/// |c|; `n = bits(peak) - 14`, and where it is negative `d` and `sum` are first shifted up by `-n` and n is 0;
/// `c = srs(x * d - sum, n)`; `s = sum of srs(x * d - sum, n + 14 - square_bits(d))^2`, below 2^31;
/// `z = sat16(srs(c * mantissa, shift))` with `mantissa * 2^-shift = 2^(square_bits + 1) / sqrt(s)`.
/// Every intermediate fits 32 bits.
///
/// # Panics
/// When the row is empty or longer than 1024 columns (the 32 bits).
pub fn normalise(x: &[i16]) -> Vec<i16> {
    assert!(!x.is_empty() && x.len() <= 1024, "{} columns: expected 1..=1024", x.len());
    let mut d = x.len() as i32;
    let mut sum: i32 = x.iter().map(|&x| i32::from(x)).sum();
    let max = x.iter().copied().fold(i16::MIN, i16::max);
    let min = x.iter().copied().fold(i16::MAX, i16::min);
    let peak = (d * i32::from(max) - sum).max(sum - d * i32::from(min));
    if peak == 0 {
        return vec![0; x.len()];
    }
    let bits = 32 - peak.leading_zeros();
    let up = ROW_BITS.saturating_sub(bits);
    let down = bits.saturating_sub(ROW_BITS);
    (d, sum) = (d << up, sum << up);
    let square_bits = square_bits(x.len());
    let scaled = |x: i16, shift: u32| saturate_i16(srs((i32::from(x) * d - sum).into(), shift));
    let squares = x.iter().map(|&x| i32::from(scaled(x, down + ROW_BITS - square_bits)).pow(2)).sum();
    let scale = rsqrt(squares);
    let shift = scale.shift - square_bits - 1;
    x.iter()
        .map(|&x| saturate_i16(srs(i64::from(scaled(x, down)) * i64::from(scale.mantissa), shift)))
        .collect()
}

/// `z[j] * gain[j] + beta[j]` shifted, before the output's saturation.
fn affine(x: &[i16], norm: &LayerNorm) -> impl Iterator<Item = i64> {
    assert_eq!(x.len(), norm.gain.len(), "columns and gains");
    let z = normalise(x);
    let terms = z.into_iter().zip(&norm.gain).zip(&norm.beta);
    terms.map(|((z, &g), &b)| srs(i64::from(b) + i64::from(z) * i64::from(g), norm.shift))
}

/// `out[M, d]` in i8 of `x[M, d]`: the norms before the GEMMs.
///
/// # Panics
/// When `x` is not in standard layout, or its columns are not `norm`'s, or more than 1024.
pub fn reference_i8(x: ArrayView2<i16>, norm: &LayerNorm) -> Array2<i8> {
    let mut out = Array2::zeros(x.dim());
    for (x, mut out) in x.axis_iter(Axis(0)).zip(out.axis_iter_mut(Axis(0))) {
        let x = x.to_slice().expect("rows in standard layout");
        out.iter_mut().zip(affine(x, norm)).for_each(|(out, v)| *out = saturate_i8(v));
    }
    out
}

/// `out[M, d]` in i16 of `x[M, d]`: the encoder's final norm.
///
/// # Panics
/// As [`reference_i8`].
pub fn reference_i16(x: ArrayView2<i16>, norm: &LayerNorm) -> Array2<i16> {
    let mut out = Array2::zeros(x.dim());
    for (x, mut out) in x.axis_iter(Axis(0)).zip(out.axis_iter_mut(Axis(0))) {
        let x = x.to_slice().expect("rows in standard layout");
        out.iter_mut().zip(affine(x, norm)).for_each(|(out, v)| *out = saturate_i16(v));
    }
    out
}

/// Lanes that one step of a row takes.
const LANES: u32 = 32;

/// The kernel: [`reference_i8`] or [`reference_i16`] of `rows` rows of `d` columns. `x` is i16,
/// `gain` i16 and `beta` i32 per column, `shift[0]` in memory (it comes with them), `out` is `elem`; row-major.
///
/// # Panics
/// When `d` is not a multiple of 32 up to 1024, or `elem` is neither i8 nor i16.
pub fn layernorm(rows: u32, d: u32, elem: Elem) -> Kernel {
    assert!(
        d.is_multiple_of(LANES) && rows * d > 0 && d <= 1024,
        "layernorm of {d} columns: expected n x 32 <= 1024"
    );
    match elem {
        Elem::I8 => rows_of::<i8>(rows, d),
        Elem::I16 => rows_of::<i16>(rows, d),
        other => panic!("layernorm to {other}: expected i8 or i16"),
    }
}

fn rows_of<E: Loadable<32>>(rows: u32, d: u32) -> Kernel
where
    Acc32: ToVector<E, 32>,
{
    let steps = d / LANES;
    let name = format!("layernorm_{}_{rows}x{d}", E::ELEM);
    let square_bits = square_bits(d as usize);
    Kernel::build(&name, Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let x = k.input::<i16>("x", [rows, d]);
        let gain = k.input::<i16>("gain", [d]);
        let beta = k.input::<i32>("beta", [d]);
        let out_shift = k.input::<i32>("shift", [8]).get(0);
        let out = k.output::<E>("out", [rows, d]);
        let rsqrt = RsqrtTable::declare(k);
        let columns = k.constant(d as i32);
        k.for_n(rows, |row| {
            let load = |column| x.load::<32>(row * d + column);
            let least = k.splat::<i16, 32>(i32::from(i16::MIN));
            let greatest = k.splat::<i16, 32>(i32::from(i16::MAX));
            let start = (k.acc_zeros::<Acc32, 32>(), least, greatest);
            let (sums, max, min) = k.pipelined(1).fold(steps, start, |j, (sums, max, min)| {
                let x = load(j * LANES);
                (sums + x.ups(0), max.max(x), min.min(x))
            });
            let sum = total(sums);
            let peak = (max.reduce_max() * columns - sum).max(sum - min.reduce_min() * columns);
            let bits = -peak.leading_zeros() + 32;
            let up = (-bits + ROW_BITS as i32).max(0);
            let down = (bits - ROW_BITS as i32).max(0);
            let times = k.splat::<i16, 32>(columns.shift_left(up));
            let minus = k.splat::<i32, 16>(sum.shift_left(up));
            let minus: Accum<Acc32, 32> = minus.concat::<32>(minus).ups(0);
            let centred = |column| load(column).times::<Acc32, i16>(times) - minus;
            let to_square = down + (ROW_BITS - square_bits);
            let squares = k.pipelined(1).fold(steps, k.acc_zeros::<Acc32, 32>(), |j, squares| {
                let c = centred(j * LANES).srs::<i16>(to_square);
                squares.mac(c, c)
            });
            // A constant row has no scale (its shifts leave 16 bits, too): its z is 0.
            let scale = rsqrt.of(total(squares).max(1 << 16));
            let mantissa = k.splat::<i16, 32>(peak.select(scale.mantissa, 0));
            let shift = scale.shift - (square_bits + 1);
            k.pipelined(1).for_step(0, steps, 1, |j| {
                let c = centred(j * LANES).srs::<i16>(down);
                let z = c.times::<Acc32, i16>(mantissa).srs::<i16>(shift);
                let sum = beta.load::<32>(j * LANES).ups::<Acc32>(0).mac(z, gain.load::<32>(j * LANES));
                out.store(row * d + j * LANES, sum.srs::<E>(out_shift));
            });
        });
    })
    .with_doc(&format!(
        "out[{rows}, {d}] {} = layer norm of x[{rows}, {d}] i16, times gain plus beta.",
        E::ELEM
    ))
}

/// The sum of all lanes, wrapping.
fn total<'k>(lanes: Accum<'k, Acc32, 32>) -> Scalar<'k> {
    let lanes = lanes.srs::<i32>(0);
    (lanes.low::<16>() + lanes.high::<16>()).reduce_add()
}

/// The kernel with its test cases.
pub fn entry(rows: u32, d: u32, elem: Elem) -> Entry {
    Entry::new(layernorm(rows, d, elem), move |source| {
        let amplitude = [1, 30, 5000, 32767][source.number(0, 3) as usize];
        let x = source.matrix::<i16>([rows as usize, d as usize], [-amplitude, amplitude]);
        let gain: Vec<i16> = source.values(d as usize, -32767, 32767).into_iter().map(|v| v as i16).collect();
        let beta: Vec<i32> =
            source.values(d as usize, -(1 << 30), 1 << 30).into_iter().map(|v| v as i32).collect();
        let shift = source.number(0, 30);
        let norm = LayerNorm { gain, beta, shift: shift as u32 };
        let out = match elem {
            Elem::I8 => bytes_of(&reference_i8(x.view(), &norm).into_raw_vec_and_offset().0),
            _ => bytes_of(&reference_i16(x.view(), &norm).into_raw_vec_and_offset().0),
        };
        let args = vec![
            Arg::Bytes(bytes_of(&x.into_raw_vec_and_offset().0)),
            Arg::Bytes(bytes_of(&norm.gain)),
            Arg::Bytes(bytes_of(&norm.beta)),
            Arg::Bytes(bytes_of(&[shift as i32, 0, 0, 0, 0, 0, 0, 0])),
            Arg::Bytes(vec![0; out.len()]),
            Arg::Local,
        ];
        Case { args, expected: vec![(4, out)] }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};

    /// Largest |z - exact| in LSB of Q15, and the stated bound for this row.
    ///
    /// The 14-bit c is off by at most 1/2 with |c| >= 2^13: 2 LSB. The squared values (b bits) are off by 1/2 each, so
    /// |c''| by at most sqrt(d) / 2 in all: a relative sqrt(d) / (2 |c''|). rsqrt adds 2^-13.5, rounding half a step.
    fn z_error(x: &[i16]) -> (f64, f64) {
        let d = x.len() as f64;
        let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / d;
        let norm = x.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>().sqrt();
        if norm == 0.0 {
            assert!(normalise(x).iter().all(|&z| z == 0));
            return (0.0, 0.0);
        }
        let peak = x.iter().map(|&v| (f64::from(v) - mean).abs()).fold(0.0, f64::max);
        let squared_norm = norm / peak * f64::from(square_bits(x.len()) - 1).exp2();
        let relative = 0.5 * d.sqrt() / squared_norm * 1.05 + (-13.5f64).exp2();
        let (mut worst, mut bound) = (0.0f64, 0.0f64);
        for (z, &x) in normalise(x).iter().zip(x) {
            let exact = (f64::from(x) - mean) / norm * 32768.0;
            let (error, limit) = ((f64::from(*z) - exact).abs(), exact.abs() * relative + 2.0 + 0.5 + 1.0);
            assert!(error <= limit, "z {z} exact {exact} bound {limit}");
            (worst, bound) = (worst.max(error), bound.max(limit));
        }
        (worst, bound)
    }

    #[test]
    fn z_error_bound_over_shapes_and_sizes() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        for d in [1, 2, 63, 64, 80, 384, 512, 768, 1024] {
            for amplitude in [1, 2, 30, 1000, 12345, 32767] {
                for offset in [0, 20000, -32768 + amplitude] {
                    for spikes in [0, 1, d / 16] {
                        let mut row: Vec<i16> = (0..d)
                            .map(|_| {
                                (offset + rng.random_range(-amplitude..=amplitude)).clamp(-32768, 32767)
                                    as i16
                            })
                            .collect();
                        (0..spikes).for_each(|i| row[i * 16 % d] = if i % 2 == 0 { 32767 } else { -32768 });
                        z_error(&row);
                    }
                }
            }
        }
        let typical: Vec<i16> =
            (0..384).map(|_| (0..12).map(|_| rng.random_range(-500..=500)).sum()).collect();
        let (worst, bound) = z_error(&typical);
        println!("layernorm: a bell-shaped row of 384: worst {worst:.2} LSB of Q15 (bound {bound:.1})");
        assert!(worst < 4.0, "{worst}");
    }

    #[test]
    fn affine_error_is_a_step() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
        let d = 384;
        let gamma: Vec<f32> = (0..d).map(|_| rng.random_range(-2.0f32..2.0)).collect();
        let beta: Vec<f32> = (0..d).map(|_| rng.random_range(-1.0f32..1.0)).collect();
        let x: Vec<i16> = (0..d).map(|_| rng.random_range(-3000..3000)).collect();
        let (mean, n) = (x.iter().map(|&v| f64::from(v)).sum::<f64>() / d as f64, d as f64);
        let sigma = (x.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n).sqrt();
        let exact = |j: usize| (f64::from(x[j]) - mean) / sigma * f64::from(gamma[j]) + f64::from(beta[j]);
        let rows = ArrayView2::from_shape((1, d), &x).unwrap();
        let (s8, s16) = (5.0 / 127.0, 5.0 / 32767.0);
        let out8 = reference_i8(rows, &LayerNorm::new(&gamma, &beta, s8));
        let out16 = reference_i16(rows, &LayerNorm::new(&gamma, &beta, s16));
        let worst = |out: &dyn Fn(usize) -> f64, s: f64| {
            (0..d).map(|j| (out(j) - exact(j) / s).abs()).fold(0.0, f64::max)
        };
        let (e8, e16) = (worst(&|j| f64::from(out8[(0, j)]), s8), worst(&|j| f64::from(out16[(0, j)]), s16));
        println!("layernorm: i8 worst {e8:.3} LSB, i16 worst {e16:.2} LSB");
        assert!(e8 < 0.55 && e16 < 12.0, "{e8} {e16}");
    }

    proptest! {
        #[test]
        fn z_error_bound_on_any_row(row in proptest::collection::vec(any::<i16>(), 1..200)) {
            z_error(&row);
        }
    }
}
