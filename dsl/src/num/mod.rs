//! Bit-exact arithmetic of AIE2, lane by lane: rounding shifts, saturation, bf16, matrix products,
//! shuffles and lookup tables. Judged by the vectors seen on silicon.

pub mod lut;
mod modes;
pub use modes::{Rounding, Saturation};
