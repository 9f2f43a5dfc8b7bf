//! Pictures of real designs: what is drawn is what the design, the budget and the run say.

use super::*;
use crate::fit::fit;
use crate::runner::SimRunner;
use kiln_dsl::array::{LowerMode, preview};
use kiln_dsl::device::Compiler;
use kiln_kernels::designs;
use kiln_sim::array::SimOptions;

struct Seen {
    design: Design,
    lowered: Lowered,
    fit: FitReport,
    run: SimReport,
}

/// A listed design, run with data of a seed.
fn seen(name: &str, events: usize) -> Seen {
    let device = Device::npu1();
    let design = designs::find_for(name, device).unwrap().unwrap();
    let mut host = designs::inputs(&design, device, 0).unwrap().unwrap();
    let options = SimOptions { trace_events: events, ..SimOptions::default() };
    let profile = device.profile(device.default_profile()).unwrap();
    let run = SimRunner::new(device, profile).with_options(options).dispatch(&design, &mut host).unwrap();
    let lowered = preview(&design, device, LowerMode::default());
    let fit = fit(&design, device, Compiler::default());
    Seen { design, lowered, fit, run }
}

impl Seen {
    fn subject(&self) -> Subject<'_> {
        let device = Device::npu1();
        let name = device.default_profile();
        Subject {
            design: &self.design,
            lowered: &self.lowered,
            fit: &self.fit,
            device,
            profile: (name, device.profile(name).unwrap()),
            run: Some(&self.run),
        }
    }
}

/// Elements that open and close: all of XML that the pictures use, checked without a browser.
fn is_well_formed(svg: &str) -> bool {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = svg;
    while let Some(at) = rest.find('<') {
        let Some(end) = rest[at..].find('>') else { return false };
        let tag = &rest[at + 1..at + end];
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name) {
                return false;
            }
        } else if !tag.ends_with('/') {
            open.push(tag.split([' ', '\n']).next().unwrap_or(tag));
        }
        rest = &rest[at + end + 1..];
    }
    open.is_empty()
}

#[test]
fn every_object_of_a_design_is_drawn_once() {
    let seen = seen("mm4x4", 10_000);
    let page = page(&seen.subject());
    for fifo in &seen.design.fifos {
        assert_eq!(page.matches(&format!("id=\"fifo-{}\"", fifo.name)).count(), 1, "{}", fifo.name);
        let arrows = page.matches(&format!("href=\"#fifo-{}\"", fifo.name)).count();
        assert_eq!(arrows, fifo.consumers.len(), "{}", fifo.name);
    }
    for (tile, content) in &seen.lowered.tiles {
        for buffer in content.buffers.iter().filter(|_| tile.row > 0) {
            let title = format!("<title>{}: {} B at", buffer.name, svg::grouped(u64::from(buffer.bytes)));
            assert!(page.contains(&title), "{} of {tile}", buffer.name);
        }
    }
    assert!(page.contains(&format!("<b>{}</b>", svg::grouped(seen.run.cycles))));
}

#[test]
fn the_timeline_adds_up_to_what_the_run_counted() {
    let seen = seen("relu2", 1_000_000);
    assert_eq!(seen.run.trace.dropped, 0);
    let timeline = Timeline::of_run(&seen.design, &seen.lowered, &seen.run);
    assert_eq!(timeline.end, seen.run.cycles);
    for core in &seen.run.cores {
        let label = format!("core {}", core.tile);
        let track = timeline.groups[0].tracks.iter().find(|t| t.label == label).unwrap();
        let cycles = |wanted: &dyn Fn(&Span) -> bool| -> u64 {
            track.spans.iter().filter(|s| wanted(s)).map(|s| s.end - s.start).sum()
        };
        assert_eq!(cycles(&|s| s.class.starts_with('k')), core.busy_cycles, "{label}");
        // A wait that nothing ends is in the report and has no event.
        let waits = cycles(&|s| s.class.starts_with("wait"));
        assert!(
            waits > 0 && waits <= core.lock_stall_cycles,
            "{label}: {waits} of {}",
            core.lock_stall_cycles
        );
    }
}

#[test]
fn a_trace_that_is_cut_says_so() {
    let seen = seen("relu2", 50);
    let timeline = Timeline::of_run(&seen.design, &seen.lowered, &seen.run);
    assert!(timeline.end < seen.run.cycles);
    assert!(timeline.left_out.contains("later events are not shown"), "{}", timeline.left_out);
}

#[test]
fn figures_are_well_formed_and_the_same_each_time() {
    let seen = seen("mm4x4", 2_000);
    let first = figures(&seen.subject());
    let files: Vec<&str> = first.iter().map(|f| f.file).collect();
    assert_eq!(files, ["array.svg", "memory.svg", "timeline.svg", "roofline.svg"]);
    for figure in &first {
        assert!(is_well_formed(&figure.svg), "{}", figure.file);
    }
    assert_eq!(first, figures(&seen.subject()));
}

#[test]
fn names_are_escaped() {
    let mut seen = seen("relu2", 100);
    seen.design.name = "<script>alert(1)</script>".into();
    seen.design.fifos[0].name = "\"><i>".into();
    let page = page(&seen.subject());
    assert!(!page.contains("<script>alert") && !page.contains("\"><i>"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
}

#[test]
fn a_trace_file_is_read_back() {
    let seen = seen("relu2", 1_000_000);
    let run =
        kiln_sim::trace::Run { design: "relu2", start: 0, cycles: seen.run.cycles, trace: &seen.run.trace };
    let text = serde_json::to_string(&kiln_sim::trace::Perfetto::new("npu1", [run])).unwrap();
    let timeline = read_trace(&text).unwrap();
    assert_eq!(timeline.end, seen.run.cycles);
    let busy: u64 = seen.run.cores.iter().map(|c| c.busy_cycles).sum();
    let kernel = &seen.run.kernels[0].name;
    let spans = timeline.groups.iter().flat_map(|g| &g.tracks).flat_map(|t| &t.spans);
    assert_eq!(spans.filter(|s| s.name == *kernel).map(|s| s.end - s.start).sum::<u64>(), busy);
    assert!(timeline.legend.iter().any(|(_, name)| name == kernel));
}

#[test]
fn what_is_no_trace_is_refused() {
    assert!(matches!(read_trace("{}"), Err(TraceFileError::Format(_))));
    assert!(matches!(read_trace("{\"traceEvents\": []}"), Err(TraceFileError::Empty)));
}
