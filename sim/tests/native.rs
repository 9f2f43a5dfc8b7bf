//! Random kernels over every form of the op table: emitted C++, compiled with g++, and the compiled
//! path equal the interpreter on every byte of memory.

use kiln_dsl::device::Device;
use kiln_dsl::kernel::{Kernel, Param, ParamKind, arbitrary, verify};
use kiln_dsl::native::{NativeArg, NativeKernels};
use kiln_sim::core::{Engine, KernelArg, run_kernel_on};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Kernels in the program.
const KERNELS: usize = 24;
/// Calls of each.
const CASES: usize = 3;

fn random_arg(rng: &mut StdRng, param: &Param) -> NativeArg {
    match &param.kind {
        ParamKind::I32 => NativeArg::I32(match rng.random_range(0..3) {
            0 => rng.random_range(-4..70),
            1 => [i32::MIN, i32::MAX, 0, -1][rng.random_range(0..4)],
            _ => rng.random(),
        }),
        ParamKind::Table(_) => NativeArg::Initial,
        _ => {
            let byte = |_| {
                if rng.random() { rng.random() } else { [0, 1, 0x7f, 0x80, 0xff][rng.random_range(0..5)] }
            };
            NativeArg::Bytes((0..param.bytes()).map(byte).collect())
        }
    }
}

fn interpreted(arg: &NativeArg, param: &Param) -> KernelArg {
    match (arg, &param.kind) {
        (NativeArg::I32(n), _) => KernelArg::I32(*n),
        (NativeArg::Bytes(bytes), _) => KernelArg::Memory(bytes.clone()),
        (NativeArg::Initial, ParamKind::Table(bytes)) => KernelArg::Memory(bytes.clone()),
        (NativeArg::Initial, _) => KernelArg::Memory(vec![0; param.bytes() as usize]),
    }
}

#[test]
fn random_kernels_run_natively_as_interpreted() {
    let mut rng = StdRng::seed_from_u64(20);
    let kernels: Vec<_> = (0..KERNELS)
        .map(|i| {
            let choices: Vec<u16> = (0..600).map(|_| rng.random()).collect();
            let kernel = Kernel { name: format!("arbitrary_{i}"), ..arbitrary::kernel(&choices) };
            verify(kernel).unwrap_or_else(|e| panic!("{e}"))
        })
        .collect();
    let dir = tempfile::tempdir().expect("a directory");
    let all: Vec<_> = kernels.iter().collect();
    let native = NativeKernels::compile(&all, dir.path()).unwrap_or_else(|e| panic!("{e}"));
    for kernel in &kernels {
        let cases: Vec<Vec<NativeArg>> =
            (0..CASES).map(|_| kernel.params.iter().map(|p| random_arg(&mut rng, p)).collect()).collect();
        let results = native.run(&kernel.name, &cases).unwrap_or_else(|e| panic!("{e}\n{}", **kernel));
        for (case, result) in cases.iter().zip(&results) {
            let mut args: Vec<KernelArg> =
                case.iter().zip(&kernel.params).map(|(arg, p)| interpreted(arg, p)).collect();
            let mut fast = args.clone();
            let cost = run_kernel_on(kernel, Device::npu1(), Engine::Interpreter, &mut args)
                .unwrap_or_else(|e| panic!("{e}\n{}", **kernel));
            assert_eq!(
                run_kernel_on(kernel, Device::npu1(), Engine::Compiled, &mut fast),
                Ok(cost),
                "{}",
                **kernel
            );
            assert!(fast == args, "the compiled path differs on {}", **kernel);
            for ((param, arg), native) in kernel.params.iter().zip(&args).zip(result) {
                let KernelArg::Memory(expected) = arg else { continue };
                let at = (0..expected.len()).find(|&i| expected[i] != native[i]);
                assert!(at.is_none(), "{} `{}`, byte {at:?}\n{}", kernel.name, param.name, **kernel);
            }
        }
    }
}
