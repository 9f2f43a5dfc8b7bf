//! Fused attention of one head: `softmax(q k^T) v` over blocks of 64 keys, with a running softmax in integers. Scores
//! and probabilities stay in the core.
//!
//! A block of queries is resident. For each block of 64 keys, with `S = q k^T` in 32 bits:
//!
//! ```text
//! t     = srs(sat16(srs(S, acc_shift)) * mult, shift)      score, 1/16 octave
//! m'    = max(m, 16 * ceil(max t / 16))                    running maximum: whole octaves
//! P     = (EXP_TABLE[m' - t] + rest) / 256                 u8; the remainder is the rest of the eighth key after
//! O     = srs(O * 2^(14 - d), 14) + P v                    d = (m' - m) / 16; from d = 15 on the old O is dropped
//! l     = srs(l * 2^(14 - d), 14) + sum P
//! ```
//!
//! and in the end `ctx = O / l`, requantised. `m` steps by octaves, so that rescaling is a rounding shift and costs
//! nothing where it does not change. The method and its parameters (16 steps an octave, weights of 8 bits)
//! are those of section 3.6 of the reference on Whisper's numerics.
//!
//! **Rests.** An exponential has 16 bits and P the upper 8 of them; what is left over is added to the exponential of the
//! key eight further on, in the same lane. So the weights of a lane sum to its exponentials within one step, and where
//! many keys share little weight each (a trained head looks at one key and, weakly, at all others) their sum survives,
//! which rounding each to the nearest step, 0, would lose. The lanes of a block begin with rests that are evenly spread
//! (`FIRST_RESTS`), so that what a lane cannot hold the eight lanes do. It costs an addition, a mask and half a shuffle
//! for 32 weights, and products stay u8 x i8 at full rate. For random heads of 1500 keys, with scores of a deviation of
//! 0.25, 1 and 3 octaves, `O / l` has 37.6, 34.1 and 27.4 dB against floats; with each weight rounded to the nearest it
//! would have 37.8, 35.2 and 18.4, and the two-pass softmax of 15-bit probabilities ([`crate::softmax`]) has 33.8, 35.5
//! and 40.2 (`running_softmax_is_near_two_passes`). In trained heads, whose values change slowly along the keys, rests
//! are worth 7 to 22 dB: see `docs/numerics.md`.
//!
//! Operands and ctx lie as in host memory ([`crate::layout`]). 8 keys x 8 dimensions are two tiles of neighbouring blocks
//! of rows, a load each (two loads are what 512 bits cost anyway). One shuffle turns them into the 8x8 tile of `k^T`, and
//! as they stand they are the tile of `v`; so neither needs a transposition in memory. What a core keeps (scores, weights,
//! sums) lies in strips of all its rows. The sum of P is one more product, with a tile of ones: it comes out in the tiles
//! of O as a strip of its own.

mod cases;
mod compact;
mod reference;

pub use cases::{entry_block, entry_finish, entry_start};
pub(crate) use reference::FIRST_RESTS;
pub use reference::{Attention, EXP_TABLE, Running, reference_i8, reference_i16};

use crate::code::Code;
use crate::fixed::ReciprocalTable;
use crate::layout::STRIP;
use kiln_dsl::kernel::build::{
    Acc32, Acc64, Accum, Block2 as _, Buf, Builder, Loadable, Mask, Scalar, TileBuf, ToVector, Vector, mmul,
};
use kiln_dsl::kernel::{Elem, Kernel};
use kiln_dsl::num::shuffle::{T8_8X8, T8_64X2_HI, T16_1X2_FLIP, T32_4X4, T128_4X2_HI, T128_4X2_LO};
use kiln_dsl::num::{Rounding, Saturation};

/// Keys of one block.
pub const KEYS: u32 = 64;

/// Most keys: the sum of exponentials stays below 2^20, which the last division relies on.
pub const MAX_KEYS: u32 = 4096;

/// Least shift of the scores: |t| is then at most 2^13, and far above a masked score.
pub const MIN_SHIFT: u32 = 17;

/// Score of a key that is not there: its exponential is 0 beside any other score.
const MASKED: i16 = -16384;

/// Fraction bits of `O / l`, which is at most 128 in units of v.
const QUOTIENT_BITS: u32 = 8;

/// `2^(14 - d)` for `d` octaves, 0 for 15 and more.
const OCTAVES: [i32; 16] =
    [1 << 14, 1 << 13, 1 << 12, 1 << 11, 1 << 10, 512, 256, 128, 64, 32, 16, 8, 4, 2, 1, 0];

/// Shift of the first factor of `O / l`: of 2^(22 + shift of l) bits, at most 2^30 remain.
const Z_SHIFT: u32 = 11;
/// `log2` of the largest sum of weights, rounded down.
const MAX_SUM_LOG2: u32 = 19;
/// What is left of `2^15 / l` after both factors, with [`QUOTIENT_BITS`] more.
const Y_SHIFT: u32 = 15 + MAX_SUM_LOG2 - QUOTIENT_BITS - Z_SHIFT;

/// Words of the header: keys, `acc_shift`, `mult`, `shift`, `out_mult`, `out_shift`, and two unused.
pub const HEADER_WORDS: u32 = 8;

/// Sizes of the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttentionShape {
    /// Queries of a core: a multiple of 16.
    pub rows: u32,
    /// Dimensions of a head: a multiple of 8.
    pub dims: u32,
    /// How the loops are written.
    pub code: Code,
}

/// One object of a core in L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L1Object {
    /// What it is.
    pub name: &'static str,
    /// Its bytes.
    pub bytes: u32,
}

impl AttentionShape {
    fn check(&self) {
        let fits = self.rows.is_multiple_of(16) && self.dims.is_multiple_of(8) && self.rows * self.dims > 0;
        assert!(fits, "{self:?}: expected rows by 16, dimensions by 8");
    }

    fn row_tiles(&self) -> u32 {
        self.rows / 4
    }

    fn strips(&self) -> u32 {
        self.dims / STRIP
    }

    fn name(&self, part: &str) -> String {
        format!("attention_{part}_{}x{}{}", self.rows, self.dims, self.code.suffix())
    }

    /// Elements of O.
    pub fn sums_len(&self) -> u32 {
        self.rows * self.dims
    }

    /// Elements of one value a row, in each lane of its tiles: l, the running maximum, a factor.
    pub fn lanes_len(&self) -> u32 {
        self.rows * STRIP
    }

    /// Elements of scores and of weights of one block of keys.
    pub fn scores_len(&self) -> u32 {
        self.rows * KEYS
    }

    /// What a core holds, with operands in as many copies as `depth` says.
    pub fn l1_objects(&self, out: Elem, depth: u32) -> Vec<L1Object> {
        let operand = |name, rows: u32| L1Object { name, bytes: rows * self.dims * depth };
        let one = |name, bytes| L1Object { name, bytes };
        vec![
            one("q, resident", self.rows * self.dims),
            operand("k", KEYS),
            operand("v", KEYS),
            one("scores t, i16", self.scores_len() * 2),
            one("sums O, i32", self.sums_len() * 4),
            one("sums l, i32", self.lanes_len() * 4),
            one("running maximum, i16", self.lanes_len() * 2),
            one("maxima and octaves of a block, i16", self.lanes_len() * 2),
            one("ctx; before, weights P, u8", (self.rows * self.dims * out.bytes()).max(self.scores_len())),
            one("header and progress", 2 * 4 * HEADER_WORDS),
            one("exponentials, two copies", 2 * 1024),
            one("octaves, two copies", 2 * 64),
            one("reciprocals", 512),
            one("lanes, and their first rests", 2 * 64),
        ]
    }
}

/// Before the first block of keys: sums 0, maximum lowest, no keys seen.
pub fn start(shape: AttentionShape) -> Kernel {
    shape.check();
    Kernel::build(&shape.name("start"), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let sums = k.output::<i32>("sums", [shape.sums_len()]);
        let total = k.output::<i32>("total", [shape.lanes_len()]);
        let top = k.output::<i16>("top", [shape.lanes_len()]);
        let seen = k.output::<i32>("seen", [HEADER_WORDS]);
        shape.code.inner(k).for_step(0, shape.sums_len(), 16, |i| sums.store(i, k.zeros::<i32, 16>()));
        let lowest = k.splat::<i16, 16>(i32::from(MASKED));
        shape.code.inner(k).for_step(0, shape.lanes_len(), 16, |i| {
            total.store(i, k.zeros::<i32, 16>());
            top.store(i, lowest);
        });
        seen.store(0, k.zeros::<i32, 8>());
    })
    .with_doc("The state of attention before the first block of keys.")
}

/// One block of keys. In 4x8 tiles: `q[rows, dims]`, `keys[64, dims]` and `values[64, dims]` i8; in strips: `sums` (O) and
/// `total` (l, in each lane of its row) i32, `top` (m, likewise) i16. `header` is [`Attention::header`]; `seen[0]` counts
/// the keys so far, and keys past the header's are masked. `scores`, `weights` and `octaves` are working memory.
pub fn block(shape: AttentionShape) -> Kernel {
    shape.check();
    let (mt, dt, kt) = (shape.row_tiles(), shape.strips(), KEYS / 8);
    Kernel::build(&shape.name("block"), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let q = k.input_tiles::<i8, 32>("q", [4, 8], [mt, dt]);
        let keys = k.input_tiles::<i8, 32>("keys", [4, 8], [2 * kt, dt]);
        let values = k.input_tiles::<i8, 32>("values", [4, 8], [2 * kt, dt]);
        let header = k.input::<i32>("header", [HEADER_WORDS]);
        let sums = k.inout_tiles::<i32, 32>("sums", [4, 8], [dt, mt]);
        let total = k.inout_tiles::<i32, 32>("total", [4, 8], [1, mt]);
        let top = k.inout_tiles::<i16, 32>("top", [4, 8], [1, mt]);
        let seen = k.inout::<i32>("seen", [HEADER_WORDS]);
        let scores = k.output_tiles::<i16, 32>("scores", [4, 8], [kt, mt]);
        let weights = k.output_tiles::<u8, 32>("weights", [4, 8], [kt, mt]);
        let octaves = k.output_tiles::<i16, 32>("octaves", [4, 8], [1, mt]);
        let first = seen.get(0);
        seen.set(0, first + KEYS);
        let b = BlockOf { k, shape, scores, octaves, top, sums, total };
        let scored = b.scored(header, first);
        match shape.code {
            Code::Fast => b.score(q, keys, scored),
            Code::Compact => b.score_compact(q, keys, scored),
        }
        b.raise();
        b.weigh(weights);
        match shape.code {
            Code::Fast => b.mix(weights, values),
            Code::Compact => b.mix_compact(weights, values),
        }
    })
    .with_doc(&format!(
        "Attention of {} queries to one block of {KEYS} keys of {} dimensions: scores, running softmax, sums.",
        shape.rows, shape.dims
    ))
}

/// What makes a score of a product.
#[derive(Clone, Copy)]
struct Scored<'k> {
    lane_keys: Vector<'k, i16, 32>,
    valid: Scalar<'k>,
    acc_shift: Scalar<'k>,
    shift: Scalar<'k>,
    mult: Vector<'k, i16, 32>,
    masked: Vector<'k, i16, 32>,
}

impl<'k> Scored<'k> {
    /// Which keys of tile `j` there are.
    fn there(&self, k: &'k Builder, j: Scalar<'k>) -> Mask<'k, 32> {
        self.lane_keys.lt(k.splat(self.valid - j * 8))
    }

    fn of(&self, sum: Accum<'k, Acc32, 32>, there: Mask<'k, 32>) -> Vector<'k, i16, 32> {
        let t = sum.srs::<i16>(self.acc_shift).times::<Acc32, i16>(self.mult).srs::<i16>(self.shift);
        there.select(t, self.masked)
    }
}

/// The parts of [`block`].
struct BlockOf<'k> {
    k: &'k Builder,
    shape: AttentionShape,
    scores: TileBuf<'k, i16, 32>,
    octaves: TileBuf<'k, i16, 32>,
    top: TileBuf<'k, i16, 32>,
    sums: TileBuf<'k, i32, 32>,
    total: TileBuf<'k, i32, 32>,
}

impl<'k> BlockOf<'k> {
    /// What makes a score of a product.
    fn scored(&self, header: Buf<'k, i32>, first: Scalar<'k>) -> Scored<'k> {
        let k = self.k;
        let lane_keys: Vec<u8> = (0..32u16).flat_map(|lane| (lane % 8).to_le_bytes()).collect();
        let lane_keys = k.table::<i16>("lane_keys", lane_keys).load::<32>(0);
        let valid = header.get(0) - first;
        let (acc_shift, shift) = (header.get(1), header.get(3));
        let mult = k.splat::<i16, 32>(header.get(2));
        let masked = k.splat::<i16, 32>(i32::from(MASKED));
        Scored { lane_keys, valid, acc_shift, shift, mult, masked }
    }

    /// Scores of all queries and keys, and their greatest by lane in `octaves`. Four tiles of rows at a time share the
    /// shuffled tiles of keys, and the product of 64 dimensions is one body, so that requantising overlaps it.
    fn score(&self, q: TileBuf<'k, i8, 32>, keys: TileBuf<'k, i8, 32>, scored: Scored<'k>) {
        let k = self.k;
        k.for_step(0, self.shape.row_tiles(), 4, |i| {
            let highest = k.pipelined(1).fold(KEYS / 8, [scored.masked; 4], |j, highest| {
                let there = scored.there(k, j);
                let mut sum: [[Option<Accum<Acc32, 32>>; 1]; 4] = [[None]; 4];
                for p in 0..self.shape.strips() {
                    let tile = keys.load(j * 2, p).concat::<64>(keys.load(j * 2 + 1, p));
                    let tile = tile.shuffle(tile, T8_8X8);
                    sum = sum.map2(|r, _, sum| {
                        let q = q.load(i + r as u32, p);
                        Some(match sum {
                            Some(sum) => k.mac(mmul::I8_I8_4X8X8, sum, q, tile),
                            None => k.mmul(mmul::I8_I8_4X8X8, q, tile),
                        })
                    });
                }
                std::array::from_fn(|r| {
                    let sum = sum[r][0].expect("a head has a strip");
                    let t = scored.of(sum, there);
                    self.scores.store(j, i + r as u32, t);
                    highest[r].max(t)
                })
            });
            for (r, highest) in highest.into_iter().enumerate() {
                self.octaves.store(0, i + r as u32, highest);
            }
        });
    }

    /// Raises the running maxima, and rescales the sums of rows whose maximum rose.
    fn raise(&self) {
        let (k, mt) = (self.k, self.shape.row_tiles());
        let (to_octave, octave) = (k.splat::<i16, 32>(15), k.splat::<i16, 32>(!15));
        let rise = self.shape.code.inner(k).fold(mt, k.zeros::<i16, 32>(), |i, rise| {
            let highest = row_maxima(self.octaves.load(0, i));
            let before = self.top.load(0, i);
            let after = before.max((highest + to_octave) & octave);
            self.top.store(0, i, after);
            let by = after - before;
            self.octaves.store(0, i, by);
            rise.max(by)
        });
        let powers = k.lookup_tables::<i16>("octave", &OCTAVES, [2, 3]);
        // Rises are rare after the first blocks: none of the block, then none of four rows, costs a test.
        k.for_n(rise.reduce_max().min(1), |_| {
            k.for_n(mt, |i| {
                let row = |r: u32| self.octaves.flat().get(i * 32 + r * STRIP);
                let any = row(0) | row(1) | row(2) | row(3);
                k.for_n(any.min(1), |_| {
                    let power = self.octaves.load(0, i).lookup(powers, 4, 0);
                    let halves = [(0, power.low::<16>()), (16, power.high::<16>())];
                    let scale = |sums: TileBuf<'k, i32, 32>, j: Scalar<'k>| {
                        for (lane, power) in halves {
                            let sum = sums.load_part::<16>(j, i, lane).times::<Acc64, i16>(power);
                            sums.store_part(j, i, lane, sum.srs::<i32>(14));
                        }
                    };
                    scale(self.total, k.constant(0));
                    self.shape.code.inner(k).for_step(0, self.shape.strips(), 1, |j| scale(self.sums, j));
                });
            });
        });
    }

    /// Weights of all scores, and their sums.
    fn weigh(&self, weights: TileBuf<'k, u8, 32>) {
        let k = self.k;
        // The bits of 16-bit numbers without sign: lanes wrap, and bytes are taken as they stand.
        let table: Vec<i32> = EXP_TABLE.iter().map(|&e| i32::from(e as i16)).collect();
        let exp = k.lookup_tables::<i16>("exp", &table, [2, 3]);
        let rests: Vec<u8> = FIRST_RESTS.iter().cycle().take(32).flat_map(|r| r.to_le_bytes()).collect();
        let first_rests = k.table::<i16>("first_rests", rests).load::<32>(0);
        let low_byte = k.splat::<i16, 32>(255);
        let ones = k.splat::<i8, 64>(1);
        k.for_n(self.shape.row_tiles(), |i| {
            let top = self.top.load(0, i);
            let start = (self.total.load(0, i).ups::<Acc32>(0), first_rests);
            let (sum, _) =
                self.shape.code.inner(k).fold_step(0, KEYS / 8, 2, start, |j, (mut sum, mut rest)| {
                    let [even, odd] = [0, 1].map(|next| {
                        let whole = (top - self.scores.load(j + next, i)).lookup::<i16>(exp, 0, 0) + rest;
                        rest = whole & low_byte;
                        whole
                    });
                    let bytes = even.shuffle(odd, T8_64X2_HI).cast::<u8, 64>();
                    for (next, weight) in [(0, bytes.low::<32>()), (1, bytes.high::<32>())] {
                        weights.store(j + next, i, weight);
                        sum = k.mac(mmul::U8_I8_4X8X8, sum, weight, ones);
                    }
                    (sum, rest)
                });
            self.total.store(0, i, sum.srs(0));
        });
    }

    /// Adds the weighted values to the sums.
    fn mix(&self, weights: TileBuf<'k, u8, 32>, values: TileBuf<'k, i8, 32>) {
        let k = self.k;
        k.for_step(0, self.shape.row_tiles(), 4, |i| {
            k.pipelined(1).for_step(0, self.shape.strips(), 1, |j| {
                let mut sum: [_; 4] =
                    std::array::from_fn(|r| self.sums.load(j, i + r as u32).ups::<Acc32>(0));
                for p in 0..KEYS / 8 {
                    let value = values.load(2 * p, j).concat::<64>(values.load(2 * p + 1, j));
                    sum = std::array::from_fn(|r| {
                        k.mac(mmul::U8_I8_4X8X8, sum[r], weights.load(p, i + r as u32), value)
                    });
                }
                for (r, sum) in sum.into_iter().enumerate() {
                    self.sums.store(j, i + r as u32, sum.srs(0));
                }
            });
        });
    }
}

/// Each row's greatest lane of a 4x8 tile, in all of the row's lanes.
pub(crate) fn row_maxima<'k>(tile: Vector<'k, i16, 32>) -> Vector<'k, i16, 32> {
    // Words of two lanes, transposed: group g of 128 bits has word g of each row.
    let words = tile.shuffle(tile, T32_4X4);
    let halves = |v: Vector<'k, i16, 32>| v.shuffle(v, T128_4X2_LO).max(v.shuffle(v, T128_4X2_HI));
    let words = words.max(words.shuffle(words, T16_1X2_FLIP));
    let all = halves(halves(words));
    all.shuffle(all, T32_4X4)
}

/// After the last block: `out[rows, dims] = O / l`, requantised, in 4x8 tiles. `mantissa` and `power` are working memory.
///
/// # Panics
/// When `elem` is neither i8 nor i16.
pub fn finish(shape: AttentionShape, elem: Elem) -> Kernel {
    shape.check();
    match elem {
        Elem::I8 => finish_as::<i8>(shape),
        Elem::I16 => finish_as::<i16>(shape),
        other => panic!("attention to {other}: expected i8 or i16"),
    }
}

fn finish_as<E: Loadable<32>>(shape: AttentionShape) -> Kernel
where
    Acc32: ToVector<E, 32>,
{
    let (mt, dt) = (shape.row_tiles(), shape.strips());
    let name = format!("{}_{}", shape.name("finish"), E::ELEM);
    Kernel::build(&name, Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let sums = k.input_tiles::<i32, 32>("sums", [4, 8], [dt, mt]);
        let total = k.input::<i32>("total", [shape.lanes_len()]);
        let header = k.input::<i32>("header", [HEADER_WORDS]);
        let mantissa = k.output_tiles::<i16, 32>("mantissa", [4, 8], [1, mt]);
        let power = k.output_tiles::<i16, 32>("power", [4, 8], [1, mt]);
        let out = k.output_tiles::<E, 32>("out", [4, 8], [mt, dt]);
        let reciprocal = ReciprocalTable::declare(k);
        shape.code.inner(k).for_step(0, shape.rows, 1, |row| {
            let scale = reciprocal.of(total.get(row * STRIP));
            let up = k.constant(1).shift_left(-scale.shift + MAX_SUM_LOG2);
            for (to, value) in [(mantissa, scale.mantissa), (power, up)] {
                to.flat().store(row * STRIP, k.splat::<i16, 16>(value).low::<8>());
            }
        });
        let (out_mult, out_shift) = (k.splat::<i16, 32>(header.get(4)), header.get(5));
        k.for_n(mt, |i| {
            let [mantissa, power] =
                [mantissa, power].map(|x| x.load(0, i)).map(|v| [v.low::<16>(), v.high::<16>()]);
            shape.code.inner(k).for_step(0, dt, 1, |j| {
                let half = |h: usize| {
                    let sum = sums.load_part::<16>(j, i, 16 * h as u32);
                    let z = sum.times::<Acc64, i16>(mantissa[h]).srs::<i32>(Z_SHIFT);
                    z.times::<Acc64, i16>(power[h]).srs::<i16>(Y_SHIFT)
                };
                let quotient = half(0).concat::<32>(half(1));
                out.store(i, j, quotient.times::<Acc32, i16>(out_mult).srs::<E>(out_shift));
            });
        });
    })
    .with_doc(&format!("ctx[{}, {}] {} of attention's sums.", shape.rows, shape.dims, E::ELEM))
}
