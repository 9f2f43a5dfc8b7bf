//! The emitted MLIR through LLVM's own `mlir-opt`, where it is installed.
//!
//! It knows `func`, `scf`, `arith`, `memref` and builtin types and attributes, but not the AIE dialects. So their operations
//! are written in the generic form, which any MLIR tool reads, and what they wrap becomes functions: each core, with the
//! buffers of the array as arguments, and the sequence. What remains is checked by the real parser and verifier: loops,
//! switches, constants, casts, views, calls against their declarations, constants' bytes, and that values are defined before
//! they are used.

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
        .args(["--allow-unregistered-dialect", "-o", "/dev/null"])
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

/// `"name"(operands) {attributes} : (types) -> result` of one line of an AIE dialect.
fn generic(line: &str) -> String {
    let (result, op) = match line.split_once(" = aie") {
        Some((result, op)) => (format!("{result} = "), format!("aie{op}")),
        None => (String::new(), line.to_owned()),
    };
    let op = op.as_str();
    let name = op.split([' ', '(']).next().unwrap_or_default();
    let (operands, attributes, ty) = match name {
        "aie.tile" => (
            String::new(),
            format!("{{at = array<i32: {}>}}", between(op, "(", ")")),
            "() -> !aie.tile".into(),
        ),
        "aie.cascade_flow" => {
            (between(op, "(", ")").into(), String::new(), "(!aie.tile, !aie.tile) -> ()".to_owned())
        }
        "aie.buffer" => {
            let (head, tail) = op.split_once("} : ").expect("a type");
            let (ty, init) = tail.split_once(" = ").unwrap_or((tail, ""));
            let value = match init {
                "" => String::new(),
                dense => format!(", value = {dense} : {}", ty.replace("memref", "tensor")),
            };
            let attributes = format!("{{{}{value}}}", between(&format!("{head}}}"), "{", "}"));
            (between(op, "(", ")").into(), attributes, format!("(!aie.tile) -> {ty}"))
        }
        "aie.objectfifo" => {
            let tiles: Vec<&str> = op
                .match_indices("%tile_")
                .map(|(at, _)| {
                    op[at..]
                        .split(|c: char| !c.is_alphanumeric() && !"%_".contains(c))
                        .next()
                        .unwrap_or_default()
                })
                .collect();
            let types = vec!["!aie.tile"; tiles.len()].join(", ");
            let ty = op.rsplit_once(") : ").expect("a type").1;
            (tiles.join(", "), format!("{{ty = {ty}}}"), format!("({types}) -> ()"))
        }
        "aie.objectfifo.link" => {
            let (from, to) = op.split_once(" -> ").expect("both ends");
            let ends = format!("{{from = [{}], to = [{}]}}", between(from, "[", "]"), between(to, "[", "]"));
            (String::new(), ends, "() -> ()".to_owned())
        }
        "aie.objectfifo.acquire" | "aie.objectfifo.release" => {
            let (port, count) = between(op, "(", ")").split_once(", ").expect("port and count");
            let fifo = between(op, "@", "(");
            let ty = op.split_once(" : ").map_or("()", |(_, ty)| ty);
            let attributes = format!("{{port = \"{port}\", count = {count} : i32, fifo = @{fifo}}}");
            (String::new(), attributes, format!("() -> {ty}"))
        }
        "aie.objectfifo.subview.access" => {
            let (from, to) = between(op, " : ", "\n").split_once(" -> ").expect("types");
            let index = format!("{{index = {} : i32}}", between(op, "[", "]"));
            (between(op, "access ", "[").into(), index, format!("({from}) -> {to}"))
        }
        "aiex.npu.dma_memcpy_nd" => {
            let lists: Vec<&str> = between(op, "[", ")").trim_end_matches(']').split("][").collect();
            let [offsets, sizes, strides] = lists[..] else { panic!("three lists: {op}") };
            let rest = between(op, "{", "}");
            let attributes = format!(
                "{{{rest}, offsets = array<i64: {offsets}>, sizes = array<i64: {sizes}>, strides = array<i64: {strides}>}}"
            );
            let ty = op.rsplit_once("} : ").expect("a type").1;
            (between(op, "(", "[").into(), attributes, format!("({ty}) -> ()"))
        }
        "aiex.npu.dma_wait" => {
            (String::new(), format!("{{{}}}", between(op, "{", "}")), "() -> ()".to_owned())
        }
        other => panic!("no generic form of {other}: {line}"),
    };
    format!("{result}\"{name}\"({operands}) {attributes} : {ty}")
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
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        assert!(check(tool, &with_functions(&bad)).is_err(), "{from} as {to}");
    }
}
