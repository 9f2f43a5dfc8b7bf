//! `hwrun encode`.

use super::session::{On, Session, compare};
use anyhow::{Context, Result, anyhow, bail};
use kiln::artifacts;
use kiln::dsl::array::Design;
use kiln::hw::xrt_sys::Xrt;
use kiln::hw::{Artifacts, RunError, Runner};
use kiln::kernels::whisper::audio;
use kiln::kernels::whisper::encoder::{
    self, ArrayRunner, Dispatch, EncodeError, EncodeReport, Progress, RunnerError,
};
use kiln::kernels::whisper::mel_array::MelArray;
use kiln::kernels::whisper::npy::NpyWriter;
use kiln::kernels::whisper::plan::Plan;
use kiln::network::{MelOn, Network, NetworkArgs, NetworkError, spectrograms};
use kiln::predict::Prediction;
use kiln::progress;
use kiln::runner::SimRunner;
use ndarray::{Axis, concatenate};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Features of speech, by a Whisper encoder on the NPU, each dispatch compared with the simulator
///
/// DIR holds one folder of artifacts for each design of the encoder, under the design's name, as `kiln emit --encoder`
/// writes them, each built by its build.sh.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Recording, as of `kiln encode`
    #[arg(value_name = "AUDIO")]
    audio: PathBuf,
    /// Folder of folders of artifacts
    #[arg(long, value_name = "DIR")]
    artifacts: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
    /// What makes the log-mel spectrogram: the host, in floats, or kernels of the NPU
    #[arg(long, value_enum, default_value_t = MelOn::Host)]
    mel: MelOn,
    /// File to write the features to: 32-bit floats, [windows * positions, d]
    #[arg(long, value_name = "F.npy")]
    out: Option<PathBuf>,
    /// Do not simulate: no bit is compared
    #[arg(long)]
    no_compare: bool,
    #[command(flatten)]
    on: On,
}

/// Encodes on the device.
///
/// # Errors
/// When an input is bad, artifacts are missing, a run fails or a bit differs.
pub fn encode(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    let session = Session::new(&args.on)?;
    let network = Network::read(&args.network)?;
    let audio = audio::read(&args.audio)?;
    let calibration =
        args.network.calibrate.iter().map(|path| audio::read(path)).collect::<Result<Vec<_>, _>>()?;
    let config = network.config();
    let plan = Plan::new(config, &network.scheme(args.network.scheme).recipe(), session.device())?;
    let front = match args.mel {
        MelOn::Host => None,
        MelOn::Npu => Some(MelArray::new(config.mels, session.device())?),
    };
    let mut designs = plan.designs();
    designs.extend(front.as_ref().map(MelArray::design));
    let loaded = load(&session, &args.artifacts, &designs)?;
    let output = args.out.as_deref().map(NpyWriter::create).transpose()?;
    let recordings =
        [(&args.audio, &audio)].into_iter().chain(args.network.calibrate.iter().zip(&calibration));
    let cut = recordings.filter_map(|(path, audio)| audio.note(path));
    for note in cut.chain(args.network.notes(&network)) {
        kiln::say!("note: {note}");
    }
    let windows = spectrograms(&audio, config);
    let model = match network.in_scheme(&args.network, &calibration, &windows, &|| session.stopped()) {
        Err(NetworkError::Interrupted(_)) => bail!("stopped; nothing was written"),
        model => model?,
    };

    let pairs: Vec<(&Artifacts, &Design)> =
        designs.iter().map(|&design| (&loaded[&design.name], design)).collect();
    let mut runner = NpuRunner {
        xrt: session.xrt(&pairs)?,
        session: &session,
        artifacts: &loaded,
        open: Vec::new(),
        contexts: session.device().host.hardware_contexts_max() as usize,
        simulator: (!args.no_compare).then(|| SimRunner::new(session.device(), session.profile().1)),
        measured: Duration::ZERO,
        dispatches: 0,
    };
    let ahead = usize::from(front.is_some());
    let each = ahead + plan.dispatches();
    let bar = progress::dispatches(windows.len() * each);
    let mut features = Vec::new();
    for (window, (hosts, samples)) in windows.iter().zip(audio.windows()).enumerate() {
        let mut watch = |at: Progress| {
            bar.set_position((window * each + ahead + at.done) as u64);
            bar.set_message(at.next.to_owned());
            if session.stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let spectrogram = match &front {
            None => Cow::Borrowed(hosts),
            Some(front) => {
                let made =
                    front.spectrogram(samples, config.frames(), &mut runner, &mut EncodeReport::default());
                Cow::Owned(made.map_err(|cause| anyhow!("design {}: {cause}", front.name()))?)
            }
        };
        let mel = model.input(spectrogram.view());
        match encoder::encode(&model, &plan, &mel, &mut runner, &mut watch, &mut |_, _| ()) {
            Err(EncodeError::Interrupted { .. }) => {
                bar.finish_and_clear();
                bail!("stopped; nothing was written");
            }
            encoded => features.push(encoded?.features),
        }
    }
    bar.finish_and_clear();
    if let Some(output) = output {
        let views: Vec<_> = features.iter().map(|part| part.view()).collect();
        output.finish(concatenate(Axis(0), &views)?.view())?;
    }
    let measured = runner.measured.as_secs_f64() * 1e3;
    writeln!(out, "{} on the {}", config.name, session.place())?;
    match &runner.simulator {
        Some(simulator) => {
            let p = Prediction::new(simulator.launches(), session.device(), session.profile().1);
            let predicted = p.array_ms + p.controller_ms + p.launch_ms;
            writeln!(out, "  {} dispatches, each equal to the simulator's in every bit", runner.dispatches)?;
            writeln!(
                out,
                "  predicted {predicted:.3} ms of array, controller and launches ({}), took {measured:.3} ms: {:.2} x",
                session.profile().0,
                measured / predicted
            )?;
        }
        None => writeln!(out, "  {} dispatches, not compared, took {measured:.3} ms", runner.dispatches)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The artifacts of every design; all problems at once.
fn load(session: &Session, folder: &Path, designs: &[&Design]) -> Result<BTreeMap<String, Artifacts>> {
    let mut problems = Vec::new();
    let mut loaded = BTreeMap::new();
    for design in designs {
        let of = folder.join(&design.name);
        let checked = session.read(&of).and_then(|found| {
            let ours = artifacts::bundle(design, session.device())?.manifest.content;
            if found.manifest.content != ours {
                bail!(
                    "{}: content {}, this model's design {} is {ours}\nhelp: `kiln emit --encoder` with this model and scheme, and build it again",
                    of.display(),
                    found.manifest.content,
                    design.name
                );
            }
            session.is_of(&found, design)?;
            Ok(found)
        });
        match checked {
            Ok(found) => {
                loaded.insert(design.name.clone(), found);
            }
            Err(e) => problems.push(format!("{e:#}")),
        }
    }
    if problems.is_empty() { Ok(loaded) } else { Err(anyhow!(problems.join("\nerror: "))) }
}

/// Dispatches on the device; as many designs as it has contexts stay there, the one longest unused goes.
struct NpuRunner<'a> {
    session: &'a Session,
    xrt: Xrt,
    artifacts: &'a BTreeMap<String, Artifacts>,
    open: Vec<(String, Runner)>,
    contexts: usize,
    simulator: Option<SimRunner<'a>>,
    measured: Duration,
    dispatches: usize,
}

impl NpuRunner<'_> {
    /// The runner of a design, last in the list.
    fn runner(&mut self, name: &str) -> Result<&mut Runner> {
        if let Some(at) = self.open.iter().position(|(open, _)| open == name) {
            let used = self.open.remove(at);
            self.open.push(used);
        } else {
            if self.open.len() >= self.contexts.max(1) {
                self.open.remove(0);
            }
            let artifacts = self.artifacts.get(name).with_context(|| format!("no artifacts of {name}"))?;
            self.open.push((name.to_owned(), Runner::open(&self.xrt, artifacts)?));
        }
        let (_, runner) = self.open.last_mut().context("just put there")?;
        Ok(runner)
    }

    fn dispatch(&mut self, design: &Design, host: &mut [Vec<u8>]) -> Result<Dispatch> {
        let session = self.session;
        let stopped = || session.stopped();
        let mut simulated = host.to_vec();
        let time = self.runner(&design.name)?.run(host, &session.patience(None, &stopped))?;
        self.measured += time;
        self.dispatches += 1;
        if let Some(simulator) = &mut self.simulator {
            simulator.dispatch(design, &mut simulated)?;
            let buffers = &self.artifacts[&design.name].manifest.buffers;
            let differing = buffers.iter().zip(simulated.iter().zip(host.iter()));
            let differing: Vec<String> = differing
                .filter_map(|(buffer, (ours, its))| Some(compare(buffer, ours, its)?.words(buffer)))
                .collect();
            if !differing.is_empty() {
                bail!("dispatch {} ({}):\n  {}", self.dispatches, design.name, differing.join("\n  "));
            }
        }
        Ok(Dispatch {
            cycles: session.cycles_of(time),
            controller_cycles: 0,
            calls: 0,
            ddr_bytes: 0,
            l1_peak_bytes: 0,
            l2_peak_bytes: 0,
            cores: Vec::new(),
        })
    }
}

impl ArrayRunner for NpuRunner<'_> {
    fn run(&mut self, design: &Design, host: &mut [Vec<u8>]) -> Result<Dispatch, RunnerError> {
        self.dispatch(design, host).map_err(|e| match e.downcast::<RunError>() {
            Ok(e) => e.into(),
            Err(e) => format!("{e:#}").into(),
        })
    }
}
