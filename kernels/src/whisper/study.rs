//! The options that schemes were chosen from, each run in integers on whole recordings and compared with the f32 encoder.

use ndarray::{Array2, ArrayView2};

use super::calibrate::{Calibration, looped};
use super::quantise::{Tuning, calibrate, quantise_calibrated};
use super::scheme::{Number, Recipe, Scheme, WeightScales};
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
    /// Whether scales are measured on looped recordings too, as [`calibrate::windows`] has them; else as recorded.
    ///
    /// [`calibrate::windows`]: super::calibrate::windows
    pub looped: bool,
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
        list.push(Variant { name: name.to_owned(), what, recipe, tuning, looped: true });
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
    for (name, scheme) in [("static", Scheme::W8A8Static), ("rows", Scheme::W8A8)] {
        let recipe = if scheme == Scheme::W8A8 { rows } else { fixed };
        let what = "the scheme's choices, scales measured on the recordings with their silence only";
        let name = format!("{name} both, as recorded");
        list.push(Variant { name, what, recipe, tuning: scheme.tuning(), looped: false });
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
        let plain = Calibration::measure(weights, &windows);
        Recordings { windows, plain }
    }

    /// Scores of one option on every clip, in order, with scales that are measured on these windows.
    pub fn scores(&self, variant: &Variant, weights: &EncoderWeights, clips: &[Clip]) -> Vec<Score> {
        let Variant { recipe, tuning, .. } = variant;
        let model = if tuning.smoothing == Smoothing::NONE {
            quantise_calibrated(weights, &self.plain, recipe, tuning)
        } else {
            let (smoothed, calibration) = calibrate(weights, &self.windows, tuning);
            quantise_calibrated(&smoothed, &calibration, recipe, tuning)
        };
        let score = |clip: &Clip| {
            let features = integer::encode(&model, &model.input(clip.mel.view()), &mut |_, _| ());
            compare(model.dequantise(features.view()).view(), clip.exact.view())
        };
        clips.iter().map(score).collect()
    }
}

/// A recording at other speeds and levels, looped to a whole window, with what to add to its name: windows that are full
/// and differ, of one recording.
pub fn full_windows(samples: &[f32]) -> Vec<(&'static str, Vec<f32>)> {
    let quiet = |samples: Vec<f32>| samples.into_iter().map(|s| s / 4.0).collect::<Vec<_>>();
    vec![
        ("looped", looped(samples)),
        ("15 % faster", looped(&at_speed(samples, 1.15))),
        ("15 % slower, -12 dB", looped(&quiet(at_speed(samples, 1.0 / 1.15)))),
    ]
}

/// The recording played `factor` times as fast, by linear interpolation.
fn at_speed(samples: &[f32], factor: f64) -> Vec<f32> {
    let count = (samples.len().saturating_sub(1) as f64 / factor) as usize;
    let at = |i: usize| {
        let (whole, part) = ((i as f64 * factor) as usize, (i as f64 * factor).fract() as f32);
        samples[whole] * (1.0 - part) + samples[whole + 1] * part
    };
    (0..count).map(at).collect()
}

/// Agreement of features with exact ones.
pub fn compare(features: ArrayView2<f32>, exact: ArrayView2<f32>) -> Score {
    Score { cosine: measure::cosine(features, exact), sqnr_db: measure::sqnr_db(features, exact) }
}
