//! Checks across values, on the tree, so that they run also when the structure has problems: a
//! check whose operands are missing or of the wrong type is left out, since that is reported already.

use super::SCHEMA_VERSION;
use super::check::join;
use super::error::{Problem, ProblemKind};
use super::node::{Entry, Node, Value};
use super::schema::SwitchBundle;
use crate::kernel::ops::LatencyClass;
use indexmap::IndexSet;

/// Everything across values that is wrong.
pub(super) fn check(root: &Node, out: &mut Vec<Problem>) {
    schema_version(root, out);
    ranges(root, out);
    equalities(root, out);
    bounds(root, out);
    rows(root, out);
    latency_classes(root, out);
    ports(root, out);
    shim_ports(root, out);
    port_order(root, out);
    profiles(root, out);
    sources(root, out);
}

fn schema_version(root: &Node, out: &mut Vec<Problem>) {
    let Some(node) = root.entry("schema_version").map(|e| &e.node) else { return };
    if let Some(got) = node.as_u64().filter(|&v| v != SCHEMA_VERSION) {
        let kind = ProblemKind::SchemaVersion { expected: SCHEMA_VERSION, got };
        out.push(Problem::new(node.mark, "schema_version", kind));
    }
}

/// The value of a sourced number.
fn number(root: &Node, path: &str) -> Option<u64> {
    value(root, path)?.as_u64().filter(|&v| v <= u64::from(u32::MAX))
}

fn value<'a>(root: &'a Node, path: &str) -> Option<&'a Node> {
    root.at(path)?.node.entry("value").map(|e| &e.node)
}

fn report(root: &Node, path: &str, kind: ProblemKind, out: &mut Vec<Problem>) {
    let mark = value(root, path).map_or(root.mark, |n| n.mark);
    out.push(Problem::new(mark, path, kind));
}

/// A `Tile` and its ids hold a byte.
const BYTE: f64 = 255.0;
const WORD: f64 = u32::MAX as f64;

/// Least and most of values that would otherwise make no array: counts that are divided by, sizes
/// that cannot be zero, numbers that ids of one byte must hold. `*` stands for any key.
const RANGES: &[(&str, f64, f64)] = &[
    ("geometry.columns", 1.0, BYTE),
    ("geometry.rows", 1.0, BYTE),
    ("core.data_memory_bytes", 1.0, WORD),
    ("core.program_memory_bytes", 1.0, WORD),
    ("core.logical_banks", 1.0, BYTE),
    ("core.logical_bank_bytes", 1.0, WORD),
    ("core.physical_banks", 1.0, BYTE),
    ("core.physical_bank_bytes", 1.0, WORD),
    ("core.physical_bank_width_bytes", 1.0, WORD),
    ("core.bank_interleave_bytes", 1.0, WORD),
    ("core.dma_conflict_core_loss_fraction", 0.0, 1.0),
    ("core.load_ports", 1.0, BYTE),
    ("core.store_ports", 1.0, BYTE),
    ("core.port_bytes", 1.0, BYTE),
    ("core.pointer_registers", 1.0, BYTE),
    ("core.vector_registers", 1.0, BYTE),
    ("core.vector_register_bits", 1.0, WORD),
    ("core.accumulators", 1.0, BYTE),
    ("core.accumulator_bits", 1.0, WORD),
    ("core.bundle_max_bytes", 1.0, BYTE),
    ("mem.memory_bytes", 1.0, WORD),
    ("mem.logical_banks", 1.0, BYTE),
    ("mem.logical_bank_bytes", 1.0, WORD),
    ("mem.physical_banks", 1.0, BYTE),
    ("mem.physical_bank_bytes", 1.0, WORD),
    ("mem.bank_interleave_bytes", 1.0, WORD),
    ("shim.axi_bits", 1.0, WORD),
    ("shim.bds_in_flight_max", 1.0, BYTE),
    ("shim.mm2s_cold_decay", 0.0, 1.0),
    ("shim.s2mm_cold_decay", 0.0, 1.0),
    ("dma.task_queue_depth", 1.0, BYTE),
    ("dma.repeat_max", 1.0, WORD),
    ("dma.granule_bytes", 1.0, BYTE),
    ("dma.words_per_cycle", 1.0, BYTE),
    ("dma.words_per_bank_access", 1.0, BYTE),
    ("dma.s2mm_ingress_words", 1.0, WORD),
    ("dma.mm2s_egress_words", 1.0, WORD),
    ("locks.max_value", 1.0, BYTE),
    ("stream.port_bits", 1.0, WORD),
    ("stream.words_per_cycle", 1.0, BYTE),
    ("core_timing.accumulator_read_cycle", 1.0, BYTE),
    ("core_timing.accumulator_chain_int_cycles", 1.0, BYTE),
    ("core_timing.accumulator_chain_float_cycles", 1.0, BYTE),
    ("core_timing.vector_alu_chain_cycles", 1.0, BYTE),
    ("latency_cycles.*", 1.0, BYTE),
    ("macs_per_cycle.*", 1.0, WORD),
    ("registers.column_shift", 1.0, 31.0),
    ("registers.row_shift", 1.0, 31.0),
    ("registers.*.bd_step_bytes", 1.0, WORD),
    ("registers.*.bd_words", 1.0, BYTE),
    ("registers.*.channel_step_bytes", 1.0, WORD),
    ("registers.*.lock_step_bytes", 1.0, WORD),
    ("registers.switch_port_step_bytes", 1.0, WORD),
    ("registers.switch_slots", 1.0, BYTE),
    ("registers.switch_slot_step_bytes", 1.0, WORD),
    ("instructions.token_arbiter", 0.0, 7.0),
    ("instructions.token_selection", 0.0, 3.0),
    ("instructions.device_generation", 0.0, BYTE),
    ("instructions.format_major", 0.0, BYTE),
    ("instructions.format_minor", 0.0, BYTE),
    ("host.buffers_min", 1.0, BYTE),
    ("host.buffers_max", 1.0, BYTE),
    ("host.hardware_contexts_max", 1.0, BYTE),
    ("host.launch_us", 0.0, 1e9),
    ("host.bracket_us", 0.0, 1e9),
    ("host.python_us", 0.0, 1e9),
    ("host.runlist_launch_us", 0.0, 1e9),
    ("host.runlist_enqueue_us", 0.0, 1e9),
    ("host.design_switch_us", 0.0, 1e9),
    ("host.context_create_us", 0.0, 1e9),
    ("host.buffer_map_us", 0.0, 1e9),
    ("profiles.*.clock_mhz", 1.0, 1e6),
    ("profiles.*.ddr_gb_per_s", 1e-3, 1e6),
    ("profiles.*.ddr_read_gb_per_s", 1e-3, 1e6),
    ("profiles.*.shim_words_per_cycle", 1e-2, 1e2),
    ("profiles.*.ddr_row_ns", 0.0, 1e6),
    ("profiles.*.ddr_walk_ns", 0.0, 1e6),
    ("profiles.*.ddr_walk_bytes", 1.0, WORD),
    ("profiles.*.ddr_port_ns", 0.0, 1e6),
    ("profiles.*.ddr_page_ns", 0.0, 1e6),
    ("profiles.*.ddr_page_bytes", 1.0, WORD),
];

/// The same for the DMA of each kind of tile.
const DMA_RANGES: &[(&str, f64, f64)] = &[
    ("s2mm_channels", 1.0, BYTE),
    ("mm2s_channels", 1.0, BYTE),
    ("bds", 1.0, BYTE),
    ("bd_groups", 1.0, BYTE),
    ("bd_max_words", 1.0, WORD),
    ("bd_dims", 1.0, BYTE),
    ("wrap_max", 1.0, WORD),
    ("step_max_words", 1.0, WORD),
    ("iteration_max", 1.0, WORD),
    ("locks", 1.0, BYTE),
];

const TILES: [&str; 3] = ["core", "mem", "shim"];

fn ranges(root: &Node, out: &mut Vec<Problem>) {
    for &(pattern, min, max) in RANGES {
        range(root, "", pattern, min, max, out);
    }
    for tile in TILES {
        for &(field, min, max) in DMA_RANGES {
            range(root, "", &format!("{tile}.dma.{field}"), min, max, out);
        }
    }
}

/// Follows `pattern` down from `node`, which is at `path`.
fn range(node: &Node, path: &str, pattern: &str, min: f64, max: f64, out: &mut Vec<Problem>) {
    let (first, rest) = match pattern.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (pattern, None),
    };
    for entry in node.entries().iter().filter(|e| first == "*" || e.key == first) {
        let path = join(path, &entry.key);
        match rest {
            Some(rest) => range(&entry.node, &path, rest, min, max, out),
            None => {
                let Some(value) = entry.node.entry("value") else { continue };
                let mark = value.node.mark;
                if out.iter().any(|p| (p.line, p.column) == (mark.line, mark.column)) {
                    continue; // its type is wrong, and reported
                }
                if let Some(got) = value.node.as_f64().filter(|v| !(min..=max).contains(v)) {
                    out.push(Problem::new(mark, path, ProblemKind::OutOfRange { min, max, got }));
                }
            }
        }
    }
}

/// (a number, how it is made, the numbers it is the product of)
const PRODUCTS: &[(&str, &str, [&str; 2])] = &[
    (
        "core.data_memory_bytes",
        "logical_banks x logical_bank_bytes",
        ["core.logical_banks", "core.logical_bank_bytes"],
    ),
    (
        "core.data_memory_bytes",
        "physical_banks x physical_bank_bytes",
        ["core.physical_banks", "core.physical_bank_bytes"],
    ),
    (
        "mem.memory_bytes",
        "logical_banks x logical_bank_bytes",
        ["mem.logical_banks", "mem.logical_bank_bytes"],
    ),
    (
        "mem.memory_bytes",
        "physical_banks x physical_bank_bytes",
        ["mem.physical_banks", "mem.physical_bank_bytes"],
    ),
];

fn equalities(root: &Node, out: &mut Vec<Problem>) {
    for &(path, what, [a, b]) in PRODUCTS {
        if let (Some(stated), Some(a), Some(b)) = (number(root, path), number(root, a), number(root, b)) {
            differ(root, path, what, a.saturating_mul(b), stated, out);
        }
    }
    let n = |path: &str| number(root, path);
    let latency = |class: LatencyClass| n(&format!("latency_cycles.{}", class.key()));
    let read = n("core_timing.accumulator_read_cycle");
    let path = "core_timing.accumulator_chain_int_cycles";
    if let (Some(stated), Some(vmac), Some(read), Some(bypass)) =
        (n(path), latency(LatencyClass::Vmac), read, n("core_timing.accumulator_int_bypass_cycles"))
    {
        let computed = (vmac + 1).saturating_sub(read).saturating_sub(bypass);
        differ(root, path, "vmac latency - accumulator_read_cycle + 1 - bypass", computed, stated, out);
    }
    let path = "core_timing.accumulator_chain_float_cycles";
    if let (Some(stated), Some(vmac), Some(read)) = (n(path), latency(LatencyClass::VmacFloat), read) {
        let computed = (vmac + 1).saturating_sub(read);
        differ(root, path, "vmac_float latency - accumulator_read_cycle + 1", computed, stated, out);
    }
    let path = "core_timing.branch_cycles";
    if let (Some(stated), Some(slots)) = (n(path), n("core_timing.branch_delay_slots")) {
        differ(root, path, "branch_delay_slots + 1", slots + 1, stated, out);
    }
    for tile in TILES {
        let (bds, groups) = (format!("{tile}.dma.bds"), n(&format!("{tile}.dma.bd_groups")));
        if let (Some(stated), Some(groups @ 1..)) = (n(&bds), groups) {
            differ(
                root,
                &bds,
                "the largest multiple of bd_groups up to it",
                stated / groups * groups,
                stated,
                out,
            );
        }
    }
    if let (Some(columns), Some(Value::List(names))) =
        (n("geometry.columns"), value(root, "geometry.mlir_devices").map(|v| &v.value))
    {
        differ(root, "geometry.columns", "the number of mlir_devices", names.len() as u64, columns, out);
    }
    let path = "core.physical_banks";
    if let (Some(stated), Some(logical @ 1..)) = (n(path), n("core.logical_banks")) {
        let computed = stated / logical * logical;
        differ(root, path, "the largest multiple of logical_banks up to it", computed, stated, out);
    }
}

fn differ(root: &Node, path: &str, what: &'static str, computed: u64, stated: u64, out: &mut Vec<Problem>) {
    if computed != stated {
        report(root, path, ProblemKind::Inconsistent { what, computed, stated }, out);
    }
}

/// (a number, what bounds it, the bound)
const BOUNDS: &[(&str, &str, &str)] = &[
    ("core.default_stack_bytes", "the data memory", "core.data_memory_bytes"),
    ("core.code_in_data_bytes", "the data memory", "core.data_memory_bytes"),
    ("core.program_overhead_bytes", "the program memory", "core.program_memory_bytes"),
    ("core.bank_interleave_bytes", "a physical bank", "core.physical_bank_bytes"),
    ("mem.bank_interleave_bytes", "a physical bank", "mem.physical_bank_bytes"),
    ("mem.neighbour_channels", "the channels", "mem.dma.mm2s_channels"),
    ("shim.bds_in_flight_max", "the BDs", "shim.dma.bds"),
    ("registers.row_shift", "the position of the column", "registers.column_shift"),
    ("host.buffers_min", "buffers_max", "host.buffers_max"),
    ("controller.push_min_cycles", "push_mm2s_cycles", "controller.push_mm2s_cycles"),
];

fn bounds(root: &Node, out: &mut Vec<Problem>) {
    for &(path, what, bound) in BOUNDS {
        if let (Some(got), Some(limit)) = (number(root, path), number(root, bound))
            && got > limit
        {
            report(root, path, ProblemKind::Exceeds { what, limit, got }, out);
        }
    }
}

/// Every row has exactly one kind.
fn rows(root: &Node, out: &mut Vec<Problem>) {
    let Some(rows) = number(root, "geometry.rows").filter(|r| (1..=255).contains(r)) else { return };
    let mut seen = vec![false; rows as usize];
    let mut complete = true;
    for kind in ["shim_rows", "mem_rows", "compute_rows"] {
        let path = format!("geometry.{kind}");
        let Some(Value::List(items)) = value(root, &path).map(|v| &v.value) else {
            complete = false;
            continue;
        };
        for item in items {
            let problem = match item.as_u64() {
                None => {
                    complete = false;
                    continue;
                }
                Some(row) if row >= rows => ProblemKind::RowOutside { row, rows },
                Some(row) if seen[row as usize] => ProblemKind::RowTwice { row },
                Some(row) => {
                    seen[row as usize] = true;
                    continue;
                }
            };
            out.push(Problem::new(item.mark, path.as_str(), problem));
        }
    }
    if complete {
        for (row, _) in seen.iter().enumerate().filter(|(_, seen)| !**seen) {
            report(root, "geometry.rows", ProblemKind::RowUnassigned { row: row as u64 }, out);
        }
    }
}

/// The latency table has every class of the op table and no other.
fn latency_classes(root: &Node, out: &mut Vec<Problem>) {
    let Some(table) = root.entry("latency_cycles").filter(|e| matches!(e.node.value, Value::Map(_))) else {
        return;
    };
    let known: Vec<&'static str> = LatencyClass::ALL.iter().map(|c| c.key()).collect();
    for entry in table.node.entries().iter().filter(|e| !known.contains(&e.key.as_str())) {
        let kind = ProblemKind::UnknownLatencyClass { known: known.clone() };
        out.push(Problem::new(entry.key_mark, join("latency_cycles", &entry.key), kind));
    }
    for class in known.iter().filter(|c| table.node.entry(c).is_none()) {
        out.push(Problem::new(table.key_mark, "latency_cycles", ProblemKind::MissingLatencyClass { class }));
    }
}

/// The bundles of each switch add up to its ports, and to its DMA.
fn ports(root: &Node, out: &mut Vec<Problem>) {
    for tile in TILES {
        let path = format!("{tile}.switch");
        let Some(switch) = root.at(&path) else { continue };
        let pair = |bundle: &str| -> Option<[u64; 2]> {
            match &switch.node.entry(bundle)?.node.entry("value")?.node.value {
                Value::List(items) => Some([items.first()?.as_u64()?, items.get(1)?.as_u64()?]),
                _ => None,
            }
        };
        let bundles = ["core", "dma", "control", "fifo", "north", "south", "east", "west", "trace"];
        let sum = bundles.iter().map(|b| pair(b)).try_fold([0u64; 2], |sum, p| {
            p.map(|p| [sum[0].saturating_add(p[0]), sum[1].saturating_add(p[1])])
        });
        if let (Some(sum), Some(total)) = (sum, pair("total")) {
            let path = format!("{path}.total");
            differ(root, &path, "the sum of the masters", sum[0], total[0], out);
            differ(root, &path, "the sum of the slaves", sum[1], total[1], out);
        }
        // The shim's DMA reaches its switch through the south ports.
        if tile != "shim" {
            let n = |field: &str| number(root, &format!("{tile}.dma.{field}"));
            if let (Some([masters, slaves]), Some(s2mm), Some(mm2s)) =
                (pair("dma"), n("s2mm_channels"), n("mm2s_channels"))
            {
                let path = format!("{path}.dma");
                differ(root, &path, "the number of S2MM channels", s2mm, masters, out);
                differ(root, &path, "the number of MM2S channels", mm2s, slaves, out);
            }
        }
    }
}

/// Each channel of the shim's DMA has a port at the south side of its switch.
fn shim_ports(root: &Node, out: &mut Vec<Problem>) {
    for (channels, ports, side) in
        [("s2mm_channels", "s2mm_switch_ports", 0), ("mm2s_channels", "mm2s_switch_ports", 1)]
    {
        let path = format!("shim.{ports}");
        let (Some(channels), Some(Value::List(items))) =
            (number(root, &format!("shim.dma.{channels}")), value(root, &path).map(|v| &v.value))
        else {
            continue;
        };
        differ(root, &path, "the number of its channels", channels, items.len() as u64, out);
        let south = match value(root, "shim.switch.south").map(|v| &v.value) {
            Some(Value::List(south)) => south.get(side).and_then(Node::as_u64),
            _ => None,
        };
        let Some(south) = south else { continue };
        for got in items.iter().filter_map(Node::as_u64).filter(|&port| port >= south) {
            let limit = south.saturating_sub(1);
            report(root, &path, ProblemKind::Exceeds { what: "the last south port", limit, got }, out);
        }
    }
}

/// The order of a switch's ports names every bundle once.
fn port_order(root: &Node, out: &mut Vec<Problem>) {
    let path = "registers.switch_port_order";
    let Some(Value::List(items)) = value(root, path).map(|v| &v.value) else { return };
    let named: IndexSet<&str> = items.iter().filter_map(Node::as_text).collect();
    let all = SwitchBundle::NAMES.len() as u64;
    differ(root, path, "the number of bundles, each once", all, items.len() as u64, out);
    differ(root, path, "the number of different bundles", all, named.len() as u64, out);
}

fn profiles(root: &Node, out: &mut Vec<Problem>) {
    let (Some(default), Some(profiles)) = (root.entry("default_profile"), root.entry("profiles")) else {
        return;
    };
    if let Some(name) = default.node.as_text().filter(|n| profiles.node.entry(n).is_none()) {
        let known = profiles.node.entries().iter().map(|e| e.key.clone()).collect();
        let kind = ProblemKind::UnknownProfile { name: name.to_owned(), known };
        out.push(Problem::new(default.node.mark, "default_profile", kind));
    }
}

/// Every source starts with a declared key, and every declared key is used.
fn sources(root: &Node, out: &mut Vec<Problem>) {
    let Some(declared) = root.entry("sources").filter(|e| matches!(e.node.value, Value::Map(_))) else {
        return;
    };
    let known: Vec<String> = declared.node.entries().iter().map(|e| e.key.clone()).collect();
    let mut used = IndexSet::new();
    cited(root, "", &known, &mut used, out);
    let unused = |e: &&Entry| !e.inherited && !used.contains(&e.key);
    for entry in declared.node.entries().iter().filter(unused) {
        out.push(Problem::new(entry.key_mark, join("sources", &entry.key), ProblemKind::UnusedSource));
    }
}

/// Goes through all citations. Several in one source are separated by `;`.
fn cited(node: &Node, path: &str, known: &[String], used: &mut IndexSet<String>, out: &mut Vec<Problem>) {
    for entry in node.entries() {
        let inner = join(path, &entry.key);
        match source_of(entry, node) {
            None => cited(&entry.node, &inner, known, used, out),
            Some(text) => {
                for citation in text.split(';') {
                    let word = citation.split_whitespace().next().unwrap_or("");
                    let key = word.trim_end_matches([':', ',']);
                    let kind = if key.is_empty() {
                        ProblemKind::EmptySource
                    } else if known.iter().any(|k| k == key) {
                        used.insert(key.to_owned());
                        continue;
                    } else {
                        ProblemKind::UndeclaredSource { key: key.to_owned(), known: known.to_vec() }
                    };
                    out.push(Problem::new(entry.node.mark, inner.as_str(), kind));
                }
            }
        }
    }
}

/// The text of a `source` entry of a sourced value.
fn source_of<'a>(entry: &'a Entry, parent: &Node) -> Option<&'a str> {
    (entry.key == "source" && (parent.entry("value").is_some() || parent.entry("confidence").is_some()))
        .then(|| entry.node.as_text())
        .flatten()
}
