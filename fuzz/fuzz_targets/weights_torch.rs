#![no_main]
//! PyTorch archives.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| kiln_fuzz::weights(kiln_fuzz::with_magic(b"PK\x03\x04", data)));
