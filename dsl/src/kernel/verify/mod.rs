//! Checks a kernel before anything executes or emits it, and reports every error at once.
//!
//! After [`verify`] the rest of Kiln relies on the following:
//! - ids are in range; every operation and loop body stands in exactly one place; `yield` ends
//!   each loop body and nothing else; each value is defined once, before its uses and in scope;
//! - each operation has a form in the op table for its operand and result types;
//! - accesses name memory of their element type that the kernel may touch so, at an alignment that
//!   the operation needs and that follows from the kernel text;
//! - nothing reads bytes of an `out` or `scratch` parameter that no operation before it can store;
//! - names can stand in C++, tables have the bytes of their layout.

mod error;
mod initial;
mod memory;
mod params;
mod problem;
mod scalar;
mod structure;
mod types;

pub use error::{KernelError, KernelErrors, Place};
pub use problem::{NameFault, Problem};

use super::ir::Kernel;
use crate::verified::Verified;
use structure::Structure;

/// Accepts a kernel that breaks no rule.
///
/// # Errors
/// Every broken rule, each with the author's place and the line of IR text.
pub fn verify(kernel: Kernel) -> Result<Verified<Kernel>, KernelErrors> {
    let errors = verify_ref(&kernel);
    if errors.is_empty() {
        Ok(Verified::new(kernel))
    } else {
        Err(KernelErrors { kernel: kernel.name.clone(), errors })
    }
}

/// Every rule that `kernel` breaks, in the order of its text; empty for a valid one.
pub fn verify_ref(kernel: &Kernel) -> Vec<KernelError> {
    let mut report = error::Report::new(kernel);
    params::check(kernel, &mut report);
    let structure = Structure::check(kernel, &mut report);
    // What follows walks the tree and looks values up without asking again whether they exist.
    if structure.is_sound() {
        structure.check_scopes(kernel, &mut report);
        params::check_outputs(kernel, &mut report);
        types::check(kernel, &mut report);
        memory::check(kernel, &mut report);
        initial::check(kernel, &mut report);
    }
    report.finish()
}

#[cfg(test)]
mod tests;
