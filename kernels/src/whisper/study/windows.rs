//! Windows that are made from one recording: what a study of one speaker can say of other speech.

use super::super::audio::SAMPLE_RATE;
use super::super::calibrate::looped;
use rand::{RngExt, SeedableRng, rngs::SmallRng};

/// A recording at other speeds and levels, looped to a whole window, with what to add to its name: windows that are full
/// and differ, of one recording.
pub fn full_windows(samples: &[f32]) -> Vec<(&'static str, Vec<f32>)> {
    let quiet = |samples: Vec<f32>| gain(&samples, 0.25);
    vec![
        ("looped", looped(samples)),
        ("15 % faster", looped(&at_speed(samples, 1.15))),
        ("15 % slower, -12 dB", looped(&quiet(at_speed(samples, 1.0 / 1.15)))),
    ]
}

/// A recording shortened, late, at other speeds and levels, through a telephone, in a hall, in noise, and over itself,
/// with what was done: first as long as it is, then looped to a whole window. Deterministic. Ratios of noise are of
/// powers over the whole recording.
pub fn varied_windows(samples: &[f32]) -> Vec<(&'static str, Vec<f32>)> {
    let second = SAMPLE_RATE as usize;
    let middle = |seconds: usize| {
        let from = samples.len().saturating_sub(seconds * second) / 2;
        samples[from..samples.len().min(from + seconds * second)].to_vec()
    };
    let after = |seconds: usize| [vec![0.0; seconds * second], samples.to_vec()].concat();
    let paused = [samples, &vec![0.0; 2 * second][..]].concat();
    let mut shifted = samples.to_vec();
    shifted.rotate_left(samples.len() / 3);
    let over = samples.iter().zip(&shifted).map(|(a, b)| a + b).collect::<Vec<_>>();
    let full = looped(samples);
    vec![
        ("as it is", samples.to_vec()),
        ("2 s of it", middle(2)),
        ("5 s of it", middle(5)),
        ("after 3 s of silence", after(3)),
        ("after 15 s of silence", after(15)),
        ("25 % faster", at_speed(samples, 1.25)),
        ("20 % slower", at_speed(samples, 0.8)),
        ("-30 dB", gain(samples, 0.0316)),
        ("+12 dB, clipped", gain(samples, 4.0)),
        ("telephone", telephone(samples)),
        ("white noise, 20 dB", noisy(samples, 20.0, 1.0)),
        ("white noise, 10 dB", noisy(samples, 10.0, 1.0)),
        ("low noise, 10 dB", noisy(samples, 10.0, 0.05)),
        ("looped", full.clone()),
        ("looped, 25 % faster", looped(&at_speed(samples, 1.25))),
        ("looped, 20 % slower", looped(&at_speed(samples, 0.8))),
        ("looped, -30 dB", gain(&full, 0.0316)),
        ("looped, +12 dB, clipped", gain(&full, 4.0)),
        ("looped, 2 s of pause", looped(&paused)),
        ("looped, 2 s of it", looped(&middle(2))),
        ("looped, telephone", telephone(&full)),
        ("looped, hall", hall(&full)),
        ("looped, white noise, 30 dB", noisy(&full, 30.0, 1.0)),
        ("looped, white noise, 20 dB", noisy(&full, 20.0, 1.0)),
        ("looped, low noise, 20 dB", noisy(&full, 20.0, 0.05)),
        ("looped over itself", looped(&over)),
    ]
}

/// The recording played `factor` times as fast, by linear interpolation.
fn at_speed(samples: &[f32], factor: f64) -> Vec<f32> {
    let count = (samples.len().saturating_sub(1) as f64 / factor) as usize;
    let at = |i: usize| {
        let (whole, part) = ((i as f64 * factor) as usize, (i as f64 * factor).fract() as f32);
        samples[whole] * (1.0 - part) + samples[whole + 1] * part
    };
    (0..count).map(at).collect()
}

/// The recording `factor` times as loud, cut at full scale.
fn gain(samples: &[f32], factor: f32) -> Vec<f32> {
    samples.iter().map(|s| (s * factor).clamp(-1.0, 1.0)).collect()
}

/// What a low-pass of first order leaves, which takes `share` of what is new in every sample.
fn low_pass(samples: &[f32], share: f32) -> Vec<f32> {
    let mut level = 0.0;
    let mut next = |s: &f32| {
        level += share * (s - level);
        level
    };
    samples.iter().map(&mut next).collect()
}

/// 300 Hz to 3.4 kHz, with slopes of 12 dB an octave.
fn telephone(samples: &[f32]) -> Vec<f32> {
    let share = |hertz: f32| 1.0 - (-std::f32::consts::TAU * hertz / SAMPLE_RATE as f32).exp();
    let high =
        |x: &[f32]| x.iter().zip(low_pass(x, share(300.0))).map(|(s, low)| s - low).collect::<Vec<_>>();
    low_pass(&low_pass(&high(&high(samples)), share(3400.0)), share(3400.0))
}

/// Three echoes of 6 dB each, 50 ms, 83 ms and 121 ms later.
fn hall(samples: &[f32]) -> Vec<f32> {
    let mut heard = samples.to_vec();
    for delay in [800, 1328, 1936] {
        for i in delay..heard.len() {
            heard[i] += 0.5 * samples[i - delay];
        }
    }
    gain(&heard, 0.4)
}

/// With noise `db` below it, of which [`low_pass`] leaves `share`.
fn noisy(samples: &[f32], db: f32, share: f32) -> Vec<f32> {
    let mut rng = SmallRng::seed_from_u64(1);
    let white: Vec<f32> = samples.iter().map(|_| rng.random_range(-1.0..1.0)).collect();
    let noise = low_pass(&white, share);
    let power = |x: &[f32]| x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
    let level = (power(samples) / power(&noise).max(1e-9)).sqrt() as f32 * 10f32.powf(-db / 20.0);
    samples.iter().zip(&noise).map(|(s, n)| s + level * n).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::audio::WINDOW_SAMPLES;
    use super::*;

    /// Windows of any recording are finite, no longer than they may be, and the same each time.
    #[test]
    fn windows_of_any_recording() {
        let tone: Vec<f32> = (0..100_000).map(|i| (i as f32 / 20.0).sin() * 0.6).collect();
        for length in [0, 1, 2, 16_000, 100_000] {
            let made = varied_windows(&tone[..length]);
            assert_eq!(made, varied_windows(&tone[..length]));
            for (what, samples) in made.into_iter().chain(full_windows(&tone[..length])) {
                assert!(samples.iter().all(|s| s.is_finite()), "{what} of {length}");
                assert!(
                    !what.starts_with("looped") || length < 16 || samples.len() == WINDOW_SAMPLES,
                    "{what}"
                );
            }
        }
    }

    #[test]
    fn noise_is_as_loud_as_said() {
        let tone: Vec<f32> = (0..50_000).map(|i| (i as f32 / 20.0).sin() * 0.6).collect();
        for (db, share) in [(10.0, 1.0), (30.0, 0.05)] {
            let noise: Vec<f32> = noisy(&tone, db, share).iter().zip(&tone).map(|(n, t)| n - t).collect();
            let power = |x: &[f32]| x.iter().map(|v| v * v).sum::<f32>();
            assert!((10.0 * (power(&tone) / power(&noise)).log10() - db).abs() < 0.1);
        }
    }
}
