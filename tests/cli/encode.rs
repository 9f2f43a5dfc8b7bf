//! `kiln encode` on a small encoder.

use crate::support::{Folder, POSITIONS, WIDTH, kiln, npy, reference_data, safetensors, small_encoder, wav};
use kiln::kernels::whisper::scheme::Scheme;
use kiln::kernels::whisper::weights::EncoderWeights;
use kiln::kernels::whisper::{audio as recording, integer, mel, quantise};
use serde_json::Value;
use std::fs;

/// Encodes `speech.wav` with `good.safetensors` into `name`, with `extra` arguments; gives the JSON report.
#[track_caller]
fn encode(folder: &Folder, name: &str, extra: &[&str]) -> Value {
    let [audio, weights, out] = ["speech.wav", "good.safetensors", name].map(|n| folder.arg(n));
    let mut args = vec!["encode", &audio, "--weights", &weights, "--out", &out, "--json"];
    args.extend(extra);
    serde_json::from_str(&kiln(&args).success()).expect("one JSON object")
}

fn folder() -> Folder {
    let folder = Folder::new();
    folder.file("speech.wav", &wav(16_000, 1, 20_000));
    folder.file("good.safetensors", &safetensors(&small_encoder()));
    folder
}

#[test]
fn features_equal_the_integer_model() {
    let folder = folder();
    encode(&folder, "f.npy", &[]);
    let weights = EncoderWeights::load(&folder.path("good.safetensors"), None).expect("good weights");
    let audio = recording::read(&folder.path("speech.wav")).expect("a good recording");
    let spectrogram = mel::log_mel(&audio.samples, weights.config.mels);
    let window = mel::first_frames(spectrogram.view(), weights.config.frames());
    let model = quantise::quantise(&weights, std::slice::from_ref(&window), Scheme::default());
    let exact = integer::encode(&model, &model.input(window.view()), &mut |_, _| ());
    let (shape, features) = npy(&folder.path("f.npy"));
    assert_eq!(shape, [POSITIONS as u64, WIDTH as u64]);
    assert_eq!(features, model.dequantise(exact.view()).into_raw_vec_and_offset().0);
    assert!(features.iter().any(|v| *v != features[0]), "features that say nothing");
}

#[test]
fn the_report_adds_up() {
    let folder = folder();
    let report = encode(&folder, "f.npy", &[]);
    let number = |key: &str| report[key].as_f64().unwrap_or_else(|| panic!("{key} in {report}"));
    for (key, text) in [("scheme", "w8a8"), ("weights", "file"), ("calibration", "input"), ("device", "npu1")]
    {
        assert_eq!(report[key], text);
    }
    assert_eq!(report["profile"], "phoenix-laptop");
    assert!(report["model"].as_str().is_some_and(|m| m.starts_with("custom")), "{report}");

    let list = |key: &str| report[key].as_array().unwrap_or_else(|| panic!("{key}")).clone();
    let sum =
        |list: &[Value], key: &str| list.iter().map(|v| v[key].as_u64().expect("a number")).sum::<u64>();
    let (ops, cores) = (list("ops"), list("cores"));
    assert_eq!(sum(&ops, "cycles") as f64, number("cycles"));
    assert_eq!(sum(&ops, "calls") as f64, number("dispatches"));
    assert!(ops.iter().all(|op| op["where"].as_str().is_some_and(|w| w.ends_with("cores"))), "{ops:?}");
    assert_eq!(cores.len(), 16);
    assert!(cores.iter().all(|c| c["busy_cycles"].as_u64() > Some(0)), "{cores:?}");
    assert!(sum(&cores, "macs") as f64 >= number("macs"), "the cores did less than the encoder asks for");

    let parts = |key: &str| report["predicted"][key].as_f64().unwrap_or_else(|| panic!("{key}"));
    let total = parts("array_ms") + parts("controller_ms") + parts("dispatch_ms");
    assert!((number("predicted_ms") / total - 1.0).abs() < 1e-9);
    // 100 mel frames of 10 ms.
    assert!((number("realtime_factor") * number("predicted_ms") / 1e3 - 1.0).abs() < 1e-9);
    assert!((number("mac_utilisation") * number("cycles") * 4096.0 / number("macs") - 1.0).abs() < 1e-9);
    assert!(number("l1_peak_bytes") <= 65_536.0 && number("l2_peak_bytes") <= 524_288.0);
    assert!(number("ddr_bytes") > 0.0 && number("wall_s") > 0.0);
}

#[test]
fn runs_are_equal_and_machines_change_predictions_only() {
    let folder = folder();
    let mut first = encode(&folder, "a.npy", &[]);
    let mut second = encode(&folder, "b.npy", &[]);
    let features = fs::read(folder.path("a.npy")).expect("written");
    assert_eq!(features, fs::read(folder.path("b.npy")).expect("written"));
    for report in [&mut first, &mut second] {
        report["wall_s"] = Value::Null;
        report["prepared_s"] = Value::Null;
        report["features"] = Value::Null;
    }
    assert_eq!(first, second);

    let desktop = encode(&folder, "c.npy", &["--profile", "desktop-8700g"]);
    assert_eq!(features, fs::read(folder.path("c.npy")).expect("written"));
    assert!(desktop["predicted_ms"].as_f64() < first["predicted_ms"].as_f64());

    let npu1 = include_str!("../../dsl/devices/npu1.yaml");
    let slow = npu1
        .replacen("objectfifo_call_cycles: {value: 13", "objectfifo_call_cycles: {value: 400", 1)
        .replacen("name: npu1", "name: slow", 1);
    let slow = folder.file("slow.yaml", slow.as_bytes());
    let slow = encode(&folder, "d.npy", &["--device", &slow]);
    assert_eq!(features, fs::read(folder.path("d.npy")).expect("written"));
    assert_eq!(slow["device"], "slow");
    assert!(slow["cycles"].as_u64() > first["cycles"].as_u64());
}

#[test]
fn bf16_equals_its_model_and_needs_no_calibration_again() {
    let folder = folder();
    let q = folder.arg("q.safetensors");
    let [speech, weights] = ["speech.wav", "good.safetensors"].map(|n| folder.arg(n));
    kiln(&["quantize", &weights, "--calibrate", &speech, "--scheme", "bf16", "--out", &q]).success();
    let on_array = encode(&folder, "array.npy", &["--scheme", "bf16"]);
    encode(&folder, "model.npy", &["--scheme", "bf16", "--backend", "model"]);
    let saved = folder.arg("saved.npy");
    kiln(&["encode", &speech, "--weights", &q, "--out", &saved]).success();
    let features = fs::read(folder.path("array.npy")).expect("written");
    for other in ["model.npy", "saved.npy"] {
        assert_eq!(features, fs::read(folder.path(other)).expect("written"), "{other}");
    }
    assert_eq!(on_array["scheme"], "bf16");
    // Of 16 cores that multiply 128 numbers of bf16 a cycle.
    let number = |key: &str| on_array[key].as_f64().unwrap_or_else(|| panic!("{key} in {on_array}"));
    assert!((number("mac_utilisation") * number("cycles") * 2048.0 / number("macs") - 1.0).abs() < 1e-9);
    encode(&folder, "bytes.npy", &[]);
    assert_ne!(features, fs::read(folder.path("bytes.npy")).expect("written"));
}

/// The document's plain int8 runs on the array like any scheme, on both devices, and says what it is for.
#[test]
fn plain_bytes_equal_their_model_and_are_labelled() {
    let folder = folder();
    let scheme = ["--scheme", "design-doc"];
    let on_array = encode(&folder, "array.npy", &scheme);
    encode(&folder, "document.npy", &[scheme[0], scheme[1], "--device", "design-document"]);
    encode(&folder, "model.npy", &[scheme[0], scheme[1], "--backend", "model"]);
    let features = fs::read(folder.path("array.npy")).expect("written");
    for other in ["document.npy", "model.npy"] {
        assert_eq!(features, fs::read(folder.path(other)).expect("written"), "{other}");
    }
    let note = on_array["scheme_note"].as_str().expect("a note");
    assert!(note.ends_with("for comparison"), "{note}");
    let plain = encode(&folder, "bytes.npy", &[]);
    assert!(plain["scheme_note"].is_null(), "{plain}");
    assert_ne!(features, fs::read(folder.path("bytes.npy")).expect("written"));

    let [speech, weights] = ["speech.wav", "good.safetensors"].map(|n| folder.arg(n));
    let text = kiln(&["encode", &speech, "--weights", &weights, scheme[0], scheme[1]]);
    assert!(text.out.contains(&format!("scheme    design-doc ({note}), calibrated on")), "{}", text.out);
}

/// Tiles shrink to what the design document's memories hold; what they compute does not change.
#[test]
fn the_design_documents_memories_change_no_bit() {
    let folder = folder();
    let on_npu1 = encode(&folder, "npu1.npy", &[]);
    let document = encode(&folder, "document.npy", &["--device", "design-document"]);
    let [npu1, on_document] =
        ["npu1.npy", "document.npy"].map(|f| fs::read(folder.path(f)).expect("written"));
    assert_eq!(npu1, on_document);
    assert_eq!(
        (&document["device"], &document["profile"]),
        (&"design-document".into(), &"document".into()),
        "{document}"
    );
    for (peak, limit) in [("l1_peak_bytes", 32_768), ("l2_peak_bytes", 65_536)] {
        assert!(document[peak].as_u64().is_some_and(|bytes| bytes <= limit), "{peak} of {document}");
    }
    let programs = |report: &Value| -> Vec<(String, u64)> {
        let programs = report["programs"].as_array().expect("programs").iter();
        programs
            .map(|p| (p["program"].as_str().expect("a name").into(), p["used"].as_u64().expect("bytes")))
            .collect()
    };
    let of_document = programs(&document);
    assert!(of_document.iter().all(|(_, used)| (1..=4096).contains(used)), "{document}");
    // Additions and norms are programs of their own, since one with all three is too long.
    let named = |all: &[(String, u64)], name: &str| all.iter().any(|(program, _)| program == name);
    assert!(named(&of_document, "residual_add") && named(&of_document, "layernorm"), "{document}");
    assert!(!named(&programs(&on_npu1), "layernorm"), "{on_npu1}");
    let [speech, weights] = ["speech.wav", "good.safetensors"].map(|n| folder.arg(n));
    let args = ["encode", &speech, "--weights", &weights];
    let on_document = ["--device", "design-document"];
    assert!(!kiln(&[&args[..], &on_document].concat()).out.contains("OVER"));
    assert!(!kiln(&args).out.contains("OVER"));
    // Attention in bf16 has no short form. The size of code is predicted and no bit hangs on it: the encoder runs, and
    // what is over is told.
    let bf16 = ["--scheme", "bf16"];
    let text = kiln(&[&args[..], &on_document, &bf16].concat()).out;
    assert!(text.contains("attention: OVER program memory by "), "{text}");
}

/// The array's own log-mel spectrogram: its bits are those of its kernels' references, and its time is told.
#[test]
fn the_array_makes_the_log_mel_spectrogram() {
    let folder = folder();
    let on_host = encode(&folder, "host.npy", &[]);
    let report = encode(&folder, "npu.npy", &["--mel", "npu"]);
    encode(&folder, "model.npy", &["--mel", "npu", "--backend", "model"]);
    let weights = EncoderWeights::load(&folder.path("good.safetensors"), None).expect("good weights");
    let (mels, frames) = (weights.config.mels, weights.config.frames());
    let audio = recording::read(&folder.path("speech.wav")).expect("a good recording");
    let window = |made: ndarray::Array2<f32>| mel::first_frames(made.view(), frames);
    let hosts = window(mel::log_mel(&audio.samples, mels));
    let arrays = window(kiln::kernels::mel::reference(&audio.samples, mels));
    let model = quantise::quantise(&weights, std::slice::from_ref(&hosts), Scheme::default());
    let exact = integer::encode(&model, &model.input(arrays.view()), &mut |_, _| ());
    let features = npy(&folder.path("npu.npy")).1;
    assert_eq!(features, model.dequantise(exact.view()).into_raw_vec_and_offset().0);
    assert_eq!(features, npy(&folder.path("model.npy")).1);

    assert_eq!((&on_host["mel"], &report["mel"]), (&"host".into(), &"npu".into()));
    assert!(on_host["mel_ms"].is_null(), "{on_host}");
    let number = |report: &Value, key: &str| report[key].as_u64().unwrap_or_else(|| panic!("{key}"));
    let op = report["ops"].as_array().and_then(|ops| ops.first()).expect("operations");
    assert_eq!((&op["name"], &op["where"]), (&"log_mel".into(), &"16 cores".into()));
    assert_eq!(number(&report, "cycles"), number(&on_host, "cycles") + number(op, "cycles"));
    assert_eq!(number(&report, "dispatches"), number(&on_host, "dispatches") + 1);
    assert!(report["mel_ms"].as_f64().is_some_and(|ms| ms > 0.5 && ms < 2.0), "{report}");
    assert!(report["predicted_ms"].as_f64() > on_host["predicted_ms"].as_f64());
}

#[test]
fn a_device_too_small_for_the_log_mel_design_says_so() {
    let folder = folder();
    let [audio, weights] = ["speech.wav", "good.safetensors"].map(|n| folder.arg(n));
    let args = ["encode", &audio, "--weights", &weights, "--mel", "npu", "--device", "design-document"];
    kiln(&args).error(&["log_mel", "design-document", "--mel host"]);
}

#[test]
fn a_trace_shows_every_dispatch() {
    let folder = folder();
    let trace = folder.arg("t.json");
    let report = encode(&folder, "f.npy", &["--trace", &trace, "--trace-events", "50"]);
    let plain = encode(&folder, "g.npy", &[]);
    assert_eq!(report["cycles"], plain["cycles"], "watching changes nothing");
    assert_eq!((&report["trace"]["file"], &plain["trace"]), (&trace.as_str().into(), &Value::Null));
    let written = fs::read_to_string(folder.path("t.json")).expect("a trace");
    let written: Value = serde_json::from_str(&written).expect("JSON");
    let events = written["traceEvents"].as_array().expect("events");
    let number = |of: &Value, key: &str| of[key].as_u64().unwrap_or_else(|| panic!("{key} in {of}"));
    assert!(number(&report["trace"], "events") <= 50 * number(&report, "dispatches"));
    assert!(number(&report["trace"], "left_out") > 0);
    let names: Vec<&str> = events.iter().filter_map(|e| e["name"].as_str()).collect();
    for op in report["ops"].as_array().expect("operations") {
        let name = op["name"].as_str().expect("a name");
        let shown = names.iter().filter(|n| **n == name).count() as u64;
        assert_eq!(shown, number(op, "calls"), "dispatches of {name}");
    }
    let waits = report["bottlenecks"].as_array().expect("bottlenecks");
    assert!(
        !waits.is_empty() && waits.iter().all(|w| w["text"].as_str().is_some_and(|t| t.contains("waits")))
    );
    let [audio, weights] = ["speech.wav", "good.safetensors"].map(|n| folder.arg(n));
    let model = ["encode", &audio, "--weights", &weights, "--backend", "model", "--trace", &trace];
    kiln(&model).error(&["--trace: only the simulated array has one"]);
    kiln(&["encode", &audio, "--weights", &weights, "--trace", &weights]).error(&["would replace an input"]);
}

#[test]
fn calibration_files_set_the_scales() {
    let folder = folder();
    let other = folder.file("other.wav", &wav(16_000, 1, 9_000));
    let report = encode(&folder, "f.npy", &["--calibrate", &other, "--calibrate", &folder.arg("speech.wav")]);
    assert_eq!(report["calibration"], "files");
    assert_eq!(report["calibration_files"].as_array().map(Vec::len), Some(2));
    assert_eq!(npy(&folder.path("f.npy")).0, [POSITIONS as u64, WIDTH as u64]);
}

#[test]
fn the_summary_is_for_people() {
    let folder = Folder::new();
    let audio = folder.file("long.wav", &wav(16_000, 1, 31 * 16_000));
    let weights = folder.file("w.safetensors", &safetensors(&small_encoder()));
    let outcome = kiln(&["encode", &audio, "--weights", &weights]);
    assert!(outcome.err.contains("no --calibrate"), "{}", outcome.err);
    let text = outcome.success();
    for part in [
        "31.00 s, 2 windows",
        "simulated cores",
        "PREDICTED, not measured",
        "w.safetensors",
        "16 cores",
        "not written",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert_eq!(folder.names(""), ["long.wav", "w.safetensors"]);
}

#[test]
fn every_window_of_a_recording_is_encoded() {
    let folder = folder();
    // Two windows of a recording with another rate and two channels; the first is the recording's first 30 s.
    let whole = wav(8_000, 2, 40 * 8_000);
    folder.file("whole.wav", &whole);
    let mut first = wav(8_000, 2, 30 * 8_000);
    first.truncate(44);
    first.extend(&whole[44..44 + 30 * 8_000 * 4]);
    folder.file("first.wav", &first);
    let encode = |audio: &str, out: &str| {
        let [audio, weights, out] = [audio, "good.safetensors", out].map(|n| folder.arg(n));
        let calibrate = folder.arg("speech.wav");
        let args =
            ["encode", &audio, "--weights", &weights, "--out", &out, "--calibrate", &calibrate, "--json"];
        serde_json::from_str::<Value>(&kiln(&args).success()).expect("one JSON object")
    };
    let report = encode("whole.wav", "whole.npy");
    let one = encode("first.wav", "first.npy");
    assert_eq!((&report["windows"], &one["windows"]), (&2.into(), &1.into()));
    assert_eq!(report["dispatches"].as_u64(), one["dispatches"].as_u64().map(|n| 2 * n));
    let ((shape, features), (_, expected)) = (npy(&folder.path("whole.npy")), npy(&folder.path("first.npy")));
    assert_eq!(shape, [2 * POSITIONS as u64, WIDTH as u64]);
    // The first window's last samples are resampled with what comes after them, far behind what the encoder reads.
    assert_eq!(features[..expected.len()], expected);
    assert_ne!(features[expected.len()..], expected);
}

/// Ctrl-C once the output is claimed, in the midst of the work on a whole window.
#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_nothing() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};
    let folder = folder();
    let (audio, out) = (folder.arg("speech.wav"), folder.arg("f.npy"));
    let mut child = crate::support::command(&["encode", &audio, "--out", &out])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kiln starts");
    let start = Instant::now();
    while !folder.names("").iter().any(|name| name.starts_with(".kiln-")) {
        assert!(start.elapsed() < Duration::from_secs(60), "the output was never claimed");
        assert!(child.try_wait().expect("a child").is_none(), "kiln ended before it was stopped");
        std::thread::sleep(Duration::from_millis(5));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    let output = child.wait_with_output().expect("kiln ends");
    let message = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(130), "{message}");
    assert!(message.contains("stopped; nothing was written"), "{message}");
    assert_eq!(folder.names(""), ["good.safetensors", "speech.wav"]);
}

/// The tiny encoder on a recording it was not calibrated on, against the f32 encoder's features.
#[test]
fn tiny_hears_what_the_float_encoder_hears() {
    let Some(data) = reference_data("whisper") else { return };
    let file = |name: &str| data.join(name).to_str().expect("UTF-8").to_owned();
    let folder = Folder::new();
    let (audio, weights, out) =
        (file("jfk.wav"), file("tiny_en_encoder_f16.safetensors"), folder.arg("f.npy"));
    let (first, second) = (file("calib_1.wav"), file("calib_2.wav"));
    let args = ["encode", &audio, "--model", "tiny", "--weights", &weights, "--out", &out, "--json"];
    let report = kiln(&[&args[..], &["--calibrate", &first, "--calibrate", &second]].concat()).success();
    let report: Value = serde_json::from_str(&report).expect("one JSON object");
    assert_eq!((&report["model"], &report["calibration"]), (&"tiny".into(), &"files".into()));

    let (shape, got) = npy(&folder.path("f.npy"));
    assert_eq!(shape, [1500, 384]);
    let mut golden = npyz::npz::NpzArchive::open(data.join("tiny_en_jfk_golden.npz")).expect("an archive");
    let exact = golden.by_name("final_full_f16").expect("readable").expect("in the archive");
    let exact: Vec<half::f16> = exact.into_vec().expect("16-bit floats");
    let exact: Vec<f64> = exact.into_iter().map(f64::from).collect();
    assert_eq!(got.len(), exact.len());
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let got: Vec<f64> = got.into_iter().map(f64::from).collect();
    let cosine = dot(&got, &exact) / (dot(&got, &got) * dot(&exact, &exact)).sqrt();
    println!("cosine with the f32 encoder: {cosine:.6}");
    assert!(cosine >= 0.99, "{cosine}");
}
