//! `kiln encode`: speech to features on the simulated array.

mod inputs;
mod report;

use super::TraceFile;
use anyhow::{Result, anyhow, bail};
use inputs::Inputs;
use kiln::interrupt;
use kiln::kernels::whisper::encoder::{self, EncodeError, EncodeReport, Progress};
use kiln::kernels::whisper::mel_array::MelArray;
use kiln::kernels::whisper::plan::Plan;
use kiln::kernels::whisper::scheme::Scheme;
use kiln::kernels::whisper::{EncoderWeights, QuantModel, integer, mel, reference};
use kiln::network::{MelOn, Network, NetworkArgs, NetworkError, spectrograms};
use kiln::predict::{Launch, Prediction};
use kiln::progress;
use kiln::runner::SimRunner;
use kiln::sim::array::SimOptions;
use kiln::sim::trace::{Perfetto, Run};
use ndarray::{Axis, concatenate};
use report::{Asked, OnArray, Report};
use std::borrow::Cow;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

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
    #[command(flatten)]
    network: NetworkArgs,
    /// What encodes: the simulated array, the scheme's numbers on the processor (the same bits), or floats
    #[arg(long, value_enum, default_value_t = Backend::Array)]
    backend: Backend,
    /// What makes the log-mel spectrogram: the host, in floats, or kernels of the NPU; with another backend than the
    /// array, those kernels' numbers on the processor
    #[arg(long, value_enum, default_value_t = MelOn::Host)]
    mel: MelOn,
    /// What the prediction is for: a built-in device, or a file with a description
    #[arg(long, value_name = "npu1|FILE", default_value = "npu1")]
    device: String,
    /// Clock and host memory of the prediction: a profile of the device [default: the device's own default]
    #[arg(long)]
    profile: Option<String>,
    /// File to write the features to: 32-bit floats, [windows * positions, d]
    #[arg(long, value_name = "F.npy")]
    out: Option<PathBuf>,
    /// File for a trace of all dispatches that Perfetto (ui.perfetto.dev) and Chrome show
    #[arg(long, value_name = "F.json")]
    trace: Option<PathBuf>,
    /// Events that the trace keeps of each dispatch, from its start
    #[arg(long, value_name = "N", default_value_t = 5_000, requires = "trace")]
    trace_events: usize,
    /// One JSON object instead of a summary
    #[arg(long)]
    json: bool,
}

/// What encodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Backend {
    /// The simulated array.
    Array,
    /// The ndarray model of the scheme: the array's bits without its time.
    Model,
    /// The f32 encoder.
    Reference,
}

/// Encodes, writes the features and prints what it took.
///
/// # Errors
/// When an input is bad (all that are, at once), the output cannot be written, or the encoder does not fit the device.
pub fn encode(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    let start = Instant::now();
    let stopped = interrupt::requested;

    let mut inputs = Inputs::read(args)?;
    let (output, trace_output) = (inputs.output.take(), inputs.trace.take());
    let config = inputs.network.config().clone();
    let scheme = inputs.network.scheme(args.network.scheme);
    let plan = plan(args, &inputs, scheme)?;
    let front = front(args, &inputs)?;
    notes(args, &inputs);
    let windows = spectrograms(&inputs.audio, &config);
    let encoder = match (&inputs.network, args.backend) {
        (Network::Floats(weights), Backend::Reference) => Encoder::Floats(weights),
        (Network::Quantised(..), Backend::Reference) => {
            bail!(
                "{}: the float encoder needs weights in floats, these are quantised",
                args.network.weights_name()
            )
        }
        (network, _) => match network.in_scheme(&args.network, &inputs.calibration, &windows, &stopped) {
            Err(NetworkError::Interrupted(_)) => return Ok(interrupted()),
            model => Encoder::Scheme(Box::new(model?)),
        },
    };

    let ahead = usize::from(front.is_some());
    let each = ahead + plan.as_ref().map_or(1, |plan| plan.dispatches());
    let bar = progress::dispatches(windows.len() * each);
    let prepared_s = start.elapsed().as_secs_f64();
    let trace_events = if args.trace.is_some() { args.trace_events } else { 0 };
    let options = SimOptions { trace_events, ..SimOptions::default() };
    let mut runner = SimRunner::new(&inputs.device, inputs.machine()?).with_options(options);
    let (mut features, mut report) = (Vec::with_capacity(windows.len()), EncodeReport::default());
    for (window, (hosts, samples)) in windows.iter().zip(inputs.audio.windows()).enumerate() {
        let show = |done: usize, next: &str| {
            bar.set_position((window * each + done) as u64);
            bar.set_message(next.to_owned());
            if stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        if show(0, front.as_ref().map_or("", |front| front.name())).is_break() {
            bar.finish_and_clear();
            return Ok(interrupted());
        }
        let input = match (&front, args.mel) {
            (Some(front), _) => {
                let made = front.spectrogram(samples, config.frames(), &mut runner, &mut report);
                Cow::Owned(made.map_err(|cause| anyhow!("design {}: {cause}", front.name()))?)
            }
            (None, MelOn::Npu) => {
                let made = kiln::kernels::mel::reference(samples, config.mels);
                Cow::Owned(mel::first_frames(made.view(), config.frames()))
            }
            (None, MelOn::Host) => Cow::Borrowed(hosts),
        };
        let mut watch = |at: Progress| show(ahead + at.done, at.next);
        features.push(match (&encoder, &plan) {
            (Encoder::Floats(weights), _) => {
                let features = reference::encode(weights, input.view(), &mut |_, _| ());
                if !features.iter().all(|f| f.is_finite()) {
                    bar.finish_and_clear();
                    bail!(
                        "{}: the encoder leaves the range of 32-bit floats, so it has no features",
                        args.network.weights_name()
                    );
                }
                features
            }
            (Encoder::Scheme(model), None) => {
                model.dequantise(integer::encode(model, &model.input(input.view()), &mut |_, _| ()).view())
            }
            (Encoder::Scheme(model), Some(plan)) => {
                let mel = model.input(input.view());
                let done = encoder::encode(model, plan, &mel, &mut runner, &mut watch, &mut |_, _| ());
                if let Err(EncodeError::Interrupted { .. }) = done {
                    bar.finish_and_clear();
                    return Ok(interrupted());
                }
                let encoded = done?;
                report.append(encoded.report);
                encoded.features
            }
        });
    }
    bar.finish_and_clear();
    let views: Vec<_> = features.iter().map(|part| part.view()).collect();
    let features = concatenate(Axis(0), &views)?;
    if let Some(output) = output {
        output.finish(features.view())?;
    }
    let wall_s = start.elapsed().as_secs_f64();
    let launches = runner.launches();
    if let Some(output) = trace_output {
        let trace = Perfetto::new(&inputs.device.name, runs(launches));
        output.write(|file| Ok(serde_json::to_writer(file, &trace)?))?;
    }
    let asked = Asked::new(args, &inputs, scheme, windows.len(), [prepared_s, wall_s]);
    let array = match &plan {
        Some(plan) => {
            let prediction = Prediction::new(launches, &inputs.device, inputs.machine()?);
            let mel_ms = front.as_ref().map(|front| {
                let of_mel: Vec<_> = launches.iter().filter(|l| l.design == front.name()).cloned().collect();
                Ok::<_, anyhow::Error>(Prediction::new(&of_mel, &inputs.device, inputs.machine()?))
            });
            let mel_ms = mel_ms.transpose()?.map(|p| p.array_ms + p.controller_ms);
            let mut array =
                OnArray::new(&inputs, plan, scheme, windows.len(), &report, &prediction, launches);
            array.mel_ms = mel_ms;
            array.trace =
                args.trace.as_ref().map(|path| TraceFile::new(path, launches.iter().map(|l| &l.trace)));
            Some(array)
        }
        None => None,
    };
    let report = Report { asked, array };
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Dispatches one after another, as a trace shows them.
fn runs(launches: &[Launch]) -> impl Iterator<Item = Run<'_>> {
    launches.iter().scan(0, |start, launch| {
        let run = Run { design: &launch.design, start: *start, cycles: launch.cycles, trace: &launch.trace };
        *start += launch.cycles;
        Some(run)
    })
}

/// What computes a window.
enum Encoder<'a> {
    Floats(&'a EncoderWeights),
    Scheme(Box<QuantModel>),
}

/// The designs, if the array is to run them.
fn plan(args: &Args, inputs: &Inputs, scheme: Scheme) -> Result<Option<Plan>> {
    if args.backend != Backend::Array {
        if args.trace.is_some() {
            bail!("--trace: only the simulated array has one\nhelp: leave --backend away, or --trace");
        }
        return Ok(None);
    }
    let plan = Plan::new(inputs.network.config(), &scheme.recipe(), &inputs.device);
    Ok(Some(plan.map_err(|e| anyhow!("{}: {e}", args.network.weights_name()))?))
}

/// The design of the log-mel spectrogram, if the array is to make it.
fn front(args: &Args, inputs: &Inputs) -> Result<Option<MelArray>> {
    if args.mel == MelOn::Host || args.backend != Backend::Array {
        return Ok(None);
    }
    let made = MelArray::new(inputs.network.config().mels, &inputs.device);
    Ok(Some(made.map_err(|too_big| {
        anyhow!("{too_big}\nhelp: with --mel host, the host makes the log-mel spectrogram")
    })?))
}

/// What a person should know before reading numbers; on standard error, since JSON goes to the other.
fn notes(args: &Args, inputs: &Inputs) {
    let recordings = [(&args.audio, &inputs.audio)]
        .into_iter()
        .chain(args.network.calibrate.iter().zip(&inputs.calibration));
    let cut = recordings.filter_map(|(path, audio)| audio.note(path));
    for note in cut.chain(args.network.notes(&inputs.network)) {
        kiln::say!("note: {note}");
    }
    let calibrates = matches!(inputs.network, Network::Floats(_)) && args.backend != Backend::Reference;
    if args.network.calibrate.is_empty() && calibrates {
        kiln::say!("note: no --calibrate: scales are measured on the input itself");
    }
}

fn interrupted() -> ExitCode {
    kiln::say!("stopped; nothing was written");
    ExitCode::from(interrupt::EXIT_CODE)
}
