//! Shapes for a device: of several designs that compute the same, the first that fits.

use kiln_dsl::array::{Design, verify};
use kiln_dsl::device::Device;
use kiln_dsl::fit::{CodeBytes, FitReport, fit, fit_with_code};
use kiln_dsl::kernel::Kernel;
use kiln_sim::core::KernelCost;
use std::cell::RefCell;
use std::collections::HashMap;

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

/// The first of some candidates, each a design or several that go together, that a device accepts and whose code is
/// predicted to fit, with what goes with it. Where no code fits, the first that the device accepts: the size of code is a
/// prediction, and data decides.
///
/// # Errors
/// [`TooBig`], about the last candidate, when the device accepts none.
///
/// # Panics
/// When there is no candidate.
pub fn first_that_fits<T, const N: usize>(
    device: &Device,
    candidates: impl IntoIterator<Item = (T, [Design; N])>,
) -> Result<(T, [Design; N]), TooBig> {
    let sizes = Sizes { device, known: RefCell::default() };
    let (mut accepted, mut refused) = (None, None);
    for (with, designs) in candidates {
        let error = designs.iter().find_map(|design| Some((design, verify(design.clone(), device).err()?)));
        if let Some((design, errors)) = error {
            refused = Some((design.clone(), errors));
        } else if designs.iter().all(|design| sizes.hold(design)) {
            return Ok((with, designs));
        } else if accepted.is_none() {
            accepted = Some((with, designs));
        }
    }
    accepted.ok_or_else(|| {
        let (design, errors) = refused.expect("at least one candidate");
        TooBig { report: Box::new(fit(&design, device)), errors: errors.to_string() }
    })
}

/// Code of kernels as the default compiler is predicted to make it. Candidates share kernels, and a name says what a
/// kernel is.
struct Sizes<'d> {
    device: &'d Device,
    known: RefCell<HashMap<String, CodeBytes>>,
}

impl Sizes<'_> {
    /// Whether program memory and stack of every core hold what a design calls.
    fn hold(&self, design: &Design) -> bool {
        let report = fit_with_code(design, self.device, &|kernel| Some(self.of(kernel)));
        report.tiles.iter().all(|tile| [tile.program, tile.stack].iter().flatten().all(|u| u.over() == 0))
    }

    fn of(&self, kernel: &Kernel) -> CodeBytes {
        let scheduled = || KernelCost::new(kernel, self.device).size();
        *self.known.borrow_mut().entry(kernel.name.clone()).or_insert_with(scheduled)
    }
}
