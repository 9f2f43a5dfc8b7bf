//! Level 1: what one core computes.
pub mod ir;
pub mod ops;
pub mod types;
pub use ir::*;
pub use types::*;
