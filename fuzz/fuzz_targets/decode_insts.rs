//! Any bytes are an instruction stream or an error; what is accepted encodes to itself and prints.
#![no_main]

use kiln_dsl::emit::{decode_insts, insts_from_bytes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(words) = insts_from_bytes(bytes) else { return };
    if let Ok(insts) = decode_insts(&words) {
        assert_eq!(insts.encode(), words);
        assert!(!insts.to_string().is_empty());
    }
});
