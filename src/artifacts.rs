//! A design made ready for the device toolchain, with what the simulator says it computes.

use crate::fit::fit;
use crate::runner::{DispatchError, SimRunner};
use kiln_dsl::array::{Design, LowerMode, lower, verify};
use kiln_dsl::device::{Compiler, Device, Profile};
use kiln_dsl::emit::bundle::{Expected, Sha};
use kiln_dsl::emit::{Bundle, BundleError, emit_bundle};
use kiln_dsl::fit::FitReport;
use kiln_kernels::designs;
use thiserror::Error;

/// Why a design has no artifacts.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// It cannot be verified, lowered or simulated.
    #[error(transparent)]
    Dispatch(#[from] DispatchError),
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
/// # Errors
/// When the design is not right for the device, its predicted code does not fit program memory or stack,
/// or it has a part that cannot be emitted.
pub fn bundle(design: &Design, device: &Device) -> Result<Bundle, ArtifactError> {
    let verified = verify(design.clone(), device).map_err(DispatchError::from)?;
    let budget = fit(design, device, Compiler::default());
    if !budget.fits {
        return Err(ArtifactError::Code(Box::new(budget)));
    }
    let lowered = lower(&verified, device, LowerMode::default())
        .map_err(|source| DispatchError::Lower { design: design.name.clone(), source })?;
    Ok(emit_bundle(&verified, &lowered, device)?)
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
    let Some(mut host) = designs::inputs(design, seed) else { return Ok(None) };
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
