//! Speed of the simulator on this machine; it says nothing about the hardware.
//!
//! `cargo bench -p kiln-benches`, or with a part of a name to run some: `cargo bench -p kiln-benches -- array`.
//!
//! | group | one element is |
//! |---|---|
//! | `compiled_macs`, `interpreter_macs` | a multiply-accumulate of the kernel |
//! | `compiled_outputs` | an element of the parameters that the kernel writes |
//! | `array_cycles` | a simulated cycle |
//! | `array_checked_cycles` | the same, every access to memory checked (`SimOptions::hazards`) |
//! | `array_macs` | a multiply-accumulate of its kernels |
//! | `array_events` | an event of the simulation |

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use kiln_dsl::array::{LowerMode, lower, verify};
use kiln_dsl::device::Device;
use kiln_kernels::case::{Arg, Case, Data, Entry};
use kiln_kernels::catalogue::catalogue;
use kiln_kernels::designs;
use kiln_sim::array::{SimOptions, simulate_with};
use kiln_sim::core::{Compiled, CoreExecutor, Engine, Interpreter, KernelCost};
use kiln_sim::executor::{ArgValue, Cascade};
use kiln_sim::report::SimReport;
use std::time::Duration;

/// The one kernel that the interpreter runs too: the encoder's inner loop.
const INTERPRETED: &str = "matmul_i8_i32_64x64x64";

fn main() {
    // Some forty benchmarks at under two seconds each.
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
        .configure_from_args();
    kernels(&mut criterion);
    array(&mut criterion);
    criterion.final_summary();
}

/// The arguments of a case: each memory parameter at the start of a tile memory of its own.
fn bind(entry: &Entry, case: Case) -> (Vec<ArgValue>, Vec<Vec<u8>>) {
    let place = |(tile, arg)| {
        let memory = match arg {
            Arg::I32(n) => return (ArgValue::I32(n), Vec::new()),
            Arg::Bytes(bytes) => bytes,
            Arg::Local => entry.local_bytes(tile),
        };
        (ArgValue::Memory { tile, address: 0, bytes: memory.len() as u32 }, memory)
    };
    case.args.into_iter().enumerate().map(place).unzip()
}

fn kernels(criterion: &mut Criterion) {
    let catalogue = catalogue();
    // Criterion reports a group at its end, so each is open once.
    for engine in [Engine::Compiled, Engine::Interpreter] {
        let name = if engine == Engine::Compiled { "compiled" } else { "interpreter" };
        for products in [true, false] {
            let wanted: Vec<&Entry> = catalogue
                .iter()
                .filter(|e| e.kernel.name.starts_with("matmul") == products)
                .filter(|e| engine == Engine::Compiled || e.kernel.name == INTERPRETED)
                .collect();
            if wanted.is_empty() {
                continue;
            }
            let what = if products { "macs" } else { "outputs" };
            let mut group = criterion.benchmark_group(format!("{name}_{what}"));
            for entry in wanted {
                kernel(&mut group, entry, engine, products);
            }
            group.finish();
        }
    }
}

fn kernel(group: &mut BenchmarkGroup<'_, WallTime>, entry: &Entry, engine: Engine, macs: bool) {
    let kernel = &entry.kernel;
    let case = entry.case(0, Data::Random);
    let outputs = case
        .expected
        .iter()
        .map(|(param, bytes)| bytes.len() as u64 / u64::from(kernel.params[*param].elem.bytes()));
    let outputs = outputs.sum();
    let (args, mut memories) = bind(entry, case);
    let cost = KernelCost::new(kernel, Device::npu1());
    let mut compiled = Compiled::new(kernel).expect("a verified kernel");
    let mut cascade = Cascade::default();
    let once =
        compiled.run(kernel, &cost, &args, &mut memories, &mut cascade).expect("a case fits its kernel");
    group.throughput(Throughput::Elements(if macs { once.macs } else { outputs }));
    group.bench_function(&kernel.name, |bench| match engine {
        Engine::Compiled => bench.iter(|| compiled.run(kernel, &cost, &args, &mut memories, &mut cascade)),
        Engine::Interpreter => {
            let interpreter = Interpreter::new(kernel).expect("a verified kernel");
            bench.iter(|| interpreter.run(kernel, &cost, &args, &mut memories, &mut cascade));
        }
    });
}

fn array(criterion: &mut Criterion) {
    let plain = SimOptions::default();
    let checked = SimOptions { hazards: true, ..SimOptions::default() };
    let all = &["relu2", "mm4x4"];
    group(criterion, "array_cycles", all, &plain, |report| report.cycles);
    group(criterion, "array_checked_cycles", all, &checked, |report| report.cycles);
    group(criterion, "array_events", all, &plain, |report| report.sim_events);
    group(criterion, "array_macs", &["mm4x4"], &plain, |report| report.cores.iter().map(|c| c.macs).sum());
}

fn group(
    criterion: &mut Criterion,
    name: &str,
    designs: &[&str],
    options: &SimOptions,
    count: fn(&SimReport) -> u64,
) {
    let mut group = criterion.benchmark_group(name);
    for design in designs {
        simulation(&mut group, design, options, count);
    }
    group.finish();
}

/// One run of a design's sequence, its kernels compiled before.
fn simulation(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    options: &SimOptions,
    count: fn(&SimReport) -> u64,
) {
    let device = Device::npu1();
    let profile = device.profile(device.default_profile()).expect("the default profile exists");
    let design = designs::find(name).expect("a listed design");
    let design = verify(design, device).unwrap_or_else(|e| panic!("{e}"));
    let lowered = lower(&design, device, LowerMode::default()).unwrap_or_else(|e| panic!("{e}"));
    let mut executor =
        CoreExecutor::new(&design.kernels, device, Engine::Compiled).expect("verified kernels");
    let buffers = design.sequence.buffers.iter();
    let mut host: Vec<Vec<u8>> = buffers.map(|b| vec![0x5a; b.ty.bytes() as usize]).collect();
    let mut run = || simulate_with(&design, &lowered, device, profile, &mut host, options, &mut executor);
    group.throughput(Throughput::Elements(count(&run().unwrap_or_else(|e| panic!("{e}")))));
    group.bench_function(name, |bench| bench.iter(&mut run));
}
