//! Attention with other weights than the array's, of the same integer queries, keys and values: what the choice of
//! exponentials costs. Sums are in f64, and without the roundings of a running maximum.

use crate::attention::{Attention, FIRST_RESTS};
use crate::fixed::saturate_i16;
use crate::softmax::STEPS_PER_OCTAVE;
use crate::whisper::gemm;
use ndarray::{Array2, ArrayView2};
use std::fmt;

/// The weights of keys, from scores in octaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exponentials {
    /// Bytes with rests carried on, a running maximum in octaves: the kernel of [`crate::attention`].
    Array,
    /// Bytes, each the nearest.
    Nearest,
    /// Bytes with rests carried on, and the maximum in 1/16 octave.
    FineMaximum,
    /// 15 bits, each the nearest: products at half rate.
    Bits15,
    /// Floats, of scores that are not rounded.
    Floats,
}

impl Exponentials {
    /// All of them.
    pub const ALL: [Exponentials; 5] = [
        Exponentials::Array,
        Exponentials::Nearest,
        Exponentials::FineMaximum,
        Exponentials::Bits15,
        Exponentials::Floats,
    ];

    /// `ctx` of one head in 16 bits: `q[queries, dims]`, `k` and `v[keys, dims]`.
    pub fn mix(self, q: ArrayView2<i8>, k: ArrayView2<i8>, v: ArrayView2<i8>, a: &Attention) -> Array2<i16> {
        if self == Exponentials::Array {
            return gemm::by_rows(q, q.ncols(), |q| crate::attention::reference_i16(q, k, v, a));
        }
        let (keys, values) = (k.mapv(f64::from), v.mapv(f64::from));
        gemm::by_rows(q, q.ncols(), |q| {
            let mut weights = q.mapv(f64::from).dot(&keys.t());
            weights.outer_iter_mut().for_each(|mut row| {
                self.weigh(row.as_slice_mut().expect("rows of a product are contiguous"), a);
                let sum = row.sum();
                row /= sum;
            });
            let factor = 256.0 * f64::from(a.out_mult) * (-f64::from(a.out_shift)).exp2();
            weights.dot(&values).mapv(|y| saturate_i16((y * factor).round_ties_even() as i64))
        })
    }

    /// Sums of products become weights.
    fn weigh(self, row: &mut [f64], a: &Attention) {
        let steps = f64::from(STEPS_PER_OCTAVE);
        let octaves = |sum: f64| match self {
            Exponentials::Floats => {
                sum * f64::from(a.mult) * (-f64::from(a.acc_shift + a.shift)).exp2() / steps
            }
            _ => f64::from(a.score(sum as i32)) / steps,
        };
        row.iter_mut().for_each(|x| *x = octaves(*x));
        let most = row.iter().copied().fold(f64::MIN, f64::max);
        let top =
            if matches!(self, Exponentials::FineMaximum | Exponentials::Floats) { most } else { most.ceil() };
        let mut rests = FIRST_RESTS.map(f64::from);
        for (key, x) in row.iter_mut().enumerate() {
            let exact = (*x - top).exp2();
            *x = match self {
                Exponentials::Floats => exact,
                Exponentials::Bits15 => (32767.0 * exact).round(),
                Exponentials::Nearest => (255.0 * exact).round(),
                Exponentials::Array | Exponentials::FineMaximum => {
                    let rest = &mut rests[key % FIRST_RESTS.len()];
                    let whole = (65280.0 * exact).round() + *rest;
                    let weight = (whole / 256.0).floor();
                    *rest = whole - 256.0 * weight;
                    weight
                }
            };
        }
    }
}

impl fmt::Display for Exponentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Exponentials::Array => "bytes with rests carried on, as the array has them",
            Exponentials::Nearest => "bytes, each the nearest",
            Exponentials::FineMaximum => "bytes with rests, maximum in 1/16 octave",
            Exponentials::Bits15 => "15 bits, products at half rate",
            Exponentials::Floats => "floats",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Data, Source};

    /// Weights that differ little give a context that differs little, and floats the softmax itself.
    #[test]
    fn all_are_near_the_softmax() {
        let mut source = Source::new(3, Data::Random);
        let mut bytes = |rows| source.matrix::<i8>([rows, 64], [-127, 127]);
        let (q, k, v) = (bytes(20), bytes(300), bytes(300));
        let factor = 16.0 / (73.3 * 73.3 * 8.0);
        let a = Attention::new(factor, 6.0 * 73.3 * 73.3 * 8.0, 200.0);
        let scores = q.mapv(f64::from).dot(&k.mapv(f64::from).t()) * (factor / 16.0);
        let mut exact = scores.mapv(f64::exp2);
        for mut row in exact.outer_iter_mut() {
            let sum = row.sum();
            row /= sum;
        }
        let exact = exact.dot(&v.mapv(f64::from)) * 200.0;
        let energy = |x: &Array2<f64>| x.iter().map(|v| v * v).sum::<f64>();
        for (weights, least_db) in Exponentials::ALL.into_iter().zip([28.0, 28.0, 28.0, 34.0, 50.0]) {
            let got = weights.mix(q.view(), k.view(), v.view(), &a).mapv(f64::from);
            let db = 10.0 * (energy(&exact) / energy(&(&got - &exact))).log10();
            println!("{weights}: {db:.1} dB");
            assert!(db > least_db, "{weights}: {db:.1} dB");
        }
    }
}
