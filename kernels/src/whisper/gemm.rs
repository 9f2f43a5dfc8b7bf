//! Fast matrix products of whole models: floating-point products in row blocks on all processors.
//!
//! Integer operands go through floating point too: every product and partial sum is an integer below the type's
//! exact range (2^24 or 2^53), so the order of the sums does not matter and the result is exact. Equal to
//! [`crate::matmul::reference`], and tested against it.

use ndarray::parallel::prelude::*;
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

use crate::fixed::saturate_i32;

/// Rows of one block: a unit of parallel work.
const BLOCK_ROWS: usize = 64;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matmul;
    use ndarray::Array1;
    use proptest::prelude::*;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
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
