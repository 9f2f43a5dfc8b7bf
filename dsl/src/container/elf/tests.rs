//! Programs by hand, as other tools write them, and programs that are wrong.

use super::*;
use proptest::prelude::*;

fn segment(address: u32, bytes: &[u8], executable: bool) -> Segment {
    Segment { address, bytes: bytes.to_vec(), executable, writable: !executable }
}

fn program() -> CoreElf {
    let segments = vec![segment(0, &[1, 0, 1, 0], true), segment(0x7_0400, &[7; 33], false)];
    CoreElf { entry: 0, flags: FLAGS_AIE2, segments, sections: Vec::new() }
}

#[test]
fn a_written_program_is_read_with_its_sections() {
    let read = CoreElf::read(&program().to_bytes()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(read.segments, program().segments);
    assert_eq!((read.entry, read.flags), (0, FLAGS_AIE2));
    let sections: Vec<(&str, u32, u32)> =
        read.sections.iter().map(|s| (s.name.as_str(), s.address, s.bytes)).collect();
    assert_eq!(sections, [(".text", 0, 4), (".data", 0x7_0400, 33), (".shstrtab", 0, 23)]);
    assert_eq!(CoreElf { sections: Vec::new(), ..read }, program());
}

/// The header's fields by hand, where binutils and LLVM look for them.
#[test]
fn the_header_is_that_of_an_executable_of_aie2() {
    let bytes = program().to_bytes();
    assert_eq!(&bytes[..8], b"\x7FELF\x01\x01\x01\0");
    let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    assert_eq!(
        [half(16), half(18), half(40), half(42), half(44), half(46), half(48), half(50)],
        [2, 264, 52, 32, 2, 40, 4, 3]
    );
    assert_eq!(bytes[36], 2);
}

/// Zeros that the file leaves out, other kinds of segments, and no section table at all.
#[test]
fn other_tools_files_are_read() {
    let mut bytes = program().to_bytes();
    let put =
        |bytes: &mut Vec<u8>, at: usize, word: u32| bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
    // The second segment grows in memory.
    put(&mut bytes, 52 + 32 + 20, 40);
    // No section headers.
    put(&mut bytes, 32, 0);
    bytes[48..50].fill(0);
    let read = CoreElf::read(&bytes).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(read.segments[1].bytes, [&[7; 33][..], &[0; 7]].concat());
    assert_eq!(read.sections, []);
    // A segment that is not loaded.
    put(&mut bytes, 52, 0x6474_E551);
    assert_eq!(CoreElf::read(&bytes).expect("read").segments.len(), 1);
}

#[test]
fn each_thing_wrong_is_named() {
    use ElfError as E;
    let good = program().to_bytes();
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        CoreElf::read(&file)
    };
    assert_eq!(CoreElf::read(b"\x7FEL"), Err(E::Magic));
    assert!(matches!(CoreElf::read(&good[..40]), Err(E::Outside { what: "its header", .. })));
    assert_eq!(with(4, &[2]), Err(E::Class { class: 2, data: 1 }));
    assert_eq!(with(18, &[62, 0]), Err(E::Machine { got: 62 }));
    assert_eq!(with(42, &[56, 0]), Err(E::Entry { what: "segment headers", got: 56, expected: 32 }));
    assert!(matches!(with(28, &[0xFF; 4]), Err(E::Outside { what: "segment headers", .. })));
    assert!(matches!(with(44, &[0xFF; 2]), Err(E::Outside { what: "segment headers", .. })));
    assert!(matches!(with(56, &[0xFF; 4]), Err(E::Outside { what: "a segment", .. })));
    assert!(matches!(with(68, &[0xFF; 4]), Err(E::Segment { segment: 0, in_file: u32::MAX, .. })));
    assert!(matches!(with(72, &[0, 0, 0, 0x7F]), Err(E::TooLarge { bytes: 0x7F00_0000 })));
    assert!(matches!(with(60, &[0xFF; 4]), Err(E::Segment { address: u32::MAX, .. })));
    assert_eq!(with(60, &[0x10, 4, 7, 0]), Err(E::Overlap { address: 0x7_0410 }));
}

proptest! {
    #[test]
    fn damaged_files_are_read_or_refused(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = program().to_bytes();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Err(e) = CoreElf::read(&bytes) {
            prop_assert!(!e.to_string().is_empty());
        }
    }
}
