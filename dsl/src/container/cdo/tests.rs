//! CDOs by hand, and CDOs that are wrong.

use super::*;
use crate::container::bytes::of_words;
use proptest::prelude::*;

/// A file of words after the header, which is right.
fn file(body: &[u32]) -> Vec<u8> {
    let head = [4, MAGIC, CDO_VERSION, body.len() as u32];
    of_words(&[&head[..], &[checksum(&head)], body].concat())
}

#[test]
fn commands_by_hand() {
    let body = [
        0x0001_0111,
        7, // a no-op of one word
        0x0003_0108,
        0,
        0x21_F000,
        2,
        0x0004_0107,
        0,
        0x23_2000,
        1,
        0,
        0x0002_0103,
        0x3_5018,
        1,
        0x0003_0102,
        0x1_F000,
        0xC00,
        0x400,
        0x0004_0105,
        1,
        0x21_D000,
        8,
        9,
        0x0001_0123,
        5,
    ];
    let cdo = Cdo::read(&file(&body)).unwrap_or_else(|e| panic!("{e}"));
    let expected = [
        CdoCommand::Nop(vec![7]),
        CdoCommand::Write { address: 0x21_F000, value: 2, short: false },
        CdoCommand::MaskWrite { address: 0x23_2000, mask: 1, value: 0, short: false },
        CdoCommand::Write { address: 0x3_5018, value: 1, short: true },
        CdoCommand::MaskWrite { address: 0x1_F000, mask: 0xC00, value: 0x400, short: true },
        CdoCommand::BlockWrite { address: 0x1_0021_D000, words: vec![8, 9] },
        CdoCommand::Other { op: 0x123, words: vec![5] },
    ];
    assert_eq!(cdo.commands, expected);
    assert_eq!(cdo.to_bytes(), file(&body));
}

/// 253 words of data and their address make 255: the number goes into a word of its own.
#[test]
fn long_blocks_state_their_size_in_a_word() {
    for words in [252, 253, 254, 4096] {
        let mut builder = CdoBuilder::default();
        builder.write(0x10, 1);
        builder.block_write(0x20, vec![3; words]);
        let cdo = builder.finish();
        let bytes = cdo.to_bytes();
        let all = Bytes(&bytes).words();
        let data = all.iter().position(|&w| w == 3).expect("data");
        assert_eq!(data % ALIGN_WORDS, 0, "{words}");
        let long = words + 2 >= 255;
        assert_eq!(all[data - if long { 4 } else { 3 }] >> 16, if long { 255 } else { words as u32 + 2 });
        assert_eq!(Cdo::read(&bytes).as_ref(), Ok(&cdo));
    }
}

#[test]
fn each_thing_wrong_is_named() {
    use CdoError as E;
    let body = [0x0003_0108, 0, 0x21_F000, 2];
    let good = file(&body);
    let with = |at: usize, value: u32| {
        let mut words = Bytes(&good).words();
        words[at] = value;
        Cdo::read(&of_words(&words))
    };
    assert_eq!(Cdo::read(&good[..7]), Err(E::NotWords { bytes: 7 }));
    assert_eq!(Cdo::read(&good[..16]), Err(E::NoHeader { words: 4 }));
    assert_eq!(with(1, 5), Err(E::Magic { got: [4, 5] }));
    assert!(matches!(with(2, 5), Err(E::Checksum { .. })));
    assert_eq!(Cdo::read(&good[..32]), Err(E::Size { stated: 4, got: 3 }));
    assert_eq!(Cdo::read(&file(&body[..3])), Err(E::Truncated { at: 5, words: 3, left: 2 }));
    assert_eq!(Cdo::read(&file(&[0x00FF_0105])), Err(E::Truncated { at: 5, words: 255, left: 0 }));
    assert_eq!(
        Cdo::read(&file(&[0x00FF_0105, u32::MAX])),
        Err(E::Truncated { at: 5, words: u32::MAX, left: 0 })
    );
    assert_eq!(Cdo::read(&file(&[0x0100_0105])), Err(E::Prefix { at: 5, got: 0x0100_0105 }));
    let size = |at, op, expected, got| Err(E::CommandSize { at, op, expected, got });
    assert_eq!(Cdo::read(&file(&[0x0000_0111, 0x0001_0108, 0])), size(6, 0x108, "3", 1));
    assert_eq!(Cdo::read(&file(&[0x0001_0105, 0])), size(5, 0x105, "at least 2", 1));
}

fn command() -> impl Strategy<Value = CdoCommand> {
    let words = |most| prop::collection::vec(any::<u32>(), 0..most);
    let address = |short: bool| if short { u64::from(u32::MAX) } else { u64::MAX };
    prop_oneof![
        words(4usize).prop_map(CdoCommand::Nop),
        (any::<u64>(), any::<u32>(), any::<bool>()).prop_map(move |(a, value, short)| CdoCommand::Write {
            address: a & address(short),
            value,
            short
        }),
        (any::<u64>(), any::<u32>(), any::<u32>(), any::<bool>()).prop_map(move |(a, mask, value, short)| {
            CdoCommand::MaskWrite { address: a & address(short), mask, value, short }
        }),
        (any::<u64>(), words(600)).prop_map(|(address, words)| CdoCommand::BlockWrite { address, words }),
        (0x200u16.., words(300)).prop_map(|(op, words)| CdoCommand::Other { op, words }),
    ]
}

proptest! {
    #[test]
    fn written_files_are_read_as_they_were(
        commands in prop::collection::vec(command(), 0..12), version in any::<u32>(),
    ) {
        let cdo = Cdo { version, commands };
        prop_assert_eq!(Cdo::read(&cdo.to_bytes()), Ok(cdo));
    }
}
