//! Tensors from a safetensors file, in memory bounded by the largest tensor asked for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, Metadata, TensorInfo};

/// Largest header that is read. The header of the largest published Whisper is under 200 kB.
const HEADER_LIMIT_BYTES: u64 = 8 << 20;

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
        "{}: not a safetensors file, or truncated: the header says {header_bytes} bytes, the file has {file_bytes} (limit {limit_bytes})",
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
    #[error("{}: truncated or damaged: the header describes {expected_bytes} bytes of tensors, the file has {got_bytes}", path.display())]
    DataSize {
        /// File.
        path: PathBuf,
        /// Bytes that the header describes.
        expected_bytes: u64,
        /// Bytes after the header.
        got_bytes: u64,
    },
    /// Tensors that the encoder needs are absent.
    #[error("{}: {} tensor(s) missing: {}\nhelp: expected a Whisper encoder with Hugging Face names", path.display(), names.len(), names.join(", "))]
    Missing {
        /// File.
        path: PathBuf,
        /// The absent tensors.
        names: Vec<String>,
    },
    /// Tensors have other shapes than the encoder's sizes ask for.
    #[error("{}: {} tensor(s) of the wrong shape:{}", path.display(), wrong.len(), listed(wrong))]
    Shapes {
        /// File.
        path: PathBuf,
        /// The tensors.
        wrong: Vec<WrongShape>,
    },
    /// A tensor's element type is not f32, f16 or bf16.
    #[error("{}: tensor {tensor}: expected f32, f16 or bf16, got {dtype:?}", path.display())]
    ElementType {
        /// File.
        path: PathBuf,
        /// Tensor.
        tensor: String,
        /// Its type.
        dtype: Dtype,
    },
    /// A weight is not a number, or infinite.
    #[error("{}: tensor {tensor}: element {index} is {value}, expected a finite number", path.display())]
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

/// An open safetensors file whose header is sound.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    file: File,
    data_start: u64,
    tensors: BTreeMap<String, TensorInfo>,
    metadata: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// When the file is not a whole safetensors file.
    pub fn open(path: &Path) -> Result<Checkpoint, WeightsError> {
        let read = |source| WeightsError::Read { path: path.to_path_buf(), source };
        let mut file = File::open(path).map_err(read)?;
        let file_bytes = file.metadata().map_err(read)?.len();
        let mut length = [0; 8];
        if file_bytes >= 8 {
            file.read_exact(&mut length).map_err(read)?;
        }
        let header_bytes = u64::from_le_bytes(length);
        if file_bytes < 8 || header_bytes > HEADER_LIMIT_BYTES || header_bytes > file_bytes - 8 {
            let limit_bytes = HEADER_LIMIT_BYTES;
            return Err(WeightsError::HeaderSize {
                path: path.into(),
                header_bytes,
                file_bytes,
                limit_bytes,
            });
        }
        let mut header = vec![0; header_bytes as usize];
        file.read_exact(&mut header).map_err(read)?;
        let header: Metadata = serde_json::from_slice(&header)
            .map_err(|source| WeightsError::Header { path: path.to_path_buf(), source })?;
        let (expected_bytes, got_bytes) = (header.data_len() as u64, file_bytes - 8 - header_bytes);
        if expected_bytes != got_bytes {
            return Err(WeightsError::DataSize { path: path.into(), expected_bytes, got_bytes });
        }
        let tensors = header.tensors().into_iter().map(|(name, info)| (name, info.clone())).collect();
        let metadata = header.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
        Ok(Checkpoint { path: path.to_path_buf(), file, data_start: 8 + header_bytes, tensors, metadata })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of the tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A tensor's shape, if the file has it.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|t| t.shape.as_slice())
    }

    /// An entry of the header's free-form metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// A tensor's elements as f32, row-major, all finite.
    ///
    /// # Errors
    /// When the file has no such tensor, its type is not a float, or an element is not finite.
    pub fn read(&mut self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let path = || self.path.clone();
        let info = self.tensors.get(name);
        let info =
            info.ok_or_else(|| WeightsError::Missing { path: path(), names: vec![name.to_string()] })?;
        let (start, end) = info.data_offsets;
        if !matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(WeightsError::ElementType { path: path(), tensor: name.into(), dtype: info.dtype });
        }
        let read = |source| WeightsError::Read { path: path(), source };
        let mut bytes = vec![0; end - start];
        self.file.seek(SeekFrom::Start(self.data_start + start as u64)).map_err(read)?;
        self.file.read_exact(&mut bytes).map_err(read)?;
        let halves = || bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
        let values: Vec<f32> = match info.dtype {
            Dtype::F16 => halves().map(|h| half::f16::from_bits(h).to_f32()).collect(),
            Dtype::BF16 => halves().map(|h| half::bf16::from_bits(h).to_f32()).collect(),
            _ => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        };
        if let Some(index) = values.iter().position(|v| !v.is_finite()) {
            let (tensor, value) = (name.to_string(), values[index]);
            return Err(WeightsError::NotFinite { path: path(), tensor, index, value });
        }
        Ok(values)
    }
}
