//! The array as a map: tiles where they are, with what they hold and how busy they are, and FIFOs as arrows.

use super::Subject;
use super::svg::{Picture, grouped, id, percent, shortened};
use kiln_dsl::array::{Fifo, Tile};
use kiln_dsl::device::TileKind;
use kiln_dsl::fit::TileFit;
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Size of a tile.
const TILE: (f64, f64) = (168.0, 104.0);
/// Room between tiles, for the arrows.
const GAP: (f64, f64) = (76.0, 58.0);
/// Room around the array.
const MARGIN: f64 = 70.0;
/// Room above and below it.
const TOP: f64 = 24.0;
/// Distance of arrows that share a side of a tile.
const LANE: f64 = 7.0;
/// Distance of arrows in the gaps.
const NARROW: f64 = 4.0;
/// Radius of an arrow's corners.
const CORNER: f64 = 7.0;
/// Characters of a kernel's name that a tile has room for.
const NAME: usize = 24;

/// The map.
pub(super) fn array_map(subject: &Subject<'_>) -> Picture {
    let geometry = &subject.device.geometry;
    let columns = f64::from(subject.design.columns.max(1));
    let rows = f64::from(geometry.rows());
    let size = (
        2.0 * MARGIN + columns * TILE.0 + (columns - 1.0) * GAP.0,
        2.0 * TOP + rows * TILE.1 + (rows - 1.0) * GAP.1,
    );
    let tiles = [TileKind::Core, TileKind::Mem, TileKind::Shim];
    let content = html! {
        defs {
            marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse" {
                path.tip d="M0 0 L8 4 L0 8 z" {}
            }
        }
        @for kind in tiles {
            @for tile in subject.device.tiles(kind).filter(|t| t.col < subject.design.columns) { (draw_tile(subject, tile, kind)) }
        }
        @for arrow in arrows(subject) { (arrow) }
    };
    let label = format!("Map of design {} on {} columns", subject.design.name, subject.design.columns);
    Picture { size, label, content }
}

/// Upper left corner of a tile: row 0 is at the bottom.
fn corner(subject: &Subject<'_>, tile: Tile) -> (f64, f64) {
    let from_top = f64::from(subject.device.geometry.rows()) - 1.0 - f64::from(tile.row);
    (MARGIN + f64::from(tile.col) * (TILE.0 + GAP.0), TOP + from_top * (TILE.1 + GAP.1))
}

fn fit_of<'a>(subject: &Subject<'a>, tile: Tile) -> Option<&'a TileFit> {
    let key = format!("{},{}", tile.col, tile.row);
    subject.fit.tiles.iter().find(|t| t.tile == key)
}

fn draw_tile(subject: &Subject<'_>, tile: Tile, kind: TileKind) -> Markup {
    let (x, y) = corner(subject, tile);
    let design = subject.design;
    let name = match kind {
        TileKind::Core => "core",
        TileKind::Mem => "mem tile",
        TileKind::Shim => "shim",
    };
    let core = design.cores.iter().find(|core| core.tile == tile);
    let kernels: Vec<&str> = core.map_or_else(Vec::new, |core| design.called_by(core).into_iter().collect());
    let used = subject.lowered.tiles.contains_key(&tile)
        || design.fifos.iter().any(|f| f.producer == tile || f.consumers.contains(&tile));
    let memory = fit_of(subject, tile).and_then(|fit| fit.memory.as_ref()).map(|m| m.bytes);
    let work = subject.run.and_then(|run| Some((run.cores.iter().find(|c| c.tile == tile)?, run.cycles)));
    html! {
        g.tile.unused[!used] transform=(format!("translate({x} {y})")) {
            rect class=(format!("box {}", name.split(' ').next().unwrap_or(name))) width=(TILE.0) height=(TILE.1) rx="6" {}
            text.title x="10" y="20" { (name) " " (tile) }
            @for (at, kernel) in kernels.iter().take(2).enumerate() {
                text.small x="10" y=(38.0 + 15.0 * at as f64) { (shortened(kernel, NAME)) title { (kernel) } }
            }
            @if kernels.len() > 2 {
                text.small x=(TILE.0 - 10.0) y="20" text-anchor="end" { "+" (kernels.len() - 2) " kernels" title { (kernels[2..].join(", ")) } }
            }
            @if let Some((work, cycles)) = work {
                (bar(66.0, work.busy_cycles, cycles, "busy", &format!("computes {} of the time", percent(work.busy_cycles, cycles)), "busy"))
            }
            @if let Some(bytes) = memory {
                @let class = if bytes.over() > 0 { "over" } else { "held" };
                (bar(86.0, bytes.used, bytes.limit, class, &format!("memory: {} of {} B", grouped(bytes.used), grouped(bytes.limit)), "memory"))
            }
        }
    }
}

/// A share of the tile's width with its number.
fn bar(y: f64, part: u64, whole: u64, class: &str, title: &str, what: &str) -> Markup {
    let width = TILE.0 - 100.0;
    let share = (part as f64 / whole.max(1) as f64).clamp(0.0, 1.0);
    html! {
        g {
            title { (title) }
            text.small x="10" y=(y + 8.0) { (what) }
            rect.track x="62" y=(y) width=(width) height="9" rx="2" {}
            rect class=(class) x="62" y=(y) width=(format!("{:.1}", width * share)) height="9" rx="2" {}
            text.small.number x=(TILE.0 - 6.0) y=(y + 8.0) text-anchor="end" { (percent(part, whole)) }
        }
    }
}

/// A side of a tile.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    North,
    South,
    East,
    West,
}

/// Places along the sides of tiles and in the gaps between them that arrows have taken.
struct Lanes<'a> {
    subject: &'a Subject<'a>,
    /// Arrows at a side of a tile.
    sides: BTreeMap<(Tile, Side), u32>,
    /// Arrows in the gap above a row, and in the gap left of a column.
    above: BTreeMap<u8, u32>,
    left_of: BTreeMap<u8, u32>,
}

type Xy = (f64, f64);

impl Lanes<'_> {
    /// The next free point of a side.
    fn point(&mut self, tile: Tile, side: Side) -> Xy {
        let lane = next(&mut self.sides, (tile, side));
        let within = |length: f64| (length / 2.0 + spread(lane) * LANE).clamp(8.0, length - 8.0);
        let (x, y) = corner(self.subject, tile);
        match side {
            Side::North => (x + within(TILE.0), y),
            Side::South => (x + within(TILE.0), y + TILE.1),
            Side::West => (x, y + within(TILE.1)),
            Side::East => (x + TILE.0, y + within(TILE.1)),
        }
    }

    /// Height of the next free lane in the gap above a row.
    fn across(&mut self, row: u8) -> f64 {
        let lane = next(&mut self.above, row);
        let shift = (spread(lane) * NARROW).clamp(-GAP.1 * 0.42, GAP.1 * 0.42);
        corner(self.subject, Tile::new(0, row)).1 - GAP.1 / 2.0 + shift
    }

    /// Place of the next free lane in the gap left of a column; of the first column, and right of the last, the margin.
    fn along(&mut self, column: u8) -> f64 {
        let lane = next(&mut self.left_of, column);
        let shift = (spread(lane) * NARROW).clamp(-GAP.0 * 0.42, GAP.0 * 0.42);
        corner(self.subject, Tile::new(column, 0)).0 - GAP.0 / 2.0 + shift
    }
}

fn next<K: Ord>(taken: &mut BTreeMap<K, u32>, key: K) -> u32 {
    let count = taken.entry(key).or_default();
    *count += 1;
    *count - 1
}

/// From the middle outwards, on either side in turn.
fn spread(lane: u32) -> f64 {
    f64::from(lane.div_ceil(2)) * if lane % 2 == 1 { 1.0 } else { -1.0 }
}

fn arrows(subject: &Subject<'_>) -> Vec<Markup> {
    let design = subject.design;
    let mut lanes =
        Lanes { subject, sides: BTreeMap::new(), above: BTreeMap::new(), left_of: BTreeMap::new() };
    let mut drawn = Vec::new();
    for fifo in &design.fifos {
        // Where the FIFO leaves its producer upwards, and the gap it runs along: all its consumers share it.
        let mut trunk: Option<(Xy, f64)> = None;
        for (at, &consumer) in fifo.consumers.iter().enumerate() {
            let way = way(&mut lanes, fifo.producer, consumer, &mut trunk);
            let class = if fifo.consumers.len() > 1 { "fifo broadcast" } else { "fifo" };
            drawn.push(arrow(fifo, at, &way, class));
        }
    }
    for cascade in &design.cascades {
        let way = way(&mut lanes, cascade.from, cascade.to, &mut None);
        drawn.push(html! {
            path.cascade d=(way) marker-end="url(#tip)" { title { "cascade from " (cascade.from) " to " (cascade.to) } }
        });
    }
    drawn
}

/// The line from a tile to another: straight between neighbours, else through the gaps between tiles. The upper tile
/// is entered from the left and left to the right, the lower one is met from above.
fn way(lanes: &mut Lanes<'_>, from: Tile, to: Tile, trunk: &mut Option<(Xy, f64)>) -> String {
    let (columns, rows) = (from.col.abs_diff(to.col), from.row.abs_diff(to.row));
    if columns + rows <= 1 {
        let (out, into) = sides(from, to);
        let (a, b) = (lanes.point(from, out), lanes.point(to, into));
        return format!("M{:.1} {:.1} L{:.1} {:.1}", a.0, a.1, b.0, b.1);
    }
    let points = if from.row <= to.row {
        let (start, y) =
            *trunk.get_or_insert_with(|| (lanes.point(from, Side::North), lanes.across(from.row)));
        let x = lanes.along(to.col);
        let end = lanes.point(to, Side::West);
        [start, (start.0, y), (x, y), (x, end.1), end]
    } else {
        let start = lanes.point(from, Side::East);
        let x = lanes.along(from.col + 1);
        let y = lanes.across(to.row);
        let end = lanes.point(to, Side::North);
        [start, (x, start.1), (x, y), (end.0, y), end]
    };
    rounded(&points)
}

/// Sides of neighbouring tiles that face each other.
fn sides(from: Tile, to: Tile) -> (Side, Side) {
    if from.row < to.row {
        (Side::North, Side::South)
    } else if from.row > to.row {
        (Side::South, Side::North)
    } else if from.col < to.col {
        (Side::East, Side::West)
    } else {
        (Side::West, Side::East)
    }
}

/// A line through points with its corners rounded.
fn rounded(points: &[Xy]) -> String {
    let mut path = format!("M{:.1} {:.1}", points[0].0, points[0].1);
    for corner in points.windows(3) {
        let [a, b, c] = [corner[0], corner[1], corner[2]];
        let towards = |to: Xy| {
            let (dx, dy) = (to.0 - b.0, to.1 - b.1);
            let length = dx.hypot(dy).max(1e-9);
            let reach = CORNER.min(length / 2.0) / length;
            (b.0 + dx * reach, b.1 + dy * reach)
        };
        let (before, after) = (towards(a), towards(c));
        path.push_str(&format!(
            " L{:.1} {:.1} Q{:.1} {:.1} {:.1} {:.1}",
            before.0, before.1, b.0, b.1, after.0, after.1
        ));
    }
    let end = points[points.len() - 1];
    path.push_str(&format!(" L{:.1} {:.1}", end.0, end.1));
    path
}

fn arrow(fifo: &Fifo, at: usize, way: &str, class: &str) -> Markup {
    let depth = |end: usize| fifo.depths.get(end).or(fifo.depths.first()).copied().unwrap_or(1);
    let title = format!(
        "{}: {} to {}, objects {} of {} B, depth {} and {}",
        fifo.name,
        fifo.producer,
        fifo.consumers[at],
        fifo.object,
        grouped(fifo.object.bytes()),
        depth(0),
        depth(at + 1)
    );
    html! {
        a href=(format!("#{}", id("fifo", &fifo.name))) class=(class) aria-label=(title) {
            path.hit d=(way) {}
            path.line d=(way) marker-end="url(#tip)" { title { (title) } }
        }
    }
}

/// The FIFOs as a table: what the arrows say, for reading.
pub(super) fn fifo_table(subject: &Subject<'_>) -> Markup {
    let tiles = |tiles: &[Tile]| tiles.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    html! {
        table {
            thead { tr { th { "FIFO" } th { "from" } th { "to" } th { "object" } th.n { "bytes" } th.n { "depths" } } }
            tbody {
                @for fifo in &subject.design.fifos {
                    tr id=(id("fifo", &fifo.name)) tabindex="-1" {
                        td.name { (fifo.name) }
                        td { (fifo.producer) }
                        td { (tiles(&fifo.consumers)) }
                        td.name { (fifo.object) }
                        td.n { (grouped(fifo.object.bytes())) }
                        td.n { (fifo.depths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")) }
                    }
                }
            }
        }
    }
}
