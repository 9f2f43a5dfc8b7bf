//! What an encoding needs, checked before any work: every problem is reported, not only the first.

use super::Args;
use crate::commands::{can_write, device};
use anyhow::{Result, anyhow};
use kiln::dsl::device::{Device, Profile};
use kiln::kernels::whisper::audio::{self, Audio};
use kiln::kernels::whisper::npy::NpyWriter;
use kiln::network::Network;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Everything that was asked for, readable and sound.
pub struct Inputs {
    /// The recording.
    pub audio: Audio,
    /// Recordings to calibrate on, or none for the recording itself.
    pub calibration: Vec<Audio>,
    /// From a file, or seeded.
    pub network: Network,
    /// What predictions are for.
    pub device: Device,
    /// Name of the machine.
    pub profile: String,
    /// Where the features go.
    pub output: Option<NpyWriter>,
}

impl Inputs {
    /// Reads and checks all inputs, and claims the output.
    ///
    /// # Errors
    /// One error with the message of every problem.
    pub fn read(args: &Args) -> Result<Inputs> {
        let mut problems = Problems::default();
        let output = args.out.as_deref().map(|path| problems.keep(claim(path, args)));
        if let Some(path) = &args.trace {
            problems.keep(not_an_input(path, args, "the trace").and_then(|()| can_write(path)));
        }
        let audio = problems.keep(audio::read(&args.audio));
        let calibration: Vec<Option<Audio>> =
            args.network.calibrate.iter().map(|path| problems.keep(audio::read(path))).collect();
        let device = problems.keep(device(&args.device));
        let profile = device.as_ref().map(|device| {
            let name = args.profile.as_deref().unwrap_or(device.default_profile());
            problems.keep(device.profile(name)).map(|_| name.to_owned())
        });
        let network = problems.keep(Network::read(&args.network));
        match (audio, device, profile.flatten(), network) {
            (Some(audio), Some(device), Some(profile), Some(network)) if problems.messages.is_empty() => {
                let calibration = calibration.into_iter().flatten().collect();
                Ok(Inputs { audio, calibration, network, device, profile, output: output.flatten() })
            }
            _ => Err(anyhow!(problems.messages.join("\nerror: "))),
        }
    }

    /// The machine of the prediction.
    ///
    /// # Errors
    /// Never: `read` has looked it up.
    pub fn machine(&self) -> Result<&Profile> {
        Ok(self.device.profile(&self.profile)?)
    }
}

#[derive(Default)]
struct Problems {
    messages: Vec<String>,
}

impl Problems {
    fn keep<T, E: Display>(&mut self, result: Result<T, E>) -> Option<T> {
        result.map_err(|e| self.messages.push(e.to_string())).ok()
    }
}

/// The output, unless it would replace what is read.
fn claim(path: &Path, args: &Args) -> Result<NpyWriter> {
    not_an_input(path, args, "the features")?;
    Ok(NpyWriter::create(path)?)
}

/// Whether a file to be written is none that is read.
fn not_an_input(path: &Path, args: &Args, what: &str) -> Result<()> {
    let device = Path::new(&args.device);
    let inputs = args.network.calibrate.iter().chain(&args.network.weights).map(PathBuf::as_path);
    let inputs = inputs.chain([args.audio.as_path(), device]);
    let same = |input: &Path| match (input.canonicalize(), path.canonicalize()) {
        (Ok(input), Ok(path)) => input == path,
        _ => false,
    };
    if inputs.into_iter().any(same) {
        return Err(anyhow!("{}: {what} would replace an input", path.display()));
    }
    if what != "the features" && args.out.as_deref() == Some(path) {
        return Err(anyhow!("{}: {what} and the features cannot be one file", path.display()));
    }
    Ok(())
}
