//! bf16 and float accumulators.

use super::table::{MV, ST, Table, VEC, m};
use super::vector::select;
use super::{EvalCx, LatencyClass, Opcode, Reg};
use crate::kernel::types::{AccKind, Elem, Type};
use crate::num::bf16;

fn splat<T: bytemuck::Pod + TryFrom<u32>, const N: usize>(cx: &EvalCx, _: &[&Reg], out: &mut Reg) {
    // The immediate holds the bits; a wider one was refused by `verify`.
    if let Ok(bits) = T::try_from(cx.imm as u32) {
        *out.lanes_mut::<T, N>() = [bits; N];
    }
}
fn max<const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    let (a, b) = (ins[0].lanes::<u16, N>(), ins[1].lanes::<u16, N>());
    out.lanes_mut::<u16, N>().iter_mut().enumerate().for_each(|(i, o)| *o = bf16::max(a[i], b[i]));
}
fn min<const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    let (a, b) = (ins[0].lanes::<u16, N>(), ins[1].lanes::<u16, N>());
    out.lanes_mut::<u16, N>().iter_mut().enumerate().for_each(|(i, o)| *o = bf16::min(a[i], b[i]));
}
fn mask<const N: usize>(ins: &[&Reg], out: &mut Reg, f: fn(u16, u16) -> bool) {
    let (a, b) = (ins[0].lanes::<u16, N>(), ins[1].lanes::<u16, N>());
    out.lanes_mut::<u64, 1>()[0] = (0..N).fold(0, |bits, i| bits | u64::from(f(a[i], b[i])) << i);
}
fn lt<const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    mask::<N>(ins, out, bf16::lt);
}
fn ge<const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    mask::<N>(ins, out, bf16::ge);
}
fn from_bf16(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    *out.lanes_mut::<u32, 16>() = ins[0].lanes::<u16, 16>().map(bf16::f32_from_bf16);
}
fn to_bf16(cx: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    *out.lanes_mut::<u16, 16>() = ins[0].lanes::<u32, 16>().map(|v| bf16::bf16_from_f32(v, cx.rounding));
}
fn same_bits(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    *out = *ins[0];
}
fn acc2<const N: usize>(ins: &[&Reg], out: &mut Reg, f: fn(f32, f32) -> f32) {
    let (a, b) = (ins[0].lanes::<f32, N>(), ins[1].lanes::<f32, N>());
    out.lanes_mut::<f32, N>().iter_mut().enumerate().for_each(|(i, o)| *o = f(a[i], b[i]));
}
fn acc_add<const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    acc2::<N>(ins, out, bf16::fadd);
}
fn acc_sub<const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    acc2::<N>(ins, out, bf16::fsub);
}
fn mul(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    let (a, b) = (ins[0].lanes::<u16, 16>(), ins[1].lanes::<u16, 16>());
    out.lanes_mut::<f32, 16>().iter_mut().enumerate().for_each(|(i, o)| *o = bf16::mul(a[i], b[i]));
}
fn accumulate(ins: &[&Reg], out: &mut Reg, f: fn(f32, u16, u16) -> f32) {
    let acc = ins[0].lanes::<f32, 16>();
    let (a, b) = (ins[1].lanes::<u16, 16>(), ins[2].lanes::<u16, 16>());
    out.lanes_mut::<f32, 16>().iter_mut().enumerate().for_each(|(i, o)| *o = f(acc[i], a[i], b[i]));
}
fn mac(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    accumulate(ins, out, bf16::mac);
}
fn msc(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    accumulate(ins, out, bf16::msc);
}
fn mmul(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    *out.lanes_mut::<f32, 16>() = bf16::mmul_bf16::<4, 4, 32, 32, 16>(None, ins[0].lanes(), ins[1].lanes());
}
fn mmac(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    let acc = Some(ins[0].lanes::<f32, 16>());
    *out.lanes_mut::<f32, 16>() = bf16::mmul_bf16::<4, 4, 32, 32, 16>(acc, ins[1].lanes(), ins[2].lanes());
}

pub(super) fn fill(t: &mut Table) {
    let mv = |mn| vec![m(mn, MV, LatencyClass::VectorAlu, 1)];
    macro_rules! ordered {
        ($lanes:literal) => {{
            let v = Type::vector(Elem::Bf16, $lanes);
            let k = Type::Mask { lanes: $lanes };
            t.pure(Opcode::FSplat, &[], v, splat::<u16, $lanes>, "kiln::splat_bf16<$N>($i)", mv("vbcst.16"));
            t.pure(Opcode::Max, &[v, v], v, max::<$lanes>, "aie::max($0, $1)", mv("vmax_lt.bf16"));
            t.pure(Opcode::Min, &[v, v], v, min::<$lanes>, "aie::min($0, $1)", mv("vmin_ge.bf16"));
            t.pure(Opcode::Lt, &[v, v], k, lt::<$lanes>, "aie::lt($0, $1)", mv("vlt.bf16"));
            t.pure(Opcode::Ge, &[v, v], k, ge::<$lanes>, "aie::ge($0, $1)", mv("vge.bf16"));
            let cpp = "aie::select($2, $1, $0)";
            t.pure(Opcode::Select, &[k, v, v], v, select::<u16, $lanes>, cpp, mv("vsel.16"));
        }};
    }
    ordered!(16);
    ordered!(32);

    let bf = Type::vector(Elem::Bf16, 16);
    let f = Type::vector(Elem::F32, 16);
    let acc = Type::accum(AccKind::AccFloat, 16);
    let up = vec![m("vconv.fp32.bf16", MV, LatencyClass::Convert, 1)];
    t.pure(Opcode::Ups, &[bf], acc, from_bf16, "aie::from_vector<$E>($0)", up);
    let down = vec![m("vconv.bf16.fp32", ST, LatencyClass::Convert, 1)];
    t.pure(Opcode::Srs, &[acc], bf, to_bf16, "$0.to_vector<$E>()", down);
    let mov = || vec![m("vmov", MV, LatencyClass::VectorAlu, 1)];
    t.pure(Opcode::Ups, &[f], acc, same_bits, "aie::from_vector<$E>($0)", mov());
    t.pure(Opcode::Srs, &[acc], f, same_bits, "$0.to_vector<$E>()", mov());

    let vec = |mn, latency| vec![m(mn, VEC, latency, 1)];
    macro_rules! sums {
        ($lanes:literal) => {{
            let a = Type::accum(AccKind::AccFloat, $lanes);
            // 512 bits of accumulator an instruction.
            let times = u8::max(1, $lanes / 16);
            let add = vec![m("vadd.f", VEC, LatencyClass::AccAluFloat, times)];
            let sub = vec![m("vsub.f", VEC, LatencyClass::AccAluFloat, times)];
            t.pure(Opcode::AccAdd, &[a, a], a, acc_add::<$lanes>, "aie::add($0, $1)", add);
            t.pure(Opcode::AccSub, &[a, a], a, acc_sub::<$lanes>, "aie::sub($0, $1)", sub);
        }};
    }
    sums!(8);
    sums!(16);
    sums!(32);
    t.pure(Opcode::Mul, &[bf, bf], acc, mul, "aie::mul<$E>($0, $1)", vec("vmul.f", LatencyClass::VmacFloat));
    t.pure(
        Opcode::Mac,
        &[acc, bf, bf],
        acc,
        mac,
        "aie::mac($0, $1, $2)",
        vec("vmac.f", LatencyClass::VmacFloat),
    );
    t.pure(
        Opcode::Msc,
        &[acc, bf, bf],
        acc,
        msc,
        "aie::msc($0, $1, $2)",
        vec("vmsc.f", LatencyClass::VmacFloat),
    );

    let tile = Type::vector(Elem::Bf16, 32);
    let shape = [4, 8, 4];
    let mul_machine = vec("vmul.f", LatencyClass::VmacFloat);
    t.pure(Opcode::MMul, &[tile, tile], acc, mmul, "kiln::mul<$M, $K, $L>($0, $1)", mul_machine).shape =
        Some(shape);
    let mac_machine = vec("vmac.f", LatencyClass::VmacFloat);
    t.pure(Opcode::MMac, &[acc, tile, tile], acc, mmac, "kiln::mac<$M, $K, $L>($0, $1, $2)", mac_machine)
        .shape = Some(shape);
}
