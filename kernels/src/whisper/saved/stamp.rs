//! What a quantised encoder was made for.

use std::fmt;

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::designs::gemm;
use crate::layernorm::MAX_COLUMNS;
use crate::layout::{BLOCK_ROWS, STRIP};
use crate::whisper::ModelConfig;
use crate::whisper::scheme::Scheme;

/// Version of the meaning of tensors: raised when integers that were right give other features.
const VERSION: u32 = 2;

/// What must agree between a file and the program that reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stamp {
    /// Version of the meaning of tensors.
    pub version: u32,
    /// Name of the scheme.
    pub scheme: String,
    /// Rows and columns of the tiles of activations, in host memory and on the array ([`crate::layout`]).
    pub activation_tile: [u32; 2],
    /// Rows and columns of the tiles of weights, in host memory and on the array ([`gemm::WEIGHT_TILE`]).
    pub weight_tile: [u32; 2],
    /// Order of a weight matrix in the file: `inputs x outputs`, the file's rows before they are cut into tiles.
    pub weight_order: String,
    /// What a scale multiplies.
    pub scales: String,
    /// SHA-256 of the log-mel windows that scales were measured on.
    pub calibration: String,
    /// Sizes of the encoder.
    pub model: ModelConfig,
}

impl Stamp {
    /// The stamp of what this version makes.
    pub fn new(scheme: Scheme, config: &ModelConfig, calibration: String) -> Stamp {
        Stamp {
            version: VERSION,
            scheme: scheme.name().to_owned(),
            activation_tile: [BLOCK_ROWS, STRIP],
            weight_tile: if scheme == Scheme::Bf16 { gemm::BF16_WEIGHT_TILE } else { gemm::WEIGHT_TILE },
            weight_order: "inputs x outputs".to_owned(),
            scales: if scheme == Scheme::Bf16 {
                "value = number x scale, weights with the scales of their inputs and outputs in them"
                    .to_owned()
            } else {
                "value = integer x scale".to_owned()
            },
            calibration,
            model: config.clone(),
        }
    }

    /// Bytes of all weight matrices.
    pub(super) fn weight_bytes(&self) -> u64 {
        let [mels, d, ffn, layers] =
            [self.model.mels, self.model.d, self.model.ffn, self.model.layers].map(|n| n as u64);
        3 * mels * d + if self.model.conv2 { 3 * d * d } else { 0 } + layers * (4 * d * d + 2 * d * ffn)
    }

    /// Whether the sizes are an encoder's: those limits keep memory bounded.
    pub(super) fn sound(&self) -> Result<(), String> {
        let ModelConfig { mels, d, heads, layers, ffn, positions, .. } = self.model;
        let sizes = [
            ("mels", mels, 1024),
            ("d", d, MAX_COLUMNS as usize),
            ("heads", heads, 64),
            ("layers", layers, 128),
            ("ffn", ffn, 8192),
            ("positions", positions, 1 << 15),
        ];
        match sizes.iter().find(|(_, got, limit)| !(1..=*limit).contains(got)) {
            Some((what, got, limit)) => Err(format!("{what} is {got}, expected 1..={limit}")),
            None if !d.is_multiple_of(heads) => {
                Err(format!("d is {d}, expected a multiple of {heads} heads"))
            }
            None => Ok(()),
        }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([am, an], [wm, wn]) = (self.activation_tile, self.weight_tile);
        write!(
            f,
            "version {}, scheme {}, activations in {am}x{an} and weights in {wm}x{wn} tiles, weights {}, {}; {}: {} mels, d {}, {} heads, {} layers, ffn {}, {} positions{}; calibration {:.12}",
            self.version,
            self.scheme,
            self.weight_order,
            self.scales,
            self.model.name,
            self.model.mels,
            self.model.d,
            self.model.heads,
            self.model.layers,
            self.model.ffn,
            self.model.positions,
            if self.model.conv2 { "" } else { ", one convolution" },
            self.calibration
        )
    }
}

/// SHA-256 of log-mel windows, in order: their sizes and the bits of their elements, little-endian.
pub fn calibration_hash<'a>(mels: impl IntoIterator<Item = ArrayView2<'a, f32>>) -> String {
    let mut hash = Sha256::new();
    for mel in mels {
        hash.update((mel.nrows() as u64).to_le_bytes());
        hash.update((mel.ncols() as u64).to_le_bytes());
        mel.iter().for_each(|v| hash.update(v.to_bits().to_le_bytes()));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
