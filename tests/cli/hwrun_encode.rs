//! `hwrun encode` of what `kiln emit --encoder` writes, on the simulated device: the features of `kiln encode`.

use crate::support::{Folder, Outcome, kiln, npy, run};
use std::process::Command;

fn hwrun(args: &[&str]) -> Outcome {
    run(Command::new(env!("CARGO_BIN_EXE_hwrun")).args(args).env_remove("KILN_XRT"))
}

/// `hwrun encode` of `speech.wav` by the designs in `npu`.
fn on_npu(folder: &Folder, more: &[&str]) -> Outcome {
    let [speech, designs] = ["speech.wav", "npu"].map(|n| folder.arg(n));
    hwrun(&[&["encode", &speech, "--artifacts", &designs, "--xrt", "simulated"], more].concat())
}

#[test]
fn the_device_gives_the_simulators_features() {
    let folder = Folder::of_encoder();
    let [speech, other, weights, q, designs, ours, its] =
        ["speech.wav", "other.wav", "good.safetensors", "q.safetensors", "npu", "ours.npy", "its.npy"]
            .map(|n| folder.arg(n));
    let quantise = |scheme| {
        let args = ["quantize", &weights, "--calibrate", &other, "--scheme", scheme, "--out", &q];
        kiln(&args).success()
    };
    quantise("w8a8-static");
    kiln(&["emit", "--encoder", &q, "--out", &designs]).success();
    assert!(folder.names("npu").contains(&"log_mel".to_owned()), "{:?}", folder.names("npu"));

    let static_floats: &[&str] = &["--weights", &weights, "--scheme", "w8a8-static", "--calibrate", &other];
    for options in [&["--weights", &q], static_floats, &["--weights", &q, "--mel", "npu"]] {
        kiln(&[&["encode", &speech, "--out", &ours], options].concat()).success();
        let told = on_npu(&folder, &[&["--out", &its], options].concat()).success();
        assert!(told.contains("SIMULATED device") && told.contains("equal to the simulator's"), "{told}");
        assert_eq!(npy(&folder.path("its.npy")), npy(&folder.path("ours.npy")), "{options:?}");
    }

    // Another scheme has other designs.
    on_npu(&folder, &["--weights", &weights]).error(&[
        "this model's design fc1_gelu is",
        "help: `kiln emit --encoder` with this model and scheme",
    ]);
    on_npu(&folder, &["--weights", &q, "--fault", "wrong-bit"]).error(&[
        "dispatch 1 (conv1_gelu)",
        "DIFFERS from the simulator in 1 of",
        "expected 0x",
    ]);
    on_npu(&folder, &["--weights", &q, "--scheme", "bf16"])
        .error(&["quantised for scheme w8a8-static, --scheme asks for bf16"]);
}

#[test]
fn an_encoder_is_a_model_or_a_file() {
    let folder = Folder::of_encoder();
    let designs = folder.arg("npu");
    kiln(&["emit", "--encoder", "design-doc", "--scheme", "design-doc", "--out", &designs]).success();
    let names = folder.names("npu");
    assert!(
        !names.contains(&"conv2_gelu".to_owned()) && names.contains(&"attention".to_owned()),
        "{names:?}"
    );
    kiln(&["emit", "--encoder", "none", "--out", &designs])
        .error(&["no model is named \"none\"", "no file of this name"]);
    kiln(&["emit", "--encoder", &folder.arg("speech.wav"), "--out", &designs]).error(&["speech.wav"]);
}
