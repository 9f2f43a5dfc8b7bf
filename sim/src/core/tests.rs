//! Both executors on kernels written with the builder.

mod cascade;
mod errors;
mod fixed;
mod random;
mod timing;

use super::{Engine, KernelArg, RunError, run_kernel_on};
use crate::executor::CallCost;
use kiln_dsl::Verified;
use kiln_dsl::device::Device;
use kiln_dsl::kernel::build::Builder;
use kiln_dsl::kernel::{Kernel, ParamKind, verify};
use kiln_dsl::num::{Rounding, Saturation};

/// A verified kernel in the modes that most kernels have.
fn kernel(author: impl for<'k> FnOnce(&'k Builder)) -> Verified<Kernel> {
    let kernel = Kernel::build("k", Rounding::ConvEven, Saturation::On, author);
    verify(kernel).unwrap_or_else(|e| panic!("{e}"))
}

/// Arguments whose bytes come from a small generator; tables get their own bytes.
fn arguments(kernel: &Kernel, seed: u32, integers: &[i32]) -> Vec<KernelArg> {
    let mut state = seed | 1;
    let mut next = move || {
        // xorshift32 (Marsaglia 2003).
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as u8
    };
    let mut integers = integers.iter();
    let arg = |param: &kiln_dsl::kernel::Param| match &param.kind {
        ParamKind::I32 => KernelArg::I32(integers.next().copied().unwrap_or(0)),
        ParamKind::Table(bytes) => KernelArg::Memory(bytes.clone()),
        _ => KernelArg::Memory((0..param.bytes()).map(|_| next()).collect()),
    };
    kernel.params.iter().map(arg).collect()
}

type Outcome = (Result<CallCost, RunError>, Vec<KernelArg>);

fn run(kernel: &Verified<Kernel>, engine: Engine, mut args: Vec<KernelArg>) -> Outcome {
    let result = run_kernel_on(kernel, Device::npu1(), engine, &mut args);
    (result, args)
}

/// Runs on both engines, which must agree in everything.
#[track_caller]
fn run_both(kernel: &Verified<Kernel>, args: Vec<KernelArg>) -> Outcome {
    let fast = run(kernel, Engine::Compiled, args.clone());
    let oracle = run(kernel, Engine::Interpreter, args);
    assert_eq!(fast, oracle);
    fast
}

/// The bytes of argument `index`.
fn bytes(args: &[KernelArg], index: usize) -> &[u8] {
    match &args[index] {
        KernelArg::Memory(bytes) => bytes,
        KernelArg::I32(n) => panic!("argument {index} is the integer {n}"),
    }
}

fn signed(args: &[KernelArg], index: usize) -> Vec<i8> {
    bytes(args, index).iter().map(|&b| b as i8).collect()
}

fn words(args: &[KernelArg], index: usize) -> Vec<i32> {
    let word = |w: &[u8]| i32::from_le_bytes(w.try_into().expect("four bytes"));
    bytes(args, index).chunks_exact(4).map(word).collect()
}
