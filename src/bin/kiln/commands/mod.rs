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

use anyhow::{Context, Result, anyhow};
use kiln::dsl::array::Design;
use kiln::dsl::device::Device;
use kiln::kernels::designs;
use kiln::sim::report::Bottleneck;
use serde::Serialize;
use std::fs::{File, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The design of a name, in the tile shapes for a device.
fn design(name: &str, device: &Device) -> Result<Design> {
    designs::find_for(name, device)?
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

/// The folder of a file to be written.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether a file can be made where `path` will be, asked before long work.
fn can_write(path: &Path) -> Result<()> {
    tempfile::tempfile_in(folder(path)).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

/// Writes a file whole or not at all: under another name beside it, renamed at the end.
fn write_file(path: &Path, write: impl FnOnce(&mut BufWriter<&File>) -> Result<()>) -> Result<()> {
    let failed = || format!("cannot write {}", path.display());
    // As other programs create files; the user's mask narrows it.
    let mode = Permissions::from_mode(0o666);
    let mut builder = tempfile::Builder::new();
    let hidden = builder.prefix(".kiln-").permissions(mode).tempfile_in(folder(path)).with_context(failed)?;
    let mut file = BufWriter::new(hidden.as_file());
    write(&mut file).and_then(|()| Ok(file.flush()?)).with_context(failed)?;
    drop(file);
    hidden.persist(path).with_context(failed)?;
    Ok(())
}

/// What cores wait for and why, as JSON.
#[derive(Debug, Serialize)]
struct Wait {
    core: String,
    cores: u32,
    wait_share: f64,
    waits_for: String,
    chain: Vec<String>,
    /// All of it in words.
    text: String,
}

impl From<&Bottleneck> for Wait {
    fn from(b: &Bottleneck) -> Wait {
        Wait {
            core: format!("{},{}", b.core.col, b.core.row),
            cores: b.cores,
            wait_share: b.wait_share,
            waits_for: b.waits_for.clone(),
            chain: b.chain.clone(),
            text: b.to_string(),
        }
    }
}
