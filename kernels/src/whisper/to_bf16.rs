//! From f32 weights and calibration to the encoder of scheme `bf16`.
//!
//! Weights are rounded to nearest even after they have taken the scales of what they read and write, so that sums come out in
//! steps of the output. Scales are left where integers are: the residual stream, LayerNorms and the arguments of GELUs.

use half::bf16;
use ndarray::{Array1, Axis, concatenate};

use super::calibrate::Calibration;
use super::quant::{ConvStage, Finish, Gelu, Heads, Linear, POSITION_BITS, QuantLayer, QuantModel, Weights};
use super::quantise::{Grid, fraction_bits, layer_norm};
use super::scheme::{Number, Recipe, Scheme};
use super::weights::{Dense, EncoderWeights, LayerWeights};
use crate::residual_add::ResidualAdd;

/// The encoder in bf16, with the scales of a calibration.
pub(super) fn model(weights: &EncoderWeights, calibration: &Calibration) -> QuantModel {
    let config = weights.config.clone();
    let grid = |name: &str| Grid::new(Number::I16, calibration.peak(name));
    let conv1 = conv(calibration, &weights.conv1, 1.0, 1, "conv1");
    let conv2 =
        weights.conv2.as_ref().map(|dense| conv(calibration, dense, conv1.gelu.out_scale(), 2, "conv2"));
    let unit = f64::from(POSITION_BITS).exp2();
    let position = |&p: &f32| (f64::from(p) * unit).round().clamp(-32767.0, 32767.0) as i16;
    let stem_scale = conv2.as_ref().unwrap_or(&conv1).gelu.out_scale();
    let mut stream = grid("embed").scale;
    let embed = ResidualAdd::new(stem_scale, 1.0 / unit, stream);
    let embed_scale = stream;
    let mut layers = Vec::with_capacity(weights.layers.len());
    for (i, of_floats) in weights.layers.iter().enumerate() {
        let rounded = layer(calibration, of_floats, &format!("layer{i}"), stream, config.head_dim());
        stream = rounded.resid2_scale;
        layers.push(rounded);
    }
    let features = grid("final");
    QuantModel {
        config,
        scheme: Scheme::Bf16,
        recipe: Recipe::BF16,
        mel_scale: 1.0,
        conv1,
        conv2,
        position_table: weights.positions.map(position),
        embed,
        embed_scale,
        layers,
        ln_post: layer_norm(&weights.ln_post, features),
        final_scale: features.scale,
    }
}

fn layer(
    calibration: &Calibration,
    layer: &LayerWeights,
    name: &str,
    stream: f64,
    head_dim: usize,
) -> QuantLayer {
    let grid = |part: &str| Grid::new(Number::I16, calibration.peak(&format!("{name}.{part}")));
    let (ln1, ln2) = (grid("ln1"), grid("ln2"));
    let [attn_out, resid1, fc2] = ["attn_out", "resid1", "fc2"].map(|part| grid(part).scale);
    let resid2 = Grid::new(Number::I16, calibration.peak(name)).scale;
    // Scores come out in octaves.
    let q_scale = (head_dim as f64).sqrt() * std::f64::consts::LN_2;
    let scales = [q_scale, 1.0, 1.0];
    let [q, k, v] = [(&layer.q, q_scale), (&layer.k, 1.0), (&layer.v, 1.0)]
        .map(|(dense, scale)| scaled(dense, ln1.scale, scale));
    let qkv = Dense {
        weight: concatenate![Axis(1), q.weight, k.weight, v.weight],
        bias: concatenate![Axis(0), q.bias, k.bias, v.bias],
    };
    let bits = fraction_bits(calibration.highest(&format!("{name}.fc1")));
    let gelu = Gelu::Bits(bits);
    let (argument, hidden) = (gelu.in_scale(), gelu.out_scale());
    QuantLayer {
        ln1: layer_norm(&layer.ln1, ln1),
        ln1_scale: ln1.scale,
        qkv: rounded(&qkv, ln1.scale, Number::Bf16),
        qkv_scales: scales,
        heads: Heads::Float,
        context_scale: 1.0,
        out: rounded(&scaled(&layer.out, 1.0, attn_out), 1.0, Number::I16),
        out_scale: attn_out,
        resid1: ResidualAdd::new(stream, attn_out, resid1),
        resid1_scale: resid1,
        ln2: layer_norm(&layer.ln2, ln2),
        ln2_scale: ln2.scale,
        fc1: rounded(&scaled(&layer.fc1, ln2.scale, argument), ln2.scale, Number::I16),
        gelu,
        fc2: rounded(&scaled(&layer.fc2, hidden, fc2), hidden, Number::I16),
        fc2_scale: fc2,
        resid2: ResidualAdd::new(resid1, fc2, resid2),
        resid2_scale: resid2,
    }
}

fn conv(calibration: &Calibration, dense: &Dense, in_scale: f64, stride: usize, name: &str) -> ConvStage {
    let gelu = Gelu::Bits(fraction_bits(calibration.highest(name)));
    let matrix = rounded(&scaled(dense, in_scale, gelu.in_scale()), in_scale, Number::I16);
    ConvStage { matrix, stride, gelu }
}

/// The matrix from steps of `input` to steps of `output`.
fn scaled(dense: &Dense, input: f64, output: f64) -> Dense {
    let times = |values: &f32, factor: f64| (f64::from(*values) * factor) as f32;
    Dense {
        weight: dense.weight.map(|w| times(w, input / output)),
        bias: dense.bias.map(|b| times(b, 1.0 / output)),
    }
}

/// The matrix as bf16, of an input in steps of `in_scale`.
fn rounded(dense: &Dense, in_scale: f64, out: Number) -> Linear {
    Linear {
        weights: Weights::Bf16(dense.weight.mapv(bf16::from_f32)),
        finish: Finish::Float { bias: Array1::clone(&dense.bias) },
        out,
        in_scale,
        weight_scales: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whisper::calibrate::{looped, windows};
    use crate::whisper::quantise::quantise;
    use crate::whisper::study::compare;
    use crate::whisper::{audio, golden, integer, mel, reference};

    #[test]
    fn tiny_keeps_the_cosine() {
        let Some(dir) = golden::data() else { return };
        let weights = EncoderWeights::load(&dir.join("tiny_en_encoder_f16.safetensors"), None).unwrap();
        let recording = |file: &str| audio::read(&dir.join(file)).unwrap();
        let window = |samples: &[f32]| mel::log_mel(samples, 80);
        let calibration: Vec<_> = ["calib_1.wav", "calib_2.wav"]
            .iter()
            .flat_map(|f| windows(&recording(f), &weights.config))
            .collect();
        let model = quantise(&weights, &calibration, Scheme::Bf16);
        let jfk = recording("jfk.wav").samples;
        let clips = [("jfk", window(&jfk), 0.9997), ("jfk looped", window(&looped(&jfk)), 0.999)];
        for (name, mel, least) in clips {
            let mut highest = 0.0f32;
            let exact = reference::encode(&weights, mel.view(), &mut |name, tensor| {
                if name.ends_with(".scores") {
                    highest = tensor.iter().fold(highest, |h, s| h.max(s.abs()));
                }
            });
            let octaves = f64::from(highest) * std::f64::consts::LOG2_E;
            let features = integer::encode(&model, &model.input(mel.view()), &mut |_, _| ());
            let score = compare(model.dequantise(features.view()).view(), exact.view());
            println!(
                "tiny.en, bf16, {name}: cosine {:.6}, {:.1} dB; scores up to {octaves:.1} octaves",
                score.cosine, score.sqnr_db
            );
            // Where the attention stops telling scores apart.
            assert!(octaves < 100.0, "{name}: {octaves} octaves");
            assert!(score.cosine >= least, "{name}: {}", score.cosine);
        }
    }
}
