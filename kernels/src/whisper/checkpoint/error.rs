//! Why weights cannot be read.

use std::path::{Path, PathBuf};

use super::Foreign;

/// Why weights cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file does not open, or reading it fails.
    #[error("{}: cannot read the weights: {source}", path.display())]
    Read {
        /// File.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The header does not fit the file, or is larger than any real one.
    #[error(
        "{}: not a weight file of a known format, or truncated: as safetensors, the header says {header_bytes} bytes, the file has {file_bytes} (limit {limit_bytes})\nhelp: safetensors, PyTorch (.pt) and whisper.cpp's ggml (.bin) files are read",
        path.display()
    )]
    HeaderSize {
        /// File.
        path: PathBuf,
        /// Length that the first eight bytes announce.
        header_bytes: u64,
        /// Length of the file.
        file_bytes: u64,
        /// Largest header read.
        limit_bytes: u64,
    },
    /// The header is not what the format prescribes.
    #[error("{}: malformed safetensors header: {source}", path.display())]
    Header {
        /// File.
        path: PathBuf,
        /// Cause.
        source: serde_json::Error,
    },
    /// The tensors' bytes are not all there, or there are more.
    #[error("{}: truncated, padded or damaged: the header describes {expected_bytes} bytes of tensors, the file has {got_bytes}", path.display())]
    DataSize {
        /// File.
        path: PathBuf,
        /// Bytes that the header describes.
        expected_bytes: u64,
        /// Bytes after the header.
        got_bytes: u64,
    },
    /// The file breaks the rules of its format.
    #[error("{}: malformed {format}: {what}", path.display())]
    Malformed {
        /// File.
        path: PathBuf,
        /// Its format.
        format: &'static str,
        /// What is wrong.
        what: String,
    },
    /// A format, or a variant of one, that is not read.
    #[error("{}: cannot read {what}\nhelp: {help}", path.display())]
    Unsupported {
        /// File.
        path: PathBuf,
        /// What it is.
        what: String,
        /// What to do.
        help: &'static str,
    },
    /// A pickle asks for something that is no tensor.
    #[error(
        "{}: the pickle at byte {at} asks for `{name}`, which is no part of a tensor: refused, nothing was executed\nhelp: save the plain state dict with `torch.save(model.state_dict(), FILE)`, or convert it to safetensors",
        path.display()
    )]
    Forbidden {
        /// File.
        path: PathBuf,
        /// Position in the pickle.
        at: usize,
        /// Module and name.
        name: String,
    },
    /// Files that a sharded checkpoint names are absent.
    #[error("{}: {} shard(s) missing beside it: {}", path.display(), names.len(), names.join(", "))]
    MissingShards {
        /// The list of shards.
        path: PathBuf,
        /// The absent files.
        names: Vec<String>,
    },
    /// Tensors that the encoder needs are absent.
    #[error("{}: {} tensor(s) missing: {}\nhelp: expected a Whisper encoder with Hugging Face's or OpenAI's names", path.display(), names.len(), names.join(", "))]
    Missing {
        /// File.
        path: PathBuf,
        /// The absent tensors.
        names: Vec<String>,
    },
    /// One tensor of the encoder under two names.
    #[error("{}: {first} and {second} are both the encoder's {tensor}\nhelp: keep one of them", path.display())]
    Twice {
        /// File.
        path: PathBuf,
        /// The encoder's tensor.
        tensor: String,
        /// One name in the file.
        first: String,
        /// The other.
        second: String,
    },
    /// Tensors have other shapes than the encoder's sizes ask for.
    #[error("{}: {} tensor(s) of the wrong shape:{}", path.display(), wrong.len(), listed(wrong))]
    Shapes {
        /// File.
        path: PathBuf,
        /// The tensors.
        wrong: Vec<WrongShape>,
    },
    /// A tensor's elements are not floats, or of an encoding that is not read.
    #[error("{}: tensor {tensor}: expected f32, f16, bf16 or ggml's q4 to q8, got {dtype}", path.display())]
    ElementType {
        /// File.
        path: PathBuf,
        /// Tensor.
        tensor: String,
        /// Its type, in the file's words.
        dtype: Foreign,
    },
    /// A weight is not a number, or infinite.
    #[error(
        "{}: tensor {tensor}: element {index} is {value}, expected a finite number\nhelp: the file is damaged, or its bytes are in big-endian order",
        path.display()
    )]
    NotFinite {
        /// File.
        path: PathBuf,
        /// Tensor.
        tensor: String,
        /// Row-major index.
        index: usize,
        /// The element.
        value: f32,
    },
    /// The sizes in the file cannot make an encoder.
    #[error("{}: impossible encoder: {what} is {got}, expected {expected}", path.display())]
    Sizes {
        /// File.
        path: PathBuf,
        /// The size.
        what: &'static str,
        /// Its value.
        got: String,
        /// What it must be.
        expected: String,
    },
}

/// A tensor with its shape and the expected one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongShape {
    /// Tensor.
    pub tensor: String,
    /// Shape that the encoder's sizes ask for.
    pub expected: Vec<usize>,
    /// Shape in the file.
    pub got: Vec<usize>,
}

fn listed(wrong: &[WrongShape]) -> String {
    wrong.iter().map(|w| format!("\n  {}: expected {:?}, got {:?}", w.tensor, w.expected, w.got)).collect()
}

impl WeightsError {
    /// A failed read of `path`.
    pub(super) fn read(path: &Path, source: std::io::Error) -> WeightsError {
        WeightsError::Read { path: path.to_path_buf(), source }
    }
}
