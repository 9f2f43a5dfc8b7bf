//! GELU of bytes: a table with an entry for each argument, which comes with the data, since both scales are in it.
//!
//! Core time: 32 bytes take 9 cycles (the move slot, around two lookups), at least 1,152 for 4,096, of which the ideal
//! schedule predicts 1,282, packing of the table included, and `peano` 1,408 (`kernels/tests/core_time.rs`).

use crate::case::{Arg, Case, Entry, bytes_of};
pub use crate::made_table::ENTRIES;
use crate::made_table::of_bytes;
use kiln_dsl::kernel::Kernel;
use kiln_dsl::kernel::build::Builder;
use kiln_dsl::num::{Rounding, Saturation};
use ndarray::{Array, ArrayView, Dimension};

/// `table[x + 128]` of every element of `x`.
///
/// # Panics
/// When the table has fewer than 256 entries.
pub fn reference<D: Dimension>(x: ArrayView<i8, D>, table: &[i8]) -> Array<i8, D> {
    x.map(|&x| table[(i16::from(x) + 128) as usize])
}

/// Elements that one step takes.
const LANES: u32 = 32;

/// The kernel: [`reference()`] of `len` elements; `table[256]` begins with the result of -128.
///
/// # Panics
/// When `len` is not a multiple of 32.
pub fn gelu_table(len: u32) -> Kernel {
    assert!(len.is_multiple_of(LANES) && len > 0, "gelu of {len} bytes: expected a multiple of 32");
    Kernel::build(&format!("gelu_table_{len}"), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let x = k.input::<i8>("x", [len]);
        let table = k.input::<i8>("table", [ENTRIES]);
        let y = k.output::<i8>("y", [len]);
        let table = of_bytes(k, "values", table);
        k.pipelined(1).for_step(0, len, LANES, |i| y.store(i, x.load::<32>(i).lookup(table, 0, 128)));
    })
    .with_doc(&format!("y = table[x + 128], {len} elements of i8."))
}

/// The kernel with its test cases.
pub fn entry(len: u32) -> Entry {
    Entry::new(gelu_table(len), move |source| {
        let mut bytes = |len: u32| -> Vec<i8> {
            source.values(len as usize, -128, 127).into_iter().map(|v| v as i8).collect()
        };
        let (x, table) = (bytes(len), bytes(ENTRIES));
        let y = reference(ArrayView::from(&x), &table).to_vec();
        let args = [&x, &table, &vec![0; x.len()]].map(|bytes| Arg::Bytes(bytes_of(bytes)));
        let locals = [Arg::Local, Arg::Local];
        Case { args: args.into_iter().chain(locals).collect(), expected: vec![(2, bytes_of(&y))] }
    })
}
