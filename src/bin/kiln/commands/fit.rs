//! `kiln fit`: what a design takes of every tile.

use super::{design_or_file, device};
use anyhow::Result;
use kiln::dsl::device::Compiler;
use kiln::fit::fit as budget;
use std::io::Write;
use std::process::ExitCode;

/// What a design takes of each tile and of the host, whether that is there, and what else is wrong
///
/// Memory by bank, program memory, locks, BDs, channels and switch ports, each with its limit; of what is over, the
/// objects to blame, by how much, and changes that would fit, found by trying them. Program memory and stack
/// frames are those of the predicted code. The exit code is 1 when the design does not fit, or
/// has errors of another kind: the verdict is that of `kiln lower` and `kiln run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the design, as `kiln list --designs` prints it, or a file of MLIR at the level of object FIFOs, whose
    /// kernels' code is not known
    #[arg(value_name = "DESIGN|FILE.mlir")]
    design: String,
    /// Device to fit into: a built-in name, or a file with a description
    #[arg(long, value_name = "DEVICE|FILE", default_value = "npu1")]
    device: String,
    /// Whose code: peano, chess, or ideal, which loses nothing to a compiler
    #[arg(long, default_value_t)]
    compiler: Compiler,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Prints the budget.
///
/// # Errors
/// When there is no such design or device.
pub fn fit(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    let device = device(&args.device)?;
    let report = budget(&design_or_file(&args.design, &device)?, &device, args.compiler);
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(if report.fits { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
