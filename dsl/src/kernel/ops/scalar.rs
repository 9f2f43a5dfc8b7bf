//! Operations on 32-bit scalars.

use super::table::{ALU, LDA, MV, ST, Table, m};
use super::{Effect, EvalCx, LatencyClass, Machine, Opcode, Reg};
use crate::kernel::types::{Elem, Type};

const S: Type = Type::Scalar;

type Binary = fn(i32, i32) -> i32;

fn eval2<const F: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    let f: Binary = BINARY[F].1;
    *out = Reg::scalar(f(ins[0].as_scalar(), ins[1].as_scalar()));
}

/// Operation, meaning, C++, instruction. An `i32` of C++ overflows undefined, so wrapping sums go
/// through `uint32_t`; loop and address arithmetic does not wrap but shares the form.
const BINARY: [(Opcode, Binary, &str, &str); 13] = [
    (Opcode::SAdd, i32::wrapping_add, "(int32_t)((uint32_t)$0 + (uint32_t)$1)", "add"),
    (Opcode::SSub, i32::wrapping_sub, "(int32_t)((uint32_t)$0 - (uint32_t)$1)", "sub"),
    (Opcode::SMul, i32::wrapping_mul, "(int32_t)((uint32_t)$0 * (uint32_t)$1)", "mul"),
    (Opcode::SMin, |a, b| a.min(b), "kiln::min($0, $1)", "lt"),
    (Opcode::SMax, |a, b| a.max(b), "kiln::max($0, $1)", "lt"),
    (Opcode::SAnd, |a, b| a & b, "($0 & $1)", "and"),
    (Opcode::SOr, |a, b| a | b, "($0 | $1)", "or"),
    (Opcode::SXor, |a, b| a ^ b, "($0 ^ $1)", "xor"),
    (Opcode::SShl, |a, b| a.wrapping_shl(b as u32), "(int32_t)((uint32_t)$0 << ($1 & 31))", "lshl"),
    (Opcode::SAshr, |a, b| a.wrapping_shr(b as u32), "($0 >> ($1 & 31))", "ashl"),
    (
        Opcode::SLshr,
        |a, b| (a as u32).wrapping_shr(b as u32) as i32,
        "(int32_t)((uint32_t)$0 >> ($1 & 31))",
        "lshl",
    ),
    (Opcode::SLt, |a, b| i32::from(a < b), "kiln::lt($0, $1)", "lt"),
    (Opcode::SEq, |a, b| i32::from(a == b), "kiln::eq($0, $1)", "eq"),
];

fn eval_const(cx: &EvalCx, _: &[&Reg], out: &mut Reg) {
    *out = Reg::scalar(cx.imm as i32);
}

fn eval_clz(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    *out = Reg::scalar(ins[0].as_scalar().leading_zeros() as i32);
}

fn eval_abs(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    *out = Reg::scalar(ins[0].as_scalar().wrapping_abs());
}

fn eval_div(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    let (a, b) = (ins[0].as_scalar(), ins[1].as_scalar());
    *out = Reg::scalar(if b == 0 { 0 } else { a.wrapping_div(b) });
}

fn eval_select(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    *out = if ins[0].as_scalar() != 0 { *ins[1] } else { *ins[2] };
}

fn alu(mnemonic: &'static str) -> Machine {
    let latency = if mnemonic == "mul" { LatencyClass::ScalarMul } else { LatencyClass::ScalarAlu };
    m(mnemonic, ALU, latency, 1)
}

macro_rules! binary {
    ($table:ident: $($index:literal)*) => {
        $({
            let (opcode, _, cpp, mnemonic) = BINARY[$index];
            let mut machine = vec![alu(mnemonic)];
            if matches!(opcode, Opcode::SMin | Opcode::SMax) {
                machine.push(alu("sel.nez"));
            }
            // A logical shift right is a left shift by the negated count.
            if opcode == Opcode::SLshr || opcode == Opcode::SAshr {
                machine.insert(0, alu("neg"));
            }
            $table.pure(opcode, &[S, S], S, eval2::<$index>, cpp, machine);
        })*
    };
}

pub(super) fn fill(t: &mut Table) {
    binary!(t: 0 1 2 3 4 5 6 7 8 9 10 11 12);
    t.pure(Opcode::SConst, &[], S, eval_const, "$i", vec![alu("mov")]);
    t.pure(Opcode::SClz, &[S], S, eval_clz, "kiln::clz($0)", vec![alu("clz")]);
    t.pure(Opcode::SAbs, &[S], S, eval_abs, "kiln::abs($0)", vec![alu("abs")]);
    // No divider: 32 conditional-subtract steps, plus the signs (`isa_timing.md` section 2).
    t.pure(
        Opcode::SDiv,
        &[S, S],
        S,
        eval_div,
        "kiln::div($0, $1)",
        vec![alu("abs"), alu("abs"), m("divs", ALU, LatencyClass::DivStep, 32), alu("neg"), alu("sel.nez")],
    );
    t.pure(Opcode::SSelect, &[S, S, S], S, eval_select, "($0 != 0 ? $1 : $2)", vec![alu("sel.nez")]);

    let mode = || vec![m("mov", MV, LatencyClass::Control, 1)];
    let cpp = "aie::set_rounding(kiln::rounding<$i>())";
    t.effect(Opcode::SetRounding, Effect::Mode, &[], None, cpp, mode());
    let cpp = "aie::set_saturation(kiln::saturation<$i>())";
    t.effect(Opcode::SetSaturation, Effect::Mode, &[], None, cpp, mode());

    let load = |mn| vec![m(mn, LDA, LatencyClass::LoadScalar, 1)];
    t.effect(Opcode::SLoad, Effect::Read, &[], Some(S), "(int32_t)*($p)", load("lda"));
    t.effect(
        Opcode::SStore,
        Effect::Write,
        &[S],
        None,
        "*($p) = ($E)$0",
        vec![m("st", ST, LatencyClass::Store, 1)],
    );
}

/// The instructions of a scalar store of `elem`: 8 and 16 bits read, modify and write through the
/// load unit (`isa_timing.md` section 1).
pub fn scalar_store_machine(elem: Elem) -> Machine {
    if elem.bytes() < 4 {
        m("st.s16", LDA, LatencyClass::PartStore, 1)
    } else {
        m("st", ST, LatencyClass::Store, 1)
    }
}
