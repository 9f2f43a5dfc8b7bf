//! `kiln emit`: everything of a design that the device toolchain takes.

use super::{design, device};
use anyhow::{Context, Result, anyhow, bail};
use kiln::artifacts;
use kiln::dsl::array::Design;
use kiln::dsl::device::Device;
use kiln::dsl::emit::{Bundle, BundleFile};
use kiln::kernels::whisper::ModelConfig;
use kiln::kernels::whisper::mel_array::MelArray;
use kiln::kernels::whisper::plan::Plan;
use kiln::kernels::whisper::scheme::Scheme;
use kiln::network::{self, Network, NetworkArgs};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// MLIR, C++, instruction stream, manifest and build script of a design
///
/// Writes DIR/aie.mlir, DIR/kernels/NAME.cc for each kernel, DIR/kernels/kiln_kernel.h, DIR/insts.bin, DIR/build.sh, which
/// makes DIR/final.xclbin with aiecc and Peano, and DIR/manifest.json. In a folder that exists, files of these names are
/// replaced and others left alone; the manifest comes last.
///
/// With --encoder, the same for every design of an encoder, each in the folder of its name in DIR, for `hwrun encode`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the design, as `kiln list --designs` prints it
    #[arg(required_unless_present = "encoder")]
    design: Option<String>,
    /// All designs of an encoder instead: the model's name, as of `kiln encode --model`, or a file of weights, quantised or in
    /// floats
    #[arg(long, value_name = "MODEL|F", conflicts_with_all = ["design", "seed", "profile", "no_expected"])]
    encoder: Option<String>,
    /// How the encoder's tensors are numbers: w8a8, w8a8-static, bf16 or design-doc [default: that of a quantised file, else
    /// w8a8]
    #[arg(long, value_name = "S", requires = "encoder")]
    scheme: Option<Scheme>,
    /// Folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Device to emit for: a built-in name, or a file with a description
    #[arg(long, value_name = "DEVICE|FILE", default_value = "npu1")]
    device: String,
    /// Seed of the inputs whose results the manifest states
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Clock and host memory of the predicted cycles: a profile of the device [default: the device's own default]
    #[arg(long)]
    profile: Option<String>,
    /// State no results: the design is not simulated
    #[arg(long, conflicts_with_all = ["seed", "profile"])]
    no_expected: bool,
}

/// Verifies, emits and simulates the design and writes its files; of an encoder, all of its designs.
///
/// # Errors
/// When there is no such design or encoder, it is not right for the device, or the folder cannot be written.
pub fn emit(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    let device = device(&args.device)?;
    let Some(name) = &args.design else { return emit_encoder(args, &device, out) };
    let design = design(name, &device)?;
    let profile = args.profile.as_deref().unwrap_or(device.default_profile());
    let mut bundle = artifacts::bundle(&design, &device)?;
    if !args.no_expected {
        let profile = (profile, device.profile(profile)?);
        bundle.manifest.expected = artifacts::expected(&design, &device, profile, args.seed)?;
    }
    write_listed(&args.out, &bundle, out)?;
    Ok(ExitCode::SUCCESS)
}

/// A folder of folders: nothing is written unless every design can be emitted.
fn emit_encoder(args: &Args, device: &Device, out: &mut dyn Write) -> Result<ExitCode> {
    let (config, scheme) = encoder(args.encoder.as_deref().unwrap_or_default(), args.scheme)?;
    let plan = Plan::new(&config, &scheme.recipe(), device)?;
    let mut designs: Vec<Design> = plan.designs().into_iter().cloned().collect();
    match MelArray::new(config.mels, device) {
        Ok(front) => designs.push(front.design().clone()),
        Err(too_big) => kiln::say!("note: the log-mel spectrogram is left to the host: {too_big}"),
    }
    let bundles = designs.iter().map(|d| artifacts::bundle(d, device)).collect::<Result<Vec<_>, _>>()?;
    fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot make the folder {}", args.out.display()))?;
    for (design, bundle) in designs.iter().zip(&bundles) {
        write_listed(&args.out.join(&design.name), bundle, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Sizes and scheme of the encoder that `--encoder` names: a model, or a file.
fn encoder(named: &str, asked: Option<Scheme>) -> Result<(ModelConfig, Scheme)> {
    let unknown = match network::named(named) {
        Ok(config) => return Ok((config, asked.unwrap_or_default())),
        Err(unknown) => unknown,
    };
    let path = PathBuf::from(named);
    if !path.exists() {
        return Err(anyhow!("{unknown}\nhelp: there is no file of this name either"));
    }
    let of_file = NetworkArgs { weights: Some(path), scheme: asked, ..NetworkArgs::default() };
    let network = Network::read(&of_file)?;
    Ok((network.config().clone(), network.scheme(asked)))
}

/// Writes a design's files and lists them.
fn write_listed(folder: &Path, bundle: &Bundle, out: &mut dyn Write) -> Result<()> {
    let files = bundle.files();
    write_folder(folder, &files)?;
    for file in &files {
        writeln!(out, "{}", folder.join(&file.path).display())?;
    }
    Ok(())
}

/// Writes all files to a hidden folder on the same file system, then moves them where they belong.
fn write_folder(folder: &Path, files: &[BundleFile]) -> Result<()> {
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
        for file in files {
            let path = staged.join(&file.path);
            fs::write(&path, &file.bytes)?;
            if file.executable {
                make_executable(&path)?;
            }
        }
        if !exists {
            return fs::rename(&staged, folder);
        }
        fs::create_dir_all(folder.join("kernels"))?;
        files.iter().try_for_each(|f| fs::rename(staged.join(&f.path), folder.join(&f.path)))
    };
    write().map_err(|e| {
        anyhow!("{}: {e}\nhelp: --out must name a folder in an existing, writable one", cannot())
    })
}

/// For whoever may read it, as `chmod +x` does.
fn make_executable(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path)?.permissions().mode();
        fs::set_permissions(path, fs::Permissions::from_mode(mode | (mode & 0o444) >> 2))?;
    }
    Ok(())
}
