//! The designs of an encoder: one for each kind of operation, shared by all layers.

use super::config::ModelConfig;
use super::scheme::{Number, Recipe};
use crate::designs::gemm::{CHUNK, Gemm, Operand};
use crate::designs::rows::{Header, RowOp};
use crate::designs::transpose::{HEAD_ROWS, HeadTranspose};
use crate::matmul::Left;
use crate::requantise::ROW_BLOCK;
use crate::{conv1d, layernorm, residual_add, softmax};
use kiln_dsl::array::Design;
use kiln_dsl::kernel::Elem;

/// Longest contiguous run of a strided shim copy: 1023 words of 4 bytes, in i16.
const RUN_I16: u32 = 2046;

/// A matrix product with its design and the columns one core takes.
#[derive(Clone, Debug)]
pub struct Product {
    /// What it computes.
    pub gemm: Gemm,
    /// Its design.
    pub design: Design,
    /// Columns of B in one object: the column block is laid out for them.
    pub tile_columns: u32,
}

/// A row-wise operation with its design.
#[derive(Clone, Debug)]
pub struct Rows {
    /// What it computes.
    pub op: RowOp,
    /// Its design.
    pub design: Design,
}

/// Every design of one encoder, and the sizes of its buffers in host memory.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Sizes.
    pub config: ModelConfig,
    /// Rows of every activation buffer.
    pub rows: u32,
    /// Keys, padded to what the array takes.
    pub keys: u32,
    /// Rows of one head's scores.
    pub score_rows: u32,
    /// First convolution and GELU.
    pub conv1: Product,
    /// Second convolution and GELU.
    pub conv2: Option<Product>,
    /// LayerNorm to i8.
    pub norm: Rows,
    /// Query, key and value projections.
    pub project: Product,
    /// Keys, transposed head by head.
    pub transpose: (HeadTranspose, Design),
    /// Scores of all heads.
    pub scores: Product,
    /// Softmax of all heads.
    pub softmax: Rows,
    /// Probabilities times values of all heads.
    pub context: Product,
    /// Output projection of the attention.
    pub out: Product,
    /// Residual addition, of positions too.
    pub add: Rows,
    /// First feed-forward matrix and GELU.
    pub fc1: Product,
    /// Second feed-forward matrix.
    pub fc2: Product,
    /// Final LayerNorm, to i16.
    pub norm_post: Rows,
}

/// An encoder that the designs do not cover.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Heads of another size.
    #[error(
        "model {model}: {d} dimensions in {heads} heads\n  help: the attention designs take heads of 32 or 64 dimensions"
    )]
    Heads {
        /// Model.
        model: String,
        /// Dimensions.
        d: usize,
        /// Heads.
        heads: usize,
    },
    /// A size that is no multiple of what the kernels take.
    #[error("model {model}: {what} is {got}, expected a multiple of {multiple} up to {limit}")]
    Size {
        /// Model.
        model: String,
        /// Which size.
        what: &'static str,
        /// What it is.
        got: usize,
        /// What it should divide by.
        multiple: usize,
        /// The most.
        limit: usize,
    },
    /// Types that no design computes.
    #[error(
        "no designs for tensors of these types: {recipe:?}\n  help: the array runs the schemes w8a8 and w8a8-static"
    )]
    Recipe {
        /// The types.
        recipe: Box<Recipe>,
    },
    /// A product of which no tile fits the core.
    #[error("design {design}: no tile of its product fits {l1_bytes} B of L1")]
    NoTile {
        /// Design.
        design: String,
        /// Memory of a core.
        l1_bytes: u32,
    },
}

fn product(gemm: Gemm, l1_bytes: u32) -> Result<Product, PlanError> {
    let tile =
        gemm.core_tile(l1_bytes).ok_or_else(|| PlanError::NoTile { design: gemm.name.clone(), l1_bytes })?;
    Ok(Product { design: gemm.design(l1_bytes), tile_columns: tile.n, gemm })
}

fn rows(op: RowOp) -> Rows {
    Rows { design: op.design(), op }
}

impl Plan {
    /// The designs of `config` in the types of `recipe`, for cores with `l1_bytes` of memory.
    ///
    /// # Errors
    /// When a size of the model or a type is not one the designs take.
    pub fn new(config: &ModelConfig, recipe: &Recipe, l1_bytes: u32) -> Result<Plan, PlanError> {
        check(config)?;
        let context_elem = context_elem(recipe)?;
        let [d, ffn, positions, heads, mels] =
            [config.d, config.ffn, config.positions, config.heads, config.mels].map(|v| v as u32);
        let head_dim = d / heads;
        let transpose = |input_len| HeadTranspose {
            name: "transpose_keys".into(),
            heads,
            head_dim,
            keys: positions,
            input_len,
        };
        let keys = transpose(0).padded_keys();
        // Values lie above their column block; every other activation fits the same buffer.
        let activation_rows = keys + CHUNK;
        let (rows_u64, d_u64) = (u64::from(activation_rows), u64::from(d));
        let activation = |width: u32| Operand::dense(rows_u64, width.into());
        let weights = |k: u32, n: u32| Operand::dense((k + CHUNK).into(), n.into());
        let stream = |half: u64| Operand {
            len: 2 * rows_u64 * d_u64,
            row_stride: d_u64,
            offsets: vec![half * rows_u64 * d_u64],
        };
        // What follows a LayerNorm: its rows may go on for a row block.
        let row_scales = recipe.norm == Number::I8Rows;
        let normalised_width = d + if row_scales { ROW_BLOCK as u32 } else { 0 };
        let normalised = |p: Gemm| {
            let a = Operand { row_stride: normalised_width.into(), ..activation(normalised_width) };
            product(Gemm { row_scales, a, ..p }, l1_bytes)
        };
        let gemm = |name: &str, left, out, gelu, [m, k, n]: [u32; 3], [a, b, c]: [Operand; 3]| {
            product(
                Gemm { name: name.into(), left, out, gelu, row_scales: false, m, k, n, a, b, c },
                l1_bytes,
            )
        };

        let window = |channels: u32| (conv1d::TAPS as u32 * channels).next_multiple_of(CHUNK);
        let windows = |frames: u32, channels: u32, stride: u32| {
            // The last row of the last block reads a whole row of windows.
            let frames = frames.next_multiple_of(256).max(frames);
            Operand {
                len: u64::from(frames) * u64::from(stride * channels) + u64::from(window(channels)),
                row_stride: u64::from(stride * channels),
                offsets: vec![0],
            }
        };
        let frames = config.frames() as u32;
        let two_convs = frames != positions;
        let (conv1_c, conv1_rows) = if two_convs {
            let mut c = windows(positions, d, 2);
            c.row_stride = d_u64;
            // The first frame of padding.
            c.offsets = vec![d_u64];
            (c, frames)
        } else {
            (stream(0), positions)
        };
        let conv1_shape = [conv1_rows, window(mels), d];
        let conv1_io = [windows(conv1_rows, mels, 1), weights(window(mels), d), conv1_c];
        let conv1 = gemm("conv1_gelu", Left::I16, Elem::I16, true, conv1_shape, conv1_io)?;
        let conv2_io = || [windows(positions, d, 2), weights(window(d), d), stream(0)];
        let conv2 = two_convs
            .then(|| gemm("conv2_gelu", Left::I16, Elem::I16, true, [positions, window(d), d], conv2_io()));

        let by_head = |operand: Operand, distance: u64| Operand {
            offsets: (0..u64::from(heads)).map(|h| h * distance).collect(),
            ..operand
        };
        let transposed = transpose(rows_u64 * d_u64);
        let key_len = transposed.output_len();
        // A head narrower than a chunk of K meets rows of zeros below its own.
        let key_operand = Operand { len: key_len, row_stride: keys.into(), offsets: vec![0] };
        let key_operand = by_head(key_operand, u64::from(HEAD_ROWS * keys));
        // Heads of scores follow each other without a gap where a block of rows is not longer.
        let score_rows = positions.max(256.min(positions.next_multiple_of(64)));
        let score_distance = u64::from(score_rows) * u64::from(keys);
        let score_len = u64::from(heads) * score_distance;
        let score_operand =
            || by_head(Operand { len: score_len, row_stride: keys.into(), offsets: vec![0] }, score_distance);
        let head_columns = || by_head(activation(d), head_dim.into());
        let scores_io = [head_columns(), key_operand, score_operand()];
        let scores = gemm("scores", Left::I8, Elem::I16, false, [positions, CHUNK, keys], scores_io)?;
        let context_io = [score_operand(), head_columns(), head_columns()];
        let context =
            gemm("context", Left::I16, context_elem, false, [positions, keys, head_dim], context_io)?;

        let norm = |name: &str, out, rows_too: bool| {
            let (kernel, width) = if rows_too {
                (layernorm::layernorm_rows(4, d), normalised_width)
            } else {
                (layernorm::layernorm(4, d, out), d)
            };
            let header = Header {
                bytes: (6 * d + 32).next_multiple_of(32),
                views: vec![(0, Elem::I16, d), (2 * d, Elem::I32, d), (6 * d, Elem::I32, 8)],
            };
            rows(RowOp {
                name: name.into(),
                doc: format!(
                    "LayerNorm of rows of {d}, to {out}{}.",
                    if rows_too { " with multipliers" } else { "" }
                ),
                kernel,
                rows_per_call: 4,
                input: (Elem::I16, d),
                output: (out, width),
                inputs: 1,
                input_distance: 0,
                rows: positions,
                input_len: 2 * rows_u64 * d_u64,
                output_len: rows_u64 * u64::from(width),
                output_offset: 0,
                header: Some(header),
                constants: vec![],
            })
        };
        let add_rows = [4, 2, 1].into_iter().find(|r| r * d <= RUN_I16).unwrap_or(1);
        let add = rows(RowOp {
            name: "residual_add".into(),
            doc: format!("Sum of two i16 tensors of different scales, rows of {d}."),
            kernel: residual_add::residual_add(add_rows * d),
            rows_per_call: add_rows,
            input: (Elem::I16, d),
            output: (Elem::I16, d),
            inputs: 2,
            input_distance: rows_u64 * d_u64,
            rows: positions,
            input_len: 2 * rows_u64 * d_u64,
            output_len: 2 * rows_u64 * d_u64,
            output_offset: 0,
            header: Some(Header { bytes: 32, views: vec![(0, Elem::I32, 8)] }),
            constants: vec![],
        });
        let softmax = rows(RowOp {
            name: "softmax".into(),
            doc: format!("Softmax of rows of {positions} keys, padded to {keys}."),
            kernel: softmax::softmax(2, keys),
            rows_per_call: 2,
            input: (Elem::I16, keys),
            output: (Elem::I16, keys),
            inputs: 1,
            input_distance: 0,
            rows: heads * score_rows,
            input_len: score_len,
            output_len: score_len,
            output_offset: 0,
            header: None,
            constants: vec![positions as i32],
        });
        let square = [positions, d, d];
        let project_io = [activation(d), weights(d, d), activation(d)];
        let out_io = [activation(d), weights(d, d), stream(1)];
        let fc1_io = [activation(d), weights(d, ffn), activation(ffn)];
        let fc2_io = [activation(ffn), weights(ffn, d), stream(1)];
        Ok(Plan {
            config: config.clone(),
            rows: activation_rows,
            keys,
            score_rows,
            conv1,
            conv2: conv2.transpose()?,
            norm: norm("layernorm", Elem::I8, row_scales),
            project: normalised(gemm("project", Left::I8, Elem::I8, false, square, project_io)?.gemm)?,
            transpose: (transposed.clone(), transposed.design()),
            scores,
            softmax,
            context,
            out: gemm(
                "attention_out",
                if context_elem == Elem::I8 { Left::I8 } else { Left::I16 },
                Elem::I16,
                false,
                square,
                out_io,
            )?,
            add,
            fc1: normalised(gemm("fc1_gelu", Left::I8, Elem::I16, true, [positions, d, ffn], fc1_io)?.gemm)?,
            fc2: gemm("fc2", Left::I16, Elem::I16, false, [positions, ffn, d], fc2_io)?,
            norm_post: norm("layernorm_post", Elem::I16, false),
        })
    }

    /// Every matrix product, in the order of first use.
    pub fn products(&self) -> Vec<&Product> {
        let mut all = vec![&self.conv1];
        all.extend(&self.conv2);
        all.extend([&self.project, &self.scores, &self.context, &self.out, &self.fc1, &self.fc2]);
        all
    }

    /// Every row-wise operation, in the order of first use.
    pub fn row_operations(&self) -> Vec<&Rows> {
        vec![&self.add, &self.norm, &self.softmax, &self.norm_post]
    }

    /// Every design, in the order of first use.
    pub fn designs(&self) -> Vec<&Design> {
        let mut all = vec![&self.conv1.design];
        all.extend(self.conv2.as_ref().map(|c| &c.design));
        all.extend([
            &self.add.design,
            &self.norm.design,
            &self.project.design,
            &self.transpose.1,
            &self.scores.design,
            &self.softmax.design,
            &self.context.design,
            &self.out.design,
            &self.fc1.design,
            &self.fc2.design,
            &self.norm_post.design,
        ]);
        all
    }

    /// Dispatches of one encoding.
    pub fn dispatches(&self) -> usize {
        // The convolutions, positions and final norm; then each layer's fourteen.
        3 + usize::from(self.conv2.is_some()) + 14 * self.config.layers
    }
}

/// The type of ctx, if the rest is what the designs take.
fn context_elem(recipe: &Recipe) -> Result<Elem, PlanError> {
    let covered = Recipe { norm: recipe.norm, context: recipe.context, ..Recipe::W8A8 };
    match (recipe.norm, recipe.context) {
        (Number::I8 | Number::I8Rows, Number::I8) if *recipe == covered => Ok(Elem::I8),
        (Number::I8 | Number::I8Rows, Number::I16) if *recipe == covered => Ok(Elem::I16),
        _ => Err(PlanError::Recipe { recipe: Box::new(*recipe) }),
    }
}

fn check(config: &ModelConfig) -> Result<(), PlanError> {
    let size = |what, got: usize, multiple: usize, limit| {
        let fits = got > 0 && got.is_multiple_of(multiple) && got <= limit;
        let model = config.name.clone();
        if fits { Ok(()) } else { Err(PlanError::Size { model, what, got, multiple, limit }) }
    };
    if config.heads == 0
        || ![32, 64].contains(&(config.d / config.heads))
        || !config.d.is_multiple_of(config.heads)
    {
        return Err(PlanError::Heads { model: config.name.clone(), d: config.d, heads: config.heads });
    }
    size("d", config.d, 64, 1024)?;
    size("ffn", config.ffn, 64, 4096)?;
    size("mels", config.mels, 4, 128)?;
    size("positions", config.positions, 1, 4096)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whisper::scheme::Scheme;
    use kiln_dsl::array::verify;
    use kiln_dsl::device::Device;

    #[test]
    fn every_named_model_has_designs_for_npu1() {
        let device = Device::npu1();
        for name in ModelConfig::NAMES {
            let config = ModelConfig::named(name).expect("listed");
            for scheme in [Scheme::W8A8, Scheme::W8A8Static] {
                let recipe = scheme.recipe().expect("a scheme of integers");
                let plan = Plan::new(&config, &recipe, device.core.data_memory_bytes())
                    .unwrap_or_else(|e| panic!("{name}: {e}"));
                for design in plan.designs() {
                    verify(design.clone(), device).unwrap_or_else(|e| panic!("{name}, {scheme}: {e}"));
                }
            }
        }
    }
}
