//! Quantised encoders as files: safetensors with every integer, and a stamp that says what they mean.
//!
//! `fields.rs` lists the tensors of a model, once for writing and reading. `stamp.rs` is what must agree before any of
//! them is used.

mod fields;
mod stamp;

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};

use kiln_dsl::files::{self, Output};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::quant::QuantModel;
use super::scheme::Scheme;
use fields::{Fields, blank, visit};
pub use stamp::{Stamp, calibration_hash};

/// Largest file that is read: five times the largest encoder that the designs take, in 32 bits.
const LIMIT_BYTES: u64 = 4 << 30;

/// Key of the stamp in the file's metadata.
const STAMP_KEY: &str = "kiln.stamp";

/// Why a quantised encoder is not read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SavedError {
    /// It cannot be read, or is larger than any encoder.
    #[error(transparent)]
    Read(#[from] files::ReadError),
    /// Writing fails.
    #[error(transparent)]
    Write(#[from] files::WriteError),
    /// The file is no safetensors file.
    #[error("{}: not a whole safetensors file: {source}", path.display())]
    Format {
        /// File.
        path: PathBuf,
        /// Cause.
        source: safetensors::SafeTensorError,
    },
    /// The file has no stamp, or one that cannot be read.
    #[error("{}: no stamp of a quantised encoder: {why}\nhelp: `kiln quantize` writes such files", path.display())]
    NoStamp {
        /// File.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The file was written for another layout or scheme.
    #[error("{}: quantised for something else\n  file:     {got}\n  expected: {expected}\nhelp: quantise the weights again with this version of kiln", path.display())]
    Stamp {
        /// File.
        path: PathBuf,
        /// The file's stamp.
        got: Box<Stamp>,
        /// What this program reads.
        expected: Box<Stamp>,
    },
    /// Tensors that are absent, or not what the stamp promises.
    #[error("{}: {} tensor(s) are not those of the stamp:{}", path.display(), problems.len(), listed(problems))]
    Tensors {
        /// File.
        path: PathBuf,
        /// What is wrong with each.
        problems: Vec<String>,
    },
}

fn listed(problems: &[String]) -> String {
    problems.iter().map(|p| format!("\n  {p}")).collect()
}

/// Whether a file's header carries the stamp of a quantised encoder. Errors count as no.
pub fn is_quantised(path: &Path) -> bool {
    super::checkpoint::Checkpoint::open(path).is_ok_and(|file| file.metadata(STAMP_KEY).is_some())
}

/// Writes an encoder with its stamp to a claimed file, whole or not at all.
///
/// # Errors
/// When writing fails.
pub fn write(output: Output, model: &QuantModel, stamp: &Stamp) -> Result<(), SavedError> {
    Ok(output.write(|file| file.write_all(&to_bytes(model, stamp)))?)
}

/// The file's bytes.
pub fn to_bytes(model: &QuantModel, stamp: &Stamp) -> Vec<u8> {
    let mut writer = Writer::default();
    visit(&mut model.clone(), &mut writer);
    let views: Vec<_> = writer.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
    let stamp = serde_json::to_string(stamp).expect("a stamp is plain data");
    let metadata = HashMap::from([(STAMP_KEY.to_owned(), stamp)]);
    safetensors::serialize(views, Some(metadata)).expect("names are unique and sizes agree")
}

/// Reads an encoder and its stamp.
///
/// # Errors
/// When the file is damaged, its stamp is not what this version writes, or tensors are not those of the stamp (all that
/// are wrong are named).
pub fn read(path: &Path) -> Result<(QuantModel, Stamp), SavedError> {
    let buffer = files::read(path, "a quantised encoder", LIMIT_BYTES)?;
    from_bytes(path, &buffer)
}

/// [`read`] of bytes; `path` names them in messages.
///
/// # Errors
/// As [`read`].
pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<(QuantModel, Stamp), SavedError> {
    let path = || path.to_path_buf();
    let format = |source| SavedError::Format { path: path(), source };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(format)?;
    let no_stamp = |why: String| SavedError::NoStamp { path: path(), why };
    let text = header.metadata().as_ref().and_then(|m| m.get(STAMP_KEY));
    let text = text.ok_or_else(|| no_stamp(format!("its metadata has no `{STAMP_KEY}`")))?;
    let stamp: Stamp = serde_json::from_str(text).map_err(|e| no_stamp(e.to_string()))?;
    stamp.sound().map_err(no_stamp)?;
    let scheme: Option<Scheme> = stamp.scheme.parse().ok();
    let expected = Stamp::new(scheme.unwrap_or_default(), &stamp.model, stamp.calibration.clone());
    let scheme = match scheme {
        Some(scheme) if stamp == expected => scheme,
        _ => {
            return Err(SavedError::Stamp {
                path: path(),
                got: Box::new(stamp),
                expected: Box::new(expected),
            });
        }
    };
    let tensors = SafeTensors::deserialize(bytes).map_err(format)?;
    // Nothing is allocated for sizes that the file cannot hold.
    let (needed, got) = (stamp.weight_bytes(), bytes.len() as u64);
    if needed > got {
        let problems = vec![format!("the weights alone take {needed} bytes, the file has {got}")];
        return Err(SavedError::Tensors { path: path(), problems });
    }
    let mut model = blank(stamp.model.clone(), scheme, scheme.recipe());
    let mut reader = Reader { tensors: &tensors, read: 0, problems: Vec::new() };
    visit(&mut model, &mut reader);
    let mut problems = reader.problems;
    if problems.is_empty() && reader.read != tensors.len() {
        problems.push(format!("{} tensors, of which the model has {}", tensors.len(), reader.read));
    }
    if problems.is_empty() {
        problems = fields::unsound(&model);
    }
    if !problems.is_empty() {
        return Err(SavedError::Tensors { path: path(), problems });
    }
    Ok((model, stamp))
}

#[derive(Debug)]
struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Stored {
    fn view(&self) -> TensorView<'_> {
        let view = TensorView::new(self.dtype, self.shape.clone(), &self.bytes);
        view.expect("the shape of the bytes collected with it")
    }
}

/// Collects tensors.
#[derive(Debug, Default)]
struct Writer {
    tensors: BTreeMap<String, Stored>,
}

impl Fields for Writer {
    fn bytes(&mut self, name: &str, dtype: Dtype, shape: &[usize], bytes: &mut [u8]) {
        let stored = Stored { dtype, shape: shape.to_vec(), bytes: bytes.to_vec() };
        let before = self.tensors.insert(name.to_owned(), stored);
        debug_assert!(before.is_none(), "two tensors are named {name}");
    }
}

/// Fills tensors from a file.
struct Reader<'a> {
    tensors: &'a SafeTensors<'a>,
    read: usize,
    problems: Vec<String>,
}

impl Fields for Reader<'_> {
    fn bytes(&mut self, name: &str, dtype: Dtype, shape: &[usize], bytes: &mut [u8]) {
        match self.tensors.tensor(name) {
            Ok(found) if found.dtype() == dtype && found.shape() == shape => {
                self.read += 1;
                bytes.copy_from_slice(found.data());
            }
            Ok(found) => self.problems.push(format!(
                "{name}: expected {dtype:?} {shape:?}, got {:?} {:?}",
                found.dtype(),
                found.shape()
            )),
            Err(_) => self.problems.push(format!("{name}: missing")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whisper::quantise::quantise;
    use crate::whisper::{EncoderWeights, ModelConfig};
    use ndarray::Array2;

    const SCHEMES: [Scheme; 4] = Scheme::ALL;

    fn model(scheme: Scheme) -> (QuantModel, Stamp) {
        let config =
            ModelConfig { d: 64, heads: 1, layers: 2, ffn: 128, positions: 6, ..ModelConfig::tiny() };
        let mel = Array2::from_shape_fn((80, 12), |(m, t)| ((m * 7 + t * 3) % 17) as f32 / 10.0 - 0.5);
        let model = quantise(&EncoderWeights::seeded(&config, 3), std::slice::from_ref(&mel), scheme);
        let stamp = Stamp::new(scheme, &config, calibration_hash([mel.view()]));
        (model, stamp)
    }

    #[test]
    fn what_is_written_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        for scheme in SCHEMES {
            let (model, stamp) = model(scheme);
            let path = folder.path().join("q.safetensors");
            write(Output::create(&path).unwrap(), &model, &stamp).unwrap();
            assert!(is_quantised(&path));
            assert_eq!(read(&path).unwrap(), (model.clone(), stamp.clone()));
            assert_eq!(to_bytes(&model, &stamp), std::fs::read(&path).unwrap());
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn another_stamp_is_refused_with_both_shown() {
        let (model, stamp) = model(Scheme::W8A8);
        let mut other = stamp.clone();
        other.weight_tile = [4, 4];
        let error = from_bytes(Path::new("q"), &to_bytes(&model, &other)).unwrap_err().to_string();
        assert!(error.contains("weights in 4x4 tiles") && error.contains("weights in 8x8 tiles"), "{error}");
        let mut other = stamp;
        other.scheme = "w4a4".into();
        let error = from_bytes(Path::new("q"), &to_bytes(&model, &other)).unwrap_err().to_string();
        assert!(error.contains("w4a4"), "{error}");
    }

    #[test]
    fn damage_is_told() {
        let (model, stamp) = model(Scheme::W8A8);
        let good = to_bytes(&model, &stamp);
        for length in [0, 7, 100, good.len() / 2, good.len() - 1] {
            assert!(from_bytes(Path::new("q"), &good[..length]).is_err(), "{length} bytes");
        }
        let mut larger = stamp.clone();
        larger.model.positions = 7;
        let error = from_bytes(Path::new("q"), &to_bytes(&model, &larger)).unwrap_err().to_string();
        assert!(error.contains("positions: expected I16 [7, 64], got I16 [6, 64]"), "{error}");
        larger.model.layers = 128;
        let error = from_bytes(Path::new("q"), &to_bytes(&model, &larger)).unwrap_err().to_string();
        assert!(error.contains("the weights alone take"), "{error}");
        let mut larger = stamp.clone();
        larger.model.d = usize::MAX;
        assert!(from_bytes(Path::new("q"), &to_bytes(&model, &larger)).is_err());
        let mut bad = model.clone();
        bad.layers[1].ln1.shift = 77;
        bad.final_scale = f64::NAN;
        let error = from_bytes(Path::new("q"), &to_bytes(&bad, &stamp)).unwrap_err().to_string();
        assert!(error.contains("layers.1.ln1.shift") && error.contains("final.scale"), "{error}");
    }
}
