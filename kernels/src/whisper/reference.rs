//! The encoder in f32, as openai-whisper computes it: the yardstick of the quantised one, and its calibration.

use std::sync::LazyLock;

use ndarray::parallel::prelude::*;
use ndarray::{Array2, ArrayView2, Axis, s};

use super::gemm;
use super::weights::{Dense, EncoderWeights, LayerWeights, Norm};
use crate::{conv1d, gelu};

/// Told every intermediate tensor `[rows, columns]` with its name: `conv1`, `conv1_gelu`, `conv2`, `conv2_gelu`,
/// `embed`, then for each layer `layer0.ln1`, `.q`, `.k`, `.v`, `.head0.scores`, `.head0.probs`, `.ctx`, `.attn_out`,
/// `.resid1`, `.ln2`, `.fc1`, `.gelu`, `.fc2` and `layer0` itself, and `final`. Scores are scaled: what softmax reads.
pub type Observer<'a> = dyn FnMut(&str, ArrayView2<f32>) + 'a;

/// Features `[positions, d]` of a log-mel spectrogram `[mels, frames]`.
///
/// # Panics
/// When the spectrogram is not `config.mels` by `config.frames()`.
pub fn encode(weights: &EncoderWeights, mel: ArrayView2<f32>, observe: &mut Observer) -> Array2<f32> {
    let config = &weights.config;
    assert_eq!(mel.dim(), (config.mels, config.frames()), "mel bands and frames");
    let mut x = conv(&weights.conv1, mel.t(), 1, "conv1", observe);
    if let Some(conv2) = &weights.conv2 {
        x = conv(conv2, x.view(), 2, "conv2", observe);
    }
    x += &weights.positions;
    observe("embed", x.view());
    for (i, layer) in weights.layers.iter().enumerate() {
        x = encode_layer(layer, config.heads, x, &format!("layer{i}"), observe);
    }
    let features = layer_norm(x.view(), &weights.ln_post);
    observe("final", features.view());
    features
}

fn conv(dense: &Dense, x: ArrayView2<f32>, stride: usize, name: &str, observe: &mut Observer) -> Array2<f32> {
    let padded = conv1d::pad(x);
    let mut x = apply(dense, conv1d::windows(&padded, stride));
    observe(name, x.view());
    gelu_all(&mut x);
    observe(&format!("{name}_gelu"), x.view());
    x
}

fn encode_layer(
    layer: &LayerWeights,
    heads: usize,
    x: Array2<f32>,
    name: &str,
    observe: &mut Observer,
) -> Array2<f32> {
    let mut seen = |part: &str, tensor: &Array2<f32>| observe(&format!("{name}.{part}"), tensor.view());
    let h = layer_norm(x.view(), &layer.ln1);
    seen("ln1", &h);
    let [q, k, v] = [&layer.q, &layer.k, &layer.v].map(|dense| apply(dense, h.view()));
    seen("q", &q);
    seen("k", &k);
    seen("v", &v);
    let head_dim = q.ncols() / heads;
    let mut context = Array2::zeros(q.dim());
    for head in 0..heads {
        let columns = s![.., head * head_dim..(head + 1) * head_dim];
        let (q, k, v) = (q.slice(columns), k.slice(columns), v.slice(columns));
        let scale = (head_dim as f32).sqrt().recip();
        let mut scores = gemm::by_rows(q, k.nrows(), |q| q.dot(&k.t()) * scale);
        seen(&format!("head{head}.scores"), &scores);
        scores.axis_iter_mut(Axis(0)).into_par_iter().for_each(|mut row| {
            let max = row.iter().copied().fold(f32::MIN, f32::max);
            row.mapv_inplace(|s| (s - max).exp());
            let sum: f64 = row.iter().map(|&e| f64::from(e)).sum();
            row *= (1.0 / sum) as f32;
        });
        seen(&format!("head{head}.probs"), &scores);
        context.slice_mut(columns).assign(&gemm::by_rows(scores.view(), head_dim, |p| p.dot(&v)));
    }
    seen("ctx", &context);
    let y = apply(&layer.out, context.view());
    seen("attn_out", &y);
    let x = x + y;
    seen("resid1", &x);
    let h = layer_norm(x.view(), &layer.ln2);
    seen("ln2", &h);
    let mut h = apply(&layer.fc1, h.view());
    seen("fc1", &h);
    gelu_all(&mut h);
    seen("gelu", &h);
    let y = apply(&layer.fc2, h.view());
    seen("fc2", &y);
    let x = x + y;
    observe(name, x.view());
    x
}

fn apply(dense: &Dense, x: ArrayView2<f32>) -> Array2<f32> {
    gemm::dense(x, dense.weight.view(), dense.bias.view())
}

/// Epsilon of Whisper's LayerNorms (PyTorch's default).
const EPSILON: f64 = 1e-5;

fn layer_norm(x: ArrayView2<f32>, norm: &Norm) -> Array2<f32> {
    let mut out = x.to_owned();
    let d = x.ncols() as f64;
    out.axis_iter_mut(Axis(0)).into_par_iter().for_each(|mut row| {
        let mean = row.iter().map(|&v| f64::from(v)).sum::<f64>() / d;
        let variance = row.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / d;
        let scale = (variance + EPSILON).sqrt().recip();
        ndarray::Zip::from(&mut row).and(&norm.gamma).and(&norm.beta).for_each(|v, gamma, beta| {
            *v = ((f64::from(*v) - mean) * scale) as f32 * gamma + beta;
        });
    });
    out
}

/// Steps of the GELU's interpolation table per unit.
const GELU_STEPS: f32 = 64.0;
/// Beyond this |x|, GELU is x or 0 within 1e-8.
const GELU_END: f32 = 6.0;

/// GELU and its derivative on the table's knots over -6..=6, and the next one: the sum of 6 and the float before 6 is
/// rounded to 12, an interval that begins at the end.
static GELU_KNOTS: LazyLock<Vec<(f32, f32)>> = LazyLock::new(|| {
    let count = (2.0 * GELU_END * GELU_STEPS) as usize;
    let knot = |i: usize| {
        let x = i as f64 / f64::from(GELU_STEPS) - f64::from(GELU_END);
        let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let cumulative = 0.5 * (1.0 + gelu::erf(x * std::f64::consts::FRAC_1_SQRT_2));
        (gelu::gelu(x) as f32, ((cumulative + x * density) / f64::from(GELU_STEPS)) as f32)
    };
    (0..=count + 1).map(knot).collect()
});

/// The exact GELU within 1e-6: cubic Hermite interpolation between knots 1/64 apart.
fn gelu_f32(x: f32, knots: &[(f32, f32)]) -> f32 {
    if x >= GELU_END {
        return x;
    }
    if x < -GELU_END {
        return 0.0;
    }
    let position = (x + GELU_END) * GELU_STEPS;
    let (i, t) = (position as usize, position.fract());
    let ((y0, m0), (y1, m1)) = (knots[i], knots[i + 1]);
    let rise = y1 - y0;
    y0 + t * (m0 + t * (3.0 * rise - 2.0 * m0 - m1 + t * (m0 + m1 - 2.0 * rise)))
}

fn gelu_all(x: &mut Array2<f32>) {
    let knots = GELU_KNOTS.as_slice();
    x.par_mapv_inplace(|v| gelu_f32(v, knots));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whisper::golden::{self, Golden};
    use crate::whisper::{audio, mel};

    #[test]
    fn interpolated_gelu_is_exact() {
        let ends = [GELU_END, -GELU_END, f32::MAX, f32::MIN].map(|x| [x.next_down(), x, x.next_up()]);
        let xs = (-70_000..70_000).map(|i| i as f32 / 9973.0).chain(ends.into_iter().flatten());
        let xs = xs.filter(|x| x.is_finite());
        let worst = xs
            .map(|x| (f64::from(gelu_f32(x, &GELU_KNOTS)) - gelu::gelu(x.into())).abs())
            .fold(0.0, f64::max);
        assert!(worst < 1e-6, "{worst}");
    }

    #[test]
    fn small50_equals_its_golden_everywhere() {
        let Some(dir) = golden::data() else { return };
        let weights = EncoderWeights::load(&dir.join("rand_small50.safetensors"), None).unwrap();
        let mut golden = Golden::open(&dir.join("rand_small50_golden.npz"));
        let mel = golden.matrix("mel");
        let mut compared = 0;
        encode(&weights, mel.view(), &mut |name, got| {
            let (stacked, head) = match name.split_once(".head") {
                Some((layer, rest)) => {
                    let (head, part) = rest.split_once('.').unwrap();
                    (format!("{layer}.{part}"), Some(head.parse::<usize>().unwrap()))
                }
                None => (name.to_string(), None),
            };
            let Some(expected) = golden.get(&stacked) else {
                assert!(name == "conv1" || name == "conv2", "{name} has no golden");
                return;
            };
            let expected = match head {
                Some(head) => expected.index_axis(Axis(0), head).to_owned(),
                None => expected,
            };
            let worst = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert_eq!((got.shape(), worst < 2e-4), (expected.shape(), true), "{name}: {worst}");
            compared += 1;
        });
        assert_eq!(compared, 3 + 2 * (12 + 2 * 2) + 1);
    }

    #[test]
    fn tiny_equals_its_golden() {
        let Some(dir) = golden::data() else { return };
        let weights = EncoderWeights::load(&dir.join("tiny_en_encoder_f16.safetensors"), None).unwrap();
        let audio = audio::read(&dir.join("jfk.wav")).unwrap();
        let mut golden = Golden::open(&dir.join("tiny_en_jfk_golden.npz"));
        let start = std::time::Instant::now();
        let mut compared = 0;
        let features = encode(&weights, mel::log_mel(&audio.samples, 80).view(), &mut |name, got| {
            let Some(expected) = golden.get(name) else { return };
            let rows = golden.get(&format!("{name}.rows")).unwrap();
            let got = got.select(Axis(0), &rows.iter().map(|r| *r as usize).collect::<Vec<_>>());
            let db = golden::sqnr_db(&got, &expected);
            println!("{name}: {db:.0} dB");
            assert!(db > 90.0, "{name}: {db} dB");
            compared += 1;
        });
        assert_eq!(compared, 8);
        let cosine = golden::cosine(&features, &golden.matrix("final_full_f16"));
        println!("tiny in f32: cosine {cosine:.7}, {:.1} s", start.elapsed().as_secs_f64());
        assert!(cosine > 0.999999, "{cosine}");
    }
}
