//! Host buffers for the listed designs from a seed: data over the whole range of their types, and parameters that make
//! sense, so that results use their range too.

use crate::attention::Attention;
use crate::case::{Data, Source, bytes_of};
use crate::designs::attention::{AttentionDesign, attention_64x64};
use crate::designs::gemm::{CHUNK, ColumnBlock, ColumnWords, Gemm, Numbers, SumsBlock, SumsWords};
use crate::designs::mel::{LISTED_MELS, LogMel};
use crate::designs::rows::{RowOp, RowProgram};
use crate::float_sums::Finish;
use crate::layernorm::LayerNorm;
use crate::matmul::Left;
use crate::mel::Gain;
use crate::requantise::{Requant, RowRequant};
use crate::residual_add::ResidualAdd;
use crate::softmax::STEPS_PER_OCTAVE;
use crate::whisper::audio::WINDOW_SAMPLES;
use crate::whisper::plan::{Plan, Product};
use crate::whisper::scheme::Number;
use half::bf16;
use kiln_dsl::array::Design;
use kiln_dsl::kernel::Elem;

/// Where the buffers of a design start, and a source for the seed.
fn empty(design: &Design, seed: u64) -> (Vec<Vec<u8>>, Source) {
    let zeros = design.sequence.buffers.iter().map(|b| vec![0; b.ty.bytes() as usize]);
    (zeros.collect(), Source::new(seed, Data::Random))
}

/// See [`super::inputs()`], of the designs that have one size.
pub(super) fn of_example(design: &Design, seed: u64) -> Option<Vec<Vec<u8>>> {
    let (mut host, mut source) = empty(design, seed);
    match design.name.as_str() {
        "relu2" | "cascade" => fill(&mut source, &mut host[0]),
        "mm4x4" => host[..2].iter_mut().for_each(|b| fill(&mut source, b)),
        "dispatch" => {
            fill(&mut source, &mut host[0]);
            // All eight objects, and the operation that rectifies.
            host[2][..8].copy_from_slice(&bytes_of(&[8i32, 1]));
        }
        "log_mel" => log_mel_inputs(LISTED_MELS, &mut source, &mut host),
        "attention_64x64" => attention_inputs(&attention_64x64().0, &mut source, &mut host),
        _ => return None,
    }
    Some(host)
}

/// See [`super::inputs()`]; `plan` is what the listed designs of an encoder come from.
pub(super) fn of_encoder(design: &Design, plan: &Plan, seed: u64) -> Option<Vec<Vec<u8>>> {
    let (mut host, mut source) = empty(design, seed);
    if design.name == plan.attention.1.name {
        attention_inputs(&plan.attention.0, &mut source, &mut host);
    } else if let Some(product) = plan.products().into_iter().find(|p| p.design.name == design.name) {
        product_inputs(product, &mut source, &mut host);
    } else {
        let ops = [(&plan.add, RowOp::Add), (&plan.norm, RowOp::Norm), (&plan.norm_post, RowOp::NormPost)];
        let (_, op) = ops.into_iter().find(|(of_op, _)| of_op.name == design.name)?;
        row_inputs(&plan.row_program, op, &mut source, &mut host);
    }
    Some(host)
}

fn fill(source: &mut Source, bytes: &mut [u8]) {
    let values = source.values(bytes.len(), 0, 255);
    bytes.iter_mut().zip(values).for_each(|(to, value)| *to = value as u8);
}

/// A and B random, and before each block of columns its column block whose factors bring the typical sum to half the output's range.
fn product_inputs(product: &Product, source: &mut Source, host: &mut [Vec<u8>]) {
    let gemm = &product.gemm;
    let Numbers::Integers(types) = gemm.numbers else { return float_inputs(product, source, host) };
    let left = match types.left {
        // Sums of full i16 products over a long K would leave 32 bits.
        Left::I16 => 2047,
        Left::I8 | Left::U8 => 127,
    };
    host[0] = match types.left {
        Left::I16 => bytes_of(&halves(source, host[0].len() / 2, left)),
        Left::I8 | Left::U8 => {
            fill(source, &mut host[0]);
            std::mem::take(&mut host[0])
        }
    };
    fill(source, &mut host[1]);
    // Evenly spread factors have a deviation of their largest value over the square root of 3.
    let typical = f64::from(gemm.k).sqrt() * left as f64 * 127.0 / 3.0;
    let range = if types.out == Elem::I8 { 64.0 } else { 16384.0 };
    let columns = gemm.n as usize;
    let peaks = vec![4.0 * typical; columns];
    let (gelu_bits, chunks) = (if types.gelu { 12 } else { 0 }, gemm.k / CHUNK);
    let objects = if types.row_scales {
        // A's random bytes are the rows' multipliers, too: half of the greatest is typical.
        let factors = vec![range / (typical * 16384.0); columns];
        let quarter = (range / 4.0) as i64;
        let offsets: Vec<f64> =
            source.values(columns, -quarter, quarter).into_iter().map(|v| v as f64).collect();
        let row_peaks = vec![4.0 * typical * 32767.0; columns];
        let q = RowRequant::new(&factors, &offsets, &peaks, &row_peaks);
        ColumnBlock::objects(
            product.tile_columns,
            &q.bias,
            &q.columns,
            ColumnWords { gelu_bits, row_shift: q.row_shift, chunks },
        )
    } else {
        let q = Requant::new(&vec![range / typical; columns], &peaks);
        let peak = typical as i64;
        let bias: Vec<i32> = source.values(columns, -peak, peak).into_iter().map(|v| v as i32).collect();
        ColumnBlock::objects(product.tile_columns, &bias, &q, ColumnWords { gelu_bits, row_shift: 0, chunks })
    };
    put_blocks(&objects, &mut host[1]);
}

/// A and B of bf16 random, of one size, and before each block of columns its column block that asks for a GELU of the sums, which then have a
/// deviation of about 1.
fn float_inputs(product: &Product, source: &mut Source, host: &mut [Vec<u8>]) {
    let gemm = &product.gemm;
    // Numbers of -127..=127 have a deviation of 73; steps of the GELU are 2^-12.
    let scale = 4096.0 / (f64::from(gemm.k).sqrt() * 73.0 * 73.0);
    for (buffer, scale) in host.iter_mut().zip([1.0, scale]) {
        let numbers = source.values(buffer.len() / 2, -127, 127).into_iter();
        *buffer = bytes_of(&numbers.map(|v| bf16::from_f64(v as f64 * scale)).collect::<Vec<_>>());
    }
    let bias: Vec<f32> = source.values(gemm.n as usize, -4096, 4096).into_iter().map(|v| v as f32).collect();
    let finish = Finish { gelu: true, out: Elem::Bf16 };
    let words = SumsWords { finish, gelu_bits: 12, chunks: gemm.k / CHUNK };
    put_blocks(&SumsBlock::objects(product.tile_columns, &bias, words), &mut host[1]);
}

/// Puts column blocks at their places in B.
fn put_blocks(blocks: &[Vec<u8>], b: &mut [u8]) {
    let block_bytes = b.len() / blocks.len();
    for (place, block) in Gemm::block_order(blocks.len()).enumerate() {
        b[place * block_bytes..][..blocks[block].len()].copy_from_slice(&blocks[block]);
    }
}

fn halves(source: &mut Source, len: usize, peak: i64) -> Vec<i16> {
    source.values(len, -peak, peak).into_iter().map(|v| v as i16).collect()
}

/// Noise of a full scale that falls to a thousandth over the window, with what belongs to the window beside it.
fn log_mel_inputs(mels: usize, source: &mut Source, host: &mut [Vec<u8>]) {
    let noise = source.values(WINDOW_SAMPLES, -32768, 32767);
    let fall = |i: usize| (-10.0 * i as f32 / WINDOW_SAMPLES as f32).exp2();
    let samples: Vec<f32> = noise.iter().enumerate().map(|(i, &v)| v as f32 / 32768.0 * fall(i)).collect();
    host.clone_from_slice(&LogMel::new(mels).host(&samples, Gain::of(&samples)));
}

/// q, k and v random, with scores of an octave or so and a ctx of half its range.
fn attention_inputs(design: &AttentionDesign, source: &mut Source, host: &mut [Vec<u8>]) {
    // Products of evenly spread bytes have a deviation of 127 squared over 3, and add up.
    let deviation = f64::from(design.head_dim).sqrt() * 127.0 * 127.0 / 3.0;
    let octave = f64::from(STEPS_PER_OCTAVE) / deviation;
    let range = if design.out == Elem::I8 { 8.0 } else { 2048.0 };
    host[0] = design.header(Attention::new(octave, 6.0 * deviation, range).header(design.positions));
    fill(source, &mut host[1]);
}

/// Rows random; ahead of them the parameters of a LayerNorm or of an addition.
fn row_inputs(program: &RowProgram, op: RowOp, source: &mut Source, host: &mut [Vec<u8>]) {
    host[0] = if op == RowOp::Add {
        program.add_header(&ResidualAdd::new(1.0, 0.75, 2.0))
    } else {
        let mut floats = |lo, hi| -> Vec<f32> {
            source.values(program.d as usize, lo, hi).into_iter().map(|v| v as f32 / 1000.0).collect()
        };
        let (gamma, beta) = (floats(500, 1500), floats(-500, 500));
        // All others are normalised in 16 bits.
        let bytes_at_once = op == RowOp::Norm && program.norm == Number::I8;
        let scale = if bytes_at_once { 0.03 } else { 0.0002 };
        program.norm_header(op, &LayerNorm::new(&gamma, &beta, scale))
    };
    fill(source, &mut host[1]);
}
