//! Vector loads, stores and parallel lookups. The executor moves the bytes; the table has the
//! types, the C++ and the instructions.

use super::table::{LDB, LOAD, MV, ST, Table, m};
use super::{Effect, LatencyClass, Machine, Opcode};
use super::{lookup_shapes, memory_shapes};
use crate::kernel::types::{Elem, Type};

/// One load or store port moves 256 bits a cycle.
const PORT_BYTES: u32 = 32;

fn accesses(ty: Type) -> u8 {
    ty.bytes().div_ceil(PORT_BYTES) as u8
}

fn load(ty: Type) -> Vec<Machine> {
    vec![m("vlda", LOAD, LatencyClass::LoadVector, accesses(ty))]
}

fn store(ty: Type) -> Vec<Machine> {
    vec![m("vst", ST, LatencyClass::Store, accesses(ty))]
}

/// An unaligned load reads one access more and aligns each access by a vshift.
fn load_unaligned(ty: Type) -> Vec<Machine> {
    let n = accesses(ty);
    vec![m("vlda", LOAD, LatencyClass::LoadVector, n + 1), m("vshift", MV, LatencyClass::VectorAlu, n)]
}

/// An unaligned store splits into element stores of at most 32 bits, each a lane extract and a
/// scalar store: AIE2 has no byte-masked vector store.
fn store_unaligned(ty: Type) -> Vec<Machine> {
    let parts = (ty.bytes() / 4).max(1) as u8;
    vec![m("vextract.32", MV, LatencyClass::VectorAlu, parts), m("st", ST, LatencyClass::Store, parts)]
}

pub(super) fn fill(t: &mut Table) {
    macro_rules! form {
        ($rust:ty, $elem:ident, $lanes:literal) => {
            let ty = Type::vector(Elem::$elem, $lanes);
            t.effect(Opcode::Load, Effect::Read, &[], Some(ty), "aie::load_v<$N>($p)", load(ty));
            t.effect(Opcode::Store, Effect::Write, &[ty], None, "aie::store_v($p, $0)", store(ty));
            let cpp = "aie::load_unaligned_v<$N>($p)";
            t.effect(Opcode::LoadU, Effect::Read, &[], Some(ty), cpp, load_unaligned(ty));
            let cpp = "aie::store_unaligned_v($p, $0)";
            t.effect(Opcode::StoreU, Effect::Write, &[ty], None, cpp, store_unaligned(ty));
        };
    }
    memory_shapes!(form);
    macro_rules! lookup {
        ($ik:ty, $index:ident, $vk:ty, $value:ident, $lanes:literal) => {
            // Per 16 lanes: two ups/srs steps form addresses, min and max clamp them, vldb.4x
            // fetches four lanes a cycle, one shuffle drops the unused halves
            // (aie_api detail/aie2/parallel_lookup.hpp).
            t.effect(
                Opcode::Lookup,
                Effect::Read,
                &[Type::vector(Elem::$index, $lanes)],
                Some(Type::vector(Elem::$value, $lanes)),
                "kiln::lookup<$E, $e, $s, $b>($p, $q, $0)",
                vec![
                    m("vups", MV, LatencyClass::Ups, 2),
                    m("vsrs", super::table::ST_MV, LatencyClass::Srs, 2),
                    m("vmin_ge", MV, LatencyClass::VectorAlu, 2),
                    m("vmax_lt", MV, LatencyClass::VectorAlu, 2),
                    m("vldb.4x", LDB, LatencyClass::LoadLut, 8),
                    m("vshuffle", MV, LatencyClass::VectorAlu, 3),
                ],
            );
        };
    }
    lookup_shapes!(lookup);
}
