//! The page: pictures and tables in one file, without network, in light and dark, usable with a keyboard.

use super::svg::{STYLE, grouped, inline};
use super::timeline::{Group, Timeline, span_title};
use super::{Subject, array_map, memory, roofline};
use kiln_sim::report::SimReport;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Moves and scales the timeline; the page is whole without it.
const SCRIPT: &str = include_str!("page.js");
/// Height of a track, its span, and what is free below it, in the units of the drawing.
const TRACK: (u64, u64) = (18, 14);
/// Width of a track in the units of the drawing; the browser stretches it.
const WIDTH: f64 = 10_000.0;

/// The whole page of a design.
pub fn page(subject: &Subject<'_>) -> String {
    let design = subject.design;
    let body = html! {
        h1 { (design.name) }
        @if !design.doc.is_empty() { p.lead { (design.doc) } }
        (cards(subject))
        @if !subject.fit.over.is_empty() { (over(subject)) }
        @if let Some(run) = subject.run { (bottlenecks(run)) }
        h2 id="array" { "The array" }
        p { "Each box is a tile: row 0 holds the shim tiles to host memory, row 1 the mem tiles. Arrows are object FIFOs, dashed where they go to several tiles; thick ones are cascades. An arrow leads to its line in the table." }
        div.scroll { (inline(&array_map::array_map(subject))) }
        details { summary { (design.fifos.len()) " object FIFOs" } (array_map::fifo_table(subject)) }
        h2 id="memory" { "Memory of each tile" }
        p { "By address; lines divide the banks. " span.key.object { "objects of FIFOs" } " " span.key.table { "tables" } " " span.key.scratch { "state and scratch" } " " span.key.counter { "counters" } " " span.key.stack { "stack" } }
        div.scroll { (inline(&memory::memory(subject))) }
        @if let Some(run) = subject.run { (of_run(subject, run)) }
    };
    document(&format!("{}: Kiln", design.name), &body)
}

/// The page of a trace file.
pub fn timeline_page(title: &str, timeline: &Timeline) -> String {
    let body = html! {
        h1 { (title) }
        p.lead { "A trace: " (grouped(timeline.spans() as u64)) " spans over " (grouped(timeline.end)) " cycles, predicted." }
        (draw(timeline))
    };
    document(&format!("{title}: Kiln"), &body)
}

fn document(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } script { (PreEscaped(SCRIPT)) } }
        }
    };
    page.into_string()
}

fn card(value: &str, what: &str) -> Markup {
    html! { div.card { b { (value) } span { (what) } } }
}

fn cards(subject: &Subject<'_>) -> Markup {
    let (name, profile) = subject.profile;
    let cores = subject.design.cores.len();
    html! {
        div.cards {
            (card(if subject.fit.fits { "fits" } else { "does not fit" }, &format!("device {}", subject.device.name)))
            (card(&cores.to_string(), if cores == 1 { "core" } else { "cores" }))
            @if let Some(run) = subject.run {
                (card(&grouped(run.cycles), "cycles, predicted"))
                (card(&format!("{:.1} us", profile.us(run.cycles)), &format!("predicted, profile {name}")))
                (card(&format!("{} B", grouped(run.ddr_bytes())), "to and from host memory"))
            }
        }
    }
}

fn over(subject: &Subject<'_>) -> Markup {
    html! {
        section.problem {
            h2 { "What does not fit" }
            ul {
                @for over in &subject.fit.over {
                    li {
                        (over.resource) " of " (if over.tiles.is_empty() { "the host".to_owned() } else { over.tiles.join(" ") }) ": "
                        (grouped(over.usage.used)) " of " (grouped(over.usage.limit)) " " (over.unit) ", " (grouped(over.by)) " over"
                        @if !over.objects.is_empty() { " (" (over.objects.join(", ")) ")" }
                        @for help in &over.help { br; "help: " (help) }
                    }
                }
            }
        }
    }
}

fn bottlenecks(run: &SimReport) -> Markup {
    html! {
        h2 id="bottleneck" { "What it waits for" }
        @if run.bottlenecks.is_empty() { p { "No core waits." } }
        @else { ul { @for wait in run.bottlenecks.iter().take(8) { li { (wait) } } } }
    }
}

fn of_run(subject: &Subject<'_>, run: &SimReport) -> Markup {
    let timeline = Timeline::of_run(subject.design, subject.lowered, run);
    html! {
        h2 id="time" { "Time" }
        p { "Predicted cycles of the simulated run. Scroll with the mouse wheel to zoom, drag to move; with the keyboard: + and -, arrow keys, 0 for all." }
        (draw(&timeline))
        @if let Some(picture) = roofline::roofline(subject, run) {
            h2 id="roofline" { "Roofline" }
            p { "Where a kernel that multiplies stands under what a core can do: right of a slope's end it is bound by the multiplier, left of it by bytes." }
            div.scroll { (inline(&picture)) }
        }
        h2 { "Kernels" }
        table {
            thead { tr { th { "kernel" } th.n { "calls" } th.n { "cycles" } th.n { "cycles a call" } th.n { "MACs" } th.n { "MACs a cycle" } } }
            tbody {
                @for k in &run.kernels {
                    tr {
                        td.name { (k.name) } td.n { (grouped(k.calls)) } td.n { (grouped(k.cycles)) } td.n { (grouped(k.cycles / k.calls.max(1))) }
                        td.n { (grouped(k.macs)) } td.n { (format!("{:.1}", k.macs as f64 / k.cycles.max(1) as f64)) }
                    }
                }
            }
        }
    }
}

/// The tracks of a timeline, each group with labels beside a drawing that the script scales.
fn draw(timeline: &Timeline) -> Markup {
    html! {
        ul.legend { @for (class, what) in &timeline.legend { li { svg width="11" height="11" aria-hidden="true" { rect class=(class) width="11" height="11" rx="2" {} } (what) } } }
        @if !timeline.left_out.is_empty() { p.lead { (timeline.left_out) } }
        div.timeline tabindex="0" role="group" aria-label="Timeline: + and - zoom, arrow keys move, 0 shows all" data-end=(timeline.end) {
            div.tools { button type="button" data-do="in" aria-label="zoom in" { "+" } button type="button" data-do="out" aria-label="zoom out" { "−" } button type="button" data-do="all" { "all" } span.range aria-live="polite" { "cycle 0 to " (grouped(timeline.end)) } }
            @for (at, group) in timeline.groups.iter().enumerate() { (draw_group(group, timeline.end, at > 0 && timeline.groups.len() > 1)) }
        }
    }
}

fn draw_group(group: &Group, end: u64, folded: bool) -> Markup {
    let height = TRACK.0 * group.tracks.len() as u64;
    let x = |cycle: u64| WIDTH * cycle.min(end) as f64 / end as f64;
    html! {
        details open[!folded || group.tracks.len() <= 24] {
            summary { (group.title) " (" (group.tracks.len()) ")" }
            div.rows {
                div.labels { @for track in &group.tracks { div title=(track.label) { (track.label) } } }
                svg.tracks viewBox=(format!("0 0 {WIDTH} {height}")) preserveAspectRatio="none" height=(height) aria-hidden="true" {
                    @for (at, track) in group.tracks.iter().enumerate() {
                        @let y = TRACK.0 * at as u64 + 2;
                        rect.track x="0" y=(y) width=(WIDTH) height=(TRACK.1) {}
                        @for span in &track.spans {
                            rect class=(span.class) x=(format!("{:.2}", x(span.start))) y=(y) width=(format!("{:.2}", (x(span.end) - x(span.start)).max(0.02))) height=(TRACK.1) { title { (span_title(span)) } }
                        }
                    }
                }
            }
        }
    }
}
