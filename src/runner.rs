//! Whole designs on the simulated array, one dispatch after another.

use crate::models::{BlackBoxes, ModelledExecutor};
use crate::predict::Launch;
use kiln_dsl::Verified;
use kiln_dsl::array::lowered::Lowered;
use kiln_dsl::array::{ArrayErrors, Design, LowerError, LowerMode, lower, verify};
use kiln_dsl::device::{Compiler, Device, Profile};
use kiln_kernels::whisper::encoder::{ArrayRunner, CoreWork, Dispatch, RunnerError};
use kiln_sim::array::{SimError, SimOptions, simulate_with};
use kiln_sim::core::{CoreExecutor, CoreModel, Engine, RunError};
use kiln_sim::report::{CoreReport, SimReport};
use std::collections::BTreeMap;

/// Why a dispatch did not give a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DispatchError {
    /// The design is not right for the device.
    #[error(transparent)]
    Verify(#[from] ArrayErrors),
    /// The design cannot be lowered.
    #[error("design {design}: {source}")]
    Lower {
        /// Name of the design.
        design: String,
        /// Why.
        source: LowerError,
    },
    /// A kernel cannot be executed.
    #[error("design {design}: {source}")]
    Prepare {
        /// Name of the design.
        design: String,
        /// Why.
        source: RunError,
    },
    /// The simulation stopped.
    #[error("design {design}: {source}")]
    Simulate {
        /// Name of the design.
        design: String,
        /// Why.
        source: Box<SimError>,
    },
}

/// A design made ready for its device, with its kernels.
#[derive(Debug)]
struct Prepared {
    design: Verified<Design>,
    /// Name of the first design with the same program.
    program: String,
    lowered: Lowered,
    executor: ModelledExecutor,
}

impl Prepared {
    fn new(
        design: &Design,
        program: String,
        device: &Device,
        compiler: Compiler,
        boxes: &BlackBoxes,
    ) -> Result<Prepared, DispatchError> {
        let name = || design.name.clone();
        let design = verify(design.clone(), device)?;
        let lowered = lower(&design, device, LowerMode::default())
            .map_err(|source| DispatchError::Lower { design: name(), source })?;
        let executor =
            CoreExecutor::new(&design.kernels, CoreModel { compiler, ..device.into() }, Engine::Compiled)
                .map_err(|source| DispatchError::Prepare { design: name(), source })?;
        let executor = boxes.executor(&design, executor);
        Ok(Prepared { design, program, lowered, executor })
    }
}

/// Runs designs on the simulated array of a device.
///
/// A design is verified, lowered and its kernels compiled when it first comes; it is known again by name and content.
/// Every dispatch starts from the state that the design describes, as after loading it.
#[derive(Debug)]
pub struct SimRunner<'a> {
    device: &'a Device,
    profile: &'a Profile,
    compiler: Compiler,
    options: SimOptions,
    boxes: BlackBoxes,
    prepared: BTreeMap<String, Prepared>,
    launches: Vec<Launch>,
}

impl<'a> SimRunner<'a> {
    /// A runner for the array of `device` at the clock and memory rate of `profile`.
    pub fn new(device: &'a Device, profile: &'a Profile) -> SimRunner<'a> {
        let compiler = Compiler::default();
        let options = SimOptions::default();
        let boxes = BlackBoxes::default();
        SimRunner {
            device,
            profile,
            compiler,
            options,
            boxes,
            prepared: BTreeMap::new(),
            launches: Vec::new(),
        }
    }

    /// The same, with other options of the simulation.
    pub fn with_options(self, options: SimOptions) -> SimRunner<'a> {
        SimRunner { options, ..self }
    }

    /// The same, with kernels built by `compiler`.
    pub fn with_compiler(self, compiler: Compiler) -> SimRunner<'a> {
        SimRunner { compiler, ..self }
    }

    /// The same, with some kernels as black boxes.
    pub fn with_black_boxes(self, boxes: BlackBoxes) -> SimRunner<'a> {
        SimRunner { boxes, ..self }
    }

    /// Everything dispatched so far, in order.
    pub fn launches(&self) -> &[Launch] {
        &self.launches
    }

    /// One dispatch: `host` holds the bytes of the sequence's buffers in order, and the results afterwards.
    ///
    /// # Errors
    /// When the design is not right for the device, `host` does not fit its sequence, or the simulation finds a fault.
    pub fn dispatch(&mut self, design: &Design, host: &mut [Vec<u8>]) -> Result<SimReport, DispatchError> {
        let (device, compiler) = (self.device, self.compiler);
        let is_known = self.prepared.get(&design.name).is_some_and(|p| *p.design == *design);
        if !is_known {
            let same = self.prepared.values().find(|p| p.design.same_program(design));
            let program = same.map_or(&design.name, |p| &p.program).clone();
            let prepared = Prepared::new(design, program, device, compiler, &self.boxes)?;
            self.prepared.insert(design.name.clone(), prepared);
        }
        let prepared = self.prepared.get_mut(&design.name).expect("inserted if it was not there");
        let report = simulate_with(
            &prepared.design,
            &prepared.lowered,
            self.device,
            self.profile,
            host,
            &self.options,
            &mut prepared.executor,
        )
        .map_err(|source| DispatchError::Simulate {
            design: design.name.clone(),
            source: Box::new(source),
        })?;
        self.launches.push(Launch {
            design: design.name.clone(),
            program: prepared.program.clone(),
            buffers: design.sequence.buffers.len(),
            cycles: report.cycles,
            controller_cycles: report.controller_cycles,
            bottleneck: report.bottlenecks.first().cloned(),
            trace: report.trace.clone(),
        });
        Ok(report)
    }
}

impl ArrayRunner for SimRunner<'_> {
    fn run(&mut self, design: &Design, host: &mut [Vec<u8>]) -> Result<Dispatch, RunnerError> {
        let report = self.dispatch(design, host)?;
        let core = |c: &CoreReport| CoreWork { tile: c.tile, busy_cycles: c.busy_cycles, macs: c.macs };
        Ok(Dispatch {
            cycles: report.cycles,
            controller_cycles: report.controller_cycles,
            calls: report.kernels.iter().map(|k| k.calls).sum(),
            ddr_bytes: report.ddr_bytes(),
            l1_peak_bytes: report.l1_peak_bytes,
            l2_peak_bytes: report.l2_peak_bytes,
            cores: report.cores.iter().map(core).collect(),
        })
    }
}
