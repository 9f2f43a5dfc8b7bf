//! Buffers that meet in a bank: arguments of a kernel that its inner loops access side by side and that lie in one
//! logical bank. Where one bundle accesses both, the core waits a cycle.

use crate::array::lowered::{CoreOp, Lowered, LoweredCore, PlacedBuffer};
use crate::array::{Arg, Design, ObjectId, Tile};
use crate::device::{BankMap, Device};
use crate::kernel::ops::Opcode;
use crate::kernel::{BlockId, Kernel, ParamId};
use std::collections::BTreeMap;

/// Two arguments of a kernel in one logical bank.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Collision {
    /// The kernel.
    pub kernel: String,
    /// Its parameters.
    pub params: [String; 2],
    /// A buffer of each that lies there.
    pub buffers: [String; 2],
    /// `col,row` of the memory.
    pub memory: String,
    /// The logical bank.
    pub bank: u32,
}

/// Pairs of memory parameters that one innermost loop accesses.
fn side_by_side(kernel: &Kernel) -> Vec<[ParamId; 2]> {
    let mut pairs = Vec::new();
    for (i, block) in kernel.blocks.iter().enumerate() {
        let is_innermost = block.ops.iter().all(|&op| kernel.op(op).opcode != Opcode::For);
        if BlockId(i as u32) == Kernel::BODY || !is_innermost {
            continue;
        }
        let addresses = block.ops.iter().filter_map(|&op| kernel.op(op).address.as_ref());
        let mut params: Vec<ParamId> = addresses.map(|a| a.param).collect();
        params.sort_unstable();
        params.dedup();
        for (i, &a) in params.iter().enumerate() {
            pairs.extend(params[i + 1..].iter().map(|&b| [a, b]));
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// The collisions in the calls of the core of `tile`: one of each kernel, pair of parameters and bank.
pub(super) fn collisions(design: &Design, device: &Device, lowered: &Lowered, tile: Tile) -> Vec<Collision> {
    let mut found = Vec::new();
    for core in lowered.cores.iter().filter(|core| core.tile == tile) {
        let mut walk = Walk { design, lowered, core, map: device.core.banks(), ends: BTreeMap::new() };
        walk.ops(&core.body, &mut found);
    }
    found.sort();
    found.dedup_by(|a, b| (&a.kernel, &a.params, a.bank) == (&b.kernel, &b.params, b.bank));
    found
}

struct Walk<'a> {
    design: &'a Design,
    lowered: &'a Lowered,
    core: &'a LoweredCore,
    map: BankMap,
    /// FIFO end of each object bound so far.
    ends: BTreeMap<ObjectId, usize>,
}

impl<'a> Walk<'a> {
    fn ops(&mut self, ops: &[CoreOp], found: &mut Vec<Collision>) {
        for op in ops {
            match op {
                CoreOp::Loop { body, .. } => self.ops(body, found),
                CoreOp::Switch { cases, default, .. } => {
                    cases.iter().for_each(|(_, case)| self.ops(case, found));
                    self.ops(default, found);
                }
                CoreOp::Acquire { end, objects, .. } => {
                    self.ends.extend(objects.iter().map(|&object| (object, *end)));
                }
                CoreOp::Call { kernel, args, .. } => {
                    if let Some(kernel) = self.design.kernels.get(kernel.index()) {
                        self.call(kernel, args, found);
                    }
                }
                _ => {}
            }
        }
    }

    fn call(&self, kernel: &Kernel, args: &[Arg], found: &mut Vec<Collision>) {
        for [a, b] in side_by_side(kernel) {
            let (Some(first), Some(second)) = (args.get(a.index()), args.get(b.index())) else { continue };
            for (memory, one) in self.buffers(first) {
                for (_, other) in
                    self.buffers(second).into_iter().filter(|(m, o)| *m == memory && !std::ptr::eq(*o, one))
                {
                    let shared = self.banks(one).find(|bank| self.banks(other).any(|other| other == *bank));
                    found.extend(shared.map(|bank| Collision {
                        kernel: kernel.name.clone(),
                        params: [a, b].map(|p| kernel.param(p).name.clone()),
                        buffers: [one, other].map(|buffer| buffer.name.clone()),
                        memory: super::key(memory),
                        bank,
                    }));
                }
            }
        }
    }

    /// The buffers that an argument may be.
    fn buffers(&self, arg: &Arg) -> Vec<(Tile, &'a PlacedBuffer)> {
        let (memory, positions) = match arg {
            Arg::Object { object, .. } => {
                let end = self.ends.get(object).and_then(|&end| self.core.ends.get(end));
                let Some((_, _, end)) = end else { return Vec::new() };
                (end.memory, end.buffers.clone())
            }
            Arg::Local { buffer, .. } => match self.core.locals.get(&buffer.0) {
                Some(&(memory, position)) => (memory, vec![position]),
                None => return Vec::new(),
            },
            _ => return Vec::new(),
        };
        let Some(tile) = self.lowered.tiles.get(&memory) else { return Vec::new() };
        positions.into_iter().filter_map(|p| Some((memory, tile.buffers.get(p)?))).collect()
    }

    /// The logical banks that a buffer lies in.
    fn banks(&self, buffer: &PlacedBuffer) -> impl Iterator<Item = u32> + use<> {
        let first = buffer.address / self.map.logical_bytes;
        first..=(buffer.address + buffer.bytes.max(1) - 1) / self.map.logical_bytes
    }
}
