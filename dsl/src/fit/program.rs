//! Program memory of a core around its kernels: what acquires, releases, loops and calls become.
//!
//! A prediction from what the dynamic lowering of object FIFOs emits (mlir-aie `AIEObjectFifoStatefulTransform.cpp` of
//! 2026-04) in the instructions of the core: a counter in memory for each FIFO end, read at every access and moved on at
//! every release; a tree of compares and branches that finds the buffer. Each instruction is a bundle of its own, since
//! each needs the one before, and short nops fill latencies and delay slots. No measurement tells this code from the
//! rest of a program; a compiler that fills those slots takes less, and `core.program_overhead_bytes` was measured with a
//! small loop in it, which counts twice.

use crate::array::lowered::{CoreOp, LoweredCore};
use crate::array::{Arg, Count};
use crate::device::Device;
use crate::kernel::ops::{LatencyClass, Slot, bundle_bytes};

/// Bytes of one instruction of a slot, alone in its bundle.
fn alone(slot: Slot) -> u64 {
    bundle_bytes(slot.encoded_bits()).into()
}

/// Sizes of what core programs are made of, in bytes.
struct Sizes {
    /// A load of a word and the nops until it is there.
    load: u64,
    /// A branch with its delay slots.
    branch: u64,
}

impl Sizes {
    fn new(device: &Device) -> Sizes {
        let nop = u64::from(bundle_bytes(0));
        let wait = u64::from(device.latency_cycles(LatencyClass::LoadScalar)).saturating_sub(1);
        Sizes {
            load: alone(Slot::Lda) + wait * nop,
            branch: alone(Slot::Lng) + u64::from(device.core_timing.branch_delay_slots()) * nop,
        }
    }

    /// Compare and branch.
    fn decide(&self) -> u64 {
        alone(Slot::Alu) + self.branch
    }

    /// Finding one of `buffers` buffers: each is an address in one instruction, and all but one jump behind the tree.
    fn access(&self, buffers: u64) -> u64 {
        match buffers.saturating_sub(1) {
            0 => alone(Slot::Lng),
            decisions => {
                let counter = alone(Slot::Lng) + self.load;
                counter + decisions * (self.decide() + self.branch) + buffers * alone(Slot::Lng)
            }
        }
    }

    /// Moving a counter on: reading it, adding, comparing, subtracting, choosing and writing it.
    fn advance(&self) -> u64 {
        alone(Slot::Lng) + self.load + 4 * alone(Slot::Alu) + alone(Slot::St)
    }

    /// A lock's number and a count into registers, and the operation.
    fn lock(&self) -> u64 {
        2 * alone(Slot::Mv) + alone(Slot::Alu)
    }

    fn block(&self, core: &LoweredCore, ops: &[CoreOp]) -> u64 {
        ops.iter().map(|op| self.op(core, op)).sum()
    }

    fn op(&self, core: &LoweredCore, op: &CoreOp) -> u64 {
        match op {
            CoreOp::Loop { count: Count::Forever, body } => self.branch + self.block(core, body),
            CoreOp::Loop { body, .. } => {
                alone(Slot::Mv) + alone(Slot::Alu) + self.decide() + self.block(core, body)
            }
            CoreOp::Acquire { end, objects, words, take, .. } => {
                let buffers = core.ends.get(*end).map_or(0, |(_, _, e)| e.buffers.len() as u64);
                let lock = if *take > 0 { self.lock() } else { 0 };
                lock + objects.len() as u64 * self.access(buffers) + words.len() as u64 * self.load
            }
            CoreOp::Release { .. } => self.lock() + self.advance(),
            CoreOp::Call { args, .. } => {
                let argument = |arg: &Arg| match arg {
                    Arg::Local { .. } => alone(Slot::Lng),
                    _ => alone(Slot::Mv),
                };
                self.branch + args.iter().map(argument).sum::<u64>()
            }
            CoreOp::Switch { cases, default, .. } => {
                let case =
                    |(_, body): &(i64, Vec<CoreOp>)| self.decide() + self.branch + self.block(core, body);
                cases.iter().map(case).sum::<u64>() + self.block(core, default)
            }
        }
    }
}

/// Predicted bytes of a core's program, without its kernels and what starts it.
pub(super) fn core_program_bytes(core: &LoweredCore, device: &Device) -> u64 {
    Sizes::new(device).block(core, &core.body)
}

#[cfg(test)]
mod tests {
    use super::{Sizes, core_program_bytes};
    use crate::array::{LowerMode, allocate, examples};
    use crate::device::Device;

    #[test]
    fn a_tree_takes_a_decision_for_each_buffer_but_one() {
        let sizes = Sizes::new(Device::npu1());
        // Seven cycles of latency, five delay slots; nops of 2 bytes, instructions of 4, long ones of 6.
        assert_eq!((sizes.load, sizes.branch), (4 + 6 * 2, 6 + 5 * 2));
        assert_eq!(sizes.access(1), 6, "one address");
        assert_eq!(sizes.access(2), 6 + 16 + (4 + 16 + 16) + 2 * 6);
        assert_eq!(sizes.access(4) - sizes.access(3), 4 + 16 + 16 + 6);
        assert_eq!(sizes.advance(), 6 + 16 + 4 * 4 + 4);
    }

    #[test]
    fn mm4x4_is_loops_around_three_fifos() {
        let device = Device::npu1();
        let (lowered, _) = allocate(&examples::mm4x4(), device, LowerMode::Dynamic);
        let core = &lowered.cores[0];
        let depths: Vec<usize> = core.ends.iter().map(|(_, _, end)| end.buffers.len()).collect();
        assert_eq!(depths, [1, 2, 2]);
        // Of one end: taking and giving a lock, and its counter; of two, finding one of two buffers.
        let end = 2 * 12 + 42;
        let (calls, loops) = (16 + 4 + 16 + 3 * 4, 16 + 28);
        assert_eq!(core_program_bytes(core, device), 3 * end + 6 + 2 * 70 + calls + loops);
    }
}
