//! The log-mel spectrogram as kernels: integers up to the spectrum, where terms cancel, and floats after it, where
//! nothing does.
//!
//! ```text
//! samples i16 --DMA: frames that overlap--> [spectrum] --power bf16--> [bands] --log2, Q8--> host: clamp, scale
//! ```
//!
//! **Why these numbers.** A window's log-mel values span 80 dB below its loudest, and a frame's bins differ as much. The
//! transform is where large terms cancel, so it is exact: 16-bit samples by a 16-bit windowed basis in 64-bit
//! accumulators ([`spectrum`]). The basis is rounded by at most half of `2^-15`, white noise 97 dB or more below the
//! loudest bins of its frame. Behind it every term is a square or a product of positives, so a relative error stays
//! what it is: 8 bits of bf16, four times, are less than 0.8 % of power and less than 1e-3 of a log-mel value
//! ([`bands`]). A float accumulator holds the range of powers without a scale of blocks.
//!
//! Samples are scaled by a power of two to fill 16 bits ([`Gain`]): those of 16-bit recordings stay what they are.

pub mod bands;
pub mod spectrum;

use crate::whisper::audio::WINDOW_SAMPLES;
use crate::whisper::config::WINDOW_FRAMES;
use crate::whisper::mel::{FFT, HOP};
use ndarray::{Array2, ArrayView2};

/// Frames that a call of either kernel takes.
pub const FRAMES: u32 = 32;

/// Frames in one group: columns of a tile of the product.
pub const GROUP: u32 = 8;

/// Bits of fraction of a logarithm that leaves the array.
pub const LOG_BITS: u32 = 8;

/// What is subtracted of every base-2 logarithm, so that those of all powers fit 16 bits.
pub const LOG_OFFSET: i32 = 32;

/// Samples of a window with both reflected ends, as the frames read them.
pub const PADDED_SAMPLES: usize = WINDOW_SAMPLES + FFT;

/// The power of two that makes integers of a window's samples: the largest with which they fit 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gain {
    /// Its exponent: full scale, 1.0, is `2^log2`.
    pub log2: i32,
}

impl Gain {
    /// For samples with full scale 1.0; silence has that of full scale, and so have samples that are no numbers.
    pub fn of(samples: &[f32]) -> Gain {
        let peak = samples.iter().map(|s| s.abs()).filter(|s| s.is_finite()).fold(0.0, f32::max);
        let exponent = if peak > 0.0 { f64::from(peak).log2().ceil() as i32 } else { 0 };
        // A power of 1e-10, the least that counts, is far below a window whose peak is 2^-32.
        Gain { log2: 15 - exponent.max(-32) }
    }

    /// A sample as an integer: the end of the range at most.
    fn apply(self, sample: f32) -> i16 {
        (f64::from(sample) * f64::from(self.log2).exp2()).round_ties_even() as i16
    }

    /// Base-2 logarithm of the power that the array finds for a power of 1.
    fn power_log2(self) -> f64 {
        2.0 * (f64::from(self.log2) + f64::from(spectrum::BASIS_SCALE).log2())
    }

    /// The least logarithm that counts, a power of 1e-10, as the array writes it.
    pub fn floor(self) -> i16 {
        let log = 1e-10f64.log2() + self.power_log2() - f64::from(LOG_OFFSET);
        (log * f64::from(LOG_BITS).exp2()).round_ties_even() as i16
    }
}

/// The integers of a window of 30 s: samples times gain, then zeros, reflected by 200 at both ends.
pub fn padded(samples: &[f32], gain: Gain) -> Vec<i16> {
    let (reflect, last) = (FFT / 2, WINDOW_SAMPLES - 1);
    let at = |i: usize| {
        let i = i.abs_diff(reflect);
        samples.get(if i > last { 2 * last - i } else { i }).map_or(0, |&s| gain.apply(s))
    };
    (0..PADDED_SAMPLES).map(at).collect()
}

/// Frames `first..first + count` of padded samples, as the DMAs cut them: `[count, 400]`.
pub fn frames(padded: &[i16], first: usize, count: usize) -> Array2<i16> {
    Array2::from_shape_fn((count, FFT), |(t, n)| padded[(first + t) * HOP + n])
}

/// Whisper's scale of the array's logarithms `[bands, frames]`: log10 with 8 below the greatest as the least, plus 4, a
/// quarter. The greatest of all frames is one number, found here.
pub fn finish(logs: ArrayView2<i16>, gain: Gain) -> Array2<f32> {
    let peak = logs.iter().copied().max().unwrap_or(0);
    let log10 = |log: i16| {
        let log2 = f64::from(log) / f64::from(LOG_BITS).exp2() + f64::from(LOG_OFFSET) - gain.power_log2();
        log2 * std::f64::consts::LOG10_2
    };
    let least = log10(peak) - 8.0;
    logs.map(|&log| ((log10(log).max(least) + 4.0) / 4.0) as f32)
}

/// Log-mel spectrogram `[mels, 3000]` by the references of the kernels: what the array must equal.
pub fn reference(samples: &[f32], mels: usize) -> Array2<f32> {
    use rayon::prelude::*;
    let gain = Gain::of(samples);
    let padded = padded(samples, gain);
    let (basis, filters) = (spectrum::basis(), bands::Filters::new(mels));
    let columns: Vec<Array2<i16>> = (0..WINDOW_FRAMES)
        .into_par_iter()
        .map(|t| {
            let power = spectrum::reference(basis.view(), frames(&padded, t, 1).view());
            bands::reference(&filters, power.view(), gain.floor())
        })
        .collect();
    let logs = Array2::from_shape_fn((mels, WINDOW_FRAMES), |(m, t)| columns[t][(m, 0)]);
    finish(logs.view(), gain)
}

#[cfg(test)]
mod tests;
