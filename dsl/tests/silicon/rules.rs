//! What the op table, or `num` where it has no form, makes of a vector's inputs.

use super::vector::Vector;
use kiln_dsl::kernel::ops::{self, EvalCx, Opcode, Reg};
use kiln_dsl::kernel::types::{AccKind, Elem, Type};
use kiln_dsl::num::{Rounding, Saturation, mmul, srs};

/// A result image, and what gave it.
pub enum Answer {
    /// A form of the op table.
    Table(Vec<u8>),
    /// A rule of `num`.
    Num(Vec<u8>),
}

/// The result image; `None` when the instruction is not known here.
pub fn answer(v: &Vector) -> Option<Answer> {
    let (stem, suffix) = v.op.split_once('.').unwrap_or((&v.op, ""));
    let by_num = match v.file.as_str() {
        "vups" | "vsrs" if suffix.contains("d16") || suffix.contains("d32") => unsigned_shift(v, suffix),
        "vmul_matrix" if v.op == "vmul" && v.setting("inner") == 2 => {
            let (a, b) = (u16s(&v.operand("s1")?), u16s(&v.operand("s2")?));
            let a: [i16; 8] = a.iter().map(|&x| x as i16).collect::<Vec<_>>().try_into().ok()?;
            let b: [i16; 16] = b.iter().map(|&x| x as i16).collect::<Vec<_>>().try_into().ok()?;
            let mut acc = [0i32; 32];
            mmul::mmul_int::<i16, i16, i32, 4, 2, 8, 8, 16, 32>(&mut acc, &a, &b);
            Some(acc.iter().flat_map(|x| x.to_le_bytes()).collect())
        }
        _ => None,
    };
    if let Some(bytes) = by_num {
        return Some(Answer::Num(bytes));
    }
    let reg = match v.file.as_str() {
        "scalar" => scalar(v),
        "vadd_vsub" | "vlogic_abs_neg" | "vminmax_vcmp_vsel" => vector_alu(v, stem, suffix),
        "vbcst_vextract_vinsert_vpush" => broadcast(v, stem, suffix),
        "vshift_vshuffle" => shuffle(v, stem, suffix),
        "vpack_vunpack" => pack(v),
        "vups" | "vsrs" => ups_srs(v, stem, suffix),
        "vconv" => convert(v),
        "vmov_vclr" => Some(eval(v, Opcode::AccZeros, &[], Type::accum(AccKind::Acc32, 32))),
        "vacc_int_random_config" => acc_int(v, stem),
        "vacc_float_random_config" => acc_float(v, stem),
        "vmul_matrix" => matrix(v),
        _ => None,
    }?;
    let words = if v.mode.contains_key("observed") { 2 } else { 1 };
    Some(Answer::Table(reg.0[..v.result.len() * words].to_vec()))
}

fn u16s(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]])).collect()
}

/// A register image with these bytes first.
fn reg(bytes: &[u8]) -> Reg {
    let mut reg = Reg::ZERO;
    reg.0[..bytes.len()].copy_from_slice(bytes);
    reg
}

/// Evaluates the table's form; that it has one is part of what is tested.
fn eval(v: &Vector, opcode: Opcode, operands: &[(Type, Reg)], result: Type) -> Reg {
    eval_imm(v, opcode, operands, result, 0, None)
}

fn eval_imm(
    v: &Vector,
    opcode: Opcode,
    operands: &[(Type, Reg)],
    result: Type,
    imm: i64,
    shape: Option<[u8; 3]>,
) -> Reg {
    let types: Vec<Type> = operands.iter().map(|o| o.0).collect();
    let form = ops::find(opcode, &types, Some(result), shape)
        .unwrap_or_else(|| panic!("{}: the table has no {opcode} of {types:?} to {result}", v.source));
    let eval = form.eval.expect("a form of a pure operation");
    let cx = EvalCx {
        rounding: Rounding::from_code(v.setting("rounding") as u8).expect("a crRnd code"),
        saturation: Saturation::from_code(v.setting("saturation") as u8).expect("a crSat code"),
        imm,
    };
    let mut out = Reg::ZERO;
    let regs: Vec<&Reg> = operands.iter().map(|o| &o.1).collect();
    eval(&cx, &regs, &mut out);
    out
}

fn scalar(v: &Vector) -> Option<Reg> {
    let a = v.nth(0).map(|b| reg(&b))?;
    let b = v.nth(1).map_or(Reg::ZERO, |b| reg(&b));
    let s = Type::Scalar;
    let two = |opcode, a, b| eval(v, opcode, &[(s, a), (s, b)], s);
    let not = |x: Reg| two(Opcode::SXor, x, Reg::scalar(1));
    let count = b.as_scalar();
    Some(match v.op.as_str() {
        "add" | "add.nc" => two(Opcode::SAdd, a, b),
        "sub" => two(Opcode::SSub, a, b),
        "mul" => two(Opcode::SMul, a, b),
        "and" => two(Opcode::SAnd, a, b),
        "or" => two(Opcode::SOr, a, b),
        "xor" => two(Opcode::SXor, a, b),
        "lt" => two(Opcode::SLt, a, b),
        "ge" => not(two(Opcode::SLt, a, b)),
        "eq" | "eqz" => two(Opcode::SEq, a, b),
        "ne" | "nez" => not(two(Opcode::SEq, a, b)),
        "clz" => eval(v, Opcode::SClz, &[(s, a)], s),
        // One instruction for both directions: the sign of the count chooses.
        "lshl" | "ashl" if count >= 0 => two(Opcode::SShl, a, b),
        "lshl" => two(Opcode::SLshr, a, Reg::scalar(count.wrapping_neg())),
        "ashl" => two(Opcode::SAshr, a, Reg::scalar(count.wrapping_neg())),
        _ => return None,
    })
}

/// The element of a suffix: `8`, `16`, `32` and `s8`.. are signed, `d8` unsigned (the dynamic sign
/// was 0), `bf16` itself.
fn elem(suffix: &str) -> Option<Elem> {
    match suffix {
        "8" | "s8" => Some(Elem::I8),
        "16" | "s16" => Some(Elem::I16),
        "32" | "s32" => Some(Elem::I32),
        "d8" => Some(Elem::U8),
        "bf16" => Some(Elem::Bf16),
        _ => None,
    }
}

/// The 512-bit vector of a suffix's element.
fn vector512(suffix: &str) -> Option<Type> {
    let elem = elem(suffix)?;
    Some(Type::vector(elem, 64 / elem.bytes() as u16))
}

fn vector_alu(v: &Vector, stem: &str, suffix: &str) -> Option<Reg> {
    // vneg_gtz has its element without a dot; vband and vbor have none.
    let (stem, suffix) = match stem.strip_prefix("vneg_gtz") {
        Some(bits) => ("vneg_gtz", bits),
        None if suffix.is_empty() => (stem, "8"),
        None => (stem, suffix),
    };
    // A wrapping difference has no sign.
    let suffix = if stem.starts_with("vsub") { suffix.trim_start_matches('d') } else { suffix };
    let ty = vector512(suffix)?;
    let mask = Type::Mask { lanes: ty.lanes() };
    let (a, b) = (v.operand("s1").map(|b| reg(&b)), v.operand("s2").map(|b| reg(&b)));
    let two = |opcode, result| Some(eval(v, opcode, &[(ty, a?), (ty, b?)], result));
    match stem {
        "vadd" => two(Opcode::Add, ty),
        "vsub" | "vsub_lt" | "vsub_ge" => two(Opcode::Sub, ty),
        "vband" => two(Opcode::And, ty),
        "vbor" => two(Opcode::Or, ty),
        "vmax_lt" => two(Opcode::Max, ty),
        "vmaxdiff_lt" => two(Opcode::MaxDiff, ty),
        "vmin_ge" => two(Opcode::Min, ty),
        "vlt" => two(Opcode::Lt, mask),
        "vge" => two(Opcode::Ge, mask),
        "vabs_gtz" => Some(eval(v, Opcode::Abs, &[(ty, a?)], ty)),
        "vneg_gtz" => Some(eval(v, Opcode::Neg, &[(ty, a?)], ty)),
        "veqz" => Some(eval(v, Opcode::Eq, &[(ty, b?), (ty, Reg::ZERO)], mask)),
        // A set bit takes s2.
        "vsel" => {
            let select = reg(&v.operand("sel")?);
            Some(eval(v, Opcode::Select, &[(mask, select), (ty, b?), (ty, a?)], ty))
        }
        _ => None,
    }
}

fn splat(v: &Vector, value: Reg, ty: Type) -> Reg {
    eval(v, Opcode::Splat, &[(Type::Scalar, value)], ty)
}

fn broadcast(v: &Vector, stem: &str, suffix: &str) -> Option<Reg> {
    let ty = vector512(suffix)?;
    match stem {
        "vbcst" => Some(splat(v, reg(&v.operand("s0")?), ty)),
        "vextbcst" => {
            // The index counts modulo the lanes.
            let lane = v.scalar("idx")? as u32 % u32::from(ty.lanes());
            let source = [(ty, reg(&v.operand("src")?))];
            let value = eval_imm(v, Opcode::GetLane, &source, Type::Scalar, lane.into(), None);
            Some(splat(v, value, ty))
        }
        _ => None,
    }
}

fn shuffle(v: &Vector, stem: &str, suffix: &str) -> Option<Reg> {
    let ty = Type::vector(Elem::I8, 64);
    let (a, b) = match stem {
        "vshuffle" => (reg(&v.operand("s1")?), reg(&v.operand("s2")?)),
        "vbcstshfl" => (splat(v, reg(&v.operand("s0")?), vector512(suffix)?), Reg::ZERO),
        _ => return None,
    };
    Some(eval_imm(v, Opcode::Shuffle, &[(ty, a), (ty, b)], ty, v.setting("shuffle_mode"), None))
}

fn pack(v: &Vector) -> Option<Reg> {
    let wide = Type::vector(Elem::I16, 32);
    let source = reg(&v.operand("src")?);
    let unpack = |elem| eval(v, Opcode::Unpack, &[(Type::vector(elem, 32), source)], wide);
    match v.op.as_str() {
        "vunpack.s16.s8" => Some(unpack(Elem::I8)),
        "vunpack.d16.d8" => Some(unpack(Elem::U8)),
        "vpack.s8.s16" => Some(eval(v, Opcode::Pack, &[(wide, source)], Type::vector(Elem::I8, 32))),
        _ => None,
    }
}

/// The two sides of `vups.s32.s8`, `vsrs.s8.s32`, `vsrsm.s16.s64` and so on.
fn acc_and_elem<'a>(stem: &str, suffix: &'a str) -> Option<(AccKind, &'a str)> {
    let (to, from) = suffix.split_once('.')?;
    let (acc, elem) = if stem == "vups" { (to, from) } else { (from, to) };
    Some((if acc == "s64" { AccKind::Acc64 } else { AccKind::Acc32 }, elem))
}

fn ups_srs(v: &Vector, stem: &str, suffix: &str) -> Option<Reg> {
    let (kind, name) = acc_and_elem(stem, suffix)?;
    let (source, elem) = (v.operand("src")?, elem(name)?);
    let ups = stem == "vups";
    let from = if ups { elem.bytes() } else { kind.bytes() };
    let lane_count = (source.len() as u32 / from) as u16;
    let (vector, accum) = (Type::vector(elem, lane_count), Type::accum(kind, lane_count));
    let (opcode, from, to) = if ups { (Opcode::Ups, vector, accum) } else { (Opcode::Srs, accum, vector) };
    let shift = Reg::scalar(v.setting("shift") as i32);
    Some(eval(v, opcode, &[(from, reg(&source)), (Type::Scalar, shift)], to))
}

/// ups and srs of unsigned 16- and 32-bit lanes, which the vector types lack.
fn unsigned_shift(v: &Vector, suffix: &str) -> Option<Vec<u8>> {
    let ups = v.file == "vups";
    let (kind, name) = acc_and_elem(if ups { "vups" } else { "vsrs" }, suffix)?;
    let bits: u32 = if name == "d16" { 16 } else { 32 };
    let (acc_bits, shift) = (kind.bytes() * 8, v.setting("shift") as i32);
    let (from, to) = if ups { (bits, acc_bits) } else { (acc_bits, bits) };
    let source = v.operand("src")?;
    let lanes = source.chunks_exact(from as usize / 8).map(|lane| {
        let mut raw = [0; 8];
        raw[..lane.len()].copy_from_slice(lane);
        let unsigned = i64::from_le_bytes(raw);
        if ups {
            return srs::ups(unsigned, shift, acc_bits);
        }
        // Accumulator lanes are signed.
        let signed = unsigned << (64 - from) >> (64 - from);
        srs::srs(signed, shift, bits, false, Rounding::Floor, Saturation::Off)
    });
    Some(lanes.flat_map(|x| x.to_le_bytes()[..to as usize / 8].to_vec()).collect())
}

fn convert(v: &Vector) -> Option<Reg> {
    let (bf16, acc) = (Type::vector(Elem::Bf16, 16), Type::accum(AccKind::AccFloat, 16));
    let source = reg(&v.operand("src")?);
    match v.op.as_str() {
        "vconv.bf16.fp32" => Some(eval(v, Opcode::Srs, &[(acc, source)], bf16)),
        "vconv.fp32.bf16" => Some(eval(v, Opcode::Ups, &[(bf16, source)], acc)),
        _ => None,
    }
}

/// Whether the mnemonic negates its first and second accumulator, the config's inversions
/// applied: `vnegadd` is -acc1 - acc2, `vnegsub` is -acc1 + acc2.
fn negations(v: &Vector, stem: &str) -> Option<(bool, bool)> {
    let (first, second) = match stem {
        "vadd" => (false, false),
        "vsub" => (false, true),
        "vneg" | "vnegsub" => (true, false),
        "vnegadd" => (true, true),
        _ => return None,
    };
    Some((first ^ (v.setting("sub_acc1") == 1), second ^ (v.setting("sub_acc2") == 1)))
}

fn acc_int(v: &Vector, stem: &str) -> Option<Reg> {
    // amode 1 is the multiplier's 64-bit accumulator.
    let wide = v.setting("amode") == 1;
    let ty = if wide { Type::accum(AccKind::Acc64, 16) } else { Type::accum(AccKind::Acc32, 32) };
    let mut first = reg(&v.operand("acc1")?);
    if v.setting("shift16") == 1 {
        if wide {
            first.lanes_mut::<i64, 16>().iter_mut().for_each(|x| *x <<= 16);
        } else {
            first.lanes_mut::<i32, 32>().iter_mut().for_each(|x| *x <<= 16);
        }
    }
    let second = v.operand("acc2").map_or(Reg::ZERO, |b| reg(&b));
    signed_sum(v, stem, ty, first, second)
}

fn acc_float(v: &Vector, stem: &str) -> Option<Reg> {
    let mut first = reg(&v.operand("acc1")?);
    if v.setting("shift16") == 1 {
        first.lanes_mut::<u32, 16>().iter_mut().for_each(|x| *x <<= 16);
    }
    let second = v.operand("acc2").map_or(Reg::ZERO, |b| reg(&b));
    signed_sum(v, stem, Type::accum(AccKind::AccFloat, 16), first, second)
}

/// Plus or minus acc1, plus or minus acc2, from the sums and differences that the table has.
fn signed_sum(v: &Vector, stem: &str, ty: Type, first: Reg, second: Reg) -> Option<Reg> {
    let (negate_first, negate_second) = negations(v, stem)?;
    let first = if v.setting("zero_acc") == 1 { Reg::ZERO } else { first };
    let two = |opcode, a, b| eval(v, opcode, &[(ty, a), (ty, b)], ty);
    Some(match (negate_first, negate_second) {
        (false, false) => two(Opcode::AccAdd, first, second),
        (false, true) => two(Opcode::AccSub, first, second),
        (true, false) => two(Opcode::AccSub, second, first),
        (true, true) => two(Opcode::AccSub, two(Opcode::AccSub, Reg::ZERO, first), second),
    })
}

fn matrix(v: &Vector) -> Option<Reg> {
    let (a, b) = (reg(&v.operand("s1")?), reg(&v.operand("s2")?));
    let (a_type, b_type, acc, shape) = match v.op.as_str() {
        "vmul" => {
            let (a, b) = (Type::vector(Elem::I8, 32), Type::vector(Elem::I8, 64));
            (a, b, Type::accum(AccKind::Acc32, 32), [4, 8, 8])
        }
        "vmul.f" => {
            let tile = Type::vector(Elem::Bf16, 32);
            (tile, tile, Type::accum(AccKind::AccFloat, 16), [4, 8, 4])
        }
        _ => return None,
    };
    Some(eval_imm(v, Opcode::MMul, &[(a_type, a), (b_type, b)], acc, 0, Some(shape)))
}
