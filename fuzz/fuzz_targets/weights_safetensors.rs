#![no_main]
//! safetensors files: any bytes that begin as no other format does.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| kiln_fuzz::weights(data.to_vec()));
