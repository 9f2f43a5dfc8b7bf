//! `hwrun`: runs designs on the AMD Phoenix NPU and compares them with the simulator.

mod bench;
mod doctor;
mod encode;
mod run;
mod session;

use clap::{Parser, Subcommand};
use std::io::{self, Write};
use std::process::ExitCode;

/// Designs on the AMD Phoenix NPU: run them, compare every bit with the simulator and the time with its prediction
#[derive(Debug, Parser)]
#[command(name = "hwrun", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Bench(bench::Args),
    Encode(encode::Args),
    Doctor(doctor::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(e) = kiln::interrupt::listen() {
        kiln::say!("error: {e:#}");
        return ExitCode::FAILURE;
    }
    let mut out = io::stdout().lock();
    let done = match &cli.command {
        Command::Run(args) => run::run(args, &mut out),
        Command::Bench(args) => bench::bench(args, &mut out),
        Command::Encode(args) => encode::encode(args, &mut out),
        Command::Doctor(args) => doctor::doctor(args, &mut out),
    };
    match done.and_then(|code| out.flush().map(|()| code).map_err(Into::into)) {
        Ok(code) => code,
        Err(e) if e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) => {
            ExitCode::SUCCESS
        }
        Err(e) => {
            kiln::say!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}
