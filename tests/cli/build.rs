//! `build.sh` of an emitted design, with stand-ins for the tools of the device toolchain.

use crate::support::{Folder, kiln};
use kiln::dsl::emit::Manifest;
use kiln::dsl::emit::bundle::{Built, Sha};
use std::fs;
use std::process::Command;

/// Records its arguments in `calls`, and leaves what the real one would: the instruction stream that it was given, an
/// ELF for each core of `elfs`, the xclbin.
const AIECC: &str = r#"#!/bin/sh
case $1 in
--version) cat "$STANDINS/version"; exit 0 ;;
--help) cat "$STANDINS/help"; exit 0 ;;
esac
echo "aiecc $*" >> "$STANDINS/calls"
[ ! -f "$STANDINS/refuse" ] || { echo "'aie.tile' op allocated buffers exceeded available memory"; exit 1; }
mkdir -p aie.prj
for core in $(cat "$STANDINS/elfs"); do echo elf > "aie.prj/main_core_$core.elf"; done
cp "$STANDINS/insts.bin" insts.bin
cat aie.mlir *.o > final.xclbin
"#;

const CLANG: &str = r#"#!/bin/sh
[ "$1" != --version ] || { echo "clang version 21.0.0 (stand-in)"; exit 0; }
echo "clang++ $*" >> "$STANDINS/calls"
while [ $# -gt 1 ]; do
    [ "$1" != -c ] || source=$2
    [ "$1" != -o ] || out=$2
    shift
done
cp "$source" "$out"
"#;

/// Prints what the test wrote, in the form of the real one.
const READELF: &str = r#"#!/bin/sh
case $1 in
-S) cat "$STANDINS/sections" ;;
--stack-sizes) cat "$STANDINS/stacks" ;;
esac
"#;

const SECTIONS: &str = "\
There are 5 section headers, starting at offset 0x1f4:

Section Headers:
  [Nr] Name              Type            Address  Off    Size   ES Flg Lk Inf Al
  [ 0]                   NULL            00000000 000000 000000 00      0   0  0
  [ 1] .text             PROGBITS        00000000 001000 000a40 00  AX  0   0 16
  [ 2] .init             PROGBITS        00000a40 001a40 000010 00  AX  0   0 16
  [ 3] .data             PROGBITS        00070000 002000 008000 00  WA  0   0 32
  [ 4] .stack_sizes      PROGBITS        00000000 003000 000012 00   o  1   0  1
";

const STACKS: &str = "
Stack Sizes:
         Size     Functions
           96     relu_i8
           32     core_0_2
";

/// An emitted relu2 and the folder of stand-ins.
struct Site {
    folder: Folder,
}

impl Site {
    fn new() -> Site {
        let site = Site { folder: Folder::new() };
        site.emit("d", "relu2");
        for (path, text) in [
            ("tools/bin/aiecc", AIECC),
            ("tools/bin/clang++", CLANG),
            ("tools/bin/llvm-readelf", READELF),
            ("tools/bin/xclbinutil", "#!/bin/sh\n"),
        ] {
            site.file(path, text);
            let path = site.folder.arg(path);
            assert!(Command::new("chmod").args(["+x", &path]).status().expect("chmod").success());
        }
        site.file("tools/include/aie_api/aie.hpp", "");
        site.file("tools/version", "aiecc (MLIR-AIE) version 1.4.0\n  LLVM version 24.0.0git\n");
        site.file("tools/help", "  --aie-generate-xclbin  - Generate xclbin\n");
        site.file("tools/elfs", "0_2 0_3");
        site.file("tools/sections", SECTIONS);
        site.file("tools/stacks", STACKS);
        fs::copy(site.folder.path("d/insts.bin"), site.folder.path("tools/insts.bin")).expect("copied");
        site
    }

    fn emit(&self, folder: &str, design: &str) {
        kiln(&["emit", design, "--no-expected", "--out", &self.folder.arg(folder)]).success();
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.folder.path(path);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("folders");
        fs::write(path, text).expect("written");
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.folder.path(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// The script of `d`, with the stand-ins in front of the system's tools.
    fn script(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.folder.path("d/build.sh"));
        let tools = self.folder.path("tools");
        command
            .args(args)
            .env("PATH", format!("{}:/usr/bin:/bin", tools.join("bin").display()))
            .env("PEANO_INSTALL_DIR", &tools)
            .env("STANDINS", &tools)
            .env("NPU_CACHE_HOME", self.folder.path("cache"))
            .env_remove("MLIR_AIE_INSTALL_DIR")
            .env_remove("AIE_XCLBINUTIL")
            .env("XILINX_XRT", self.folder.path("no-xrt"));
        command
    }

    /// Success, standard output and standard error of the script.
    fn run(&self, args: &[&str]) -> (bool, String, String) {
        output(self.script(args))
    }

    /// Asserts that the script fails with these words, and leaves no result and no stage.
    #[track_caller]
    fn fails(&self, words: &[&str]) -> String {
        let (done, _, err) = self.run(&["--no-cache"]);
        assert!(!done, "{err}");
        assert!(err.contains("error: ") && err.contains("help: "), "{err}");
        words.iter().for_each(|word| assert!(err.contains(word), "expected {word:?} in\n{err}"));
        let left = self.folder.names("d");
        let ours = ["aie.mlir", "build.sh", "insts.bin", "kernels", "manifest.json"];
        assert_eq!(left, ours, "{err}");
        err
    }
}

fn output(mut command: Command) -> (bool, String, String) {
    let output = command.output().expect("the script starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn kernels_are_compiled_linked_packed_and_stamped() {
    let site = Site::new();
    let (done, out, err) = site.run(&[]);
    assert!(done, "{err}");
    assert_eq!(out, "relu2: final.xclbin\n");
    let calls = site.text("tools/calls");
    let lines: Vec<&str> = calls.lines().collect();
    assert_eq!(lines.len(), 2, "{calls}");
    let manifest = Manifest::read(&site.folder.path("d")).expect("a manifest");
    let flags = manifest.toolchain.kernel_flags.join(" ");
    assert!(lines[0].starts_with(&format!("clang++ {flags} -I ")), "{calls}");
    assert!(lines[0].contains("-c kernels/relu_i8.cc -o ./.build-"), "{calls}");
    assert_eq!(
        lines[1],
        format!(
            "aiecc --aie-generate-xclbin --aie-generate-npu-insts --no-compile-host --no-xchesscc --no-xbridge \
             --dynamic-objFifos --peano={} --tmpdir=aie.prj --xclbin-name=final.xclbin --npu-insts-name=insts.bin aie.mlir",
            site.folder.arg("tools")
        )
    );
    let built = Built::read(&site.folder.path("d")).unwrap_or_else(|e| panic!("{e}"));
    let xclbin = fs::read(site.folder.path("d/final.xclbin")).expect("an xclbin");
    assert_eq!((built.content, built.xclbin_sha256), (manifest.content, Sha::of(&xclbin)));
    assert!(built.aiecc.starts_with("aiecc (MLIR-AIE) version 1.4.0"), "{built:?}");
    assert_eq!(built.peano, "clang version 21.0.0 (stand-in)");
    // The core's frame, the kernel's and that of the runtime's entry, which the ELF does not state.
    let cores: Vec<_> =
        built.cores.iter().map(|c| (c.column, c.row, c.stack_bytes, c.program_bytes)).collect();
    assert_eq!(cores, [(0, 2, 96 + 32 + 64, 0xa40 + 0x10), (0, 3, 96 + 32 + 64, 0xa40 + 0x10)]);
}

#[test]
fn the_newer_driver_gets_its_own_flags() {
    let site = Site::new();
    site.file("tools/help", "  --get=<name>  - Request graph output(s)\n");
    site.file(
        "tools/version",
        "aiecc (mlir-aie declarative driver)\n  git SHA:  abc\n  compiled: Aug  1 2026 10:00:00\n",
    );
    let (done, _, err) = site.run(&[]);
    assert!(done && err.is_empty(), "{err}");
    let calls = site.text("tools/calls");
    assert!(
        calls.contains("aiecc --get-xclbin --get-npu-insts --get-core-elfs --dynamic-objFifos --peano="),
        "{calls}"
    );
}

#[test]
fn everything_that_is_missing_is_said_at_once() {
    let site = Site::new();
    let mut script = site.script(&[]);
    script.env_remove("PEANO_INSTALL_DIR").env("PATH", "/usr/bin:/bin");
    let (done, _, err) = output(script);
    assert!(!done);
    for word in [
        "relu2 cannot be built here:",
        "PEANO_INSTALL_DIR is not set",
        "aiecc is neither on PATH nor in MLIR_AIE_INSTALL_DIR/bin",
        "xclbinutil, with which aiecc packs final.xclbin, is not on PATH",
        "help: pip install mlir_aie (index of Xilinx/mlir-aie's releases, 1.3.4 to 1.4.2)",
    ] {
        assert!(err.contains(word), "expected {word:?} in\n{err}");
    }
    let mut script = site.script(&["--check"]);
    script.env("PEANO_INSTALL_DIR", site.folder.path("nowhere"));
    let (done, _, err) = output(script);
    assert!(!done && err.contains("nowhere/bin/clang++ is not there"), "{err}");
    assert!(err.contains("nowhere/bin/llvm-readelf is not there"), "{err}");
    assert!(site.run(&["--check"]).0);
    assert!(!site.folder.path("tools/calls").exists());
    let (done, _, err) = site.run(&["--fast"]);
    assert!(!done && err.contains("does not know \"--fast\"") && err.contains("usage: "), "{err}");
}

#[test]
fn other_versions_are_refused_or_noted() {
    let site = Site::new();
    for old in ["aiecc (MLIR-AIE) version 1.2.9\n", "aiecc\n  compiled: Mar 11 2026 10:00:00\n"] {
        site.file("tools/version", old);
        site.fails(&[
            "the design was emitted for mlir-aie main of 2026-03-12 to 2026-08-14",
            "1.3.4 to 1.4.2",
        ]);
    }
    for new in
        ["aiecc (MLIR-AIE) version 1.10.0\n", "aiecc\n  compiled: Aug 15 2026 10:00:00\n", "aiecc (C++)\n"]
    {
        site.file("tools/version", new);
        let (done, _, err) = site.run(&["--check"]);
        assert!(done && err.starts_with("note: ") && err.contains("2026-08-14"), "{err}");
    }
}

#[test]
fn a_changed_kernel_never_meets_a_stale_binary() {
    let site = Site::new();
    assert!(site.run(&[]).0);
    let first = fs::read(site.folder.path("d/final.xclbin")).expect("an xclbin");
    let calls = || site.text("tools/calls").lines().filter(|l| l.starts_with("aiecc")).count();

    // The same again, also after the results are gone: from the cache.
    fs::remove_file(site.folder.path("d/final.xclbin")).expect("removed");
    let (done, out, _) = site.run(&[]);
    assert!(done && out.contains("from the cache") && calls() == 1, "{out}");
    assert_eq!(fs::read(site.folder.path("d/final.xclbin")).expect("an xclbin"), first);

    // An edited file is neither built nor taken for the cached one.
    let source = site.text("d/kernels/relu_i8.cc");
    site.file("d/kernels/relu_i8.cc", &format!("{source}// edited\n"));
    let (done, _, err) = site.run(&[]);
    assert!(!done && err.contains("kernels/relu_i8.cc: FAILED") && err.contains("emit relu2 again"), "{err}");
    site.emit("d", "relu2");

    // Another toolchain is another binary.
    site.file("tools/version", "aiecc (MLIR-AIE) version 1.4.1\n");
    assert!(site.run(&[]).0);
    assert_eq!(calls(), 2);

    // A damaged entry of the cache is not used.
    for entry in site.folder.names("cache/kiln") {
        site.file(&format!("cache/kiln/{entry}/final.xclbin"), "damaged");
    }
    assert!(site.run(&[]).0);
    assert_eq!(calls(), 3);
    assert_eq!(fs::read(site.folder.path("d/final.xclbin")).expect("an xclbin"), first);

    // Another design has another entry.
    site.emit("d", "cascade");
    fs::copy(site.folder.path("d/insts.bin"), site.folder.path("tools/insts.bin")).expect("copied");
    site.file("tools/stacks", "Size Functions\n 64 scale_put_i8\n 64 bias_get_i8\n");
    let (done, out, err) = site.run(&[]);
    assert!(done && out == "cascade: final.xclbin\n", "{err}");
}

#[test]
fn linked_cores_keep_their_limits() {
    let site = Site::new();
    let size = |hex: &str| SECTIONS.replace("000a40 00  AX", &format!("{hex} 00  AX"));
    site.file("tools/sections", &size("003ff0"));
    assert!(site.run(&["--no-cache"]).0, "16,384 B are allowed");
    for name in ["final.xclbin", "built.json"] {
        fs::remove_file(site.folder.path(&format!("d/{name}"))).expect("removed");
    }
    site.file("tools/sections", &size("003ff4"));
    site.fails(&["core (0,2): a program of 16388 B, its memory has 16384 B", "core (0,3): a program of"]);
    site.file("tools/sections", SECTIONS);

    site.file("tools/stacks", "Size Functions\n 1984 relu_i8\n 16 main, core_0_2\n");
    site.fails(&["core (0,2): up to 2064 B of stack, it has 2048 B"]);
    site.file("tools/stacks", "Size Functions\n 16 main\n");
    site.fails(&["core (0,2): the ELF does not state the stack of relu_i8"]);
    site.file("tools/stacks", STACKS);

    site.file("tools/elfs", "0_2");
    site.fails(&["core (0,3): aiecc left no ELF of it"]);
    site.file("tools/elfs", "0_2 0_3");

    site.file("tools/insts.bin", "other");
    site.fails(&["aiecc's instruction stream is not insts.bin", "kiln insts --decode"]);
    fs::copy(site.folder.path("d/insts.bin"), site.folder.path("tools/insts.bin")).expect("copied");

    site.file("tools/refuse", "");
    site.fails(&["aiecc refuses relu2", "kiln fit relu2"]);
    fs::remove_file(site.folder.path("tools/refuse")).expect("removed");

    site.file("tools/bin/clang++", "#!/bin/sh\n[ \"$1\" = --version ]\n");
    site.fails(&["kernel relu_i8 does not compile"]);
}
