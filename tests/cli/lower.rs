//! `kiln lower`.

use crate::support::{Folder, kiln, reference_data};
use serde_json::Value;
use std::fs;

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&kiln(args).success()).expect("JSON")
}

#[test]
fn the_files_of_the_reference_data_lower_as_the_toolchain_lowers_them() {
    let Some(data) = reference_data("mlir") else { return };
    for name in ["relu2", "mm4x4", "cascade"] {
        for mode in ["static", "dynamic"] {
            let file = data.join(format!("{name}.mlir"));
            let ours = json(&["lower", &file.to_string_lossy(), "--mode", mode, "--json"]);
            let theirs =
                fs::read_to_string(data.join(format!("{name}.{mode}.lowering.json"))).expect("readable");
            let theirs: Value = serde_json::from_str(&theirs).expect("JSON");
            assert_eq!(ours["tiles"], theirs["tiles"], "{name} {mode}");
        }
    }
}

#[test]
fn a_listed_design_is_printed_for_people() {
    let text = kiln(&["lower", "relu2"]).success();
    for part in ["tile (0,1)", "out_l2_prod_lock_1", "in_l2_cons_buff_0[0..2048]", "_anonymous", "flows"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!kiln(&["lower", "relu2", "--mode", "static"]).success().contains("_anonymous"));
}

#[test]
fn what_is_wrong_is_said_and_what_would_be_built_is_shown() {
    let folder = Folder::new();
    let text = "module {
        aie.device(npu1) {
            %s = aie.tile(0, 0)
            %c = aie.tile(0, 2)
            aie.objectfifo @f(%s, {%c}, 2 : i32) : !aie.objectfifo<memref<64xi32>>
        }
    }";
    let file = folder.file("unused.mlir", text.as_bytes());
    let run = kiln(&["lower", &file, "--json"]);
    let error = run.error(&["f", "help:"]);
    assert!(error.contains("consumer") || error.contains("Consume") || error.contains("(0,2)"), "{error}");
    let file = folder.file("broken.mlir", b"module { aie.device(npu1) { aie.flow } }");
    kiln(&["lower", &file]).error(&["broken.mlir", "line 1"]);
    kiln(&["lower", "/nonexistent/x.mlir"]).error(&["/nonexistent/x.mlir"]);
    kiln(&["lower", "nope"]).error(&["nope", "kiln list --designs"]);
}
