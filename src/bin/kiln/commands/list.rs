//! `kiln list`.

use anyhow::Result;
use kiln::kernels::{catalogue, designs};
use std::io::Write;
use std::process::ExitCode;

/// Names of the kernels, one per line
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names of the designs instead
    #[arg(long)]
    designs: bool,
}

/// Prints the names.
///
/// # Errors
/// When `out` fails.
pub fn list(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    let names: Vec<String> = if args.designs {
        designs::designs().into_iter().map(|d| d.name).collect()
    } else {
        catalogue::catalogue().into_iter().map(|e| e.kernel.name.clone()).collect()
    };
    names.iter().try_for_each(|name| writeln!(out, "{name}"))?;
    Ok(ExitCode::SUCCESS)
}
