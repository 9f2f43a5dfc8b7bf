//! Zeros: the start of an accumulation that is spread over calls.

use crate::case::{Arg, Case, Entry};
use kiln_dsl::kernel::{Kernel, build::Builder};
use kiln_dsl::num::{Rounding, Saturation};

/// Lanes that one step stores.
const LANES: u32 = 32;

/// `c[i] = 0`, `len` i32.
///
/// # Panics
/// When `len` is not a multiple of 32.
pub fn zero_i32(len: u32) -> Kernel {
    assert!(len.is_multiple_of(LANES) && len > 0, "zero of {len} elements: expected a multiple of 32");
    Kernel::build(&format!("zero_i32_{len}"), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let c = k.output::<i32>("c", [len]);
        let zero = k.zeros::<i32, 32>();
        k.pipelined(1).for_step(0, len, LANES, |i| c.store(i, zero));
    })
    .with_doc(&format!("c = 0, {len} elements of i32."))
}

/// The kernel with its test cases.
pub fn entry(len: u32) -> Entry {
    Entry::new(zero_i32(len), move |source| {
        let before: Vec<u8> = source.values(len as usize * 4, 0, 255).into_iter().map(|v| v as u8).collect();
        Case { args: vec![Arg::Bytes(before)], expected: vec![(0, vec![0; len as usize * 4])] }
    })
}
