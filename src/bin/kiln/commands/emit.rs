//! `kiln emit`: the MLIR of a design and the C++ of its kernels.

use super::{design, device};
use anyhow::{Result, anyhow, bail};
use kiln::dsl::array::verify;
use kiln::dsl::emit::{emit_cpp, emit_mlir};
use kiln::dsl::native::KILN_KERNEL_H;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `aie.mlir` of a design and the C++ of its kernels
///
/// Writes DIR/aie.mlir, DIR/kernels/NAME.cc for each kernel and DIR/kernels/kiln_kernel.h, all or nothing. In a folder
/// that exists, files of these names are replaced and others left alone.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the design, as `kiln list --designs` prints it
    design: String,
    /// Folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Device to verify against: a built-in name, or a file with a description
    #[arg(long, value_name = "DEVICE|FILE", default_value = "npu1")]
    device: String,
}

/// Verifies the design and writes its files.
///
/// # Errors
/// When there is no such design, it is not right for the device, or the folder cannot be written.
pub fn emit(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    let design = design(&args.design)?;
    let device = device(&args.device)?;
    let design = verify(design, &device)?;
    let mut files = vec![(PathBuf::from("aie.mlir"), emit_mlir(&design, &device)?)];
    for kernel in &design.kernels {
        files.push((Path::new("kernels").join(format!("{}.cc", kernel.name)), emit_cpp(kernel)?));
    }
    if !design.kernels.is_empty() {
        files.push((Path::new("kernels").join("kiln_kernel.h"), KILN_KERNEL_H.to_owned()));
    }
    write_folder(&args.out, &files)?;
    for (name, _) in &files {
        writeln!(out, "{}", args.out.join(name).display())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes all files to a hidden folder on the same file system, then moves them where they belong.
fn write_folder(folder: &Path, files: &[(PathBuf, String)]) -> Result<()> {
    let cannot = || format!("cannot write the design to {}", folder.display());
    let exists = match fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => true,
        Ok(_) => bail!("cannot write the design to {}: expected a folder, got a file", folder.display()),
        Err(_) => false,
    };
    let parent = match folder.parent() {
        _ if exists => folder,
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => folder,
    };
    let write = || -> std::io::Result<()> {
        let hidden = tempfile::Builder::new().prefix(".kiln-emit-").tempdir_in(parent)?;
        // A folder of its own: the hidden one is for its owner only, the design is not.
        let staged = hidden.path().join("design");
        fs::create_dir(&staged)?;
        fs::create_dir(staged.join("kernels"))?;
        for (name, text) in files {
            fs::write(staged.join(name), text)?;
        }
        if !exists {
            return fs::rename(&staged, folder);
        }
        fs::create_dir_all(folder.join("kernels"))?;
        files.iter().try_for_each(|(name, _)| fs::rename(staged.join(name), folder.join(name)))
    };
    write().map_err(|e| {
        anyhow!("{}: {e}\nhelp: --out must name a folder in an existing, writable one", cannot())
    })
}
