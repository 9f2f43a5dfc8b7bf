//! Printed designs: the text, and that it says what the hand-written designs of `data/mlir` say.

use super::emit_mlir;
use crate::array::{Design, examples, verify};
use crate::device::Device;
use crate::emit::parse_mlir;

fn print(design: Design) -> String {
    let design = verify(design, Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
    emit_mlir(&design, Device::npu1()).expect("prints")
}

fn equals_file(design: Design) {
    let Some(folder) = examples::shared_mlir() else { return };
    let file = folder.join(format!("{}.mlir", design.name));
    let theirs = std::fs::read_to_string(file).expect("readable");
    let ours = print(design);
    let (ours, theirs) = (parse_mlir(&ours), parse_mlir(&theirs));
    assert_eq!(ours.expect("ours parses"), theirs.expect("theirs parses"));
}

#[test]
fn relu2_text() {
    insta::assert_snapshot!(print(examples::relu2()));
}

#[test]
fn mm4x4_text() {
    insta::assert_snapshot!(print(examples::mm4x4()));
}

#[test]
fn dispatch_text() {
    insta::assert_snapshot!(print(examples::dispatch()));
}

#[test]
fn the_examples_are_the_files() {
    examples::all().into_iter().for_each(equals_file);
}

#[test]
fn a_changed_design_is_not_the_file() {
    let mut design = examples::relu2();
    design.fifos[1].depths = vec![2, 3];
    let (changed, original) = (parse_mlir(&print(design)), parse_mlir(&print(examples::relu2())));
    assert_ne!(changed.expect("parses"), original.expect("parses"));
}

#[test]
fn printing_is_deterministic() {
    assert_eq!(print(examples::mm4x4()), print(examples::mm4x4()));
}
