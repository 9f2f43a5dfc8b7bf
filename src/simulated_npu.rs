//! The simulated array as a device behind XRT's functions: for tests of the runner, and to try it without an NPU.

use crate::artifacts;
use crate::runner::SimRunner;
use kiln_dsl::array::Design;
use kiln_dsl::device::{Device, Profile};
use kiln_dsl::emit::insts_to_bytes;
use kiln_hw::xrt_sys::fake::Machine;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// Executes designs that it was told of. It takes the xclbin for a name: which design runs is decided by that, and the
/// instruction stream must be the design's own.
#[derive(Debug)]
pub struct SimulatedNpu {
    designs: Vec<(Vec<u8>, Design)>,
    device: &'static Device,
    profile: &'static Profile,
    runner: SimRunner<'static>,
    worked: Rc<Cell<Duration>>,
}

impl SimulatedNpu {
    /// An array of `device`, with nothing known yet.
    pub fn new(device: &'static Device, profile: &'static Profile) -> SimulatedNpu {
        let runner = SimRunner::new(device, profile);
        SimulatedNpu { designs: Vec::new(), device, profile, runner, worked: Rc::default() }
    }

    /// The time that the array has worked until now, at the profile's clock; it goes on with every run.
    pub fn worked(&self) -> Rc<Cell<Duration>> {
        Rc::clone(&self.worked)
    }

    /// Tells which design an xclbin holds.
    pub fn knows(&mut self, xclbin: &[u8], design: &Design) {
        self.designs.push((xclbin.to_vec(), design.clone()));
    }
}

impl Machine for SimulatedNpu {
    fn load(&mut self, xclbin: &[u8]) -> Result<(), String> {
        let known = self.designs.iter().any(|(bytes, _)| bytes == xclbin);
        if known { Ok(()) } else { Err("Invalid xclbin".to_owned()) }
    }

    fn run(&mut self, xclbin: &[u8], instructions: &[u32], buffers: &mut [Vec<u8>]) -> Result<(), String> {
        let known = self.designs.iter().find(|(bytes, _)| bytes == xclbin);
        let (_, design) = known.ok_or("Invalid xclbin")?;
        let bundle = artifacts::bundle(design, self.device).map_err(|e| e.to_string())?;
        let files = bundle.files();
        let stream = files.iter().find(|f| f.path == bundle.manifest.launch.instructions);
        if stream.is_none_or(|f| f.bytes != insts_to_bytes(instructions)) {
            return Err(format!("the instructions are not those of {}", design.name));
        }
        let report = self.runner.dispatch(design, buffers).map_err(|e| e.to_string())?;
        let time = Duration::from_secs_f64(self.profile.us(report.cycles) * 1e-6);
        self.worked.set(self.worked.get() + time);
        Ok(())
    }
}
