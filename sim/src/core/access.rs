//! What scalar loads and lookups mean beside moving bytes.

use super::error::{RunError, Site};
use kiln_dsl::kernel::ops::Reg;
use kiln_dsl::kernel::{Elem, Imm, Kernel, OpId, ParamId, Type, ValueId};
use kiln_dsl::num::lut;

/// The scalar that a load of one element leaves in a register: integers sign- or zero-extended,
/// floats as their bits.
pub(super) fn extend(elem: Elem, bytes: &[u8]) -> i32 {
    let byte = |i: usize| bytes.get(i).copied().unwrap_or(0);
    match elem {
        Elem::I8 => i32::from(byte(0) as i8),
        Elem::U8 => i32::from(byte(0)),
        Elem::I16 => i32::from(i16::from_le_bytes([byte(0), byte(1)])),
        Elem::Bf16 => i32::from(u16::from_le_bytes([byte(0), byte(1)])),
        Elem::I32 | Elem::F32 => i32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)]),
    }
}

/// Lane `lane` of a vector register as a scalar.
pub(super) fn lane(elem: Elem, reg: &Reg, lane: usize) -> i32 {
    let size = elem.bytes() as usize;
    extend(elem, &reg.0[lane * size..(lane + 1) * size])
}

/// The constant part of a lookup.
#[derive(Clone, Copy, Debug)]
pub(super) struct LookupPlan {
    /// Parameter of the second copy.
    pub second: ParamId,
    /// Low bits of an index that are dropped.
    step_log2: u8,
    /// Entry of index 0.
    bias: u32,
    /// Type of an index.
    index: Elem,
    /// Type of an entry.
    pub entry: Elem,
    /// Lanes.
    lanes: usize,
}

impl LookupPlan {
    /// The plan of a lookup.
    ///
    /// # Errors
    /// When the operation is none.
    pub fn new(kernel: &Kernel, op: OpId) -> Result<LookupPlan, RunError> {
        let data = kernel.op(op);
        let malformed = |missing| RunError::Malformed { site: Site::new(kernel, op), missing };
        let Imm::Lookup { second, step_log2, bias } = data.imm else { return Err(malformed("table")) };
        let vector = |v: Option<&ValueId>| match v.map(|&v| kernel.ty(v)) {
            Some(Type::Vector { elem, lanes }) => Some((elem, lanes)),
            _ => None,
        };
        let (index, lanes) = vector(data.operands.first()).ok_or_else(|| malformed("index vector"))?;
        let (entry, _) = vector(data.results.first()).ok_or_else(|| malformed("result vector"))?;
        Ok(LookupPlan { second, step_log2, bias, index, entry, lanes: usize::from(lanes) })
    }

    /// Looks all lanes of `indices` up in `first`, a table of at least one line, and checks each
    /// entry read against `second`, and that the lines of both hold it twice.
    ///
    /// # Errors
    /// The entry that differs.
    pub fn lookup(&self, first: &[u8], second: &[u8], indices: &Reg, out: &mut Reg) -> Result<(), u32> {
        let last = i64::from(lut::entries(first.len().min(second.len()), self.entry)) - 1;
        let size = self.entry.bytes() as usize;
        for i in 0..self.lanes {
            let index = i64::from(lane(self.index, indices, i) >> self.step_log2.min(31));
            let entry = (index + i64::from(self.bias)).clamp(0, last) as u32;
            let value = lut::table_entry(first, self.entry, entry);
            let twice = [first, second].iter().all(|table| lut::is_twice(table, self.entry, entry));
            if !twice || value != lut::table_entry(second, self.entry, entry) {
                return Err(entry);
            }
            out.0[i * size..(i + 1) * size].copy_from_slice(&value.to_le_bytes()[..size]);
        }
        Ok(())
    }
}
