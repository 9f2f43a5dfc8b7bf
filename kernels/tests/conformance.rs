//! Every kernel of the catalogue over {reference, emitted C++ compiled natively}: bit for bit.

use kiln_dsl::native::{NativeArg, NativeKernels};
use kiln_kernels::case::{Arg, Data};
use kiln_kernels::catalogue::catalogue;

/// Seeds of each kind of data.
const SEEDS: u64 = 4;

#[test]
fn native_equals_the_reference() {
    let entries = catalogue();
    let kernels: Vec<_> = entries.iter().map(|e| &e.kernel).collect();
    let dir = tempfile::tempdir().expect("a directory for the compiler");
    let native = NativeKernels::compile(&kernels, dir.path()).unwrap_or_else(|e| panic!("{e}"));
    for entry in &entries {
        let cases: Vec<_> =
            Data::ALL.iter().flat_map(|&data| (0..SEEDS).map(move |seed| (seed, data))).collect();
        let built: Vec<_> = cases.iter().map(|&(seed, data)| entry.case(seed, data)).collect();
        let args: Vec<Vec<NativeArg>> = built
            .iter()
            .map(|case| {
                let native = |arg: &Arg| match arg {
                    Arg::Bytes(bytes) => NativeArg::Bytes(bytes.clone()),
                    Arg::I32(value) => NativeArg::I32(*value),
                    Arg::Local => NativeArg::Initial,
                };
                case.args.iter().map(native).collect()
            })
            .collect();
        let results = native.run(&entry.kernel.name, &args).unwrap_or_else(|e| panic!("{e}"));
        for ((case, at), got) in built.iter().zip(&cases).zip(&results) {
            for (param, expected) in &case.expected {
                let name = &entry.kernel.params[*param].name;
                assert!(got[*param] == *expected, "{} `{name}` {at:?}", entry.kernel.name);
            }
        }
    }
}
