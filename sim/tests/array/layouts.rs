//! Splits and joins through a mem tile with n-d layouts move every byte where index algebra says.

use crate::support::*;
use kiln_dsl::array::{DesignBuilder, FifoRef};
use proptest::prelude::*;

/// A matrix of bytes cut into tiles.
#[derive(Clone, Copy, Debug)]
struct Tiling {
    rows: u32,
    cols: u32,
    tile_rows: u32,
    tile_cols: u32,
}

impl Tiling {
    fn bytes(self) -> u32 {
        self.rows * self.cols
    }

    /// Dimensions that visit a row-major matrix tile by tile.
    fn dims(self) -> [(u32, u32); 4] {
        let Tiling { rows, cols, tile_rows, tile_cols } = self;
        [
            (rows / tile_rows, tile_rows * cols),
            (cols / tile_cols, tile_cols),
            (tile_rows, cols),
            (tile_cols, 1),
        ]
    }

    /// Place in the row-major matrix of the byte that comes `at`-th when tile follows tile.
    fn row_major(self, at: u32) -> u32 {
        let in_tile = self.tile_rows * self.tile_cols;
        let (tile, inner) = (at / in_tile, at % in_tile);
        let across = self.cols / self.tile_cols;
        let row = (tile / across) * self.tile_rows + inner / self.tile_cols;
        let col = (tile % across) * self.tile_cols + inner % self.tile_cols;
        row * self.cols + col
    }
}

/// Two matrices of `bytes` each: through the mem tile to two cores and back, reordered on the way out of
/// the mem tile if `tile_in`, and ordered back on the way into it if `tile_out`.
fn split_and_join(tiling: Tiling, objects: u32, tile_in: bool, tile_out: bool) -> Ready {
    let part = tiling.bytes();
    let d = DesignBuilder::new("split_and_join", "A split, two cores, a join.");
    d.columns(1);
    let copy = d.kernel(copy_kernel("copy", part));
    let input = d.fifo("in_l2", shim(0), [mem(0)], i8s(2 * part));
    let output = d.fifo("out_l2", mem(0), [shim(0)], i8s(2 * part));
    let inner: Vec<(FifoRef<'_>, FifoRef<'_>)> = (0..2)
        .map(|row| {
            let mut to = d.fifo(format!("in_{row}"), mem(0), [core(0, row)], i8s(part));
            let mut from = d.fifo(format!("out_{row}"), core(0, row), [mem(0)], i8s(part));
            if tile_in {
                to = to.to_stream(tiling.dims());
            }
            if tile_out {
                from = from.from_stream(mem(0), tiling.dims());
            }
            pass(&d, core(0, row), copy, to, from);
            (to, from)
        })
        .collect();
    d.split(input, inner.iter().map(|f| f.0).zip([0, part]));
    d.join(inner.iter().map(|f| f.1).zip([0, part]), output);
    d.sequence(|s| {
        let total = 2 * part * objects;
        let (x, y) = (s.buffer("x", i8s(total)), s.buffer("y", i8s(total)));
        s.copy_linear(x, input, 0, u64::from(total));
        s.copy_linear(y, output, 0, u64::from(total));
        s.wait(output);
    });
    Ready::new(d.build())
}

fn tiling() -> impl Strategy<Value = Tiling> {
    // Rows and columns of tiles, and of a tile; bytes are whole words and whole vectors of 64.
    (1u32..4, 1u32..4, prop::sample::select(vec![4u32, 8]), prop::sample::select(vec![8u32, 16])).prop_map(
        |(down, across, tile_rows, tile_cols)| Tiling {
            rows: 2 * down * tile_rows,
            cols: across * tile_cols,
            tile_rows,
            tile_cols,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn bytes_arrive_where_index_algebra_says(
        tiling in tiling(), objects in 1u32..4, tile_in: bool, tile_out: bool, cycles in 1u64..3000,
    ) {
        let ready = split_and_join(tiling, objects, tile_in, tile_out);
        let part = tiling.bytes();
        let x = ramp(2 * part * objects);
        let mut host = [x.clone(), vec![0; x.len()]];
        ready.run(&mut host, &[cycles]).unwrap();
        let mut expected = vec![0; x.len()];
        for matrix in 0..2 * objects {
            for at in 0..part {
                // The core gets, as its `at`-th byte, the one at `from`, and the mem tile stores it at `to`.
                let from = if tile_in { tiling.row_major(at) } else { at };
                let to = if tile_out { tiling.row_major(at) } else { at };
                expected[(matrix * part + to) as usize] = x[(matrix * part + from) as usize];
            }
        }
        prop_assert_eq!(&host[1], &expected);
    }
}
