//! What an encoding found out, for people and as JSON.

use super::Args;
use super::inputs::Inputs;
use kiln::dsl::device::{Device, TileKind};
use kiln::kernels::whisper::ModelConfig;
use kiln::kernels::whisper::encoder::{CoreWork, EncodeReport, OpReport};
use kiln::kernels::whisper::quant::SCHEME;
use kiln::kernels::whisper::weights::WeightsSource;
use kiln::predict::Prediction;
use serde::Serialize;
use std::fmt;

/// One encoding.
#[derive(Debug, Serialize)]
pub struct Report {
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
    /// How numbers are integers.
    scheme: &'static str,
    /// `file` or `seeded`.
    weights: &'static str,
    /// The file, if any.
    weights_file: Option<String>,
    /// The seed, if any.
    weights_seed: Option<u64>,
    /// `files` or `input`.
    calibration: &'static str,
    /// Recordings that scales were measured on.
    calibration_files: Vec<String>,
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
    /// Length of all windows over `predicted_ms`.
    realtime_factor: f64,
    /// Useful multiply-accumulates: those of the encoder's matrices.
    macs: u64,
    /// `macs` over what all cores could do in `cycles` on bytes.
    mac_utilisation: f64,
    /// Between the array and host memory, both ways.
    ddr_bytes: u64,
    /// Of the fullest compute tile.
    l1_peak_bytes: u64,
    /// Of the fullest mem tile.
    l2_peak_bytes: u64,
    /// Runs of designs.
    dispatches: u64,
    /// What this machine took to simulate it.
    wall_s: f64,
    /// Operations, in order of first use.
    ops: Vec<Op>,
    /// Compute tiles.
    cores: Vec<Core>,
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

impl Report {
    /// The report of an encoding that took `wall_s`.
    pub fn new(
        args: &Args,
        inputs: &Inputs,
        windows: usize,
        done: &EncodeReport,
        prediction: &Prediction,
        wall_s: f64,
    ) -> Report {
        let (config, device) = (&inputs.weights.config, &inputs.device);
        let predicted_ms = prediction.total_ms();
        let macs = windows as u64 * config.macs();
        let path = |p: &std::path::PathBuf| p.display().to_string();
        let (weights, weights_seed) = match inputs.weights.source {
            WeightsSource::File(_) => ("file", None),
            WeightsSource::Seeded(seed) => ("seeded", Some(seed)),
        };
        let on_input = args.calibrate.is_empty();
        let calibrated =
            if on_input { vec![path(&args.audio)] } else { args.calibrate.iter().map(path).collect() };
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
        Report {
            audio: path(&args.audio),
            audio_s: inputs.audio.seconds(),
            windows,
            window_s: window_s(config),
            model: config.name.clone(),
            features_shape: [windows * config.positions, config.d],
            features: args.out.as_ref().map(path),
            scheme: SCHEME,
            weights,
            weights_file: args.weights.as_ref().map(path),
            weights_seed,
            calibration: if on_input { "input" } else { "files" },
            calibration_files: calibrated,
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
            realtime_factor: windows as f64 * window_s(config) * 1e3 / predicted_ms,
            macs,
            mac_utilisation: macs as f64 / (peak_macs(device) * done.cycles as f64),
            ddr_bytes: done.ddr_bytes,
            l1_peak_bytes: done.l1_peak_bytes,
            l2_peak_bytes: done.l2_peak_bytes,
            dispatches: done.dispatches,
            wall_s,
            ops: done.ops.iter().map(op).collect(),
            cores: done.cores.iter().map(core).collect(),
        }
    }
}

/// Length of the audio that the encoder reads: a mel frame is 10 ms.
fn window_s(config: &ModelConfig) -> f64 {
    config.frames() as f64 / 100.0
}

/// Multiply-accumulates of bytes that all cores of a device can do in a cycle.
fn peak_macs(device: &Device) -> f64 {
    f64::from(device.macs_per_cycle.i8_i8()) * device.tiles(TileKind::Core).count() as f64
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.asked(f)?;
        writeln!(
            f,
            "\nEvery tensor operation ran on simulated cores. The host made the log-mel spectrogram,"
        )?;
        writeln!(f, "quantised it, and scaled the features back.\n")?;
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

impl Report {
    fn asked(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        let own =
            if self.calibration == "input" { ", the input itself: no --calibrate was given" } else { "" };
        writeln!(f, "scheme    {}, calibrated on {files}{own}", self.scheme)?;
        writeln!(f, "device    {}, profile {}", self.device, self.profile)?;
        let [rows, columns] = self.features_shape;
        match &self.features {
            Some(file) => writeln!(f, "features  {file}: [{rows}, {columns}] f32"),
            None => writeln!(f, "features  [{rows}, {columns}], not written: no --out was given"),
        }
    }

    fn found(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { array_ms, controller_ms, launch_ms, design_switch_ms, setup_ms, .. } = self.predicted;
        writeln!(
            f,
            "PREDICTED, not measured: {:.1} ms for a first run, {:.2} x real time",
            self.predicted_ms, self.realtime_factor
        )?;
        writeln!(f, "  array       {array_ms:>9.1} ms")?;
        writeln!(f, "  controller  {controller_ms:>9.1} ms")?;
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
        writeln!(f, "simulated in {:.1} s", self.wall_s)
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
