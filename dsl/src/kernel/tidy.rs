//! Removes operations whose results nobody uses and numbers what is left in order of appearance.

use super::ir::{BlockId, Kernel, OpId, ValueId};
use super::ops::{Effect, Opcode, spec};

/// Drops unused pure operations and loads (index arithmetic folded into addresses leaves many),
/// and renumbers values, operations and blocks densely in the order they are printed.
pub(super) fn remove_unused(kernel: &mut Kernel) {
    let used = used_values(kernel);
    let keep = |op: &super::OpData| {
        let removable = matches!(spec(op.opcode).effect, Effect::Pure | Effect::Read);
        !removable || op.results.iter().any(|r| used[r.index()])
    };
    let mut blocks = std::mem::take(&mut kernel.blocks);
    for block in &mut blocks {
        block.ops.retain(|&op| keep(kernel.op(op)));
    }
    kernel.blocks = blocks;
    Renumber::run(kernel);
}

/// Values reached from operations with an effect.
fn used_values(kernel: &Kernel) -> Vec<bool> {
    let mut used = vec![false; kernel.values.len()];
    let mut definition: Vec<Option<&super::OpData>> = vec![None; kernel.values.len()];
    let mut work: Vec<ValueId> = Vec::new();
    let inputs = |op: &super::OpData, work: &mut Vec<ValueId>| {
        work.extend(op.operands.iter().copied());
        work.extend(op.address.iter().flat_map(|a| a.terms.iter().map(|t| t.0)));
    };
    for op in &kernel.ops {
        for r in &op.results {
            definition[r.index()] = Some(op);
        }
        let kept = op.opcode == Opcode::For || !matches!(spec(op.opcode).effect, Effect::Pure | Effect::Read);
        if kept {
            inputs(op, &mut work);
        }
    }
    while let Some(value) = work.pop() {
        if !std::mem::replace(&mut used[value.index()], true)
            && let Some(op) = definition[value.index()]
        {
            inputs(op, &mut work);
        }
    }
    used
}

/// Old ids to new ones, given in order of appearance.
struct Renumber {
    values: Vec<Option<ValueId>>,
    types: Vec<super::Type>,
    ops: Vec<super::OpData>,
    blocks: Vec<super::Block>,
}

impl Renumber {
    fn run(kernel: &mut Kernel) {
        let mut new = Renumber {
            values: vec![None; kernel.values.len()],
            types: Vec::new(),
            ops: Vec::new(),
            blocks: vec![super::Block::default(); 1],
        };
        for param in &mut kernel.params {
            if let Some(value) = param.value {
                param.value = Some(new.define(kernel.values[value.index()], value));
            }
        }
        let root = new.block(kernel, Kernel::BODY);
        new.blocks[0] = root;
        kernel.values = new.types;
        kernel.ops = new.ops;
        kernel.blocks = new.blocks;
    }

    fn define(&mut self, ty: super::Type, old: ValueId) -> ValueId {
        let id = ValueId(self.types.len() as u32);
        self.types.push(ty);
        self.values[old.index()] = Some(id);
        id
    }

    /// The new id; a value used where it is not defined keeps a fresh one, for `verify` to report.
    fn used(&mut self, kernel: &Kernel, old: ValueId) -> ValueId {
        match self.values[old.index()] {
            Some(id) => id,
            None => self.define(kernel.ty(old), old),
        }
    }

    fn block(&mut self, kernel: &Kernel, id: BlockId) -> super::Block {
        let old = kernel.block(id);
        let args = old.args.iter().map(|&a| self.define(kernel.ty(a), a)).collect();
        let ops = old.ops.iter().map(|&op| self.op(kernel, op)).collect();
        super::Block { args, ops }
    }

    fn op(&mut self, kernel: &Kernel, id: OpId) -> OpId {
        let mut op = kernel.op(id).clone();
        op.operands.iter_mut().for_each(|v| *v = self.used(kernel, *v));
        if let Some(address) = &mut op.address {
            address.terms.iter_mut().for_each(|t| t.0 = self.used(kernel, t.0));
        }
        let new_id = OpId(self.ops.len() as u32);
        self.ops.push(op.clone());
        if let Some(body) = op.body {
            let new_body = BlockId(self.blocks.len() as u32);
            self.blocks.push(super::Block::default());
            let block = self.block(kernel, body);
            self.blocks[new_body.index()] = block;
            op.body = Some(new_body);
        }
        let results = kernel.op(id).results.iter().map(|&r| self.used(kernel, r)).collect();
        op.results = results;
        self.ops[new_id.index()] = op;
        new_id
    }
}
