//! Attention of one head with a normalised softmax of bytes: the design document's `softmax(q k^T) v` in plain int8.
//!
//! A block of queries is resident, and so are its scores: probabilities want the greatest score and the sum of all
//! exponentials of a row, and rows are short in bytes (1536 keys of 24 queries take 36,864 B). Keys pass first, then
//! values, each once:
//!
//! ```text
//! t = sat8(requantised(q k^T))                    a block of 64 keys at a time
//! m = max t,  e = TABLE[m - t],  l = sum e        all keys: in the core's memory
//! P = min(srs(e * 2^15 / l, 8), 127)              Q7, in place of t
//! ctx = sat8(requantised(P v))                    a block of 64 values at a time
//! ```
//!
//! The other way, to find maxima and sums over passing keys and compute scores again for each, takes less memory and
//! three products with k: keys would pass three times. `TABLE` (256 exponentials, Q15) has the scores' scale in it and
//! comes with the data ([`Header`]). Rows of a tile share a shift: the mantissa of `2^15 / l` is multiplied by the power
//! of two that their own shifts lack to the greatest, in 64-bit lanes, exactly.
//!
//! Core time of 24 queries of 64 dimensions and 1536 keys: the softmax of four queries takes 8,365 cycles (`peano`; at
//! least 7,296: 38 for 32 scores, of which the move slot forms addresses of both lookups), 24 blocks of keys 483 each and
//! 24 of values 448 each, of which the multiplier needs 384 (`kernels/tests/core_time.rs`). A column of the array brings a
//! block in 1,024: while keys and values pass, cores wait for them.
//!
//! Operands and ctx lie as in host memory ([`crate::layout`]): in 4x8 tiles, the tiles of four rows after one another, and
//! so do sums. Scores of four rows are a buffer of their own, so that each fits a bank beside the tables. Two tiles of
//! neighbouring rows are an 8x8 tile of keys or values, as in [`crate::attention`].

mod cases;

pub use cases::{entry_finish, entry_mix, entry_normalise, entry_score, entry_start};

use crate::attention::{KEYS, row_maxima};
use crate::fixed::{ReciprocalTable, saturate_i8};
use crate::layout::STRIP;
use crate::made_table::{self, ENTRIES};
use crate::requantise::Requant;
use crate::{matmul, softmax};
use kiln_dsl::kernel::Kernel;
use kiln_dsl::kernel::build::{Acc32, Acc64, Accum, Buf, Builder, Mask, Scalar, TileBuf, Vector, mmul};
use kiln_dsl::num::shuffle::T8_8X8;
use kiln_dsl::num::{Rounding, Saturation};
use ndarray::{Array1, Array2, ArrayView2};

/// Most keys: the sum of their exponentials stays below 2^27, so that `2^15 / l` shifts by at most `MOST_SHIFT`.
pub const MAX_KEYS: u32 = 4096;

/// Shift of `2^15 / l` for the greatest sum.
const MOST_SHIFT: u32 = 26;

/// From the 15 bits of a probability to its 7.
const TO_BYTES: u32 = 8;

/// Words of the header before the table: keys; shifts and multiplier of scores, then of ctx; and one unused.
pub const HEADER_WORDS: u32 = 8;

/// Sizes of the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NormalisedShape {
    /// Queries of a core: a multiple of 4.
    pub rows: u32,
    /// Dimensions of a head: a multiple of 8.
    pub dims: u32,
    /// Keys that a core has scores for, those past the last included: a multiple of 64.
    pub keys: u32,
}

/// What a core must know of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Keys that count.
    pub keys: u32,
    /// `q k^T` to scores: one multiplier.
    pub scores: &'a Requant,
    /// Probabilities times v to ctx: one multiplier.
    pub context: &'a Requant,
    /// [`crate::softmax::exponentials`].
    pub table: &'a [i16; 256],
}

impl Header<'_> {
    /// Bytes: words, then the table.
    pub const BYTES: u32 = 4 * HEADER_WORDS + 2 * ENTRIES;

    /// First byte of the table.
    pub const TABLE_BYTE: u32 = 4 * HEADER_WORDS;

    /// The words.
    pub fn words(&self) -> [i32; HEADER_WORDS as usize] {
        let three = |q: &Requant| [q.acc_shift as i32, q.mult[0].into(), q.out_shift as i32];
        let ([a, b, c], [d, e, f]) = (three(self.scores), three(self.context));
        [self.keys as i32, a, b, c, d, e, f, 0]
    }
}

/// ctx of one head in i8: `q[queries, dims]`, `k` and `v[keys, dims]`; all keys count.
///
/// # Panics
/// When shapes disagree.
pub fn reference(q: ArrayView2<i8>, k: ArrayView2<i8>, v: ArrayView2<i8>, header: &Header) -> Array2<i8> {
    let zeros = |n| Array1::zeros(n);
    let scores = matmul::reference(q, k.t(), zeros(k.nrows()).view());
    let scores = scores.mapv(|sum| i16::from(saturate_i8(header.scores.apply(sum, 0))));
    let weights = softmax::reference_i8(scores.view(), header.table);
    let sums = matmul::reference(weights.view(), v, zeros(v.ncols()).view());
    sums.mapv(|sum| saturate_i8(header.context.apply(sum, 0)))
}

impl NormalisedShape {
    fn check(&self) {
        let Self { rows, dims, keys } = *self;
        let fits = rows.is_multiple_of(4) && dims.is_multiple_of(8) && keys.is_multiple_of(KEYS);
        assert!(
            fits && rows * dims > 0 && keys > 0 && keys <= MAX_KEYS,
            "{self:?}: expected rows by 4, dimensions by 8, keys by 64 up to 4096"
        );
    }

    fn row_tiles(&self) -> u32 {
        self.rows / 4
    }

    /// Tiles of rows that share what they load.
    fn together(&self) -> u32 {
        [4, 3, 2, 1].into_iter().find(|n| self.row_tiles().is_multiple_of(*n)).unwrap_or(1)
    }

    fn strips(&self) -> u32 {
        self.dims / STRIP
    }

    fn key_tiles(&self) -> u32 {
        self.keys / 8
    }

    fn name(&self, part: &str) -> String {
        format!("normalised_{part}_{}x{}x{}", self.rows, self.dims, self.keys)
    }

    /// Elements of the sums of weighted values.
    pub fn sums_len(&self) -> u32 {
        self.rows * self.dims
    }

    /// Buffers of scores: one for four rows.
    pub fn scores(&self) -> u32 {
        self.row_tiles()
    }

    /// Elements of the scores of four rows.
    pub fn scores_len(&self) -> u32 {
        4 * self.keys
    }
}

/// Before the first block of keys: sums 0, no keys seen.
pub fn start(shape: NormalisedShape) -> Kernel {
    shape.check();
    Kernel::build(&shape.name("start"), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let sums = k.output::<i32>("sums", [shape.sums_len()]);
        let seen = k.output::<i32>("seen", [HEADER_WORDS]);
        k.pipelined(1).for_step(0, shape.sums_len(), 16, |i| sums.store(i, k.zeros::<i32, 16>()));
        seen.store(0, k.zeros::<i32, 8>());
    })
    .with_doc("The state of normalised attention before the first block of keys.")
}

/// Scores of one block of keys, into their place among all. In 4x8 tiles: `q[rows, dims]` and `keys[64, dims]` i8.
/// `seen[0]` counts the keys so far. There are [`NormalisedShape::scores`] parameters for scores.
pub fn score(shape: NormalisedShape) -> Kernel {
    shape.check();
    let (mt, dt, together) = (shape.row_tiles(), shape.strips(), shape.together());
    Kernel::build(&shape.name("score"), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let q = k.input_tiles::<i8, 32>("q", [4, 8], [mt, dt]);
        let keys = k.input_tiles::<i8, 32>("keys", [4, 8], [KEYS / 4, dt]);
        let header = k.input::<i32>("header", [HEADER_WORDS]);
        let seen = k.inout::<i32>("seen", [HEADER_WORDS]);
        let scores: Vec<TileBuf<i8, 32>> =
            (0..mt).map(|i| k.inout_tiles(&format!("scores{i}"), [4, 8], [1, shape.key_tiles()])).collect();
        let first = seen.get(0);
        seen.set(0, first + KEYS);
        let (acc_shift, out_shift) = (header.get(1), header.get(3));
        let mult = k.splat::<i16, 32>(header.get(2));
        let first_tile = first.shift_right(3);
        for i in (0..mt).step_by(together as usize) {
            let scores = &scores[i as usize..];
            k.pipelined(1).for_step(0, KEYS / 8, 1, |j| {
                let mut sums: Vec<Option<Accum<Acc32, 32>>> = vec![None; together as usize];
                for p in 0..dt {
                    let tile = keys.load(j * 2, p).concat::<64>(keys.load(j * 2 + 1, p));
                    let tile = tile.shuffle(tile, T8_8X8);
                    for (r, sum) in sums.iter_mut().enumerate() {
                        let q = q.load(i + r as u32, p);
                        *sum = Some(match *sum {
                            Some(sum) => k.mac(mmul::I8_I8_4X8X8, sum, q, tile),
                            None => k.mmul(mmul::I8_I8_4X8X8, q, tile),
                        });
                    }
                }
                for (r, sum) in sums.into_iter().flatten().enumerate() {
                    let t = sum.srs::<i16>(acc_shift).times::<Acc32, i16>(mult).srs::<i8>(out_shift);
                    scores[r].store(0, first_tile + j, t);
                }
            });
        }
    })
    .with_doc(&format!(
        "Scores i8 of {} queries and one block of {KEYS} keys of {} dimensions.",
        shape.rows, shape.dims
    ))
}

/// Probabilities of the scores of four rows, in their place, by `table`, the exponentials; `header[0]` keys count, the
/// others get 0. Starts counting again, for the values. The shape's `rows` and `dims` do not matter.
pub fn normalise(shape: NormalisedShape) -> Kernel {
    shape.check();
    Kernel::build(
        &format!("normalised_softmax_{}", shape.keys),
        Rounding::ConvEven,
        Saturation::On,
        |k: &Builder| {
            let header = k.input::<i32>("header", [HEADER_WORDS]);
            let table = k.input::<i16>("table", [ENTRIES]);
            let seen = k.output::<i32>("seen", [HEADER_WORDS]);
            let scores = k.inout::<i8>("scores", [shape.scores_len()]);
            seen.store(0, k.zeros::<i32, 8>());
            let rows = Rows {
                k,
                valid: header.get(0),
                scores,
                exp: made_table::of_words(k, "exp", table),
                reciprocal: ReciprocalTable::declare(k),
                lane_keys: lane_keys(k),
                tiles: shape.key_tiles(),
            };
            rows.normalise();
        },
    )
    .with_doc(&format!("Probabilities Q7 of four queries over {} keys, by bytes.", shape.keys))
}

/// The key of each lane of a 4x8 tile, from the tile's first.
fn lane_keys(k: &Builder) -> Vector<'_, i16, 32> {
    let bytes = (0..32u16).flat_map(|lane| (lane % 8).to_le_bytes()).collect();
    k.table::<i16>("lane_keys", bytes).load::<32>(0)
}

/// What [`normalise`] does to four rows.
struct Rows<'k> {
    k: &'k Builder,
    valid: Scalar<'k>,
    scores: Buf<'k, i8>,
    exp: [Buf<'k, i16>; 2],
    reciprocal: ReciprocalTable<'k>,
    lane_keys: Vector<'k, i16, 32>,
    tiles: u32,
}

impl<'k> Rows<'k> {
    /// The scores of tile `tile`, and which of them are of keys that count.
    fn tile(&self, tile: Scalar<'k>) -> (Vector<'k, i16, 32>, Mask<'k, 32>) {
        let there = self.lane_keys.lt(self.k.splat(self.valid - tile * STRIP));
        (self.scores.load::<32>(tile * 32).unpack(), there)
    }

    /// Their exponentials.
    fn exponentials(&self, tile: Scalar<'k>, top: Vector<'k, i16, 32>) -> Vector<'k, i16, 32> {
        let (t, there) = self.tile(tile);
        there.select((top - t).lookup::<i16>(self.exp, 0, 0), self.k.zeros())
    }

    fn normalise(&self) {
        let k = self.k;
        let least = k.splat::<i16, 32>(i32::from(i8::MIN));
        let top = k.pipelined(1).fold(self.tiles, least, |tile, top| {
            let (t, there) = self.tile(tile);
            top.max(there.select(t, least))
        });
        let top = row_maxima(top);
        let sums = k.pipelined(1).fold(self.tiles, k.acc_zeros::<Acc32, 32>(), |tile, sums| {
            sums + self.exponentials(tile, top).ups(0)
        });
        let sums = sums.srs::<i32>(0);
        let none = k.zeros::<i32, 8>();
        let of_rows = |two: Vector<'k, i32, 16>| {
            [two.low::<8>(), two.high::<8>()]
                .map(|row| self.reciprocal.of(row.concat::<16>(none).reduce_add()))
        };
        let halves = [sums.low::<16>(), sums.high::<16>()].map(of_rows);
        let lanes = |value: Scalar<'k>| k.splat::<i16, 16>(value).low::<8>();
        let mantissa = halves.map(|rows| {
            let [upper, lower] = rows.map(|scale| lanes(scale.mantissa));
            upper.concat::<16>(lower)
        });
        let power = halves.map(|rows| {
            let [upper, lower] = rows.map(|scale| lanes(k.constant(1).shift_left(-scale.shift + MOST_SHIFT)));
            upper.concat::<16>(lower)
        });
        let mantissa = mantissa[0].concat::<32>(mantissa[1]);
        k.pipelined(1).for_step(0, self.tiles, 1, |tile| {
            let e = self.exponentials(tile, top).times::<Acc32, i16>(mantissa).srs::<i32>(0);
            let halves = [(e.low::<16>(), power[0]), (e.high::<16>(), power[1])];
            let [upper, lower] =
                halves.map(|(e, power)| e.times::<Acc64, i16>(power).srs::<i16>(MOST_SHIFT + TO_BYTES));
            self.scores.store(tile * 32, upper.concat::<32>(lower).pack());
        });
    }
}

/// Adds one block of values, weighted: `values[64, dims]` i8, `sums[rows, dims]` i32, and `weights`, the probabilities of
/// all keys. `seen[0]` counts the keys so far.
pub fn mix(shape: NormalisedShape) -> Kernel {
    shape.check();
    let (mt, dt, together) = (shape.row_tiles(), shape.strips(), shape.together());
    Kernel::build(&shape.name("mix"), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let weights: Vec<TileBuf<i8, 32>> =
            (0..mt).map(|i| k.input_tiles(&format!("weights{i}"), [4, 8], [1, shape.key_tiles()])).collect();
        let values = k.input_tiles::<i8, 32>("values", [4, 8], [KEYS / 4, dt]);
        let sums = k.inout_tiles::<i32, 32>("sums", [4, 8], [mt, dt]);
        let seen = k.inout::<i32>("seen", [HEADER_WORDS]);
        let first = seen.get(0);
        seen.set(0, first + KEYS);
        let first_tile = first.shift_right(3);
        for i in (0..mt).step_by(together as usize) {
            k.pipelined(1).for_step(0, dt, 1, |j| {
                let rows = || i..i + together;
                let mut sum: Vec<Accum<Acc32, 32>> = rows().map(|row| sums.load(row, j).ups(0)).collect();
                for p in 0..KEYS / 8 {
                    let value = values.load(2 * p, j).concat::<64>(values.load(2 * p + 1, j));
                    for (sum, row) in sum.iter_mut().zip(rows()) {
                        let weights = weights[row as usize].load(0, first_tile + p);
                        *sum = k.mac(mmul::I8_I8_4X8X8, *sum, weights, value);
                    }
                }
                sum.into_iter().zip(rows()).for_each(|(sum, row)| sums.store(row, j, sum.srs(0)));
            });
        }
    })
    .with_doc(&format!("{KEYS} values of {} dimensions, weighted for {} queries.", shape.dims, shape.rows))
}

/// After the last block: `out[rows, dims]` i8 of the sums, both in 4x8 tiles.
pub fn finish(shape: NormalisedShape) -> Kernel {
    shape.check();
    let len = shape.sums_len();
    Kernel::build(&shape.name("finish"), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let sums = k.input::<i32>("sums", [len]);
        let header = k.input::<i32>("header", [HEADER_WORDS]);
        let out = k.output::<i8>("out", [len]);
        let (acc_shift, out_shift) = (header.get(4), header.get(6));
        let mult = k.splat::<i16, 32>(header.get(5));
        k.pipelined(1).for_step(0, len, 32, |i| {
            let h = sums.load::<32>(i).ups::<Acc32>(0).srs::<i16>(acc_shift);
            out.store(i, h.times::<Acc32, i16>(mult).srs::<i8>(out_shift));
        });
    })
    .with_doc(&format!("ctx[{}, {}] i8 of sums of weighted values.", shape.rows, shape.dims))
}
