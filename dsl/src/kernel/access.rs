//! How wide a load or store is and how it must be aligned.

use super::ir::{Kernel, OpData};
use super::ops::Opcode;

/// The largest alignment that a vector load or store needs: one 256-bit port access
/// (`isa_timing.md` section 6).
const PORT_BYTES: u32 = 32;

/// The access of one load or store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Bytes moved.
    pub size_bytes: u32,
    /// Power of two that must divide the address.
    pub align_bytes: u32,
}

/// The access of a load or store; `None` for any other operation, lookups included.
pub fn access(kernel: &Kernel, op: &OpData) -> Option<Access> {
    let elem_bytes = kernel.params.get(op.address.as_ref()?.param.index())?.elem.bytes();
    let value = match op.opcode {
        Opcode::Load | Opcode::LoadU => op.results.first()?,
        Opcode::Store | Opcode::StoreU => op.operands.first()?,
        Opcode::SLoad | Opcode::SStore => {
            return Some(Access { size_bytes: elem_bytes, align_bytes: elem_bytes });
        }
        _ => return None,
    };
    let size_bytes = kernel.values.get(value.index())?.bytes();
    let is_aligned = matches!(op.opcode, Opcode::Load | Opcode::Store);
    Some(Access { size_bytes, align_bytes: if is_aligned { size_bytes.min(PORT_BYTES) } else { elem_bytes } })
}
