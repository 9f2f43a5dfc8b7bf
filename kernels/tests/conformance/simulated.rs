//! Against both executors of the simulator, which also count the same cycles.

use kiln_dsl::device::Device;
use kiln_kernels::case::{Arg, Case, Entry};
use kiln_sim::core::{Engine, KernelArg, run_kernel_on};

use crate::{Set, same};

fn arguments(entry: &Entry, case: &Case) -> Vec<KernelArg> {
    let simulated = |(param, arg): (usize, &Arg)| match arg {
        Arg::Bytes(bytes) => KernelArg::Memory(bytes.clone()),
        Arg::I32(value) => KernelArg::I32(*value),
        Arg::Local => KernelArg::Memory(entry.local_bytes(param)),
    };
    case.args.iter().enumerate().map(simulated).collect()
}

fn both_executors_equal_the_reference_and_each_other(set: &Set) {
    for entry in &set.entries {
        let name = &entry.kernel.name;
        for (at, case) in set.cases(entry) {
            let run = |engine| {
                let mut args = arguments(entry, &case);
                let cost = run_kernel_on(&entry.kernel, Device::npu1(), engine, &mut args);
                (cost.unwrap_or_else(|e| panic!("{name} {at:?}: {e}")), args)
            };
            let fast = run(Engine::Compiled);
            assert!(fast == run(Engine::Interpreter), "{name} {at:?}: the executors differ");
            for (param, expected) in &case.expected {
                let KernelArg::Memory(got) = &fast.1[*param] else { panic!("{name}: {param} is no memory") };
                same(entry, *param, at, got, expected);
            }
        }
    }
}

#[test]
fn catalogue() {
    both_executors_equal_the_reference_and_each_other(&Set::catalogue());
}

#[test]
fn families() {
    both_executors_equal_the_reference_and_each_other(&Set::families());
}
