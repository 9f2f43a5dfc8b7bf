//! The C++ of every form of the op table against its meaning in Rust, on random and edge data, and
//! the stand-in's shuffles against the table measured on silicon.
//!
//! The two sides share no code: the stand-in was written from aie_api's documentation.

use super::*;
use crate::emit::{template, type_name};
use crate::kernel::Type;
use crate::kernel::ops::{EvalCx, Form, Opcode, Reg, spec};
use crate::kernel::{AccKind, Elem};
use crate::num::{Rounding, Saturation};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::fmt::Write;
use std::process::Output;

/// Size of a register image.
pub(super) const IMAGE: usize = 128;

/// One evaluation.
pub(super) struct Case {
    pub form: usize,
    pub imm: i32,
    pub rounding: Rounding,
    pub saturation: Saturation,
    pub operands: Vec<Reg>,
}

/// Forms with a meaning of their own: not memory, modes or control.
fn forms() -> Vec<(Opcode, &'static Form)> {
    let of = |&o: &Opcode| spec(o).forms.iter().filter(|f| f.eval.is_some()).map(move |f| (o, f));
    Opcode::ALL.iter().flat_map(of).collect()
}

/// A program that evaluates forms by index; `$i` is a run-time value in it.
fn source(forms: &[(Opcode, &'static Form)]) -> String {
    let mut out = String::from("#include \"images.hpp\"\nusing namespace kiln_native;\nnamespace {\n");
    for (i, (opcode, form)) in forms.iter().enumerate() {
        let _ = writeln!(
            out,
            "void form_{i}([[maybe_unused]] const uint8_t *in, uint8_t *out, [[maybe_unused]] int32_t imm) {{"
        );
        for (k, &ty) in form.operands.iter().enumerate() {
            let ty = type_name(ty);
            let _ = writeln!(out, "    const {ty} a{k} = image<{ty}>::get(in + {k} * image_bytes);");
        }
        let text = expression(*opcode, form);
        let ty = type_name(form.result.expect("a form with a meaning has a result"));
        let _ = writeln!(out, "    const {ty} result = {text};\n    image<{ty}>::put(out, result);\n}}");
    }
    out.push_str("const evaluator forms[] = {\n");
    for (i, (_, form)) in forms.iter().enumerate() {
        let _ = writeln!(out, "    {{{}, form_{i}}},", form.operands.len());
    }
    out.push_str("};\n} // namespace\nint main() { return evaluate(forms); }\n");
    out
}

/// Compiles the forms and evaluates the cases in one process.
pub(super) fn evaluate(forms: &[(Opcode, &'static Form)], cases: &[Case]) -> Vec<[u8; IMAGE]> {
    let dir = tempfile::tempdir().expect("a directory");
    source::write_headers(dir.path()).unwrap_or_else(|e| panic!("{e}"));
    let images = include_str!("../../native/images.hpp");
    write_file(&dir.path().join("include/images.hpp"), images).unwrap_or_else(|e| panic!("{e}"));
    write_file(&dir.path().join("main.cc"), &source(forms)).unwrap_or_else(|e| panic!("{e}"));
    let program = dir.path().join("forms");
    compile_program(dir.path(), "main.cc", &program, || "forms of the op table".to_string())
        .unwrap_or_else(|e| panic!("{e}"));
    let mut input = Vec::new();
    for case in cases {
        let (rounding, saturation) = (i32::from(case.rounding.code()), i32::from(case.saturation.code()));
        for word in [case.form as i32, case.imm, rounding, saturation] {
            input.extend_from_slice(&word.to_le_bytes());
        }
        case.operands.iter().for_each(|r| input.extend_from_slice(&r.0));
    }
    std::fs::write(dir.path().join("input"), input).expect("input is written");
    let stdin = File::open(dir.path().join("input")).expect("input opens");
    let Output { status, stdout, stderr } =
        Command::new(&program).stdin(Stdio::from(stdin)).output().expect("the program starts");
    let done = stdout.len() / IMAGE;
    let said = String::from_utf8_lossy(&stderr);
    if let (false, Some(case)) = (status.success(), cases.get(done)) {
        let (opcode, form) = forms[case.form];
        panic!("{opcode} {:?} -> {:?} stopped: {said}", form.operands, form.result);
    }
    assert!(status.success(), "{said}");
    assert_eq!(done, cases.len());
    stdout.chunks_exact(IMAGE).map(|c| c.try_into().expect("whole images")).collect()
}

/// Bits of a lane: edges a quarter of the time each for integers and floats, else random.
fn lane_bits(rng: &mut StdRng, bits: u32, float: bool) -> u64 {
    let mask = u64::MAX >> (64 - bits);
    let sign = 1u64 << (bits - 1);
    let value = match rng.random_range(0..4) {
        0 => [0, 1, mask, sign, sign - 1, sign + 1, mask - 1, 2][rng.random_range(0..8)],
        1 if float => {
            // Exponents near each other, so that products and sums meet.
            let fraction_bits = if bits == 16 { 7 } else { 23 };
            let exponent = rng.random_range(118..138u64);
            let fraction = rng.random::<u64>() & ((1 << fraction_bits) - 1);
            exponent << fraction_bits | fraction | if rng.random() { sign } else { 0 }
        }
        1 => (rng.random_range(-100..100i64)) as u64,
        2 => rng.random::<u64>() >> rng.random_range(0..bits),
        _ => rng.random(),
    };
    value & mask
}

fn register(rng: &mut StdRng, ty: Type) -> Reg {
    let (bits, float) = match ty {
        Type::Scalar => (32, false),
        Type::Vector { elem, .. } => (elem.bytes() * 8, elem.is_float()),
        Type::Accum { kind, .. } => (kind.bytes() * 8, kind == AccKind::AccFloat),
        Type::Mask { lanes } => {
            let mut reg = Reg::ZERO;
            reg.lanes_mut::<u64, 1>()[0] = rng.random::<u64>() & (u64::MAX >> (64 - lanes));
            return reg;
        }
    };
    let mut reg = Reg::ZERO;
    let bytes = (bits / 8) as usize;
    for lane in reg.0[..ty.bytes() as usize].chunks_exact_mut(bytes) {
        lane.copy_from_slice(&lane_bits(rng, bits, float).to_le_bytes()[..bytes]);
    }
    reg
}

/// Shifts of ups and srs: 0..=63, and only 0 where AIE2 moves without shifting (aie_api
/// `detail/aie2/accum.hpp`, int32 and acc32).
fn shift(rng: &mut StdRng, form: &Form) -> i32 {
    let is_i32 = |t: Type| matches!(t, Type::Vector { elem: Elem::I32, .. });
    let is_acc32 = |t: Type| matches!(t, Type::Accum { kind: AccKind::Acc32, .. });
    let types = [form.operands[0], form.result.expect("has a result")];
    match types.iter().any(|&t| is_i32(t)) && types.iter().any(|&t| is_acc32(t)) {
        true => 0,
        false if rng.random() => rng.random_range(0..12),
        false => rng.random_range(0..64),
    }
}

fn cases(forms: &[(Opcode, &'static Form)], each: usize) -> Vec<Case> {
    let mut rng = StdRng::seed_from_u64(0x6b69_6c6e);
    let mut all = Vec::new();
    for (index, (opcode, form)) in forms.iter().enumerate() {
        for n in 0..each {
            let imm = match opcode {
                Opcode::Half | Opcode::AccHalf => n as i32 % 2,
                Opcode::Shuffle => n as i32 % 48,
                Opcode::GetLane => n as i32 % i32::from(form.operands[0].lanes()),
                Opcode::FSplat => rng.random_range(0..0x1_0000),
                _ => rng.random_range(-1000..1000),
            };
            let mut operands: Vec<Reg> = form.operands.iter().map(|&t| register(&mut rng, t)).collect();
            if let (Opcode::Ups | Opcode::Srs, Some(last @ Type::Scalar)) = (opcode, form.operands.get(1)) {
                debug_assert_eq!(*last, Type::Scalar);
                operands[1] = Reg::scalar(shift(&mut rng, form));
            }
            let rounding = Rounding::ALL[rng.random_range(0..Rounding::ALL.len())];
            let saturation = Saturation::ALL[rng.random_range(0..Saturation::ALL.len())];
            all.push(Case { form: index, imm, rounding, saturation, operands });
        }
    }
    all
}

#[test]
fn every_form_means_the_same_in_cpp() {
    let forms = forms();
    let cases = cases(&forms, 96);
    let results = evaluate(&forms, &cases);
    let mut wrong = std::collections::BTreeMap::<usize, String>::new();
    for (case, native) in cases.iter().zip(&results) {
        let (opcode, form) = forms[case.form];
        let cx = EvalCx { rounding: case.rounding, saturation: case.saturation, imm: i64::from(case.imm) };
        let operands: Vec<&Reg> = case.operands.iter().collect();
        let mut expected = Reg::ZERO;
        (form.eval.expect("has a meaning"))(&cx, &operands, &mut expected);
        let bytes = form.result.expect("has a result").bytes() as usize;
        if expected.0[..bytes] != native[..bytes] {
            let at = (0..bytes).find(|&i| expected.0[i] != native[i]).unwrap_or(0) / 4 * 4;
            wrong.entry(case.form).or_insert_with(|| {
                let ins: Vec<_> = case.operands.iter().map(|r| format!("{:02x?}", &r.0[at..at + 4])).collect();
                format!(
                    "{opcode} {:?} -> {:?} ({}, {}, imm {}), byte {at}: Rust {:02x?}, C++ {:02x?}, operands there {ins:?}",
                    form.operands, form.result, case.rounding.name(), case.saturation.name(), case.imm,
                    &expected.0[at..at + 4], &native[at..at + 4],
                )
            });
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} forms differ:\n{}",
        wrong.len(),
        forms.len(),
        wrong.into_values().collect::<Vec<_>>().join("\n")
    );
}

/// The C++ of a form, of operands `a0`, `a1`, ... and the immediate `imm`.
fn expression(opcode: Opcode, form: &Form) -> String {
    let part = |c: char| {
        Ok(match c {
            '0'..='9' => Some(format!("a{c}")),
            'i' => Some("imm".to_string()),
            c => template::of_form(form, c),
        })
    };
    template::expand(form.cpp, part, |c| format!("{opcode}: ${c} in `{}`", form.cpp))
        .unwrap_or_else(|e| panic!("{e}"))
}

/// A function for each form, on values of its types.
fn form_source(opcode: Opcode, form: &Form) -> String {
    let mut parameters = vec!["[[maybe_unused]] int32_t imm".to_owned()];
    parameters.extend(form.operands.iter().enumerate().map(|(k, &ty)| format!("{} a{k}", type_name(ty))));
    let text = expression(opcode, form);
    let ty = type_name(form.result.expect("a form with a meaning has a result"));
    format!(
        "{ty} form({}) {{\n    const {ty} result = {text};\n    return result;\n}}\n",
        parameters.join(", ")
    )
}

#[test]
fn every_form_is_what_the_real_aie_api_offers() {
    let api = match AieApi::find() {
        Ok(api) => api,
        Err(why) => return println!("skipped: {why}"),
    };
    let mut text = String::from("#include \"kiln_kernel.h\"\n");
    for (at, (opcode, form)) in forms().into_iter().enumerate() {
        let _ = writeln!(text, "namespace form_{at} {{\n{}}}", form_source(opcode, form));
    }
    let check = |sources: &[Source]| {
        let dir = tempfile::tempdir().expect("a directory");
        api.check(sources, dir.path())
    };
    check(&[Source { name: "forms".to_owned(), text }]).unwrap_or_else(|e| panic!("{e}"));
    // What aie_api does not offer is refused: 48 lanes, too many arguments, a vector to broadcast, operands of other
    // sizes, an intrinsic that is none.
    let wrong = [
        "void f(const int8 *p) { aie::load_v<48>(p); }",
        "void f(const int8 *p) { aie::load_v<32>(p, 1, 2); }",
        "void f(aie::vector<int8, 64> a) { aie::broadcast<int8>(a); }",
        "auto f(aie::vector<int8, 32> a, aie::vector<int8, 64> b) { return kiln::mul<4, 8, 4>(a, b); }",
        "void f() { ::no_such_intrinsic(1, 2); }",
    ];
    let source = |(at, line): (usize, &&str)| Source {
        name: format!("wrong_{at}"),
        text: format!("#include \"kiln_kernel.h\"\n{line}\n"),
    };
    let sources: Vec<Source> = wrong.iter().enumerate().map(source).collect();
    let Err(NativeError::Compile { stderr, .. }) = check(&sources) else { panic!("clang takes all of it") };
    for (source, line) in sources.iter().zip(wrong) {
        // The error is in the line itself, or in what it instantiates.
        assert!(stderr.contains(&format!("{}.cc:2:", source.name)), "{line}");
    }
}
