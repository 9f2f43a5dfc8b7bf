//! The layout of activations, and of weights, between operations: strips of eight columns.
//!
//! ```text
//! [block of rows][strip of 8 columns][row in the block][column in the strip]
//! ```
//!
//! Four rows of a strip are the 4x8 tile that a matrix product reads as A and writes as C, eight are the 8x8 tile that
//! it reads as B: both are contiguous, and so is any run of strips of one block of rows. What one operation stores is
//! therefore what the next one loads, whatever part of the columns each of them takes, and between operations copies
//! are linear. Only at the ends, where a matrix is row-major, a copy has dimensions: [`Blocked::row_major`].

use kiln_dsl::kernel::Elem;
use ndarray::{Array2, ArrayView2};

/// Columns of a strip: those of every tile.
pub const STRIP: u32 = 8;

/// A matrix in strips. Rows and columns past the matrix are zeros that fill blocks and strips.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Blocked {
    /// Rows of the matrix.
    pub rows: u32,
    /// Columns of the matrix.
    pub columns: u32,
    /// Rows of a block: a multiple of 8.
    pub block_rows: u32,
}

impl Blocked {
    /// The layout of `rows x columns` in blocks of `block_rows`.
    ///
    /// # Panics
    /// When a size is 0 or `block_rows` is not a multiple of 8.
    pub fn new(rows: u32, columns: u32, block_rows: u32) -> Blocked {
        let fits = rows > 0 && columns > 0 && block_rows > 0 && block_rows.is_multiple_of(8);
        assert!(
            fits,
            "{rows}x{columns} in blocks of {block_rows} rows: expected sizes above 0, blocks of 8 n"
        );
        Blocked { rows, columns, block_rows }
    }

    /// The layout of one block that is the whole matrix, as a kernel sees its operand.
    pub fn one_block(rows: u32, columns: u32) -> Blocked {
        Blocked::new(rows, columns, rows.next_multiple_of(8))
    }

    /// Blocks of rows.
    pub fn blocks(&self) -> u32 {
        self.rows.div_ceil(self.block_rows)
    }

    /// Strips of columns.
    pub fn strips(&self) -> u32 {
        self.columns.div_ceil(STRIP)
    }

    /// Elements of one strip of a block.
    pub fn strip_len(&self) -> u32 {
        self.block_rows * STRIP
    }

    /// Elements of one block of rows.
    pub fn block_len(&self) -> u64 {
        u64::from(self.strips()) * u64::from(self.strip_len())
    }

    /// Elements of the whole.
    pub fn len(&self) -> u64 {
        u64::from(self.blocks()) * self.block_len()
    }

    /// Whether there are none; never.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where an element lies. The eight columns of a strip follow each other, and so do its rows.
    pub fn position(&self, row: u32, column: u32) -> u64 {
        let block = u64::from(row / self.block_rows) * self.block_len();
        let strip = u64::from(column / STRIP) * u64::from(self.strip_len());
        block + strip + u64::from(row % self.block_rows * STRIP + column % STRIP)
    }

    /// The elements of `x`, padded with zeros.
    ///
    /// # Panics
    /// When `x` has other rows or columns.
    pub fn pack<T: Copy + Default>(&self, x: ArrayView2<T>) -> Vec<T> {
        assert_eq!(x.dim(), (self.rows as usize, self.columns as usize), "rows and columns");
        let mut out = vec![T::default(); self.len() as usize];
        for (row, values) in x.outer_iter().enumerate() {
            for (strip, values) in values.exact_chunks(STRIP as usize).into_iter().enumerate() {
                let at = self.position(row as u32, strip as u32 * STRIP) as usize;
                out[at..at + STRIP as usize].iter_mut().zip(values).for_each(|(to, &v)| *to = v);
            }
            for column in self.columns / STRIP * STRIP..self.columns {
                out[self.position(row as u32, column) as usize] = values[column as usize];
            }
        }
        out
    }

    /// The matrix whose elements are `packed`; padding is dropped.
    ///
    /// # Panics
    /// When there are fewer elements than [`Blocked::len`].
    pub fn unpack<T: Copy>(&self, packed: &[T]) -> Array2<T> {
        assert!(packed.len() as u64 >= self.len(), "{} elements, expected {}", packed.len(), self.len());
        Array2::from_shape_fn((self.rows as usize, self.columns as usize), |(r, c)| {
            packed[self.position(r as u32, c as u32) as usize]
        })
    }

    /// Sizes and strides of the copy that walks a row-major matrix of `row_stride` elements a row in
    /// the order of this layout, outermost first: blocks, strips, rows, columns.
    pub fn row_major(&self, row_stride: u64) -> [(u64, u64); 4] {
        let block = u64::from(self.block_rows);
        let strip = u64::from(STRIP);
        [
            (self.blocks().into(), block * row_stride),
            (self.strips().into(), strip),
            (block, row_stride),
            (strip, 1),
        ]
    }

    /// What a packed weight file says of its layout: `strips8:<block rows>:<element>`.
    pub fn stamp(&self, elem: Elem) -> String {
        format!("strips{STRIP}:{}:{elem}", self.block_rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiles::to_tiles;
    use proptest::prelude::*;

    fn counted(rows: u32, columns: u32) -> Array2<i32> {
        Array2::from_shape_fn((rows as usize, columns as usize), |(r, c)| (r * 10_000 + c) as i32)
    }

    proptest! {
        #[test]
        fn unpacking_gives_the_matrix_back(rows in 1u32..150, columns in 1u32..70, eights in 1u32..9) {
            let layout = Blocked::new(rows, columns, 8 * eights);
            let x = counted(rows, columns);
            let packed = layout.pack(x.view());
            prop_assert_eq!(packed.len() as u64, layout.len());
            prop_assert_eq!(layout.unpack(&packed), x);
        }

        /// The copy of the ends visits a row-major matrix in the layout's order.
        #[test]
        fn the_copy_from_row_major_packs(blocks in 1u32..4, strips in 1u32..6, eights in 1u32..5, gap in 0u32..9) {
            let (rows, columns) = (blocks * 8 * eights, strips * STRIP);
            let layout = Blocked::new(rows, columns, 8 * eights);
            let x = counted(rows, columns);
            let stride = u64::from(columns + gap);
            let [a, b, c, d] = layout.row_major(stride);
            let mut order = Vec::new();
            for i in 0..a.0 { for j in 0..b.0 { for k in 0..c.0 { for l in 0..d.0 {
                let at = i * a.1 + j * b.1 + k * c.1 + l * d.1;
                order.push(x[((at / stride) as usize, (at % stride) as usize)]);
            }}}}
            prop_assert_eq!(order, layout.pack(x.view()));
        }

        /// Tiles of A and C, and of B, are contiguous; a run of strips is a matrix of its own.
        #[test]
        fn tiles_are_contiguous(strips in 1u32..5, eights in 1u32..5, tile in prop::sample::select(vec![4u32, 8])) {
            let layout = Blocked::one_block(8 * eights, strips * STRIP);
            let x = counted(layout.rows, layout.columns);
            let packed = layout.pack(x.view());
            let by_strip: Vec<i32> = (0..strips as usize)
                .flat_map(|s| to_tiles(x.slice(ndarray::s![.., s * 8..(s + 1) * 8]), [tile as usize, 8]))
                .collect();
            prop_assert_eq!(packed, by_strip);
        }
    }
}
