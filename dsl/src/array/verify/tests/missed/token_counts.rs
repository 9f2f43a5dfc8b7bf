//! Deadlocks that counting objects shows. Case 10 of `mlir.md` section 4.

use super::*;

/// The static part; what only a run shows is the simulator's to find.
#[test]
fn deadlock_by_token_counts() {
    // Half of what the cores make is fetched.
    refused(relu2(|d| copy(d, 1).1[3] = 32_768), &["in_c0", "16", "8", "make the copies move"]);
    // A release is missing.
    let kept = relu2(|d| {
        turn(d).retain(|s| !matches!(s, Stmt::Release { port: Port::Consume, .. }));
    });
    refused(kept, &["core (0,2)", "in_c0", "0 objects", "1 after a turn", "release"]);
}
