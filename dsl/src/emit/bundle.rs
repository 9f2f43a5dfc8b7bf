//! The folder that the device toolchain takes: MLIR, C++, instruction stream, manifest and build script.

mod manifest;

pub use manifest::{
    Built, BuiltCore, CoreLimits, Direction as BufferDirection, Expected, Launch, Limits, MANIFEST_FORMAT,
    Manifest, ManifestBuffer, ManifestDevice, ManifestError, ManifestFile, Sha, Toolchain,
};

use super::{
    CppError, InstsError, LoopPlans, MLIR_AIE_SPAN, MlirError, emit_cpp, emit_cpp_scheduled, emit_insts,
    emit_mlir, insts_to_bytes,
};
use crate::array::lowered::Lowered;
use crate::array::{Core, Design};
use crate::device::Device;
use crate::native::KILN_KERNEL_H;
use crate::sequence::Command;
use crate::verified::Verified;
use std::collections::BTreeMap;
use std::fmt::Write;
use thiserror::Error;

/// First and last release of mlir-aie in [`MLIR_AIE_SPAN`].
pub const MLIR_AIE_RELEASES: [&str; 2] = ["1.3.4", "1.4.2"];

/// Peano's flags for a kernel: mlir-aie's own (`programming_examples/makefile-common`), and frame sizes in the objects,
/// from which the build checks the stack.
pub const KERNEL_FLAGS: [&str; 10] = [
    "-O2",
    "-std=c++20",
    "--target=aie2-none-unknown-elf",
    "-DNDEBUG",
    "-fstack-size-section",
    "-Wno-parentheses",
    "-Wno-attributes",
    "-Wno-macro-redefined",
    "-Wno-empty-body",
    "-Wno-missing-template-arg-list-after-template-kw",
];

/// Flags of `aiecc` that change what is built: the lowering of FIFO accesses that Kiln simulates.
pub const AIECC_FLAGS: [&str; 1] = ["--dynamic-objFifos"];

/// Kernel of an xclbin by `aiecc`, and the opcode that runs an instruction stream (`reference/mlir.md` 5).
const LAUNCH: (&str, u64) = ("MLIR_AIE", 3);
/// Arguments 0 to 2 are the opcode, the instructions and their number.
const FIRST_BUFFER_ARGUMENT: u32 = 3;

const BUILD_SH: &str = include_str!("bundle/build.sh");

/// Why a design has no artifacts.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// No MLIR.
    #[error(transparent)]
    Mlir(#[from] MlirError),
    /// A kernel has no C++.
    #[error(transparent)]
    Cpp(#[from] CppError),
    /// No instruction stream.
    #[error(transparent)]
    Insts(#[from] InstsError),
    /// Two kernels of one name would be one object file.
    #[error("design {design}: two different kernels are named {kernel}\n  help: give each its own name")]
    KernelName {
        /// Name of the design.
        design: String,
        /// The name.
        kernel: String,
    },
}

/// One file of the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleFile {
    /// Path below the folder, with `/`.
    pub path: String,
    /// Content.
    pub bytes: Vec<u8>,
    /// Whether people run it.
    pub executable: bool,
}

/// Everything of one design, in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// What `manifest.json` says.
    pub manifest: Manifest,
    files: Vec<BundleFile>,
}

impl Bundle {
    /// All files, the manifest last.
    pub fn files(&self) -> Vec<BundleFile> {
        let manifest = file(Manifest::FILE, self.manifest.to_json().into_bytes());
        self.files.iter().cloned().chain([manifest]).collect()
    }
}

fn file(path: &str, bytes: Vec<u8>) -> BundleFile {
    BundleFile { path: path.to_owned(), bytes, executable: false }
}

/// The artifacts of a design; `lowered` is its lowering, `plans` has the schedules of kernels by name, where they are known.
/// The same design and plans give the same bytes.
///
/// The manifest's `expected` is left to those who can simulate.
///
/// # Errors
/// See [`BundleError`].
pub fn emit_bundle(
    design: &Verified<Design>,
    lowered: &Lowered,
    device: &Device,
    plans: &BTreeMap<String, LoopPlans>,
) -> Result<Bundle, BundleError> {
    let words = emit_insts(design, lowered, device)?;
    let mut files = vec![
        file("aie.mlir", emit_mlir(design, device)?.into_bytes()),
        file("insts.bin", insts_to_bytes(&words)),
    ];
    let mut kernels: Vec<&str> = Vec::new();
    for kernel in &design.kernels {
        let path = format!("kernels/{}.cc", kernel.name);
        let text = match plans.get(&kernel.name) {
            Some(plans) => emit_cpp_scheduled(kernel, plans)?,
            None => emit_cpp(kernel)?,
        };
        let bytes = text.into_bytes();
        match files.iter().find(|f| f.path == path) {
            None => {
                kernels.push(&kernel.name);
                files.push(file(&path, bytes));
            }
            Some(same) if same.bytes == bytes => {}
            Some(_) => {
                let (design, kernel) = (design.name.clone(), kernel.name.clone());
                return Err(BundleError::KernelName { design, kernel });
            }
        }
    }
    files.push(file("kernels/kiln_kernel.h", KILN_KERNEL_H.as_bytes().to_vec()));
    files.sort_by(|a, b| a.path.cmp(&b.path));

    let owned = |flags: &[&str]| flags.iter().map(|&f| f.to_owned()).collect::<Vec<String>>();
    let toolchain = Toolchain {
        mlir_aie_main: MLIR_AIE_SPAN.map(str::to_owned),
        mlir_aie_releases: MLIR_AIE_RELEASES.map(str::to_owned),
        kernel_flags: owned(&KERNEL_FLAGS),
        aiecc_flags: owned(&AIECC_FLAGS),
    };
    let flags = KERNEL_FLAGS.iter().chain(&AIECC_FLAGS).map(|flag| ("flag", flag.as_bytes()));
    let content = Sha::of_parts(files.iter().map(|f| (f.path.as_str(), f.bytes.as_slice())).chain(flags));
    let limits = Limits {
        program_bytes: device.core.program_memory_bytes(),
        cores: design.cores.iter().map(|core| core_limits(design, core, device)).collect(),
    };
    let script = build_script(&design.name, content, &files, &kernels, &limits, &toolchain);
    files.push(BundleFile { path: "build.sh".to_owned(), bytes: script.into_bytes(), executable: true });

    let listed = |f: &BundleFile| ManifestFile {
        path: f.path.clone(),
        bytes: f.bytes.len() as u64,
        sha256: Sha::of(&f.bytes),
    };
    let manifest = Manifest {
        format: MANIFEST_FORMAT,
        kiln: env!("CARGO_PKG_VERSION").to_owned(),
        design: design.name.clone(),
        doc: design.doc.clone(),
        content,
        device: ManifestDevice {
            name: device.name.clone(),
            mlir: device.mlir_device(u32::from(design.columns)).unwrap_or_default().to_owned(),
            columns: design.columns,
        },
        toolchain,
        files: files.iter().map(listed).collect(),
        launch: Launch {
            kernel: LAUNCH.0.to_owned(),
            opcode: LAUNCH.1,
            instructions: "insts.bin".to_owned(),
            instruction_words: words.len() as u64,
            first_buffer_argument: FIRST_BUFFER_ARGUMENT,
            xclbin: "final.xclbin".to_owned(),
        },
        buffers: buffers(design),
        limits,
        expected: None,
    };
    Ok(Bundle { manifest, files })
}

/// The host buffers, each with the way its bytes go.
fn buffers(design: &Design) -> Vec<ManifestBuffer> {
    let direction = |at: usize| {
        let mut ways = [false; 2];
        for command in &design.sequence.commands {
            if let Command::Copy { buffer, fifo, .. } = command
                && buffer.index() == at
            {
                // The shim's end of the FIFO: as its producer it reads host memory.
                let into_array = design.fifo(*fifo).producer.row == 0;
                ways[usize::from(!into_array)] = true;
            }
        }
        match ways {
            [true, false] => BufferDirection::In,
            [false, true] => BufferDirection::Out,
            [true, true] => BufferDirection::Inout,
            [false, false] => BufferDirection::Unused,
        }
    };
    let buffers = design.sequence.buffers.iter().enumerate();
    let one = |(at, b): (usize, &crate::sequence::HostBuffer)| ManifestBuffer {
        name: b.name.clone(),
        element: b.ty.elem.to_string(),
        shape: b.ty.shape.clone(),
        bytes: b.ty.bytes(),
        direction: direction(at),
    };
    buffers.map(one).collect()
}

fn core_limits(design: &Design, core: &Core, device: &Device) -> CoreLimits {
    CoreLimits {
        column: core.tile.col,
        row: core.tile.row,
        stack_bytes: core.stack_bytes.unwrap_or(device.core.default_stack_bytes()),
        kernels: design.called_by(core).into_iter().map(str::to_owned).collect(),
    }
}

/// What is particular to the design, as shell variables, and the script that all share.
fn build_script(
    design: &str,
    content: Sha,
    files: &[BundleFile],
    kernels: &[&str],
    limits: &Limits,
    toolchain: &Toolchain,
) -> String {
    let mut out =
        String::from("#!/usr/bin/env bash\n# Emitted by Kiln with manifest.json: makes final.xclbin.\n");
    let mut list = |name: &str, items: Vec<String>| {
        let quoted: Vec<String> = items.iter().map(|item| quote(item)).collect();
        // Writing to a `String` cannot fail.
        let _ = writeln!(out, "{name}=({})", quoted.join(" "));
    };
    list("days", toolchain.mlir_aie_main.to_vec());
    list("releases", toolchain.mlir_aie_releases.to_vec());
    list("kernel_flags", toolchain.kernel_flags.clone());
    list("aiecc_flags", toolchain.aiecc_flags.clone());
    list("kernels", kernels.iter().map(|&k| k.to_owned()).collect());
    list("files", files.iter().map(|f| format!("{}  {}", Sha::of(&f.bytes), f.path)).collect());
    let core = |c: &CoreLimits| format!("{} {} {} {}", c.column, c.row, c.stack_bytes, c.kernels.join(" "));
    list("cores", limits.cores.iter().map(core).collect());
    let _ =
        writeln!(out, "design={}\ncontent={content}\nprogram_bytes={}", quote(design), limits.program_bytes);
    out.push('\n');
    out + BUILD_SH
}

/// A word that the shell takes literally.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests;
