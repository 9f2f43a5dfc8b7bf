//! Features to a `.npy` file, all or nothing.

use std::path::Path;

use kiln_dsl::files::{Output, WriteError};
use ndarray::ArrayView2;
use npyz::WriterBuilder;

/// An output file that does not exist until it is complete.
#[derive(Debug)]
pub struct NpyWriter(Output);

impl NpyWriter {
    /// Claims the output, before any work.
    ///
    /// # Errors
    /// When `path` is a folder or an unwritable file, or its folder does not take new files.
    pub fn create(path: &Path) -> Result<NpyWriter, WriteError> {
        Output::create(path).map(NpyWriter)
    }

    /// Writes `[positions, d]` as 32-bit floats in C order, and gives the file its name.
    ///
    /// # Errors
    /// When the disk is full or the rename fails.
    pub fn finish(self, features: ArrayView2<f32>) -> Result<(), WriteError> {
        let shape = [features.nrows() as u64, features.ncols() as u64];
        self.0.write(|buffer| {
            let mut npy =
                npyz::WriteOptions::<f32>::new().default_dtype().shape(&shape).writer(buffer).begin_nd()?;
            npy.extend(features.iter().copied())?;
            npy.finish()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whisper::golden;

    fn files(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            dir.read_dir().unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn writes_and_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.npy");
        for scale in [1.0, 2.0] {
            let features = ndarray::arr2(&[[1.0f32, 2.0, 3.0], [4.0, 5.0, -0.5]]) * scale;
            NpyWriter::create(&path).unwrap().finish(features.view()).unwrap();
            assert_eq!(golden::npy(&path), features.into_dyn());
        }
        // A transposed view is written in C order too.
        let transposed = ndarray::arr2(&[[1.0f32, 2.0], [3.0, 4.0]]).reversed_axes();
        NpyWriter::create(&path).unwrap().finish(transposed.view()).unwrap();
        assert_eq!(golden::npy(&path), transposed.into_dyn());
        assert_eq!(files(dir.path()), ["f.npy"]);
    }

    #[test]
    fn an_abandoned_output_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.npy");
        std::fs::write(&path, "old").unwrap();
        drop(NpyWriter::create(&path).unwrap());
        assert_eq!(
            (files(dir.path()), std::fs::read(&path).unwrap()),
            (vec!["f.npy".to_string()], b"old".to_vec())
        );
    }

    #[test]
    fn bad_paths_are_refused_before_work() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(NpyWriter::create(dir.path()), Err(WriteError::Folder { .. })));
        let missing = dir.path().join("no/f.npy");
        let message = NpyWriter::create(&missing).unwrap_err().to_string();
        assert!(message.contains("no/f.npy") && message.contains("help:"), "{message}");
    }
}
