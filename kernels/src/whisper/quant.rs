//! The encoder in the numbers of a scheme: integers, or bf16 with integers where no matrix reads them.
//!
//! Types of tensors follow the [`Recipe`] of the model's scheme. Scales of 16 bits:
//!
//! | tensor | scale |
//! |---|---|
//! | mel | 2^-14 |
//! | GELU argument and output | 2^-k, static |
//! | residual stream and what is added to it, ctx | static, one per place, 1.25 headroom |
//! | scores | 1/16 octave |
//! | weights of the running softmax (u8) | 1/255 of the running maximum's |
//! | accumulators (i32) | product of the operands' scales |
//!
//! Scales of bf16 are those of the integers that they were rounded from (LayerNorm and GELU outputs), or 1. Weights of bf16
//! take the scales of their inputs and outputs into themselves, so nothing is multiplied at run time; q also has the
//! root of the head's size and the step from nats to octaves in it.
//!
//! Activations are `[rows, columns]`, weights `[K, N]` (inputs by outputs), both row-major.

use half::bf16;
use ndarray::{Array1, Array2};

use super::ModelConfig;
use super::scheme::{Number, Recipe, Scheme};
use crate::attention::Attention;
use crate::layernorm::LayerNorm;
use crate::requantise::{Requant, RowRequant};
use crate::residual_add::ResidualAdd;

/// Fraction bits of the mel input in 16 bits: values are below 2.
pub const MEL_BITS: u32 = 14;

/// Fraction bits of the positional embedding: values are at most 1.
pub const POSITION_BITS: u32 = 14;

/// A matrix with its bias and the requantisation of its result.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// `[K, N]`.
    pub weights: Weights,
    /// Accumulator to output.
    pub finish: Finish,
    /// Type of the output.
    pub out: Number,
    /// Value of one step of the input.
    pub in_scale: f64,
    /// Value of one step of the weights, by column.
    pub weight_scales: Vec<f32>,
}

/// Elements of a matrix.
#[derive(Clone, Debug, PartialEq)]
pub enum Weights {
    /// In -127..=127.
    I8(Array2<i8>),
    /// bf16.
    Bf16(Array2<bf16>),
}

impl Weights {
    /// Inputs and outputs.
    pub fn dim(&self) -> (usize, usize) {
        match self {
            Weights::I8(w) => w.dim(),
            Weights::Bf16(w) => w.dim(),
        }
    }
}

/// What follows the products of a [`Linear`].
#[derive(Clone, Debug, PartialEq)]
pub enum Finish {
    /// For inputs with one scale.
    Static {
        /// `[N]`, in units of the accumulator.
        bias: Array1<i32>,
        /// Accumulator and bias to output.
        requant: Requant,
    },
    /// For inputs whose rows have multipliers.
    Rows(RowRequant),
    /// For bf16: sums begin with the bias, and are rounded to the output.
    Float {
        /// `[N]`, in units of the output.
        bias: Array1<f32>,
    },
}

/// One transformer layer.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantLayer {
    /// Norm before attention: to bytes, or to the 16 bits that rows of bytes are made from.
    pub ln1: LayerNorm,
    /// Value of one step of ln1's output; of a row with a multiplier, of one step times its multiplier.
    pub ln1_scale: f64,
    /// Query, key and value projections side by side, `[d, 3 d]`, to i8. The shifts are common, so the three may
    /// also run as three matrices of `d` columns.
    pub qkv: Linear,
    /// Values of one step of q, k and v.
    pub qkv_scales: [f64; 3],
    /// From q, k and v to ctx.
    pub heads: Heads,
    /// Value of one step of ctx.
    pub context_scale: f64,
    /// Output projection of the attention, onto the stream.
    pub out: Linear,
    /// Value of one step of the output projection's result.
    pub out_scale: f64,
    /// Residual stream plus attention.
    pub resid1: ResidualAdd,
    /// Value of one step of the residual stream after attention.
    pub resid1_scale: f64,
    /// Norm before the feed-forward block, as `ln1`.
    pub ln2: LayerNorm,
    /// Value of one step of ln2's output, as `ln1_scale`.
    pub ln2_scale: f64,
    /// First feed-forward matrix, to the GELU's argument.
    pub fc1: Linear,
    /// The GELU.
    pub gelu: Gelu,
    /// Second feed-forward matrix, onto the stream.
    pub fc2: Linear,
    /// Value of one step of the second matrix' result.
    pub fc2_scale: f64,
    /// Residual stream plus feed-forward.
    pub resid2: ResidualAdd,
    /// Value of one step of the residual stream after the layer.
    pub resid2_scale: f64,
}

/// Attention of every head of a layer.
#[derive(Clone, Debug, PartialEq)]
pub enum Heads {
    /// By a running softmax: [`crate::attention`].
    Running(Attention),
    /// In bf16: [`crate::attention_bf16`].
    Float,
    /// In two passes over scores of 8 bits: [`crate::softmax::reference_i8`].
    Normalised {
        /// `q x k^T` to scores; one multiplier for every column.
        scores: Requant,
        /// Value of one step of the scores.
        score_scale: f64,
        /// Probabilities times v to ctx; one multiplier for every column.
        context: Requant,
    },
}

/// A convolution (as a matrix over windows, see [`crate::conv1d`]) and its GELU.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvStage {
    /// `[3 * channels, d]`, tap outermost; to the GELU's argument.
    pub matrix: Linear,
    /// Frames per output frame.
    pub stride: usize,
    /// The GELU.
    pub gelu: Gelu,
}

/// A GELU.
#[derive(Clone, Debug, PartialEq)]
pub enum Gelu {
    /// 16 bits in and out, in steps of `2^-bits`: [`crate::gelu::reference`].
    Bits(u32),
    /// Bytes in and out by a table of 256 entries, the first for -128.
    Table {
        /// Entries.
        table: Vec<i8>,
        /// Value of one step of the argument.
        in_scale: f64,
        /// Value of one step of the result.
        out_scale: f64,
    },
}

/// A whole encoder in integers.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantModel {
    /// Sizes.
    pub config: ModelConfig,
    /// The scheme.
    pub scheme: Scheme,
    /// Types of its tensors.
    pub recipe: Recipe,
    /// Value of one step of the mel input.
    pub mel_scale: f64,
    /// First convolution, over the mel frames.
    pub conv1: ConvStage,
    /// Second convolution.
    pub conv2: Option<ConvStage>,
    /// Positional embedding `[positions, d]` in units of 2^-14, or 2^-7 where the stream has 8 bits.
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

impl Gelu {
    /// Value of one step of the argument.
    pub fn in_scale(&self) -> f64 {
        match self {
            Gelu::Bits(bits) => (-f64::from(*bits)).exp2(),
            Gelu::Table { in_scale, .. } => *in_scale,
        }
    }

    /// Value of one step of the result.
    pub fn out_scale(&self) -> f64 {
        match self {
            Gelu::Bits(bits) => (-f64::from(*bits)).exp2(),
            Gelu::Table { out_scale, .. } => *out_scale,
        }
    }
}

impl Finish {
    /// What the column block of a product of integers holds: bias, multipliers with their shifts, and the rows' shift (0
    /// without).
    ///
    /// # Panics
    /// Of bf16.
    pub fn columns(&self) -> (Vec<i32>, &Requant, u32) {
        match self {
            Finish::Static { bias, requant } => (bias.to_vec(), requant, 0),
            Finish::Rows(rows) => (rows.bias.clone(), &rows.columns, rows.row_shift),
            Finish::Float { .. } => panic!("sums of bf16 have no multipliers"),
        }
    }
}
