//! Checkpoints of several safetensors files, and folders as Hugging Face lays them out.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::{Checkpoint, Part, WeightsError, index};

/// Largest list of tensors that is read. That of the largest published Whisper is about 120 kB.
const INDEX_LIMIT_BYTES: u64 = 8 << 20;

/// What a folder's checkpoint may be called, in the order they are looked for.
const FOLDER_FILES: [&str; 3] = ["model.safetensors.index.json", "model.safetensors", "pytorch_model.bin"];

/// The list of a sharded checkpoint.
#[derive(Deserialize)]
struct Shards {
    /// File of each tensor.
    weight_map: BTreeMap<String, PathBuf>,
}

/// The file of a checkpoint that is named by its folder; any other path as it is.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, WeightsError> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let file = FOLDER_FILES.iter().map(|name| path.join(name)).find(|file| file.exists());
    file.ok_or_else(|| WeightsError::Unsupported {
        path: path.to_path_buf(),
        what: format!("a folder without {}", FOLDER_FILES.join(", ")),
        help: "name the file that holds the weights",
    })
}

/// Opens every shard that a list names, and checks that they hold what it says.
pub(super) fn open(path: &Path) -> Result<Checkpoint, WeightsError> {
    let malformed =
        |what: String| WeightsError::Malformed { path: path.to_path_buf(), format: "list of shards", what };
    let mut text = Vec::new();
    let file = File::open(path).map_err(|e| WeightsError::read(path, e))?;
    file.take(INDEX_LIMIT_BYTES + 1).read_to_end(&mut text).map_err(|e| WeightsError::read(path, e))?;
    if text.len() as u64 > INDEX_LIMIT_BYTES {
        return Err(malformed(format!("it is longer than {INDEX_LIMIT_BYTES} bytes")));
    }
    let list: Shards = serde_json::from_slice(&text).map_err(|e| malformed(e.to_string()))?;
    let mut files: Vec<&PathBuf> = list.weight_map.values().collect();
    files.sort();
    files.dedup();
    let outside = |f: &&&PathBuf| !matches!(f.components().collect::<Vec<_>>()[..], [Component::Normal(_)]);
    if let Some(file) = files.iter().find(outside) {
        return Err(malformed(format!("shard `{}` is not a file of the same folder", file.display())));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let absent: Vec<String> =
        files.iter().filter(|f| !folder.join(f).is_file()).map(|f| f.display().to_string()).collect();
    if !absent.is_empty() {
        return Err(WeightsError::MissingShards { path: path.to_path_buf(), names: absent });
    }
    let mut checkpoint = Checkpoint {
        path: path.to_path_buf(),
        parts: Vec::new(),
        tensors: BTreeMap::new(),
        metadata: BTreeMap::new(),
    };
    for file in files {
        let shard = folder.join(file);
        let mut source = Box::new(File::open(&shard).map_err(|e| WeightsError::read(&shard, e))?);
        let found = index(&shard, &mut *source)?;
        let number = checkpoint.parts.len();
        for (name, info) in found.tensors {
            // A tensor that the list places elsewhere, or not at all, is not this checkpoint's.
            if list.weight_map.get(&name) == Some(file) {
                checkpoint.tensors.insert(name, (number, info));
            }
        }
        checkpoint.metadata.extend(found.metadata);
        checkpoint.parts.push(Part { path: shard, source });
    }
    let lost = |(name, _): &(&String, &PathBuf)| !checkpoint.tensors.contains_key(*name);
    let lost: Vec<String> = list
        .weight_map
        .iter()
        .filter(lost)
        .map(|(name, file)| format!("{name} ({})", file.display()))
        .collect();
    if !lost.is_empty() {
        return Err(WeightsError::Missing { path: path.to_path_buf(), names: lost });
    }
    Ok(checkpoint)
}
