//! Fast matrix products of whole models: floating-point products in row blocks on all processors.
//!
//! Products of bf16 are added in the order and with the roundings of the cores, column by column side by side.
//!
//! Integer operands go through floating point too: every product and partial sum is an integer below the type's
//! exact range (2^24 or 2^53), so the order of the sums does not matter and the result is exact. Equal to
//! [`crate::matmul::reference`], and tested against it.

use ndarray::parallel::prelude::*;
use ndarray::{Array2, ArrayView1, ArrayView2, Axis, s};

use half::bf16;

use crate::fixed::saturate_i32;

/// Rows of one block: a unit of parallel work, which packs the other operand once.
const BLOCK_ROWS: usize = 192;

/// An integer operand of a product.
pub trait Operand: Copy + Send + Sync + Into<f64> {
    /// Largest magnitude.
    const PEAK: u64;
    /// The value.
    fn to_f32(self) -> f32;
}

impl Operand for i8 {
    const PEAK: u64 = 128;
    fn to_f32(self) -> f32 {
        self.into()
    }
}

impl Operand for i16 {
    const PEAK: u64 = 32768;
    fn to_f32(self) -> f32 {
        self.into()
    }
}

/// Applies `work` to blocks of rows of `a` in parallel, and stacks the results.
///
/// # Panics
/// When `work` does not return one row of `columns` per row.
pub fn by_rows<A, T, F>(a: ArrayView2<A>, columns: usize, work: F) -> Array2<T>
where
    A: Sync,
    T: Clone + Default + Send + Sync,
    F: Fn(ArrayView2<A>) -> Array2<T> + Sync,
{
    by_numbered_rows(a, columns, |_, a| work(a))
}

/// [`by_rows`], where `work` is told the number of its first row too.
fn by_numbered_rows<A, T, F>(a: ArrayView2<A>, columns: usize, work: F) -> Array2<T>
where
    A: Sync,
    T: Clone + Default + Send + Sync,
    F: Fn(usize, ArrayView2<A>) -> Array2<T> + Sync,
{
    let mut out = Array2::from_elem((a.nrows(), columns), T::default());
    let blocks = out.axis_chunks_iter_mut(Axis(0), BLOCK_ROWS).into_par_iter().enumerate();
    let rows = a.axis_chunks_iter(Axis(0), BLOCK_ROWS);
    blocks.zip(rows).for_each(|((i, mut out), a)| out.assign(&work(i * BLOCK_ROWS, a)));
    out
}

/// `a x b + bias` in f32.
///
/// # Panics
/// When the shapes do not fit.
pub fn dense(a: ArrayView2<f32>, b: ArrayView2<f32>, bias: ArrayView1<f32>) -> Array2<f32> {
    by_rows(a, b.ncols(), |a| a.dot(&b) + bias)
}

/// `finish(acc, row, column)` of every `acc = bias + a x b`, exactly.
///
/// # Panics
/// When the shapes do not fit, or a sum could leave the 2^53 that f64 holds exactly.
pub fn exact<A, B, T>(
    a: ArrayView2<A>,
    b: ArrayView2<B>,
    bias: ArrayView1<i32>,
    finish: impl Fn(i32, usize, usize) -> T + Sync,
) -> Array2<T>
where
    A: Operand,
    B: Operand,
    T: Clone + Default + Send + Sync,
{
    assert_eq!(b.ncols(), bias.len(), "columns of b and entries of bias");
    let peak = b.nrows() as u64 * A::PEAK * B::PEAK;
    assert!(peak < 1 << 53, "sums up to {peak} are not exact in f64");
    let finish = &finish;
    if peak <= 1 << 24 {
        let b = b.mapv(Operand::to_f32);
        by_numbered_rows(a, b.ncols(), |first, a| {
            let sums = a.mapv(Operand::to_f32).dot(&b);
            Array2::from_shape_fn(sums.dim(), |(m, n)| {
                finish(saturate_i32(i64::from(bias[n]) + sums[(m, n)] as i64), first + m, n)
            })
        })
    } else {
        let b = b.mapv(Into::<f64>::into);
        by_numbered_rows(a, b.ncols(), |first, a| {
            let sums = a.mapv(Into::<f64>::into).dot(&b);
            Array2::from_shape_fn(sums.dim(), |(m, n)| {
                finish(saturate_i32(i64::from(bias[n]) + sums[(m, n)] as i64), first + m, n)
            })
        })
    }
}

/// Products that one instruction adds.
const DEPTH: usize = 8;

/// Exponent of a zero: below every other, also when added to one.
const NO_EXPONENT: i32 = -1000;

/// Exponent of the leading bit of a bf16's format, and its value.
fn parts(value: bf16) -> (i32, f64) {
    let field = i32::from(value.to_bits() >> 7 & 0xff);
    let exponent = if value == bf16::ZERO { NO_EXPONENT } else { field.max(1) - 127 };
    (exponent, value.to_f64())
}

/// `finish(sum, row, column)` of every `sum = bias + a x b`, eight products and the sum so far at a time as
/// [`crate::float::mac`] adds them: every term rounded to nearest even to a multiple of `2^(e - 23)`, `e` the largest
/// exponent of them (of a product: the sum of its operands'), then an exact sum, rounded once. A last group of fewer
/// rows of `b` is filled with zeros.
///
/// # Panics
/// When the shapes do not fit.
pub fn rounded<T>(
    a: ArrayView2<bf16>,
    b: ArrayView2<bf16>,
    bias: ArrayView1<f32>,
    finish: impl Fn(f32, usize, usize) -> T + Sync,
) -> Array2<T>
where
    T: Clone + Default + Send + Sync,
{
    assert!(a.ncols() == b.nrows() && b.ncols() == bias.len(), "columns of a, rows of b; columns of b, bias");
    let columns = b.ncols();
    let b = b.as_standard_layout();
    let exponents = b.mapv(|v| parts(v).0);
    let values = b.mapv(|v| parts(v).1);
    let finish = &finish;
    by_numbered_rows(a, columns, |first, a| {
        let mut out = Array2::from_elem((a.nrows(), columns), T::default());
        let mut sums = Sums::new(columns);
        for (m, (row, mut out)) in a.outer_iter().zip(out.outer_iter_mut()).enumerate() {
            sums.sum.iter_mut().zip(bias).for_each(|(sum, &bias)| *sum = bias);
            let row: Vec<(i32, f64)> = row.iter().map(|&v| parts(v)).collect();
            for (group, eight) in row.chunks(DEPTH).enumerate() {
                let rows = s![group * DEPTH..group * DEPTH + eight.len(), ..];
                sums.add(eight, exponents.slice(rows), values.slice(rows));
            }
            out.iter_mut().zip(&sums.sum).enumerate().for_each(|(n, (out, &sum))| {
                *out = finish(sum, first + m, n);
            });
        }
        out
    })
}

/// The sums of one row of a product, all columns side by side.
struct Sums {
    sum: Vec<f32>,
    highest: Vec<i32>,
    align: Vec<f64>,
    total: Vec<f64>,
}

impl Sums {
    fn new(columns: usize) -> Sums {
        let zeros = || vec![0.0; columns];
        Sums { sum: vec![0.0; columns], highest: vec![0; columns], align: zeros(), total: zeros() }
    }

    /// Adds up to eight products to every sum: with each of `a`, a row of exponents and of values of the right matrix.
    fn add(&mut self, a: &[(i32, f64)], exponents: ArrayView2<i32>, values: ArrayView2<f64>) {
        let Sums { sum, highest, align, total } = self;
        for (e, sum) in highest.iter_mut().zip(sum.iter()) {
            let field = (sum.to_bits() >> 23 & 0xff) as i32;
            *e = if *sum == 0.0 { NO_EXPONENT } else { field.max(1) - 127 };
        }
        for (&(exponent, _), exponents) in a.iter().zip(exponents.outer_iter()) {
            let exponents = exponents.to_slice().expect("rows are dense");
            highest.iter_mut().zip(exponents).for_each(|(e, &of_b)| *e = (*e).max(exponent + of_b));
        }
        for ((align, &e), (total, &sum)) in
            align.iter_mut().zip(highest.iter()).zip(total.iter_mut().zip(sum.iter()))
        {
            // Added to this, a term's last bit is worth 2^(e - 23); without a term, nothing matters.
            *align = 1.5 * f64::from_bits(((e.max(-300) + 29 + 1023) as u64) << 52);
            *total = (f64::from(sum) + *align) - *align;
        }
        for (&(_, value), values) in a.iter().zip(values.outer_iter()) {
            let values = values.to_slice().expect("rows are dense");
            for ((total, &align), &of_b) in total.iter_mut().zip(align.iter()).zip(values) {
                *total += (value * of_b + align) - align;
            }
        }
        for (sum, &total) in sum.iter_mut().zip(total.iter()) {
            let rounded = total as f32;
            *sum = if total == 0.0 {
                0.0
            } else if rounded.abs() < f32::MIN_POSITIVE {
                rounded * 0.0
            } else {
                rounded
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{matmul, matmul_bf16};
    use ndarray::Array1;
    use proptest::prelude::*;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// Every mantissa, both signs, zeros, and exponents far enough apart that terms round away.
        #[test]
        fn bf16_equals_the_reference(m in 1usize..20, eights in 1usize..40, n in 1usize..20, seed: u64, spread in 1i32..60) {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
            let mut number = || match rng.random_range(0..8) {
                0 => bf16::ZERO,
                _ => {
                    let exponent = (127 + rng.random_range(-spread..spread)) as u16;
                    bf16::from_bits(rng.random::<u16>() & 0x807f | exponent << 7)
                }
            };
            let a = Array2::from_shape_fn((m, 8 * eights), |_| number());
            let b = Array2::from_shape_fn((8 * eights, n), |_| number());
            let bias = Array1::from_shape_fn(n, |n| if n % 3 == 0 { 0.0 } else { number().to_f32() * 1.001 });
            let got = rounded(a.view(), b.view(), bias.view(), |sum, _, _| sum.to_bits());
            let start = bias.broadcast((m, n)).expect("a row for each");
            let expected = matmul_bf16::reference(a.view(), b.view(), Some(start));
            prop_assert_eq!(got, expected.mapv(f32::to_bits));
        }

        #[test]
        fn equals_the_reference(m in 1usize..150, k in 1usize..1200, n in 1usize..40, seed: u64) {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
            let a8 = Array2::from_shape_fn((m, k), |_| rng.random::<i8>());
            let a16 = Array2::from_shape_fn((m, k), |_| rng.random::<i16>());
            let b = Array2::from_shape_fn((k, n), |_| rng.random::<i8>());
            let bias = Array1::from_shape_fn(n, |_| rng.random::<i32>());
            let (a8, a16, b, bias) = (a8.view(), a16.view(), b.view(), bias.view());
            prop_assert_eq!(exact(a8, b, bias, |acc, _, _| acc), matmul::reference(a8, b, bias));
            prop_assert_eq!(exact(a16, b, bias, |acc, _, _| acc), matmul::reference(a16, b, bias));
        }
    }
}
