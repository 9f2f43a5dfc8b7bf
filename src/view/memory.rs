//! The memory of each tile as a bar by bank, and the program memory of each core.

use super::Subject;
use super::svg::{Picture, grouped, shortened};
use kiln_dsl::array::Tile;
use kiln_dsl::array::lowered::{LoweredTile, PlacedBuffer};
use kiln_dsl::device::TileKind;
use kiln_dsl::fit::TileFit;
use maud::{Markup, html};

/// Width of a whole memory.
const WIDTH: f64 = 680.0;
/// Where bars begin.
const LEFT: f64 = 96.0;
/// Height of a row, and of the bar in it.
const ROW: (f64, f64) = (30.0, 20.0);
/// Width of the program memory's bar, and where it begins.
const PROGRAM: (f64, f64) = (150.0, LEFT + WIDTH + 24.0);
/// Widest part of a bar's character.
const CHARACTER: f64 = 6.4;

/// The bars of all tiles that hold something.
pub(super) fn memory(subject: &Subject<'_>) -> Picture {
    let device = subject.device;
    let mut tiles: Vec<(Tile, TileKind, &LoweredTile)> = subject
        .lowered
        .tiles
        .iter()
        .filter_map(|(&tile, content)| Some((tile, device.tile_kind(tile)?, content)))
        .filter(|(_, kind, content)| {
            *kind != TileKind::Shim && !(content.buffers.is_empty() && content.stack_bytes.is_none())
        })
        .collect();
    tiles.sort_by_key(|(tile, kind, _)| (*kind == TileKind::Mem, tile.col, tile.row));
    let height = 26.0 + ROW.0 * tiles.len() as f64 + 10.0;
    let content = html! {
        text.small x=(LEFT) y="14" { "data memory, by address" }
        text.small x=(PROGRAM.1) y="14" { "program memory" }
        @for (at, &(tile, kind, content)) in tiles.iter().enumerate() {
            g transform=(format!("translate(0 {})", 26.0 + ROW.0 * at as f64)) { (row(subject, tile, kind, content)) }
        }
    };
    let label = format!("Memory of {} tiles", tiles.len());
    Picture { size: (PROGRAM.1 + PROGRAM.0 + 70.0, height), label, content }
}

/// A part of a memory.
struct Part<'a> {
    class: &'static str,
    name: &'a str,
    address: u64,
    bytes: u64,
    bank: u32,
}

fn row(subject: &Subject<'_>, tile: Tile, kind: TileKind, content: &LoweredTile) -> Markup {
    let bytes = u64::from(subject.device.tile_memory_bytes(kind));
    let x = |address: u64| LEFT + WIDTH * (address.min(bytes) as f64 / bytes.max(1) as f64);
    let banks = match kind {
        TileKind::Core => subject.device.core.logical_banks(),
        TileKind::Mem | TileKind::Shim => subject.device.mem.logical_banks(),
    };
    let bank_bytes = bytes / u64::from(banks.max(1));
    let stack = content.stack_bytes.map(|bytes| Part {
        class: "stack",
        name: "stack",
        address: 0,
        bytes: u64::from(bytes),
        bank: 0,
    });
    let parts = stack.into_iter().chain(content.buffers.iter().map(|buffer| Part {
        class: class_of(subject, tile, buffer),
        name: &buffer.name,
        address: u64::from(buffer.address),
        bytes: u64::from(buffer.bytes),
        bank: u32::from(buffer.bank),
    }));
    let key = format!("{},{}", tile.col, tile.row);
    let fit = subject.fit.tiles.iter().find(|t| t.tile == key);
    let name = if kind == TileKind::Mem { "mem" } else { "core" };
    html! {
        text.small x=(LEFT - 8.0) y="14" text-anchor="end" { (name) " " (tile) }
        rect.track x=(LEFT) width=(WIDTH) height=(ROW.1) {}
        @for part in parts {
            @let end = part.address + part.bytes;
            @let width = (x(end) - x(part.address)).max(0.6);
            @let over = end > bytes;
            g {
                title { (part.name) ": " (grouped(part.bytes)) " B at 0x" (format!("{:05x}", part.address)) ", bank " (part.bank) @if over { ", past the end of the memory" } }
                rect class=(if over { "part over" } else { part.class }) x=(format!("{:.2}", x(part.address))) width=(format!("{width:.2}")) height=(ROW.1) {}
                @let room = (width / CHARACTER) as usize;
                @if room >= 5 { text.inside x=(format!("{:.1}", x(part.address) + 3.0)) y="14" { (shortened(part.name, room - 1)) } }
            }
        }
        @for bank in 1..banks { line.bank x1=(x(u64::from(bank) * bank_bytes)) x2=(x(u64::from(bank) * bank_bytes)) y1="-2" y2=(ROW.1 + 2.0) {} }
        @if let Some(fit) = fit { (program(fit)) }
    }
}

/// What a buffer is: of a FIFO, a table, a loop counter, or scratch.
fn class_of(subject: &Subject<'_>, tile: Tile, buffer: &PlacedBuffer) -> &'static str {
    let local = subject.design.locals.iter().find(|l| l.tile == tile && l.name == buffer.name);
    match local {
        Some(local) if local.init.is_some() => "part table",
        Some(_) => "part scratch",
        None if buffer.is_counter() => "part counter",
        None => "part object",
    }
}

fn program(fit: &TileFit) -> Markup {
    let Some(program) = fit.program else { return html! {} };
    let share = (program.used as f64 / program.limit.max(1) as f64).min(1.0);
    let class = if program.over() > 0 { "part over" } else { "part code" };
    html! {
        g {
            title { "predicted program memory: " (grouped(program.used)) " of " (grouped(program.limit)) " B" }
            rect.track x=(PROGRAM.1) width=(PROGRAM.0) height=(ROW.1) {}
            rect class=(class) x=(PROGRAM.1) width=(format!("{:.1}", PROGRAM.0 * share)) height=(ROW.1) {}
            text.small x=(PROGRAM.1 + PROGRAM.0 + 6.0) y="14" { (super::svg::percent(program.used, program.limit)) }
        }
    }
}
