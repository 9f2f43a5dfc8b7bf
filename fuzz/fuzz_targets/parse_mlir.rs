//! Any text is a design or an error with a place.
#![no_main]

use kiln_dsl::emit::parse_mlir;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(e) = parse_mlir(text) {
        assert!(e.line >= 1 && e.column >= 1, "{e}");
    }
});
