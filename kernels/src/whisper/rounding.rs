//! Weights to bytes: scales and rounding that cost the least at the output of a matrix.
//!
//! With an input `x` of second moments `H = x^T x`, a column of errors `e` costs `e^T H e` at the output. [`nearest`]
//! ignores `H`; [`clipped_scales`] weighs each row's error by its diagonal; [`Compensation`] lets later rows of a column
//! make up for what earlier ones lost.

use ndarray::parallel::prelude::*;
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, s};

/// Largest magnitude of a weight.
const PEAK: f64 = 127.0;

/// Every weight over its column's scale, rounded to the nearest.
pub fn nearest(weight: ArrayView2<f32>, scales: &[f32]) -> Array2<i8> {
    Array2::from_shape_fn(weight.dim(), |(k, n)| steps(f64::from(weight[(k, n)]), scales[n]))
}

fn steps(weight: f64, scale: f32) -> i8 {
    rounded(weight, f64::from(scale)) as i8
}

/// The steps of a weight, to the nearest, of two as near to the even one.
fn rounded(weight: f64, scale: f64) -> f64 {
    // Added to a number below 2^51, this leaves no bits behind the point: rounding without a call of the C library, which
    // the baseline of x86-64 would need.
    const WHOLE: f64 = 1.5 * (1u64 << 52) as f64;
    ((weight / scale).clamp(-PEAK, PEAK) + WHOLE) - WHOLE
}

/// Shares of a peak that [`clipped_scales`] tries.
const SHARES: usize = 21;

/// Scales that may clip a column's largest weights: of the shares 1.0, 0.98, ... 0.6 of each `peak_scales[n]`, the one
/// with the least sum of squared errors, each weighed by the mean square of its input.
pub fn clipped_scales(weight: ArrayView2<f32>, peak_scales: &[f32], products: ArrayView2<f32>) -> Vec<f32> {
    let energy: Vec<f64> = products.diag().iter().map(|v| f64::from(*v)).collect();
    let best = |n: usize| {
        let scales: [f32; SHARES] = std::array::from_fn(|i| peak_scales[n] * (1.0 - 0.02 * i as f32));
        let exact = scales.map(f64::from);
        // All shares side by side; each cost is still a sum in the order of rows.
        let mut costs = [0.0f64; SHARES];
        for (&w, h) in weight.column(n).iter().zip(&energy) {
            let w = f64::from(w);
            for (cost, &scale) in costs.iter_mut().zip(&exact) {
                let error = w - rounded(w, scale) * scale;
                *cost += h * (error * error);
            }
        }
        let costed = costs.into_iter().zip(scales);
        costed.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(peak_scales[n], |best| best.1)
    };
    (0..weight.ncols()).into_par_iter().map(best).collect()
}

/// Share of the mean diagonal that is added to `H`, so that it is positive definite and unseen inputs count too.
const DAMPING: f64 = 0.01;

/// Columns that are rounded together: as many sums as registers hold.
const COLUMNS: usize = 16;

/// Rows of the factor that are made together.
const ROWS: usize = 32;

/// Rounds weights one row after the other, the rows with the largest inputs first; each is first moved by what makes up
/// best for the errors of those before. With `H = R R^T`, `R` upper triangular, the cost is `|R^T e|^2`, and row `k` of
/// `R^T e` vanishes for `e[k] = -sum of R[i, k] e[i] / R[k, k]` over `i < k`: the nearest step to that is taken (Babai's
/// nearest plane; the same integers as GPTQ, Frantar et al. 2022).
#[derive(Clone, Debug)]
pub struct Compensation {
    /// Rows of a matrix, those with the largest inputs first.
    order: Vec<usize>,
    /// `R^T`, so that its rows are contiguous.
    factor: Array2<f64>,
}

impl Compensation {
    /// For matrices whose input has these `products`, `[K, K]`.
    pub fn new(products: ArrayView2<f32>) -> Compensation {
        let mut order: Vec<usize> = (0..products.nrows()).collect();
        order.sort_by(|&a, &b| products[(b, b)].total_cmp(&products[(a, a)]));
        let factor = upper_factor(products, &order);
        Compensation { order, factor }
    }

    /// The integers of a matrix `[K, N]` with these scales.
    ///
    /// # Panics
    /// When it has another number of rows than the products.
    pub fn round(&self, weight: ArrayView2<f32>, scales: &[f32]) -> Array2<i8> {
        assert_eq!(weight.nrows(), self.order.len(), "products of the matrix' input");
        let mut integers = Array2::zeros(weight.dim());
        let blocks = integers.axis_chunks_iter_mut(Axis(1), COLUMNS).into_par_iter().enumerate();
        blocks.for_each(|(i, mut integers)| {
            let columns = i * COLUMNS..i * COLUMNS + integers.ncols();
            let (weight, scales) = (weight.slice(s![.., columns.clone()]), &scales[columns]);
            let mut errors = Vec::<[f64; COLUMNS]>::with_capacity(self.order.len());
            for ((at, &k), shares) in self.order.iter().enumerate().zip(self.factor.rows()) {
                // Row by row, so that it goes through memory in order and over columns side by side. Each column's sum
                // is still in the order of rows: features do not depend on how the work is cut.
                let mut lost = [0.0; COLUMNS];
                for (error, share) in errors.iter().zip(shares) {
                    lost.iter_mut().zip(error).for_each(|(lost, error)| *lost += error * share);
                }
                let mut error = [0.0; COLUMNS];
                for (n, scale) in scales.iter().enumerate() {
                    let exact = f64::from(weight[(k, n)]);
                    let step = steps(exact + lost[n] / shares[at], *scale);
                    integers[(k, n)] = step;
                    error[n] = exact - f64::from(step) * f64::from(*scale);
                }
                errors.push(error);
            }
        });
        integers
    }
}

/// `R^T` (so that its rows are contiguous) of `H = R R^T`, `H` in the given order and damped: the Cholesky factor of the
/// matrix with its order reversed, reversed again.
fn upper_factor(products: ArrayView2<f32>, order: &[usize]) -> Array2<f64> {
    let rows = order.len();
    let mean = products.diag().iter().map(|v| f64::from(*v)).sum::<f64>() / rows.max(1) as f64;
    let damping = (DAMPING * mean).max(1e-9);
    // Row by row, H becomes its factor: what row i has in a column follows from what it has before and that column's row.
    let mut lower = Array2::<f64>::zeros((rows, rows));
    lower.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(i, mut row)| {
        let products = products.row(order[rows - 1 - i]);
        let columns = order.iter().rev().take(i + 1);
        row.iter_mut().zip(columns).for_each(|(h, &k)| *h = f64::from(products[k]));
        row[i] += damping;
    });
    let mut lower = lower.into_raw_vec_and_offset().0;
    let known = |row: &[f64], other: &[f64], j: usize| {
        ArrayView1::from(&row[..j]).dot(&ArrayView1::from(&other[..j]))
    };
    for start in (0..rows).step_by(ROWS) {
        // A block of rows one after the other; then the columns of these rows in all rows below at once.
        let end = rows.min(start + ROWS);
        for (i, j) in (start..end).flat_map(|i| (start..=i).map(move |j| (i, j))) {
            let other = &lower[j * rows..][..rows];
            let rest = lower[i * rows + j] - known(&lower[i * rows..][..rows], other, j);
            lower[i * rows + j] = if i == j { rest.max(damping * 1e-3).sqrt() } else { rest / other[j] };
        }
        let (above, below) = lower.split_at_mut(end * rows);
        let mut below = ArrayViewMut2::from_shape((rows - end, rows), below).expect("whole rows");
        below.axis_iter_mut(Axis(0)).into_par_iter().for_each(|row| {
            let row = row.into_slice().expect("a contiguous row");
            for j in start..end {
                let other = &above[j * rows..][..rows];
                row[j] = (row[j] - known(row, other, j)) / other[j];
            }
        });
    }
    // R[i, k] = lower[rows - 1 - i, rows - 1 - k], and row k of R^T is its column k. Squares of both stay in the cache.
    let mut factor = Array2::zeros((rows, rows));
    factor.axis_chunks_iter_mut(Axis(0), ROWS).into_par_iter().enumerate().for_each(|(at, mut block)| {
        for first in (0..rows).step_by(ROWS) {
            for (k, i) in
                (0..block.nrows()).flat_map(|k| (first..rows.min(first + ROWS)).map(move |i| (k, i)))
            {
                block[(k, i)] = lower[(rows - 1 - i) * rows + rows - 1 - (at * ROWS + k)];
            }
        }
    });
    factor
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};

    /// Correlated inputs: random walks along the columns.
    fn inputs(rng: &mut Xoshiro256PlusPlus, rows: usize, columns: usize) -> Array2<f32> {
        let mut x = Array2::zeros((rows, columns));
        for mut row in x.axis_iter_mut(Axis(0)) {
            let mut walk = 0.0f32;
            row.mapv_inplace(|_: f32| {
                walk = 0.9 * walk + rng.random_range(-1.0f32..1.0);
                walk
            });
        }
        x
    }

    fn compensated(weight: ArrayView2<f32>, scales: &[f32], products: ArrayView2<f32>) -> Array2<i8> {
        Compensation::new(products).round(weight, scales)
    }

    /// Squared error of `x (w - q s)`.
    fn cost(x: &Array2<f32>, w: &Array2<f32>, q: &Array2<i8>, scales: &[f32]) -> f64 {
        let error = Array2::from_shape_fn(w.dim(), |(k, n)| w[(k, n)] - f32::from(q[(k, n)]) * scales[n]);
        x.dot(&error).iter().map(|v| f64::from(*v).powi(2)).sum()
    }

    #[test]
    fn compensation_pays_on_other_inputs_too() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
        let x = inputs(&mut rng, 600, 48);
        let w = Array2::from_shape_fn((48, 70), |_| rng.random_range(-1.0f32..1.0));
        let scales = vec![1.0 / 127.0; 70];
        let products = x.t().dot(&x);
        let rounded = nearest(w.view(), &scales);
        let moved = compensated(w.view(), &scales, products.view());
        let other = inputs(&mut rng, 600, 48);
        for x in [&x, &other] {
            let (a, b) = (cost(x, &w, &rounded, &scales), cost(x, &w, &moved, &scales));
            assert!(b < 0.6 * a, "compensated {b}, nearest {a}");
        }
        // Without correlations there is nothing to make up for.
        let plain = compensated(w.view(), &scales, Array2::eye(48).view());
        assert_eq!(plain, rounded);
    }

    /// [`compensated`] as one sum after the other.
    fn plainly(weight: &Array2<f32>, scales: &[f32], products: &Array2<f32>) -> Array2<i8> {
        let rows = weight.nrows();
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_by(|&a, &b| products[(b, b)].total_cmp(&products[(a, a)]));
        let mean = products.diag().iter().map(|v| f64::from(*v)).sum::<f64>() / rows as f64;
        let damping = (DAMPING * mean).max(1e-9);
        let back = |i: usize| order[rows - 1 - i];
        let mut lower = Array2::<f64>::zeros((rows, rows));
        for i in 0..rows {
            for j in 0..=i {
                let known = lower.slice(s![i, ..j]).dot(&lower.slice(s![j, ..j]));
                let h = f64::from(products[(back(i), back(j))]) + if i == j { damping } else { 0.0 };
                lower[(i, j)] =
                    if i == j { (h - known).max(damping * 1e-3).sqrt() } else { (h - known) / lower[(j, j)] };
            }
        }
        let mut integers = Array2::zeros(weight.dim());
        for n in 0..weight.ncols() {
            let mut errors = vec![0.0; rows];
            for (at, &k) in order.iter().enumerate() {
                let factor = |i: usize| lower[(rows - 1 - i, rows - 1 - at)];
                let lost = (0..at).fold(0.0, |sum, i| sum + errors[i] * factor(i));
                let exact = f64::from(weight[(k, n)]);
                let step = steps(exact + lost / factor(at), scales[n]);
                integers[(k, n)] = step;
                errors[at] = exact - f64::from(step) * f64::from(scales[n]);
            }
        }
        integers
    }

    #[test]
    fn no_integer_depends_on_how_the_work_is_cut() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
        for (rows, columns) in [(1, 1), (33, 65), (ROWS, COLUMNS), (100, 70)] {
            let x = inputs(&mut rng, 200, rows);
            let w = Array2::from_shape_fn((rows, columns), |_| rng.random_range(-1.0f32..1.0));
            let scales: Vec<f32> = (0..columns).map(|n| (1.0 + n as f32 / 50.0) / 127.0).collect();
            let products = x.t().dot(&x);
            let fast = compensated(w.view(), &scales, products.view());
            assert_eq!(fast, plainly(&w, &scales, &products), "{rows} x {columns}");
        }
    }

    #[test]
    fn the_factor_is_one() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(9);
        let x = inputs(&mut rng, 100, 12);
        let products = x.t().dot(&x);
        let order: Vec<usize> = (0..12).rev().collect();
        let factor = upper_factor(products.view(), &order);
        let again = factor.t().dot(&factor);
        for ((i, j), v) in again.indexed_iter() {
            let h = f64::from(products[(order[i], order[j])]);
            let damping = if i == j { 0.01 * f64::from(products.diag().sum()) / 12.0 } else { 0.0 };
            assert!((v - h - damping).abs() < 1e-3 * products[(0, 0)] as f64, "{i} {j}: {v} {h}");
            assert!(j <= i || factor[(i, j)] == 0.0);
        }
    }

    #[test]
    fn outliers_of_no_weight_are_clipped() {
        let mut weight = Array2::from_elem((64, 1), 0.013f32);
        weight[(0, 0)] = 1.0;
        let mut products = Array2::<f32>::eye(64);
        products[(0, 0)] = 1e-6;
        let peak = [1.0 / 127.0];
        let scales = clipped_scales(weight.view(), &peak, products.view());
        assert!(scales[0] < peak[0]);
        products[(0, 0)] = 1.0;
        assert_eq!(clipped_scales(weight.view(), &peak, products.view()), peak);
    }
}
