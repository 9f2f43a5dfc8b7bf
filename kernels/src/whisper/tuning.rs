//! Which numbers an encoder's integers are, where a scheme leaves a choice.

use super::calibrate::Details;
use super::scheme::Scheme;
use super::smooth::Smoothing;

/// Choices that change integers, never what the array executes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// Static scales of bytes with the least expected squared error, which may clip peaks; else up to the peak.
    pub clip_activations: bool,
    /// Scales of weights with the least weighted squared error; else up to the peak.
    pub clip_weights: bool,
    /// Weights rounded so that they make up for each other's errors; else to the nearest.
    pub compensate: bool,
    /// Biases that take the mean error of a matrix' output away.
    pub correct_bias: bool,
    /// Columns evened out beforehand.
    pub smoothing: Smoothing,
}

impl Tuning {
    /// What both schemes of 8-bit weights gain from.
    const BEST: Tuning = Tuning {
        clip_activations: false,
        clip_weights: true,
        compensate: true,
        correct_bias: false,
        smoothing: Smoothing { norm: 0.0, context: 0.5, heads: 1.0 },
    };

    /// Peaks and nearest integers.
    pub const PLAIN: Tuning = Tuning {
        clip_activations: false,
        clip_weights: false,
        compensate: false,
        correct_bias: false,
        smoothing: Smoothing::NONE,
    };

    /// Runs of the f32 encoder on each window: columns are evened out by peaks, which changes the scales.
    pub(super) fn passes(&self) -> usize {
        if self.smoothing == Smoothing::NONE { 1 } else { 2 }
    }

    /// What the integers need to know of the tensors besides peaks.
    pub(super) fn details(&self) -> Details {
        Details {
            magnitudes: self.clip_activations,
            means: self.correct_bias,
            products: self.clip_weights || self.compensate,
        }
    }
}

impl Scheme {
    /// The choices of a scheme: the best of those compared in `docs/numerics.md`, and none for the design document's.
    pub const fn tuning(self) -> Tuning {
        match self {
            Scheme::W8A8 => Tuning::BEST,
            Scheme::W8A8Static => {
                // Rows that share a scale gain from even columns; those with scales of their own do not.
                let smoothing = Smoothing { norm: 0.5, ..Tuning::BEST.smoothing };
                Tuning { smoothing, ..Tuning::BEST }
            }
            Scheme::Bf16 | Scheme::DesignDoc => Tuning::PLAIN,
        }
    }
}
