//! whisper.cpp's ggml files: header, mel filters, vocabulary, then tensors up to the end of the file.
//!
//! The layout is that of whisper.cpp's `models/convert-pt-to-ggml.py` and its loader. All numbers are little-endian
//! 32-bit. Dimensions are written innermost first; a bias of a convolution has a dimension of 1 behind it, which is
//! dropped here.

use std::io::{BufReader, Read};
use std::path::Path;

use super::{Element, Foreign, Index, Source, TensorInfo, WeightsError, count};

/// The header's numbers, in file order, after the magic number; those of the audio part under OpenAI's names.
const HEADER: [&str; 11] = [
    "n_vocab",
    "n_audio_ctx",
    "n_audio_state",
    "n_audio_head",
    "n_audio_layer",
    "n_text_ctx",
    "n_text_state",
    "n_text_head",
    "n_text_layer",
    "n_mels",
    "ftype",
];

/// Longest name of a tensor; the longest real one has 45 bytes.
const NAME_LIMIT: usize = 256;
/// Most dimensions of a ggml tensor.
const DIMENSIONS_LIMIT: usize = 4;
/// Most tensors read; large has 1,259.
const TENSORS_LIMIT: usize = 1 << 16;

/// Reads everything but the tensors' elements.
pub(super) fn index(path: &Path, source: &mut dyn Source, file_bytes: u64) -> Result<Index, WeightsError> {
    Reader { path, source: BufReader::new(source), file_bytes, at: 0 }.index()
}

struct Reader<'a> {
    path: &'a Path,
    source: BufReader<&'a mut dyn Source>,
    file_bytes: u64,
    at: u64,
}

impl Reader<'_> {
    fn index(mut self) -> Result<Index, WeightsError> {
        self.word("the magic number")?;
        let mut index = Index::default();
        for name in HEADER {
            let value = self.word(name)? as i32;
            index.metadata.insert(name.to_string(), value.to_string());
        }
        let (bands, bins) = (self.word("the filters' bands")?, self.word("the filters' bins")?);
        let filters = u64::from(bands) * u64::from(bins);
        self.skip(filters.saturating_mul(4), "the mel filters")?;
        for _ in 0..self.word("the size of the vocabulary")? {
            let length = self.word("a token's length")?;
            self.skip(u64::from(length), "a token")?;
        }
        while self.at < self.file_bytes {
            let tensor = self.tensor()?;
            index.tensors.push(tensor);
            if index.tensors.len() > TENSORS_LIMIT {
                return Err(self.malformed(format!("it has more than {TENSORS_LIMIT} tensors")));
            }
        }
        Ok(index)
    }

    fn tensor(&mut self) -> Result<(String, TensorInfo), WeightsError> {
        let header = self.at;
        let dimensions = self.word("a tensor's dimensions")? as usize;
        let length = self.word("a tensor's name")? as usize;
        let kind = self.word("a tensor's type")?;
        if dimensions > DIMENSIONS_LIMIT || length > NAME_LIMIT {
            return Err(self.malformed(format!(
                "at byte {header} a tensor has {dimensions} dimensions (at most {DIMENSIONS_LIMIT}) and a name of {length} bytes (at most {NAME_LIMIT})"
            )));
        }
        let mut shape = Vec::with_capacity(dimensions);
        for _ in 0..dimensions {
            shape.push(self.word("a tensor's dimension")? as usize);
        }
        let innermost = shape.first().copied().unwrap_or(1);
        shape.reverse();
        let mut name = vec![0; length];
        self.bytes(&mut name, "a tensor's name")?;
        let name = String::from_utf8_lossy(&name).into_owned();
        let element = match kind {
            0 => Element::F32,
            1 => Element::F16,
            2 => Element::Q4_0,
            3 => Element::Q4_1,
            6 => Element::Q5_0,
            7 => Element::Q5_1,
            8 => Element::Q8_0,
            other => {
                // Without the size of an element, what follows cannot be found.
                let (path, tensor, dtype) = (self.path.into(), name, Foreign::Ggml(other));
                return Err(WeightsError::ElementType { path, tensor, dtype });
            }
        };
        let whole = innermost.is_multiple_of(element.group());
        let Some(elements) = count(&shape).filter(|_| whole) else {
            return Err(
                self.malformed(format!("tensor {name} cannot have the shape {shape:?} in {element:?}"))
            );
        };
        let start = self.at;
        self.skip(element.bytes(elements) as u64, &name)?;
        if name.ends_with(".bias") {
            shape.retain(|n| *n != 1);
        }
        Ok((name, TensorInfo::contiguous(shape, element, start)))
    }

    fn word(&mut self, what: &str) -> Result<u32, WeightsError> {
        let mut word = [0; 4];
        self.bytes(&mut word, what)?;
        Ok(u32::from_le_bytes(word))
    }

    fn bytes(&mut self, into: &mut [u8], what: &str) -> Result<(), WeightsError> {
        self.fits(into.len() as u64, what)?;
        self.source.read_exact(into).map_err(|e| WeightsError::read(self.path, e))?;
        self.at += into.len() as u64;
        Ok(())
    }

    fn skip(&mut self, bytes: u64, what: &str) -> Result<(), WeightsError> {
        self.fits(bytes, what)?;
        self.at += bytes;
        // Within the file, whose length is an i64 on every system. Keeps the buffer: there are 51,865 tokens to skip.
        self.source.seek_relative(bytes as i64).map_err(|e| WeightsError::read(self.path, e))
    }

    fn fits(&self, bytes: u64, what: &str) -> Result<(), WeightsError> {
        let left = self.file_bytes - self.at;
        if bytes > left {
            let at = self.at;
            return Err(self.malformed(format!(
                "truncated or damaged: {what} takes {bytes} bytes at byte {at}, {left} are left"
            )));
        }
        Ok(())
    }

    fn malformed(&self, what: String) -> WeightsError {
        WeightsError::Malformed { path: self.path.to_path_buf(), format: "ggml file", what }
    }
}
