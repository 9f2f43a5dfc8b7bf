//! Designs in files of MLIR: every command takes them, and all give one verdict.

use crate::support::{Folder, kiln};
use serde_json::Value;

/// Bytes in through the shim, `@work` on a core, bytes out; `copies` is the runtime sequence.
fn passing(turns: u32, copies: &str) -> String {
    format!(
        "module {{
  aie.device(npu1_1col) {{
    func.func private @work(memref<256xi32>, memref<256xi32>) attributes {{link_with = \"work.o\"}}
    %shim = aie.tile(0, 0)
    %tile = aie.tile(0, 2)
    aie.objectfifo @in(%shim, {{%tile}}, [2, 2]) : !aie.objectfifo<memref<256xi32>>
    aie.objectfifo @out(%tile, {{%shim}}, [2, 2]) : !aie.objectfifo<memref<256xi32>>
    %core = aie.core(%tile) {{
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %turns = arith.constant {turns} : index
      %forever = arith.constant 9223372036854775807 : index
      scf.for %i = %c0 to %forever step %c1 {{
        scf.for %j = %c0 to %turns step %c1 {{
          %a = aie.objectfifo.acquire @in(Consume, 1) : memref<256xi32>
          %b = aie.objectfifo.acquire @out(Produce, 1) : memref<256xi32>
          func.call @work(%a, %b) : (memref<256xi32>, memref<256xi32>) -> ()
          aie.objectfifo.release @in(Consume, 1)
          aie.objectfifo.release @out(Produce, 1)
        }}
      }}
      aie.end
    }}
    aie.runtime_sequence(%x: memref<1024xi32>, %y: memref<1024xi32>) {{
{copies}
    }}
  }}
}}
"
    )
}

/// A copy of 4 objects.
fn copy(buffer: &str, id: u32, fifo: &str, more: &str) -> String {
    format!(
        "aiex.npu.dma_memcpy_nd(%{buffer}[0, 0, 0, 0][1, 1, 1, 1024][0, 0, 0, 1]) \
         {{id = {id} : i64, metadata = @{fifo}{more}}} : memref<1024xi32>"
    )
}

fn wait(fifo: &str) -> String {
    format!("aiex.npu.dma_wait {{symbol = @{fifo}}}")
}

const TOKEN: &str = ", issue_token = true";

fn good() -> String {
    passing(4, &[copy("x", 0, "in", ""), copy("y", 1, "out", TOKEN), wait("out")].join("\n"))
}

#[test]
fn an_emitted_file_is_the_design_in_every_command() {
    let folder = Folder::new();
    kiln(&["emit", "relu2", "--no-expected", "--out", &folder.arg("relu2")]).success();
    let file = folder.arg("relu2/aie.mlir");
    for command in [vec!["lower", "--json"], vec!["insts"], vec!["insts", "--text"]] {
        let with = |what: &str| kiln(&[&command[..], &[what]].concat()).success();
        assert_eq!(with("relu2").replace("relu2", "aie"), with(&file).replace("relu2", "aie"), "{command:?}");
    }
    let x: Vec<u8> = (0..65_536u32).map(|i| (i * 7 + i / 256) as u8).collect();
    let input = format!("x={}", folder.file("x.bin", &x));
    let run = |what: &str, out: &str| -> (Value, Vec<u8>) {
        let output = format!("y={}", folder.arg(out));
        let text = kiln(&["run", what, "--input", &input, "--output", &output, "--json"]).success();
        (serde_json::from_str(&text).expect("JSON"), std::fs::read(folder.path(out)).expect("written"))
    };
    let ((named, by_name), (read, by_file)) = (run("relu2", "one"), run(&file, "other"));
    assert_eq!(by_name, by_file);
    let relu: Vec<u8> = x.iter().map(|&b| (b as i8).max(0) as u8).collect();
    assert_eq!(by_file, relu);
    for field in
        ["cycles", "controller_cycles", "cores", "ddr_read_bytes", "ddr_write_bytes", "accesses_checked"]
    {
        assert_eq!(named[field], read[field], "{field}");
    }
}

#[test]
fn a_listed_design_without_a_stack_lowers_as_its_file_does() {
    let folder = Folder::new();
    for name in ["cascade", "dispatch"] {
        kiln(&["emit", name, "--no-expected", "--out", &folder.arg(name)]).success();
        let file = folder.arg(&format!("{name}/aie.mlir"));
        let tiles = |what: &str| -> Value {
            let text = kiln(&["lower", what, "--json"]).success();
            serde_json::from_str::<Value>(&text).expect("JSON")["tiles"].clone()
        };
        assert_eq!(tiles(name), tiles(&file), "{name}");
    }
}

#[test]
fn functions_are_kernels_of_the_catalogue_or_black_boxes() {
    let folder = Folder::new();
    let file = folder.file("passing.mlir", good().as_bytes());
    kiln(&["run", &file]).error(&["@work", "--model work=KERNEL", "--model work=CYCLES"]);
    let cycles = |model: &str| -> (u64, String) {
        let run = kiln(&["run", &file, "--json", "--model", model]);
        let err = run.err.clone();
        let json: Value = serde_json::from_str(&run.success()).expect("JSON");
        (json["cycles"].as_u64().expect("a number"), err)
    };
    let (short, note) = cycles("work=100");
    assert!(note.contains("black boxes") && note.contains("@work (100 cycles)"), "{note}");
    // Four calls, one after the other, each longer than the copies around it.
    let (long, longer) = (cycles("work=100000").0, cycles("work=200000").0);
    assert_eq!(longer - long, 4 * 100_000);
    assert!(short < long);
    kiln(&["run", &file, "--model", "other=5"]).error(&["calls no function @other", "@work"]);
    kiln(&["run", &file, "--model", "work=nothing"]).error(&["no kernel is named \"nothing\"", "kiln list"]);
    kiln(&["run", "relu2", "--model", "relu=5"]).error(&["--model is for files of MLIR"]);
    assert_eq!(kiln(&["run", &file, "--model", "work"]).code, Some(2));
}

#[test]
fn fit_lower_insts_and_run_give_one_verdict() {
    let unfed = passing(4, &[copy("y", 1, "out", TOKEN), wait("out")].join("\n"));
    let fills: Vec<String> = (0..5).map(|id| copy("x", id, "in", "")).collect();
    let five = passing(20, &[fills.join("\n"), copy("y", 9, "out", TOKEN), wait("out")].join("\n"));
    let eight = passing(8, &[copy("x", 0, "in", ""), copy("y", 1, "out", TOKEN), wait("out")].join("\n"));
    let past = good().replace("[1, 1, 1, 1024]", "[1, 1, 1, 2048]");
    let folder = Folder::new();
    for (name, text, verdict, words) in [
        ("good", good(), 0, ""),
        ("unfed", unfed, 1, "no copy of the runtime sequence feeds"),
        ("five", five, 1, "5 copies unawaited on one channel"),
        ("eight", eight, 1, "fifo in"),
        ("past", past, 1, "reaches element"),
    ] {
        let file = folder.file(&format!("{name}.mlir"), text.as_bytes());
        for command in [vec!["fit"], vec!["lower"], vec!["insts"], vec!["run", "--model", "work=9"]] {
            let run = kiln(&[&command[..], &[&file]].concat());
            assert_eq!(run.code, Some(verdict), "{name} {command:?} {run:?}");
            assert!(format!("{}{}", run.out, run.err).contains(words), "{name} {command:?} {run:?}");
            assert!(!format!("{}{}", run.out, run.err).contains("<unknown>"), "{name} {command:?} {run:?}");
        }
    }
    let past = folder.arg("past.mlir");
    let line = 1 + good().lines().position(|l| l.contains("dma_memcpy_nd(%x")).expect("a copy");
    kiln(&["lower", &past]).error(&[&format!("past.mlir:{line}")]);
    let report = kiln(&["fit", &past]);
    assert!(report.out.starts_with("past is wrong on npu1\n"), "{}", report.out);
    let json: Value = serde_json::from_str(&kiln(&["fit", &past, "--json"]).out).expect("JSON");
    assert_eq!((&json["fits"], json["over"].as_array().map(Vec::len)), (&false.into(), Some(0)));
    assert!(json["wrong"][0].as_str().is_some_and(|w| w.contains("reaches element")), "{json}");
}

#[test]
fn a_drain_without_a_token_is_given_one_as_the_toolchain_does() {
    let folder = Folder::new();
    let silent = folder.file("silent.mlir", good().replace(TOKEN, "").as_bytes());
    let asking = folder.file("asking.mlir", good().as_bytes());
    let run = kiln(&["insts", &silent]);
    assert!(
        run.err.contains("note: silent.mlir:") && run.err.contains("@out drains without issue_token"),
        "{run:?}"
    );
    assert_eq!(run.success(), kiln(&["insts", &asking]).success());
}

/// A result joined with what comes next, before there is a first result.
#[test]
fn a_circle_without_a_first_token_is_a_deadlock_in_a_file_too() {
    let circle = good()
        .replace(
            "    %core =",
            "    %up = aie.tile(0, 3)
    aie.objectfifo @there(%tile, {%up}, [1, 1]) : !aie.objectfifo<memref<256xi32>>
    aie.objectfifo @back(%up, {%tile}, [1, 1]) : !aie.objectfifo<memref<256xi32>>
    %other = aie.core(%up) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %forever = arith.constant 9223372036854775807 : index
      scf.for %i = %c0 to %forever step %c1 {
        %a = aie.objectfifo.acquire @there(Consume, 1) : memref<256xi32>
        %b = aie.objectfifo.acquire @back(Produce, 1) : memref<256xi32>
        func.call @work(%a, %b) : (memref<256xi32>, memref<256xi32>) -> ()
        aie.objectfifo.release @there(Consume, 1)
        aie.objectfifo.release @back(Produce, 1)
      }
      aie.end
    }
    %core =",
        )
        .replace(
            "          func.call @work(%a, %b)",
            "          %s = aie.objectfifo.acquire @back(Consume, 1) : memref<256xi32>
          %t = aie.objectfifo.acquire @there(Produce, 1) : memref<256xi32>
          func.call @work(%s, %t) : (memref<256xi32>, memref<256xi32>) -> ()
          aie.objectfifo.release @back(Consume, 1)
          aie.objectfifo.release @there(Produce, 1)
          func.call @work(%a, %b)",
        );
    let folder = Folder::new();
    let file = folder.file("circle.mlir", circle.as_bytes());
    let error = kiln(&["run", &file, "--model", "work=50"]).error(&[
        "deadlock",
        "FIFO back",
        "FIFO there",
        "circle.mlir:",
    ]);
    assert!(!error.contains("<unknown>"), "{error}");
}

/// What a core computes itself is no part of a simulation, and that is told.
#[test]
fn what_is_left_out_is_told() {
    let folder = Folder::new();
    let store = "          func.call @work(%a, %b)";
    let inline = format!("          memref.store %v, %b[%c0] : memref<256xi32>\n{store}");
    let text =
        good().replace(store, &inline).replace("%turns =", "%v = arith.constant 7 : i32\n      %turns =");
    let file = folder.file("inline.mlir", text.as_bytes());
    let line = 1 + text.lines().position(|l| l.contains("memref.store")).expect("there");
    let run = kiln(&["run", &file, "--model", "work=9"]);
    assert!(
        run.err.contains("left out of bits and time") && run.err.contains(&format!("lines {line}")),
        "{run:?}"
    );
    let text = run.success();
    assert!(text.contains("accesses to memory were not checked"), "{text}");
}
