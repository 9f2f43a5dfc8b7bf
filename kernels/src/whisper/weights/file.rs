//! The encoder in a checkpoint, under our names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::whisper::checkpoint::{Checkpoint, WeightsError, names};

/// A checkpoint in which the encoder's tensors have our names.
pub(super) struct EncoderFile {
    file: Checkpoint,
    /// The file's name by ours.
    names: BTreeMap<String, String>,
}

impl EncoderFile {
    /// # Errors
    /// When the file has a tensor twice, under names of different authors.
    pub fn new(file: Checkpoint) -> Result<EncoderFile, WeightsError> {
        let mut found = BTreeMap::new();
        for name in file.names().filter(|n| !names::is_decoder(n)) {
            if let Some(first) = found.insert(names::ours(name), name.to_string()) {
                let (path, tensor) = (file.path().to_path_buf(), names::ours(name));
                return Err(WeightsError::Twice { path, tensor, first, second: name.to_string() });
            }
        }
        Ok(EncoderFile { file, names: found })
    }

    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Our names of all tensors outside the decoder, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// The file's name for one of ours.
    pub fn name<'a>(&'a self, ours: &'a str) -> &'a str {
        self.names.get(ours).map_or(ours, String::as_str)
    }

    /// Shape of a tensor, if the file has it.
    pub fn shape(&self, ours: &str) -> Option<&[usize]> {
        self.file.shape(self.names.get(ours)?)
    }

    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.file.metadata(key)
    }

    /// The file's names of tensors that are not among the `needed`.
    pub fn others(&self, needed: &[(String, Vec<usize>)]) -> Vec<String> {
        let needed: BTreeSet<&str> = needed.iter().map(|(name, _)| name.as_str()).collect();
        self.names
            .iter()
            .filter(|(ours, _)| !needed.contains(ours.as_str()))
            .map(|(_, n)| n.clone())
            .collect()
    }

    /// A tensor's elements, row-major.
    ///
    /// # Errors
    /// As [`Checkpoint::read`].
    pub fn read(&mut self, ours: &str) -> Result<Vec<f32>, WeightsError> {
        self.file.read(self.names.get(ours).map_or(ours, String::as_str))
    }
}
