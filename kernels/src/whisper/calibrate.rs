//! Calibration: what every tensor of the encoder looks like on example recordings.

use std::collections::BTreeMap;

use ndarray::parallel::prelude::*;
use ndarray::{Array2, ArrayView2, Axis, s};

use super::audio::{Audio, WINDOW_SAMPLES};
use super::config::ModelConfig;
use super::watch::{Interrupted, Watch};
use super::weights::EncoderWeights;
use super::{mel, reference};
use crate::conv1d;

/// What is known of one tensor over all calibration windows.
#[derive(Clone, Debug, PartialEq)]
struct Statistics {
    /// Largest magnitude of each column.
    columns: Vec<f32>,
    /// Largest value.
    highest: f32,
    /// Sum of each column; empty unless means were asked for.
    sums: Vec<f64>,
    /// Rows seen.
    rows: u64,
    /// How often each magnitude occurs, if that was asked for.
    magnitudes: Histogram,
    /// Largest magnitude of each column in units of the peak of that row of the LayerNorm before; empty for tensors
    /// that do not follow one.
    ratios: Vec<f32>,
}

/// What a calibration finds out besides peaks; each takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Details {
    /// How often each magnitude occurs.
    pub magnitudes: bool,
    /// Means of columns.
    pub means: bool,
    /// Products of the inputs of matrices.
    pub products: bool,
}

impl Details {
    /// Peaks only.
    pub const PEAKS: Details = Details { magnitudes: false, means: false, products: false };
    /// Everything.
    pub const ALL: Details = Details { magnitudes: true, means: true, products: true };
}

/// Counts of magnitudes, 16 bins an octave.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    counts: Vec<u64>,
}

/// Bins of an octave.
const BINS: f32 = 16.0;

/// Octaves below 1 that a histogram covers; it covers as many above.
const OCTAVES: f32 = 24.0;

impl Histogram {
    fn new() -> Histogram {
        Histogram { counts: vec![0; (2.0 * OCTAVES * BINS) as usize] }
    }

    fn add(&mut self, value: f32) {
        let bin = (value.abs().log2() + OCTAVES) * BINS;
        let last = self.counts.len() - 1;
        self.counts[(bin.max(0.0) as usize).min(last)] += 1;
    }

    /// Magnitudes (the centres of bins) and how often they occur, rising.
    pub fn magnitudes(&self) -> impl Iterator<Item = (f64, u64)> {
        let centre = |i: usize| f64::from((i as f32 + 0.5) / BINS - OCTAVES).exp2();
        self.counts.iter().enumerate().filter(|c| *c.1 > 0).map(move |(i, &count)| (centre(i), count))
    }
}

/// Statistics of every tensor of an encoder, by the names of [`reference::Observer`]; the heads of a layer together.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    details: Details,
    tensors: BTreeMap<String, Statistics>,
    products: BTreeMap<String, Array2<f32>>,
    /// Peaks of the rows of the latest LayerNorm.
    row_peaks: Vec<f32>,
}

/// The log-mel windows `[mels, frames]` that scales are measured on: those of the recording, and of one that is shorter
/// than a window also the recording [`looped`]. Silence is easy to encode, and full windows have none.
pub fn windows(audio: &Audio, config: &ModelConfig) -> Vec<Array2<f32>> {
    let spectrogram = |samples: &[f32]| mel::spectrogram(samples, config);
    let mut windows: Vec<Array2<f32>> = audio.windows().map(spectrogram).collect();
    // An encoder may read less than a whole window.
    if windows.len() == 1 && audio.samples.len() < WINDOW_SAMPLES.min(config.frames() * mel::HOP) {
        windows.push(spectrogram(&looped(&audio.samples)));
    }
    windows
}

/// A recording again and again until it fills a window; nothing if there is none.
pub fn looped(samples: &[f32]) -> Vec<f32> {
    samples.iter().copied().cycle().take(WINDOW_SAMPLES).collect()
}

impl Calibration {
    /// Runs the f32 encoder on log-mel windows `[mels, frames]`.
    ///
    /// # Panics
    /// When `mels` is empty, or a window has another shape than the encoder reads.
    pub fn measure(weights: &EncoderWeights, mels: &[Array2<f32>], details: Details) -> Calibration {
        let measured = Calibration::measure_watched(weights, mels, details, &mut Watch::nobody());
        measured.expect("nobody interrupts it")
    }

    /// As [`Calibration::measure`]; each window is a step.
    ///
    /// # Errors
    /// When `watch` ends it.
    pub(super) fn measure_watched(
        weights: &EncoderWeights,
        mels: &[Array2<f32>],
        details: Details,
        watch: &mut Watch,
    ) -> Result<Calibration, Interrupted> {
        assert!(!mels.is_empty(), "calibration needs at least one window");
        let mut calibration = Calibration::empty(details);
        for mel in mels {
            watch.step()?;
            calibration.observe("mel", mel.view());
            if details.products {
                calibration.add_products("conv1", conv1d::windows(&conv1d::pad(mel.t()), 1));
            }
            reference::encode(weights, mel.view(), &mut |name, tensor| calibration.observe(name, tensor));
        }
        calibration.products.values_mut().for_each(mirror);
        Ok(calibration)
    }

    pub(super) fn empty(details: Details) -> Calibration {
        let (tensors, products) = (BTreeMap::new(), BTreeMap::new());
        Calibration { details, tensors, products, row_peaks: Vec::new() }
    }

    fn observe(&mut self, name: &str, tensor: ArrayView2<f32>) {
        // `layer0.head3.scores` counts as `layer0.scores`: its columns are keys, of which only the peak matters.
        let (name, whole) = match name.split_once(".head") {
            Some((layer, rest)) => (format!("{layer}.{}", rest.split_once('.').map_or(rest, |r| r.1)), true),
            None => (name.to_string(), false),
        };
        let part = name.rsplit('.').next().unwrap_or(&name);
        let width = if whole { 1 } else { tensor.ncols() };
        let entry = self.tensors.entry(name.clone()).or_insert_with(|| Statistics {
            columns: vec![0.0; width],
            highest: 0.0,
            sums: if self.details.means && !whole { vec![0.0; width] } else { Vec::new() },
            rows: 0,
            magnitudes: Histogram::new(),
            ratios: Vec::new(),
        });
        let standard = tensor.as_standard_layout();
        if whole {
            entry.add_whole(standard.view());
        } else {
            entry.add(standard.view());
        }
        if self.details.magnitudes && !whole {
            tensor.iter().for_each(|v| entry.magnitudes.add(*v));
        }
        if matches!(part, "q" | "k" | "v" | "fc1") {
            entry.ratios.resize(width, 0.0);
            for (row, peak) in tensor.axis_iter(Axis(0)).zip(&self.row_peaks) {
                entry.ratios.iter_mut().zip(row).for_each(|(r, v)| *r = r.max(v.abs() / peak));
            }
        }
        if matches!(part, "ln1" | "ln2") {
            let peak = |row: ndarray::ArrayView1<f32>| row.iter().fold(1e-6f32, |m, v| m.max(v.abs()));
            self.row_peaks = tensor.axis_iter(Axis(0)).map(peak).collect();
        }
        match part {
            _ if !self.details.products => {}
            "ln1" | "ln2" | "ctx" | "gelu" => self.add_products(&name, tensor),
            "conv1_gelu" => self.add_products("conv2", conv1d::windows(&conv1d::pad(tensor), 2)),
            _ => {}
        }
    }

    /// Adds `x^T x` of a matrix' input, of which a block of rows has only what is not left of it: [`mirror`] adds the
    /// rest.
    fn add_products(&mut self, name: &str, x: ArrayView2<f32>) {
        let sum =
            self.products.entry(name.to_string()).or_insert_with(|| Array2::zeros((x.ncols(), x.ncols())));
        let rows = sum.axis_chunks_iter_mut(Axis(0), PRODUCT_ROWS).into_par_iter().enumerate();
        rows.for_each(|(i, mut rows)| {
            let first = i * PRODUCT_ROWS;
            let part = x.slice(s![.., first..first + rows.nrows()]);
            let mut right = rows.slice_mut(s![.., first..]);
            right += &part.t().dot(&x.slice(s![.., first..]));
        });
    }

    fn get(&self, name: &str) -> &Statistics {
        self.tensors.get(name).unwrap_or_else(|| panic!("the reference encoder reports {name}"))
    }

    /// Names of the tensors that left the range of f32, sorted: such an encoder has no scales.
    pub fn overflows(&self) -> impl Iterator<Item = &str> {
        let finite = |p: &Statistics| p.highest.is_finite() && p.columns.iter().all(|c| c.is_finite());
        self.tensors.iter().filter(move |t| !finite(t.1)).map(|t| t.0.as_str())
    }

    /// Largest magnitude in a tensor.
    ///
    /// # Panics
    /// As all of these, when the reference encoder has no such tensor or the calibration is without that detail.
    pub fn peak(&self, name: &str) -> f64 {
        round_up(self.get(name).columns.iter().copied().fold(0.0, f32::max))
    }

    /// Largest magnitude in each column of a tensor.
    pub fn column_peaks(&self, name: &str) -> Vec<f64> {
        self.get(name).columns.iter().copied().map(round_up).collect()
    }

    /// Largest value in a tensor, at least 0.
    pub fn highest(&self, name: &str) -> f64 {
        round_up(self.get(name).highest)
    }

    /// Mean of each column of a tensor, in steps of the 4096th of the column's peak.
    pub fn column_means(&self, name: &str) -> Vec<f64> {
        let tensor = self.get(name);
        assert!(self.details.means, "means were not measured");
        let mean = |(sum, peak): (&f64, &f32)| {
            let step = round_up(*peak) / 4096.0;
            (sum / tensor.rows.max(1) as f64 / step).round() * step
        };
        tensor.sums.iter().zip(&tensor.columns).map(mean).collect()
    }

    /// Largest magnitude in each column of a projection, in units of the peak of the same row of the LayerNorm before.
    pub fn ratios(&self, name: &str) -> Vec<f64> {
        self.get(name).ratios.iter().copied().map(round_up).collect()
    }

    /// How often each magnitude occurs in a tensor.
    pub fn magnitudes(&self, name: &str) -> &Histogram {
        assert!(self.details.magnitudes, "magnitudes were not measured");
        &self.get(name).magnitudes
    }

    /// `x^T x` of the input of a matrix: `conv1`, `conv2` (their windows), `layer0.ln1`, `.ctx`, `.ln2` or `.gelu`.
    pub fn products(&self, name: &str) -> ArrayView2<'_, f32> {
        self.products.get(name).unwrap_or_else(|| panic!("{name} is no matrix' input")).view()
    }
}

/// Rows of products that are made together.
const PRODUCT_ROWS: usize = 192;

/// Fills what is left of the blocks of [`Calibration::add_products`] from what is right of them: a product and its
/// mirror image add the same terms in the same order.
fn mirror(products: &mut Array2<f32>) {
    for i in PRODUCT_ROWS..products.nrows() {
        for j in 0..i / PRODUCT_ROWS * PRODUCT_ROWS {
            products[(i, j)] = products[(j, i)];
        }
    }
}

/// The magnitude of a float as bits: they rise with it, and those of a NaN are above all others, where the maximum of
/// floats would forget it.
fn magnitude_bits(value: f32) -> u32 {
    value.to_bits() & i32::MAX as u32
}

/// The float of such bits; infinity for NaN.
fn from_magnitude(bits: u32) -> f32 {
    f32::from_bits(bits.min(f32::INFINITY.to_bits()))
}

impl Statistics {
    /// Takes a row-major tensor.
    fn add(&mut self, tensor: ArrayView2<f32>) {
        let mut peaks: Vec<u32> = self.columns.iter().map(|c| c.to_bits()).collect();
        // Bits of positive floats rise with them as signed integers too; those of negative ones are below zero.
        let mut highest = 0;
        for row in tensor.rows() {
            let Some(row) = row.to_slice() else { continue };
            for (peak, v) in peaks.iter_mut().zip(row) {
                *peak = (*peak).max(magnitude_bits(*v));
            }
            highest = row.iter().fold(highest, |m: i32, v| m.max(v.to_bits() as i32));
            self.sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += f64::from(*v));
        }
        let any = peaks.iter().copied().max().unwrap_or(0);
        self.columns = peaks.into_iter().map(from_magnitude).collect();
        self.add_highest(any, highest);
        self.rows += tensor.nrows() as u64;
    }

    /// Takes a row-major tensor of which columns mean nothing.
    fn add_whole(&mut self, tensor: ArrayView2<f32>) {
        let block = |rows: ArrayView2<f32>| {
            let values = rows.to_slice().unwrap_or_default();
            let magnitude = values.iter().fold(0, |m: u32, v| m.max(magnitude_bits(*v)));
            (magnitude, values.iter().fold(0, |m: i32, v| m.max(v.to_bits() as i32)))
        };
        let blocks = tensor.axis_chunks_iter(Axis(0), WHOLE_ROWS).into_par_iter().map(block);
        let (magnitude, highest) = blocks.reduce(|| (0, 0), |a, b| (a.0.max(b.0), a.1.max(b.1)));
        self.columns[0] = self.columns[0].max(from_magnitude(magnitude));
        self.add_highest(magnitude, highest);
        self.rows += tensor.nrows() as u64;
    }

    /// `magnitude` of the tensor tells of a NaN whose sign hides it from `highest`.
    fn add_highest(&mut self, magnitude: u32, highest: i32) {
        let highest = from_magnitude(highest.max(0) as u32);
        let is_nan = magnitude > f32::INFINITY.to_bits();
        self.highest = self.highest.max(if is_nan { f32::INFINITY } else { highest });
    }
}

/// Rows of a tensor that are searched together.
const WHOLE_ROWS: usize = 128;

/// The next number of 9 significant bits, and at least 2^-20: floating-point sums differ in their last bits between
/// processors, the integers made from them should not.
fn round_up(value: f32) -> f64 {
    let value = f64::from(value).max((-20f64).exp2());
    let unit = (value.log2().floor() - 8.0).exp2();
    (value / unit).ceil() * unit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whisper::ModelConfig;

    #[test]
    fn encoders_beyond_f32_are_found() {
        let config = ModelConfig { d: 64, heads: 1, layers: 1, ffn: 64, positions: 4, ..ModelConfig::tiny() };
        let mut weights = EncoderWeights::seeded(&config, 1);
        let mel = Array2::from_elem((config.mels, config.frames()), 0.5);
        let measure = |weights: &EncoderWeights| {
            Calibration::measure(weights, std::slice::from_ref(&mel), Details::ALL)
        };
        assert_eq!(measure(&weights).overflows().count(), 0);
        weights.layers[0].fc2.bias[3] = f32::MAX;
        weights.layers[0].out.bias[3] = f32::MAX;
        let found = measure(&weights);
        let names: Vec<&str> = found.overflows().collect();
        assert!(names.contains(&"final") && !names.contains(&"embed"), "{names:?}");
    }

    #[test]
    fn rounding_up_ignores_the_last_bits() {
        assert_eq!(round_up(1.0), 1.0);
        assert_eq!(round_up(1.000001), 1.0 + 1.0 / 256.0);
        assert_eq!((round_up(631.01), round_up(631.02)), (632.0, 632.0));
        assert!(round_up(0.0) > 0.0);
    }

    #[test]
    fn nothing_hides_a_nan() {
        for nan in [f32::NAN, -f32::NAN] {
            for name in ["x", "layer0.head0.scores"] {
                let mut c = Calibration::empty(Details::PEAKS);
                c.observe(name, ndarray::arr2(&[[1.0, -3.0], [nan, 2.0]]).view());
                assert_eq!(c.overflows().count(), 1, "{name}");
            }
        }
    }

    #[test]
    fn products_are_whole() {
        let x =
            Array2::from_shape_fn((40, 2 * PRODUCT_ROWS + 9), |(i, j)| ((i * 31 + j * 17) % 97) as f32 / 7.0);
        let mut c = Calibration::empty(Details::ALL);
        c.observe("layer0.gelu", x.view());
        c.observe("layer0.gelu", x.slice(s![..8, ..]));
        c.products.values_mut().for_each(mirror);
        let rest = x.slice(s![..8, ..]);
        assert_eq!(c.products("layer0.gelu"), x.t().dot(&x) + rest.t().dot(&rest));
    }

    #[test]
    fn peaks_cover_every_window_and_head() {
        let mut c = Calibration::empty(Details::ALL);
        c.observe("x", ndarray::arr2(&[[1.0, -3.0], [0.5, 2.0]]).view());
        c.observe("x", ndarray::arr2(&[[-2.0, 1.0]]).view());
        assert_eq!((c.column_peaks("x"), c.peak("x"), c.highest("x")), (vec![2.0, 3.0], 3.0, 2.0));
        c.observe("layer0.head0.scores", ndarray::arr2(&[[1.0, -3.0]]).view());
        c.observe("layer0.head1.scores", ndarray::arr2(&[[4.0, -3.0]]).view());
        assert_eq!(c.peak("layer0.scores"), 4.0);
    }
}
