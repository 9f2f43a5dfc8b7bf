//! The simulated array as a runner, for tests.

use kiln_dsl::Verified;
use kiln_dsl::array::lowered::Lowered;
use kiln_dsl::array::{Design, LowerMode, lower, verify};
use kiln_dsl::device::Device;
use kiln_kernels::whisper::encoder::{ArrayRunner, CoreWork, Dispatch, RunnerError};
use kiln_sim::array::{SimOptions, simulate_with};
use kiln_sim::core::{CoreExecutor, Engine};
use kiln_sim::report::SimReport;

/// Verifies and lowers a design.
pub fn prepare(design: &Design, device: &Device) -> Result<(Verified<Design>, Lowered), RunnerError> {
    let design = verify(design.clone(), device)?;
    let lowered = lower(&design, device, LowerMode::Dynamic)?;
    Ok((design, lowered))
}

/// Runs a design once on npu1 with its default profile.
pub fn run(design: &Design, host: &mut [Vec<u8>]) -> Result<SimReport, RunnerError> {
    run_on(Device::npu1(), design, host, &SimOptions::default())
}

/// As [`run`], with a trace.
pub fn run_traced(design: &Design, host: &mut [Vec<u8>]) -> Result<SimReport, RunnerError> {
    run_on(Device::npu1(), design, host, &SimOptions { trace_events: 10_000, ..SimOptions::default() })
}

fn run_on(
    device: &Device,
    design: &Design,
    host: &mut [Vec<u8>],
    options: &SimOptions,
) -> Result<SimReport, RunnerError> {
    let (design, lowered) = prepare(design, device)?;
    let mut executor = CoreExecutor::new(&design.kernels, device, Engine::Compiled)?;
    let profile = device.profile(device.default_profile())?;
    Ok(simulate_with(&design, &lowered, device, profile, host, options, &mut executor)?)
}

/// The simulated array of a device as a runner.
#[derive(Debug)]
pub struct Simulated(pub &'static Device);

impl ArrayRunner for Simulated {
    fn run(&mut self, design: &Design, host: &mut [Vec<u8>]) -> Result<Dispatch, RunnerError> {
        let report = run_on(self.0, design, host, &SimOptions::default())?;
        Ok(Dispatch {
            cycles: report.cycles,
            controller_cycles: report.controller_cycles,
            calls: report.cores.iter().map(|c| c.calls).sum(),
            ddr_bytes: report.ddr_bytes(),
            l1_peak_bytes: report.l1_peak_bytes,
            l2_peak_bytes: report.l2_peak_bytes,
            cores: report
                .cores
                .iter()
                .map(|c| CoreWork { tile: c.tile, busy_cycles: c.busy_cycles, macs: c.macs })
                .collect(),
        })
    }
}
