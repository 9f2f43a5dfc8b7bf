//! Calibration: how large every tensor of the encoder gets on example recordings.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView2, Axis};

use super::reference;
use super::weights::EncoderWeights;

/// Extremes of one tensor over all calibration windows.
#[derive(Clone, Debug, PartialEq)]
struct Peaks {
    /// Largest magnitude of each column.
    columns: Vec<f32>,
    /// Largest value.
    highest: f32,
}

/// Extremes of every tensor of an encoder, by the names of [`reference::Observer`]; the heads of a layer together.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    tensors: BTreeMap<String, Peaks>,
}

impl Calibration {
    /// Runs the f32 encoder on log-mel windows `[mels, frames]`.
    ///
    /// # Panics
    /// When `mels` is empty, or a window has another shape than the encoder reads.
    pub fn measure(weights: &EncoderWeights, mels: &[Array2<f32>]) -> Calibration {
        assert!(!mels.is_empty(), "calibration needs at least one window");
        let mut calibration = Calibration { tensors: BTreeMap::new() };
        for mel in mels {
            reference::encode(weights, mel.view(), &mut |name, tensor| calibration.observe(name, tensor));
        }
        calibration
    }

    fn observe(&mut self, name: &str, tensor: ArrayView2<f32>) {
        // `layer0.head3.scores` counts as `layer0.scores`: its columns are keys, of which only the peak matters.
        let (name, whole) = match name.split_once(".head") {
            Some((layer, rest)) => (format!("{layer}.{}", rest.split_once('.').map_or(rest, |r| r.1)), true),
            None => (name.to_string(), false),
        };
        // The maximum of floats forgets NaN.
        let number = |v: f32| if v.is_nan() { f32::INFINITY } else { v };
        let peak =
            |values: &mut dyn Iterator<Item = &f32>| values.fold(0.0f32, |m, v| m.max(number(*v).abs()));
        let columns: Vec<f32> = if whole {
            vec![peak(&mut tensor.iter())]
        } else {
            // Row by row: the tensors are row-major.
            tensor.axis_iter(Axis(0)).fold(vec![0.0; tensor.ncols()], |mut peaks, row| {
                peaks.iter_mut().zip(row).for_each(|(p, v)| *p = p.max(number(*v).abs()));
                peaks
            })
        };
        let highest = tensor.iter().copied().map(number).fold(0.0, f32::max);
        let entry =
            self.tensors.entry(name).or_insert_with(|| Peaks { columns: vec![0.0; columns.len()], highest });
        entry.columns.iter_mut().zip(columns).for_each(|(a, b)| *a = a.max(b));
        entry.highest = entry.highest.max(highest);
    }

    fn get(&self, name: &str) -> &Peaks {
        self.tensors.get(name).unwrap_or_else(|| panic!("the reference encoder reports {name}"))
    }

    /// Names of the tensors that left the range of f32, sorted: such an encoder has no scales.
    pub fn overflows(&self) -> impl Iterator<Item = &str> {
        let finite = |p: &Peaks| p.highest.is_finite() && p.columns.iter().all(|c| c.is_finite());
        self.tensors.iter().filter(move |t| !finite(t.1)).map(|t| t.0.as_str())
    }

    /// Largest magnitude in a tensor.
    ///
    /// # Panics
    /// When the reference encoder has no such tensor.
    pub fn peak(&self, name: &str) -> f64 {
        round_up(self.get(name).columns.iter().copied().fold(0.0, f32::max))
    }

    /// Largest magnitude in each column of a tensor.
    ///
    /// # Panics
    /// When the reference encoder has no such tensor.
    pub fn column_peaks(&self, name: &str) -> Vec<f64> {
        self.get(name).columns.iter().copied().map(round_up).collect()
    }

    /// Largest value in a tensor, at least 0.
    ///
    /// # Panics
    /// When the reference encoder has no such tensor.
    pub fn highest(&self, name: &str) -> f64 {
        round_up(self.get(name).highest)
    }
}

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
        let measure = |weights: &EncoderWeights| Calibration::measure(weights, std::slice::from_ref(&mel));
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
    fn peaks_cover_every_window_and_head() {
        let mut c = Calibration { tensors: BTreeMap::new() };
        c.observe("x", ndarray::arr2(&[[1.0, -3.0], [0.5, 2.0]]).view());
        c.observe("x", ndarray::arr2(&[[-2.0, 1.0]]).view());
        assert_eq!((c.column_peaks("x"), c.peak("x"), c.highest("x")), (vec![2.0, 3.0], 3.0, 2.0));
        c.observe("layer0.head0.scores", ndarray::arr2(&[[1.0, -3.0]]).view());
        c.observe("layer0.head1.scores", ndarray::arr2(&[[4.0, -3.0]]).view());
        assert_eq!(c.peak("layer0.scores"), 4.0);
    }
}
