//! `kiln`: simulates and emits kernels and designs for the AMD Phoenix NPU.

mod commands;

use clap::{Parser, Subcommand};
use commands::{
    asm, disasm, emit, encode, fit, inspect, insts, list, lower, numerics, quantize, run, validate, view,
};
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
    Encode(encode::Args),
    List(list::Args),
    Run(run::Args),
    Emit(emit::Args),
    Fit(fit::Args),
    Insts(insts::Args),
    Inspect(inspect::Args),
    Lower(lower::Args),
    View(view::Args),
    Validate(validate::Args),
    Asm(asm::Args),
    Disasm(disasm::Args),
    Numerics(numerics::Args),
    Quantize(quantize::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(e) = kiln::interrupt::listen() {
        kiln::say!("error: {}", message(&e));
        return ExitCode::FAILURE;
    }
    let mut out = io::stdout().lock();
    let done = match &cli.command {
        Command::Encode(args) => encode::encode(args, &mut out),
        Command::List(args) => list::list(args, &mut out),
        Command::Run(args) => run::run(args, &mut out),
        Command::Emit(args) => emit::emit(args, &mut out),
        Command::Fit(args) => fit::fit(args, &mut out),
        Command::Insts(args) => insts::insts(args, &mut out),
        Command::Inspect(args) => inspect::inspect(args, &mut out),
        Command::Lower(args) => lower::lower(args, &mut out),
        Command::View(args) => view::view(args, &mut out),
        Command::Validate(args) => validate::validate(args, &mut out),
        Command::Asm(args) => asm::asm(args, &mut out),
        Command::Disasm(args) => disasm::disasm(args, &mut out),
        Command::Numerics(args) => numerics::numerics(args, &mut out),
        Command::Quantize(args) => quantize::quantize(args, &mut out),
    };
    match done.and_then(|code| out.flush().map(|()| code).map_err(Into::into)) {
        Ok(code) => code,
        Err(e) if is_closed_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            kiln::say!("error: {}", message(&e));
            ExitCode::FAILURE
        }
    }
}

/// The error with those of its causes that its own text does not tell already.
fn message(e: &anyhow::Error) -> String {
    e.chain().skip(1).map(ToString::to_string).fold(e.to_string(), |told, cause| {
        if told.contains(&cause) { told } else { format!("{told}: {cause}") }
    })
}

/// Whether the reader of our output went away, as `head` does: nothing is wrong then.
fn is_closed_pipe(e: &anyhow::Error) -> bool {
    e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
