#![no_main]
//! whisper.cpp's ggml files.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| kiln_fuzz::weights(kiln_fuzz::with_magic(b"lmgg", data)));
