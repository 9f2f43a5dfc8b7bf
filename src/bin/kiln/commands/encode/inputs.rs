//! What an encoding needs, checked before any work: every problem is reported, not only the first.

use super::Args;
use crate::commands::{check_outputs, device};
use anyhow::{Result, anyhow};
use kiln::dsl::device::{Device, Profile};
use kiln::dsl::files::Output;
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
    /// Where the trace goes.
    pub trace: Option<Output>,
}

impl Inputs {
    /// Reads and checks all inputs, and claims the output.
    ///
    /// # Errors
    /// One error with the message of every problem.
    pub fn read(args: &Args) -> Result<Inputs> {
        let mut problems = Problems::default();
        let device_file = Path::new(&args.device);
        let read = args.network.calibrate.iter().chain(&args.network.weights).map(PathBuf::as_path);
        let device_file = Some(device_file).filter(|file| file.exists());
        let read: Vec<&Path> = read.chain([args.audio.as_path()]).chain(device_file).collect();
        let outputs = [("the features", args.out.as_deref()), ("the trace", args.trace.as_deref())];
        let outputs: Vec<(&str, &Path)> =
            outputs.into_iter().filter_map(|(what, path)| Some((what, path?))).collect();
        let apart = problems.keep(check_outputs(&outputs, &read)).is_some();
        let output = args.out.as_deref().filter(|_| apart);
        let output = output.map(|path| problems.keep(NpyWriter::create(path)));
        let trace = args.trace.as_deref().filter(|_| apart);
        let trace = trace.map(|path| problems.keep(Output::create(path)));
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
                let (output, trace) = (output.flatten(), trace.flatten());
                Ok(Inputs { audio, calibration, network, device, profile, output, trace })
            }
            _ => Err(anyhow!(kiln::say::errors(&problems.messages))),
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
