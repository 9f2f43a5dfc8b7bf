//! Cycles of kernels, asserted exactly and derived by hand: a change of the model must show here.

use super::fixed::matmul;
use super::{arguments, kernel, run_both};
use crate::core::{KernelCost, LoopCost};
use kiln_dsl::Verified;
use kiln_dsl::device::Device;
use kiln_dsl::kernel::build::{Acc32, Builder, mmul};
use kiln_dsl::kernel::ops::Opcode;
use kiln_dsl::kernel::{Kernel, OpId};

fn cycles(kernel: &Verified<Kernel>, integers: &[i32]) -> u64 {
    run_both(kernel, arguments(kernel, 1, integers)).0.expect("the kernel runs").cycles
}

/// Costs of the loops, outer ones first.
fn loops(kernel: &Verified<Kernel>) -> Vec<LoopCost> {
    let cost = KernelCost::new(kernel, Device::npu1());
    let all = kernel.ops.iter().enumerate().filter(|(_, op)| op.opcode == Opcode::For);
    all.map(|(i, _)| cost.of_loop(OpId(i as u32))).collect()
}

/// A call, and the two modes at its start.
const CALL: u64 = 12 + 2;

/// Loop registers.
const SETUP: u64 = 3;

const BRANCH: u64 = 6;

fn relu(integers: &[i32]) -> Verified<Kernel> {
    kernel(|k| {
        let (x, y) = (k.input::<i8>("x", [2048]), k.output::<i8>("y", [2048]));
        let zero = k.zeros::<i8, 64>();
        let n = if integers.is_empty() { k.constant(2048) } else { k.param_i32("n") };
        k.for_step(0, n, 64, |i| y.store(i, x.load::<64>(i).max(zero)));
    })
}

#[test]
fn a_store_bound_loop_stores_every_cycle() {
    // Two half loads in cycle 0, the maximum in 7, half stores in 9 and 10.
    let relu = relu(&[]);
    assert_eq!(loops(&relu), [LoopCost { setup_cycles: SETUP, length_cycles: 11, next_cycles: 2, macs: 0 }]);
    // Zeros and the bounds before the loop take two cycles.
    assert_eq!(cycles(&relu, &[]), CALL + 2 + SETUP + 11 + 31 * 2);
}

#[test]
fn run_time_trip_counts_are_priced_as_they_run() {
    let relu = relu(&[1]);
    assert_eq!(loops(&relu)[0].setup_cycles, SETUP + BRANCH);
    let trips = |n| cycles(&relu, &[n * 64]);
    assert_eq!(trips(0), CALL + 2 + SETUP + BRANCH);
    assert_eq!(trips(-1), trips(0));
    assert_eq!(trips(1), trips(0) + 11);
    assert_eq!(trips(32), trips(1) + 31 * 2);
}

#[test]
fn a_matmul_of_4x2_blocks_multiplies_every_cycle() {
    let kernel = matmul(16, 32, 8);
    let macs = 8 * 4 * 8 * 8;
    // Eight access cycles on two load units, then the eight products from cycle 9 on, the last
    // result 5 after cycle 16.
    let inner = LoopCost { setup_cycles: SETUP, length_cycles: 21, next_cycles: 8, macs };
    // Clearing one accumulator and copying it to seven more, the last result 5 after cycle 8;
    // eight stores that shift, round and saturate on the way.
    let each = 13 + 8 + BRANCH;
    let middle = LoopCost { setup_cycles: SETUP, length_cycles: each, next_cycles: each, macs: 0 };
    let outer = LoopCost { setup_cycles: SETUP, length_cycles: BRANCH, next_cycles: BRANCH, macs: 0 };
    assert_eq!(loops(&kernel), [outer, middle, inner]);
    let group = SETUP + 21 + 31 * 8 + each;
    // The bounds and constants of all loops are made once.
    let constants = cycles(&kernel, &[9]) - (CALL + SETUP + 4 * (BRANCH + SETUP + 4 * group));
    assert!((1..=6).contains(&constants), "{constants}");
}

#[test]
fn one_accumulator_waits_for_itself() {
    let kernel = kernel(|k| {
        let a = k.input_tiles::<i8, 32>("a", [4, 8], [1, 16]);
        let b = k.input_tiles::<i8, 64>("b", [8, 8], [16, 1]);
        let c = k.output_tiles::<i8, 32>("c", [4, 8], [1, 1]);
        let sum = k.fold(16, k.acc_zeros::<Acc32, 32>(), |p, acc| {
            let acc = k.mac(mmul::I8_I8_4X8X8, acc, a.load(0, p), b.load(p, 0));
            k.mac(mmul::I8_I8_4X8X8, acc, a.load(0, p), b.load(p, 0))
        });
        c.store(0, 0, sum.srs::<i8>(4));
    });
    // Two products in a chain of 2 cycles each; the loads alone would allow 3.
    assert_eq!(loops(&kernel)[0].next_cycles, 4);
}

#[test]
fn updates_in_place_overlap_unless_they_meet() {
    let update = |stride: u32| {
        kernel(move |k| {
            let (x, y) = (k.input::<i8>("x", [1024]), k.inout::<i8>("y", [1024]));
            k.for_n(16, |i| {
                let at = i * stride as i32;
                y.store(at, y.load::<64>(at) + x.load::<64>(i * 64));
            });
        })
    };
    // Each iteration has its own bytes: four half loads on two units, two half stores.
    assert_eq!(loops(&update(64))[0].next_cycles, 2);
    // Load 7, add 2, and store 1 to the load that reads it.
    assert_eq!(loops(&update(0))[0].next_cycles, 10);
    // Half of the bytes are those of the iteration before.
    assert_eq!(loops(&update(32))[0].next_cycles, 10);
}

#[test]
fn conversions_on_the_way_take_the_load_units_or_the_store_units_slot() {
    let kernel = kernel(|k| {
        let (x, y) = (k.input::<i8>("x", [1024]), k.output::<i8>("y", [1024]));
        let two = k.splat::<i8, 32>(2);
        k.for_step(0, 1024, 32, |i| {
            let sum = x.load::<32>(i).ups::<Acc32>(3) + two.ups::<Acc32>(0);
            y.store(i, sum.srs::<i8>(4));
        });
    });
    // vlda.ups, one accumulator add, vst.srs: one slot each. The ups of the constant is outside.
    let cost = loops(&kernel)[0];
    assert_eq!(cost.next_cycles, 1);
    // ups 9, of which the accumulator operand saves 2; add 5; store.
    assert_eq!(cost.length_cycles, 7 + 5 + 1);
}

#[test]
fn a_store_of_a_part_word_keeps_other_accesses_off() {
    let store = |k: &Builder| {
        let (x, y) = (k.input::<i8>("x", [64]), k.output::<i16>("y", [64]));
        k.for_n(64, |i| y.set(i, x.get(i)));
    };
    // A load, and the store 7 after it; the next load 7 after the store, since part of a word is
    // read, changed and written.
    assert_eq!(loops(&kernel(store))[0].next_cycles, 14);
}

#[test]
fn an_address_read_from_memory_may_be_the_same_again() {
    let scatter = |k: &Builder| {
        let (x, y) = (k.input::<i32>("x", [16]), k.inout::<i32>("y", [16]));
        k.for_n(16, |i| {
            let at = x.get(i).max(0).min(15);
            y.set(at, y.get(at) + 1);
        });
    };
    // Load 7, add 1, store 1 to the load of the next iteration.
    assert_eq!(loops(&kernel(scatter))[0].next_cycles, 9);
}
