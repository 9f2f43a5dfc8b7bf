//! Trials on a device: one for each kernel of the catalogue and each listed design, built with the device toolchain and
//! compared bit for bit with the reference or the simulator.
//!
//! Without an NPU or without the toolchain all are skipped, with the reasons. `KILN_XRT=simulated` rehearses them on the
//! simulated device, without the toolchain.

use anyhow::{Context, Result, ensure};
use kiln::dsl::array::Design;
use kiln::dsl::device::Device;
use kiln::kernels::case::Data;
use kiln::kernels::{catalogue, designs};
use kiln::live::{LiveDesign, Place};
use kiln::runner::SimRunner;
use libtest_mimic::{Arguments, Failed, Trial};
use std::process::ExitCode;
use std::time::Duration;

/// Longest time of one run; the longest design takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let mut args = Arguments::from_args();
    let on = place();
    // The NPU has six contexts, and times mean nothing while two designs share it.
    if on == Some(Place::Npu) {
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
    let trials = trials.into_iter().map(|t| t.with_ignored_flag(on.is_none())).collect();
    libtest_mimic::run(&args, trials).exit_code()
}

fn said(result: Result<()>) -> Result<(), Failed> {
    result.map_err(|e| format!("{e:#}").into())
}

/// The device of the trials; says why there is none.
fn place() -> Option<Place> {
    let place = Place::here();
    match &place {
        Ok(Place::Simulated) => println!("on the SIMULATED device: no hardware runs"),
        Ok(Place::Npu) => {}
        Err(missing) => println!("all trials are skipped, for want of:\n{}", missing.join("\n")),
    }
    place.ok()
}

/// What a trial runs on.
fn given(on: Option<Place>) -> Result<Place> {
    on.context("nothing to run on: ask for trials without --ignored")
}

/// A kernel alone on a core, against its reference.
fn kernel(name: &str, on: Option<Place>) -> Result<()> {
    let entry = catalogue::find(name).context("listed")?;
    for (seed, data) in [(1, Data::Random), (2, Data::Edges)] {
        let case = entry.case(seed, data);
        let single = designs::single(&entry.kernel, &case).context("a kernel that runs alone")?;
        let mut host = single.host;
        run(&single.design, &mut host, given(on)?)?;
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
fn listed(design: &Design, on: Option<Place>) -> Result<()> {
    let device = Device::npu1();
    let mut host = designs::inputs(design, device, 1)?.context("a listed design has inputs")?;
    let mut expected = host.clone();
    SimRunner::new(device, device.profile(device.default_profile())?).dispatch(design, &mut expected)?;
    run(design, &mut host, given(on)?)?;
    for (at, buffer) in design.sequence.buffers.iter().enumerate() {
        let wrong = host[at].iter().zip(&expected[at]).position(|(a, b)| a != b);
        ensure!(wrong.is_none(), "{} differs from the simulator first in byte {wrong:?}", buffer.name);
    }
    Ok(())
}

/// Emits, builds and runs a design.
fn run(design: &Design, host: &mut [Vec<u8>], on: Place) -> Result<()> {
    let device = Device::npu1();
    let profile = device.profile(device.default_profile())?;
    LiveDesign::open(design, on, device, profile)?.run(host, PATIENCE)?;
    Ok(())
}
