//! The log-mel spectrogram, equal to openai-whisper's within 1e-4.

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use realfft::RealFftPlanner;

use super::audio::{SAMPLE_RATE, WINDOW_SAMPLES};
use super::config::{ModelConfig, WINDOW_FRAMES};

/// Samples of one transform.
pub const FFT: usize = 400;
/// Samples between frames.
pub const HOP: usize = 160;
/// Frequency bins of one transform.
pub const BINS: usize = FFT / 2 + 1;

/// Log-mel spectrogram `[mels, 3000]` of the first 30 s of 16 kHz samples, padded with zeros.
///
/// Reflect-padded by 200 at both ends, periodic Hann window of 400, hop 160; power; Slaney mel filters; log10 floored
/// at 1e-10 and at 8 below the window's maximum; `(x + 4) / 4`. The transform's last frame is dropped.
pub fn log_mel(samples: &[f32], mels: usize) -> Array2<f32> {
    let reflect = FFT / 2;
    let sample = |i: usize| {
        let (i, last) = (i.abs_diff(reflect), WINDOW_SAMPLES - 1);
        let i = if i > last { 2 * last - i } else { i };
        samples.get(i).map_or(0.0, |&s| f64::from(s))
    };
    let hann = hann();
    let filters = mel_filters(mels);
    let fft = RealFftPlanner::<f64>::new().plan_fft_forward(FFT);

    let frame_log = |frame: usize| -> Vec<f64> {
        let mut input: Vec<f64> = (0..FFT).map(|i| sample(frame * HOP + i) * hann[i]).collect();
        let mut spectrum = fft.make_output_vec();
        fft.process(&mut input, &mut spectrum).expect("the buffers have the plan's lengths");
        let power: Vec<f64> = spectrum.iter().map(|c| c.norm_sqr()).collect();
        let band = |m: usize| filters.row(m).iter().zip(&power).map(|(f, p)| f * p).sum::<f64>();
        (0..mels).map(|m| band(m).max(1e-10).log10()).collect()
    };
    let frames: Vec<Vec<f64>> = (0..WINDOW_FRAMES).into_par_iter().map(frame_log).collect();
    let peak = frames.iter().flatten().copied().fold(f64::MIN, f64::max);
    Array2::from_shape_fn((mels, WINDOW_FRAMES), |(m, t)| ((frames[t][m].max(peak - 8.0) + 4.0) / 4.0) as f32)
}

/// The first `frames` frames of a spectrogram, for encoders with another window than 30 s; past its end, its lowest
/// value.
pub fn first_frames(mel: ArrayView2<f32>, frames: usize) -> Array2<f32> {
    let lowest = mel.iter().copied().fold(f32::MAX, f32::min);
    let (bands, known) = mel.dim();
    Array2::from_shape_fn((bands, frames), |(m, t)| if t < known { mel[(m, t)] } else { lowest })
}

/// The log-mel spectrogram `[mels, frames]` of a window's samples that an encoder of these sizes reads.
pub fn spectrogram(samples: &[f32], config: &ModelConfig) -> Array2<f32> {
    first_frames(log_mel(samples, config.mels).view(), config.frames())
}

/// The periodic Hann window.
pub fn hann() -> Vec<f64> {
    let phase = |i: usize| 2.0 * std::f64::consts::PI * i as f64 / FFT as f64;
    (0..FFT).map(|i| 0.5 - 0.5 * phase(i).cos()).collect()
}

/// Slaney's mel scale: linear (3 mels per 200 Hz) below 1 kHz, then 27 mels per factor 6.4.
fn hertz(mel: f64) -> f64 {
    let corner_mel = 15.0;
    if mel < corner_mel {
        mel * 200.0 / 3.0
    } else {
        1000.0 * (6.4f64.ln() / 27.0 * (mel - corner_mel)).exp()
    }
}

/// The mel of a frequency at or above 1 kHz.
fn mel_above_corner(hertz: f64) -> f64 {
    15.0 + (hertz / 1000.0).ln() * 27.0 / 6.4f64.ln()
}

/// Triangular filters `[mels, 201]` over 0 to 8 kHz, each scaled to unit area.
pub fn mel_filters(mels: usize) -> Array2<f64> {
    let nyquist = f64::from(SAMPLE_RATE) / 2.0;
    let edge = |i: usize| hertz(mel_above_corner(nyquist) * i as f64 / (mels + 1) as f64);
    Array2::from_shape_fn((mels, BINS), |(m, bin)| {
        let f = bin as f64 * f64::from(SAMPLE_RATE) / FFT as f64;
        let (low, centre, high) = (edge(m), edge(m + 1), edge(m + 2));
        let rise = (f - low) / (centre - low);
        let fall = (high - f) / (high - centre);
        rise.min(fall).max(0.0) * 2.0 / (high - low)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whisper::{audio, golden};

    #[test]
    fn filters_have_unit_area_and_the_known_sparsity() {
        let filters = mel_filters(80);
        // reference/whisper.md, section 1.
        assert_eq!(filters.iter().filter(|f| **f > 0.0).count(), 391);
    }

    #[test]
    fn silence_is_flat() {
        log_mel(&[], 80)
            .iter()
            .for_each(|&v| approx::assert_abs_diff_eq!(v, (-10.0 + 4.0) / 4.0, epsilon = 1e-6));
    }

    #[test]
    fn other_windows_are_cut_or_filled() {
        let mel = ndarray::arr2(&[[0.5, 1.0, 1.5], [-0.25, 0.0, 2.0]]);
        assert_eq!(first_frames(mel.view(), 2), ndarray::arr2(&[[0.5, 1.0], [-0.25, 0.0]]));
        assert_eq!(first_frames(mel.view(), 4).column(3), ndarray::arr1(&[-0.25, -0.25]));
    }

    #[test]
    fn jfk_equals_openai_whisper() {
        let Some(dir) = golden::data() else { return };
        let audio = audio::read(&dir.join("jfk.wav")).unwrap();
        let expected = golden::npy(&dir.join("jfk_mel_80x3000_f32.npy"));
        let got = log_mel(&audio.samples, 80).into_dyn();
        let worst = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("log-mel of jfk.wav: largest difference {worst:.1e}");
        assert_eq!(got.shape(), expected.shape());
        assert!(worst < 1e-4, "{worst}");
    }
}
