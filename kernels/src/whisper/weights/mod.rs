//! The encoder's weights in f32: from a file, or seeded random ones.

mod file;
mod seeded;
mod sizes;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, Array3};

use super::ModelConfig;
use super::checkpoint::{Checkpoint, WeightsError, WrongShape};
use crate::layernorm;
use file::EncoderFile;
pub use seeded::sinusoids;
use sizes::tensors;

/// Widest residual stream that the integer LayerNorm normalises in 32 bits.
const WIDTH_LIMIT: usize = layernorm::MAX_COLUMNS as usize;

/// Most keys whose exponentials the integer softmax sums in 30 bits.
const POSITION_LIMIT: usize = 1 << 15;

/// A matrix with its bias: `y = x . weight + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// `[K, N]`, inputs by outputs. A convolution's K is taps by channels, tap outermost.
    pub weight: Array2<f32>,
    /// `[N]`.
    pub bias: Array1<f32>,
}

/// Gains and offsets of a LayerNorm.
#[derive(Clone, Debug, PartialEq)]
pub struct Norm {
    /// `[d]`.
    pub gamma: Array1<f32>,
    /// `[d]`.
    pub beta: Array1<f32>,
}

/// One transformer layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerWeights {
    /// Norm before attention.
    pub ln1: Norm,
    /// Query projection.
    pub q: Dense,
    /// Key projection; its bias is zero.
    pub k: Dense,
    /// Value projection.
    pub v: Dense,
    /// Output projection.
    pub out: Dense,
    /// Norm before the feed-forward block.
    pub ln2: Norm,
    /// First feed-forward matrix.
    pub fc1: Dense,
    /// Second feed-forward matrix.
    pub fc2: Dense,
}

/// Where weights come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeightsSource {
    /// A file.
    File(PathBuf),
    /// The seeded generator: the output means nothing beyond the numbers.
    Seeded(u64),
}

/// A whole encoder in f32.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderWeights {
    /// Sizes.
    pub config: ModelConfig,
    /// Where the numbers come from.
    pub source: WeightsSource,
    /// Tensors of the file that are neither the encoder's nor the decoder's, for a warning.
    pub unknown: Vec<String>,
    /// First convolution, stride 1: `[3 * mels, d]`.
    pub conv1: Dense,
    /// Second convolution, stride 2: `[3 * d, d]`.
    pub conv2: Option<Dense>,
    /// Positional embedding `[positions, d]`.
    pub positions: Array2<f32>,
    /// The layers.
    pub layers: Vec<LayerWeights>,
    /// Final norm.
    pub ln_post: Norm,
}

impl EncoderWeights {
    /// Reads the encoder of a file in any of [`Checkpoint`]'s formats, with Hugging Face's or OpenAI's names.
    ///
    /// Without `expected` the sizes are the file's: the number of heads is what its metadata says, else `d / 64`.
    /// With it, the shapes must be those of that model.
    ///
    /// # Errors
    /// When the file is damaged, tensors are missing (all are named), have other shapes (all are named), another
    /// type, or elements that are not finite.
    pub fn load(path: &Path, expected: Option<&ModelConfig>) -> Result<EncoderWeights, WeightsError> {
        EncoderWeights::from_checkpoint(Checkpoint::open(path)?, expected)
    }

    /// As [`EncoderWeights::load`], of an open checkpoint.
    ///
    /// # Errors
    /// As [`EncoderWeights::load`].
    pub fn from_checkpoint(
        file: Checkpoint,
        expected: Option<&ModelConfig>,
    ) -> Result<EncoderWeights, WeightsError> {
        let mut file = EncoderFile::new(file)?;
        let path = file.path().to_path_buf();
        let config = match expected {
            Some(config) => config.clone(),
            None => sizes::sizes(&file)?,
        };
        for (what, got, limit) in [
            ("the width", config.d, WIDTH_LIMIT),
            ("the number of positions", config.positions, POSITION_LIMIT),
        ] {
            if got > limit {
                let got = got.to_string();
                return Err(WeightsError::Sizes { path, what, got, expected: format!("at most {limit}") });
            }
        }
        let needed = tensors(&config);
        let absent = |(name, _): &&(String, Vec<usize>)| file.shape(name).is_none();
        let names: Vec<String> = needed.iter().filter(absent).map(|(name, _)| name.clone()).collect();
        if !names.is_empty() {
            return Err(WeightsError::Missing { path, names });
        }
        let wrong = |(name, expected): &(String, Vec<usize>)| {
            let got = file.shape(name).unwrap_or_default().to_vec();
            let tensor = file.name(name).to_string();
            (got != *expected).then(|| WrongShape { tensor, expected: expected.clone(), got })
        };
        let wrong: Vec<WrongShape> = needed.iter().filter_map(wrong).collect();
        if !wrong.is_empty() {
            return Err(WeightsError::Shapes { path, wrong });
        }
        let unknown = file.others(&needed);
        assemble(config, WeightsSource::File(path), unknown, &mut |name: &str| file.read(name))
    }
}

/// Builds the encoder from a source of tensors by name, asked for in the order of `tensors`.
fn assemble<E>(
    config: ModelConfig,
    source: WeightsSource,
    unknown: Vec<String>,
    get: &mut dyn FnMut(&str) -> Result<Vec<f32>, E>,
) -> Result<EncoderWeights, E> {
    let (d, f) = (config.d, config.ffn);
    let conv1 = convolution(get, "conv1", config.mels, d)?;
    let conv2 = if config.conv2 { Some(convolution(get, "conv2", d, d)?) } else { None };
    let positions = matrix(config.positions, d, get("embed_positions.weight")?);
    let mut layers = Vec::with_capacity(config.layers);
    for i in 0..config.layers {
        let name = |part: &str| format!("layers.{i}.{part}");
        let q = dense(get, &name("self_attn.q_proj"), d, d)?;
        let k_weight = matrix(d, d, get(&name("self_attn.k_proj.weight"))?).reversed_axes();
        let k = Dense { weight: k_weight.as_standard_layout().into_owned(), bias: Array1::zeros(d) };
        let v = dense(get, &name("self_attn.v_proj"), d, d)?;
        let out = dense(get, &name("self_attn.out_proj"), d, d)?;
        let fc1 = dense(get, &name("fc1"), d, f)?;
        let fc2 = dense(get, &name("fc2"), f, d)?;
        let ln1 = norm(get, &name("self_attn_layer_norm"))?;
        let ln2 = norm(get, &name("final_layer_norm"))?;
        layers.push(LayerWeights { ln1, q, k, v, out, ln2, fc1, fc2 });
    }
    let ln_post = norm(get, "layer_norm")?;
    Ok(EncoderWeights { config, source, unknown, conv1, conv2, positions, layers, ln_post })
}

type Get<'a, E> = &'a mut dyn FnMut(&str) -> Result<Vec<f32>, E>;

/// Shapes were compared with the same sizes before, so the lengths agree.
fn matrix(rows: usize, columns: usize, values: Vec<f32>) -> Array2<f32> {
    Array2::from_shape_vec((rows, columns), values).expect("the shape was checked")
}

fn dense<E>(get: Get<E>, name: &str, inputs: usize, outputs: usize) -> Result<Dense, E> {
    let weight = matrix(outputs, inputs, get(&format!("{name}.weight"))?).reversed_axes();
    let bias = Array1::from(get(&format!("{name}.bias"))?);
    Ok(Dense { weight: weight.as_standard_layout().into_owned(), bias })
}

/// `[outputs, channels, 3]` of the file to `[3 * channels, outputs]`.
fn convolution<E>(get: Get<E>, name: &str, channels: usize, outputs: usize) -> Result<Dense, E> {
    let values = get(&format!("{name}.weight"))?;
    let weight = Array3::from_shape_vec((outputs, channels, 3), values).expect("the shape was checked");
    let rows = weight.permuted_axes([2, 1, 0]).as_standard_layout().into_owned();
    let weight = rows.into_shape_with_order((3 * channels, outputs)).expect("standard layout");
    Ok(Dense { weight, bias: Array1::from(get(&format!("{name}.bias"))?) })
}

fn norm<E>(get: Get<E>, name: &str) -> Result<Norm, E> {
    let gamma = Array1::from(get(&format!("{name}.weight"))?);
    Ok(Norm { gamma, beta: Array1::from(get(&format!("{name}.bias"))?) })
}
