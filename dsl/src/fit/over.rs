//! What is over a limit: who is to blame, and what would help.

use super::remedy::{Limit, remedies};
use super::tile::TileBudget;
use super::{HostFit, Over, TileFit, Usage, key};
use crate::array::lowered::{Channel, Direction, Lowered, PlacedBuffer};
use crate::array::route::Routing;
use crate::array::{Design, Tile};
use crate::device::{Device, TileKind};

/// Everything that is over, tile by tile.
#[derive(Default)]
pub(super) struct Found {
    over: Vec<Over>,
}

impl Found {
    /// The same excess of the same resource at several tiles becomes one entry, with the first tile's
    /// objects and remedies.
    pub fn grouped(self) -> Vec<Over> {
        let mut groups: Vec<Over> = Vec::new();
        for one in self.over {
            let alike = |g: &&mut Over| {
                (g.resource, g.usage, g.objects.len()) == (one.resource, one.usage, one.objects.len())
            };
            match groups.iter_mut().find(alike) {
                Some(group) => group.tiles.extend(one.tiles),
                None => groups.push(one),
            }
        }
        groups
    }

    fn push(
        &mut self,
        tile: Option<Tile>,
        (resource, usage, unit): (&'static str, Usage, &'static str),
        objects: impl FnOnce() -> Vec<String>,
        help: impl FnOnce() -> Vec<String>,
    ) {
        if usage.over() > 0 {
            let (tiles, by) = (tile.map(key).into_iter().collect(), usage.over());
            self.over.push(Over { tiles, resource, usage, by, unit, objects: objects(), help: help() });
        }
    }

    /// A tile that the device does not have.
    pub fn outside(&mut self, tile: Tile, device: &Device) {
        let (columns, rows) = (device.geometry.columns(), device.geometry.rows());
        let by_column = Usage::new(u64::from(tile.col) + 1, columns);
        let by_row = Usage::new(u64::from(tile.row) + 1, rows);
        let (resource, usage) = match by_column.over() {
            0 => ("place in the array (rows)", by_row),
            _ => ("place in the array (columns)", by_column),
        };
        let help = || vec![format!("the device has {columns} columns and {rows} rows")];
        self.push(Some(tile), (resource, usage, ""), Vec::new, help);
    }

    /// Switches without ports for every stream.
    pub fn switches(&mut self, design: &Design, lowered: &Lowered, routing: &Routing) {
        for full in &routing.full {
            // Streams may also collide where a switch keeps port numbers: then each alone would fit.
            let used = (full.flows.len() as u64).max(u64::from(full.ports) + 1);
            let resource = match full.side {
                crate::array::route::Bundle::North => "switch ports north",
                crate::array::route::Bundle::South => "switch ports south",
                crate::array::route::Bundle::East => "switch ports east",
                _ => "switch ports west",
            };
            let name = |&at: &usize| lowered.flows.get(at).map(|f| design.fifo(f.fifo).name.clone());
            let help = "broadcast one FIFO instead of sending several, join outputs on the other side, or \
                        move a core to another column";
            self.push(
                Some(full.tile),
                (resource, Usage::new(used, full.ports), ""),
                || full.flows.iter().filter_map(name).collect(),
                || vec![help.to_owned()],
            );
        }
    }

    /// The host's limits.
    pub fn host(&mut self, design: &Design, host: &HostFit) {
        let names = || design.sequence.buffers.iter().map(|b| b.name.clone()).collect();
        let help = || vec!["put several tensors into one buffer and copy from offsets".to_owned()];
        self.push(None, ("host buffers", host.buffers, ""), names, help);
    }
}

impl TileBudget<'_> {
    /// Adds what is over at this tile.
    pub fn report(&self, fit: &TileFit, found: &mut Found) {
        let tile = Some(self.tile);
        if let Some(memory) = &fit.memory {
            let limit = Limit::Memory;
            found.push(
                tile,
                ("data memory", memory.bytes, "B"),
                || self.past_the_end(memory.bytes.limit),
                || remedies(self.design, self.device, self.tile, limit),
            );
        }
        if let Some(program) = fit.program {
            let help = || vec!["call fewer kernels in this core, or deal them to several".to_owned()];
            found.push(tile, ("program memory", program, "B"), || self.kernel_names(), help);
        }
        if let Some(stack) = fit.stack {
            let wanted = stack.used.next_multiple_of(u64::from(self.device.core.port_bytes()).max(1));
            let help = || vec![format!("give the core a stack of {wanted} B: `stack_bytes({wanted})`")];
            found.push(tile, ("stack", stack, "B"), || self.kernel_names(), help);
        }
        let help = || remedies(self.design, self.device, self.tile, Limit::Locks);
        found.push(tile, ("locks", fit.locks, ""), || self.pool_names(), help);
        for &usage in &fit.bds {
            let help = || match self.kind {
                TileKind::Shim => vec!["wait for copies before starting more".to_owned()],
                _ => remedies(self.design, self.device, self.tile, Limit::Bds),
            };
            found.push(tile, ("BDs", usage, ""), || self.bd_users(), help);
        }
        for (resource, usage, direction) in
            [("S2MM channels", fit.s2mm, Direction::S2mm), ("MM2S channels", fit.mm2s, Direction::Mm2s)]
        {
            let help = "join or split through a mem tile, or use the memory that neighbours share";
            found.push(tile, (resource, usage, ""), || self.channels(direction), || vec![help.to_owned()]);
        }
        let max = self.device.locks.max_value();
        for lock in self.content().map_or(&[][..], |c| &c.locks) {
            let help = || vec![format!("a depth of at most {max}")];
            let usage = Usage::new(lock.init.into(), max);
            found.push(tile, ("value of a lock", usage, ""), || vec![lock.name.clone()], help);
        }
    }

    /// Buffers that end past the memory, with the bytes beyond.
    fn past_the_end(&self, limit: u64) -> Vec<String> {
        let end = |b: &PlacedBuffer| u64::from(b.address) + u64::from(b.bytes);
        let beyond = self.content().into_iter().flat_map(|c| &c.buffers).filter(|b| end(b) > limit);
        let part = |b| (end(b) - limit).min(u64::from(b.bytes));
        beyond.map(|b| format!("{} ({} of {} B past the end)", b.name, part(b), b.bytes)).collect()
    }

    fn kernel_names(&self) -> Vec<String> {
        let any = |_: &crate::kernel::Kernel| Some(super::CodeBytes { program: 0, frame: 0 });
        self.kernels(&any).unwrap_or_default().into_iter().map(|(name, _)| name).collect()
    }

    fn pool_names(&self) -> Vec<String> {
        let locks = self.content().into_iter().flat_map(|c| &c.locks);
        locks.filter(|l| l.name.ends_with("_prod_lock_0")).map(|l| l.name.clone()).collect()
    }

    fn bd_users(&self) -> Vec<String> {
        let name = |c: Channel| match c.direction {
            Direction::S2mm => format!("S2MM{}", c.index),
            Direction::Mm2s => format!("MM2S{}", c.index),
        };
        let programs = self.content().into_iter().flat_map(|c| &c.dma);
        programs.map(|p| format!("{} {}", name(p.channel), p.bds.len())).collect()
    }
}
