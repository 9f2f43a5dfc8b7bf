//! The Whisper encoder: audio and weights in, features out.
//!
//! Real audio becomes a log-mel spectrogram; [`QuantModel`] is the encoder in the numbers of a scheme, which is what
//! the array executes and what the model of this module specifies bit for bit.

pub mod activation;
pub mod audio;
pub mod calibrate;
pub mod checkpoint;
pub mod config;
pub mod encoder;
pub mod gemm;
#[cfg(test)]
pub(crate) mod golden;
pub mod integer;
pub mod measure;
pub mod mel;
pub mod mel_array;
pub mod npy;
pub mod plan;
pub mod quant;
pub mod quantise;
pub mod reference;
pub mod report;
pub mod rounding;
pub mod saved;
pub mod scheme;
pub mod smooth;
pub mod study;
mod to_bf16;
pub mod tuning;
pub mod watch;
pub mod weights;

pub use config::ModelConfig;
pub use quant::QuantModel;
pub use weights::EncoderWeights;
