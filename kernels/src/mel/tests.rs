use super::*;
use crate::whisper::quantise::quantise;
use crate::whisper::scheme::Scheme;
use crate::whisper::{EncoderWeights, audio, golden, integer, mel};

/// Largest |difference| to the host's log-mel values, in f64 up to the last step.
fn worst(samples: &[f32], mels: usize) -> f32 {
    let (got, host) = (reference(samples, mels), mel::log_mel(samples, mels));
    got.iter().zip(&host).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn speech_is_within_a_hundredth_of_the_hosts() {
    let Some(dir) = golden::data() else { return };
    for file in ["jfk.wav", "calib_1.wav", "calib_2.wav"] {
        let samples = audio::read(&dir.join(file)).unwrap().samples;
        for mels in [80, 128] {
            let worst = worst(&samples, mels);
            println!("{file}, {mels} bands: largest difference of a log-mel value {worst:.1e}");
            assert!(worst < 1e-2, "{file}, {mels} bands: {worst}");
        }
    }
}

/// Quiet speech, tones, noise, a step, an impulse, silence.
#[test]
fn other_sounds_are_within_a_hundredth_too() {
    let tone =
        |hertz: f64| move |i: usize| (2.0 * std::f64::consts::PI * hertz * i as f64 / 16_000.0).sin() as f32;
    let mut state = 1u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state as i32 as f32 / 2f32.powi(31)
    };
    let len = 60_000;
    let sounds: Vec<(&str, Vec<f32>)> = vec![
        ("silence", vec![]),
        ("full-scale tone", (0..len).map(tone(1000.0)).collect()),
        ("two tones 70 dB apart", (0..len).map(|i| 0.9 * tone(300.0)(i) + 3e-4 * tone(5017.0)(i)).collect()),
        ("noise", (0..len).map(|_| noise()).collect()),
        ("faint noise", (0..len).map(|_| 1e-4 * noise()).collect()),
        ("a constant", vec![-1.0; len]),
    ];
    for (name, samples) in sounds {
        let worst = worst(&samples, 80);
        println!("{name}: largest difference of a log-mel value {worst:.1e}");
        assert!(worst < 1e-2, "{name}: {worst}");
    }
}

#[test]
fn samples_fill_sixteen_bits() {
    for (peak, log2) in [(1.0f32, 15), (0.5, 16), (0.51, 15), (0.25, 17), (3.0, 13), (1e-30, 47)] {
        assert_eq!(Gain::of(&[0.0, -peak]), Gain { log2 }, "{peak}");
    }
    assert_eq!(Gain::of(&[]), Gain { log2: 15 });
    let odd = [1.0, -1.0, f32::NAN, 0.25];
    assert_eq!(padded(&odd, Gain::of(&odd))[200..204], [32767, -32768, 0, 8192]);
}

#[test]
fn windows_are_reflected_at_both_ends() {
    let samples: Vec<f32> = (0..WINDOW_SAMPLES).map(|i| (i % 1000) as f32 / 32768.0).collect();
    let padded = padded(&samples, Gain { log2: 15 });
    assert_eq!(padded.len(), PADDED_SAMPLES);
    assert_eq!([padded[0], padded[199], padded[200], padded[201]], [200, 1, 0, 1]);
    assert_eq!([padded[480_199], padded[480_200], padded[480_399]], [999, 998, 799]);
}

/// The features of the integer encoder, from either spectrogram; scales are the host's.
#[test]
fn tiny_keeps_its_features() {
    let Some(dir) = golden::data() else { return };
    let weights = EncoderWeights::load(&dir.join("tiny_en_encoder_f16.safetensors"), None).unwrap();
    let samples = |file: &str| audio::read(&dir.join(file)).unwrap().samples;
    let calibration: Vec<_> =
        ["calib_1.wav", "calib_2.wav"].map(|file| mel::log_mel(&samples(file), 80)).into_iter().collect();
    let model = quantise(&weights, &calibration, Scheme::default());
    let jfk = samples("jfk.wav");
    let [host, array] = [mel::log_mel(&jfk, 80), reference(&jfk, 80)].map(|mel| {
        let features = integer::encode(&model, &model.input(mel.view()), &mut |_, _| ());
        model.dequantise(features.view()).mapv(f64::from)
    });
    let dot = |a: &Array2<f64>, b: &Array2<f64>| (a * b).sum();
    let cosine = dot(&host, &array) / (dot(&host, &host) * dot(&array, &array)).sqrt();
    println!(
        "jfk.wav, tiny.en, w8a8: cosine of the features from the array's and the host's log-mel {cosine:.6}"
    );
    assert!(cosine >= 0.9995, "{cosine}");
}
