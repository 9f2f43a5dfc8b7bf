//! Errors of a kernel with their places, and how they are shown.

use super::problem::Problem;
use crate::kernel::ir::{Kernel, Loc, OpId, ParamId};
use crate::kernel::print::Listing;
use std::fmt;

/// The part of a kernel that an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// The kernel as a whole.
    Kernel,
    /// A parameter.
    Param(ParamId),
    /// An operation.
    Op(OpId),
}

/// One broken rule. Prints as one line, then the IR line under which it is drawn, then help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct KernelError {
    /// Where the author wrote the offending thing.
    pub loc: Loc,
    /// The offending thing.
    pub place: Place,
    /// Its line of IR text, from 1, as `kernel.to_string()` prints it.
    pub ir_line: usize,
    /// That line.
    pub ir: String,
    /// The rule.
    pub problem: Problem,
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.ir.trim_start();
        let indent = self.ir.len() - text.len();
        let width = self.ir_line.to_string().len();
        writeln!(f, "error: {}", self.problem)?;
        writeln!(f, "{:width$}--> {}", "", self.loc)?;
        writeln!(f, "{:width$} |", "")?;
        writeln!(f, "{} | {}", self.ir_line, self.ir)?;
        write!(f, "{:width$} | {:indent$}{}", "", "", "^".repeat(text.chars().count().max(1)))?;
        if let Some(help) = self.problem.help() {
            write!(f, "\n{:width$} = help: {help}", "")?;
        }
        Ok(())
    }
}

/// Every broken rule of one kernel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct KernelErrors {
    /// Name of the kernel.
    pub kernel: String,
    /// In the order of the kernel's text; never empty.
    pub errors: Vec<KernelError>,
}

impl fmt::Display for KernelErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.errors.len();
        write!(f, "kernel `{}` has {count} error{}", self.kernel, if count == 1 { "" } else { "s" })?;
        for error in &self.errors {
            write!(f, "\n\n{error}")?;
        }
        Ok(())
    }
}

/// Collects errors and finds each one's line.
pub(super) struct Report<'k> {
    kernel: &'k Kernel,
    found: Vec<(Place, Problem)>,
}

impl<'k> Report<'k> {
    pub fn new(kernel: &'k Kernel) -> Report<'k> {
        Report { kernel, found: Vec::new() }
    }

    pub fn add(&mut self, place: Place, problem: Problem) {
        self.found.push((place, problem));
    }

    pub fn op(&mut self, op: OpId, problem: Problem) {
        self.add(Place::Op(op), problem);
    }

    pub fn param(&mut self, param: usize, problem: Problem) {
        self.add(Place::Param(ParamId(param as u32)), problem);
    }

    /// Errors so far.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// The errors in the order of the kernel's text.
    pub fn finish(self) -> Vec<KernelError> {
        if self.found.is_empty() {
            return Vec::new();
        }
        let listing = Listing::new(self.kernel, false);
        let line_of = |place: Place| match place {
            Place::Kernel => listing.header,
            Place::Param(p) => listing.params.get(p.index()).copied().unwrap_or(listing.header),
            Place::Op(op) => listing.ops.get(&op).copied().unwrap_or(listing.header),
        };
        let loc_of = |place: Place| match place {
            Place::Kernel => None,
            Place::Param(p) => self.kernel.params.get(p.index()).map(|p| p.loc.clone()),
            Place::Op(op) => self.kernel.ops.get(op.index()).map(|op| op.loc.clone()),
        };
        let mut errors: Vec<KernelError> = self
            .found
            .into_iter()
            .map(|(place, problem)| {
                let line = line_of(place);
                let ir = listing.lines.get(line).cloned().unwrap_or_default();
                let loc = loc_of(place).unwrap_or(Loc::UNKNOWN);
                KernelError { loc, place, ir_line: line + 1, ir, problem }
            })
            .collect();
        errors.sort_by_key(|e| e.ir_line);
        errors
    }
}
