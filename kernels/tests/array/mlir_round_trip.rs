//! A design and the file that is printed of it are the same design.

use kiln_dsl::Verified;
use kiln_dsl::array::lowered::LoweredJson;
use kiln_dsl::array::{Design, LowerMode, lower, verify};
use kiln_dsl::device::Device;
use kiln_dsl::emit::{design_of_mlir, emit_mlir, parse_mlir};
use kiln_dsl::fit::fit;
use kiln_kernels::designs;

/// What the toolchain builds, as `kiln lower --json` prints it.
fn lowered(design: &Verified<Design>, mode: LowerMode) -> Result<String, String> {
    let lowered =
        lower(design, Device::npu1(), mode).map_err(|e| e.to_string().lines().take(1).collect::<String>())?;
    Ok(serde_json::to_string(&LoweredJson::new(design, &lowered, mode)).expect("JSON"))
}

#[test]
fn printing_reading_and_printing_again_changes_nothing() {
    let device = Device::npu1();
    let listed = designs::listed();
    assert!(listed.len() > 20, "{}", listed.len());
    for design in listed.into_iter().map(|l| l.design) {
        let name = design.name.clone();
        let design = verify(design, device).unwrap_or_else(|e| panic!("{e}"));
        let text = emit_mlir(&design, device).unwrap_or_else(|e| panic!("{name}: {e}"));
        let parsed = parse_mlir(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(parsed.left_out().is_empty() && parsed.tokens_given(device).is_empty(), "{name}");
        let mut again = design_of_mlir(&parsed, &name, device).unwrap_or_else(|e| panic!("{name}: {e}"));
        // The heading is a comment.
        again.doc.clone_from(&design.doc);
        let again = verify(again, device).unwrap_or_else(|e| panic!("{e}"));
        let printed = emit_mlir(&again, device).unwrap_or_else(|e| panic!("{name}: {e}"));
        let differ = text.lines().zip(printed.lines()).find(|(a, b)| a != b);
        assert!(text == printed, "{name}: {differ:?}");
        assert_eq!(lowered(&design, LowerMode::Dynamic), lowered(&again, LowerMode::Dynamic), "{name}");
        let [one, other] = [&design, &again].map(|d| lowered(d, LowerMode::Static));
        assert_eq!(one.is_ok(), other.is_ok(), "{name}");
        assert!(one.is_err() || one == other, "{name}");
        assert_eq!(fit(&design, device).tiles.len(), fit(&again, device).tiles.len(), "{name}");
    }
}
