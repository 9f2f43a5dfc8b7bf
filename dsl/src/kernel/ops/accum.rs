//! Integer accumulators: ups, srs, sums and lanewise products.

use super::table::{MV, ST, ST_MV, Table, VEC, m};
use super::vector::{concat, half};
use super::{EvalCx, LatencyClass, Machine, Opcode, Reg};
use super::{acc_half_shapes, acc_move_shapes, acc_shapes, mul_shapes, ups_srs_shapes};
use crate::kernel::types::{AccKind, Elem, Type};
use crate::num;
use bytemuck::Pod;

const S: Type = Type::Scalar;

/// An integer accumulator lane.
pub(super) trait AccLane: Pod {
    const BITS: u32;
    fn to_i64(self) -> i64;
    fn wrap(value: i64) -> Self;
    fn add(a: Self, b: Self) -> Self;
    fn sub(a: Self, b: Self) -> Self;
    fn srs<V: VecLane, const N: usize>(acc: &[Self; N], shift: i32, cx: &EvalCx) -> [V; N] {
        acc.map(|a| V::wrap(num::srs::srs(a.to_i64(), shift, V::BITS, V::SIGNED, cx.rounding, cx.saturation)))
    }
}
impl AccLane for i32 {
    const BITS: u32 = 32;
    fn to_i64(self) -> i64 {
        i64::from(self)
    }
    fn wrap(value: i64) -> i32 {
        value as i32
    }
    fn add(a: i32, b: i32) -> i32 {
        a.wrapping_add(b)
    }
    fn sub(a: i32, b: i32) -> i32 {
        a.wrapping_sub(b)
    }
    fn srs<V: VecLane, const N: usize>(acc: &[i32; N], shift: i32, cx: &EvalCx) -> [V; N] {
        let lanes = num::srs::srs_lanes_i32(acc, shift, V::BITS, V::SIGNED, cx.rounding, cx.saturation);
        lanes.map(|a| V::wrap(a.into()))
    }
}
impl AccLane for i64 {
    const BITS: u32 = 64;
    fn to_i64(self) -> i64 {
        self
    }
    fn wrap(value: i64) -> i64 {
        value
    }
    fn add(a: i64, b: i64) -> i64 {
        a.wrapping_add(b)
    }
    fn sub(a: i64, b: i64) -> i64 {
        a.wrapping_sub(b)
    }
}

/// An integer vector lane that accumulators take and give.
pub(super) trait VecLane: Pod {
    const BITS: u32;
    const SIGNED: bool;
    fn to_i64(self) -> i64;
    fn wrap(value: i64) -> Self;
}
macro_rules! vec_lane {
    ($($t:ty, $signed:literal;)*) => {$(
        impl VecLane for $t {
            const BITS: u32 = <$t>::BITS;
            const SIGNED: bool = $signed;
            fn to_i64(self) -> i64 { i64::from(self) }
            fn wrap(value: i64) -> $t { value as $t }
        }
    )*};
}
vec_lane!(i8, true; u8, false; i16, true; i32, true;);

fn ups<V: VecLane, A: AccLane, const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    let shift = ins[1].as_scalar();
    let lanes = ins[0].lanes::<V, N>();
    for (o, &v) in out.lanes_mut::<A, N>().iter_mut().zip(lanes) {
        *o = A::wrap(num::srs::ups(v.to_i64(), shift, A::BITS));
    }
}

fn srs<V: VecLane, A: AccLane, const N: usize>(cx: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    let shift = ins[1].as_scalar();
    *out.lanes_mut::<V, N>() = A::srs::<V, N>(ins[0].lanes(), shift, cx);
}

fn acc2<A: Pod, const N: usize>(ins: &[&Reg], out: &mut Reg, f: impl Fn(A, A) -> A) {
    let (a, b) = (ins[0].lanes::<A, N>(), ins[1].lanes::<A, N>());
    for (o, (&a, &b)) in out.lanes_mut::<A, N>().iter_mut().zip(a.iter().zip(b)) {
        *o = f(a, b);
    }
}

fn acc_add<A: AccLane, const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    acc2::<A, N>(ins, out, A::add);
}
fn acc_sub<A: AccLane, const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    acc2::<A, N>(ins, out, A::sub);
}
fn zeros(_: &EvalCx, _: &[&Reg], out: &mut Reg) {
    *out = Reg::ZERO;
}

fn same_bits(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    *out = *ins[0];
}

fn product<L: VecLane, R: VecLane, A: AccLane>(l: L, r: R) -> A {
    A::wrap(l.to_i64().wrapping_mul(r.to_i64()))
}

fn mul<L: VecLane, R: VecLane, A: AccLane, const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    let (l, r) = (ins[0].lanes::<L, N>(), ins[1].lanes::<R, N>());
    for (i, o) in out.lanes_mut::<A, N>().iter_mut().enumerate() {
        *o = product(l[i], r[i]);
    }
}
fn mac<L: VecLane, R: VecLane, A: AccLane, const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    let (acc, l, r) = (ins[0].lanes::<A, N>(), ins[1].lanes::<L, N>(), ins[2].lanes::<R, N>());
    for (i, o) in out.lanes_mut::<A, N>().iter_mut().enumerate() {
        *o = A::add(acc[i], product(l[i], r[i]));
    }
}
fn msc<L: VecLane, R: VecLane, A: AccLane, const N: usize>(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
    let (acc, l, r) = (ins[0].lanes::<A, N>(), ins[1].lanes::<L, N>(), ins[2].lanes::<R, N>());
    for (i, o) in out.lanes_mut::<A, N>().iter_mut().enumerate() {
        *o = A::sub(acc[i], product(l[i], r[i]));
    }
}

fn vec(mnemonic: &'static str, latency: LatencyClass, times: u8) -> Machine {
    m(mnemonic, VEC, latency, times)
}

/// Instructions that cover an accumulator 512 bits at a time.
fn halves(ty: Type) -> u8 {
    ty.bytes().div_ceil(64) as u8
}

/// Instructions of ups and srs: each reads or writes 256 bits of vector, so to and from 8 bits a
/// whole 1024-bit accumulator at once (llvm-aie intrinsics `I256.v32.acc32.srs`,
/// `I256.v16.acc32.srs`).
fn converts(vector: Type) -> u8 {
    vector.bytes().div_ceil(32) as u8
}

pub(super) fn fill(t: &mut Table) {
    macro_rules! acc {
        (AccFloat, $lane:ty, $lanes:literal) => {{
            let a = Type::accum(AccKind::AccFloat, $lanes);
            let clear = vec![vec("vclr", LatencyClass::AccAluFloat, halves(a))];
            t.pure(Opcode::AccZeros, &[], a, zeros, "aie::zeros<$E, $N>()", clear);
        }};
        ($kind:ident, $lane:ty, $lanes:literal) => {{
            let a = Type::accum(AccKind::$kind, $lanes);
            let one = |mn| vec![vec(mn, LatencyClass::AccAlu, 1)];
            t.pure(Opcode::AccZeros, &[], a, zeros, "aie::zeros<$E, $N>()", one("vclr"));
            t.pure(Opcode::AccAdd, &[a, a], a, acc_add::<$lane, $lanes>, "aie::add($0, $1)", one("vadd"));
            t.pure(Opcode::AccSub, &[a, a], a, acc_sub::<$lane, $lanes>, "aie::sub($0, $1)", one("vsub"));
        }};
    }
    acc_shapes!(acc);

    macro_rules! acc_halves {
        ($kind:ident, $whole:literal, $half:literal) => {{
            let (w, h) = (Type::accum(AccKind::$kind, $whole), Type::accum(AccKind::$kind, $half));
            const BYTES: usize = $half * AccKind::$kind.bytes() as usize;
            // Halves of 512 bits are registers of their own (bml, bmh); smaller ones are moved.
            let mov = |n| vec![vec("vmov", LatencyClass::AccAlu, n)];
            let taken = if BYTES < 64 { mov(1) } else { vec![] };
            t.pure(Opcode::AccHalf, &[w], h, half::<BYTES>, "$0.extract<$N>($i)", taken);
            t.pure(Opcode::AccConcat, &[h, h], w, concat::<BYTES>, "aie::concat($0, $1)", mov(2));
        }};
    }
    acc_half_shapes!(acc_halves);

    macro_rules! ups_srs {
        ($rust:ty, $elem:ident, $kind:ident, $lane:ty, $lanes:literal) => {{
            let (v, a) = (Type::vector(Elem::$elem, $lanes), Type::accum(AccKind::$kind, $lanes));
            let times = converts(v);
            let ups_machine = vec![m("vups", MV, LatencyClass::Ups, times)];
            // The move slot's srs has no 8-bit results (`isa_timing.md` section 1).
            let slots = if Elem::$elem.bytes() == 1 { ST } else { ST_MV };
            let srs_machine = vec![m("vsrs", slots, LatencyClass::Srs, times)];
            let cpp = "aie::from_vector<$E>($0, $1)";
            t.pure(Opcode::Ups, &[v, S], a, ups::<$rust, $lane, $lanes>, cpp, ups_machine);
            let cpp = "$0.to_vector<$E>($1)";
            t.pure(Opcode::Srs, &[a, S], v, srs::<$rust, $lane, $lanes>, cpp, srs_machine);
        }};
    }
    ups_srs_shapes!(ups_srs);

    macro_rules! moves {
        ($rust:ty, $elem:ident, $kind:ident, $lanes:literal) => {{
            let (v, a) = (Type::vector(Elem::$elem, $lanes), Type::accum(AccKind::$kind, $lanes));
            let mov = || vec![m("vmov", MV, LatencyClass::VectorAlu, halves(a))];
            t.pure(Opcode::Ups, &[v], a, same_bits, "aie::from_vector<$E>($0)", mov());
            t.pure(Opcode::Srs, &[a], v, same_bits, "$0.to_vector<$E>()", mov());
        }};
    }
    acc_move_shapes!(moves);

    macro_rules! muls {
        ($lt:ty, $le:ident, $rt:ty, $re:ident, $kind:ident, $lane:ty, $lanes:literal, $halves:literal,
         $vmuls:literal) => {{
            let (l, r) = (Type::vector(Elem::$le, $lanes), Type::vector(Elem::$re, $lanes));
            let a = Type::accum(AccKind::$kind, $lanes);
            let one = |mn| {
                let halved = ($halves > 0).then(|| m("vshuffle", MV, LatencyClass::VectorAlu, $halves));
                halved.into_iter().chain([vec(mn, LatencyClass::Vmac, $vmuls)]).collect()
            };
            t.pure(
                Opcode::Mul,
                &[l, r],
                a,
                mul::<$lt, $rt, $lane, $lanes>,
                "aie::mul<$E>($0, $1)",
                one("vmul"),
            );
            t.pure(
                Opcode::Mac,
                &[a, l, r],
                a,
                mac::<$lt, $rt, $lane, $lanes>,
                "aie::mac($0, $1, $2)",
                one("vmac"),
            );
            t.pure(
                Opcode::Msc,
                &[a, l, r],
                a,
                msc::<$lt, $rt, $lane, $lanes>,
                "aie::msc($0, $1, $2)",
                one("vmsc"),
            );
        }};
    }
    mul_shapes!(muls);
}
