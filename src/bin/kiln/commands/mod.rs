//! The commands, and what they share: names of things become things, or an error that lists the names there are.

pub mod asm;
pub mod disasm;
pub mod emit;
pub mod encode;
pub mod fit;
pub mod inspect;
pub mod insts;
pub mod list;
pub mod lower;
pub mod numerics;
pub mod quantize;
pub mod run;
pub mod validate;
pub mod view;

use anyhow::{Context, Result, anyhow, bail};
use kiln::artifacts::as_emitted;
use kiln::dsl::array::Design;
use kiln::dsl::device::Device;
use kiln::dsl::emit::{MlirDesign, design_of_mlir, parse_mlir};
use kiln::dsl::files::{Output, are_one, read_text};
use kiln::kernels::designs;
use kiln::sim::report::Bottleneck;
use kiln::sim::trace::Trace;
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// The design of a name, in the tile shapes for a device and as it is emitted.
fn design(name: &str, device: &Device) -> Result<Design> {
    let design = designs::find_for(name, device)?.ok_or_else(|| {
        anyhow!("no design is named \"{name}\"\nhelp: `kiln list --designs` prints the names")
    })?;
    Ok(as_emitted(&design, device))
}

/// Whether a name is that of a file of MLIR.
fn is_file(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|e| e == "mlir")
}

/// Bytes of the longest MLIR file that is read: far beyond a design of object FIFOs.
const LONGEST_MLIR_BYTES: u64 = 16 << 20;

/// The design of a name, or of a file that ends in `.mlir`.
fn design_or_file(name: &str, device: &Device) -> Result<Design> {
    if is_file(name) { file_design(name, device).map(|(_, design)| design) } else { design(name, device) }
}

/// The design of a file, and the text as it was read. What the toolchain adds to it is told on standard error.
fn file_design(name: &str, device: &Device) -> Result<(MlirDesign, Design)> {
    let path = Path::new(name);
    let text = read_text(path, "a design in MLIR", LONGEST_MLIR_BYTES)?;
    let parsed = parse_mlir(&text).with_context(|| format!("{name}: no design of the subset"))?;
    let stem = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    let design = design_of_mlir(&parsed, &stem, device).with_context(|| format!("{name}: no design"))?;
    for (line, fifo) in parsed.tokens_given(device) {
        eprintln!(
            "note: {stem}.mlir:{}: the copy of @{fifo} drains without issue_token; the toolchain's stream issues a token for it, \
             and so does this one",
            line.0
        );
    }
    Ok((parsed, design))
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

/// Outputs by name, claimed before long work.
///
/// # Errors
/// When one cannot be written, or two of them, or one and an input, are one file.
fn claim<const N: usize>(
    outputs: [(&str, Option<&Path>); N],
    inputs: &[&Path],
) -> Result<[Option<Output>; N]> {
    let paths: Vec<(&str, &Path)> =
        outputs.iter().filter_map(|(what, path)| Some((*what, (*path)?))).collect();
    check_outputs(&paths, inputs)?;
    let mut claimed = [const { None }; N];
    for (place, (_, path)) in claimed.iter_mut().zip(outputs) {
        *place = path.map(Output::create).transpose()?;
    }
    Ok(claimed)
}

/// Whether outputs are files of their own: none an input, no two the same.
fn check_outputs(outputs: &[(&str, &Path)], inputs: &[&Path]) -> Result<()> {
    for (at, (what, path)) in outputs.iter().enumerate() {
        if inputs.iter().any(|input| are_one(input, path)) {
            bail!("{}: {what} would replace an input", path.display());
        }
        if let Some((other, _)) = outputs[..at].iter().find(|(_, other)| are_one(other, path)) {
            bail!("{}: {other} and {what} cannot be one file", path.display());
        }
    }
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

/// A trace that was written, as JSON.
#[derive(Debug, Serialize)]
struct TraceFile {
    file: String,
    events: usize,
    left_out: u64,
}

impl TraceFile {
    /// Of the traces of runs.
    fn new<'t>(path: &Path, traces: impl IntoIterator<Item = &'t Trace>) -> TraceFile {
        let empty = TraceFile { file: path.display().to_string(), events: 0, left_out: 0 };
        traces.into_iter().fold(empty, |file, trace| TraceFile {
            events: file.events + trace.events.len(),
            left_out: file.left_out + trace.dropped,
            ..file
        })
    }
}

impl fmt::Display for TraceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "trace of {} events in {}, {} left out", self.events, self.file, self.left_out)
    }
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
