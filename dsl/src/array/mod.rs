//! Level 2: what runs where. See [`ir`] for the design and [`lowered`] for what it becomes.
pub mod ir;
pub mod lowered;
pub use ir::*;
