//! Requantisation: a 32-bit accumulator to i8 or i16, with one multiplier per column and two shifts per tensor.
//!
//! `h = sat16(srs(acc, acc_shift)); out = sat(srs(h * mult[n], out_shift))`: two shift-round-saturate steps and one
//! i16 x i16 multiplication, because a core multiplies 16-bit lanes.
//!
//! Where the rows of the left operand have multipliers of their own, one more step of the same kind comes between, and
//! the bias comes last ([`RowRequant`]).

use crate::case::{Arg, Case, Entry, Source, bytes_of};
use crate::tiles::to_tiles;
use kiln_dsl::kernel::build::{Acc32, Accum, Buf, Builder, Halves, Loadable, Scalar, ToVector, Vector};
use kiln_dsl::kernel::{Elem, Kernel};
use kiln_dsl::num::shuffle::T64_2X8_LO;
use kiln_dsl::num::{Rounding, Saturation};
use ndarray::{Array1, Array2, ArrayView2};

use crate::fixed::{saturate_i8, saturate_i16, srs};

/// Multipliers and shifts of one tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requant {
    /// Right shift of the accumulator before it is taken as i16: 0..=31.
    pub acc_shift: u32,
    /// Multiplier of each column, `1..=32767`.
    pub mult: Vec<i16>,
    /// Right shift of the product: 0..=31.
    pub out_shift: u32,
}

impl Requant {
    /// The integers for `out = acc * factors[n]`.
    ///
    /// `acc_peaks[n]` is the largest |accumulator| of column `n` that must pass unsaturated; larger ones clip.
    /// The accumulator keeps its 15 most significant bits below the largest peak, the multipliers 15 bits of the
    /// largest factor. Without columns the result has none.
    ///
    /// # Panics
    /// When the slices differ in length, or a factor is not finite and positive.
    pub fn new(factors: &[f64], acc_peaks: &[f64]) -> Requant {
        assert_eq!(factors.len(), acc_peaks.len(), "factors and accumulator peaks");
        assert!(factors.iter().all(|f| f.is_finite() && *f > 0.0), "factors must be finite and positive");
        let peak = acc_peaks.iter().copied().fold(1.0, f64::max);
        let mut acc_shift = (0..31).find(|&s| peak / f64::from(1u32 << s) <= 32767.0).unwrap_or(31);
        let largest = factors.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        // A factor above 2^15 per accumulator step cannot be written down: the output would clip everywhere.
        let out_shift = |acc_shift: u32| (32767.4 / largest).log2().floor() - f64::from(acc_shift);
        if out_shift(acc_shift) > 31.0 {
            acc_shift = (acc_shift + (out_shift(acc_shift) - 31.0) as u32).min(31);
        }
        let out_shift = out_shift(acc_shift).clamp(0.0, 31.0) as u32;
        let unit = f64::from(acc_shift + out_shift).exp2();
        let mult = factors.iter().map(|f| (f * unit).round().clamp(1.0, 32767.0) as i16).collect();
        Requant { acc_shift, mult, out_shift }
    }

    /// One accumulator of column `column`, before the output's saturation.
    #[inline]
    pub fn apply(&self, acc: i32, column: usize) -> i64 {
        let h = saturate_i16(srs(acc.into(), self.acc_shift));
        srs(i64::from(h) * i64::from(self.mult[column]), self.out_shift)
    }

    /// The factor that column `column` really applies.
    pub fn factor(&self, column: usize) -> f64 {
        f64::from(self.mult[column]) / f64::from(self.acc_shift + self.out_shift).exp2()
    }
}

/// Requantisation of a product whose rows have multipliers: `t = sat16(srs(h * row[m], row_shift))` of [`Requant`]'s
/// `h`, then `out = sat(srs(t * mult[n] + bias[n], out_shift))`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowRequant {
    /// The shifts and column multipliers; `out_shift` follows the bias.
    pub columns: Requant,
    /// Right shift of the product with the row's multiplier: 0..=31.
    pub row_shift: u32,
    /// What each column adds, in units of `2^-out_shift` steps of the output: at most 2^30, so that the sum fits 32 bits.
    pub bias: Vec<i32>,
}

impl RowRequant {
    /// The integers for `out = acc * row * factors[n] + offsets[n]`.
    ///
    /// `acc_peaks[n]` is the largest |accumulator| of column `n` that must pass unsaturated, and `row_peaks[n]` the
    /// largest |accumulator x row multiplier|; larger ones clip.
    ///
    /// # Panics
    /// When the slices differ in length, or a factor is not finite and positive.
    pub fn new(factors: &[f64], offsets: &[f64], acc_peaks: &[f64], row_peaks: &[f64]) -> RowRequant {
        assert_eq!((factors.len(), factors.len()), (offsets.len(), row_peaks.len()), "columns");
        let bits = |peaks: &[f64], least: u32| {
            let peak = peaks.iter().copied().fold(1.0, f64::max);
            (least..least + 31).find(|&s| peak / f64::from(s).exp2() <= 32767.0).unwrap_or(least + 31)
        };
        let acc_shift = bits(acc_peaks, 0);
        let row_shift = bits(row_peaks, acc_shift) - acc_shift;
        let down = f64::from(acc_shift + row_shift).exp2();
        let scaled: Vec<f64> = factors.iter().map(|f| f * down).collect();
        // `t` has at most 15 bits, so the multiplier's own requantisation needs no further shift before it.
        let inner = Requant::new(&scaled, &vec![32767.0; factors.len()]);
        let limit = f64::from(1 << 30);
        let largest = offsets.iter().map(|o| o.abs()).fold(0.0, f64::max);
        let spare =
            (0..=inner.out_shift).rev().find(|&s| largest * f64::from(s).exp2() <= limit).unwrap_or(0);
        let lost = f64::from(inner.out_shift - spare).exp2();
        let mult = inner.mult.iter().map(|&m| (f64::from(m) / lost).round().max(1.0) as i16).collect();
        let unit = f64::from(spare).exp2();
        let bias = offsets.iter().map(|o| (o * unit).round_ties_even().clamp(-limit, limit) as i32).collect();
        RowRequant { columns: Requant { acc_shift, mult, out_shift: spare }, row_shift, bias }
    }

    /// One accumulator of column `column` in a row with multiplier `row`, before the output's saturation.
    #[inline]
    pub fn apply(&self, acc: i32, row: i16, column: usize) -> i64 {
        let Requant { acc_shift, mult, out_shift } = &self.columns;
        let h = saturate_i16(srs(acc.into(), *acc_shift));
        let t = saturate_i16(srs(i64::from(h) * i64::from(row), self.row_shift));
        srs(i64::from(t) * i64::from(mult[column]) + i64::from(self.bias[column]), *out_shift)
    }

    /// The factor that column `column` really applies, to an accumulator times its row's multiplier.
    pub fn factor(&self, column: usize) -> f64 {
        self.columns.factor(column) / f64::from(self.row_shift).exp2()
    }
}

/// `out[M, N]` in i8 from `acc[M, N]`.
///
/// # Panics
/// When `acc` has more columns than `q` multipliers.
pub fn reference_i8(acc: ArrayView2<i32>, q: &Requant) -> Array2<i8> {
    Array2::from_shape_fn(acc.dim(), |(m, n)| saturate_i8(q.apply(acc[(m, n)], n)))
}

/// `out[M, N]` in i16 from `acc[M, N]`.
///
/// # Panics
/// When `acc` has more columns than `q` multipliers.
pub fn reference_i16(acc: ArrayView2<i32>, q: &Requant) -> Array2<i16> {
    Array2::from_shape_fn(acc.dim(), |(m, n)| saturate_i16(q.apply(acc[(m, n)], n)))
}

/// Columns of 8 as a 4x8 tile: each of its rows the same.
fn four_rows<'k, E>(row: Vector<'k, E, 8>) -> Vector<'k, E, 32>
where
    E: Halves<16, 8> + Halves<32, 16>,
{
    let two: Vector<'k, E, 16> = row.concat(row);
    two.concat(two)
}

/// The per-column parameters of a requantisation inside a kernel: `bias` (i32) and `mult` (i16) of
/// every column, `acc_shift` and `out_shift` of the tensor.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'k> {
    bias: Buf<'k, i32>,
    mult: Buf<'k, i16>,
    acc_shift: Scalar<'k>,
    out_shift: Scalar<'k>,
}

impl<'k> Columns<'k> {
    /// Declares the four parameters, in this order, for `columns` columns.
    pub(crate) fn declare(k: &'k Builder, columns: u32) -> Columns<'k> {
        let (bias, mult) = (k.input("bias", [columns]), k.input("mult", [columns]));
        Columns { bias, mult, acc_shift: k.param_i32("acc_shift"), out_shift: k.param_i32("out_shift") }
    }

    /// The parameters of tile column `j`.
    pub(crate) fn of_tile(&self, j: Scalar<'k>) -> TileColumns<'k> {
        TileColumns {
            bias: four_rows(self.bias.load::<8>(j * 8)),
            mult: four_rows(self.mult.load::<8>(j * 8)),
            acc_shift: self.acc_shift,
        }
    }

    /// The second shift.
    pub(crate) fn out_shift(&self) -> Scalar<'k> {
        self.out_shift
    }
}

/// The parameters of the eight columns of one tile column, once for each of its rows.
#[derive(Clone, Copy)]
pub(crate) struct TileColumns<'k> {
    bias: Vector<'k, i32, 32>,
    mult: Vector<'k, i16, 32>,
    acc_shift: Scalar<'k>,
}

impl<'k> TileColumns<'k> {
    /// `srs16(sum + bias, acc_shift) * mult` of a 4x8 tile; what is left is the shift by
    /// [`Columns::out_shift`] to the output's type.
    pub(crate) fn requantise(&self, sum: Accum<'k, Acc32, 32>) -> Accum<'k, Acc32, 32> {
        self.scale(sum + self.start())
    }

    /// The bias, for a sum to start from: in 32-bit lanes, which wrap, as good as added at the end.
    pub(crate) fn start(&self) -> Accum<'k, Acc32, 32> {
        self.bias.ups(0)
    }

    /// As [`TileColumns::requantise`], of a sum that started from the bias.
    pub(crate) fn scale(&self, sum: Accum<'k, Acc32, 32>) -> Accum<'k, Acc32, 32> {
        sum.srs::<i16>(self.acc_shift).times(self.mult)
    }
}

/// The kernel: `out[m, n] = sat(srs(srs16(acc + bias[n], acc_shift) * mult[n], out_shift))`, with
/// `acc` (i32) and `out` (`elem`: i8 or i16) in 4x8 tiles of a row-major grid.
///
/// # Panics
/// When `m` is not a multiple of 4 or `n` of 8, or `elem` is neither i8 nor i16.
pub fn requantise(m: u32, n: u32, elem: Elem) -> Kernel {
    assert!(m.is_multiple_of(4) && n.is_multiple_of(8) && m * n > 0, "requantise {m}x{n}: tiles are 4x8");
    match elem {
        Elem::I8 => tiles::<i8>(m, n),
        Elem::I16 => tiles::<i16>(m, n),
        other => panic!("requantise to {other}: expected i8 or i16"),
    }
}

fn tiles<E: Loadable<32>>(m: u32, n: u32) -> Kernel
where
    Acc32: ToVector<E, 32>,
{
    let (mt, nt) = (m / 4, n / 8);
    let name = format!("requantise_{}_{m}x{n}", E::ELEM);
    let doc = format!(
        "acc[{m}, {n}] i32 to out[{m}, {n}] {}, both in 4x8 tiles; bias and mult per column.",
        E::ELEM
    );
    Kernel::build(&name, Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let acc = k.input_tiles::<i32, 32>("acc", [4, 8], [mt, nt]);
        let columns = Columns::declare(k, n);
        let out = k.output_tiles::<E, 32>("out", [4, 8], [mt, nt]);
        // Columns outside, so that a column's parameters are loaded once.
        k.for_n(nt, |j| {
            let tile = columns.of_tile(j);
            k.pipelined(1).for_step(0, mt, 1, |i| {
                let sum = acc.load(i, j).ups(0);
                out.store(i, j, tile.requantise(sum).srs::<E>(columns.out_shift()));
            });
        });
    })
    .with_doc(&doc)
}

/// Rows of 64 bytes that hold a row's multiplier 32 times: below, the *row block* of a product's left operand.
pub const ROW_BLOCK: usize = 64;

/// The row block of some rows: `[M, 64]` bytes, each row its multiplier in i16 again and again.
pub fn row_block(multipliers: &[i16]) -> Array2<i8> {
    Array2::from_shape_fn((multipliers.len(), ROW_BLOCK), |(m, j)| multipliers[m].to_le_bytes()[j % 2] as i8)
}

/// The kernel: [`RowRequant`] of `acc[m, n]` (i32, in 4x8 tiles) to `out` (`elem`: i8 or i16, in 4x8 tiles), with the
/// rows' multipliers in a row block `rows[m, 64]` (in 4x8 tiles, of which the first column is read).
///
/// # Panics
/// When `m` is not a multiple of 4 or `n` of 8, or `elem` is neither i8 nor i16.
pub fn requantise_rows(m: u32, n: u32, elem: Elem) -> Kernel {
    assert!(m.is_multiple_of(4) && n.is_multiple_of(8) && m * n > 0, "requantise {m}x{n}: tiles are 4x8");
    match elem {
        Elem::I8 => tiles_of_rows::<i8>(m, n),
        Elem::I16 => tiles_of_rows::<i16>(m, n),
        other => panic!("requantise to {other}: expected i8 or i16"),
    }
}

fn tiles_of_rows<E: Loadable<32>>(m: u32, n: u32) -> Kernel
where
    Acc32: ToVector<E, 32>,
{
    let (mt, nt) = (m / 4, n / 8);
    let name = format!("requantise_rows_{}_{m}x{n}", E::ELEM);
    let doc = format!(
        "acc[{m}, {n}] i32 to out[{m}, {n}] {}, both in 4x8 tiles; mult and bias per column, multipliers per row.",
        E::ELEM
    );
    Kernel::build(&name, Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let acc = k.input_tiles::<i32, 32>("acc", [4, 8], [mt, nt]);
        let rows = k.input_tiles::<i8, 32>("rows", [4, 8], [mt, ROW_BLOCK as u32 / 8]);
        let columns = Columns::declare(k, n);
        let row_shift = k.param_i32("row_shift");
        let out = k.output_tiles::<E, 32>("out", [4, 8], [mt, nt]);
        k.for_n(nt, |j| {
            let tile = columns.of_tile(j);
            k.pipelined(1).for_step(0, mt, 1, |i| {
                // Four copies of each of four multipliers; interleaved with itself, eight: the lanes of a 4x8 tile.
                let four: Vector<i16, 16> = rows.load(i, 0).cast();
                let twice: Vector<i16, 32> = four.concat(four);
                let multipliers = twice.shuffle(twice, T64_2X8_LO);
                let h = acc.load(i, j).ups::<Acc32>(0).srs::<i16>(columns.acc_shift);
                let t = h.times::<Acc32, i16>(multipliers).srs::<i16>(row_shift);
                out.store(i, j, tile.start().mac(t, tile.mult).srs::<E>(columns.out_shift()));
            });
        });
    })
    .with_doc(&doc)
}

/// [`requantise_rows`] with its test cases.
pub fn entry_rows(m: u32, n: u32, elem: Elem) -> Entry {
    Entry::new(requantise_rows(m, n, elem), move |source| {
        let [rows, cols] = [m as usize, n as usize];
        let acc = source.matrix::<i32>([rows, cols], [-(1 << 30), 1 << 30]);
        let multipliers: Vec<i16> = source.values(rows, 1, 32767).into_iter().map(|v| v as i16).collect();
        let (bias, columns, params) = column_case(source, cols);
        let row_shift = source.number(0, 31);
        let q = RowRequant { columns, row_shift: row_shift as u32, bias: bias.to_vec() };
        let value = |at: (usize, usize)| q.apply(acc[at], multipliers[at.0], at.1);
        let out = match elem {
            Elem::I8 => {
                let out = Array2::from_shape_fn(acc.dim(), |at| saturate_i8(value(at)));
                bytes_of(&to_tiles(out.view(), [4, 8]))
            }
            _ => {
                let out = Array2::from_shape_fn(acc.dim(), |at| saturate_i16(value(at)));
                bytes_of(&to_tiles(out.view(), [4, 8]))
            }
        };
        let tiles = |bytes: &[u8]| Arg::Bytes(bytes.to_vec());
        let mut args = vec![
            tiles(&bytes_of(&to_tiles(acc.view(), [4, 8]))),
            tiles(&bytes_of(&to_tiles(row_block(&multipliers).view(), [4, 8]))),
        ];
        args.extend(params);
        args.push(Arg::I32(row_shift as i32));
        args.push(Arg::Bytes(vec![0; out.len()]));
        Case { args, expected: vec![(7, out)] }
    })
}

/// The kernel with its test cases.
pub fn entry(m: u32, n: u32, elem: Elem) -> Entry {
    Entry::new(requantise(m, n, elem), move |source| {
        let [rows, cols] = [m as usize, n as usize];
        let acc = source.matrix::<i32>([rows, cols], [-(1 << 30), 1 << 30]);
        let (bias, q, params) = column_case(source, cols);
        let sums = &acc + &bias;
        let out = requantised_tiles(sums.view(), &q, elem);
        let mut args = vec![Arg::Bytes(bytes_of(&to_tiles(acc.view(), [4, 8])))];
        args.extend(params);
        args.push(Arg::Bytes(vec![0; out.len()]));
        Case { args, expected: vec![(5, out)] }
    })
}

/// Random column parameters: the biases, the requantisation, and the four arguments.
pub(crate) fn column_case(source: &mut Source, columns: usize) -> (Array1<i32>, Requant, [Arg; 4]) {
    let bias: Array1<i32> =
        source.values(columns, -(1 << 29), 1 << 29).into_iter().map(|v| v as i32).collect();
    let mult: Vec<i16> = source.values(columns, 1, 32767).into_iter().map(|v| v as i16).collect();
    let (acc_shift, out_shift) = (source.number(0, 31) as u32, source.number(0, 31) as u32);
    let args = [
        Arg::Bytes(bytes_of(&bias.to_vec())),
        Arg::Bytes(bytes_of(&mult)),
        Arg::I32(acc_shift as i32),
        Arg::I32(out_shift as i32),
    ];
    (bias, Requant { acc_shift, mult, out_shift }, args)
}

/// The output's bytes in 4x8 tiles.
pub(crate) fn requantised_tiles(sums: ArrayView2<i32>, q: &Requant, elem: Elem) -> Vec<u8> {
    match elem {
        Elem::I8 => bytes_of(&to_tiles(reference_i8(sums, q).view(), [4, 8])),
        _ => bytes_of(&to_tiles(reference_i16(sums, q).view(), [4, 8])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rounds_and_saturates() {
        let q = Requant { acc_shift: 1, mult: vec![3, 1], out_shift: 2 };
        let acc = ndarray::arr2(&[[20, 20], [4000, -4000], [5, 3]]);
        assert_eq!(reference_i8(acc.view(), &q), ndarray::arr2(&[[8, 2], [127, -128], [2, 0]]));
        assert_eq!(reference_i16(acc.view(), &q), ndarray::arr2(&[[8, 2], [1500, -500], [2, 0]]));
    }

    proptest! {
        /// With rows: half a step of the output, of `t` and of `h` at the factors' sizes, and the multiplier's rounding.
        #[test]
        fn error_with_rows_is_bounded(factor in 1e-9f64..1e-3, row in 500i16..32767, share in -1.0f64..1.0, offset in -20000.0f64..20000.0) {
            let peak = 32767.0 / factor;
            let acc_peak = (peak / f64::from(row)).min(1e9);
            let q = RowRequant::new(&[factor], &[offset], &[acc_peak], &[acc_peak * f64::from(row)]);
            let acc = (acc_peak * share) as i32;
            let exact = f64::from(acc) * f64::from(row) * factor + offset;
            let t_step = f64::from(q.columns.acc_shift + q.row_shift).exp2() * factor;
            let h_step = if q.columns.acc_shift > 0 { f64::from(q.columns.acc_shift).exp2() * factor * f64::from(row) } else { 0.0 };
            let mult = (exact - offset).abs() * 0.5 / f64::from(q.columns.mult[0]);
            let bound = 1.0 + 0.51 * (t_step + h_step) + mult * 1.001 + 1e-6;
            prop_assert!((q.apply(acc, row, 0) as f64 - exact).abs() <= bound, "{q:?} {acc} {exact} {bound}");
        }

        /// |out - acc * factor| <= half an output step, plus half a step of the 16-bit h at the factor's size,
        /// plus the multiplier's rounding: half its step, relative to the multiplier.
        #[test]
        fn error_is_bounded(factor in 1e-7f64..10.0, ratio in 0.05f64..1.0, share in -1.0f64..1.0) {
            let peak = 32767.0 / factor;
            let q = Requant::new(&[factor, factor * ratio], &[peak.min(2e9), peak.min(2e9)]);
            for n in 0..2 {
                let f = [factor, factor * ratio][n];
                let acc = (peak.min(2e9) * share) as i32;
                let exact = f64::from(acc) * f;
                let h_step = f64::from(q.acc_shift).exp2() * f;
                let bound = 0.5 + if q.acc_shift > 0 { 0.5 * h_step } else { 0.0 } + exact.abs() * 0.5 / f64::from(q.mult[n]) * 1.001 + 1e-6;
                prop_assert!((q.apply(acc, n) as f64 - exact).abs() <= bound, "{q:?} {acc} {exact} {bound}");
            }
        }
    }
}
