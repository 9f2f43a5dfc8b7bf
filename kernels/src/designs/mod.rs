//! Whole designs: array programs with their runtime sequences.

pub mod gemm;
pub mod rows;
pub mod transpose;

use kiln_dsl::array::Tile;

/// The sixteen cores, column by column.
pub(crate) fn cores() -> impl Iterator<Item = Tile> {
    (0..4).flat_map(|col| (2..6).map(move |row| Tile::new(col, row)))
}
