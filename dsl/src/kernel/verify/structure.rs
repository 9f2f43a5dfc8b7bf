//! Ids in range, one place for everything, loops well formed, values defined before use and in scope.

use super::error::{Place, Report};
use super::problem::Problem;
use crate::kernel::ir::{BlockId, Imm, Kernel, OpData, OpId, ParamId, ValueId};
use crate::kernel::ops::Opcode;
use crate::kernel::print::MAX_DEPTH;
use crate::kernel::types::Type;

/// The tree of blocks of a kernel whose ids are in range.
pub(super) struct Structure {
    sound: bool,
    /// Loop that each block is the body of.
    owner: Vec<Option<OpId>>,
    /// Block of each operation.
    home: Vec<Option<BlockId>>,
    /// What defines each value: an operation's result or, for loop arguments, the loop.
    definition: Vec<Option<Definition>>,
}

#[derive(Clone, Copy)]
struct Definition {
    /// Block in which the value is defined.
    block: BlockId,
    /// The operation that defines it or whose body it enters; none for a parameter.
    op: Option<OpId>,
}

impl Structure {
    /// Reports everything about ids, places and loops.
    pub fn check(kernel: &Kernel, report: &mut Report) -> Structure {
        let mut this = Structure {
            sound: true,
            owner: vec![None; kernel.blocks.len()],
            home: vec![None; kernel.ops.len()],
            definition: vec![None; kernel.values.len()],
        };
        let before = report.count();
        this.ids(kernel, report);
        // Wrong ids make a walk of the tree meaningless.
        if report.count() == before {
            this.places(kernel, report);
        }
        this.sound = report.count() == before;
        if this.sound {
            for (i, op) in kernel.ops.iter().enumerate() {
                this.check_loop(kernel, OpId(i as u32), op, report);
            }
            this.definitions(kernel, report);
            this.sound = report.count() == before;
        }
        this
    }

    /// Whether the tree can be walked and every id followed.
    pub fn is_sound(&self) -> bool {
        self.sound
    }

    fn ids(&self, kernel: &Kernel, report: &mut Report) {
        if kernel.blocks.is_empty() {
            report.add(Place::Kernel, Problem::NoBody);
        }
        let value = |v: ValueId| {
            let count = kernel.values.len();
            (v.index() >= count).then_some(Problem::ValueOutOfRange { value: v, count })
        };
        let param = |p: ParamId| {
            let count = kernel.params.len();
            (p.index() >= count).then_some(Problem::ParamOutOfRange { param: p, count })
        };
        for (i, p) in kernel.params.iter().enumerate() {
            if let Some(problem) = p.value.and_then(value) {
                report.param(i, problem);
            }
        }
        for (b, block) in kernel.blocks.iter().enumerate() {
            let count = kernel.ops.len();
            let owner = kernel.ops.iter().position(|op| op.body.is_some_and(|body| body.index() == b));
            let place = owner.map_or(Place::Kernel, |op| Place::Op(OpId(op as u32)));
            for problem in block.args.iter().filter_map(|&v| value(v)) {
                report.add(place, problem);
            }
            for &op in block.ops.iter().filter(|op| op.index() >= count) {
                report.add(place, Problem::OpOutOfRange { block: BlockId(b as u32), op, count });
            }
        }
        for (i, op) in kernel.ops.iter().enumerate() {
            let id = OpId(i as u32);
            let terms = op.address.iter().flat_map(|a| a.terms.iter().map(|(v, _)| *v));
            for v in op.operands.iter().chain(&op.results).copied().chain(terms) {
                if let Some(problem) = value(v) {
                    report.op(id, problem);
                }
            }
            if let Some(problem) = op.address.as_ref().and_then(|a| param(a.param)) {
                report.op(id, problem);
            }
            if let Imm::Lookup { second, .. } = op.imm
                && let Some(problem) = param(second)
            {
                report.op(id, problem);
            }
            if let Some(block) = op.body
                && block.index() >= kernel.blocks.len()
            {
                report.op(id, Problem::BlockOutOfRange { block, count: kernel.blocks.len() });
            }
        }
    }

    fn places(&mut self, kernel: &Kernel, report: &mut Report) {
        for (i, op) in kernel.ops.iter().enumerate() {
            let Some(body) = op.body else { continue };
            let id = OpId(i as u32);
            if body == Kernel::BODY || self.owner[body.index()].is_some() {
                report.op(id, Problem::BlockShared { block: body });
            } else {
                self.owner[body.index()] = Some(id);
            }
        }
        for (b, block) in kernel.blocks.iter().enumerate() {
            let here = BlockId(b as u32);
            for &op in &block.ops {
                match self.home[op.index()] {
                    Some(first) => report.op(op, Problem::OpTwice { op, first, second: here }),
                    None => self.home[op.index()] = Some(here),
                }
            }
            if here != Kernel::BODY && self.owner[b].is_none() {
                report.add(Place::Kernel, Problem::BlockUnplaced { block: here });
            }
        }
        for (i, home) in self.home.iter().enumerate() {
            if home.is_none() {
                let op = OpId(i as u32);
                report.op(op, Problem::OpUnplaced { op });
            }
        }
        let body = kernel.block(Kernel::BODY);
        if !body.args.is_empty() {
            report.add(Place::Kernel, Problem::BodyArguments { count: body.args.len() });
        }
        for i in 0..kernel.ops.len() {
            let op = OpId(i as u32);
            match self.depth(op) {
                Some(depth) if depth > MAX_DEPTH => {
                    // Only the first loop beyond the limit, not everything inside it.
                    if depth == MAX_DEPTH + 1 && kernel.op(op).body.is_some() {
                        report.op(op, Problem::TooDeep { depth, limit: MAX_DEPTH });
                    }
                }
                Some(_) => {}
                None => report.op(op, Problem::OpUnplaced { op }),
            }
        }
    }

    /// Number of loops around and including `op` if it is one; none when it is not under the body.
    fn depth(&self, op: OpId) -> Option<usize> {
        let mut block = self.home[op.index()]?;
        for depth in 1..=self.owner.len() {
            if block == Kernel::BODY {
                return Some(depth);
            }
            block = self.home[self.owner[block.index()]?.index()]?;
        }
        None
    }

    fn check_loop(&self, kernel: &Kernel, id: OpId, op: &OpData, report: &mut Report) {
        if op.opcode == Opcode::Yield {
            let home = self.home[id.index()].unwrap_or(Kernel::BODY);
            let last = kernel.block(home).ops.last() == Some(&id);
            if home == Kernel::BODY || !last {
                report.op(id, Problem::MisplacedYield { in_loop: home != Kernel::BODY });
            }
        }
        if op.body.is_some() != (op.opcode == Opcode::For) {
            let mnemonic = op.opcode.mnemonic();
            report.op(id, Problem::Body { mnemonic, has_body: op.body.is_some() });
        }
        let (Opcode::For, Some(body)) = (op.opcode, op.body) else { return };
        match op.imm {
            Imm::Loop { step: 0, .. } => report.op(id, Problem::LoopStep),
            Imm::Loop { .. } => {}
            _ => report.op(id, Problem::LoopImm),
        }
        let args = &kernel.block(body).args;
        let end = kernel.block(body).ops.last().map(|&last| kernel.op(last));
        let Some(end) = end.filter(|end| end.opcode == Opcode::Yield) else {
            report.op(id, Problem::NoYield);
            return;
        };
        let (Some(inits), Some((index, carried))) = (op.operands.get(2..), args.split_first()) else {
            report.op(id, Problem::LoopBounds { operands: op.operands.len() });
            return;
        };
        let roles = [("lower bound", op.operands[0]), ("upper bound", op.operands[1]), ("index", *index)];
        for (role, value) in roles {
            let found = kernel.ty(value);
            if found != Type::Scalar {
                report.op(id, Problem::LoopScalar { role, value, found });
            }
        }
        let (args, yields, results) = (carried.len(), end.operands.len(), op.results.len());
        if [args, yields, results].iter().any(|&n| n != inits.len()) {
            report.op(id, Problem::CarriedCount { inits: inits.len(), args, yields, results });
            return;
        }
        for position in 0..args {
            let init = kernel.ty(inits[position]);
            let arg = kernel.ty(carried[position]);
            let yielded = kernel.ty(end.operands[position]);
            let result = kernel.ty(op.results[position]);
            if [arg, yielded, result].iter().any(|&t| t != init) {
                report.op(id, Problem::CarriedType { position, init, arg, yielded, result });
            }
        }
    }

    fn definitions(&mut self, kernel: &Kernel, report: &mut Report) {
        for (i, p) in kernel.params.iter().enumerate() {
            if let Some(value) = p.value {
                self.define(
                    value,
                    Definition { block: Kernel::BODY, op: None },
                    Place::Param(ParamId(i as u32)),
                    report,
                );
            }
        }
        for (i, op) in kernel.ops.iter().enumerate() {
            let (id, place) = (OpId(i as u32), Place::Op(OpId(i as u32)));
            if let Some(body) = op.body {
                for &arg in &kernel.block(body).args {
                    self.define(arg, Definition { block: body, op: Some(id) }, place, report);
                }
            }
            let home = self.home[i].unwrap_or(Kernel::BODY);
            for &result in &op.results {
                self.define(result, Definition { block: home, op: Some(id) }, place, report);
            }
        }
    }

    fn define(&mut self, value: ValueId, definition: Definition, place: Place, report: &mut Report) {
        let slot = &mut self.definition[value.index()];
        if slot.is_some() {
            report.add(place, Problem::DefinedTwice { value });
        } else {
            *slot = Some(definition);
        }
    }

    /// Reports every use of a value that is not defined above it, in its block or an enclosing one.
    pub fn check_scopes(&self, kernel: &Kernel, report: &mut Report) {
        let mut in_scope = vec![false; kernel.values.len()];
        for value in kernel.params.iter().filter_map(|p| p.value) {
            in_scope[value.index()] = true;
        }
        self.scope(kernel, Kernel::BODY, &mut in_scope, report);
    }

    fn scope(&self, kernel: &Kernel, block: BlockId, in_scope: &mut [bool], report: &mut Report) {
        let block = kernel.block(block);
        for &arg in &block.args {
            in_scope[arg.index()] = true;
        }
        for &id in &block.ops {
            let op = kernel.op(id);
            let terms = op.address.iter().flat_map(|a| a.terms.iter().map(|(v, _)| *v));
            let mut seen: Vec<ValueId> = Vec::new();
            for value in op.operands.iter().copied().chain(terms) {
                if !in_scope[value.index()] && !seen.contains(&value) {
                    seen.push(value);
                    report.op(id, self.out_of_scope(kernel, id, value));
                }
            }
            if let Some(body) = op.body {
                self.scope(kernel, body, in_scope, report);
            }
            for &result in &op.results {
                in_scope[result.index()] = true;
            }
        }
        for value in block.args.iter().chain(block.ops.iter().flat_map(|&op| &kernel.op(op).results)) {
            in_scope[value.index()] = false;
        }
    }

    fn out_of_scope(&self, kernel: &Kernel, user: OpId, value: ValueId) -> Problem {
        let Some(Definition { block, op }) = self.definition[value.index()] else {
            return Problem::Undefined { value };
        };
        let Some(op) = op else { return Problem::Undefined { value } };
        let defined = kernel.op(op).loc.clone();
        let mut around = self.home[user.index()];
        while let Some(b) = around {
            if b == block {
                return Problem::UsedBeforeDefinition { value, defined };
            }
            around = self.owner[b.index()].and_then(|op| self.home[op.index()]);
        }
        match self.owner[block.index()] {
            Some(of_loop) => Problem::EscapesLoop { value, defined, of_loop: kernel.op(of_loop).loc.clone() },
            None => Problem::UsedBeforeDefinition { value, defined },
        }
    }
}
