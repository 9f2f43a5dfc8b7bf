//! Matrix multiplication of integers: `acc[M, N] = bias[N] + a[M, K] x b[K, N]`, row-major, any M, K, N.

use ndarray::{Array2, ArrayView1, ArrayView2};

use crate::fixed::saturate_i32;

/// `acc[M, N] = bias[N] + a[M, K] x b[K, N]`: the exact sum, saturated to i32.
///
/// For i8 x i8, u8 x i8 and i16 x i8 operands. The quantiser keeps `sum |b| * max |a| + |bias|` of every column
/// below 2^31, so neither the saturation here nor a wrap of a 32-bit accumulator lane ever happens in a model.
///
/// # Panics
/// When `a`'s columns, `b`'s rows, or `b`'s columns and `bias` differ in number.
pub fn reference<A, B>(a: ArrayView2<A>, b: ArrayView2<B>, bias: ArrayView1<i32>) -> Array2<i32>
where
    A: Copy + Into<i64>,
    B: Copy + Into<i64>,
{
    assert_eq!(a.ncols(), b.nrows(), "columns of a and rows of b");
    assert_eq!(b.ncols(), bias.len(), "columns of b and entries of bias");
    Array2::from_shape_fn((a.nrows(), b.ncols()), |(m, n)| {
        let products = a.row(m).into_iter().zip(b.column(n)).map(|(&a, &b)| a.into() * b.into());
        saturate_i32(i64::from(bias[n]) + products.sum::<i64>())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{arr1, arr2, aview1};

    #[test]
    fn small_products() {
        let a = arr2(&[[1i8, -2, 3], [127, -128, 0]]);
        let b = arr2(&[[4i8, 5], [6, -7], [8, 9]]);
        assert_eq!(reference(a.view(), b.view(), aview1(&[10, -10])), arr2(&[[26, 36], [-250, 1521]]));
        let u = arr2(&[[255u8, 255, 255]]);
        assert_eq!(reference(u.view(), b.view(), aview1(&[0, 0])), arr2(&[[4590, 1785]]));
    }

    #[test]
    fn sixteen_bit_sums_saturate() {
        let a = Array2::from_elem((1, 1024), i16::MAX);
        let b = Array2::from_elem((1024, 1), 127i8);
        assert_eq!(reference(a.view(), b.view(), arr1(&[0]).view())[(0, 0)], i32::MAX);
        assert_eq!(reference(a.view(), b.mapv(|v| -v).view(), arr1(&[0]).view())[(0, 0)], i32::MIN);
    }
}
