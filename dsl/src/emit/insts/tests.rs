//! The streams of `data/mlir`, made and read; and streams that are wrong.

use super::*;
use crate::array::{LowerMode, MemType, examples, lower, verify};
use crate::kernel::Elem;
use proptest::prelude::*;

fn emit(design: Design) -> Vec<u32> {
    let design = verify(design, Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
    let lowered = lower(&design, Device::npu1(), LowerMode::Dynamic).expect("lowers");
    emit_insts(&design, &lowered, Device::npu1()).unwrap_or_else(|e| panic!("{e}"))
}

/// Word for word, with the position of the first difference.
fn equals_file(design: Design) {
    let Some(folder) = examples::shared_mlir() else { return };
    let file = folder.join(format!("{}.insts.txt", design.name));
    let text = std::fs::read_to_string(file).expect("readable");
    let theirs: Vec<u32> =
        text.split_whitespace().map(|w| u32::from_str_radix(w, 16).expect("hex words")).collect();
    let name = design.name.clone();
    let ours = emit(design);
    let different = ours.iter().zip(&theirs).position(|(a, b)| a != b);
    assert_eq!(different, None, "{name}: first different word");
    assert_eq!(ours.len(), theirs.len(), "{name}");
    let insts = decode_insts(&theirs).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(insts.encode(), theirs, "{name}");
}

#[test]
fn the_examples_are_the_files() {
    examples::all().into_iter().for_each(equals_file);
}

fn text(words: &[u32]) -> String {
    decode_insts(words).unwrap_or_else(|e| panic!("{e}")).to_string()
}

#[test]
fn relu2_in_words() {
    insta::assert_snapshot!(text(&emit(examples::relu2())));
}

/// The first column of it: what has dimensions, and a later column.
#[test]
fn mm4x4_in_words() {
    let all = text(&emit(examples::mm4x4()));
    let lines: Vec<&str> = all.lines().take(22).collect();
    insta::assert_snapshot!(lines.join("\n"));
    assert!(all.ends_with("wait for a token of S2MM 0 at shim (3,0)\n"), "{all}");
}

/// `relu2` with a longer input and another first command.
fn relu2_with(change: impl FnOnce(&mut [u64; 4], &mut [u64; 4], &mut [u64; 4])) -> Design {
    let mut design = examples::relu2();
    design.sequence.buffers[0].ty = MemType::flat(Elem::I8, 1 << 20);
    let Command::Copy { offsets, sizes, strides, .. } = &mut design.sequence.commands[0] else {
        panic!("a copy")
    };
    change(offsets, sizes, strides);
    design
}

fn first_bd(design: Design) -> (Vec<u32>, u32, u32) {
    let insts = decode_insts(&emit(design)).unwrap();
    match &insts.ops[..3] {
        [Inst::BlockWrite { words, .. }, Inst::Patch { offset_bytes, .. }, Inst::Write { value, .. }] => {
            (words.clone(), *offset_bytes, *value)
        }
        other => panic!("{other:?}"),
    }
}

/// Bits by hand from AM025: iteration count less one in 25:20, step in words less one in 19:0.
#[test]
fn a_repeat_that_moves_is_an_iteration() {
    let (words, offset, task) = first_bd(relu2_with(|offsets, sizes, strides| {
        (*offsets, *sizes, *strides) = ([1, 0, 0, 64], [4, 1, 1, 16384], [16384, 0, 0, 1]);
    }));
    assert_eq!((words[0], words[3], words[6]), (4096, 0, 3 << 20 | 4095));
    assert_eq!((offset, task), (16384 + 64, 3 << 16));
}

#[test]
fn a_repeat_in_place_is_left_to_the_queue() {
    let (words, _, task) = first_bd(relu2_with(|_, sizes, strides| {
        (*sizes, *strides) = ([4, 1, 1, 16384], [0, 0, 0, 1]);
    }));
    assert_eq!((words[0], words[6], task), (4096, 0, 3 << 16));
}

/// The dimensions cover 8 x 128 x 64 bytes in order: no dimension is encoded.
#[test]
fn contiguous_dimensions_are_linear() {
    let (words, ..) = first_bd(relu2_with(|_, sizes, strides| {
        (*sizes, *strides) = ([1, 8, 128, 64], [0, 8192, 64, 1]);
    }));
    assert_eq!(words, [16384, 0, 0, 0, 2 << 30, 2 << 24, 0, 1 << 25]);
}

#[test]
fn the_sixth_argument_is_moved_to_host_memory() {
    let mut design = examples::relu2();
    for i in 0..5 {
        let (name, ty) = (format!("more{i}"), MemType::flat(Elem::I8, 1 << 20));
        design.sequence.buffers.push(crate::sequence::HostBuffer { name, ty });
    }
    let Command::Copy { buffer, .. } = &mut design.sequence.commands[0] else { panic!("a copy") };
    *buffer = HostBufferId(4);
    assert_eq!(first_bd(design.clone()).1, 0);
    let Command::Copy { buffer, offsets, .. } = &mut design.sequence.commands[0] else { panic!("a copy") };
    (*buffer, offsets[3]) = (HostBufferId(5), 4096);
    assert_eq!(first_bd(design.clone()).1, 0x8000_1000);
    let shown = text(&emit(design));
    assert!(shown.contains("argument 5 + 4096 bytes + 0x80000000, where host memory begins"), "{shown}");
}

#[test]
fn a_stride_that_no_field_holds() {
    // `verify` leaves the innermost stride of a single element alone; the toolchain refuses it.
    let mut design = relu2_with(|_, sizes, strides| {
        (*sizes, *strides) = ([1, 1, 4096, 1], [0, 0, 1, 1 << 22]);
    });
    design.sequence.buffers[0].ty = MemType::flat(Elem::I32, 4096);
    let design = Verified::new(design);
    let lowered = lower(&design, Device::npu1(), LowerMode::Dynamic).expect("lowers");
    let error = emit_insts(&design, &lowered, Device::npu1()).expect_err("too wide");
    let shown = error.to_string();
    assert!(shown.starts_with("copy of fifo in_l2: D0_Stepsize is 4194303, at most 1048575 fits"), "{shown}");
}

#[test]
fn a_lowering_of_another_design() {
    let design = verify(examples::relu2(), Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
    let mut lowered = lower(&design, Device::npu1(), LowerMode::Dynamic).expect("lowers");
    lowered.shim_channels.clear();
    let error = emit_insts(&design, &lowered, Device::npu1()).expect_err("no channel");
    assert!(matches!(error, InstsError::NoShimChannel { ref fifo, .. } if fifo == "in_l2"), "{error}");
}

/// The stream of `relu2` with one word replaced.
fn with(at: usize, value: u32) -> DecodeError {
    let mut words = emit(examples::relu2());
    words[at] = value;
    decode_insts(&words).expect_err("wrong")
}

#[test]
fn each_thing_wrong_is_named() {
    use DecodeError as E;
    let good = emit(examples::relu2());
    assert_eq!(decode_insts(&[]), Err(E::NoHeader { words: 0 }));
    assert_eq!(insts_from_bytes(&[1, 2, 3]), Err(E::NotWords { bytes: 3 }));
    assert_eq!(insts_from_bytes(&insts_to_bytes(&good)).as_deref(), Ok(&good[..]));
    assert_eq!(decode_insts(&good[..20]), Err(E::Size { stated: 300, got: 80 }));
    assert_eq!(with(0, 0x0604_0100), E::Generation { got: 4, known: vec![3] });
    assert_eq!(with(0, 0x0603_0001), E::Version { expected: (0, 1), major: 1, minor: 0 });
    assert!(matches!(with(1, 0x105), E::Partition { columns: 5, .. }));
    assert_eq!(with(1, 0x1_0104), E::Reserved { at: 1, got: 0x1_0104, allowed: 0xFFFF });
    assert_eq!(with(2, 9), E::Count { stated: 9, got: 8 });
    assert_eq!(with(3, u32::MAX), E::Size { stated: u32::MAX, got: 300 });
    assert_eq!(with(4, 0x10), E::UnknownOp { at: 4, op: 0x10 });
    assert_eq!(with(4, 2), E::UnsupportedOp { at: 4, op: 2, name: "block set" });
    assert_eq!(with(5, 1), E::TwoTiles { at: 5, stated: Tile::new(1, 0), of_address: Tile::new(0, 0) });
    assert_eq!(with(6, 0x1D001), E::Misaligned { at: 6, address: 0x1D001 });
    assert!(matches!(with(6, 0x0801_D000), E::TileOutside { at: 6, tile: Tile { col: 4, row: 0 }, .. }));
    assert_eq!(with(6, 0xF_FFF0), E::LeavesTile { at: 4, address: 0xF_FFF0, bytes: 32 });
    assert!(matches!(with(7, 16), E::OpSize { at: 7, got: 16, .. }));
    assert_eq!(with(7, 0xFFFF_FFFC), E::Truncated { at: 4, words: 0x3FFF_FFFF, left: 71 });
    assert!(matches!(with(17, 44), E::OpSize { at: 17, got: 44, .. }));
    assert!(matches!(with(72, 4), E::OpSize { at: 72, .. }));
    let last = good.len() - 1;
    assert!(matches!(with(last, 0x0201_0100), E::NoChannel { channel: 2, .. }));
    assert!(matches!(with(last, 0x0009_0100), E::TileOutside { tile: Tile { col: 8, row: 0 }, .. }));
    let mut cut = good.clone();
    cut.truncate(last);
    cut[3] -= 4;
    assert_eq!(decode_insts(&cut), Err(E::Truncated { at: last - 3, words: 4, left: 3 }));
}

fn arbitrary_inst() -> impl Strategy<Value = Inst> {
    // Registers of every kind of tile: a column and row of the array, a word of the tile.
    let address = (0u32..4, 0u32..6, 0u32..0x3_FFF0)
        .prop_map(|(col, row, word)| (col << 25) | (row << 20) | (word * 4));
    let bd = (0u32..4, 0u32..6, 0u32..16).prop_map(|(col, row, bd)| {
        ((col << 25) | (row << 20)) + (if row == 1 { 0xA_0000 } else { 0x1_D000 }) + bd * 0x20
    });
    let any_address = prop_oneof![address, bd];
    let words = prop::collection::vec(any::<u32>(), 1..12);
    prop_oneof![
        (any_address.clone(), any::<u32>()).prop_map(|(address, value)| Inst::Write { address, value }),
        (any_address.clone(), any::<bool>(), words).prop_map(|(address, stated, words)| {
            let (tile, _) = Device::npu1().place(address);
            let tile = Some(tile).filter(|&t| stated && t != Tile::new(0, 0));
            Inst::BlockWrite { address, tile, words }
        }),
        (any_address.clone(), any::<u32>(), any::<u32>())
            .prop_map(|(address, value, mask)| Inst::MaskWrite { address, value, mask }),
        (any_address.clone(), any::<u32>(), any::<u32>(), any::<bool>())
            .prop_map(|(address, value, mask, busy)| Inst::MaskPoll { address, value, mask, busy }),
        Just(Inst::Noop),
        any::<u8>().prop_map(|level| Inst::Preempt { level }),
        (any::<u16>(), any::<u32>(), any::<u64>()).prop_map(|(id, bytes, address)| Inst::LoadPdi {
            id,
            bytes,
            address
        }),
        (any::<u8>(), any::<u32>(), any::<u64>())
            .prop_map(|(usage, bytes, address)| Inst::CreateScratchpad { usage, bytes, address }),
        (any::<u8>(), any::<u8>(), any::<u32>(), any_address.clone()).prop_map(
            |(state, function, argument, address)| Inst::UpdateRegister {
                state,
                function,
                argument,
                address
            }
        ),
        (0u8..4, 0u8..6, any::<bool>(), 0u8..2).prop_map(|(col, row, reads, index)| {
            let direction = if reads { Direction::Mm2s } else { Direction::S2mm };
            let channel = Channel { direction, index };
            Inst::Sync { tile: Tile::new(col, row), columns: 4 - col, rows: 6 - row, channel }
        }),
        (any_address, any::<u32>(), any::<u32>()).prop_map(|(address, argument, offset_bytes)| Inst::Patch {
            address,
            argument,
            offset_bytes
        }),
    ]
}

fn stream(ops: Vec<Inst>) -> Insts {
    let (format_major, format_minor, device_generation) = (0, 1, 3);
    let header =
        InstsHeader { format_major, format_minor, device_generation, rows: 6, columns: 4, mem_rows: 1 };
    Insts { header, ops }
}

proptest! {
    #[test]
    fn encoded_streams_decode_to_themselves(ops in prop::collection::vec(arbitrary_inst(), 0..20)) {
        let insts = stream(ops);
        let decoded = decode_insts(&insts.encode());
        prop_assert_eq!(decoded.as_ref(), Ok(&insts));
        // One line for the header and at least one per operation.
        prop_assert!(insts.to_string().lines().count() > insts.ops.len());
    }

    /// Words changed, removed and added: refused with a message, or read as what encodes to them.
    #[test]
    fn mutated_streams_do_not_panic(
        ops in prop::collection::vec(arbitrary_inst(), 0..12),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u32>(), 0u8..6), 0..6),
        repair in any::<bool>(),
    ) {
        let mut words = stream(ops).encode();
        for (at, value, how) in changes {
            if words.is_empty() {
                break;
            }
            let at = at.index(words.len());
            match how {
                0 => words[at] = value,
                1 => words[at] ^= 1 << (value % 32),
                2 => words[at] = value % 0x90,
                3 => words.truncate(at),
                4 => words.insert(at, value),
                _ => { words.remove(at); }
            }
        }
        if repair && words.len() >= HEADER_WORDS {
            words[3] = words.len() as u32 * 4;
        }
        match decode_insts(&words) {
            Ok(insts) => {
                prop_assert_eq!(insts.encode(), words);
                prop_assert!(!insts.to_string().is_empty());
            }
            Err(e) => prop_assert!(!e.to_string().is_empty()),
        }
    }

    #[test]
    fn noise_is_refused(words in prop::collection::vec(any::<u32>(), 0..200)) {
        // A header by chance has a probability of 2^-100.
        prop_assert!(decode_insts(&words).is_err());
    }
}
