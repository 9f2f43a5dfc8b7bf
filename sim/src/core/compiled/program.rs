//! The dense program: what the flattened kernel consists of.

use super::super::access::LookupPlan;
use kiln_dsl::kernel::ops::Eval;
use kiln_dsl::kernel::{Elem, OpId};
use kiln_dsl::num::{Rounding, Saturation};

/// Position of a register in the file.
pub(super) type Slot = u32;

/// One instruction. Failing ones know their operation through `Plan::op` or their own `op`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Inst {
    /// A pure operation of up to three operands.
    Eval { eval: Eval, operands: [Slot; 3], count: u8, to: Slot, imm: i64 },
    /// Accumulator plus the product of a 4x8 and an 8x8 matrix of signed bytes.
    MacI8 { acc: Slot, a: Slot, b: Slot, to: Slot },
    /// Sum of two scalars.
    AddScalars { a: Slot, b: Slot, to: Slot },
    /// Fails when a divisor is zero.
    CheckDivisor { dividend: Slot, divisor: Slot, op: OpId },
    /// Copies a register.
    Copy { from: Slot, to: Slot },
    /// Loads 128 bits.
    Load16 { plan: u32, to: Slot },
    /// Loads 256 bits.
    Load32 { plan: u32, to: Slot },
    /// Loads 512 bits.
    Load64 { plan: u32, to: Slot },
    /// Loads 1024 bits.
    Load128 { plan: u32, to: Slot },
    /// Stores 128 bits.
    Store16 { plan: u32, from: Slot },
    /// Stores 256 bits.
    Store32 { plan: u32, from: Slot },
    /// Stores 512 bits.
    Store64 { plan: u32, from: Slot },
    /// Stores 1024 bits.
    Store128 { plan: u32, from: Slot },
    /// Loads one element and extends it.
    LoadScalar { plan: u32, elem: Elem, to: Slot },
    /// Stores one element.
    StoreScalar { plan: u32, from: Slot },
    /// Looks lanes up; the plan is that of the first table.
    Lookup { plan: u32, lookup: u32, indices: Slot, to: Slot },
    /// Writes the cascade.
    CascadePut { from: Slot },
    /// Reads the cascade; fails when it is empty.
    CascadeGet { to: Slot, op: OpId },
    /// Changes the rounding mode.
    SetRounding(Rounding),
    /// Changes the saturation mode.
    SetSaturation(Saturation),
    /// Starts a loop, or jumps over it when it has no trips.
    LoopStart { lo: Slot, hi: Slot, index: Slot, step: u32, depth: u32, exit: u32, op: OpId },
    /// Counts and jumps back to the body.
    LoopEnd { index: Slot, step: u32, depth: u32, body: u32 },
}

/// A precomputed address and access.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Parameter addressed.
    pub param: u32,
    /// Bytes accessed.
    pub size_bytes: u32,
    /// Alignment less one.
    pub align_mask: usize,
    /// Constant part.
    pub offset: i64,
    /// Up to two terms, unused ones with coefficient 0; small enough not to overflow.
    pub near: [(Slot, i64); 2],
    /// All terms when there are more than two or one is huge; then `near` is not used.
    pub far: Vec<(Slot, i64)>,
    /// The operation, for messages.
    pub op: OpId,
}

/// A flattened kernel.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub insts: Vec<Inst>,
    pub plans: Vec<Plan>,
    pub lookups: Vec<LookupPlan>,
    /// Deepest nesting.
    pub depth: usize,
}
