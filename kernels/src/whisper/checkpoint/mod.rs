//! Tensors from the files that people have weights in, in memory bounded by the largest tensor asked for.
//!
//! Each format's module reads what its file says of its tensors and makes descriptions of it: where the elements
//! lie and how they are encoded. Reading elements is then the same for all.
//!
//! | format | file | module |
//! |---|---|---|
//! | safetensors | one file | `safetensors.rs` |
//! | safetensors, sharded | `*.safetensors.index.json`, or the folder that holds it | `shards.rs` |
//! | PyTorch (1.6 or later) | `.pt`, `.bin`: a zip archive with a pickle | `torch.rs`, `pickle.rs` |
//! | ggml of whisper.cpp | `ggml-*.bin` | `ggml.rs` |

mod element;
mod error;
mod ggml;
pub mod names;
mod pickle;
mod safetensors;
mod shards;
#[cfg(test)]
mod tests;
mod torch;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

pub use element::{Element, Foreign};
pub use error::{WeightsError, WrongShape};

/// Something to read from at any position: a file, or bytes in memory.
pub trait Source: Read + Seek + Send + Debug {}

impl<T: Read + Seek + Send + Debug> Source for T {}

/// Where a tensor's elements lie.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TensorInfo {
    /// Outermost dimension first; the number of elements does not overflow.
    shape: Vec<usize>,
    /// Elements between neighbours of each dimension, or row-major without gaps.
    strides: Option<Vec<usize>>,
    element: Element,
    /// Position of the first element in its part, in bytes.
    start: u64,
}

/// What one file says of its tensors.
#[derive(Debug, Default)]
struct Index {
    tensors: Vec<(String, TensorInfo)>,
    metadata: BTreeMap<String, String>,
}

/// One file of a checkpoint.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    source: Box<dyn Source>,
}

/// An open checkpoint whose headers are sound.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    parts: Vec<Part>,
    /// With the number of the part that holds it.
    tensors: BTreeMap<String, (usize, TensorInfo)>,
    metadata: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Opens a file, of the format that its first bytes tell, or a folder with a sharded or single checkpoint, and
    /// reads what describes the tensors.
    ///
    /// # Errors
    /// When the file is of no known format, damaged, or not whole.
    pub fn open(path: &Path) -> Result<Checkpoint, WeightsError> {
        let path = &shards::resolve(path)?;
        if path.extension().is_some_and(|e| e == "json") {
            return shards::open(path);
        }
        let file = File::open(path).map_err(|e| WeightsError::read(path, e))?;
        Checkpoint::from_source(path, Box::new(file))
    }

    /// Reads a single-file checkpoint from any source; `path` names it in messages.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn from_source(path: &Path, mut source: Box<dyn Source>) -> Result<Checkpoint, WeightsError> {
        let index = index(path, &mut *source)?;
        let tensors = index.tensors.into_iter().map(|(name, info)| (name, (0, info))).collect();
        let parts = vec![Part { path: path.to_path_buf(), source }];
        Ok(Checkpoint { path: path.to_path_buf(), parts, tensors, metadata: index.metadata })
    }

    /// The file, or what names all of them.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of the tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A tensor's shape, if the file has it.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|(_, t)| t.shape.as_slice())
    }

    /// An entry of the file's free-form metadata; of PyTorch and ggml files the sizes that they state, under OpenAI's
    /// names (`n_audio_head`).
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// A tensor's elements as f32, row-major, all finite.
    ///
    /// # Errors
    /// When the file has no such tensor, its type is not one of [`Element`]'s floats, or an element is not finite.
    pub fn read(&mut self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let Some((part, info)) = self.tensors.get(name) else {
            return Err(WeightsError::Missing { path: self.path.clone(), names: vec![name.to_string()] });
        };
        let Part { path, source } = &mut self.parts[*part];
        if let Element::Foreign(dtype) = info.element {
            return Err(WeightsError::ElementType { path: path.clone(), tensor: name.into(), dtype });
        }
        // Every format's module has checked that these bytes are in the file.
        let mut bytes = vec![0; info.element.bytes(info.span())];
        let start = SeekFrom::Start(info.start);
        source
            .seek(start)
            .and_then(|_| source.read_exact(&mut bytes))
            .map_err(|e| WeightsError::read(path, e))?;
        let values = info.row_major(info.element.decode(&bytes));
        if let Some(index) = values.iter().position(|v| !v.is_finite()) {
            let (path, tensor, value) = (path.clone(), name.to_string(), values[index]);
            return Err(WeightsError::NotFinite { path, tensor, index, value });
        }
        Ok(values)
    }
}

/// What a file of any format says of its tensors.
fn index(path: &Path, source: &mut dyn Source) -> Result<Index, WeightsError> {
    let read = |e| WeightsError::read(path, e);
    let file_bytes = source.seek(SeekFrom::End(0)).map_err(read)?;
    source.rewind().map_err(read)?;
    let mut magic = Vec::with_capacity(4);
    source.take(4).read_to_end(&mut magic).map_err(read)?;
    source.rewind().map_err(read)?;
    let unsupported = |what, help| {
        Err(WeightsError::Unsupported { path: path.to_path_buf(), what: String::from(what), help })
    };
    match &magic[..] {
        b"PK\x03\x04" => torch::index(path, source, file_bytes),
        b"lmgg" => ggml::index(path, source, file_bytes),
        b"ggml" => unsupported("a big-endian ggml file", "convert it on a little-endian machine"),
        b"GGUF" => unsupported("a GGUF file", "whisper.cpp's own format is ggml (`ggml-*.bin`)"),
        [0x80, 2..=5, ..] => unsupported(
            "a bare pickle, PyTorch's format before version 1.6",
            "load it with a later PyTorch and save it again",
        ),
        _ => safetensors::index(path, source, file_bytes),
    }
}

impl TensorInfo {
    /// A row-major tensor without gaps.
    fn contiguous(shape: Vec<usize>, element: Element, start: u64) -> TensorInfo {
        TensorInfo { shape, strides: None, element, start }
    }

    /// Strides of a tensor without gaps.
    fn row_major_strides(&self) -> Vec<usize> {
        (1..=self.shape.len()).map(|i| self.shape[i..].iter().product()).collect()
    }

    /// Elements from the first to the last, gaps included.
    fn span(&self) -> usize {
        let Some(strides) = &self.strides else { return self.shape.iter().product() };
        if self.shape.contains(&0) {
            return 0;
        }
        self.shape.iter().zip(strides).map(|(n, stride)| (n - 1) * stride).sum::<usize>() + 1
    }

    /// The elements in row-major order, from those of the span.
    fn row_major(&self, values: Vec<f32>) -> Vec<f32> {
        let Some(strides) = &self.strides else { return values };
        let mut offsets = vec![0];
        for (n, stride) in self.shape.iter().zip(strides) {
            offsets = offsets.iter().flat_map(|at| (0..*n).map(move |i| at + i * stride)).collect();
        }
        offsets.into_iter().map(|at| values[at]).collect()
    }
}

/// Elements of a shape, unless they overflow.
fn count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d))
}
