//! Outputs that are no plain files, outputs that are one file, inputs without an end.

use super::{Folder, KILN, fails, kiln, sample, shell};
use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};

#[test]
fn standard_output_may_be_an_output() {
    let whole = Folder::new();
    let output = format!("y={}", whole.arg("y.bin"));
    assert!(kiln(&["run", "relu2", "--output", &output]).status.success());
    let expected = fs::read(whole.path("y.bin")).expect("a file");
    let piped = shell(&format!("{KILN} run relu2 --output y=/dev/stdout | head -c {}", expected.len()));
    assert_eq!(piped.stdout, expected);
    let file = whole.arg("both");
    let redirected = shell(&format!("{KILN} run relu2 --output y=/dev/stdout > {file}"));
    assert!(redirected.status.success());
    assert!(fs::read(&file).expect("a file").starts_with(&expected));
}

#[test]
fn links_pipes_and_devices_stay_what_they_are() {
    let folder = Folder::new();
    fs::write(folder.path("real"), "old").expect("a file");
    symlink("real", folder.path("link")).expect("a link");
    let output = format!("y={}", folder.arg("link"));
    assert!(kiln(&["run", "relu2", "--output", &output]).status.success());
    assert!(folder.path("link").is_symlink() && fs::metadata(folder.path("real")).expect("a file").len() > 3);
    assert!(kiln(&["run", "relu2", "--trace", "/dev/null"]).status.success());
    assert!(fs::metadata("/dev/null").expect("it").file_type().is_char_device());
    let pipe = folder.arg("pipe");
    let taken = shell(&format!(
        "mkfifo {pipe} && (timeout 60 wc -c < {pipe} & {KILN} run relu2 --trace {pipe} > /dev/null; wait)"
    ));
    assert!(String::from_utf8_lossy(&taken.stdout).trim().parse::<u64>().expect("a number") > 1000);
    assert!(fs::metadata(&pipe).expect("it").file_type().is_fifo());
}

#[test]
fn two_outputs_of_one_file_are_refused_before_any_work() {
    let folder = Folder::new();
    let (a, same) = (folder.arg("q"), folder.0.path().join("./q").to_str().expect("UTF-8").to_owned());
    let speech = sample();
    let runs: [&[&str]; 4] = [
        &["run", "relu2", "--output", &format!("y={a}"), "--trace", &same],
        &["run", "relu2", "--output", &format!("y={a}"), "--output", &format!("x={same}")],
        &["encode", &speech, "--out", &a, "--trace", &same],
        &[
            "quantize",
            "m.safetensors",
            "--calibrate",
            &speech,
            "--out",
            &a,
            "--report",
            &format!("{same}.json"),
        ],
    ];
    for args in &runs[..3] {
        fails(&kiln(args), &["cannot be one file"]);
    }
    fails(&kiln(runs[3]), &["m.safetensors"]);
    let replaced = ["run", "relu2", "--input", &format!("x={a}"), "--output", &format!("y={same}")];
    fails(&kiln(&replaced), &["would replace an input"]);
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}

#[test]
fn full_disks_leave_nothing_and_nobody_listening_is_no_reason_to_panic() {
    fails(&kiln(&["run", "relu2", "--trace", "/dev/full"]), &["/dev/full", "No space left"]);
    fails(&shell(&format!("{KILN} run relu2 > /dev/full")), &["No space left"]);
    let nobody = shell(&format!("{KILN} run nope 2> /dev/full"));
    assert_eq!(nobody.status.code(), Some(1));
    assert!(shell(&format!("{KILN} list | head -n 1")).status.success());
}

#[test]
fn inputs_without_an_end_are_read_up_to_a_limit() {
    fails(&kiln(&["insts", "--decode", "/dev/zero"]), &["/dev/zero: more than ", "an instruction stream"]);
    fails(&kiln(&["validate", "/dev/zero"]), &["/dev/zero: more than ", "measurements"]);
    fails(&kiln(&["run", "relu2", "--input", "x=/dev/zero"]), &["/dev/zero: more than ", "a host buffer"]);
    fails(&kiln(&["encode", "/dev/zero"]), &["/dev/zero: "]);
    fails(&kiln(&["run", "relu2", "--device", "/dev/zero"]), &["/dev/zero"]);
    let folder = Folder::new();
    symlink("/dev/zero", folder.path("endless.mlir")).expect("a link");
    fails(&kiln(&["lower", &folder.arg("endless.mlir")]), &["endless.mlir: more than ", "a design in MLIR"]);
}

#[test]
fn control_characters_of_names_are_shown() {
    let said = kiln(&["fit", "no\u{1b}[31mdesign"]);
    fails(&said, &["no\\u{1b}[31mdesign"]);
}
