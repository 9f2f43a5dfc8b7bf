//! Tile-major matrices: a row-major grid of contiguous row-major tiles, as the kernels read them.

use ndarray::{Array2, ArrayView2};

/// The elements of `x` in tiles of `tile[0] x tile[1]`.
///
/// # Panics
/// When the matrix is not a whole number of tiles.
pub fn to_tiles<T: Copy>(x: ArrayView2<T>, [tr, tc]: [usize; 2]) -> Vec<T> {
    assert!(
        x.nrows().is_multiple_of(tr) && x.ncols().is_multiple_of(tc),
        "{:?} in tiles of {tr}x{tc}",
        x.dim()
    );
    let mut out = Vec::with_capacity(x.len());
    for tile in x.exact_chunks((tr, tc)) {
        out.extend(tile.iter().copied());
    }
    out
}

/// The `rows x cols` matrix whose tile-major elements are `tiles`.
///
/// # Panics
/// When the number of elements or the tile does not fit the shape.
pub fn from_tiles<T: Copy + Default>(
    tiles: &[T],
    [rows, cols]: [usize; 2],
    [tr, tc]: [usize; 2],
) -> Array2<T> {
    assert_eq!(tiles.len(), rows * cols, "elements of a {rows}x{cols} matrix");
    let mut out = Array2::default((rows, cols));
    for (mut to, from) in out.exact_chunks_mut((tr, tc)).into_iter().zip(tiles.chunks(tr * tc)) {
        to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tiles_are_contiguous_and_row_major() {
        let x = Array2::from_shape_fn((4, 4), |(r, c)| r * 10 + c);
        assert_eq!(to_tiles(x.view(), [2, 2]), [0, 1, 10, 11, 2, 3, 12, 13, 20, 21, 30, 31, 22, 23, 32, 33]);
    }

    proptest! {
        #[test]
        fn round_trip(rt in 1usize..5, ct in 1usize..5, tr in 1usize..9, tc in 1usize..9) {
            let x = Array2::from_shape_fn((rt * tr, ct * tc), |(r, c)| (r * 100 + c) as i32);
            prop_assert_eq!(from_tiles(&to_tiles(x.view(), [tr, tc]), [rt * tr, ct * tc], [tr, tc]), x);
        }
    }
}
