//! Trace files: the trace event format, every track, bounded and the same in every run.

use crate::support::*;
use kiln_sim::trace::{Perfetto, Run};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

fn file(ready: &Ready, objects: u32) -> Value {
    let total = 256 * objects;
    let mut host = [ramp(total), vec![0; total as usize]];
    let report = ready.run(&mut host, &[100]).unwrap();
    let run = Run { design: "one_core", start: 0, cycles: report.cycles, trace: &report.trace };
    let again = Run { start: report.cycles, ..run };
    serde_json::to_value(Perfetto::new("npu1", [run, again])).unwrap()
}

/// What the format asks of events: known phases, times, ids, and slices of a thread that nest.
fn assert_valid(file: &Value) {
    let events = file["traceEvents"].as_array().unwrap();
    let mut threads: BTreeMap<(u64, u64), Vec<(u64, u64)>> = BTreeMap::new();
    let mut named = BTreeSet::new();
    for event in events {
        let number = |key: &str| event[key].as_u64().unwrap_or_else(|| panic!("{key} of {event}"));
        assert!(event["name"].is_string(), "{event}");
        let at = (number("pid"), event["tid"].as_u64().unwrap_or(0));
        match event["ph"].as_str().unwrap() {
            "X" => threads.entry(at).or_default().push((number("ts"), number("ts") + number("dur"))),
            "i" => {
                number("ts");
                assert_eq!(event["s"], "t");
                threads.entry(at).or_default();
            }
            "C" => assert!(event["args"]["value"].is_u64() && event["ts"].is_u64(), "{event}"),
            "M" => {
                assert!(event["args"]["name"].is_string(), "{event}");
                if event["name"] == "thread_name" {
                    assert!(named.insert(at), "{event} twice");
                }
            }
            other => panic!("phase {other}"),
        }
    }
    for (thread, mut slices) in threads {
        assert!(named.contains(&thread), "thread {thread:?} has no name");
        slices.sort_by_key(|&(start, end)| (start, std::cmp::Reverse(end)));
        let mut open: Vec<u64> = Vec::new();
        for (start, end) in slices {
            while open.last().is_some_and(|&o| o <= start) {
                open.pop();
            }
            assert!(open.last().is_none_or(|&o| end <= o), "slices of {thread:?} overlap at {start}");
            open.push(end);
        }
    }
}

#[test]
fn a_trace_file_has_a_track_for_each_core_channel_and_lock() {
    let ready = one_core(256, 4, 4);
    let file = file(&ready, 4);
    assert_valid(&file);
    let events = file["traceEvents"].as_array().unwrap();
    let names = |phase: &str| -> BTreeSet<&str> {
        events.iter().filter(|e| e["ph"] == phase).filter_map(|e| e["name"].as_str()).collect()
    };
    let threads: BTreeSet<&str> = events
        .iter()
        .filter(|e| e["name"] == "thread_name")
        .filter_map(|e| e["args"]["name"].as_str())
        .collect();
    for track in ["core (0,2)", "S2MM 0", "MM2S 0", "runtime sequence", "designs"] {
        assert!(threads.contains(track), "{track} in {threads:?}");
    }
    for lock in &ready.lowered.tiles[&core(0, 0)].locks {
        assert!(names("C").contains(lock.name.as_str()), "{}", lock.name);
    }
    for slice in
        ["LOCK_STALL", "PORT_RUNNING_0", "PORT_RUNNING_1", "DMA_MM2S_0_STALLED_LOCK", "copy", "command"]
    {
        assert!(names("X").contains(slice), "{slice} in {:?}", names("X"));
    }
    for instant in ["INSTR_EVENT_0", "INSTR_EVENT_1", "DMA_S2MM_0_FINISHED_BD", "DMA_MM2S_0_START_TASK"] {
        assert!(names("i").contains(instant), "{instant} in {:?}", names("i"));
    }
    assert_eq!(events.iter().filter(|e| e["cat"] == "kernel").count(), 8, "4 calls in each of two runs");
    assert_eq!(file["otherData"]["left out"], serde_json::json!([]));
}

#[test]
fn a_small_trace_says_what_it_leaves_out() {
    let mut ready = one_core(256, 40, 40);
    ready.options.trace_events = 100;
    let file = file(&ready, 40);
    assert_valid(&file);
    let drawn = |e: &&Value| e["ph"] != "M" && e["cat"] != "kernel" && e["cat"] != "design";
    assert_eq!(file["traceEvents"].as_array().unwrap().iter().filter(drawn).count(), 200);
    let note = file["otherData"]["left out"][0].as_str().unwrap();
    assert!(note.starts_with("one_core: ") && note.contains("events recorded after those shown"), "{note}");
}

#[test]
fn two_runs_give_the_same_file() {
    let ready = one_core(256, 10, 10);
    assert_eq!(file(&ready, 10).to_string(), file(&ready, 10).to_string());
}
