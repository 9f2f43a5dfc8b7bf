//! Operations on integer vector registers.

use super::table::{ALU, MV, ST, Table, m};
use super::{EvalCx, LatencyClass, Machine, Opcode, Reg};
use super::{alu_shapes, half_shapes, memory_shapes};
use crate::kernel::types::{Elem, Type};
use crate::num;
use bytemuck::Pod;
use half::bf16;

const S: Type = Type::Scalar;

/// Wrapping lane arithmetic of the integer element types.
pub(super) trait Lane: Pod + PartialOrd + PartialEq {
    const ZERO: Self;
    fn add(a: Self, b: Self) -> Self;
    fn sub(a: Self, b: Self) -> Self;
    fn from_scalar(value: i32) -> Self;
    fn to_scalar(self) -> i32;
}

macro_rules! lane {
    ($($t:ty)*) => {$(
        impl Lane for $t {
            const ZERO: Self = 0;
            fn add(a: Self, b: Self) -> Self { a.wrapping_add(b) }
            fn sub(a: Self, b: Self) -> Self { a.wrapping_sub(b) }
            fn from_scalar(value: i32) -> Self { value as $t }
            fn to_scalar(self) -> i32 { self as i32 }
        }
    )*};
}
lane!(i8 u8 i16 i32);

fn map2<T: Pod, const N: usize>(ins: &[&Reg], out: &mut Reg, f: impl Fn(T, T) -> T) {
    let (a, b) = (ins[0].lanes::<T, N>(), ins[1].lanes::<T, N>());
    for (o, (&a, &b)) in out.lanes_mut::<T, N>().iter_mut().zip(a.iter().zip(b)) {
        *o = f(a, b);
    }
}

fn map1<T: Pod, const N: usize>(ins: &[&Reg], out: &mut Reg, f: impl Fn(T) -> T) {
    for (o, &a) in out.lanes_mut::<T, N>().iter_mut().zip(ins[0].lanes::<T, N>()) {
        *o = f(a);
    }
}

fn mask2<T: Pod, const N: usize>(ins: &[&Reg], out: &mut Reg, f: impl Fn(T, T) -> bool) {
    let (a, b) = (ins[0].lanes::<T, N>(), ins[1].lanes::<T, N>());
    let mut mask = 0u64;
    for (i, (&a, &b)) in a.iter().zip(b).enumerate() {
        mask |= u64::from(f(a, b)) << i;
    }
    out.lanes_mut::<u64, 1>()[0] = mask;
}

fn add<T: Lane, const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    map2::<T, N>(ins, out, T::add);
}
fn sub<T: Lane, const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    map2::<T, N>(ins, out, T::sub);
}
fn min<T: Lane, const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    map2::<T, N>(ins, out, |a, b| if a < b { a } else { b });
}
fn max<T: Lane, const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    map2::<T, N>(ins, out, |a, b| if a < b { b } else { a });
}
fn max_diff<T: Lane, const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    map2::<T, N>(ins, out, |a, b| if b < a { T::sub(a, b) } else { T::ZERO });
}
fn neg<T: Lane, const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    map1::<T, N>(ins, out, |a| T::sub(T::ZERO, a));
}
fn abs<T: Lane, const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    map1::<T, N>(ins, out, |a| if a < T::ZERO { T::sub(T::ZERO, a) } else { a });
}
fn lt<T: Lane, const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    mask2::<T, N>(ins, out, |a, b| a < b);
}
fn ge<T: Lane, const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    mask2::<T, N>(ins, out, |a, b| a >= b);
}
fn eq<T: Lane, const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    mask2::<T, N>(ins, out, |a, b| a == b);
}
pub(super) fn select<T: Pod, const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    let mask = ins[0].as_mask();
    let (a, b) = (ins[1].lanes::<T, N>(), ins[2].lanes::<T, N>());
    for (i, o) in out.lanes_mut::<T, N>().iter_mut().enumerate() {
        *o = if mask >> i & 1 == 1 { a[i] } else { b[i] };
    }
}
fn splat<T: Lane, const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    *out.lanes_mut::<T, N>() = [T::from_scalar(ins[0].as_scalar()); N];
}
fn get_lane<T: Lane, const N: usize>(cx: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    let lane = ins[0].lanes::<T, N>().get(cx.imm as usize).copied().unwrap_or(T::ZERO);
    *out = Reg::scalar(lane.to_scalar());
}
fn reduce_max<T: Lane, const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    let lanes = ins[0].lanes::<T, N>();
    *out = Reg::scalar(lanes.iter().fold(lanes[0], |a, &b| if a < b { b } else { a }).to_scalar());
}
fn reduce_min<T: Lane, const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    let lanes = ins[0].lanes::<T, N>();
    *out = Reg::scalar(lanes.iter().fold(lanes[0], |a, &b| if b < a { b } else { a }).to_scalar());
}
fn reduce_add<const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    let sum = ins[0].lanes::<i32, N>().iter().fold(0i32, |a, &b| a.wrapping_add(b));
    *out = Reg::scalar(sum);
}
fn and(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    map2::<u64, 8>(ins, out, |a, b| a & b);
}
fn or(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    map2::<u64, 8>(ins, out, |a, b| a | b);
}
fn zeros(_: &EvalCx, _: &[&Reg], out: &mut Reg) {
    *out = Reg::ZERO;
}
fn cast(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    *out = *ins[0];
}
fn tail_mask<const N: i32>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    let n = ins[0].as_scalar().clamp(0, N);
    out.lanes_mut::<u64, 1>()[0] = if n == 64 { u64::MAX } else { (1u64 << n) - 1 };
}
fn shuffle(cx: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    let shuffled = num::shuffle::shuffle(cx.imm as u8, ins[0].lanes::<u8, 64>(), ins[1].lanes::<u8, 64>());
    *out.lanes_mut::<u8, 64>() = shuffled;
}
pub(super) fn half<const BYTES: usize>(cx: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    let from = if cx.imm == 1 { BYTES } else { 0 };
    out.0[..BYTES].copy_from_slice(&ins[0].0[from..from + BYTES]);
}
pub(super) fn concat<const BYTES: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    out.0[..BYTES].copy_from_slice(&ins[0].0[..BYTES]);
    out.0[BYTES..2 * BYTES].copy_from_slice(&ins[1].0[..BYTES]);
}
fn unpack_i8(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    let lanes = ins[0].lanes::<i8, 32>();
    *out.lanes_mut::<i16, 32>() = lanes.map(i16::from);
}
fn unpack_u8(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    let lanes = ins[0].lanes::<u8, 32>();
    *out.lanes_mut::<i16, 32>() = lanes.map(i16::from);
}
fn pack_i8(cx: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    let lanes = ins[0].lanes::<i16, 32>();
    *out.lanes_mut::<i8, 32>() =
        lanes.map(|v| num::srs::saturate(i64::from(v), 8, true, cx.saturation) as i8);
}

/// Whole 512-bit registers one instruction works through; smaller vectors use part of one.
fn registers(ty: Type) -> u8 {
    ty.bytes().div_ceil(64) as u8
}

fn mv(mnemonic: &'static str, times: u8) -> Machine {
    m(mnemonic, MV, LatencyClass::VectorAlu, times)
}

pub(super) fn fill(t: &mut Table) {
    macro_rules! alu {
        ($rust:ty, $elem:ident, $lanes:literal) => {{
            let v = Type::vector(Elem::$elem, $lanes);
            let k = Type::Mask { lanes: $lanes };
            type T = $rust;
            const N: usize = $lanes;
            t.pure(
                Opcode::Splat,
                &[S],
                v,
                splat::<T, N>,
                "aie::broadcast<$E, $N>(($E)$0)",
                vec![mv("vbcst", 1)],
            );
            t.pure(Opcode::Add, &[v, v], v, add::<T, N>, "aie::add($0, $1)", vec![mv("vadd", 1)]);
            t.pure(Opcode::Sub, &[v, v], v, sub::<T, N>, "aie::sub($0, $1)", vec![mv("vsub", 1)]);
            t.pure(Opcode::Min, &[v, v], v, min::<T, N>, "aie::min($0, $1)", vec![mv("vmin_ge", 1)]);
            t.pure(Opcode::Max, &[v, v], v, max::<T, N>, "aie::max($0, $1)", vec![mv("vmax_lt", 1)]);
            let diff = vec![mv("vmaxdiff_lt", 1)];
            t.pure(Opcode::MaxDiff, &[v, v], v, max_diff::<T, N>, "aie::maxdiff($0, $1)", diff);
            if Elem::$elem != Elem::U8 {
                t.pure(Opcode::Neg, &[v], v, neg::<T, N>, "aie::neg($0)", vec![mv("vneg_gtz", 1)]);
                t.pure(Opcode::Abs, &[v], v, abs::<T, N>, "aie::abs($0)", vec![mv("vabs_gtz", 1)]);
            }
            t.pure(Opcode::And, &[v, v], v, and, "aie::bit_and($0, $1)", vec![mv("vband", 1)]);
            t.pure(Opcode::Or, &[v, v], v, or, "aie::bit_or($0, $1)", vec![mv("vbor", 1)]);
            t.pure(Opcode::Lt, &[v, v], k, lt::<T, N>, "aie::lt($0, $1)", vec![mv("vlt", 1)]);
            t.pure(Opcode::Ge, &[v, v], k, ge::<T, N>, "aie::ge($0, $1)", vec![mv("vge", 1)]);
            // A compare of equality is a subtraction and a test for zero.
            let eq_machine = vec![mv("vsub", 1), mv("veqz", 1)];
            t.pure(Opcode::Eq, &[v, v], k, eq::<T, N>, "aie::eq($0, $1)", eq_machine);
            let sel = vec![mv("vsel", 1)];
            t.pure(Opcode::Select, &[k, v, v], v, select::<T, N>, "aie::select($2, $1, $0)", sel);
            let get = vec![mv("vextract", 1)];
            t.pure(Opcode::GetLane, &[v], S, get_lane::<T, N>, "(int32_t)$0.get($i)", get);
            // log2(lanes) rounds of shift and compare, then one extract.
            let rounds = (N as u32).ilog2() as u8;
            let reduce = |mn| vec![mv("vshift", rounds), mv(mn, rounds), mv("vextract", 1)];
            let (hi, lo) = (reduce("vmax_lt"), reduce("vmin_ge"));
            t.pure(Opcode::ReduceMax, &[v], S, reduce_max::<T, N>, "(int32_t)aie::reduce_max($0)", hi);
            t.pure(Opcode::ReduceMin, &[v], S, reduce_min::<T, N>, "(int32_t)aie::reduce_min($0)", lo);
            if Elem::$elem == Elem::I32 {
                let sum = reduce("vadd");
                t.pure(Opcode::ReduceAdd, &[v], S, reduce_add::<N>, "(int32_t)aie::reduce_add($0)", sum);
            }
        }};
    }
    alu_shapes!(alu);

    macro_rules! zero {
        ($rust:ty, $elem:ident, $lanes:literal) => {{
            let v = Type::vector(Elem::$elem, $lanes);
            t.pure(Opcode::Zeros, &[], v, zeros, "aie::zeros<$E, $N>()", vec![mv("vbcst", registers(v))]);
            for to in Elem::ALL {
                let lanes = v.bytes() / to.bytes();
                if to != Elem::$elem {
                    t.pure(
                        Opcode::Cast,
                        &[v],
                        Type::vector(to, lanes as u16),
                        cast,
                        "$0.cast_to<$E>()",
                        vec![],
                    );
                }
            }
        }};
    }
    memory_shapes!(zero);

    macro_rules! halves {
        ($rust:ty, $elem:ident, $whole:literal, $half:literal) => {{
            let (w, h) = (Type::vector(Elem::$elem, $whole), Type::vector(Elem::$elem, $half));
            const BYTES: usize = $half * size_of::<$rust>();
            // Halves of 256 bits and more are registers of their own (wl, wh): one is taken out by its
            // name, and moved into another register. A 128-bit half is shifted.
            let moves = |n| if BYTES < 32 { vec![mv("vshift", n)] } else { vec![mv("vmov", n)] };
            let taken = if BYTES < 32 { moves(1) } else { vec![] };
            t.pure(Opcode::Half, &[w], h, half::<BYTES>, "$0.extract<$N>($i)", taken);
            t.pure(Opcode::Concat, &[h, h], w, concat::<BYTES>, "aie::concat($0, $1)", moves(2));
        }};
    }
    half_shapes!(halves);

    macro_rules! shuffles {
        ($rust:ty, $elem:ident, $lanes:literal) => {{
            let v = Type::vector(Elem::$elem, $lanes);
            if v.bytes() == 64 {
                let machine = vec![mv("vshuffle", 1)];
                t.pure(Opcode::Shuffle, &[v, v], v, shuffle, "kiln::shuffle($0, $1, $i)", machine);
            }
        }};
    }
    memory_shapes!(shuffles);

    let tail = |mn: &'static str| {
        vec![
            m("lt", ALU, LatencyClass::ScalarAlu, 2),
            m("lshl", ALU, LatencyClass::ScalarAlu, 1),
            m(mn, ALU, LatencyClass::ScalarAlu, 1),
        ]
    };
    let mask = |lanes| Type::Mask { lanes };
    t.pure(Opcode::TailMask, &[S], mask(8), tail_mask::<8>, "kiln::tail_mask<8>($0)", tail("add"));
    t.pure(Opcode::TailMask, &[S], mask(16), tail_mask::<16>, "kiln::tail_mask<16>($0)", tail("add"));
    t.pure(Opcode::TailMask, &[S], mask(32), tail_mask::<32>, "kiln::tail_mask<32>($0)", tail("add"));
    t.pure(Opcode::TailMask, &[S], mask(64), tail_mask::<64>, "kiln::tail_mask<64>($0)", tail("add"));

    let (i8x32, u8x32, i16x32) =
        (Type::vector(Elem::I8, 32), Type::vector(Elem::U8, 32), Type::vector(Elem::I16, 32));
    let convert = |mn| vec![m(mn, ST, LatencyClass::Convert, 1)];
    let unpack = |mn| vec![m(mn, super::table::LDB, LatencyClass::LoadVector, 1)];
    t.pure(Opcode::Unpack, &[i8x32], i16x32, unpack_i8, "aie::unpack($0)", unpack("vunpack.s16.s8"));
    let cpp = "aie::unpack($0).cast_to<int16>()";
    t.pure(Opcode::Unpack, &[u8x32], i16x32, unpack_u8, cpp, unpack("vunpack.d16.d8"));
    t.pure(Opcode::Pack, &[i16x32], i8x32, pack_i8, "aie::pack($0)", convert("vpack.s8.s16"));
}
