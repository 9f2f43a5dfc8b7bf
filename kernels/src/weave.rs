//! Bytes of rows in the order of strips, for a DMA that takes rows of 16 bits apart.

use crate::case::{Arg, Case, Entry, bytes_of};
use crate::tiles::to_tiles;
use kiln_dsl::kernel::Kernel;
use kiln_dsl::kernel::build::Builder;
use kiln_dsl::num::shuffle::{T64_2X8_HI, T64_2X8_LO, T128_4X2_HI, T128_4X2_LO};
use kiln_dsl::num::{Rounding, Saturation};
use ndarray::Axis;

/// The kernel: bytes of a turn of rows in the order in which [`crate::layout`] has them, for a DMA that sends memory as if
/// it were rows of 16 bits: of every 16 bytes in all rows, then of the next. `rows[turn, width]` is row-major; `out` has `2
/// columns` bytes a row, of which the first `width` are written.
///
/// What that DMA sends are pieces of 16 bytes, piece `turn s + r` from row `r`. Two rows of a strip are such a piece: those
/// of rows `2 q` and `2 q + 1` of strip `s` is piece `turn / 2 * s + q`. So pieces of even strips lie in the first half of
/// the rows, those of odd strips in the second.
///
/// # Panics
/// When `turn` is neither 2 nor 4, or `width` is not a multiple of 64 up to `2 columns`.
pub fn weave(turn: u32, width: u32, columns: u32) -> Kernel {
    assert!(
        [2, 4].contains(&turn) && width > 0 && width.is_multiple_of(64) && width <= 2 * columns,
        "{turn} rows of {width} bytes: expected 2 or 4, of n x 64 up to {}",
        2 * columns
    );
    let row = 2 * columns;
    Kernel::build(
        &format!("weave_{turn}x{width}_{row}"),
        Rounding::ConvEven,
        Saturation::On,
        |k: &Builder| {
            let rows = k.input::<i8>("rows", [turn, width]);
            let out = k.output::<i8>("out", [turn, row]);
            for q in 0..turn / 2 {
                k.pipelined(1).for_step(0, width, 64, |j| {
                    let [even, odd] = [0, 1].map(|r| rows.load::<64>(j + (2 * q + r) * width));
                    // Eight columns of each row in turn, strip after strip; then every other strip.
                    let [low, high] = [T64_2X8_LO, T64_2X8_HI].map(|mode| even.shuffle(odd, mode));
                    for (half, mode) in [(0, T128_4X2_LO), (1, T128_4X2_HI)] {
                        out.store(j + (turn / 2 * half + q) * row, low.shuffle(high, mode));
                    }
                });
            }
        },
    )
    .with_doc(&format!("{turn} rows of {width} bytes, in the order of strips for a DMA of 16-bit rows."))
}

/// [`weave`] with its test cases.
pub fn entry(turn: u32, width: u32, columns: u32) -> Entry {
    Entry::new(weave(turn, width, columns), move |source| {
        let rows = source.matrix::<i8>([turn as usize, width as usize], [-128, 127]);
        let piece = (turn * 16) as usize;
        let mut memory = vec![0u8; (turn * 2 * columns) as usize];
        // Strips of all rows, one after another: what is sent.
        for (sent, strip) in
            rows.axis_chunks_iter(Axis(1), 8).flat_map(|strip| to_tiles(strip, [1, 8])).enumerate()
        {
            let (group, at) = (sent / piece, sent % piece);
            memory[at / 16 * 2 * columns as usize + group * 16 + at % 16] = strip as u8;
        }
        let args =
            vec![Arg::Bytes(bytes_of(&rows.into_raw_vec_and_offset().0)), Arg::Bytes(vec![0; memory.len()])];
        Case { args, expected: vec![(1, memory)] }
    })
}
