//! A kernel's blocks cut into straight runs and loops, after invariant operations have moved out.

use kiln_dsl::kernel::ops::{Effect, Opcode, spec};
use kiln_dsl::kernel::{BlockId, Kernel, OpId, ValueId};

/// A part of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Region {
    /// Operations without a loop among them, in order.
    Straight(Vec<OpId>),
    /// A loop.
    Loop(OpId),
}

/// The parts of all blocks.
#[derive(Clone, Debug)]
pub(super) struct Regions {
    blocks: Vec<Vec<Region>>,
}

impl Regions {
    /// Cuts the blocks of a kernel; operations that are not `live` are left out.
    pub fn new(kernel: &Kernel, live: &[bool]) -> Regions {
        let mut cut = Cut {
            kernel,
            live,
            depth: vec![0; kernel.values.len()],
            kept: keeps_place(kernel),
            regions: vec![Vec::new(); kernel.blocks.len()],
            open: Vec::new(),
        };
        cut.block(Kernel::BODY);
        Regions { blocks: cut.regions }
    }

    /// Parts of a block, in order.
    pub fn of(&self, block: BlockId) -> &[Region] {
        &self.blocks[block.index()]
    }

    /// The operations of a block without inner loops; `None` when it has some.
    pub fn innermost(&self, block: BlockId) -> Option<&[OpId]> {
        match self.of(block) {
            [] => Some(&[]),
            [Region::Straight(ops)] => Some(ops),
            _ => None,
        }
    }
}

/// Values that start or continue a carried value, and sums that a product goes on with: their registers
/// are written again, so the operation that makes them must run each time.
fn keeps_place(kernel: &Kernel) -> Vec<bool> {
    let mut kept = vec![false; kernel.values.len()];
    for op in &kernel.ops {
        let carried = match op.opcode {
            Opcode::For => op.operands.get(2..).unwrap_or_default(),
            Opcode::Yield => &op.operands,
            Opcode::Mac | Opcode::Msc | Opcode::MMac => op.operands.get(..1).unwrap_or_default(),
            _ => continue,
        };
        carried.iter().for_each(|v: &ValueId| kept[v.index()] = true);
    }
    kept
}

struct Cut<'a> {
    kernel: &'a Kernel,
    live: &'a [bool],
    /// Number of loops that a value changes with.
    depth: Vec<usize>,
    kept: Vec<bool>,
    regions: Vec<Vec<Region>>,
    /// Blocks around the current operation, outermost first.
    open: Vec<BlockId>,
}

impl Cut<'_> {
    fn block(&mut self, block: BlockId) {
        let kernel = self.kernel;
        let here = self.open.len();
        self.open.push(block);
        for &arg in &kernel.block(block).args {
            self.depth[arg.index()] = here;
        }
        for &op in &kernel.block(block).ops {
            let data = kernel.op(op);
            if let Some(body) = data.body {
                self.block(body);
                self.regions[block.index()].push(Region::Loop(op));
                self.define(op, here);
            } else if self.live[op.index()] && data.opcode != Opcode::Yield {
                let free = spec(data.opcode).effect == Effect::Pure
                    && !data.results.iter().any(|v| self.kept[v.index()]);
                let depth = data.operands.iter().map(|v| self.depth[v.index()]).max().unwrap_or(0);
                let depth = if free { depth } else { here };
                self.append(self.open[depth], op);
                self.define(op, depth);
            }
        }
        self.open.pop();
    }

    fn define(&mut self, op: OpId, depth: usize) {
        for &result in &self.kernel.op(op).results {
            self.depth[result.index()] = depth;
        }
    }

    fn append(&mut self, block: BlockId, op: OpId) {
        match self.regions[block.index()].last_mut() {
            Some(Region::Straight(ops)) => ops.push(op),
            _ => self.regions[block.index()].push(Region::Straight(vec![op])),
        }
    }
}
