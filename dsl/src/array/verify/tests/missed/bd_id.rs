//! A shim BD that does not exist: its registers are those that control the channels. Case 2 of `mlir.md` section 4.

use super::*;

#[test]
fn shim_bd_beyond_the_last() {
    refused(relu2(|d| *copy(d, 0).3 = 16), &["in_l2", "BD 16", "0 to 15", "control registers"]);
}
