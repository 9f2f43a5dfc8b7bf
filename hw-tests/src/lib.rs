//! Kiln on a real NPU.
//!
//! ```
//! match kiln_hw::npu_status() {
//!     Ok(npu) => println!("{npu}"),
//!     Err(e) => println!("{e}"), // lists all that is missing, each with its remedy
//! }
//! ```
//!
//! [`Artifacts`] is a folder that `kiln emit` wrote and its `build.sh` compiled, checked by hashes; [`Runner`] puts it on the
//! device over `xrt-sys` and runs it on bytes of host memory; [`Machine::doctor`] looks at everything that this needs. Who
//! compares results with the simulator is above: the program `hwrun`, and the trials in `tests/device.rs`.
//!
//! # Invariants
//!
//! - Builds and tests on every machine: over [`xrt_sys::fake`] where there is no NPU.
//! - Nothing runs that was not built from the manifest beside it.
//! - `npu_status` and `doctor` change nothing.

mod artifacts;
mod doctor;
mod error;
mod machine;
mod missing;
mod runner;
mod status;

pub use artifacts::{Artifacts, ArtifactsError, Problem};
pub use doctor::{Check, Found, Needed};
pub use error::{PredictedMs, RunError};
pub use machine::Machine;
pub use missing::Missing;
pub use runner::{Patience, Runner};
pub use status::{Npu, NpuError, npu_status};
pub use xrt_sys;
