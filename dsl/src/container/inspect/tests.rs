//! Reports in words, and files that are noise.

use super::*;
use crate::array::{LowerMode, examples, lower, verify};
use crate::container::elf::{FLAGS_AIE2, Segment};
use crate::container::image::CoreImage;
use crate::container::package::{Package, package};
use proptest::prelude::*;
use std::sync::LazyLock;

static RELU2: LazyLock<Package> = LazyLock::new(|| {
    let device = Device::npu1();
    let design = verify(examples::relu2(), device).unwrap_or_else(|e| panic!("{e}"));
    let lowered = lower(&design, device, LowerMode::Dynamic).expect("lowers");
    let image = |row| CoreImage {
        tile: Tile::new(0, row),
        program: vec![Piece { address: 0, bytes: vec![1, 0, row, 0] }],
        data: Vec::new(),
    };
    package(&design, &lowered, device, &[image(2), image(3)]).unwrap_or_else(|e| panic!("{e}"))
});

fn text(bytes: &[u8]) -> String {
    inspect(bytes, Device::npu1()).unwrap_or_else(|e| panic!("{e}")).to_string()
}

#[test]
fn an_xclbin_in_words() {
    insta::assert_snapshot!(text(&RELU2.xclbin));
}

#[test]
fn each_kind_of_file_is_known_by_its_content() {
    assert!(text(&RELU2.pdi).starts_with("PDI with images aie_image\nconfiguration of "));
    assert!(text(&RELU2.cdo.to_bytes()).starts_with("configuration of "));
    assert!(text(&RELU2.insts).starts_with("instructions for npu1"));
    let segments = vec![Segment { address: 0, bytes: vec![1, 0], executable: true, writable: false }];
    let elf = CoreElf { entry: 0, flags: FLAGS_AIE2, segments, sections: Vec::new() };
    let shown = text(&elf.to_bytes());
    assert!(
        shown.starts_with("program of a core, entry 0x0, flags 2\n  segment 2 B at 0x00000, sha256 "),
        "{shown}"
    );
    let error = inspect(b"something else!!", Device::npu1()).expect_err("refused").to_string();
    assert!(error.starts_with("it begins as no xclbin, PDI, CDO or ELF file"), "{error}");
}

#[test]
fn json_has_every_part() {
    let report = inspect(&RELU2.xclbin, Device::npu1()).expect("a report");
    let json = serde_json::to_value(&report).expect("JSON");
    assert_eq!(json["file"], "xclbin");
    assert_eq!(json["kernels"][0]["name"], "MLIR_AIE:MLIRAIE");
    let cdo = &json["partition"]["pdis"][0][1]["cdos"][0];
    assert_eq!(cdo["tiles"][2]["tile"], serde_json::json!([0, 2]));
    assert_eq!(cdo["tiles"][2]["core"]["runs"], true);
    assert!(cdo["routes"].as_array().is_some_and(|r| r.len() > 6));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Files with some bytes changed or cut off are told of or refused; sums are mended in half of the cases.
    #[test]
    fn damaged_files_do_not_panic(
        which in 0usize..3,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u32>()), 0..5),
        cut in prop::option::of(any::<prop::sample::Index>()),
        mend in any::<bool>(),
    ) {
        let mut bytes = match which {
            0 => RELU2.xclbin.clone(),
            1 => RELU2.pdi.clone(),
            _ => RELU2.cdo.to_bytes(),
        };
        for (at, value) in changes {
            let at = at.index(bytes.len() / 4) * 4;
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if mend && which == 2 && bytes.len() >= 20 {
            let words = (bytes.len() as u32 / 4).saturating_sub(5);
            bytes.truncate(bytes.len() / 4 * 4);
            bytes[12..16].copy_from_slice(&words.to_le_bytes());
            let head = crate::container::bytes::Bytes(&bytes[..16]).words();
            bytes[16..20].copy_from_slice(&crate::container::cdo::checksum(&head).to_le_bytes());
        }
        match inspect(&bytes, Device::npu1()) {
            Ok(report) => prop_assert!(!report.to_string().is_empty()),
            Err(e) => prop_assert!(!e.to_string().is_empty()),
        }
    }
}
