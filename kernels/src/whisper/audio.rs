//! Speech from WAV, FLAC and MP3 files of any rate, width and number of channels, as 16 kHz mono.

mod resample;
#[cfg(test)]
mod tests;
mod wav;

pub use wav::Cut;

use std::fs::File;
use std::path::{Path, PathBuf};

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatReader, TrackType};

use resample::Resampler;

/// Samples per second that Whisper reads.
pub const SAMPLE_RATE: u32 = 16_000;

/// Samples of one window, 30 s.
pub const WINDOW_SAMPLES: usize = 480_000;

/// Longest recording that is read, in seconds: 230 MB of samples.
const LIMIT_S: u64 = 3600;

/// Rates that are resampled, in Hz: up to four times the highest of studio equipment.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// A recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Audio {
    /// At 16 kHz, mono; full scale is -1..=1.
    pub samples: Vec<f32>,
    /// What a WAV file lacks of what its header announces.
    pub cut: Option<Cut>,
}

impl Audio {
    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(SAMPLE_RATE)
    }

    /// What a person should know of the recording in `path`, if anything.
    pub fn note(&self, path: &Path) -> Option<String> {
        let Cut { bytes, announced } = self.cut?;
        let (path, seconds) = (path.display(), self.seconds());
        Some(format!(
            "{path}: cut short: {bytes} of {announced} B of samples are there; the {seconds:.1} s of them are taken"
        ))
    }

    /// The recording in windows of 30 s, the last of which may be shorter.
    pub fn windows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.samples.chunks(WINDOW_SAMPLES)
    }
}

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    /// The file does not open.
    #[error("{}: cannot open the recording: {source}", path.display())]
    Open {
        /// File.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// No format that is read.
    #[error("{}: not a readable WAV, FLAC or MP3 file: {source}\nhelp: convert it with `ffmpeg -i IN -ar 16000 -ac 1 OUT.wav`", path.display())]
    Format {
        /// File.
        path: PathBuf,
        /// Cause.
        source: Error,
    },
    /// A rate that cannot be resampled.
    #[error("{}: the recording has {rate} samples a second, expected 1000 to 768000", path.display())]
    Rate {
        /// File.
        path: PathBuf,
        /// Samples per second found.
        rate: u32,
    },
    /// The samples end early or cannot be decoded.
    #[error("{}: after {decoded} samples: {source}", path.display())]
    Decode {
        /// File.
        path: PathBuf,
        /// Samples of each channel before.
        decoded: u64,
        /// Cause.
        source: Error,
    },
    /// Fewer samples than the header says.
    #[error("{}: truncated: {decoded} of {announced} samples are there", path.display())]
    Truncated {
        /// File.
        path: PathBuf,
        /// Samples of each channel found.
        decoded: u64,
        /// Samples of each channel that the header announces.
        announced: u64,
    },
    /// A header that readers do not agree on.
    #[error("{}: blocks of {block} B for {channels} channel(s) of {bits} bits, expected {} B; programs read such files in different ways\nhelp: convert it with the program that wrote it, to 16 bits", path.display(), u32::from(*channels) * u32::from(bits.div_ceil(8)))]
    Block {
        /// File.
        path: PathBuf,
        /// Bytes of a sample of all channels, by the header.
        block: u16,
        /// Channels.
        channels: u16,
        /// Bits of a sample.
        bits: u16,
    },
    /// More than what is read from a pipe.
    #[error("{}: more than {limit_bytes} B from a pipe\nhelp: write the recording to a file", path.display())]
    Pipe {
        /// File.
        path: PathBuf,
        /// Bytes read at the most.
        limit_bytes: u64,
    },
    /// Longer than what fits in memory.
    #[error("{}: the recording is longer than {} s\nhelp: cut it with `ffmpeg -i IN -t {} OUT.wav`", path.display(), LIMIT_S, LIMIT_S)]
    Long {
        /// File.
        path: PathBuf,
    },
    /// A float sample that is not a number.
    #[error("{}: sample {index} is {value}, expected a finite number", path.display())]
    NotFinite {
        /// File.
        path: PathBuf,
        /// Number of the sample, of each channel.
        index: u64,
        /// The sample, as the mean of its channels.
        value: f32,
    },
    /// No samples.
    #[error("{}: the recording has no samples", path.display())]
    Empty {
        /// File.
        path: PathBuf,
    },
}

/// A whole recording. Channels are mixed down to their mean, and other rates resampled.
///
/// # Errors
/// When the file is no recording, is damaged, or longer than an hour. WAV that is shorter than its header says is taken,
/// with a note.
pub fn read(path: &Path) -> Result<Audio, AudioError> {
    let failed = |source| AudioError::Open { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(failed)?;
    // A folder opens, and would be told to be of no known format.
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(failed(std::io::ErrorKind::IsADirectory.into()));
    }
    decode(path, wav::open(path, file)?)
}

/// A recording from any source; `path` names it in messages.
fn decode(path: &Path, (stream, cut): wav::Source) -> Result<Audio, AudioError> {
    let mut recording = Recording::open(path, stream)?;
    let mut resampler = Resampler::new(recording.rate);
    let limit = LIMIT_S * u64::from(recording.rate);
    let mut decoded = 0;
    while let Some(samples) = recording.next(decoded)? {
        if let Some(at) = samples.iter().position(|s| !s.is_finite()) {
            let index = decoded + at as u64;
            return Err(AudioError::NotFinite { path: path.to_path_buf(), index, value: samples[at] });
        }
        decoded += samples.len() as u64;
        if decoded > limit {
            return Err(AudioError::Long { path: path.to_path_buf() });
        }
        resampler.push(&samples);
    }
    match recording.announced {
        Some(announced) if decoded < announced => {
            Err(AudioError::Truncated { path: path.to_path_buf(), decoded, announced })
        }
        _ if decoded == 0 => Err(AudioError::Empty { path: path.to_path_buf() }),
        _ => Ok(Audio { samples: resampler.finish(), cut }),
    }
}

/// A file's first sound track, being decoded.
struct Recording<'a> {
    path: &'a Path,
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    rate: u32,
    /// Samples of each channel, where the header says so.
    announced: Option<u64>,
    interleaved: Vec<f32>,
}

impl<'a> Recording<'a> {
    fn open(
        path: &'a Path,
        stream: symphonia::core::io::MediaSourceStream<'static>,
    ) -> Result<Recording<'a>, AudioError> {
        let unreadable = |source| AudioError::Format { path: path.to_path_buf(), source };
        let probe = symphonia::default::get_probe();
        let format =
            probe.probe(&Hint::new(), stream, Default::default(), Default::default()).map_err(unreadable)?;
        let track = format.default_track(TrackType::Audio);
        let known = track.and_then(|track| Some((track, track.codec_params.as_ref()?.audio()?)));
        let (track, codec) = known.ok_or_else(|| unreadable(Error::Unsupported("no sound track")))?;
        let rate = codec.sample_rate.ok_or_else(|| unreadable(Error::Unsupported("no sample rate")))?;
        if !RATES.contains(&rate) {
            return Err(AudioError::Rate { path: path.to_path_buf(), rate });
        }
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(codec, &AudioDecoderOptions::default())
            .map_err(unreadable)?;
        let (id, announced) = (track.id, track.num_frames);
        Ok(Recording { path, format, decoder, track: id, rate, announced, interleaved: Vec::new() })
    }

    /// The next samples, as the mean of the channels; `decoded` came before.
    fn next(&mut self, decoded: u64) -> Result<Option<Vec<f32>>, AudioError> {
        let failed = |source| AudioError::Decode { path: self.path.to_path_buf(), decoded, source };
        loop {
            let Some(packet) = self.format.next_packet().map_err(failed)? else { return Ok(None) };
            if packet.track_id != self.track {
                continue;
            }
            let buffer = self.decoder.decode(&packet).map_err(failed)?;
            let channels = buffer.num_planes().max(1);
            buffer.copy_to_vec_interleaved(&mut self.interleaved);
            let mean = |frame: &[f32]| frame.iter().sum::<f32>() / channels as f32;
            return Ok(Some(self.interleaved.chunks_exact(channels).map(mean).collect()));
        }
    }
}
