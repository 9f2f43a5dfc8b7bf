//! The comparison as a page that needs nothing else.

use crate::compare::{Point, Row, percent};
use kiln::dsl::device::Device;
use maud::{DOCTYPE, Markup, PreEscaped, html};

mod scatter;
mod style;

/// Predictions within this share of what was measured lie in the plot's band.
const BAND: f64 = 0.15;

/// The page. `sources` says, one line each, where hardware's cycles come from.
pub fn page(rows: &[Row], points: &[Point], sources: &[String], device: &Device) -> Markup {
    let known = rows.iter().filter(|row| row.hardware.is_some()).count();
    let kinds = kinds(points);
    let errors: Vec<f64> = targets(points).map(|point| point.error().abs()).collect();
    let within = errors.iter().filter(|error| **error <= BAND).count();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Kiln: simulated and hardware cycles" }
                style { (PreEscaped(style::STYLE)) }
            }
            body {
                h1 { "Simulated and hardware cycles" }
                p.lead { "Predictions for " (device.name) " beside what hardware took." }
                div.cards {
                    (card(&format!("{known} of {}", rows.len()), "kernels with a hardware time"))
                    (card(&errors.len().to_string(), "published times and rates to predict"))
                    (card(&format!("{:.1} %", 100.0 * median(errors.clone()).unwrap_or_default()), "median absolute error of those"))
                    (card(&format!("{within} of {}", errors.len()), "within 15 %"))
                }
                ul.sources { @for source in sources { li { (source) } } }
                h2 { "Published measurements" }
                p {
                    "Each point is a time or rate of hardware that was published, as cycles, and what the simulator says of the code that was measured. "
                    "On the line both are equal; the band is 15 % either way. A hollow point is the source of a number of the device description, so that it proves nothing."
                }
                div.plot { (scatter::scatter(points, rows, &kinds)) (legend(&kinds, rows)) }
                (kind_table(points, &kinds))
                h2 { "Kernels" }
                p {
                    "Cycles of one call on random data. Beside a published time stands other code than ours for the same operation, types and sizes; "
                    "our kernel is then predicted for the compiler of that code. The bar is the prediction, on a logarithmic scale; the mark is hardware."
                }
                (kernel_table(rows))
                h2 { "Every published number" }
                (point_table(points, &kinds))
            }
        }
    }
}

/// Points that are to be predicted.
fn targets(points: &[Point]) -> impl Iterator<Item = &Point> {
    points.iter().filter(|point| !point.is_input)
}

/// Kinds of workload, in the order of their first points.
fn kinds(points: &[Point]) -> Vec<&str> {
    let mut kinds: Vec<&str> = Vec::new();
    for point in points {
        if !kinds.contains(&point.kind.as_str()) {
            kinds.push(&point.kind);
        }
    }
    kinds
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { (values[middle - 1] + upper) / 2.0 })
}

fn card(number: &str, what: &str) -> Markup {
    html! { div.card { b { (number) } span { (what) } } }
}

fn legend(kinds: &[&str], rows: &[Row]) -> Markup {
    html! {
        ul.legend {
            @for (at, kind) in kinds.iter().enumerate() {
                li { (scatter::swatch(at)) (kind) }
            }
            @if rows.iter().any(|row| row.hardware.is_some()) {
                li { (scatter::kernel_swatch()) "kernel of the catalogue" }
            }
        }
    }
}

fn kind_table(points: &[Point], kinds: &[&str]) -> Markup {
    html! {
        table.narrow {
            thead { tr { th { "kind" } th.n { "numbers" } th.n { "median error" } th.n { "worst" } th.n { "within 15 %" } } }
            tbody {
                @for (at, kind) in kinds.iter().enumerate() {
                    @let errors: Vec<f64> = targets(points).filter(|p| p.kind == *kind).map(Point::error).collect();
                    @let worst = errors.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs()));
                    @let within = errors.iter().filter(|e| e.abs() <= BAND).count();
                    tr {
                        td { (scatter::swatch(at)) (kind) }
                        td.n { (errors.len()) }
                        td.n { (median(errors.iter().map(|e| e.abs()).collect()).map_or("-".to_owned(), |e| format!("{:.1} %", 100.0 * e))) }
                        td.n { (percent(worst)) }
                        td.n { (within) }
                    }
                }
            }
        }
    }
}

fn kernel_table(rows: &[Row]) -> Markup {
    let cycles = |row: &Row| row.simulated.as_ref().ok().copied();
    let longest = rows
        .iter()
        .flat_map(|row| [cycles(row), row.hardware.as_ref().map(|h| h.cycles)])
        .flatten()
        .fold(10.0, f64::max);
    html! {
        table {
            thead { tr { th { "kernel" } th.n { "simulated" } th.n { "hardware" } th.n { "error" } th {} th { "known from" } } }
            @for group in rows.chunk_by(|a, b| a.group() == b.group()) {
                tbody {
                    tr.group { td colspan="6" { (group[0].group()) } }
                    @for row in group {
                        tr {
                            td.name { (row.kernel) }
                            td.n { (cycles(row).map_or("-".to_owned(), |c| format!("{c:.0}"))) }
                            td.n { (row.hardware.as_ref().map_or("-".to_owned(), |h| format!("{:.0}", h.cycles))) }
                            td.n class=[row.error().is_some_and(|e| e.abs() > BAND).then_some("far")] { (percent(row.error())) }
                            td.bar { (bar(cycles(row), row.hardware.as_ref().map(|h| h.cycles), longest)) }
                            td.source {
                                @if let Some(hardware) = &row.hardware { (hardware.origin) }
                                @for why in row.simulated.as_ref().err().into_iter().chain(&row.failed) { span.far { (why) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A prediction as a bar and hardware as a mark, from 1 cycle to the longest.
fn bar(simulated: Option<f64>, hardware: Option<f64>, longest: f64) -> Markup {
    let width = 150.0;
    let x = |cycles: f64| width * (cycles.max(1.0).ln() / longest.ln()).clamp(0.0, 1.0);
    html! {
        svg width=(width + 6.0) height="14" role="img" aria-label="cycles" {
            @if let Some(cycles) = simulated { rect.predicted x="0" y="3" height="8" rx="2" width=(format!("{:.1}", x(cycles))) {} }
            @if let Some(cycles) = hardware { rect.measured x=(format!("{:.1}", x(cycles) - 1.0)) y="0" height="14" width="3" {} }
        }
    }
}

fn point_table(points: &[Point], kinds: &[&str]) -> Markup {
    html! {
        table {
            thead { tr { th { "measurement" } th.n { "simulated" } th.n { "measured" } th.n { "error" } th { "known" } th { "source" } } }
            @for (at, kind) in kinds.iter().enumerate() {
                tbody {
                    tr.group { td colspan="6" { (scatter::swatch(at)) (kind) } }
                    @for point in points.iter().filter(|point| point.kind == *kind) {
                        tr {
                            td.name { (point.name) }
                            td.n { (format!("{:.0}", point.cycles.predicted)) }
                            td.n { (format!("{:.0}", point.cycles.measured)) }
                            td.n class=[(!point.is_input && point.error().abs() > BAND).then_some("far")] {
                                @if point.is_input { "input" } @else { (percent(Some(point.error()))) }
                            }
                            td.source { (point.quality) }
                            td.source { (point.source) }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Hardware;
    use kiln::dsl::device::Compiler;
    use kiln::validate::InCycles;

    fn point(name: &str, predicted: f64, measured: f64, is_input: bool) -> Point {
        let workload = Default::default();
        let cycles = InCycles { predicted, measured, workload, compiler: Compiler::Peano };
        let (kind, quality, source) = ("loop".to_owned(), "paper".to_owned(), "a <b> & c".to_owned());
        Point { name: name.to_owned(), kind, cycles, is_input, quality, source }
    }

    #[test]
    fn the_page_holds_every_number_and_escapes_names() {
        let row = |kernel: &str, simulated: Result<f64, String>, cycles: Option<f64>| Row {
            kernel: kernel.to_owned(),
            compiler: Compiler::Peano,
            simulated,
            hardware: cycles.map(|cycles| Hardware { cycles, origin: "this <NPU>".to_owned() }),
            failed: None,
        };
        let rows = [
            row("copy_i8_32", Ok(24.0), Some(20.0)),
            row("copy_i8_64", Ok(31.0), None),
            row("relu_i8", Err("no <room>".to_owned()), None),
        ];
        let points = [
            point("near", 110.0, 100.0, false),
            point("far", 50.0, 200.0, false),
            point("known", 7.0, 7.0, true),
        ];
        let text = page(&rows, &points, &["nowhere".to_owned()], Device::npu1()).into_string();
        for part in [
            "1 of 3",
            "+20.0 %",
            "+10.0 %",
            "-75.0 %",
            "this &lt;NPU&gt;",
            "no &lt;room&gt;",
            "a &lt;b&gt; &amp; c",
            // Of the two that are to be predicted one is within the band; the median lies between them.
            "1 of 2",
            "42.5 %",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(text.matches("<title>near: predicted 110, measured 100 cycles").count(), 1);
        let groups = text.matches("<tr class=\"group\"><td colspan=\"6\">copy</td>").count();
        assert_eq!(groups, 1, "kernels of one operation stand together");
    }

    #[test]
    fn a_page_without_anything_is_a_page() {
        let text = page(&[], &[], &[], Device::npu1()).into_string();
        assert!(text.contains("0 of 0") && !text.contains("NaN"), "{text}");
    }
}
