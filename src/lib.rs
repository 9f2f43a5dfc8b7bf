//! Kiln: kernels for the AMD Phoenix NPU, written once, simulated and emitted.
pub use kiln_dsl as dsl;
pub use kiln_kernels as kernels;
pub use kiln_sim as sim;
