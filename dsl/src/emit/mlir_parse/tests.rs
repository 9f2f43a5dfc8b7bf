//! The parser on text that is not what it should be.

use super::{design_of_mlir, parse_mlir};
use crate::array::{Design, examples, verify};
use crate::device::Device;
use crate::emit::emit_mlir;
use crate::sequence::Command;
use proptest::prelude::*;

fn emit(design: Design) -> String {
    let design = verify(design, Device::npu1()).expect("verifies");
    emit_mlir(&design, Device::npu1()).expect("prints")
}

fn dispatch() -> String {
    emit(examples::dispatch())
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

#[test]
fn places_are_lines_of_the_file() {
    let text = dispatch();
    let design = design_of_mlir(&parse_mlir(&text).expect("parses"), "d", Device::npu1()).expect("a design");
    let line = |start: &str| {
        text.lines().position(|l| l.trim_start().starts_with(start)).unwrap_or_else(|| panic!("{start}")) + 1
    };
    let fifo = &design.fifos[0];
    let declared = line(&format!("aie.objectfifo @{}(", fifo.name));
    assert_eq!(fifo.loc.to_string(), format!("d.mlir:{declared}"));
    assert_eq!(design.cores[0].loc.line as usize, line("%core_0_2"));
    let copies = design.sequence.commands.iter().map(|c| match c {
        Command::Copy { loc, .. } | Command::Wait { loc, .. } => loc.line as usize,
    });
    assert_eq!(copies.min(), Some(line("aiex.npu.")));
}

#[test]
fn words_are_read_through_a_view_of_their_object() {
    let text = dispatch();
    let read = |text: &str| design_of_mlir(&parse_mlir(text).expect("parses"), "d", Device::npu1());
    let whole = read(&text).expect("a design");
    let load =
        text.lines().find(|l| l.contains("memref.load %obj0[")).expect("a word of the first object").trim();
    let ty = load.rsplit(": ").next().expect("a type");
    let viewed = load.replace("%obj0[", "%seen[");
    let view = format!("%seen = memref.view %obj0[%c0][] : {ty} to {ty}\n{viewed}");
    assert_eq!(
        read(&text.replacen(load, &view, 1)).expect("a design").cores[0].body.len(),
        whole.cores[0].body.len()
    );
    let trips = |d: &Design| format!("{:?}", d.cores[0].body).matches("Word(").count();
    assert_eq!(trips(&read(&text.replacen(load, &view, 1)).expect("a design")), trips(&whole));
    assert!(trips(&whole) > 0);
}

/// mlir-aie's `AIEDmaToNpu` gives every copy that drains a token.
#[test]
fn a_copy_that_drains_has_a_token_without_asking_for_it() {
    let text = emit(examples::relu2());
    let asked = ", issue_token = true";
    let silent = text.replace(asked, "");
    assert!(text.contains(asked));
    let parsed = parse_mlir(&silent).expect("parses");
    let drains = text.lines().filter(|l| l.contains(asked) && l.contains("memcpy")).count();
    let given = parsed.tokens_given(Device::npu1());
    assert!(given.len() <= drains && !given.is_empty(), "{given:?}");
    assert!(
        given
            .iter()
            .all(|(line, fifo)| silent.lines().nth(line.0 as usize - 1).is_some_and(|l| l.contains(fifo)))
    );
    let design = design_of_mlir(&parsed, "relu2", Device::npu1()).expect("a design");
    verify(design, Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
}

fn nest(depth: usize) -> String {
    let text = dispatch();
    let call = text.lines().find(|l| l.contains("func.call @")).expect("a call");
    let open: String = (0..depth).map(|i| format!("scf.for %n{i} = %c0 to %c1 step %c1 {{\n")).collect();
    text.replacen(call, &format!("{open}{call}\n{}", "}\n".repeat(depth)), 1)
}

/// Each level once more, not twice as long: 2^200 walks would not end.
#[test]
fn loops_in_loops_are_walked_a_few_times_each() {
    let design =
        design_of_mlir(&parse_mlir(&nest(200)).expect("parses"), "nest", Device::npu1()).expect("a design");
    verify(design, Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn a_nest_that_is_too_deep_is_refused_at_once() {
    let error = parse_mlir(&nest(100_000)).expect_err("too deep");
    assert!(error.expected.contains("at most 256 blocks"), "{error}");
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
