//! Level 1: what one core computes.
mod access;
#[doc(hidden)]
pub mod arbitrary;
pub mod build;
pub mod ir;
pub mod ops;
mod parse;
mod print;
mod tidy;
pub mod types;
mod verify;
pub use access::{Access, access};
pub use ir::*;
pub use parse::{ParseError, ParseErrors, Position, Syntax, parse_kernel, parse_kernels};
pub use types::*;
pub use verify::{KernelError, KernelErrors, NameFault, Place, Problem, verify, verify_ref};
