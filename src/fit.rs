//! Budgets of designs with the code that is predicted for their kernels.

use kiln_dsl::array::Design;
use kiln_dsl::device::{Compiler, Device};
use kiln_dsl::fit::{CodeBytes, FitReport, fit_with_code};
use kiln_sim::core::{CoreModel, KernelCost};
use std::collections::BTreeMap;

/// What a design takes of every tile; program memory and stack frames are those of the schedules that
/// `compiler` is predicted to make. Those of kernels without a body, as a file of MLIR names them, are unknown. The
/// verdict is that of the whole check, as `kiln lower` and `kiln run` give it.
pub fn fit(design: &Design, device: &Device, compiler: Compiler) -> FitReport {
    let model = CoreModel { compiler, ..device.into() };
    let sizes: BTreeMap<&str, CodeBytes> = design
        .kernels
        .iter()
        .filter(|kernel| !kernel.ops.is_empty())
        .map(|kernel| (kernel.name.as_str(), KernelCost::new(kernel, model).size()))
        .collect();
    fit_with_code(design, device, &|kernel| sizes.get(kernel.name.as_str()).copied()).judged(design, device)
}
