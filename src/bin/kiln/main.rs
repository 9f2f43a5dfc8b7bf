//! `kiln`: simulates and emits kernels and designs for the AMD Phoenix NPU.

mod commands;

use clap::{Parser, Subcommand};
use commands::{list, run};
use std::io::{self, Write};
use std::process::ExitCode;

/// Kernels for the AMD Phoenix NPU: simulate them bit for bit, predict their time, emit C++ and MLIR
#[derive(Debug, Parser)]
#[command(name = "kiln", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Run(run::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = io::stdout().lock();
    let done = match &cli.command {
        Command::List(args) => list::list(args, &mut out),
        Command::Run(args) => run::run(args, &mut out),
    };
    match done.and_then(|code| out.flush().map(|()| code).map_err(Into::into)) {
        Ok(code) => code,
        Err(e) if is_closed_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the reader of our output went away, as `head` does: nothing is wrong then.
fn is_closed_pipe(e: &anyhow::Error) -> bool {
    e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
