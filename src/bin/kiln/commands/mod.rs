//! The commands, and what they share: names of things become things, or an error that lists the names there are.

pub mod asm;
pub mod emit;
pub mod encode;
pub mod fit;
pub mod insts;
pub mod list;
pub mod lower;
pub mod numerics;
pub mod quantize;
pub mod run;
pub mod validate;

use anyhow::{Result, anyhow};
use kiln::dsl::array::Design;
use kiln::dsl::device::Device;
use kiln::kernels::case::Entry;
use kiln::kernels::{catalogue, designs};
use std::path::Path;

/// The kernel of a name.
fn kernel(name: &str) -> Result<Entry> {
    catalogue::find(name)
        .ok_or_else(|| anyhow!("no kernel is named \"{name}\"\nhelp: `kiln list` prints the names"))
}

/// The design of a name.
fn design(name: &str) -> Result<Design> {
    designs::find(name)
        .ok_or_else(|| anyhow!("no design is named \"{name}\"\nhelp: `kiln list --designs` prints the names"))
}

/// The device of a name, or of a file with a description.
fn device(name: &str) -> Result<Device> {
    let path = Path::new(name);
    if Device::BUILT_IN.contains(&name)
        || !(path.exists() || path.components().count() > 1 || path.extension().is_some())
    {
        return Ok(Device::named(name)?.clone());
    }
    Ok(Device::load(path)?)
}
