//! Kernels at many shapes: for each family the smallest one that is legal, and others drawn from a seed.

use std::collections::BTreeSet;

use kiln_dsl::kernel::Elem;

use crate::attention::{self, AttentionShape};
use crate::attention_normalised::{self, NormalisedShape};
use crate::case::{Data, Entry, Source};
use crate::code::Code;
use crate::float_sums::Finish;
use crate::matmul::{Block, Left, MatmulShape, Product};
use crate::matmul_bf16::{Bf16Matmul, Out};
use crate::mel::bands::{self, BandsShape};
use crate::mel::spectrum::{self, SpectrumShape};
use crate::{
    attention_bf16, copy, float_sums, gelu, gelu_table, layernorm, matmul, matmul_bf16, relu, requantise,
    residual_add, softmax, transpose, weave, zero,
};

/// Kernels that differ in sizes and types only.
pub struct Family {
    /// Name of what they compute.
    pub name: &'static str,
    /// A kernel of random shape. Every size is one step with a source that always gives the lowest number.
    draw: fn(&mut Sizes) -> Entry,
}

impl std::fmt::Debug for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Family").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Every family, by name. Sizes are small enough that a kernel with its data fits L1 many times over.
pub const FAMILIES: [Family; 33] = [
    Family { name: "attention_bf16_block", draw: |sizes| attention_bf16::entry_block(sizes.attention()) },
    Family { name: "attention_bf16_finish", draw: |sizes| attention_bf16::entry_finish(sizes.attention()) },
    Family { name: "attention_bf16_start", draw: |sizes| attention_bf16::entry_start(sizes.attention()) },
    Family { name: "attention_block", draw: |sizes| attention::entry_block(sizes.attention()) },
    Family {
        name: "attention_finish",
        draw: |sizes| attention::entry_finish(sizes.attention(), sizes.activation()),
    },
    Family { name: "attention_start", draw: |sizes| attention::entry_start(sizes.attention()) },
    Family { name: "copy", draw: |sizes| copy::entry(sizes.by(32, 64)) },
    Family { name: "gelu", draw: |sizes| gelu::entry(sizes.by(32, 40)) },
    Family { name: "gelu_table", draw: |sizes| gelu_table::entry(sizes.by(32, 40)) },
    Family {
        name: "layernorm",
        draw: |sizes| layernorm::entry(sizes.by(1, 4), sizes.by(32, 12), sizes.activation()),
    },
    Family {
        name: "layernorm_bytes",
        draw: |sizes| layernorm::entry_bytes(sizes.by(1, 4), sizes.by(32, 12)),
    },
    Family { name: "layernorm_rows", draw: |sizes| layernorm::entry_rows(sizes.by(1, 4), sizes.by(64, 6)) },
    Family {
        name: "layernorm_bf16",
        draw: |sizes| layernorm::entry(sizes.by(1, 4), sizes.by(32, 12), Elem::Bf16),
    },
    Family { name: "matmul", draw: |sizes| matmul::entry(sizes.matmul()) },
    Family {
        name: "matmul_bf16_acc",
        draw: |sizes| {
            let [m, k, n] = [sizes.by(16, 4), sizes.by(8, 8), sizes.by(8, 8)];
            matmul_bf16::entry(Bf16Matmul { m, k, n, out: Out::Accumulate })
        },
    },
    Family { name: "mel_bands", draw: |sizes| bands::entry(sizes.bands()) },
    Family {
        name: "mel_spectrum",
        draw: |sizes| spectrum::entry(SpectrumShape { samples: sizes.by(4, 30), bins: sizes.by(2, 8) }),
    },
    Family {
        name: "normalised_finish",
        draw: |sizes| attention_normalised::entry_finish(sizes.normalised()),
    },
    Family { name: "normalised_mix", draw: |sizes| attention_normalised::entry_mix(sizes.normalised()) },
    Family { name: "normalised_score", draw: |sizes| attention_normalised::entry_score(sizes.normalised()) },
    Family {
        name: "normalised_softmax",
        draw: |sizes| {
            let shape = NormalisedShape { rows: 4, dims: 8, keys: sizes.by(64, 24) };
            attention_normalised::entry_normalise(shape)
        },
    },
    Family { name: "normalised_start", draw: |sizes| attention_normalised::entry_start(sizes.normalised()) },
    // relu_i8 takes its length at run time: one kernel, whose cases are its shapes.
    Family { name: "relu", draw: |sizes| relu::entry_i32(sizes.by(16, 64)) },
    Family {
        name: "requantise",
        draw: |sizes| requantise::entry(sizes.by(4, 8), sizes.by(8, 8), sizes.activation()),
    },
    Family {
        name: "requantise_rows",
        draw: |sizes| requantise::entry_rows(sizes.by(4, 8), sizes.by(8, 8), sizes.activation()),
    },
    Family { name: "residual_add", draw: |sizes| residual_add::entry(sizes.by(32, 40)) },
    Family { name: "residual_add_i8", draw: |sizes| residual_add::entry_i8(sizes.by(32, 40)) },
    Family { name: "softmax", draw: |sizes| softmax::entry(sizes.by(1, 4), sizes.by(32, 16)) },
    Family {
        name: "sums_finish",
        draw: |sizes| {
            let finish = sizes.of(&Finish::ALL);
            float_sums::entry(sizes.by(64, 40), finish)
        },
    },
    Family { name: "sums_start", draw: |sizes| float_sums::entry_start(sizes.by(4, 16), sizes.by(4, 16)) },
    Family { name: "transpose", draw: |sizes| transpose::entry(sizes.by(8, 10), sizes.by(8, 10)) },
    Family {
        name: "weave",
        draw: |sizes| {
            let width = sizes.by(64, 12);
            weave::entry(sizes.of(&[2, 4]), width, sizes.by(width / 2, 4))
        },
    },
    Family { name: "zero", draw: |sizes| zero::entry(sizes.by(32, 64)) },
];

impl Family {
    /// `count` kernels of different names: the smallest shape, then random ones.
    ///
    /// # Panics
    /// When the family has fewer shapes.
    pub fn kernels(&self, count: usize, seed: u64) -> Vec<Entry> {
        let smallest = (self.draw)(&mut Sizes { source: None });
        let mut names = BTreeSet::from([smallest.kernel.name.clone()]);
        let mut sizes = Sizes { source: Some(Source::new(seed, Data::Random)) };
        let mut entries = vec![smallest];
        for _ in 0..100 * count {
            if entries.len() == count {
                return entries;
            }
            let entry = (self.draw)(&mut sizes);
            if names.insert(entry.kernel.name.clone()) {
                entries.push(entry);
            }
        }
        panic!("{}: only {} shapes of {count}", self.name, entries.len())
    }
}

/// Sizes and types of shapes.
struct Sizes {
    /// None gives the smallest of everything.
    source: Option<Source>,
}

impl Sizes {
    /// A multiple of `step`, of one to `most` steps.
    fn by(&mut self, step: u32, most: u32) -> u32 {
        step * self.source.as_mut().map_or(1, |source| source.number(1, most.into()) as u32)
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.by(1, choices.len() as u32) as usize - 1]
    }

    /// Type of an activation.
    fn activation(&mut self) -> Elem {
        self.of(&[Elem::I8, Elem::I16])
    }

    fn attention(&mut self) -> AttentionShape {
        AttentionShape {
            rows: self.by(16, 6),
            dims: self.by(8, 12),
            code: self.of(&[Code::Fast, Code::Compact]),
        }
    }

    fn normalised(&mut self) -> NormalisedShape {
        NormalisedShape { rows: self.by(4, 8), dims: self.by(8, 10), keys: self.by(64, 6) }
    }

    fn bands(&mut self) -> BandsShape {
        let (bins, mels) = (self.by(1, 24), self.by(1, 12));
        BandsShape { bins, mels, weights: self.by(1, (bins * mels).min(48)) }
    }

    fn matmul(&mut self) -> MatmulShape {
        let left = self.of(&[Left::I8, Left::U8, Left::I16]);
        // An i16 product has two accumulators a tile, and nine exist.
        let (block, [rows, columns]) = match left {
            Left::I16 => self.of(&[(Block::B2x1, [8, 8]), (Block::B2x2, [8, 16])]),
            _ => self.of(&[(Block::B2x1, [8, 8]), (Block::B2x2, [8, 16]), (Block::B4x2, [16, 16])]),
        };
        MatmulShape {
            m: self.by(rows, 4),
            k: self.by(8, 12),
            n: self.by(columns, 4),
            left,
            product: self.of(&[Product::Accumulate, Product::I8, Product::I16]),
            block,
        }
    }
}
