//! Bad input to `kiln encode`: one clear error, exit code 1, nothing left behind.

use crate::support::{Folder, POSITIONS, Tensors, kiln, safetensors, small_encoder, wav};

/// Encodes with `extra` arguments in a folder with a good recording and good weights, into `out.npy`; asserts an error
/// that tells all `words`, and that no file was written.
#[track_caller]
fn refused(folder: &Folder, extra: &[&str], words: &[&str]) -> String {
    let before = folder.names("");
    let (audio, out) = (folder.arg("speech.wav"), folder.arg("out.npy"));
    let mut args = vec!["encode", audio.as_str()];
    if !extra.contains(&"--out") {
        args.extend(["--out", out.as_str()]);
    }
    args.extend(extra);
    let outcome = kiln(&args);
    assert_eq!(outcome.out, "");
    let error = outcome.error(words);
    assert_eq!(folder.names(""), before);
    error
}

fn folder() -> Folder {
    let folder = Folder::new();
    folder.file("speech.wav", &wav(16_000, 1, 16_000));
    folder.file("good.safetensors", &safetensors(&small_encoder()));
    folder
}

#[test]
fn bad_recordings() {
    let folder = folder();
    let refused = |name: &str, bytes: Option<Vec<u8>>, words: &[&str]| {
        if let Some(bytes) = bytes {
            folder.file(name, &bytes);
        }
        let outcome = kiln(&["encode", &folder.arg(name), "--out", &folder.arg("out.npy")]);
        outcome.error(&[&[name], words].concat());
        assert!(!folder.path("out.npy").exists());
        // As calibration, a bad recording is as bad.
        let calibrate = folder.arg(name);
        self::refused(&folder, &["--calibrate", &calibrate], &[&[name], words].concat());
    };
    refused("absent.wav", None, &["No such file"]);
    refused("rate.wav", Some(wav(500, 1, 1000)), &["500 samples a second", "expected 1000 to 768000"]);
    refused("empty.wav", Some(wav(16_000, 1, 0)), &["no samples"]);
    refused("nothing.wav", Some(Vec::new()), &["not a readable WAV, FLAC or MP3"]);
    refused("text.wav", Some(b"these are words, not a wave".to_vec()), &["not a readable WAV, FLAC or MP3"]);
}

#[test]
fn a_recording_cut_short_is_taken_with_a_note() {
    let folder = folder();
    let cut = wav(16_000, 1, 1000);
    let short = folder.file("short.wav", &cut[..cut.len() - 100]);
    let done =
        kiln(&["encode", &short, "--weights", &folder.arg("good.safetensors"), "--backend", "reference"]);
    assert!(done.err.contains("short.wav: cut short: 1900 of 2000 B of samples are there"), "{}", done.err);
    done.success();
}

#[test]
fn bad_weights() {
    let folder = folder();
    let good = safetensors(&small_encoder());
    let refused = |name: &str, bytes: Option<Vec<u8>>, words: &[&str]| {
        let file = bytes.map_or_else(|| folder.arg(name), |bytes| folder.file(name, &bytes));
        self::refused(&folder, &["--weights", &file], &[&[name], words].concat());
    };
    let changed = |change: &dyn Fn(&mut Tensors)| {
        let mut tensors = small_encoder();
        change(&mut tensors);
        Some(safetensors(&tensors))
    };
    let at =
        |tensors: &Tensors, name: &str| tensors.iter().position(|t| t.0.ends_with(name)).expect("a tensor");

    refused("absent.safetensors", None, &["No such file"]);
    refused("cut.safetensors", Some(good[..good.len() - 7].to_vec()), &["truncated"]);
    refused("stub.safetensors", Some(good[..5].to_vec()), &["truncated"]);
    let mut oversized = good.clone();
    oversized[..8].copy_from_slice(&(u64::MAX - 8).to_le_bytes());
    refused("oversized.safetensors", Some(oversized), &["header says 18446744073709551607 bytes"]);
    refused(
        "text.safetensors",
        Some(b"these are words, not weights, and many of them".to_vec()),
        &["header"],
    );
    let nan = changed(&|t| {
        let i = at(t, "layers.0.fc2.weight");
        t[i].2[77] = f32::NAN;
    });
    refused("nan.safetensors", nan, &["layers.0.fc2.weight", "element 77 is NaN"]);
    let infinite = changed(&|t| {
        let i = at(t, "conv1.bias");
        t[i].2[0] = f32::INFINITY;
    });
    refused("infinite.safetensors", infinite, &["conv1.bias", "inf"]);
    let vast = changed(&|t| t.iter_mut().for_each(|t| t.2.fill(3e38)));
    refused("vast.safetensors", vast, &["range of 32-bit floats"]);
    let vast = folder.arg("vast.safetensors");
    let args = ["--weights", &vast, "--backend", "reference"];
    self::refused(&folder, &args, &["vast.safetensors", "range of 32-bit floats", "no features"]);
    let missing = changed(&|t| t.retain(|t| !t.0.contains("v_proj")));
    refused("missing.safetensors", missing, &["v_proj.weight", "v_proj.bias", "missing"]);
    let shape = changed(&|t| {
        let i = at(t, "layers.0.fc1.bias");
        t[i].1 = vec![127];
        t[i].2.truncate(127);
    });
    refused("shape.safetensors", shape, &["layers.0.fc1.bias", "expected [128], got [127]"]);
}

#[test]
fn weights_of_another_model() {
    let folder = folder();
    let weights = folder.arg("good.safetensors");
    refused(
        &folder,
        &["--weights", &weights, "--model", "tiny"],
        &["good.safetensors", "layers.3.fc1.weight"],
    );
}

#[test]
fn encoders_that_no_design_covers() {
    let folder = folder();
    let narrow: Tensors = small_encoder()
        .into_iter()
        .map(|(name, shape, _)| {
            let shape: Vec<usize> = shape.into_iter().map(|n| if n == 64 { 60 } else { n }).collect();
            let values = vec![0.25; shape.iter().product()];
            (name, shape, values)
        })
        .collect();
    let weights = folder.file("narrow.safetensors", &safetensors(&narrow));
    refused(&folder, &["--weights", &weights], &["narrow.safetensors"]);
    let long: Tensors = small_encoder()
        .into_iter()
        .map(|(name, shape, values)| match shape.as_slice() {
            [POSITIONS, d] => {
                let shape = vec![2000, *d];
                (name, shape, vec![0.5; 2000 * d])
            }
            _ => (name, shape, values),
        })
        .collect();
    let weights = folder.file("long.safetensors", &safetensors(&long));
    refused(&folder, &["--weights", &weights], &["long.safetensors", "4000 mel frames"]);
}

#[test]
fn unknown_names() {
    let folder = folder();
    refused(&folder, &["--model", "enormous"], &["no model is named \"enormous\"", "tiny", "design-doc"]);
    refused(&folder, &["--device", "npu7"], &["npu7", "npu1"]);
    refused(&folder, &["--profile", "toaster"], &["toaster", "phoenix-laptop"]);
    let device = folder.file("device.yaml", b"schema_version: 1\ncolour: red\n");
    refused(&folder, &["--device", &device], &["device.yaml:2:1: colour"]);
}

#[test]
fn outputs_that_cannot_be_written() {
    let folder = folder();
    std::fs::create_dir(folder.path("results")).expect("a folder");
    let cases = [
        ("speech.wav", "replace an input"),
        ("results", "folder"),
        ("absent/out.npy", "No such file"),
        ("speech.wav/out.npy", "Not a directory"),
    ];
    for (out, cause) in cases {
        let out = folder.arg(out);
        refused(&folder, &["--out", &out], &[&out, cause]);
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let folder = folder();
    let (weights, out) = (folder.arg("absent.safetensors"), folder.arg("absent/out.npy"));
    let error = refused(
        &folder,
        &["--weights", &weights, "--out", &out, "--device", "npu7", "--calibrate", &folder.arg("absent.wav")],
        &["absent.safetensors", "absent/out.npy", "npu7", "absent.wav"],
    );
    assert_eq!(error.matches("error: ").count(), 4, "{error}");
}
