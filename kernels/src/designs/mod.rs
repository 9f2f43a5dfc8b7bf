//! Whole designs: array programs with their runtime sequences.

pub mod attention;
mod cascade;
pub mod choose;
mod dispatch;
pub mod gemm;
mod inputs;
pub mod mel;
mod mm4x4;
mod relu2;
pub mod rows;
mod single;

pub use attention::attention_64x64;
pub use cascade::{cascade, cascade_reference};
pub use dispatch::dispatch;
pub use mm4x4::mm4x4;
pub use relu2::relu2;
pub use single::{Single, counted, single};

use crate::whisper::ModelConfig;
use crate::whisper::plan::{Plan, PlanError};
use crate::whisper::scheme::Scheme;
use kiln_dsl::array::{Design, Tile};
use kiln_dsl::device::Device;

/// The designs that are listed, emitted and tested: examples, the design document's tile of attention, the log-mel
/// spectrogram, and those of the tiny encoder for npu1's cores.
///
/// # Panics
/// When a design of the tiny encoder does not fit npu1, which the tests exclude.
pub fn designs() -> Vec<Design> {
    let plan = tiny(Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
    examples().into_iter().chain(plan.designs().into_iter().cloned()).collect()
}

/// The designs of one size, whatever the device.
fn examples() -> [Design; 6] {
    let log_mel = mel::LogMel::new(mel::LISTED_MELS).design();
    [relu2(), mm4x4(), dispatch(), cascade(), attention_64x64().1, log_mel]
}

/// The plan of the tiny encoder in the default scheme.
fn tiny(device: &Device) -> Result<Plan, PlanError> {
    let recipe = Scheme::default().recipe();
    Plan::new(&ModelConfig::tiny(), &recipe, device)
}

/// Host buffers with which a listed design computes something, from a seed: inputs hold data over the whole range of
/// their types and parameters that make sense, outputs zeros. `None` for other designs.
///
/// The same seed gives the same bytes for ever.
///
/// # Errors
/// When the design is none of the examples, and the tiny encoder does not fit the device that it is for.
pub fn inputs(design: &Design, device: &Device, seed: u64) -> Result<Option<Vec<Vec<u8>>>, PlanError> {
    match inputs::of_example(design, seed) {
        Some(host) => Ok(Some(host)),
        None => Ok(inputs::of_encoder(design, &tiny(device)?, seed)),
    }
}

/// The listed design with a name, as it is for npu1.
pub fn find(name: &str) -> Option<Design> {
    designs().into_iter().find(|d| d.name == name)
}

/// The listed design with a name, with the tile shapes that a device has room for.
///
/// # Errors
/// When the design is one of the tiny encoder's, and that does not fit the device.
pub fn find_for(name: &str, device: &Device) -> Result<Option<Design>, PlanError> {
    if let Some(example) = examples().into_iter().find(|d| d.name == name) {
        return Ok(Some(example));
    }
    match tiny(device) {
        Ok(plan) => Ok(plan.designs().into_iter().find(|d| d.name == name).cloned()),
        Err(too_big) => find(name).map_or(Ok(None), |_| Err(too_big)),
    }
}

/// The sixteen cores, column by column.
pub(crate) fn cores() -> impl Iterator<Item = Tile> {
    (0..4).flat_map(|col| (2..6).map(move |row| Tile::new(col, row)))
}
