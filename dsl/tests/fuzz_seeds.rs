//! What fuzzing starts from and what it once found, run as plain tests: see `fuzz/README.md`.

use kiln_dsl::container::{Cdo, Xclbin, inspect};
use kiln_dsl::device::Device;
use kiln_dsl::emit::{decode_insts, insts_from_bytes, parse_mlir};
use std::path::Path;

/// Files of a target, by name.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let entries = folder.read_dir().expect("seeds").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<(String, Vec<u8>)> =
        entries.map(|path| (path.display().to_string(), std::fs::read(&path).expect("readable"))).collect();
    files.sort();
    assert!(!files.is_empty(), "{target}");
    files
}

#[test]
fn streams_decode_to_themselves_or_are_refused() {
    for (name, bytes) in seeds("decode_insts") {
        let Ok(words) = insts_from_bytes(&bytes) else { continue };
        if let Ok(insts) = decode_insts(&words) {
            assert_eq!(insts.encode(), words, "{name}");
            assert!(!insts.to_string().is_empty(), "{name}");
        }
    }
}

#[test]
fn text_is_a_design_or_an_error_with_a_place() {
    for (name, bytes) in seeds("parse_mlir") {
        if let Err(e) = parse_mlir(&String::from_utf8_lossy(&bytes)) {
            assert!(e.line >= 1 && e.column >= 1, "{name}: {e}");
        }
    }
}

#[test]
fn files_are_told_of_or_refused() {
    let mut told = 0;
    for (name, bytes) in seeds("inspect") {
        match inspect(&bytes, Device::npu1()) {
            Ok(report) => told += usize::from(!report.to_string().is_empty()),
            Err(e) => assert!(!e.to_string().is_empty(), "{name}"),
        }
        if let Ok(cdo) = Cdo::read(&bytes) {
            assert_eq!(cdo.to_bytes(), bytes, "{name}");
        }
        if let Ok(xclbin) = Xclbin::read(&bytes) {
            assert_eq!(xclbin.to_bytes(), bytes, "{name}");
        }
    }
    assert!(told >= 3, "{told}");
}
