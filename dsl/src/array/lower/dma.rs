//! Channels, BDs and flows.

use super::LowerMode;
use super::pools::{DmaEnd, Part, Plan};
use crate::array::ir::{Design, FifoId, Port, Tile};
use crate::array::lowered::{Bd, Channel, ChannelProgram, Direction, Flow, LockUse};
use crate::array::verify::ArrayError;
use crate::device::{Device, TileKind};
use indexmap::IndexMap;

/// A BD before it has an id: buffer of the pool, part and lock pair.
#[derive(Clone, Copy)]
struct Step {
    buffer: usize,
    part: Part,
    pair: usize,
}

/// Positions of a pool's buffers and lock pairs in the lists of its tile.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PoolPlace {
    /// Position of buffer 0; the others follow.
    pub first_buffer: usize,
    /// Position of the first pair's producer lock; locks alternate producer, consumer.
    pub first_lock: usize,
}

/// Channel of every DMA end, in the order of `Plan::ends`, and what is over the limits.
pub(super) fn channels(design: &Design, device: &Device, plan: &Plan) -> (Vec<Channel>, Vec<ArrayError>) {
    let mut users: IndexMap<(Tile, Direction), Vec<FifoId>> = IndexMap::new();
    let mut channels = Vec::new();
    for end in &plan.ends {
        let of = users.entry((end.tile, end.direction())).or_default();
        channels
            .push(Channel { direction: end.direction(), index: u8::try_from(of.len()).unwrap_or(u8::MAX) });
        of.push(end.fifo);
    }
    let mut errors = Vec::new();
    for ((tile, direction), of) in users {
        let Some(kind) = device.tile_kind(tile) else { continue };
        let dma = device.tile_dma(kind);
        let limit = match direction {
            Direction::S2mm => dma.s2mm_channels(),
            Direction::Mm2s => dma.mm2s_channels(),
        };
        if of.len() as u64 > u64::from(limit) {
            let fifos = of.iter().map(|&f| design.fifo(f).name.clone()).collect();
            errors.push(ArrayError::TooManyChannels { tile, direction, used: of.len() as u32, limit, fifos });
        }
    }
    (channels, errors)
}

/// The steps of an end's program: every buffer, and every part of it that the end moves, as often as it sends it.
///
/// The toolchain of 2026-08, which the static mode follows, lets a single descriptor follow itself instead (mlir-aie
/// since 2026-05-29); that of 2026-04 writes copies.
fn steps(plan: &Plan, end: &DmaEnd, mode: LowerMode) -> Vec<Step> {
    let copies = if end.alone && mode == LowerMode::Static { 1 } else { end.repeat };
    let pool = &plan.pools[end.pool];
    let mut steps = Vec::new();
    for buffer in 0..pool.depth as usize {
        for (pair, &part) in pool.parts.iter().enumerate() {
            if end.part.is_none_or(|own| own == pair) {
                steps.extend((0..copies).map(|_| Step { buffer, part, pair }));
            }
        }
    }
    steps
}

/// The channel programs of every tile but the shims.
pub(super) fn programs(
    device: &Device,
    plan: &Plan,
    mode: LowerMode,
    channels: &[Channel],
    places: &[PoolPlace],
) -> (IndexMap<Tile, Vec<ChannelProgram>>, Vec<ArrayError>) {
    let mut by_tile: IndexMap<Tile, Vec<ChannelProgram>> = IndexMap::new();
    let mut taken: IndexMap<(Tile, u32), u32> = IndexMap::new();
    for (end, &channel) in plan.ends.iter().zip(channels) {
        let kind = match device.tile_kind(end.tile) {
            None | Some(TileKind::Shim) => continue,
            Some(kind) => kind,
        };
        let dma = device.tile_dma(kind);
        let ids = dma.bds_of_channel(u32::from(channel.index));
        let group = taken.entry((end.tile, ids.start)).or_insert(0);
        let bds = bds(plan, steps(plan, end, mode), end, places[end.pool], ids.start + *group);
        *group += bds.len() as u32;
        by_tile.entry(end.tile).or_default().push(ChannelProgram { channel, bds });
    }
    let mut errors = Vec::new();
    for ((tile, first), used) in taken {
        let Some(kind) = device.tile_kind(tile) else { continue };
        let dma = device.tile_dma(kind);
        let limit = dma.bds() / dma.bd_groups().max(1);
        if used > limit {
            errors.push(ArrayError::TooManyBds { tile, used, limit, first, groups: dma.bd_groups() });
        }
    }
    (by_tile, errors)
}

fn bds(plan: &Plan, steps: Vec<Step>, end: &DmaEnd, place: PoolPlace, first_id: u32) -> Vec<Bd> {
    let pool = &plan.pools[end.pool];
    let count = steps.len();
    steps
        .into_iter()
        .enumerate()
        .map(|(at, step)| {
            let tokens = u8::try_from(end.tokens).unwrap_or(u8::MAX);
            let producer = LockUse { lock: place.first_lock + 2 * step.pair, count: tokens };
            let consumer = LockUse { lock: place.first_lock + 2 * step.pair + 1, count: tokens };
            let (acquire, release) = match end.port {
                Port::Produce => (consumer, producer),
                Port::Consume => (producer, consumer),
            };
            Bd {
                buffer: place.first_buffer + step.buffer,
                offset_bytes: clamp(step.part.offset_bytes),
                len_bytes: clamp(step.part.len_bytes),
                dims: end.dims.clone(),
                element_bytes: pool.object.elem.bytes(),
                bd_id: u8::try_from(first_id + at as u32).unwrap_or(u8::MAX),
                next: Some((at + 1) % count),
                acquire,
                release,
            }
        })
        .collect()
}

fn clamp(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// One flow per FIFO that needs DMA, and the shim channel of each FIFO with a shim end.
pub(super) fn flows(
    device: &Device,
    plan: &Plan,
    channels: &[Channel],
) -> (Vec<Flow>, IndexMap<FifoId, (Tile, Channel)>) {
    let mut flows: IndexMap<FifoId, Flow> = IndexMap::new();
    let mut shim = IndexMap::new();
    for (end, &channel) in plan.ends.iter().zip(channels) {
        let port = (end.tile, channel.index);
        match end.port {
            Port::Produce => {
                flows.insert(end.fifo, Flow { from: port, to: Vec::new(), fifo: end.fifo });
            }
            Port::Consume => {
                if let Some(flow) = flows.get_mut(&end.fifo) {
                    flow.to.push(port);
                }
            }
        }
        if device.tile_kind(end.tile) == Some(TileKind::Shim) {
            shim.insert(end.fifo, (end.tile, channel));
        }
    }
    (flows.into_values().collect(), shim)
}
