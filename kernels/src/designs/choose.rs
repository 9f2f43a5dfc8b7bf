//! Shapes for a device: of several designs that compute the same, the first that fits.

use kiln_dsl::array::{Design, verify};
use kiln_dsl::device::Device;
use kiln_dsl::fit::{FitReport, fit};

/// No candidate fits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("design {}: no tile of it fits {}; the smallest:\n{}", .report.design, .report.device, why(.report, .errors))]
pub struct TooBig {
    /// What the last and smallest candidate takes.
    pub report: Box<FitReport>,
    /// What else is wrong with it.
    pub errors: String,
}

fn why(report: &FitReport, errors: &str) -> String {
    if report.fits { errors.to_owned() } else { report.to_string() }
}

/// The first of some designs that a device accepts, with what goes with it.
///
/// # Errors
/// [`TooBig`], about the last candidate, when none does.
///
/// # Panics
/// When there is no candidate.
pub fn first_that_fits<T>(
    device: &Device,
    candidates: impl IntoIterator<Item = (T, Design)>,
) -> Result<(T, Design), TooBig> {
    let mut refused = None;
    for (with, design) in candidates {
        match verify(design.clone(), device) {
            Ok(_) => return Ok((with, design)),
            Err(errors) => refused = Some((design, errors)),
        }
    }
    let (design, errors) = refused.expect("at least one candidate");
    Err(TooBig { report: Box::new(fit(&design, device)), errors: errors.to_string() })
}
