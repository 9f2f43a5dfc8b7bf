//! The emitted MLIR through LLVM's own `mlir-opt`, where it is installed.
//!
//! It knows `func`, `scf`, `arith`, `memref` and builtin types and attributes; of the AIE dialects it is told by
//! `data/aie.irdl.mlir`, facts of mlir-aie's ODS. Their operations are written in the generic form, which any MLIR tool
//! reads, with the names of the ODS, and what they wrap becomes functions: each core, with the buffers and tiles of the
//! array as arguments, and the sequence. The real parser and verifier then check attributes, operands and results of AIE
//! operations, and loops, switches, constants, casts, views, calls against their declarations, constants' bytes, and that
//! values are defined before they are used.

use super::runner;
use kiln_dsl::device::Device;
use kiln_dsl::emit::emit_mlir;
use kiln_kernels::designs;
use std::io::Write;
use std::process::{Command, Stdio};

/// The tool under Debian's name and its own.
const NAMES: [&str; 2] = ["mlir-opt-22", "mlir-opt"];

fn mlir_opt() -> Option<&'static str> {
    let runs = |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success());
    NAMES.into_iter().find(runs)
}

/// Feeds text to the tool; its errors otherwise.
fn check(tool: &str, text: &str) -> Result<(), String> {
    let mut child = Command::new(tool)
        .args(["--irdl-file", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/aie.irdl.mlir")])
        .args(["-o", "/dev/null"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    let sent = child.stdin.take().map(|mut stdin| stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    match (output.status.success(), sent) {
        (true, Some(Ok(()))) => Ok(()),
        _ => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The text between two marks.
fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let rest = text.split_once(from).map_or("", |(_, rest)| rest);
    rest.split_once(to).map_or(rest, |(inner, _)| inner)
}

/// Attributes that may stand in braces, by operation: those of the ODS that Kiln emits, with their types there.
const IN_BRACES: [(&str, &[(&str, &str)]); 5] = [
    ("aie.buffer", &[("sym_name", "\""), ("mem_bank", " : i32"), ("address", " : i32")]),
    ("aie.core", &[("stack_size", " : i32")]),
    ("aie.objectfifo", &[("repeat_count", " : i32"), ("via_DMA", "true")]),
    ("aiex.npu.dma_memcpy_nd", &[("id", " : i64"), ("metadata", "@"), ("issue_token", "true")]),
    ("aiex.npu.dma_wait", &[("symbol", "@")]),
];

/// The attributes in the braces of an operation.
fn in_braces<'t>(name: &str, op: &'t str) -> &'t str {
    let inside = between(op, "{", "}");
    let (_, known) = IN_BRACES.iter().find(|(of, _)| *of == name).expect("an operation with braces");
    for entry in inside.split(", ").filter(|entry| !entry.is_empty()) {
        let (attribute, value) = entry.split_once(" = ").expect("a value");
        let (_, sign) =
            known.iter().find(|(k, _)| *k == attribute).unwrap_or_else(|| panic!("{name}: {attribute}"));
        assert!(value.contains(sign), "{name}: {attribute} = {value}, expected {sign} in it");
    }
    inside
}

/// `[<size = 16, stride = 256>, ...]` behind a word, as lists of numbers; empty without it.
fn layout(text: &str, word: &str) -> String {
    let Some((_, rest)) = text.split_once(word) else { return "[]".to_owned() };
    let pairs = between(rest, "[", "]").replace("<size = ", "[").replace("stride = ", "").replace('>', "]");
    format!("[{pairs}]")
}

/// The tiles in a text, in order.
fn tiles(text: &str) -> Vec<&str> {
    let end = |c: char| !c.is_alphanumeric() && !"%_".contains(c);
    text.match_indices("%tile_").map(|(at, _)| text[at..].split(end).next().unwrap_or_default()).collect()
}

/// `"name"(operands) {attributes} : (types) -> result` of one line of an AIE dialect.
fn generic(line: &str) -> String {
    let (result, op) = match line.split_once(" = aie") {
        Some((result, op)) => (format!("{result} = "), format!("aie{op}")),
        None => (String::new(), line.to_owned()),
    };
    let op = op.as_str();
    let name = op.split([' ', '(']).next().unwrap_or_default();
    let number = |text: &str| text.trim().parse::<u32>().unwrap_or_else(|e| panic!("{text}: {e} in {line}"));
    let integers = |list: &str, ty: &str| {
        let all: Vec<String> =
            list.split(", ").filter(|n| !n.is_empty()).map(|n| format!("{n} : {ty}")).collect();
        format!("[{}]", all.join(", "))
    };
    let (operands, attributes, ty) = match name {
        "aie.tile" => {
            let (col, row) = between(op, "(", ")").split_once(", ").expect("column and row");
            let at = format!("col = {} : i32, row = {} : i32", number(col), number(row));
            (String::new(), at, "() -> index".to_owned())
        }
        "aie.cascade_flow" => {
            (between(op, "(", ")").into(), String::new(), "(index, index) -> ()".to_owned())
        }
        "aie.buffer" => {
            let (_, tail) = op.split_once("} : ").expect("a type");
            let (ty, init) = tail.split_once(" = ").unwrap_or((tail, ""));
            let value = match init {
                "" => String::new(),
                dense => format!(", initial_value = {dense} : {}", ty.replace("memref", "tensor")),
            };
            let attributes = format!("{}{value}", in_braces(name, op));
            (between(op, "(", ")").into(), attributes, format!("(index) -> {ty}"))
        }
        "aie.objectfifo" => {
            let (text, ty) = op.split_once(" : !aie.objectfifo").expect("a type");
            // What objects hold at the start stands behind the type.
            let ty = format!("!aie.objectfifo{}", ty.split(" = [").next().unwrap_or_default());
            let (ends, more) = text.rsplit_once("])").expect("depths");
            let (producer, consumers) = ends.split_once(", {").expect("a producer and consumers");
            let (consumers, depths) = consumers.rsplit_once("}, [").expect("consumers and depths");
            let from: Vec<String> = consumers
                .split("%tile_")
                .skip(1)
                .map(|consumer| layout(consumer, "dimensionsFromStream "))
                .collect();
            let more = match in_braces(name, more) {
                "" => String::new(),
                more => format!(", {more}"),
            };
            let attributes = format!(
                "sym_name = \"{}\", elemNumber = {}, elemType = {ty}, dimensionsToStream = {}, \
                 dimensionsFromStreamPerConsumer = [{}]{more}",
                between(op, "@", "("),
                integers(depths, "i32"),
                layout(producer, "dimensionsToStream "),
                from.join(", ")
            );
            let all = [tiles(producer), tiles(consumers)].concat();
            assert_eq!(depths.split(", ").count(), all.len(), "a depth for each end: {line}");
            (all.join(", "), attributes, format!("({}) -> ()", vec!["index"; all.len()].join(", ")))
        }
        "aie.objectfifo.link" => {
            let (from, to) = op.split_once(" -> ").expect("both ends");
            let (sources, targets) = between(to, "(", ")").split_once("] [").expect("both offsets");
            let attributes = format!(
                "fifoIns = [{}], fifoOuts = [{}], src_offsets = {}, dst_offsets = {}",
                between(from, "[", "]"),
                between(to, "[", "]"),
                integers(sources.trim_start_matches('['), "i64"),
                integers(targets.trim_end_matches(']'), "i64")
            );
            (String::new(), attributes, "() -> ()".to_owned())
        }
        "aie.objectfifo.acquire" | "aie.objectfifo.release" => {
            let (port, count) = between(op, "(", ")").split_once(", ").expect("port and count");
            let port = ["Produce", "Consume"].iter().position(|p| *p == port).expect("a port");
            let fifo = between(op, "@", "(");
            let ty = op.split_once(" : ").map_or("()", |(_, ty)| ty);
            let attributes =
                format!("port = {port} : i32, objFifo_name = @{fifo}, size = {} : i32", number(count));
            (String::new(), attributes, format!("() -> {ty}"))
        }
        "aie.objectfifo.subview.access" => {
            let (from, to) = between(op, " : ", "\n").split_once(" -> ").expect("types");
            let index = format!("index = {} : i32", number(between(op, "[", "]")));
            (between(op, "access ", "[").into(), index, format!("({from}) -> {to}"))
        }
        "aiex.npu.dma_memcpy_nd" => {
            let lists: Vec<&str> = between(op, "[", ")").trim_end_matches(']').split("][").collect();
            let [offsets, sizes, strides] = lists[..] else { panic!("three lists: {op}") };
            assert!(lists.iter().all(|list| list.split(", ").count() == 4), "four of each: {op}");
            let attributes = format!(
                "{}, static_offsets = array<i64: {offsets}>, static_sizes = array<i64: {sizes}>, \
                 static_strides = array<i64: {strides}>",
                in_braces(name, op)
            );
            let ty = op.rsplit_once("} : ").expect("a type").1;
            (between(op, "(", "[").into(), attributes, format!("({ty}) -> ()"))
        }
        "aiex.npu.dma_wait" => (String::new(), in_braces(name, op).to_owned(), "() -> ()".to_owned()),
        other => panic!("no generic form of {other}: {line}"),
    };
    let (dialect, name) = name.split_once('.').expect("a dialect");
    let name = if name == "objectfifo" { "objectfifo_create".to_owned() } else { name.replace('.', "_") };
    format!("{result}\"{dialect}.{name}\"({operands}) {{{attributes}}} : {ty}")
}

/// A whole module in the form that `mlir-opt` takes.
fn with_functions(text: &str) -> String {
    let (mut declared, mut array, mut functions) = (Vec::new(), Vec::new(), Vec::new());
    let mut buffers: Vec<String> = Vec::new();
    let mut in_function = false;
    for line in text.lines().map(str::trim_end) {
        let indent = line.len() - line.trim_start().len();
        let op = line.trim_start();
        if op.starts_with("//") || op == "module {" || op.starts_with("aie.device(") || op.is_empty() {
            continue;
        }
        if op.starts_with("func.func private") {
            declared.push(op.to_owned());
        } else if op.contains(" = aie.core(") {
            let name = op.split_once(" = ").expect("a name").0.trim_start_matches('%');
            functions.push(format!("func.func @{name}({}) {{", buffers.join(", ")));
            in_function = true;
        } else if op.starts_with("aie.runtime_sequence(") {
            functions.push(format!("func.func @sequence({}) {{", between(op, "(", ") {")));
            in_function = true;
        } else if in_function && indent == 4 && op.starts_with('}') {
            if op != "}" {
                in_braces("aie.core", op.trim_start_matches('}'));
            }
            functions.push("return }".to_owned());
            in_function = false;
        } else if in_function && op == "aie.end" {
        } else if op.starts_with("aie") || op.contains(" = aie") {
            if op.contains(" = aie.buffer(") {
                let name = op.split_once(" = ").expect("a name").0;
                let ty = op.split_once("} : ").expect("a type").1;
                buffers.push(format!("{name} : {}", ty.split(" = ").next().unwrap_or_default()));
            }
            if in_function { &mut functions } else { &mut array }.push(generic(op));
        } else if in_function {
            functions.push(op.to_owned());
        }
    }
    let lines = |lines: Vec<String>| lines.join("\n");
    format!(
        "module {{\n{}\nfunc.func @array() {{\n{}\nreturn }}\n{}\n}}\n",
        lines(declared),
        lines(array),
        lines(functions)
    )
}

#[test]
fn every_design_is_mlir_to_llvms_own_tool() {
    let Some(tool) = mlir_opt() else {
        println!("skipped: mlir-opt is not installed (Debian: mlir-22-tools)");
        return;
    };
    for design in designs::designs() {
        let (verified, _) = runner::prepare(&design, Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
        let text = emit_mlir(&verified, Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
        let functions = with_functions(&text);
        check(tool, &functions).unwrap_or_else(|e| panic!("{}: {e}\n{functions}", design.name));
    }
}

#[test]
fn the_tool_sees_what_is_wrong() {
    let Some(tool) = mlir_opt() else {
        println!("skipped: mlir-opt is not installed (Debian: mlir-22-tools)");
        return;
    };
    let design = designs::find("dispatch").expect("a listed design");
    let (verified, _) = runner::prepare(&design, Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
    let good = emit_mlir(&verified, Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
    for (from, to) in [
        ("(%view0, %view1, %obj1)", "(%view0, %view1)"),
        ("func.call @zero_i32_4096(", "func.call @one("),
        ("arith.index_cast %obj0_w0 : i32 to index", "arith.index_cast %obj0_w0 : i64 to index"),
        ("%c1 = arith.constant 1 : index\n", ""),
        (
            "aie.objectfifo.acquire @ctl(Consume, 1) : !aie.objectfifosubview",
            "aie.objectfifo.acquire @ctl(Consume, 1) : !aie.objectfifo",
        ),
        ("id = 2 : i64, metadata = @ctl", "id = 2 : i64"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        assert!(check(tool, &with_functions(&bad)).is_err(), "{from} as {to}");
    }
}
