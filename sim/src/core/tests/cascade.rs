//! Kernels that read and write the cascade.

use super::{arguments, bytes, kernel, words};
use crate::core::{CoreExecutor, Engine, KernelArg, KernelCost, RunError, run_kernel_with};
use crate::executor::{ArgValue, Cascade, CascadeValue, ExecError, KernelExecutor, TileMemories};
use kiln_dsl::Verified;
use kiln_dsl::array::KernelId;
use kiln_dsl::device::Device;
use kiln_dsl::kernel::build::{Acc32, Builder};
use kiln_dsl::kernel::{Kernel, arbitrary, verify};
use proptest::prelude::*;
use std::sync::Arc;

const ENGINES: [Engine; 2] = [Engine::Interpreter, Engine::Compiled];

/// Values whose lanes count up from `first`.
fn values(first: i32, count: i32) -> Vec<CascadeValue> {
    let lane = |value: i32, lane: i32| (first + 16 * value + lane).to_le_bytes();
    let bytes = |value| (0..16).flat_map(move |l| lane(value, l)).collect::<Vec<u8>>();
    (0..count).map(|v| bytes(v).try_into().expect("64 bytes")).collect()
}

/// `y[i] += cascade` for `count` values, each of which is passed on doubled.
fn adder(count: u32) -> Verified<Kernel> {
    kernel(|k: &Builder| {
        let y = k.inout::<i32>("y", [16 * count]);
        k.for_step(0, 16 * count, 16, |i| {
            let sum = k.cascade_get::<Acc32, 16>();
            y.store(i, (sum + y.load::<16>(i).ups(0)).srs::<i32>(0));
            (sum + sum).cascade_put();
        });
    })
}

#[test]
fn values_are_read_and_written_in_order() {
    let kernel = adder(3);
    for engine in ENGINES {
        let mut args = arguments(&kernel, 3, &[]);
        let before = words(&args, 0);
        let mut cascade = Cascade::default();
        cascade.feed(values(1000, 4));
        run_kernel_with(&kernel, Device::npu1(), engine, &mut args, &mut cascade).expect("enough values");
        let expected: Vec<i32> = before.iter().zip(1000..).map(|(b, v)| b.wrapping_add(v)).collect();
        assert_eq!(words(&args, 0), expected);
        let sent: Vec<i32> = cascade
            .take_output()
            .concat()
            .chunks_exact(4)
            .map(|w| i32::from_le_bytes(w.try_into().unwrap()))
            .collect();
        assert_eq!(sent, (1000..1048).map(|v| 2 * v).collect::<Vec<i32>>());
        assert_eq!(cascade.unread(), 1);
    }
}

#[test]
fn a_call_that_finds_too_little_leaves_everything_as_it_was() {
    let kernel = Arc::new(adder(3));
    for engine in ENGINES {
        let mut executor =
            CoreExecutor::new(&[Arc::clone(&kernel)], Device::npu1(), engine).expect("prepared");
        let start = bytes(&arguments(&kernel, 5, &[]), 0).to_vec();
        let mut memories = TileMemories::new(vec![start.clone()]);
        let args = [ArgValue::Memory { tile: 0, address: 0, bytes: 192 }];
        let mut cascade = Cascade::default();
        cascade.feed(values(7, 2));
        let before = cascade.clone();
        let blocked = executor.call(KernelId(0), &args, &mut memories, &mut cascade);
        let Err(ExecError::Blocked { site }) = blocked else { panic!("{blocked:?}") };
        assert!(site.to_string().contains("cascadeget"), "{site}");
        assert_eq!((&memories, &cascade), (&TileMemories::new(vec![start.clone()]), &before));
        cascade.feed(values(7 + 32, 1));
        executor.call(KernelId(0), &args, &mut memories, &mut cascade).expect("the third value came");
        assert_eq!(cascade.take_output().len(), 3);
        assert_ne!(memories, TileMemories::new(vec![start]));
    }
}

#[test]
fn a_kernel_by_itself_names_the_read_of_an_empty_cascade() {
    let kernel = adder(1);
    for engine in ENGINES {
        let mut args = arguments(&kernel, 1, &[]);
        let result = run_kernel_with(&kernel, Device::npu1(), engine, &mut args, &mut Cascade::default());
        assert!(matches!(result, Err(RunError::CascadeEmpty { .. })), "{result:?}");
    }
}

/// A read's value is there 7 cycles later (`latency_cycles.cascade_read`), and one read or write
/// issues a cycle.
#[test]
fn reads_take_their_latency_and_one_slot_each() {
    let device = Device::npu1();
    let cycles = |reads: u32| {
        let kernel = kernel(|k| (0..reads).for_each(|_| k.cascade_get::<Acc32, 16>().cascade_put()));
        KernelCost::new(&kernel, device).call().cycles
    };
    // The jump to the kernel; the return fills its delay slots with what the kernel does.
    let call = u64::from(device.core_timing.branch_cycles());
    let latency = u64::from(device.latency_cycles(kiln_dsl::kernel::ops::LatencyClass::CascadeRead));
    assert_eq!(latency, 7);
    assert_eq!(cycles(0), 2 * call);
    assert_eq!(cycles(1), call + latency + 1);
    assert_eq!(cycles(2), cycles(1) + 1);
    assert_eq!(cycles(9), cycles(1) + 8);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn compiled_equals_interpreted(
        choices in proptest::collection::vec(any::<u16>(), 0..400),
        seed in any::<u32>(),
        fed in 0i32..40,
    ) {
        let kernel = verify(arbitrary::cascade_kernel(&choices)).expect("arbitrary kernels are valid");
        let run = |engine| {
            let mut args: Vec<KernelArg> = arguments(&kernel, seed, &[3]);
            let mut cascade = Cascade::default();
            cascade.feed(values(seed as i32 >> 8, fed));
            let result = run_kernel_with(&kernel, Device::npu1(), engine, &mut args, &mut cascade);
            (result, args, cascade)
        };
        let oracle = run(Engine::Interpreter);
        prop_assert!(matches!(oracle.0, Ok(_) | Err(RunError::CascadeEmpty { .. })), "{:?}", oracle.0);
        prop_assert_eq!(oracle, run(Engine::Compiled));
    }
}
