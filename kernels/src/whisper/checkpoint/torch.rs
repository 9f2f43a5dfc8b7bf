//! PyTorch's files since version 1.6: a zip archive with a pickle that describes the tensors, and one uncompressed
//! entry for each storage.
//!
//! Entries are `NAME/data.pkl`, `NAME/data/KEY` and, in later versions, `NAME/byteorder`.

use std::io::Read;
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use super::pickle::{self, Pickled, Tensor};
use super::{Index, Source, TensorInfo, WeightsError, count};

/// Largest pickle that is read: fifteen times that of the largest published Whisper.
const PICKLE_LIMIT_BYTES: u64 = 4 << 20;

/// Sizes of the encoder that OpenAI's files state.
const SIZES: &str = "n_audio_";

/// Reads the archive's directory and the pickle.
pub(super) fn index(path: &Path, source: &mut dyn Source, file_bytes: u64) -> Result<Index, WeightsError> {
    let mut archive = Archive { path, zip: ZipArchive::new(source).map_err(|e| damaged(path, e))? };
    let names: Vec<String> =
        archive.zip.file_names_raw().map(|n| String::from_utf8_lossy(n).into()).collect();
    let Some(pickle_name) = names.iter().find(|n| n.split('/').nth(1) == Some("data.pkl")) else {
        return Err(archive.malformed("it has no entry */data.pkl".into()));
    };
    let folder = pickle_name.trim_end_matches("data.pkl");
    let order = format!("{folder}byteorder");
    if names.contains(&order) && archive.text(&order, 16)? != b"little" {
        return Err(WeightsError::Unsupported {
            path: path.to_path_buf(),
            what: "a file with big-endian tensors".into(),
            help: "save it again on a little-endian machine",
        });
    }
    let text = archive.text(pickle_name, PICKLE_LIMIT_BYTES)?;
    let Pickled { tensors, sizes } = pickle::read(path, &text)?;
    let mut index = Index::default();
    index
        .metadata
        .extend(sizes.into_iter().filter(|(k, _)| k.starts_with(SIZES)).map(|(k, v)| (k, v.to_string())));
    for (name, tensor) in tensors {
        let info = archive.place(folder, &name, tensor, file_bytes)?;
        index.tensors.push((name, info));
    }
    Ok(index)
}

struct Archive<'p, 's> {
    path: &'p Path,
    zip: ZipArchive<&'s mut dyn Source>,
}

impl Archive<'_, '_> {
    /// A whole small entry.
    fn text(&mut self, name: &str, limit_bytes: u64) -> Result<Vec<u8>, WeightsError> {
        let path = self.path;
        let entry = self.zip.by_name(name).map_err(|e| damaged(path, e))?;
        let size = entry.size();
        if size > limit_bytes {
            drop(entry);
            let what = format!("entry {name} has {size} bytes, expected at most {limit_bytes}");
            return Err(self.malformed(what));
        }
        let mut bytes = Vec::new();
        entry.take(limit_bytes).read_to_end(&mut bytes).map_err(|e| WeightsError::read(path, e))?;
        Ok(bytes)
    }

    /// Where a tensor's elements lie in the file; all of them do.
    fn place(
        &mut self,
        folder: &str,
        name: &str,
        tensor: Tensor,
        file_bytes: u64,
    ) -> Result<TensorInfo, WeightsError> {
        let path = self.path;
        let entry_name = format!("{folder}data/{}", tensor.storage);
        let entry = self.zip.by_name(&entry_name).map_err(|e| match e {
            ZipError::FileNotFound => WeightsError::Malformed {
                path: path.to_path_buf(),
                format: "PyTorch file",
                what: format!("tensor {name}: its storage, entry {entry_name}, is missing"),
            },
            other => damaged(path, other),
        })?;
        let (data_start, bytes, stored) = (entry.data_start(), entry.size(), entry.compressed_size());
        drop(entry);
        let malformed = |what: String| self.malformed(format!("tensor {name}: {what}"));
        let start = data_start.filter(|start| bytes == stored && start.saturating_add(bytes) <= file_bytes);
        let Some(start) = start else {
            return Err(malformed(format!("its storage, entry {entry_name}, is compressed or not whole")));
        };
        let unit = tensor.element.bytes(1);
        let available = (bytes as usize).checked_div(unit).unwrap_or(usize::MAX);
        let last = tensor.shape.iter().zip(&tensor.strides).try_fold(tensor.offset, |last, (n, stride)| {
            last.checked_add(n.saturating_sub(1).checked_mul(*stride)?)
        });
        let empty = tensor.shape.contains(&0);
        // As many elements as the storage has, at most: a stride of 0 would repeat them without end.
        let fits = count(&tensor.shape).is_some_and(|n| n <= available)
            && tensor.shape.len() == tensor.strides.len()
            && last.is_some_and(|last| empty || last < available);
        if !fits {
            return Err(malformed(format!(
                "shape {:?} with strides {:?} from element {} on does not fit its storage of {available} elements",
                tensor.shape, tensor.strides, tensor.offset
            )));
        }
        let info =
            TensorInfo::contiguous(tensor.shape, tensor.element, start + (tensor.offset * unit) as u64);
        let strides = (info.row_major_strides() != tensor.strides).then_some(tensor.strides);
        Ok(TensorInfo { strides, ..info })
    }

    fn malformed(&self, what: String) -> WeightsError {
        WeightsError::Malformed { path: self.path.to_path_buf(), format: "PyTorch file", what }
    }
}

fn damaged(path: &Path, source: ZipError) -> WeightsError {
    let what = format!("truncated or damaged archive: {source}");
    WeightsError::Malformed { path: path.to_path_buf(), format: "PyTorch file", what }
}
