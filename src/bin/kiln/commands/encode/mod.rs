//! `kiln encode`: speech to features on the simulated array.

mod inputs;
mod report;

use anyhow::{Context, Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};
use inputs::Inputs;
use kiln::kernels::whisper::audio::Audio;
use kiln::kernels::whisper::calibrate::Calibration;
use kiln::kernels::whisper::encoder::{self, EncodeError, EncodeReport, Progress};
use kiln::kernels::whisper::plan::Plan;
use kiln::kernels::whisper::quantise::quantise_calibrated;
use kiln::kernels::whisper::{ModelConfig, integer, mel};
use kiln::predict::Prediction;
use kiln::runner::SimRunner;
use ndarray::{Array2, Axis, concatenate};
use report::Report;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Exit code after Ctrl-C (and other requests to end), as shells have it: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

/// Features of speech, by a Whisper encoder on the simulated array
///
/// The recording is cut into windows of 30 s, which are encoded one after the other; the last is padded with silence.
/// Without --weights the encoder is a random one. Device and profile change the predicted time, never a bit of the
/// features.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Recording: WAV, FLAC or MP3 of any rate and number of channels, up to an hour
    #[arg(value_name = "AUDIO")]
    audio: PathBuf,
    /// Sizes of the encoder: tiny, base, small, their .en, or design-doc [default: those of --weights, else tiny]
    #[arg(long)]
    model: Option<String>,
    /// Weights with Hugging Face's or OpenAI's names: safetensors (a file, a list of shards or their folder), PyTorch
    /// (.pt) or whisper.cpp's ggml (.bin)
    #[arg(long, value_name = "F")]
    weights: Option<PathBuf>,
    /// Seed of the random weights, when there is no file
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "weights")]
    seed: u64,
    /// Recording to measure the scales of activations on; may be given more than once [default: AUDIO]
    #[arg(long, value_name = "AUDIO")]
    calibrate: Vec<PathBuf>,
    /// What the prediction is for: a built-in device, or a file with a description
    #[arg(long, value_name = "npu1|FILE", default_value = "npu1")]
    device: String,
    /// Clock and host memory of the prediction: a profile of the device [default: the device's own default]
    #[arg(long)]
    profile: Option<String>,
    /// File to write the features to: 32-bit floats, [windows * positions, d]
    #[arg(long, value_name = "F.npy")]
    out: Option<PathBuf>,
    /// One JSON object instead of a summary
    #[arg(long)]
    json: bool,
}

/// Encodes, writes the features and prints what it took.
///
/// # Errors
/// When an input is bad (all that are, at once), the output cannot be written, or the encoder does not fit the device.
pub fn encode(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    let start = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).context("cannot handle Ctrl-C")?;
    let stopped = || stop.load(Ordering::Relaxed);

    let mut inputs = Inputs::read(args)?;
    let config = inputs.weights.config.clone();
    let plan = Plan::new(&config, inputs.device.core.data_memory_bytes())
        .map_err(|e| anyhow!("{}: {e}", weights_name(args)))?;
    notes(args, &inputs);
    let windows = spectrograms(&inputs.audio, &config);
    let model = {
        let others: Vec<_> = inputs.calibration.iter().flat_map(|a| spectrograms(a, &config)).collect();
        if stopped() {
            return Ok(interrupted());
        }
        let calibration =
            Calibration::measure(&inputs.weights, if others.is_empty() { &windows } else { &others });
        if let Some(tensor) = calibration.overflows().next() {
            bail!(
                "{}: the encoder leaves the range of 32-bit floats (tensor {tensor}), so nothing can be quantised",
                weights_name(args)
            );
        }
        quantise_calibrated(&inputs.weights, &calibration)
    };

    let each = plan.dispatches(&model);
    let bar = progress_bar(windows.len() * each);
    let mut runner = SimRunner::new(&inputs.device, inputs.machine()?);
    let (mut features, mut report) = (Vec::with_capacity(windows.len()), EncodeReport::default());
    for (window, input) in windows.iter().enumerate() {
        let mut watch = |at: Progress| {
            bar.set_position((window * each + at.done) as u64);
            bar.set_message(at.next.to_owned());
            if stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let quantised = integer::quantise_mel(input.view());
        match encoder::encode(&model, &plan, quantised.view(), &mut runner, &mut watch, &mut |_, _| ()) {
            Err(EncodeError::Interrupted { .. }) => {
                bar.finish_and_clear();
                return Ok(interrupted());
            }
            encoded => {
                let encoded = encoded?;
                features.push(encoded.features);
                report.append(encoded.report);
            }
        }
    }
    bar.finish_and_clear();
    let views: Vec<_> = features.iter().map(|part| part.view()).collect();
    let features = concatenate(Axis(0), &views)?;
    let prediction = Prediction::new(runner.launches(), &inputs.device, inputs.machine()?);
    if let Some(output) = inputs.output.take() {
        output.finish(features.view())?;
    }
    let wall_s = start.elapsed().as_secs_f64();
    let report = Report::new(args, &inputs, windows.len(), &report, &prediction, wall_s);
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What a person should know before reading numbers; on standard error, since JSON goes to the other.
fn notes(args: &Args, inputs: &Inputs) {
    if args.weights.is_none() {
        eprintln!(
            "note: no --weights: the weights are random (seed {}), the features mean nothing",
            args.seed
        );
    }
    if !inputs.weights.unknown.is_empty() {
        eprintln!("note: tensors that an encoder does not have: {}", inputs.weights.unknown.join(", "));
    }
    if args.calibrate.is_empty() {
        eprintln!("note: no --calibrate: scales are measured on the input itself");
    }
}

/// What messages call the weights: their file.
fn weights_name(args: &Args) -> String {
    args.weights.as_ref().map_or_else(|| "the seeded weights".to_owned(), |path| path.display().to_string())
}

fn interrupted() -> ExitCode {
    eprintln!("stopped; nothing was written");
    ExitCode::from(INTERRUPTED)
}

/// The log-mel spectrogram `[mels, frames]` that the encoder reads, of each window.
fn spectrograms(audio: &Audio, config: &ModelConfig) -> Vec<Array2<f32>> {
    let window = |samples| mel::first_frames(mel::log_mel(samples, config.mels).view(), config.frames());
    audio.windows().map(window).collect()
}

/// On a terminal; elsewhere indicatif draws nothing.
fn progress_bar(dispatches: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} ({elapsed}, {eta} left)");
    ProgressBar::new(dispatches as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
