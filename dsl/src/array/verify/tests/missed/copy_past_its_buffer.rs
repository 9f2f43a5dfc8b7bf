//! A copy that runs past its host buffer. Case 1 of `mlir.md` section 4.

use super::*;

#[test]
fn copy_past_its_host_buffer() {
    refused(
        relu2(|d| copy(d, 0).1[3] = 65_540),
        &["in_l2", "element 65539", "buffer x, which has 65536", "examples.rs"],
    );
    // Inside by its sizes, outside by an offset in an outer dimension.
    let offset = |d: &mut Design| {
        let (offsets, sizes, strides, _) = copy(d, 1);
        (*offsets, *sizes, *strides) = ([0, 1, 0, 0], [1, 1, 4, 1024], [0, 65_536, 1024, 1]);
    };
    refused(relu2(offset), &["out_l2", "element 69631", "buffer y, which has 65536"]);
}
