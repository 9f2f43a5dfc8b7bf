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

/// Name, width, heads, layers of the released encoders; the feed-forward width is four times the model's.
/// tiny was read from its tensors; base and small are the published sizes.
const RELEASED: [(&str, usize, usize, usize); 3] =
    [("tiny", 384, 6, 4), ("base", 512, 8, 6), ("small", 768, 12, 12)];

impl ModelConfig {
    /// Names that [`ModelConfig::named`] knows.
    pub const NAMES: [&'static str; 7] =
        ["tiny", "tiny.en", "base", "base.en", "small", "small.en", "design-doc"];

    /// A released model (`tiny`, `base`, `small`, and their `.en`), or `design-doc`: the design document's 384-d
    /// encoder with 6 layers, one convolution and 3000 positions.
    pub fn named(name: &str) -> Option<ModelConfig> {
        let model = |d, heads, layers| ModelConfig {
            name: name.to_string(),
            mels: 80,
            d,
            heads,
            layers,
            ffn: 4 * d,
            positions: WINDOW_FRAMES / 2,
            conv2: true,
        };
        if name == "design-doc" {
            return Some(ModelConfig { positions: WINDOW_FRAMES, conv2: false, ..model(384, 6, 6) });
        }
        let family = name.strip_suffix(".en").unwrap_or(name);
        RELEASED.into_iter().find(|r| r.0 == family).map(|(_, d, heads, layers)| model(d, heads, layers))
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
        assert!(ModelConfig::named("huge").is_none());
        assert!(
            ModelConfig::NAMES
                .iter()
                .all(|n| ModelConfig::named(n).is_some_and(|c| c.head_dim() == HEAD_DIM))
        );
    }
}
