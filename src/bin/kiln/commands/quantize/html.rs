//! The report as a page that needs nothing else.

use super::Report;
use kiln::kernels::whisper::report::TensorReport;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = "
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 68rem; padding: 0 1rem; color: #1c2430; background: #fff }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.1rem; margin-top: 2rem }
p, dd { max-width: 48rem } dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem }
dt { color: #5c6773 } dd { margin: 0; overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th { text-align: right; font-weight: 600; border-bottom: 2px solid #c9d1d9; padding: .3rem .5rem; position: sticky; top: 0; background: #fff }
td { text-align: right; padding: .16rem .5rem; border-bottom: 1px solid #eaeef2; white-space: nowrap }
th:first-child, td:first-child { text-align: left } td.name { font-family: ui-monospace, monospace; font-size: .9em }
tr.stream { background: #f3f7fb; font-weight: 600 } td.bar { width: 11rem; padding-right: 0 }
.low { color: #b42318 } svg { display: block }
@media (prefers-color-scheme: dark) { body, th { background: #14181d; color: #d5dbe1 } tr.stream { background: #1d2630 } td { border-color: #262d35 } .low { color: #ff8a7a } }
";

/// Ratios from here on fill a bar.
const FULL_DB: f64 = 60.0;

/// Below this a tensor is worth a look.
const LOW_DB: f64 = 20.0;

/// The page.
pub fn page(report: &Report) -> Markup {
    let stamp = &report.stamp;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Quantisation of " (stamp.model.name) ": " (stamp.scheme) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Quantisation of " (stamp.model.name) ", scheme " (stamp.scheme) }
                p { "Floats and integers side by side, " (report.note) "." }
                dl {
                    dt { "weights" } dd { (report.weights) }
                    dt { "calibration" } dd { (report.calibration.join(", ")) ": " (report.windows) " window(s) of 30 s" }
                    dt { "stamp" } dd { (stamp) }
                }
                h2 { "Layer by layer" }
                p { "The residual stream and the features. A bad layer is the first one whose cosine falls. Where already the f32 range is strange, look at the weights, not at the integers." }
                (chart(&report.found.layers))
                (table(&report.found.layers))
                h2 { "Every tensor" }
                p { "In order of computation. Saturated elements lie at the end of their type's range; of a GELU's argument those far below zero do no harm." }
                (table(&report.found.tensors))
            }
        }
    }
}

/// Cosine along the layers: a line from 1 down to the least.
fn chart(layers: &[TensorReport]) -> Markup {
    let (width, height, left) = (640.0, 150.0, 70.0);
    let least = layers.iter().map(|l| l.cosine).filter(|c| c.is_finite()).fold(1.0, f64::min);
    let span = (1.0 - least).max(1e-6) * 1.15;
    let x = |i: usize| left + (width - left - 20.0) * i as f64 / (layers.len().max(2) - 1) as f64;
    let y = |cosine: f64| 12.0 + (height - 40.0) * (1.0 - cosine) / span;
    let finite = |l: &TensorReport| if l.cosine.is_finite() { l.cosine } else { least };
    let points: Vec<String> =
        layers.iter().enumerate().map(|(i, l)| format!("{:.1},{:.1}", x(i), y(finite(l)))).collect();
    html! {
        svg width=(width) height=(height) viewBox=(format!("0 0 {width} {height}")) role="img" aria-label="Cosine by layer" font-size="12" fill="currentColor" {
            @for cosine in [1.0, least] {
                line x1=(left) x2=(width) y1=(y(cosine)) y2=(y(cosine)) stroke="#8b949e" stroke-dasharray="2 4" {}
                text x=(left - 8.0) y=(y(cosine) + 4.0) text-anchor="end" { (format!("{cosine:.5}")) }
            }
            polyline points=(points.join(" ")) fill="none" stroke="#2f6fb0" stroke-width="2" {}
            @for (i, layer) in layers.iter().enumerate() {
                circle cx=(x(i)) cy=(y(finite(layer))) r="3.5" fill="#2f6fb0" { title { (layer.name) ": " (format!("{:.6}", layer.cosine)) } }
                text x=(x(i)) y=(height - 6.0) text-anchor="middle" { (layer.name) }
            }
        }
    }
}

fn table(tensors: &[TensorReport]) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th { "tensor" } th { "type" } th { "f32 least" } th { "f32 greatest" } th { "f32 rms" } th { "step" }
                    th { "saturated" } th { "cosine" } th { "SQNR" } th {}
                }
            }
            tbody { @for tensor in tensors { (row(tensor)) } }
        }
    }
}

fn row(t: &TensorReport) -> Markup {
    let share = 100.0 * t.saturated as f64 / t.elements.max(1) as f64;
    let stream = !t.name.contains('.') && !t.name.starts_with("conv");
    let bar = (t.sqnr_db / FULL_DB).clamp(0.0, 1.0) * 160.0;
    html! {
        tr class=[stream.then_some("stream")] {
            td.name { (t.name) }
            td { (t.number) }
            td { (format!("{:.3}", t.least)) }
            td { (format!("{:.3}", t.greatest)) }
            td { (format!("{:.4}", t.rms)) }
            td { (format!("{:.3e}", t.scale)) }
            td { (t.saturated) @if t.saturated > 0 { " (" (format!("{share:.2} %")) ")" } }
            td { (format!("{:.6}", t.cosine)) }
            td class=[(t.sqnr_db < LOW_DB).then_some("low")] { (format!("{:.1} dB", t.sqnr_db)) }
            td.bar { svg width="160" height="9" { rect width=(format!("{bar:.1}")) height="9" rx="2" fill=(if t.sqnr_db < LOW_DB { "#d9695f" } else { "#5b9bd5" }) {} } }
        }
    }
}
