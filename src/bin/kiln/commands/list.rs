//! `kiln list`.

use anyhow::Result;
use kiln::kernels::catalogue;
use std::io::Write;
use std::process::ExitCode;

/// Names of the kernels, one per line
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints the names.
///
/// # Errors
/// When `out` fails.
pub fn list(_: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    for entry in catalogue::catalogue() {
        writeln!(out, "{}", entry.kernel.name)?;
    }
    Ok(ExitCode::SUCCESS)
}
