//! Kiln's kernels, designs and the Whisper encoder.
//!
//! Each kernel has a file with its `reference`: the pure integer function that the simulator, the emitted C++ and the
//! hardware must equal bit for bit.

pub mod attention;
pub mod attention_bf16;
pub mod attention_normalised;
pub mod case;
pub mod catalogue;
pub mod code;
pub mod conv1d;
pub mod copy;
pub mod designs;
pub mod families;
pub mod fixed;
pub mod float;
pub mod float_sums;
pub mod gelu;
pub mod gelu_table;
pub mod layernorm;
pub mod layout;
mod made_table;
pub mod matmul;
pub mod matmul_bf16;
pub mod matmul_whole;
pub mod mel;
pub mod relu;
pub mod requantise;
pub mod residual_add;
pub mod softmax;
pub mod tiles;
pub mod transpose;
pub mod weave;
pub mod whisper;
pub mod zero;
