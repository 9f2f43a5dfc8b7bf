//! Whether a design can run on a device: what the toolchain refuses, and what it misses.

mod calls;
mod error;
mod fifos;
mod links;
mod program;
mod sequence;
mod structure;
mod tokens;

pub use error::{ArrayError, ArrayErrors};

use super::ir::{Arg, Design, FifoId, MemType, Port, Stmt};
use super::lower::{LowerMode, Plan, allocate, each_stmt, plan};
use super::lowered::Lowered;
use super::route::{FullSwitch, route};
use crate::device::Device;
use crate::kernel::Loc;
use crate::verified::Verified;
use indexmap::IndexMap;

/// Checks a design against a device, with the toolchain's default (dynamic) lowering of cores.
///
/// # Errors
/// All that is wrong, at once. What needs the rest to be sound (placement, channels, alignment) is
/// only looked at when names, FIFOs and links are in order.
pub fn verify(design: Design, device: &Device) -> Result<Verified<Design>, ArrayErrors> {
    let mut check = Check { design: &design, device, errors: Vec::new() };
    check.structure();
    check.fifos();
    check.links();
    let sound = check.errors.is_empty();
    let plan = plan(&design, device);
    check.programs(&plan);
    check.sequence();
    if sound {
        check.resources();
    }
    if check.errors.is_empty() {
        check.tokens();
    }
    match ArrayErrors::new(&design, check.errors) {
        None => Ok(Verified::new(design)),
        Some(errors) => Err(errors),
    }
}

/// Errors that are told of one design; a design with that many has one cause, and it is among them.
pub(super) const MOST_ERRORS: usize = 1000;

/// A design being checked.
struct Check<'a> {
    design: &'a Design,
    device: &'a Device,
    errors: Vec<ArrayError>,
}

impl Check<'_> {
    fn push(&mut self, error: ArrayError) {
        if self.errors.len() < MOST_ERRORS && !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    /// Name of a FIFO in messages.
    fn fifo_name(&self, id: FifoId) -> String {
        self.design.fifos.get(id.index()).map_or_else(|| id.to_string(), |f| f.name.clone())
    }

    /// Reports an id past the end of its list; `true` when it is inside.
    fn known(&mut self, kind: &'static str, index: u32, count: usize, loc: &Loc) -> bool {
        let inside = (index as usize) < count;
        if !inside {
            self.push(ArrayError::UnknownId { kind, index, count, loc: loc.clone() });
        }
        inside
    }

    /// Memories, locks, channels and BDs against the limits, and the alignment of arguments.
    fn resources(&mut self) {
        let (lowered, errors) = allocate(self.design, self.device, LowerMode::Dynamic);
        errors.into_iter().for_each(|e| self.push(e));
        self.routes(&lowered);
        self.alignment(&lowered);
    }

    /// Whether the stream switches have a way for every flow.
    fn routes(&mut self, lowered: &Lowered) {
        for full in route(self.device, self.design.columns, &lowered.flows).full {
            let name = |&at: &usize| lowered.flows.get(at).map(|f| self.fifo_name(f.fifo));
            let fifos = full.flows.iter().filter_map(name).collect();
            let FullSwitch { tile, side, ports, .. } = full;
            self.push(ArrayError::SwitchFull { tile, side, ports, fifos });
        }
    }

    fn alignment(&mut self, lowered: &Lowered) {
        let design = self.design;
        for (core, placed) in design.cores.iter().zip(&lowered.cores) {
            let (mut calls, mut bound) = (Vec::new(), IndexMap::new());
            each_stmt(&core.body, &mut |s| match s {
                Stmt::Call { kernel, args, loc } => calls.push((*kernel, args, loc)),
                Stmt::Acquire { fifo, port, objects, .. } => {
                    bound.extend(objects.iter().map(|&object| (object, (*fifo, *port))));
                }
                _ => {}
            });
            for (id, args, loc) in calls {
                let Some(kernel) = design.kernels.get(id.index()) else { continue };
                for (param, arg) in kernel.params.iter().zip(args) {
                    let (places, offset) = match arg {
                        Arg::Object { object, view } => {
                            let offset = view.as_ref().map_or(0, |v| v.byte_offset);
                            let end = bound
                                .get(object)
                                .and_then(|&(f, p)| placed.ends.iter().find(|(g, q, _)| (*g, *q) == (f, p)));
                            let Some((_, _, end)) = end else { continue };
                            (end.buffers.iter().map(|&b| (end.memory, b)).collect(), offset)
                        }
                        Arg::Local { buffer, view } => {
                            let offset = view.as_ref().map_or(0, |v| v.byte_offset);
                            (placed.locals.get(&buffer.0).copied().into_iter().collect::<Vec<_>>(), offset)
                        }
                        Arg::Const(_) | Arg::Word(_) => continue,
                    };
                    for (tile, at) in places {
                        let Some(buffer) = lowered.tiles.get(&tile).and_then(|t| t.buffers.get(at)) else {
                            continue;
                        };
                        let address = u64::from(buffer.address) + offset;
                        if param.align_bytes > 1 && address % u64::from(param.align_bytes) != 0 {
                            self.push(ArrayError::Misaligned {
                                tile: core.tile,
                                kernel: kernel.name.clone(),
                                param: param.name.clone(),
                                align_bytes: param.align_bytes,
                                buffer: buffer.name.clone(),
                                address,
                                loc: loc.clone(),
                            });
                        }
                    }
                }
            }
        }
    }
}

/// Whether a memref of this type may be viewed as another: flat and of bytes.
fn is_flat_bytes(ty: &MemType) -> bool {
    ty.shape.len() == 1 && ty.elem.bytes() == 1
}

/// Objects that an end of the plan holds.
fn end_depth(plan: &Plan, design: &Design, fifo: FifoId, port: Port, tile: super::ir::Tile) -> Option<u32> {
    plan.pool_at(design, fifo, port, tile).and_then(|p| plan.pools.get(p)).map(|p| p.depth)
}

#[cfg(test)]
mod tests;
