//! Cycles of a call on a device: the design that calls a kernel as often as a word of host memory says, run twice.

use kiln::dsl::device::{Device, Profile};
use kiln::kernels::case::{Case, Entry};
use kiln::kernels::designs::{self, Single};
use kiln::live::{LiveDesign, Place};
use kiln::runner::SimRunner;
use std::time::Duration;

/// Calls of the longer run, simulated: every call takes the same time.
const CALLS_SIMULATED: u32 = 9;
/// Predicted time of the longer run on an NPU, which hides the scatter of launches, some tens of microseconds.
const LONG_US: f64 = 20_000.0;
/// Runs on an NPU, of which the fastest counts.
const RUNS: usize = 5;
/// Longest time of one run.
const PATIENCE: Duration = Duration::from_secs(10);

/// A device on which kernels are timed.
#[derive(Clone, Debug)]
pub struct Live {
    /// Which.
    pub place: Place,
    device: &'static Device,
    profile_name: String,
    profile: &'static Profile,
}

/// Cycles of one call more, in which the core's own loop has its part.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveCycles {
    /// On the simulated array.
    pub simulated: f64,
    /// On the device.
    pub measured: f64,
    /// The device.
    pub origin: String,
}

impl Live {
    /// A device whose clock is that of a profile of `device`.
    ///
    /// # Errors
    /// When there is no such profile.
    pub fn new(place: Place, device: &'static Device, profile: &str) -> Result<Live, String> {
        let found = device.profile(profile).map_err(|e| e.to_string())?;
        Ok(Live { place, device, profile_name: profile.to_owned(), profile: found })
    }

    /// The device, for people.
    pub fn origin(&self) -> String {
        let place = match self.place {
            Place::Npu => "this NPU",
            Place::Simulated => "SIMULATED device (no hardware ran)",
        };
        format!("{place}, clock of {}", self.profile_name)
    }

    /// Times a kernel; `None` for one that does not run alone on a core.
    ///
    /// # Errors
    /// When it cannot be built or run, or its results are not the case's.
    pub fn cycles(&self, entry: &Entry, case: &Case) -> Result<Option<LiveCycles>, String> {
        let Some(counted) = designs::counted(&entry.kernel, case) else { return Ok(None) };
        let mut simulator = SimRunner::new(self.device, self.profile);
        let mut simulate = |calls: u32| {
            let report = simulator.dispatch(&counted.design, &mut host(&counted, calls));
            report.map(|report| report.cycles as f64).map_err(|e| e.to_string())
        };
        let simulated = (simulate(CALLS_SIMULATED)? - simulate(1)?) / f64::from(CALLS_SIMULATED - 1);
        let (calls, runs) = match self.place {
            Place::Npu => {
                let each_us = self.profile.us(simulated.max(1.0) as u64);
                ((LONG_US / each_us).clamp(2.0, 1e6) as u32, RUNS)
            }
            Place::Simulated => (CALLS_SIMULATED, 1),
        };
        let mut on = LiveDesign::open(&counted.design, self.place, self.device, self.profile)
            .map_err(|e| e.to_string())?;
        let mut run = |host: &mut [Vec<u8>]| on.run(host, PATIENCE).map_err(|e| e.to_string());
        let (mut one, mut many) = (host(&counted, 1), host(&counted, calls));
        let mut short = run(&mut one)?;
        // Later runs of a kernel with a state begin with what the first one left.
        check(entry, case, &counted, &one)?;
        let mut long = run(&mut many)?;
        for _ in 1..runs {
            short = short.min(run(&mut one)?);
            long = long.min(run(&mut many)?);
        }
        let each = (long.as_secs_f64() - short.as_secs_f64()) / f64::from(calls - 1);
        let measured = each * f64::from(self.profile.clock_mhz()) * 1e6;
        Ok(Some(LiveCycles { simulated, measured, origin: self.origin() }))
    }
}

/// A wrong result has no time.
fn check(entry: &Entry, case: &Case, counted: &Single, host: &[Vec<u8>]) -> Result<(), String> {
    let out = host.last().map(Vec::as_slice).unwrap_or_default();
    for (param, range) in &counted.outputs {
        let expected = case.expected.iter().find(|(at, _)| at == param).map(|(_, bytes)| bytes.as_slice());
        if out.get(range.clone()) != expected {
            let name = &entry.kernel.params[*param].name;
            return Err(format!("{}: {name} differs from the reference on the device", entry.kernel.name));
        }
    }
    Ok(())
}

/// Host buffers for this many calls.
fn host(counted: &Single, calls: u32) -> Vec<Vec<u8>> {
    let mut host = counted.host.clone();
    host[0][..4].copy_from_slice(&calls.to_le_bytes());
    host
}
