//! The log-mel spectrogram by the array: one dispatch of [`LogMel`]'s design, and what the host does with its result.

use super::encoder::{ArrayRunner, EncodeReport, RunnerError};
use super::mel::first_frames;
use crate::designs::choose::{TooBig, first_that_fits};
use crate::designs::mel::LogMel;
use crate::mel::{Gain, finish};
use kiln_dsl::array::Design;
use kiln_dsl::device::Device;
use ndarray::Array2;

/// The front end of an encoder on the array.
#[derive(Clone, Debug)]
pub struct MelArray {
    op: LogMel,
    design: Design,
}

impl MelArray {
    /// Of a number of bands, for the cores of a device.
    ///
    /// # Errors
    /// When the design does not fit the device: it has one size.
    pub fn new(mels: usize, device: &Device) -> Result<MelArray, TooBig> {
        let op = LogMel::new(mels);
        let ((), [design]) = first_that_fits(device, [((), [op.design()])])?;
        Ok(MelArray { op, design })
    }

    /// Name of its design.
    pub fn name(&self) -> &str {
        &self.design.name
    }

    /// Its design.
    pub fn design(&self) -> &Design {
        &self.design
    }

    /// Log-mel spectrogram `[bands, frames]` of a window's samples, computed by `runner`; `report` is told what the dispatch
    /// took. The host lays out the samples before, and clamps and scales the logarithms after.
    ///
    /// # Errors
    /// When the dispatch fails.
    pub fn spectrogram(
        &self,
        samples: &[f32],
        frames: usize,
        runner: &mut dyn ArrayRunner,
        report: &mut EncodeReport,
    ) -> Result<Array2<f32>, RunnerError> {
        let gain = Gain::of(samples);
        let mut host = self.op.host(samples, gain);
        let dispatch = runner.run(&self.design, &mut host)?;
        report.add(self.name(), self.name(), dispatch);
        let [_, _, logs] = host;
        Ok(first_frames(finish(self.op.logs(&logs).view(), gain).view(), frames))
    }
}
