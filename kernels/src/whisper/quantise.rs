//! From f32 weights and calibration recordings to the integer encoder.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, concatenate};

use super::calibrate::{Calibration, Details, Histogram};
use super::quant::{
    ConvStage, Finish, Gelu, Heads, Linear, MEL_BITS, POSITION_BITS, QuantLayer, QuantModel, Weights,
};
use super::rounding;
use super::saved::{Stamp, calibration_hash};
use super::scheme::{Number, Recipe, Scheme, WeightScales};
use super::smooth::smooth;
use super::to_bf16;
use super::tuning::Tuning;
use super::watch::{Interrupted, Watch};
use super::weights::{Dense, EncoderWeights, LayerWeights, Norm};
use crate::attention::Attention;
use crate::gelu::{self, FRACTION_BITS};
use crate::layernorm::LayerNorm;
use crate::requantise::{Requant, RowRequant};
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
pub(super) struct Grid {
    /// Value of one step.
    pub(super) scale: f64,
    /// The type.
    number: Number,
}

impl Grid {
    /// The type up to a peak and, with 16 bits, headroom.
    pub(super) fn new(number: Number, peak: f64) -> Grid {
        let scale = match number {
            Number::I8 => peak / 127.0,
            Number::I16 | Number::I8Rows => peak * HEADROOM / 32767.0,
            Number::Bf16 => 1.0,
        };
        Grid { scale, number }
    }

    /// 16 bits in steps of `2^-bits`.
    fn binary(bits: u32) -> Grid {
        Grid { scale: (-f64::from(bits)).exp2(), number: Number::I16 }
    }

    /// Largest number of steps.
    fn steps(self) -> f64 {
        match self.number {
            Number::I8 | Number::I8Rows => 127.0,
            Number::I16 => 32767.0,
            Number::Bf16 => f64::from(f32::MAX),
        }
    }

    /// Value of one step of the operand: of rows with multipliers, of one step times its multiplier.
    fn operand_scale(self) -> f64 {
        match self.number {
            Number::I8Rows => self.scale / 127.0,
            Number::I8 | Number::I16 | Number::Bf16 => self.scale,
        }
    }
}

/// The scale of bytes with the least expected squared error: of the shares 1.0, 0.98, ... 0.2 of the peak's.
fn clipped(magnitudes: &Histogram, peak: f64) -> f64 {
    let cost = |scale: f64| -> f64 {
        let error =
            |v: f64| if v > 127.5 * scale { (v - 127.0 * scale).powi(2) } else { scale * scale / 12.0 };
        magnitudes.magnitudes().map(|(v, count)| count as f64 * error(v)).sum()
    };
    let scales = (0..=40).map(|i| peak / 127.0 * (1.0 - 0.02 * f64::from(i)));
    scales.map(|s| (cost(s), s)).min_by(|a, b| a.0.total_cmp(&b.0)).map_or(peak / 127.0, |best| best.1)
}

/// Why an encoder cannot be quantised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuantiseError {
    /// A tensor is infinite or not a number on a recording.
    #[error("the encoder leaves the range of 32-bit floats (tensor {tensor}), so nothing can be quantised")]
    Overflow {
        /// The first such tensor, by name.
        tensor: String,
    },
    /// Whoever watches has ended it.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// An encoder in integers, and what it was made from.
#[derive(Clone, Debug)]
pub struct Quantised {
    /// The integers.
    pub model: QuantModel,
    /// What they stand for: layout, scheme and calibration.
    pub stamp: Stamp,
    /// The floats, with columns evened out where the scheme does so: their tensors are those of the integers.
    pub weights: EncoderWeights,
}

impl Quantised {
    /// Quantises an encoder with the scales that `mels` (log-mel windows `[mels, frames]`) call for. Deterministic.
    ///
    /// # Errors
    /// When the encoder is not finite on a window.
    ///
    /// # Panics
    /// When `mels` is empty, or a window has another shape than the encoder reads.
    pub fn new(
        weights: &EncoderWeights,
        mels: &[Array2<f32>],
        scheme: Scheme,
    ) -> Result<Quantised, QuantiseError> {
        Quantised::watched(weights, mels, scheme, &mut Watch::nobody())
    }

    /// As [`Quantised::new`], which takes minutes for large encoders; each run of the f32 encoder on a window and each
    /// layer is a step.
    ///
    /// # Errors
    /// As that, and when `watch` ends it.
    ///
    /// # Panics
    /// As that.
    pub fn watched(
        weights: &EncoderWeights,
        mels: &[Array2<f32>],
        scheme: Scheme,
        watch: &mut Watch,
    ) -> Result<Quantised, QuantiseError> {
        let recipe = scheme.recipe();
        let tuning = scheme.tuning();
        let layers = if recipe.weights == WeightScales::None { 0 } else { weights.layers.len() };
        watch.expect(tuning.passes() * mels.len() + layers);
        let (weights, calibration) = calibrate_watched(weights, mels, &tuning, watch)?;
        if let Some(tensor) = calibration.overflows().next() {
            return Err(QuantiseError::Overflow { tensor: tensor.to_owned() });
        }
        let mut model = quantise_watched(&weights, &calibration, &recipe, &tuning, watch)?;
        model.scheme = scheme;
        let stamp = Stamp::new(scheme, &weights.config, calibration_hash(mels.iter().map(|m| m.view())));
        Ok(Quantised { model, stamp, weights })
    }
}

/// The integers of [`Quantised::new`].
///
/// # Panics
/// As that, and when it fails.
pub fn quantise(weights: &EncoderWeights, mels: &[Array2<f32>], scheme: Scheme) -> QuantModel {
    Quantised::new(weights, mels, scheme).unwrap_or_else(|e| panic!("{e}")).model
}

/// The encoder to be quantised, its columns evened out, and its calibration.
///
/// # Panics
/// As [`Calibration::measure`].
pub fn calibrate(
    weights: &EncoderWeights,
    mels: &[Array2<f32>],
    tuning: &Tuning,
) -> (EncoderWeights, Calibration) {
    calibrate_watched(weights, mels, tuning, &mut Watch::nobody()).expect("nobody interrupts it")
}

fn calibrate_watched(
    weights: &EncoderWeights,
    mels: &[Array2<f32>],
    tuning: &Tuning,
    watch: &mut Watch,
) -> Result<(EncoderWeights, Calibration), Interrupted> {
    let details = tuning.details();
    if tuning.passes() == 1 {
        return Ok((weights.clone(), Calibration::measure_watched(weights, mels, details, watch)?));
    }
    let peaks = Calibration::measure_watched(weights, mels, Details::PEAKS, watch)?;
    let smoothed = smooth(weights, &peaks, tuning.smoothing);
    let calibration = Calibration::measure_watched(&smoothed, mels, details, watch)?;
    Ok((smoothed, calibration))
}

/// Quantises an encoder with a known calibration.
///
/// # Panics
/// When the calibration is of an encoder with other sizes.
pub fn quantise_calibrated(
    weights: &EncoderWeights,
    calibration: &Calibration,
    recipe: &Recipe,
    tuning: &Tuning,
) -> QuantModel {
    let quantised = quantise_watched(weights, calibration, recipe, tuning, &mut Watch::nobody());
    quantised.expect("nobody interrupts it")
}

fn quantise_watched(
    weights: &EncoderWeights,
    calibration: &Calibration,
    recipe: &Recipe,
    tuning: &Tuning,
    watch: &mut Watch,
) -> Result<QuantModel, Interrupted> {
    if recipe.weights == WeightScales::None {
        return Ok(to_bf16::model(weights, calibration));
    }
    Quantiser { calibration, recipe: *recipe, tuning: *tuning }.model(weights, watch)
}

struct Quantiser<'a> {
    calibration: &'a Calibration,
    recipe: Recipe,
    tuning: Tuning,
}

/// The input of a matrix.
struct Input<'a> {
    grid: Grid,
    /// Means of its columns, where biases are corrected by them.
    means: Option<Vec<f64>>,
    /// Its second moments, where weights are chosen by them.
    products: Option<ArrayView2<'a, f32>>,
}

/// The output of a matrix.
struct Output {
    /// By column.
    grids: Vec<Grid>,
    /// Calibrated magnitudes, by column.
    peaks: Vec<f64>,
    /// The same in units of the input row's peak; empty where the input's rows have no multipliers.
    ratios: Vec<f64>,
}

impl<'a> Quantiser<'a> {
    fn model(&self, weights: &EncoderWeights, watch: &mut Watch) -> Result<QuantModel, Interrupted> {
        let (calibration, recipe) = (self.calibration, &self.recipe);
        let config = weights.config.clone();
        let mel = match recipe.conv {
            Number::I16 => Grid::binary(MEL_BITS),
            // The spectrogram is below 1.5 after its scaling; calibration windows are, too.
            Number::I8 | Number::I8Rows | Number::Bf16 => Grid::new(Number::I8, calibration.peak("mel")),
        };
        let conv1 = self.conv_stage(&weights.conv1, mel, 1, "conv1");
        let stem = |stage: &ConvStage| Grid { scale: stage.gelu.out_scale(), number: recipe.conv };
        let conv2 = weights.conv2.as_ref().map(|dense| self.conv_stage(dense, stem(&conv1), 2, "conv2"));
        let position_bits = if recipe.stream == Number::I16 { POSITION_BITS } else { 7 };
        let unit = f64::from(position_bits).exp2();
        let limit = if recipe.stream == Number::I16 { 32767.0 } else { 127.0 };
        let position = |&p: &f32| (f64::from(p) * unit).round().clamp(-limit, limit) as i16;
        let position_table = weights.positions.map(position);
        let mut stream = self.static_grid(recipe.stream, "embed");
        let stem_scale = stem(conv2.as_ref().unwrap_or(&conv1)).scale;
        let embed = ResidualAdd::new(stem_scale, 1.0 / unit, stream.scale);
        let embed_scale = stream.scale;
        let mut layers = Vec::with_capacity(weights.layers.len());
        for (i, layer) in weights.layers.iter().enumerate() {
            watch.step()?;
            let quantised = self.layer(layer, &format!("layer{i}"), stream, config.head_dim());
            stream = Grid { scale: quantised.resid2_scale, ..stream };
            layers.push(quantised);
        }
        let features = self.static_grid(recipe.stream, "final");
        Ok(QuantModel {
            config,
            scheme: Scheme::W8A8,
            recipe: *recipe,
            mel_scale: mel.scale,
            conv1,
            conv2,
            position_table,
            embed,
            embed_scale,
            layers,
            ln_post: layer_norm(&weights.ln_post, features),
            final_scale: features.scale,
        })
    }

    fn layer(&self, layer: &LayerWeights, name: &str, stream: Grid, head_dim: usize) -> QuantLayer {
        let recipe = &self.recipe;
        let peak = |part: &str| self.calibration.peak(&format!("{name}.{part}"));
        let grid = |number, part: &str| self.static_grid(number, &format!("{name}.{part}"));
        let ln1 = grid(recipe.norm, "ln1");
        let [q, k, v] = ["q", "k", "v"].map(|part| grid(Number::I8, part));
        let qkv = {
            let parts = [(&layer.q, q, "q"), (&layer.k, k, "k"), (&layer.v, v, "v")];
            let side_by_side = Dense {
                weight: concatenate![Axis(1), parts[0].0.weight, parts[1].0.weight, parts[2].0.weight],
                bias: concatenate![Axis(0), parts[0].0.bias, parts[1].0.bias, parts[2].0.bias],
            };
            let outputs = parts.map(|p| self.output(p.1, &format!("{name}.{}", p.2)));
            let output = outputs.into_iter().reduce(Output::beside).expect("three parts");
            self.linear(&side_by_side, self.input(ln1, &format!("{name}.ln1")), output)
        };
        let ctx = grid(recipe.context, "ctx");
        let heads = self.heads(peak("scores"), [q, k, v], ctx, head_dim);
        let attn_out = grid(recipe.stream, "attn_out");
        let out = self.linear(
            &layer.out,
            self.input(ctx, &format!("{name}.ctx")),
            self.output(attn_out, &format!("{name}.attn_out")),
        );
        let resid1 = grid(recipe.stream, "resid1");
        let ln2 = grid(recipe.norm, "ln2");
        let (argument, gelu) = self.gelu(recipe.hidden, &format!("{name}.fc1"), &format!("{name}.gelu"));
        let fc1 = self.linear(
            &layer.fc1,
            self.input(ln2, &format!("{name}.ln2")),
            self.output(argument, &format!("{name}.fc1")),
        );
        let hidden = Grid { scale: gelu.out_scale(), number: recipe.hidden };
        let fc2_grid = grid(recipe.stream, "fc2");
        let fc2 = self.linear(
            &layer.fc2,
            self.input(hidden, &format!("{name}.gelu")),
            self.output(fc2_grid, &format!("{name}.fc2")),
        );
        let resid2 = self.static_grid(recipe.stream, name);
        QuantLayer {
            ln1: layer_norm(&layer.ln1, ln1),
            ln1_scale: ln1.operand_scale(),
            qkv,
            qkv_scales: [q.scale, k.scale, v.scale],
            heads,
            context_scale: ctx.scale,
            out,
            out_scale: attn_out.scale,
            resid1: ResidualAdd::new(stream.scale, attn_out.scale, resid1.scale),
            resid1_scale: resid1.scale,
            ln2: layer_norm(&layer.ln2, ln2),
            ln2_scale: ln2.operand_scale(),
            fc1,
            gelu,
            fc2,
            fc2_scale: fc2_grid.scale,
            resid2: ResidualAdd::new(resid1.scale, fc2_grid.scale, resid2.scale),
            resid2_scale: resid2.scale,
        }
    }

    /// Attention of heads of `head_dim` columns.
    fn heads(&self, peak: f64, [q, k, v]: [Grid; 3], ctx: Grid, head_dim: usize) -> Heads {
        let (root, qk_scale) = ((head_dim as f64).sqrt(), q.scale * k.scale);
        let acc_peak = peak * root * ACC_HEADROOM / qk_scale;
        if self.recipe.scores == Number::I16 {
            let octaves = std::f64::consts::LOG2_E * f64::from(STEPS_PER_OCTAVE) / root;
            return Heads::Running(Attention::new(qk_scale * octaves, acc_peak, v.scale / ctx.scale));
        }
        let score_scale = peak / 127.0;
        let scores = Requant::new(&[qk_scale / root / score_scale], &[acc_peak]);
        let factor = v.scale / 128.0 / ctx.scale;
        let context = Requant::new(&[factor], &[(ctx.steps() + 1.0) / factor]);
        Heads::Normalised { scores, score_scale, context }
    }

    /// The grid of a tensor with a static scale.
    fn static_grid(&self, number: Number, name: &str) -> Grid {
        let grid = Grid::new(number, self.calibration.peak(name));
        match number {
            Number::I8 if self.tuning.clip_activations => {
                let scale = clipped(self.calibration.magnitudes(name), self.calibration.peak(name));
                Grid { scale, number }
            }
            Number::I8 | Number::I16 | Number::I8Rows | Number::Bf16 => grid,
        }
    }

    fn input(&self, grid: Grid, name: &str) -> Input<'a> {
        let details = self.tuning.details();
        // The windows of a convolution repeat channels; their means are not needed.
        let known = details.means && name.contains('.');
        let means = known.then(|| self.calibration.column_means(name));
        Input { grid, means, products: details.products.then(|| self.calibration.products(name)) }
    }

    fn output(&self, grid: Grid, name: &str) -> Output {
        let peaks = self.calibration.column_peaks(name);
        Output { grids: vec![grid; peaks.len()], peaks, ratios: self.calibration.ratios(name) }
    }

    /// The grid of a GELU's argument, and the GELU.
    fn gelu(&self, number: Number, argument: &str, result: &str) -> (Grid, Gelu) {
        if number == Number::I16 {
            let bits = fraction_bits(self.calibration.highest(argument));
            return (Grid::binary(bits), Gelu::Bits(bits));
        }
        let [from, to] = [argument, result].map(|name| self.static_grid(Number::I8, name));
        let entry = |i: i32| {
            let y = gelu::gelu(f64::from(i) * from.scale) / to.scale;
            y.round_ties_even().clamp(-127.0, 127.0) as i8
        };
        let table = (-128..=127).map(entry).collect();
        (from, Gelu::Table { table, in_scale: from.scale, out_scale: to.scale })
    }

    fn conv_stage(&self, dense: &Dense, input: Grid, stride: usize, name: &str) -> ConvStage {
        let (argument, gelu) = self.gelu(self.recipe.conv, name, &format!("{name}_gelu"));
        let matrix = self.linear(dense, self.input(input, name), self.output(argument, name));
        ConvStage { matrix, stride, gelu }
    }

    /// Quantises a matrix: weights symmetric with one scale per column or matrix, bias at the accumulator's scale, or
    /// at the output's where rows have multipliers.
    ///
    /// The accumulator keeps what the output can hold; where the output has 16 bits, only up to twice the column's
    /// calibrated peak.
    fn linear(&self, dense: &Dense, input: Input, output: Output) -> Linear {
        let scales = self.weight_scales(dense, &input);
        let (scales, weights) = self.integers(dense, &input, scales);
        let bias = self.bias(dense, &input, &scales, &weights);
        let in_scale = input.grid.operand_scale();
        let step = |n: usize| in_scale * f64::from(scales[n]);
        let columns = 0..scales.len();
        let factors: Vec<f64> = columns.clone().map(|n| step(n) / output.grids[n].scale).collect();
        // Of the output, in units of accumulators (times row multipliers).
        let needed = |n: usize| {
            let whole = (output.grids[n].steps() + 1.0) / factors[n];
            let seen = output.peaks[n] * ACC_HEADROOM / step(n);
            if output.grids[n].number == Number::I16 { whole.min(seen) } else { whole }
        };
        let peaks: Vec<f64> = columns.clone().map(needed).collect();
        let finish = if input.grid.number == Number::I8Rows {
            let offsets: Vec<f64> = columns.clone().map(|n| bias[n] / output.grids[n].scale).collect();
            let largest = |n: usize| output.ratios[n] * 127.0 * ACC_HEADROOM / f64::from(scales[n]);
            let acc_peaks: Vec<f64> = columns.map(largest).collect();
            Finish::Rows(RowRequant::new(&factors, &offsets, &acc_peaks, &peaks))
        } else {
            let integer = |n: usize| (bias[n] / step(n)).round_ties_even() as i32;
            let bias = Array1::from_iter(columns.map(integer));
            Finish::Static { bias, requant: Requant::new(&factors, &peaks) }
        };
        let weights = Weights::I8(weights);
        Linear { weights, finish, out: output.grids[0].number, in_scale, weight_scales: scales }
    }

    fn weight_scales(&self, dense: &Dense, input: &Input) -> Vec<f32> {
        let largest = |n: usize| dense.weight.column(n).iter().fold(0.0f32, |m, w| m.max(w.abs()));
        let natural: Vec<f64> = (0..dense.weight.ncols()).map(|n| f64::from(largest(n)) / 127.0).collect();
        let top = natural.iter().copied().fold(1e-12, f64::max);
        match self.recipe.weights {
            WeightScales::Tensor | WeightScales::None => vec![top as f32; natural.len()],
            WeightScales::Column => {
                let scales: Vec<f32> = natural.iter().map(|s| s.max(top / SCALE_SPAN) as f32).collect();
                match input.products {
                    Some(products) if self.tuning.clip_weights => {
                        rounding::clipped_scales(dense.weight.view(), &scales, products)
                    }
                    _ => scales,
                }
            }
        }
    }

    /// The weights as integers. Scales grow until no input can overflow a 32-bit accumulator.
    fn integers(&self, dense: &Dense, input: &Input, mut scales: Vec<f32>) -> (Vec<f32>, Array2<i8>) {
        let products = input.products.filter(|_| self.tuning.compensate);
        let compensation = products.map(rounding::Compensation::new);
        let round = |weight: ArrayView2<f32>, scales: &[f32]| match &compensation {
            Some(compensation) => compensation.round(weight, scales),
            None => rounding::nearest(weight, scales),
        };
        let mut weights = round(dense.weight.view(), &scales);
        let fits = |n: usize, scale: f32, column: ArrayView1<i8>| {
            let total: u64 = column.iter().map(|w| u64::from(w.unsigned_abs())).sum();
            let bias = f64::from(dense.bias[n]) / (input.grid.operand_scale() * f64::from(scale));
            // A bias that comes after the multipliers is not in the accumulator; a corrected one is little larger.
            let bias = if input.grid.number == Number::I8Rows { 0.0 } else { 1.1 * bias.abs() + 1024.0 };
            total as f64 * (input.grid.steps() + 1.0) + bias < f64::from(i32::MAX)
        };
        loop {
            let over: Vec<usize> =
                (0..scales.len()).filter(|&n| !fits(n, scales[n], weights.column(n))).collect();
            if over.is_empty() {
                return (scales, weights);
            }
            // Columns do not depend on each other.
            over.iter().for_each(|&n| scales[n] *= 1.0625);
            let again: Vec<f32> = over.iter().map(|&n| scales[n]).collect();
            let rounded = round(dense.weight.select(Axis(1), &over).view(), &again);
            over.iter().zip(rounded.columns()).for_each(|(&n, column)| weights.column_mut(n).assign(&column));
        }
    }

    fn bias(&self, dense: &Dense, input: &Input, scales: &[f32], weights: &Array2<i8>) -> Vec<f64> {
        let correction = |n: usize, means: &[f64]| -> f64 {
            let error =
                |(k, w): (usize, &f32)| f64::from(*w) - f64::from(weights[(k, n)]) * f64::from(scales[n]);
            dense.weight.column(n).iter().enumerate().map(|w| error(w) * means[w.0]).sum()
        };
        let corrected = |n: usize| {
            f64::from(dense.bias[n]) + input.means.as_deref().map_or(0.0, |means| correction(n, means))
        };
        (0..scales.len()).map(corrected).collect()
    }
}

impl Output {
    fn beside(mut self, other: Output) -> Output {
        self.grids.extend(other.grids);
        self.peaks.extend(other.peaks);
        self.ratios.extend(other.ratios);
        self
    }
}

/// The finest power-of-two scale of a GELU whose largest argument is `highest`; arguments far below zero may clip,
/// since they yield zero.
pub(super) fn fraction_bits(highest: f64) -> u32 {
    let bits = (32767.0 / (highest * HEADROOM)).log2().floor();
    bits.clamp(f64::from(*FRACTION_BITS.start()), f64::from(*FRACTION_BITS.end())) as u32
}

pub(super) fn layer_norm(norm: &Norm, output: Grid) -> LayerNorm {
    LayerNorm::new(&norm.gamma.to_vec(), &norm.beta.to_vec(), output.scale)
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

    fn integers(linear: &Linear) -> &Array2<i8> {
        let Weights::I8(weights) = &linear.weights else { panic!("integers") };
        weights
    }

    /// Largest accumulator any input can produce in column `n`.
    fn bound(linear: &Linear, n: usize, input_peak: i64) -> i64 {
        let weights: i64 = integers(linear).column(n).iter().map(|w| i64::from(w.unsigned_abs())).sum();
        let bias = match &linear.finish {
            Finish::Static { bias, .. } => i64::from(bias[n]).abs(),
            Finish::Rows(_) | Finish::Float { .. } => 0,
        };
        weights * input_peak + bias
    }

    /// A matrix quantised for an input with these peaks of rows and columns.
    fn quantised(source: &Dense, input: Grid, output: (Grid, f64), tuning: Tuning) -> Linear {
        let calibration = Calibration::empty(Details::PEAKS);
        let (rows, columns) = source.weight.dim();
        let products = Array2::eye(rows);
        let input = Input { grid: input, means: None, products: Some(products.view()) };
        let output = Output {
            grids: vec![output.0; columns],
            peaks: vec![output.1; columns],
            ratios: vec![1.0; columns],
        };
        Quantiser { calibration: &calibration, recipe: Recipe::W8A8, tuning }.linear(source, input, output)
    }

    #[test]
    fn accumulators_cannot_overflow() {
        // All weights equal and as large as the scale allows: 1536 * 127 * 32768 would not fit.
        let wide = dense(1536, 3, |_, n| [1.0, -0.01, 0.0][n]);
        let linear = quantised(&wide, Grid::binary(8), (Grid::new(Number::I16, 100.0), 100.0), Tuning::PLAIN);
        for n in 0..3 {
            assert!(bound(&linear, n, 32768) < 1 << 31, "column {n}");
        }
        let real = f64::from(integers(&linear)[(0, 0)]) * f64::from(linear.weight_scales[0]);
        assert!((real - 1.0).abs() < 0.02, "{real}");
    }

    #[test]
    fn quantising_twice_gives_the_same_model() {
        let config =
            ModelConfig { d: 64, heads: 1, layers: 2, ffn: 128, positions: 20, ..ModelConfig::tiny() };
        let weights = EncoderWeights::seeded(&config, 3);
        let mel = Array2::from_shape_fn((80, 40), |(m, t)| ((m * 7 + t * 3) % 17) as f32 / 10.0 - 0.5);
        for scheme in [Scheme::W8A8, Scheme::W8A8Static, Scheme::DesignDoc] {
            let model = quantise(&weights, std::slice::from_ref(&mel), scheme);
            assert_eq!(model, quantise(&weights, std::slice::from_ref(&mel), scheme));
            let fits = |l: &Linear, peak| (0..l.weights.dim().1).all(|n| bound(l, n, peak) < 1 << 31);
            let peaks = |l: &QuantLayer| {
                [(&l.qkv, 128), (&l.out, 32768), (&l.fc1, 128), (&l.fc2, 32768)].map(|(l, p)| fits(l, p))
            };
            assert!(scheme == Scheme::DesignDoc || model.layers.iter().all(|l| peaks(l) == [true; 4]));
        }
    }

    proptest! {
        /// Every weight is within half a step of its column's scale, and the requantiser's factor within 2^-8 of the
        /// product of scales.
        #[test]
        fn weights_are_nearest(seed in 0u32..1000, spread in 1.0f32..60.0) {
            let value = |k: usize, n: usize| ((k as u32).wrapping_mul(2654435761).wrapping_add(n as u32 * 40503 + seed) >> 8) as f32 / 8388608.0 - 1.0;
            let source = dense(64, 4, |k, n| value(k, n) / if n == 2 { spread } else { 1.0 });
            let (from, to) = (Grid::new(Number::I8, 4.0), Grid::new(Number::I8, 20.0));
            let linear = quantised(&source, from, (to, 20.0), Tuning::PLAIN);
            for ((k, n), &w) in integers(&linear).indexed_iter() {
                let step = linear.weight_scales[n];
                prop_assert!((f32::from(w) * step - source.weight[(k, n)]).abs() <= step * 0.5001);
            }
            for n in 0..4 {
                let exact = linear.in_scale * f64::from(linear.weight_scales[n]) / (20.0 / 127.0);
                let Finish::Static { requant, .. } = &linear.finish else { panic!("one scale") };
                prop_assert!((requant.factor(n) / exact - 1.0).abs() < 1.0 / 256.0);
            }
        }
    }
}
