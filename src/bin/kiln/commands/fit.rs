//! `kiln fit`: what a design takes of every tile.

use super::{design, device};
use anyhow::Result;
use kiln::dsl::fit::fit as budget;
use std::io::Write;
use std::process::ExitCode;

/// What a design takes of each tile's memory, banks, locks, BDs and channels, and whether that is there
///
/// The exit code is 1 when the design does not fit.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the design, as `kiln list --designs` prints it
    design: String,
    /// Device to fit into: a built-in name, or a file with a description
    #[arg(long, value_name = "DEVICE|FILE", default_value = "npu1")]
    device: String,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Prints the budget.
///
/// # Errors
/// When there is no such design or device.
pub fn fit(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    let report = budget(&design(&args.design)?, &device(&args.device)?);
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(if report.fits { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
