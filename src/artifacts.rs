//! A design made ready for the device toolchain, with what the simulator says it computes.

use crate::fit::fit;
use crate::runner::{DispatchError, SimRunner};
use kiln_dsl::array::{Design, LowerMode, lower, verify};
use kiln_dsl::device::{Compiler, Device, Profile};
use kiln_dsl::emit::bundle::{Expected, Sha};
use kiln_dsl::emit::{Bundle, BundleError, LoopPlan, LoopPlans, emit_bundle};
use kiln_dsl::fit::FitReport;
use kiln_dsl::kernel::{BlockId, Kernel, OpId};
use kiln_kernels::designs;
use kiln_kernels::whisper::plan::PlanError;
use kiln_sim::core::{Schedule, Section, SectionKind};
use std::collections::BTreeMap;
use thiserror::Error;

/// Least stack of an emitted core, twice the toolchain's default: overflows are silent (`reference/mlir.md` 4, 9).
const STACK_LEAST_BYTES: u32 = 2048;
/// Stack beyond the largest kernel's frame: the core's own function, the runtime's, and what compilers add.
const STACK_MARGIN_BYTES: u32 = 1024;
/// Stacks are multiples of this.
const STACK_STEP_BYTES: u32 = 32;

/// Why a design has no artifacts.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// It cannot be verified, lowered or simulated.
    #[error(transparent)]
    Dispatch(#[from] DispatchError),
    /// The designs it belongs to do not fit the device.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The code predicted for it does not fit its cores.
    #[error(
        "design {}: the code predicted for it does not fit; the toolchain would not say so, and the core would overwrite \
         its buffers\n{}", .0.design, .0
    )]
    Code(Box<FitReport>),
    /// It cannot be emitted.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// Everything that goes to the device toolchain; the manifest expects nothing yet.
///
/// Loops that the predicted schedule pipelines ask the compiler for it. A core's stack is what its author gave it, or what
/// the largest predicted frame of its kernels and a margin need, or 2,048 B, whichever is most.
///
/// # Errors
/// When the design is not right for the device, its predicted code does not fit program memory or stack,
/// or it has a part that cannot be emitted.
pub fn bundle(design: &Design, device: &Device) -> Result<Bundle, ArtifactError> {
    let schedules: Vec<Schedule> = design.kernels.iter().map(|k| Schedule::new(k, device)).collect();
    let stacked = with_stacks(design, device, &schedules);
    let verified = verify(stacked, device).map_err(DispatchError::from)?;
    let budget = fit(&verified, device, Compiler::default());
    if !budget.fits {
        return Err(ArtifactError::Code(Box::new(budget)));
    }
    let lowered = lower(&verified, device, LowerMode::default())
        .map_err(|source| DispatchError::Lower { design: design.name.clone(), source })?;
    let plans = design.kernels.iter().zip(&schedules).map(|(k, s)| (k.name.clone(), plans(k, s))).collect();
    Ok(emit_bundle(&verified, &lowered, device, &plans)?)
}

/// The innermost loops of a kernel as scheduled.
fn plans(kernel: &Kernel, schedule: &Schedule) -> LoopPlans {
    let plan = |section: &Section| {
        let SectionKind::Loop(.., facts) = &section.kind else { return None };
        let inside = section.bundles.iter().flat_map(|b| &b.issued).find_map(|issued| issued.op)?;
        let plan = LoopPlan { interval_cycles: facts.interval_cycles, stages: facts.stages };
        Some((loop_around(kernel, Kernel::BODY, inside)?, plan))
    };
    schedule.sections.iter().filter_map(plan).collect()
}

/// The loop below `block` whose own body has `inside`.
fn loop_around(kernel: &Kernel, block: BlockId, inside: OpId) -> Option<OpId> {
    kernel.block(block).ops.iter().find_map(|&op| {
        let body = kernel.op(op).body?;
        let here = kernel.block(body).ops.contains(&inside);
        if here { Some(op) } else { loop_around(kernel, body, inside) }
    })
}

/// The design as [`bundle`] emits it: with the stacks that its cores get.
pub fn as_emitted(design: &Design, device: &Device) -> Design {
    let schedules: Vec<Schedule> = design.kernels.iter().map(|k| Schedule::new(k, device)).collect();
    with_stacks(design, device, &schedules)
}

/// The design with the stacks that it is emitted with.
fn with_stacks(design: &Design, device: &Device, schedules: &[Schedule]) -> Design {
    let frames: BTreeMap<&str, u32> = design
        .kernels
        .iter()
        .zip(schedules)
        .map(|(kernel, schedule)| (kernel.name.as_str(), schedule.cost.size().frame))
        .collect();
    let mut design = design.clone();
    let called: Vec<u32> = design
        .cores
        .iter()
        .map(|core| design.called_by(core).into_iter().filter_map(|name| frames.get(name)).copied().max())
        .map(Option::unwrap_or_default)
        .collect();
    for (core, frame) in design.cores.iter_mut().zip(called) {
        let given = core.stack_bytes.unwrap_or(device.core.default_stack_bytes());
        let needed = (frame + STACK_MARGIN_BYTES).next_multiple_of(STACK_STEP_BYTES);
        core.stack_bytes = Some(given.max(needed).max(STACK_LEAST_BYTES));
    }
    design
}

/// What a listed design makes of seeded inputs on the simulated array; `None` for a design that has none.
///
/// # Errors
/// When the simulation fails.
pub fn expected(
    design: &Design,
    device: &Device,
    profile: (&str, &Profile),
    seed: u64,
) -> Result<Option<Expected>, ArtifactError> {
    let Some(mut host) = designs::inputs(design, device, seed)? else { return Ok(None) };
    let hashes = |host: &[Vec<u8>]| host.iter().map(|bytes| Sha::of(bytes)).collect::<Vec<Sha>>();
    let before = hashes(&host);
    let report = SimRunner::new(device, profile.1).dispatch(design, &mut host)?;
    Ok(Some(Expected {
        seed,
        before,
        after: hashes(&host),
        predicted_cycles: report.cycles,
        profile: profile.0.to_owned(),
    }))
}
