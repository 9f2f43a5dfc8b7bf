//! Trials on a device: one for each kernel of the catalogue and each listed design, built with the device toolchain and
//! compared bit for bit with the reference or the simulator.
//!
//! Without an NPU or without the toolchain all are skipped, with the reasons. `KILN_XRT=simulated` rehearses them on the
//! simulated device, without the toolchain.

use anyhow::{Context, Result, bail, ensure};
use kiln::artifacts;
use kiln::dsl::array::Design;
use kiln::dsl::device::Device;
use kiln::hw::xrt_sys::Xrt;
use kiln::hw::xrt_sys::fake::FakeXrt;
use kiln::hw::{Artifacts, Found, Machine, Needed, Patience, Runner};
use kiln::kernels::case::Data;
use kiln::kernels::{catalogue, designs};
use kiln::runner::SimRunner;
use kiln::simulated_npu::SimulatedNpu;
use libtest_mimic::{Arguments, Failed, Trial};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// Where trials run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    Npu,
    Simulated,
    Nothing,
}

/// Longest time of one run; the longest design takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let mut args = Arguments::from_args();
    let on = place();
    // The NPU has six contexts, and times mean nothing while two designs share it.
    if on == On::Npu {
        args.test_threads = Some(1);
    }
    let mut trials: Vec<Trial> = Vec::new();
    for entry in catalogue::catalogue() {
        if designs::single(&entry.kernel, &entry.case(1, Data::Random)).is_some() {
            let name = entry.kernel.name.clone();
            trials.push(Trial::test(format!("kernel::{name}"), move || said(kernel(&name, on))));
        }
    }
    for design in designs::designs() {
        let name = format!("design::{}", design.name);
        trials.push(Trial::test(name, move || said(listed(&design, on))));
    }
    let trials = trials.into_iter().map(|t| t.with_ignored_flag(on == On::Nothing)).collect();
    libtest_mimic::run(&args, trials).exit_code()
}

fn said(result: Result<()>) -> Result<(), Failed> {
    result.map_err(|e| format!("{e:#}").into())
}

/// The device of the trials; says why there is none.
fn place() -> On {
    if std::env::var_os("KILN_XRT").is_some_and(|which| which == "simulated") {
        println!("on the SIMULATED device: no hardware runs");
        return On::Simulated;
    }
    let checks = Machine::this().doctor();
    let lacking: Vec<String> = checks
        .iter()
        .filter(|c| c.needed != Needed::ForTimes && matches!(c.found, Found::Bad(_)))
        .map(ToString::to_string)
        .collect();
    if lacking.is_empty() {
        return On::Npu;
    }
    println!("all trials are skipped, for want of:\n{}", lacking.join("\n"));
    On::Nothing
}

/// A kernel alone on a core, against its reference.
fn kernel(name: &str, on: On) -> Result<()> {
    let entry = catalogue::find(name).context("listed")?;
    for (seed, data) in [(1, Data::Random), (2, Data::Edges)] {
        let case = entry.case(seed, data);
        let single = designs::single(&entry.kernel, &case).context("a kernel that runs alone")?;
        let mut host = single.host;
        run(&single.design, &mut host, on)?;
        let out = host.last().context("outputs")?;
        for (param, range) in single.outputs {
            let expected =
                case.expected.iter().find(|(at, _)| *at == param).context("a written parameter")?;
            let wrong = out[range].iter().zip(&expected.1).position(|(a, b)| a != b);
            let param = &entry.kernel.params[param].name;
            ensure!(
                wrong.is_none(),
                "{data:?} data: {param} differs from the reference first in byte {wrong:?}"
            );
        }
    }
    Ok(())
}

/// A listed design, against the simulator.
fn listed(design: &Design, on: On) -> Result<()> {
    let device = Device::npu1();
    let mut host = designs::inputs(design, device, 1)?.context("a listed design has inputs")?;
    let mut expected = host.clone();
    SimRunner::new(device, device.profile(device.default_profile())?).dispatch(design, &mut expected)?;
    run(design, &mut host, on)?;
    for (at, buffer) in design.sequence.buffers.iter().enumerate() {
        let wrong = host[at].iter().zip(&expected[at]).position(|(a, b)| a != b);
        ensure!(wrong.is_none(), "{} differs from the simulator first in byte {wrong:?}", buffer.name);
    }
    Ok(())
}

/// Emits, builds and runs a design.
fn run(design: &Design, host: &mut [Vec<u8>], on: On) -> Result<()> {
    let device = Device::npu1();
    let folder = tempfile::tempdir()?;
    for file in artifacts::bundle(design, device)?.files() {
        let path = folder.path().join(&file.path);
        std::fs::create_dir_all(path.parent().context("below the folder")?)?;
        std::fs::write(path, &file.bytes)?;
    }
    let (xrt, artifacts) = match on {
        On::Simulated => {
            let artifacts = Artifacts::load_for_simulation(folder.path())?;
            let mut npu = SimulatedNpu::new(device, device.profile(device.default_profile())?);
            npu.knows(&artifacts.xclbin, design);
            (FakeXrt::new(npu).xrt(), artifacts)
        }
        On::Npu => {
            build(folder.path())?;
            (Xrt::real().context(xrt_sys::WITHOUT_XRT)?, Artifacts::load(folder.path())?)
        }
        On::Nothing => bail!("nothing to run on: ask for trials without --ignored"),
    };
    Runner::open(&xrt, &artifacts)?.run(host, &Patience::of(PATIENCE))?;
    Ok(())
}

/// Runs `build.sh`; designs built before come from its cache.
fn build(folder: &Path) -> Result<()> {
    let output = Command::new("bash").arg("build.sh").current_dir(folder).output()?;
    ensure!(output.status.success(), "build.sh: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
