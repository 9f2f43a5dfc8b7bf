//! Any bytes are a bundle or an error; what is decoded encodes to its bytes, and its text is the same bundle.
#![no_main]

use kiln_dsl::machine::Bundle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(bundle) = Bundle::decode(bytes) else { return };
    let text = bundle.to_string();
    if let Ok(again) = bundle.encode() {
        assert_eq!(again, bytes[..again.len()], "{text}");
        let parsed: Bundle = text.parse().expect("printed text is read back");
        assert_eq!(parsed.to_string(), text);
    }
});
