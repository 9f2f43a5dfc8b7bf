//! Reading the published test data, for tests.

use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayD, Ix2};

/// The folder `data/whisper` of the shared test data: `$KILN_SHARED`, or `shared` beside the workspace.
/// `None`, and a line that says so, when there is none.
pub fn data() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let shared = std::env::var_os("KILN_SHARED").map_or_else(beside, PathBuf::from);
    let dir = shared.join("data/whisper");
    if !dir.is_dir() {
        println!("skipped: no test data in {} (set KILN_SHARED)", dir.display());
        return None;
    }
    Some(dir)
}

/// A file of 32-bit floats.
pub fn npy(path: &Path) -> ArrayD<f32> {
    array(npyz::NpyFile::new(std::fs::File::open(path).unwrap()).unwrap())
}

fn array<R: std::io::Read>(file: npyz::NpyFile<R>) -> ArrayD<f32> {
    let shape: Vec<usize> = file.shape().iter().map(|&n| n as usize).collect();
    let values = match file.dtype() {
        npyz::DType::Plain(t) if t.to_string() == "<f2" => {
            file.into_vec::<half::f16>().unwrap().into_iter().map(f32::from).collect()
        }
        npyz::DType::Plain(t) if t.to_string() == "<i4" => {
            file.into_vec::<i32>().unwrap().into_iter().map(|v| v as f32).collect()
        }
        _ => file.into_vec::<f32>().unwrap(),
    };
    ArrayD::from_shape_vec(shape, values).unwrap()
}

/// Arrays of a golden archive.
pub struct Golden(npyz::npz::NpzArchive<std::io::BufReader<std::fs::File>>);

impl Golden {
    /// Opens an archive.
    pub fn open(path: &Path) -> Golden {
        Golden(npyz::npz::NpzArchive::open(path).unwrap())
    }

    /// An array, if the archive has it.
    pub fn get(&mut self, name: &str) -> Option<ArrayD<f32>> {
        self.0.by_name(name).unwrap().map(array)
    }

    /// A matrix that must exist.
    pub fn matrix(&mut self, name: &str) -> Array2<f32> {
        self.get(name).unwrap_or_else(|| panic!("no {name}")).into_dimensionality::<Ix2>().unwrap()
    }
}

pub use super::measure::{cosine, sqnr_db};
