//! Against emitted C++, compiled natively.

use kiln_dsl::native::{NativeArg, NativeKernels};
use kiln_kernels::case::Arg;

use crate::{Set, same};

fn native_equals_the_reference(set: &Set) {
    let kernels: Vec<_> = set.entries.iter().map(|e| &e.kernel).collect();
    let dir = tempfile::tempdir().expect("a directory for the compiler");
    let native = NativeKernels::compile(&kernels, dir.path()).unwrap_or_else(|e| panic!("{e}"));
    for entry in &set.entries {
        let cases = set.cases(entry);
        let convert = |arg: &Arg| match arg {
            Arg::Bytes(bytes) => NativeArg::Bytes(bytes.clone()),
            Arg::I32(value) => NativeArg::I32(*value),
            Arg::Local => NativeArg::Initial,
        };
        let args: Vec<Vec<NativeArg>> =
            cases.iter().map(|(_, case)| case.args.iter().map(convert).collect()).collect();
        let results = native.run(&entry.kernel.name, &args).unwrap_or_else(|e| panic!("{e}"));
        for ((at, case), got) in cases.iter().zip(&results) {
            for (param, expected) in &case.expected {
                same(entry, *param, *at, &got[*param], expected);
            }
        }
    }
}

#[test]
fn catalogue() {
    native_equals_the_reference(&Set::catalogue());
}

#[test]
fn families() {
    native_equals_the_reference(&Set::families());
}
