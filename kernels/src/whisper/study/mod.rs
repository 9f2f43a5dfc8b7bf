//! The options that schemes were chosen from, each run in integers on whole recordings and compared with the f32 encoder.

mod exponentials;
mod windows;

pub use exponentials::Exponentials;
pub use windows::{full_windows, varied_windows};

use super::calibrate::{Calibration, Details};
use super::quant::QuantModel;
use super::quantise::{calibrate, quantise_calibrated};
use super::scheme::{Number, Recipe, Scheme, WeightScales};
use super::smooth::Smoothing;
use super::tuning::Tuning;
use super::weights::EncoderWeights;
use super::{integer, measure};
use crate::attention::Attention;
use ndarray::{Array2, ArrayView2};

/// One option: types and choices of integers.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Short name.
    pub name: String,
    /// What it is.
    pub what: &'static str,
    /// Types.
    pub recipe: Recipe,
    /// Choices.
    pub tuning: Tuning,
    /// Whether scales are measured on looped recordings too, as [`calibrate::windows`] has them; else as recorded.
    ///
    /// [`calibrate::windows`]: super::calibrate::windows
    pub looped: bool,
    /// Weights of the keys, where scores are 16 bits.
    pub exponentials: Exponentials,
}

/// Agreement of one recording's features with those of the f32 encoder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Cosine of the angle between all features.
    pub cosine: f64,
    /// Signal to error ratio.
    pub sqnr_db: f64,
}

/// Every option, in the order of the table.
pub fn variants() -> Vec<Variant> {
    let rows = Recipe::W8A8;
    let fixed = Recipe { norm: Number::I8, ..rows };
    let plain = Tuning::PLAIN;
    let smooth = |norm, context, heads| Tuning { smoothing: Smoothing { norm, context, heads }, ..plain };
    let mut list = Vec::new();
    let mut add = |name: &str, what, recipe, tuning| {
        let exponentials = Exponentials::Array;
        list.push(Variant { name: name.to_owned(), what, recipe, tuning, looped: true, exponentials });
    };
    add("document", "everything a byte, one scale a tensor", Recipe::DESIGN_DOC, plain);
    add(
        "document+columns",
        "the same with weight scales by column",
        Recipe { weights: WeightScales::Column, ..Recipe::DESIGN_DOC },
        plain,
    );
    add(
        "document+stream",
        "the document's with a 16-bit residual stream",
        Recipe { stream: Number::I16, ..Recipe::DESIGN_DOC },
        plain,
    );
    add(
        "document+softmax",
        "and 16-bit scores and probabilities",
        Recipe { stream: Number::I16, scores: Number::I16, ..Recipe::DESIGN_DOC },
        plain,
    );
    add("static", "types of w8a8-static, peaks and nearest integers", fixed, plain);
    add("static ctx8", "with ctx in bytes", Recipe { context: Number::I8, ..fixed }, plain);
    add(
        "static ctx8 smooth",
        "with ctx in bytes, smoothed into the output projection",
        Recipe { context: Number::I8, ..fixed },
        smooth(0.0, 0.5, 0.0),
    );
    add(
        "static hidden8",
        "with the GELU's output in bytes by a table",
        Recipe { hidden: Number::I8, ..fixed },
        plain,
    );
    add(
        "static tensor",
        "with one scale for each weight matrix",
        Recipe { weights: WeightScales::Tensor, ..fixed },
        plain,
    );
    add("static conv8", "with convolutions in bytes", Recipe { conv: Number::I8, ..fixed }, plain);
    let careful = Tuning { compensate: true, clip_weights: true, ..plain };
    let both = |norm, context, heads| Tuning { smoothing: Smoothing { norm, context, heads }, ..careful };
    let tuned: [(&str, &str, Tuning); 14] = [
        (
            "clip-a",
            "static byte scales with the least squared error",
            Tuning { clip_activations: true, ..plain },
        ),
        (
            "clip-w",
            "weight scales with the least weighted squared error",
            Tuning { clip_weights: true, ..plain },
        ),
        ("bias", "biases corrected by the mean error", Tuning { correct_bias: true, ..plain }),
        ("smooth-ln .3", "LayerNorm outputs smoothed, 0.3", smooth(0.3, 0.0, 0.0)),
        ("smooth-ln .5", "LayerNorm outputs smoothed, 0.5", smooth(0.5, 0.0, 0.0)),
        ("smooth-ctx .5", "v and ctx smoothed, 0.5", smooth(0.0, 0.5, 0.0)),
        ("smooth-qk", "q against k evened out", smooth(0.0, 0.0, 1.0)),
        ("compensate", "weights compensated", Tuning { compensate: true, ..plain }),
        (
            "compensate+clip-w",
            "weights compensated, their scales clipped",
            Tuning { compensate: true, clip_weights: true, ..plain },
        ),
        ("both ln", "compensated, clipped, LayerNorm outputs smoothed", both(0.5, 0.0, 0.0)),
        ("both ctx", "compensated, clipped, v and ctx smoothed", both(0.0, 0.5, 0.0)),
        ("both ctx+qk", "compensated, clipped, v, ctx, q and k smoothed", both(0.0, 0.5, 1.0)),
        ("both all", "compensated, clipped, all smoothed", both(0.5, 0.5, 1.0)),
        ("both all+bias", "and biases corrected", Tuning { correct_bias: true, ..both(0.5, 0.5, 1.0) }),
    ];
    for (name, what, tuning) in tuned {
        add(&format!("static {name}"), what, fixed, tuning);
    }
    add("rows", "types of w8a8, peaks and nearest integers", rows, plain);
    add(
        "rows ctx8",
        "with ctx in bytes, smoothed into the output projection",
        Recipe { context: Number::I8, ..rows },
        smooth(0.0, 0.5, 0.0),
    );
    for (name, what, tuning) in tuned {
        add(&format!("rows {name}"), what, rows, tuning);
    }
    add("bf16", "every product of bf16, with sums in f32", Recipe::BF16, Scheme::Bf16.tuning());
    let chosen = [("static", Scheme::W8A8Static), ("rows", Scheme::W8A8)];
    for (name, scheme) in chosen {
        let (recipe, tuning) = (scheme.recipe(), scheme.tuning());
        let what = "the scheme's choices, scales measured on the recordings with their silence only";
        let (name, exponentials) = (format!("{name} both, as recorded"), Exponentials::Array);
        list.push(Variant { name, what, recipe, tuning, looped: false, exponentials });
    }
    for (scheme_name, scheme) in chosen {
        let (recipe, tuning) = (scheme.recipe(), scheme.tuning());
        let others = [
            (
                Exponentials::Nearest,
                "exp nearest",
                "the scheme's choices, exponentials each the nearest byte",
            ),
            (Exponentials::FineMaximum, "exp fine", "exponentials with rests, maximum in 1/16 octave"),
            (Exponentials::Bits15, "exp 15 bits", "exponentials of 15 bits, products at half rate"),
            (Exponentials::Floats, "exp floats", "softmax in floats"),
        ];
        for (exponentials, name, what) in others {
            let name = format!("{scheme_name} {name}");
            list.push(Variant { name, what, recipe, tuning, looped: true, exponentials });
        }
    }
    list
}

/// Recordings as log-mel windows `[mels, frames]`, with the features of the f32 encoder.
#[derive(Clone, Debug)]
pub struct Clip {
    /// Name.
    pub name: String,
    /// Window.
    pub mel: Array2<f32>,
    /// Features.
    pub exact: Array2<f32>,
}

/// Windows to measure scales on, and what they say of the encoder as it is.
#[derive(Clone, Debug)]
pub struct Recordings {
    windows: Vec<Array2<f32>>,
    plain: Calibration,
}

impl Recordings {
    /// Of log-mel windows `[mels, frames]`.
    ///
    /// # Panics
    /// As [`Calibration::measure`].
    pub fn new(weights: &EncoderWeights, windows: Vec<Array2<f32>>) -> Recordings {
        let plain = Calibration::measure(weights, &windows, Details::ALL);
        Recordings { windows, plain }
    }

    /// The model of an option, with scales that are measured on these windows.
    pub fn model(&self, variant: &Variant, weights: &EncoderWeights) -> QuantModel {
        let Variant { recipe, tuning, .. } = variant;
        if tuning.smoothing == Smoothing::NONE {
            quantise_calibrated(weights, &self.plain, recipe, tuning)
        } else {
            let (smoothed, calibration) = calibrate(weights, &self.windows, tuning);
            quantise_calibrated(&smoothed, &calibration, recipe, tuning)
        }
    }

    /// Scores of one option on every clip, in order.
    pub fn scores(&self, variant: &Variant, weights: &EncoderWeights, clips: &[Clip]) -> Vec<Score> {
        let model = self.model(variant, weights);
        let mut mixer = |q: ArrayView2<i8>, k: ArrayView2<i8>, v: ArrayView2<i8>, a: &Attention| {
            variant.exponentials.mix(q, k, v, a)
        };
        let score = |clip: &Clip| {
            let input = model.input(clip.mel.view());
            let features = integer::encode_with(&model, &input, &mut mixer, &mut |_, _| ());
            compare(model.dequantise(features.view()).view(), clip.exact.view())
        };
        clips.iter().map(score).collect()
    }
}

/// Signal to error ratio, in dB, of ctx against a softmax in floats of the same queries, keys and values: for each of
/// [`Exponentials::ALL`] but the floats, by layer. Layers see what the array's exponentials give before them.
pub fn context_sqnr(model: &QuantModel, clip: &Clip) -> Vec<(Exponentials, Vec<f64>)> {
    let compared = Exponentials::ALL.into_iter().filter(|&e| e != Exponentials::Floats);
    let heads = model.config.heads;
    // Of every layer: energy of the exact, and of each option's errors.
    let mut layers: Vec<(f64, Vec<f64>)> = Vec::new();
    let mut calls = 0;
    let mut mixer = |q: ArrayView2<i8>, k: ArrayView2<i8>, v: ArrayView2<i8>, a: &Attention| {
        if calls % heads == 0 {
            layers.push((0.0, vec![0.0; Exponentials::ALL.len() - 1]));
        }
        calls += 1;
        let (signal, errors) = layers.last_mut().expect("pushed above");
        let exact = Exponentials::Floats.mix(q, k, v, a).mapv(f64::from);
        *signal += exact.iter().map(|x| x * x).sum::<f64>();
        for (error, option) in errors.iter_mut().zip(compared.clone()) {
            let got = option.mix(q, k, v, a).mapv(f64::from);
            *error += (got - &exact).iter().map(|x| x * x).sum::<f64>();
        }
        Exponentials::Array.mix(q, k, v, a)
    };
    integer::encode_with(model, &model.input(clip.mel.view()), &mut mixer, &mut |_, _| ());
    let db = |signal: f64, error: f64| 10.0 * (signal / error).log10();
    let of = |(i, option)| (option, layers.iter().map(|(signal, errors)| db(*signal, errors[i])).collect());
    compared.enumerate().map(of).collect()
}

/// Agreement of features with exact ones.
pub fn compare(features: ArrayView2<f32>, exact: ArrayView2<f32>) -> Score {
    Score { cosine: measure::cosine(features, exact), sqnr_db: measure::sqnr_db(features, exact) }
}
