//! The products of a block of keys with little code: strips and tiles of keys are loops, not written out, and two tiles of
//! rows share what is loaded.

use super::{BlockOf, KEYS, Scored};
use kiln_dsl::kernel::build::{Acc32, TileBuf, mmul};
use kiln_dsl::num::shuffle::T8_8X8;

/// Tiles of rows that share a tile of keys or values: a divisor of the four that a shape has at least.
const TOGETHER: usize = 2;

impl<'k> BlockOf<'k> {
    /// As [`BlockOf::score`].
    pub(super) fn score_compact(
        &self,
        q: TileBuf<'k, i8, 32>,
        keys: TileBuf<'k, i8, 32>,
        scored: Scored<'k>,
    ) {
        let k = self.k;
        k.for_step(0, self.shape.row_tiles(), TOGETHER as u32, |i| {
            let highest = k.fold(KEYS / 8, [scored.masked; TOGETHER], |j, highest| {
                let zeros = [k.acc_zeros::<Acc32, 32>(); TOGETHER];
                let sum = k.compact().fold(self.shape.strips(), zeros, |p, sum| {
                    let tile = keys.load(j * 2, p).concat::<64>(keys.load(j * 2 + 1, p));
                    let tile = tile.shuffle(tile, T8_8X8);
                    std::array::from_fn(|r| k.mac(mmul::I8_I8_4X8X8, sum[r], q.load(i + r as u32, p), tile))
                });
                let there = scored.there(k, j);
                std::array::from_fn(|r| {
                    let t = scored.of(sum[r], there);
                    self.scores.store(j, i + r as u32, t);
                    highest[r].max(t)
                })
            });
            for (r, highest) in highest.into_iter().enumerate() {
                self.octaves.store(0, i + r as u32, highest);
            }
        });
    }

    /// As [`BlockOf::mix`].
    pub(super) fn mix_compact(&self, weights: TileBuf<'k, u8, 32>, values: TileBuf<'k, i8, 32>) {
        let k = self.k;
        k.for_step(0, self.shape.row_tiles(), TOGETHER as u32, |i| {
            k.for_n(self.shape.strips(), |j| {
                let sums = std::array::from_fn::<_, TOGETHER, _>(|r| {
                    self.sums.load(j, i + r as u32).ups::<Acc32>(0)
                });
                let sums = k.compact().fold(KEYS / 8, sums, |p, sum| {
                    let value = values.load(p * 2, j).concat::<64>(values.load(p * 2 + 1, j));
                    std::array::from_fn(|r| {
                        k.mac(mmul::U8_I8_4X8X8, sum[r], weights.load(p, i + r as u32), value)
                    })
                });
                for (r, sum) in sums.into_iter().enumerate() {
                    self.sums.store(j, i + r as u32, sum.srs(0));
                }
            });
        });
    }
}
