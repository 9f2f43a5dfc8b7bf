//! Power spectrum of frames: a windowed discrete Fourier transform as an exact integer product, then squares.
//!
//! For every bin, `re` and `im` are sums of i16 x i16 over the 400 samples of a frame, exact in 64 bits. Each becomes a
//! float in two parts: `h = srs(sum, 18)`, `l = srs(sum - (h << 18), 4)`, and `h * 2^18 + l * 2^4` is what a float
//! accumulator adds. An integer below `2^22` is a float without a conversion: added to the bits of `1.5 * 2^(23 + s)` it
//! counts steps of `2^s`. Both parts are rounded to bf16, squared and added, and the power is rounded to bf16.
//!
//! The real parts of two bins by eight frames are one 2x8 tile of C, their imaginary parts another, so that squares
//! add lane by lane. A call does the two bins of one basis object for 32 frames: eight accumulators of the nine.
//!
//! Core time: 945 cycles a call of 400 samples, of which 800 are products. A step of four samples is 8 products, 2 of basis and 4 of frames to load in 10 loads, and 4 shuffles that
//! turn 8x4 tiles of frames, as DMAs can cut them, into 4x8.

use crate::case::{Arg, Case, Entry, Source, bytes_of};
use crate::fixed::{saturate_i32, srs};
use crate::float::mac;
use crate::tiles::to_tiles;
use crate::whisper::mel::{BINS, FFT, hann};
use half::bf16;
use kiln_dsl::kernel::Kernel;
use kiln_dsl::kernel::build::{Acc64, AccFloat, Accum, Builder, Vector, mmul};
use kiln_dsl::num::shuffle::T16_8X4;
use kiln_dsl::num::{Rounding, Saturation};
use ndarray::{Array2, ArrayView2, s};

use super::{FRAMES, GROUP};

/// The basis's 1.0.
pub const BASIS_SCALE: i16 = i16::MAX;

/// Shift of the upper part of a sum: sums are below `2^40`, so it is below `2^22`.
const UPPER_SHIFT: u32 = 18;

/// Shift of the lower part.
const LOWER_SHIFT: u32 = 4;

/// Bits of the float `1.5 * 2^(23 + shift)`: an integer added to them counts steps of `2^shift`.
const fn counter(shift: u32) -> i32 {
    ((127 + 23 + shift as i32) << 23) | 1 << 22
}

/// Groups of frames in a call.
const GROUPS: usize = (FRAMES / GROUP) as usize;

/// The windowed basis: rows `2 b` and `2 b + 1` are the cosine and sine of bin `b`, for bins in pairs; those past the
/// last are zero. `[2 * bins, 400]`.
pub fn basis() -> Array2<i16> {
    let window = hann();
    Array2::from_shape_fn((2 * BINS.next_multiple_of(2), FFT), |(row, n)| {
        let (bin, sine) = (row / 2, row % 2 == 1);
        if bin >= BINS {
            return 0;
        }
        // Reduced first: exact for every product of bin and sample.
        let phase = 2.0 * std::f64::consts::PI * ((bin * n) % FFT) as f64 / FFT as f64;
        let wave = if sine { -phase.sin() } else { phase.cos() };
        (window[n] * wave * f64::from(BASIS_SCALE)).round_ties_even() as i16
    })
}

/// The float that a kernel makes of a sum.
fn float(sum: i64) -> f32 {
    let upper = saturate_i32(srs(sum, UPPER_SHIFT));
    let lower = saturate_i32(srs(sum - (i64::from(upper) << UPPER_SHIFT), LOWER_SHIFT));
    let counted = |shift: u32, steps: i32| f32::from_bits(counter(shift).wrapping_add(steps) as u32);
    let start = counted(UPPER_SHIFT, 0) + counted(LOWER_SHIFT, 0);
    let upper = mac(Some(counted(UPPER_SHIFT, upper)), [(start, -1.0)]);
    mac(Some(upper), [(counted(LOWER_SHIFT, lower), 1.0)])
}

/// Power `[bins, frames]` of frames `[frames, samples]` by a basis `[2 * bins, samples]`.
///
/// # Panics
/// When basis and frames differ in samples.
pub fn reference(basis: ArrayView2<i16>, frames: ArrayView2<i16>) -> Array2<bf16> {
    assert_eq!(basis.ncols(), frames.ncols(), "samples of the basis and of a frame");
    let part = |row: usize, frame: usize| {
        let products = basis.row(row).into_iter().zip(frames.row(frame));
        let sum: i64 = products.map(|(&b, &x)| i64::from(b) * i64::from(x)).sum();
        bf16::from_f32(float(sum)).to_f32()
    };
    Array2::from_shape_fn((basis.nrows() / 2, frames.nrows()), |(bin, frame)| {
        let (re, im) = (part(2 * bin, frame), part(2 * bin + 1, frame));
        bf16::from_f32(mac(Some(mac(None, [(re, re)])), [(im, im)]))
    })
}

/// Sizes of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpectrumShape {
    /// Samples of a frame: a multiple of 4.
    pub samples: u32,
    /// Bins of the power that calls write into, two at a time.
    pub bins: u32,
}

impl SpectrumShape {
    /// Of Whisper's transform.
    pub const WHISPER: SpectrumShape =
        SpectrumShape { samples: FFT as u32, bins: BINS.next_multiple_of(2) as u32 };

    /// Name of the kernel: unique for a shape.
    pub fn name(&self) -> String {
        format!("mel_spectrum_{}x{}", self.samples, self.bins)
    }

    /// Elements of the basis of two bins.
    pub const fn basis_len(&self) -> u32 {
        4 * self.samples
    }

    /// Elements of one group of frames.
    pub const fn group_len(&self) -> u32 {
        GROUP * self.samples
    }
}

/// The basis of the two bins in `rows` (cosine and sine of one, then of the other) as a kernel reads it: for every four samples
/// a 2x4 tile of both cosines, then one of both sines.
///
/// # Panics
/// When there are not four rows, or the samples are not a multiple of 4.
pub fn pack_basis(rows: ArrayView2<i16>) -> Vec<i16> {
    assert!(rows.nrows() == 4 && rows.ncols().is_multiple_of(4), "{:?}: two bins by fours", rows.dim());
    let tile =
        |first: usize, at: usize| rows.slice(s![first..;2, at..at + 4]).iter().copied().collect::<Vec<_>>();
    (0..rows.ncols()).step_by(4).flat_map(|at| [tile(0, at), tile(1, at)].concat()).collect()
}

/// A group of eight frames as a kernel reads it: 8x4 tiles.
pub fn pack_frames(frames: ArrayView2<i16>) -> Vec<i16> {
    to_tiles(frames, [GROUP as usize, 4])
}

/// [`float`] inside a kernel, and its result in bf16.
struct Floats<'k> {
    /// Bits of the counters from which the parts count.
    zeros: [Vector<'k, i32, 16>; 2],
    /// Both together.
    start: Accum<'k, AccFloat, 16>,
}

impl<'k> Floats<'k> {
    fn new(k: &'k Builder) -> Floats<'k> {
        let [upper, lower] = [UPPER_SHIFT, LOWER_SHIFT].map(counter);
        let start = f32::from_bits(upper as u32) + f32::from_bits(lower as u32);
        Floats {
            zeros: [upper, lower].map(|bits| k.splat(bits)),
            start: k.splat::<i32, 16>(start.to_bits() as i32).cast::<f32, 16>().to_accum(),
        }
    }

    fn of(&self, sum: Accum<'k, Acc64, 16>) -> Vector<'k, bf16, 16> {
        let upper = sum.srs::<i32>(UPPER_SHIFT as i32);
        let lower = (sum - upper.ups::<Acc64>(UPPER_SHIFT as i32)).srs::<i32>(LOWER_SHIFT as i32);
        let [upper, lower] =
            [(0, upper), (1, lower)].map(|(at, steps)| (self.zeros[at] + steps).cast::<f32, 16>().to_accum());
        (upper - self.start + lower).to_vector()
    }
}

/// The kernel: power of two bins by 32 frames, written as rows `first` and `first + 1` of `power[bins, 32]`.
///
/// # Panics
/// When a size is 0, samples are not a multiple of 4, or bins are odd.
pub fn spectrum(shape: SpectrumShape) -> Kernel {
    let SpectrumShape { samples, bins } = shape;
    let fits = samples.is_multiple_of(4) && bins.is_multiple_of(2) && samples * bins > 0;
    assert!(fits, "{shape:?}: samples by 4, bins by 2");
    Kernel::build(&shape.name(), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let basis = k.input::<i16>("basis", [shape.basis_len()]);
        let frames: [_; GROUPS] =
            std::array::from_fn(|g| k.input_tiles::<i16, 32>(&format!("frames{g}"), [GROUP, 4], [1, samples / 4]));
        let first = k.param_i32("first");
        let power = k.inout::<bf16>("power", [bins, FRAMES]);

        let start: [[Accum<Acc64, 16>; 2]; GROUPS] = [[k.acc_zeros(); 2]; GROUPS];
        let sums = k.pipelined(samples / 4).fold(samples / 4, start, |p, sums| {
            let parts = [basis.load::<8>(p * 16), basis.load::<8>(p * 16 + 8)];
            std::array::from_fn(|g| {
                let tile = frames[g].load(0, p);
                let tile = tile.shuffle(tile, T16_8X4);
                std::array::from_fn(|part| k.mac(mmul::I16_I16_2X4X8, sums[g][part], parts[part], tile))
            })
        });

        let floats = Floats::new(k);
        sums.into_iter().enumerate().for_each(|(g, [re, im])| {
            let (re, im) = (floats.of(re), floats.of(im));
            let squares: Vector<bf16, 16> = re.times::<AccFloat, bf16>(re).mac(im, im).to_vector();
            let column = g as u32 * GROUP;
            power.store(first * FRAMES as i32 + column as i32, squares.low::<8>());
            power.store(first * FRAMES as i32 + (FRAMES + column) as i32, squares.high::<8>());
        });
    })
    .with_doc(&format!(
        "Rows first and first + 1 of power[{bins}, {FRAMES}] bf16: two bins of {FRAMES} frames of {samples} samples i16 by a basis i16."
    ))
}

/// The kernel with its test cases.
pub fn entry(shape: SpectrumShape) -> Entry {
    Entry::new(spectrum(shape), move |source| case(source, shape))
}

fn case(source: &mut Source, shape: SpectrumShape) -> Case {
    let (samples, bins) = (shape.samples as usize, shape.bins as usize);
    let range = [-32768, 32767];
    let basis = source.matrix::<i16>([4, samples], range);
    let frames = source.matrix::<i16>([FRAMES as usize, samples], range);
    let first = 2 * source.number(0, bins as i64 / 2 - 1) as usize;
    let before =
        source.matrix::<i16>([bins, FRAMES as usize], [0, 0x4b00]).mapv(|v| bf16::from_bits(v as u16));
    let mut after = before.clone();
    after.slice_mut(s![first..first + 2, ..]).assign(&reference(basis.view(), frames.view()));
    let bytes = |power: &Array2<bf16>| bytes_of(power.as_slice().expect("standard layout"));
    let mut args = vec![Arg::Bytes(bytes_of(&pack_basis(basis.view())))];
    let groups = frames.axis_chunks_iter(ndarray::Axis(0), GROUP as usize);
    args.extend(groups.map(|group| Arg::Bytes(bytes_of(&pack_frames(group)))));
    args.extend([Arg::I32(first as i32), Arg::Bytes(bytes(&before))]);
    Case { expected: vec![(args.len() - 1, bytes(&after))], args }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_of_sums_are_within_a_step_of_four_bits_and_of_a_float() {
        for sum in [0i64, 7, 8, 9, -8, 131_072, -131_073, 1 << 18, 12_345_678_901, -(1 << 39), (1 << 39) - 1]
        {
            let error = (f64::from(float(sum)) - sum as f64).abs();
            assert!(error <= 8.0 + sum.unsigned_abs() as f64 / f64::from(1 << 23), "{sum}: {error}");
        }
    }

    #[test]
    fn a_tone_has_the_power_of_its_bin_and_half_the_amplitude_in_its_neighbours() {
        let tone =
            |n: usize| (20_000.0 * (2.0 * std::f64::consts::PI * (50 * n) as f64 / 400.0).cos()) as i16;
        let frames = Array2::from_shape_fn((1, FFT), |(_, n)| tone(n));
        let power = reference(basis().view(), frames.view()).mapv(|p| f64::from(p.to_f32()).sqrt());
        let peak = 20_000.0 * 100.0 * f64::from(BASIS_SCALE);
        for (bin, expected) in [(49, 0.5), (50, 1.0), (51, 0.5), (53, 0.0), (120, 0.0)] {
            assert!(
                (power[(bin, 0)] / peak - expected).abs() < 0.01,
                "bin {bin}: {}",
                power[(bin, 0)] / peak
            );
        }
    }
}
