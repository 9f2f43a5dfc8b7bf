//! The Whisper encoder: audio and weights in, features out.
//!
//! Real audio becomes a log-mel spectrogram; [`QuantModel`] is the encoder with every number an integer, which is what
//! the array executes and what the integer model of this module specifies bit for bit.

pub mod config;
pub mod quant;

pub use config::ModelConfig;
pub use quant::QuantModel;
