//! The encoder that a command was asked for: in floats, to be quantised, or quantised before.

use crate::progress;
use indicatif::ProgressBar;
use kiln_kernels::whisper::audio::Audio;
use kiln_kernels::whisper::checkpoint::WeightsError;
use kiln_kernels::whisper::config::{ModelConfig, WINDOW_FRAMES};
use kiln_kernels::whisper::quantise::{QuantiseError, Quantised};
use kiln_kernels::whisper::saved::{self, SavedError, Stamp};
use kiln_kernels::whisper::scheme::Scheme;
use kiln_kernels::whisper::watch::{Interrupted, Watch};
use kiln_kernels::whisper::weights::{EncoderWeights, WeightsSource};
use kiln_kernels::whisper::{QuantModel, calibrate, mel};
use ndarray::Array2;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Which encoder, and how its tensors are numbers: options that commands share.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct NetworkArgs {
    /// Sizes of the encoder: tiny, base, small, medium, their .en, large-v2, large-v3, turbo or design-doc [default: those of
    /// --weights, else tiny]
    #[arg(long)]
    pub model: Option<String>,
    /// A quantised encoder (`kiln quantize`), or weights with Hugging Face's or OpenAI's names: safetensors (a file, a list of
    /// shards or their folder), PyTorch (.pt) or whisper.cpp's ggml (.bin)
    #[arg(long, value_name = "F")]
    pub weights: Option<PathBuf>,
    /// Seed of the random weights, when there is no file
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "weights")]
    pub seed: u64,
    /// How tensors are numbers: w8a8, w8a8-static, bf16 or design-doc [default: that of quantised --weights, else w8a8]
    #[arg(long, value_name = "S")]
    pub scheme: Option<Scheme>,
    /// Recording to measure the scales of activations on; may be given more than once [default: AUDIO]
    #[arg(long, value_name = "AUDIO")]
    pub calibrate: Vec<PathBuf>,
}

impl NetworkArgs {
    /// What messages call the weights: their file.
    pub fn weights_name(&self) -> String {
        match &self.weights {
            Some(path) => path.display().to_string(),
            None => format!("the weights of seed {}", self.seed),
        }
    }

    /// What a person should know before reading numbers: a line each, without "note: ".
    pub fn notes(&self, network: &Network) -> Vec<String> {
        let mut notes = Vec::new();
        if self.weights.is_none() {
            notes.push(format!(
                "no --weights: the weights are random (seed {}), the features mean nothing",
                self.seed
            ));
        }
        if !network.unknown().is_empty() {
            notes.push(format!("tensors that an encoder does not have: {}", network.unknown().join(", ")));
        }
        notes
    }
}

/// What makes the log-mel spectrogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum MelOn {
    /// The processor, in floats.
    Host,
    /// The array's kernels.
    Npu,
}

/// Why there is no such encoder.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// No model has the name.
    #[error("no model is named \"{name}\"\nhelp: the names are {}", ModelConfig::NAMES.join(", "))]
    UnknownModel {
        /// What was asked for.
        name: String,
    },
    /// The weights in floats cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The quantised encoder cannot be read.
    #[error(transparent)]
    Saved(#[from] SavedError),
    /// Scales are in the file.
    #[error("{}: the encoder is quantised already\nhelp: leave --calibrate away: its scales are in the file", path.display())]
    QuantisedAlready {
        /// File.
        path: PathBuf,
    },
    /// The file is of another scheme.
    #[error("{}: quantised for scheme {got}, --scheme asks for {asked}", path.display())]
    OtherScheme {
        /// File.
        path: PathBuf,
        /// Its scheme.
        got: Scheme,
        /// Asked for.
        asked: Scheme,
    },
    /// The file is of another model.
    #[error("{}: an encoder {got}, --model asks for {asked}", path.display())]
    OtherModel {
        /// File.
        path: PathBuf,
        /// Its model.
        got: String,
        /// Asked for.
        asked: String,
    },
    /// It reads more than a window.
    #[error("{weights}: the encoder reads {frames} mel frames, a window has {WINDOW_FRAMES}")]
    Frames {
        /// What the weights are called.
        weights: String,
        /// Frames.
        frames: usize,
    },
    /// Its numbers cannot be those of the scheme.
    #[error("{weights}: {source}")]
    Quantise {
        /// What the weights are called.
        weights: String,
        /// Cause.
        source: QuantiseError,
    },
    /// It was asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// An encoder.
#[derive(Debug)]
pub enum Network {
    /// Weights in floats.
    Floats(Box<EncoderWeights>),
    /// Integers, with what they were made for.
    Quantised(Box<QuantModel>, Stamp),
}

impl Network {
    /// Of the file, in the sizes of `--model` or else its own; or a seeded one of those sizes.
    ///
    /// # Errors
    /// When the file is no encoder's, or an option contradicts it.
    pub fn read(args: &NetworkArgs) -> Result<Network, NetworkError> {
        let named = args.model.as_deref().map(named).transpose()?;
        let network = match &args.weights {
            Some(path) if saved::is_quantised(path) => quantised(path, args, named.as_ref())?,
            Some(path) => Network::Floats(Box::new(EncoderWeights::load(path, named.as_ref())?)),
            None => {
                let sizes = named.unwrap_or_else(ModelConfig::tiny);
                Network::Floats(Box::new(EncoderWeights::seeded(&sizes, args.seed)))
            }
        };
        let frames = network.config().frames();
        if frames > WINDOW_FRAMES {
            return Err(NetworkError::Frames { weights: args.weights_name(), frames });
        }
        Ok(network)
    }

    /// Sizes.
    pub fn config(&self) -> &ModelConfig {
        match self {
            Network::Floats(weights) => &weights.config,
            Network::Quantised(model, _) => &model.config,
        }
    }

    /// The scheme that `asked` or else the file says.
    pub fn scheme(&self, asked: Option<Scheme>) -> Scheme {
        match self {
            Network::Floats(_) => asked.unwrap_or_default(),
            Network::Quantised(model, _) => model.scheme,
        }
    }

    /// Seed of random weights.
    pub fn seed(&self) -> Option<u64> {
        match self {
            Network::Floats(weights) => match weights.source {
                WeightsSource::Seeded(seed) => Some(seed),
                WeightsSource::File(_) => None,
            },
            Network::Quantised(..) => None,
        }
    }

    /// Tensors of the file that no encoder has.
    pub fn unknown(&self) -> &[String] {
        match self {
            Network::Floats(weights) => &weights.unknown,
            Network::Quantised(..) => &[],
        }
    }

    /// The encoder in the numbers of its scheme: as it was read, or with scales measured on the recordings of `calibration`,
    /// or, if there are none, on `windows`: spectrograms `[mels, frames]` of what is to be encoded.
    ///
    /// # Errors
    /// [`NetworkError::Quantise`]; [`NetworkError::Interrupted`] when `stopped` says so.
    pub fn in_scheme(
        &self,
        args: &NetworkArgs,
        calibration: &[Audio],
        windows: &[Array2<f32>],
        stopped: &dyn Fn() -> bool,
    ) -> Result<QuantModel, NetworkError> {
        let weights = match self {
            Network::Quantised(model, _) => return Ok((**model).clone()),
            Network::Floats(weights) => weights,
        };
        let others: Vec<_> =
            calibration.iter().flat_map(|audio| calibrate::windows(audio, &weights.config)).collect();
        let mels = if others.is_empty() { windows } else { &others };
        let bar = progress::steps("scales and integers");
        let quantised = quantise_watched(weights, mels, self.scheme(args.scheme), &bar, stopped);
        bar.finish_and_clear();
        match quantised {
            Ok(quantised) => Ok(quantised.model),
            Err(QuantiseError::Interrupted(interrupted)) => Err(interrupted.into()),
            Err(source) => Err(NetworkError::Quantise { weights: args.weights_name(), source }),
        }
    }
}

/// The log-mel spectrogram `[mels, frames]` that an encoder reads, of each window of a recording, by the host.
pub fn spectrograms(audio: &Audio, config: &ModelConfig) -> Vec<Array2<f32>> {
    audio.windows().map(|samples| mel::spectrogram(samples, config)).collect()
}

/// [`Quantised::new`], with a bar that shows its steps, until `stopped` says so.
///
/// # Errors
/// As [`Quantised::watched`].
pub fn quantise_watched(
    weights: &EncoderWeights,
    mels: &[Array2<f32>],
    scheme: Scheme,
    bar: &ProgressBar,
    stopped: &dyn Fn() -> bool,
) -> Result<Quantised, QuantiseError> {
    let mut tell = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        if stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    Quantised::watched(weights, mels, scheme, &mut Watch::new(&mut tell))
}

/// The sizes that have a name.
///
/// # Errors
/// [`NetworkError::UnknownModel`].
pub fn named(name: &str) -> Result<ModelConfig, NetworkError> {
    ModelConfig::named(name).ok_or_else(|| NetworkError::UnknownModel { name: name.to_owned() })
}

fn quantised(path: &Path, args: &NetworkArgs, named: Option<&ModelConfig>) -> Result<Network, NetworkError> {
    let (model, stamp) = saved::read(path)?;
    let path = || path.to_path_buf();
    if !args.calibrate.is_empty() {
        return Err(NetworkError::QuantisedAlready { path: path() });
    }
    if let Some(asked) = args.scheme.filter(|asked| *asked != model.scheme) {
        return Err(NetworkError::OtherScheme { path: path(), got: model.scheme, asked });
    }
    if let Some(asked) = named.filter(|c| c.d != model.config.d || c.layers != model.config.layers) {
        let [got, asked] = [&model.config, asked].map(|config| config.name.clone());
        return Err(NetworkError::OtherModel { path: path(), got, asked });
    }
    Ok(Network::Quantised(Box::new(model), stamp))
}
