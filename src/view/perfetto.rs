//! Trace files as `kiln run --trace` and `kiln encode --trace` write them, read back for the timeline.

use super::timeline::{Group, Span, Timeline, Track};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Spans that are drawn; later ones are counted.
const MOST_SPANS: usize = 20_000;

/// Why a trace file was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceFileError {
    /// It is no such file.
    #[error("no trace: {0}\nhelp: `kiln run DESIGN --trace F.json` writes one")]
    Format(#[from] serde_json::Error),
    /// It has no span.
    #[error("the trace has no event with a duration (ph \"X\"), so there is nothing to draw")]
    Empty,
}

#[derive(Deserialize)]
struct File {
    #[serde(rename = "traceEvents")]
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    ph: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    ts: f64,
    #[serde(default)]
    dur: f64,
    #[serde(default)]
    pid: u64,
    #[serde(default)]
    tid: u64,
    #[serde(default)]
    args: Args,
}

#[derive(Default, Deserialize)]
struct Args {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    what: Option<String>,
}

/// The timeline of a trace in the format of Chrome's trace viewer; one microsecond of it is one cycle.
///
/// # Errors
/// When the text is no such trace, or nothing in it lasted.
pub fn read_trace(text: &str) -> Result<Timeline, TraceFileError> {
    let file: File = serde_json::from_str(text)?;
    let (mut processes, mut threads) = (BTreeMap::new(), BTreeMap::new());
    for event in file.events.iter().filter(|e| e.ph == "M") {
        let Some(name) = event.args.name.clone() else { continue };
        match event.name.as_deref() {
            Some("process_name") => drop(processes.insert(event.pid, name)),
            Some("thread_name") => drop(threads.insert((event.pid, event.tid), name)),
            _ => {}
        }
    }
    let mut tracks: BTreeMap<(u64, u64), Track> = BTreeMap::new();
    let (mut end, mut shown, mut left_out) = (0, 0usize, 0usize);
    let mut kinds: Vec<String> = Vec::new();
    for event in file.events.iter().filter(|e| e.ph == "X") {
        if shown == MOST_SPANS {
            left_out += 1;
            continue;
        }
        shown += 1;
        let name = event.name.clone().unwrap_or_default();
        let key = (event.pid, event.tid);
        let class = class_of(&name, event.args.what.as_deref(), &mut kinds);
        // Both are not negative and whole in what Kiln writes; another writer's fractions are cut.
        let start = event.ts.max(0.0) as u64;
        let span_end = (event.ts.max(0.0) + event.dur.max(0.0)) as u64;
        end = end.max(span_end);
        let name = event.args.what.as_ref().map_or_else(|| name.clone(), |what| format!("{name}: {what}"));
        let label = || {
            let process = processes.get(&key.0).cloned().unwrap_or_else(|| format!("process {}", key.0));
            let thread = threads.get(&key).cloned().unwrap_or_else(|| format!("thread {}", key.1));
            if thread.contains(&process) { thread } else { format!("{process} {thread}") }
        };
        let track = tracks.entry(key).or_insert_with(|| Track { label: label(), spans: Vec::new() });
        track.spans.push(Span { start, end: span_end, class, name });
    }
    if shown == 0 {
        return Err(TraceFileError::Empty);
    }
    let mut groups: Vec<Group> = Vec::new();
    for ((pid, _), track) in tracks {
        let title = processes.get(&pid).cloned().unwrap_or_else(|| format!("process {pid}"));
        match groups.last_mut() {
            Some(group) if group.title == title => group.tracks.push(track),
            _ => groups.push(Group { title, tracks: vec![track] }),
        }
    }
    let legend = kinds.into_iter().enumerate().map(|(i, kind)| (format!("k{}", i % 8), kind)).collect();
    let left_out =
        if left_out > 0 { format!("{left_out} later events are not shown") } else { String::new() };
    Ok(Timeline { end: end.max(1), groups, legend, left_out })
}

/// Colour of a span: waits by their kind, other names in turn.
fn class_of(name: &str, what: Option<&str>, kinds: &mut Vec<String>) -> String {
    let fixed = match name {
        "LOCK_STALL" if what.is_some_and(|lock| lock.contains("_prod_lock")) => Some("wait-output"),
        "LOCK_STALL" => Some("wait-input"),
        "CASCADE_STALL" => Some("wait-cascade"),
        "command" => Some("command"),
        _ if name.starts_with("PORT_RUNNING") => Some("moves"),
        _ if name.ends_with("STALLED_LOCK") => Some("stalled"),
        _ if name.ends_with("STARVATION") || name.ends_with("BACKPRESSURE") => Some("starved"),
        _ => None,
    };
    if let Some(class) = fixed {
        return class.to_owned();
    }
    let at = kinds.iter().position(|k| k == name).unwrap_or_else(|| {
        kinds.push(name.to_owned());
        kinds.len() - 1
    });
    format!("k{}", at % 8)
}
