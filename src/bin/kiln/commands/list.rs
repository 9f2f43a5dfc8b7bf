//! `kiln list`.

use anyhow::Result;
use kiln::kernels::{catalogue, designs};
use std::io::Write;
use std::process::ExitCode;

/// Names of the kernels, one per line
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names of the designs instead; behind one of an encoder's, the schemes that use it
    #[arg(long)]
    designs: bool,
}

/// Prints the names.
///
/// # Errors
/// When `out` fails.
pub fn list(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    if !args.designs {
        catalogue::catalogue().iter().try_for_each(|e| writeln!(out, "{}", e.kernel.name))?;
        return Ok(ExitCode::SUCCESS);
    }
    let all = designs::listed();
    let width = all.iter().map(|one| one.design.name.len()).max().unwrap_or(0);
    for one in all {
        let schemes: Vec<&str> = one.schemes.iter().map(|scheme| scheme.name()).collect();
        let line = format!("{:width$}  {}", one.design.name, schemes.join(" "));
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}
