//! The builder against the op table and the verifier.

use super::*;
use crate::kernel::ops::{Effect, form, spec};
use crate::kernel::verify;

fn modes(author: impl for<'k> FnOnce(&'k Builder)) -> Kernel {
    Kernel::build("k", Rounding::ConvEven, Saturation::On, author)
}

#[test]
fn cascade_operations_verify_keep_their_order_and_survive_text() {
    let kernel = modes(|k| {
        let y = k.output::<i32>("y", [16]);
        let _unused = k.cascade_get::<Acc64, 8>();
        let sum = k.cascade_get::<Acc32, 16>();
        k.cascade_get::<AccFloat, 16>().cascade_put();
        sum.cascade_put();
        y.store(0, sum.srs::<i32>(0));
    });
    every_op_has_a_form(&kernel);
    let text = kernel.to_string();
    assert_eq!(text.matches("cascadeget").count(), 3, "a read that nobody uses stays: {text}");
    assert!(text.contains("cascadeput v"), "{text}");
    let parsed = crate::kernel::parse_kernel(&text, "again").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(parsed.to_string(), text);
    let kernel = verify(kernel).unwrap_or_else(|e| panic!("{e}"));
    let cpp = crate::emit::emit_cpp(&kernel).unwrap_or_else(|e| panic!("{e}"));
    for line in [
        "aie::accum<acc64, 8>(::get_scd_v8acc64());",
        "aie::accum<acc32, 16>(::get_scd_v16acc32());",
        "aie::accum<accfloat, 16>(::get_scd_v16accfloat());",
        "    ::put_mcd(",
    ] {
        assert!(cpp.contains(line), "`{line}` is not in\n{cpp}");
    }
    let wide = text.replacen("acc<acc64x8>", "acc<acc64x16>", 1);
    let errors = crate::kernel::parse_kernel(&wide, "wide").map(verify).unwrap_or_else(|e| panic!("{e}"));
    assert!(errors.is_err_and(|e| e.to_string().contains("cascadeget")), "1024 bits are no form");
}

fn every_op_has_a_form(kernel: &Kernel) {
    for op in &kernel.ops {
        if spec(op.opcode).effect != Effect::Control {
            assert!(form(kernel, op).is_some(), "{} {op:?}", op.opcode);
        }
    }
}

#[test]
fn a_blocked_matmul_verifies_and_folds_its_addresses() {
    let kernel = modes(|k| {
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
    every_op_has_a_form(&kernel);
    let loads: Vec<&Address> =
        kernel.ops.iter().filter(|o| o.opcode == Opcode::Load).filter_map(|o| o.address.as_ref()).collect();
    assert_eq!(loads.len(), 4);
    // a.load(i + 1, p): 4 tiles of 32 bytes a row of tiles.
    assert_eq!(loads[1].offset_bytes, 128);
    assert_eq!(loads[1].terms.iter().map(|t| t.1).collect::<Vec<_>>(), [128, 32]);
    // No scalar arithmetic is left beside the constants of loop bounds and steps.
    assert!(kernel.ops.iter().all(|o| !matches!(o.opcode, Opcode::SAdd | Opcode::SMul)));
    verify(kernel).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn scalar_arithmetic_that_is_not_affine_stays() {
    let kernel = modes(|k| {
        let x = k.input::<i32>("x", [64]);
        let y = k.output::<i32>("y", [64]);
        k.for_n(8, |i| {
            let n = x.get(i).max(0).min(7);
            y.set(i * 8 + n, n.quotient(3) + i.shift_left(2));
        });
    });
    every_op_has_a_form(&kernel);
    let store = kernel.ops.iter().find(|o| o.opcode == Opcode::SStore).and_then(|o| o.address.as_ref());
    assert_eq!(store.map(|a| a.terms.len()), Some(2));
    assert!(kernel.ops.iter().any(|o| o.opcode == Opcode::SMin));
}

#[test]
fn unused_values_disappear_and_ids_are_dense() {
    let kernel = modes(|k| {
        let y = k.output::<i8>("y", [64]);
        let _unused = k.constant(4) * 5;
        let _dead_load = k.input::<i8>("x", [64]).load::<64>(0);
        y.store(0, k.zeros::<i8, 64>());
    });
    assert_eq!(kernel.ops.iter().map(|o| o.opcode).collect::<Vec<_>>(), [Opcode::Zeros, Opcode::Store]);
    assert_eq!(kernel.values.len(), 1);
}

#[test]
fn a_rust_variable_rebound_in_a_staged_loop_is_an_error_at_the_authors_line() {
    let kernel = modes(|k| {
        let (x, y) = (k.input::<i8>("x", [256]), k.output::<i8>("y", [64]));
        let mut last = k.zeros::<i8, 64>();
        k.for_n(4, |i| last = x.load::<64>(i * 64));
        y.store(0, last);
    });
    let text = verify(kernel).expect_err("the loop's value is not defined outside it").to_string();
    assert!(text.contains("build/tests.rs:"), "{text}");
}
