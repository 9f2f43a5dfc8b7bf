//! `manifest.json`: what a folder of artifacts holds, in a form that the runner checks before anything runs.

use crate::files::{ReadError, read_text};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Version of the manifest's form; a reader knows exactly one.
pub const MANIFEST_FORMAT: u32 = 1;

/// Bytes of the longest manifest that is read.
const LONGEST_BYTES: u64 = 16 << 20;

/// The SHA-256 of some bytes, 64 hexadecimal digits in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha([u8; 32]);

impl Sha {
    /// Of `bytes`.
    pub fn of(bytes: &[u8]) -> Sha {
        Sha(Sha256::digest(bytes).into())
    }

    /// Its 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Of a list of named byte strings: names, lengths and contents all count.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Sha {
        let mut digest = Sha256::new();
        for (name, bytes) in parts {
            for piece in [name.as_bytes(), bytes] {
                digest.update((piece.len() as u64).to_le_bytes());
                digest.update(piece);
            }
        }
        Sha(digest.finalize().into())
    }
}

impl fmt::Display for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl From<Sha> for String {
    fn from(sha: Sha) -> String {
        sha.to_string()
    }
}

impl TryFrom<String> for Sha {
    type Error = String;
    fn try_from(text: String) -> Result<Sha, String> {
        let digit = |at: usize| text.get(at..at + 2).and_then(|d| u8::from_str_radix(d, 16).ok());
        let digits = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = digit(2 * i)
                .filter(|_| digits)
                .ok_or_else(|| format!("\"{text}\" is no SHA-256, which has 64 hexadecimal digits"))?;
        }
        Ok(Sha(bytes))
    }
}

/// Everything about one folder of artifacts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`MANIFEST_FORMAT`].
    pub format: u32,
    /// Version of Kiln that wrote it.
    pub kiln: String,
    /// Name of the design.
    pub design: String,
    /// What it does.
    pub doc: String,
    /// Kernels, MLIR with its tables, instruction stream and flags, hashed: what a binary is made from.
    pub content: Sha,
    /// Where it runs.
    pub device: ManifestDevice,
    /// What compiles it.
    pub toolchain: Toolchain,
    /// Files beside the manifest, in order of path.
    pub files: Vec<ManifestFile>,
    /// How the host starts it.
    pub launch: Launch,
    /// Arguments of the runtime sequence, in order.
    pub buffers: Vec<ManifestBuffer>,
    /// Limits that the linked binaries must keep.
    pub limits: Limits,
    /// Results for seeded inputs, where the simulator was asked for them.
    pub expected: Option<Expected>,
}

/// The device a design was emitted for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestDevice {
    /// Name of the description.
    pub name: String,
    /// Name in MLIR.
    pub mlir: String,
    /// Columns that the design takes, from 0.
    pub columns: u8,
}

/// Versions and flags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toolchain {
    /// First and last day of mlir-aie's main that accepts the MLIR.
    pub mlir_aie_main: [String; 2],
    /// First and last release of it.
    pub mlir_aie_releases: [String; 2],
    /// Peano's flags for kernels.
    pub kernel_flags: Vec<String>,
    /// Flags of `aiecc` that change what is built.
    pub aiecc_flags: Vec<String>,
}

/// A file beside the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestFile {
    /// Path below the folder, with `/`.
    pub path: String,
    /// Size.
    pub bytes: u64,
    /// Of its content.
    pub sha256: Sha,
}

/// The arguments with which XRT starts the design.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Launch {
    /// Kernel in the xclbin.
    pub kernel: String,
    /// Argument 0.
    pub opcode: u64,
    /// Argument 1, a buffer of this file's words; argument 2 is their number.
    pub instructions: String,
    /// Number of words.
    pub instruction_words: u64,
    /// Argument number of the first host buffer.
    pub first_buffer_argument: u32,
    /// The xclbin that `build.sh` makes.
    pub xclbin: String,
}

/// Which way a host buffer's bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The array reads it.
    In,
    /// The array writes it.
    Out,
    /// Both.
    Inout,
    /// No copy names it.
    Unused,
}

impl Direction {
    /// Whether the array reads it.
    pub const fn is_read(self) -> bool {
        matches!(self, Direction::In | Direction::Inout)
    }
    /// Whether the array writes it.
    pub const fn is_written(self) -> bool {
        matches!(self, Direction::Out | Direction::Inout)
    }
}

/// One host buffer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestBuffer {
    /// Name in the sequence.
    pub name: String,
    /// Type of its elements.
    pub element: String,
    /// Dimensions, row-major.
    pub shape: Vec<u32>,
    /// Size.
    pub bytes: u64,
    /// Which way its bytes go.
    pub direction: Direction,
}

/// What the linked binaries must keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Program memory of a core.
    pub program_bytes: u32,
    /// Cores, by column and row.
    pub cores: Vec<CoreLimits>,
}

/// One core's limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoreLimits {
    /// Column.
    pub column: u8,
    /// Row.
    pub row: u8,
    /// Its stack.
    pub stack_bytes: u32,
    /// Kernels it calls, by name.
    pub kernels: Vec<String>,
}

/// Results of the simulator for seeded inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Seed of the inputs.
    pub seed: u64,
    /// Hash of each buffer before the run, in order.
    pub before: Vec<Sha>,
    /// Hash of each buffer after it.
    pub after: Vec<Sha>,
    /// Predicted cycles from the first command of the sequence to the end of its last.
    pub predicted_cycles: u64,
    /// Profile of the prediction.
    pub profile: String,
}

/// What `build.sh` writes beside the xclbin: what was built, from what, by what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Built {
    /// [`MANIFEST_FORMAT`].
    pub format: u32,
    /// The manifest's `content` at that time.
    pub content: Sha,
    /// What `aiecc --version` said.
    pub aiecc: String,
    /// What Peano's `clang++ --version` said.
    pub peano: String,
    /// Of the xclbin.
    pub xclbin_sha256: Sha,
    /// Cores, as linked.
    pub cores: Vec<BuiltCore>,
}

/// A linked core, measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuiltCore {
    /// Column.
    pub column: u8,
    /// Row.
    pub row: u8,
    /// Bound of its stack.
    pub stack_bytes: u32,
    /// Its code.
    pub program_bytes: u32,
}

impl Built {
    /// Name of the file in the folder.
    pub const FILE: &'static str = "built.json";

    /// Reads what was built in a folder.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn read(folder: &Path) -> Result<Built, ManifestError> {
        read(&folder.join(Built::FILE), "run build.sh again", "run build.sh of this folder: it writes it")
    }
}

/// Why a file about artifacts cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The file cannot be read.
    #[error("{}: cannot read it: {cause}\n  help: {help}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Who writes it.
        help: &'static str,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The file is too long to be one, or no text.
    #[error(transparent)]
    File(ReadError),
    /// The file is not what its name says.
    #[error("{}: not as this Kiln writes it: {cause}\n  help: {help}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What to do.
        help: &'static str,
        /// With line and column.
        cause: serde_json::Error,
    },
    /// A form that this Kiln does not know.
    #[error("{}: format {got}, this Kiln reads {MANIFEST_FORMAT}\n  help: {help}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What to do.
        help: &'static str,
        /// Its format.
        got: u64,
    },
}

impl Manifest {
    /// Name of the file in the folder.
    pub const FILE: &'static str = "manifest.json";

    /// The text of the file.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("every field has a form in JSON");
        text.push('\n');
        text
    }

    /// Reads the manifest of a folder.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn read(folder: &Path) -> Result<Manifest, ManifestError> {
        read(&folder.join(Manifest::FILE), "emit the design again", "`kiln emit DESIGN --out DIR` writes it")
    }

    /// The file of a path, if the manifest lists it.
    pub fn file(&self, path: &str) -> Option<&ManifestFile> {
        self.files.iter().find(|f| f.path == path)
    }
}

/// Reads a file of [`MANIFEST_FORMAT`]; `again` is the remedy of a bad one, `written_by` of an absent one.
fn read<T: DeserializeOwned>(
    path: &Path,
    again: &'static str,
    written_by: &'static str,
) -> Result<T, ManifestError> {
    let text = read_text(path, "a manifest", LONGEST_BYTES).map_err(|e| match e {
        ReadError::Io { path, source: cause, .. } => ManifestError::Read { path, help: written_by, cause },
        e => ManifestError::File(e),
    })?;
    let parse = |cause| ManifestError::Parse { path: path.to_owned(), help: again, cause };
    // The format first: the rest of another one would be told as a list of unknown fields.
    let value: serde_json::Value = serde_json::from_str(&text).map_err(parse)?;
    if let Some(got) = value.get("format").and_then(serde_json::Value::as_u64)
        && got != u64::from(MANIFEST_FORMAT)
    {
        return Err(ManifestError::Format { path: path.to_owned(), help: again, got });
    }
    serde_json::from_str(&text).map_err(parse)
}
