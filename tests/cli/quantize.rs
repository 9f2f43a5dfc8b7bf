//! `kiln quantize` and what `kiln encode` makes of its files.

use crate::support::{Folder, kiln, npy};
use kiln::kernels::whisper::weights::EncoderWeights;
use kiln::kernels::whisper::{audio, mel, reference};
use serde_json::Value;
use std::fs;

/// Quantises `good.safetensors` on `other.wav` into `q.safetensors`.
fn quantise(folder: &Folder, extra: &[&str]) -> String {
    let [weights, other, out] = ["good.safetensors", "other.wav", "q.safetensors"].map(|n| folder.arg(n));
    let mut args = vec!["quantize", &weights, "--calibrate", &other, "--out", &out];
    args.extend(extra);
    kiln(&args).success()
}

/// Features of `speech.wav`.
fn features(folder: &Folder, args: &[&str]) -> Vec<f32> {
    let [speech, out] = ["speech.wav", "f.npy"].map(|n| folder.arg(n));
    let mut all = vec!["encode", &speech, "--out", &out];
    all.extend(args);
    kiln(&all).success();
    npy(&folder.path("f.npy")).1
}

#[test]
fn a_quantised_file_encodes_as_its_weights_do() {
    let folder = Folder::of_encoder();
    let [weights, other, q] = ["good.safetensors", "other.wav", "q.safetensors"].map(|n| folder.arg(n));
    for scheme in ["w8a8", "w8a8-static"] {
        quantise(&folder, &["--scheme", scheme]);
        let own = features(&folder, &["--weights", &weights, "--calibrate", &other, "--scheme", scheme]);
        assert_eq!(features(&folder, &["--weights", &q]), own, "{scheme}");
        assert_eq!(features(&folder, &["--weights", &q, "--backend", "model"]), own, "{scheme}");
    }
    let before = fs::read(folder.path("q.safetensors")).expect("the file");
    quantise(&folder, &["--scheme", "w8a8-static"]);
    assert_eq!(fs::read(folder.path("q.safetensors")).expect("the file"), before);
}

#[test]
fn the_reports_say_where_it_hurts() {
    let folder = Folder::of_encoder();
    let text = quantise(&folder, &["--report", &folder.arg("r.json")]);
    assert!(text.contains("layer0") && text.contains("scheme w8a8"), "{text}");
    let report: Value =
        serde_json::from_slice(&fs::read(folder.path("r.json")).expect("a report")).expect("JSON");
    let layers = report["layers"].as_array().expect("layers");
    let names: Vec<_> = layers.iter().filter_map(|l| l["name"].as_str()).collect();
    assert_eq!(names, ["embed", "layer0", "final"]);
    assert!(layers.iter().all(|l| l["cosine"].as_f64().is_some_and(|c| c > 0.99 && c <= 1.0)), "{report}");
    let tensors = report["tensors"].as_array().expect("tensors");
    for key in ["scale", "least", "greatest", "rms", "saturated", "sqnr_db"] {
        assert!(tensors.iter().all(|t| t[key].is_number()), "{key}");
    }
    assert_eq!(report["stamp"]["calibration"].as_str().map(str::len), Some(64));
    quantise(&folder, &["--report", &folder.arg("r.html")]);
    let page = fs::read_to_string(folder.path("r.html")).expect("a report");
    for word in ["layer0.gelu", "layer0.ctx", "<svg", "w8a8", "i8 rows", "</html>"] {
        assert!(page.contains(word), "{word}");
    }
}

#[test]
fn contradictions_are_told() {
    let folder = Folder::of_encoder();
    quantise(&folder, &[]);
    let [speech, other, q, weights] =
        ["speech.wav", "other.wav", "q.safetensors", "good.safetensors"].map(|n| folder.arg(n));
    let encode = |args: &[&str]| {
        let mut all = vec!["encode", speech.as_str(), "--weights", q.as_str()];
        all.extend(args);
        kiln(&all)
    };
    encode(&["--calibrate", &other]).error(&["quantised already", "help: leave --calibrate away"]);
    encode(&["--scheme", "w8a8-static"]).error(&["quantised for scheme w8a8", "asks for w8a8-static"]);
    encode(&["--backend", "reference"]).error(&["needs weights in floats"]);
    let quantize = |args: &[&str]| {
        let mut all = vec!["quantize", weights.as_str(), "--calibrate", other.as_str()];
        all.extend(args);
        kiln(&all)
    };
    let new = folder.arg("new.safetensors");
    quantize(&["--out", &new, "--report", "r.txt"]).error(&["expected a report named .html or .json"]);
    quantize(&["--out", &weights]).error(&["would replace an input"]);
    assert!(!folder.path("new.safetensors").exists());

    // Another stamp: both are shown.
    let bytes = fs::read(folder.path("q.safetensors")).expect("the file");
    let version = br#"\"version\":"#.as_slice();
    let at = bytes.windows(version.len()).position(|w| w == version).expect("a stamp") + version.len();
    let mut other = bytes;
    other[at] = b'7';
    let other = folder.file("other.safetensors", &other);
    let outcome = kiln(&["encode", &speech, "--weights", &other]);
    outcome.error(&[
        "other.safetensors",
        "file:     version 7",
        "expected: version 2",
        "help: quantise the weights again",
    ]);
}

#[test]
fn the_reference_backend_is_the_f32_encoder() {
    let folder = Folder::of_encoder();
    let weights = folder.arg("good.safetensors");
    let got = features(&folder, &["--weights", &weights, "--backend", "reference"]);
    let weights = EncoderWeights::load(&folder.path("good.safetensors"), None).expect("good weights");
    let audio = audio::read(&folder.path("speech.wav")).expect("a good recording");
    let window = mel::spectrogram(&audio.samples, &weights.config);
    let exact = reference::encode(&weights, window.view(), &mut |_, _| ());
    assert_eq!(got, exact.into_raw_vec_and_offset().0);
}
