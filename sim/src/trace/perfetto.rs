//! Traces in the format of Chrome's trace viewer, which Perfetto reads.
//!
//! A process for each tile and one for the controller; in it a thread for the core and each DMA
//! channel, and a counter for each lock. Time is in cycles: what a viewer calls a microsecond is a cycle.

use super::{Event, Trace, TraceEvent, Track};
use crate::array::Cycles;
use kiln_dsl::array::Tile;
use kiln_dsl::array::lowered::Direction;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::Range;

/// A trace file: one JSON object.
#[derive(Clone, Debug, Serialize)]
pub struct Perfetto {
    #[serde(rename = "displayTimeUnit")]
    unit: &'static str,
    #[serde(rename = "otherData")]
    other: Value,
    #[serde(rename = "traceEvents")]
    events: Vec<Value>,
}

/// Process of the controller; tiles follow.
const CONTROLLER: u64 = 1;
/// Thread of a core or of the controller's commands.
const CORE: u64 = 1;
/// Thread of the controller's process that shows which design runs.
const RUNS: u64 = 2;

/// One run of a design in a trace file.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// Name of the design.
    pub design: &'a str,
    /// When it begins.
    pub start: Cycles,
    /// How long it takes.
    pub cycles: Cycles,
    /// What happened in it.
    pub trace: &'a Trace,
}

impl Perfetto {
    /// The traces of runs on a device, one after another.
    pub fn new<'a>(device: &str, runs: impl IntoIterator<Item = Run<'a>>) -> Perfetto {
        let mut writer = Writer::default();
        let mut left_out = Vec::new();
        for run in runs {
            writer.run(&run);
            if run.trace.dropped > 0 {
                let last = run.trace.events.iter().map(|e| e.end).max().unwrap_or(0);
                left_out.push(format!(
                    "{}: {} events recorded after those shown, which reach cycle {last} of {}",
                    run.design, run.trace.dropped, run.cycles
                ));
            }
        }
        let other = json!({
            "device": device,
            "time": "1 us is 1 cycle of the array, predicted",
            "left out": left_out,
        });
        let mut events = writer.names();
        events.append(&mut writer.events);
        Perfetto { unit: "ns", other, events }
    }
}

/// Where an event is drawn: process, thread, and the lane for what overlaps others there.
type Place = (u64, u64, u64);

#[derive(Default)]
struct Writer {
    /// End of the last slice of each place.
    lanes: BTreeMap<Place, u64>,
    /// Start of the call in progress at each core.
    calls: BTreeMap<Tile, u64>,
    /// Names of processes (0) and threads (1), by process and thread.
    names: BTreeMap<(u64, u64, u64), String>,
    events: Vec<Value>,
}

fn process(tile: Tile) -> u64 {
    CONTROLLER + 1 + u64::from(tile.col) * 256 + u64::from(tile.row)
}

/// Thread of a track in its process.
fn thread(track: Track) -> u64 {
    match track {
        Track::Core | Track::Controller => CORE,
        Track::Channel(c) => {
            let direction = u64::from(c.direction == Direction::Mm2s);
            CORE + 1 + direction * 256 + u64::from(c.index)
        }
        Track::Lock(_) => 0,
    }
}

impl Writer {
    fn run(&mut self, run: &Run<'_>) {
        self.calls.clear();
        self.name((CONTROLLER, RUNS, 0), "controller", "designs".to_owned());
        self.slice((CONTROLLER, RUNS, 0), "design", run.design, run.start..run.start + run.cycles, None);
        for event in &run.trace.events {
            let shifted = TraceEvent { start: run.start + event.start, end: run.start + event.end, ..*event };
            self.event(&shifted, run.trace);
        }
    }

    fn event(&mut self, event: &TraceEvent, trace: &Trace) {
        let detail = trace.detail(event.event);
        if let Event::LockValue { value, .. } = event.event {
            let pid = process(event.tile);
            self.names.entry((pid, 0, 0)).or_insert_with(|| format!("tile {}", event.tile));
            self.events.push(json!({
                "name": detail, "ph": "C", "ts": event.start, "pid": pid, "args": { "value": value },
            }));
            return;
        }
        self.call(event, detail);
        let place = self.place(event);
        let name = event.event.name();
        if event.end > event.start {
            self.slice(place, "array", &name, event.start..event.end, detail);
        } else {
            self.events.push(json!({
                "name": name, "cat": "array", "ph": "i", "s": "t", "ts": event.start, "pid": place.0,
                "tid": tid(place), "args": args(detail),
            }));
        }
    }

    fn slice(&mut self, place: Place, category: &str, name: &str, time: Range<u64>, detail: Option<&str>) {
        self.events.push(json!({
            "name": name, "cat": category, "ph": "X", "ts": time.start, "dur": time.end - time.start,
            "pid": place.0, "tid": tid(place), "args": args(detail),
        }));
    }

    /// A kernel call as a slice from its first event to its second.
    fn call(&mut self, event: &TraceEvent, kernel: Option<&str>) {
        match event.event {
            Event::InstrEvent0(_) => {
                self.calls.insert(event.tile, event.start);
            }
            Event::InstrEvent1(_) => {
                let Some(start) = self.calls.remove(&event.tile) else { return };
                let place = (process(event.tile), CORE, 0);
                self.lanes.insert(place, event.start);
                self.slice(place, "kernel", kernel.unwrap_or("kernel"), start..event.start, None);
            }
            _ => {}
        }
    }

    fn place(&mut self, event: &TraceEvent) -> Place {
        let track = event.event.track();
        let (process, process_name) = match track {
            Track::Controller => (CONTROLLER, "controller".to_owned()),
            _ => (process(event.tile), format!("tile {}", event.tile)),
        };
        // Slices of one thread nest or follow each other; what overlaps goes to a lane of its own.
        let mut place = (process, thread(track), 0);
        if event.end > event.start {
            while self.lanes.get(&place).is_some_and(|&end| end > event.start) {
                place.2 += 1;
            }
        }
        let end = self.lanes.entry(place).or_default();
        *end = event.end.max(*end);
        let name = match track {
            Track::Core => format!("core {}", event.tile),
            Track::Channel(c) => crate::array::channel_name(c),
            Track::Lock(_) | Track::Controller => "runtime sequence".to_owned(),
        };
        self.name(place, &process_name, name);
        place
    }

    fn name(&mut self, place: Place, process: &str, thread: String) {
        self.names.entry((place.0, 0, 0)).or_insert_with(|| process.to_owned());
        self.names.entry((place.0, tid(place), 1)).or_insert_with(|| match place.2 {
            0 => thread,
            lane => format!("{thread}, overlapping ({lane})"),
        });
    }

    /// Names of processes and threads.
    fn names(&self) -> Vec<Value> {
        let meta = |(&(pid, tid, kind), name): (&(u64, u64, u64), &String)| {
            let what = if kind == 0 { "process_name" } else { "thread_name" };
            json!({ "name": what, "ph": "M", "pid": pid, "tid": tid, "args": { "name": name } })
        };
        self.names.iter().map(meta).collect()
    }
}

fn args(detail: Option<&str>) -> Value {
    detail.map_or_else(|| json!({}), |what| json!({ "what": what }))
}

/// Thread number of a place: lanes of a thread follow it.
fn tid((_, thread, lane): Place) -> u64 {
    thread * 16 + lane.min(15)
}
