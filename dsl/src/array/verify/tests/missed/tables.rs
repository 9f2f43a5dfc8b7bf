//! Constant tables against the free data memory. Case 10 of `mlir.md` section 4.

use super::*;

#[test]
fn tables_count_against_l1() {
    let big = views(|d| {
        let bytes = vec![0; 62_000];
        (d.locals[0].ty, d.locals[0].init) = (i8s(62_000), Some(bytes));
    });
    refused(big, &["tile (0,2)", "65536 B", "lut 62000 B"]);
}
