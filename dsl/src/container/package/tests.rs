//! Designs become files whose state is the lowering; a configuration with one word changed does not.

use super::*;
use crate::array::{Design, LowerMode, Tile, examples, lower, verify};
use crate::container::cdo::CdoCommand;
use crate::container::image::Piece;
use crate::container::inspect::{FileReport, inspect};

/// A program of one bundle that does nothing, for each core: what is tested here is all around it.
fn images(lowered: &Lowered) -> Vec<CoreImage> {
    let program = |tile: Tile| vec![Piece { address: 0, bytes: vec![1, 0, tile.col, tile.row, 5] }];
    lowered
        .cores
        .iter()
        .map(|c| CoreImage { tile: c.tile, program: program(c.tile), data: Vec::new() })
        .collect()
}

fn prepared(design: Design, mode: LowerMode) -> (Verified<Design>, Lowered, Vec<CoreImage>) {
    let design = verify(design, Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
    let lowered = lower(&design, Device::npu1(), mode).unwrap_or_else(|e| panic!("{e}"));
    let images = images(&lowered);
    (design, lowered, images)
}

#[test]
fn the_examples_become_files_that_say_what_the_lowering_says() {
    for design in examples::all() {
        let name = design.name.clone();
        let (design, lowered, images) = prepared(design, LowerMode::Dynamic);
        let made =
            package(&design, &lowered, Device::npu1(), &images).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(package(&design, &lowered, Device::npu1(), &images).as_ref(), Ok(&made), "{name}: twice");
        let file = Xclbin::read(&made.xclbin).unwrap_or_else(|e| panic!("{name}: {e}"));
        let section = file.section(kind::AIE_PARTITION).expect("a partition");
        let partition = Partition::read(&section.bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(partition.pdis[0].image, made.pdi, "{name}");
        let read = Pdi::read(&made.pdi).unwrap_or_else(|e| panic!("{name}: {e}"));
        let cdo = Cdo::read(&read.cdos[0]).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(cdo, made.cdo, "{name}");
        let FileReport::Xclbin(told) = inspect(&made.xclbin, Device::npu1()).expect("a report") else {
            panic!("{name}: no xclbin")
        };
        let (_, pdi) = &told.partition.expect("a partition").pdis[0];
        let cores = pdi.cdos[0].tiles.iter().filter(|t| t.core.as_ref().is_some_and(|c| c.runs)).count();
        assert_eq!(cores, lowered.cores.len(), "{name}");
        assert_eq!(pdi.cdos[0].problems, Vec::<String>::new(), "{name}");
    }
}

/// Every command that is not there twice matters: without it, or with another value, something differs. Resets and
/// writes of 0 leave no trace in the state, which begins as 0.
#[test]
fn the_check_sees_every_write_that_is_missing_or_different() {
    let (design, lowered, images) = prepared(examples::relu2(), LowerMode::Dynamic);
    let cdo = configure(&design, &lowered, Device::npu1(), &images).unwrap_or_else(|e| panic!("{e}"));
    let differ = |cdo: &Cdo| match ArrayState::of(cdo, Device::npu1()) {
        Ok(state) => !differences(&lowered, &images, &state).is_empty(),
        Err(_) => true,
    };
    assert!(!differ(&cdo));
    let mut seen = 0;
    for at in 0..cdo.commands.len() {
        let leaves_a_trace = match &cdo.commands[at] {
            CdoCommand::Nop(_) | CdoCommand::MaskWrite { mask: 0, .. } => false,
            // Core resets, and channels held in reset.
            CdoCommand::MaskWrite { mask: 2, .. } | CdoCommand::MaskWrite { value: 0, .. } => false,
            // Locks of 0: those that a design names must be written, the others begin as 0.
            CdoCommand::Write { value: 0, address, .. } => *address as u32 & 0xF_FFFF == 0x1_DE04,
            _ => true,
        };
        if !leaves_a_trace {
            continue;
        }
        let mut less = cdo.clone();
        less.commands.remove(at);
        assert!(differ(&less), "without command {at}: {:x?}", cdo.commands[at]);
        let mut other = cdo.clone();
        match &mut other.commands[at] {
            // The enable bit of a port of a switch, else a low one.
            CdoCommand::Write { value, .. } => *value ^= if *value >> 31 == 1 { 1 << 31 } else { 1 << 1 },
            CdoCommand::MaskWrite { value, mask, .. } => *value ^= *mask & mask.wrapping_neg(),
            CdoCommand::BlockWrite { words, .. } => words[0] ^= 1 << 3,
            c => panic!("{c:?}"),
        }
        assert!(differ(&other), "with command {at} changed: {:x?}", cdo.commands[at]);
        seen += 1;
    }
    assert!(seen > 60, "{seen}");
}

#[test]
fn a_package_says_what_it_lacks() {
    let (design, lowered, mut images) = prepared(examples::relu2(), LowerMode::Dynamic);
    let make = |images: &[CoreImage]| {
        package(&design, &lowered, Device::npu1(), images).expect_err("refused").to_string()
    };
    let last = images.pop().expect("two cores");
    assert_eq!(
        make(&images),
        "design relu2: core (0,3) has no program\n  help: give one for every core of the design"
    );
    images.extend([last.clone(), last.clone()]);
    assert!(make(&images).starts_with("design relu2: a program for core (0,3), which"), "{}", make(&images));
    images.pop();
    images.push(CoreImage { tile: Tile::new(1, 2), ..last });
    assert!(make(&images).contains("core (1,2)"), "{}", make(&images));
    images.pop();
    let buffer = &lowered.tiles[&images[0].tile].buffers[0];
    images[0].data.push(Piece { address: buffer.address + 8, bytes: vec![1; 4] });
    let shown = make(&images);
    assert!(shown.contains(&format!("where buffer {} is", buffer.name)), "{shown}");
}

/// Tables, of a core with a program and in whole words or not, are written where the lowering has them.
#[test]
fn initial_contents_are_loaded() {
    let (design, lowered, images) = prepared(examples::views(), LowerMode::Dynamic);
    let made = package(&design, &lowered, Device::npu1(), &images).unwrap_or_else(|e| panic!("{e}"));
    let tile = Tile::new(0, 2);
    let lut = lowered.tiles[&tile].buffers.iter().find(|b| b.name == "lut").expect("a table");
    let state = ArrayState::of(&made.cdo, Device::npu1()).expect("a state");
    assert_eq!(state.data(tile), [Piece { address: lut.address, bytes: vec![7; 256] }]);
}

#[test]
fn a_cascade_has_its_directions() {
    let (design, lowered, images) = prepared(examples::cascade(), LowerMode::Dynamic);
    let made = package(&design, &lowered, Device::npu1(), &images).unwrap_or_else(|e| panic!("{e}"));
    let state = ArrayState::of(&made.cdo, Device::npu1()).expect("a state");
    for row in [2, 3] {
        let cascade = state.cascade(Tile::new(0, row)).expect("directions");
        assert_eq!((cascade.from, cascade.to), ("north", "south"));
    }
}

/// A lowering that `lower` does not make: numbers that no field holds, and flows that no switch carries.
#[test]
fn what_no_register_holds_is_refused() {
    let (design, lowered, images) = prepared(examples::relu2(), LowerMode::Dynamic);
    let refused = |change: &dyn Fn(&mut Lowered)| {
        let mut changed = lowered.clone();
        change(&mut changed);
        configure(&design, &changed, Device::npu1(), &images).expect_err("refused").to_string()
    };
    let core = Tile::new(0, 2);
    let shown = refused(&|l| l.tiles[&core].dma[0].bds[0].len_bytes = 1 << 16);
    assert_eq!(shown, "design relu2: (0,2), BD 0: Buffer_Length is 16384, at most 16383 fits");
    let shown = refused(&|l| l.tiles[&core].dma[0].bds[0].acquire.count = 65);
    assert_eq!(shown, "design relu2: (0,2), BD 0: Lock_Acq_Value is 65, at most 63 fits");
    let dim = |size, stride| crate::array::Dim { size, stride };
    let shown = refused(&|l| l.tiles[&core].dma[0].bds[0].dims = vec![dim(1, 4), dim(2048, 1), dim(2048, 1)]);
    assert_eq!(shown, "design relu2: (0,2), BD 0: D0_Wrap is 512, at most 255 fits");
    let shown = refused(&|l| l.tiles[&core].dma[0].bds[0].dims = vec![dim(1, 4); 5]);
    assert!(shown.starts_with("design relu2: (0,2), BD 0: "), "{shown}");
    let down = |row: u8, channel: u8, to: u8| crate::array::lowered::Flow {
        from: (Tile::new(0, row), channel),
        to: vec![(Tile::new(0, 1), to)],
        fifo: crate::array::FifoId(0),
    };
    // Five streams down four ports, in one column.
    let mut narrow = (*design).clone();
    narrow.columns = 1;
    let narrow = Verified::new(narrow);
    let mut full = lowered.clone();
    full.flows = (0..5).map(|i| down(2 + i / 2, i % 2, i)).collect();
    let shown = configure(&narrow, &full, Device::npu1(), &images).expect_err("refused").to_string();
    assert_eq!(
        shown,
        "design relu2: the switch of (0,2) has too few ports south\n  help: `kiln fit relu2` says what needs them"
    );
}
