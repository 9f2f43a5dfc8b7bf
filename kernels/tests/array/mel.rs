//! The log-mel spectrogram on the simulated array: every bit of the references of its kernels.

use kiln_kernels::designs::mel::LogMel;
use kiln_kernels::mel::{Gain, finish, reference};
use kiln_kernels::whisper::audio::WINDOW_SAMPLES;

use crate::runner;

/// A chirp that fades, with clicks: loud and quiet frames, tones and flat spectra, and silence at the end.
fn sound(len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| {
            let t = i as f64 / 16_000.0;
            let click = if i % 16_001 == 0 { 0.5 } else { 0.0 };
            ((-t / 3.0).exp() * (2.0 * std::f64::consts::PI * (200.0 + 150.0 * t) * t).sin() * 0.5 + click)
                as f32
        })
        .collect()
}

#[test]
fn the_array_equals_the_references_for_80_and_128_bands() {
    for (mels, len) in [(80, 200_000), (128, WINDOW_SAMPLES)] {
        let samples = sound(len);
        let gain = Gain::of(&samples);
        let op = LogMel::new(mels);
        let mut host = op.host(&samples, gain);
        let report = runner::run(&op.design(), &mut host).unwrap_or_else(|e| panic!("{e}"));
        let got = finish(op.logs(&host[2]).view(), gain);
        assert!(got == reference(&samples, mels), "{mels} bands");
        let macs: u64 = report.cores.iter().map(|c| c.macs).sum();
        let share = 100.0 * macs as f64 / (16 * 64 * report.cycles) as f64;
        println!(
            "log_mel, {mels} bands: {} cycles, {share:.0} % of the 16-bit products of 16 cores",
            report.cycles
        );
        // 10 ms at 1 GHz would be ten times the time that the products need.
        assert!(report.cycles < 1_000_000, "{} cycles", report.cycles);
        assert!(
            report.cores.len() == 16 && report.cores.iter().all(|core| core.calls > 600),
            "{:?}",
            report.cores
        );
    }
}
