//! `hwrun` end to end: folders from `kiln emit`, on the simulated device, with faults to order.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Exit code, standard output and standard error.
type Outcome = (Option<i32>, String, String);

fn program(path: &str, args: &[&str]) -> Outcome {
    let output = Command::new(path).args(args).env_remove("KILN_XRT").output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn hwrun(args: &[&str]) -> Outcome {
    program(env!("CARGO_BIN_EXE_hwrun"), args)
}

/// A folder with an emitted design in it.
struct Emitted {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Emitted {
    fn new(design: &str) -> Emitted {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(design);
        emit(design, &path);
        Emitted { _folder: folder, path }
    }

    fn arg(&self) -> &str {
        self.path.to_str().expect("UTF-8")
    }

    /// `hwrun COMMAND` of the folder on the simulated device.
    fn hwrun(&self, command: &str, more: &[&str]) -> Outcome {
        hwrun(&[&[command, self.arg(), "--xrt", "simulated", "--timeout-ms", "50"], more].concat())
    }
}

fn emit(design: &str, folder: &Path) {
    let folder = folder.to_str().expect("UTF-8");
    let (code, _, err) = program(env!("CARGO_BIN_EXE_kiln"), &["emit", design, "--out", folder]);
    assert_eq!(code, Some(0), "{err}");
}

#[track_caller]
fn has(text: &str, words: &[&str]) {
    words.iter().for_each(|word| assert!(text.contains(word), "expected {word:?} in\n{text}"));
}

#[test]
fn a_run_is_compared_and_timed() {
    for (design, output) in [("relu2", "y"), ("cascade", "y"), ("dispatch", "y")] {
        let folder = Emitted::new(design);
        let (code, out, err) = folder.hwrun("run", &[]);
        assert_eq!(code, Some(0), "{err}");
        has(
            &out,
            &[
                &format!("{design} on the SIMULATED device (no hardware ran), inputs of seed 1"),
                &format!("  {output}: equals the simulator in all "),
                "  predicted ",
                "x predicted (time of the simulation, not of hardware)",
            ],
        );
    }
    let folder = Emitted::new("relu2");
    let (code, out, err) = folder.hwrun("run", &["--seed", "9", "--json"]);
    assert_eq!(code, Some(0), "{err}");
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(json["seed"], 9);
    assert_eq!(json["outputs"][0]["differing_bytes"], 0);
    assert!(json["predicted_cycles"].as_u64().expect("cycles") > 0);
    let (code, out, err) = folder.hwrun("bench", &["--iters", "3", "--warmup", "1", "--list", "2"]);
    assert_eq!(code, Some(0), "{err}");
    has(&out, &["bits: equal to the simulator's", "3 runs after 1", "in a list of 2: "]);
}

#[test]
fn every_fault_has_its_message_and_remedy() {
    let folder = Emitted::new("relu2");
    for (fault, words) in [
        ("no-device", ["No such device with index '0'", "hwrun doctor"]),
        ("permission", ["may not open the NPU", "usermod -aG render"]),
        ("memlock", ["B could not be locked in memory", "ulimit -l unlimited"]),
        ("no-context", ["gives no context; it has 6", "end other programs"]),
        ("firmware", ["ERT_CMD_STATE_ABORT at once", "install firmware and amdxdna from one source"]),
        ("timeout", ["not done after 50 ms, and taken back; predicted", "help: a deadlock"]),
        ("device-lost", ["the NPU went away during the run", "modprobe amdxdna"]),
    ] {
        let (code, out, err) = folder.hwrun("run", &["--fault", fault]);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{fault}: {err}");
        assert!(err.starts_with("error: "), "{err}");
        has(&err, &words);
    }
    // After runs that were completed, an abort is no matter of the firmware's version.
    let (code, _, err) = folder.hwrun("bench", &["--fault", "abort:2"]);
    assert_eq!(code, Some(1));
    has(&err, &["relu2: the run ended as ERT_CMD_STATE_ABORT", "dmesg"]);

    let (code, out, _) = folder.hwrun("run", &["--fault", "wrong-bit"]);
    assert_eq!(code, Some(1));
    has(&out, &["y: DIFFERS from the simulator in 1 of 65536 bytes, first in element "]);
    let (code, _, err) = folder.hwrun("bench", &["--fault", "wrong-bit"]);
    assert_eq!(code, Some(1));
    has(&err, &["the results differ from the simulator's"]);

    let (code, _, err) = folder.hwrun("run", &["--fault", "fire"]);
    assert_eq!(code, Some(1));
    has(&err, &["no fault is named \"fire\"", "wrong-bit"]);
    let (code, _, err) = hwrun(&["run", folder.arg(), "--fault", "abort"]);
    assert_eq!(code, Some(1));
    has(&err, &["--fault is for --xrt simulated"]);
}

#[test]
fn what_was_not_built_from_its_manifest_does_not_run() {
    let folder = Emitted::new("relu2");
    // A real device wants an xclbin.
    let (code, _, err) = hwrun(&["run", folder.arg()]);
    assert_eq!(code, Some(1));
    has(&err, &["built.json", "help: run build.sh of this folder"]);

    // A changed kernel.
    let kernel = folder.path.join("kernels/relu_i8.cc");
    let source = std::fs::read_to_string(&kernel).expect("emitted");
    std::fs::write(&kernel, format!("{source}//")).expect("written");
    let (code, _, err) = folder.hwrun("run", &[]);
    assert_eq!(code, Some(1));
    has(&err, &["kernels/relu_i8.cc: not as emitted", "help: emit the design again"]);
    std::fs::write(&kernel, source).expect("written");

    // A stale binary, and one that build.sh did not make.
    let manifest = kiln::dsl::emit::Manifest::read(&folder.path).expect("a manifest");
    let built = |content: String| {
        let hash = kiln::dsl::emit::bundle::Sha::of(b"xclbin");
        let text = format!(
            r#"{{"format": 1, "content": "{content}", "aiecc": "a", "peano": "p", "xclbin_sha256": "{hash}", "cores": []}}"#
        );
        std::fs::write(folder.path.join("built.json"), text).expect("written");
    };
    std::fs::write(folder.path.join("final.xclbin"), "xclbin").expect("written");
    built("0".repeat(64));
    let (code, _, err) = folder.hwrun("run", &[]);
    assert_eq!(code, Some(1));
    has(&err, &["final.xclbin: built from content 000", "a stale binary", "run build.sh again"]);
    built(manifest.content.to_string());
    assert_eq!(folder.hwrun("run", &[]).0, Some(0));
    std::fs::write(folder.path.join("final.xclbin"), "xclbim").expect("written");
    let (code, _, err) = folder.hwrun("run", &[]);
    assert_eq!(code, Some(1));
    has(&err, &["final.xclbin: SHA-256", "build.sh made"]);

    let (code, _, err) = hwrun(&["run", "/nonexistent", "--xrt", "simulated"]);
    assert_eq!(code, Some(1));
    has(&err, &["/nonexistent/manifest.json", "kiln emit DESIGN --out DIR"]);
}

#[test]
fn a_program_without_xrt_says_so() {
    if kiln::hw::xrt_sys::Xrt::real().is_some() {
        println!("skipped: built with XRT");
        return;
    }
    let folder = Emitted::new("relu2");
    let manifest = kiln::dsl::emit::Manifest::read(&folder.path).expect("a manifest");
    let hash = kiln::dsl::emit::bundle::Sha::of(b"xclbin");
    let content = manifest.content;
    let text = format!(
        r#"{{"format": 1, "content": "{content}", "aiecc": "a", "peano": "p", "xclbin_sha256": "{hash}", "cores": []}}"#
    );
    std::fs::write(folder.path.join("built.json"), text).expect("written");
    std::fs::write(folder.path.join("final.xclbin"), "xclbin").expect("written");
    let (code, _, err) = hwrun(&["run", folder.arg()]);
    assert_eq!(code, Some(1));
    has(&err, &["built without XRT: install libxrt-dev and libxrt-npu2, rebuild"]);
}

#[test]
fn a_whole_encoder_needs_the_artifacts_of_all_its_designs() {
    let folder = tempfile::tempdir().expect("a folder");
    let audio = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/speech.wav");
    let of = folder.path().to_str().expect("UTF-8");
    let encode =
        |more: &[&str]| hwrun(&[&["encode", audio, "--artifacts", of, "--xrt", "simulated"], more].concat());
    emit("fc2", &folder.path().join("fc2"));
    let (code, _, err) = encode(&[]);
    assert_eq!(code, Some(1));
    has(&err, &["conv1_gelu/manifest.json", "layernorm_post/manifest.json"]);
    assert!(!err.contains("fc2/manifest.json"), "{err}");
}

#[test]
fn the_doctor_looks_at_everything() {
    let (code, out, err) = hwrun(&["doctor"]);
    assert!(err.is_empty(), "{err}");
    has(&out, &["kernel: ", "driver: ", "locked memory: ", "XRT: ", "Peano: ", "aiecc: ", "xclbinutil: "]);
    let runs = kiln::hw::npu_status().is_ok();
    assert_eq!(code, Some(i32::from(!runs)), "{out}");
    has(&out, &[if runs { "designs can run here" } else { "designs cannot run here" }]);
    // Each lack has its remedy.
    let missing = out.lines().filter(|l| l.starts_with("MISSING")).count();
    assert!(out.matches("help: ").count() >= missing.min(1), "{out}");
}
