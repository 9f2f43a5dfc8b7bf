//! Whether the state that a CDO leaves is the one that a lowered design asks for: [`differences`].
//!
//! It reads the state from registers (`state`) and the wish from the lowering, not from what `configure` wrote, so that
//! a slip of one does not hide in the other. Order of access is compared word by word.

use super::image::{CoreImage, Piece};
use super::state::{ArrayState, BdState, End};
use crate::array::Tile;
use crate::array::lowered::{Bd, Channel, ChannelProgram, Direction, Lowered, LoweredTile};
use crate::device::TileKind;
use std::collections::BTreeSet;

/// Every difference, in words; empty when the state is right.
pub fn differences(lowered: &Lowered, images: &[CoreImage], state: &ArrayState<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for (&tile, content) in &lowered.tiles {
        locks(tile, content, state, &mut out);
        dma(tile, content, state, &mut out);
        for buffer in &content.buffers {
            if let Some(init) = &buffer.init {
                let wanted = Piece { address: buffer.address, bytes: init.clone() };
                memory(&format!("{tile}: buffer {}", buffer.name), &wanted, &state.data(tile), &mut out);
            }
        }
    }
    for image in images {
        let tile = image.tile;
        for piece in &image.program {
            memory(&format!("{tile}: program"), piece, &state.program(tile), &mut out);
        }
        for piece in &image.data {
            memory(&format!("{tile}: data"), piece, &state.data(tile), &mut out);
        }
        if state.enabled(tile) != Some(true) {
            out.push(format!("{tile}: the core does not run in the end"));
        }
    }
    flows(lowered, state, &mut out);
    out
}

fn locks(tile: Tile, content: &LoweredTile, state: &ArrayState<'_>, out: &mut Vec<String>) {
    let got = state.locks(tile);
    for lock in &content.locks {
        let (id, wanted) = (u32::from(lock.id), u32::from(lock.init));
        if got.get(&id) != Some(&wanted) {
            out.push(format!("{tile}: lock {id} is {:?}, expected {wanted} ({})", got.get(&id), lock.name));
        }
    }
    let stray = got
        .iter()
        .filter(|(id, value)| **value != 0 && content.locks.iter().all(|l| u32::from(l.id) != **id));
    out.extend(
        stray.map(|(id, value)| format!("{tile}: lock {id} is {value}, and the design has no such lock")),
    );
}

fn dma(tile: Tile, content: &LoweredTile, state: &ArrayState<'_>, out: &mut Vec<String>) {
    let got = state.bds(tile);
    let mut wanted = BTreeSet::new();
    for program in &content.dma {
        for bd in &program.bds {
            wanted.insert(u32::from(bd.bd_id));
            match got.get(&u32::from(bd.bd_id)) {
                None => out.push(format!("{tile}: BD {} was not written", bd.bd_id)),
                Some(state_bd) => {
                    let wrong = bd_differs(tile, content, program, bd, state_bd, state);
                    out.extend(wrong.into_iter().map(|w| format!("{tile}: BD {}: {w}", bd.bd_id)));
                }
            }
        }
    }
    out.extend(
        got.keys().filter(|id| !wanted.contains(id)).map(|id| format!("{tile}: BD {id} is of no channel")),
    );
    let starts = state.tiles.get(&tile).map_or(&[][..], |t| &t.starts);
    let begun: Vec<(Channel, u32)> = starts.iter().map(|s| (s.channel, s.bd)).collect();
    let first = |p: &ChannelProgram| Some((p.channel, u32::from(p.bds.first()?.bd_id)));
    let wanted: Vec<(Channel, u32)> = content.dma.iter().filter_map(first).collect();
    if begun != wanted || starts.iter().any(|s| s.runs != 1 || s.token) {
        out.push(format!("{tile}: tasks {starts:?}, expected one run of each of {wanted:?} without token"));
    }
}

fn bd_differs(
    tile: Tile,
    content: &LoweredTile,
    program: &ChannelProgram,
    bd: &Bd,
    got: &BdState,
    state: &ArrayState<'_>,
) -> Vec<String> {
    let mut out = Vec::new();
    let device = state.device();
    let kind = device.tile_kind(tile).unwrap_or(TileKind::Core);
    let regs = device.tile_registers(kind);
    let mut same = |what: &str, got: i64, wanted: i64| {
        if got != wanted {
            out.push(format!("{what} is {got}, expected {wanted}"));
        }
    };
    let buffer = content.buffers.get(bd.buffer);
    let start = buffer.map_or(-1, |b| i64::from(b.address) + i64::from(bd.offset_bytes));
    same("address", got.address as i64 - i64::from(regs.dma_memory_address()), start);
    same("length", got.len_bytes as i64, i64::from(bd.len_bytes));
    for (what, lock, use_, sign) in
        [("acquired", got.acquire, bd.acquire, -1), ("released", got.release, bd.release, 1)]
    {
        let id = content.locks.get(use_.lock).map_or(-1, |l| i64::from(l.id));
        let (got_id, value) = lock.map_or((-1, 0), |l| (i64::from(l.id), i64::from(l.value)));
        same(&format!("lock {what}"), got_id - i64::from(regs.dma_first_lock()), id);
        same(&format!("value {what}"), value, sign * i64::from(use_.count));
    }
    let next = bd.next.and_then(|n| program.bds.get(n)).map(|n| i64::from(n.bd_id));
    same("next BD", got.next.map_or(-1, i64::from), next.unwrap_or(-1));
    same("valid", got.valid.into(), 1);
    same("runs", got.iteration.0.into(), 1);
    if got.packet.is_some() {
        out.push("it sends packets".to_owned());
    }
    if let Some((n, (got, wanted))) = got.order().zip(order(bd)).enumerate().find(|(_, (a, b))| a != b) {
        out.push(format!("word {n} is at word {got} of the buffer, expected {wanted}"));
    }
    out
}

/// The words that a BD moves, in order, from its first byte: by its dimensions in bytes.
fn order(bd: &Bd) -> impl Iterator<Item = u64> {
    let element = u64::from(bd.element_bytes);
    let dims: Vec<(u64, u64)> =
        bd.dims.iter().rev().map(|d| (u64::from(d.size), u64::from(d.stride) * element)).collect();
    (0..u64::from(bd.len_bytes) / 4).map(move |word| {
        let byte = 4 * word;
        let (mut rest, mut at) = (byte / element.max(1), byte % element.max(1));
        for (size, stride) in &dims {
            at += rest % size.max(&1) * stride;
            rest /= size.max(&1);
        }
        if dims.is_empty() { word } else { at / 4 }
    })
}

/// Whether a piece of memory holds these bytes.
fn memory(what: &str, wanted: &Piece, got: &[Piece], out: &mut Vec<String>) {
    let byte = |at: u32| {
        let piece = got.iter().rfind(|p| p.address <= at)?;
        piece.bytes.get((at - piece.address) as usize).copied()
    };
    let differs = wanted.bytes.iter().zip(wanted.address..).find(|&(&b, at)| byte(at) != Some(b));
    if let Some((&expected, at)) = differs {
        out.push(format!("{what}: byte {at:#x} is {:?}, expected {expected}", byte(at)));
    }
}

fn flows(lowered: &Lowered, state: &ArrayState<'_>, out: &mut Vec<String>) {
    let end = |(tile, index): (Tile, u8), direction| End::Dma(tile, Channel { direction, index });
    let mut wanted: Vec<(End, Vec<End>)> = lowered
        .flows
        .iter()
        .map(|f| {
            let mut to: Vec<End> = f.to.iter().map(|&t| end(t, Direction::S2mm)).collect();
            to.sort();
            (end(f.from, Direction::Mm2s), to)
        })
        .collect();
    wanted.sort();
    let (routes, wrong) = state.routes();
    out.extend(wrong);
    let circuits: Vec<(End, Vec<End>)> =
        routes.iter().filter(|r| r.packets.is_none()).map(|r| (r.from, r.to.clone())).collect();
    let words = |(from, to): &(End, Vec<End>)| {
        let to: Vec<String> = to.iter().map(End::to_string).collect();
        format!("{from} to {}", to.join(", "))
    };
    out.extend(wanted.iter().filter(|f| !circuits.contains(f)).map(|f| format!("no way from {}", words(f))));
    out.extend(
        circuits.iter().filter(|f| !wanted.contains(f)).map(|f| format!("a stray way from {}", words(f))),
    );
    let shims: BTreeSet<Tile> = lowered.shim_channels.values().map(|&(tile, _)| tile).collect();
    for shim in shims {
        let tokens = routes.iter().any(|r| {
            r.packets.is_some()
                && matches!(r.from, End::Port(t, p) if t == shim && p.bundle == crate::device::SwitchBundle::Control)
                && matches!(r.to[..], [End::Port(t, p)] if t == shim && p.bundle == crate::device::SwitchBundle::South)
        });
        if !tokens {
            out.push(format!("{shim}: tokens have no way to the controller"));
        }
    }
}
