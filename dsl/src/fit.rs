//! What a design takes of every tile, and whether that is there: [`fit()`].
//!
//! Works on designs that are too big to lower, and needs no verified design: it says what is over,
//! by how much, and which objects are to blame.

mod table;

use crate::array::lowered::{Channel, Direction, Lowered, LoweredTile};
use crate::array::{Design, LowerMode, Tile, allocate};
use crate::device::{Device, TileKind};
use crate::sequence::Command;
use serde::Serialize;

/// Something used, and how much of it there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Taken by the design.
    pub used: u64,
    /// Present in the tile.
    pub limit: u64,
}

impl Usage {
    /// How much is over; 0 when it fits.
    pub fn over(self) -> u64 {
        self.used.saturating_sub(self.limit)
    }
}

/// What the memory of a tile holds, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryFit {
    /// End of the last buffer, of the tile's memory.
    pub bytes: Usage,
    /// Stack of the core.
    pub stack_bytes: u64,
    /// Objects of FIFOs.
    pub object_bytes: u64,
    /// Constant tables: local buffers with initial values.
    pub table_bytes: u64,
    /// Other local buffers: state and scratch.
    pub local_bytes: u64,
    /// Loop counters of the toolchain's dynamic lowering.
    pub counter_bytes: u64,
    /// Each logical bank.
    pub banks: Vec<Usage>,
}

/// What one tile gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TileFit {
    /// `col,row`.
    pub tile: String,
    /// `shim`, `mem` or `core`.
    pub kind: &'static str,
    /// Its memory; the shim has none.
    pub memory: Option<MemoryFit>,
    /// Locks.
    pub locks: Usage,
    /// Buffer descriptors of each group of channels; at the shim, most in flight at once.
    pub bds: Vec<Usage>,
    /// Channels from the stream to memory.
    pub s2mm: Usage,
    /// Channels from memory to the stream.
    pub mm2s: Usage,
}

/// One limit that the design exceeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Over {
    /// `col,row`.
    pub tile: String,
    /// What there is too little of.
    pub resource: &'static str,
    /// How much of it.
    pub usage: Usage,
    /// Used beyond the limit.
    pub by: u64,
    /// `B` or empty.
    pub unit: &'static str,
    /// The objects, FIFOs or buffers that take most, or that lie past the end.
    pub objects: Vec<String>,
    /// What would help.
    pub help: String,
}

/// The budget of a whole design.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FitReport {
    /// Name of the design.
    pub design: String,
    /// Name of the device.
    pub device: String,
    /// Whether every tile has what the design takes.
    pub fits: bool,
    /// Tiles in use, by column and row.
    pub tiles: Vec<TileFit>,
    /// What is over.
    pub over: Vec<Over>,
}

/// The budget of a design on a device, as the toolchain's default (dynamic) lowering takes it.
pub fn fit(design: &Design, device: &Device) -> FitReport {
    let (lowered, _) = allocate(design, device, LowerMode::Dynamic);
    let mut report = FitReport {
        design: design.name.clone(),
        device: device.name.clone(),
        fits: true,
        tiles: Vec::new(),
        over: Vec::new(),
    };
    let mut tiles: Vec<(Tile, &LoweredTile)> = lowered.tiles.iter().map(|(&t, l)| (t, l)).collect();
    tiles.sort_by_key(|&(t, _)| t);
    for (tile, content) in tiles {
        let Some(kind) = device.tile_kind(tile) else {
            report.over.push(outside(tile, device));
            continue;
        };
        let one = TileBudget { design, device, lowered: &lowered, tile, kind, content };
        let fit = one.measure();
        one.report(&fit, &mut report.over);
        report.tiles.push(fit);
    }
    report.fits = report.over.is_empty();
    report
}

fn key(tile: Tile) -> String {
    format!("{},{}", tile.col, tile.row)
}

fn outside(tile: Tile, device: &Device) -> Over {
    let usage = Usage { used: u64::from(tile.col) + 1, limit: u64::from(device.geometry.columns()) };
    Over {
        tile: key(tile),
        resource: "place in the array (columns)",
        usage,
        by: usage.over(),
        unit: "",
        objects: Vec::new(),
        help: format!("the device has {} columns and {} rows", usage.limit, device.geometry.rows()),
    }
}

/// One tile being measured.
struct TileBudget<'a> {
    design: &'a Design,
    device: &'a Device,
    lowered: &'a Lowered,
    tile: Tile,
    kind: TileKind,
    content: &'a LoweredTile,
}

impl TileBudget<'_> {
    fn measure(&self) -> TileFit {
        let dma = self.device.tile_dma(self.kind);
        let channels = |direction| self.channels(direction).len() as u64;
        TileFit {
            tile: key(self.tile),
            kind: match self.kind {
                TileKind::Shim => "shim",
                TileKind::Mem => "mem",
                TileKind::Core => "core",
            },
            memory: self.memory(),
            locks: Usage { used: self.content.locks.len() as u64, limit: u64::from(dma.locks()) },
            bds: self.bds(),
            s2mm: Usage { used: channels(Direction::S2mm), limit: u64::from(dma.s2mm_channels()) },
            mm2s: Usage { used: channels(Direction::Mm2s), limit: u64::from(dma.mm2s_channels()) },
        }
    }

    fn memory(&self) -> Option<MemoryFit> {
        let (limit, banks) = match self.kind {
            TileKind::Shim => return None,
            TileKind::Mem => (self.device.mem.memory_bytes(), self.device.mem.logical_banks()),
            TileKind::Core => (self.device.core.data_memory_bytes(), self.device.core.logical_banks()),
        };
        let limit = u64::from(limit);
        let bank_bytes = limit / u64::from(banks.max(1));
        let stack_bytes = u64::from(self.content.stack_bytes.unwrap_or(0));
        let mut fit = MemoryFit {
            bytes: Usage { used: stack_bytes, limit },
            stack_bytes,
            object_bytes: 0,
            table_bytes: 0,
            local_bytes: 0,
            counter_bytes: 0,
            banks: vec![Usage { used: 0, limit: bank_bytes }; banks as usize],
        };
        let mut occupy = |from: u64, to: u64| {
            for (bank, usage) in (0u64..).zip(&mut fit.banks) {
                let (first, end) = (bank * bank_bytes, (bank + 1) * bank_bytes);
                usage.used += to.min(end).saturating_sub(from.max(first));
            }
        };
        occupy(0, stack_bytes);
        let mut used = stack_bytes;
        for buffer in &self.content.buffers {
            let (from, bytes) = (u64::from(buffer.address), u64::from(buffer.bytes));
            occupy(from, from + bytes);
            // The sum beyond the memory, the last address within it.
            used += bytes;
        }
        let end = self.content.buffers.iter().map(|b| u64::from(b.address) + u64::from(b.bytes)).max();
        fit.bytes.used = if end.unwrap_or(0) > limit { end.unwrap_or(0).max(used) } else { used };
        let locals: Vec<_> = self.design.locals.iter().filter(|l| l.tile == self.tile).collect();
        for local in &locals {
            let bytes = local.ty.bytes();
            if local.init.is_some() { fit.table_bytes += bytes } else { fit.local_bytes += bytes }
        }
        let counters =
            self.content.buffers.iter().filter(|b| b.name.starts_with(crate::array::COUNTER_PREFIX));
        fit.counter_bytes = counters.map(|b| u64::from(b.bytes)).sum();
        let rest = fit.stack_bytes + fit.table_bytes + fit.local_bytes + fit.counter_bytes;
        fit.object_bytes = used.saturating_sub(rest);
        Some(fit)
    }

    fn bds(&self) -> Vec<Usage> {
        let dma = self.device.tile_dma(self.kind);
        if self.kind == TileKind::Shim {
            return vec![Usage { used: self.bds_in_flight(), limit: u64::from(dma.bds()) }];
        }
        let groups = dma.bd_groups().max(1);
        let limit = u64::from(dma.bds() / groups);
        let mut usage = vec![Usage { used: 0, limit }; groups as usize];
        for program in &self.content.dma {
            usage[(u32::from(program.channel.index) % groups) as usize].used += program.bds.len() as u64;
        }
        usage
    }

    /// Most copies of the runtime sequence that no wait has covered, at this shim tile.
    fn bds_in_flight(&self) -> u64 {
        let mine = |fifo| self.lowered.shim_channels.get(fifo).is_some_and(|(t, _)| *t == self.tile);
        let mut pending: Vec<(crate::array::FifoId, bool)> = Vec::new();
        let mut most = 0;
        for command in &self.design.sequence.commands {
            match command {
                Command::Copy { fifo, issue_token, .. } if mine(fifo) => {
                    pending.push((*fifo, *issue_token));
                    most = most.max(pending.len());
                }
                Command::Wait { fifo, .. } if mine(fifo) => {
                    let Some(awaited) = pending.iter().position(|p| *p == (*fifo, true)) else { continue };
                    let mut at = 0;
                    pending.retain(|p| {
                        at += 1;
                        p.0 != *fifo || at > awaited + 1
                    });
                }
                Command::Copy { .. } | Command::Wait { .. } => {}
            }
        }
        most as u64
    }

    /// Names of the FIFOs on this tile's channels of one direction.
    fn channels(&self, direction: Direction) -> Vec<String> {
        let name = |id: crate::array::FifoId| self.design.fifo(id).name.clone();
        let flows = &self.lowered.flows;
        match direction {
            Direction::Mm2s => flows.iter().filter(|f| f.from.0 == self.tile).map(|f| name(f.fifo)).collect(),
            Direction::S2mm => {
                let ends = flows.iter().flat_map(|f| f.to.iter().map(move |to| (to.0, f.fifo)));
                ends.filter(|(t, _)| *t == self.tile).map(|(_, f)| name(f)).collect()
            }
        }
    }

    fn report(&self, fit: &TileFit, over: &mut Vec<Over>) {
        let mut push = |resource, usage: Usage, unit, objects: Vec<String>, help: String| {
            if usage.over() > 0 {
                over.push(Over {
                    tile: fit.tile.clone(),
                    resource,
                    usage,
                    by: usage.over(),
                    unit,
                    objects,
                    help,
                });
            }
        };
        if let Some(memory) = &fit.memory {
            push("data memory", memory.bytes, "B", self.past_the_end(memory.bytes.limit), self.memory_help());
        }
        let lower = "lower depths, or split and join fewer parts".to_owned();
        push("locks", fit.locks, "", self.pool_names(), lower.clone());
        for usage in &fit.bds {
            let help = match self.kind {
                TileKind::Shim => "wait for copies before starting more".to_owned(),
                _ => lower.clone(),
            };
            push("BDs", *usage, "", self.bd_users(), help);
        }
        let help = "join or split through a mem tile, or use the memory that neighbours share".to_owned();
        push("S2MM channels", fit.s2mm, "", self.channels(Direction::S2mm), help.clone());
        push("MM2S channels", fit.mm2s, "", self.channels(Direction::Mm2s), help);
        let max = u64::from(self.device.locks.max_value());
        for lock in &self.content.locks {
            let usage = Usage { used: u64::from(lock.init), limit: max };
            push("value of a lock", usage, "", vec![lock.name.clone()], "lower the depth".to_owned());
        }
    }

    /// Buffers that end past the memory, with the bytes beyond.
    fn past_the_end(&self, limit: u64) -> Vec<String> {
        let end = |b: &crate::array::lowered::PlacedBuffer| u64::from(b.address) + u64::from(b.bytes);
        let beyond = self.content.buffers.iter().filter(|b| end(b) > limit);
        let part = |b| (end(b) - limit).min(u64::from(b.bytes));
        beyond.map(|b| format!("{} ({} of {} B past the end)", b.name, part(b), b.bytes)).collect()
    }

    /// The end whose depth gives most memory back.
    fn memory_help(&self) -> String {
        let ends = self.design.fifos.iter().flat_map(|f| {
            let tiles = std::iter::once(&f.producer).chain(&f.consumers);
            tiles.zip(&f.depths).filter(|&(&t, _)| t == self.tile).map(move |(_, &depth)| (f, depth))
        });
        let deepest = ends.filter(|&(_, depth)| depth > 1).max_by_key(|(f, _)| f.object.bytes());
        match deepest {
            Some((f, depth)) => {
                format!(
                    "one object less than {depth} at this end of {} gives {} B back",
                    f.name,
                    f.object.bytes()
                )
            }
            None => "make the objects smaller, or move work to another tile".to_owned(),
        }
    }

    fn pool_names(&self) -> Vec<String> {
        self.content
            .locks
            .iter()
            .filter(|l| l.name.ends_with("_prod_lock_0"))
            .map(|l| l.name.clone())
            .collect()
    }

    fn bd_users(&self) -> Vec<String> {
        let name = |c: Channel| match c.direction {
            Direction::S2mm => format!("S2MM{}", c.index),
            Direction::Mm2s => format!("MM2S{}", c.index),
        };
        self.content.dma.iter().map(|p| format!("{} {}", name(p.channel), p.bds.len())).collect()
    }
}

#[cfg(test)]
mod tests;
