//! Everything that a device needs to run a design, from the design and a program for each core.

use super::cdo::Cdo;
use super::check::differences;
use super::configure::{ConfigureError, configure};
use super::image::CoreImage;
use super::pdi::Pdi;
use super::state::{ArrayState, StateError};
use super::xclbin::{KernelInterface, Partition, Section, Xclbin, kind};
use crate::array::Design;
use crate::array::lowered::Lowered;
use crate::device::Device;
use crate::emit::{InstsError, emit_insts, insts_to_bytes};
use crate::verified::Verified;
use thiserror::Error;

/// The files of a design.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The configuration.
    pub cdo: Cdo,
    /// The configuration as the firmware loads it.
    pub pdi: Vec<u8>,
    /// What XRT loads.
    pub xclbin: Vec<u8>,
    /// The controller's instruction stream.
    pub insts: Vec<u8>,
}

/// Why a design has no files.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PackageError {
    /// No configuration.
    #[error(transparent)]
    Configure(#[from] ConfigureError),
    /// No instruction stream.
    #[error(transparent)]
    Insts(#[from] InstsError),
    /// A configuration that cannot be executed.
    #[error(transparent)]
    State(#[from] StateError),
    /// A configuration that says something else than the lowering.
    #[error("design {design}: the configuration differs from the lowering, which is a fault of Kiln:{}", list.iter().map(|d| format!("\n  - {d}")).collect::<String>())]
    Differs {
        /// Name of the design.
        design: String,
        /// Every difference.
        list: Vec<String>,
    },
}

/// Makes the files. `lowered` is the lowering of `design`, `images` has the program of each of its cores. The same
/// arguments give the same bytes. Before anything leaves, the configuration is executed and compared with the lowering.
///
/// # Errors
/// See [`PackageError`].
pub fn package(
    design: &Verified<Design>,
    lowered: &Lowered,
    device: &Device,
    images: &[CoreImage],
) -> Result<Package, PackageError> {
    let cdo = configure(design, lowered, device, images)?;
    let list = differences(lowered, images, &ArrayState::of(&cdo, device)?);
    if !list.is_empty() {
        return Err(PackageError::Differs { design: design.name.clone(), list });
    }
    let insts = insts_to_bytes(&emit_insts(design, lowered, device)?);
    let pdi = Pdi::write(&cdo.to_bytes());
    let xclbin = xclbin(design, device, pdi.clone()).to_bytes();
    Ok(Package { cdo, pdi, xclbin, insts })
}

/// The xclbin of a design's PDI, with every section that XRT reads.
fn xclbin(design: &Design, device: &Device, pdi: Vec<u8>) -> Xclbin {
    let host = &device.host;
    let buffers = (design.sequence.buffers.len() as u32).max(host.buffers_min());
    let kernel = KernelInterface::mlir_aie(buffers);
    let width = u16::from(design.columns);
    let columns = u16::try_from(device.geometry.columns()).unwrap_or(u16::MAX);
    // Every column from which the design's columns are there (mlir-aie 1757a837 `makePartitionJson`); those of 2023
    // counted from 1. The driver makes a list of its own.
    let starts = (0..=columns.saturating_sub(width)).collect();
    let partition = Partition::new(width, starts, pdi, kernel.id.into());
    let mut sections = kernel.sections();
    let section = Section::new(kind::AIE_PARTITION, "aie_partition", partition.to_bytes());
    // As xclbinutil orders them: groups last.
    sections.insert(sections.len() - 2, section);
    Xclbin::new(sections)
}

#[cfg(test)]
mod tests;
