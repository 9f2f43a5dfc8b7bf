//! What quantisation costs, tensor by tensor: the f32 encoder and the integer one side by side on the same recordings.

use std::sync::mpsc::{Receiver, sync_channel};

use ndarray::{Array2, ArrayView2};
use serde::Serialize;

use super::activation::Tensor;
use super::quant::QuantModel;
use super::weights::EncoderWeights;
use super::{integer, reference};

/// One tensor over all recordings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorReport {
    /// Name, as [`reference::Observer`] has it.
    pub name: String,
    /// `i8`, `i16`, `bf16`, or `i8 rows` with a scale for each row.
    pub number: &'static str,
    /// Value of one step (of `i8 rows`, times the row's multiplier).
    pub scale: f64,
    /// Least value in floats.
    pub least: f32,
    /// Greatest value in floats.
    pub greatest: f32,
    /// Root of the mean square in floats.
    pub rms: f64,
    /// Elements.
    pub elements: u64,
    /// Elements at the end of their type's range.
    pub saturated: u64,
    /// Signal to error ratio against the floats, in dB.
    pub sqnr_db: f64,
    /// Cosine against the floats.
    pub cosine: f64,
}

/// What quantisation costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QuantReport {
    /// Tensors, in order of computation.
    pub tensors: Vec<TensorReport>,
    /// The residual stream before the first layer, after each, and the features: a bad layer is the first low one.
    pub layers: Vec<TensorReport>,
}

/// Sums of one tensor.
struct Sums {
    report: TensorReport,
    exact: f64,
    got: f64,
    both: f64,
    noise: f64,
}

/// Compares the integer encoder with the f32 one that it was made from, on log-mel windows `[mels, frames]`. The two run
/// in step, so that no more than two tensors are held.
///
/// # Panics
/// When a window has another shape than the encoders read.
pub fn compare(weights: &EncoderWeights, model: &QuantModel, mels: &[Array2<f32>]) -> QuantReport {
    let mut all: Vec<Sums> = Vec::new();
    for mel in mels {
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel::<(String, Array2<f32>)>(1);
            scope.spawn(move || {
                reference::encode(weights, mel.view(), &mut |name, tensor| {
                    // Of heads the integer encoder computes other things than scores and probabilities.
                    if !name.contains(".head") {
                        // The receiver is gone only if the other side has panicked, which ends all.
                        let _ = sender.send((name.to_owned(), tensor.to_owned()));
                    }
                });
            });
            integer::encode(model, &model.input(mel.view()), &mut |name, tensor| {
                if name == "mel" || name.contains(".head") {
                    return;
                }
                let exact = next(&receiver, name);
                let at = all.iter().position(|s| s.report.name == name).unwrap_or_else(|| {
                    all.push(Sums::new(name, tensor, model.scale(name).unwrap_or(f64::NAN)));
                    all.len() - 1
                });
                all[at].add(tensor, exact.view());
            });
        });
    }
    let tensors: Vec<TensorReport> = all.into_iter().map(Sums::finish).collect();
    let stream = |t: &&TensorReport| {
        t.name == "embed" || t.name == "final" || (t.name.starts_with("layer") && !t.name.contains('.'))
    };
    let layers = tensors.iter().filter(stream).cloned().collect();
    QuantReport { tensors, layers }
}

fn next(receiver: &Receiver<(String, Array2<f32>)>, name: &str) -> Array2<f32> {
    let (exact, tensor) = receiver.recv().expect("the f32 encoder has the same tensors");
    assert_eq!(exact, name, "both encoders compute in the same order");
    tensor
}

impl Sums {
    fn new(name: &str, tensor: Tensor, scale: f64) -> Sums {
        let number = match tensor {
            Tensor::I8(_) => "i8",
            Tensor::I16(_) => "i16",
            Tensor::I8Rows(..) => "i8 rows",
            Tensor::Bf16(_) => "bf16",
        };
        let report = TensorReport {
            name: name.to_owned(),
            number,
            scale,
            least: f32::INFINITY,
            greatest: f32::NEG_INFINITY,
            rms: 0.0,
            elements: 0,
            saturated: 0,
            sqnr_db: 0.0,
            cosine: 0.0,
        };
        Sums { report, exact: 0.0, got: 0.0, both: 0.0, noise: 0.0 }
    }

    fn add(&mut self, tensor: Tensor, exact: ArrayView2<f32>) {
        let got = tensor.dequantise(self.report.scale);
        for (&exact, &got) in exact.iter().zip(&got) {
            self.report.least = self.report.least.min(exact);
            self.report.greatest = self.report.greatest.max(exact);
            let (exact, got) = (f64::from(exact), f64::from(got));
            self.exact += exact * exact;
            self.got += got * got;
            self.both += exact * got;
            self.noise += (exact - got).powi(2);
        }
        self.report.elements += exact.len() as u64;
        self.report.saturated += tensor.saturated();
    }

    fn finish(self) -> TensorReport {
        TensorReport {
            rms: (self.exact / self.report.elements.max(1) as f64).sqrt(),
            sqnr_db: 10.0 * (self.exact / self.noise).log10(),
            cosine: self.both / (self.exact * self.got).sqrt(),
            ..self.report
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whisper::ModelConfig;
    use crate::whisper::quant::Weights;
    use crate::whisper::quantise::Quantised;
    use crate::whisper::scheme::Scheme;

    #[test]
    fn a_bad_layer_is_seen() {
        let config =
            ModelConfig { d: 64, heads: 1, layers: 3, ffn: 128, positions: 20, ..ModelConfig::tiny() };
        let weights = EncoderWeights::seeded(&config, 3);
        let mel = Array2::from_shape_fn((80, 40), |(m, t)| ((m * 7 + t * 3) % 17) as f32 / 10.0 - 0.5);
        let quantised = Quantised::new(&weights, std::slice::from_ref(&mel), Scheme::W8A8).unwrap();
        let Quantised { mut model, weights, .. } = quantised;
        let good = compare(&weights, &model, std::slice::from_ref(&mel));
        assert_eq!((good.tensors.len(), good.layers.len()), (2 + 2 + 1 + 3 * 12 + 1, 5));
        assert!(good.layers.iter().all(|l| l.cosine > 0.999), "{:?}", good.layers);
        for tensor in &good.tensors {
            let sound = tensor.sqnr_db > 10.0 && tensor.least < tensor.greatest && tensor.rms > 0.0;
            assert!(sound, "{tensor:?}");
        }
        let Weights::I8(bytes) = &mut model.layers[1].fc2.weights else { panic!("bytes") };
        bytes.fill(0);
        let bad = compare(&weights, &model, &[mel.clone(), mel]);
        let low: Vec<&str> = bad.layers.iter().filter(|l| l.cosine < 0.99).map(|l| l.name.as_str()).collect();
        assert_eq!(low.first(), Some(&"layer1"), "{:?}", bad.layers);
        assert_eq!(bad.tensors[0].elements, 2 * good.tensors[0].elements);
    }
}
