//! `kiln view`: a design, its memories and its time as pictures.

use super::{claim, design_or_file, device};
use anyhow::{Context, Result, bail};
use kiln::dsl::array::{Design, LowerMode, preview};
use kiln::dsl::device::{Compiler, Device};
use kiln::dsl::files::{self, read_text};
use kiln::fit::fit;
use kiln::kernels::designs;
use kiln::runner::SimRunner;
use kiln::sim::array::SimOptions;
use kiln::sim::report::SimReport;
use kiln::view::{Subject, figures, page, read_trace, timeline_page};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Bytes of the longest trace that is read.
const LONGEST_TRACE_BYTES: u64 = 256 << 20;

/// A design or a trace as pictures: the array, memory, time
///
/// Writes one HTML page that needs nothing else: the array as a map with object FIFOs as arrows, the memory of each tile
/// by bank, the budget, and of a simulated run a timeline of cores, channels and locks, a roofline, and what the cores
/// wait for. Files of MLIR are drawn without a run. A trace file (`kiln run --trace`) is drawn as a timeline.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of a design, as `kiln list --designs` prints it; a file of MLIR at the level of object FIFOs; or a trace
    #[arg(value_name = "DESIGN|FILE.mlir|TRACE.json")]
    what: String,
    /// The page to write
    #[arg(long, value_name = "PAGE.html")]
    out: PathBuf,
    /// Folder for the same pictures as SVG files
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
    /// Show the page in the browser of this machine
    #[arg(long)]
    open: bool,
    /// Device: a built-in name, or a file with a description
    #[arg(long, value_name = "DEVICE|FILE", default_value = "npu1")]
    device: String,
    /// Clock and host memory: a profile of the device [default: the device's own default]
    #[arg(long)]
    profile: Option<String>,
    /// Events of the run that the timeline shows, from the start
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    events: u32,
    /// Seed of the data of the run
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Writes the page, and says what is in it.
///
/// # Errors
/// When there is no such design, device or trace, the run fails, or a file cannot be written.
pub fn view(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    let [page] = claim([("the page", Some(&args.out))], &[Path::new(&args.what)])?;
    let (text, what) = if Path::new(&args.what).extension().is_some_and(|e| e == "json") {
        if args.svg.is_some() {
            bail!("--svg is for designs: {} is a trace", args.what);
        }
        (trace_page(&args.what)?, "timeline".to_owned())
    } else {
        design_page(args)?
    };
    if let Some(page) = page {
        page.write(|file| file.write_all(text.as_bytes()))?;
    }
    writeln!(out, "{what} of {} in {}, {} B", args.what, args.out.display(), text.len())?;
    if args.open {
        show(&args.out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn trace_page(name: &str) -> Result<String> {
    let text = read_text(Path::new(name), "a trace", LONGEST_TRACE_BYTES)?;
    let timeline = read_trace(&text).with_context(|| name.to_owned())?;
    Ok(timeline_page(name, &timeline))
}

fn design_page(args: &Args) -> Result<(String, String)> {
    let device = device(&args.device)?;
    let design = design_or_file(&args.what, &device)?;
    let profile_name = args.profile.clone().unwrap_or_else(|| device.default_profile().to_owned());
    let profile = device.profile(&profile_name)?;
    let budget = fit(&design, &device, Compiler::default());
    let lowered = preview(&design, &device, LowerMode::default());
    let run = if budget.fits { run(args, &design, &device, profile)? } else { None };
    let subject = Subject {
        design: &design,
        lowered: &lowered,
        fit: &budget,
        device: &device,
        profile: (&profile_name, profile),
        run: run.as_ref(),
    };
    if let Some(folder) = &args.svg {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for figure in figures(&subject) {
            files::write(&folder.join(figure.file), figure.svg.as_bytes())?;
        }
    }
    let what = if run.is_some() { "array, memory and time" } else { "array and memory, without a run," };
    Ok((page(&subject), what.to_owned()))
}

/// A run with data from the seed, for designs that have some.
fn run(
    args: &Args,
    design: &Design,
    device: &Device,
    profile: &kiln::dsl::device::Profile,
) -> Result<Option<SimReport>> {
    let Some(mut host) = designs::inputs(design, device, args.seed)? else { return Ok(None) };
    let options = SimOptions { trace_events: args.events as usize, ..SimOptions::default() };
    let mut runner = SimRunner::new(device, profile).with_options(options);
    Ok(Some(runner.dispatch(design, &mut host)?))
}

/// Hands the page to the desktop, which does not wait for it.
fn show(page: &Path) -> Result<()> {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let quiet = Stdio::null;
    Command::new(program)
        .arg(page)
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet())
        .spawn()
        .with_context(|| format!("cannot start {program}\nhelp: open {} in a browser", page.display()))?;
    Ok(())
}
