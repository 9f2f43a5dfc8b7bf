//! The tensors of a quantised encoder: one list, which a writer reads and a reader fills.

use half::bf16;
use ndarray::{Array1, Array2};
use safetensors::tensor::Dtype;

use crate::attention::{Attention, MIN_SHIFT};
use crate::gelu::FRACTION_BITS;
use crate::layernorm::LayerNorm;
use crate::requantise::{Requant, RowRequant};
use crate::residual_add::ResidualAdd;
use crate::whisper::ModelConfig;
use crate::whisper::quant::{ConvStage, Finish, Gelu, Heads, Linear, QuantLayer, QuantModel, Weights};
use crate::whisper::scheme::{Number, Recipe, Scheme, WeightScales};

/// What is done with each tensor: its bytes are taken or replaced. All are little-endian.
pub(super) trait Fields {
    /// One tensor.
    fn bytes(&mut self, name: &str, dtype: Dtype, shape: &[usize], bytes: &mut [u8]);
}

/// Elements of tensors.
trait Element: bytemuck::Pod {
    const DTYPE: Dtype;
}

macro_rules! element {
    ($($t:ty: $dtype:ident),*) => {$(
        impl Element for $t {
            const DTYPE: Dtype = Dtype::$dtype;
        }
    )*};
}
element!(bf16: BF16, i8: I8, i16: I16, i32: I32, u32: U32, f32: F32, f64: F64);

/// Tensors below a name.
struct At<'a> {
    fields: &'a mut dyn Fields,
    name: String,
}

impl At<'_> {
    fn below(&mut self, part: &str) -> At<'_> {
        let name = if self.name.is_empty() { part.to_owned() } else { format!("{}.{part}", self.name) };
        At { fields: self.fields, name }
    }

    fn slice<T: Element>(&mut self, part: &str, values: &mut [T]) {
        let shape = [values.len()];
        let At { fields, name } = self.below(part);
        fields.bytes(&name, T::DTYPE, &shape, bytemuck::cast_slice_mut(values));
    }

    fn one<T: Element>(&mut self, part: &str, value: &mut T) {
        self.slice(part, std::slice::from_mut(value));
    }

    fn matrix<T: Element>(&mut self, part: &str, values: &mut Array2<T>) {
        let shape = [values.nrows(), values.ncols()];
        if !values.is_standard_layout() {
            *values = values.as_standard_layout().into_owned();
        }
        let At { fields, name } = self.below(part);
        let slice = values.as_slice_mut().expect("standard layout");
        fields.bytes(&name, T::DTYPE, &shape, bytemuck::cast_slice_mut(slice));
    }
}

/// Visits every tensor of a model.
pub(super) fn visit(model: &mut QuantModel, fields: &mut dyn Fields) {
    let mut at = At { fields, name: String::new() };
    at.one("mel.scale", &mut model.mel_scale);
    conv(&mut model.conv1, &mut at.below("conv1"));
    if let Some(stage) = &mut model.conv2 {
        conv(stage, &mut at.below("conv2"));
    }
    at.matrix("positions", &mut model.position_table);
    add(&mut model.embed, &mut at.below("embed"));
    at.one("embed.scale", &mut model.embed_scale);
    for (i, layer) in model.layers.iter_mut().enumerate() {
        visit_layer(layer, &mut at.below(&format!("layers.{i}")));
    }
    norm(&mut model.ln_post, &mut at.below("ln_post"));
    at.one("final.scale", &mut model.final_scale);
}

fn visit_layer(layer: &mut QuantLayer, at: &mut At) {
    norm(&mut layer.ln1, &mut at.below("ln1"));
    at.one("ln1.scale", &mut layer.ln1_scale);
    linear(&mut layer.qkv, &mut at.below("qkv"));
    at.slice("qkv.scales", &mut layer.qkv_scales);
    heads(&mut layer.heads, &mut at.below("heads"));
    at.one("ctx.scale", &mut layer.context_scale);
    linear(&mut layer.out, &mut at.below("out"));
    at.one("out.scale", &mut layer.out_scale);
    add(&mut layer.resid1, &mut at.below("resid1"));
    at.one("resid1.scale", &mut layer.resid1_scale);
    norm(&mut layer.ln2, &mut at.below("ln2"));
    at.one("ln2.scale", &mut layer.ln2_scale);
    linear(&mut layer.fc1, &mut at.below("fc1"));
    gelu(&mut layer.gelu, &mut at.below("gelu"));
    linear(&mut layer.fc2, &mut at.below("fc2"));
    at.one("fc2.scale", &mut layer.fc2_scale);
    add(&mut layer.resid2, &mut at.below("resid2"));
    at.one("resid2.scale", &mut layer.resid2_scale);
}

fn conv(stage: &mut ConvStage, at: &mut At) {
    linear(&mut stage.matrix, at);
    gelu(&mut stage.gelu, &mut at.below("gelu"));
}

fn linear(linear: &mut Linear, at: &mut At) {
    match &mut linear.weights {
        Weights::I8(weights) => at.matrix("weight", weights),
        Weights::Bf16(weights) => at.matrix("weight", weights),
    }
    at.slice("weight_scale", &mut linear.weight_scales);
    at.one("in_scale", &mut linear.in_scale);
    match &mut linear.finish {
        Finish::Static { bias, requant: q } => {
            at.slice("bias", bias.as_slice_mut().expect("one dimension in standard layout"));
            requant(q, at);
        }
        Finish::Float { bias } => {
            at.slice("bias", bias.as_slice_mut().expect("one dimension in standard layout"));
        }
        Finish::Rows(rows) => {
            at.slice("bias", &mut rows.bias);
            at.one("row_shift", &mut rows.row_shift);
            requant(&mut rows.columns, at);
        }
    }
}

fn requant(q: &mut Requant, at: &mut At) {
    at.slice("multiplier", &mut q.mult);
    at.one("acc_shift", &mut q.acc_shift);
    at.one("out_shift", &mut q.out_shift);
}

fn heads(heads: &mut Heads, at: &mut At) {
    match heads {
        Heads::Running(a) => {
            at.one("multiplier", &mut a.mult);
            at.one("acc_shift", &mut a.acc_shift);
            at.one("score_shift", &mut a.shift);
            at.one("out_multiplier", &mut a.out_mult);
            at.one("out_shift", &mut a.out_shift);
        }
        Heads::Float => {}
        Heads::Normalised { scores, score_scale, context } => {
            requant(scores, &mut at.below("scores"));
            at.one("scores.scale", score_scale);
            requant(context, &mut at.below("ctx"));
        }
    }
}

fn norm(norm: &mut LayerNorm, at: &mut At) {
    at.slice("gain", &mut norm.gain);
    at.slice("offset", &mut norm.beta);
    at.one("shift", &mut norm.shift);
}

fn add(terms: &mut ResidualAdd, at: &mut At) {
    at.one("multiplier_x", &mut terms.mult_x);
    at.one("multiplier_y", &mut terms.mult_y);
    at.one("shift", &mut terms.shift);
}

fn gelu(gelu: &mut Gelu, at: &mut At) {
    match gelu {
        Gelu::Bits(bits) => at.one("bits", bits),
        Gelu::Table { table, in_scale, out_scale } => {
            at.slice("table", table);
            at.one("in_scale", in_scale);
            at.one("out_scale", out_scale);
        }
    }
}

/// A model of these sizes and types without numbers.
pub(super) fn blank(config: ModelConfig, scheme: Scheme, recipe: Recipe) -> QuantModel {
    let (d, f) = (config.d, config.ffn);
    let floats = recipe.weights == WeightScales::None;
    let matrix = |k: usize, n: usize, out: Number, rows: bool| Linear {
        weights: if floats {
            Weights::Bf16(Array2::from_elem((k, n), bf16::ZERO))
        } else {
            Weights::I8(Array2::zeros((k, n)))
        },
        finish: if floats {
            Finish::Float { bias: Array1::zeros(n) }
        } else if rows {
            Finish::Rows(RowRequant { columns: blank_requant(n), row_shift: 0, bias: vec![0; n] })
        } else {
            Finish::Static { bias: Array1::zeros(n), requant: blank_requant(n) }
        },
        out,
        in_scale: 0.0,
        weight_scales: vec![0.0; if floats { 0 } else { n }],
    };
    let norm = || LayerNorm { gain: vec![0; d], beta: vec![0; d], shift: 0 };
    let add = || ResidualAdd { mult_x: 0, mult_y: 0, shift: 0 };
    let gelu = |number| match number {
        Number::I16 | Number::Bf16 => Gelu::Bits(0),
        Number::I8 | Number::I8Rows => Gelu::Table { table: vec![0; 256], in_scale: 0.0, out_scale: 0.0 },
    };
    // The argument of a GELU.
    let argument = |number| if number == Number::Bf16 { Number::I16 } else { number };
    let conv = |k: usize, stride| ConvStage {
        matrix: matrix(3 * k, d, argument(recipe.conv), false),
        stride,
        gelu: gelu(recipe.conv),
    };
    let rows = recipe.norm == Number::I8Rows;
    let layer = || QuantLayer {
        ln1: norm(),
        ln1_scale: 0.0,
        qkv: matrix(d, 3 * d, if floats { Number::Bf16 } else { Number::I8 }, rows),
        qkv_scales: [0.0; 3],
        heads: match recipe.scores {
            Number::I16 => {
                Heads::Running(Attention { acc_shift: 0, mult: 0, shift: 0, out_mult: 0, out_shift: 0 })
            }
            Number::Bf16 => Heads::Float,
            Number::I8 | Number::I8Rows => {
                Heads::Normalised { scores: blank_requant(1), score_scale: 0.0, context: blank_requant(1) }
            }
        },
        context_scale: 0.0,
        out: matrix(d, d, recipe.stream, false),
        out_scale: 0.0,
        resid1: add(),
        resid1_scale: 0.0,
        ln2: norm(),
        ln2_scale: 0.0,
        fc1: matrix(d, f, argument(recipe.hidden), rows),
        gelu: gelu(recipe.hidden),
        fc2: matrix(f, d, recipe.stream, false),
        fc2_scale: 0.0,
        resid2: add(),
        resid2_scale: 0.0,
    };
    QuantModel {
        scheme,
        recipe,
        mel_scale: 0.0,
        conv1: conv(config.mels, 1),
        conv2: config.conv2.then(|| conv(d, 2)),
        position_table: Array2::zeros((config.positions, d)),
        embed: add(),
        embed_scale: 0.0,
        layers: (0..config.layers).map(|_| layer()).collect(),
        ln_post: norm(),
        final_scale: 0.0,
        config,
    }
}

fn blank_requant(columns: usize) -> Requant {
    Requant { acc_shift: 0, mult: vec![0; columns], out_shift: 0 }
}

/// Tensors with numbers that no quantiser writes: kernels rely on their ranges.
pub(super) fn unsound(model: &QuantModel) -> Vec<String> {
    let mut check = Check { problems: Vec::new() };
    visit(&mut model.clone(), &mut check);
    let limit = |linear: &Linear, name: String, problems: &mut Vec<String>, steps: i64| {
        let bias = match &linear.finish {
            Finish::Static { bias, .. } => bias,
            Finish::Rows(rows) => {
                if let Some(n) = rows.bias.iter().position(|b| b.unsigned_abs() > 1 << 30) {
                    problems.push(format!("{name}: the bias of column {n} is above 2^30"));
                }
                return;
            }
            Finish::Float { .. } => return,
        };
        let Weights::I8(weights) = &linear.weights else { return };
        let column = |n: usize| -> i64 {
            let weights: i64 = weights.column(n).iter().map(|w| i64::from(w.unsigned_abs())).sum();
            weights * (steps + 1) + i64::from(bias[n]).abs()
        };
        if let Some(n) = (0..weights.ncols()).find(|&n| column(n) > i64::from(i32::MAX)) {
            problems.push(format!("{name}: column {n} overflows a 32-bit accumulator"));
        }
    };
    let steps = |number: Number| if number == Number::I16 { 32767 } else { 127 };
    let recipe = &model.recipe;
    let mut problems = check.problems;
    limit(&model.conv1.matrix, "conv1.weight".into(), &mut problems, steps(recipe.conv));
    if let Some(stage) = &model.conv2 {
        limit(&stage.matrix, "conv2.weight".into(), &mut problems, steps(recipe.conv));
    }
    for (i, layer) in model.layers.iter().enumerate() {
        let inputs = [recipe.norm, recipe.context, recipe.norm, recipe.hidden];
        let matrices = [(&layer.qkv, "qkv"), (&layer.out, "out"), (&layer.fc1, "fc1"), (&layer.fc2, "fc2")];
        for ((linear, name), input) in matrices.into_iter().zip(inputs) {
            limit(linear, format!("layers.{i}.{name}.weight"), &mut problems, steps(input));
        }
    }
    problems
}

/// Finds elements outside their range, by the last part of the tensor's name.
struct Check {
    problems: Vec<String>,
}

impl Fields for Check {
    fn bytes(&mut self, name: &str, dtype: Dtype, _shape: &[usize], bytes: &mut [u8]) {
        let part = name.rsplit('.').next().unwrap_or(name);
        let wrong = match dtype {
            Dtype::F32 if part == "bias" => {
                numbers::<f32>(bytes).find(|v| !v.is_finite()).map(|v| (v.to_string(), "a finite number"))
            }
            Dtype::BF16 => {
                numbers::<bf16>(bytes).find(|v| !v.is_finite()).map(|v| (v.to_string(), "a finite number"))
            }
            Dtype::F32 => numbers::<f32>(bytes)
                .find(|v| !(v.is_finite() && *v > 0.0))
                .map(|v| (v.to_string(), "a positive number")),
            Dtype::F64 => numbers::<f64>(bytes)
                .find(|v| !(v.is_finite() && *v > 0.0))
                .map(|v| (v.to_string(), "a positive number")),
            Dtype::U32 => {
                let (range, text) = match part {
                    "bits" => (FRACTION_BITS, "5..=13"),
                    "shift" => (0..=30, "0..=30"),
                    "score_shift" => (MIN_SHIFT..=31, "17..=31"),
                    _ => (0..=31, "0..=31"),
                };
                numbers::<u32>(bytes).find(|v| !range.contains(v)).map(|v| (v.to_string(), text))
            }
            Dtype::I32 => {
                let limit = 1u32 << 30;
                let offset = part == "offset";
                numbers::<i32>(bytes)
                    .find(|v| offset && v.unsigned_abs() > limit)
                    .map(|v| (v.to_string(), "at most 2^30"))
            }
            Dtype::I16 => {
                let (range, text) = match part {
                    "multiplier" | "out_multiplier" => (1..=i16::MAX, "1..=32767"),
                    "multiplier_x" | "multiplier_y" => (0..=1 << 14, "0..=16384"),
                    _ => (i16::MIN..=i16::MAX, ""),
                };
                numbers::<i16>(bytes).find(|v| !range.contains(v)).map(|v| (v.to_string(), text))
            }
            _ => None,
        };
        if let Some((got, expected)) = wrong {
            self.problems.push(format!("{name}: {got}, expected {expected}"));
        }
    }
}

fn numbers<T: bytemuck::Pod>(bytes: &[u8]) -> impl Iterator<Item = T> {
    bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned)
}
