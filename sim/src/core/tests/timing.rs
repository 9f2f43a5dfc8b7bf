//! Cycles of kernels, asserted exactly and derived by hand: a change of the model must show here.

use super::fixed::matmul;
use super::{arguments, kernel, run_both};
use crate::core::{CoreModel, KernelCost, LoopCost};
use half::bf16;
use kiln_dsl::Verified;
use kiln_dsl::device::{Compiler, Device};
use kiln_dsl::kernel::build::{Acc32, Acc64, AccFloat, Accum, Builder, mmul};
use kiln_dsl::kernel::ops::Opcode;
use kiln_dsl::kernel::{Kernel, OpId};

fn cycles(kernel: &Verified<Kernel>, integers: &[i32]) -> u64 {
    run_both(kernel, arguments(kernel, 1, integers)).0.expect("the kernel runs").cycles
}

/// Costs of the loops under a compiler, outer ones first.
fn loops_by(compiler: Compiler, kernel: &Verified<Kernel>) -> Vec<LoopCost> {
    let cost = KernelCost::new(kernel, CoreModel { compiler, ..Device::npu1().into() });
    let all = kernel.ops.iter().enumerate().filter(|(_, op)| op.opcode == Opcode::For);
    all.map(|(i, _)| cost.of_loop(OpId(i as u32))).collect()
}

fn loops(kernel: &Verified<Kernel>) -> Vec<LoopCost> {
    loops_by(Compiler::Peano, kernel)
}

/// The interval of the only loop, when nothing is lost to a compiler.
fn interval(kernel: &Verified<Kernel>) -> u64 {
    loops_by(Compiler::Ideal, kernel)[0].interval_cycles
}

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
    // Two half loads of one buffer in cycles 0 and 1, the maximum in 8, half stores in 10 and 11: six
    // iterations in flight, five of them begun before the loop and ended after it.
    let relu = relu(&[]);
    let cost = LoopCost { interval_cycles: 2, peeled_trips: 5, iterations_each: 1, ..LoopCost::default() };
    assert_eq!(loops(&relu), [cost]);
    assert_eq!(loops_by(Compiler::Ideal, &relu), [cost]);
    // 32 iterations every 2 cycles and the 12 of the last; zeros, modes, pointers and loop registers
    // before, the jump and the return around.
    let rest = cycles(&relu, &[]) - (31 * 2 + 12);
    assert!((BRANCH..=BRANCH + 8).contains(&rest), "{rest}");
}

#[test]
fn an_unknown_trip_count_is_pipelined_only_where_the_index_just_counts() {
    // Behind a guard: the half loads are in flight 8 cycles, and their register is taken from the start,
    // as it was allocated.
    let plain = relu(&[1]);
    assert_eq!((loops(&plain)[0].interval_cycles, loops(&plain)[0].peeled_trips), (9, 0));
    // Without a hint the other compiler runs one iteration after another: loads in 0 and 1, the maximum
    // in 8, stores in 10 and 11.
    assert_eq!(loops_by(Compiler::Chess, &plain)[0].interval_cycles, 12);
    assert_eq!(interval(&plain), 2);
    // An index that is stored cannot count down: load, sum, store.
    let used = kernel(|k| {
        let (x, y) = (k.input::<i32>("x", [1]), k.output::<i32>("y", [1]));
        k.for_n(k.param_i32("n"), |i| y.set(0, x.get(0) + i));
    });
    assert_eq!(loops(&used)[0].interval_cycles, 7 + 1 + 1);
}

#[test]
fn elements_of_two_arrays_share_an_offset_register() {
    // The index scaled and moved, load 7, product 2, store (`vsm_i32_scalar` of validation/measured.yaml).
    let scale = kernel(|k| {
        let (x, y) = (k.input::<i32>("x", [64]), k.output::<i32>("y", [64]));
        k.for_n(k.param_i32("n"), |i| y.set(i, x.get(i) * 3));
    });
    assert_eq!(loops(&scale)[0].interval_cycles, 1 + 1 + 7 + 2 + 1);
    // With a constant count four at a time.
    let bytes = kernel(|k| {
        let (x, y) = (k.input::<i8>("x", [64]), k.output::<i8>("y", [64]));
        k.for_n(64, |i| y.set(i, x.get(i) + 1));
    });
    assert_eq!(
        (loops(&bytes)[0].iterations_each, loops_by(Compiler::Ideal, &bytes)[0].iterations_each),
        (4, 1)
    );
}

#[test]
fn a_probe_of_banks_has_the_bundles_that_silicon_ran() {
    // The index masked, scaled and moved into an offset register, both loads in one bundle, the product
    // 7 later: 11 bundles (`bank_sep_*` and `bank_single_slope` of validation/measured.yaml).
    let probe = kernel(|k| {
        let (a, b) = (k.input::<i16>("a", [512]), k.input::<i16>("b", [512]));
        let (out, trips) = (k.output::<i32>("out", [16]), k.param_i32("trips"));
        let sum = k.fold(trips, k.acc_zeros::<Acc64, 16>(), |i, sum| {
            let at = (i & 31) * 16;
            sum.mac(a.load::<16>(at), b.load::<16>(at))
        });
        out.store(0, sum.srs::<i32>(0));
    });
    assert_eq!(loops(&probe)[0].interval_cycles, 11);
}

#[test]
fn a_product_is_in_its_accumulator_only_when_it_arrives() {
    // Two half loads, one product in its register 5 cycles later, two stores: a loop of 2 bundles with
    // one register for each value (`vsm_i16_pragma` of validation/measured.yaml).
    let scale = kernel(|k| {
        let (a, c) = (k.input::<i16>("a", [1024]), k.output::<i16>("c", [1024]));
        let factor = k.splat::<i16, 32>(3);
        k.pipelined(16).for_step(0, 1024, 32, |i| {
            c.store(i, a.load::<32>(i).times::<Acc32, i16>(factor).srs::<i16>(0));
        });
    });
    assert_eq!(loops(&scale)[0].interval_cycles, 2);
}

#[test]
fn run_time_trip_counts_are_priced_as_they_run() {
    let relu = relu(&[1]);
    assert_eq!(loops(&relu)[0].setup_cycles, BRANCH);
    let trips = |n| cycles(&relu, &[n * 64]);
    assert_eq!(trips(-1), trips(0));
    assert_eq!(trips(1), trips(0) + 12);
    assert_eq!(trips(32), trips(1) + 31 * 9);
}

#[test]
fn a_matmul_of_4x2_blocks_multiplies_every_cycle() {
    let kernel = matmul(16, 32, 8);
    let macs = 8 * 4 * 8 * 8;
    for compiler in Compiler::ALL {
        let loops = loops_by(compiler, &kernel);
        let [_, _, inner] = loops.as_slice() else { panic!("{loops:?}") };
        assert_eq!((inner.interval_cycles, inner.macs), (8, macs), "{compiler}");
    }
    // What stands between two products of a group: eight accumulators cleared, the first loads, the
    // last results, eight stores that shift, round and saturate on the way, and the branch.
    let [_, peano, inner] = loops(&kernel)[..] else { panic!("three loops") };
    let around = peano.interval_cycles - inner.peeled_trips * inner.interval_cycles;
    // At least the last product's latency and the stores.
    assert!((5 + 8..=30).contains(&around), "{around}");
    // The ideal clears an accumulator as soon as it is stored.
    let ideal = loops_by(Compiler::Ideal, &kernel)[1];
    assert!(ideal.interval_cycles < peano.interval_cycles, "{ideal:?} {peano:?}");
}

#[test]
fn loads_that_fill_all_slots_come_as_late_as_they_may() {
    // Two blocks of 2x4 tiles and four products of depth each, C read and written: 64 products, and 128 halves of operands
    // and sums for two load units. Written by hand such a loop has 64 bundles (`scalable-analyses/xdna`).
    let kernel = kernel(|k| {
        let a = k.input_tiles::<bf16, 32>("a", [4, 8], [8, 4]);
        let b = k.input_tiles::<bf16, 32>("b", [8, 4], [4, 8]);
        let c = k.inout_tiles::<f32, 16>("c", [4, 4], [8, 8]);
        k.pipelined(4).for_step(0, 8, 2, |i| {
            for j in [0u32, 4] {
                let mut sums: Vec<Accum<'_, AccFloat, 16>> =
                    (0..8).map(|t| c.load(i + t / 4, j + t % 4).to_accum()).collect();
                for p in 0..4u32 {
                    let rows = [0u32, 1].map(|r| a.load(i + r, p));
                    let columns = [0u32, 1, 2, 3].map(|q| b.load(p, j + q));
                    for (t, sum) in sums.iter_mut().enumerate() {
                        *sum = k.mac(mmul::BF16_4X8X4, *sum, rows[t / 4], columns[t % 4]);
                    }
                }
                (0..8u32).zip(sums).for_each(|(t, sum)| c.store(i + t / 4, j + t % 4, sum.to_vector()));
            }
        });
    });
    let loops = loops_by(Compiler::Ideal, &kernel);
    assert!((64..=68).contains(&loops[0].interval_cycles), "{loops:?}");
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
    // Two products in a chain of 2 cycles each; the loads alone would allow 4 halves of b, one a cycle.
    assert_eq!(interval(&kernel), 4);
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
    assert_eq!(interval(&update(64)), 2);
    // The second half's load 1 + 7, add 2, its store 1, and 1 to the load that reads it.
    assert_eq!(interval(&update(0)), 12);
    // Half of the bytes are those of the iteration before.
    assert_eq!(interval(&update(32)), 12);
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
    assert_eq!(interval(&kernel), 1);
    // ups 9, of which the accumulator operand saves 2; add 5; store: an iteration begins every cycle,
    // so all but the last are begun in the code before.
    assert_eq!(loops_by(Compiler::Ideal, &kernel)[0].peeled_trips, 7 + 5 + 1 - 1);
}

#[test]
fn a_store_of_a_part_word_keeps_other_accesses_off() {
    let store = |k: &Builder| {
        let (x, y) = (k.input::<i8>("x", [64]), k.output::<i16>("y", [64]));
        k.for_n(64, |i| y.set(i, x.get(i)));
    };
    // A load, and the store 7 after it; the next load 7 after the store, since part of a word is
    // read, changed and written.
    assert_eq!(interval(&kernel(store)), 14);
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
    assert_eq!(interval(&kernel(scatter)), 9);
}

#[test]
fn a_lookup_waits_for_both_copies_of_its_table() {
    let kernels = [[0, 1], [1, 0]].map(|order| {
        kernel(|k| {
            let (x, y) = (k.input::<i16>("x", [64]), k.output::<i16>("y", [32]));
            let copies = k.scratch_tables::<i16>("t", 8, [2, 3]);
            let index = x.load::<32>(32);
            let entries = x.load::<16>(0).low::<8>();
            let line = entries.concat::<16>(entries);
            // The copy that is stored late, the same bits after some comparisons, is what the lookup waits for.
            for (copy, line) in order.into_iter().zip([line, (0..9).fold(line, |same, _| same.max(line))]) {
                copies[copy].store(0, line);
            }
            y.store(0, index.lookup::<i16>(copies, 0, 4));
        })
    });
    let [second, first] = kernels.map(|kernel| cycles(&kernel, &[]));
    assert_eq!(second, first);
}
