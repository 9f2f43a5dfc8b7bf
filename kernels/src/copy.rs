//! A copy inside a core: keeps what came in an object after the object is released.

use crate::case::{Arg, Case, Entry};
use kiln_dsl::kernel::{Kernel, build::Builder};
use kiln_dsl::num::{Rounding, Saturation};

/// Bytes that one step moves.
pub const STEP: u32 = 32;

/// `y = x`, `len` bytes.
///
/// # Panics
/// When `len` is not a multiple of 32.
pub fn copy_i8(len: u32) -> Kernel {
    assert!(len.is_multiple_of(STEP) && len > 0, "copy of {len} B: expected a multiple of {STEP} B");
    Kernel::build(&format!("copy_i8_{len}"), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let x = k.input::<i8>("x", [len]);
        let y = k.output::<i8>("y", [len]);
        k.pipelined(1).for_step(0, len, STEP, |i| y.store(i, x.load::<32>(i)));
    })
    .with_doc(&format!("y = x, {len} bytes."))
}

/// The kernel with its test cases.
pub fn entry(len: u32) -> Entry {
    Entry::new(copy_i8(len), move |source| {
        let x: Vec<u8> = source.values(len as usize, 0, 255).into_iter().map(|v| v as u8).collect();
        Case { args: vec![Arg::Bytes(x.clone()), Arg::Bytes(vec![0; x.len()])], expected: vec![(1, x)] }
    })
}
