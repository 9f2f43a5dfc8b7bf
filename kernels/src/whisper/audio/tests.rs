//! Widths, rates, channels and formats give the same recording; damaged files give errors.

use super::*;
use hound::{SampleFormat, WavSpec, WavWriter};
use std::f64::consts::TAU;

fn write(path: &Path, rate: u32, channels: u16, bits: u16, samples: &[i32]) {
    let spec =
        WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format: SampleFormat::Int };
    let mut writer = WavWriter::create(path, spec).unwrap();
    samples.iter().for_each(|&s| writer.write_sample(s).unwrap());
    writer.finalize().unwrap();
}

#[test]
fn widths_agree() {
    let dir = tempfile::tempdir().unwrap();
    for bits in [8u16, 16, 24, 32] {
        let path = dir.path().join(format!("{bits}.wav"));
        write(&path, 16000, 1, bits, &[0, 1 << (bits - 2), -(1 << (bits - 2))]);
        assert_eq!(read(&path).unwrap().samples, [0.0, 0.5, -0.5], "{bits} bits");
    }
    let path = dir.path().join("float.wav");
    let spec =
        WavSpec { channels: 1, sample_rate: 16000, bits_per_sample: 32, sample_format: SampleFormat::Float };
    let mut writer = WavWriter::create(&path, spec).unwrap();
    [0.25f32, -1.5].iter().for_each(|&s| writer.write_sample(s).unwrap());
    writer.finalize().unwrap();
    assert_eq!(read(&path).unwrap().samples, [0.25, -1.5]);
}

#[test]
fn channels_are_mixed_to_their_mean() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stereo.wav");
    write(&path, 16000, 2, 16, &[16384, 0, -8192, -8192]);
    assert_eq!(read(&path).unwrap().samples, [0.25, -0.25]);
}

#[test]
fn long_recordings_have_windows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.wav");
    write(&path, 16000, 1, 16, &vec![7; 61 * 16000]);
    let audio = read(&path).unwrap();
    let lengths: Vec<usize> = audio.windows().map(<[f32]>::len).collect();
    assert_eq!((audio.seconds(), lengths), (61.0, vec![480_000, 480_000, 16_000]));
}

/// A second of a 440 Hz tone at half scale.
fn tone(rate: u32) -> impl Iterator<Item = f64> {
    (0..rate).map(move |i| 0.5 * (TAU * 440.0 * f64::from(i) / f64::from(rate)).sin())
}

#[test]
fn other_rates_are_resampled_without_delay() {
    let dir = tempfile::tempdir().unwrap();
    let expected: Vec<f64> = tone(16000).collect();
    for rate in [8000, 11025, 22050, 32000, 44100, 48000, 96000] {
        let path = dir.path().join(format!("{rate}.wav"));
        let samples: Vec<i32> = tone(rate).map(|s| (s * f64::from(1 << 23)).round() as i32).collect();
        write(&path, rate, 1, 24, &samples);
        let got = read(&path).unwrap().samples;
        assert_eq!(got.len(), 16000, "{rate} Hz");
        // The ends ring, as the tone begins and ends at once.
        let error = |i: usize| (f64::from(got[i]) - expected[i]).abs();
        let worst = (800..15200).map(error).fold(0.0, f64::max);
        assert!(worst < 1e-4, "{rate} Hz: {worst}");
    }
}

#[test]
fn tones_above_the_new_band_are_removed() {
    let mut resampler = Resampler::new(48000);
    let high: Vec<f32> = (0..48000).map(|i| (TAU * 11_000.0 * f64::from(i) / 48000.0).sin() as f32).collect();
    high.chunks(1000).for_each(|part| resampler.push(part));
    let got = resampler.finish();
    let worst = got[800..15200].iter().map(|s| s.abs()).fold(0.0, f32::max);
    assert!(worst < 1e-4, "{worst}");
}

#[test]
fn flac_and_mp3_are_decoded() {
    let recorded = |name| read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)).unwrap();
    // A second of the tone, by `flac` at 44.1 kHz with 16 bits, and by `lame` at 48 kHz, which makes it 5 % quieter.
    for (name, gain, bound) in [("tone.flac", 1.0, 1e-4), ("tone.mp3", 0.95, 2e-3)] {
        let got = recorded(name).samples;
        let error = |(i, s): (usize, f64)| (f64::from(got[i]) - gain * s).abs();
        let worst = tone(16000).enumerate().skip(1600).take(12000).map(error).fold(0.0, f64::max);
        assert!(worst < bound, "{name}: {worst}");
        assert!(got.len().abs_diff(16000) < 900, "{name}: {} samples", got.len());
    }
}

#[test]
fn errors_say_what_was_found() {
    let dir = tempfile::tempdir().unwrap();
    let message = |name: &str| read(&dir.path().join(name)).unwrap_err().to_string();
    assert!(message("absent.wav").contains("cannot open"));
    assert!(message("").contains("cannot open the recording: is a directory"), "{}", message(""));
    std::fs::write(dir.path().join("text.wav"), "not a wave").unwrap();
    assert!(message("text.wav").contains("not a readable WAV, FLAC or MP3"));
    write(&dir.path().join("empty.wav"), 16000, 1, 16, &[]);
    assert!(message("empty.wav").contains("no samples"), "{}", message("empty.wav"));
    write(&dir.path().join("rate.wav"), 900, 1, 16, &[1; 10]);
    assert!(message("rate.wav").contains("900 samples a second"));
    write(&dir.path().join("short.wav"), 16000, 1, 16, &[1; 1000]);
    let bytes = std::fs::read(dir.path().join("short.wav")).unwrap();
    std::fs::write(dir.path().join("short.wav"), &bytes[..bytes.len() - 21]).unwrap();
    let short = read(&dir.path().join("short.wav")).unwrap();
    assert_eq!((short.samples.len(), short.cut), (989, Some(Cut { bytes: 1979, announced: 2000 })));
    let note = short.note(Path::new("short.wav")).unwrap();
    assert!(note.starts_with("short.wav: cut short: 1979 of 2000 B"), "{note}");
    let spec =
        WavSpec { channels: 1, sample_rate: 16000, bits_per_sample: 32, sample_format: SampleFormat::Float };
    let mut writer = WavWriter::create(dir.path().join("nan.wav"), spec).unwrap();
    [0.5, f32::NAN].iter().for_each(|&s| writer.write_sample(s).unwrap());
    writer.finalize().unwrap();
    assert!(message("nan.wav").contains("sample 1 is NaN"));
}

#[test]
fn damage_is_survived() {
    let read =
        |name| std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)).unwrap();
    for whole in [read("tone.flac"), read("tone.mp3")] {
        for seed in 0..200usize {
            let mut bytes = whole[..whole.len() - seed * 3].to_vec();
            let at = (seed * 7919) % 600.min(bytes.len());
            bytes[at] = (seed * 31) as u8;
            let source = std::io::Cursor::new(bytes);
            let length = source.get_ref().len() as u64;
            let source = wav::repair(Path::new("damaged"), source, length);
            drop(source.and_then(|source| decode(Path::new("damaged"), source)));
        }
    }
}
