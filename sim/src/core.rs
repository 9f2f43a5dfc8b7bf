//! One core: what a kernel call does to bytes, and the cycles it takes.
//!
//! ```text
//! Verified<Kernel> --+-- KernelCost (core time, once a kernel)
//!                    |
//!                    +-- Interpreter: the oracle, walks the tree
//!                    +-- Compiled:    the same bits and cycles, fast
//! ```
//!
//! Neither knows an operation's meaning: both call the op table's, and do themselves only what
//! touches memory, loops, modes or the cascade.

mod access;
mod bind;
mod compiled;
mod error;
mod executor;
mod interp;
mod live;
#[cfg(test)]
mod tests;
mod timing;

pub use compiled::Compiled;
pub use error::{RunError, Site};
pub use executor::{CoreExecutor, Engine, KernelArg, run_kernel, run_kernel_on, run_kernel_with};
pub use interp::{Interpreter, Touched};
pub use timing::{
    Bundle, CoreModel, Hints, Issued, KernelCost, LoopCost, LoopFacts, Schedule, Section, SectionKind,
};
