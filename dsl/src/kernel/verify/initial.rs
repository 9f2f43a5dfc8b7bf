//! Reads of memory that means nothing when the call starts: `out` and `scratch` parameters.
//!
//! One walk in the order of the text, which is the order of the first trip of every loop. A read is
//! refused when no store before it can reach its bytes, whatever run-time values are; what only some
//! values leave unwritten is for the simulator to find.

use super::error::Report;
use super::problem::Problem;
use super::scalar::Facts;
use crate::kernel::access::access;
use crate::kernel::ir::{BlockId, Imm, Kernel, OpData, OpId, ParamKind};
use crate::kernel::ops::{Effect, spec};

/// Bytes from a parameter's start, end excluded.
type Bytes = (i128, i128);

/// Reports every read that nothing precedes.
pub(super) fn check(kernel: &Kernel, report: &mut Report) {
    let mut walk =
        Walk { kernel, facts: Facts::of(kernel), stored: vec![Vec::new(); kernel.params.len()], report };
    walk.block(Kernel::BODY);
}

struct Walk<'k, 'r, 'p> {
    kernel: &'k Kernel,
    facts: Facts<'k>,
    /// What each parameter may have been stored to so far.
    stored: Vec<Vec<Bytes>>,
    report: &'r mut Report<'p>,
}

impl Walk<'_, '_, '_> {
    fn block(&mut self, block: BlockId) {
        if self.facts.is_dead(block) {
            return;
        }
        for &id in &self.kernel.block(block).ops {
            let op = self.kernel.op(id);
            self.access(id, op);
            if let Some(body) = op.body {
                self.block(body);
            }
        }
    }

    fn access(&mut self, id: OpId, op: &OpData) {
        if let (Imm::Lookup { second, .. }, Some(first)) = (&op.imm, &op.address) {
            for table in [first.param, *second] {
                let end = i128::from(self.kernel.param(table).bytes());
                self.touch(id, op, table.index(), (0, end));
            }
        } else if let Some((at, bytes)) = self.reach(op) {
            self.touch(id, op, at, bytes);
        }
    }

    /// A store to some bytes of a parameter, or a read of some of them.
    fn touch(&mut self, id: OpId, op: &OpData, at: usize, bytes: Bytes) {
        let param = self.kernel.param(crate::kernel::ParamId(at as u32));
        if !matches!(param.kind, ParamKind::Out | ParamKind::Scratch) {
            return;
        }
        match spec(op.opcode).effect {
            Effect::Write => self.stored[at].push(bytes),
            Effect::Read if !self.stored[at].iter().any(|s| s.0 < bytes.1 && bytes.0 < s.1) => {
                let (param, kind) = (param.name.clone(), param.kind.keyword());
                let (first_byte, end) = bytes;
                self.report.op(id, Problem::ReadBeforeStore { param, kind, first_byte, end });
            }
            _ => {}
        }
    }

    /// The parameter of a load or store by position, and all bytes that it can touch.
    fn reach(&self, op: &OpData) -> Option<(usize, Bytes)> {
        let address = op.address.as_ref()?;
        let access = access(self.kernel, op)?;
        let sum = self.facts.address(address)?;
        let constant = i128::from(sum.constant);
        let mut bytes = (constant, constant + i128::from(access.size_bytes));
        for (&value, &coefficient) in &sum.terms {
            let range = self.facts.get(value).range;
            let ends = [range.lo, range.hi].map(|end| i128::from(end) * i128::from(coefficient));
            bytes = (bytes.0 + ends[0].min(ends[1]), bytes.1 + ends[0].max(ends[1]));
        }
        Some((address.param.index(), bytes))
    }
}
