//! Files that other tools wrote, read and written again byte for byte, and the design that some of them configure.
//!
//! They are `data/isa/containers.json` of the reference data (`KILN_SHARED`), and with `KILN_XCLBINS` a folder of
//! xclbins, such as AMDResearch/Riallto's `npu/lib/applications/binaries`.

use super::cdo::{Cdo, CdoBuilder, CdoCommand};
use super::image::{CoreImage, Piece};
use super::state::{ArrayState, BdLock, End};
use super::xclbin::{Partition, Xclbin, kind};
use super::{Pdi, configure};
use crate::array::lowered::{Channel, Direction, Lowered};
use crate::array::{Design, DesignBuilder, LowerMode, MemType, Port, Tile, examples, lower, verify};
use crate::device::{Device, SwitchBundle};
use crate::kernel::{Elem, ParamKind};
use crate::verified::Verified;
use serde_json::Value;
use std::collections::BTreeMap;

fn containers() -> Option<Value> {
    let text = std::fs::read_to_string(examples::shared("data/isa/containers.json")?).expect("readable");
    Some(serde_json::from_str(&text).expect("JSON"))
}

fn hex(of: &Value) -> Vec<u8> {
    let text = of.as_str().expect("hexadecimal text");
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(byte).collect()
}

fn number(of: &Value) -> u32 {
    let text = of.as_str().expect("a number as text");
    u32::from_str_radix(text.trim_start_matches("0x"), 16).expect("hexadecimal")
}

/// The same writes, through the builder.
fn rebuilt(cdo: &Cdo) -> Vec<u8> {
    let mut out = CdoBuilder::default();
    for command in &cdo.commands {
        match command {
            CdoCommand::Nop(_) => {}
            &CdoCommand::Write { address, value, .. } => out.write(address as u32, value),
            &CdoCommand::MaskWrite { address, mask, value, .. } => {
                out.mask_write(address as u32, mask, value)
            }
            CdoCommand::BlockWrite { address, words } => out.block_write(*address as u32, words.clone()),
            other => panic!("{other:?}"),
        }
    }
    out.finish().to_bytes()
}

fn low_word(address: u64) -> u32 {
    u32::try_from(address).expect("an address of the array")
}

#[test]
fn cdos_are_read_as_listed_and_written_byte_for_byte() {
    let Some(data) = containers() else { return };
    for file in data["cdo"].as_array().expect("a list") {
        let (name, bytes) = (&file["file"], hex(&file["bytes"]));
        let cdo = Cdo::read(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(cdo.to_bytes(), bytes, "{name}");
        assert_eq!(rebuilt(&cdo), bytes, "{name}: padding and no-ops");
        let told: Vec<Vec<u32>> = cdo
            .commands
            .iter()
            .filter_map(|c| match c {
                CdoCommand::Nop(_) => None,
                &CdoCommand::Write { address, value, .. } => Some(vec![0x108, 0, low_word(address), value]),
                &CdoCommand::MaskWrite { address, mask, value, .. } => {
                    Some(vec![0x107, 0, low_word(address), mask, value])
                }
                CdoCommand::BlockWrite { address, words } => {
                    Some([&[0x105, 0, low_word(*address)], &words[..]].concat())
                }
                other => panic!("{name}: {other:?}"),
            })
            .collect();
        let listed: Vec<Vec<u32>> = file["commands"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|c| {
                let words = c["words"].as_array().expect("a list").iter().map(number);
                std::iter::once(number(&c["op"])).chain(words).collect()
            })
            .collect();
        assert_eq!(told, listed, "{name}");
    }
}

#[test]
fn a_whole_xclbin_is_rebuilt_byte_for_byte() {
    let Some(data) = containers() else { return };
    let ours = &data["ours"];
    let bytes = hex(&ours["xclbin"]);
    let xclbin = assert_rebuilt("ours", &bytes);
    let section = xclbin.section(kind::AIE_PARTITION).expect("a partition");
    let partition = Partition::read(&section.bytes).unwrap_or_else(|e| panic!("{e}"));
    let at = ours["pdi_offset"].as_u64().expect("a number") as usize;
    let pdi = &bytes[at..at + ours["pdi_bytes"].as_u64().expect("a number") as usize];
    assert_eq!(partition.pdis[0].image, pdi);
    let cdo = Cdo::read(&Pdi::read(pdi).expect("a PDI").cdos[0]).expect("a CDO");
    assert_eq!(rebuilt(&cdo), cdo.to_bytes());
    assert_eq!(cdo.to_bytes().len() as u64, ours["cdo_bytes"].as_u64().expect("a number"));
}

/// Frame, partition, PDIs and CDOs come out as they were.
fn assert_rebuilt(name: &str, bytes: &[u8]) -> Xclbin {
    let xclbin = Xclbin::read(bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(xclbin.to_bytes() == bytes, "{name}: the frame");
    let section = xclbin.section(kind::AIE_PARTITION).expect("a partition");
    let partition = Partition::read(&section.bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(partition.to_bytes() == section.bytes, "{name}: the partition");
    for pdi in &partition.pdis {
        let read = Pdi::read(&pdi.image).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(read.cdos.len(), 1, "{name}");
        assert!(Pdi::write(&read.cdos[0]) == pdi.image, "{name}: the PDI");
        let cdo = Cdo::read(&read.cdos[0]).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(cdo.to_bytes() == read.cdos[0], "{name}: the CDO");
        let state = ArrayState::of(&cdo, Device::npu1()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (routes, wrong) = state.routes();
        assert_eq!(wrong, Vec::<String>::new(), "{name}");
        assert!(!routes.is_empty(), "{name}: no routes");
    }
    xclbin
}

#[test]
fn xclbins_of_a_folder_are_rebuilt_byte_for_byte() {
    let Some(folder) = std::env::var_os("KILN_XCLBINS") else {
        eprintln!("skipped: KILN_XCLBINS is not set (a folder of xclbins of other tools)");
        return;
    };
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|e| e == "xclbin") {
            assert_rebuilt(&path.display().to_string(), &std::fs::read(&path).expect("readable"));
            seen += 1;
        }
    }
    assert!(seen > 0, "KILN_XCLBINS holds no xclbin");
    eprintln!("{seen} xclbins rebuilt");
}

fn channel(direction: Direction, index: u8) -> Channel {
    Channel { direction, index }
}

/// The state that mlir-aie's CDO leaves is the design that `containers.json` tells in words.
#[test]
fn the_state_of_a_cdo_is_the_design_in_words() {
    let Some(data) = containers() else { return };
    let cdo = Cdo::read(&hex(&data["cdo"][0]["bytes"])).expect("a CDO");
    let state = ArrayState::of(&cdo, Device::npu1()).expect("a state");
    let (core, shim) = (Tile::new(0, 2), Tile::new(0, 0));
    let set: Vec<(u32, u32)> = state.locks(core).into_iter().filter(|(_, v)| *v != 0).collect();
    assert_eq!(set, [(0, 2), (2, 2)]);
    let bds = state.bds(core);
    let told = |bd: u32| {
        let b = &bds[&bd];
        (
            b.address,
            b.len_bytes,
            b.acquire.map(|l| (l.id, l.value)),
            b.release.map(|l| (l.id, l.value)),
            b.next,
        )
    };
    assert_eq!(told(0), (1024, 68, Some((0, -1)), Some((1, 1)), Some(1)));
    assert_eq!(told(1), (16384, 68, Some((0, -1)), Some((1, 1)), Some(0)));
    assert_eq!(told(2), (32768, 64, Some((3, -1)), Some((2, 1)), Some(3)));
    assert_eq!(told(3), (49152, 64, Some((3, -1)), Some((2, 1)), Some(2)));
    assert!(bds.values().all(|b| b.valid && b.dims.is_empty() && b.iteration.0 == 1));
    let starts: Vec<(Channel, u32)> = state.tiles[&core].starts.iter().map(|s| (s.channel, s.bd)).collect();
    assert_eq!(starts, [(channel(Direction::S2mm, 0), 0), (channel(Direction::Mm2s, 0), 2)]);
    let (routes, wrong) = state.routes();
    assert_eq!(wrong, Vec::<String>::new());
    let dma = |tile, direction| End::Dma(tile, channel(direction, 0));
    let circuits: Vec<(End, Vec<End>)> =
        routes.iter().filter(|r| r.packets.is_none()).map(|r| (r.from, r.to.clone())).collect();
    assert_eq!(
        circuits,
        [
            (dma(shim, Direction::Mm2s), vec![dma(core, Direction::S2mm)]),
            (dma(core, Direction::Mm2s), vec![dma(shim, Direction::S2mm)]),
        ]
    );
    let packets: Vec<_> = routes.iter().filter(|r| r.packets.is_some()).collect();
    assert_eq!(packets.len(), 1);
    assert_eq!(packets[0].packets, Some((15, 31)));
    assert!(matches!(packets[0].from, End::Port(t, p) if t == shim && p.bundle == SwitchBundle::Control));

    // The traced design: both locks of its mem tile's BDs are its own, 64 and on, and trace packets reach the shim.
    let cdo = Cdo::read(&hex(&data["cdo"][2]["bytes"])).expect("a CDO");
    let state = ArrayState::of(&cdo, Device::npu1()).expect("a state");
    let bds = state.bds(Tile::new(0, 1));
    assert_eq!(bds.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 24, 25, 26, 27]);
    assert_eq!(bds[&0].acquire, Some(BdLock { id: 64, value: -1 }));
    assert_eq!(bds[&25].address, 0x8_0000 + 0x3_0000);
    let (routes, wrong) = state.routes();
    assert_eq!(wrong, Vec::<String>::new());
    let traced: Vec<(u32, Vec<End>)> = routes
        .iter()
        .filter(|r| matches!(r.from, End::Port(_, p) if p.bundle == SwitchBundle::Trace))
        .map(|r| (r.packets.expect("packets").0, r.to.clone()))
        .collect();
    assert_eq!(traced.len(), 3);
    assert!(traced.iter().all(|(_, to)| *to == [End::Dma(shim, channel(Direction::S2mm, 1))]), "{traced:?}");
}

/// The design of `aie.mlir.prj`.
fn passthrough() -> Design {
    let d = DesignBuilder::new("aie_mlir_prj", "One core between two FIFOs.");
    d.columns(1);
    let (shim, core) = (Tile::new(0, 0), Tile::new(0, 2));
    let words = |n| MemType::flat(Elem::I32, n);
    let copy = d.kernel(examples::kernel(
        "copy",
        vec![
            examples::param("x", ParamKind::In, Elem::I32, 17),
            examples::param("y", ParamKind::Out, Elem::I32, 16),
        ],
    ));
    let input = d.fifo("in", shim, [core], words(17));
    let output = d.fifo("out", core, [shim], words(16));
    d.core(core, |c| {
        c.forever(|c| {
            let (x, y) = (c.consume(input), c.produce(output));
            c.call(copy, (x, y));
            c.release(input, Port::Consume, 1);
            c.release(output, Port::Produce, 1);
        });
    });
    d.sequence(|s| {
        let (x, y) = (s.buffer("x", words(17)), s.buffer("y", words(16)));
        s.copy_linear(x, input, 0, 17);
        s.copy_linear(y, output, 0, 16);
        s.wait(output);
    });
    d.build()
}

fn lowered(design: Design) -> (Verified<Design>, Lowered) {
    let design = verify(design, Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
    let lowered = lower(&design, Device::npu1(), LowerMode::Static).expect("lowers");
    (design, lowered)
}

/// Our configuration of mlir-aie's design has mlir-aie's writes, but for the ports that flows take between switches;
/// their ways begin and end at the same places.
#[test]
fn a_design_becomes_the_writes_of_mlir_aie() {
    let Some(data) = containers() else { return };
    let theirs = |n: usize| Cdo::read(&hex(&data["cdo"][n]["bytes"])).expect("a CDO");
    let (init, enable) = (theirs(0), theirs(1));
    let (design, lowered) = lowered(passthrough());
    let tile = Tile::new(0, 2);
    let program = vec![Piece { address: 0, bytes: vec![1, 0] }];
    let images = [CoreImage { tile, program, data: Vec::new() }];
    let ours = configure(&design, &lowered, Device::npu1(), &images).unwrap_or_else(|e| panic!("{e}"));
    // Their first CDO, with the program, is not among the files: ours begins with those ten writes.
    let is_nop = |c: &&CdoCommand| matches!(c, CdoCommand::Nop(_));
    let switches = |c: &&CdoCommand| {
        let in_tile = |at: u64| at as u32 & 0xF_FFFF;
        matches!(c, CdoCommand::Write { address, .. }
            if (0x3_F000..0x3_F400).contains(&in_tile(*address)) || in_tile(*address) >= 0xB_0000)
    };
    let ours_after: Vec<&CdoCommand> = ours.commands.iter().filter(|c| !is_nop(c)).skip(10).collect();
    let theirs_all: Vec<&CdoCommand> =
        init.commands.iter().chain(&enable.commands).filter(|c| !is_nop(c)).collect();
    let counted = |all: &[&CdoCommand]| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        all.iter().filter(|c| !switches(c)).for_each(|c| *counts.entry(format!("{c:x?}")).or_default() += 1);
        counts
    };
    assert_eq!(counted(&ours_after), counted(&theirs_all));
    let switched = |all: &[&CdoCommand]| all.iter().filter(|c| switches(c)).count();
    assert_eq!(switched(&ours_after), switched(&theirs_all));
    let routes = |cdo: &Cdo| ArrayState::of(cdo, Device::npu1()).expect("a state").routes();
    assert_eq!(routes(&ours), routes(&init));
    // The order of what must not change places: resets, locks, descriptors, tasks, switches, start.
    let order = |all: &[&CdoCommand]| {
        let phase = |c: &&CdoCommand| match c {
            CdoCommand::BlockWrite { .. } => 2,
            CdoCommand::Write { address, .. } if *address as u32 & 0xF_FFF0 == 0x1_DE00 => 3,
            CdoCommand::MaskWrite { mask: 0, .. } => 3,
            c if switches(c) => 4,
            CdoCommand::MaskWrite { address, mask: 1, .. } if *address == 0x23_2000 => 6,
            CdoCommand::MaskWrite { address, .. } if *address < 0x10_0000 => 5,
            CdoCommand::MaskWrite { .. } => 0,
            _ => 1,
        };
        let mut phases: Vec<i32> = all.iter().map(phase).collect();
        phases.dedup();
        phases
    };
    assert_eq!(order(&ours_after), order(&theirs_all));
}
