//! The encoder with every number an integer: scheme `w8a8-static`.
//!
//! | tensor | type | scale |
//! |---|---|---|
//! | weights | i8 symmetric | one per output column |
//! | mel | i16 | 2^-14 |
//! | GELU argument and output | i16 | 2^-k, static |
//! | residual stream, and what is added to it | i16 | static, one per place, 1.25 headroom |
//! | LayerNorm output, q, k, v, ctx | i8 | static, one per tensor |
//! | scores | i16 | 1/16 octave |
//! | probabilities | i16 | 2^-15 |
//! | accumulators | i32 | product of the operands' scales |
//!
//! Scales are calibrated once; nothing is scaled by row or at run time. Activations are `[rows, columns]`, weights
//! `[K, N]` (inputs by outputs), both row-major.

use ndarray::{Array1, Array2};

use super::ModelConfig;
use crate::layernorm::LayerNorm;
use crate::requantise::Requant;
use crate::residual_add::ResidualAdd;

/// Fraction bits of the mel input: values are below 2.
pub const MEL_BITS: u32 = 14;

/// Fraction bits of the positional embedding: values are at most 1.
pub const POSITION_BITS: u32 = 14;

/// Name of the scheme.
pub const SCHEME: &str = "w8a8-static";

/// A matrix with its bias and the requantisation of its result.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// `[K, N]`, in -127..=127.
    pub weights: Array2<i8>,
    /// `[N]`, in units of the accumulator.
    pub bias: Array1<i32>,
    /// Accumulator to output.
    pub requant: Requant,
    /// Value of one step of the input.
    pub in_scale: f64,
    /// Value of one step of the weights, by column.
    pub weight_scales: Vec<f32>,
}

/// One transformer layer.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantLayer {
    /// Norm before attention, to i8.
    pub ln1: LayerNorm,
    /// Value of one step of ln1's output.
    pub ln1_scale: f64,
    /// Query, key and value projections side by side, `[d, 3 d]`, to i8. The shifts are common, so the three may
    /// also run as three matrices of `d` columns.
    pub qkv: Linear,
    /// Values of one step of q, k and v.
    pub qkv_scales: [f64; 3],
    /// `q x k^T` of one head to scores; one multiplier for every column.
    pub scores: Requant,
    /// Probabilities times v to ctx; one multiplier for every column.
    pub context: Requant,
    /// Value of one step of ctx.
    pub context_scale: f64,
    /// Output projection of the attention, to i16.
    pub out: Linear,
    /// Value of one step of the output projection's result.
    pub out_scale: f64,
    /// Residual stream plus attention.
    pub resid1: ResidualAdd,
    /// Value of one step of the residual stream after attention.
    pub resid1_scale: f64,
    /// Norm before the feed-forward block, to i8.
    pub ln2: LayerNorm,
    /// Value of one step of ln2's output.
    pub ln2_scale: f64,
    /// First feed-forward matrix, to the GELU's argument in i16.
    pub fc1: Linear,
    /// Fraction bits of the GELU's argument and output.
    pub gelu_bits: u32,
    /// Second feed-forward matrix, i16 x i8, to i16.
    pub fc2: Linear,
    /// Value of one step of the second matrix' result.
    pub fc2_scale: f64,
    /// Residual stream plus feed-forward.
    pub resid2: ResidualAdd,
    /// Value of one step of the residual stream after the layer.
    pub resid2_scale: f64,
}

/// A convolution (as a matrix over windows, see [`crate::conv1d`]) and its GELU.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvStage {
    /// `[3 * channels, d]`, tap outermost; i16 x i8 to the GELU's argument in i16.
    pub matrix: Linear,
    /// Frames per output frame.
    pub stride: usize,
    /// Fraction bits of the GELU's argument and output.
    pub gelu_bits: u32,
}

/// A whole encoder in integers.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantModel {
    /// Sizes.
    pub config: ModelConfig,
    /// First convolution, over the mel frames.
    pub conv1: ConvStage,
    /// Second convolution.
    pub conv2: Option<ConvStage>,
    /// Positional embedding `[positions, d]` in units of 2^-14.
    pub position_table: Array2<i16>,
    /// Convolutions plus positions.
    pub embed: ResidualAdd,
    /// Value of one step of the residual stream before the first layer.
    pub embed_scale: f64,
    /// The layers.
    pub layers: Vec<QuantLayer>,
    /// Final norm, to i16.
    pub ln_post: LayerNorm,
    /// Value of one step of the features.
    pub final_scale: f64,
}
