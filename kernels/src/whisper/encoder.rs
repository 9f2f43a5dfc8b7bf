//! The encoder on the array: every tensor operation a dispatch of one of the [`Plan`]'s designs.
//!
//! The host quantises the input, lays out weights and parameters, and dequantises the output; all
//! between happens on the cores of whatever runs the designs (see [`ArrayRunner`]). Activations stay
//! in buffers of host memory between dispatches.

use super::integer::{Activation, Observer, Tensor};
use super::plan::{Plan, PlanError, Product};
use super::quant::{ConvStage, Finish, Gelu, Heads, Linear, QuantLayer, QuantModel, Weights};
use super::scheme::Number;
use crate::attention_normalised::Header;
use crate::case::bytes_of;
use crate::designs::gemm::{CHUNK, ColumnBlock, ColumnWords, SumsBlock, SumsWords};
use crate::designs::rows::RowOp;
use crate::layernorm::LayerNorm;
use crate::layout::Blocked;
use crate::residual_add::ResidualAdd;
use crate::{attention_bf16, conv1d, float_sums, softmax};
use half::bf16;
use kiln_dsl::array::{Design, Tile};
use kiln_dsl::kernel::Elem;
use ndarray::{Array2, ArrayView2, s};
use std::ops::ControlFlow;

/// What stopped a runner.
pub type RunnerError = Box<dyn std::error::Error + Send + Sync>;

/// Runs designs: the simulated array, or an NPU.
pub trait ArrayRunner {
    /// Runs a design's sequence once. `host` has the bytes of its buffers, in order; results are
    /// written there.
    ///
    /// # Errors
    /// When the design is refused, or the run fails.
    fn run(&mut self, design: &Design, host: &mut [Vec<u8>]) -> Result<Dispatch, RunnerError>;
}

/// What one core did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreWork {
    /// Which.
    pub tile: Tile,
    /// Cycles in kernels.
    pub busy_cycles: u64,
    /// Multiply-accumulates.
    pub macs: u64,
}

/// What one dispatch took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// Cycles from the first command of the sequence to the end of its last.
    pub cycles: u64,
    /// Part of them in which the controller worked on commands.
    pub controller_cycles: u64,
    /// Kernel calls.
    pub calls: u64,
    /// Bytes moved between the array and host memory.
    pub ddr_bytes: u64,
    /// Bytes in use in the fullest compute tile.
    pub l1_peak_bytes: u64,
    /// Bytes in use in the fullest mem tile.
    pub l2_peak_bytes: u64,
    /// Cores.
    pub cores: Vec<CoreWork>,
}

/// All dispatches of one design.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpReport {
    /// Name of the design.
    pub name: String,
    /// Cores that ran it.
    pub cores: usize,
    /// Dispatches.
    pub dispatches: u64,
    /// Kernel calls.
    pub calls: u64,
    /// Cycles.
    pub cycles: u64,
}

/// What an encoding took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodeReport {
    /// Cycles of all dispatches, one after the other.
    pub cycles: u64,
    /// Part of them in which the controller worked on commands.
    pub controller_cycles: u64,
    /// Bytes moved between the array and host memory.
    pub ddr_bytes: u64,
    /// Bytes in use in the fullest compute tile.
    pub l1_peak_bytes: u64,
    /// Bytes in use in the fullest mem tile.
    pub l2_peak_bytes: u64,
    /// Dispatches.
    pub dispatches: u64,
    /// Times a dispatch's design was another than the one before: each reconfigures the array.
    pub design_switches: u64,
    /// By design, in order of first use.
    pub ops: Vec<OpReport>,
    /// By core, in the order of the designs.
    pub cores: Vec<CoreWork>,
    last: Option<String>,
}

impl EncodeReport {
    /// What another encoding took, after this one.
    pub fn append(&mut self, next: EncodeReport) {
        self.cycles += next.cycles;
        self.controller_cycles += next.controller_cycles;
        self.ddr_bytes += next.ddr_bytes;
        self.l1_peak_bytes = self.l1_peak_bytes.max(next.l1_peak_bytes);
        self.l2_peak_bytes = self.l2_peak_bytes.max(next.l2_peak_bytes);
        self.dispatches += next.dispatches;
        self.design_switches += next.design_switches;
        for op in next.ops {
            match self.ops.iter_mut().find(|known| known.name == op.name) {
                Some(known) => {
                    known.dispatches += op.dispatches;
                    known.calls += op.calls;
                    known.cycles += op.cycles;
                }
                None => self.ops.push(op),
            }
        }
        self.work(next.cores);
        self.last = next.last;
    }

    /// What one more dispatch took, of a design with this program.
    pub fn add(&mut self, design: &str, program: &str, dispatch: Dispatch) {
        self.cycles += dispatch.cycles;
        self.controller_cycles += dispatch.controller_cycles;
        self.ddr_bytes += dispatch.ddr_bytes;
        self.l1_peak_bytes = self.l1_peak_bytes.max(dispatch.l1_peak_bytes);
        self.l2_peak_bytes = self.l2_peak_bytes.max(dispatch.l2_peak_bytes);
        self.dispatches += 1;
        if self.last.as_deref() != Some(program) {
            self.design_switches += 1;
            self.last = Some(program.to_string());
        }
        let at = self.ops.iter().position(|op| op.name == design).unwrap_or_else(|| {
            let cores = dispatch.cores.len();
            self.ops.push(OpReport { name: design.to_string(), cores, dispatches: 0, calls: 0, cycles: 0 });
            self.ops.len() - 1
        });
        self.ops[at].dispatches += 1;
        self.ops[at].calls += dispatch.calls;
        self.ops[at].cycles += dispatch.cycles;
        self.work(dispatch.cores);
    }

    fn work(&mut self, cores: Vec<CoreWork>) {
        for work in cores {
            match self.cores.iter_mut().find(|c| c.tile == work.tile) {
                Some(core) => {
                    core.busy_cycles += work.busy_cycles;
                    core.macs += work.macs;
                }
                None => self.cores.push(work),
            }
        }
    }
}

/// The result of an encoding.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Features `[positions, d]`.
    pub features: Array2<f32>,
    /// The same as the array computed them, in units of `QuantModel::final_scale`.
    pub integers: Array2<i16>,
    /// What it took.
    pub report: EncodeReport,
}

/// Why an encoding stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The model does not fit the designs.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A dispatch failed.
    #[error("dispatch {dispatch} of {dispatches} (design {design}): {cause}")]
    Dispatch {
        /// Number of the dispatch, from 1.
        dispatch: usize,
        /// Of so many.
        dispatches: usize,
        /// Design.
        design: String,
        /// Why.
        cause: RunnerError,
    },
    /// The caller asked to stop.
    #[error("interrupted after {dispatch} of {dispatches} dispatches")]
    Interrupted {
        /// Dispatches done.
        dispatch: usize,
        /// Of so many.
        dispatches: usize,
    },
}

/// How far an encoding is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Dispatches done.
    pub done: usize,
    /// Of so many.
    pub total: usize,
    /// Design of the next one.
    pub next: &'a str,
}

/// Told before every dispatch; may stop the encoding.
pub type Watch<'a> = dyn FnMut(Progress) -> ControlFlow<()> + 'a;

/// Encodes `mel` (time-major `[frames, mels]`, of [`QuantModel::input`]) on `runner`.
/// `observe` is told every intermediate tensor that reaches host memory, by the names of
/// [`super::integer::encode`]; it may be a no-op.
///
/// # Errors
/// When the model does not fit the designs, a dispatch fails, or `watch` stops it.
///
/// # Panics
/// When `mel` is not `config.frames()` by `config.mels`.
pub fn encode(
    model: &QuantModel,
    plan: &Plan,
    mel: &Activation,
    runner: &mut dyn ArrayRunner,
    watch: &mut Watch,
    observe: &mut Observer,
) -> Result<Encoded, EncodeError> {
    assert_eq!(mel.dim(), (model.config.frames(), model.config.mels), "frames and mel bands");
    let total = plan.dispatches();
    let mut run =
        Run { model, plan, runner, watch, observe, report: EncodeReport::default(), done: 0, total };
    let x = run.embed(mel)?;
    let x = model.layers.iter().enumerate().try_fold(x, |x, (i, layer)| run.layer(x, layer, i))?;
    let features = run.normalise(RowOp::NormPost, &x, &model.ln_post)?;
    let integers = run.stream(&features, 0, "final");
    let scale = model.final_scale;
    let features = integers.mapv(|v| (f64::from(v) * scale) as f32);
    Ok(Encoded { features, integers, report: run.report })
}

struct Run<'a> {
    model: &'a QuantModel,
    plan: &'a Plan,
    runner: &'a mut dyn ArrayRunner,
    watch: &'a mut Watch<'a>,
    observe: &'a mut Observer<'a>,
    report: EncodeReport,
    done: usize,
    total: usize,
}

/// A zeroed buffer of `len` elements of `bytes` bytes.
fn zeros(len: u64, bytes: u32) -> Vec<u8> {
    vec![0; (len * u64::from(bytes)) as usize]
}

/// The first `[rows, columns]` of a matrix that begins at element `offset` of a buffer.
fn matrix<T: bytemuck::Pod>(
    bytes: &[u8],
    offset: u64,
    layout: Blocked,
    [rows, columns]: [usize; 2],
) -> Array2<T> {
    let size = size_of::<T>();
    let part = &bytes[offset as usize * size..][..layout.len() as usize * size];
    let elements: Vec<T> = part.chunks_exact(size).map(bytemuck::pod_read_unaligned).collect();
    layout.unpack_part(&elements, [0, 0], [rows as u32, columns as u32])
}

/// The same in a type.
fn activation(bytes: &[u8], offset: u64, layout: Blocked, number: Number, shape: [usize; 2]) -> Activation {
    match number {
        Number::I8 | Number::I8Rows => Activation::I8(matrix(bytes, offset, layout, shape)),
        Number::I16 => Activation::I16(matrix(bytes, offset, layout, shape)),
        Number::Bf16 => Activation::Bf16(matrix(bytes, offset, layout, shape)),
    }
}

impl Run<'_> {
    fn dispatch(&mut self, design: &Design, host: &mut [Vec<u8>]) -> Result<(), EncodeError> {
        let (dispatches, name) = (self.total, design.name.clone());
        let progress = Progress { done: self.done, total: self.total, next: &name };
        if (self.watch)(progress).is_break() {
            return Err(EncodeError::Interrupted { dispatch: self.done, dispatches });
        }
        self.done += 1;
        let dispatch = self.done;
        match self.runner.run(design, host) {
            Ok(done) => self.report.add(&name, self.plan.program(design), done),
            Err(cause) => return Err(EncodeError::Dispatch { dispatch, dispatches, design: name, cause }),
        }
        Ok(())
    }

    /// A tensor of the residual stream, from element `offset`; observed.
    fn stream(&mut self, bytes: &[u8], offset: u64, name: &str) -> Array2<i16> {
        let config = &self.model.config;
        let layout = self.plan.row_program.layout(self.plan.rows);
        let shape = [config.positions, config.d];
        let tensor = activation(bytes, offset, layout, self.model.recipe.stream, shape);
        (self.observe)(name, tensor.view());
        tensor.widened()
    }

    /// What a product or attention wrote, for all positions; observed.
    fn see(&mut self, bytes: &[u8], layout: Blocked, number: Number, name: &str) {
        let shape = [self.model.config.positions, layout.columns as usize];
        (self.observe)(name, activation(bytes, 0, layout, number, shape).view());
    }

    /// A LayerNorm's output, with its rows' multipliers if they have any.
    fn see_normalised(&mut self, bytes: &[u8], name: &str) {
        let (rows, d, norm) = (self.model.config.positions, self.model.config.d, self.model.recipe.norm);
        let layout = self.plan.row_program.norm_layout(self.plan.rows);
        if norm != Number::I8Rows {
            return (self.observe)(name, activation(bytes, 0, layout, norm, [rows, d]).view());
        }
        // Behind the elements of a row, its multiplier.
        let all = matrix::<i8>(bytes, 0, layout, [rows, d + 2]);
        let first = |row: ndarray::ArrayView1<i8>| i16::from_le_bytes([row[d] as u8, row[d + 1] as u8]);
        let multipliers: Vec<i16> = all.rows().into_iter().map(first).collect();
        (self.observe)(name, Tensor::I8Rows(all.slice(s![.., ..d]), &multipliers));
    }

    /// `c` of a product of `a` with laid-out weights.
    fn product(
        &mut self,
        p: &Product,
        a: Vec<u8>,
        b: Vec<u8>,
        c: Vec<u8>,
    ) -> Result<[Vec<u8>; 3], EncodeError> {
        let mut host = [a, b, c];
        self.dispatch(&p.design, &mut host)?;
        Ok(host)
    }

    fn embed(&mut self, mel: &Activation) -> Result<Vec<u8>, EncodeError> {
        let (plan, model) = (self.plan, self.model);
        (self.observe)("mel", mel.view());
        let x = match mel {
            Activation::Bf16(mel) => windows(plan, mel.view()),
            Activation::I16(mel) => windows(plan, mel.view()),
            Activation::I8(mel) | Activation::I8Rows(mel, _) => windows(plan, mel.view()),
        };
        let last = model.recipe.stream.elem();
        let each = last.bytes();
        let c = zeros(plan.conv1.gemm.c.len, each);
        let between = if plan.conv2.is_some() { model.recipe.conv.elem() } else { last };
        let [_, _, mut x] =
            self.product(&plan.conv1, x, conv_weights(&plan.conv1, &model.conv1, between), c)?;
        if let (Some(product), Some(stage)) = (&plan.conv2, &model.conv2) {
            let layout = product.gemm.a.layout;
            self.see_frames(&x, layout);
            // The frame before the first is padding.
            for column in 0..model.config.d as u32 {
                let at = each as usize * layout.position(0, column) as usize;
                x[at..at + each as usize].fill(0);
            }
            let c = zeros(product.gemm.c.len, each);
            [_, _, x] = self.product(product, x, conv_weights(product, stage, last), c)?;
        }
        self.stream(&x, 0, if plan.conv2.is_some() { "conv2_gelu" } else { "conv1_gelu" });
        let table = model.position_table.view();
        let layout = Blocked::new(table.nrows() as u32, table.ncols() as u32);
        let table = match Activation::narrowed(table.to_owned(), model.recipe.stream) {
            Activation::I8(table) => bytes_of(&layout.pack(table.view())),
            words => bytes_of(&layout.pack(words.widened().view())),
        };
        let half = x.len() / 2;
        x[half..half + table.len()].copy_from_slice(&table);
        self.add(x, &model.embed, "embed")
    }

    /// The frames of the first convolution, of which a row of the second one's operand has three; observed.
    fn see_frames(&mut self, bytes: &[u8], layout: Blocked) {
        fn frames<T: Copy>(rows: Array2<T>, d: usize) -> Array2<T> {
            let at = |(frame, column): (usize, usize)| rows[(frame / 2, (1 + frame % 2) * d + column)];
            Array2::from_shape_fn((2 * rows.nrows(), d), at)
        }
        let (positions, d) = (self.model.config.positions, self.model.config.d);
        let frames = match activation(bytes, 0, layout, self.model.recipe.conv, [positions, 3 * d]) {
            Activation::Bf16(rows) => Activation::Bf16(frames(rows, d)),
            Activation::I16(rows) => Activation::I16(frames(rows, d)),
            Activation::I8(rows) | Activation::I8Rows(rows, _) => Activation::I8(frames(rows, d)),
        };
        (self.observe)("conv1_gelu", frames.view());
    }

    /// The sum of both halves of `xy`, in the first half of a new buffer.
    fn add(&mut self, xy: Vec<u8>, add: &ResidualAdd, name: &str) -> Result<Vec<u8>, EncodeError> {
        let header = self.plan.row_program.add_header(add);
        let len = xy.len();
        let mut host = [header, xy, vec![0; len]];
        self.dispatch(&self.plan.add, &mut host)?;
        let [_, _, sum] = host;
        self.stream(&sum, 0, name);
        Ok(sum)
    }

    fn normalise(&mut self, op: RowOp, x: &[u8], norm: &LayerNorm) -> Result<Vec<u8>, EncodeError> {
        let plan = self.plan;
        let design = if op == RowOp::NormPost { &plan.norm_post } else { &plan.norm };
        let out = vec![0; x.len() / 2];
        let mut host = [plan.row_program.norm_header(op, norm), x.to_vec(), out];
        self.dispatch(design, &mut host)?;
        let [_, _, out] = host;
        Ok(out)
    }

    fn layer(&mut self, x: Vec<u8>, layer: &QuantLayer, i: usize) -> Result<Vec<u8>, EncodeError> {
        let plan = self.plan;
        let name = |part: &str| format!("layer{i}.{part}");
        let h = self.normalise(RowOp::Norm, &x, &layer.ln1)?;
        self.see_normalised(&h, &name("ln1"));
        let context = self.attention(h, layer, i)?;
        self.see(&context, plan.attention.0.output, self.model.recipe.context, &name("ctx"));
        let xy = self.linear_onto(&plan.out, context, &layer.out, x, &name("attn_out"))?;
        let x = self.add(xy, &layer.resid1, &name("resid1"))?;
        let h = self.normalise(RowOp::Norm, &x, &layer.ln2)?;
        self.see_normalised(&h, &name("ln2"));
        let weights = laid_out(&plan.fc1, &layer.fc1, Some((&layer.gelu, self.model.recipe.hidden.elem())));
        let c = zeros(plan.fc1.gemm.c.len, self.model.recipe.hidden.elem().bytes());
        let [_, _, hidden] = self.product(&plan.fc1, h, weights, c)?;
        self.see(&hidden, plan.fc1.gemm.c.layout, self.model.recipe.hidden, &name("gelu"));
        let xy = self.linear_onto(&plan.fc2, hidden, &layer.fc2, x, &name("fc2"))?;
        self.add(xy, &layer.resid2, &format!("layer{i}"))
    }

    /// A product whose result lies in the second half of `xy`, beside the residual stream.
    fn linear_onto(
        &mut self,
        p: &Product,
        a: Vec<u8>,
        linear: &Linear,
        xy: Vec<u8>,
        name: &str,
    ) -> Result<Vec<u8>, EncodeError> {
        let [_, _, xy] = self.product(p, a, laid_out(p, linear, None), xy)?;
        self.stream(&xy, p.gemm.c.offsets[0], name);
        Ok(xy)
    }

    fn attention(&mut self, h: Vec<u8>, layer: &QuantLayer, i: usize) -> Result<Vec<u8>, EncodeError> {
        let plan = self.plan;
        let config = &self.model.config;
        let (d, positions) = (config.d, config.positions);
        let (op, design) = &plan.attention;
        let (number, elem) = match op.elem() {
            Elem::Bf16 => (Number::Bf16, Elem::Bf16),
            _ => (Number::I8, Elem::I8),
        };
        let c = zeros(plan.project.gemm.c.len, elem.bytes());
        let weights = laid_out(&plan.project, &layer.qkv, None);
        let [_, _, qkv] = self.product(&plan.project, h, weights, c)?;
        let all = activation(&qkv, 0, op.input, number, [positions, 3 * d]);
        for (part, name) in ["q", "k", "v"].into_iter().enumerate() {
            (self.observe)(&format!("layer{i}.{name}"), all.columns(part * d..(part + 1) * d));
        }
        let header = match &layer.heads {
            Heads::Running(attention) => op.header(attention.header(positions as u32)),
            Heads::Float => op.header(attention_bf16::header(positions)),
            Heads::Normalised { scores, score_scale, context } => {
                let table = &softmax::exponentials(*score_scale);
                op.normalised_header(&Header { keys: positions as u32, scores, context, table })
            }
        };
        let mut host = [header, qkv, zeros(op.output.len(), op.out.bytes())];
        self.dispatch(design, &mut host)?;
        let [_, _, context] = host;
        Ok(context)
    }
}

/// The first convolution's operand: the windows of its frames. Where another follows, batch `b` has in row `t` the window
/// of frame `2 t - 1 + b`; that of frame -1, whose result is not used, is zeros.
fn windows<T: bytemuck::Pod + Default>(plan: &Plan, mel: ArrayView2<T>) -> Vec<u8> {
    let padded = conv1d::pad(mel);
    let windows = conv1d::windows(&padded, 1);
    let layout = plan.conv1.gemm.a.layout;
    let batches = plan.conv1.gemm.a.offsets.len();
    let batch = |batch: usize| {
        let mut rows = Array2::default((layout.rows as usize, layout.columns as usize));
        for position in 0..plan.config.positions {
            let frame = if batches == 1 { Some(position) } else { (2 * position + batch).checked_sub(1) };
            if let Some(frame) = frame {
                rows.slice_mut(s![position, ..windows.ncols()]).assign(&windows.row(frame));
            }
        }
        bytes_of(&layout.pack(rows.view()))
    };
    (0..batches).flat_map(batch).collect()
}

/// The column blocks of weights with the weights, as the product takes them; with the GELU that follows, if one does, and
/// the type of its result.
fn laid_out(p: &Product, linear: &Linear, gelu: Option<(&Gelu, Elem)>) -> Vec<u8> {
    let gelu_bits = gelu.map_or(0, |(gelu, _)| gelu_bits(gelu));
    let chunks = p.gemm.k / CHUNK;
    match (&linear.weights, &linear.finish) {
        (Weights::Bf16(weights), Finish::Float { bias }) => {
            let out = gelu.map_or(linear.out.elem(), |(_, out)| out);
            let finish = float_sums::Finish { gelu: gelu.is_some(), out };
            let bias = bias.as_slice().expect("one dimension in standard layout");
            let blocks = SumsBlock::objects(p.tile_columns, bias, SumsWords { finish, gelu_bits, chunks });
            p.gemm.pack_b(p.tile_columns, &blocks, weights.mapv(bf16::to_bits).view())
        }
        (Weights::I8(weights), finish) => {
            let (bias, requant, row_shift) = finish.columns();
            let words = ColumnWords { gelu_bits, row_shift, chunks };
            let mut blocks = ColumnBlock::objects(p.tile_columns, &bias, requant, words);
            if let Some((Gelu::Table { table, .. }, _)) = gelu {
                ColumnBlock::put_table(p.tile_columns, &mut blocks, table);
            }
            p.gemm.pack_b(p.tile_columns, &blocks, weights.view())
        }
        (Weights::Bf16(_), _) => panic!("bf16 with multipliers of integers"),
    }
}

fn conv_weights(p: &Product, stage: &ConvStage, out: Elem) -> Vec<u8> {
    laid_out(p, &stage.matrix, Some((&stage.gelu, out)))
}

/// What the column block says of a GELU: its fraction bits, or that there is a table.
fn gelu_bits(gelu: &Gelu) -> u32 {
    match gelu {
        Gelu::Bits(bits) => *bits,
        Gelu::Table { .. } => 1,
    }
}
