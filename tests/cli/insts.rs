//! `kiln insts`.

use crate::support::{Folder, design_names, kiln, reference_data};
use std::fs;

#[test]
fn every_design_has_a_stream_that_decodes_to_its_words() {
    let folder = Folder::new();
    for name in &design_names() {
        let file = folder.arg("insts.bin");
        let text = kiln(&["insts", name, "--text", "--out", &file]).success();
        assert_eq!(kiln(&["insts", "--decode", &file]).success(), text, "{name}");
        let words = kiln(&["insts", name]).success();
        let bytes = fs::read(&file).expect("the stream was written");
        assert_eq!(words.lines().count() * 4, bytes.len(), "{name}");
    }
}

#[test]
fn the_examples_are_the_recorded_streams() {
    let Some(data) = reference_data("mlir") else { return };
    for name in ["relu2", "mm4x4", "dispatch", "cascade"] {
        let recorded = fs::read_to_string(data.join(format!("{name}.insts.txt"))).expect("readable");
        assert_eq!(kiln(&["insts", name]).success(), recorded, "{name}");
    }
}

#[test]
fn what_is_no_stream_is_refused() {
    let folder = Folder::new();
    for content in [&b""[..], b"abc", &[0; 16], &[0xff; 64]] {
        let file = folder.file("insts.bin", content);
        kiln(&["insts", "--decode", &file]).error(&[&file]);
    }
    kiln(&["insts", "--decode", "/nonexistent/insts.bin"]).error(&["/nonexistent/insts.bin"]);
    kiln(&["insts", "nope"]).error(&["nope", "kiln list --designs"]);
}
