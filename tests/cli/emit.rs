//! `kiln emit`.

use crate::support::{Folder, design_names, kiln};
use kiln::dsl::emit::Manifest;
use kiln::dsl::emit::bundle::Sha;
use std::fs;

#[test]
fn a_design_is_a_folder() {
    let folder = Folder::new();
    let listed = kiln(&["emit", "relu2", "--out", &folder.arg("relu2")]).success();
    assert_eq!(folder.names(""), ["relu2"]);
    assert_eq!(folder.names("relu2"), ["aie.mlir", "build.sh", "insts.bin", "kernels", "manifest.json"]);
    let kernels = folder.names("relu2/kernels");
    assert!(kernels.contains(&"kiln_kernel.h".to_owned()) && kernels.len() >= 2, "{kernels:?}");
    assert_eq!(listed.lines().count(), 4 + kernels.len());

    let mlir = fs::read_to_string(folder.path("relu2/aie.mlir")).expect("text");
    assert!(mlir.contains("aie.device(npu1") && mlir.contains("aie.objectfifo"), "{mlir}");
    for kernel in kernels.iter().filter_map(|name| name.strip_suffix(".cc")) {
        let source = fs::read_to_string(folder.path(&format!("relu2/kernels/{kernel}.cc"))).expect("text");
        assert!(source.contains(&format!("extern \"C\" void {kernel}(")), "{source}");
        assert!(mlir.contains(&format!("@{kernel}")), "{mlir}");
    }
}

#[test]
fn emitting_again_replaces_only_its_own_files() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path("d/kernels")).expect("folders");
    folder.file("d/notes.txt", b"mine");
    folder.file("d/kernels/other.cc", b"mine too");
    folder.file("d/aie.mlir", b"old");
    kiln(&["emit", "relu2", "--out", &folder.arg("d")]).success();
    let first = fs::read(folder.path("d/aie.mlir")).expect("written");
    assert_ne!(first, b"old");
    kiln(&["emit", "relu2", "--out", &folder.arg("d")]).success();
    assert_eq!(fs::read(folder.path("d/aie.mlir")).expect("written"), first);
    assert_eq!(fs::read(folder.path("d/notes.txt")).expect("kept"), b"mine");
    assert_eq!(fs::read(folder.path("d/kernels/other.cc")).expect("kept"), b"mine too");
    assert_eq!(
        folder.names("d"),
        ["aie.mlir", "build.sh", "insts.bin", "kernels", "manifest.json", "notes.txt"]
    );
}

#[test]
fn every_design_is_emitted_with_what_the_simulator_makes_of_it() {
    let folder = Folder::new();
    for name in &design_names() {
        kiln(&["emit", name, "--out", &folder.arg(name)]).success();
        let manifest = Manifest::read(&folder.path(name)).unwrap_or_else(|e| panic!("{e}"));
        for file in &manifest.files {
            let bytes = fs::read(folder.path(&format!("{name}/{}", file.path))).expect("listed and written");
            assert_eq!(Sha::of(&bytes), file.sha256, "{name}: {}", file.path);
        }
        assert!(manifest.limits.cores.iter().all(|core| core.stack_bytes >= 2048), "{name}");
        let mlir = fs::read_to_string(folder.path(&format!("{name}/aie.mlir"))).expect("text");
        let stacks =
            manifest.limits.cores.iter().map(|core| format!("{{stack_size = {} : i32}}", core.stack_bytes));
        stacks.for_each(|stack| assert!(mlir.contains(&stack), "{name}: {stack}"));
        let Some(expected) = manifest.expected else {
            assert!(name.contains('.'), "{name}: every design of the default scheme has inputs");
            continue;
        };
        assert!(expected.predicted_cycles > 0, "{name}");
        for (at, buffer) in manifest.buffers.iter().enumerate() {
            let changed = expected.before[at] != expected.after[at];
            assert_eq!(changed, buffer.direction.is_written(), "{name}: {}", buffer.name);
        }
        kiln(&["emit", name, "--no-expected", "--out", &folder.arg(name)]).success();
        let bare = Manifest::read(&folder.path(name)).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((bare.content, bare.expected), (manifest.content, None), "{name}");
    }
}

#[test]
fn loops_say_what_the_schedule_does() {
    let folder = Folder::new();
    kiln(&["emit", "mm4x4", "--no-expected", "--out", &folder.arg("d")]).success();
    let kernel = fs::read_to_string(folder.path("d/kernels/matmul_i8_i32_64x64x64.cc")).expect("text");
    assert!(
        kernel.contains("// Predicted: ") && kernel.contains("KILN_PIPELINE KILN_MIN_TRIPS("),
        "{kernel}"
    );
}

#[test]
fn seed_and_profile_are_those_asked_for() {
    let folder = Folder::new();
    let expected = |more: &[&str]| {
        let out = folder.arg("d");
        kiln(&[&["emit", "relu2", "--out", &out], more].concat()).success();
        Manifest::read(&folder.path("d")).expect("a manifest").expected.expect("results")
    };
    let one = expected(&[]);
    assert_eq!((one.seed, one.profile.as_str()), (1, "phoenix-laptop"));
    let two = expected(&["--seed", "2", "--profile", "desktop-8700g"]);
    assert_eq!((two.seed, two.profile.as_str()), (2, "desktop-8700g"));
    assert_ne!(one.before, two.before);
    let out = folder.arg("d");
    kiln(&["emit", "relu2", "--profile", "fast", "--out", &out]).error(&["fast", "phoenix-laptop"]);
}

#[test]
fn what_cannot_be_written_is_refused() {
    let folder = Folder::new();
    let file = folder.file("file", b"untouched");
    kiln(&["emit", "relu2", "--out", &file]).error(&[&file, "expected a folder"]);
    let below = folder.arg("file/below");
    kiln(&["emit", "relu2", "--out", &below]).error(&[&below]);
    let absent = folder.arg("absent/design");
    kiln(&["emit", "relu2", "--out", &absent]).error(&[&absent, "No such file"]);
    kiln(&["emit", "relu3", "--out", &folder.arg("x")])
        .error(&["no design is named \"relu3\"", "kiln list --designs"]);
    kiln(&["emit", "relu2", "--device", "npu9", "--out", &folder.arg("x")]).error(&["npu9", "npu1"]);
    assert_eq!(folder.names(""), ["file"]);
    assert_eq!(fs::read(&file).expect("kept"), b"untouched");
}
