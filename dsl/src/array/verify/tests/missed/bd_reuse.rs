//! A BD pushed again while its task may still run. Case 4 of `mlir.md` section 4.

use super::*;

#[test]
fn bd_pushed_again_before_its_task_was_awaited() {
    refused(relu2(|d| *copy(d, 1).3 = 0), &["out_l2", "BD 0 of tile (0,0)", "still belongs", "wait"]);
}
