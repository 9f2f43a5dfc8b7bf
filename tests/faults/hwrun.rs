//! Folders of artifacts that were changed: what is run and compared is decided by the design.

use super::{Folder, HWRUN, fails, kiln};
use serde_json::{Value, json};
use std::fs;
use std::process::{Command, Output};

fn hwrun(args: &[&str]) -> Output {
    Command::new(HWRUN).args(args).env_remove("KILN_XRT").output().expect("the program starts")
}

/// An emitted design with a value of its manifest replaced.
fn changed(folder: &Folder, pointer: &str, value: Value) -> String {
    let design = folder.arg("relu2");
    assert!(kiln(&["emit", "relu2", "--out", &design]).status.success());
    let path = folder.path("relu2/manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
    *manifest.pointer_mut(pointer).expect("the manifest has it") = value;
    fs::write(&path, manifest.to_string()).expect("a file");
    design
}

#[test]
fn the_manifest_cannot_switch_the_comparison_off() {
    let folder = Folder::new();
    for (pointer, value, told) in [
        ("/buffers/1/direction", json!("in"), "buffers[1].direction is \"in\", expected \"out\""),
        ("/buffers/0/bytes", json!(1u64 << 60), "buffers[0].bytes is 1152921504606846976"),
        ("/launch/instruction_words", json!(0), "launch.instruction_words is 0"),
        ("/limits/program_bytes", json!(1), "limits.program_bytes is 1"),
    ] {
        let design = changed(&folder, pointer, value);
        let run = hwrun(&["run", &design, "--xrt", "simulated", "--fault", "wrong-bit"]);
        fails(&run, &["manifest.json is not the one of its content", told, "help: emit the design again"]);
        fails(&hwrun(&["bench", &design, "--xrt", "simulated", "-i", "1"]), &[told]);
    }
}

#[test]
fn files_of_a_manifest_lie_in_its_folder() {
    let folder = Folder::new();
    for path in ["../relu2/aie.mlir", "/etc/hostname", "kernels/../aie.mlir"] {
        let design = changed(&folder, "/files/0/path", json!(path));
        let run = hwrun(&["run", &design, "--xrt", "simulated"]);
        fails(&run, &[path, "leads out of the folder"]);
    }
}

#[test]
fn lists_longer_than_a_driver_takes_are_refused() {
    let run = hwrun(&["bench", "x", "--xrt", "simulated", "--list", "4000000000"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&run.stderr).contains("4000000000 is not in"));
}
