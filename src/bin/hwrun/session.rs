//! What the commands share: a device, a folder's design, its inputs and what the simulator makes of them.

use anyhow::{Context, Result, anyhow, bail};
use kiln::artifacts;
use kiln::dsl::array::Design;
use kiln::dsl::device::{Device, Profile};
use kiln::dsl::emit::Manifest;
use kiln::dsl::emit::bundle::{ManifestBuffer, Sha};
use kiln::hw::xrt_sys::Xrt;
use kiln::hw::xrt_sys::fake::{FakeXrt, Fault};
use kiln::hw::{Artifacts, Patience, RunError, Runner};
use kiln::kernels::designs;
use kiln::predict::Prediction;
use kiln::runner::SimRunner;
use kiln::simulated_npu::SimulatedNpu;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// Which device, and how patient.
#[derive(Clone, Debug, clap::Args)]
pub struct On {
    /// The NPU, or the simulated array behind XRT's functions: a rehearsal without a device
    #[arg(long, value_enum, default_value_t = Which::Real, env = "KILN_XRT")]
    xrt: Which,
    /// Fault of the simulated device: no-device, permission, memlock, no-context, firmware, timeout, abort, device-lost or
    /// wrong-bit; `NAME:N` spares the first N calls that could meet it
    #[arg(long, value_name = "NAME[:N]")]
    fault: Vec<String>,
    /// Longest time of one run
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    timeout_ms: u64,
    /// Clock and host memory of the prediction: a profile of the device [default: the device's own default]
    #[arg(long)]
    profile: Option<String>,
}

/// Where designs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Which {
    /// The NPU
    Real,
    /// The simulated array
    Simulated,
}

/// A way to a device.
#[derive(Debug)]
pub struct Session {
    which: Which,
    device: &'static Device,
    profile_name: String,
    profile: &'static Profile,
    faults: Vec<(Fault, u32)>,
    limit: Duration,
}

/// A folder's design with its inputs and the simulator's results.
#[derive(Debug)]
pub struct Case {
    /// The folder.
    pub artifacts: Artifacts,
    /// The design.
    pub design: Design,
    /// Host buffers before the run.
    pub inputs: Vec<Vec<u8>>,
    /// Host buffers after it, by the simulator.
    pub expected: Vec<Vec<u8>>,
    /// Predicted cycles, and those in which the controller works.
    pub cycles: [u64; 2],
    /// Multiply-accumulates of one run.
    pub macs: u64,
    /// Predicted time of array and controller, and with the launch, in ms.
    pub predicted_ms: [f64; 2],
}

impl Session {
    /// From the options.
    ///
    /// # Errors
    /// When a fault or profile is unknown, or faults are asked of a real device.
    pub fn new(on: &On) -> Result<Session> {
        let device = Device::npu1();
        let profile_name = on.profile.clone().unwrap_or_else(|| device.default_profile().to_owned());
        let profile = device.profile(&profile_name)?;
        let faults: Result<Vec<_>> = on.fault.iter().map(|text| fault(text)).collect();
        let faults = faults?;
        if on.xrt == Which::Real && !faults.is_empty() {
            bail!("--fault is for --xrt simulated: a real NPU has its own");
        }
        let limit = Duration::from_millis(on.timeout_ms.max(1));
        Ok(Session { which: on.xrt, device, profile_name, profile, faults, limit })
    }

    /// What ran, for people: nobody may take a rehearsal for hardware.
    pub fn place(&self) -> &'static str {
        match self.which {
            Which::Real => "NPU",
            Which::Simulated => "SIMULATED device (no hardware ran)",
        }
    }

    /// The device of predictions.
    pub fn device(&self) -> &'static Device {
        self.device
    }

    /// The profile of predictions.
    pub fn profile(&self) -> (&str, &'static Profile) {
        (&self.profile_name, self.profile)
    }

    /// Whether the user asked to stop.
    pub fn stopped(&self) -> bool {
        kiln::interrupt::requested()
    }

    /// Reads a folder and checks its hashes.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn read(&self, folder: &Path) -> Result<Artifacts> {
        Ok(match self.which {
            Which::Real => Artifacts::load(folder)?,
            Which::Simulated => Artifacts::load_for_simulation(folder)?,
        })
    }

    /// A folder's artifacts with the design that they were made from.
    ///
    /// # Errors
    /// When it cannot be used, or was emitted for another design than this Kiln has under its name.
    fn artifacts(&self, folder: &Path) -> Result<(Artifacts, Design)> {
        let artifacts = self.read(folder)?;
        let name = &artifacts.manifest.design;
        let design = designs::find(name).ok_or_else(|| {
            anyhow!("{}: this Kiln has no design \"{name}\", so nothing to compare with", folder.display())
        })?;
        self.is_of(&artifacts, &design)?;
        Ok((artifacts, design))
    }

    /// Whether a folder holds what this Kiln emits for a design. What is run and compared is the design's, never a text's
    /// beside it, so the manifest may differ in the stated results only, which are checked by themselves.
    ///
    /// # Errors
    /// When it was emitted from other content, or its manifest was changed.
    pub fn is_of(&self, artifacts: &Artifacts, design: &Design) -> Result<()> {
        let theirs = &artifacts.manifest;
        let mut ours = artifacts::bundle(design, self.device)?.manifest;
        if ours.content != theirs.content {
            bail!(
                "{}: {} of Kiln {} is {}, of this Kiln {} it is {}\nhelp: emit and build it again",
                artifacts.folder.display(),
                design.name,
                theirs.kiln,
                theirs.content,
                ours.kiln,
                ours.content
            );
        }
        ours.expected.clone_from(&theirs.expected);
        ours.kiln.clone_from(&theirs.kiln);
        if ours != *theirs {
            bail!(
                "{}: {} is not the one of its content: {}\nhelp: emit the design again",
                artifacts.folder.display(),
                Manifest::FILE,
                differing(theirs, &ours)?
            );
        }
        Ok(())
    }

    /// A folder's design, seeded inputs, and the simulator's results for them.
    ///
    /// # Errors
    /// As [`Session::artifacts`]; when the simulator fails, or gives other results than the manifest states.
    pub fn case(&self, folder: &Path, seed: u64) -> Result<Case> {
        let (artifacts, design) = self.artifacts(folder)?;
        let inputs = designs::inputs(&design, self.device, seed)?
            .ok_or_else(|| anyhow!("design {} has no inputs of a seed", design.name))?;
        let mut expected = inputs.clone();
        let mut simulator = SimRunner::new(self.device, self.profile);
        let report = simulator.dispatch(&design, &mut expected)?;
        if let Some(stated) = artifacts.manifest.expected.as_ref().filter(|e| e.seed == seed) {
            let hashes: Vec<Sha> = expected.iter().map(|bytes| Sha::of(bytes)).collect();
            if hashes != stated.after {
                bail!(
                    "{}: the simulator gives other results than the manifest states for seed {seed}\nhelp: emit the design again",
                    folder.display()
                );
            }
        }
        let prediction = Prediction::new(simulator.launches(), self.device, self.profile);
        let work = prediction.array_ms + prediction.controller_ms;
        let predicted_ms = [work, work + prediction.launch_ms];
        let cycles = [report.cycles, report.controller_cycles];
        Ok(Case { artifacts, design, inputs, expected, cycles, macs: report.macs(), predicted_ms })
    }

    /// The way to the device; a simulated one knows these designs.
    ///
    /// # Errors
    /// [`RunError::WithoutXrt`].
    pub fn xrt(&self, designs: &[(&Artifacts, &Design)]) -> Result<Xrt, RunError> {
        if self.which == Which::Real {
            return Xrt::real().ok_or(RunError::WithoutXrt);
        }
        let mut npu = SimulatedNpu::new(self.device, self.profile);
        designs.iter().for_each(|(artifacts, design)| npu.knows(&artifacts.xclbin, design));
        let fake = FakeXrt::new(npu);
        self.faults.iter().for_each(|&(fault, skip)| fake.order(fault, skip));
        Ok(fake.xrt())
    }

    /// Puts a case on the device.
    ///
    /// # Errors
    /// See [`RunError`].
    pub fn open(&self, case: &Case) -> Result<Runner, RunError> {
        Runner::open(&self.xrt(&[(&case.artifacts, &case.design)])?, &case.artifacts)
    }

    /// How long to wait for a run that is predicted to take `predicted_ms`.
    pub fn patience<'a>(&self, predicted_ms: Option<f64>, stopped: &'a dyn Fn() -> bool) -> Patience<'a> {
        Patience { limit: self.limit, predicted_ms, stopped }
    }

    /// Cycles of the profile's clock in a time.
    pub fn cycles_of(&self, time: Duration) -> u64 {
        (time.as_secs_f64() * 1e6 / self.profile.us(1)).round() as u64
    }
}

/// The first value in which a manifest differs from what it should be, in words.
fn differing(got: &Manifest, expected: &Manifest) -> Result<String> {
    fn first(path: &str, got: &Value, expected: &Value) -> Option<String> {
        if got == expected {
            return None;
        }
        let inside = match (got, expected) {
            (Value::Object(a), Value::Object(b)) => {
                let inner = |key: &String| first(&format!("{path}.{key}"), a.get(key)?, &b[key]);
                b.keys().find_map(inner)
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                let mut pairs = a.iter().zip(b).enumerate();
                pairs.find_map(|(i, (a, b))| first(&format!("{path}[{i}]"), a, b))
            }
            _ => None,
        };
        Some(
            inside
                .unwrap_or_else(|| format!("{} is {got}, expected {expected}", path.trim_start_matches('.'))),
        )
    }
    let (got, expected) = (serde_json::to_value(got)?, serde_json::to_value(expected)?);
    Ok(first("", &got, &expected).unwrap_or_default())
}

fn fault(text: &str) -> Result<(Fault, u32)> {
    let (name, skip) = text.split_once(':').unwrap_or((text, "0"));
    let known = || Fault::NAMES.map(|(name, _)| name).join(", ");
    let fault =
        Fault::named(name).ok_or_else(|| anyhow!("no fault is named \"{name}\"; there are {}", known()))?;
    let skip = skip.parse().with_context(|| format!("--fault {text}: expected a number after the colon"))?;
    Ok((fault, skip))
}

/// Where a buffer of the device is not what the simulator says.
#[derive(Debug)]
pub struct Difference {
    /// Bytes that differ.
    pub bytes: usize,
    /// First element that does.
    pub element: usize,
    /// Its bytes by the simulator and by the device, lowest first.
    pub values: [Vec<u8>; 2],
}

impl Difference {
    /// What differs, for people.
    pub fn words(&self, buffer: &ManifestBuffer) -> String {
        let hex = |bytes: &[u8]| bytes.iter().rev().map(|b| format!("{b:02x}")).collect::<String>();
        let [expected, got] = [&self.values[0], &self.values[1]].map(|v| hex(v));
        format!(
            "{}: DIFFERS from the simulator in {} of {} bytes, first in element {} ({}): expected 0x{expected}, got 0x{got}",
            buffer.name, self.bytes, buffer.bytes, self.element, buffer.element
        )
    }
}

/// Compares one buffer, byte by byte.
pub fn compare(buffer: &ManifestBuffer, expected: &[u8], got: &[u8]) -> Option<Difference> {
    let first = expected.iter().zip(got).position(|(a, b)| a != b)?;
    let bytes = expected.iter().zip(got).filter(|(a, b)| a != b).count();
    let elements: u64 = buffer.shape.iter().map(|&d| u64::from(d)).product();
    let width = (buffer.bytes / elements.max(1)).max(1) as usize;
    let element = first / width;
    let part = |all: &[u8]| all[element * width..(element + 1) * width].to_vec();
    Some(Difference { bytes, element, values: [part(expected), part(got)] })
}
