//! More repeats of a copy than the field holds. Case 3 of `mlir.md` section 4.

use super::*;

#[test]
fn sixty_five_repeats() {
    let repeats = |n: u64| move |d: &mut Design| (copy(d, 0).1[0], copy(d, 0).1[3]) = (n, 4);
    refused(relu2(repeats(65)), &["in_l2", "size 65 of dimension 0", "1 to 64"]);
    let allowed = errors(relu2(repeats(64)));
    assert!(!allowed.iter().any(|e| matches!(e, ArrayError::CopySize { .. })), "{allowed:?}");
}
