//! Emitted C++ of kernels of the catalogue, to read: the simplest one, and one with nested loops,
//! carried blocks of accumulators and run-time arguments.

use kiln_dsl::emit::emit_cpp;
use kiln_kernels::catalogue::find;

fn cpp(name: &str) -> String {
    let entry = find(name).unwrap_or_else(|| panic!("no kernel {name} in the catalogue"));
    emit_cpp(&entry.kernel).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn relu() {
    insta::assert_snapshot!(cpp("relu_i8"));
}

#[test]
fn matmul() {
    insta::assert_snapshot!(cpp("matmul_i8_i32_16x16x16"));
}
