//! The IR text of every kernel of the catalogue reads back to the same text and still verifies.

use kiln_dsl::kernel::{parse_kernel, verify};
use kiln_kernels::catalogue::catalogue;

#[test]
fn every_kernel_survives_its_text() {
    for entry in catalogue() {
        let text = entry.kernel.to_string();
        let parsed = parse_kernel(&text, &entry.kernel.name).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(parsed.to_string(), text);
        let verified = verify(parsed).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(verified.values, entry.kernel.values, "{}", entry.kernel.name);
        assert_eq!(verified.blocks, entry.kernel.blocks, "{}", entry.kernel.name);
    }
}
