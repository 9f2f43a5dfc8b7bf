//! Features to a `.npy` file, all or nothing.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use ndarray::ArrayView2;
use npyz::WriterBuilder;

/// Why the features cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpyError {
    /// The path names a folder.
    #[error("{}: expected a file name to write the features to, got a folder", path.display())]
    Folder {
        /// Output file.
        path: PathBuf,
    },
    /// The output's folder does not take a new file, or the output may not be replaced.
    #[error("{}: cannot write the features there: {source}\nhelp: --out must name a file in an existing, writable folder", path.display())]
    Unwritable {
        /// Output file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// Writing failed half-way; the output is untouched.
    #[error("{}: writing the features failed, nothing was left behind: {source}", path.display())]
    Write {
        /// Output file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
}

/// An output file that does not exist until it is complete: the bytes go to a hidden file beside it, which is renamed at
/// the end and removed when the writer is dropped before that.
#[derive(Debug)]
pub struct NpyWriter {
    path: PathBuf,
    partial: PathBuf,
    file: Option<File>,
}

impl NpyWriter {
    /// Claims the output, before any work: creates the hidden file.
    ///
    /// # Errors
    /// When `path` is a folder or an unwritable file, or its folder does not take new files.
    pub fn create(path: &Path) -> Result<NpyWriter, NpyError> {
        let unwritable = |source| NpyError::Unwritable { path: path.to_path_buf(), source };
        if path.is_dir() || path.file_name().is_none() {
            return Err(NpyError::Folder { path: path.to_path_buf() });
        }
        if path.exists() {
            OpenOptions::new().append(true).open(path).map_err(unwritable)?;
        }
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}.partial", std::process::id()));
        let partial = path.with_file_name(name);
        let file = File::create(&partial).map_err(unwritable)?;
        Ok(NpyWriter { path: path.to_path_buf(), partial, file: Some(file) })
    }

    /// Writes `[positions, d]` as 32-bit floats in C order, and gives the file its name.
    ///
    /// # Errors
    /// When the disk is full or the rename fails.
    pub fn finish(mut self, features: ArrayView2<f32>) -> Result<(), NpyError> {
        let failed = |source| NpyError::Write { path: self.path.clone(), source };
        let Some(file) = self.file.take() else { return Ok(()) };
        let shape = [features.nrows() as u64, features.ncols() as u64];
        let write = || -> std::io::Result<()> {
            let mut buffer = BufWriter::new(file);
            let mut npy = npyz::WriteOptions::<f32>::new()
                .default_dtype()
                .shape(&shape)
                .writer(&mut buffer)
                .begin_nd()?;
            npy.extend(features.iter().copied())?;
            npy.finish()?;
            buffer.flush()?;
            buffer.get_ref().sync_all()?;
            std::fs::rename(&self.partial, &self.path)
        };
        write().map_err(failed)
    }
}

impl Drop for NpyWriter {
    fn drop(&mut self) {
        // After a rename there is nothing to remove, and a failed removal has no one to tell.
        let _ = std::fs::remove_file(&self.partial);
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
        assert!(matches!(NpyWriter::create(dir.path()), Err(NpyError::Folder { .. })));
        let missing = dir.path().join("no/f.npy");
        let message = NpyWriter::create(&missing).unwrap_err().to_string();
        assert!(message.contains("no/f.npy") && message.contains("help:"), "{message}");
    }
}
