//! Cores of products of bf16: sums begin with the bias, and become what their column block says. One program serves
//! every product of an encoder with the same tile.

use super::{CHUNK, CoreTile, Ends, STACK_BYTES};
use crate::case::bytes_of;
use crate::designs::cores;
use crate::float_sums::{self, Finish};
use crate::matmul_bf16::{Bf16Matmul, Out, matmul_bf16};
use kiln_dsl::array::{Arg, DesignBuilder, MemType, Port, View, WordRef};
use kiln_dsl::kernel::{Elem, Kernel, verify};
use std::sync::Arc;

/// What a core does for a block of columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SumsWords {
    /// What becomes of the sums.
    pub finish: Finish,
    /// Fraction bits of the GELU; any number without one.
    pub gelu_bits: u32,
    /// Chunks of K.
    pub chunks: u32,
}

/// The column block of bf16: biases (f32) from its first byte on, then words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SumsBlock {
    /// Words of the finish (its place in [`Finish::ALL`]), the GELU's fraction bits and the number of chunks.
    pub words: [u32; 3],
}

impl SumsBlock {
    /// The layout for `n` columns.
    pub const fn layout(n: u32) -> SumsBlock {
        SumsBlock { words: [n, n + 1, n + 2] }
    }

    /// The objects of all blocks of `n` columns, each as many bytes as a chunk of B.
    ///
    /// # Panics
    /// When the length of `bias` is not a multiple of `n`.
    pub fn objects(n: u32, bias: &[f32], words: SumsWords) -> Vec<Vec<u8>> {
        let columns = n as usize;
        assert!(bias.len().is_multiple_of(columns), "columns by {n}");
        let finish = Finish::ALL.iter().position(|f| *f == words.finish).expect("all are listed");
        let object = |bias: &[f32]| {
            let mut all = vec![0u32; CHUNK as usize * columns / 2];
            all.iter_mut().zip(bias).for_each(|(to, bias)| *to = bias.to_bits());
            let values = [finish as u32, words.gelu_bits, words.chunks];
            for (word, value) in SumsBlock::layout(n).words.into_iter().zip(values) {
                all[word as usize] = value;
            }
            bytes_of(&all)
        };
        bias.chunks(columns).map(object).collect()
    }
}

/// The programs of all cores.
pub(super) fn cores_of(d: &DesignBuilder, tile: CoreTile, Ends { a, b, c }: Ends) {
    let CoreTile { m, n } = tile;
    let kernel = |k: Kernel| d.kernel(Arc::new(verify(k).unwrap_or_else(|e| panic!("{e}"))));
    let start = kernel(float_sums::start(m, n));
    let multiply = kernel(matmul_bf16(Bf16Matmul { m, k: CHUNK, n, out: Out::Accumulate }));
    let finishes = Finish::ALL.map(|finish| kernel(float_sums::finish(m * n, finish)));
    let words = SumsBlock::layout(n).words;
    for at in cores() {
        let (a, b) = (a[usize::from(at.row - 2)], b[usize::from(at.col)]);
        let c = c[usize::from(at.col)][usize::from(at.row - 2)];
        let sums =
            d.local(format!("sums_{}_{}", at.col, at.row), at, MemType::flat(Elem::F32, m * n), None, None);
        d.core(at, |p| {
            p.stack_bytes(STACK_BYTES);
            p.forever(|p| {
                let params = p.consume(b);
                let seen = |object, elem, len| Arg::Object {
                    object,
                    view: Some(View { byte_offset: 0, ty: MemType::flat(elem, len) }),
                };
                let [finish, gelu_bits, chunks] = words.map(|index| WordRef { object: params, index });
                p.call(start, vec![seen(params, Elem::I32, n), sums.into()]);
                p.release(b, Port::Consume, 1);
                p.repeat_word(chunks, |p| {
                    let (av, bv) = (p.consume(a), p.consume(b));
                    p.call(multiply, vec![av.into(), seen(bv, Elem::Bf16, CHUNK * n), sums.into()]);
                    p.release(a, Port::Consume, 1);
                    p.release(b, Port::Consume, 1);
                });
                let out = p.produce(c);
                p.switch(finish, |branches| {
                    for ((code, to), kernel) in Finish::ALL.into_iter().enumerate().zip(finishes) {
                        let mut args = vec![Arg::from(sums), seen(out, to.out, m * n)];
                        args.extend(to.gelu.then(|| Arg::from(gelu_bits)));
                        branches.case(code as i64, |p| p.call(kernel, args));
                    }
                });
                p.release(c, Port::Produce, 1);
            });
        });
    }
}
