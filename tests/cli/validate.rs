//! `kiln validate`.

use crate::support::{Folder, kiln};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("one JSON value")
}

/// The report of a file with these entries, and what was told on standard error.
fn report(entries: &str) -> (Value, String) {
    let folder = Folder::new();
    let file = folder.file("measured.yaml", format!("entries:\n{entries}").as_bytes());
    let outcome = kiln(&["validate", &file, "--json"]);
    (json(&outcome.out), outcome.err)
}

fn entry(id: &str, value: &str, unit: &str, workload: &str) -> String {
    format!(
        "- {{id: {id}, metric: cycles, value: {value}, unit: \"{unit}\", source: a test, workload: {workload}}}\n"
    )
}

#[test]
fn the_project_has_measurements_of_its_own() {
    let text = kiln(&["validate"]).success();
    for word in ["predicted", "measured", "not modelled", "entries modelled", "90th percentile"] {
        assert!(text.contains(word), "{word:?} in\n{text}");
    }
}

#[test]
fn two_runs_are_equal() {
    let entries = [
        entry("core", "1", "cycles", "{kind: gemm_core, in: i8, out: i32, m: 64, k: 64, n: 64}"),
        entry(
            "array",
            "1",
            "us",
            "{kind: gemm_array, in: i8, out: i32, M: 512, K: 128, N: 256, m: 64, k: 64, n: 32}",
        ),
    ];
    assert_eq!(report(&entries.concat()), report(&entries.concat()));
}

/// The predicted number of a workload, in cycles or another unit.
fn predicted(unit: &str, workload: &str) -> f64 {
    let (report, errors) = report(&entry("one", "1", unit, workload));
    report["entries"][0]["predicted"].as_f64().unwrap_or_else(|| panic!("{workload}: {report} {errors}"))
}

#[test]
fn stages_of_a_chain_take_what_the_device_says() {
    let stage = |name: &str| predicted("cycles", &format!("{{kind: chain_stage, stage: {name}}}"));
    // locks.release and acquire, dma.bd_setup 4, channel_start 2, memory_latency 5.
    assert_eq!(stage("memtile_turn"), 13.0);
    // dma.mm2s_egress_words 12 and a hop of 9.
    assert_eq!(stage("memtile_to_core"), 21.0);
    // locks.release, and the core's acquire of 14.
    assert_eq!(stage("done_to_lock"), 15.0);
}

#[test]
fn a_product_of_short_rows_is_bound_by_them() {
    let us = |m: u32| {
        let sizes = format!("in: i8, out: i32, M: {m}, K: 1024, N: 512, m: 64, k: 64, n: 64");
        predicted("us", &format!("{{kind: gemm_array, launch: none, clock_ghz: 1.8, {sizes}}}"))
    };
    // Two row blocks more are K / k x N / n / 4 calls each. A call takes 64 rows of A, 1024 bytes apart, at
    // profiles.ddr_row_ns 22.2 and a 32nd of ddr_walk_ns 19.0: 41 cycles each at 1.8 GHz, where 16 words of the stream
    // would do; a little is hidden at the end.
    let per_call = (us(1024) - us(512)) / 2.0 / (16.0 * 2.0) * 1800.0;
    assert!((64.0 * 38.0..64.0 * 41.1).contains(&per_call), "{per_call} cycles a call");
}

#[test]
fn array_workloads_that_cannot_be_are_refused_with_the_reason() {
    let reason = |workload: &str| {
        let (report, _) = report(&entry("bad", "1", "us", workload));
        report["entries"][0]["reason"].as_str().map(str::to_owned).unwrap_or_else(|| panic!("{report}"))
    };
    let gemm = "{kind: gemm_array, in: i8, out: i32, M: 500, K: 64, N: 128, m: 64, k: 64, n: 32}";
    assert!(reason(gemm).contains("M: 500, expected a multiple of 256"), "{}", reason(gemm));
    assert!(reason("{kind: ddr_passthrough, words: 5}").contains("multiple of 4096"));
    assert!(reason("{kind: shim_task, direction: mm2s, words: 64, tasks: 2, task: 2}").contains("task: 2"));
    assert!(reason("{kind: memtile_stream, words: 200000}").contains("524288 B"));
    let eltwise = |rest: &str| reason(&format!("{{kind: eltwise_array, {rest}}}"));
    assert!(eltwise("op: add, dtype: i8, n: 65536, cores: 16").contains("at most 8 for 2 operands"));
    assert!(eltwise("op: relu, dtype: i8, n: 65536, cores: 5").contains("expected 1 to 4, 8, 12 or 16"));
    assert!(eltwise("op: relu, dtype: i8, n: 65537").contains("multiple of 16384, a tile of each core"));
    assert!(eltwise("op: relu, dtype: i8, n: 320, tile: 20").contains("the lanes of a vector"));
    assert!(eltwise("op: abs, dtype: bf16, n: 16384").contains("bf16 has copy, relu, add"));
    // 32 KiB of i32 is more than a core's descriptor moves: told once, not for each of the cores.
    let large = eltwise("op: relu, dtype: i32, n: 524288, tile: 32768");
    assert!(
        large.contains("131072 B, the most is 65532 B") && large.contains("and 31 more errors"),
        "{large}"
    );
}

#[test]
fn elements_pass_at_the_rate_of_the_streams_that_carry_them() {
    let rate = |cores: u32, op: &str| {
        let at = format!("n: 1048576, cores: {cores}, clock_ghz: 1.0, observe: gb_per_s");
        predicted("GB/s", &format!("{{kind: eltwise_array, op: {op}, dtype: i8, launch: none, {at}}}"))
    };
    // A stream carries 4 bytes a cycle; column by column there is one more for each operand.
    for cores in [1, 2] {
        let rate = rate(cores, "relu") / f64::from(cores);
        assert!((3.6..=4.0).contains(&rate), "{cores} cores: {rate} GB/s each");
    }
    // Two operands and the result share the 15 GB/s of a laptop's host memory.
    let add = rate(4, "add");
    // The rate is of the difference of two runs, whose ends scatter by some cycles.
    assert!((4.0..=5.01).contains(&add), "{add} GB/s of each operand");
    assert!(rate(8, "add") > 0.9 * add, "a mem tile in between takes no time once it flows");
}

/// Sizes, types and numbers of cores beside those of the measurements: a number that makes sense, or a reason.
#[test]
fn every_kind_of_the_array_takes_other_sizes() {
    let mut entries = Vec::new();
    let mut add =
        |workload: String| entries.push(entry(&format!("e{}", entries.len()), "1", "us", &workload));
    for (dtypes, tile) in [
        ("in: i8, out: i8", [64, 64, 64]),
        ("in: i8, out: i16", [32, 128, 32]),
        ("in: i8, out: i32", [16, 32, 64]),
        ("in: i16, out: i32", [32, 32, 32]),
        ("in: bf16, out: bf16", [32, 64, 32]),
        ("in: bf16, out: f32", [64, 32, 64]),
    ] {
        for cores in [1, 2, 4, 8, 12, 16] {
            let [m, k, n] = tile;
            let (rows, cols) = if cores < 4 { (cores, 1) } else { (4, cores / 4) };
            let sizes = format!("M: {}, K: {}, N: {}, m: {m}, k: {k}, n: {n}", 2 * m * rows, 2 * k, n * cols);
            add(format!("{{kind: gemm_array, {dtypes}, {sizes}, cores: {cores}, clock_ghz: 1.{cores}}}"));
        }
    }
    for channels in 1..=8 {
        add(format!("{{kind: ddr_passthrough, words: 8192, channels: {channels}, profile: desktop-8700g}}"));
    }
    for (bytes, objects) in [(32, 1), (64, 3), (4096, 9)] {
        for through in [false, true] {
            let sizes = format!("in_bytes: {bytes}, out_bytes: 32, objects: {objects}");
            add(format!("{{kind: core_stream, {sizes}, through_memtile: {through}}}"));
        }
    }
    for words in [1, 64, 4096] {
        let stride = if words == 1 { 1 } else { 8 };
        add(format!("{{kind: memtile_stream, words: {words}, stride_words: {stride}}}"));
        for (direction, task) in [("mm2s", 0), ("s2mm", 4)] {
            add(format!(
                "{{kind: shim_task, direction: {direction}, words: {words}, tasks: 5, task: {task}}}"
            ));
        }
    }
    for launch in ["bracket", "native", "runlist", "python", "none"] {
        add(format!("{{kind: dispatch, bytes: 64, launch: {launch}}}"));
    }
    for (op, dtype, cores) in [("copy", "i8", 1), ("sub", "i16", 4), ("min", "bf16", 8), ("abs", "i32", 12)] {
        add(format!(
            "{{kind: eltwise_array, op: {op}, dtype: {dtype}, n: 49152, cores: {cores}, launch: native}}"
        ));
    }
    let (report, errors) = report(&entries.concat());
    assert_eq!(errors, "");
    for row in report["entries"].as_array().expect("rows") {
        // Less than a second, and more than nothing.
        let us = row["predicted"].as_f64();
        assert!(us.is_some_and(|us| (0.01..1e6).contains(&us)), "{row}");
    }
    assert_eq!(report["modelled"], report["total"]);
}

#[test]
fn units_convert_at_the_clock_of_the_entry() {
    let workload = |extra: &str| format!("{{kind: gemm_core, in: i8, out: i32, m: 64, k: 64, n: 64{extra}}}");
    let entries = [
        entry("cycles", "1", "cycles", &workload("")),
        entry("us", "1", "us", &workload(", clock_ghz: 2.0")),
        entry("tops", "1", "TOPS", &workload(", clock_ghz: 2.0")),
        entry("rate", "1", "MAC/cycle", &workload("")),
        entry("share", "1", "%", &workload("")),
        entry("later", "1", "cycles", &workload(", offset_cycles: 10")),
    ];
    let (report, _) = report(&entries.concat());
    let predicted = |i: usize| report["entries"][i]["predicted"].as_f64().expect("a prediction");
    let (cycles, macs) = (predicted(0), 64.0 * 64.0 * 64.0);
    let near = |i: usize, expected: f64| {
        assert!(
            (predicted(i) / expected - 1.0).abs() < 1e-9,
            "{}: {}",
            report["entries"][i]["id"],
            predicted(i)
        );
    };
    near(1, cycles / 2000.0);
    near(2, 2.0 * macs / (cycles / 2e9) / 1e12);
    near(3, macs / cycles);
    near(4, 100.0 * macs / cycles / 256.0);
    near(5, cycles + 10.0);
}

#[test]
fn nothing_is_dropped() {
    let entries = [
        entry("known", "1000", "cycles", "{kind: loop, body: vector_accumulate, trips: 500}"),
        entry("input", "1", "cycles", "{kind: loop, body: vector_accumulate, role: input}"),
        entry("other", "[1, 2]", "cycles", "{kind: telepathy, cores: 3}"),
        "- {id: bare, value: 7, unit: us, source: a test}\n".to_owned(),
    ];
    let (report, _) = report(&entries.concat());
    let rows = report["entries"].as_array().expect("rows");
    let ids: Vec<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
    assert_eq!(ids, ["known", "input", "other", "bare"]);
    assert_eq!((&report["modelled"], &report["total"]), (&2.into(), &4.into()));
    assert_eq!((&rows[0]["predicted"], &rows[0]["error"]), (&1000.0.into(), &0.0.into()));
    assert_eq!(rows[1]["role"], "input");
    assert_eq!((&report["median_abs_error"], &report["p90_abs_error"]), (&0.0.into(), &0.0.into()));
    let group = serde_json::json!({
        "name": "core", "entries": 1, "numbers": 1, "median_abs_error": 0.0, "p90_abs_error": 0.0
    });
    assert_eq!(report["groups"], serde_json::json!([group]), "what is input or unknown is in no group");
    assert_eq!((&rows[2]["kind"], &rows[2]["predicted"]), (&"telepathy".into(), &Value::Null));
    assert!(rows[2]["reason"].as_str().expect("a reason").contains("telepathy"));
    assert!(rows[3]["reason"].as_str().expect("a reason").contains("no workload"));
}

#[test]
fn lists_name_their_numbers() {
    let gemm = "kind: gemm_core, in: i8, out: i32, m: 64, k: 64, n: 64";
    let loops = "kind: loop, body: vector_accumulate";
    let entries = [
        entry(
            "own",
            "[9, 8]",
            "bundles, vmac",
            &format!("{{{gemm}, components: [loop_bundles, loop_vmac]}}"),
        ),
        entry(
            "named",
            "[1, 2]",
            "cycles",
            &format!("{{{loops}, components: [{{name: a, trips: 10}}, {{name: b, role: context}}]}}"),
        ),
        entry("rows", "[[10, 20], [30, 60]]", "cycles", &format!("{{{loops}, series: [trips]}}")),
    ];
    let (report, _) = report(&entries.concat());
    let rows = report["entries"].as_array().expect("rows");
    let names: Vec<&str> = rows.iter().filter_map(|row| row["component"].as_str()).collect();
    assert_eq!(names, ["loop_bundles", "loop_vmac", "a", "b", "trips 10", "trips 30"]);
    assert_eq!(rows[1]["predicted"], 8.0);
    assert_eq!((&rows[2]["predicted"], &rows[3]["predicted"]), (&20.0.into(), &Value::Null));
    assert_eq!((&rows[4]["error"], &rows[5]["error"]), (&0.0.into(), &0.0.into()));
}

#[test]
fn every_mistake_is_told_with_what_would_be_right() {
    let gemm = |rest: &str| format!("{{kind: gemm_core, out: i32, m: 64, k: 64, n: 64, {rest}}}");
    let entries = [
        entry("field", "1", "cycles", &gemm("in: i8, bundles: 9")),
        entry("type", "1", "cycles", &gemm("in: i9")),
        entry("compiler", "1", "cycles", &gemm("in: i8, compiler: gcc")),
        entry("list", "[1, 2]", "cycles", &gemm("in: i8")),
        entry("number", "[1]", "cycles", &gemm("in: i8, components: [bundles]")),
        entry("missing", "1", "cycles", "{kind: gemm_core, in: i8}"),
        entry("nokind", "1", "cycles", "{in: i8}"),
        entry("good", "1", "cycles", &gemm("in: i8")),
    ];
    let (report, err) = report(&entries.concat());
    for words in [
        "field: workload of kind gemm_core: unknown field `bundles`, expected one of `in`",
        "no element type \"i9\", expected one of i8",
        "the compilers are peano, chess and ideal",
        "a list of 2 numbers needs `components`",
        "no number \"bundles\", expected loop_bundles",
        "missing: workload of kind gemm_core: missing field `out`",
        "nokind: workload: expected `kind`, one of",
    ] {
        assert!(err.contains(words), "{words:?} in\n{err}");
    }
    assert_eq!(report["problems"].as_array().map(Vec::len), Some(7));
    assert!(report["entries"][7]["predicted"].is_number(), "the good one is predicted");
}

#[test]
fn what_cannot_be_built_says_why() {
    let entries = [
        entry("size", "1", "cycles", "{kind: gemm_core, in: i8, out: i32, m: 60, k: 64, n: 64}"),
        entry("memory", "1", "cycles", "{kind: gemm_core, in: i8, out: i32, m: 128, k: 128, n: 128}"),
        entry("unit", "1", "furlongs", "{kind: loop, body: vector_accumulate}"),
        entry("none", "1", "GB/s", "{kind: loop, body: vector_accumulate}"),
        entry("profile", "1", "us", "{kind: loop, body: vector_accumulate, profile: none}"),
        entry(
            "row",
            "1",
            "cycles",
            "{kind: conv2d, filter: [1, 1], width: 28, in_channels: 64, out_channels: 64}",
        ),
        entry("sign", "1", "cycles", "{kind: eltwise, op: abs, dtype: u8, n: 1024}"),
    ];
    let (report, _) = report(&entries.concat());
    let reason = |i: usize| report["entries"][i]["reason"].as_str().expect("a reason").to_owned();
    assert!(reason(0).contains("m: 60, expected a multiple of 16"), "{}", reason(0));
    let memory = ["c 65536 B", "a 16384 B", "stack 1024 B", "at most 65536 B, the memory of a core"];
    assert!(memory.iter().all(|part| reason(1).contains(part)), "{}", reason(1));
    assert!(reason(2).contains("furlongs") && reason(2).contains("cycles_per_iteration"), "{}", reason(2));
    assert!(reason(3).contains("GB/s"), "{}", reason(3));
    assert!(reason(4).contains("phoenix-laptop"), "{}", reason(4));
    assert!(reason(5).contains("multiple of 32") && reason(5).contains("help: `block: 7`"), "{}", reason(5));
    assert!(reason(6).contains("abs of u8") && reason(6).contains("help: `op: copy`"), "{}", reason(6));
}

/// Sizes that a core's memory holds only without regard to banks, and loops shorter than a source code would promise.
#[test]
fn what_a_core_can_hold_is_predicted() {
    // 16 + 8 + 32 KiB, and 8 + 8 + 32 KiB: no bank is left whole for the third.
    let wide = "{kind: gemm_core, in: i16, in_b: i8, out: i32, m: 128, k: 64, n: 64}";
    assert!(predicted("cycles", wide) > predicted("cycles", &wide.replace("128", "64")));
    let weights = "{kind: conv2d, filter: [3, 3], width: 32, in_channels: 64, out_channels: 64, block: 4}";
    let half = weights.replace("out_channels: 64", "out_channels: 32");
    assert!(predicted("cycles", weights) > 1.9 * predicted("cycles", &half));
    for constant in [true, false] {
        let of = |n: u32| {
            predicted(
                "cycles",
                &format!("{{kind: reduce, op: max, dtype: i16, n: {n}, constant_trips: {constant}}}"),
            )
        };
        let sizes = [32, 64, 256, 1024].map(of);
        assert!(sizes[0] > 0.0 && sizes.is_sorted(), "{sizes:?}");
    }
}

/// No product is faster than the multiplier, whatever makes its bundles.
#[test]
fn no_product_exceeds_the_multiplier() {
    for types in ["in: i8", "in: i16, in_b: i8", "in: i16", "in: i32, in_b: i16"] {
        for form in
            ["compiler: peano", "compiler: ideal", "compiler: ideal, unrolled_k: true, zero_init: true"]
        {
            let workload = format!("{{kind: gemm_core, {types}, out: i32, m: 32, k: 64, n: 32, {form}}}");
            let share = predicted("fraction", &workload);
            assert!(share > 0.05 && share <= 1.0, "{workload}: {share}");
        }
    }
}

/// Sizes that no memory holds are refused like others.
#[test]
fn sizes_that_no_memory_holds_are_refused() {
    let entries = [
        "{kind: gemm_core, in: i8, out: i32, m: 4294967280, k: 4294967288, n: 4294967280}",
        "{kind: gemm_core, in: i8, out: i32, m: 65536, k: 65536, n: 16}",
        "{kind: conv2d, filter: [1, 1], width: 4294967264, in_channels: 4294967288, out_channels: 64}",
        "{kind: conv2d, filter: [3, 3], width: 4294967264, in_channels: 64, out_channels: 64}",
        "{kind: eltwise, op: copy, dtype: i32, n: 4294967280}",
        "{kind: reduce, op: max, dtype: i8, n: 4294967232}",
        "{kind: vector_scalar_mul, dtype: i16, n: 4294967264}",
        "{kind: softmax, n: 4294967264, rows: 4294967295}",
    ];
    let all = entries.iter().enumerate().map(|(i, w)| entry(&format!("e{i}"), "1", "cycles", w));
    let (report, errors) = report(&all.collect::<String>());
    assert_eq!(errors, "");
    for (row, workload) in report["entries"].as_array().expect("a list").iter().zip(entries) {
        assert!(row["predicted"].is_null() && row["reason"].is_string(), "{workload}: {row}");
    }
}

/// Every kind of one core over its parameters: each has a prediction or says why not, and none panics.
#[test]
fn workloads_of_a_core_over_their_parameters() {
    let mut workloads = Vec::new();
    for compiler in ["peano", "chess", "ideal"] {
        for (types, depths) in [
            ("in: i8, out: i32", [8, 64]),
            ("in: u8, in_b: i8, out: i8", [8, 64]),
            ("in: i16, out: i32", [4, 64]),
            ("in: i16, in_b: i8, out: i16", [4, 64]),
            ("in: i32, in_b: i16, out: i32", [4, 64]),
            ("in: bf16, out: f32", [8, 64]),
            ("in: bf16, out: bf16", [8, 64]),
        ] {
            for block in ["[1, 1]", "[2, 1]", "[2, 2]", "[4, 2]", "[4, 4]"] {
                for k in depths {
                    let sizes = format!("m: 32, k: {k}, n: 32, block: {block}, compiler: {compiler}");
                    workloads.push(format!("{{kind: gemm_core, {types}, {sizes}}}"));
                }
            }
        }
        for (op, dtype) in [("copy", "i8"), ("abs", "i16"), ("add", "i32"), ("max", "u8")] {
            for flags in ["vectorised: false", "pipelined: true", "constant_trips: false"] {
                workloads.push(format!(
                    "{{kind: eltwise, op: {op}, dtype: {dtype}, n: 512, {flags}, compiler: {compiler}}}"
                ));
            }
        }
        for (dtype, pipelined) in [("i16", true), ("i16", false), ("i32", true), ("i32", false)] {
            let sizes = format!("n: 2048, pipelined: {pipelined}, compiler: {compiler}");
            workloads.push(format!("{{kind: vector_scalar_mul, dtype: {dtype}, {sizes}}}"));
        }
        for (filter, block, outputs) in
            [("[1, 1]", 4, 1), ("[3, 3]", 2, 1), ("[3, 3]", 2, 4), ("[1, 1]", 1, 4)]
        {
            let sizes = format!("width: 32, in_channels: 64, out_channels: 32, compiler: {compiler}");
            workloads.push(format!(
                "{{kind: conv2d, filter: {filter}, block: {block}, outputs: {outputs}, {sizes}}}"
            ));
        }
        workloads.push(format!("{{kind: softmax, n: 512, rows: 2, pipelined: true, compiler: {compiler}}}"));
        workloads.push(format!("{{kind: reduce, op: max, dtype: i8, n: 512, compiler: {compiler}}}"));
        workloads.push(format!("{{kind: paired_loads, trips: 100, same_bank: true, compiler: {compiler}}}"));
    }
    let entries: Vec<String> =
        workloads.iter().enumerate().map(|(i, w)| entry(&format!("e{i}"), "1", "cycles", w)).collect();
    let (report, errors) = report(&entries.concat());
    assert_eq!(errors, "");
    for (row, workload) in report["entries"].as_array().expect("a list").iter().zip(&workloads) {
        let predicted = row["predicted"].as_f64();
        assert!(predicted.is_some_and(|cycles| cycles > 0.0), "{workload}: {row}");
    }
}

/// What compilers do with a loop is a matter of the loop, not of one size of it.
#[test]
fn mechanisms_hold_for_other_sizes() {
    let loops = |workload: &str| {
        let value = format!("{{kind: {workload}, components: [loop_bundles, loop_vmac]}}");
        let (report, errors) = report(&entry("one", "[1, 1]", "bundles", &value));
        let of = |i: usize| {
            report["entries"][i]["predicted"]
                .as_f64()
                .unwrap_or_else(|| panic!("{workload}: {report} {errors}"))
        };
        (of(0), of(1))
    };
    for sizes in ["m: 64, k: 64, n: 64", "m: 32, k: 128, n: 32"] {
        let (bundles, products) = loops(&format!("gemm_core, in: i8, out: i32, {sizes}, block: [4, 2]"));
        assert_eq!(products, 8.0, "{sizes}");
        assert!(bundles > products, "copies share one slot: {sizes}: {bundles}");
        // Small loops are doubled.
        assert_eq!(loops(&format!("gemm_core, in: i8, out: i32, {sizes}, block: [2, 2]")).1, 8.0, "{sizes}");
    }
    // Without hint and trips, a loop that carries its sums runs one iteration after another.
    for channels in [64, 128] {
        let sizes = format!("width: 32, in_channels: {channels}, out_channels: 64, block: 4");
        let (hinted, _) = loops(&format!("conv2d, filter: [1, 1], {sizes}, pipelined: true"));
        let (bare, _) = loops(&format!("conv2d, filter: [1, 1], {sizes}"));
        assert!(bare >= hinted + 4.0, "{bare} {hinted}");
    }
}

#[test]
fn files_that_are_no_measurements_are_refused() {
    let folder = Folder::new();
    kiln(&["validate", "absent.yaml"]).error(&["absent.yaml", "No such file"]);
    let file = folder.file("list.yaml", b"- 1\n- 2\n");
    kiln(&["validate", &file]).error(&["list.yaml", "entries"]);
}

#[test]
fn every_kind_is_described() {
    let text = include_str!("../../docs/validation.md");
    for kind in kiln::validate::workload::KINDS {
        assert!(text.contains(&format!("### `{}`", kind.name)), "{} in docs/validation.md", kind.name);
        for quantity in kind.quantities {
            assert!(
                text.contains(&format!("`{quantity}`")),
                "{quantity} of {} in docs/validation.md",
                kind.name
            );
        }
    }
}
