//! `kiln insts`: the controller's instruction stream of a design, and any such stream in words.

use super::{design_or_file, device};
use anyhow::{Context, Result, bail};
use kiln::dsl::array::{LowerMode, lower, verify};
use kiln::dsl::device::Compiler;
use kiln::dsl::emit::{decode_insts, emit_insts, insts_from_bytes, insts_to_bytes};
use kiln::dsl::files;
use kiln::fit::fit;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Bytes of the longest stream that is read: far beyond what a sequence makes.
const LONGEST_BYTES: u64 = 64 << 20;

/// The controller's instruction stream (`insts.bin`) of a design, or any such file in words
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["design", "decode"])))]
pub struct Args {
    /// Name of the design, as `kiln list --designs` prints it, or a file of MLIR at the level of object FIFOs
    #[arg(value_name = "DESIGN|FILE.mlir")]
    design: Option<String>,
    /// Print this `insts.bin` in words instead
    #[arg(long, value_name = "FILE")]
    decode: Option<PathBuf>,
    /// Write the stream to this file; without it, its words are printed in hexadecimal
    #[arg(long, value_name = "FILE", conflicts_with = "decode")]
    out: Option<PathBuf>,
    /// Print the design's stream in words
    #[arg(long, conflicts_with = "decode")]
    text: bool,
    /// Device of the design: a built-in name, or a file with a description
    #[arg(long, value_name = "DEVICE|FILE", default_value = "npu1")]
    device: String,
}

/// Encodes or decodes a stream.
///
/// # Errors
/// When there is no such design, it is not right for the device, or a file cannot be read, written or decoded.
pub fn insts(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    if let Some(path) = &args.decode {
        let bytes = files::read(path, "an instruction stream", LONGEST_BYTES)?;
        let stream = insts_from_bytes(&bytes).and_then(|words| decode_insts(&words));
        write!(out, "{}", stream.with_context(|| format!("{}: no instruction stream", path.display()))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let device = device(&args.device)?;
    let design = design_or_file(args.design.as_deref().unwrap_or_default(), &device)?;
    let design = verify(design, &device)?;
    let budget = fit(&design, &device, Compiler::default());
    if !budget.fits {
        bail!("{budget}");
    }
    let lowered = lower(&design, &device, LowerMode::Dynamic)?;
    let words = emit_insts(&design, &lowered, &device)?;
    if let Some(path) = &args.out {
        files::write(path, &insts_to_bytes(&words))?;
    }
    if args.text {
        write!(out, "{}", decode_insts(&words)?)?;
    } else if args.out.is_none() {
        words.iter().try_for_each(|word| writeln!(out, "{word:08X}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
