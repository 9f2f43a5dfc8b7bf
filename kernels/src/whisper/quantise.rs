//! From f32 weights and calibration recordings to the integer encoder.

use ndarray::{Array1, Array2, Axis, concatenate};

use super::calibrate::Calibration;
use super::quant::{ConvStage, Linear, MEL_BITS, POSITION_BITS, QuantLayer, QuantModel};
use super::weights::{Dense, EncoderWeights, LayerWeights, Norm};
use crate::gelu::FRACTION_BITS;
use crate::layernorm::LayerNorm;
use crate::requantise::Requant;
use crate::residual_add::ResidualAdd;
use crate::softmax::STEPS_PER_OCTAVE;

/// Room above the calibrated peak of every static 16-bit scale: another recording's residual stream peaks 2 % higher.
const HEADROOM: f64 = 1.25;

/// Room above the calibrated peak of a 32-bit accumulator where it is cut to 16 bits.
const ACC_HEADROOM: f64 = 2.0;

/// A column's weight scale is at least the largest one's 256th: a smaller one would only refine a contribution that
/// its tensor's output scale rounds away, and cost the other columns accumulator bits.
const SCALE_SPAN: f64 = 256.0;

/// A static scale and the type it is for.
#[derive(Clone, Copy, Debug)]
struct Grid {
    /// Value of one step.
    scale: f64,
    /// Largest number of steps: 127 or 32767.
    steps: f64,
}

impl Grid {
    /// 8 bits up to the peak.
    fn bits8(peak: f64) -> Grid {
        Grid { scale: peak / 127.0, steps: 127.0 }
    }

    /// 16 bits up to the peak and its headroom.
    fn bits16(peak: f64) -> Grid {
        Grid { scale: peak * HEADROOM / 32767.0, steps: 32767.0 }
    }

    /// 16 bits in steps of `2^-bits`.
    fn binary(bits: u32) -> Grid {
        Grid { scale: (-f64::from(bits)).exp2(), steps: 32767.0 }
    }
}

/// Quantises an encoder with the scales that `mels` (log-mel windows `[mels, frames]`) call for. Deterministic.
///
/// # Panics
/// When `mels` is empty, or a window has another shape than the encoder reads.
pub fn quantise(weights: &EncoderWeights, mels: &[Array2<f32>]) -> QuantModel {
    quantise_calibrated(weights, &Calibration::measure(weights, mels))
}

/// Quantises an encoder with known peaks.
///
/// # Panics
/// When the calibration is of an encoder with other sizes.
pub fn quantise_calibrated(weights: &EncoderWeights, calibration: &Calibration) -> QuantModel {
    let config = weights.config.clone();
    let conv1 = conv_stage(&weights.conv1, Grid::binary(MEL_BITS), 1, "conv1", calibration);
    let conv2 = weights
        .conv2
        .as_ref()
        .map(|dense| conv_stage(dense, Grid::binary(conv1.gelu_bits), 2, "conv2", calibration));
    let stem_bits = conv2.as_ref().map_or(conv1.gelu_bits, |c| c.gelu_bits);
    let unit = f64::from(POSITION_BITS).exp2();
    let position = |&p: &f32| (f64::from(p) * unit).round().clamp(-32768.0, 32767.0) as i16;
    let position_table = weights.positions.map(position);
    let mut stream = Grid::bits16(calibration.peak("embed"));
    let embed =
        ResidualAdd::new(Grid::binary(stem_bits).scale, Grid::binary(POSITION_BITS).scale, stream.scale);
    let embed_scale = stream.scale;
    let mut layers = Vec::with_capacity(weights.layers.len());
    for (i, layer) in weights.layers.iter().enumerate() {
        let quantised = quantise_layer(layer, &format!("layer{i}"), stream, config.head_dim(), calibration);
        stream = Grid { scale: quantised.resid2_scale, ..stream };
        layers.push(quantised);
    }
    let features = Grid::bits16(calibration.peak("final"));
    let ln_post = layer_norm(&weights.ln_post, features);
    let final_scale = features.scale;
    QuantModel { config, conv1, conv2, position_table, embed, embed_scale, layers, ln_post, final_scale }
}

fn quantise_layer(
    layer: &LayerWeights,
    name: &str,
    stream: Grid,
    head_dim: usize,
    calibration: &Calibration,
) -> QuantLayer {
    let peak = |part: &str| calibration.peak(&format!("{name}.{part}"));
    let columns = |part: &str| calibration.column_peaks(&format!("{name}.{part}"));
    let ln1 = Grid::bits8(peak("ln1"));
    let [q, k, v] = ["q", "k", "v"].map(|part| Grid::bits8(peak(part)));
    let qkv = {
        let parts = [(&layer.q, q, "q"), (&layer.k, k, "k"), (&layer.v, v, "v")];
        let side_by_side = Dense {
            weight: concatenate![Axis(1), parts[0].0.weight, parts[1].0.weight, parts[2].0.weight],
            bias: concatenate![Axis(0), parts[0].0.bias, parts[1].0.bias, parts[2].0.bias],
        };
        let outputs: Vec<Grid> = parts.iter().flat_map(|p| vec![p.1; p.0.bias.len()]).collect();
        let peaks: Vec<f64> = parts.iter().flat_map(|p| columns(p.2)).collect();
        linear(&side_by_side, ln1, &outputs, &peaks)
    };
    let octaves = std::f64::consts::LOG2_E * f64::from(STEPS_PER_OCTAVE) / (head_dim as f64).sqrt();
    let score_peak = peak("scores") * (head_dim as f64).sqrt() * ACC_HEADROOM / (q.scale * k.scale);
    let scores = Requant::new(&[q.scale * k.scale * octaves], &[score_peak]);
    let ctx = Grid::bits8(peak("ctx"));
    let context_factor = v.scale / 32768.0 / ctx.scale;
    let context = Requant::new(&[context_factor], &[(ctx.steps + 1.0) / context_factor]);
    let attn_out = Grid::bits16(peak("attn_out"));
    let out = linear(&layer.out, ctx, &vec![attn_out; layer.out.bias.len()], &columns("attn_out"));
    let resid1 = Grid::bits16(peak("resid1"));
    let ln2 = Grid::bits8(peak("ln2"));
    let gelu_bits = fraction_bits(calibration.highest(&format!("{name}.fc1")));
    let hidden = Grid::binary(gelu_bits);
    let fc1 = linear(&layer.fc1, ln2, &vec![hidden; layer.fc1.bias.len()], &columns("fc1"));
    let fc2_grid = Grid::bits16(peak("fc2"));
    let fc2 = linear(&layer.fc2, hidden, &vec![fc2_grid; layer.fc2.bias.len()], &columns("fc2"));
    let resid2 = Grid::bits16(calibration.peak(name));
    QuantLayer {
        ln1: layer_norm(&layer.ln1, ln1),
        ln1_scale: ln1.scale,
        qkv,
        qkv_scales: [q.scale, k.scale, v.scale],
        scores,
        context,
        context_scale: ctx.scale,
        out,
        out_scale: attn_out.scale,
        resid1: ResidualAdd::new(stream.scale, attn_out.scale, resid1.scale),
        resid1_scale: resid1.scale,
        ln2: layer_norm(&layer.ln2, ln2),
        ln2_scale: ln2.scale,
        fc1,
        gelu_bits,
        fc2,
        fc2_scale: fc2_grid.scale,
        resid2: ResidualAdd::new(resid1.scale, fc2_grid.scale, resid2.scale),
        resid2_scale: resid2.scale,
    }
}

fn conv_stage(dense: &Dense, input: Grid, stride: usize, name: &str, calibration: &Calibration) -> ConvStage {
    let gelu_bits = fraction_bits(calibration.highest(name));
    let output = vec![Grid::binary(gelu_bits); dense.bias.len()];
    ConvStage { matrix: linear(dense, input, &output, &calibration.column_peaks(name)), stride, gelu_bits }
}

/// The finest power-of-two scale of a GELU whose largest argument is `highest`; arguments far below zero may clip,
/// since they yield zero.
fn fraction_bits(highest: f64) -> u32 {
    let bits = (32767.0 / (highest * HEADROOM)).log2().floor();
    bits.clamp(f64::from(*FRACTION_BITS.start()), f64::from(*FRACTION_BITS.end())) as u32
}

fn layer_norm(norm: &Norm, output: Grid) -> LayerNorm {
    LayerNorm::new(&norm.gamma.to_vec(), &norm.beta.to_vec(), output.scale)
}

/// Quantises a matrix: weights symmetric with one scale per column, bias at the accumulator's scale.
///
/// `outputs[n]` is the grid of column `n`'s result and `peaks[n]` its calibrated magnitude. The accumulator keeps
/// what the output can hold; where the output has 16 bits, only up to twice the column's calibrated peak.
fn linear(dense: &Dense, input: Grid, outputs: &[Grid], peaks: &[f64]) -> Linear {
    let columns = dense.weight.ncols();
    assert_eq!((outputs.len(), peaks.len()), (columns, columns), "columns of the calibrated tensor");
    let largest = |n: usize| dense.weight.column(n).iter().fold(0.0f32, |m, w| m.max(w.abs()));
    let natural: Vec<f64> = (0..columns).map(|n| f64::from(largest(n)) / 127.0).collect();
    let floor = natural.iter().copied().fold(1e-12, f64::max) / SCALE_SPAN;
    let mut weights = Array2::zeros(dense.weight.dim());
    let mut bias = Array1::zeros(columns);
    let mut weight_scales = Vec::with_capacity(columns);
    for n in 0..columns {
        let (scale, integers, offset) =
            column(dense.weight.column(n), dense.bias[n], input, natural[n].max(floor));
        weights.column_mut(n).assign(&integers);
        bias[n] = offset;
        weight_scales.push(scale);
    }
    let factor = |n: usize| input.scale * f64::from(weight_scales[n]) / outputs[n].scale;
    let factors: Vec<f64> = (0..columns).map(factor).collect();
    let needed = |n: usize| {
        let whole = (outputs[n].steps + 1.0) / factors[n];
        let seen = peaks[n] * ACC_HEADROOM / (input.scale * f64::from(weight_scales[n]));
        if outputs[n].steps > 127.0 { whole.min(seen) } else { whole }
    };
    let acc_peaks: Vec<f64> = (0..columns).map(needed).collect();
    Linear {
        weights,
        bias,
        requant: Requant::new(&factors, &acc_peaks),
        in_scale: input.scale,
        weight_scales,
    }
}

/// One column's scale, weights and bias. The scale grows until no input can overflow a 32-bit accumulator.
fn column(
    weight: ndarray::ArrayView1<f32>,
    bias: f32,
    input: Grid,
    mut scale: f64,
) -> (f32, Array1<i8>, i32) {
    loop {
        let step = f64::from(scale as f32);
        let integers = weight.map(|&w| (f64::from(w) / step).round_ties_even().clamp(-127.0, 127.0) as i8);
        let offset = (f64::from(bias) / (input.scale * step)).round_ties_even();
        let total: u64 = integers.iter().map(|w| u64::from(w.unsigned_abs())).sum();
        if total as f64 * (input.steps + 1.0) + offset.abs() < f64::from(i32::MAX) {
            return (step as f32, integers, offset as i32);
        }
        scale *= 1.0625;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whisper::ModelConfig;
    use proptest::prelude::*;

    fn dense(rows: usize, columns: usize, value: impl Fn(usize, usize) -> f32) -> Dense {
        Dense {
            weight: Array2::from_shape_fn((rows, columns), |(k, n)| value(k, n)),
            bias: Array1::from_shape_fn(columns, |n| n as f32 - 1.0),
        }
    }

    /// Largest accumulator any input can produce in column `n`.
    fn bound(linear: &Linear, n: usize, input_peak: i64) -> i64 {
        let weights: i64 = linear.weights.column(n).iter().map(|w| i64::from(w.unsigned_abs())).sum();
        weights * input_peak + i64::from(linear.bias[n]).abs()
    }

    #[test]
    fn accumulators_cannot_overflow() {
        // All weights equal and as large as the scale allows: 1536 * 127 * 32768 would not fit.
        let wide = dense(1536, 3, |_, n| [1.0, -0.01, 0.0][n]);
        let linear = linear(&wide, Grid::binary(8), &[Grid::bits16(100.0); 3], &[100.0; 3]);
        for n in 0..3 {
            assert!(bound(&linear, n, 32768) < 1 << 31, "column {n}");
        }
        let real = f64::from(linear.weights[(0, 0)]) * f64::from(linear.weight_scales[0]);
        assert!((real - 1.0).abs() < 0.02, "{real}");
    }

    #[test]
    fn quantising_twice_gives_the_same_model() {
        let config =
            ModelConfig { d: 64, heads: 1, layers: 2, ffn: 128, positions: 20, ..ModelConfig::tiny() };
        let weights = EncoderWeights::seeded(&config, 3);
        let mel = Array2::from_shape_fn((80, 40), |(m, t)| ((m * 7 + t * 3) % 17) as f32 / 10.0 - 0.5);
        let model = quantise(&weights, std::slice::from_ref(&mel));
        assert_eq!(model, quantise(&weights, &[mel]));
        let fits = |l: &Linear, peak| (0..l.bias.len()).all(|n| bound(l, n, peak) < 1 << 31);
        assert!(
            model
                .layers
                .iter()
                .all(|l| fits(&l.qkv, 128) && fits(&l.out, 128) && fits(&l.fc1, 128) && fits(&l.fc2, 32768))
        );
    }

    proptest! {
        /// Every weight is within half a step of its column's scale, and the requantiser's factor within 2^-8 of the
        /// product of scales.
        #[test]
        fn weights_are_nearest(seed in 0u32..1000, spread in 1.0f32..60.0) {
            let value = |k: usize, n: usize| ((k as u32).wrapping_mul(2654435761).wrapping_add(n as u32 * 40503 + seed) >> 8) as f32 / 8388608.0 - 1.0;
            let source = dense(64, 4, |k, n| value(k, n) / if n == 2 { spread } else { 1.0 });
            let linear = linear(&source, Grid::bits8(4.0), &[Grid::bits8(20.0); 4], &[20.0; 4]);
            for ((k, n), &w) in linear.weights.indexed_iter() {
                let step = linear.weight_scales[n];
                prop_assert!((f32::from(w) * step - source.weight[(k, n)]).abs() <= step * 0.5001);
            }
            for n in 0..4 {
                let exact = linear.in_scale * f64::from(linear.weight_scales[n]) / (20.0 / 127.0);
                prop_assert!((linear.requant.factor(n) / exact - 1.0).abs() < 1.0 / 256.0);
            }
        }
    }
}
