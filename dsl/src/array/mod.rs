//! Level 2: what runs where. See [`ir`] for the design, [`DesignBuilder`] to write one, [`verify`]
//! to check it against a device, and [`lower()`] for what it becomes.
mod build;
#[cfg(test)]
pub(crate) mod examples;
pub mod ir;
mod lower;
pub mod lowered;
pub mod route;
mod verify;

pub use build::{CopyRef, CoreBuilder, DesignBuilder, FifoRef, IntoArgs, SequenceBuilder, SwitchBuilder};
pub use ir::*;
pub(crate) use lower::{
    COUNTER_PREFIX, allocate, derived_depths, each_stmt, memory_of, tiles_used, words_used,
};
pub use lower::{LowerError, LowerMode, lower, preview};
pub use verify::{ArrayError, ArrayErrors, verify};
