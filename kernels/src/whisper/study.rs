//! The options that schemes were chosen from, each run in integers on whole recordings and compared with the f32 encoder.

use ndarray::{Array2, ArrayView2};

use super::calibrate::Calibration;
use super::quantise::{Tuning, calibrate, quantise_calibrated};
use super::scheme::{Number, Recipe, WeightScales};
use super::smooth::Smoothing;
use super::weights::EncoderWeights;
use super::{integer, measure};

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
        list.push(Variant { name: name.to_owned(), what, recipe, tuning });
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

/// Scores of one option on every clip, in order. `calibration` are log-mel windows.
///
/// # Panics
/// As [`Calibration::measure`].
pub fn scores(
    variant: &Variant,
    weights: &EncoderWeights,
    calibration: &[Array2<f32>],
    plain: &Calibration,
    clips: &[Clip],
) -> Vec<Score> {
    let Variant { recipe, tuning, .. } = variant;
    let model = if tuning.smoothing == Smoothing::NONE {
        quantise_calibrated(weights, plain, recipe, tuning)
    } else {
        let (smoothed, calibration) = calibrate(weights, calibration, tuning);
        quantise_calibrated(&smoothed, &calibration, recipe, tuning)
    };
    let score = |clip: &Clip| {
        let features = integer::encode(&model, &model.input(clip.mel.view()), &mut |_, _| ());
        compare(model.dequantise(features.view()).view(), clip.exact.view())
    };
    clips.iter().map(score).collect()
}

/// Agreement of features with exact ones.
pub fn compare(features: ArrayView2<f32>, exact: ArrayView2<f32>) -> Score {
    Score { cosine: measure::cosine(features, exact), sqnr_db: measure::sqnr_db(features, exact) }
}
