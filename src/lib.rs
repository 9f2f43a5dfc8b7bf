//! Kiln: kernels for the AMD Phoenix NPU, written once, simulated bit for bit and emitted.
//!
//! This crate joins the others under one name, and adds [`runner`]: whole designs on the simulated array, for the
//! encoder, [`mod@fit`]: budgets with the code that is predicted, [`network`]: the encoder that a command was asked for,
//! [`live`]: designs on an NPU, [`models`]: what simulates
//! kernels that a file only names, [`predict`]: what a run of them would take, [`progress`]: bars, and [`validate`]: predictions against
//! measurements. The programs `kiln` and `hwrun` are built on it.
//!
//! ```
//! use kiln::kernels::{case::Data, catalogue};
//! use kiln::sim::core::{KernelArg, run_kernel};
//!
//! let relu = catalogue::find("relu_i8").expect("the catalogue has it");
//! let mut args = [KernelArg::Memory(vec![0xff; 2048]), KernelArg::Memory(vec![1; 2048]), KernelArg::I32(2048)];
//! let cost = run_kernel(&relu.kernel, &mut args)?;
//! assert_eq!(args[1], KernelArg::Memory(vec![0; 2048])); // max(-1, 0)
//! assert!(cost.cycles >= 2048 / 64); // a vector of 64 bytes each iteration, which take a cycle or more
//! # Ok::<(), kiln::sim::core::RunError>(())
//! ```

pub use kiln_dsl as dsl;
pub use kiln_hw as hw;
pub use kiln_kernels as kernels;
pub use kiln_sim as sim;

pub mod artifacts;
pub mod fit;
pub mod interrupt;
pub mod live;
pub mod models;
pub mod network;
pub mod predict;
pub mod progress;
pub mod runner;
pub mod say;
pub mod simulated_npu;
pub mod validate;
pub mod view;
