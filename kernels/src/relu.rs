//! ReLU of bytes: the smallest kernel, and the one of the `relu2` design.

use crate::case::{Arg, Case, Entry, bytes_of};
use kiln_dsl::kernel::{Kernel, build::Builder};
use kiln_dsl::num::{Rounding, Saturation};

/// Bytes that one iteration takes: a 512-bit vector.
const STEP: u32 = 64;

/// `y[i] = max(x[i], 0)` for the first `n` of `capacity` bytes; `n` is a run-time multiple
/// of 64, at least one.
///
/// # Panics
/// When `capacity` is not a multiple of 64.
pub fn relu_i8(capacity: u32) -> Kernel {
    assert!(capacity.is_multiple_of(STEP), "capacity {capacity} B: expected a multiple of {STEP} B");
    Kernel::build("relu_i8", Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let x = k.input::<i8>("x", [capacity]);
        let y = k.output::<i8>("y", [capacity]);
        let n = k.param_i32("n");
        let zero = k.zeros::<i8, 64>();
        k.pipelined(1).for_step(0, n, STEP, |i| y.store(i, x.load::<64>(i).max(zero)));
    })
    .with_doc("y[i] = max(x[i], 0) for i below n, a positive multiple of 64; i8, row-major.")
}

/// Words that one iteration of [`relu_i32`] takes.
const WORDS: u32 = 16;

/// `x[i] = max(x[i], 0)` in place, `len` i32.
///
/// # Panics
/// When `len` is not a multiple of 16.
pub fn relu_i32(len: u32) -> Kernel {
    assert!(len.is_multiple_of(WORDS) && len > 0, "relu of {len} words: expected a multiple of {WORDS}");
    Kernel::build(&format!("relu_i32_{len}"), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let x = k.inout::<i32>("x", [len]);
        let zero = k.zeros::<i32, 16>();
        k.pipelined(1).for_step(0, len, WORDS, |i| x.store(i, x.load::<16>(i).max(zero)));
    })
    .with_doc(&format!("x[i] = max(x[i], 0) in place, {len} elements of i32."))
}

/// The in-place kernel with its test cases.
pub fn entry_i32(len: u32) -> Entry {
    Entry::new(relu_i32(len), move |source| {
        let x: Vec<i32> = source
            .values(len as usize, i32::MIN.into(), i32::MAX.into())
            .into_iter()
            .map(|v| v as i32)
            .collect();
        let y: Vec<i32> = x.iter().map(|&v| v.max(0)).collect();
        Case { args: vec![Arg::Bytes(bytes_of(&x))], expected: vec![(0, bytes_of(&y))] }
    })
}

/// The same in plain Rust.
pub fn reference(x: &[i8]) -> Vec<i8> {
    x.iter().map(|&v| v.max(0)).collect()
}

/// The kernel with its test cases.
pub fn entry(capacity: u32) -> Entry {
    Entry::new(relu_i8(capacity), move |source| {
        let len = capacity as usize;
        let x: Vec<i8> = source.values(len, -128, 127).into_iter().map(|v| v as i8).collect();
        let before: Vec<i8> = source.values(len, -128, 127).into_iter().map(|v| v as i8).collect();
        let n = source.number(1, i64::from(capacity / STEP)) as usize * STEP as usize;
        let mut y = before.clone();
        y[..n].copy_from_slice(&reference(&x[..n]));
        let args = vec![Arg::Bytes(bytes_of(&x)), Arg::Bytes(bytes_of(&before)), Arg::I32(n as i32)];
        Case { args, expected: vec![(1, bytes_of(&y))] }
    })
}
