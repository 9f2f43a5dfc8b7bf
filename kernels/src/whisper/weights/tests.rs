//! Encoders from files: sizes, layouts, and what is refused.

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
        .map(|(n, s)| (format!("model.encoder.{n}"), s.clone(), (0..s.iter().product()).map(value).collect()))
        .collect();
    edit(&mut list);
    let bytes: Vec<Vec<u8>> = list.iter().map(|t| bytemuck::cast_slice(&t.2).to_vec()).collect();
    let views =
        list.iter().zip(&bytes).map(|(t, b)| (&t.0, TensorView::new(Dtype::F32, t.1.clone(), b).unwrap()));
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
    let wide =
        file(dir.path(), |t| t[0] = ("model.encoder.conv1.weight".into(), vec![2112, 1, 3], vec![0.0; 6336]));
    let message = load(&wide);
    assert!(message.contains("the width is 2112, expected at most 2048"), "{message}");
    let tiny =
        EncoderWeights::load(&file(dir.path(), |_| ()), Some(&ModelConfig::tiny())).unwrap_err().to_string();
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
    let absent = EncoderWeights::load(&dir.path().join("absent"), None).unwrap_err();
    assert!(matches!(absent, WeightsError::Read { .. }));
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
