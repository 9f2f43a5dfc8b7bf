//! The designs of `data/mlir` against what the toolchain made of them, and rules of the toolchain one by one.

use super::{LowerError, LowerMode, lower, preview};
use crate::array::lowered::{LoweredJson, TileJson};
use crate::array::{Design, examples, verify};
use crate::device::Device;
use crate::emit::{design_of_mlir, emit_mlir, parse_mlir};
use serde_json::{Value, json};

/// The toolchain's lowering, its flows in order: those have none.
fn sorted(mut lowering: Value) -> Value {
    if let Some(flows) = lowering["flows"].as_array_mut() {
        flows.sort_by_key(Value::to_string);
    }
    lowering
}

/// `hidden` are buffers that the JSON of the toolchain leaves out.
fn compare(design: Design, name: &str, mode: LowerMode, hidden: &[&str]) {
    let Some(folder) = examples::shared_mlir() else { return };
    let suffix = match mode {
        LowerMode::Dynamic => "dynamic",
        LowerMode::Static => "static",
    };
    let file = folder.join(format!("{name}.{suffix}.lowering.json"));
    let theirs: Value =
        serde_json::from_str(&std::fs::read_to_string(file).expect("readable")).expect("JSON");
    let design = verify(design, Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
    let lowered = lower(&design, Device::npu1(), mode).expect("lowers");
    let mut ours = LoweredJson::new(&design, &lowered, mode);
    for tile in ours.tiles.values_mut() {
        tile.buffers.retain(|b| !hidden.contains(&b.name.as_str()));
    }
    assert_eq!(sorted(json!(ours)), sorted(theirs), "{name} {suffix}");
}

/// The design that the file itself describes.
fn imported(name: &str) -> Option<Design> {
    let text = std::fs::read_to_string(examples::shared_mlir()?.join(format!("{name}.mlir")));
    Some(design_of(&text.expect("readable"), name))
}

fn design_of(text: &str, name: &str) -> Design {
    let parsed = parse_mlir(text).unwrap_or_else(|e| panic!("{e}"));
    design_of_mlir(&parsed, name, Device::npu1()).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn the_designs_of_the_files_lower_as_the_toolchain_lowers_them() {
    use LowerMode::{Dynamic, Static};
    // The JSON of `views` leaves `rtp` out (its declaration has one attribute more), but the counter
    // stands where it does only when `rtp` has a place. `dispatch` has no static lowering.
    let both: &[LowerMode] = &[Dynamic, Static];
    let cases = [
        (examples::relu2(), both, &[][..]),
        (examples::mm4x4(), both, &[]),
        (examples::dispatch(), &[Dynamic], &[]),
        (examples::cascade(), both, &[]),
        (examples::views(), both, &["rtp"]),
    ];
    for (built, modes, hidden) in cases {
        for &mode in modes {
            let name = built.name.clone();
            imported(&name).into_iter().for_each(|design| compare(design, &name, mode, hidden));
            compare(built.clone(), &name, mode, hidden);
        }
    }
}

#[test]
fn what_only_run_time_knows_has_no_static_lowering() {
    let design = verify(examples::dispatch(), Device::npu1()).expect("verifies");
    let error = lower(&design, Device::npu1(), LowerMode::Static).expect_err("a trip count from a word");
    assert!(matches!(error, LowerError::StaticTripCount { .. }), "{error}");
}

/// A design of FIFOs between named tiles, with a core that acquires from each of its ends.
struct Text {
    fifos: String,
    cores: Vec<(String, String)>,
}

impl Text {
    fn new(fifos: &str) -> Text {
        Text { fifos: fifos.to_owned(), cores: Vec::new() }
    }

    /// A core that acquires `count` objects of a FIFO's end, `count` at a time.
    fn core(mut self, tile: &str, end: &str, port: &str, count: u32) -> Text {
        let ops = format!(
            "%s_{end}_{port} = aie.objectfifo.acquire @{end}({port}, {count}) : \
             !aie.objectfifosubview<memref<64xi32>>\n\
             aie.objectfifo.release @{end}({port}, {count})\n"
        );
        match self.cores.iter_mut().find(|(at, _)| at == tile) {
            Some((_, body)) => body.push_str(&ops),
            None => self.cores.push((tile.to_owned(), ops)),
        }
        self
    }

    fn lower(&self, mode: LowerMode) -> LoweredJson {
        let design = self.design();
        LoweredJson::new(&design, &preview(&design, Device::npu1(), mode), mode)
    }

    fn design(&self) -> Design {
        let tiles = ["00", "01", "02", "03", "04", "11", "12", "13", "33"];
        let mut text = String::from("module {\naie.device(npu1) {\n");
        for tile in tiles {
            let (col, row) = tile.split_at(1);
            text.push_str(&format!("%t{tile} = aie.tile({col}, {row})\n"));
        }
        text.push_str(&self.fifos);
        for (tile, body) in &self.cores {
            text.push_str(&format!(
                "\n%c{tile} = aie.core(%t{tile}) {{\n\
                 %c0 = arith.constant 0 : index\n%c1 = arith.constant 1 : index\n\
                 %max = arith.constant 9223372036854775807 : index\n\
                 scf.for %i = %c0 to %max step %c1 {{\n{body}}}\naie.end\n}}"
            ));
        }
        text.push_str("\n}\n}\n");
        design_of(&text, "text")
    }
}

fn buffers(tile: &TileJson) -> Vec<&str> {
    tile.buffers.iter().map(|b| b.name.as_str()).filter(|n| !n.starts_with('_')).collect()
}

/// `channel: bd>next ..` of each channel.
fn programs(tile: &TileJson) -> Vec<String> {
    let program = |p: &crate::array::lowered::ChannelJson| {
        let bds: Vec<String> = p
            .bds
            .iter()
            .map(|b| format!("{}+{}x{}:{}>{}", b.buffer, b.offset, b.len, b.bd_id, b.next.unwrap_or(99)))
            .collect();
        format!("{} {}", p.channel, bds.join(" "))
    };
    tile.dma.iter().map(program).collect()
}

/// mlir-aie, AIEObjectFifoStatefulTransform: `findObjectFifoSize`.
#[test]
fn one_number_becomes_what_each_end_acquires_and_one_more() {
    let depth = |number: u32, acquired: u32| {
        let fifo =
            format!("aie.objectfifo @f(%t02, {{%t33}}, {number} : i32) : !aie.objectfifo<memref<64xi32>>");
        let text = Text::new(&fifo).core("02", "f", "Produce", 1).core("33", "f", "Consume", acquired);
        let lowered = text.lower(LowerMode::Static);
        (lowered.tiles["0,2"].buffers.len(), lowered.tiles["3,3"].buffers.len())
    };
    assert_eq!(depth(4, 1), (2, 2));
    assert_eq!(depth(2, 2), (2, 3));
    assert_eq!(depth(1, 1), (1, 1));
    assert_eq!(depth(4, 3), (2, 4));
    let list = "aie.objectfifo @f(%t02, {%t33}, [1, 4]) : !aie.objectfifo<memref<64xi32>>";
    let text = Text::new(list).core("02", "f", "Produce", 1).core("33", "f", "Consume", 2);
    let lowered = text.lower(LowerMode::Static);
    assert_eq!((lowered.tiles["0,2"].buffers.len(), lowered.tiles["3,3"].buffers.len()), (1, 4));
}

#[test]
fn neighbours_share_the_memory_that_both_reach() {
    let shared = |from: &str, to: &str, depth: &str| {
        let fifo =
            format!("aie.objectfifo @f(%t{from}, {{%t{to}}}, {depth}) : !aie.objectfifo<memref<64xi32>>");
        let text = Text::new(&fifo).core(from, "f", "Produce", 1).core(to, "f", "Consume", 2);
        let lowered = text.lower(LowerMode::Static);
        assert!(lowered.flows.is_empty() && lowered.tiles.values().all(|t| t.dma.is_empty()), "{from} {to}");
        let holders = lowered.tiles.iter().filter(|(_, t)| !t.buffers.is_empty());
        holders.map(|(at, t)| format!("{at} {}", buffers(t).join(" "))).collect::<Vec<_>>()
    };
    // North and south reach each other: the producer's memory, and as many objects as the number says.
    assert_eq!(shared("02", "03", "3 : i32"), ["0,2 f_buff_0 f_buff_1 f_buff_2"]);
    assert_eq!(shared("03", "02", "2 : i32"), ["0,3 f_buff_0 f_buff_1"]);
    // A core reaches its western neighbour, never its eastern one.
    assert_eq!(shared("02", "12", "2 : i32"), ["0,2 f_buff_0 f_buff_1"]);
    assert_eq!(shared("12", "02", "[2, 2]"), ["0,2 f_buff_0 f_buff_1"]);
}

#[test]
fn an_order_of_access_takes_a_dma_even_between_neighbours() {
    for (to, from) in [
        (" dimensionsToStream [<size = 8, stride = 1>, <size = 8, stride = 8>]", ""),
        ("", " dimensionsFromStream [<size = 8, stride = 8>, <size = 8, stride = 1>]"),
    ] {
        let fifo =
            format!("aie.objectfifo @f(%t02{to}, {{%t03{from}}}, [2, 2]) : !aie.objectfifo<memref<64xi32>>");
        let lowered = Text::new(&fifo)
            .core("02", "f", "Produce", 1)
            .core("03", "f", "Consume", 1)
            .lower(LowerMode::Static);
        let sizes = |tile: &str| lowered.tiles[tile].dma[0].bds[0].sizes.clone();
        assert_eq!(sizes("0,2").is_some(), !to.is_empty());
        assert_eq!(sizes("0,3").is_some(), !from.is_empty());
        assert_eq!(lowered.flows.len(), 1);
    }
}

#[test]
fn a_broadcast_has_buffers_at_each_consumer() {
    let fifo = "aie.objectfifo @f(%t02, {%t03, %t12, %t33}, 3 : i32) : !aie.objectfifo<memref<64xi32>>";
    let text = Text::new(fifo)
        .core("02", "f", "Produce", 1)
        .core("03", "f", "Consume", 1)
        .core("12", "f", "Consume", 2)
        .core("33", "f", "Consume", 3);
    let lowered = text.lower(LowerMode::Dynamic);
    assert_eq!(buffers(&lowered.tiles["0,2"]), ["f_buff_0", "f_buff_1"]);
    assert_eq!(buffers(&lowered.tiles["0,3"]), ["f_0_cons_buff_0", "f_0_cons_buff_1"]);
    assert_eq!(buffers(&lowered.tiles["1,2"]), ["f_1_cons_buff_0", "f_1_cons_buff_1", "f_1_cons_buff_2"]);
    assert_eq!(lowered.tiles["3,3"].locks[0].init, 4);
    assert_eq!(lowered.flows.len(), 3);
}

/// The parts of a split: a lock pair each, buffers of the whole object, BDs of every part in turn at the source.
#[test]
fn a_split_and_a_join_go_part_by_part() {
    let fifos = "aie.objectfifo @in(%t00, {%t01}, 2 : i32) : !aie.objectfifo<memref<192xi32>>
        aie.objectfifo @a(%t01, {%t02}, 2 : i32) : !aie.objectfifo<memref<64xi32>>
        aie.objectfifo @b(%t01, {%t03}, 2 : i32) : !aie.objectfifo<memref<128xi32>>
        aie.objectfifo.link [@in] -> [@a, @b] ([] [0, 64])
        aie.objectfifo @x(%t02, {%t01}, 2 : i32) : !aie.objectfifo<memref<64xi32>>
        aie.objectfifo @y(%t03, {%t01}, 2 : i32) : !aie.objectfifo<memref<128xi32>>
        aie.objectfifo @out(%t01, {%t00}, 3 : i32) : !aie.objectfifo<memref<192xi32>>
        aie.objectfifo.link [@x, @y] -> [@out] ([0, 64] [])";
    let text = Text::new(fifos)
        .core("02", "a", "Consume", 1)
        .core("02", "x", "Produce", 1)
        .core("03", "b", "Consume", 1)
        .core("03", "y", "Produce", 1);
    let lowered = text.lower(LowerMode::Dynamic);
    let mem = &lowered.tiles["0,1"];
    let locks: Vec<(&str, u8)> = mem.locks.iter().map(|l| (l.name.as_str(), l.init)).collect();
    assert_eq!(
        locks,
        [
            ("out_prod_lock_0", 3),
            ("out_cons_lock_0", 0),
            ("out_prod_lock_1", 3),
            ("out_cons_lock_1", 0),
            ("in_cons_prod_lock_0", 2),
            ("in_cons_cons_lock_0", 0),
            ("in_cons_prod_lock_1", 2),
            ("in_cons_cons_lock_1", 0),
        ]
    );
    assert_eq!(
        programs(mem),
        [
            "S2MM0 in_cons_buff_0+0x64:0>1 in_cons_buff_0+64x128:1>2 in_cons_buff_1+0x64:2>3 in_cons_buff_1+64x128:3>0",
            "MM2S0 in_cons_buff_0+0x64:4>5 in_cons_buff_1+0x64:5>4",
            "MM2S1 in_cons_buff_0+64x128:24>25 in_cons_buff_1+64x128:25>24",
            "S2MM1 out_buff_0+0x64:26>27 out_buff_1+0x64:27>28 out_buff_2+0x64:28>26",
            "S2MM2 out_buff_0+64x128:6>7 out_buff_1+64x128:7>8 out_buff_2+64x128:8>6",
            "MM2S2 out_buff_0+0x64:9>10 out_buff_0+64x128:10>11 out_buff_1+0x64:11>12 out_buff_1+64x128:12>13 \
             out_buff_2+0x64:13>14 out_buff_2+64x128:14>9",
        ]
    );
}

fn locks(tile: &TileJson) -> Vec<(&str, u8)> {
    tile.locks.iter().map(|l| (l.name.as_str(), l.init)).collect()
}

#[test]
fn neighbours_use_dmas_where_they_are_told_to() {
    for attribute in ["via_DMA = true", "repeat_count = 1 : i32"] {
        let fifo = format!(
            "aie.objectfifo @f(%t02, {{%t03}}, 2 : i32) {{{attribute}}} : !aie.objectfifo<memref<64xi32>>"
        );
        let text = Text::new(&fifo).core("02", "f", "Produce", 1).core("03", "f", "Consume", 1);
        let lowered = text.lower(LowerMode::Static);
        assert_eq!(buffers(&lowered.tiles["0,3"]), ["f_cons_buff_0", "f_cons_buff_1"], "{attribute}");
        assert_eq!(lowered.flows.len(), 1);
    }
}

/// mlir-aie, AIEObjectFifoStatefulTransform: locks count sendings, and BDs are written out for each of them but a single
/// one.
#[test]
fn a_repeated_object_is_sent_from_one_buffer() {
    let lowered = |depth: u32, mode| {
        let fifo = format!(
            "aie.objectfifo @f(%t02, {{%t03}}, [{depth}, 2]) {{repeat_count = 3 : i32}} : \
             !aie.objectfifo<memref<64xi32>>"
        );
        let text = Text::new(&fifo).core("02", "f", "Produce", 1).core("03", "f", "Consume", 1);
        let lowered = text.lower(mode);
        assert_eq!(locks(&lowered.tiles["0,2"]), [("f_prod_lock_0", 3 * depth as u8), ("f_cons_lock_0", 0)]);
        assert_eq!(locks(&lowered.tiles["0,3"])[0], ("f_cons_prod_lock_0", 2));
        programs(&lowered.tiles["0,2"]).join("")
    };
    let twice = "MM2S0 f_buff_0+0x64:0>1 f_buff_0+0x64:1>2 f_buff_0+0x64:2>3 \
                 f_buff_1+0x64:3>4 f_buff_1+0x64:4>5 f_buff_1+0x64:5>0";
    assert_eq!(lowered(2, LowerMode::Static), twice);
    assert_eq!(lowered(2, LowerMode::Dynamic), twice);
    assert_eq!(lowered(1, LowerMode::Static), "MM2S0 f_buff_0+0x64:0>0");
    assert_eq!(lowered(1, LowerMode::Dynamic), "MM2S0 f_buff_0+0x64:0>1 f_buff_0+0x64:1>2 f_buff_0+0x64:2>0");
}

#[test]
fn a_link_takes_and_gives_as_often_as_it_sends() {
    let fifos = "aie.objectfifo @in(%t00, {%t01}, 2 : i32) : !aie.objectfifo<memref<128xi32>>
        aie.objectfifo @a(%t01, {%t02}, 2 : i32) {repeat_count = 3 : i32} : !aie.objectfifo<memref<64xi32>>
        aie.objectfifo @b(%t01, {%t03}, 2 : i32) {repeat_count = 3 : i32} : !aie.objectfifo<memref<64xi32>>
        aie.objectfifo.link [@in] -> [@a, @b] ([] [0, 64])";
    let text = Text::new(fifos).core("02", "a", "Consume", 1).core("03", "b", "Consume", 1);
    let design = text.design();
    let lowered = preview(&design, Device::npu1(), LowerMode::Static);
    let mem = &lowered.tiles[&crate::array::Tile::new(0, 1)];
    assert!(mem.locks.iter().all(|l| l.init == if l.name.contains("prod_lock") { 6 } else { 0 }), "{mem:?}");
    let uses: Vec<(String, usize, u8, u8)> = mem
        .dma
        .iter()
        .map(|p| (p.channel.to_string(), p.bds.len(), p.bds[0].acquire.count, p.bds[0].release.count))
        .collect();
    assert_eq!(
        uses,
        [("S2MM0".to_owned(), 4, 3, 3), ("MM2S0".to_owned(), 6, 1, 1), ("MM2S1".to_owned(), 6, 1, 1)]
    );
}

#[test]
fn initial_objects_are_full_at_the_start() {
    let fifo = "aie.objectfifo @f(%t02, {%t33}, 2 : i32) : !aie.objectfifo<memref<2x2xi32>> = \
                [dense<[[0, 1], [2, 3]]> : memref<2x2xi32>, dense<7> : memref<2x2xi32>]";
    let design = Text::new(fifo).core("33", "f", "Consume", 1).design();
    let words = |of: [i32; 4]| of.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    let content = [words([0, 1, 2, 3]), words([7; 4])];
    assert_eq!(design.fifos[0].init, content);
    let lowered = preview(&design, Device::npu1(), LowerMode::Static);
    let tile = &lowered.tiles[&crate::array::Tile::new(0, 2)];
    assert_eq!(tile.buffers.iter().filter_map(|b| b.init.clone()).collect::<Vec<_>>(), content);
    assert_eq!(tile.locks.iter().map(|l| l.init).collect::<Vec<_>>(), [0, 2]);
    let sound = verify(design, Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
    let again = design_of(&emit_mlir(&sound, Device::npu1()).expect("text"), "text");
    assert_eq!(again.fifos[0].init, content);
}

/// A link of two sizes has the buffers of the larger object, and moves it whole.
#[test]
fn a_link_of_two_sizes_moves_the_larger_object() {
    let link = |first: u32, second: u32| {
        let fifos = format!(
            "aie.objectfifo @in(%t00, {{%t01}}, 4 : i32) : !aie.objectfifo<memref<{first}xi32>>
             aie.objectfifo @to(%t01, {{%t02}}, 2 : i32) : !aie.objectfifo<memref<{second}xi32>>
             aie.objectfifo.link [@in] -> [@to] ([] [0])"
        );
        programs(&Text::new(&fifos).core("02", "to", "Consume", 1).lower(LowerMode::Static).tiles["0,1"])
    };
    assert_eq!(
        link(256, 64),
        [
            "S2MM0 in_cons_buff_0+0x256:0>1 in_cons_buff_1+0x256:1>2 in_cons_buff_2+0x256:2>3 in_cons_buff_3+0x256:3>0",
            "MM2S0 in_cons_buff_0+0x256:4>5 in_cons_buff_1+0x256:5>6 in_cons_buff_2+0x256:6>7 in_cons_buff_3+0x256:7>4",
        ]
    );
    assert_eq!(
        link(64, 256),
        ["S2MM0 to_buff_0+0x256:0>1 to_buff_1+0x256:1>0", "MM2S0 to_buff_0+0x256:2>3 to_buff_1+0x256:3>2"]
    );
}

#[test]
fn mem_tiles_pass_objects_on_to_each_other() {
    let fifos = "aie.objectfifo @in(%t00, {%t01}, 2 : i32) : !aie.objectfifo<memref<64xi32>>
        aie.objectfifo @over(%t01, {%t11}, 2 : i32) : !aie.objectfifo<memref<64xi32>>
        aie.objectfifo.link [@in] -> [@over] ([] [])";
    let lowered = Text::new(fifos).lower(LowerMode::Static);
    assert_eq!(buffers(&lowered.tiles["0,1"]), ["in_cons_buff_0", "in_cons_buff_1"]);
    assert_eq!(buffers(&lowered.tiles["1,1"]), ["over_cons_buff_0", "over_cons_buff_1"]);
    assert_eq!(lowered.flows.len(), 2);
}

#[test]
fn counters_stand_behind_what_has_no_name() {
    let fifos = "%x = aie.buffer(%t02) : memref<5xi32>
        %y = aie.buffer(%t02) {sym_name = \"y\", address = 4096 : i32} : memref<4xi32> = dense<[1, 2, 3, 4]>
        aie.objectfifo @f(%t02, {%t03}, 2 : i32) : !aie.objectfifo<memref<64xi32>>";
    let text = Text::new(fifos).core("02", "f", "Produce", 1).core("03", "f", "Consume", 1);
    let lowered = text.lower(LowerMode::Dynamic);
    let places = |tile: &str| -> Vec<(String, u32)> {
        lowered.tiles[tile].buffers.iter().map(|b| (b.name.clone(), b.address)).collect()
    };
    let [_, _, x, y, counter] = &places("0,2")[..] else { panic!("five buffers") };
    assert_eq!(
        (x.0.as_str(), y, counter.0.as_str()),
        ("_anonymous0", &("y".to_owned(), 4096), "_anonymous1")
    );
    assert_eq!(places("0,3")[0].0, "_anonymous2");
}
