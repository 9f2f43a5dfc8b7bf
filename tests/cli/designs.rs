//! `kiln run` of designs.

use crate::support::kiln;
use serde_json::Value;

#[test]
fn a_design_runs_with_its_bottleneck_in_words() {
    let text = kiln(&["run", "relu2"]).success();
    assert!(text.contains("PREDICTED, not measured: ") && text.contains("phoenix-laptop"), "{text}");
    assert!(text.contains(" % of the time for FIFO "), "{text}");
    assert!(text.contains("every access to memory was checked"), "{text}");
    assert_eq!(text, kiln(&["run", "relu2"]).success());
    let json: Value = serde_json::from_str(&kiln(&["run", "relu2", "--json"]).success()).expect("JSON");
    let cycles = json["cycles"].as_u64().expect("a number");
    assert!(text.contains(&format!(" {cycles} cycles")), "{text}");
    let waits = json["bottlenecks"][0]["text"].as_str().expect("a text");
    assert!(text.contains(waits), "{waits} in {text}");
    assert_eq!(json["accesses_checked"], true);
}

#[test]
fn a_trace_is_written_whole_and_says_what_it_leaves_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.json");
    let file = path.to_str().expect("UTF-8");
    kiln(&["run", "relu2", "--trace", file]).success();
    let first = std::fs::read_to_string(&path).expect("a trace");
    kiln(&["run", "relu2", "--trace", file]).success();
    assert_eq!(first, std::fs::read_to_string(&path).expect("a trace"), "two runs, one trace");
    let trace: Value = serde_json::from_str(&first).expect("JSON");
    let has = |name: &str| trace["traceEvents"].as_array().expect("events").iter().any(|e| e["name"] == name);
    for name in ["LOCK_STALL", "INSTR_EVENT_0", "PORT_RUNNING_0", "thread_name"] {
        assert!(has(name), "{name}");
    }
    let text = kiln(&["run", "relu2", "--trace", file, "--trace-events", "50"]).success();
    assert!(text.contains("trace of 50 events in ") && text.contains(" left out"), "{text}");
    let short: Value = serde_json::from_slice(&std::fs::read(&path).expect("a trace")).expect("JSON");
    assert!(short["otherData"]["left out"][0].as_str().expect("a note").starts_with("relu2: "));
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing else is left there");
    let nowhere = folder.path().join("no/such/t.json");
    kiln(&["run", "relu2", "--trace", nowhere.to_str().expect("UTF-8")]).error(&["cannot write", "no/such"]);
}

#[test]
fn a_deadlock_is_told_as_a_circle_with_exit_code_1() {
    // The control object asks for more objects than the sequence sends.
    let folder = tempfile::tempdir().expect("a folder");
    let control = folder.path().join("control.bin");
    let words: Vec<u8> = (0..16).flat_map(|i| if i == 0 { 1000i32 } else { 0 }.to_le_bytes()).collect();
    std::fs::write(&control, words).expect("a file");
    let input = format!("z={}", control.display());
    let error = kiln(&["run", "dispatch", "--input", &input]).error(&[
        "design dispatch: deadlock at cycle",
        "Each waits for the next, the last for the first:",
        "core (0,2) in iteration 1 / ",
        "to drain from FIFO ab",
        "dispatch.rs:",
        "waits for the sequence to push one",
        "waits for a token of FIFO o",
    ]);
    assert!(!error.contains("help: the sequence runs"), "no depth helps: {error}");
}

#[test]
fn host_buffers_come_from_files_and_go_to_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let design: Value = serde_json::from_str(&kiln(&["run", "relu2", "--json"]).success()).expect("JSON");
    assert_eq!(design["design"], "relu2");
    kiln(&["run", "relu2", "--output", &format!("nothing={}", at("y"))])
        .error(&["no host buffer \"nothing\""]);
    std::fs::write(at("x"), [1, 2, 3]).expect("a file");
    let error = kiln(&["run", "relu2", "--input", "nothing"]);
    assert_eq!(error.code, Some(2));
    assert!(error.err.contains("BUFFER=FILE"), "{}", error.err);
}

#[test]
fn options_of_designs_are_refused_for_kernels() {
    kiln(&["run", "relu_i8", "--json"]).error(&["relu_i8 is a kernel", "--json is for designs"]);
}

/// Row blocks end before the rows of 16 bits that DMAs send, on both devices: what lies behind them is written, too.
#[test]
fn every_byte_of_row_wise_operations_is_written_before_it_is_read() {
    for device in ["npu1", "design-document"] {
        for name in ["layernorm", "layernorm_post", "residual_add"] {
            let text = kiln(&["run", name, "--device", device]).success();
            assert!(text.contains("every access to memory was checked"), "{name} on {device}: {text}");
        }
    }
}
