//! Matrix products: the mmul shapes of AIE2.

use super::mmul_shapes;
use super::table::{Table, VEC, m};
use super::{EvalCx, LatencyClass, Machine, Opcode, Reg};
use crate::kernel::types::{AccKind, Elem, Type};
use crate::num::mmul::mmul_int;

/// The instructions of a product. Of 32 by 16 bits the multiplier takes 4x2x4 (llvm-aie `aiev2_vmult.h`), 32 of the
/// device's `macs_per_cycle`: 4x4x4 is two. What takes their operands apart, two shuffles of A and a shift of B, all
/// products of a block share; in blocks of 2x2 and more it issues beside them and is left out.
fn machine(product: &'static str, left: Elem) -> Vec<Machine> {
    vec![m(product, VEC, LatencyClass::Vmac, if left == Elem::I32 { 2 } else { 1 })]
}

pub(super) fn fill(t: &mut Table) {
    macro_rules! shape {
        ($name:ident, $m:literal, $k:literal, $n:literal, $lt:ty, $le:ident, $la:literal, $rt:ty, $re:ident, $lb:literal,
         $kind:ident, $lane:ty, $lc:literal) => {{
            fn mmul(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
                let acc = out.lanes_mut::<$lane, $lc>();
                *acc = [0; $lc];
                mmul_int::<$lt, $rt, $lane, $m, $k, $n, $la, $lb, $lc>(acc, ins[0].lanes(), ins[1].lanes());
            }
            fn mmac(_: &EvalCx, ins: &[&Reg], out: &mut Reg) {
                let acc = out.lanes_mut::<$lane, $lc>();
                *acc = *ins[0].lanes();
                mmul_int::<$lt, $rt, $lane, $m, $k, $n, $la, $lb, $lc>(acc, ins[1].lanes(), ins[2].lanes());
            }
            let (a, b) = (Type::vector(Elem::$le, $la), Type::vector(Elem::$re, $lb));
            let c = Type::accum(AccKind::$kind, $lc);
            let shape = [$m, $k, $n];
            let (mul, mac) = (machine("vmul", Elem::$le), machine("vmac", Elem::$le));
            t.pure(Opcode::MMul, &[a, b], c, mmul, "kiln::mul<$M, $K, $L>($0, $1)", mul).shape = Some(shape);
            t.pure(Opcode::MMac, &[c, a, b], c, mmac, "kiln::mac<$M, $K, $L>($0, $1, $2)", mac).shape =
                Some(shape);
        }};
    }
    mmul_shapes!(shape);
}
