//! The designs of an encoder: one for each kind of operation, shared by all layers.

use super::config::ModelConfig;
use super::scheme::{Number, Recipe, WeightScales};
use crate::conv1d;
use crate::designs::attention::{AttentionDesign, Softmax};
use crate::designs::choose::TooBig;
use crate::designs::gemm::{CHUNK, Gemm, Integers, Numbers, Operand};
use crate::designs::rows::{RowOp, RowProgram};
use crate::layernorm::MAX_COLUMNS;
use crate::layout::Blocked;
use crate::matmul::Left;
use kiln_dsl::array::Design;
use kiln_dsl::device::Device;
use kiln_dsl::kernel::Elem;

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

/// Every design of one encoder, and the sizes of its buffers in host memory.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Sizes.
    pub config: ModelConfig,
    /// Rows of every activation buffer.
    pub rows: u32,
    /// First convolution and GELU.
    pub conv1: Product,
    /// Second convolution and GELU.
    pub conv2: Option<Product>,
    /// The program of additions and norms.
    pub row_program: RowProgram,
    /// LayerNorm to what matrices read.
    pub norm: Design,
    /// Query, key and value projections, side by side.
    pub project: Product,
    /// Attention of all heads.
    pub attention: (AttentionDesign, Design),
    /// Output projection of the attention.
    pub out: Product,
    /// Residual addition, of positions too.
    pub add: Design,
    /// First feed-forward matrix and GELU.
    pub fc1: Product,
    /// Second feed-forward matrix.
    pub fc2: Product,
    /// Final LayerNorm, to i16.
    pub norm_post: Design,
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
        "no designs for tensors of these types: {recipe:?}\n  help: the array runs the types of the schemes w8a8, w8a8-static, bf16 and design-doc"
    )]
    Recipe {
        /// The types.
        recipe: Box<Recipe>,
    },
    /// A design of which no tile fits the device.
    #[error(transparent)]
    TooBig(#[from] TooBig),
}

fn product(gemm: Gemm, device: &Device) -> Result<Product, PlanError> {
    let (tile, design) = gemm.fitted(device)?;
    Ok(Product { design, tile_columns: tile.n, gemm })
}

impl Plan {
    /// The designs of `config` in the types of `recipe`, with the largest tiles that a device has room for.
    ///
    /// # Errors
    /// When a size of the model or a type is not one the designs take, or no tile of a design fits.
    pub fn new(config: &ModelConfig, recipe: &Recipe, device: &Device) -> Result<Plan, PlanError> {
        check(config)?;
        let context_elem = context_elem(recipe)?;
        let [d, ffn, positions, heads, mels] =
            [config.d, config.ffn, config.positions, config.heads, config.mels].map(|v| v as u32);
        let head_dim = d / heads;
        let attention = AttentionDesign {
            name: "attention".into(),
            heads,
            head_dim,
            positions,
            input: Blocked::new(positions, 3 * d),
            softmax: if recipe.scores == Number::I8 { Softmax::Normalised } else { Softmax::Running },
            out: context_elem,
            output: Blocked::new(positions, d),
        };
        let blocks = attention.blocks(device)?;
        // Whole blocks of rows, of products and of attention.
        let activation_rows = attention.rows_needed(blocks.rows).max(positions.next_multiple_of(64));
        let matrix = |width: u32| Blocked::new(activation_rows, width);
        let activation = |width: u32| Operand::whole(matrix(width));
        let stream = |half: u64| {
            let layout = matrix(d);
            Operand { layout, len: 2 * layout.len(), offsets: vec![half * layout.len()] }
        };
        let row_scales = recipe.norm == Number::I8Rows;
        let row_program = RowProgram::fitted([positions, d], recipe.stream, recipe.norm, device)?;
        let normalised = |p: Gemm| {
            let a = Operand::whole(row_program.norm_layout(activation_rows));
            let numbers = match p.numbers {
                Numbers::Integers(types) => Numbers::Integers(Integers { row_scales, ..types }),
                Numbers::Bf16 => Numbers::Bf16,
            };
            product(Gemm { numbers, a, ..p }, device)
        };
        // What takes 16 bits beside bytes, if anything does; if not, one program with a GELU is every product.
        let bytes = recipe.stream == Number::I8;
        let (wide, wide_elem) = if bytes { (Left::I8, Elem::I8) } else { (Left::I16, Elem::I16) };
        let gemm = |name: &str, left, out, gelu, [m, k, n]: [u32; 3], [a, c]: [Operand; 2]| {
            let numbers = if recipe.weights == WeightScales::None {
                Numbers::Bf16
            } else {
                Numbers::Integers(Integers { left, out, gelu: gelu || bytes, row_scales: false })
            };
            product(Gemm { name: name.into(), numbers, m, k, n, a, c }, device)
        };

        let window = |channels: u32| (conv1d::TAPS as u32 * channels).next_multiple_of(CHUNK);
        let conv = |name: &str, k, [a, c]: [Operand; 2]| {
            gemm(name, wide, wide_elem, true, [positions, k, d], [a, c])
        };
        let from_mel = matrix(window(mels));
        let (conv1, conv2) = if config.frames() == config.positions {
            (conv("conv1_gelu", from_mel.columns, [Operand::whole(from_mel), stream(0)])?, None)
        } else {
            // A window of the second convolution is three frames of the first: rows of `positions`, in which three batches
            // write the frames before, at and after twice the position side by side.
            let a = Operand {
                layout: from_mel,
                len: 3 * from_mel.len(),
                offsets: (0..3).map(|batch| batch * from_mel.len()).collect(),
            };
            let frames = matrix(window(d));
            let c = Operand {
                offsets: (0..3).map(|batch| frames.position(0, batch * d)).collect(),
                ..Operand::whole(frames)
            };
            let conv2 = conv("conv2_gelu", frames.columns, [Operand::whole(frames), stream(0)])?;
            (conv("conv1_gelu", from_mel.columns, [a, c])?, Some(conv2))
        };

        let attention = attention.with_rows(activation_rows);
        let rows = |op: RowOp| row_program.design(op.name(), op, activation_rows);
        let square = [positions, d, d];
        let project_io = [activation(d), activation(3 * d)];
        let out_io = [activation(d), stream(1)];
        let fc1_io = [activation(d), activation(ffn)];
        let fc2_io = [activation(ffn), stream(1)];
        Ok(Plan {
            config: config.clone(),
            rows: activation_rows,
            conv1,
            conv2,
            norm: rows(RowOp::Norm),
            project: normalised(
                gemm("project", Left::I8, Elem::I8, false, [positions, d, 3 * d], project_io)?.gemm,
            )?,
            attention: (attention.clone(), attention.design(blocks)),
            out: gemm(
                "attention_out",
                if context_elem == Elem::I8 { Left::I8 } else { Left::I16 },
                wide_elem,
                // With the GELU that it does not use, it is the program of the convolutions.
                context_elem == Elem::I16,
                square,
                out_io,
            )?,
            add: rows(RowOp::Add),
            fc1: normalised(gemm("fc1_gelu", Left::I8, wide_elem, true, [positions, d, ffn], fc1_io)?.gemm)?,
            fc2: gemm("fc2", wide, wide_elem, true, [positions, ffn, d], fc2_io)?,
            norm_post: rows(RowOp::NormPost),
            row_program,
        })
    }

    /// Every matrix product, in the order of first use.
    pub fn products(&self) -> Vec<&Product> {
        let mut all = vec![&self.conv1];
        all.extend(&self.conv2);
        all.extend([&self.project, &self.out, &self.fc1, &self.fc2]);
        all
    }

    /// Every design, in the order of first use.
    pub fn designs(&self) -> Vec<&Design> {
        let mut all = vec![&self.conv1.design];
        all.extend(self.conv2.as_ref().map(|c| &c.design));
        all.extend([
            &self.add,
            &self.norm,
            &self.project.design,
            &self.attention.1,
            &self.out.design,
            &self.fc1.design,
            &self.fc2.design,
            &self.norm_post,
        ]);
        all
    }

    /// Name of the program that a design runs: of the first design with the same one.
    pub fn program<'a>(&'a self, design: &'a Design) -> &'a str {
        self.designs().into_iter().find(|d| d.same_program(design)).map_or(&design.name, |d| &d.name)
    }

    /// Dispatches of one encoding.
    pub fn dispatches(&self) -> usize {
        // The convolutions, positions and final norm; then each layer's nine.
        3 + usize::from(self.conv2.is_some()) + 9 * self.config.layers
    }
}

/// The type of ctx, if the rest is what the designs take.
fn context_elem(recipe: &Recipe) -> Result<Elem, PlanError> {
    if *recipe == Recipe::BF16 {
        return Ok(Elem::Bf16);
    }
    if *recipe == Recipe::DESIGN_DOC {
        return Ok(Elem::I8);
    }
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
    size("d", config.d, 64, MAX_COLUMNS as usize)?;
    size("ffn", config.ffn, 64, 8192)?;
    size("mels", config.mels, 4, 128)?;
    size("positions", config.positions, 1, 4096)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whisper::scheme::Scheme;
    use kiln_dsl::array::verify;

    #[test]
    fn five_programs_are_a_tiny_encoder() {
        let config = ModelConfig::named("tiny").expect("listed");
        let recipe = Scheme::W8A8.recipe();
        let plan = Plan::new(&config, &recipe, Device::npu1()).unwrap();
        let mut programs: Vec<&str> = plan.designs().into_iter().map(|d| plan.program(d)).collect();
        assert_eq!(programs.len(), 10);
        programs.sort_unstable();
        programs.dedup();
        assert_eq!(programs, ["attention", "conv1_gelu", "fc1_gelu", "project", "residual_add"]);
    }

    #[test]
    fn three_programs_are_a_tiny_encoder_in_bf16() {
        let plan = Plan::new(&ModelConfig::tiny(), &Scheme::Bf16.recipe(), Device::npu1()).unwrap();
        let mut programs: Vec<&str> = plan.designs().into_iter().map(|d| plan.program(d)).collect();
        programs.sort_unstable();
        programs.dedup();
        assert_eq!(programs, ["attention", "conv1_gelu", "residual_add"]);
    }

    /// `fc1_gelu` has wider tiles than products of 384 columns.
    #[test]
    fn four_programs_are_a_tiny_encoder_in_plain_bytes() {
        let plan = Plan::new(&ModelConfig::tiny(), &Scheme::DesignDoc.recipe(), Device::npu1()).unwrap();
        let mut programs: Vec<&str> = plan.designs().into_iter().map(|d| plan.program(d)).collect();
        programs.sort_unstable();
        programs.dedup();
        assert_eq!(programs, ["attention", "conv1_gelu", "fc1_gelu", "residual_add"]);
    }

    /// What one operation stores is the layout that the next one loads, and nothing on the way orders a product's operands.
    #[test]
    fn every_operation_loads_what_the_one_before_stored() {
        for (model, scheme) in [
            ("tiny", Scheme::W8A8),
            ("tiny", Scheme::W8A8Static),
            ("tiny", Scheme::Bf16),
            ("large-v3", Scheme::W8A8),
            ("design-doc", Scheme::W8A8),
            ("design-doc", Scheme::DesignDoc),
        ] {
            let config = ModelConfig { layers: 1, ..ModelConfig::named(model).expect("listed") };
            let recipe = scheme.recipe();
            let plan = Plan::new(&config, &recipe, Device::npu1()).unwrap();
            let stream = plan.row_program.layout(plan.rows);
            let normalised = plan.row_program.norm_layout(plan.rows);
            let attention = &plan.attention.0;
            let embedded = plan.conv2.as_ref().unwrap_or(&plan.conv1);
            let mut joints = vec![
                (embedded.gemm.c.layout, stream),
                (normalised, plan.project.gemm.a.layout),
                (plan.project.gemm.c.layout, attention.input),
                (attention.output, plan.out.gemm.a.layout),
                (plan.out.gemm.c.layout, stream),
                (normalised, plan.fc1.gemm.a.layout),
                (plan.fc1.gemm.c.layout, plan.fc2.gemm.a.layout),
                (plan.fc2.gemm.c.layout, stream),
            ];
            joints.extend(plan.conv2.as_ref().map(|conv2| (plan.conv1.gemm.c.layout, conv2.gemm.a.layout)));
            for (stored, loaded) in joints {
                assert_eq!(stored, loaded, "{model}, {scheme}");
            }
            let types =
                |of: &Product| of.design.sequence.buffers.iter().map(|b| b.ty.elem).collect::<Vec<_>>();
            let bits = |elem: Elem| elem.bytes();
            assert_eq!(bits(types(&plan.project)[2]), bits(attention.elem()), "{model}, {scheme}");
            assert_eq!(bits(types(&plan.fc1)[2]), bits(types(&plan.fc2)[0]), "{model}, {scheme}");
            assert_eq!(bits(types(&plan.out)[0]), bits(attention.out), "{model}, {scheme}");
            for design in plan.products().into_iter().map(|p| &p.design).chain([&plan.attention.1]) {
                for fifo in &design.fifos {
                    let ordered =
                        !fifo.to_stream.is_empty() || fifo.from_stream.iter().any(|d| !d.is_empty());
                    assert!(!ordered, "{model}, {scheme}: {} of {}", fifo.name, design.name);
                }
            }
        }
    }

    #[test]
    fn every_named_model_has_designs_for_every_device() {
        let devices = Device::BUILT_IN.map(|name| Device::named(name).expect("built in"));
        let mut models: Vec<ModelConfig> = ModelConfig::NAMES
            .map(|name| ModelConfig { layers: 1, ..ModelConfig::named(name).expect("listed") })
            .into();
        // Variants for English, and turbo, have the sizes of others.
        models.dedup_by_key(|m| (m.mels, m.d, m.positions));
        for (device, config) in devices.iter().flat_map(|d| models.iter().map(move |m| (d, m))) {
            for scheme in Scheme::ALL {
                let recipe = scheme.recipe();
                let place = format!("{} on {}, {scheme}", config.name, device.name);
                let plan = Plan::new(config, &recipe, device);
                // Scores of four queries and 3,008 keys are one buffer of 12,032 B, and a bank has 8 KiB.
                let too_long = scheme == Scheme::DesignDoc
                    && 4 * config.positions > device.core.logical_bank_bytes() as usize;
                if too_long {
                    let error = plan.expect_err(&place).to_string();
                    assert!(error.contains("attention") && error.contains("no tile of it fits"), "{error}");
                    continue;
                }
                let plan = plan.unwrap_or_else(|e| panic!("{place}: {e}"));
                for design in plan.designs() {
                    verify(design.clone(), device).unwrap_or_else(|e| panic!("{place}: {e}"));
                }
            }
        }
    }

    #[test]
    fn a_device_that_is_too_small_is_told_by_its_fit_report() {
        let mut device = Device::design_document().clone();
        device.core.data_memory_bytes.value = 8192;
        device.core.logical_bank_bytes.value = 2048;
        let recipe = Scheme::default().recipe();
        let error = Plan::new(&ModelConfig::tiny(), &recipe, &device).expect_err("no room").to_string();
        assert!(error.contains("no tile of it fits") && error.contains("data memory"), "{error}");
    }
}
