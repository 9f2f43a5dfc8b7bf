//! Every kernel of the catalogue over {reference, interpreter, compiled executor}: bit for bit, and
//! both executors count the same cycles.

use kiln_dsl::device::Device;
use kiln_kernels::case::{Arg, Case, Data, Entry};
use kiln_kernels::catalogue::catalogue;
use kiln_sim::core::{Compiled, Engine, KernelArg, KernelCost, run_kernel_on};
use kiln_sim::executor::ArgValue;
use std::time::Instant;

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

/// Run by hand: `cargo test -p kiln-kernels --test simulated speed -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, printed"]
fn speed() {
    for entry in catalogue() {
        let cost = KernelCost::new(&entry.kernel, Device::npu1());
        let mut compiled = Compiled::new(&entry.kernel, &cost).expect("a verified kernel");
        let (mut args, mut memories) = (Vec::new(), Vec::new());
        for (tile, arg) in arguments(&entry, &entry.case(0, Data::Random)).into_iter().enumerate() {
            let (value, memory) = match arg {
                KernelArg::I32(n) => (ArgValue::I32(n), Vec::new()),
                KernelArg::Memory(memory) => {
                    (ArgValue::Memory { tile, address: 0, bytes: memory.len() as u32 }, memory)
                }
            };
            args.push(value);
            memories.push(memory);
        }
        let (mut best, mut total) = (f64::INFINITY, None);
        for _ in 0..20 {
            let start = Instant::now();
            for _ in 0..10 {
                total = compiled.run(&entry.kernel, &cost, &args, &mut memories).ok();
            }
            best = best.min(start.elapsed().as_nanos() as f64 / 10.0);
        }
        let total = total.expect("the kernel runs");
        let macs = total.macs as f64;
        println!(
            "{:32} {:7} cycles, {best:9.0} ns a call, {:6.2} ns a cycle, {:7.1} MAC a cycle, {:6.1} ns for 256 MAC",
            entry.kernel.name,
            total.cycles,
            best / total.cycles as f64,
            macs / total.cycles as f64,
            best * 256.0 / macs
        );
    }
}
