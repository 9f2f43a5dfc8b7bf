//! From a design to what the toolchain builds from it: see [`lower`].

mod cores;
mod dma;
mod place;
mod pools;

pub(crate) use cores::{each_stmt, ends_used, words_used};
pub(crate) use place::{Memory, Request, place};
pub(crate) use pools::{LinkView, Plan, both_reach, derived_depths, link_of, plan, shared_memory};

use super::ir::{Core, CoreId, Count, Design, LocalId, Stmt, Tile};
use super::lowered::{Lock, Lowered, LoweredTile, PlacedBuffer};
use super::verify::{ArrayError, ArrayErrors};
use crate::device::{Device, TileKind};
use crate::kernel::Loc;
use crate::verified::Verified;
use dma::PoolPlace;
use indexmap::IndexMap;
use thiserror::Error;

/// Which of the toolchain's two lowerings of FIFO accesses in cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum LowerMode {
    /// Position of each FIFO end in a counter in L1: any trip count. The default of aiecc.
    #[default]
    Dynamic,
    /// Loops unrolled by the depth: no counters, no trip counts from words, no acquires or releases in
    /// the branches of a switch.
    Static,
}

/// Why a verified design cannot be lowered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LowerError {
    /// A trip count is only known at run time.
    #[error(
        "core {tile}: a loop's trip count is a word of an object, which the static lowering cannot unroll ({loc})\n  \
         help: lower with LowerMode::Dynamic (aiecc's default, `dynamic-objFifos=true`)"
    )]
    StaticTripCount {
        /// The core's tile.
        tile: Tile,
        /// Where the core's program starts.
        loc: Loc,
    },
    /// A branch that is only known at run time moves FIFO ends.
    #[error(
        "core {tile}: a switch acquires or releases in a branch, so the static lowering cannot know the buffer ({loc})\n  \
         help: lower with LowerMode::Dynamic (aiecc's default, `dynamic-objFifos=true`)"
    )]
    StaticSwitch {
        /// The core's tile.
        tile: Tile,
        /// Where the switch is.
        loc: Loc,
    },
    /// The design was verified against another device.
    #[error(transparent)]
    DoesNotFit(#[from] ArrayErrors),
}

/// Lowers a design: buffers with addresses and banks, locks, BDs, channels, flows and core
/// programs, as `aiecc` would (mlir-aie of 2026-03 to 2026-08).
///
/// # Errors
/// [`LowerError::StaticTripCount`] in static mode; [`LowerError::DoesNotFit`] on a device smaller
/// than the one the design was verified against.
pub fn lower(design: &Verified<Design>, device: &Device, mode: LowerMode) -> Result<Lowered, LowerError> {
    if mode == LowerMode::Static {
        design.cores.iter().try_for_each(static_core)?;
    }
    let (lowered, errors) = allocate(design, device, mode);
    match ArrayErrors::new(design, errors) {
        None => Ok(lowered),
        Some(errors) => Err(errors.into()),
    }
}

/// What the toolchain would build from a design that may be wrong, to be looked at beside what `verify` says
/// of it. Emitters and the simulator take what [`lower`] gives.
pub fn preview(design: &Design, device: &Device, mode: LowerMode) -> Lowered {
    allocate(design, device, mode).0
}

/// Whether the static lowering can do a core.
fn static_core(core: &Core) -> Result<(), LowerError> {
    let tile = core.tile;
    let mut refused = None;
    each_stmt(&core.body, &mut |s| match s {
        Stmt::Loop { count: Count::Word(_), .. } => {
            refused = Some(LowerError::StaticTripCount { tile, loc: core.loc.clone() });
        }
        Stmt::Switch { cases, default, loc, .. } => {
            let mut moves = false;
            let mut see = |s: &Stmt| moves |= matches!(s, Stmt::Acquire { .. } | Stmt::Release { .. });
            cases.iter().for_each(|(_, body)| each_stmt(body, &mut see));
            each_stmt(default, &mut see);
            if moves {
                refused = Some(LowerError::StaticSwitch { tile, loc: loc.clone() });
            }
        }
        _ => {}
    });
    refused.map_or(Ok(()), Err)
}

/// Every tile that a design uses, in order of column and row.
pub(crate) fn tiles_used(design: &Design) -> Vec<Tile> {
    let ends =
        design.fifos.iter().flat_map(|f| std::iter::once(f.producer).chain(f.consumers.iter().copied()));
    let mut tiles: Vec<Tile> = ends
        .chain(design.cores.iter().map(|c| c.tile))
        .chain(design.locals.iter().map(|l| l.tile))
        .chain(design.fifos.iter().filter_map(|f| f.memory))
        .chain(design.cascades.iter().flat_map(|c| [c.from, c.to]))
        .collect();
    tiles.sort_unstable();
    tiles.dedup();
    tiles
}

/// Pools of a tile in order of creation, which lock ids and the buffer list follow.
///
/// The toolchain of 2026-04, whose dynamic lowering `data/mlir` pins, goes FIFO by FIFO. That of
/// 2026-08, pinned by the static one, takes the largest objects of a mem tile first.
fn creation_order(plan: &Plan, mode: LowerMode, tile: Tile) -> Vec<usize> {
    let mut order: Vec<usize> = (0..plan.pools.len()).filter(|&at| plan.pools[at].memory == tile).collect();
    if mode == LowerMode::Static && order.iter().all(|&at| plan.pools[at].at_mem_tile) {
        order.sort_by_key(|&at| std::cmp::Reverse(plan.pools[at].object.bytes()));
    }
    order
}

/// A buffer before it has an address.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Symbol.
    pub name: String,
    /// Size and bank.
    pub request: Request,
    /// Initial content.
    pub init: Option<Vec<u8>>,
    /// The pool it belongs to, and which of its buffers it is.
    pool: Option<usize>,
    /// The local it is.
    local: Option<LocalId>,
}

/// The buffers of one tile in the toolchain's order: pools last created first, then locals, then
/// the loop counters of the core.
pub(crate) fn buffers_wanted(design: &Design, plan: &Plan, mode: LowerMode, tile: Tile) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for at in creation_order(plan, mode, tile).into_iter().rev() {
        let pool = &plan.pools[at];
        for k in 0..pool.depth {
            wanted.push(Wanted {
                name: format!("{}_buff_{k}", pool.name),
                request: Request { bytes: pool.object.bytes(), ..Request::default() },
                init: pool.init.get(k as usize).cloned(),
                pool: Some(at),
                local: None,
            });
        }
    }
    for (at, local) in design.locals.iter().enumerate().filter(|(_, l)| l.tile == tile) {
        wanted.push(Wanted {
            name: local.name.clone(),
            request: Request {
                bytes: local.ty.bytes(),
                bank: local.bank,
                address: local.address.map(u64::from),
            },
            init: local.init.clone(),
            pool: None,
            local: Some(LocalId(at as u32)),
        });
    }
    wanted.extend(counters(design, mode, tile));
    wanted
}

/// Start of the names that the toolchain makes for buffers without one.
pub(crate) const COUNTER_PREFIX: &str = "_anonymous";

/// The buffer of FIFO positions that the dynamic lowering gives a core: one i32 per end it
/// acquires from, numbered over all cores whose tile is an end of some FIFO.
fn counters(design: &Design, mode: LowerMode, tile: Tile) -> Option<Wanted> {
    if mode == LowerMode::Static {
        return None;
    }
    let on_fifo = |t: Tile| design.fifos.iter().any(|f| f.producer == t || f.consumers.contains(&t));
    let (at, core) =
        design.cores.iter().filter(|c| on_fifo(c.tile)).enumerate().find(|(_, c)| c.tile == tile)?;
    let unnamed = design.locals.iter().filter(|l| l.name.starts_with(COUNTER_PREFIX)).count();
    let number = unnamed + at;
    let bytes = 4 * ends_used(core).len() as u64;
    (bytes > 0).then(|| Wanted {
        name: format!("{COUNTER_PREFIX}{number}"),
        request: Request { bytes, ..Request::default() },
        init: None,
        pool: None,
        local: None,
    })
}

/// The memory of a tile, with the stack of its core; `None` at the shim.
///
/// The toolchain of 2026-08, which the static mode follows, aligns what it places to the load and store bus of a
/// core (mlir-aie pull request 3037), and to a word in a mem tile; that of 2026-04 does not.
pub(crate) fn memory_of(design: &Design, device: &Device, mode: LowerMode, tile: Tile) -> Option<Memory> {
    let align = |bytes: u32| if mode == LowerMode::Static { u64::from(bytes) } else { 1 };
    match device.tile_kind(tile)? {
        TileKind::Shim => None,
        TileKind::Mem => {
            let (bytes, banks) = (device.mem.memory_bytes(), device.mem.logical_banks());
            let align_bytes = align(device.dma.granule_bytes());
            Some(Memory { bytes: u64::from(bytes), banks, stack_bytes: 0, align_bytes })
        }
        TileKind::Core => {
            let (bytes, banks) = (device.core.data_memory_bytes(), device.core.logical_banks());
            let stack = u64::from(stack_of(design, device, tile).unwrap_or(0));
            let stack_bytes = u64::from(device.core.code_in_data_bytes()) + stack;
            let align_bytes = align(device.core.port_bytes());
            Some(Memory { bytes: u64::from(bytes), banks, stack_bytes, align_bytes })
        }
    }
}

/// Bytes of stack of the core at a tile, if it has a program.
pub(crate) fn stack_of(design: &Design, device: &Device, tile: Tile) -> Option<u32> {
    let core = design.cores.iter().find(|c| c.tile == tile)?;
    Some(core.stack_bytes.unwrap_or(device.core.default_stack_bytes()))
}

/// Lowers without asking whether it fits: the lowered design, and everything that is over.
pub(crate) fn allocate(design: &Design, device: &Device, mode: LowerMode) -> (Lowered, Vec<ArrayError>) {
    let plan = plan(design, device);
    let mut errors = Vec::new();
    let mut tiles = IndexMap::new();
    let mut places = vec![PoolPlace::default(); plan.pools.len()];
    let mut locals = IndexMap::new();
    for tile in tiles_used(design) {
        let mut lowered =
            LoweredTile { stack_bytes: stack_of(design, device, tile), ..LoweredTile::default() };
        let wanted = buffers_wanted(design, &plan, mode, tile);
        let memory = memory_of(design, device, mode, tile);
        lowered.buffers = memory.map_or_else(Vec::new, |m| place_buffers(tile, m, &wanted, &mut errors));
        for (at, buffer) in wanted.iter().enumerate().rev() {
            if let Some(pool) = buffer.pool {
                places[pool].first_buffer = at;
            }
            if let Some(local) = buffer.local {
                locals.insert(local, (tile, at));
            }
        }
        lowered.locks = locks(device, &plan, mode, tile, &mut places, &mut errors);
        tiles.insert(tile, lowered);
    }
    let (channels, over) = dma::channels(design, device, &plan);
    errors.extend(over);
    let (programs, over) = dma::programs(device, &plan, mode, &channels, &places);
    errors.extend(over);
    for (tile, program) in programs {
        if let Some(lowered) = tiles.get_mut(&tile) {
            lowered.dma = program;
        }
    }
    let (flows, shim_channels) = dma::flows(device, &plan, &channels);
    let ids = (0..design.cores.len()).map(|at| CoreId(at as u32));
    let cores = ids.map(|id| cores::core(design, &plan, &places, id, &locals)).collect();
    (Lowered { mode, tiles, flows, cores, shim_channels }, errors)
}

fn place_buffers(
    tile: Tile,
    memory: Memory,
    wanted: &[Wanted],
    errors: &mut Vec<ArrayError>,
) -> Vec<PlacedBuffer> {
    let requests: Vec<Request> = wanted.iter().map(|w| w.request).collect();
    let placed = place(memory, &requests);
    if placed.end > memory.bytes {
        let mut largest: Vec<(String, u64)> =
            wanted.iter().map(|w| (w.name.clone(), w.request.bytes)).collect();
        largest.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        largest.truncate(4);
        errors.push(ArrayError::OutOfMemory {
            tile,
            used_bytes: placed.end,
            limit_bytes: memory.bytes,
            stack_bytes: memory.stack_bytes,
            largest,
        });
    }
    for (at, w) in wanted.iter().enumerate() {
        let lost = placed.bank_refused.contains(&at) || !placed.bank_aware;
        if let (true, Some(bank)) = (lost, w.request.bank) {
            let (buffer, bytes) = (w.name.clone(), w.request.bytes);
            errors.push(ArrayError::BankFull { tile, buffer, bank, bytes });
        }
    }
    for &at in &placed.address_refused {
        let (buffer, bytes) = (wanted[at].name.clone(), wanted[at].request.bytes);
        let (address, stack_bytes) = (placed.addresses[at], memory.stack_bytes);
        errors.push(ArrayError::AddressTaken { tile, buffer, address, bytes, stack_bytes });
    }
    let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    wanted
        .iter()
        .zip(&placed.addresses)
        .map(|(w, &address)| PlacedBuffer {
            name: w.name.clone(),
            address: small(address),
            bank: u8::try_from(memory.bank(address)).unwrap_or(u8::MAX),
            bytes: small(w.request.bytes),
            init: w.init.clone(),
        })
        .collect()
}

/// Locks of a tile: ids in order of creation, listed last created first.
fn locks(
    device: &Device,
    plan: &Plan,
    mode: LowerMode,
    tile: Tile,
    places: &mut [PoolPlace],
    errors: &mut Vec<ArrayError>,
) -> Vec<Lock> {
    let Some(kind) = device.tile_kind(tile) else { return Vec::new() };
    let mut id: u32 = 0;
    let mut by_pool = Vec::new();
    for at in creation_order(plan, mode, tile) {
        let pool = &plan.pools[at];
        let max = device.locks.max_value();
        let filled = (pool.init.len() as u32).min(pool.depth) * pool.repeat;
        let all = pool.depth * pool.repeat;
        if all > max {
            errors.push(ArrayError::LockInit { tile, fifo: pool.name.clone(), depth: all, max });
        }
        let mut pairs = Vec::new();
        for k in 0..pool.parts.len() {
            for (role, init) in [("prod", all - filled), ("cons", filled)] {
                pairs.push(Lock {
                    name: format!("{}_{role}_lock_{k}", pool.name),
                    id: u8::try_from(id).unwrap_or(u8::MAX),
                    init: u8::try_from(init).unwrap_or(u8::MAX),
                });
                id += 1;
            }
        }
        by_pool.push((at, pairs));
    }
    let limit = device.tile_dma(kind).locks();
    if id > limit {
        errors.push(ArrayError::TooManyLocks { tile, used: id, limit });
    }
    let mut list = Vec::new();
    for (at, pairs) in by_pool.into_iter().rev() {
        places[at].first_lock = list.len();
        list.extend(pairs);
    }
    list
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
