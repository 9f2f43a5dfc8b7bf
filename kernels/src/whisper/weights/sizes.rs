//! Names, shapes and sizes of an encoder's tensors.

use super::file::EncoderFile;
use crate::whisper::ModelConfig;
use crate::whisper::checkpoint::WeightsError;
use crate::whisper::config::HEAD_DIM;

/// Most layers that a file may have: four times the largest published encoder's.
const LAYER_LIMIT: usize = 128;

/// What files call the number of heads.
const HEADS: [&str; 2] = ["heads", "n_audio_head"];

/// Names (without prefix) and shapes of an encoder's tensors, in reading order.
pub(super) fn tensors(config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
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
pub(super) fn sizes(file: &EncoderFile) -> Result<ModelConfig, WeightsError> {
    let path = || file.path().to_path_buf();
    let wrong = |what, got: String, expected: &str| WeightsError::Sizes {
        path: path(),
        what,
        got,
        expected: expected.into(),
    };
    let layer = |n: &str| n.strip_prefix("layers.")?.split('.').next()?.parse::<usize>().ok();
    let layers = file.names().filter_map(layer).max().map_or(0, |last| last.saturating_add(1));
    if layers > LAYER_LIMIT {
        return Err(wrong("the number of layers", layers.to_string(), "at most 128"));
    }
    let conv2 = file.shape("conv2.weight").is_some() || file.metadata("conv2_stride") != Some("0");
    let shape = |name: &str, rank: usize| {
        let shape = file.shape(name);
        shape
            .filter(|s| s.len() == rank && s.iter().all(|n| (1..=1 << 20).contains(n)))
            .map(<[usize]>::to_vec)
    };
    let read = [("conv1.weight", 3), ("embed_positions.weight", 2), ("layers.0.fc1.weight", 2)]
        .map(|(n, r)| shape(n, r));
    let [Some(conv1), Some(embed), Some(fc1)] = read else {
        // Without these the sizes are unknown; the names still say what is missing.
        let guess = ModelConfig { layers: layers.max(1), conv2, ..ModelConfig::tiny() };
        let all = tensors(&guess).into_iter().map(|t| t.0);
        let names: Vec<String> = all.filter(|n| file.shape(n).is_none()).collect();
        if !names.is_empty() {
            return Err(WeightsError::Missing { path: path(), names });
        }
        let got = |n: &str| format!("{n} {:?}", file.shape(n).unwrap_or_default());
        let found = ["conv1.weight", "embed_positions.weight", "layers.0.fc1.weight"].map(got).join(", ");
        return Err(wrong(
            "the shape of a tensor",
            found,
            "[d, mels, 3], [positions, d], [ffn, d], none 0 or above 2^20",
        ));
    };
    let d = conv1[0];
    let heads = match HEADS.iter().find_map(|key| file.metadata(key)) {
        Some(text) => text.parse().map_err(|_| wrong("the number of heads", text.to_string(), "a number"))?,
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
