//! Designs emitted, built and put on a device: the NPU of this machine, or the simulated array in its place.
//!
//! Trials and benchmarks that meet an NPU by chance ask [`Place::here`] for it; what it gives runs through the same
//! [`Runner`] as `hwrun`.

use crate::artifacts::{self, ArtifactError};
use crate::simulated_npu::SimulatedNpu;
use kiln_dsl::array::Design;
use kiln_dsl::device::{Device, Profile};
use kiln_hw::xrt_sys::Xrt;
use kiln_hw::xrt_sys::fake::FakeXrt;
use kiln_hw::{Artifacts, ArtifactsError, Found, Machine, Needed, Patience, RunError, Runner};
use std::cell::Cell;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;
use thiserror::Error;

/// Where designs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The NPU of this machine, with the toolchain that builds for it.
    Npu,
    /// The simulated array behind XRT's functions: no hardware runs.
    Simulated,
}

impl Place {
    /// The place that this machine has: the simulated array where `KILN_XRT=simulated` asks for it, else the NPU.
    ///
    /// # Errors
    /// Everything that an NPU and its toolchain need and that is missing, a line each.
    pub fn here() -> Result<Place, Vec<String>> {
        if std::env::var_os("KILN_XRT").is_some_and(|which| which == "simulated") {
            return Ok(Place::Simulated);
        }
        let is_missing =
            |needed: Needed, found: &Found| needed != Needed::ForTimes && matches!(found, Found::Bad(_));
        let checks = Machine::this().doctor();
        let missing: Vec<String> =
            checks.iter().filter(|c| is_missing(c.needed, &c.found)).map(ToString::to_string).collect();
        if missing.is_empty() { Ok(Place::Npu) } else { Err(missing) }
    }
}

/// Why a design did not run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LiveError {
    /// It cannot be emitted.
    #[error(transparent)]
    Emit(#[from] ArtifactError),
    /// Its files cannot be written, or its build script not started.
    #[error("design {design}: {cause}")]
    Files {
        /// Name of the design.
        design: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The toolchain refuses it.
    #[error("design {design}: build.sh failed:\n{stderr}")]
    Build {
        /// Name of the design.
        design: String,
        /// What it printed.
        stderr: String,
    },
    /// What was built cannot be used.
    #[error(transparent)]
    Artifacts(#[from] ArtifactsError),
    /// It does not run.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// A design on a device.
#[derive(Debug)]
pub struct LiveDesign {
    runner: Runner,
    /// Time that the simulated array has worked.
    simulated: Option<Rc<Cell<Duration>>>,
}

impl LiveDesign {
    /// Emits a design for `device`, builds it where that needs to be, and opens it.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub fn open(
        design: &Design,
        place: Place,
        device: &'static Device,
        profile: &'static Profile,
    ) -> Result<LiveDesign, LiveError> {
        let files = |cause| LiveError::Files { design: design.name.clone(), cause };
        let folder = tempfile::tempdir().map_err(files)?;
        for file in artifacts::bundle(design, device)?.files() {
            let path = folder.path().join(&file.path);
            std::fs::create_dir_all(path.parent().unwrap_or(folder.path())).map_err(files)?;
            std::fs::write(path, &file.bytes).map_err(files)?;
        }
        if place == Place::Simulated {
            let artifacts = Artifacts::load_for_simulation(folder.path())?;
            let mut npu = SimulatedNpu::new(device, profile);
            npu.knows(&artifacts.xclbin, design);
            let simulated = Some(npu.worked());
            let runner = Runner::open(&FakeXrt::new(npu).xrt(), &artifacts)?;
            return Ok(LiveDesign { runner, simulated });
        }
        // Designs built before come from the script's cache.
        let output =
            Command::new("bash").arg("build.sh").current_dir(folder.path()).output().map_err(files)?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(LiveError::Build { design: design.name.clone(), stderr });
        }
        let artifacts = Artifacts::load(folder.path())?;
        let xrt = Xrt::real().ok_or(RunError::WithoutXrt)?;
        Ok(LiveDesign { runner: Runner::open(&xrt, &artifacts)?, simulated: None })
    }

    /// One run, as [`Runner::run`]. The time of a simulated run is the array's at the profile's clock.
    ///
    /// # Errors
    /// When it does not end in `limit`, or fails.
    pub fn run(&mut self, host: &mut [Vec<u8>], limit: Duration) -> Result<Duration, RunError> {
        let before = self.simulated.as_ref().map(|worked| worked.get());
        let time = self.runner.run(host, &Patience::of(limit))?;
        Ok(match (&self.simulated, before) {
            (Some(worked), Some(before)) => worked.get().saturating_sub(before),
            _ => time,
        })
    }
}
