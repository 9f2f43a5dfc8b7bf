//! Transposition of a matrix of bytes or words.

use crate::case::{Arg, Case, Entry, bytes_of};
use crate::tiles::to_tiles;
use kiln_dsl::kernel::Kernel;
use kiln_dsl::kernel::build::Builder;
use kiln_dsl::num::shuffle::T8_8X8;
use kiln_dsl::num::{Rounding, Saturation};
use ndarray::{Array2, ArrayView2};

/// `out[N, M]` in standard layout of `x[M, N]`.
pub fn reference<T: Copy>(x: ArrayView2<T>) -> Array2<T> {
    Array2::from_shape_fn((x.ncols(), x.nrows()), |(n, m)| x[(m, n)])
}

/// The kernel: `out` is the transpose of `x[rows, cols]` (i8), both in 8x8 tiles of a row-major
/// grid: tile `(r, c)` goes, transposed by one vshuffle, to tile `(c, r)`.
///
/// # Panics
/// When `rows` or `cols` is not a multiple of 8.
pub fn transpose_i8(rows: u32, cols: u32) -> Kernel {
    assert!(
        rows.is_multiple_of(8) && cols.is_multiple_of(8) && rows * cols > 0,
        "transpose {rows}x{cols}: tiles are 8x8"
    );
    let (rt, ct) = (rows / 8, cols / 8);
    Kernel::build(
        &format!("transpose_i8_{rows}x{cols}"),
        Rounding::ConvEven,
        Saturation::On,
        |k: &Builder| {
            let x = k.input_tiles::<i8, 64>("x", [8, 8], [rt, ct]);
            let out = k.output_tiles::<i8, 64>("out", [8, 8], [ct, rt]);
            k.for_n(rt, |r| {
                k.pipelined(1).for_step(0, ct, 1, |c| {
                    let tile = x.load(r, c);
                    out.store(c, r, tile.shuffle(tile, T8_8X8));
                });
            });
        },
    )
    .with_doc(&format!("out[{cols}, {rows}] = transpose of x[{rows}, {cols}], i8 in 8x8 tiles."))
}

/// The kernel with its test cases.
pub fn entry(rows: u32, cols: u32) -> Entry {
    Entry::new(transpose_i8(rows, cols), move |source| {
        let x = source.matrix::<i8>([rows as usize, cols as usize], [-128, 127]);
        let out = bytes_of(&to_tiles(reference(x.view()).view(), [8, 8]));
        let args = vec![Arg::Bytes(bytes_of(&to_tiles(x.view(), [8, 8]))), Arg::Bytes(vec![0; out.len()])];
        Case { args, expected: vec![(1, out)] }
    })
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
