//! The encoder in a scheme's numbers, executed with the kernels' references: the specification of what the array computes.

use half::bf16;
use ndarray::{Array1, Array2, ArrayView2, s};

pub use super::activation::{Activation, Tensor};
use super::gemm;
use super::quant::{ConvStage, Finish, Gelu, Heads, Linear, QuantLayer, QuantModel, Weights};
use super::scheme::Number;
use crate::attention::Attention;
use crate::fixed::{saturate_i8, saturate_i16};
use crate::layernorm::LayerNorm;
use crate::requantise::Requant;
use crate::residual_add::ResidualAdd;
use crate::{attention, attention_bf16, conv1d, float, gelu, gelu_table, layernorm, residual_add, softmax};

/// Told every intermediate tensor with its name: those of [`super::reference::Observer`], after `mel` (time-major).
/// [`QuantModel::scale`] knows the value of a step of each.
pub type Observer<'a> = dyn FnMut(&str, Tensor) + 'a;

impl QuantModel {
    /// The encoder's input, time-major `[frames, mels]`, of a log-mel window `[mels, frames]`.
    pub fn input(&self, mel: ArrayView2<f32>) -> Activation {
        let steps = match self.recipe.conv {
            Number::I16 => 32767.0,
            Number::I8 | Number::I8Rows => 127.0,
            Number::Bf16 => {
                let value = |v: &f32| bf16::from_f64(f64::from(*v) / self.mel_scale);
                return Activation::Bf16(mel.t().map(value));
            }
        };
        let value =
            |v: f32| (f64::from(v) / self.mel_scale).round_ties_even().clamp(-steps - 1.0, steps) as i16;
        let mel = Array2::from_shape_fn((mel.ncols(), mel.nrows()), |(t, m)| value(mel[(m, t)]));
        Activation::narrowed(mel, self.recipe.conv)
    }
}

/// ctx of one head in 16 bits, of queries, keys and values `[rows, dims]`, in what stands for [`Heads::Running`].
pub type Mixer<'a> =
    dyn FnMut(ArrayView2<i8>, ArrayView2<i8>, ArrayView2<i8>, &Attention) -> Array2<i16> + 'a;

/// Features `[positions, d]`, in units of `model.final_scale`, of [`QuantModel::input`]'s result.
///
/// # Panics
/// When the input is not `config.frames()` by `config.mels`.
pub fn encode(model: &QuantModel, mel: &Activation, observe: &mut Observer) -> Array2<i16> {
    let mut running = |q: ArrayView2<i8>, k: ArrayView2<i8>, v: ArrayView2<i8>, a: &Attention| {
        gemm::by_rows(q, q.ncols(), |q| attention::reference_i16(q, k, v, a))
    };
    encode_with(model, mel, &mut running, observe)
}

/// [`encode`] with another running softmax, to learn what that of the array costs.
///
/// # Panics
/// As [`encode`].
pub fn encode_with(
    model: &QuantModel,
    mel: &Activation,
    mixer: &mut Mixer,
    observe: &mut Observer,
) -> Array2<i16> {
    assert_eq!(mel.dim(), (model.config.frames(), model.config.mels), "frames and mel bands");
    let recipe = &model.recipe;
    observe("mel", mel.view());
    // What enters a matrix is bf16 where that multiplies them; what enters the stream is an integer of its type.
    let last = if recipe.conv == Number::Bf16 { recipe.stream } else { recipe.conv };
    let between = if model.conv2.is_some() { recipe.conv } else { last };
    let mut x = conv(&model.conv1, mel, between, "conv1", observe);
    if let Some(conv2) = &model.conv2 {
        x = conv(conv2, &x, last, "conv2", observe);
    }
    x = add(&x, &Activation::I16(model.position_table.clone()), &model.embed, recipe.stream);
    observe("embed", x.view());
    for (i, layer) in model.layers.iter().enumerate() {
        x = encode_layer(model, layer, x, &format!("layer{i}"), mixer, observe);
    }
    let features = normalise(&x, &model.ln_post, recipe.stream);
    observe("final", features.view());
    features.widened()
}

fn conv(stage: &ConvStage, x: &Activation, out: Number, name: &str, observe: &mut Observer) -> Activation {
    let x = match x {
        Activation::I8(x) | Activation::I8Rows(x, _) => {
            let padded = conv1d::pad(x.view());
            linear(&stage.matrix, Tensor::I8(conv1d::windows(&padded, stage.stride)))
        }
        Activation::I16(x) => {
            let padded = conv1d::pad(x.view());
            linear(&stage.matrix, Tensor::I16(conv1d::windows(&padded, stage.stride)))
        }
        Activation::Bf16(x) => {
            let padded = conv1d::pad(x.view());
            linear(&stage.matrix, Tensor::Bf16(conv1d::windows(&padded, stage.stride)))
        }
    };
    observe(name, x.view());
    let x = gelu_all(&x, &stage.gelu, out);
    observe(&format!("{name}_gelu"), x.view());
    x
}

fn encode_layer(
    model: &QuantModel,
    layer: &QuantLayer,
    x: Activation,
    name: &str,
    mixer: &mut Mixer,
    observe: &mut Observer,
) -> Activation {
    let recipe = &model.recipe;
    let mut seen = |part: &str, tensor: Tensor| observe(&format!("{name}.{part}"), tensor);
    let h = normalise(&x, &layer.ln1, recipe.norm);
    seen("ln1", h.view());
    let d = model.config.d;
    let qkv = linear(&layer.qkv, h.view());
    let [q, k, v] = [0, 1, 2].map(|i| qkv.columns(i * d..(i + 1) * d));
    seen("q", q);
    seen("k", k);
    seen("v", v);
    let context = mix_heads(model, layer, [q, k, v], mixer, &mut seen);
    seen("ctx", context.view());
    let y = linear(&layer.out, context.view());
    seen("attn_out", y.view());
    let x = add(&x, &y, &layer.resid1, recipe.stream);
    seen("resid1", x.view());
    let h = normalise(&x, &layer.ln2, recipe.norm);
    seen("ln2", h.view());
    let h = linear(&layer.fc1, h.view());
    seen("fc1", h.view());
    let h = gelu_all(&h, &layer.gelu, recipe.hidden);
    seen("gelu", h.view());
    let y = linear(&layer.fc2, h.view());
    seen("fc2", y.view());
    let x = add(&x, &y, &layer.resid2, recipe.stream);
    observe(name, x.view());
    x
}

/// ctx of all heads.
fn mix_heads(
    model: &QuantModel,
    layer: &QuantLayer,
    qkv: [Tensor; 3],
    mixer: &mut Mixer,
    seen: &mut dyn FnMut(&str, Tensor),
) -> Activation {
    let (d, heads) = (model.config.d, model.config.heads);
    let [q, k, v] = match qkv {
        [Tensor::I8(q), Tensor::I8(k), Tensor::I8(v)] => [q, k, v],
        [Tensor::Bf16(q), Tensor::Bf16(k), Tensor::Bf16(v)] => {
            let mut context = Array2::from_elem(q.dim(), bf16::ZERO);
            for head in 0..heads {
                let columns = s![.., head * d / heads..(head + 1) * d / heads];
                let [q, k, v] = [q, k, v].map(|x| x.slice_move(columns));
                context.slice_mut(columns).assign(&attention_bf16::reference(q, k, v));
            }
            return Activation::Bf16(context);
        }
        other => panic!("q, k and v are bytes or bf16 in every scheme, not {other:?}"),
    };
    let mut context = Array2::<i16>::zeros(q.dim());
    for head in 0..heads {
        let columns = s![.., head * d / heads..(head + 1) * d / heads];
        let [q, k, v] = [q, k, v].map(|x| x.slice_move(columns));
        let mixed = match &layer.heads {
            Heads::Running(a) => mixer(q, k, v, a),
            Heads::Float => panic!("heads of bf16, q, k and v in bytes"),
            Heads::Normalised { scores, score_scale, context } => {
                let zero = Array1::zeros(k.nrows());
                let scores = gemm::exact(q, k.t(), zero.view(), |acc, _, _| {
                    i16::from(saturate_i8(scores.apply(acc, 0)))
                });
                seen(&format!("head{head}.scores"), Tensor::I16(scores.view()));
                let table = softmax::exponentials(*score_scale);
                let probs =
                    gemm::by_rows(scores.view(), scores.ncols(), |t| softmax::reference_i8(t, &table));
                seen(&format!("head{head}.probs"), Tensor::I16(probs.view()));
                mix(probs.view(), v, context)
            }
        };
        context.slice_mut(columns).assign(&mixed);
    }
    Activation::narrowed(context, model.recipe.context)
}

/// ctx of one head in 16 bits: probabilities times values, requantised with one multiplier.
fn mix(probs: ArrayView2<i16>, v: ArrayView2<i8>, requant: &Requant) -> Array2<i16> {
    let zero = Array1::zeros(v.ncols());
    gemm::exact(probs, v, zero.view(), |acc, _, _| saturate_i16(requant.apply(acc, 0)))
}

fn normalise(x: &Activation, norm: &LayerNorm, out: Number) -> Activation {
    let x = x.widened();
    let d = x.ncols();
    match out {
        Number::I8 => Activation::I8(gemm::by_rows(x.view(), d, |x| layernorm::reference_i8(x, norm))),
        Number::I16 => Activation::I16(gemm::by_rows(x.view(), d, |x| layernorm::reference_i16(x, norm))),
        Number::Bf16 => Activation::Bf16(gemm::by_rows(x.view(), d, |x| layernorm::reference_bf16(x, norm))),
        Number::I8Rows => {
            let (rows, multipliers) = layernorm::reference_rows(x.view(), norm);
            Activation::I8Rows(rows, multipliers)
        }
    }
}

fn add(x: &Activation, y: &Activation, terms: &ResidualAdd, out: Number) -> Activation {
    let (x, y) = (x.widened(), y.widened());
    if out == Number::I8 {
        return Activation::I8(residual_add::reference_i8(x.view(), y.view(), terms));
    }
    Activation::narrowed(residual_add::reference(x.view(), y.view(), terms), out)
}

/// A matrix.
///
/// # Panics
/// When the input has multipliers and the matrix none for them, or the other way round.
pub fn linear(linear: &Linear, x: Tensor) -> Activation {
    match linear.out {
        Number::I16 if matches!(linear.weights, Weights::Bf16(_)) => {
            Activation::I16(rounded(linear, x, float::to_i16))
        }
        Number::I16 => Activation::I16(products(linear, x, saturate_i16)),
        Number::I8 | Number::I8Rows => Activation::I8(products(linear, x, saturate_i8)),
        Number::Bf16 => Activation::Bf16(rounded(linear, x, bf16::from_f32)),
    }
}

/// A matrix of bf16, each sum rounded by `to`.
fn rounded<T: Clone + Default + Send + Sync>(
    linear: &Linear,
    x: Tensor,
    to: impl Fn(f32) -> T + Sync,
) -> Array2<T> {
    match (&linear.weights, &linear.finish, x) {
        (Weights::Bf16(weights), Finish::Float { bias }, Tensor::Bf16(x)) => {
            gemm::rounded(x, weights.view(), bias.view(), |sum, _, _| to(sum))
        }
        (.., x) => panic!("{x:?} into a matrix of other numbers"),
    }
}

fn products<T: Clone + Default + Send + Sync>(
    linear: &Linear,
    x: Tensor,
    saturate: impl Fn(i64) -> T + Sync,
) -> Array2<T> {
    let Weights::I8(weights) = &linear.weights else { panic!("{x:?} into a matrix of bf16") };
    let weights = weights.view();
    match (&linear.finish, x) {
        (Finish::Static { bias, requant }, Tensor::I8(x)) => {
            gemm::exact(x, weights, bias.view(), |acc, _, n| saturate(requant.apply(acc, n)))
        }
        (Finish::Static { bias, requant }, Tensor::I16(x)) => {
            gemm::exact(x, weights, bias.view(), |acc, _, n| saturate(requant.apply(acc, n)))
        }
        (Finish::Rows(requant), Tensor::I8Rows(x, rows)) => {
            let zero = Array1::zeros(weights.ncols());
            gemm::exact(x, weights, zero.view(), |acc, m, n| saturate(requant.apply(acc, rows[m], n)))
        }
        (_, x) => panic!("{x:?} into a matrix that is finished otherwise"),
    }
}

fn gelu_all(x: &Activation, by: &Gelu, out: Number) -> Activation {
    match (by, x) {
        (Gelu::Bits(bits), Activation::I16(x)) => {
            let y = gemm::by_rows(x.view(), x.ncols(), |x| gelu::reference(x, *bits));
            Activation::narrowed(y, out)
        }
        (Gelu::Table { table, .. }, Activation::I8(x)) => {
            Activation::I8(gelu_table::reference(x.view(), table))
        }
        (_, x) => panic!("{:?} into a GELU of another type", x.view()),
    }
}

impl QuantModel {
    /// Value of one step of an intermediate tensor, by its name; `None` for a name that is none of the encoder's.
    pub fn scale(&self, name: &str) -> Option<f64> {
        let binary = |bits: u32| Some((-f64::from(bits)).exp2());
        match name {
            "mel" => return Some(self.mel_scale),
            "conv1" => return Some(self.conv1.gelu.in_scale()),
            "conv1_gelu" => return Some(self.conv1.gelu.out_scale()),
            "conv2" => return Some(self.conv2.as_ref()?.gelu.in_scale()),
            "conv2_gelu" => return Some(self.conv2.as_ref()?.gelu.out_scale()),
            "embed" => return Some(self.embed_scale),
            "final" => return Some(self.final_scale),
            _ => {}
        }
        let (layer, part) =
            name.strip_prefix("layer")?.split_once('.').unwrap_or((name.strip_prefix("layer")?, ""));
        let layer = self.layers.get(layer.parse::<usize>().ok()?)?;
        let part = if part.starts_with("head") { part.split_once('.')?.1 } else { part };
        match part {
            "" => Some(layer.resid2_scale),
            "ln1" => Some(layer.ln1_scale),
            "q" => Some(layer.qkv_scales[0]),
            "k" => Some(layer.qkv_scales[1]),
            "v" => Some(layer.qkv_scales[2]),
            "scores" => match layer.heads {
                Heads::Normalised { score_scale, .. } => Some(score_scale),
                Heads::Running(_) | Heads::Float => None,
            },
            "probs" => binary(7),
            "ctx" => Some(layer.context_scale),
            "attn_out" => Some(layer.out_scale),
            "resid1" => Some(layer.resid1_scale),
            "ln2" => Some(layer.ln2_scale),
            "fc1" => Some(layer.gelu.in_scale()),
            "gelu" => Some(layer.gelu.out_scale()),
            "fc2" => Some(layer.fc2_scale),
            _ => None,
        }
    }

    /// Features in f32 of [`encode`]'s result.
    pub fn dequantise(&self, features: ArrayView2<i16>) -> Array2<f32> {
        Tensor::I16(features).dequantise(self.final_scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whisper::golden::{self, Golden};
    use crate::whisper::quantise::{Quantised, quantise};
    use crate::whisper::scheme::Scheme;
    use crate::whisper::weights::EncoderWeights;
    use crate::whisper::{ModelConfig, audio, calibrate, mel, reference};
    use std::collections::BTreeMap;
    use std::path::Path;

    fn window(path: &Path) -> Array2<f32> {
        mel::log_mel(&audio::read(path).unwrap().samples, 80)
    }

    /// Every tensor's signal to error ratio against the f32 encoder.
    fn compare(model: &QuantModel, weights: &EncoderWeights, mel: ArrayView2<f32>) -> BTreeMap<String, f64> {
        let mut exact = BTreeMap::new();
        reference::encode(weights, mel, &mut |name, t| {
            exact.insert(name.to_string(), t.to_owned());
        });
        let mut db = BTreeMap::new();
        encode(model, &model.input(mel), &mut |name, t| {
            let Some(exact) = exact.get(name) else { return };
            let mut got = t.dequantise(model.scale(name).unwrap_or_else(|| panic!("{name} has no scale")));
            if name.ends_with(".scores") {
                // Only differences within a row matter.
                let shift = (exact - &got).mean_axis(ndarray::Axis(1)).unwrap();
                got += &shift.insert_axis(ndarray::Axis(1));
            }
            // A GELU's argument below -4 yields 0 and may clip.
            let argument = name.ends_with(".fc1") || name == "conv1" || name == "conv2";
            let floor = if argument { -4.0 } else { f32::MIN };
            let [got, exact] = [&got, exact].map(|t| t.mapv(|v| v.max(floor)));
            db.insert(name.to_string(), golden::sqnr_db(&got, &exact));
        });
        db
    }

    #[test]
    fn tiny_keeps_the_cosine_in_every_scheme_of_integers() {
        let Some(dir) = golden::data() else { return };
        let weights = EncoderWeights::load(&dir.join("tiny_en_encoder_f16.safetensors"), None).unwrap();
        let recording = |f: &str| audio::read(&dir.join(f)).unwrap();
        let calibration: Vec<_> = ["calib_1.wav", "calib_2.wav"]
            .iter()
            .flat_map(|f| calibrate::windows(&recording(f), &weights.config))
            .collect();
        let mel = window(&dir.join("jfk.wav"));
        let full = mel::log_mel(&calibrate::looped(&recording("jfk.wav").samples), 80);
        let full_expected = reference::encode(&weights, full.view(), &mut |_, _| ());
        let expected = Golden::open(&dir.join("tiny_en_jfk_golden.npz")).matrix("final_full_f16");
        // The document's scheme loses the signal, which is why it is not the default.
        for (scheme, least, least_full) in [
            (Scheme::W8A8, 0.998, 0.9975),
            (Scheme::W8A8Static, 0.9975, 0.997),
            (Scheme::DesignDoc, 0.3, 0.3),
        ] {
            let model = quantise(&weights, &calibration, scheme);
            for (name, mel, expected, least) in
                [("jfk.wav", &mel, &expected, least), ("jfk.wav looped", &full, &full_expected, least_full)]
            {
                let features = encode(&model, &model.input(mel.view()), &mut |_, _| ());
                let features = model.dequantise(features.view());
                let (cosine, db) =
                    (golden::cosine(&features, expected), golden::sqnr_db(&features, expected));
                println!(
                    "tiny.en, {scheme}, calibrated on calib_1 and calib_2, {name}: cosine {cosine:.5}, {db:.1} dB"
                );
                assert!(cosine >= least, "{scheme}: {cosine}");
            }
        }
    }

    #[test]
    fn small50_is_close_layer_by_layer() {
        let Some(dir) = golden::data() else { return };
        let weights = EncoderWeights::load(&dir.join("rand_small50.safetensors"), None).unwrap();
        let frames = weights.config.frames();
        let speech = window(&dir.join("calib_1.wav"));
        let calibration: Vec<_> =
            (0..10).map(|i| speech.slice(s![.., i * frames..(i + 1) * frames]).to_owned()).collect();
        let Quantised { model, weights, .. } =
            Quantised::new(&weights, &calibration, Scheme::W8A8Static).unwrap();
        let mel = Golden::open(&dir.join("rand_small50_golden.npz")).matrix("mel");
        let measured = compare(&model, &weights, mel.view());
        assert_eq!(measured.len(), 2 + 2 + 1 + 2 * 12 + 1);
        // 3 dB below what the scheme reached when it was made: 8-bit operands cost 30 to 40 dB, the rest less.
        let bound = |name: &str| match name.rsplit('.').next().unwrap_or(name) {
            "conv1" | "conv1_gelu" | "conv2" | "conv2_gelu" | "embed" => 42.0,
            "fc2" => 25.5,
            "gelu" => 25.5,
            "final" => 36.0,
            _ => 31.0,
        };
        for (name, db) in &measured {
            println!("  {name}: {db:.1} dB");
            assert!(*db >= bound(name), "{name}: {db:.1} dB, expected {}", bound(name));
        }
    }

    #[test]
    fn names_have_scales() {
        let config = ModelConfig { d: 64, heads: 1, layers: 1, ffn: 64, positions: 6, ..ModelConfig::tiny() };
        let weights = EncoderWeights::seeded(&config, 1);
        let mel = Array2::from_shape_fn((80, 12), |(m, t)| ((m * 7 + t * 3) % 17) as f32 / 10.0 - 0.5);
        let model = quantise(&weights, std::slice::from_ref(&mel), Scheme::W8A8Static);
        let mut names = Vec::new();
        encode(&model, &model.input(mel.view()), &mut |name, _| names.push(name.to_string()));
        assert!(names.iter().all(|n| model.scale(n).is_some_and(|s| s > 0.0)), "{names:?}");
        assert_eq!(names.len(), 1 + 4 + 1 + 12 + 1);
        assert_eq!(["layer1.q", "layerx", "layer0.w", "head0"].map(|n| model.scale(n)), [None; 4]);
    }
}
