//! A folder of artifacts that the toolchain has compiled, checked before anything runs.

use kiln_dsl::emit::Manifest;
use kiln_dsl::emit::bundle::{Built, ManifestError, Sha};
use kiln_dsl::files::{self, ReadError};
use std::path::{Component, Path, PathBuf};
use thiserror::Error;

/// Longest xclbin that is read.
const LONGEST_BYTES: u64 = 256 << 20;

/// Everything of one design that a device needs.
#[derive(Clone, Debug)]
pub struct Artifacts {
    /// The folder.
    pub folder: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
    /// What was built, and by what; `None` when nothing was and nothing needs to be.
    pub built: Option<Built>,
    /// Content of the instruction stream's file.
    pub instructions: Vec<u8>,
    /// The xclbin.
    pub xclbin: Vec<u8>,
}

/// Why a folder cannot be used: everything at once.
#[derive(Debug, Error)]
#[error("{}: these artifacts cannot be used:{}", folder.display(), problems.iter().map(|p| format!("\n  - {p}")).collect::<String>())]
pub struct ArtifactsError {
    /// The folder.
    pub folder: PathBuf,
    /// Each thing that is wrong.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with a folder.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Problem {
    /// A file about the artifacts.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A listed file that cannot be read.
    #[error("{path}: {cause}\n    help: emit the design again")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        cause: String,
    },
    /// A listed file that is not below the folder.
    #[error("{path}: leads out of the folder, expected a path below it\n    help: emit the design again")]
    Outside {
        /// The path.
        path: String,
    },
    /// A listed file with other content.
    #[error("{path}: not as emitted: SHA-256 {got}, expected {expected}\n    help: emit the design again")]
    Changed {
        /// The file.
        path: String,
        /// Its hash.
        got: Sha,
        /// The manifest's.
        expected: Sha,
    },
    /// An xclbin of something else.
    #[error(
        "{path}: built from content {got}, the manifest has {expected}: a stale binary\n    help: run build.sh again"
    )]
    Stale {
        /// The xclbin.
        path: String,
        /// Content it was built from.
        got: Sha,
        /// The manifest's.
        expected: Sha,
    },
    /// An xclbin that `build.sh` did not leave there.
    #[error("{path}: SHA-256 {got}, build.sh made {expected}\n    help: run build.sh again")]
    Xclbin {
        /// The xclbin.
        path: String,
        /// Its hash.
        got: Sha,
        /// What `built.json` says.
        expected: Sha,
    },
    /// A file beyond reason.
    #[error(transparent)]
    Bad(ReadError),
}

impl Artifacts {
    /// Reads a folder: manifest, every file that it lists, what was built, and the xclbin.
    ///
    /// # Errors
    /// [`ArtifactsError`] with every file that is absent, changed or stale.
    pub fn load(folder: &Path) -> Result<Artifacts, ArtifactsError> {
        Artifacts::read(folder, true)
    }

    /// As [`Artifacts::load`], for a device that executes the design itself: where nothing was built, the xclbin is the
    /// text of the manifest's content hash.
    ///
    /// # Errors
    /// As [`Artifacts::load`].
    pub fn load_for_simulation(folder: &Path) -> Result<Artifacts, ArtifactsError> {
        Artifacts::read(folder, false)
    }

    fn read(folder: &Path, must_be_built: bool) -> Result<Artifacts, ArtifactsError> {
        let failed = |problems| ArtifactsError { folder: folder.to_owned(), problems };
        let manifest = Manifest::read(folder).map_err(|e| failed(vec![e.into()]))?;
        let mut problems = Vec::new();
        let mut instructions = Vec::new();
        for file in &manifest.files {
            match read(folder, &file.path) {
                Ok(bytes) => {
                    let (got, expected) = (Sha::of(&bytes), file.sha256);
                    if got != expected {
                        problems.push(Problem::Changed { path: file.path.clone(), got, expected });
                    }
                    if file.path == manifest.launch.instructions {
                        instructions = bytes;
                    }
                }
                Err(problem) => problems.push(problem),
            }
        }
        let path = manifest.launch.xclbin.clone();
        let mut xclbin = Vec::new();
        let mut built = None;
        if must_be_built || folder.join(Built::FILE).exists() {
            built = Built::read(folder).map_err(|e| problems.push(e.into())).ok();
        } else {
            xclbin = manifest.content.to_string().into_bytes();
        }
        if let Some(built) = &built {
            if built.content != manifest.content {
                let (got, expected) = (built.content, manifest.content);
                problems.push(Problem::Stale { path, got, expected });
            } else {
                match read(folder, &path) {
                    Ok(bytes) => xclbin = bytes,
                    Err(problem) => problems.push(problem),
                }
                let (got, expected) = (Sha::of(&xclbin), built.xclbin_sha256);
                if got != expected && !xclbin.is_empty() {
                    problems.push(Problem::Xclbin { path, got, expected });
                }
            }
        }
        if !problems.is_empty() {
            return Err(failed(problems));
        }
        Ok(Artifacts { folder: folder.to_owned(), manifest, built, instructions, xclbin })
    }
}

fn read(folder: &Path, path: &str) -> Result<Vec<u8>, Problem> {
    if !Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(Problem::Outside { path: path.to_owned() });
    }
    files::read(&folder.join(path), "a file of a design", LONGEST_BYTES).map_err(|e| match e {
        ReadError::Io { source, .. } => Problem::Read { path: path.to_owned(), cause: source.to_string() },
        e => Problem::Bad(e),
    })
}
