//! Emitted text of small kernels, read by people in the snapshots.

use super::*;
use crate::kernel::build::{Acc32, Block2, Builder, mmul};
use crate::kernel::verify;

fn build(name: &str, author: impl for<'k> FnOnce(&'k Builder)) -> Verified<Kernel> {
    let kernel = Kernel::build(name, Rounding::ConvEven, Saturation::On, author);
    verify(kernel).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn relu() {
    let kernel = build("relu_i8", |k| {
        let x = k.input::<i8>("x", [2048]);
        let y = k.output::<i8>("y", [2048]);
        let zero = k.zeros::<i8, 64>();
        k.for_step(0, 2048, 64, |i| y.store(i, x.load::<64>(i).max(zero)));
    });
    insta::assert_snapshot!(emit_cpp(&kernel).expect("emits"));
}

#[test]
fn blocked_matmul() {
    let kernel = build("matmul_i8", |k| {
        let a = k.input_tiles::<i8, 32>("a", [4, 8], [8, 4]);
        let b = k.input_tiles::<i8, 64>("b", [8, 8], [4, 8]);
        let c = k.output_tiles::<i8, 32>("c", [4, 8], [8, 8]);
        let shift = k.param_i32("shift");
        k.for_step(0, 8, 2, |i| {
            k.for_step(0, 8, 2, |j| {
                let start = [[k.acc_zeros::<Acc32, 32>(); 2]; 2];
                let acc = k.pipelined(4).fold(4, start, |p, acc| {
                    let (av, bv) = ([a.load(i, p), a.load(i + 1, p)], [b.load(p, j), b.load(p, j + 1)]);
                    acc.map2(|r, q, acc| k.mac(mmul::I8_I8_4X8X8, acc, av[r], bv[q]))
                });
                acc.each2(|r, q, acc| c.store(i + r as u32, j + q as u32, acc.srs::<i8>(shift)));
            });
        });
    });
    insta::assert_snapshot!(emit_cpp(&kernel).expect("emits"));
}

#[test]
fn carried_values_that_change_places() {
    let kernel = build("fibonacci", |k| {
        let y = k.output::<i32>("i", [2]);
        let n = k.param_i32("n");
        let pair = [k.constant(0), k.constant(1)];
        let pair = k.fold(n, pair, |_, [a, b]| [b, a]);
        y.set(0, pair[0]);
        y.set(1, pair[1]);
    });
    insta::assert_snapshot!(emit_cpp(&kernel).expect("emits"));
}

#[test]
fn loops_that_a_schedule_pipelines_say_so() {
    let kernel = build("relu_i8", |k| {
        let x = k.input::<i8>("x", [2048]);
        let y = k.output::<i8>("y", [2048]);
        let zero = k.zeros::<i8, 64>();
        k.pipelined(1).for_step(0, 2048, 64, |i| y.store(i, x.load::<64>(i).max(zero)));
    });
    let ops = &kernel.block(Kernel::BODY).ops;
    let looped = *ops.iter().find(|&&op| kernel.op(op).body.is_some()).expect("a loop");
    let emitted = |stages| {
        let plan = LoopPlan { interval_cycles: 2, stages };
        emit_cpp_scheduled(&kernel, &LoopPlans::from([(looped, plan)])).expect("emits")
    };
    let pipelined = emitted(4);
    let trips = "KILN_MIN_TRIPS(32) KILN_MAX_TRIPS(32)\n";
    assert!(pipelined.contains("// Predicted: 2 cycles an iteration, 4 in flight.\n"), "{pipelined}");
    assert!(pipelined.contains(&format!("KILN_PIPELINE {trips}")), "{pipelined}");
    let plain = emitted(1);
    assert!(plain.contains(trips) && !plain.contains("KILN_PIPELINE"), "{plain}");
    assert_eq!(emit_cpp_scheduled(&kernel, &LoopPlans::new()).expect("emits"), plain);
    assert!(emit_cpp(&kernel).expect("emits").contains("KILN_PIPELINE"));
}

/// Promised trips would have Peano pipeline the loop after all.
#[test]
fn a_compact_loop_promises_nothing() {
    let kernel = build("clear", |k| {
        let y = k.output::<i8>("y", [2048]);
        let zero = k.zeros::<i8, 64>();
        k.compact().for_step(0, 2048, 64, |i| y.store(i, zero));
    });
    let text = emit_cpp(&kernel).expect("emits");
    assert!(text.contains("    KILN_COMPACT\n") && !text.contains("TRIPS"), "{text}");
}
