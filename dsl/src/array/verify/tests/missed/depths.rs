//! More objects acquired than there are, and depths that are not built. Case 8 of `mlir.md` section 4.

use super::*;

#[test]
fn acquire_deeper_than_the_fifo() {
    let three = relu2(|d| match &mut turn(d)[0] {
        Stmt::Acquire { objects, .. } => *objects = vec![ObjectId(0), ObjectId(2), ObjectId(3)],
        other => panic!("{other:?}"),
    });
    refused(three, &["core (0,2)", "acquires 3 objects of fifo in_c0", "holds 2"]);
}

/// A declared depth is what is built, since emitted FIFOs list a depth for every end.
#[test]
fn depth_that_is_not_the_built_one() {
    for depths in [[1, 1], [4, 1], [2, 4], [3, 3]] {
        let design = relu2(|d| d.fifos[1].depths = depths.to_vec());
        let verified = verify(design, Device::npu1()).expect("any depth");
        let lowered = crate::array::lower(&verified, Device::npu1(), Default::default()).expect("lowers");
        let buffers = lowered.tiles[&CORE].buffers.iter().filter(|b| b.name.starts_with("in_c0_cons_buff_"));
        assert_eq!(buffers.count() as u32, depths[1]);
        let text = crate::emit::emit_mlir(&verified, Device::npu1()).expect("emits");
        let list = format!("[{}, {}]", depths[0], depths[1]);
        let line = text.lines().find(|l| l.contains("objectfifo @in_c0(")).expect("declared");
        assert!(line.contains(&list), "{line}");
    }
}
