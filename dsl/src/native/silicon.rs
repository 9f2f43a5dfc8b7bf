//! The stand-in against instruction vectors seen on silicon (`shared/data/silicon`; the folder is
//! named by KILN_SHARED). The same vectors judge the Rust side in `tests/silicon.rs`; here the C++
//! answers, independently of it.

use super::conformance::{Case, IMAGE, evaluate};
use crate::kernel::ops::{Form, Opcode, Reg, find};
use crate::kernel::{AccKind, Elem, Type};
use crate::num::{Rounding, Saturation};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One vector that a form of the op table answers for.
struct Seen {
    what: String,
    opcode: Opcode,
    form: &'static Form,
    operands: Vec<Reg>,
    imm: i32,
    rounding: Rounding,
    saturation: Saturation,
    result: Vec<u8>,
}

fn folder() -> PathBuf {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"));
    std::env::var_os("KILN_SHARED").map_or_else(beside, PathBuf::from).join("data/silicon")
}

fn bytes(image: &Value) -> Vec<u8> {
    let hex = image["hex"].as_str().unwrap_or_default();
    let byte = |i: usize| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex digits");
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// The IR type of a register image; `None` for types the IR lacks.
fn ty(image: &Value, size: usize) -> Option<Type> {
    let lanes = |bytes: u32| (size as u32 / bytes) as u16;
    let vector = |e: Elem| Type::vector(e, lanes(e.bytes()));
    let accum = |k: AccKind| Type::accum(k, lanes(k.bytes()));
    Some(match image["type"].as_str()? {
        "acc32" => accum(AccKind::Acc32),
        "acc64" => accum(AccKind::Acc64),
        "f32" => accum(AccKind::AccFloat),
        name => vector(Elem::from_name(name)?),
    })
}

fn image(bytes: &[u8]) -> Reg {
    let mut reg = Reg::ZERO;
    reg.0[..bytes.len()].copy_from_slice(bytes);
    reg
}

/// The operation an instruction computes and its operands in the IR's order.
fn operation(mnemonic: &str) -> Option<(Opcode, &'static [&'static str])> {
    let (base, _) = mnemonic.split_once('.').unwrap_or((mnemonic.trim_end_matches(char::is_numeric), ""));
    Some(match base {
        "vshuffle" => (Opcode::Shuffle, &["s1", "s2"]),
        "vadd" => (Opcode::Add, &["s1", "s2"]),
        "vsub" => (Opcode::Sub, &["s1", "s2"]),
        "vmax_lt" => (Opcode::Max, &["s1", "s2"]),
        "vmin_ge" => (Opcode::Min, &["s1", "s2"]),
        "vmaxdiff_lt" => (Opcode::MaxDiff, &["s1", "s2"]),
        "vlt" => (Opcode::Lt, &["s1", "s2"]),
        "vge" => (Opcode::Ge, &["s1", "s2"]),
        "vsel" => (Opcode::Select, &["sel", "s2", "s1"]),
        "vband" => (Opcode::And, &["s1", "s2"]),
        "vbor" => (Opcode::Or, &["s1", "s2"]),
        "vneg_gtz" => (Opcode::Neg, &["s1"]),
        "vabs_gtz" => (Opcode::Abs, &["s1"]),
        "vsrs" | "vsrsm" => (Opcode::Srs, &["src", "shft"]),
        "vconv" if mnemonic == "vconv.bf16.fp32" => (Opcode::Srs, &["src"]),
        "vpack" => (Opcode::Pack, &["src"]),
        "vmul" => (Opcode::MMul, &["s1", "s2"]),
        _ => return None,
    })
}

fn seen(vector: &Value) -> Option<Seen> {
    let mnemonic = vector["op"].as_str()?;
    let (opcode, names) = operation(mnemonic)?;
    let mode = &vector["mode"];
    let code = |name: &str| mode[name].as_u64().unwrap_or(0) as u8;
    let result = bytes(&vector["result"]);
    // The shift register held a stale value in some programs; the mode has the one in force.
    let shift = (mode["shift"].as_i64().unwrap_or(0) as i32).to_le_bytes().to_vec();
    let read = |n: &&str| if **n == *"shft" { shift.clone() } else { bytes(&vector["operands"][*n]) };
    let images: Vec<Vec<u8>> = names.iter().map(read).collect();
    let mask = |like: Type| Type::Mask { lanes: like.lanes() };
    let mut types = Vec::new();
    for (name, bytes) in names.iter().zip(&images) {
        types.push(match *name {
            "shft" => Type::Scalar,
            "sel" => mask(ty(&vector["operands"]["s1"], images[1].len())?),
            name => ty(&vector["operands"][name], bytes.len())?,
        });
    }
    let result_type = match opcode {
        Opcode::Lt | Opcode::Ge => mask(types[0]),
        _ => ty(&vector["result"], result.len())?,
    };
    let dimension = |name: &str| mode[name].as_u64().map(|n| n as u8);
    let shape = || Some([dimension("rows")?, dimension("inner")?, dimension("cols")?]);
    let shape = if opcode == Opcode::MMul { Some(shape()?) } else { None };
    let form = find(opcode, &types, Some(result_type), shape)?;
    Some(Seen {
        what: format!("{mnemonic} ({})", vector["source"].as_str().unwrap_or("no source")),
        opcode,
        form,
        operands: images.iter().map(|i| image(i)).collect(),
        imm: mode["shuffle_mode"].as_i64().unwrap_or(0) as i32,
        rounding: Rounding::from_code(code("rounding"))?,
        saturation: Saturation::from_code(code("saturation"))?,
        result,
    })
}

#[test]
fn the_stand_in_answers_as_silicon_did() {
    let folder = folder();
    if !folder.is_dir() {
        println!("skipped: no silicon vectors in {} (set KILN_SHARED)", folder.display());
        return;
    }
    let files =
        ["vadd_vsub", "vlogic_abs_neg", "vminmax_vcmp_vsel", "vshift_vshuffle", "vpack_vunpack", "vsrs"];
    let mut all = Vec::new();
    for file in files.iter().chain(&["vconv", "vmul_matrix"]) {
        let text = std::fs::read_to_string(folder.join(format!("{file}.jsonl"))).expect("a file of vectors");
        let rows = text.lines().map(|l| serde_json::from_str::<Value>(l).expect("JSON"));
        all.extend(rows.filter_map(|row| seen(&row)));
    }
    let mut forms: Vec<(Opcode, &'static Form)> = Vec::new();
    let mut cases = Vec::new();
    for s in &all {
        let known = forms.iter().position(|f| std::ptr::eq(f.1, s.form));
        let form = known.unwrap_or_else(|| {
            forms.push((s.opcode, s.form));
            forms.len() - 1
        });
        let (imm, rounding, saturation) = (s.imm, s.rounding, s.saturation);
        cases.push(Case { form, imm, rounding, saturation, operands: s.operands.clone() });
    }
    let answers: Vec<[u8; IMAGE]> = evaluate(&forms, &cases);
    let mut counts = BTreeMap::<&str, usize>::new();
    for (s, answer) in all.iter().zip(&answers) {
        assert_eq!(answer[..s.result.len()], s.result, "{}", s.what);
        *counts.entry(s.opcode.mnemonic()).or_default() += 1;
    }
    // The whole routing table (48 modes) and 15 further shuffles; 10 roundings x 3 saturations of srs.
    assert_eq!(counts.get("shuffle"), Some(&63), "{counts:?}");
    assert!(counts.get("srs").is_some_and(|&n| n >= 560), "{counts:?}");
    assert!(counts.get("mmul").is_some_and(|&n| n >= 126), "{counts:?}");
    println!("{counts:?}");
}
