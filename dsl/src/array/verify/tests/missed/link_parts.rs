//! A link whose parts are not its whole. Case 5 of `mlir.md` section 4.

use super::*;

#[test]
fn link_whose_parts_do_not_add_up() {
    let short = relu2(|d| d.fifos[0].object = i8s(4000));
    refused(short, &["in_c1", "2048 to 4000 of in_l2", "2048 B", "1952 B", "hangs"]);
    // A join that leaves a gap, and one whose parts overlap.
    for offset in [2052, 2044] {
        refused(relu2(|d| d.links[1].source_offsets = vec![0, offset]), &["out_c1", "out_l2", "2048 B"]);
    }
}
