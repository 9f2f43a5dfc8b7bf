//! The encoder on the simulated array equals the integer model, tensor by tensor and bit by bit.

use super::runner;
use kiln_dsl::device::Device;
use kiln_kernels::whisper::encoder::encode;
use kiln_kernels::whisper::integer::{self, Tensor};
use kiln_kernels::whisper::mel::{first_frames, log_mel};
use kiln_kernels::whisper::plan::Plan;
use kiln_kernels::whisper::quantise::quantise;
use kiln_kernels::whisper::scheme::Scheme;
use kiln_kernels::whisper::{EncoderWeights, ModelConfig, audio};
use ndarray::Array2;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// A tensor, widened; of bf16 the bits.
fn widened(tensor: Tensor) -> Array2<i32> {
    match tensor {
        Tensor::I8(t) => t.mapv(i32::from),
        Tensor::I16(t) => t.mapv(i32::from),
        Tensor::Bf16(t) => t.mapv(|v| i32::from(v.to_bits())),
        Tensor::I8Rows(t, rows) => {
            Array2::from_shape_fn(t.dim(), |(m, n)| i32::from(t[(m, n)]) * i32::from(rows[m]))
        }
    }
}

fn agree(weights: &EncoderWeights, mel: &Array2<f32>, scheme: Scheme) {
    agree_on(Device::npu1(), weights, mel, scheme);
}

fn agree_on(device: &'static Device, weights: &EncoderWeights, mel: &Array2<f32>, scheme: Scheme) {
    let model = quantise(weights, std::slice::from_ref(mel), scheme);
    let input = model.input(mel.view());
    let mut expected: BTreeMap<String, Array2<i32>> = BTreeMap::new();
    let features = integer::encode(&model, &input, &mut |name, tensor| {
        expected.insert(name.to_string(), widened(tensor));
    });
    let plan = Plan::new(&model.config, &model.recipe, device).unwrap_or_else(|e| panic!("{e}"));
    let mut seen = 0;
    let encoded = encode(
        &model,
        &plan,
        &input,
        &mut runner::Simulated(device),
        &mut |_| ControlFlow::Continue(()),
        &mut |name, tensor| {
            let wanted = expected.get(name).unwrap_or_else(|| panic!("the model has no tensor {name}"));
            let got = widened(tensor);
            let wrong = got.indexed_iter().find(|(at, v)| wanted[*at] != **v);
            assert!(
                wrong.is_none(),
                "{name}: first difference at {wrong:?}, expected {}",
                wanted[wrong.unwrap().0]
            );
            seen += 1;
        },
    )
    .unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(encoded.integers, features);
    assert_eq!(encoded.report.dispatches as usize, plan.dispatches());
    assert_eq!(encoded.report.cores.len(), 16);
    println!(
        "{seen} tensors agree; {} cycles in {} dispatches",
        encoded.report.cycles, encoded.report.dispatches
    );
    assert!(seen > 10 * model.layers.len());
}

#[test]
fn a_seeded_encoder_agrees() {
    let config = ModelConfig {
        name: "seeded".into(),
        mels: 16,
        d: 128,
        heads: 2,
        layers: 1,
        ffn: 192,
        positions: 65,
        conv2: true,
    };
    let mel = Array2::from_shape_fn((config.mels, config.frames()), |(b, t)| {
        ((b * 31 + t * 7) % 97) as f32 / 97.0 - 0.3
    });
    // The smaller memories of the design document change tiles and times, and no bit.
    for device in [Device::npu1(), Device::design_document()] {
        for scheme in Scheme::ALL {
            agree_on(device, &EncoderWeights::seeded(&config, 7), &mel, scheme);
        }
    }
}

/// A layer as wide as the largest encoder's, with its heads and mel bands. The design document's cores take fewer rows
/// of it at a time, and their headers come in several objects. Its longest matrices are left out: to round them well
/// takes the cube of their inputs.
#[test]
fn a_layer_as_wide_as_large_v3_agrees() {
    let large = ModelConfig::named("large-v3").expect("listed");
    let config = ModelConfig { layers: 1, positions: 3, ffn: 256, conv2: false, ..large };
    let mel = Array2::from_shape_fn((config.mels, config.frames()), |(b, t)| {
        ((b * 31 + t * 7) % 97) as f32 / 97.0 - 0.3
    });
    let weights = EncoderWeights::seeded(&config, 11);
    for device in [Device::npu1(), Device::design_document()] {
        agree_on(device, &weights, &mel, Scheme::default());
    }
}

/// One row, a row less and more than a block of 64, and Whisper's own number: 23 blocks of 64 and
/// 28 rows, of which the last block of keys is masked.
#[test]
fn any_number_of_rows_agrees() {
    for positions in [1, 63, 64, 65, 1500] {
        let config = ModelConfig {
            name: "seeded".into(),
            mels: 16,
            d: 64,
            heads: 1,
            layers: 1,
            ffn: 128,
            positions,
            conv2: true,
        };
        let mel = Array2::from_shape_fn((config.mels, config.frames()), |(b, t)| {
            ((b * 31 + t * 7) % 97) as f32 / 97.0 - 0.3
        });
        for scheme in [Scheme::default(), Scheme::Bf16, Scheme::DesignDoc] {
            agree(&EncoderWeights::seeded(&config, positions as u64), &mel, scheme);
        }
    }
}

/// The reference data, or `None` with a word that the test is skipped.
fn data() -> Option<PathBuf> {
    let root = std::env::var_os("KILN_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let dir = root.join("data/whisper");
    if !dir.is_dir() {
        println!("skipped: {} is absent", dir.display());
        return None;
    }
    Some(dir)
}

#[test]
fn rand_small50_agrees() {
    let Some(dir) = data() else { return };
    let weights =
        EncoderWeights::load(&dir.join("rand_small50.safetensors"), None).unwrap_or_else(|e| panic!("{e}"));
    let audio = audio::read(&dir.join("jfk.wav")).unwrap_or_else(|e| panic!("{e}"));
    let mel = log_mel(&audio.samples, weights.config.mels);
    for scheme in Scheme::ALL {
        agree(&weights, &first_frames(mel.view(), weights.config.frames()), scheme);
    }
}

#[test]
fn tiny_agrees_on_real_speech() {
    let Some(dir) = data() else { return };
    let path = dir.join("tiny_en_encoder_f16.safetensors");
    let weights = EncoderWeights::load(&path, None).unwrap_or_else(|e| panic!("{e}"));
    let audio = audio::read(&dir.join("jfk.wav")).unwrap_or_else(|e| panic!("{e}"));
    agree(&weights, &log_mel(&audio.samples, weights.config.mels), Scheme::default());
}
