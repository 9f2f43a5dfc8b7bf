//! One tile, measured.

use super::banks::collisions;
use super::{CodeBytes, MemoryFit, SwitchFit, TileFit, Usage, key, kind_name, program};
use crate::array::lowered::{Direction, Lowered, LoweredTile};
use crate::array::route::Routing;
use crate::array::{Design, FifoId, KernelId, LowerMode, Stmt, Tile, each_stmt, memory_of};
use crate::device::{Device, TileKind};
use crate::kernel::Kernel;
use crate::sequence::Command;

/// A tile of a lowered design.
pub(super) struct TileBudget<'a> {
    pub design: &'a Design,
    pub device: &'a Device,
    pub lowered: &'a Lowered,
    pub tile: Tile,
    pub kind: TileKind,
}

impl TileBudget<'_> {
    pub fn measure(&self, routing: &Routing, code: &dyn Fn(&Kernel) -> Option<CodeBytes>) -> TileFit {
        let dma = self.device.tile_dma(self.kind);
        let channels = |direction| self.channels(direction).len() as u64;
        let code = self.code(code);
        let locks = self.content().map_or(0, |c| c.locks.len() as u64);
        TileFit {
            tile: key(self.tile),
            kind: kind_name(self.kind),
            memory: self.memory(),
            program: code.map(|(program, _)| program),
            core_program_bytes: self.core_program_bytes(),
            stack: code.map(|(_, stack)| stack),
            locks: Usage::new(locks, dma.locks()),
            bds: self.bds(),
            s2mm: Usage::new(channels(Direction::S2mm), dma.s2mm_channels()),
            mm2s: Usage::new(channels(Direction::Mm2s), dma.mm2s_channels()),
            switch: SwitchFit::of(routing, self.tile),
            collisions: collisions(self.design, self.device, self.lowered, self.tile),
        }
    }

    /// What the design has here; none where streams only pass.
    pub fn content(&self) -> Option<&LoweredTile> {
        self.lowered.tiles.get(&self.tile)
    }

    fn memory(&self) -> Option<MemoryFit> {
        let memory = memory_of(self.design, self.device, LowerMode::Dynamic, self.tile)?;
        let bank_bytes = memory.bytes / u64::from(memory.banks.max(1));
        let code_bytes = match self.kind {
            TileKind::Core => u64::from(self.device.core.code_in_data_bytes()),
            TileKind::Mem | TileKind::Shim => 0,
        };
        let mut fit = MemoryFit {
            bytes: Usage::new(memory.stack_bytes, memory.bytes),
            code_bytes,
            stack_bytes: memory.stack_bytes.saturating_sub(code_bytes),
            object_bytes: 0,
            table_bytes: 0,
            local_bytes: 0,
            counter_bytes: 0,
            banks: vec![Usage::new(0, bank_bytes); memory.banks as usize],
        };
        let mut occupy = |from: u64, to: u64| {
            for (bank, usage) in (0u64..).zip(&mut fit.banks) {
                let (first, end) = (bank * bank_bytes, (bank + 1) * bank_bytes);
                usage.used += to.min(end).saturating_sub(from.max(first));
            }
        };
        occupy(0, memory.stack_bytes);
        let mut used = memory.stack_bytes;
        let mut end = memory.stack_bytes;
        let buffers = self.content().map_or(&[][..], |c| &c.buffers);
        for buffer in buffers {
            let (from, bytes) = (u64::from(buffer.address), u64::from(buffer.bytes));
            occupy(from, from + bytes);
            // The sum beyond the memory, the last address within it.
            used += bytes;
            end = end.max(from + bytes);
        }
        fit.bytes.used = if end > memory.bytes { end.max(used) } else { used };
        for local in self.design.locals.iter().filter(|l| l.tile == self.tile) {
            let bytes = local.ty.bytes();
            if local.init.is_some() { fit.table_bytes += bytes } else { fit.local_bytes += bytes }
        }
        let counters = buffers.iter().filter(|b| b.is_counter());
        fit.counter_bytes = counters.map(|b| u64::from(b.bytes)).sum();
        let rest = fit.code_bytes + fit.stack_bytes + fit.table_bytes + fit.local_bytes + fit.counter_bytes;
        fit.object_bytes = used.saturating_sub(rest);
        Some(fit)
    }

    /// Program memory and stack of the tile's core, if all its kernels have been scheduled.
    fn code(&self, code: &dyn Fn(&Kernel) -> Option<CodeBytes>) -> Option<(Usage, Usage)> {
        let mut program = u64::from(self.device.core.program_overhead_bytes()) + self.core_program_bytes();
        let mut frame = 0;
        for (_, one) in self.kernels(code)? {
            program += u64::from(one.program);
            frame = frame.max(u64::from(one.frame));
        }
        let stack_bytes = self.content()?.stack_bytes?;
        Some((Usage::new(program, self.device.core.program_memory_bytes()), Usage::new(frame, stack_bytes)))
    }

    /// Code of the tile's core around its kernels; 0 without a core program.
    fn core_program_bytes(&self) -> u64 {
        let core = self.lowered.cores.iter().find(|core| core.tile == self.tile);
        core.map_or(0, |core| program::core_program_bytes(core, self.device))
    }

    /// The kernels that the tile's core calls, by first use, with their code.
    pub fn kernels(&self, code: &dyn Fn(&Kernel) -> Option<CodeBytes>) -> Option<Vec<(String, CodeBytes)>> {
        let core = self.design.cores.iter().find(|c| c.tile == self.tile)?;
        let mut ids: Vec<KernelId> = Vec::new();
        each_stmt(&core.body, &mut |stmt| {
            if let Stmt::Call { kernel, .. } = stmt
                && !ids.contains(kernel)
            {
                ids.push(*kernel);
            }
        });
        let known = ids.into_iter().filter_map(|id| self.design.kernels.get(id.index()));
        known.map(|k| Some((k.name.clone(), code(k)?))).collect()
    }

    fn bds(&self) -> Vec<Usage> {
        let dma = self.device.tile_dma(self.kind);
        if self.kind == TileKind::Shim {
            return vec![Usage::new(self.bds_in_flight(), dma.bds())];
        }
        let groups = dma.bd_groups().max(1);
        let mut usage = vec![Usage::new(0, dma.bds() / groups); groups as usize];
        for program in self.content().map_or(&[][..], |c| &c.dma) {
            usage[(u32::from(program.channel.index) % groups) as usize].used += program.bds.len() as u64;
        }
        usage
    }

    /// Most copies of the runtime sequence that no wait has covered, at this shim tile.
    fn bds_in_flight(&self) -> u64 {
        let mine = |fifo| self.lowered.shim_channels.get(fifo).is_some_and(|(t, _)| *t == self.tile);
        let mut pending: Vec<(FifoId, bool)> = Vec::new();
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
                _ => {}
            }
        }
        most as u64
    }

    /// Names of the FIFOs on this tile's channels of one direction.
    pub fn channels(&self, direction: Direction) -> Vec<String> {
        let name = |id: FifoId| self.design.fifo(id).name.clone();
        let flows = &self.lowered.flows;
        match direction {
            Direction::Mm2s => flows.iter().filter(|f| f.from.0 == self.tile).map(|f| name(f.fifo)).collect(),
            Direction::S2mm => {
                let ends = flows.iter().flat_map(|f| f.to.iter().map(move |to| (to.0, f.fifo)));
                ends.filter(|(t, _)| *t == self.tile).map(|(_, f)| name(f)).collect()
            }
        }
    }
}
