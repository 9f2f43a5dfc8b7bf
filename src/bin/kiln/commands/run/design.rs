//! One design on the simulated array.

use super::DesignArgs;
use crate::commands::{TraceFile, Wait, check_outputs, claim, design as find, device, file_design};
use anyhow::{Result, anyhow, bail};
use kiln::dsl::array::{Design, verify};
use kiln::dsl::device::{Compiler, Device, Profile, TileKind};
use kiln::dsl::files::{self, Output};
use kiln::dsl::sequence::Command;
use kiln::fit::fit;
use kiln::kernels::case::{Data, Source};
use kiln::kernels::designs;
use kiln::models::{self, BlackBoxes};
use kiln::runner::SimRunner;
use kiln::sim::array::SimOptions;
use kiln::sim::report::{Checked, SimReport};
use kiln::sim::trace::{Perfetto, Run};
use serde::Serialize;
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Bytes of a file that are read to tell how much longer than a host buffer it is.
const LONGEST_INPUT_BYTES: u64 = 1 << 24;

/// Simulates the design of a name, in the tile shapes for the device, and says what it took.
///
/// # Errors
/// When an option does not fit the design, a file cannot be read or written, or the simulation finds a fault.
pub fn run(name: &str, seed: u64, args: &DesignArgs, out: &mut dyn Write) -> Result<ExitCode> {
    let device = device(args.device.as_deref().unwrap_or("npu1"))?;
    let design = find(name, &device)?;
    let host = designs::inputs(&design, &device, seed)?
        .ok_or_else(|| anyhow!("design {} has no example data", design.name))?;
    simulate(&Subject { design, device, boxes: BlackBoxes::default(), whole: true }, host, seed, args, out)
}

/// Simulates the design of a file of MLIR, its functions as the kernels of their names or as `--model` says.
///
/// # Errors
/// As [`run`], and when the file is not in the subset or a function has no model.
pub fn run_file(name: &str, seed: u64, args: &DesignArgs, out: &mut dyn Write) -> Result<ExitCode> {
    let device = device(args.device.as_deref().unwrap_or("npu1"))?;
    let (text, mut design) = file_design(name, &device)?;
    let boxes = models::give(&mut design, &args.model)?;
    let lines: Vec<String> = text.left_out().iter().map(|line| line.0.to_string()).collect();
    if !lines.is_empty() {
        let list = lines.join(", ");
        eprintln!(
            "note: {name}: what cores compute themselves is left out of bits and time, in lines {list}"
        );
    }
    if !boxes.is_empty() {
        eprintln!("note: {name}: black boxes, which compute nothing: {boxes}");
    }
    let mut random = Source::new(seed, Data::Random);
    let read = |at: usize| {
        design.sequence.commands.iter().any(|command| match command {
            Command::Copy { buffer, fifo, .. } if buffer.index() == at => {
                device.tile_kind(design.fifo(*fifo).producer) == Some(TileKind::Shim)
            }
            _ => false,
        })
    };
    let buffers = design.sequence.buffers.iter().enumerate();
    let host = buffers.map(|(at, buffer)| {
        let bytes = usize::try_from(buffer.ty.bytes()).unwrap_or(usize::MAX);
        if bytes > LONGEST_BUFFER_BYTES {
            bail!("{name}: host buffer {} has {bytes} B, the most is {LONGEST_BUFFER_BYTES} B", buffer.name);
        }
        let byte = || u8::try_from(random.number(0, 255)).unwrap_or_default();
        Ok(if read(at) { std::iter::repeat_with(byte).take(bytes).collect() } else { vec![0; bytes] })
    });
    let host = host.collect::<Result<Vec<Vec<u8>>>>()?;
    simulate(&Subject { design, device, boxes, whole: lines.is_empty() }, host, seed, args, out)
}

/// Bytes of the largest host buffer of a file that is simulated.
const LONGEST_BUFFER_BYTES: usize = 1 << 30;

/// What is simulated.
struct Subject {
    design: Design,
    device: Device,
    boxes: BlackBoxes,
    /// Whether all that its cores do is simulated: else what they write is not known.
    whole: bool,
}

fn simulate(
    subject: &Subject,
    host: Vec<Vec<u8>>,
    seed: u64,
    args: &DesignArgs,
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let Subject { design, device, boxes, whole } = subject;
    let budget = fit(design, device, Compiler::default());
    if !budget.over.is_empty() && budget.wrong.is_empty() {
        verify(design.clone(), device)?;
        bail!("{budget}");
    }
    let profile_name = args.profile.clone().unwrap_or_else(|| device.default_profile().to_owned());
    let profile = device.profile(&profile_name)?;
    let inputs: Vec<&Path> = args.input.iter().map(|i| i.1.as_path()).collect();
    let named = args.output.iter().map(|(name, path)| (name.as_str(), path.as_path()));
    let outputs: Vec<(&str, &Path)> =
        named.chain(args.trace.as_deref().map(|path| ("the trace", path))).collect();
    check_outputs(&outputs, &inputs)?;
    let mut host = host_buffers(design, host, args)?;
    let mut results = Vec::new();
    for (name, path) in &args.output {
        results.push((buffer(design, name)?, Output::create(path)?));
    }
    let [trace] = claim([("the trace", args.trace.as_deref())], &inputs)?;
    let trace_events = if args.trace.is_some() { args.trace_events } else { 0 };
    let options = SimOptions { trace_events, hazards: *whole, ..SimOptions::default() };
    let mut runner = SimRunner::new(device, profile).with_options(options).with_black_boxes(boxes.clone());
    let report = runner.dispatch(design, &mut host)?;
    for (at, output) in results {
        output.write(|file| file.write_all(&host[at]))?;
    }
    if let Some(output) = trace {
        let run = Run { design: &design.name, start: 0, cycles: report.cycles, trace: &report.trace };
        let trace = Perfetto::new(&device.name, [run]);
        output.write(|file| Ok(serde_json::to_writer(file, &trace)?))?;
    }
    let summary = Summary::new(design, seed, device, (&profile_name, profile), &report, args);
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&summary)?)?;
    } else {
        write!(out, "{summary}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Position of a host buffer.
fn buffer(design: &Design, name: &str) -> Result<usize> {
    let buffers = &design.sequence.buffers;
    buffers.iter().position(|b| b.name == name).ok_or_else(|| {
        let names: Vec<&str> = buffers.iter().map(|b| b.name.as_str()).collect();
        anyhow!("design {} has no host buffer \"{name}\"\nhelp: it has {}", design.name, names.join(", "))
    })
}

/// The bytes of all host buffers before the run: those given, or of files.
fn host_buffers(design: &Design, mut host: Vec<Vec<u8>>, args: &DesignArgs) -> Result<Vec<Vec<u8>>> {
    for (name, path) in &args.input {
        let at = buffer(design, name)?;
        let bytes = files::read(path, "a host buffer", (host[at].len() as u64).max(LONGEST_INPUT_BYTES))?;
        if bytes.len() != host[at].len() {
            bail!(
                "{}: {} bytes; host buffer {name} of design {} has {} ({})",
                path.display(),
                bytes.len(),
                design.name,
                host[at].len(),
                design.sequence.buffers[at].ty
            );
        }
        host[at] = bytes;
    }
    Ok(host)
}

/// What a run found out, for people and as JSON.
#[derive(Debug, Serialize)]
struct Summary {
    design: String,
    device: String,
    profile: String,
    seed: u64,
    /// From the first command of the sequence to the end of its last.
    cycles: u64,
    predicted_us: f64,
    controller_cycles: u64,
    ddr_read_bytes: u64,
    ddr_write_bytes: u64,
    kernels: Vec<Kernel>,
    cores: Vec<Core>,
    bottlenecks: Vec<Wait>,
    /// Whether all accesses to memory were checked.
    accesses_checked: bool,
    #[serde(skip)]
    checked: Checked,
    trace: Option<TraceFile>,
}

#[derive(Debug, Serialize)]
struct Kernel {
    name: String,
    calls: u64,
    cycles: u64,
    macs: u64,
}

#[derive(Debug, Serialize)]
struct Core {
    tile: String,
    busy_cycles: u64,
    lock_stall_cycles: u64,
    cascade_stall_cycles: u64,
    lock_op_cycles: u64,
    calls: u64,
    macs: u64,
}

impl Summary {
    fn new(
        design: &Design,
        seed: u64,
        device: &Device,
        (profile_name, profile): (&str, &Profile),
        report: &SimReport,
        args: &DesignArgs,
    ) -> Summary {
        let cores = report.cores.iter().map(|c| Core {
            tile: format!("{},{}", c.tile.col, c.tile.row),
            busy_cycles: c.busy_cycles,
            lock_stall_cycles: c.lock_stall_cycles,
            cascade_stall_cycles: c.cascade_stall_cycles,
            lock_op_cycles: c.lock_op_cycles,
            calls: c.calls,
            macs: c.macs,
        });
        let kernels = report.kernels.iter().map(|k| Kernel {
            name: k.name.clone(),
            calls: k.calls,
            cycles: k.cycles,
            macs: k.macs,
        });
        let trace = args.trace.as_ref().map(|path| TraceFile::new(path, [&report.trace]));
        Summary {
            design: design.name.clone(),
            device: device.name.clone(),
            profile: profile_name.to_owned(),
            seed,
            cycles: report.cycles,
            predicted_us: profile.us(report.cycles),
            controller_cycles: report.controller_cycles,
            ddr_read_bytes: report.ddr_read_bytes,
            ddr_write_bytes: report.ddr_write_bytes,
            kernels: kernels.collect(),
            cores: cores.collect(),
            bottlenecks: report.bottlenecks.iter().map(Wait::from).collect(),
            accesses_checked: report.checked == Checked::Fully,
            checked: report.checked,
            trace,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "design {} on {}, profile {}, data of seed {}",
            self.design, self.device, self.profile, self.seed
        )?;
        writeln!(
            f,
            "PREDICTED, not measured: {} cycles, {:.1} us from the first command of the sequence to its end",
            self.cycles, self.predicted_us
        )?;
        writeln!(f, "  of these the controller works on commands for {}", self.controller_cycles)?;
        writeln!(f, "  {} B read from host memory, {} B written", self.ddr_read_bytes, self.ddr_write_bytes)?;
        let width = self.kernels.iter().map(|k| k.name.len()).max().unwrap_or(0).max(6);
        writeln!(f, "\n{:<width$} {:>8} {:>12} {:>14}", "kernel", "calls", "cycles", "MACs")?;
        for k in &self.kernels {
            writeln!(f, "{:<width$} {:>8} {:>12} {:>14}", k.name, k.calls, k.cycles, k.macs)?;
        }
        writeln!(f, "\n{:<6} {:>8} {:>8} {:>8} {:>8}", "core", "calls", "busy", "locks", "waits")?;
        let share = |cycles: u64| format!("{:.1}%", 100.0 * cycles as f64 / self.cycles.max(1) as f64);
        for c in &self.cores {
            let waits = share(c.lock_stall_cycles + c.cascade_stall_cycles);
            let (busy, locks) = (share(c.busy_cycles), share(c.lock_op_cycles));
            writeln!(f, "({})  {:>8} {busy:>8} {locks:>8} {waits:>8}", c.tile, c.calls)?;
        }
        writeln!(f)?;
        for wait in &self.bottlenecks {
            writeln!(f, "{}", wait.text)?;
        }
        let checked = match self.checked {
            Checked::Fully => {
                "every access to memory was checked: ordered, inside its buffer, of bytes that were written"
            }
            Checked::Partly => {
                "accesses to memory were checked only in part: their histories differ in too many places"
            }
            Checked::No => "accesses to memory were not checked: not all that writes it was simulated",
        };
        writeln!(f, "{checked}")?;
        if let Some(trace) = &self.trace {
            write!(f, "{trace}")?;
        }
        Ok(())
    }
}
