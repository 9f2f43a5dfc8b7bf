//! `kiln inspect`.

use crate::support::{Folder, kiln};
use std::fs;

#[test]
fn a_stream_is_told_as_insts_tells_it() {
    let folder = Folder::new();
    let file = folder.arg("any.name");
    let text = kiln(&["insts", "relu2", "--text", "--out", &file]).success();
    assert_eq!(kiln(&["inspect", &file]).success(), text);
    let json = kiln(&["inspect", &file, "--json"]).success();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["file"], "insts");
    assert_eq!(json["lines"].as_array().map(Vec::len), Some(text.lines().count()));
}

#[test]
fn the_seeds_of_the_fuzzer_are_told() {
    for (file, first) in [
        ("relu2.xclbin", "xclbin for xilinx_v1_ipu_0_0, uuid "),
        ("relu2.cdo", "configuration of "),
        ("core.elf", "program of a core, entry 0x0, flags 2\n"),
    ] {
        let path = format!("{}/fuzz/seeds/inspect/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = kiln(&["inspect", &path]).success();
        assert!(text.starts_with(first), "{text}");
        let json = kiln(&["inspect", &path, "--json"]).success();
        serde_json::from_str::<serde_json::Value>(&json).expect("JSON");
    }
}

#[test]
fn what_is_none_of_these_files_is_refused() {
    let folder = Folder::new();
    let whole =
        fs::read(format!("{}/fuzz/seeds/inspect/relu2.xclbin", env!("CARGO_MANIFEST_DIR"))).expect("a seed");
    let file = folder.file("cut.xclbin", &whole[..whole.len() / 2]);
    kiln(&["inspect", &file]).error(&[&file, "the header states", "help: the file is cut off"]);
    for content in [&b""[..], b"abc", &[0; 64], b"\x7FELF"] {
        let file = folder.file("noise", content);
        kiln(&["inspect", &file]).error(&[&file]);
    }
    kiln(&["inspect", "/nonexistent/x.pdi"]).error(&["/nonexistent/x.pdi"]);
}
