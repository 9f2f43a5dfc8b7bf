//! `kiln asm`: the bundles that a compiler is predicted to make of a kernel.

use super::device;
use super::run::kernel_args;
use anyhow::{Result, bail};
use kiln::dsl::device::{Compiler, Device};
use kiln::dsl::fit::CodeBytes;
use kiln::dsl::kernel::{Kernel, OpId};
use kiln::kernels::case::{Data, Entry};
use kiln::kernels::catalogue::catalogue;
use kiln::sim::core::{
    Bundle, CoreModel, Engine, Issued, LoopFacts, Schedule, Section, SectionKind, run_kernel_on,
};
use kiln::sim::executor::CallCost;
use std::io::Write;
use std::process::ExitCode;

/// The bundles predicted for a kernel, and what bounds its loops
///
/// Prints every bundle with its slots, and for each innermost loop the initiation interval (II), the resource, recurrence
/// or register file that set it, multiply-accumulates a cycle and bytes. Of a name that several kernels begin with,
/// it prints the totals and loops of each. Cycles are a prediction; so are bytes, which are those of the kernel's own
/// code without the runtime around it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of a kernel as `kiln list` prints it, or its beginning
    kernel: String,
    /// Whose schedule: peano, chess, or ideal, which loses nothing to a compiler
    #[arg(long, default_value_t)]
    compiler: Compiler,
    /// Device: a built-in name, or a file with a description
    #[arg(long, value_name = "DEVICE|FILE", default_value = "npu1")]
    device: String,
    /// Totals and loops only
    #[arg(long)]
    summary: bool,
}

/// Prints the listing.
///
/// # Errors
/// When no kernel has such a name, the device cannot be read, or `out` fails.
pub fn asm(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    let device = device(&args.device)?;
    let model = CoreModel { compiler: args.compiler, ..(&device).into() };
    let mut entries = catalogue();
    let is_exact = entries.iter().any(|e| e.kernel.name == args.kernel);
    entries.retain(|e| {
        if is_exact { e.kernel.name == args.kernel } else { e.kernel.name.starts_with(&args.kernel) }
    });
    if entries.is_empty() {
        bail!("no kernel's name begins with \"{}\"\nhelp: `kiln list` prints the names", args.kernel);
    }
    let summary = args.summary || entries.len() > 1;
    for (i, entry) in entries.iter().enumerate() {
        if i > 0 {
            writeln!(out)?;
        }
        print(entry, model, summary, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(entry: &Entry, model: CoreModel, summary: bool, out: &mut dyn Write) -> Result<()> {
    let schedule = Schedule::new(&entry.kernel, model);
    let CallCost { cycles, macs, .. } = cost(entry, model)?;
    let CodeBytes { program, frame } = schedule.cost.size();
    let Device { name, core, .. } = model.device;
    writeln!(out, "{}, compiled by {} for {name}", entry.kernel.name, model.compiler)?;
    write!(out, "  {cycles} cycles predicted")?;
    if macs > 0 {
        write!(out, ", {macs} MACs, {:.1} MAC/cycle", macs as f64 / cycles as f64)?;
    }
    let memory = core.program_memory_bytes();
    writeln!(out, "\n  program {program} B of {memory} B, frame {frame} B")?;
    for section in &schedule.sections {
        print_section(&entry.kernel, section, summary, out)?;
    }
    Ok(())
}

/// What a call costs, on evenly random data.
fn cost(entry: &Entry, model: CoreModel) -> Result<CallCost> {
    let mut args = kernel_args(entry, &entry.case(0, Data::Random));
    Ok(run_kernel_on(&entry.kernel, model, Engine::Compiled, &mut args)?)
}

fn print_section(kernel: &Kernel, section: &Section, summary: bool, out: &mut dyn Write) -> Result<()> {
    let Section { title, depth, kind, bundles, spilled, .. } = section;
    let indent = 2 + 2 * *depth as usize;
    match kind {
        SectionKind::Straight if summary && *spilled == 0 => return Ok(()),
        SectionKind::Straight => {
            writeln!(out, "{:indent$}{title}: {} bundles, {} B", "", bundles.len(), section.bytes())?;
        }
        SectionKind::Nest(_) => writeln!(out, "{:indent$}{title}", "")?,
        SectionKind::Loop(_, facts) => {
            writeln!(out, "{:indent$}{title}: {}, {} B", "", loop_facts(facts), section.bytes())?;
        }
    }
    if *spilled > 0 {
        let line = "256-bit parts spilled, a store, a load and a bundle each";
        writeln!(out, "{:indent$}  {spilled} {line}", "")?;
    }
    if summary {
        return Ok(());
    }
    let mut last = 0;
    for (cycle, bundle) in bundles.iter().enumerate() {
        // Empty bundles are told by the numbers.
        if !bundle.issued.is_empty() || cycle + 1 == bundles.len() {
            last = cycle;
            writeln!(out, "{:indent$}{cycle:>5}  {:>2} B  {}", "", bundle.bytes, text(kernel, bundle))?;
        }
    }
    debug_assert!(bundles.is_empty() || last + 1 == bundles.len());
    Ok(())
}

fn loop_facts(facts: &LoopFacts) -> String {
    let LoopFacts { interval_cycles, least_cycles, length_cycles, stages, copies, bound, macs, live_parts } =
        facts;
    let mut text = format!("II {interval_cycles}, bound by {bound}");
    if least_cycles < interval_cycles {
        text += &format!(", at least {least_cycles}");
    }
    if *stages > 1 {
        text += &format!("; an iteration {length_cycles} cycles, {stages} in flight");
        let [vectors, accumulators] = live_parts.map(f64::from);
        text += &format!("; {:.1} x, {:.2} cm live", vectors / 2.0, accumulators / 4.0);
    }
    if *copies > 1 {
        text += &format!("; body {copies} times");
    }
    if *macs > 0 {
        text += &format!("; {:.1} MAC/cycle", *macs as f64 / f64::from(*interval_cycles));
    }
    text
}

/// A bundle, slot by slot.
fn text(kernel: &Kernel, bundle: &Bundle) -> String {
    let one = |i: &Issued| {
        let later = if i.iteration > 0 { format!(" +{}", i.iteration) } else { String::new() };
        let values = i.op.map(|op| values(kernel, op)).unwrap_or_default();
        let memory = i.accesses.map(|param| format!(" [{}]", kernel.param(param).name)).unwrap_or_default();
        format!("{}: {}{values}{memory}{later}", i.slot.name(), i.mnemonic)
    };
    if bundle.issued.is_empty() {
        "nop".to_owned()
    } else {
        bundle.issued.iter().map(one).collect::<Vec<_>>().join(" | ")
    }
}

/// The values that an operation makes and takes.
fn values(kernel: &Kernel, op: OpId) -> String {
    let data = kernel.op(op);
    let list = |values: &[kiln::dsl::kernel::ValueId]| {
        values.iter().map(|v| v.to_string()).collect::<Vec<_>>().join(", ")
    };
    let mut text = String::new();
    if !data.results.is_empty() {
        text += &format!(" {}", list(&data.results));
    }
    if !data.operands.is_empty() {
        text += &format!("{} {}", if data.results.is_empty() { "" } else { " <-" }, list(&data.operands));
    }
    text
}
