//! `kiln inspect`: what an xclbin, PDI, CDO, core program or instruction stream says.

use super::device;
use anyhow::{Context, Result};
use kiln::dsl::{container, files};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Bytes of the longest file that is read: far beyond any for this array.
const LONGEST_BYTES: u64 = 256 << 20;

/// What a file for the NPU says: sections, cores, programs, locks, buffer descriptors and routes, in words
///
/// Takes xclbins, PDIs, CDOs, ELF files of cores and instruction streams of any origin, known by their content.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An xclbin, PDI, CDO, core ELF or insts.bin
    file: PathBuf,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Device whose registers it writes: a built-in name, or a file with a description
    #[arg(long, value_name = "DEVICE|FILE", default_value = "npu1")]
    device: String,
}

/// Prints what the file says.
///
/// # Errors
/// When the file cannot be read, is none of these, or is damaged.
pub fn inspect(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    let device = device(&args.device)?;
    let path = args.file.display();
    let bytes = files::read(&args.file, "a file for the NPU", LONGEST_BYTES)?;
    let report =
        container::inspect(&bytes, &device).with_context(|| format!("{path}: cannot tell what it says"))?;
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(ExitCode::SUCCESS)
}
