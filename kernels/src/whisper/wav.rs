//! Speech from WAV files: 16 kHz mono, any integer or float width.

use std::path::{Path, PathBuf};

use hound::{SampleFormat, WavReader};

/// Samples per second that Whisper reads.
pub const SAMPLE_RATE: u32 = 16_000;

/// Samples of one window, 30 s.
pub const WINDOW_SAMPLES: usize = 480_000;

/// The first window of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Audio {
    /// At most 30 s at 16 kHz, in -1..=1.
    pub samples: Vec<f32>,
    /// Length of the whole recording in seconds.
    pub total_s: f64,
}

impl Audio {
    /// Whether the recording is longer than the window, so that only its first 30 s are here.
    pub fn cut(&self) -> bool {
        self.total_s > WINDOW_SAMPLES as f64 / f64::from(SAMPLE_RATE)
    }
}

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WavError {
    /// The file does not open.
    #[error("{}: cannot open the recording: {source}", path.display())]
    Open {
        /// File.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The file is not a WAV file, or an encoding that hound does not read.
    #[error("{}: not a readable WAV file: {source}\nhelp: convert it with `ffmpeg -i IN -ar 16000 -ac 1 OUT.wav`", path.display())]
    Header {
        /// File.
        path: PathBuf,
        /// Cause.
        source: hound::Error,
    },
    /// Another rate or more channels.
    #[error(
        "{}: expected 16000 Hz mono, got {rate} Hz with {channels} channel(s)\nhelp: convert it with `ffmpeg -i IN -ar 16000 -ac 1 OUT.wav`", path.display()
    )]
    Layout {
        /// File.
        path: PathBuf,
        /// Samples per second found.
        rate: u32,
        /// Channels found.
        channels: u16,
    },
    /// The samples end early or cannot be decoded.
    #[error("{}: sample {index} of {total}: {source}", path.display())]
    Sample {
        /// File.
        path: PathBuf,
        /// Number of the sample.
        index: usize,
        /// Samples that the header announces.
        total: u32,
        /// Cause.
        source: hound::Error,
    },
    /// A float sample that is not a number.
    #[error("{}: sample {index} is {value}, expected a finite number", path.display())]
    NotFinite {
        /// File.
        path: PathBuf,
        /// Number of the sample.
        index: usize,
        /// The sample.
        value: f32,
    },
    /// No samples.
    #[error("{}: the recording has no samples", path.display())]
    Empty {
        /// File.
        path: PathBuf,
    },
}

/// The first 30 s of a 16 kHz mono WAV file: 16-bit PCM, or 8, 24, 32-bit PCM or 32-bit float.
///
/// # Errors
/// When the file is not such a recording, or is shorter than its header says. At most 30 s are read into memory.
pub fn read(path: &Path) -> Result<Audio, WavError> {
    let owned = || path.to_path_buf();
    let file = std::fs::File::open(path).map_err(|source| WavError::Open { path: owned(), source })?;
    let header = |source| WavError::Header { path: owned(), source };
    let mut reader = WavReader::new(std::io::BufReader::new(file)).map_err(header)?;
    let spec = reader.spec();
    if spec.sample_rate != SAMPLE_RATE || spec.channels != 1 {
        return Err(WavError::Layout { path: owned(), rate: spec.sample_rate, channels: spec.channels });
    }
    let total = reader.len();
    if total == 0 {
        return Err(WavError::Empty { path: owned() });
    }
    let decoded: Result<Vec<f32>, (usize, hound::Error)> = match spec.sample_format {
        SampleFormat::Float => indexed(reader.samples::<f32>()).collect(),
        SampleFormat::Int => {
            let unit = (1.0 - f32::from(spec.bits_per_sample)).exp2();
            indexed(reader.samples::<i32>()).map(|s| s.map(|s| s as f32 * unit)).collect()
        }
    };
    let samples =
        decoded.map_err(|(index, source)| WavError::Sample { path: owned(), index, total, source })?;
    if let Some(index) = samples.iter().position(|s| !s.is_finite()) {
        return Err(WavError::NotFinite { path: owned(), index, value: samples[index] });
    }
    Ok(Audio { samples, total_s: f64::from(total) / f64::from(SAMPLE_RATE) })
}

/// The window's samples, each error with its number.
fn indexed<T>(
    samples: impl Iterator<Item = hound::Result<T>>,
) -> impl Iterator<Item = Result<T, (usize, hound::Error)>> {
    samples.take(WINDOW_SAMPLES).enumerate().map(|(i, s)| s.map_err(|e| (i, e)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hound::{WavSpec, WavWriter};

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
            let audio = read(&path).unwrap();
            assert_eq!(audio.samples, [0.0, 0.5, -0.5], "{bits} bits");
            assert!(!audio.cut());
        }
    }

    #[test]
    fn long_recordings_are_cut_and_say_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("long.wav");
        write(&path, 16000, 1, 16, &vec![7; 31 * 16000]);
        let audio = read(&path).unwrap();
        assert_eq!((audio.samples.len(), audio.total_s, audio.cut()), (WINDOW_SAMPLES, 31.0, true));
    }

    #[test]
    fn errors_say_what_was_found() {
        let dir = tempfile::tempdir().unwrap();
        let message = |name: &str| read(&dir.path().join(name)).unwrap_err().to_string();
        write(&dir.path().join("stereo.wav"), 44100, 2, 16, &[0; 8]);
        let stereo = message("stereo.wav");
        assert!(stereo.contains("stereo.wav") && stereo.contains("44100 Hz with 2 channel"), "{stereo}");
        assert!(message("absent.wav").contains("cannot open"));
        std::fs::write(dir.path().join("text.wav"), "not a wave").unwrap();
        assert!(message("text.wav").contains("not a readable WAV"));
        write(&dir.path().join("empty.wav"), 16000, 1, 16, &[]);
        assert!(message("empty.wav").contains("no samples"));
        write(&dir.path().join("short.wav"), 16000, 1, 16, &[1; 100]);
        let bytes = std::fs::read(dir.path().join("short.wav")).unwrap();
        std::fs::write(dir.path().join("short.wav"), &bytes[..bytes.len() - 21]).unwrap();
        let short = message("short.wav");
        assert!(short.contains("sample 89 of 100"), "{short}");
    }
}
