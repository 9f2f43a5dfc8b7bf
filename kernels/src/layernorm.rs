//! LayerNorm of rows of i16, or of bytes, in integers, without a division or a square root.
//!
//! `out = (x - mean) / sqrt(mean((x - mean)^2)) * gamma + beta`. The scale of `x` cancels, so the row is brought to
//! 14 bits (block floating point); the unit vector `z = c / |c|` is i16 in Q15, and `sqrt(d)` lives in the gains.
//! The epsilon (1e-5 in Whisper, against variances above 0.01) is left out: a row of equal values yields beta.
//!
//! Core time: 32 values take 4 cycles for sums and extremes (the move slot), 3 for squares (the multiplier) and 5 for the
//! result (the shift-round-saturate unit): at least 576 cycles for 4 x 384, of which the ideal schedule predicts 1,160 and
//! `peano` 1,316 (`kernels/tests/core_time.rs`): rows are short against filling and draining three loops and the scalar
//! arithmetic between them.

use crate::case::{Arg, Case, Entry, Source, bytes_of};
use crate::fixed::{ReciprocalTable, RsqrtTable};
use crate::float;
use crate::requantise::{ROW_BLOCK, row_block};
use half::bf16;
use kiln_dsl::kernel::build::{Acc32, Accum, Buf, Builder, Carried, Loadable, Scalar, ToVector, Vector};
use kiln_dsl::kernel::{Elem, Kernel};
use kiln_dsl::num::{Rounding, Saturation};
use ndarray::{Array2, ArrayView2, Axis};

use crate::fixed::{reciprocal_q15, rsqrt, saturate_i8, saturate_i16, srs};

/// Bits of the largest |c| of a row.
const ROW_BITS: u32 = 14;

/// Columns of the longest row: every intermediate fits its type up to here, and a whole turn of rows fits a core.
///
/// With `d` columns of i16:
///
/// - `|sum| <= d * 2^15`, and `peak`, `d * max` and `x * d - sum` are at most `d * (2^16 - 1)`: below 2^31 for
///   `d <= 2^15`.
/// - Shifted up, `d` multiplies as i16: a row that is not constant has `peak >= d / 2`, so `peak * 2^up < 2^14` keeps
///   `d * 2^up < 2^15`; without a shift, `d < 2^15`.
/// - `|c| <= 2^14`, so `c * mantissa < 2^29`. With `b = square_bits(d)` values of at most `2^b` are squared, and
///   `d * 4^b < 2^31` is how `b` is chosen.
/// - The value of the peak keeps `b` bits, at least `2^(b - 1)` after rounding, so `s >= 4^(b - 1)`. [`rsqrt`] takes
///   `s >= 2^16`, that is `b >= 9`: `d < 2^13`. Its shift is then at least 22, so `z`'s, `b + 1` less, is positive.
/// - `|z * gain| <= 2^30`, and `|beta| <= 2^30`.
///
/// The tightest of these is `d < 2^13`.
pub const MAX_COLUMNS: u32 = 2048;

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
/// When the row is empty or longer than [`MAX_COLUMNS`].
pub fn normalise(x: &[i16]) -> Vec<i16> {
    assert!(
        !x.is_empty() && x.len() <= MAX_COLUMNS as usize,
        "{} columns: expected 1..={MAX_COLUMNS}",
        x.len()
    );
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
/// When `x` is not in standard layout, or its columns are not `norm`'s, or more than [`MAX_COLUMNS`].
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

/// `out[M, d]` in bf16 of `x[M, d]`: [`reference_i16`]'s integers, rounded.
///
/// # Panics
/// As [`reference_i8`].
pub fn reference_bf16(x: ArrayView2<i16>, norm: &LayerNorm) -> Array2<bf16> {
    reference_i16(x, norm).mapv(float::from_i16)
}

/// A row of 16 bits as bytes times one multiplier, its own peak: `max |y|` becomes 127 or -127.
///
/// `127 / max` is `((127 * mantissa + 64) >> 7) * 2^-(shift + 8)` with `mantissa * 2^-shift = 2^15 / max`, within a
/// relative 2^-13; a row of zeros has multiplier 1.
pub fn scale_row(y: &[i16]) -> (Vec<i8>, i16) {
    let peak = y.iter().map(|v| i32::from(*v).abs()).max().unwrap_or(0).clamp(1, i16::MAX.into());
    let scale = reciprocal_q15(peak);
    let mantissa = (127 * i64::from(scale.mantissa) + 64) >> 7;
    let bytes = y.iter().map(|&v| saturate_i8(srs(i64::from(v) * mantissa, scale.shift + 8))).collect();
    (bytes, peak as i16)
}

/// `out[M, d]` of `x[M, d]` in bytes, and each row's multiplier: [`scale_row`] of [`reference_i16`]'s rows. The value of
/// a byte is `multiplier / 127` steps of the norm's output.
///
/// # Panics
/// As [`reference_i8`].
pub fn reference_rows(x: ArrayView2<i16>, norm: &LayerNorm) -> (Array2<i8>, Vec<i16>) {
    let wide = reference_i16(x, norm);
    let mut out = Array2::zeros(x.dim());
    let mut multipliers = Vec::with_capacity(x.nrows());
    for (y, mut out) in wide.axis_iter(Axis(0)).zip(out.axis_iter_mut(Axis(0))) {
        let (bytes, multiplier) = scale_row(y.to_slice().expect("rows in standard layout"));
        out.assign(&ndarray::ArrayView1::from(&bytes));
        multipliers.push(multiplier);
    }
    (out, multipliers)
}

/// Lanes that one step of a row takes.
const LANES: u32 = 32;

/// The kernel: [`reference_i8`], [`reference_i16`] or [`reference_bf16`] of `rows` rows of `d` columns. `x` is i16,
/// `gain` i16 and `beta` i32 per column, `shift[0]` in memory (it comes with them), `out` is `elem`; row-major.
///
/// # Panics
/// When `d` is not a multiple of 32 up to [`MAX_COLUMNS`], or `elem` is none of i8, i16 and bf16.
pub fn layernorm(rows: u32, d: u32, elem: Elem) -> Kernel {
    assert!(
        d.is_multiple_of(LANES) && rows * d > 0 && d <= MAX_COLUMNS,
        "layernorm of {d} columns: expected n x 32 <= {MAX_COLUMNS}"
    );
    match elem {
        Elem::I8 => rows_of::<i8>(rows, d),
        Elem::I16 => rows_of::<i16>(rows, d),
        Elem::Bf16 => rows_of_bf16(rows, d),
        other => panic!("layernorm to {other}: expected i8, i16 or bf16"),
    }
}

/// Rows that are normalised.
#[derive(Clone, Copy)]
enum Stream<'k> {
    Words(Buf<'k, i16>),
    Bytes(Buf<'k, i8>),
}

impl<'k> Stream<'k> {
    /// 32 elements in 16 bits.
    fn load(self, index: Scalar<'k>) -> Vector<'k, i16, 32> {
        match self {
            Stream::Words(x) => x.load::<32>(index),
            Stream::Bytes(x) => x.load::<32>(index).unpack(),
        }
    }
}

/// The norm of rows inside a kernel: its inputs and table, declared in the order of the parameters.
struct Norm<'k> {
    k: &'k Builder,
    d: u32,
    x: Stream<'k>,
    gain: Buf<'k, i16>,
    beta: Buf<'k, i32>,
    shift: Scalar<'k>,
    columns: Scalar<'k>,
}

impl<'k> Norm<'k> {
    /// Of rows of i16.
    fn declare(k: &'k Builder, rows: u32, d: u32) -> Norm<'k> {
        Norm::of(k, Stream::Words(k.input("x", [rows, d])), d)
    }

    fn of(k: &'k Builder, x: Stream<'k>, d: u32) -> Norm<'k> {
        let gain = k.input("gain", [d]);
        let (beta, shift) = (k.input("beta", [d]), k.input::<i32>("shift", [8]).get(0));
        Norm { k, d, x, gain, beta, shift, columns: k.constant(d as i32) }
    }

    /// Row `row`: `store` is told each column that is a multiple of 32, and its lanes before the last shift. Carries
    /// what `store` gives back from one to the next, from `init`.
    fn row<C: Carried<'k>>(
        &self,
        rsqrt: &RsqrtTable<'k>,
        row: Scalar<'k>,
        init: C,
        store: impl FnOnce(Scalar<'k>, Accum<'k, Acc32, 32>, C) -> C,
    ) -> C {
        let &Norm { k, d, x, gain, beta, columns, .. } = self;
        let (steps, square_bits) = (d / LANES, square_bits(d as usize));
        let load = |column| x.load(row * d + column);
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
        k.pipelined(1).fold(steps, init, |j, carried| {
            let c = centred(j * LANES).srs::<i16>(down);
            let z = c.times::<Acc32, i16>(mantissa).srs::<i16>(shift);
            let sum = beta.load::<32>(j * LANES).ups::<Acc32>(0).mac(z, gain.load::<32>(j * LANES));
            store(j * LANES, sum, carried)
        })
    }
}

fn rows_of<E: Loadable<32>>(rows: u32, d: u32) -> Kernel
where
    Acc32: ToVector<E, 32>,
{
    rows_to::<E>(rows, d, |_, out, at, sum, shift| out.store(at, sum.srs::<E>(shift)))
}

fn rows_of_bf16(rows: u32, d: u32) -> Kernel {
    rows_to::<bf16>(rows, d, |k, out, at, sum, shift| {
        out.store(at, float::staged_from_i16(k, sum.srs::<i16>(shift)));
    })
}

/// The kernel of [`layernorm`], with what stores 32 sums before their last shift.
fn rows_to<E: Loadable<32>>(
    rows: u32,
    d: u32,
    store: impl for<'k> Fn(&'k Builder, Buf<'k, E>, Scalar<'k>, Accum<'k, Acc32, 32>, Scalar<'k>),
) -> Kernel {
    let name = format!("layernorm_{}_{rows}x{d}", E::ELEM);
    Kernel::build(&name, Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let norm = Norm::declare(k, rows, d);
        let out = k.output::<E>("out", [rows, d]);
        let rsqrt = RsqrtTable::declare(k);
        k.for_n(rows, |row| {
            let nothing: [Scalar; 0] = [];
            norm.row(&rsqrt, row, nothing, |column, sum, nothing| {
                store(k, out, row * d + column, sum, norm.shift);
                nothing
            });
        });
    })
    .with_doc(&format!(
        "out[{rows}, {d}] {} = layer norm of x[{rows}, {d}] i16, times gain plus beta.",
        E::ELEM
    ))
}

/// The kernel: [`reference_rows`] of `rows` rows of `d` columns, row-major; `out` has `d` bytes a row and its
/// multiplier in the 64 bytes of a row block ([`crate::requantise::row_block`]). The other parameters are
/// [`layernorm`]'s, and a scratch row of 16 bits.
///
/// # Panics
/// When `d` is not a multiple of 64 up to [`MAX_COLUMNS`].
pub fn layernorm_rows(rows: u32, d: u32) -> Kernel {
    assert!(
        d.is_multiple_of(64) && rows * d > 0 && d <= MAX_COLUMNS,
        "layernorm of {d} columns: expected n x 64 <= {MAX_COLUMNS}"
    );
    let (name, width) = (format!("layernorm_rows_{rows}x{d}"), d + ROW_BLOCK as u32);
    Kernel::build(&name, Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let norm = Norm::declare(k, rows, d);
        let out = k.output::<i8>("out", [rows, width]);
        let wide = k.scratch::<i16>("wide", [d]);
        let rsqrt = RsqrtTable::declare(k);
        let reciprocal = ReciprocalTable::declare(k);
        k.for_n(rows, |row| {
            let zeros = k.zeros::<i16, 32>();
            let (max, min) = norm.row(&rsqrt, row, (zeros, zeros), |column, sum, (max, min)| {
                let y = sum.srs::<i16>(norm.shift);
                wide.store(column, y);
                (max.max(y), min.min(y))
            });
            let peak = max.reduce_max().max(-min.reduce_min()).max(1).min(i32::from(i16::MAX));
            let scale = reciprocal.of(peak);
            let mantissa = (scale.mantissa * 127 + 64).shift_right(7);
            let mantissa = k.splat::<i16, 32>(mantissa);
            let shift = scale.shift + 8;
            k.pipelined(1).for_step(0, d / LANES, 1, |j| {
                let y = wide.load::<32>(j * LANES);
                out.store(row * width + j * LANES, y.times::<Acc32, i16>(mantissa).srs::<i8>(shift));
            });
            out.store::<64>(row * width + d, k.splat::<i16, 32>(peak).cast());
        });
    })
    .with_doc(&format!(
        "out[{rows}, {d}] i8 = layer norm of x[{rows}, {d}] i16, times gain plus beta, each row up to 127; and multipliers."
    ))
}

/// The kernel: [`reference_i8`] of `rows` rows of `d` columns, where the stream is bytes: `x` is i8. The other parameters
/// are [`layernorm`]'s.
///
/// # Panics
/// When `d` is not a multiple of 32 up to [`MAX_COLUMNS`].
pub fn layernorm_bytes(rows: u32, d: u32) -> Kernel {
    assert!(
        d.is_multiple_of(LANES) && rows * d > 0 && d <= MAX_COLUMNS,
        "layernorm of {d} columns: expected n x 32 <= {MAX_COLUMNS}"
    );
    let name = format!("layernorm_bytes_{rows}x{d}");
    Kernel::build(&name, Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let norm = Norm::of(k, Stream::Bytes(k.input("x", [rows, d])), d);
        let out = k.output::<i8>("out", [rows, d]);
        let rsqrt = RsqrtTable::declare(k);
        k.for_n(rows, |row| {
            let nothing: [Scalar; 0] = [];
            norm.row(&rsqrt, row, nothing, |column, sum, nothing| {
                out.store(row * d + column, sum.srs::<i8>(norm.shift));
                nothing
            });
        });
    })
    .with_doc(&format!("out[{rows}, {d}] i8 = layer norm of x[{rows}, {d}] i8, times gain plus beta."))
}

/// The sum of all lanes, wrapping.
fn total<'k>(lanes: Accum<'k, Acc32, 32>) -> Scalar<'k> {
    let lanes = lanes.srs::<i32>(0);
    (lanes.low::<16>() + lanes.high::<16>()).reduce_add()
}

/// Random rows and a random norm.
fn random(source: &mut Source, rows: u32, d: u32) -> (Array2<i16>, LayerNorm) {
    let amplitude = [1, 30, 5000, 32767][source.number(0, 3) as usize];
    let x = source.matrix::<i16>([rows as usize, d as usize], [-amplitude, amplitude]);
    let gain: Vec<i16> = source.values(d as usize, -32767, 32767).into_iter().map(|v| v as i16).collect();
    let beta: Vec<i32> =
        source.values(d as usize, -(1 << 30), 1 << 30).into_iter().map(|v| v as i32).collect();
    let shift = source.number(0, 30) as u32;
    (x, LayerNorm { gain, beta, shift })
}

/// The arguments of a kernel: inputs, the output of `out` bytes, `locals` that it fills or has.
fn arguments(x: Array2<i16>, norm: &LayerNorm, out: usize, locals: usize) -> Vec<Arg> {
    let mut args = vec![
        Arg::Bytes(bytes_of(&x.into_raw_vec_and_offset().0)),
        Arg::Bytes(bytes_of(&norm.gain)),
        Arg::Bytes(bytes_of(&norm.beta)),
        Arg::Bytes(bytes_of(&[norm.shift as i32, 0, 0, 0, 0, 0, 0, 0])),
        Arg::Bytes(vec![0; out]),
    ];
    args.extend((0..locals).map(|_| Arg::Local));
    args
}

/// [`layernorm_bytes`] with its test cases.
pub fn entry_bytes(rows: u32, d: u32) -> Entry {
    Entry::new(layernorm_bytes(rows, d), move |source| {
        let (_, norm) = random(source, rows, d);
        let amplitude = [1, 30, 127][source.number(0, 2) as usize];
        let x = source.matrix::<i8>([rows as usize, d as usize], [-amplitude - 1, amplitude]);
        let out = bytes_of(&reference_i8(x.mapv(i16::from).view(), &norm).into_raw_vec_and_offset().0);
        let mut args = arguments(Array2::zeros((0, 0)), &norm, out.len(), 1);
        args[0] = Arg::Bytes(bytes_of(&x.into_raw_vec_and_offset().0));
        Case { args, expected: vec![(4, out)] }
    })
}

/// [`layernorm_rows`] with its test cases.
pub fn entry_rows(rows: u32, d: u32) -> Entry {
    Entry::new(layernorm_rows(rows, d), move |source| {
        let (x, norm) = random(source, rows, d);
        let (bytes, multipliers) = reference_rows(x.view(), &norm);
        let out = ndarray::concatenate![Axis(1), bytes, row_block(&multipliers)];
        let out = bytes_of(out.as_standard_layout().as_slice().expect("standard layout"));
        Case { args: arguments(x, &norm, out.len(), 3), expected: vec![(4, out)] }
    })
}

/// The kernel with its test cases.
pub fn entry(rows: u32, d: u32, elem: Elem) -> Entry {
    Entry::new(layernorm(rows, d, elem), move |source| {
        let (x, norm) = random(source, rows, d);
        let out = match elem {
            Elem::I8 => bytes_of(&reference_i8(x.view(), &norm).into_raw_vec_and_offset().0),
            Elem::Bf16 => bytes_of(&reference_bf16(x.view(), &norm).into_raw_vec_and_offset().0),
            _ => bytes_of(&reference_i16(x.view(), &norm).into_raw_vec_and_offset().0),
        };
        Case { args: arguments(x, &norm, out.len(), 1), expected: vec![(4, out)] }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_dsl::device::Device;
    use kiln_sim::core::{Engine, KernelArg, run_kernel_on};
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
        for d in [1, 2, 63, 64, 80, 384, 512, 768, 1024, 1280, 2047, 2048] {
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

    /// Rows at the ends of what 32 bits hold, by the arithmetic of the reference, which overflows loudly, and by the
    /// kernel's, which wraps: all of one value, one value apart from the rest, halves at both ends, a slope of one.
    #[test]
    fn the_longest_rows_stay_in_their_bits() {
        for d in [1024, 1280, 2048] {
            let ends = [i16::MIN, -1, 0, 1, i16::MAX];
            let pairs = ends.iter().flat_map(|&a| ends.map(|b| (a, b)));
            let mut rows: Vec<Vec<i16>> = Vec::new();
            for (most, other) in pairs {
                for others in [1, d / 2, d - 1] {
                    rows.push((0..d).map(|i| if i < others { other } else { most }).collect());
                }
            }
            rows.push((0..d).map(|i| i as i16).collect());
            rows.push((0..d).map(|i| if i % 2 == 0 { i16::MAX } else { -i16::MAX }).collect());
            for row in &rows {
                z_error(row);
            }

            let x = Array2::from_shape_vec((rows.len(), d), rows.concat()).expect("rows of d");
            let gain: Vec<i16> = (0..d).map(|i| [i16::MIN + 1, 0, i16::MAX][i % 3]).collect();
            let beta: Vec<i32> = (0..d).map(|i| [-(1 << 30), 0, 1 << 30][i / 3 % 3]).collect();
            let norm = LayerNorm { gain, beta, shift: 16 };
            let expected = bytes_of(reference_i16(x.view(), &norm).as_slice().expect("standard layout"));
            let kernel = layernorm(rows.len() as u32, d as u32, Elem::I16);
            let entry = Entry::new(kernel, |_| unreachable!("the arguments are the test's"));
            let operand = |(param, arg): (usize, Arg)| match arg {
                Arg::Bytes(bytes) => KernelArg::Memory(bytes),
                Arg::I32(value) => KernelArg::I32(value),
                Arg::Local => KernelArg::Memory(entry.local_bytes(param)),
            };
            let args = arguments(x, &norm, expected.len(), 1).into_iter().enumerate();
            let mut args: Vec<KernelArg> = args.map(operand).collect();
            let run = run_kernel_on(&entry.kernel, Device::npu1(), Engine::Interpreter, &mut args);
            run.unwrap_or_else(|e| panic!("{e}"));
            assert!(matches!(&args[4], KernelArg::Memory(out) if *out == expected), "rows of {d}");
        }
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
