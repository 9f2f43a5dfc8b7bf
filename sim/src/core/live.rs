//! Which operations of a kernel anything depends on.

use kiln_dsl::kernel::ops::{Effect, Opcode, spec};
use kiln_dsl::kernel::{Kernel, OpId};

/// Whether each operation, by id, must run: it has an effect, may fail, or its result reaches one
/// that must. Loops always run.
pub(super) fn live_ops(kernel: &Kernel) -> Vec<bool> {
    let mut definer: Vec<Option<OpId>> = vec![None; kernel.values.len()];
    for (i, op) in kernel.ops.iter().enumerate() {
        for result in &op.results {
            definer[result.index()] = Some(OpId(i as u32));
        }
    }
    let mut live = vec![false; kernel.ops.len()];
    let mut work = Vec::new();
    for block in &kernel.blocks {
        for &op in &block.ops {
            let opcode = kernel.op(op).opcode;
            // A division by zero is an error even when nothing uses the quotient.
            if spec(opcode).effect != Effect::Pure || opcode == Opcode::SDiv {
                live[op.index()] = true;
                work.push(op);
            }
        }
    }
    while let Some(op) = work.pop() {
        let data = kernel.op(op);
        let terms = data.address.iter().flat_map(|a| a.terms.iter().map(|(v, _)| v));
        for value in data.operands.iter().chain(terms) {
            if let Some(by) = definer[value.index()].filter(|by| !live[by.index()]) {
                live[by.index()] = true;
                work.push(by);
            }
        }
    }
    live
}
