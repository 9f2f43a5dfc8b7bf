//! More than a mem tile holds. Case 6 of `mlir.md` section 4.

use super::*;

#[test]
fn mem_tile_overflow() {
    let deep = dispatch(|d| d.fifos[2].depths = vec![2, 65]);
    refused(deep, &["tile (0,1)", "532480 B of 524288 B", "8192 B over", "ab3_cons_buff_0"]);
}
