//! Whole designs: array programs with their runtime sequences.

pub mod attention;
mod cascade;
mod dispatch;
pub mod gemm;
mod inputs;
mod mm4x4;
mod relu2;
pub mod rows;
mod single;

pub use cascade::{cascade, cascade_reference};
pub use dispatch::dispatch;
pub use mm4x4::mm4x4;
pub use relu2::relu2;
pub use single::{Single, single};

use crate::whisper::ModelConfig;
use crate::whisper::plan::Plan;
use crate::whisper::scheme::Scheme;
use kiln_dsl::array::{Design, Tile};
use kiln_dsl::device::Device;

/// The designs that are listed, emitted and tested: four examples, and those of the tiny encoder
/// for npu1's cores.
///
/// # Panics
/// When a design of the tiny encoder does not fit npu1, which the tests exclude.
pub fn designs() -> Vec<Design> {
    let plan = tiny();
    let mut all = vec![relu2(), mm4x4(), dispatch(), cascade()];
    all.extend(plan.designs().into_iter().cloned());
    all
}

/// The plan of the tiny encoder in the default scheme, for npu1's cores.
fn tiny() -> Plan {
    let l1_bytes = Device::npu1().core.data_memory_bytes();
    let recipe = Scheme::default().recipe().expect("a scheme of integers");
    Plan::new(&ModelConfig::tiny(), &recipe, l1_bytes).unwrap_or_else(|e| panic!("{e}"))
}

/// Host buffers with which a listed design computes something, from a seed: inputs hold data over the whole range of
/// their types and parameters that make sense, outputs zeros. `None` for other designs.
///
/// The same seed gives the same bytes for ever.
pub fn inputs(design: &Design, seed: u64) -> Option<Vec<Vec<u8>>> {
    inputs::inputs(design, &tiny(), seed)
}

/// The listed design with a name.
pub fn find(name: &str) -> Option<Design> {
    designs().into_iter().find(|d| d.name == name)
}

/// The sixteen cores, column by column.
pub(crate) fn cores() -> impl Iterator<Item = Tile> {
    (0..4).flat_map(|col| (2..6).map(move |row| Tile::new(col, row)))
}
