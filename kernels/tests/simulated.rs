//! Every kernel of the catalogue over {reference, interpreter, compiled executor}: bit for bit, and
//! both executors count the same cycles.

use kiln_dsl::device::Device;
use kiln_kernels::case::{Arg, Case, Data, Entry};
use kiln_kernels::catalogue::catalogue;
use kiln_sim::core::{Engine, KernelArg, run_kernel_on};

/// Seeds of each kind of data.
const SEEDS: u64 = 4;

fn arguments(entry: &Entry, case: &Case) -> Vec<KernelArg> {
    let simulated = |(param, arg): (usize, &Arg)| match arg {
        Arg::Bytes(bytes) => KernelArg::Memory(bytes.clone()),
        Arg::I32(value) => KernelArg::I32(*value),
        Arg::Local => KernelArg::Memory(entry.local_bytes(param)),
    };
    case.args.iter().enumerate().map(simulated).collect()
}

#[test]
fn both_executors_equal_the_reference_and_each_other() {
    for entry in catalogue() {
        let name = &entry.kernel.name;
        for (seed, data) in Data::ALL.into_iter().flat_map(|data| (0..SEEDS).map(move |seed| (seed, data))) {
            let case = entry.case(seed, data);
            let run = |engine| {
                let mut args = arguments(&entry, &case);
                let cost = run_kernel_on(&entry.kernel, Device::npu1(), engine, &mut args);
                (cost.unwrap_or_else(|e| panic!("{name} seed {seed} {data:?}: {e}")), args)
            };
            let fast = run(Engine::Compiled);
            assert!(fast == run(Engine::Interpreter), "{name} seed {seed} {data:?}: the executors differ");
            for (param, expected) in &case.expected {
                let KernelArg::Memory(got) = &fast.1[*param] else { panic!("{name}: {param} is no memory") };
                let at = got.iter().zip(expected).position(|(a, b)| a != b);
                let param = &entry.kernel.params[*param].name;
                assert!(
                    at.is_none(),
                    "{name} `{param}` seed {seed} {data:?}: first difference at byte {at:?}"
                );
            }
        }
    }
}
