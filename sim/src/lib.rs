//! Kiln's simulator: bit-exact function, core timing, the array in discrete events
pub mod executor;
