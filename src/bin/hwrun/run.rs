//! `hwrun run`.

use super::session::{Case, Difference, On, Session, compare};
use anyhow::{Result, bail};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// One run of a design on seeded inputs, compared with the simulator bit for bit
///
/// DIR is what `kiln emit DESIGN --out DIR` wrote and its build.sh built. Exit code 1 when a bit differs.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of artifacts
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Seed of the inputs [default: the manifest's, else 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    on: On,
}

/// Runs and compares.
///
/// # Errors
/// When the artifacts cannot be used, or the run fails.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    let session = Session::new(&args.on)?;
    let seed = match args.seed {
        Some(seed) => seed,
        None => {
            let manifest = kiln::dsl::emit::Manifest::read(&args.folder)?;
            manifest.expected.map_or(1, |e| e.seed)
        }
    };
    let case = session.case(&args.folder, seed)?;
    let mut host = case.inputs.clone();
    let stopped = || session.stopped();
    let patience = session.patience(Some(case.predicted_ms[1]), &stopped);
    let time = session.open(&case)?.run(&mut host, &patience)?;
    let buffers = &case.artifacts.manifest.buffers;
    let written = buffers.iter().enumerate().filter(|(_, b)| b.direction.is_written());
    let compared: Vec<(usize, Option<Difference>)> =
        written.map(|(at, b)| (at, compare(b, &case.expected[at], &host[at]))).collect();
    if compared.iter().all(|&(at, _)| case.expected[at].is_empty()) {
        bail!("design {} writes no byte of host memory, so nothing was compared", case.design.name);
    }
    let equal = compared.iter().all(|(_, difference)| difference.is_none());
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&as_json(&session, &case, seed, &compared, time))?)?;
    } else {
        as_text(&session, &case, seed, &compared, time, out)?;
    }
    Ok(if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn as_text(
    session: &Session,
    case: &Case,
    seed: u64,
    compared: &[(usize, Option<Difference>)],
    time: Duration,
    out: &mut dyn Write,
) -> Result<()> {
    writeln!(out, "{} on the {}, inputs of seed {seed}", case.design.name, session.place())?;
    for (at, difference) in compared {
        let buffer = &case.artifacts.manifest.buffers[*at];
        match difference {
            None => writeln!(out, "  {}: equals the simulator in all {} bytes", buffer.name, buffer.bytes)?,
            Some(difference) => writeln!(out, "  {}", difference.words(buffer))?,
        }
    }
    let [work, all] = case.predicted_ms;
    let (name, _) = session.profile();
    writeln!(
        out,
        "  predicted {} cycles, {work:.3} ms with the controller's start, {all:.3} ms with the host's launch ({name})",
        case.cycles[0]
    )?;
    let measured = time.as_secs_f64() * 1e3;
    let clock = match session.place() {
        "NPU" => "measured by the host",
        _ => "time of the simulation, not of hardware",
    };
    writeln!(
        out,
        "  took {measured:.3} ms, {} cycles of that clock, {:.2} x predicted ({clock})",
        session.cycles_of(time),
        measured / all
    )?;
    Ok(())
}

fn as_json(
    session: &Session,
    case: &Case,
    seed: u64,
    compared: &[(usize, Option<Difference>)],
    time: Duration,
) -> serde_json::Value {
    let buffers: Vec<serde_json::Value> = compared
        .iter()
        .map(|(at, difference)| {
            let buffer = &case.artifacts.manifest.buffers[*at];
            json!({
                "name": buffer.name,
                "bytes": buffer.bytes,
                "differing_bytes": difference.as_ref().map_or(0, |d| d.bytes),
                "first_differing_element": difference.as_ref().map(|d| d.element),
            })
        })
        .collect();
    json!({
        "design": case.design.name,
        "content": case.artifacts.manifest.content,
        "place": session.place(),
        "seed": seed,
        "outputs": buffers,
        "profile": session.profile().0,
        "predicted_cycles": case.cycles[0],
        "predicted_controller_cycles": case.cycles[1],
        "predicted_ms": case.predicted_ms[1],
        "measured_ms": time.as_secs_f64() * 1e3,
        "measured_cycles": session.cycles_of(time),
    })
}
