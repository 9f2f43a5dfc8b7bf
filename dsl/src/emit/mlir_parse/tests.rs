//! The parser on text that is not what it should be.

use super::parse_mlir;
use crate::array::{examples, verify};
use crate::device::Device;
use crate::emit::emit_mlir;
use proptest::prelude::*;

fn dispatch() -> String {
    let design = verify(examples::dispatch(), Device::npu1()).expect("verifies");
    emit_mlir(&design, Device::npu1()).expect("prints")
}

#[test]
fn a_cast_that_loses_its_offset_is_refused() {
    let view = "memref.view %obj2[%c0][] : memref<8192xi8> to memref<4096xi8>";
    let cast = |offset: u32| {
        let cast = "memref.reinterpret_cast %obj2 to offset: [OFFSET], sizes: [4096], strides: [1] : \
                    memref<8192xi8> to memref<4096xi8>";
        dispatch().replace(view, &cast.replace("OFFSET", &offset.to_string()))
    };
    assert_eq!(parse_mlir(&cast(0)), parse_mlir(&dispatch()));
    let error = parse_mlir(&cast(512)).expect_err("the offset is lost in calls");
    assert!(error.to_string().contains("write memref.view"), "{error}");
}

#[test]
fn errors_say_where() {
    let text = dispatch().replace("func.call @gelu(%obj1)", "func.call @gelu(%obj9)");
    let error = parse_mlir(&text).expect_err("no such value");
    let line = text.lines().position(|l| l.contains("%obj9")).expect("replaced") + 1;
    assert_eq!(error.line, line, "{error}");
    assert!(error.expected.contains("%obj9"), "{error}");
    let error = parse_mlir("module {\n  aie.device(npu1) {\n    aie.flow(%a, DMA : 0)")
        .expect_err("not in the subset");
    assert_eq!((error.line, error.column), (3, 5), "{error}");
}

proptest! {
    #[test]
    fn damaged_text_is_an_error_or_a_design_but_no_panic(at in 0usize..4000, cut in 0usize..40, put in ".{0,6}") {
        let mut text = dispatch();
        let floor = |at: usize| (0..=at.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
        let (from, to) = (floor(at), floor(at + cut));
        text.replace_range(from..to, &put);
        let _ = parse_mlir(&text);
        let _ = parse_mlir(&text[..from]);
    }
}
