//! Random weights, for encoders without a file.

use ndarray::Array2;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::sizes::tensors;
use super::{EncoderWeights, WeightsSource, assemble};
use crate::whisper::ModelConfig;

impl EncoderWeights {
    /// Random weights with a trained encoder's magnitudes, from xoshiro256++ (whose stream is specified) in the order
    /// of the tensors' Hugging Face names: matrices uniform with a variance of one over the inputs (the projections
    /// to the residual stream a quarter of that), gains in 0.5..1.5, biases and offsets in -0.1..0.1, positions
    /// sinusoidal as Whisper's.
    pub fn seeded(config: &ModelConfig, seed: u64) -> EncoderWeights {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let shapes = tensors(config);
        let mut get = |name: &str| -> Result<Vec<f32>, std::convert::Infallible> {
            let shape = &shapes.iter().find(|t| t.0 == name).expect("assembled from the same list").1;
            let count = shape.iter().product();
            if name.starts_with("embed_positions") {
                return Ok(sinusoids(shape[0], shape[1]).into_raw_vec_and_offset().0);
            }
            let (centre, reach) = if shape.len() > 1 {
                let inputs: usize = shape[1..].iter().product();
                let residual = name.contains("out_proj") || name.contains("fc2");
                (0.0, (3.0 / inputs as f32).sqrt() * if residual { 0.5 } else { 1.0 })
            } else if name.ends_with("norm.weight") {
                (1.0, 0.5)
            } else {
                (0.0, 0.1)
            };
            Ok((0..count).map(|_| centre + reach * rng.random_range(-1.0f32..1.0)).collect())
        };
        match assemble(config.clone(), WeightsSource::Seeded(seed), Vec::new(), &mut get) {
            Ok(weights) => weights,
            Err(never) => match never {},
        }
    }
}

/// Whisper's positional embedding: sines in the first half of the columns, cosines in the second.
pub fn sinusoids(positions: usize, d: usize) -> Array2<f32> {
    let half = d / 2;
    let step = 10_000f64.ln() / (half.max(2) - 1) as f64;
    Array2::from_shape_fn((positions, d), |(t, j)| {
        let angle = t as f64 * (-((j % half.max(1)) as f64) * step).exp();
        (if j < half { angle.sin() } else { angle.cos() }) as f32
    })
}
