//! A design as pictures: where it lies on the array, what its memories hold, and what a simulated run did with its
//! time. [`page`] is one HTML page that needs nothing else; [`figures`] are the same pictures as SVG files.
//!
//! Everything drawn is read from the lowered design, the budget and the simulation's report; nothing is computed here
//! that those do not say.

mod array_map;
mod memory;
mod page;
mod perfetto;
mod roofline;
mod svg;
mod timeline;

pub use page::{page, timeline_page};
pub use perfetto::{TraceFileError, read_trace};
pub use timeline::{Group, Span, Timeline, Track};

use kiln_dsl::array::Design;
use kiln_dsl::array::lowered::Lowered;
use kiln_dsl::device::{Device, Profile};
use kiln_dsl::fit::FitReport;
use kiln_sim::report::SimReport;

/// What is to be seen.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The design.
    pub design: &'a Design,
    /// What the toolchain makes of it.
    pub lowered: &'a Lowered,
    /// What it takes of every tile.
    pub fit: &'a FitReport,
    /// The device it is for.
    pub device: &'a Device,
    /// The machine that the prediction is for, with its name.
    pub profile: (&'a str, &'a Profile),
    /// A simulated run with a trace; without one the pictures of time are left out.
    pub run: Option<&'a SimReport>,
}

/// A picture as a file of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Name of the file.
    pub file: &'static str,
    /// The SVG document.
    pub svg: String,
}

/// The pictures of `subject` as SVG documents, each with the style it needs; those of a run only where there was one.
pub fn figures(subject: &Subject<'_>) -> Vec<Figure> {
    let mut figures = vec![
        Figure { file: "array.svg", svg: svg::document(&array_map::array_map(subject)) },
        Figure { file: "memory.svg", svg: svg::document(&memory::memory(subject)) },
    ];
    if let Some(run) = subject.run {
        let timeline = Timeline::of_run(subject.design, subject.lowered, run);
        figures.push(Figure { file: "timeline.svg", svg: svg::document(&timeline.figure()) });
        if let Some(picture) = roofline::roofline(subject, run) {
            figures.push(Figure { file: "roofline.svg", svg: svg::document(&picture) });
        }
    }
    figures
}

#[cfg(test)]
mod tests;
