//! Sizes of a Whisper encoder.

use serde::{Deserialize, Serialize};

/// Columns of one attention head, in every released model.
pub const HEAD_DIM: usize = 64;

/// Mel frames of one 30 s window: 480,000 samples, hop 160.
pub const WINDOW_FRAMES: usize = 3000;

/// Sizes of an encoder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Name for people and reports.
    pub name: String,
    /// Mel bands.
    pub mels: usize,
    /// Model width.
    pub d: usize,
    /// Attention heads; `d` is a multiple.
    pub heads: usize,
    /// Transformer layers.
    pub layers: usize,
    /// Hidden width of the feed-forward blocks.
    pub ffn: usize,
    /// Output positions.
    pub positions: usize,
    /// Whether the second convolution (stride 2) exists. The design document's encoder has only the first.
    pub conv2: bool,
}

/// Name, mel bands, width, heads, layers of the released encoders, and whether there is one for English; the feed-forward
/// width is four times the model's. tiny was read from its tensors, the others are the published sizes
/// (`config.json` of `openai/whisper-*`).
const RELEASED: [(&str, usize, usize, usize, usize, bool); 7] = [
    ("tiny", 80, 384, 6, 4, true),
    ("base", 80, 512, 8, 6, true),
    ("small", 80, 768, 12, 12, true),
    ("medium", 80, 1024, 16, 24, true),
    ("large-v2", 80, 1280, 20, 32, false),
    ("large-v3", 128, 1280, 20, 32, false),
    ("turbo", 128, 1280, 20, 32, false),
];

impl ModelConfig {
    /// Names that [`ModelConfig::named`] knows.
    pub const NAMES: [&'static str; 12] = [
        "tiny",
        "tiny.en",
        "base",
        "base.en",
        "small",
        "small.en",
        "medium",
        "medium.en",
        "large-v2",
        "large-v3",
        "turbo",
        "design-doc",
    ];

    /// A released model (`tiny`, `base`, `small`, `medium` and their `.en`, `large-v2`, `large-v3`, and `turbo`, whose
    /// encoder is `large-v3`'s), or `design-doc`: the design document's 384-d encoder with 6 layers, one convolution and
    /// 3000 positions.
    pub fn named(name: &str) -> Option<ModelConfig> {
        let model = |mels, d, heads, layers| ModelConfig {
            name: name.to_string(),
            mels,
            d,
            heads,
            layers,
            ffn: 4 * d,
            positions: WINDOW_FRAMES / 2,
            conv2: true,
        };
        if name == "design-doc" {
            return Some(ModelConfig { positions: WINDOW_FRAMES, conv2: false, ..model(80, 384, 6, 6) });
        }
        let english = name.strip_suffix(".en");
        let is = |&(family, .., has_english): &(&str, usize, usize, usize, usize, bool)| {
            family == english.unwrap_or(name) && (english.is_none() || has_english)
        };
        let released = RELEASED.into_iter().find(is);
        released.map(|(_, mels, d, heads, layers, _)| model(mels, d, heads, layers))
    }

    /// The smallest released encoder: 384-d, 6 heads, 4 layers.
    pub fn tiny() -> ModelConfig {
        ModelConfig::named("tiny").expect("tiny is a released model")
    }

    /// Columns of one head.
    pub fn head_dim(&self) -> usize {
        self.d / self.heads
    }

    /// Mel frames the encoder reads.
    pub fn frames(&self) -> usize {
        if self.conv2 { 2 * self.positions } else { self.positions }
    }

    /// Multiplications of one window: convolutions, projections, attention and feed-forward.
    pub fn macs(&self) -> u64 {
        let [p, d, f] = [self.positions, self.d, self.ffn].map(|v| v as u64);
        let conv1 = self.frames() as u64 * 3 * self.mels as u64 * d;
        let conv2 = if self.conv2 { p * 3 * d * d } else { 0 };
        conv1 + conv2 + self.layers as u64 * (4 * p * d * d + 2 * p * p * d + 2 * p * d * f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macs_are_the_published_ones() {
        let giga = |name: &str| ModelConfig::named(name).unwrap().macs() as f64 / 1e9;
        // reference/whisper.md, table of section 1.
        assert!((giga("tiny") - 18.47).abs() < 0.01 && (giga("base") - 43.68).abs() < 0.01);
        assert!((giga("design-doc") - 73.60).abs() < 0.01);
        assert!(["huge", "turbo.en", "design-doc.en"].iter().all(|n| ModelConfig::named(n).is_none()));
        assert!(
            ModelConfig::NAMES
                .iter()
                .all(|n| ModelConfig::named(n).is_some_and(|c| c.head_dim() == HEAD_DIM))
        );
    }
}
