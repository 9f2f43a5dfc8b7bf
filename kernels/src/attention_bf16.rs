//! Fused attention of one head in bf16 with f32 sums: `softmax(q k^T) v`, where q has the scale of the scores and the
//! step from nats to octaves in it.
//!
//! ```text
//! S   = q k^T                                    f32, octaves
//! P   = 2^S                                      bf16: exponent and mantissa of S in 1/128 octave
//! O   = P v,  l = P 1                            f32
//! ctx = O / l                                    bf16
//! ```
//!
//! No maximum is taken from the scores first, so sums are never rescaled: bf16 and f32 have the exponents for that. A score
//! counts in full from -126 to 100 octaves and stays at the nearer end beyond, where integers of 16 bits and the sum of
//! 4096 weights end.

//!
//! Operands lie as in host memory ([`crate::layout`]), as those of [`crate::attention`]. 4 keys x 8 dimensions are
//! contiguous, which one shuffle turns into the 8x4 tile of `k^T`; two of them, 8 keys x 8 dimensions, are two 8x4 tiles of
//! `v`, of which a shuffle takes the even or odd groups of four. Sums are in 4x4 tiles. l is one more product, with a tile
//! of ones.

mod cases;

pub use cases::{entry_block, entry_finish, entry_start};

use half::bf16;
use kiln_dsl::kernel::Kernel;
use kiln_dsl::kernel::build::{
    Acc32, AccFloat, Accum, Block2 as _, Buf, Builder, Scalar, TileBuf, Vector, mmul,
};
use kiln_dsl::num::shuffle::{T16_4X8, T64_2X8_HI, T64_2X8_LO, T64_8X2_HI, T64_8X2_LO};
use kiln_dsl::num::{Rounding, Saturation};
use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate};

use crate::attention::{AttentionShape, HEADER_WORDS};
use crate::fixed::{ReciprocalTable, reciprocal_q15, srs};
use crate::float::{add, mac, staged_steps};
use crate::layout::STRIP;
use crate::whisper::gemm;

/// Keys of one block.
pub const KEYS: u32 = 32;

/// Steps of a score in an octave: as many as mantissas of bf16.
const STEPS: i32 = 128;

/// Scores beyond these, in octaves, count as these.
const OCTAVES: [i32; 2] = [-126, 100];

/// `2^s`: the score is rounded to a multiple of 1/128 octave, `e + f / 128` with `0 <= f < 128`, whose power is
/// `2^e * (1 + (f - c) / 128)`; `c`, the distance of `2^x - 1` from its chord, is a parabola, within 0.6 steps of the
/// mantissa.
pub fn power(score: f32) -> bf16 {
    let [least, most] = OCTAVES.map(|octaves| octaves * STEPS);
    // An `as` saturates.
    let steps = ((score * STEPS as f32).round_ties_even() as i32).clamp(least, most);
    let fraction = steps & (STEPS - 1);
    let below = srs(i64::from(fraction * (fraction - STEPS)) * i64::from(PARABOLA), PARABOLA_SHIFT) as i32;
    bf16::from_bits((127 * STEPS + steps + below) as u16)
}

/// Factor of `f (f - 128)` in the parabola, with [`PARABOLA_SHIFT`] fraction bits: the one with the least error.
const PARABOLA: i32 = 88;
const PARABOLA_SHIFT: u32 = 15;

/// `1 / l` for a normal positive `l` below 2^126, within a relative 2^-13.7: [`reciprocal_q15`] of its 24 bits.
pub fn reciprocal(l: f32) -> f32 {
    let bits = l.to_bits() as i32;
    let scale = reciprocal_q15(bits & 0x7f_ffff | 1 << 23);
    let fraction = (i32::from(scale.mantissa) << 9) - (1 << 23);
    f32::from_bits((((253 - (bits >> 23)) << 23) + fraction) as u32)
}

/// A number as the sum of two bf16: the nearest, and the nearest of what is left.
fn split(value: f32) -> [f32; 2] {
    let high = bf16::from_f32(value).to_f32();
    [high, bf16::from_f32(add(value, -high)).to_f32()]
}

/// `o * r` of two halves each, but for the product of the lower ones.
pub fn quotient(o: f32, r: f32) -> bf16 {
    let ([o, o_rest], [r, r_rest]) = (split(o), split(r));
    let product = mac(None, [(o, r)]);
    let product = mac(Some(product), [(o_rest, r)]);
    bf16::from_f32(mac(Some(product), [(o, r_rest)]))
}

/// ctx of one head: `q[queries, dims]` in octaves, `k` and `v[keys, dims]`; all keys count.
///
/// # Panics
/// When shapes disagree.
pub fn reference(q: ArrayView2<bf16>, k: ArrayView2<bf16>, v: ArrayView2<bf16>) -> Array2<bf16> {
    assert_eq!(k.dim(), v.dim(), "keys and values");
    let zeros = |n| Array1::<f32>::zeros(n);
    let weights = gemm::rounded(q, k.t(), zeros(k.nrows()).view(), |score, _, _| power(score));
    let ones = Array2::from_elem((v.nrows(), 1), bf16::ONE);
    let values = concatenate![Axis(1), v, ones];
    let sums = gemm::rounded(weights.view(), values.view(), zeros(values.ncols()).view(), |sum, _, _| sum);
    let dims = v.ncols();
    gemm::by_rows(sums.view(), dims, |sums| {
        Array2::from_shape_fn((sums.nrows(), dims), |(m, n)| {
            quotient(sums[(m, n)], reciprocal(sums[(m, dims)]))
        })
    })
}

/// 1.5 * 2^16 as bits: a sum of it and a score is a multiple of 1/128, whose low half counts those.
const TO_STEPS: i32 = 0x47c0_0000;

/// Words of the header: keys, and seven unused.
pub fn header(keys: usize) -> [i32; HEADER_WORDS as usize] {
    let mut words = [0; HEADER_WORDS as usize];
    words[0] = keys as i32;
    words
}

/// Names of kernels, and sizes in tiles.
struct Sizes {
    shape: AttentionShape,
    /// Rows of 4x8 and of 4x4 tiles.
    mt: u32,
    /// Strips of eight dimensions.
    dt: u32,
}

impl Sizes {
    fn new(shape: AttentionShape) -> Sizes {
        let fits =
            shape.rows.is_multiple_of(16) && shape.dims.is_multiple_of(8) && shape.rows * shape.dims > 0;
        assert!(fits, "{shape:?}: expected rows by 16, dimensions by 8");
        Sizes { shape, mt: shape.rows / 4, dt: shape.dims / STRIP }
    }

    fn name(&self, part: &str) -> String {
        format!("attention_bf16_{part}_{}x{}", self.shape.rows, self.shape.dims)
    }

    /// Elements of O.
    fn sums_len(&self) -> u32 {
        self.shape.rows * self.shape.dims
    }
}

/// Elements of one value a row, in the four lanes of its tile.
pub fn total_len(shape: AttentionShape) -> u32 {
    4 * shape.rows
}

/// Elements of the weights of one block of keys.
pub fn weights_len(shape: AttentionShape) -> u32 {
    shape.rows * KEYS
}

/// Before the first block of keys: sums 0, no keys seen.
pub fn start(shape: AttentionShape) -> Kernel {
    let sizes = Sizes::new(shape);
    Kernel::build(&sizes.name("start"), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let sums = k.output::<f32>("sums", [sizes.sums_len()]);
        let total = k.output::<f32>("total", [total_len(shape)]);
        let seen = k.output::<i32>("seen", [HEADER_WORDS]);
        let zeros = k.zeros::<f32, 16>();
        k.pipelined(1).for_step(0, sizes.sums_len(), 16, |i| sums.store(i, zeros));
        k.pipelined(1).for_step(0, total_len(shape), 16, |i| total.store(i, zeros));
        seen.store(0, k.zeros::<i32, 8>());
    })
    .with_doc("The state of attention in bf16 before the first block of keys.")
}

/// One block of keys. In 4x8 tiles: `q[rows, dims]`, `keys[32, dims]` and `values[32, dims]` bf16; `sums` (O) and `total`
/// (l, in the four lanes of its row) in 4x4 tiles of f32. `header` is [`header()`]; `seen[0]` counts the keys so far, and
/// keys past the header's are masked. `weights` is working memory.
pub fn block(shape: AttentionShape) -> Kernel {
    let sizes = Sizes::new(shape);
    let (mt, dt) = (sizes.mt, sizes.dt);
    Kernel::build(&sizes.name("block"), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let q = k.input_tiles::<bf16, 32>("q", [4, 8], [mt, dt]);
        let keys = k.input_tiles::<bf16, 32>("keys", [4, 8], [KEYS / 4, dt]);
        let values = k.input_tiles::<bf16, 32>("values", [4, 8], [KEYS / 4, dt]);
        let header = k.input::<i32>("header", [HEADER_WORDS]);
        let sums = k.inout_tiles::<f32, 16>("sums", [4, 4], [mt, 2 * dt]);
        let total = k.inout_tiles::<f32, 16>("total", [4, 4], [1, mt]);
        let seen = k.inout::<i32>("seen", [HEADER_WORDS]);
        let weights = k.output_tiles::<bf16, 32>("weights", [4, 8], [KEYS / 8, mt]);
        let first = seen.get(0);
        seen.set(0, first + KEYS);
        let b = BlockOf { k, mt, dt, weights };
        b.weigh(q, keys, header.get(0) - first);
        b.add_up(total);
        b.mix(values, sums);
    })
    .with_doc(&format!(
        "Attention of {} queries to one block of {KEYS} keys of {} dimensions in bf16: weights and sums.",
        shape.rows, shape.dims
    ))
}

/// The parts of [`block`].
struct BlockOf<'k> {
    k: &'k Builder,
    mt: u32,
    dt: u32,
    weights: TileBuf<'k, bf16, 32>,
}

impl<'k> BlockOf<'k> {
    /// Weights of all queries and keys, of which `valid` are there. Four tiles of rows at a time share the shuffled tiles
    /// of keys, and the product of all dimensions is one body.
    fn weigh(&self, q: TileBuf<'k, bf16, 32>, keys: TileBuf<'k, bf16, 32>, valid: Scalar<'k>) {
        let k = self.k;
        let lane_keys: Vec<u8> = (0..32u16).flat_map(|lane| (lane % 8).to_le_bytes()).collect();
        let lane_keys = k.table::<i16>("lane_keys", lane_keys).load::<32>(0);
        let powers = Powers::new(k);
        let nothing = k.zeros::<i16, 32>();
        k.for_step(0, self.mt, 4, |i| {
            k.pipelined(1).for_step(0, KEYS / 8, 1, |j| {
                let there = lane_keys.lt(k.splat(valid - j * 8));
                let mut sum: [[Option<Accum<AccFloat, 16>>; 2]; 4] = [[None; 2]; 4];
                for p in 0..self.dt {
                    let tiles = [0, 1].map(|t| keys.load(j * 2 + t, p));
                    let tiles = tiles.map(|tile| tile.shuffle(tile, T16_4X8));
                    let rows: [_; 4] = std::array::from_fn(|r| q.load(i + r as u32, p));
                    sum = sum.map2(|r, t, sum| {
                        Some(match sum {
                            Some(sum) => k.mac(mmul::BF16_4X8X4, sum, rows[r], tiles[t]),
                            None => k.mmul(mmul::BF16_4X8X4, rows[r], tiles[t]),
                        })
                    });
                }
                for r in [0, 2] {
                    // The same four keys of two tiles of rows, whose groups of four then join those of the other keys.
                    let of = |row: usize, t: usize| sum[row][t].expect("a head has a strip");
                    let [left, right] = [0, 1].map(|t| powers.of([of(r, t), of(r + 1, t)]));
                    for (row, mode) in [(r, T64_2X8_LO), (r + 1, T64_2X8_HI)] {
                        let weights = there.select(left.shuffle(right, mode), nothing);
                        self.weights.store(j, i + row as u32, weights.cast());
                    }
                }
            });
        });
    }

    /// Adds the weights to `total`.
    fn add_up(&self, total: TileBuf<'k, f32, 16>) {
        let k = self.k;
        let ones = k.splat_bf16::<32>(1.0);
        k.pipelined(1).for_step(0, self.mt, 4, |i| {
            let mut sum: [_; 4] = std::array::from_fn(|r| total.load(0, i + r as u32).to_accum::<AccFloat>());
            for p in 0..KEYS / 8 {
                sum = std::array::from_fn(|r| {
                    k.mac(mmul::BF16_4X8X4, sum[r], self.weights.load(p, i + r as u32), ones)
                });
            }
            for (r, sum) in sum.into_iter().enumerate() {
                total.store(0, i + r as u32, sum.to_vector());
            }
        });
    }

    /// Adds the weighted values to `sums`.
    fn mix(&self, values: TileBuf<'k, bf16, 32>, sums: TileBuf<'k, f32, 16>) {
        let k = self.k;
        k.for_step(0, self.mt, 4, |i| {
            k.pipelined(1).for_step(0, self.dt, 1, |j| {
                let at = |r: usize, t: usize| (i + r as u32, j * 2 + t as u32);
                let mut sum = [[(); 2]; 4].map2(|r, t, ()| {
                    let (row, column) = at(r, t);
                    sums.load(row, column).to_accum::<AccFloat>()
                });
                for p in 0..KEYS / 8 {
                    let rows = [0, 1].map(|half| values.load(2 * p + half, j));
                    let tiles = [T64_8X2_LO, T64_8X2_HI].map(|mode| rows[0].shuffle(rows[1], mode));
                    let weights: [_; 4] = std::array::from_fn(|r| self.weights.load(p, i + r as u32));
                    sum = sum.map2(|r, t, sum| k.mac(mmul::BF16_4X8X4, sum, weights[r], tiles[t]));
                }
                sum.each2(|r, t, sum| {
                    let (row, column) = at(r, t);
                    sums.store(row, column, sum.to_vector());
                });
            });
        });
    }
}

/// [`power`] inside a kernel.
struct Powers<'k> {
    k: &'k Builder,
    fraction: Vector<'k, i16, 32>,
    octave: Vector<'k, i16, 32>,
    parabola: Vector<'k, i16, 32>,
    one: Vector<'k, i16, 32>,
}

impl<'k> Powers<'k> {
    fn new(k: &'k Builder) -> Powers<'k> {
        let splat = |value| k.splat::<i16, 32>(value);
        let (fraction, octave) = (splat(STEPS - 1), splat(STEPS));
        Powers { k, fraction, octave, parabola: splat(PARABOLA), one: splat(127 * STEPS) }
    }

    /// Bits of the powers of 2 x 16 scores.
    fn of(&self, scores: [Accum<'k, AccFloat, 16>; 2]) -> Vector<'k, i16, 32> {
        let steps = staged_steps(self.k, scores, TO_STEPS, OCTAVES.map(|octaves| octaves * STEPS));
        let fraction = steps & self.fraction;
        let product = fraction.times::<Acc32, i16>(fraction - self.octave).srs::<i16>(0);
        let below = product.times::<Acc32, i16>(self.parabola).srs::<i16>(PARABOLA_SHIFT);
        steps + self.one + below
    }
}

/// After the last block: `out[rows, dims] = O / l` in 4x8 tiles. `total` is that of [`block`], seen as the integers of its
/// bits; `factors` is working memory.
pub fn finish(shape: AttentionShape) -> Kernel {
    let sizes = Sizes::new(shape);
    let (mt, dt) = (sizes.mt, sizes.dt);
    Kernel::build(&sizes.name("finish"), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let sums = k.input_tiles::<f32, 16>("sums", [4, 4], [mt, 2 * dt]);
        let total = k.input::<i32>("total", [total_len(shape)]);
        let factors = k.output::<i32>("factors", [total_len(shape)]);
        let out = k.output_tiles::<bf16, 32>("out", [4, 8], [mt, dt]);
        let table = ReciprocalTable::declare(k);
        k.pipelined(1).for_step(0, shape.rows, 1, |row| {
            let factor = k.splat::<i32, 8>(staged_reciprocal(&table, total.get(row * 4)));
            factors.store(row * 4, factor.low::<4>());
        });
        k.for_step(0, mt, 2, |i| {
            let factor = |r: u32| Halves::of(load_floats(factors, (i + r) * 16).to_accum());
            let factors = [factor(0), factor(1)];
            k.pipelined(1).for_step(0, dt, 1, |j| {
                let quotient = |r: usize, t: u32| {
                    let o = Halves::of(sums.load(i + r as u32, j * 2 + t).to_accum());
                    let Halves { high, rest } = factors[r];
                    o.high
                        .times::<AccFloat, bf16>(high)
                        .mac(o.rest, high)
                        .mac(o.high, rest)
                        .to_vector::<bf16>()
                };
                let of_columns = |t| quotient(0, t).concat::<32>(quotient(1, t));
                let (left, right) = (of_columns(0), of_columns(1));
                for (r, mode) in [(0, T64_2X8_LO), (1, T64_2X8_HI)] {
                    out.store(i + r, j, left.shuffle(right, mode));
                }
            });
        });
    })
    .with_doc(&format!("ctx[{}, {}] bf16 of attention's sums.", shape.rows, shape.dims))
}

/// [`reciprocal`] inside a kernel, from bits to bits.
fn staged_reciprocal<'k>(table: &ReciprocalTable<'k>, bits: Scalar<'k>) -> Scalar<'k> {
    let mantissa = table.of((bits & 0x7f_ffff) | (1 << 23)).mantissa;
    let fraction = mantissa.shift_left(9) - (1 << 23);
    (-bits.shift_right(23) + 253).shift_left(23) + fraction
}

fn load_floats<'k>(buf: Buf<'k, i32>, at: Scalar<'k>) -> Vector<'k, f32, 16> {
    buf.load::<16>(at).cast()
}

/// [`split`] inside a kernel.
#[derive(Clone, Copy)]
struct Halves<'k> {
    high: Vector<'k, bf16, 16>,
    rest: Vector<'k, bf16, 16>,
}

impl<'k> Halves<'k> {
    fn of(value: Accum<'k, AccFloat, 16>) -> Halves<'k> {
        let high = value.to_vector::<bf16>();
        Halves { high, rest: (value - high.to_accum()).to_vector() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_near_and_rise() {
        let mut worst = 0.0f64;
        let mut before = 0.0;
        for i in 0..=STEPS * 8 * 4 {
            let score = i as f32 / 1024.0 - 2.0;
            let got = power(score).to_f64();
            let exact = (f64::from(score) * 128.0).round_ties_even() / 128.0;
            worst = worst.max((got / exact.exp2() - 1.0).abs());
            assert!(got >= before, "{score}");
            before = got;
        }
        println!("powers: worst relative error {worst:.5}, of the nearest bf16 0.00391");
        assert!(worst < 0.0065, "{worst}");
        assert_eq!(
            [-1e30, -126.0, 0.0, 1.0, 100.0, 1e30].map(|s| power(s).to_f32().log2()),
            [-126.0, -126.0, 0.0, 1.0, 100.0, 100.0]
        );
    }

    #[test]
    fn reciprocals_are_near() {
        for l in [1.0, 1.5, 3.999_999_8, 1500.0, 1e-37, 1e37] {
            let relative = f64::from(reciprocal(l)) * f64::from(l) - 1.0;
            assert!(relative.abs() < (-13.7f64).exp2(), "{l}: {relative}");
        }
    }
}
