//! What happened when: spans on tracks, from a simulated run or from a trace file.

use super::svg::{Picture, grouped, shortened};
use kiln_dsl::array::lowered::Lowered;
use kiln_dsl::array::{Design, Tile};
use kiln_sim::array::channel_name;
use kiln_sim::report::SimReport;
use kiln_sim::trace::{Event, TraceEvent, Track as EventTrack};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Height of a track in a figure.
pub(super) const TRACK: f64 = 18.0;
/// Height of a span.
const SPAN: f64 = 13.0;
/// Width of a figure's labels and of its time.
const FIGURE: (f64, f64) = (170.0, 900.0);
/// Kernels that have a colour of their own; later ones share them in turn.
const COLOURS: usize = 8;

/// Something that lasted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// From when, in cycles.
    pub start: u64,
    /// Until when.
    pub end: u64,
    /// Class of its colour: `k0` to `k7` for kernels, `wait-input`, `wait-output`, `wait-cascade`, `moves`, `stalled`,
    /// `starved`, `command`, `value`, `other`.
    pub class: String,
    /// What it is.
    pub name: String,
}

/// Spans that do not overlap, of one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Track {
    /// What it belongs to: `core (0,2)`, `(0,1) S2MM 0`, a lock.
    pub label: String,
    /// By start.
    pub spans: Vec<Span>,
}

/// Tracks of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Which kind.
    pub title: String,
    /// The tracks.
    pub tracks: Vec<Track>,
}

/// The first events of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// Last cycle that is shown.
    pub end: u64,
    /// Cores and controller, channels, locks.
    pub groups: Vec<Group>,
    /// Colours and what they stand for.
    pub legend: Vec<(String, String)>,
    /// What is not shown, for people; empty where all is.
    pub left_out: String,
}

impl Timeline {
    /// Of a run with a trace.
    pub fn of_run(design: &Design, lowered: &Lowered, run: &SimReport) -> Timeline {
        let trace = &run.trace;
        let shown = if trace.dropped > 0 { trace.events.last().map_or(0, |e| e.start) } else { run.cycles };
        let mut builder = Builder { run, end: shown.max(1), tracks: BTreeMap::new(), calls: BTreeMap::new() };
        for core in &lowered.cores {
            builder.track(0, core.tile, 0, || format!("core {}", core.tile));
        }
        trace.events.iter().for_each(|event| builder.event(event));
        builder.close_calls();
        let mut groups: Vec<Group> = ["Cores and controller", "DMA channels", "Locks"]
            .map(|t| Group { title: t.into(), tracks: Vec::new() })
            .into();
        for ((group, ..), track) in builder.tracks {
            groups[group].tracks.push(track);
        }
        groups.retain(|g| !g.tracks.is_empty());
        let kernels = design.kernels.iter().enumerate().map(|(i, k)| (kernel_class(i), k.name.clone()));
        let fixed = [
            ("wait-input", "core waits for an object"),
            ("wait-output", "core waits for room"),
            ("wait-cascade", "core waits for the cascade"),
            ("moves", "channel moves words"),
            ("stalled", "channel waits for a lock"),
            ("starved", "channel waits for its stream"),
            ("command", "command of the sequence"),
            ("value", "value of a lock"),
        ];
        let mut legend: Vec<(String, String)> = kernels.collect();
        legend.extend(fixed.map(|(class, what)| (class.to_owned(), what.to_owned())));
        let used = |class: &str| {
            groups.iter().flat_map(|g| &g.tracks).flat_map(|t| &t.spans).any(|s| s.class == class)
        };
        legend.retain(|(class, _)| used(class));
        let left_out = match trace.dropped {
            0 => String::new(),
            n => format!(
                "{} later events are not shown; the run takes {} cycles",
                grouped(n),
                grouped(run.cycles)
            ),
        };
        Timeline { end: shown.max(1), groups, legend, left_out }
    }

    /// Spans in all.
    pub fn spans(&self) -> usize {
        self.groups.iter().flat_map(|g| &g.tracks).map(|t| t.spans.len()).sum()
    }

    /// All of it as one picture, with labels and an axis; locks are left to the page.
    pub(super) fn figure(&self) -> Picture {
        let x = |cycle: u64| FIGURE.0 + FIGURE.1 * cycle.min(self.end) as f64 / self.end as f64;
        let mut y = 8.0;
        let mut rows: Vec<Markup> = Vec::new();
        for group in self.groups.iter().filter(|g| g.title != "Locks") {
            rows.push(html! { text.small x="4" y=(y + 12.0) { (group.title) } });
            y += TRACK;
            for track in &group.tracks {
                rows.push(html! {
                    text.small x=(FIGURE.0 - 8.0) y=(y + 11.0) text-anchor="end" { (shortened(&track.label, 26)) }
                    rect.track x=(FIGURE.0) y=(y) width=(FIGURE.1) height=(SPAN) {}
                    @for span in &track.spans {
                        rect class=(span.class) x=(format!("{:.2}", x(span.start))) y=(y) width=(format!("{:.2}", (x(span.end) - x(span.start)).max(0.3))) height=(SPAN) {
                            title { (span_title(span)) }
                        }
                    }
                });
                y += TRACK;
            }
        }
        let axis_y = y + 14.0;
        let ticks = html! {
            @for tick in 0..=4u64 {
                @let cycle = self.end * tick / 4;
                line.bank x1=(x(cycle)) x2=(x(cycle)) y1="8" y2=(y) {}
                text.small x=(x(cycle)) y=(axis_y) text-anchor=(if tick == 4 { "end" } else { "middle" }) { (grouped(cycle)) }
            }
            text.small x=(FIGURE.0 - 8.0) y=(axis_y) text-anchor="end" { "cycle" }
        };
        let legend_y = axis_y + 24.0;
        let entries: Vec<_> = self.legend.iter().filter(|(class, _)| class != "value").collect();
        let legend = html! {
            @for (at, (class, what)) in entries.iter().enumerate() {
                @let x = FIGURE.0 + (at % 4) as f64 * FIGURE.1 / 4.0;
                @let y = legend_y + 18.0 * (at / 4) as f64;
                rect class=(class) x=(x) y=(y - 9.0) width="10" height="10" {}
                text.small x=(x + 14.0) y=(y) { (shortened(what, 28)) }
            }
        };
        let height = legend_y + 18.0 * entries.len().div_ceil(4) as f64 + 6.0;
        let content = html! { @for row in &rows { (row) } (ticks) (legend) };
        let label = format!("Timeline of {} cycles", grouped(self.end));
        Picture { size: (FIGURE.0 + FIGURE.1 + 20.0, height), label, content }
    }
}

/// What a span says when it is pointed at.
pub(super) fn span_title(span: &Span) -> String {
    let cycles = span.end - span.start;
    format!(
        "{}: cycle {} to {}, {} cycles",
        span.name,
        grouped(span.start),
        grouped(span.end),
        grouped(cycles)
    )
}

/// Colour of a kernel by its position in the design.
fn kernel_class(at: usize) -> String {
    format!("k{}", at % COLOURS)
}

/// What a core waits for, by the toolchain's name of the lock: filled objects, or empty ones.
fn wait_class(lock: Option<&str>) -> &'static str {
    if lock.is_some_and(|name| name.contains("_prod_lock")) { "wait-output" } else { "wait-input" }
}

/// Group, tile and number in the tile of a track.
type Place = (usize, Tile, u32);

struct Builder<'a> {
    run: &'a SimReport,
    end: u64,
    tracks: BTreeMap<Place, Track>,
    /// Kernel calls in progress: since when.
    calls: BTreeMap<Tile, (u64, usize)>,
}

impl Builder<'_> {
    fn track(&mut self, group: usize, tile: Tile, number: u32, label: impl FnOnce() -> String) -> &mut Track {
        let new = || Track { label: label(), spans: Vec::new() };
        self.tracks.entry((group, tile, number)).or_insert_with(new)
    }

    fn event(&mut self, event: &TraceEvent) {
        let TraceEvent { start, end, tile, event: what } = *event;
        let detail = self.run.trace.detail(what).map(str::to_owned);
        let (class, name) = match what {
            Event::InstrEvent0(kernel) => {
                self.calls.insert(tile, (start, kernel.index()));
                return;
            }
            Event::InstrEvent1(_) => return self.call_ends(tile, start),
            Event::LockStall { .. } => {
                let lock = detail.as_deref();
                (wait_class(lock), format!("waits for {}", lock.unwrap_or("a lock")))
            }
            Event::CascadeStall => ("wait-cascade", "waits for the cascade".to_owned()),
            Event::PortRunning { .. } => ("moves", "moves words".to_owned()),
            Event::DmaStalledLock(_) => ("stalled", "waits for a lock".to_owned()),
            Event::DmaStreamStall(_) => ("starved", "waits for its stream".to_owned()),
            Event::Command(_) => ("command", detail.unwrap_or_else(|| "command".to_owned())),
            Event::LockValue { lock, value } => return self.lock_value(tile, lock, value, start, detail),
            _ => return,
        };
        let span = Span { start, end, class: class.to_owned(), name };
        self.push(what.track(), tile, span);
    }

    fn push(&mut self, track: EventTrack, tile: Tile, span: Span) {
        if span.end <= span.start {
            return;
        }
        let track = match track {
            EventTrack::Core => self.track(0, tile, 0, || format!("core {tile}")),
            EventTrack::Controller => self.track(0, Tile::new(u8::MAX, 0), 0, || "controller".to_owned()),
            EventTrack::Channel(c) => {
                let number = u32::from(c.index) * 2
                    + u32::from(c.direction == kiln_dsl::array::lowered::Direction::Mm2s);
                self.track(1, tile, number, || format!("{tile} {}", channel_name(c)))
            }
            EventTrack::Lock(_) => return,
        };
        track.spans.push(span);
    }

    fn call_ends(&mut self, tile: Tile, end: u64) {
        let Some((start, kernel)) = self.calls.remove(&tile) else { return };
        let name = self.run.trace.names.kernels.get(kernel).cloned().unwrap_or_else(|| "kernel".to_owned());
        self.push(EventTrack::Core, tile, Span { start, end, class: kernel_class(kernel), name });
    }

    /// Calls whose end was not recorded last to the end of what is shown.
    fn close_calls(&mut self) {
        let open: Vec<Tile> = self.calls.keys().copied().collect();
        let end = self.end;
        open.into_iter().for_each(|tile| self.call_ends(tile, end));
        for ((group, ..), track) in &mut self.tracks {
            track.spans.sort_by_key(|span| span.start);
            if *group == 2 {
                // A value lasts until the next; those of 0 are not drawn.
                let starts: Vec<u64> = track.spans.iter().skip(1).map(|s| s.start).collect();
                for (at, span) in track.spans.iter_mut().enumerate() {
                    span.end = starts.get(at).copied().unwrap_or(end);
                }
                track.spans.retain(|s| s.end > s.start && s.class == "value");
            }
        }
    }

    fn lock_value(&mut self, tile: Tile, lock: u32, value: u32, start: u64, name: Option<String>) {
        let class = if value == 0 { "none" } else { "value" };
        let label = format!("{tile} {}", name.unwrap_or_else(|| format!("lock {lock}")));
        let track = self.track(2, tile, lock, || label);
        let span = Span { start, end: start, class: class.to_owned(), name: format!("value {value}") };
        track.spans.push(span);
    }
}
