//! Kiln on a real NPU.
//!
//! Today: whether this machine has one that can be used, and everything that is missing if not.
//!
//! ```
//! match kiln_hw::npu_status() {
//!     Ok(npu) => println!("{npu}"),
//!     Err(e) => println!("{e}"), // lists all that is missing, each with its remedy
//! }
//! ```
//!
//! The runner comes on top of `xrt-sys`: it will take an emitted design that the toolchain has compiled
//! (an xclbin and its instruction stream), run it, and compare every output bit and the cycles with the
//! simulator. Tests that need an NPU will be one trial per kernel and say why they were skipped.
//!
//! # Invariants
//!
//! - Builds and tests on every machine.
//! - `npu_status` changes nothing: it opens the device node and closes it, and reads files.

mod status;

pub use status::{Machine, Missing, Npu, NpuError, npu_status};
pub use xrt_sys::Xrt;
