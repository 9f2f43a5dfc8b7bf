//! Conversions that loads and stores do on the way (`isa_timing` section 1): `vst.srs`, `vst.pack`
//! and `vst.conv` store what an srs, pack or float conversion gives; `vlda.ups`, `vlda.conv` and
//! `vldb.unpack` load what ups or unpack takes. A compiler uses them when nothing else needs the
//! vector in between.

use kiln_dsl::kernel::ops::{LatencyClass, Machine, Opcode, Slot, form};
use kiln_dsl::kernel::{AccKind, Kernel, OpId, Type, ValueId};

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fusion {
    /// It has its own instructions.
    #[default]
    None,
    /// Another operation does its work.
    Absorbed,
    /// It is a conversion that also does this load.
    Loads(OpId),
}

/// The fusions of all operations, by id.
pub(super) fn fusions(kernel: &Kernel) -> Vec<Fusion> {
    let users = sole_users(kernel);
    let mut fusions = vec![Fusion::None; kernel.ops.len()];
    for block in &kernel.blocks {
        for &op in &block.ops {
            let data = kernel.op(op);
            let user = data.results.first().and_then(|v| users[v.index()]);
            let Some(user) = user.filter(|user| block.ops.contains(user)) else { continue };
            match (data.opcode, kernel.op(user).opcode) {
                (Opcode::Srs | Opcode::Pack, Opcode::Store) => fusions[op.index()] = Fusion::Absorbed,
                (Opcode::Load, Opcode::Ups | Opcode::Unpack) => {
                    fusions[op.index()] = Fusion::Absorbed;
                    fusions[user.index()] = Fusion::Loads(op);
                }
                _ => {}
            }
        }
    }
    fusions
}

/// The instructions of a conversion that also loads.
pub(super) fn loading(kernel: &Kernel, op: OpId) -> Vec<Machine> {
    let data = kernel.op(op);
    let times = form(kernel, data).map_or(1, |f| f.machine.iter().map(|m| m.times).sum());
    let to = data.results.first().map(|&v| kernel.ty(v));
    let (mnemonic, slots, latency): (_, &'static [Slot], _) = match to {
        Some(Type::Accum { kind: AccKind::AccFloat, .. }) => {
            ("vlda.conv.fp32.bf16", &[Slot::Lda], LatencyClass::LoadVector)
        }
        Some(Type::Accum { .. }) => ("vlda.ups", &[Slot::Lda], LatencyClass::LoadUps),
        _ => ("vldb.unpack", &[Slot::Ldb], LatencyClass::LoadVector),
    };
    vec![Machine { mnemonic, slots, latency, times }]
}

/// The operation that uses a value, when there is exactly one use.
fn sole_users(kernel: &Kernel) -> Vec<Option<OpId>> {
    let mut uses = vec![0; kernel.values.len()];
    let mut users = vec![None; kernel.values.len()];
    for (i, op) in kernel.ops.iter().enumerate() {
        let terms = op.address.iter().flat_map(|a| a.terms.iter().map(|(v, _)| v));
        for value in op.operands.iter().chain(terms) {
            let value: &ValueId = value;
            uses[value.index()] += 1;
            users[value.index()] = Some(OpId(i as u32));
        }
    }
    users.into_iter().zip(uses).map(|(user, uses)| user.filter(|_| uses == 1)).collect()
}
