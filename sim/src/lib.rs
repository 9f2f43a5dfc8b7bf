//! Kiln's simulator: bit-exact function, core timing, the array in discrete events
pub mod array;
pub mod core;
mod cost_only;
pub mod executor;
pub mod report;
pub mod trace;

pub use cost_only::CostOnly;
