//! Smoothing: the same encoder in floats, its columns rescaled so that bytes with one scale fit them better.
//!
//! A column of an activation may be divided by any number that the next matrix multiplies by: LayerNorm's gain and
//! offset take it, the value projection takes it for ctx (attention mixes rows, not columns), and a column of q may
//! give what the same column of k takes.

use super::calibrate::Calibration;
use super::weights::{Dense, EncoderWeights, LayerWeights, Norm};

/// How far each kind of column is evened out: 0 not at all, 1 until all columns have one peak.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Smoothing {
    /// Outputs of the LayerNorms before matrices.
    pub norm: f64,
    /// ctx, and v with it.
    pub context: f64,
    /// q against k.
    pub heads: f64,
}

impl Smoothing {
    /// Nothing changes.
    pub const NONE: Smoothing = Smoothing { norm: 0.0, context: 0.0, heads: 0.0 };
}

/// An encoder with the same features whose columns are evened out. The calibration is of `weights`; the result needs
/// its own.
pub fn smooth(weights: &EncoderWeights, calibration: &Calibration, by: Smoothing) -> EncoderWeights {
    let mut smoothed = weights.clone();
    for (i, layer) in smoothed.layers.iter_mut().enumerate() {
        let peaks = |part: &str| calibration.column_peaks(&format!("layer{i}.{part}"));
        if by.norm > 0.0 {
            let LayerWeights { ln1, q, k, v, ln2, fc1, .. } = layer;
            even_out_norm(ln1, &peaks("ln1"), &mut [q, k, v], by.norm);
            even_out_norm(ln2, &peaks("ln2"), &mut [fc1], by.norm);
        }
        if by.context > 0.0 {
            let divisors = divisors(&peaks("ctx"), &row_peaks(&[&layer.out]), by.context);
            divide_columns(&mut layer.v, &divisors);
            multiply_rows(&mut layer.out, &divisors);
        }
        if by.heads > 0.0 {
            let pairs = peaks("q").into_iter().zip(peaks("k"));
            let divisors: Vec<f64> = pairs.map(|(q, k)| (q / k).powf(by.heads / 2.0)).collect();
            divide_columns(&mut layer.q, &divisors);
            divide_columns(&mut layer.k, &divisors.iter().map(|d| 1.0 / d).collect::<Vec<_>>());
        }
    }
    smoothed
}

/// SmoothQuant's (Xiao et al. 2022): `peak(x)^strength / peak(w)^(1 - strength)`, with a geometric mean of 1.
fn divisors(inputs: &[f64], weights: &[f64], strength: f64) -> Vec<f64> {
    let raw: Vec<f64> =
        inputs.iter().zip(weights).map(|(x, w)| x.powf(strength) / w.powf(1.0 - strength)).collect();
    let mean = (raw.iter().map(|d| d.ln()).sum::<f64>() / raw.len().max(1) as f64).exp();
    raw.into_iter().map(|d| d / mean).collect()
}

/// Largest magnitude of each row over several matrices.
fn row_peaks(matrices: &[&Dense]) -> Vec<f64> {
    let rows = matrices[0].weight.nrows();
    let peak = |k: usize| {
        let all = matrices.iter().flat_map(|m| m.weight.row(k));
        f64::from(all.fold(1e-6f32, |m, w| m.max(w.abs())))
    };
    (0..rows).map(peak).collect()
}

fn even_out_norm(norm: &mut Norm, peaks: &[f64], matrices: &mut [&mut Dense], strength: f64) {
    let weights: Vec<&Dense> = matrices.iter().map(|m| &**m).collect();
    let divisors = divisors(peaks, &row_peaks(&weights), strength);
    for (j, d) in divisors.iter().enumerate() {
        norm.gamma[j] = (f64::from(norm.gamma[j]) / d) as f32;
        norm.beta[j] = (f64::from(norm.beta[j]) / d) as f32;
    }
    matrices.iter_mut().for_each(|m| multiply_rows(m, &divisors));
}

fn multiply_rows(dense: &mut Dense, by: &[f64]) {
    for (mut row, factor) in dense.weight.rows_mut().into_iter().zip(by) {
        row.mapv_inplace(|w| (f64::from(w) * factor) as f32);
    }
}

fn divide_columns(dense: &mut Dense, by: &[f64]) {
    for (n, divisor) in by.iter().enumerate() {
        dense.weight.column_mut(n).mapv_inplace(|w| (f64::from(w) / divisor) as f32);
        dense.bias[n] = (f64::from(dense.bias[n]) / divisor) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::super::calibrate::Details;
    use super::*;
    use crate::whisper::{ModelConfig, golden, reference};
    use ndarray::Array2;

    #[test]
    fn features_stay_and_columns_even_out() {
        let config =
            ModelConfig { d: 128, heads: 2, layers: 2, ffn: 128, positions: 20, ..ModelConfig::tiny() };
        let mut weights = EncoderWeights::seeded(&config, 3);
        weights.layers[0].ln1.gamma[5] = 9.0;
        let mel = Array2::from_shape_fn((80, 40), |(m, t)| ((m * 7 + t * 3) % 17) as f32 / 10.0 - 0.5);
        let calibration = Calibration::measure(&weights, std::slice::from_ref(&mel), Details::PEAKS);
        let by = Smoothing { norm: 0.5, context: 0.5, heads: 1.0 };
        let smoothed = smooth(&weights, &calibration, by);
        let [a, b] = [&weights, &smoothed].map(|w| reference::encode(w, mel.view(), &mut |_, _| ()));
        assert!(golden::sqnr_db(&b, &a) > 90.0);
        let after = Calibration::measure(&smoothed, &[mel], Details::PEAKS);
        let spread = |c: &Calibration, name: &str| {
            let peaks = c.column_peaks(name);
            peaks.iter().copied().fold(0.0, f64::max) / peaks.iter().copied().fold(f64::MAX, f64::min)
        };
        assert!(spread(&after, "layer0.ln1") < 0.5 * spread(&calibration, "layer0.ln1"));
        let (q, k) = (after.column_peaks("layer1.q"), after.column_peaks("layer1.k"));
        assert!(q.iter().zip(k).all(|(q, k)| (q / k - 1.0).abs() < 0.02));
        assert_eq!(smooth(&weights, &calibration, Smoothing::NONE), weights);
    }
}
