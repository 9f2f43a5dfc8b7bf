//! The layout of activations in host memory: four rows at a time, in strips of eight columns.
//!
//! ```text
//! [block of 4 rows][strip of 8 columns][row in the block][column in the strip]
//! ```
//!
//! Four rows of a strip are the 4x8 tile that a matrix product reads as A and writes as C. It is contiguous, and so is any
//! run of strips of one block of rows, and any run of whole blocks. What one operation stores is therefore what the next
//! one loads, whatever part of the rows and columns each of them takes, and nothing on the way cuts it. Only at the ends of
//! an encoder, where a matrix is row-major, the host packs and unpacks it.

use ndarray::{Array2, ArrayView2};

/// Columns of a strip: those of every tile of A and C.
pub const STRIP: u32 = 8;

/// Rows of a block: those of every tile of A and C.
pub const BLOCK_ROWS: u32 = 4;

/// A matrix in blocks of four rows. Rows and columns past the matrix fill blocks and strips.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Blocked {
    /// Rows of the matrix.
    pub rows: u32,
    /// Columns of the matrix.
    pub columns: u32,
}

impl Blocked {
    /// The layout of `rows x columns`.
    ///
    /// # Panics
    /// When a size is 0.
    pub fn new(rows: u32, columns: u32) -> Blocked {
        assert!(rows > 0 && columns > 0, "{rows}x{columns}: expected sizes above 0");
        Blocked { rows, columns }
    }

    /// Elements of one block of rows.
    pub fn block_len(&self) -> u64 {
        u64::from(BLOCK_ROWS) * u64::from(self.columns.next_multiple_of(STRIP))
    }

    /// Elements of the whole.
    pub fn len(&self) -> u64 {
        u64::from(self.rows.div_ceil(BLOCK_ROWS)) * self.block_len()
    }

    /// Whether there are none; never.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where an element lies. The eight columns of a strip follow each other, and so do its rows.
    pub fn position(&self, row: u32, column: u32) -> u64 {
        let block = u64::from(row / BLOCK_ROWS) * self.block_len();
        let strip = u64::from(column / STRIP) * u64::from(BLOCK_ROWS * STRIP);
        block + strip + u64::from(row % BLOCK_ROWS * STRIP + column % STRIP)
    }

    /// The elements of `x`, with zeros where there is no matrix.
    ///
    /// # Panics
    /// When `x` has other rows or columns.
    pub fn pack<T: Copy + Default>(&self, x: ArrayView2<T>) -> Vec<T> {
        assert_eq!(x.dim(), (self.rows as usize, self.columns as usize), "rows and columns");
        let mut out = vec![T::default(); self.len() as usize];
        for ((row, column), &value) in x.indexed_iter() {
            out[self.position(row as u32, column as u32) as usize] = value;
        }
        out
    }

    /// The first `[rows, columns]` of the matrix whose elements are `packed`, from `[row, column]` on.
    ///
    /// # Panics
    /// When there are fewer elements.
    pub fn unpack_part<T: Copy>(
        &self,
        packed: &[T],
        [row, column]: [u32; 2],
        [rows, columns]: [u32; 2],
    ) -> Array2<T> {
        Array2::from_shape_fn((rows as usize, columns as usize), |(r, c)| {
            packed[self.position(row + r as u32, column + c as u32) as usize]
        })
    }

    /// The matrix whose elements are `packed`; what fills blocks and strips is dropped.
    ///
    /// # Panics
    /// When there are fewer elements than [`Blocked::len`].
    pub fn unpack<T: Copy>(&self, packed: &[T]) -> Array2<T> {
        assert!(packed.len() as u64 >= self.len(), "{} elements, expected {}", packed.len(), self.len());
        self.unpack_part(packed, [0, 0], [self.rows, self.columns])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiles::to_tiles;
    use ndarray::s;
    use proptest::prelude::*;

    fn counted(rows: u32, columns: u32) -> Array2<i32> {
        Array2::from_shape_fn((rows as usize, columns as usize), |(r, c)| (r * 10_000 + c) as i32)
    }

    proptest! {
        #[test]
        fn unpacking_gives_the_matrix_back(rows in 1u32..150, columns in 1u32..70) {
            let layout = Blocked::new(rows, columns);
            let x = counted(rows, columns);
            let packed = layout.pack(x.view());
            prop_assert_eq!(packed.len() as u64, layout.len());
            prop_assert_eq!(layout.unpack(&packed), x.clone());
            let part = layout.unpack_part(&packed, [rows / 2, columns / 3], [rows.div_ceil(3), columns.div_ceil(2)]);
            let [first, left] = [rows / 2, columns / 3].map(|n| n as usize);
            prop_assert_eq!(part.view(), x.slice(s![first..first + part.nrows(), left..left + part.ncols()]));
        }

        /// The whole is what a product's core has as A and as C: tiles in the order of the matrix.
        #[test]
        fn a_matrix_is_its_tiles_row_after_row(blocks in 1u32..9, strips in 1u32..9) {
            let layout = Blocked::new(blocks * BLOCK_ROWS, strips * STRIP);
            let x = counted(layout.rows, layout.columns);
            prop_assert_eq!(layout.pack(x.view()), to_tiles(x.view(), [4, 8]));
        }

        /// Blocks of rows and runs of strips of a block are contiguous: they are matrices in this layout.
        #[test]
        fn runs_of_strips_are_contiguous(blocks in 1u32..9, strips in 1u32..9, first in 0u32..8, count in 1u32..9) {
            let layout = Blocked::new(blocks * BLOCK_ROWS, (first + strips.max(count)) * STRIP);
            let x = counted(layout.rows, layout.columns);
            let packed = layout.pack(x.view());
            let part = Blocked::new(BLOCK_ROWS, count * STRIP);
            for row in (0..layout.rows).step_by(BLOCK_ROWS as usize) {
                let at = layout.position(row, first * STRIP) as usize;
                let [row, left, width] = [row, first * STRIP, part.columns].map(|n| n as usize);
                let own = x.slice(s![row..row + 4, left..left + width]);
                prop_assert_eq!(&packed[at..at + part.len() as usize], &part.pack(own)[..]);
            }
        }
    }
}
