//! Selection: which machine instructions each operation becomes, from the op table.
//!
//! Loads and stores convert on the way where they can (`isa_timing` section 1): `vst.srs`, `vst.pack`
//! and `vst.conv` store what an srs, pack or float conversion gives; `vlda.ups`, `vlda.conv` and
//! `vldb.unpack` load what ups or unpack takes, and accumulators load through `lda` only. A compiler
//! uses them when nothing else needs the vector in between. Halves of 256 bits and more are registers
//! of their own, so that taking one apart is free, and putting two together too when each was made
//! for it alone.

use kiln_dsl::kernel::ops::{LatencyClass, Machine, Opcode, Slot, form, scalar_store_machine};
use kiln_dsl::kernel::{AccKind, Elem, Imm, Kernel, OpData, OpId, Type, ValueId};

/// Bytes of the smallest vector register (`wl`, `wh`).
const HALF_BYTES: u32 = 32;

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fusion {
    /// It has its own instructions.
    #[default]
    None,
    /// Another operation does its work, or there is none to do.
    Absorbed,
    /// It is a conversion that also does this load.
    Loads(OpId),
    /// It is a store that also converts what this operation would.
    Converts(OpId),
    /// Of its first instruction, which moves what it works on, fewer are needed than its form says: so many.
    Moves(u8),
}

/// The instructions of all operations of a kernel.
#[derive(Clone, Debug)]
pub(super) struct Selection<'k> {
    kernel: &'k Kernel,
    fusions: Vec<Fusion>,
}

impl<'k> Selection<'k> {
    /// Selects for a kernel.
    pub fn new(kernel: &'k Kernel) -> Selection<'k> {
        let uses = Uses::new(kernel);
        let mut fusions = vec![Fusion::None; kernel.ops.len()];
        for block in &kernel.blocks {
            for &op in &block.ops {
                let data = kernel.op(op);
                if let Some(moves) = moves(kernel, data, &uses) {
                    fusions[op.index()] = if moves == 0 { Fusion::Absorbed } else { Fusion::Moves(moves) };
                    continue;
                }
                if let Some(halvings) = halvings(kernel, data, &block.ops) {
                    fusions[op.index()] = Fusion::Moves(halvings);
                    continue;
                }
                let user = data.results.first().and_then(|v| uses.sole[v.index()]);
                let Some(user) = user.filter(|user| block.ops.contains(user)) else { continue };
                match (data.opcode, kernel.op(user).opcode) {
                    (Opcode::Srs | Opcode::Pack, Opcode::Store) => {
                        fusions[op.index()] = Fusion::Absorbed;
                        fusions[user.index()] = Fusion::Converts(op);
                    }
                    (Opcode::Load, Opcode::Ups | Opcode::Unpack) => {
                        fusions[op.index()] = Fusion::Absorbed;
                        fusions[user.index()] = Fusion::Loads(op);
                    }
                    _ => {}
                }
            }
        }
        Selection { kernel, fusions }
    }

    /// The instructions of an operation; each waits for the ones before.
    pub fn of(&self, op: OpId) -> Vec<Machine> {
        let (kernel, data) = (self.kernel, self.kernel.op(op));
        match self.fusions[op.index()] {
            Fusion::None => match (&data.address, data.opcode) {
                // A scalar store's instruction depends on the width, which is the parameter's.
                (Some(address), Opcode::SStore) => {
                    vec![scalar_store_machine(kernel.param(address.param).elem)]
                }
                _ => form(kernel, data).map(|f| f.machine.clone()).unwrap_or_default(),
            },
            Fusion::Absorbed => Vec::new(),
            Fusion::Moves(times) => {
                let mut machine = form(kernel, data).map(|f| f.machine.clone()).unwrap_or_default();
                if let Some(moves) = machine.first_mut() {
                    moves.times = times;
                }
                machine.retain(|m| m.times > 0);
                machine
            }
            Fusion::Loads(_) => self.loading(data),
            Fusion::Converts(from) => self.converting(kernel.op(from), data),
        }
    }

    /// The operation whose address an operation's instructions access.
    pub fn accesses(&self, op: OpId) -> Option<OpId> {
        match self.fusions[op.index()] {
            Fusion::Loads(load) => Some(load),
            Fusion::Absorbed => None,
            _ => Some(op),
        }
    }

    /// The instructions of a conversion that also loads.
    fn loading(&self, data: &OpData) -> Vec<Machine> {
        let from = data.operands.first().map_or(Type::Scalar, |&v| self.kernel.ty(v));
        let to = data.results.first().map_or(Type::Scalar, |&v| self.kernel.ty(v));
        let parts = |ty: Type| ty.bytes().div_ceil(HALF_BYTES) as u8;
        let lda: &'static [Slot] = &[Slot::Lda];
        let (mnemonic, slots, latency, times) = match (from, to) {
            (Type::Vector { elem: Elem::I32 | Elem::F32, .. }, Type::Accum { kind, .. })
                if kind != AccKind::Acc64 =>
            {
                ("vlda", lda, LatencyClass::LoadVector, parts(to))
            }
            (_, Type::Accum { kind: AccKind::AccFloat, .. }) => {
                ("vlda.conv.fp32.bf16", lda, LatencyClass::LoadVector, parts(from))
            }
            (_, Type::Accum { .. }) => ("vlda.ups", lda, LatencyClass::LoadUps, parts(from)),
            _ => ("vldb.unpack", &[Slot::Ldb] as &[Slot], LatencyClass::LoadVector, parts(from)),
        };
        vec![Machine { mnemonic, slots, latency, times }]
    }

    /// The instructions of a store that also converts.
    fn converting(&self, from: &OpData, store: &OpData) -> Vec<Machine> {
        let machine = form(self.kernel, store).map(|f| f.machine.clone()).unwrap_or_default();
        let source = from.operands.first().map(|&v| self.kernel.ty(v));
        let stored = from.results.first().map(|&v| self.kernel.ty(v));
        let mnemonic = match (source, stored) {
            (Some(Type::Accum { kind, .. }), Some(Type::Vector { elem, .. })) => match (kind, elem) {
                (AccKind::AccFloat, Elem::Bf16) => "vst.conv.bf16.fp32",
                (AccKind::AccFloat, _) | (AccKind::Acc32, Elem::I32) => "vst",
                _ => "vst.srs",
            },
            _ => "vst.pack",
        };
        machine.into_iter().map(|m| Machine { mnemonic, ..m }).collect()
    }
}

/// Whether a store of this mnemonic goes through the unit that shifts, rounds and saturates.
pub(super) fn uses_srs_unit(mnemonic: &str) -> bool {
    mnemonic == "vsrs" || mnemonic == "vst.srs"
}

/// Uses of all values.
struct Uses {
    count: Vec<u32>,
    /// The operation that uses a value, when there is exactly one use.
    sole: Vec<Option<OpId>>,
    /// Made by an operation, not by a block.
    made: Vec<bool>,
}

impl Uses {
    fn new(kernel: &Kernel) -> Uses {
        let mut count = vec![0; kernel.values.len()];
        let mut users = vec![None; kernel.values.len()];
        let mut made = vec![false; kernel.values.len()];
        for (i, op) in kernel.ops.iter().enumerate() {
            let terms = op.address.iter().flat_map(|a| a.terms.iter().map(|(v, _)| v));
            for value in op.operands.iter().chain(terms) {
                let value: &ValueId = value;
                count[value.index()] += 1;
                users[value.index()] = Some(OpId(i as u32));
            }
            if op.opcode != Opcode::For {
                op.results.iter().for_each(|v| made[v.index()] = true);
            }
        }
        let sole = users.into_iter().zip(&count).map(|(user, &uses)| user.filter(|_| uses == 1)).collect();
        Uses { count, sole, made }
    }
}

/// Register copies of an operation that gives registers another name where it can; `None` for others.
fn moves(kernel: &Kernel, data: &OpData, uses: &Uses) -> Option<u8> {
    let least = match data.opcode {
        Opcode::Concat => HALF_BYTES,
        Opcode::AccConcat => 2 * HALF_BYTES,
        Opcode::SConst => return is_immediate(kernel, data).then_some(0),
        _ => return None,
    };
    let [a, b] = data.operands.as_slice() else { return None };
    let is_whole = |v: &ValueId| kernel.ty(*v).bytes() >= least;
    if !is_whole(a) {
        return None;
    }
    // What was made for this alone is made in its place; of a value that fills both halves, one is.
    let in_place = |v: &ValueId, uses_here| uses.made[v.index()] && uses.count[v.index()] == uses_here;
    Some(match a == b {
        true => 2 - u8::from(in_place(a, 2)),
        false => [a, b].into_iter().map(|v| u8::from(!in_place(v, 1))).sum(),
    })
}

/// Shuffles of a product that multiplies halves of its operands: two for each vector of 32 bits, but none for one that
/// is the same in every iteration, whose halves are made before the loop. `None` for others.
fn halvings(kernel: &Kernel, data: &OpData, here: &[OpId]) -> Option<u8> {
    if !matches!(data.opcode, Opcode::Mul | Opcode::Mac | Opcode::Msc) {
        return None;
    }
    form(kernel, data).filter(|f| f.machine.len() > 1)?;
    let varies = |value: ValueId| {
        let by = |&op: &OpId| kernel.op(op).results.contains(&value);
        here.iter().copied().find(by).is_some_and(|op| kernel.op(op).opcode != Opcode::Splat)
    };
    let wide =
        data.operands.iter().filter(|v| matches!(kernel.ty(**v), Type::Vector { elem: Elem::I32, .. }));
    Some(2 * wide.filter(|v| varies(**v)).count() as u8)
}

/// Whether a constant is only bounds, counts and operands that instructions hold in themselves.
fn is_immediate(kernel: &Kernel, data: &OpData) -> bool {
    use Opcode::{For, SAdd, SAnd, SAshr, SLshr, SMul, SShl, SSub};
    let result = data.results.first();
    let users = kernel.ops.iter().filter(|op| op.operands.iter().any(|v| Some(v) == result));
    users.map(|op| op.opcode).all(|op| matches!(op, For | SAdd | SSub | SMul | SShl | SAshr | SLshr | SAnd))
}

/// A loop's constant bounds, if both are.
pub(super) fn constant_trips(kernel: &Kernel, data: &OpData) -> Option<u64> {
    let constant = |value: ValueId| {
        let by = kernel.ops.iter().find(|op| op.results.first() == Some(&value))?;
        match (by.opcode, &by.imm) {
            (Opcode::SConst, Imm::Int(n)) => Some(*n),
            _ => None,
        }
    };
    let [lo, hi, ..] = data.operands.as_slice() else { return None };
    let Imm::Loop { step, .. } = data.imm else { return None };
    let span = u64::try_from(constant(*hi)? - constant(*lo)?).unwrap_or(0);
    Some(span.div_ceil(u64::from(step.max(1))))
}
