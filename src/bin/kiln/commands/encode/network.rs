//! The encoder that was asked for: in floats, to be quantised, or quantised before.

use super::Args;
use anyhow::{Result, anyhow, bail};
use kiln::kernels::whisper::QuantModel;
use kiln::kernels::whisper::config::{ModelConfig, WINDOW_FRAMES};
use kiln::kernels::whisper::saved::{self, Stamp};
use kiln::kernels::whisper::scheme::Scheme;
use kiln::kernels::whisper::weights::{EncoderWeights, WeightsSource};
use std::path::Path;

/// An encoder.
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
    pub fn read(args: &Args) -> Result<Network> {
        let network = match &args.weights {
            Some(path) if saved::is_quantised(path) => quantised(path, args)?,
            _ => Network::Floats(Box::new(floats(args)?)),
        };
        let frames = network.config().frames();
        if frames > WINDOW_FRAMES {
            let source = args.weights.as_deref().unwrap_or(&args.audio);
            bail!(
                "{}: the encoder reads {frames} mel frames, a window has {WINDOW_FRAMES}",
                source.display()
            );
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
}

fn quantised(path: &Path, args: &Args) -> Result<Network> {
    let (model, stamp) = saved::read(path)?;
    if !args.calibrate.is_empty() {
        bail!(
            "{}: the encoder is quantised already\nhelp: leave --calibrate away: its scales are in the file",
            path.display()
        );
    }
    if let Some(scheme) = args.scheme.filter(|s| *s != model.scheme) {
        bail!("{}: quantised for scheme {}, --scheme asks for {scheme}", path.display(), model.scheme);
    }
    if let Some(name) = args
        .model
        .as_ref()
        .filter(|name| named(name).is_ok_and(|c| c.d != model.config.d || c.layers != model.config.layers))
    {
        bail!("{}: an encoder {}, --model asks for {name}", path.display(), model.config.name);
    }
    Ok(Network::Quantised(Box::new(model), stamp))
}

fn floats(args: &Args) -> Result<EncoderWeights> {
    let named = args.model.as_deref().map(named).transpose()?;
    Ok(match &args.weights {
        Some(path) => EncoderWeights::load(path, named.as_ref())?,
        None => EncoderWeights::seeded(&named.unwrap_or_else(ModelConfig::tiny), args.seed),
    })
}

fn named(name: &str) -> Result<ModelConfig> {
    ModelConfig::named(name).ok_or_else(|| {
        anyhow!("no model is named \"{name}\"\nhelp: the names are {}", ModelConfig::NAMES.join(", "))
    })
}
