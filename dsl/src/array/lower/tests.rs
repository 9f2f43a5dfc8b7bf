//! The designs of `data/mlir` against what the toolchain made of them.

use super::{LowerError, LowerMode, lower};
use crate::array::lowered::{Channel, Direction, Lowered, LoweredTile};
use crate::array::{Design, Tile, examples, verify};
use crate::device::Device;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn tile(key: &str) -> Tile {
    let (col, row) = key.split_once(',').expect("col,row");
    Tile::new(col.parse().expect("column"), row.parse().expect("row"))
}

fn channel(c: Channel) -> String {
    match c.direction {
        Direction::S2mm => format!("S2MM{}", c.index),
        Direction::Mm2s => format!("MM2S{}", c.index),
    }
}

/// A lowered tile in the form of the toolchain's JSON, with BD offsets and lengths in bytes.
fn as_json(t: &LoweredTile) -> Value {
    let buffers: Vec<Value> = t
        .buffers
        .iter()
        .map(|b| json!({"name": b.name, "address": b.address, "bank": b.bank, "bytes": b.bytes}))
        .collect();
    let locks: Vec<Value> =
        t.locks.iter().map(|l| json!({"name": l.name, "id": l.id, "init": l.init})).collect();
    let bd = |program: &crate::array::lowered::ChannelProgram, at: usize| {
        let b = &program.bds[at];
        let list = |f: fn(&crate::array::Dim) -> u32| match b.dims.len() {
            0 => Value::Null,
            _ => b.dims.iter().map(f).collect(),
        };
        json!({
            "buffer": t.buffers[b.buffer].name, "offset": b.offset_bytes, "len": b.len_bytes,
            "sizes": list(|d| d.size), "strides": list(|d| d.stride),
            "bd_id": b.bd_id, "next": b.next.map(|n| program.bds[n].bd_id),
        })
    };
    let dma: Vec<Value> = t
        .dma
        .iter()
        .map(|p| json!({"channel": channel(p.channel), "bds": (0..p.bds.len()).map(|at| bd(p, at)).collect::<Vec<_>>()}))
        .collect();
    json!({"buffers": buffers, "locks": locks, "dma": dma, "stack_bytes": t.stack_bytes})
}

/// What the toolchain's JSON leaves out or counts otherwise: BD offsets and lengths are in elements,
/// an absent stack size is the device's default.
fn normalise(mut want: Value, element_bytes: &dyn Fn(&str) -> u64, is_core: bool) -> Value {
    for program in want["dma"].as_array_mut().expect("dma") {
        for bd in program["bds"].as_array_mut().expect("bds") {
            let bytes = element_bytes(bd["buffer"].as_str().expect("buffer"));
            for field in ["offset", "len"] {
                bd[field] = json!(bd[field].as_u64().expect("number") * bytes);
            }
        }
    }
    if is_core && want["stack_bytes"].is_null() {
        want["stack_bytes"] = json!(Device::npu1().core.default_stack_bytes());
    }
    want
}

fn compare(design: Design, name: &str, mode: LowerMode, hidden: &[&str]) {
    let Some(folder) = examples::shared_mlir() else { return };
    let suffix = match mode {
        LowerMode::Dynamic => "dynamic",
        LowerMode::Static => "static",
    };
    let text =
        std::fs::read_to_string(folder.join(format!("{name}.{suffix}.lowering.json"))).expect("readable");
    let want: Value = serde_json::from_str(&text).expect("JSON");
    let design = verify(design, Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
    let lowered = lower(&design, Device::npu1(), mode).expect("lowers");

    let element_bytes = |buffer: &str| {
        let fifo = design
            .fifos
            .iter()
            .find(|f| buffer.starts_with(&format!("{}_", f.name)))
            .expect("a FIFO's buffer");
        u64::from(fifo.object.elem.bytes())
    };
    let tiles = want["tiles"].as_object().expect("tiles");
    let ours: BTreeMap<Tile, Value> = lowered.tiles.iter().map(|(&t, l)| (t, as_json(l))).collect();
    let theirs: BTreeMap<Tile, Value> = tiles
        .iter()
        .map(|(key, t)| (tile(key), normalise(t.clone(), &element_bytes, tile(key).row >= 2)))
        .collect();
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (t, mut our) in ours {
        let visible = |b: &Value| !hidden.iter().any(|h| b["name"] == *h);
        our["buffers"].as_array_mut().expect("buffers").retain(visible);
        assert_eq!(our, theirs[&t], "{name} {suffix}, tile {t}");
    }
    assert_eq!(our_flows(&lowered), their_flows(&want), "{name} {suffix}: flows");
}

fn our_flows(lowered: &Lowered) -> Vec<String> {
    let one = |f: &crate::array::lowered::Flow| {
        let (from, port) = f.from;
        f.to.iter()
            .map(move |(to, to_port)| format!("{from} DMA{port} {to} DMA{to_port}"))
            .collect::<Vec<_>>()
    };
    let mut all: Vec<String> = lowered.flows.iter().flat_map(one).collect();
    all.sort();
    all
}

fn their_flows(want: &Value) -> Vec<String> {
    let at = |v: &Value| format!("({},{})", v[0], v[1]);
    let word = |v: &Value| v.as_str().expect("port").to_owned();
    let one = |f: &Value| {
        format!("{} {} {} {}", at(&f["from"]), word(&f["port"]), at(&f["to"]), word(&f["to_port"]))
    };
    let mut all: Vec<String> = want["flows"].as_array().expect("flows").iter().map(one).collect();
    all.sort();
    all
}

#[test]
fn relu2_lowers_as_the_toolchain_does() {
    compare(examples::relu2(), "relu2", LowerMode::Dynamic, &[]);
    compare(examples::relu2(), "relu2", LowerMode::Static, &[]);
}

#[test]
fn mm4x4_lowers_as_the_toolchain_does() {
    compare(examples::mm4x4(), "mm4x4", LowerMode::Dynamic, &[]);
    compare(examples::mm4x4(), "mm4x4", LowerMode::Static, &[]);
}

#[test]
fn dispatch_lowers_as_the_toolchain_does() {
    compare(examples::dispatch(), "dispatch", LowerMode::Dynamic, &[]);
}

#[test]
fn cascade_lowers_as_the_toolchain_does() {
    compare(examples::cascade(), "cascade", LowerMode::Dynamic, &[]);
    compare(examples::cascade(), "cascade", LowerMode::Static, &[]);
}

/// The JSON of `views` leaves `rtp` out (its declaration has one attribute more), but the counter
/// stands where it does only when `rtp` has a place.
#[test]
fn views_lowers_as_the_toolchain_does() {
    compare(examples::views(), "views", LowerMode::Dynamic, &["rtp"]);
    compare(examples::views(), "views", LowerMode::Static, &["rtp"]);
}

#[test]
fn what_only_run_time_knows_has_no_static_lowering() {
    let design = verify(examples::dispatch(), Device::npu1()).expect("verifies");
    let error = lower(&design, Device::npu1(), LowerMode::Static).expect_err("a trip count from a word");
    assert!(matches!(error, LowerError::StaticTripCount { .. }), "{error}");
}
