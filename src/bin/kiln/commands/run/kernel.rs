//! One kernel on random data, each way of executing it against its reference.

use anyhow::Result;
use kiln::dsl::device::Device;
use kiln::dsl::native::{NativeArg, NativeError, NativeKernels};
use kiln::kernels::case::{Arg, Case, Data, Entry};
use kiln::sim::core::{Engine, KernelArg, run_kernel_on};
use kiln::sim::executor::CallCost;
use std::io::Write;
use std::process::ExitCode;

/// Bytes of each parameter after a call, and what the call cost where that is known.
type Outcome = (Vec<Vec<u8>>, Option<CallCost>);

/// Runs the kernel and says what was equal.
///
/// # Errors
/// When the kernel cannot be executed.
pub fn run(entry: &Entry, seed: u64, out: &mut dyn Write) -> Result<ExitCode> {
    let cases: Vec<(Data, Case)> = Data::ALL.map(|data| (data, entry.case(seed, data))).into();
    writeln!(out, "{}, seed {seed}", entry.kernel.name)?;

    let interpreted = simulate(entry, &cases, Engine::Interpreter)?;
    let compiled = simulate(entry, &cases, Engine::Compiled)?;
    let mut equal = report("interpreter", entry, &cases, &interpreted, out)?;
    equal &= report("compiled path", entry, &cases, &compiled, out)?;
    match native(entry, &cases) {
        Ok(outcomes) => equal &= report("native C++", entry, &cases, &outcomes, out)?,
        Err(e @ NativeError::NoCompiler { .. }) => writeln!(out, "  native C++: not run: {e}")?,
        Err(e) => return Err(e.into()),
    }
    let costs = |outcomes: &[Outcome]| outcomes.iter().map(|o| o.1).collect::<Vec<_>>();
    if costs(&interpreted) != costs(&compiled) {
        writeln!(out, "  the compiled path counts other cycles or MACs than the interpreter")?;
        equal = false;
    }
    for ((data, _), cost) in cases.iter().zip(costs(&compiled)) {
        let CallCost { cycles, macs, .. } = cost.unwrap_or_default();
        let kind = format!("{data:?}").to_lowercase();
        writeln!(out, "  {kind} data: {cycles} cycles and {macs} MACs predicted on {}", Device::npu1().name)?;
    }
    Ok(if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The arguments of a case as the simulator takes them.
pub(in crate::commands) fn kernel_args(entry: &Entry, case: &Case) -> Vec<KernelArg> {
    let arg = |(param, arg): (usize, &Arg)| match arg {
        Arg::Bytes(bytes) => KernelArg::Memory(bytes.clone()),
        Arg::I32(n) => KernelArg::I32(*n),
        Arg::Local => KernelArg::Memory(entry.local_bytes(param)),
    };
    case.args.iter().enumerate().map(arg).collect()
}

fn simulate(entry: &Entry, cases: &[(Data, Case)], engine: Engine) -> Result<Vec<Outcome>> {
    let one = |(_, case): &(Data, Case)| {
        let mut args = kernel_args(entry, case);
        let cost = run_kernel_on(&entry.kernel, Device::npu1(), engine, &mut args)?;
        let bytes = |arg| match arg {
            KernelArg::Memory(bytes) => bytes,
            KernelArg::I32(_) => Vec::new(),
        };
        Ok((args.into_iter().map(bytes).collect(), Some(cost)))
    };
    cases.iter().map(one).collect()
}

fn native(entry: &Entry, cases: &[(Data, Case)]) -> Result<Vec<Outcome>, NativeError> {
    let directory =
        tempfile::tempdir().map_err(|cause| NativeError::File { path: std::env::temp_dir(), cause })?;
    let native = NativeKernels::compile(&[&entry.kernel], directory.path())?;
    let arg = |arg: &Arg| match arg {
        Arg::Bytes(bytes) => NativeArg::Bytes(bytes.clone()),
        Arg::I32(n) => NativeArg::I32(*n),
        Arg::Local => NativeArg::Initial,
    };
    let args: Vec<Vec<NativeArg>> = cases.iter().map(|(_, c)| c.args.iter().map(arg).collect()).collect();
    let results = native.run(&entry.kernel.name, &args)?;
    Ok(results.into_iter().map(|bytes| (bytes, None)).collect())
}

/// Compares with the reference; a line each way of execution, and one for the first wrong byte of each parameter.
fn report(
    executor: &str,
    entry: &Entry,
    cases: &[(Data, Case)],
    outcomes: &[Outcome],
    out: &mut dyn Write,
) -> Result<bool> {
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for ((data, case), (got, _)) in cases.iter().zip(outcomes) {
        for (param, expected) in &case.expected {
            compared += expected.len();
            let differs = |(a, b): (&u8, &u8)| a != b;
            let first = expected.iter().zip(&got[*param]).position(differs);
            if let Some(byte) = first {
                let (name, want, have) =
                    (&entry.kernel.params[*param].name, expected[byte], got[*param][byte]);
                wrong.push(format!(
                    "{data:?} data, {name}, byte {byte}: expected 0x{want:02x}, got 0x{have:02x}"
                ));
            }
        }
    }
    if wrong.is_empty() {
        writeln!(out, "  {executor}: equals the reference in all {compared} bytes of {} cases", cases.len())?;
    } else {
        writeln!(out, "  {executor}: DIFFERS from the reference")?;
        wrong.iter().try_for_each(|line| writeln!(out, "    {line}"))?;
    }
    Ok(wrong.is_empty())
}
