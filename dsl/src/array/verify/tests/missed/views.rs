//! Parts of objects as arguments. Case 11 of `mlir.md` section 4.

use super::*;

/// Parts of objects reach kernels as `memref.view`, whose offset the toolchain keeps.
#[test]
fn offset_of_a_view() {
    let verified = verify(examples::views(), Device::npu1()).expect("verifies");
    let text = crate::emit::emit_mlir(&verified, Device::npu1()).expect("emits");
    assert!(text.contains("memref.view") && text.contains("arith.constant 512 : index"), "{text}");
    assert!(!text.contains("reinterpret_cast") && !text.contains("memref.subview"), "{text}");
}
