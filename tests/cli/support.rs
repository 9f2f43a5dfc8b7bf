//! Running `kiln`, and files to give it.

use safetensors::tensor::{Dtype, TensorView};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a run of the program left.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Outcome {
    /// Asserts success and gives standard output.
    #[track_caller]
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// Asserts exit code 1, an error that tells all `words`, and no panic; gives the error.
    #[track_caller]
    pub fn error(self, words: &[&str]) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert!(self.err.contains("error: ") && !self.err.contains("panicked"), "{}", self.err);
        for word in words {
            assert!(self.err.contains(word), "expected {word:?} in\n{}", self.err);
        }
        self.err
    }
}

/// `kiln` with arguments.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    command.args(args);
    command
}

/// Runs `kiln` to its end.
pub fn kiln(args: &[&str]) -> Outcome {
    run(&mut command(args))
}

/// Names of the listed designs.
pub fn design_names() -> Vec<String> {
    let text = kiln(&["list", "--designs"]).success();
    text.lines().map(|line| line.split(' ').next().unwrap_or(line).to_owned()).collect()
}

/// Runs a program to its end.
pub fn run(command: &mut Command) -> Outcome {
    let output = command.output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    Outcome { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A folder below `data` of the reference data: in `$KILN_SHARED`, or in `shared` beside the workspace.
pub fn reference_data(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("KILN_SHARED").map_or_else(beside, PathBuf::from).join("data").join(name);
    if !folder.is_dir() {
        println!("skipped: {} is not there (set KILN_SHARED)", folder.display());
        return None;
    }
    Some(folder)
}

/// A folder for one test.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a temporary folder"))
    }

    /// With the weights of a small encoder in `good.safetensors`, and recordings in `speech.wav` and `other.wav`.
    pub fn of_encoder() -> Folder {
        let folder = Folder::new();
        folder.file("speech.wav", &wav(16_000, 1, 20_000));
        folder.file("other.wav", &wav(16_000, 1, 30_000));
        folder.file("good.safetensors", &safetensors(&small_encoder()));
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The path as an argument.
    pub fn arg(&self, name: &str) -> String {
        self.path(name).to_str().expect("temporary paths are UTF-8").to_owned()
    }

    /// Writes a file and gives its path as an argument.
    pub fn file(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).expect("the folder takes files");
        self.arg(name)
    }

    /// Names of everything in a folder of it, sorted; of itself with "".
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = self.path(folder).read_dir().expect("a folder");
        let name = |e: std::io::Result<std::fs::DirEntry>| e.expect("an entry").file_name();
        let mut names: Vec<String> = entries.map(|e| name(e).into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }
}

/// A 16-bit PCM WAV file of a sweep with some noise in it.
pub fn wav(rate: u32, channels: u16, samples: u32) -> Vec<u8> {
    let data_bytes = samples * u32::from(channels) * 2;
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + data_bytes).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    file.extend(1u16.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * u32::from(channels) * 2).to_le_bytes());
    file.extend((channels * 2).to_le_bytes());
    file.extend(16u16.to_le_bytes());
    file.extend(b"data");
    file.extend(data_bytes.to_le_bytes());
    let mut noise = Noise(7);
    for i in 0..samples {
        let t = f64::from(i) / f64::from(rate);
        let value =
            9000.0 * (2.0 * std::f64::consts::PI * (200.0 + 900.0 * t) * t).sin() + 500.0 * noise.next();
        (0..channels).for_each(|_| file.extend((value as i16).to_le_bytes()));
    }
    file
}

/// A 32-bit linear congruential generator (the multiplier of Numerical Recipes).
struct Noise(u32);

impl Noise {
    /// In -1..1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(self.0 >> 8) / f64::from(1 << 23) - 1.0
    }
}

/// A tensor by name, with its shape and elements.
pub type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

/// Width of [`small_encoder`].
pub const WIDTH: usize = 64;
/// Positions of [`small_encoder`]: 1 s of audio.
pub const POSITIONS: usize = 50;

/// A Whisper encoder of one layer and one head, with random weights.
pub fn small_encoder() -> Tensors {
    let (d, ffn, mels) = (WIDTH, 128, 8);
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("conv1.weight".into(), vec![d, mels, 3]),
        ("conv1.bias".into(), vec![d]),
        ("conv2.weight".into(), vec![d, d, 3]),
        ("conv2.bias".into(), vec![d]),
        ("embed_positions.weight".into(), vec![POSITIONS, d]),
        ("layer_norm.weight".into(), vec![d]),
        ("layer_norm.bias".into(), vec![d]),
    ];
    let mut layer = |name: &str, shape: &[usize]| shapes.push((format!("layers.0.{name}"), shape.to_vec()));
    for name in ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj"] {
        layer(&format!("{name}.weight"), &[d, d]);
        if !name.contains("k_proj") {
            layer(&format!("{name}.bias"), &[d]);
        }
    }
    for (name, rows, columns) in [("fc1", ffn, d), ("fc2", d, ffn)] {
        layer(&format!("{name}.weight"), &[rows, columns]);
        layer(&format!("{name}.bias"), &[rows]);
    }
    for name in ["self_attn_layer_norm", "final_layer_norm"] {
        layer(&format!("{name}.weight"), &[d]);
        layer(&format!("{name}.bias"), &[d]);
    }
    let mut noise = Noise(1);
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let inputs: usize = shape[1..].iter().product();
        let reach = (3.0 / inputs.max(3) as f64).sqrt();
        let centre = if name.ends_with("norm.weight") { 1.0 } else { 0.0 };
        let values = (0..shape.iter().product()).map(|_| (centre + reach * 0.5 * noise.next()) as f32);
        (format!("model.encoder.{name}"), shape.clone(), values.collect())
    };
    shapes.into_iter().map(tensor).collect()
}

/// The bytes of a safetensors file.
pub fn safetensors(tensors: &Tensors) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|t| t.2.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let view =
        |shape: &Vec<usize>, bytes| TensorView::new(Dtype::F32, shape.clone(), bytes).expect("sizes agree");
    let views = tensors.iter().zip(&bytes).map(|(t, b)| (&t.0, view(&t.1, b)));
    let none: Option<HashMap<String, String>> = None;
    safetensors::serialize(views, none).expect("serialises")
}

/// The elements of a `.npy` file of 32-bit floats, with its shape.
pub fn npy(path: &Path) -> (Vec<u64>, Vec<f32>) {
    let file = npyz::NpyFile::new(std::fs::File::open(path).expect("the file")).expect("an npy file");
    (file.shape().to_vec(), file.into_vec().expect("32-bit floats"))
}
