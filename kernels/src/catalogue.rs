//! Every kernel at the shapes that are listed, run and tested.

use crate::attention::{self, AttentionShape};
use crate::attention_normalised::{self, NormalisedShape};
use crate::case::Entry;
use crate::code::Code;
use crate::matmul::{Block, Left, MatmulShape, Product};
use crate::matmul_bf16::{Bf16Matmul, Out};
use crate::matmul_whole::{Form, WholeMatmul};
use crate::mel::{bands, spectrum};
use crate::{
    attention_bf16, copy, float_sums, gelu, gelu_table, layernorm, matmul, matmul_bf16, matmul_whole, relu,
    requantise, residual_add, softmax, transpose, weave, zero,
};
use kiln_dsl::kernel::Elem;

/// The kernels, by name in order.
pub fn catalogue() -> Vec<Entry> {
    let mm = |m, k, n, left, product, block| matmul::entry(MatmulShape { m, k, n, left, product, block });
    let mut entries = vec![
        relu::entry(2048),
        relu::entry_i32(4096),
        zero::entry(4096),
        copy::entry(2336),
        // The design document's 16x16 tile.
        mm(16, 16, 16, Left::I8, Product::Accumulate, Block::B2x2),
        mm(64, 64, 64, Left::I8, Product::Accumulate, Block::B4x2),
        mm(32, 64, 32, Left::U8, Product::Accumulate, Block::B2x2),
        mm(32, 64, 32, Left::I16, Product::Accumulate, Block::B2x2),
        mm(64, 192, 64, Left::I8, Product::I8, Block::B4x2),
        mm(32, 64, 32, Left::I8, Product::I16, Block::B2x2),
        mm(16, 64, 32, Left::I16, Product::I8, Block::B2x2),
        mm(16, 64, 8, Left::I16, Product::Accumulate, Block::B2x1),
        requantise::entry(64, 64, Elem::I8),
        requantise::entry(32, 64, Elem::I16),
        softmax::entry(2, 1536),
        layernorm::entry(4, 384, Elem::I8),
        layernorm::entry(2, 64, Elem::I16),
        // The widths of large models, and the widest.
        layernorm::entry_rows(1, 1280),
        layernorm::entry(1, 2048, Elem::I8),
        gelu::entry(1024),
        residual_add::entry(1024),
        transpose::entry(64, 64),
    ];
    for (rows, dims) in [(64, 64), (32, 64), (16, 64), (64, 32)] {
        let shape = AttentionShape { rows, dims, code: Code::Fast };
        entries.extend([attention::entry_start(shape), attention::entry_block(shape)]);
        entries.extend([Elem::I8, Elem::I16].map(|elem| attention::entry_finish(shape, elem)));
    }
    // Where program memory is short.
    let shape = AttentionShape { rows: 16, dims: 64, code: Code::Compact };
    entries.extend([attention::entry_start(shape), attention::entry_block(shape)]);
    entries.push(attention::entry_finish(shape, Elem::I16));
    // What the tiny encoder's designs call.
    entries.extend([32, 288, 384, 576, 1280, 2368].map(copy::entry));
    entries.extend([3072, 4096].map(gelu::entry));
    entries.push(layernorm::entry(1, 384, Elem::I16));
    entries.push(mm(64, 64, 16, Left::I16, Product::Accumulate, Block::B2x2));
    entries.push(mm(64, 64, 48, Left::I16, Product::Accumulate, Block::B2x2));
    entries.push(mm(64, 64, 96, Left::I8, Product::Accumulate, Block::B4x2));
    entries.extend([16, 48, 64, 96].map(|n| requantise::entry(64, n, Elem::I16)));
    entries.extend([16, 96].map(|n| requantise::entry(64, n, Elem::I8)));
    entries.extend([1, 4].map(|rows| layernorm::entry_rows(rows, 384)));
    entries.push(weave::entry(4, 448, 384));
    entries.push(requantise::entry_rows(64, 64, Elem::I16));
    entries.push(requantise::entry_rows(64, 96, Elem::I8));
    entries.push(residual_add::entry(1536));
    entries.extend([1024, 3072, 6144].map(zero::entry));
    let whole = |block, form| matmul_whole::entry(WholeMatmul { m: 64, k: 192, n: 64, block, form });
    entries.extend([[4, 2], [2, 2]].map(|block| whole(block, Form::Loop)));
    entries.extend([[2, 2], [2, 1]].map(|block| whole(block, Form::Flat)));
    // What the tiny encoder's designs call in bf16.
    entries.push(matmul_bf16::entry(Bf16Matmul { m: 64, k: 64, n: 48, out: Out::Accumulate }));
    entries.push(float_sums::entry_start(64, 48));
    entries.extend(float_sums::Finish::ALL.map(|finish| float_sums::entry(64 * 48, finish)));
    entries.push(layernorm::entry(1, 384, Elem::Bf16));
    for rows in [64, 16] {
        let shape = AttentionShape { rows, dims: 64, code: Code::Fast };
        entries.push(attention_bf16::entry_start(shape));
        entries.extend([attention_bf16::entry_block(shape), attention_bf16::entry_finish(shape)]);
    }
    entries.push(matmul_bf16::entry(Bf16Matmul { m: 64, k: 64, n: 64, out: Out::Bf16 }));
    entries.push(matmul_bf16::entry(Bf16Matmul { m: 32, k: 32, n: 32, out: Out::F32 }));
    // What the tiny encoder's designs call in the design document's scheme.
    let shape = NormalisedShape { rows: 24, dims: 64, keys: 1536 };
    entries.extend([
        attention_normalised::entry_start(shape),
        attention_normalised::entry_score(shape),
        attention_normalised::entry_normalise(shape),
        attention_normalised::entry_mix(shape),
        attention_normalised::entry_finish(shape),
        gelu_table::entry(4096),
        layernorm::entry_bytes(1, 384),
        residual_add::entry_i8(1536),
    ]);
    let spectra = spectrum::SpectrumShape::WHISPER;
    entries.push(spectrum::entry(spectra));
    entries.extend([80, 128].map(|mels| bands::entry(bands::shape(spectra.bins, mels))));
    entries.sort_by(|a, b| a.kernel.name.cmp(&b.kernel.name));
    entries
}

/// The kernel with a name.
pub fn find(name: &str) -> Option<Entry> {
    catalogue().into_iter().find(|e| e.kernel.name == name)
}
