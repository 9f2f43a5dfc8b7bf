//! Kernels and the whole design under the limits of a core: multiply-accumulates a cycle over those a byte.

use super::Subject;
use super::svg::{Picture, grouped, shortened};
use kiln_sim::report::SimReport;
use maud::html;

/// Left, top, width and height of the plot.
const PLOT: (f64, f64, f64, f64) = (70.0, 16.0, 560.0, 320.0);

/// Where a kernel, or the design, stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    pub name: String,
    /// Multiply-accumulates for each byte: of the kernel's arguments, or of host memory.
    pub macs_per_byte: f64,
    /// Multiply-accumulates a cycle of one core.
    pub macs_per_cycle: f64,
    /// Whether it is the whole design, against host memory.
    pub whole: bool,
}

/// The kernels that multiply, and the design.
pub(super) fn points(subject: &Subject<'_>, run: &SimReport) -> Vec<Point> {
    let mut points = Vec::new();
    for (kernel, report) in subject.design.kernels.iter().zip(&run.kernels) {
        let bytes: u64 = kernel.params.iter().map(|p| p.bytes()).sum::<u64>() * report.calls;
        if report.macs == 0 || report.cycles == 0 || bytes == 0 {
            continue;
        }
        points.push(Point {
            name: report.name.clone(),
            macs_per_byte: report.macs as f64 / bytes as f64,
            macs_per_cycle: report.macs as f64 / report.cycles as f64,
            whole: false,
        });
    }
    let cores = run.cores.len().max(1) as f64;
    if run.macs() > 0 && run.ddr_bytes() > 0 && run.cycles > 0 {
        points.push(Point {
            name: format!("{}, all cores, against host memory", subject.design.name),
            macs_per_byte: run.macs() as f64 / run.ddr_bytes() as f64,
            macs_per_cycle: run.macs() as f64 / run.cycles as f64 / cores,
            whole: true,
        });
    }
    points
}

/// The plot; nothing where no kernel multiplies.
pub(super) fn roofline(subject: &Subject<'_>, run: &SimReport) -> Option<Picture> {
    let points = points(subject, run);
    if points.is_empty() {
        return None;
    }
    let device = subject.device;
    let cores = run.cores.len().max(1) as f64;
    let port = f64::from(device.stream.words_per_cycle()) * f64::from(device.stream.port_bits()) / 8.0;
    let inputs = f64::from(device.core.dma.s2mm_channels());
    let slopes = [
        ("two vector loads", f64::from(device.core.load_ports() * device.core.port_bytes())),
        ("input streams of a core", port * inputs),
        ("host memory, a core's part", subject.profile.1.ddr_bytes_per_cycle() / cores),
    ];
    let peaks = [
        ("i8 x i8", device.macs_per_cycle.i8_i8()),
        ("i16 x i8, bf16", device.macs_per_cycle.i16_i8()),
        ("i16 x i16", device.macs_per_cycle.i16_i16()),
    ];
    let top = f64::from(device.macs_per_cycle.i8_i8()) * 2.0;
    let least = points.iter().map(|p| p.macs_per_cycle).fold(1.0, f64::min);
    let bottom = 10f64.powf((least.log10() - 0.3).floor());
    let (low, high) = points.iter().fold((1.0, 100.0), |(low, high): (f64, f64), p| {
        (low.min(p.macs_per_byte), high.max(p.macs_per_byte))
    });
    let (left, right) = (10f64.powf((low.log10() - 0.3).floor()), 10f64.powf((high.log10() + 0.3).ceil()));
    let scale = |value: f64, from: f64, to: f64| (value / from).log10() / (to / from).log10();
    let x = |value: f64| PLOT.0 + PLOT.2 * scale(value, left, right).clamp(0.0, 1.0);
    let y = |value: f64| PLOT.1 + PLOT.3 * (1.0 - scale(value, bottom, top).clamp(0.0, 1.0));
    let decades = |from: f64, to: f64| {
        let (first, last) = (from.log10().round() as i32, to.log10().floor() as i32);
        (first..=last).map(|e| 10f64.powi(e)).collect::<Vec<f64>>()
    };
    let peak = f64::from(device.macs_per_cycle.i8_i8());
    let legend_x = PLOT.0 + PLOT.2 + 18.0;
    let content = html! {
        @for tick in decades(left, right) {
            line.grid x1=(x(tick)) x2=(x(tick)) y1=(PLOT.1) y2=(PLOT.1 + PLOT.3) {}
            text.small x=(x(tick)) y=(PLOT.1 + PLOT.3 + 15.0) text-anchor="middle" { (tick) }
        }
        @for tick in decades(bottom, top) {
            line.grid x1=(PLOT.0) x2=(PLOT.0 + PLOT.2) y1=(y(tick)) y2=(y(tick)) {}
            text.small x=(PLOT.0 - 7.0) y=(y(tick) + 4.0) text-anchor="end" { (tick) }
        }
        @for (name, macs) in peaks {
            line.peak x1=(PLOT.0) x2=(PLOT.0 + PLOT.2) y1=(y(f64::from(macs))) y2=(y(f64::from(macs))) {}
            text.small x=(PLOT.0 + PLOT.2 - 4.0) y=(y(f64::from(macs)) - 4.0) text-anchor="end" { (macs) " MAC/cycle: " (name) }
        }
        @for (at, (name, bytes)) in slopes.iter().enumerate() {
            @let (from, to) = (left.max(bottom / bytes), (peak / bytes).min(right));
            @if from < to {
                line class=(format!("slope s{at}")) x1=(x(from)) y1=(y(from * bytes)) x2=(x(to)) y2=(y(to * bytes)) {
                    title { (name) ": " (format!("{bytes:.1}")) " B/cycle" }
                }
            }
            line class=(format!("slope s{at}")) x1=(legend_x) x2=(legend_x + 18.0) y1=(PLOT.1 + 6.0 + 18.0 * at as f64) y2=(PLOT.1 + 6.0 + 18.0 * at as f64) {}
            text.small x=(legend_x + 24.0) y=(PLOT.1 + 10.0 + 18.0 * at as f64) { (name) ": " (format!("{bytes:.1}")) " B/cycle" }
        }
        @for (at, point) in points.iter().enumerate() {
            @let legend_y = PLOT.1 + 80.0 + 18.0 * at as f64;
            g {
                title { (point.name) ": " (format!("{:.1}", point.macs_per_cycle)) " MAC/cycle, " (format!("{:.1}", point.macs_per_byte)) " MAC/B" }
                circle class=(if point.whole { "whole".to_owned() } else { format!("k{}", at % 8) }) cx=(format!("{:.1}", x(point.macs_per_byte))) cy=(format!("{:.1}", y(point.macs_per_cycle))) r="6" {}
            }
            circle class=(if point.whole { "whole".to_owned() } else { format!("k{}", at % 8) }) cx=(legend_x + 9.0) cy=(legend_y) r="5" {}
            text.small x=(legend_x + 24.0) y=(legend_y + 4.0) { (shortened(&point.name, 30)) ": " (format!("{:.1}", point.macs_per_cycle)) title { (point.name) } }
        }
        text.small x=(PLOT.0 + PLOT.2 / 2.0) y=(PLOT.1 + PLOT.3 + 34.0) text-anchor="middle" { "multiply-accumulates for each byte of a kernel's arguments (design: of host memory)" }
        text.small transform=(format!("translate(16 {}) rotate(-90)", PLOT.1 + PLOT.3 / 2.0)) text-anchor="middle" { "multiply-accumulates a cycle of one core" }
    };
    let height = (PLOT.1 + PLOT.3 + 44.0).max(PLOT.1 + 90.0 + 18.0 * points.len() as f64);
    let label = format!("Roofline: {} points, peak {} MAC a cycle", points.len(), grouped(peak as u64));
    Some(Picture { size: (PLOT.0 + PLOT.2 + 300.0, height), label, content })
}
