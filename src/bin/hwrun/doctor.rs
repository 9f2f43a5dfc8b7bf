//! `hwrun doctor`.

use anyhow::Result;
use kiln::hw::{Found, Machine, Needed};
use std::io::Write;
use std::process::ExitCode;

/// What this machine has and lacks to build and run designs, each with its remedy
///
/// Exit code 0 when designs can run here.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Looks and tells.
///
/// # Errors
/// When `out` fails.
pub fn doctor(_: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    let checks = Machine::this().doctor();
    checks.iter().try_for_each(|check| writeln!(out, "{check}"))?;
    let lacks = |needed| checks.iter().any(|c| c.needed == needed && matches!(c.found, Found::Bad(_)));
    let can = |needed| if lacks(needed) { "cannot" } else { "can" };
    writeln!(out, "\ndesigns {} run here, and {} be built here", can(Needed::ToRun), can(Needed::ToBuild))?;
    Ok(if lacks(Needed::ToRun) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
