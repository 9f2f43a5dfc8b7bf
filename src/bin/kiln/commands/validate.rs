//! `kiln validate`: predictions against published measurements.

use super::device;
use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use kiln::validate::{MeasuredFile, validate as compare};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Predicts published measurements and prints the errors
///
/// Each entry of the file says what ran as a `workload` map (docs/validation.md). Its kernel or design is built,
/// simulated, and compared with the measured value in the entry's unit. The exit code is 1 when an entry is malformed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// YAML file of measurements; the project's own if absent
    file: Option<PathBuf>,
    /// Device to predict for: a built-in name, or a file with a description
    #[arg(long, value_name = "DEVICE|FILE", default_value = "npu1")]
    device: String,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Prints predictions, measurements and errors.
///
/// # Errors
/// When the file is no list of measurements, or there is no such device.
pub fn validate(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    let device = device(&args.device)?;
    let file = match &args.file {
        Some(path) => MeasuredFile::read(path)?,
        None => MeasuredFile::built_in(),
    };
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {pos}/{len}")?.progress_chars("=> ");
    let bar = ProgressBar::new(file.simulations() as u64).with_style(style).with_message("simulating");
    let report = compare(&file, &device, &|| bar.inc(1));
    bar.finish_and_clear();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        write!(out, "{report}")?;
    }
    for problem in &report.problems {
        kiln::say!("error: {problem}");
    }
    if !report.problems.is_empty() {
        kiln::say!("help: docs/validation.md describes the workload of every kind");
    }
    Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
