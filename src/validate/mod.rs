//! Predictions against published measurements: `kiln validate`.
//!
//! A file of measurements says of each what ran, as a [`workload`] map: source code and conditions, never an
//! answer. Each kind of workload builds its kernel or design with the DSL, simulates it, and gives an [`Outcome`], which
//! is converted to the unit of the measurement and compared. `docs/validation.md` is the schema of the maps.
//!
//! ```
//! use kiln::validate::{MeasuredFile, validate};
//!
//! let file = MeasuredFile::parse("entries:
//! - id: two_bundles
//!   metric: cycles/iteration
//!   value: 2.0
//!   unit: cycles
//!   source: a trace
//!   workload: {kind: loop, body: vector_accumulate}
//! ", "example.yaml")?;
//! let report = validate(&file, kiln::dsl::device::Device::npu1(), &|| {});
//! assert_eq!(report.entries[0].predicted, Some(2.0));
//! # Ok::<(), kiln::validate::FileError>(())
//! ```

mod array;
mod core;
mod file;
mod names;
mod report;
mod run;
mod unit;
pub mod workload;

pub use core::call_on_core;
pub use file::{FileError, Measured, MeasuredFile, Problem};
pub use report::{Group, InCycles, Report, Role, Row};
pub use run::validate;
pub use unit::Unit;
pub use workload::{Conditions, Outcome};
