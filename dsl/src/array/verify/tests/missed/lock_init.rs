//! A lock that starts above its maximum. Case 7 of `mlir.md` section 4.

use super::*;

#[test]
fn lock_that_starts_above_its_maximum() {
    let deep = dispatch(|d| (d.fifos[1].depths, d.fifos[2].depths) = (vec![64, 2], vec![2, 64]));
    refused(deep, &["tile (0,1)", "ab3_cons", "depth 64", "63"]);
}
