//! Bit-exact arithmetic of AIE2, lane by lane: rounding shifts, saturation, bf16, matrix products,
//! shuffles and lookup tables. Judged by the vectors seen on silicon (`tests/silicon.rs`); each
//! module says what they prove and what they leave open.

pub mod bf16;
pub mod lut;
pub mod mmul;
mod modes;
pub mod shuffle;
pub mod srs;
pub use modes::{Rounding, Saturation};
