//! From a recording's rate to 16 kHz.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler as _, WindowFunction};

use super::SAMPLE_RATE;

/// Samples that are transformed together, at least; the filter's edge gets steeper with more.
const BLOCK: u32 = 2048;

/// A block of the input that makes a whole number of output samples, and so does its half: the filter's centre is the
/// middle of a block, and the delay must be a whole number of samples.
fn block(rate: u32) -> usize {
    let smallest = rate / gcd(rate, SAMPLE_RATE);
    let count = BLOCK.div_ceil(smallest).next_multiple_of(2);
    count as usize * smallest as usize
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A stream of samples at 16 kHz, from one at another rate.
pub(super) struct Resampler {
    /// None when the rates are equal.
    transform: Option<Fft<f64>>,
    /// Input samples of all blocks.
    received: u64,
    rate: u32,
    /// Input that makes no whole block yet.
    pending: Vec<f64>,
    output: Vec<f32>,
}

impl Resampler {
    /// From `rate` Hz.
    pub fn new(rate: u32) -> Resampler {
        let transform = (rate != SAMPLE_RATE).then(|| {
            let (rates, window) = ((rate as usize, SAMPLE_RATE as usize), WindowFunction::BlackmanHarris2);
            Fft::new_custom(rates.0, rates.1, block(rate), 1, 1, window, FixedSync::Both)
                .expect("the rates are not zero, nor is the block")
        });
        Resampler { transform, received: 0, rate, pending: Vec::new(), output: Vec::new() }
    }

    /// The next samples of the recording.
    pub fn push(&mut self, samples: &[f32]) {
        let Some(transform) = &self.transform else { return self.output.extend_from_slice(samples) };
        self.received += samples.len() as u64;
        self.pending.extend(samples.iter().map(|s| f64::from(*s)));
        let block = transform.input_frames_next();
        let whole = self.pending.len() / block * block;
        for start in (0..whole).step_by(block) {
            self.transform(start, block);
        }
        self.pending.drain(..whole);
    }

    /// Everything, without the filter's delay: as long as the recording.
    pub fn finish(mut self) -> Vec<f32> {
        let Some(transform) = &self.transform else { return self.output };
        let delay = transform.output_delay();
        let length = (self.received * u64::from(SAMPLE_RATE)).div_ceil(u64::from(self.rate)) as usize;
        let block = transform.input_frames_next();
        while self.output.len() < delay + length {
            self.pending.resize(block, 0.0);
            self.transform(0, block);
            self.pending.clear();
        }
        self.output.drain(..delay);
        self.output.truncate(length);
        self.output
    }

    /// Transforms `block` pending samples.
    fn transform(&mut self, start: usize, block: usize) {
        let Some(transform) = &mut self.transform else { return };
        let input = InterleavedSlice::new(&self.pending[start..start + block], 1, block);
        let input = input.expect("a slice of a block holds a block");
        let output = transform.process(&input, None::<&Indexing>).expect("the input is one block long");
        self.output.extend(output.take_data().into_iter().map(|s| s as f32));
    }
}
