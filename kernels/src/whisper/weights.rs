//! The encoder's weights in f32: from a safetensors file with Hugging Face names, or seeded random ones.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, Array3};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::ModelConfig;
use super::checkpoint::{Checkpoint, WeightsError, WrongShape};
use super::config::HEAD_DIM;

/// Most layers that a file may have: four times the largest published encoder's.
const LAYER_LIMIT: usize = 128;

/// Widest residual stream that the integer LayerNorm normalises in 32 bits.
const WIDTH_LIMIT: usize = 1024;

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
    /// Reads the encoder of a safetensors file, `model.encoder.*` or `encoder.*`, in f32, f16 or bf16.
    ///
    /// Without `expected` the sizes are the file's: the number of heads is the metadata's `heads`, else `d / 64`.
    /// With it, the shapes must be those of that model.
    ///
    /// # Errors
    /// When the file is damaged, tensors are missing (all are named), have other shapes (all are named), another
    /// type, or elements that are not finite.
    pub fn load(path: &Path, expected: Option<&ModelConfig>) -> Result<EncoderWeights, WeightsError> {
        let mut file = Checkpoint::open(path)?;
        let bare = "encoder.conv1.weight";
        let prefix = if file.shape(bare).is_some() { "encoder." } else { "model.encoder." };
        let config = match expected {
            Some(config) => config.clone(),
            None => sizes(&file, prefix)?,
        };
        for (what, got, limit) in [
            ("the width", config.d, WIDTH_LIMIT),
            ("the number of positions", config.positions, POSITION_LIMIT),
        ] {
            if got > limit {
                let (path, got) = (path.to_path_buf(), got.to_string());
                return Err(WeightsError::Sizes { path, what, got, expected: format!("at most {limit}") });
            }
        }
        let needed = tensors(&config);
        let absent = |n: &&(String, Vec<usize>)| file.shape(&format!("{prefix}{}", n.0)).is_none();
        let names: Vec<String> = needed.iter().filter(absent).map(|n| format!("{prefix}{}", n.0)).collect();
        if !names.is_empty() {
            return Err(WeightsError::Missing { path: path.to_path_buf(), names });
        }
        let wrong = |(name, expected): &(String, Vec<usize>)| {
            let tensor = format!("{prefix}{name}");
            let got = file.shape(&tensor).unwrap_or_default().to_vec();
            (got != *expected).then(|| WrongShape { tensor, expected: expected.clone(), got })
        };
        let wrong: Vec<WrongShape> = needed.iter().filter_map(wrong).collect();
        if !wrong.is_empty() {
            return Err(WeightsError::Shapes { path: path.to_path_buf(), wrong });
        }
        let known: BTreeSet<String> = needed.iter().map(|n| format!("{prefix}{}", n.0)).collect();
        let decoder =
            |n: &str| n.starts_with("model.decoder.") || n.starts_with("decoder.") || n == "proj_out.weight";
        let unknown =
            file.names().filter(|n| !known.contains(*n) && !decoder(n)).map(str::to_string).collect();
        let source = WeightsSource::File(path.to_path_buf());
        let mut get = |name: &str| file.read(&format!("{prefix}{name}"));
        assemble(config, source, unknown, &mut get)
    }

    /// Random weights with a trained encoder's magnitudes, from xoshiro256++ (whose stream is specified) in the order
    /// of the tensors' Hugging Face names: matrices uniform with a variance of one over the inputs (the projections
    /// to the residual stream a quarter of that), gains in 0.5..1.5, biases and offsets in -0.1..0.1, positions
    /// sinusoidal as Whisper's.
    pub fn seeded(config: &ModelConfig, seed: u64) -> EncoderWeights {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let shapes = tensors(config);
        let mut get = |name: &str| -> Result<Vec<f32>, std::convert::Infallible> {
            let shape = &shapes.iter().find(|t| t.0 == name).expect("assembled from the same list").1;
            let count = shape.iter().product();
            if name.starts_with("embed_positions") {
                return Ok(sinusoids(shape[0], shape[1]).into_raw_vec_and_offset().0);
            }
            let (centre, reach) = if shape.len() > 1 {
                let inputs: usize = shape[1..].iter().product();
                let residual = name.contains("out_proj") || name.contains("fc2");
                (0.0, (3.0 / inputs as f32).sqrt() * if residual { 0.5 } else { 1.0 })
            } else if name.ends_with("norm.weight") {
                (1.0, 0.5)
            } else {
                (0.0, 0.1)
            };
            Ok((0..count).map(|_| centre + reach * rng.random_range(-1.0f32..1.0)).collect())
        };
        match assemble(config.clone(), WeightsSource::Seeded(seed), Vec::new(), &mut get) {
            Ok(weights) => weights,
            Err(never) => match never {},
        }
    }
}

/// Whisper's positional embedding: sines in the first half of the columns, cosines in the second.
pub fn sinusoids(positions: usize, d: usize) -> Array2<f32> {
    let half = d / 2;
    let step = 10_000f64.ln() / (half.max(2) - 1) as f64;
    Array2::from_shape_fn((positions, d), |(t, j)| {
        let angle = t as f64 * (-((j % half.max(1)) as f64) * step).exp();
        (if j < half { angle.sin() } else { angle.cos() }) as f32
    })
}

/// Names (without prefix) and shapes of an encoder's tensors, in reading order.
fn tensors(config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
    let (d, f) = (config.d, config.ffn);
    let mut list: Vec<(String, Vec<usize>)> = Vec::new();
    let mut add = |name: String, shape: &[usize]| list.push((name, shape.to_vec()));
    add("conv1.weight".into(), &[d, config.mels, 3]);
    add("conv1.bias".into(), &[d]);
    if config.conv2 {
        add("conv2.weight".into(), &[d, d, 3]);
        add("conv2.bias".into(), &[d]);
    }
    add("embed_positions.weight".into(), &[config.positions, d]);
    for i in 0..config.layers {
        let matrices = [("self_attn.q_proj", d, d), ("self_attn.k_proj", d, d), ("self_attn.v_proj", d, d)];
        let rest = [("self_attn.out_proj", d, d), ("fc1", f, d), ("fc2", d, f)];
        for (name, outputs, inputs) in matrices.into_iter().chain(rest) {
            add(format!("layers.{i}.{name}.weight"), &[outputs, inputs]);
            if name != "self_attn.k_proj" {
                add(format!("layers.{i}.{name}.bias"), &[outputs]);
            }
        }
        for norm in ["self_attn_layer_norm", "final_layer_norm"] {
            add(format!("layers.{i}.{norm}.weight"), &[d]);
            add(format!("layers.{i}.{norm}.bias"), &[d]);
        }
    }
    add("layer_norm.weight".into(), &[d]);
    add("layer_norm.bias".into(), &[d]);
    list
}

/// The sizes that the tensors' shapes imply.
fn sizes(file: &Checkpoint, prefix: &str) -> Result<ModelConfig, WeightsError> {
    let path = || file.path().to_path_buf();
    let wrong = |what, got: String, expected: &str| WeightsError::Sizes {
        path: path(),
        what,
        got,
        expected: expected.into(),
    };
    let layer =
        |n: &str| n.strip_prefix(prefix)?.strip_prefix("layers.")?.split('.').next()?.parse::<usize>().ok();
    let layers = file.names().filter_map(layer).max().map_or(0, |last| last.saturating_add(1));
    if layers > LAYER_LIMIT {
        return Err(wrong("the number of layers", layers.to_string(), "at most 128"));
    }
    let conv2 =
        file.shape(&format!("{prefix}conv2.weight")).is_some() || file.metadata("conv2_stride") != Some("0");
    let shape = |name: &str, rank: usize| {
        let shape = file.shape(&format!("{prefix}{name}"));
        shape
            .filter(|s| s.len() == rank && s.iter().all(|n| (1..=1 << 20).contains(n)))
            .map(<[usize]>::to_vec)
    };
    let read = [("conv1.weight", 3), ("embed_positions.weight", 2), ("layers.0.fc1.weight", 2)]
        .map(|(n, r)| shape(n, r));
    let [Some(conv1), Some(embed), Some(fc1)] = read else {
        // Without these the sizes are unknown; the names still say what is missing.
        let guess = ModelConfig { layers: layers.max(1), conv2, ..ModelConfig::tiny() };
        let all = tensors(&guess).into_iter().map(|t| format!("{prefix}{}", t.0));
        let names: Vec<String> = all.filter(|n| file.shape(n).is_none()).collect();
        if !names.is_empty() {
            return Err(WeightsError::Missing { path: path(), names });
        }
        let got = |n: &str| format!("{n} {:?}", file.shape(&format!("{prefix}{n}")).unwrap_or_default());
        let found = ["conv1.weight", "embed_positions.weight", "layers.0.fc1.weight"].map(got).join(", ");
        return Err(wrong(
            "the shape of a tensor",
            found,
            "[d, mels, 3], [positions, d], [ffn, d], none 0 or above 2^20",
        ));
    };
    let d = conv1[0];
    let heads = match file.metadata("heads") {
        Some(text) => text.parse().map_err(|_| wrong("metadata `heads`", text.to_string(), "a number"))?,
        None => d / HEAD_DIM,
    };
    if heads == 0 || d % heads != 0 {
        return Err(wrong(
            "the number of heads",
            format!("{heads} for a width of {d}"),
            "a divisor of the width",
        ));
    }
    let mut config = ModelConfig {
        name: String::new(),
        mels: conv1[1],
        d,
        heads,
        layers,
        ffn: fc1[0],
        positions: embed[0],
        conv2,
    };
    let same = |name: &&&str| {
        ModelConfig::named(name).is_some_and(|c| ModelConfig { name: String::new(), ..c } == config)
    };
    config.name = match ModelConfig::NAMES.iter().find(same) {
        Some(name) => name.to_string(),
        None => format!("custom-{}x{}x{}", config.layers, config.d, config.positions),
    };
    Ok(config)
}

/// Builds the encoder from a source of tensors by name, asked for in the order of [`tensors`].
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whisper::golden;
    use safetensors::tensor::{Dtype, TensorView};

    const SMALL: fn() -> ModelConfig = || ModelConfig {
        name: "custom-1x64x4".into(),
        mels: 8,
        d: 64,
        heads: 1,
        layers: 1,
        ffn: 16,
        positions: 4,
        conv2: true,
    };

    /// A file with the tensors of [`SMALL`], changed by `edit`.
    fn file(dir: &Path, edit: impl Fn(&mut Vec<(String, Vec<usize>, Vec<f32>)>)) -> PathBuf {
        let value = |i: usize| (i % 13) as f32 / 16.0;
        let mut list: Vec<_> = tensors(&SMALL())
            .into_iter()
            .map(|(n, s)| {
                (format!("model.encoder.{n}"), s.clone(), (0..s.iter().product()).map(value).collect())
            })
            .collect();
        edit(&mut list);
        let bytes: Vec<Vec<u8>> = list.iter().map(|t| bytemuck::cast_slice(&t.2).to_vec()).collect();
        let views = list
            .iter()
            .zip(&bytes)
            .map(|(t, b)| (&t.0, TensorView::new(Dtype::F32, t.1.clone(), b).unwrap()));
        let path = dir.join("w.safetensors");
        std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
        path
    }

    #[test]
    fn reads_sizes_and_layouts() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), |t| t.push(("extra".into(), vec![1], vec![0.0])));
        let w = EncoderWeights::load(&path, None).unwrap();
        assert_eq!((w.config.clone(), w.unknown.as_slice()), (SMALL(), ["extra".to_string()].as_slice()));
        // File [output 2, channel 5, tap 1] is row tap * channels + channel, column output.
        assert_eq!(w.conv1.weight[(8 + 5, 2)], (((2 * 8 + 5) * 3 + 1) % 13) as f32 / 16.0);
        assert_eq!(w.layers[0].fc1.weight[(3, 7)], ((7 * 64 + 3) % 13) as f32 / 16.0);
        assert!(w.layers[0].k.bias.iter().all(|b| *b == 0.0));
    }

    #[test]
    fn every_problem_of_a_kind_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let load = |path: &Path| EncoderWeights::load(path, None).unwrap_err().to_string();
        let missing = file(dir.path(), |t| t.retain(|t| !t.0.ends_with("bias")));
        let message = load(&missing);
        assert!(
            message.contains("w.safetensors: 10 tensor(s) missing") && message.contains("layers.0.fc2.bias"),
            "{message}"
        );
        let shapes = file(dir.path(), |t| {
            t.iter_mut().filter(|t| t.0.ends_with("layer_norm.weight")).for_each(|t| {
                t.1 = vec![65];
                t.2.push(0.0);
            })
        });
        let message = load(&shapes);
        assert!(message.contains("3 tensor(s)") && message.contains("expected [64], got [65]"), "{message}");
        let nan = file(dir.path(), |t| t[4].2[3] = f32::NAN);
        let message = load(&nan);
        assert!(message.contains("embed_positions.weight: element 3 is NaN"), "{message}");
        let wide = file(dir.path(), |t| {
            t[0] = ("model.encoder.conv1.weight".into(), vec![1280, 1, 3], vec![0.0; 3840])
        });
        let message = load(&wide);
        assert!(message.contains("the width is 1280, expected at most 1024"), "{message}");
        let tiny = EncoderWeights::load(&file(dir.path(), |_| ()), Some(&ModelConfig::tiny()))
            .unwrap_err()
            .to_string();
        assert!(tiny.contains("missing") && tiny.contains("layers.3.fc1.weight"), "{tiny}");
    }

    #[test]
    fn damaged_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), |_| ());
        let whole = std::fs::read(&path).unwrap();
        let load = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            EncoderWeights::load(&path, None).unwrap_err()
        };
        assert!(matches!(load(&whole[..whole.len() - 1]), WeightsError::DataSize { .. }));
        assert!(matches!(load(&whole[..100]), WeightsError::HeaderSize { .. }));
        assert!(matches!(load(&[]), WeightsError::HeaderSize { file_bytes: 0, .. }));
        let mut oversized = whole.clone();
        oversized[..8].copy_from_slice(&(u64::MAX / 2).to_le_bytes());
        assert!(matches!(load(&oversized), WeightsError::HeaderSize { .. }));
        let mut text = whole.clone();
        text[8..12].copy_from_slice(b"}}}}");
        assert!(matches!(load(&text), WeightsError::Header { .. }));
        assert!(matches!(
            EncoderWeights::load(dir.path(), None).unwrap_err(),
            WeightsError::Read { .. } | WeightsError::HeaderSize { .. }
        ));
    }

    #[test]
    fn seeded_weights_are_reproducible() {
        let a = EncoderWeights::seeded(&SMALL(), 7);
        assert_eq!(a, EncoderWeights::seeded(&SMALL(), 7));
        assert_ne!(a.conv1, EncoderWeights::seeded(&SMALL(), 8).conv1);
        let variance = a.layers[0].q.weight.iter().map(|w| w * w).sum::<f32>() / 4096.0;
        assert!((variance * 64.0 - 1.0).abs() < 0.1, "{variance}");
    }

    #[test]
    fn published_files_load() {
        let Some(dir) = golden::data() else { return };
        let load = |name: &str| EncoderWeights::load(&dir.join(name), None).unwrap();
        let tiny = load("tiny_en_encoder_f16.safetensors");
        assert_eq!((&tiny.config, tiny.unknown.len()), (&ModelConfig::tiny(), 0));
        let sines = sinusoids(1500, 384);
        assert!(tiny.positions.iter().zip(&sines).all(|(a, b)| (a - b).abs() < 1e-3));
        let small = load("rand_small50.safetensors").config;
        assert_eq!((small.heads, small.d, small.positions, small.head_dim()), (2, 64, 50, 32));
        assert_eq!(load("rand_design.safetensors").config, ModelConfig::named("design-doc").unwrap());
    }
}
