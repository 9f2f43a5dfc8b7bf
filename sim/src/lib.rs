//! Kiln's simulator: bit-exact function, core timing, the array in discrete events
pub mod array;
pub mod core;
pub mod executor;
pub mod report;
pub mod trace;
