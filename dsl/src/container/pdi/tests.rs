//! PDIs that are wrong.

use super::*;

#[test]
fn a_cdo_of_any_size_comes_back() {
    for words in [0u32, 1, 4, 5, 1000] {
        let cdo = of_words(&(0..words).collect::<Vec<_>>());
        let file = Pdi::write(&cdo);
        assert_eq!(file.len() % ALIGN_BYTES, 0);
        assert_eq!(file.len(), 0x150 + 4 * words.next_multiple_of(4) as usize);
        let pdi = Pdi::read(&file).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(pdi, Pdi { images: vec!["aie_image".to_owned()], cdos: vec![cdo] });
    }
}

/// A file with words changed, and the sums of all three tables made right.
fn with(changes: &[(usize, u32)]) -> Result<Pdi, PdiError> {
    let mut words = Bytes(&Pdi::write(&of_words(&[1, 2, 3, 4]))).words();
    changes.iter().for_each(|&(at, value)| words[at] = value);
    for (from, len) in [(4, 32), (36, 16), (52, 32)] {
        words[from + len - 1] = checksum(&words[from..from + len - 1]);
    }
    Pdi::read(&of_words(&words))
}

#[test]
fn each_thing_wrong_is_named() {
    let good = Pdi::write(&of_words(&[1, 2, 3, 4]));
    assert_eq!(Pdi::read(&good[1..]), Err(PdiError::Pattern));
    assert!(matches!(Pdi::read(&good[..100]), Err(PdiError::Outside { what: "the image table", .. })));
    assert!(matches!(Pdi::read(&good[..0x150]), Err(PdiError::Outside { what: "a partition", .. })));
    assert!(matches!(with(&[(4, 5)]), Err(PdiError::Version { got: 5 })));
    assert!(matches!(with(&[(5, u32::MAX)]), Err(PdiError::TooMany { what: "images", got: u32::MAX })));
    assert!(matches!(with(&[(7, 33)]), Err(PdiError::TooMany { what: "partitions", got: 33 })));
    assert!(matches!(with(&[(6, u32::MAX)]), Err(PdiError::Outside { what: "an image header", .. })));
    assert!(matches!(with(&[(8, u32::MAX)]), Err(PdiError::Outside { what: "a partition header", .. })));
    assert!(matches!(with(&[(54, u32::MAX)]), Err(PdiError::Outside { what: "a partition", .. })));
    assert!(matches!(with(&[(53, 5)]), Err(PdiError::Used { partition: 0, used: 5, total: 4 })));
    let mut damaged = good.clone();
    damaged[0x98] ^= 1;
    assert!(matches!(Pdi::read(&damaged), Err(PdiError::Checksum { what: "an image header", .. })));
}

/// Two headers of one partition's words: what is read would be twice the file.
#[test]
fn partitions_that_overlap_are_refused() {
    let mut words = Bytes(&Pdi::write(&of_words(&[1, 2, 3, 4]))).words();
    let header = words[52..84].to_vec();
    words.splice(84..84, header);
    for header in [52, 84] {
        words[header + partition::DATA_AT] = 0x74;
        words[header + 31] = checksum(&words[header..header + 31]);
    }
    words[7] = 2;
    words[35] = checksum(&words[4..35]);
    assert_eq!(Pdi::read(&of_words(&words)), Err(PdiError::Overlap { first: 0, second: 1 }));
}
