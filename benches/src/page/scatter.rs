//! Predicted against measured cycles, both logarithmic.

use super::BAND;
use crate::compare::{Point, Row};
use maud::{Markup, html};

/// Colours of kinds, legible on light and dark; then the same with the next shape.
const COLOURS: [&str; 8] =
    ["#3b82c4", "#d97706", "#2f9e6e", "#b5508f", "#7a6cd4", "#c2453d", "#8f8a35", "#3f9aa3"];
const WIDTH: f64 = 700.0;
const HEIGHT: f64 = 620.0;
const LEFT: f64 = 74.0;
const BOTTOM: f64 = 54.0;
const MARGIN: f64 = 14.0;

/// Powers of ten on both axes.
struct Axes {
    low: i32,
    high: i32,
}

impl Axes {
    /// Around positive numbers.
    fn around(values: impl Iterator<Item = f64>) -> Axes {
        let (least, most) =
            values.fold((f64::INFINITY, 0.0f64), |(least, most), v| (least.min(v), most.max(v)));
        if !(least.is_finite() && most > 0.0) {
            return Axes { low: 0, high: 1 };
        }
        let low = least.log10().floor() as i32;
        Axes { low, high: (most.log10().ceil() as i32).max(low + 1) }
    }

    fn part(&self, cycles: f64) -> f64 {
        (cycles.log10() - f64::from(self.low)) / f64::from(self.high - self.low)
    }

    fn x(&self, cycles: f64) -> f64 {
        LEFT + self.part(cycles) * (WIDTH - LEFT - MARGIN)
    }

    fn y(&self, cycles: f64) -> f64 {
        HEIGHT - BOTTOM - self.part(cycles) * (HEIGHT - BOTTOM - MARGIN)
    }

    /// Corners of what lies within the band and the frame.
    fn band(&self) -> String {
        let [low, high] = [self.low, self.high].map(|power| 10f64.powi(power));
        let (up, down) = (1.0 + BAND, 1.0 - BAND);
        let corners = [
            (low, low),
            (low, low * up),
            (high / up, high),
            (high, high),
            (high, high * down),
            (low / down, low),
        ];
        let text = corners.map(|(x, y)| format!("{:.1},{:.1}", self.x(x), self.y(y)));
        text.join(" ")
    }
}

fn power(exponent: i32) -> Markup {
    html! { @match exponent { 0 => "1", 1 => "10", 2 => "100", 3 => "1000", _ => { "10" tspan dy="-5" font-size="9" { (exponent) } } } }
}

/// The mark of the kind at a position, around a point.
fn mark(at: usize, x: f64, y: f64, hollow: bool) -> Markup {
    let colour = COLOURS[at % COLOURS.len()];
    let fill = if hollow { "none" } else { colour };
    let points = match at / COLOURS.len() {
        0 => None,
        1 => Some([(-4.0, -4.0), (4.0, -4.0), (4.0, 4.0), (-4.0, 4.0)]),
        _ => Some([(0.0, -5.5), (5.5, 0.0), (0.0, 5.5), (-5.5, 0.0)]),
    };
    html! {
        @if let Some(points) = points {
            polygon points=(points.map(|(dx, dy)| format!("{:.1},{:.1}", x + dx, y + dy)).join(" ")) fill=(fill) fill-opacity="0.75" stroke=(colour) stroke-width="1.3" {}
        } @else {
            circle cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="4.5" fill=(fill) fill-opacity="0.75" stroke=(colour) stroke-width="1.3" {}
        }
    }
}

/// The mark of a kernel, around a point.
fn kernel_mark(x: f64, y: f64) -> Markup {
    let points = [(0.0, -8.0), (8.0, 0.0), (0.0, 8.0), (-8.0, 0.0)];
    html! { polygon.kernel points=(points.map(|(dx, dy)| format!("{:.1},{:.1}", x + dx, y + dy)).join(" ")) {} }
}

/// The mark of the kind at a position, in text.
pub(super) fn swatch(at: usize) -> Markup {
    html! { svg.swatch width="14" height="14" { (mark(at, 7.0, 7.0, false)) } }
}

/// The mark of a kernel, in text.
pub(super) fn kernel_swatch() -> Markup {
    html! { svg.swatch width="18" height="18" { (kernel_mark(9.0, 9.0)) } }
}

/// The plot: kinds as they stand in `kinds`, and kernels with a hardware time.
pub(super) fn scatter(points: &[Point], rows: &[Row], kinds: &[&str]) -> Markup {
    let kernels: Vec<(&Row, f64, f64)> = rows
        .iter()
        .filter_map(|row| Some((row, *row.simulated.as_ref().ok()?, row.hardware.as_ref()?.cycles)))
        .filter(|(_, simulated, hardware)| *simulated > 0.0 && *hardware > 0.0)
        .collect();
    let all = points.iter().flat_map(|p| [p.cycles.predicted, p.cycles.measured]);
    let axes = Axes::around(all.chain(kernels.iter().flat_map(|(_, s, h)| [*s, *h])));
    let (top, right, bottom) = (MARGIN, WIDTH - MARGIN, HEIGHT - BOTTOM);
    let [low, high] = [axes.low, axes.high].map(|power| 10f64.powi(power));
    html! {
        svg width=(WIDTH) height=(HEIGHT) viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label="Predicted against measured cycles" {
            polygon.band points=(axes.band()) {}
            @for exponent in axes.low..=axes.high {
                @let (x, y) = (axes.x(10f64.powi(exponent)), axes.y(10f64.powi(exponent)));
                line.grid x1=(x) x2=(x) y1=(top) y2=(bottom) {}
                line.grid x1=(LEFT) x2=(right) y1=(y) y2=(y) {}
                text x=(x) y=(bottom + 18.0) text-anchor="middle" { (power(exponent)) }
                text x=(LEFT - 8.0) y=(y + 4.0) text-anchor="end" { (power(exponent)) }
            }
            rect.frame x=(LEFT) y=(top) width=(right - LEFT) height=(bottom - top) {}
            line.equal x1=(axes.x(low)) y1=(axes.y(low)) x2=(axes.x(high)) y2=(axes.y(high)) {}
            text.axis x=((LEFT + right) / 2.0) y=(HEIGHT - 10.0) text-anchor="middle" { "measured, cycles" }
            text.axis transform=(format!("translate(16 {}) rotate(-90)", (top + bottom) / 2.0)) text-anchor="middle" { "predicted, cycles" }
            @for point in points {
                @let at = kinds.iter().position(|kind| *kind == point.kind).unwrap_or(0);
                g {
                    title { (point.name) ": predicted " (format!("{:.0}", point.cycles.predicted)) ", measured " (format!("{:.0}", point.cycles.measured)) " cycles" }
                    (mark(at, axes.x(point.cycles.measured), axes.y(point.cycles.predicted), point.is_input))
                }
            }
            @for (row, simulated, hardware) in kernels {
                g {
                    title { (row.kernel) ": predicted " (format!("{simulated:.0}")) ", hardware " (format!("{hardware:.0}")) " cycles" }
                    (kernel_mark(axes.x(hardware), axes.y(simulated)))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Axes;

    #[test]
    fn axes_take_whole_decades_around_everything() {
        let axes = Axes::around([70.0, 12_000.0].into_iter());
        assert_eq!((axes.low, axes.high), (1, 5));
        let one = Axes::around([10.0, 10.0].into_iter());
        assert_eq!((one.low, one.high), (1, 2));
        let none = Axes::around(std::iter::empty());
        assert_eq!((none.low, none.high), (0, 1));
    }

    #[test]
    fn equal_numbers_lie_on_the_diagonal() {
        let axes = Axes { low: 0, high: 4 };
        for cycles in [1.0, 100.0, 10_000.0] {
            let part = axes.part(cycles);
            assert!(
                (axes.x(cycles) - super::LEFT) / (super::WIDTH - super::LEFT - super::MARGIN) - part < 1e-9
            );
            let down = super::HEIGHT - super::BOTTOM - axes.y(cycles);
            assert!(down / (super::HEIGHT - super::BOTTOM - super::MARGIN) - part < 1e-9);
        }
    }
}
