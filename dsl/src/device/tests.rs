use super::*;

/// The problems of `npu1.yaml` with one piece of text replaced, as they print.
fn with(from: &str, to: &str) -> Vec<String> {
    assert_eq!(NPU1.1.matches(from).count(), 1, "the test must change exactly one place: {from}");
    problems(&NPU1.1.replacen(from, to, 1))
}

fn problems(text: &str) -> Vec<String> {
    Device::validate(text).iter().map(ToString::to_string).collect()
}

/// Line and column of a piece of text of `npu1.yaml`, both from 1.
fn place(of: &str) -> String {
    let at = NPU1.1.find(of).unwrap();
    let line = NPU1.1[..at].matches('\n').count() + 1;
    let column = at - NPU1.1[..at].rfind('\n').map_or(0, |i| i + 1) + 1;
    format!("{line}:{column}")
}

#[test]
fn npu1_has_no_problems() {
    assert_eq!(problems(NPU1.1), Vec::<String>::new());
    let device = Device::npu1();
    assert_eq!(device.tiles(TileKind::Core).count(), 16);
    assert_eq!(device.tiles(TileKind::Mem).collect::<Vec<_>>(), [0, 1, 2, 3].map(|c| Tile::new(c, 1)));
    assert_eq!(device.core.physical_bank(0x4000), 2);
    assert_eq!(device.core.physical_bank(0x4010), 3);
    assert_eq!(device.core.physical_bank(0xFFFF), 7);
    assert_eq!(device.mem.physical_bank(0x50), 5);
    assert_eq!(device.mem.dma.bds_of_channel(3), 24..48);
    assert_eq!(device.core.dma.bds_of_channel(1), 0..16);
    assert_eq!(device.mlir_device(1), Some("npu1_1col"));
    assert_eq!(device.mlir_device(4), Some("npu1"));
    assert_eq!((device.mlir_device(0), device.mlir_device(5)), (None, None));
    let desktop = device.profile("desktop-8700g").unwrap();
    assert!((desktop.us(1_797_000) - 1_000.0).abs() < 1e-9);
    assert!((desktop.ddr_bytes_per_cycle() - 31.27).abs() < 0.01);
    assert_eq!(Device::from_yaml(NPU1.1, NPU1.0).unwrap(), *device);
}

#[test]
fn latencies_are_those_of_their_class() {
    let device = Device::npu1();
    for (i, class) in LatencyClass::ALL.into_iter().enumerate() {
        assert_eq!(class as usize, i, "`latency` indexes by declaration order");
    }
    assert_eq!(device.latency_cycles(LatencyClass::Vmac), 5);
    assert_eq!(device.latency_cycles(LatencyClass::VmacFloat), 6);
    assert_eq!(device.latency_cycles(LatencyClass::Srs), 4);
    assert_eq!(device.latency(LatencyClass::LoadUps).confidence, Confidence::S);
}

#[test]
fn cores_reach_the_memories_of_three_neighbours() {
    let device = Device::npu1();
    let reaches = |c, r| device.core_reaches(Tile::new(1, 3), Tile::new(c, r));
    assert!(reaches(1, 3) && reaches(1, 4) && reaches(1, 2) && reaches(0, 3));
    assert!(!reaches(2, 3), "never east");
    assert!(!reaches(0, 4) && !reaches(1, 5) && !reaches(1, 9));
    assert!(!device.core_reaches(Tile::new(0, 2), Tile::new(0, 1)), "a mem tile is out of reach of cores");
    assert_eq!(device.tile_kind(Tile::new(4, 2)), None);
    assert_eq!(device.tile_kind(Tile::new(0, 6)), None);
    assert_eq!(device.tile_kind(Tile::new(3, 0)), Some(TileKind::Shim));
}

#[test]
fn unknown_field() {
    let found = with("  default_stack_bytes:", "  default_stakk_bytes:");
    assert_eq!(found.len(), 2);
    let core = place("core:\n");
    assert_eq!(found[0], format!("{core}: core: missing field `default_stack_bytes`"));
    let at = place("default_stack_bytes:");
    assert!(
        found[1].starts_with(&format!(
            "{at}: core.default_stakk_bytes: unknown field\nhelp: the fields here are"
        ))
    );
}

#[test]
fn missing_section() {
    let start = NPU1.1.find("locks:\n").unwrap();
    let end = NPU1.1.find("stream:\n").unwrap();
    let without = format!("{}{}", &NPU1.1[..start], &NPU1.1[end..]);
    let found = problems(&without);
    assert_eq!(found, ["7:1: missing field `locks`"]);
}

#[test]
fn wrong_types() {
    let at = place("4, source: \"TM columns\"");
    let whole = "expected a whole number from 0 to 4294967295, in decimal, found";
    for (bad, shown) in [
        ("four", "`four`"),
        ("\"4\"", "the text \"4\""),
        ("-4", "`-4`"),
        ("4.5", "`4.5`"),
        ("0x4", "`0x4`"),
        ("4294967296", "`4294967296`"),
        ("99999999999999999999999", "`99999999999999999999999`"),
        ("[4]", "a list of 1"),
        ("{a: 4}", "a mapping of 1 keys"),
        ("", "nothing"),
    ] {
        let found = with("columns: {value: 4, source", &format!("columns: {{value: {bad}, source"));
        assert_eq!(found.len(), 1, "{bad}: {found:?}");
        let (place, message) = found[0].split_once(": ").unwrap();
        assert_eq!(message, format!("geometry.columns.value: {whole} {shown}"));
        assert!(bad.is_empty() || place == at, "{bad}: {place}, not {at}");
    }
    let found = with("[0], source: \"TM getTileType\"", "0, source: \"TM getTileType\"");
    assert_eq!(found.len(), 1);
    assert!(found[0].ends_with("geometry.shim_rows.value: expected a list, found `0`"), "{found:?}");
    let found = with("{value: [23, 25],", "{value: [23, 25, 1],");
    assert!(
        found[0].ends_with("core.switch.total.value: expected a list of 2, found a list of 3"),
        "{found:?}"
    );
    let found = with(
        "phoenix-laptop:\n    clock_mhz: {value: 1000,",
        "phoenix-laptop:\n    clock_mhz: {value: fast,",
    );
    assert!(
        found[0].contains("profiles.phoenix-laptop.clock_mhz.value: expected a whole number"),
        "{found:?}"
    );
    let found = with("\nname: npu1\n", "\nname:\n");
    assert_eq!(found, ["8:5: name: expected a text, found nothing"]);
    let found = with("{value: 47.62,", "{value: .inf,");
    assert!(found[0].ends_with("ddr_read_gb_per_s.value: expected a number, found `.inf`"), "{found:?}");
}

#[test]
fn missing_empty_and_undeclared_sources() {
    let of = "columns: {value: 4, source: \"TM columns\", confidence: S}";
    let found = with(of, "columns: 4");
    assert_eq!(
        found,
        [format!("{}: geometry.columns: expected a mapping, found `4`", place("columns: {value: 4"))]
    );
    let found = with(of, "columns: {value: 4, confidence: S}");
    assert!(found[0].ends_with("geometry.columns: missing field `source`"), "{found:?}");
    let found = with(of, "columns: {value: 4, source: \"  \", confidence: S}");
    assert!(found.iter().any(|p| p.contains("geometry.columns.source: the source is empty")), "{found:?}");
    let found = with(of, "columns: {value: 4, source: \"rumour 7\", confidence: S}");
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains("geometry.columns.source: source \"rumour\" is not declared\nhelp: "),
        "{found:?}"
    );
    let found = with(of, "columns: {value: 4, source: \"TM columns\", confidence: high}");
    assert!(
        found[0].ends_with("geometry.columns.confidence: expected one of S, M, M8, I, found `high`"),
        "{found:?}"
    );
    let found = with("sources:\n", "sources:\n  ZZ: nobody\n");
    assert!(found[0].ends_with("sources.ZZ: no value cites this source"), "{found:?}");
}

#[test]
fn inconsistent_numbers() {
    let found = with("data_memory_bytes: {value: 65536,", "data_memory_bytes: {value: 32768,");
    let at = place("65536, source: \"TM getLocalMemorySize\"");
    let message = "65536, but 32768 is stated here";
    assert_eq!(
        found,
        [
            format!("{at}: core.data_memory_bytes: logical_banks x logical_bank_bytes is {message}"),
            format!("{at}: core.data_memory_bytes: physical_banks x physical_bank_bytes is {message}"),
        ]
    );
    let found = with("accumulator_chain_int_cycles: {value: 2,", "accumulator_chain_int_cycles: {value: 3,");
    assert!(found[0].contains("bypass is 2, but 3 is stated here"), "{found:?}");
    let found = with("bds: {value: 48,", "bds: {value: 47,");
    assert!(found[0].contains("mem.dma.bds: the largest multiple of bd_groups up to it is 46"), "{found:?}");
    let found = with("trace: {value: [0, 2],", "trace: {value: [0, 3],");
    assert!(
        found[0].ends_with("core.switch.total: the sum of the slaves is 26, but 25 is stated here"),
        "{found:?}"
    );
    let found = with("default_stack_bytes: {value: 1024,", "default_stack_bytes: {value: 70000,");
    assert!(
        found[0].ends_with("core.default_stack_bytes: 70000 is more than the data memory, 65536"),
        "{found:?}"
    );
    let found = with("mm2s_switch_ports: {value: [3, 7],", "mm2s_switch_ports: {value: [3, 8],");
    assert!(found[0].ends_with("shim.mm2s_switch_ports: 8 is more than the last south port, 7"), "{found:?}");
    let found = with("s2mm_switch_ports: {value: [2, 3],", "s2mm_switch_ports: {value: [2],");
    assert!(found[0].contains("the number of its channels is 2, but 1 is stated here"), "{found:?}");
    let found = with("[npu1_1col, npu1_2col, npu1_3col, npu1]", "[npu1_1col, npu1]");
    assert!(found[0].ends_with("the number of mlir_devices is 2, but 4 is stated here"), "{found:?}");
}

#[test]
fn rows() {
    let change =
        |to: &str| with("compute_rows: {value: [2, 3, 4, 5],", &format!("compute_rows: {{value: {to},"));
    assert!(change("[1, 2, 3, 4, 5]")[0].ends_with("geometry.compute_rows: row 1 is listed more than once"));
    assert!(change("[2, 3, 4]")[0].ends_with("geometry.rows: row 5 is neither shim, mem nor compute"));
    let outside = change("[2, 3, 4, 5, 6]");
    assert!(
        outside[0].ends_with("row 6 does not exist: the array has 6 rows, counted from 0"),
        "{outside:?}"
    );
}

#[test]
fn zero_and_oversized_numbers() {
    let found = with("logical_bank_bytes: {value: 16384,", "logical_bank_bytes: {value: 0,");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[1].ends_with("core.logical_bank_bytes: 0 is outside 1..=4294967295"), "{found:?}");
    let found = with("clock_mhz: {value: 1000,", "clock_mhz: {value: 0,");
    assert!(found[0].ends_with("profiles.phoenix-laptop.clock_mhz: 0 is outside 1..=1000000"), "{found:?}");
    let found = with("  srs: {value: 4,", "  srs: {value: 0,");
    assert!(found[0].ends_with("latency_cycles.srs: 0 is outside 1..=255"), "{found:?}");
    let found = with("  rows: {value: 6,", "  rows: {value: 4000000000,");
    assert!(found[0].ends_with("geometry.rows: 4000000000 is outside 1..=255"), "{found:?}");
}

#[test]
fn latency_classes_and_profiles() {
    let found = with("  vmac: {value: 5,", "  vmacc: {value: 5,");
    assert_eq!(found.len(), 2);
    assert!(found[0].ends_with("latency_cycles: latency class `vmac` has no cycles"), "{found:?}");
    assert!(found[1].contains("latency_cycles.vmacc: no latency class has this name\nhelp: "), "{found:?}");
    let found = with("default_profile: phoenix-laptop", "default_profile: server");
    assert!(
        found[0]
            .contains("no profile is named \"server\"\nhelp: the profiles are phoenix-laptop, desktop-8700g")
    );
    let Err(e) = Device::npu1().profile("server") else { panic!("there is no such profile") };
    assert!(e.to_string().contains("its profiles are phoenix-laptop, desktop-8700g"));
    let Err(e) = Device::named("npu9") else { panic!("there is no such device") };
    assert!(e.to_string().contains("built in are npu1"));
    assert!(
        with("schema_version: 1", "schema_version: 2")[0].ends_with("schema version 2, this program reads 1")
    );
}

#[test]
fn duplicate_keys() {
    let found = with("    ddr_gb_per_s: {value: 15.0,", "    clock_mhz: {value: 15.0,");
    assert!(found.iter().any(|p| p.contains("clock_mhz: already given at line")), "{found:?}");
    assert!(found.iter().any(|p| p.ends_with("missing field `ddr_gb_per_s`")), "{found:?}");
}

#[test]
fn all_problems_at_once_in_file_order() {
    let text = NPU1
        .1
        .replacen("columns: {value: 4,", "columns: {value: four,", 1)
        .replacen("  cascade_bits:", "  cascade_bitz:", 1)
        .replacen("default_profile: phoenix-laptop", "default_profile: server", 1)
        .replacen("  max_value: {value: 63,", "  max_value: {value: 0,", 1);
    let Err(e) = Device::from_yaml(&text, "my.yaml") else { panic!("the text has problems") };
    let message = e.to_string();
    let lines: Vec<&str> = message.lines().filter(|l| l.starts_with("my.yaml:")).collect();
    assert_eq!(lines.len(), 5, "{message}");
    let numbers: Vec<usize> = lines.iter().map(|l| l.split(':').nth(1).unwrap().parse().unwrap()).collect();
    assert!(numbers.is_sorted(), "{message}");
    assert!(message.starts_with("the device description my.yaml has 5 problems:\nmy.yaml:"), "{message}");
}

#[test]
fn not_a_description_at_all() {
    assert_eq!(problems(""), ["1:1: the file is empty"]);
    assert_eq!(problems("4")[0], "1:1: expected a mapping, found `4`");
    assert!(problems("a: [1, 2")[0].contains("not YAML: "));
    assert!(problems("a: 1\n  b: 2\n")[0].starts_with("2:"), "{:?}", problems("a: 1\n  b: 2\n"));
    assert!(problems("a: 1\n---\nb: 2\n")[0].starts_with("2:1: a second YAML document"));
    assert!(problems("? [a]\n: 1\n")[0].ends_with("a key must be a plain word"));
    assert!(problems("a: !!int 3")[0].ends_with("YAML tags are not allowed"));
}

#[test]
fn hostile_yaml() {
    let laughs = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
    assert!(
        problems(laughs)[0].starts_with("1:7: anchors and aliases are not allowed"),
        "{:?}",
        problems(laughs)
    );
    assert!(problems("a: *missing")[0].starts_with("1:4: "));
    for deep in ["[".repeat(50_000), "{a: ".repeat(50_000), "- ".repeat(50_000)] {
        let found = problems(&deep);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].contains("nested deeper than 16 levels") || found[0].contains("not YAML"),
            "{found:?}"
        );
    }
    let wide = format!("a: [{}]", "1,".repeat(150_000));
    assert!(problems(&wide)[0].ends_with("more than 100000 values"));
    let huge = " ".repeat(1 << 21);
    let Err(e) = Device::from_yaml(&huge, "huge.yaml") else { panic!("2 MiB are too many") };
    assert!(e.to_string().contains("the limit is 1048576 bytes"), "{e}");
}

#[test]
fn files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.yaml");
    let Err(e) = Device::load(&path) else { panic!("there is no such file") };
    assert!(e.to_string().contains("d.yaml"), "{e}");
    std::fs::write(&path, NPU1.1).unwrap();
    assert_eq!(Device::load(&path).unwrap(), *Device::npu1());
    std::fs::write(&path, b"name: \xff\xfe").unwrap();
    let Err(e) = Device::load(&path) else { panic!("this is not text") };
    assert!(e.to_string().ends_with("is not UTF-8: byte 6 starts no character"), "{e}");
    let Err(e) = Device::load(folder.path()) else { panic!("this is a folder") };
    assert!(e.to_string().contains("cannot read the device description"), "{e}");
    std::fs::write(&path, vec![b' '; (1 << 20) + 1]).unwrap();
    assert!(matches!(Device::load(&path), Err(DeviceError::TooLarge { .. })));
}

#[test]
fn the_design_document_is_npu1_with_other_memories() {
    assert_eq!(problems(DESIGN_DOCUMENT.1), Vec::<String>::new());
    let (device, npu1) = (Device::design_document(), Device::npu1());
    assert_eq!(Device::named("design-document").unwrap(), device);
    let core = &device.core;
    assert_eq!((core.data_memory_bytes(), core.code_in_data_bytes()), (32 << 10, 4 << 10));
    assert_eq!((device.mem.memory_bytes(), core.program_memory_bytes()), (64 << 10, 4 << 10));
    assert!((device.profile(device.default_profile()).unwrap().ddr_gb_per_s() - 8.0).abs() < 1e-9);
    assert_eq!(device.profiles().count(), 1);
    assert!(device.core.data_memory_bytes.source.starts_with("DD 6.4"));
    assert_eq!(core.dma, npu1.core.dma);
    assert_eq!((&device.latencies, &device.core_timing), (&npu1.latencies, &npu1.core_timing));
    assert_eq!((&device.shim, &device.controller, &device.host), (&npu1.shim, &npu1.controller, &npu1.host));
}

#[test]
fn a_description_that_extends_another() {
    let small = |rest: &str| format!("schema_version: 1\nextends: npu1\nname: small\ndoc: less\n{rest}");
    let same = Device::from_yaml(&small(""), "small.yaml").unwrap();
    assert_eq!(
        (same.name.as_str(), &same.core, &same.dma),
        ("small", &Device::npu1().core, &Device::npu1().dma)
    );
    // Facts are replaced whole, and so need a source of their own.
    let found = problems(&small("core:\n  cascade_bits: {value: 384}\n"));
    assert_eq!(found[0], "6:3: core.cascade_bits: missing field `source`");
    // A contradiction with what stays points at the word that brought it.
    let halved = "core:\n  data_memory_bytes: {value: 32768, source: \"TM\", confidence: I}\n";
    let found = problems(&small(halved));
    assert!(
        found[0].starts_with("6:30: core.data_memory_bytes: logical_banks x logical_bank_bytes is 65536")
    );
    let banks = "core:\n  program_overhead_bytes: {value: 20000, source: \"TM\", confidence: I}\n";
    assert!(problems(&small(banks))[0].contains("20000 is more than the program memory, 16384"));
    let found = problems(&small("sources:\n  XX: nobody\n"));
    assert_eq!(found, ["6:3: sources.XX: no value cites this source"]);
    assert!(problems(&small("coer: {}\n"))[0].starts_with("5:1: coer: unknown field"));
    let unknown = problems(&small("").replace("npu1", "npu7"));
    assert_eq!(
        unknown,
        ["2:10: extends: extends `npu7`, which is not built in\nhelp: built in are npu1, design-document"]
    );
    assert!(problems(&small("").replace("npu1", "[npu1]"))[0].contains("extends a list of 1"));
    let missing = ["schema_version", "name", "doc"].map(|f| format!("1:1: missing field `{f}`"));
    assert_eq!(problems("extends: npu1\n"), missing);
}

proptest::proptest! {
    /// Damage anywhere gives problems or a device, never a panic, and the checks and the typed
    /// reader agree on which.
    #[test]
    fn damaged_files_never_panic(at in 0usize..20_000, cut in 0usize..40, junk in "[-a-z0-9:{}\\[\\]&*!#\"', \n]{0,12}") {
        let from = NPU1.1.floor_char_boundary(at.min(NPU1.1.len()));
        let to = NPU1.1.floor_char_boundary((from + cut).min(NPU1.1.len()));
        let text = format!("{}{junk}{}", &NPU1.1[..from], &NPU1.1[to..]);
        if let Err(DeviceError::Invalid { problems, .. }) = Device::from_yaml(&text, "damaged.yaml") {
            for problem in &problems {
                proptest::prop_assert!(!matches!(problem.kind, ProblemKind::Typed { .. }), "{problem}");
                proptest::prop_assert!(problem.line >= 1 && problem.column >= 1, "{problem}");
            }
        }
    }
}
