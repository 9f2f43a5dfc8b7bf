//! `kiln list` and `kiln run`.

use crate::support::{command, design_names, kiln};
use std::process::Stdio;

/// Whether a list is one name per line, each once.
fn assert_names(text: &str) {
    let names: Vec<&str> = text.lines().collect();
    assert!(!names.is_empty());
    for (i, name) in names.iter().enumerate() {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.';
        assert!(!name.is_empty() && name.chars().all(plain), "{name:?}");
        assert!(!names[..i].contains(name), "{name} twice");
    }
}

#[test]
fn names_of_kernels_and_designs() {
    let kernels = kiln(&["list"]).success();
    assert_names(&kernels);
    assert!(kernels.lines().any(|name| name == "relu_i8"), "{kernels}");
    let designs = design_names();
    assert_names(&designs.join("\n"));
    for name in ["relu2", "mm4x4", "dispatch", "attention", "attention.bf16", "attention.design-doc"] {
        assert!(designs.iter().any(|n| n == name), "{name} in {designs:?}");
    }
    let text = kiln(&["list", "--designs"]).success();
    let schemes = |name: &str| {
        let mut lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.find(|words| words[0] == name).map(|words| words[1..].join(" ")).expect("listed")
    };
    assert_eq!((schemes("relu2"), schemes("attention")), (String::new(), "w8a8 w8a8-static".into()));
    kiln(&["run", "attention.bf16"]).error(&["attention.bf16 has no example data"]);
}

#[test]
fn a_kernel_equals_its_reference_everywhere() {
    let text = kiln(&["run", "matmul_i8_i32_16x16x16", "--seed", "3"]).success();
    for way in ["interpreter", "compiled path", "native C++"] {
        assert!(
            text.contains(&format!("{way}: equals the reference in all 3072 bytes of 3 cases")),
            "{text}"
        );
    }
    assert!(
        text.contains("random data: ") && text.contains(" cycles and 4096 MACs predicted on npu1"),
        "{text}"
    );
    assert_eq!(text, kiln(&["run", "matmul_i8_i32_16x16x16", "--seed", "3"]).success());
}

#[test]
fn without_a_compiler_the_simulator_still_runs() {
    let output = command(&["run", "relu_i8"]).env("CXX", "no-such-compiler").output().expect("kiln starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0));
    assert!(text.contains("native C++: not run: no C++ compiler") && text.contains("g++"), "{text}");
}

#[test]
fn unknown_kernels_are_refused() {
    kiln(&["run", "matmul_i9"]).error(&["no kernel or design is named \"matmul_i9\"", "kiln list"]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child =
        command(&["list"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kiln starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("kiln ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).expect("UTF-8"), "");
}
