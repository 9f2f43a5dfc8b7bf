//! The integers of fused attention, and what must come out.

use super::{
    HEADER_WORDS, KEYS, MASKED, MAX_KEYS, MAX_SUM_LOG2, MIN_SHIFT, OCTAVES, QUOTIENT_BITS, Y_SHIFT, Z_SHIFT,
};
use crate::fixed::{reciprocal_q15, saturate_i8, saturate_i16, saturate_i32, srs};
use crate::softmax::STEPS_PER_OCTAVE;
use ndarray::{Array2, ArrayView2, Axis};
use std::sync::LazyLock;

/// `round(65280 * 2^(-i/16))`: an exponential in 1/256 of a weight. The last entry, which stands for every larger
/// distance too, is 0.
pub static EXP_TABLE: LazyLock<[u16; 256]> = LazyLock::new(|| {
    let e = |i: usize| 65280.0 * (-(i as f64) / f64::from(STEPS_PER_OCTAVE)).exp2();
    std::array::from_fn(|i| if i == 255 { 0 } else { e(i).round() as u16 })
});

/// What the keys of each lane of a block begin with, in 1/256 of a weight: evenly spread, so that weights that are small
/// everywhere are 0 in some lanes and 1 in others. At most 255, so that with the largest exponential 16 bits hold.
pub(crate) const FIRST_RESTS: [u16; 8] = [16, 144, 80, 208, 48, 176, 112, 240];

/// Integers of one layer's attention, the same for every head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attention {
    /// Right shift of `q k^T` before it is taken as i16.
    pub acc_shift: u32,
    /// Multiplier of the scores.
    pub mult: i16,
    /// Right shift of the scores: [`MIN_SHIFT`]..=31.
    pub shift: u32,
    /// Multiplier of `O / l`, which is in 1/256 of a step of v.
    pub out_mult: i16,
    /// Right shift of ctx.
    pub out_shift: u32,
}

impl Attention {
    /// The integers for scores `t = S * score_factor` and `ctx = O / l * out_factor`.
    ///
    /// `score_factor` is `scale of q * scale of k / sqrt(head dimensions) * log2(e) * 16`, `acc_peak` the largest |S| that
    /// must not clip, and `out_factor` the scale of v over the scale of ctx.
    ///
    /// # Panics
    /// When a factor is not finite and positive.
    pub fn new(score_factor: f64, acc_peak: f64, out_factor: f64) -> Attention {
        let positive = |f: f64| f.is_finite() && f > 0.0;
        assert!(positive(score_factor) && positive(out_factor), "factors {score_factor}, {out_factor}");
        let acc_shift = (0..31).find(|&s| acc_peak / f64::from(1u32 << s) <= 32767.0).unwrap_or(31);
        let (mult, shift) = mantissa(score_factor * f64::from(acc_shift).exp2(), MIN_SHIFT);
        let (out_mult, out_shift) = mantissa(out_factor / f64::from(1 << QUOTIENT_BITS), 0);
        Attention { acc_shift, mult, shift, out_mult, out_shift }
    }

    /// A score in 1/16 octave, of a sum of products.
    pub(crate) fn score(&self, sum: i32) -> i16 {
        let h = saturate_i16(srs(sum.into(), self.acc_shift));
        srs(i64::from(h) * i64::from(self.mult), self.shift) as i16
    }

    pub(super) fn context(&self, quotient: i16) -> i64 {
        srs(i64::from(quotient) * i64::from(self.out_mult), self.out_shift)
    }

    /// What the core reads: see [`HEADER_WORDS`].
    pub fn header(&self, keys: u32) -> [i32; HEADER_WORDS as usize] {
        let [acc_shift, shift, out_shift] = [self.acc_shift, self.shift, self.out_shift].map(|s| s as i32);
        [keys as i32, acc_shift, self.mult.into(), shift, self.out_mult.into(), out_shift, 0, 0]
    }
}

/// `factor` as `mult / 2^shift`, 15 bits of it where the shift allows.
fn mantissa(factor: f64, min_shift: u32) -> (i16, u32) {
    let shift = (32767.4 / factor).log2().floor().clamp(f64::from(min_shift), 31.0);
    ((factor * shift.exp2()).round().clamp(1.0, 32767.0) as i16, shift as u32)
}

/// The state of some queries between blocks of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Weighted sum of values, `[queries, dimensions]`.
    pub o: Array2<i32>,
    /// Sum of weights.
    pub l: Vec<i32>,
    /// Maximum, in 1/16 octave: a multiple of 16.
    pub m: Vec<i16>,
}

impl Running {
    /// Before the first key.
    pub fn new(rows: usize, dims: usize) -> Running {
        Running { o: Array2::zeros((rows, dims)), l: vec![0; rows], m: vec![MASKED; rows] }
    }

    /// Takes a block of up to 64 keys.
    ///
    /// # Panics
    /// When sizes disagree.
    pub fn step(&mut self, q: ArrayView2<i8>, k: ArrayView2<i8>, v: ArrayView2<i8>, a: &Attention) {
        assert!(k.nrows() <= KEYS as usize && k.nrows() == v.nrows(), "a block of keys and its values");
        // Sums of 64 products of bytes are exact in f32.
        let float = |x: ArrayView2<i8>| x.mapv(f32::from);
        let scores = float(q).dot(&float(k).t()).mapv(|sum| a.score(sum as i32));
        let mut weights = Array2::<f32>::zeros(scores.dim());
        for (row, (t, mut p)) in scores.outer_iter().zip(weights.outer_iter_mut()).enumerate() {
            let top = t.iter().copied().fold(MASKED, i16::max);
            let next = self.m[row].max((top + 15) & !15);
            let octaves = (next - self.m[row]) / STEPS_PER_OCTAVE as i16;
            self.m[row] = next;
            if octaves > 0 {
                let power = OCTAVES[octaves.min(15) as usize];
                let row_sums = self.o.row_mut(row).into_iter().chain([&mut self.l[row]]);
                row_sums.for_each(|x| *x = saturate_i32(srs(i64::from(*x) * i64::from(power), 14)));
            }
            let mut rests = FIRST_RESTS;
            for (key, (p, &t)) in p.iter_mut().zip(t).enumerate() {
                let rest = &mut rests[key % FIRST_RESTS.len()];
                let whole = EXP_TABLE[(i32::from(next) - i32::from(t)).min(255) as usize] + *rest;
                let weight = whole >> 8;
                *rest = whole & 255;
                self.l[row] += i32::from(weight);
                *p = weight.into();
            }
        }
        self.o += &weights.dot(&float(v)).mapv(|sum| sum as i32);
    }

    /// `O / l` in 1/256 of a step of v.
    pub(super) fn quotients(&self) -> Array2<i16> {
        let mut out = Array2::zeros(self.o.dim());
        for ((o, mut out), &l) in self.o.outer_iter().zip(out.outer_iter_mut()).zip(&self.l) {
            let scale = reciprocal_q15(l);
            for (out, &o) in out.iter_mut().zip(o) {
                let z = saturate_i32(srs(i64::from(o) * i64::from(scale.mantissa), Z_SHIFT));
                *out = saturate_i16(srs(i64::from(z) << (MAX_SUM_LOG2 - scale.shift), Y_SHIFT));
            }
        }
        out
    }
}

fn quotients(q: ArrayView2<i8>, k: ArrayView2<i8>, v: ArrayView2<i8>, a: &Attention) -> Array2<i16> {
    assert_eq!(k.dim(), v.dim(), "keys and values");
    assert!(k.nrows() > 0 && k.nrows() <= MAX_KEYS as usize, "{} keys: expected 1..=4096", k.nrows());
    let mut running = Running::new(q.nrows(), q.ncols());
    let [k, v] = [k, v].map(|x| x.into_axis_chunks_iter(Axis(0), KEYS as usize));
    k.zip(v).for_each(|(k, v)| running.step(q, k, v, a));
    running.quotients()
}

/// ctx of one head in i8: `q[queries, dims]`, `k` and `v[keys, dims]`; all keys count.
///
/// # Panics
/// When shapes disagree, or there is no key, or more than [`MAX_KEYS`].
pub fn reference_i8(q: ArrayView2<i8>, k: ArrayView2<i8>, v: ArrayView2<i8>, a: &Attention) -> Array2<i8> {
    quotients(q, k, v, a).mapv(|y| saturate_i8(a.context(y)))
}

/// ctx of one head in i16.
///
/// # Panics
/// As [`reference_i8`].
pub fn reference_i16(q: ArrayView2<i8>, k: ArrayView2<i8>, v: ArrayView2<i8>, a: &Attention) -> Array2<i16> {
    quotients(q, k, v, a).mapv(|y| saturate_i16(a.context(y)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Data, Source};
    use crate::softmax;
    use proptest::prelude::*;

    /// One head with scores of the usual spread.
    struct Head {
        q: Array2<i8>,
        k: Array2<i8>,
        v: Array2<i8>,
        score_factor: f64,
    }

    fn head(seed: u64, keys: usize, octaves: f64) -> Head {
        let mut source = Source::new(seed, Data::Random);
        let mut bytes = |rows| source.matrix::<i8>([rows, 64], [-127, 127]);
        // The deviation of q k^T of even bytes is 73.3^2 * 8.
        Head {
            q: bytes(24),
            k: bytes(keys),
            v: bytes(keys),
            score_factor: octaves * 16.0 / (73.3 * 73.3 * 8.0),
        }
    }

    impl Head {
        fn integers(&self) -> Attention {
            Attention::new(self.score_factor, 6.0 * 73.3 * 73.3 * 8.0, 256.0)
        }

        fn scores(&self) -> Array2<f64> {
            let float = |x: &Array2<i8>| x.mapv(f64::from);
            float(&self.q).dot(&float(&self.k).t()) * (self.score_factor / 16.0)
        }

        /// ctx in 1/256 of v, in floats.
        fn exact(&self) -> Array2<f64> {
            let mut p = self.scores();
            for mut row in p.outer_iter_mut() {
                let max = row.fold(f64::MIN, |m: f64, &t| m.max(t));
                row.mapv_inplace(|t| (t - max).exp2());
                let sum = row.sum();
                row /= sum;
            }
            p.dot(&self.v.mapv(f64::from)) * 256.0
        }

        /// By weights that are each the nearest of 8 bits.
        fn nearest(&self) -> Array2<f64> {
            let mut p = self.scores();
            for mut row in p.outer_iter_mut() {
                let top = row.fold(f64::MIN, |m: f64, &t| m.max(t)).ceil();
                row.mapv_inplace(|t| (255.0 * ((t * 16.0).round() / 16.0 - top).exp2()).round());
                let sum = row.sum();
                row /= sum;
            }
            p.dot(&self.v.mapv(f64::from)) * 256.0
        }

        /// By the two-pass softmax of 15-bit probabilities.
        fn two_pass(&self) -> Array2<f64> {
            let t = self.scores().mapv(|t| (t * 16.0).round() as i16);
            let p = softmax::reference(t.view(), t.ncols());
            p.mapv(f64::from).dot(&self.v.mapv(f64::from)) / 128.0
        }
    }

    fn db(got: &Array2<f64>, exact: &Array2<f64>) -> f64 {
        let energy = |x: &Array2<f64>| x.iter().map(|v| v * v).sum::<f64>();
        10.0 * (energy(exact) / energy(&(got - exact))).log10()
    }

    #[test]
    fn running_softmax_is_near_two_passes() {
        for (octaves, least) in [(0.25, 37.0), (1.0, 34.0), (3.0, 27.0)] {
            let head = head(7, 1500, octaves);
            let exact = head.exact();
            let got =
                reference_i16(head.q.view(), head.k.view(), head.v.view(), &head.integers()).mapv(f64::from);
            let [one, two, nearest] = [&got, &head.two_pass(), &head.nearest()].map(|x| db(x, &exact));
            println!(
                "attention: scores of {octaves} octaves: running {one:.1} dB, two passes {two:.1} dB, weights rounded to the nearest {nearest:.1} dB"
            );
            assert!(one > least, "{octaves} octaves: {one:.1} dB");
        }
    }

    #[test]
    fn equal_scores_give_the_mean() {
        let v = Array2::from_shape_fn((130, 8), |(r, c)| if r < 65 { 100 - c as i8 } else { -50 });
        let zero = Array2::<i8>::zeros((130, 8));
        let a = Attention::new(0.01, 1e5, 1.0);
        let ctx = reference_i8(zero.slice(ndarray::s![..3, ..]), zero.view(), v.view(), &a);
        assert_eq!(ctx.row(2).to_vec(), [25, 24, 24, 24, 23, 22, 22, 22]);
    }

    #[test]
    fn one_key_is_its_value() {
        let one = |value: i8| Array2::from_elem((1, 8), value);
        for value in [-128, -1, 0, 127] {
            for score in [-128, 0, 127] {
                let a = Attention::new(0.01, 2e5, 1.0);
                let ctx = reference_i8(one(score).view(), one(127).view(), one(value).view(), &a);
                assert_eq!(ctx, one(value), "score {score}");
            }
        }
    }

    proptest! {
        /// Sums stay in the bounds that the division relies on, whatever the data.
        #[test]
        fn bounds_hold(seed: u64, keys in 1usize..400, octaves in 0.01f64..500.0, edges: bool) {
            let mut source = Source::new(seed, if edges { Data::Edges } else { Data::Random });
            let mut bytes = |rows| source.matrix::<i8>([rows, 32], [-128, 127]);
            let (q, k, v) = (bytes(5), bytes(keys), bytes(keys));
            let a = Attention::new(octaves / 5000.0, 5e5, 1.0);
            let mut running = Running::new(5, 32);
            for (k, v) in k.axis_chunks_iter(Axis(0), 64).zip(v.axis_chunks_iter(Axis(0), 64)) {
                running.step(q.view(), k, v, &a);
            }
            prop_assert!(running.l.iter().all(|&l| (128..1 << 20).contains(&l)), "{:?}", running.l);
            for (o, &l) in running.o.outer_iter().zip(&running.l) {
                prop_assert!(o.iter().all(|o| o.abs() <= 129 * l), "{o} {l}");
            }
            let ctx = reference_i8(q.view(), k.view(), v.view(), &a);
            let (low, high) = (*v.iter().min().unwrap(), *v.iter().max().unwrap());
            prop_assert!(ctx.iter().all(|c| (low.saturating_sub(1)..=high.saturating_add(1)).contains(c)));
        }
    }
}
