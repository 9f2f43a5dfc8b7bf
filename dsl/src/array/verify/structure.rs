//! Names, places, local buffers and cascades.

use super::{ArrayError, Check};
use crate::array::ir::Tile;
use crate::device::{CascadeDirection, TileKind};
use crate::kernel::Loc;
use indexmap::IndexMap;

impl Check<'_> {
    /// Columns, tiles, symbols, buffers, cascades.
    pub(super) fn structure(&mut self) {
        let limit = self.device.geometry.columns();
        let columns = self.design.columns;
        if columns == 0 || u32::from(columns) > limit {
            self.push(ArrayError::Columns { columns, limit });
        }
        self.symbols();
        for fifo in &self.design.fifos {
            for &tile in std::iter::once(&fifo.producer).chain(&fifo.consumers) {
                self.inside(&format!("fifo {}", fifo.name), tile, &fifo.loc);
            }
        }
        self.locals();
        self.cascades();
        let mut seen: Vec<Tile> = Vec::new();
        for core in &self.design.cores {
            self.on_core("core program", core.tile, &core.loc);
            if seen.contains(&core.tile) {
                self.push(ArrayError::TwoCores { tile: core.tile, loc: core.loc.clone() });
            }
            seen.push(core.tile);
            // Buffers are placed in the other banks from their first byte on, whatever the stack takes.
            let (bank, code) = (self.device.core.logical_bank_bytes(), self.device.core.code_in_data_bytes());
            let limit = bank.saturating_sub(code);
            if let Some(bytes) = core.stack_bytes
                && (bytes == 0 || bytes > limit || bytes % self.device.core.port_bytes() != 0)
            {
                self.push(ArrayError::StackBytes { tile: core.tile, bytes, limit, loc: core.loc.clone() });
            }
        }
    }

    /// Whether a tile is in the design's columns; reports it if not.
    fn inside(&mut self, what: &str, tile: Tile, loc: &Loc) -> Option<TileKind> {
        let kind = self.device.tile_kind(tile).filter(|_| tile.col < self.design.columns);
        if kind.is_none() {
            self.push(ArrayError::TileOutside {
                what: what.to_owned(),
                tile,
                columns: u32::from(self.design.columns),
                rows: self.device.geometry.rows(),
                loc: loc.clone(),
            });
        }
        kind
    }

    fn on_core(&mut self, what: &str, tile: Tile, loc: &Loc) {
        if let Some(kind) = self.inside(what, tile, loc)
            && kind != TileKind::Core
        {
            self.push(ArrayError::NotACore { what: what.to_owned(), tile, kind, loc: loc.clone() });
        }
    }

    fn symbols(&mut self) {
        let design = self.design;
        let mut kernels: IndexMap<&str, usize> = IndexMap::new();
        for (at, kernel) in design.kernels.iter().enumerate() {
            self.symbol(&kernel.name, &Loc::UNKNOWN);
            let first = *kernels.entry(&kernel.name).or_insert(at);
            if *design.kernels[first] != *design.kernels[at] {
                self.push(ArrayError::KernelClash { name: kernel.name.clone() });
            }
        }
        let fifos = design.fifos.iter().map(|f| (&f.name, &f.loc));
        let locals = design.locals.iter().map(|l| (&l.name, &l.loc));
        let mut seen: Vec<&str> = Vec::new();
        for (name, loc) in fifos.chain(locals) {
            self.symbol(name, loc);
            if seen.contains(&name.as_str()) || kernels.contains_key(name.as_str()) {
                self.push(ArrayError::DuplicateSymbol { name: name.clone(), loc: loc.clone() });
            }
            seen.push(name);
        }
        let mut arguments: Vec<&str> = Vec::new();
        for buffer in &design.sequence.buffers {
            self.symbol(&buffer.name, &Loc::UNKNOWN);
            if arguments.contains(&buffer.name.as_str()) {
                self.push(ArrayError::DuplicateSymbol { name: buffer.name.clone(), loc: Loc::UNKNOWN });
            }
            arguments.push(&buffer.name);
        }
    }

    fn symbol(&mut self, name: &str, loc: &Loc) {
        let start = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        if !start || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_$.".contains(c)) {
            self.push(ArrayError::BadSymbol { name: name.to_owned(), loc: loc.clone() });
        }
    }

    fn locals(&mut self) {
        for local in &self.design.locals {
            self.on_core(&format!("buffer {}", local.name), local.tile, &local.loc);
            let (buffer, loc) = (local.name.clone(), local.loc.clone());
            if local.ty.bytes() == 0 {
                self.push(ArrayError::EmptyBuffer { buffer: buffer.clone(), loc: loc.clone() });
            }
            if let Some(init) = &local.init
                && init.len() as u64 != local.ty.bytes()
            {
                let (got, expected) = (init.len(), local.ty.bytes());
                self.push(ArrayError::InitBytes { buffer: buffer.clone(), got, expected, loc: loc.clone() });
            }
            let banks = self.device.core.logical_banks();
            if let Some(bank) = local.bank.filter(|&b| u32::from(b) >= banks) {
                self.push(ArrayError::NoSuchBank { buffer, bank, banks, loc });
            }
        }
    }

    fn cascades(&mut self) {
        let directions = self.device.core.cascade_directions();
        let mut ends: Vec<(Tile, bool)> = Vec::new();
        for cascade in &self.design.cascades {
            let loc = &cascade.loc;
            self.on_core("cascade", cascade.from, loc);
            self.on_core("cascade", cascade.to, loc);
            let step = |t: Tile| (i16::from(t.col), i16::from(t.row));
            let ((fc, fr), (tc, tr)) = (step(cascade.from), step(cascade.to));
            let direction = match (tc - fc, tr - fr) {
                (0, -1) => Some(CascadeDirection::NorthToSouth),
                (1, 0) => Some(CascadeDirection::WestToEast),
                _ => None,
            };
            if !direction.is_some_and(|d| directions.contains(&d)) {
                let (from, to) = (cascade.from, cascade.to);
                self.push(ArrayError::CascadeDirection { from, to, loc: loc.clone() });
            }
            for end in [(cascade.from, true), (cascade.to, false)] {
                if ends.contains(&end) {
                    self.push(ArrayError::CascadeTwice { tile: end.0, out: end.1, loc: loc.clone() });
                }
                ends.push(end);
            }
        }
    }
}
