//! Level 1: what one core computes.
pub mod build;
pub mod ir;
pub mod ops;
mod print;
mod tidy;
pub mod types;
mod verify;
pub use ir::*;
pub use types::*;
pub use verify::{KernelError, KernelErrors, Place, Problem, verify, verify_ref};
