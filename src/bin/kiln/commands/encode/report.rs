//! What an encoding found out, for people and as JSON.

use super::inputs::Inputs;
use super::{Args, Backend};
use crate::commands::{TraceFile, Wait};
use kiln::dsl::array::Design;
use kiln::dsl::device::{Compiler, Device, TileKind};
use kiln::dsl::fit::Usage;
use kiln::fit::fit;
use kiln::kernels::whisper::ModelConfig;
use kiln::kernels::whisper::encoder::{CoreWork, EncodeReport, OpReport};
use kiln::kernels::whisper::plan::Plan;
use kiln::kernels::whisper::saved::Stamp;
use kiln::kernels::whisper::scheme::Scheme;
use kiln::network::{MelOn, Network};
use kiln::predict::{Launch, Prediction};
use serde::Serialize;
use std::fmt;

/// One encoding.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What was asked for and where it went.
    #[serde(flatten)]
    pub asked: Asked,
    /// What the array took, if it ran.
    #[serde(flatten)]
    pub array: Option<OnArray>,
}

/// What was asked for and where it went.
#[derive(Debug, Serialize)]
pub struct Asked {
    /// The recording.
    audio: String,
    /// Its length.
    audio_s: f64,
    /// Windows of 30 s.
    windows: usize,
    /// Part of each that the encoder reads.
    window_s: f64,
    /// The encoder's name.
    model: String,
    /// Sizes of the features.
    features_shape: [usize; 2],
    /// Their file.
    features: Option<String>,
    /// `array`, `model` or `reference`.
    backend: &'static str,
    /// What made the log-mel spectrogram: `host`, or `npu` for the array's kernels.
    mel: &'static str,
    /// How tensors are numbers; `f32` for the reference.
    scheme: &'static str,
    /// What the scheme is for, where it is not meant for use.
    scheme_note: Option<&'static str>,
    /// `file`, `quantised` or `seeded`.
    weights: &'static str,
    /// The file, if any.
    weights_file: Option<String>,
    /// The seed, if any.
    weights_seed: Option<u64>,
    /// `files`, `input`, `weights` (a quantised file's own) or `none`.
    calibration: &'static str,
    /// Recordings that scales were measured on now.
    calibration_files: Vec<String>,
    /// What a quantised file says of itself.
    stamp: Option<Stamp>,
    /// What this machine took.
    wall_s: f64,
    /// Part of it before the first window was encoded: reading, calibrating, quantising.
    prepared_s: f64,
}

/// What the array took.
#[derive(Debug, Serialize)]
pub struct OnArray {
    /// Its name.
    device: String,
    /// Its name.
    profile: String,
    /// Of all dispatches, from the first command of a sequence to the end of its last.
    cycles: u64,
    /// All parts of `predicted`.
    predicted_ms: f64,
    /// Time by part, of a first run.
    predicted: Parts,
    /// Part of `array_ms` and `controller_ms` that made log-mel spectrograms, if the array did.
    pub mel_ms: Option<f64>,
    /// Length of all windows over `predicted_ms`.
    realtime_factor: f64,
    /// Useful multiply-accumulates: those of the encoder's matrices.
    macs: u64,
    /// `macs` over what all cores could do in `cycles` on bytes, or on bf16 in that scheme.
    mac_utilisation: f64,
    /// Between the array and host memory, both ways.
    ddr_bytes: u64,
    /// Of the fullest compute tile.
    l1_peak_bytes: u64,
    /// Of the fullest mem tile.
    l2_peak_bytes: u64,
    /// Program memory that each program is predicted to take of its fullest core.
    programs: Vec<ProgramCode>,
    /// Runs of designs.
    dispatches: u64,
    /// Operations, in order of first use.
    ops: Vec<Op>,
    /// Compute tiles.
    cores: Vec<Core>,
    /// What the cores of the longest operations wait for, longest operation first.
    bottlenecks: Vec<OpWait>,
    /// The trace, if one was asked for.
    pub trace: Option<TraceFile>,
}

/// The code of a program: several operations may share one.
#[derive(Debug, Serialize)]
struct ProgramCode {
    /// The first operation that runs it.
    program: String,
    #[serde(flatten)]
    bytes: Usage,
}

/// Of every program of a plan, as the toolchain's default compiler is predicted to make it.
fn programs(plan: &Plan, device: &Device) -> Vec<ProgramCode> {
    let first = plan.designs().into_iter().filter(|design| plan.program(design) == design.name);
    let code = |design: &Design| {
        let budget = fit(design, device, Compiler::default());
        let fullest = budget.tiles.iter().filter_map(|tile| tile.program).max_by_key(|bytes| bytes.used)?;
        Some(ProgramCode { program: design.name.clone(), bytes: fullest })
    };
    first.filter_map(code).collect()
}

/// Operations whose bottleneck is told.
const LONGEST_OPS: usize = 3;

/// What the cores of an operation wait for longest, in its longest dispatch.
#[derive(Debug, Serialize)]
struct OpWait {
    op: String,
    #[serde(flatten)]
    wait: Wait,
}

/// Of the operations that take longest.
fn bottlenecks(done: &EncodeReport, launches: &[Launch]) -> Vec<OpWait> {
    let mut ops: Vec<&OpReport> = done.ops.iter().collect();
    ops.sort_by_key(|op| std::cmp::Reverse(op.cycles));
    let wait = |op: &&OpReport| {
        let longest = launches.iter().rev().filter(|l| l.design == op.name).max_by_key(|l| l.cycles)?;
        Some(OpWait { op: op.name.clone(), wait: longest.bottleneck.as_ref()?.into() })
    };
    ops.iter().filter_map(wait).take(LONGEST_OPS).collect()
}

#[derive(Debug, Serialize)]
struct Parts {
    array_ms: f64,
    controller_ms: f64,
    dispatch_ms: f64,
    launch_ms: f64,
    design_switch_ms: f64,
    setup_ms: f64,
}

/// One kind of operation: all dispatches of one design.
#[derive(Debug, Serialize)]
struct Op {
    name: String,
    #[serde(rename = "where")]
    place: String,
    calls: u64,
    kernel_calls: u64,
    cycles: u64,
}

#[derive(Debug, Serialize)]
struct Core {
    tile: String,
    busy_cycles: u64,
    macs: u64,
}

impl Asked {
    /// Of an encoding that took `wall_s`, and `prepared_s` of them before the first window.
    pub fn new(
        args: &Args,
        inputs: &Inputs,
        scheme: Scheme,
        windows: usize,
        [prepared_s, wall_s]: [f64; 2],
    ) -> Asked {
        let config = inputs.network.config();
        let path = |p: &std::path::PathBuf| p.display().to_string();
        let reference = args.backend == Backend::Reference;
        let weights = match &inputs.network {
            Network::Quantised(..) => "quantised",
            Network::Floats(_) if inputs.network.seed().is_some() => "seeded",
            Network::Floats(_) => "file",
        };
        let (calibration, calibration_files) = match &inputs.network {
            Network::Quantised(..) => ("weights", vec![]),
            Network::Floats(_) if reference => ("none", vec![]),
            Network::Floats(_) if args.network.calibrate.is_empty() => ("input", vec![path(&args.audio)]),
            Network::Floats(_) => ("files", args.network.calibrate.iter().map(path).collect()),
        };
        Asked {
            audio: path(&args.audio),
            audio_s: inputs.audio.seconds(),
            windows,
            window_s: window_s(config),
            model: config.name.clone(),
            features_shape: [windows * config.positions, config.d],
            features: args.out.as_ref().map(path),
            backend: match args.backend {
                Backend::Array => "array",
                Backend::Model => "model",
                Backend::Reference => "reference",
            },
            mel: match args.mel {
                MelOn::Host => "host",
                MelOn::Npu => "npu",
            },
            scheme: if reference { "f32" } else { scheme.name() },
            scheme_note: scheme.note().filter(|_| !reference),
            weights,
            weights_file: args.network.weights.as_ref().map(path),
            weights_seed: inputs.network.seed(),
            calibration,
            calibration_files,
            stamp: match &inputs.network {
                Network::Quantised(_, stamp) => Some(stamp.clone()),
                Network::Floats(_) => None,
            },
            wall_s,
            prepared_s,
        }
    }
}

impl OnArray {
    /// Of dispatches and their prediction, with the host's log-mel spectrogram.
    pub fn new(
        inputs: &Inputs,
        plan: &Plan,
        scheme: Scheme,
        windows: usize,
        done: &EncodeReport,
        prediction: &Prediction,
        launches: &[Launch],
    ) -> OnArray {
        let (config, device) = (inputs.network.config(), &inputs.device);
        let predicted_ms = prediction.total_ms();
        let macs = windows as u64 * config.macs();
        let core = |core: &CoreWork| Core {
            tile: format!("{},{}", core.tile.col, core.tile.row),
            busy_cycles: core.busy_cycles,
            macs: core.macs,
        };
        let op = |op: &OpReport| Op {
            name: op.name.clone(),
            place: format!("{} cores", op.cores),
            calls: op.dispatches,
            kernel_calls: op.calls,
            cycles: op.cycles,
        };
        OnArray {
            device: device.name.clone(),
            profile: inputs.profile.clone(),
            cycles: done.cycles,
            predicted_ms,
            predicted: Parts {
                array_ms: prediction.array_ms,
                controller_ms: prediction.controller_ms,
                dispatch_ms: prediction.dispatch_ms(),
                launch_ms: prediction.launch_ms,
                design_switch_ms: prediction.switch_ms,
                setup_ms: prediction.setup_ms,
            },
            mel_ms: None,
            realtime_factor: windows as f64 * window_s(config) * 1e3 / predicted_ms,
            macs,
            mac_utilisation: macs as f64 / (peak_macs(device, scheme) * done.cycles as f64),
            ddr_bytes: done.ddr_bytes,
            l1_peak_bytes: done.l1_peak_bytes,
            l2_peak_bytes: done.l2_peak_bytes,
            programs: programs(plan, device),
            dispatches: done.dispatches,
            ops: done.ops.iter().map(op).collect(),
            cores: done.cores.iter().map(core).collect(),
            bottlenecks: bottlenecks(done, launches),
            trace: None,
        }
    }
}

/// Length of the audio that the encoder reads: a mel frame is 10 ms.
fn window_s(config: &ModelConfig) -> f64 {
    config.frames() as f64 / 100.0
}

/// Multiply-accumulates of a scheme's fastest matrices that all cores of a device can do in a cycle.
fn peak_macs(device: &Device, scheme: Scheme) -> f64 {
    let rates = &device.macs_per_cycle;
    let of_core = if scheme == Scheme::Bf16 { rates.bf16_bf16() } else { rates.i8_i8() };
    f64::from(of_core) * device.tiles(TileKind::Core).count() as f64
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.asked)?;
        match &self.array {
            Some(array) => write!(f, "{array}")?,
            None if self.asked.scheme == "f32" => {
                writeln!(f, "\nThe f32 encoder ran on the processor: nothing was quantised or simulated.")?;
            }
            None => writeln!(
                f,
                "\nThe scheme's numbers ran on the processor: the array's bits, without its time."
            )?,
        }
        let Asked { wall_s, prepared_s, .. } = self.asked;
        writeln!(
            f,
            "{} in {:.1} s, after {prepared_s:.1} s of reading, calibrating and quantising",
            if self.array.is_some() { "simulated" } else { "encoded" },
            wall_s - prepared_s
        )
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = match self.windows {
            1 if self.audio_s > self.window_s => {
                format!("longer than the encoder reads: the first {} s were encoded", self.window_s)
            }
            1 => format!("padded to {} s", self.window_s),
            windows => format!("{windows} windows of 30 s, {} s of each encoded", self.window_s),
        };
        writeln!(f, "audio     {}: {:.2} s, {part}", self.audio, self.audio_s)?;
        match (&self.weights_file, self.weights_seed) {
            (Some(file), _) => writeln!(f, "model     {}, weights from {file}", self.model)?,
            (None, seed) => writeln!(
                f,
                "model     {}, SEEDED random weights (seed {}): the features mean nothing",
                self.model,
                seed.unwrap_or_default()
            )?,
        }
        let files = self.calibration_files.join(", ");
        let scheme =
            self.scheme_note.map_or(self.scheme.to_owned(), |note| format!("{} ({note})", self.scheme));
        match self.calibration {
            "none" => writeln!(f, "scheme    {scheme}")?,
            "weights" => {
                let hash = self.stamp.as_ref().map_or("", |stamp| &stamp.calibration);
                writeln!(f, "scheme    {scheme}, quantised before, calibration {hash:.12}")?;
            }
            "input" => writeln!(
                f,
                "scheme    {scheme}, calibrated on {files}, the input itself: no --calibrate was given"
            )?,
            _ => writeln!(f, "scheme    {scheme}, calibrated on {files}")?,
        }
        let [rows, columns] = self.features_shape;
        match &self.features {
            Some(file) => writeln!(f, "features  {file}: [{rows}, {columns}] f32"),
            None => writeln!(f, "features  [{rows}, {columns}], not written: no --out was given"),
        }
    }
}

impl fmt::Display for OnArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "device    {}, profile {}", self.device, self.profile)?;
        write!(f, "\nEvery tensor operation ran on simulated cores")?;
        match self.mel_ms {
            Some(_) => writeln!(f, ", the log-mel spectrogram too. The host clamped it to 8 below")?,
            None => writeln!(f, ". The host made the log-mel spectrogram,")?,
        }
        let clamped = if self.mel_ms.is_some() { "its maximum, " } else { "" };
        writeln!(f, "{clamped}quantised it, and scaled the features back.\n")?;
        let width = self.ops.iter().map(|op| op.name.len()).max().unwrap_or(0).max(9);
        writeln!(
            f,
            "{:<width$}  {:<9} {:>5} {:>13} {:>7}",
            "operation", "where", "calls", "cycles", "share"
        )?;
        for op in &self.ops {
            let share = 100.0 * op.cycles as f64 / self.cycles as f64;
            let cycles = grouped(op.cycles);
            writeln!(f, "{:<width$}  {:<9} {:>5} {cycles:>13} {share:>6.1}%", op.name, op.place, op.calls)?;
        }
        let (total, calls) = (grouped(self.cycles), self.dispatches);
        writeln!(f, "{:<width$}  {:<9} {calls:>5} {total:>13}\n", "all", "")?;
        self.found(f)
    }
}

impl OnArray {
    fn found(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { array_ms, controller_ms, launch_ms, design_switch_ms, setup_ms, .. } = self.predicted;
        writeln!(
            f,
            "PREDICTED, not measured: {:.1} ms for a first run, {:.2} x real time",
            self.predicted_ms, self.realtime_factor
        )?;
        writeln!(f, "  array       {array_ms:>9.1} ms")?;
        writeln!(f, "  controller  {controller_ms:>9.1} ms")?;
        if let Some(mel_ms) = self.mel_ms {
            writeln!(f, "  log-mel     {mel_ms:>9.2} ms of these two")?;
        }
        writeln!(
            f,
            "  dispatch    {:>9.1} ms: {} launches {launch_ms:.1}, design switches {design_switch_ms:.1}, contexts and buffers {setup_ms:.1}",
            self.predicted.dispatch_ms, self.dispatches
        )?;
        writeln!(
            f,
            "{:.2} G useful MACs, {:.1} % of what the cores could do; {:.1} MB to and from host memory",
            self.macs as f64 / 1e9,
            100.0 * self.mac_utilisation,
            self.ddr_bytes as f64 / 1e6
        )?;
        let (l1, l2) = (grouped(self.l1_peak_bytes), grouped(self.l2_peak_bytes));
        writeln!(f, "fullest core {l1} B of L1, fullest mem tile {l2} B of L2")?;
        if let Some(ProgramCode { program, bytes }) = self.programs.iter().max_by_key(|p| p.bytes.used) {
            let [used, limit] = [bytes.used, bytes.limit].map(grouped);
            writeln!(f, "longest program {used} of {limit} B, predicted ({program})")?;
        }
        for ProgramCode { program, bytes } in self.programs.iter().filter(|p| p.bytes.over() > 0) {
            writeln!(
                f,
                "{program}: OVER program memory by {} B, so its cores would not load: see kiln fit {program} --device {}",
                grouped(bytes.over()),
                self.device
            )?;
        }
        for OpWait { op, wait } in &self.bottlenecks {
            writeln!(f, "{op}: {}", wait.text)?;
        }
        self.trace.as_ref().map_or(Ok(()), |trace| write!(f, "{trace}"))
    }
}

/// Thousands apart.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
