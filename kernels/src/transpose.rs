//! Transposition of a matrix of bytes or words.

use ndarray::{Array2, ArrayView2};

/// `out[N, M]` in standard layout of `x[M, N]`.
pub fn reference<T: Copy>(x: ArrayView2<T>) -> Array2<T> {
    Array2::from_shape_fn((x.ncols(), x.nrows()), |(n, m)| x[(m, n)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let x = ndarray::arr2(&[[1i8, 2, 3], [4, 5, 6]]);
        let out = reference(x.view());
        assert_eq!(out, ndarray::arr2(&[[1, 4], [2, 5], [3, 6]]));
        assert!(out.is_standard_layout());
        assert_eq!(reference(out.view()), x);
    }
}
