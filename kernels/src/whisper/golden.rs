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

/// Cosine of the angle between two tensors.
pub fn cosine<'a>(a: impl IntoIterator<Item = &'a f32>, b: impl IntoIterator<Item = &'a f32>) -> f64 {
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (&a, &b) in a.into_iter().zip(b) {
        let (a, b) = (f64::from(a), f64::from(b));
        (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b);
    }
    ab / (aa * bb).sqrt()
}

/// Signal to error ratio of `got` against `exact` in dB.
pub fn sqnr_db<'a>(got: impl IntoIterator<Item = &'a f32>, exact: impl IntoIterator<Item = &'a f32>) -> f64 {
    let (mut signal, mut noise) = (0.0, 0.0);
    for (&got, &exact) in got.into_iter().zip(exact) {
        signal += f64::from(exact).powi(2);
        noise += (f64::from(got) - f64::from(exact)).powi(2);
    }
    10.0 * (signal / noise).log10()
}
