//! `kiln run`: a kernel against its reference, or a design on the simulated array.

mod design;
mod kernel;

pub(super) use kernel::kernel_args;

use crate::commands::is_file;
use anyhow::{Result, bail};
use kiln::kernels::{catalogue, designs};
use kiln::models::Model;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// One kernel against its reference, or one design on the simulated array
///
/// A kernel runs on evenly random data, on edge values and on one value everywhere: on the simulator's interpreter
/// and compiled path, and natively, as emitted C++ compiled with g++ (or CXX), where there is a compiler. All must
/// equal the reference in every bit; the exit code is 1 when one does not.
///
/// A design runs on the simulated array with data from a seed, or from files. Every access to memory is checked for
/// races and for bytes that nothing has written. The exit code is 1 when the design deadlocks or a check fails.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of a kernel or design, as `kiln list` and `kiln list --designs` print it, or a file of MLIR at the level of
    /// object FIFOs, whose functions are simulated as the kernels of their names
    #[arg(value_name = "KERNEL|DESIGN|FILE.mlir")]
    name: String,
    /// Seed of the data
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    design: DesignArgs,
}

/// What only designs take.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "For designs")]
struct DesignArgs {
    /// Device: a built-in name, or a file with a description
    #[arg(long, value_name = "DEVICE|FILE")]
    device: Option<String>,
    /// Clock and host memory: a profile of the device [default: the device's own default]
    #[arg(long)]
    profile: Option<String>,
    /// Bytes of a host buffer from a file, instead of from the seed; may be given more than once
    #[arg(long, value_name = "BUFFER=FILE", value_parser = buffer_file)]
    input: Vec<(String, PathBuf)>,
    /// File to write a host buffer to afterwards; may be given more than once
    #[arg(long, value_name = "BUFFER=FILE", value_parser = buffer_file)]
    output: Vec<(String, PathBuf)>,
    /// How a function of a file is simulated: as another kernel of `kiln list`, or as a black box of so many cycles, which
    /// leaves what it writes as it was; may be given more than once
    #[arg(long, value_name = "FUNCTION=KERNEL|CYCLES", value_parser = function_model)]
    model: Vec<(String, Model)>,
    /// File for a trace that Perfetto (ui.perfetto.dev) and Chrome show
    #[arg(long, value_name = "F.json")]
    trace: Option<PathBuf>,
    /// Events that the trace keeps, from the start
    #[arg(long, value_name = "N", default_value_t = 200_000, requires = "trace")]
    trace_events: usize,
    /// One JSON object instead of a summary
    #[arg(long)]
    json: bool,
}

fn buffer_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((buffer, file)) if !buffer.is_empty() && !file.is_empty() => {
            Ok((buffer.to_owned(), file.into()))
        }
        _ => Err("expected BUFFER=FILE, as in x=x.bin".to_owned()),
    }
}

fn function_model(text: &str) -> Result<(String, Model), String> {
    match text.split_once('=') {
        Some((function, model)) if !function.is_empty() && !model.is_empty() => {
            let Ok(model) = model.parse::<Model>();
            Ok((function.to_owned(), model))
        }
        _ => Err("expected FUNCTION=KERNEL or FUNCTION=CYCLES, as in mm=400".to_owned()),
    }
}

impl DesignArgs {
    /// The first option given, if any is.
    fn given(&self) -> Option<&'static str> {
        let options = [
            ("--device", self.device.is_some()),
            ("--profile", self.profile.is_some()),
            ("--input", !self.input.is_empty()),
            ("--output", !self.output.is_empty()),
            ("--model", !self.model.is_empty()),
            ("--trace", self.trace.is_some()),
            ("--json", self.json),
        ];
        options.into_iter().find(|o| o.1).map(|o| o.0)
    }
}

/// Runs it and says what came out.
///
/// # Errors
/// When there is nothing of that name, an option does not fit, or the run fails.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    if is_file(&args.name) {
        return design::run_file(&args.name, args.seed, &args.design, out);
    }
    if let Some(entry) = catalogue::find(&args.name) {
        if let Some(option) = args.design.given() {
            bail!(
                "{} is a kernel: {option} is for designs\nhelp: `kiln list --designs` prints their names",
                args.name
            );
        }
        return kernel::run(&entry, args.seed, out);
    }
    match designs::find(&args.name) {
        Some(_) if !args.design.model.is_empty() => {
            bail!("--model is for files of MLIR: the kernels of {} are known", args.name)
        }
        Some(_) => design::run(&args.name, args.seed, &args.design, out),
        None => bail!(
            "no kernel or design is named \"{}\"\nhelp: `kiln list` and `kiln list --designs` print the names",
            args.name
        ),
    }
}
