//! What a design takes of every tile, and whether that is there: [`fit()`].
//!
//! Works on designs that are too big to lower, and needs no verified design: it says what is over,
//! by how much, which objects are to blame, and what would fit, found by trying it.

mod banks;
mod over;
mod program;
mod remedy;
mod table;
mod tile;

use crate::array::route::{Bundle, Routing, route};
use crate::array::{Design, LowerMode, Tile, allocate, verify};
use crate::device::{Device, TileKind};
use crate::kernel::Kernel;
pub use banks::Collision;
use over::Found;
use serde::ser::{Serialize, SerializeStruct, Serializer};
use tile::TileBudget;

/// Something used, and how much of it there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Taken by the design.
    pub used: u64,
    /// Present in the tile.
    pub limit: u64,
}

impl Usage {
    fn new(used: u64, limit: impl Into<u64>) -> Usage {
        Usage { used, limit: limit.into() }
    }

    /// How much is over; 0 when it fits.
    pub fn over(self) -> u64 {
        self.used.saturating_sub(self.limit)
    }

    /// Part of the limit that is used, in whole per mille; none where there is nothing to use.
    pub fn share_per_mille(self) -> Option<u64> {
        self.used.saturating_mul(1000).checked_div(self.limit)
    }
}

impl Serialize for Usage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Usage", 3)?;
        fields.serialize_field("used", &self.used)?;
        fields.serialize_field("limit", &self.limit)?;
        fields.serialize_field("share", &self.share_per_mille().map(|s| s as f64 / 1000.0))?;
        fields.end()
    }
}

/// What the memory of a tile holds, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MemoryFit {
    /// End of the last buffer, of the tile's memory.
    pub bytes: Usage,
    /// Code of the core, where it lies in its data memory.
    pub code_bytes: u64,
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

/// Bytes that the compiled form of a kernel takes of its core's memories besides its parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodeBytes {
    /// Program memory.
    pub program: u32,
    /// Stack.
    pub frame: u32,
}

/// The outputs of a tile's switch to its neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SwitchFit {
    /// To the tile above.
    pub north: Usage,
    /// To the tile below; at the shim, to its DMA.
    pub south: Usage,
    /// To the tile on the right.
    pub east: Usage,
    /// To the tile on the left.
    pub west: Usage,
}

impl SwitchFit {
    fn of(routing: &Routing, tile: Tile) -> SwitchFit {
        let side = |side| Usage::new(routing.used(tile, side).into(), routing.ports(tile, side));
        SwitchFit {
            north: side(Bundle::North),
            south: side(Bundle::South),
            east: side(Bundle::East),
            west: side(Bundle::West),
        }
    }
}

/// What one tile gives.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TileFit {
    /// `col,row`.
    pub tile: String,
    /// `shim`, `mem` or `core`.
    pub kind: &'static str,
    /// Its memory; the shim has none.
    pub memory: Option<MemoryFit>,
    /// Program memory of a core in bytes: its kernels, what is around them, start-up code and runtime. None where
    /// there is no core program, or a kernel has not been scheduled.
    pub program: Option<Usage>,
    /// Part of it that is around the kernels: acquires and releases with the counters and branch trees of the dynamic
    /// lowering, loops and calls. A prediction; 0 where there is no core program.
    pub core_program_bytes: u64,
    /// Deepest frame of a kernel in the core's stack, in bytes; none as for `program`.
    pub stack: Option<Usage>,
    /// Locks.
    pub locks: Usage,
    /// Buffer descriptors of each group of channels; at the shim, most in flight at once.
    pub bds: Vec<Usage>,
    /// Channels from the stream to memory.
    pub s2mm: Usage,
    /// Channels from memory to the stream.
    pub mm2s: Usage,
    /// Outputs of its stream switch, those of streams that only pass included.
    pub switch: SwitchFit,
    /// Arguments of its kernels that lie in one bank and that an inner loop accesses side by side.
    pub collisions: Vec<Collision>,
}

/// What the host gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct HostFit {
    /// Buffers of a run.
    pub buffers: Usage,
    /// Hardware contexts alive at once; a design takes one.
    pub contexts: Usage,
}

/// One limit that the design exceeds, at one tile or in the same way at several.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Over {
    /// `col,row` of each; empty for the host.
    pub tiles: Vec<String>,
    /// What there is too little of.
    pub resource: &'static str,
    /// How much of it.
    pub usage: Usage,
    /// Used beyond the limit.
    pub by: u64,
    /// `B` or empty.
    pub unit: &'static str,
    /// The objects, FIFOs or buffers of the first tile that take most, or that lie past the end.
    pub objects: Vec<String>,
    /// What would help, of the first tile. Changes with numbers have been tried.
    pub help: Vec<String>,
}

/// The budget of a whole design.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FitReport {
    /// Name of the design.
    pub design: String,
    /// Name of the device.
    pub device: String,
    /// Whether every tile has what the design takes, and nothing else is wrong.
    pub fits: bool,
    /// Tiles in use, by column and row, and those whose switches streams only pass.
    pub tiles: Vec<TileFit>,
    /// The host's side.
    pub host: HostFit,
    /// What is over.
    pub over: Vec<Over>,
    /// What else is wrong: errors of [`verify`](crate::array::verify()) that are no budget's. Filled by
    /// [`FitReport::judged`].
    pub wrong: Vec<String>,
}

impl FitReport {
    /// The verdict of the whole check: with what `verify` says of the same design and device besides budgets.
    pub fn judged(mut self, design: &Design, device: &Device) -> FitReport {
        let Err(errors) = verify(design.clone(), device) else { return self };
        let told = !self.over.is_empty();
        let others = errors.errors.into_iter().filter(|e| !(told && e.is_budget()));
        self.wrong = others.map(|e| e.to_string()).collect();
        self.fits &= self.wrong.is_empty();
        self
    }

    /// Tiles of one kind: `shim`, `mem` or `core`.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a TileFit> {
        self.tiles.iter().filter(move |t| t.kind == kind)
    }
}

/// The budget of a design on a device, as the toolchain's default (dynamic) lowering takes it, without
/// its code.
pub fn fit(design: &Design, device: &Device) -> FitReport {
    fit_with_code(design, device, &|_| None)
}

/// The same with the code of its kernels: `code` says what one takes, or nothing when it has not been
/// scheduled.
pub fn fit_with_code(
    design: &Design,
    device: &Device,
    code: &dyn Fn(&Kernel) -> Option<CodeBytes>,
) -> FitReport {
    let (lowered, _) = allocate(design, device, LowerMode::Dynamic);
    let routing = route(device, design.columns, &lowered.flows);
    let mut tiles: Vec<Tile> = lowered.tiles.keys().copied().collect();
    tiles.extend(routing.routes.iter().flat_map(|r| r.connections.iter().map(|c| c.tile)));
    tiles.sort_unstable();
    tiles.dedup();
    let mut report = FitReport {
        design: design.name.clone(),
        device: device.name.clone(),
        fits: true,
        tiles: Vec::new(),
        host: host(design, device),
        over: Vec::new(),
        wrong: Vec::new(),
    };
    let mut found = Found::default();
    for tile in tiles {
        let Some(kind) = device.tile_kind(tile) else {
            found.outside(tile, device);
            continue;
        };
        let budget = TileBudget { design, device, lowered: &lowered, tile, kind };
        let one = budget.measure(&routing, code);
        budget.report(&one, &mut found);
        report.tiles.push(one);
    }
    found.switches(design, &lowered, &routing);
    found.host(design, &report.host);
    report.over = found.grouped();
    report.fits = report.over.is_empty();
    report
}

fn host(design: &Design, device: &Device) -> HostFit {
    HostFit {
        buffers: Usage::new(design.sequence.buffers.len() as u64, device.host.buffers_max()),
        contexts: Usage::new(1, device.host.hardware_contexts_max()),
    }
}

fn key(tile: Tile) -> String {
    format!("{},{}", tile.col, tile.row)
}

fn kind_name(kind: TileKind) -> &'static str {
    match kind {
        TileKind::Shim => "shim",
        TileKind::Mem => "mem",
        TileKind::Core => "core",
    }
}

#[cfg(test)]
mod tests;
