//! Mel bands of a power spectrum, and their logarithms.
//!
//! A band is a sum of bf16 weights by bf16 powers in an f32 accumulator; only the bins that a filter covers are read. The
//! logarithm comes from the float's bits: exponent and fraction together are `log2` with a straight line in each
//! octave, and a table adds what the line lacks: `t = srs(bits - offset, 15)`, `y = max(t + table[t & 255], floor)`, in
//! units of 2^-8. A sum of zero has the least exponent, far below every floor.
//!
//! Error: rounding `t` and the table moves a logarithm by at most one unit, 2.9e-4 of a log-mel value.

use crate::case::{Arg, Case, Entry, Source, bytes_of};
use crate::fixed::{saturate_i16, srs};
use crate::float::mac;
use crate::whisper::mel::mel_filters;
use half::bf16;
use kiln_dsl::kernel::Kernel;
use kiln_dsl::kernel::build::{Acc32, AccFloat, Accum, Builder, Vector};
use kiln_dsl::num::{Rounding, Saturation};
use ndarray::{Array2, ArrayView2};

use super::{FRAMES, LOG_BITS, LOG_OFFSET};

/// Fraction bits of f32 below those of a logarithm.
const BITS_SHIFT: u32 = 23 - LOG_BITS;

/// Bits of `2^LOG_OFFSET`, whose logarithm is zero.
const ONE: i32 = (127 + LOG_OFFSET) << 23;

/// Entries of the table: fractions of an octave.
const FRACTIONS: usize = 1 << LOG_BITS;

/// What a straight line in an octave lacks of log2, in units of 2^-8: at its ends nothing.
pub fn corrections() -> [i16; FRACTIONS] {
    let unit = FRACTIONS as f64;
    std::array::from_fn(|i| {
        let f = i as f64 / unit;
        (((1.0 + f).log2() - f) * unit).round_ties_even() as i16
    })
}

/// The filters of a number of bands: for each the bins it covers, and their weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Filters {
    /// First bin of a band, and its weights.
    pub bands: Vec<(u32, Vec<bf16>)>,
}

impl Filters {
    /// Whisper's, in bf16.
    pub fn new(mels: usize) -> Filters {
        let band = |row: ndarray::ArrayView1<f64>| {
            let first = row.iter().position(|w| *w > 0.0).unwrap_or(0);
            let weights = row.iter().skip(first).take_while(|w| **w > 0.0);
            (first as u32, weights.map(|w| bf16::from_f64(*w)).collect())
        };
        Filters { bands: mel_filters(mels).rows().into_iter().map(band).collect() }
    }

    /// Weights of all bands.
    pub fn weights(&self) -> u32 {
        self.bands.iter().map(|(_, weights)| weights.len() as u32).sum()
    }

    /// As a kernel reads them: for each band its first bin, the number of its weights and where they start; then the
    /// weights.
    pub fn pack(&self) -> Vec<i16> {
        let mut at = 3 * self.bands.len();
        let mut packed = Vec::with_capacity(at + self.weights() as usize);
        for (first, weights) in &self.bands {
            packed.extend([*first as usize, weights.len(), at].map(|v| v as i16));
            at += weights.len();
        }
        packed.extend(self.bands.iter().flat_map(|(_, weights)| weights).map(|w| w.to_bits() as i16));
        packed
    }
}

/// Logarithms `[bands, frames]` in units of 2^-8, at least `floor`, of power `[bins, frames]`.
///
/// # Panics
/// When a filter covers a bin that is not there, or a power is not finite.
pub fn reference(filters: &Filters, power: ArrayView2<bf16>, floor: i16) -> Array2<i16> {
    let table = corrections();
    Array2::from_shape_fn((filters.bands.len(), power.ncols()), |(band, frame)| {
        let (first, weights) = &filters.bands[band];
        let terms = weights
            .iter()
            .enumerate()
            .map(|(i, w)| (w.to_f32(), power[(*first as usize + i, frame)].to_f32()));
        let sum = terms.fold(0.0, |sum, term| mac(Some(sum), [term]));
        let line = saturate_i16(srs(i64::from((sum.to_bits() as i32).wrapping_sub(ONE)), BITS_SHIFT));
        line.wrapping_add(table[usize::from(line as u16) % FRACTIONS]).max(floor)
    })
}

/// Sizes of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BandsShape {
    /// Bins of the power.
    pub bins: u32,
    /// Bands.
    pub mels: u32,
    /// Weights of all filters.
    pub weights: u32,
}

impl BandsShape {
    /// Name of the kernel: unique for a shape.
    pub fn name(&self) -> String {
        format!("mel_bands_{}x{}_{}", self.bins, self.mels, self.weights)
    }

    /// Elements of packed filters.
    pub const fn filters_len(&self) -> u32 {
        3 * self.mels + self.weights
    }
}

/// The kernel: `logs[mels, 32]` of `power[bins, 32]`.
///
/// # Panics
/// When a size is 0.
pub fn bands(shape: BandsShape) -> Kernel {
    let BandsShape { bins, mels, weights } = shape;
    assert!(bins * mels * weights > 0, "{shape:?}: sizes above 0");
    Kernel::build(&shape.name(), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let power = k.input::<bf16>("power", [bins, FRAMES]);
        let filters = k.input::<i16>("filters", [shape.filters_len()]);
        let floor = k.splat::<i16, 32>(k.param_i32("floor"));
        let logs = k.output::<i16>("logs", [mels, FRAMES]);
        let table = k.lookup_tables::<i16>("corrections", &corrections().map(i32::from), [2, 3]);
        let fraction = k.splat::<i16, 32>(FRACTIONS as i32 - 1);
        let one = k.splat::<i32, 16>(ONE);
        k.for_n(mels, |band| {
            let [first, count, at] = [0, 1, 2].map(|word| filters.get(band * 3 + word));
            let start: [Accum<AccFloat, 16>; 2] = [k.acc_zeros(); 2];
            let sums = k.fold(count, start, |i, sums| {
                let weight = k.splat::<i16, 16>(filters.get(at + i)).cast::<bf16, 16>();
                let row = (first + i) * FRAMES as i32;
                let powers = [power.load::<16>(row), power.load::<16>(row + 16)];
                std::array::from_fn(|half| sums[half].mac(weight, powers[half]))
            });
            let [low, high] = sums.map(|sum| sum.to_vector::<f32>().cast::<i32, 16>() - one);
            let line: Vector<i16, 32> = low.concat::<32>(high).ups::<Acc32>(0).srs(BITS_SHIFT as i32);
            let log = line + (line & fraction).lookup(table, 0, 0);
            logs.store(band * FRAMES as i32, log.max(floor));
        });
    })
    .with_doc(&format!(
        "logs[{mels}, {FRAMES}] i16 in units of 2^-{LOG_BITS}: log2 of mel bands of power[{bins}, {FRAMES}] bf16, at least floor."
    ))
}

/// The kernel of a number of Whisper's bands.
pub fn shape(bins: u32, mels: usize) -> BandsShape {
    BandsShape { bins, mels: mels as u32, weights: Filters::new(mels).weights() }
}

/// The kernel with its test cases.
pub fn entry(shape: BandsShape) -> Entry {
    Entry::new(bands(shape), move |source| case(source, shape))
}

/// Random filters: spans of any length that fit the bins and use all weights.
fn random_filters(source: &mut Source, shape: BandsShape) -> Filters {
    let mut left = shape.weights;
    let bands = (0..shape.mels).map(|band| {
        let after = shape.mels - band - 1;
        let most = left.min(shape.bins);
        // What the bands after this one can hold must suffice.
        let least = left.saturating_sub(after * shape.bins);
        let count = if after == 0 { left } else { source.number(least.into(), most.into()) as u32 };
        left -= count;
        let first = source.number(0, (shape.bins - count).into()) as u32;
        let weights =
            source.values(count as usize, 0x3800, 0x3d00).into_iter().map(|w| bf16::from_bits(w as u16));
        (first, weights.collect())
    });
    Filters { bands: bands.collect() }
}

fn case(source: &mut Source, shape: BandsShape) -> Case {
    let filters = random_filters(source, shape);
    // From nothing to the power of a full-scale tone, 2^76.
    let power = source.matrix::<i16>([shape.bins as usize, FRAMES as usize], [0, (127 + 76) << 7]);
    let power = power.mapv(|v| bf16::from_bits(if v < 0x80 { 0 } else { v as u16 }));
    let floor = source.number(-32768, 4096) as i16;
    let logs = reference(&filters, power.view(), floor);
    let out = bytes_of(logs.as_slice().expect("standard layout"));
    let args = vec![
        Arg::Bytes(bytes_of(power.as_slice().expect("standard layout"))),
        Arg::Bytes(bytes_of(&filters.pack())),
        Arg::I32(floor.into()),
        Arg::Bytes(vec![0; out.len()]),
        Arg::Local,
        Arg::Local,
    ];
    Case { args, expected: vec![(3, out)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_within_a_unit() {
        let filters = Filters { bands: vec![(0, vec![bf16::ONE])] };
        let values = (1..40_000u32).map(|i| bf16::from_bits((0x2000 + i % 0x4000) as u16));
        let mut worst = 0.0f64;
        for power in values {
            let log = reference(&filters, ndarray::arr2(&[[power]]).view(), i16::MIN)[(0, 0)];
            let exact = (f64::from(power.to_f32()).log2() - f64::from(LOG_OFFSET)) * FRACTIONS as f64;
            worst = worst.max((f64::from(log) - exact).abs());
        }
        println!("log2 of bf16: worst {worst:.3} units of 2^-8");
        assert!(worst <= 1.0, "{worst}");
    }

    #[test]
    fn silence_is_the_floor_and_filters_are_those_of_whisper() {
        let filters = Filters::new(80);
        assert_eq!(filters.weights(), 391);
        let silence = Array2::from_elem((202, 1), bf16::ZERO);
        assert!(reference(&filters, silence.view(), -77).iter().all(|&log| log == -77));
    }
}
