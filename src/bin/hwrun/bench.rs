//! `hwrun bench`.

use super::session::{On, Session};
use anyhow::{Result, bail};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Runs in one list: each takes a command of the driver's.
const MOST_LISTED: i64 = 4096;

/// Times of a design on the device beside its prediction
///
/// The bits are compared once, before times are taken: a wrong result has no time.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of artifacts
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Runs that are timed
    #[arg(short, long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    iters: u32,
    /// Runs before those
    #[arg(short, long, value_name = "N", default_value_t = 5)]
    warmup: u32,
    /// Runs that go to the device as one list, for the time without the host's launch; 0 makes no list
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(..=MOST_LISTED))]
    list: u32,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    on: On,
}

/// Times a design.
///
/// # Errors
/// When the artifacts cannot be used, a run fails, or a bit differs.
pub fn bench(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    let session = Session::new(&args.on)?;
    let case = session.case(&args.folder, 1)?;
    let stopped = || session.stopped();
    let patience = session.patience(Some(case.predicted_ms[1]), &stopped);
    let mut runner = session.open(&case)?;
    let mut host = case.inputs.clone();
    runner.run(&mut host, &patience)?;
    if host != case.expected {
        bail!("{}: the results differ from the simulator's\nhelp: `hwrun run` shows where", case.design.name);
    }
    for _ in 0..args.warmup {
        runner.again(&patience)?;
    }
    let mut times = Vec::new();
    for _ in 0..args.iters {
        times.push(runner.again(&patience)?);
    }
    let listed = match args.list {
        0 => None,
        count => Some(runner.list(count as usize, &patience)? / count),
    };
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let mean = times.iter().sum::<Duration>() / args.iters;
    let (least, median, most) = (times[0], times[times.len() / 2], times[times.len() - 1]);
    let [work, all] = case.predicted_ms;
    let rate = |time: Duration| case.macs as f64 / time.as_secs_f64() / 1e9;
    let (profile, _) = session.profile();
    if args.json {
        let report = json!({
            "design": case.design.name,
            "content": case.artifacts.manifest.content,
            "place": session.place(),
            "iters": args.iters,
            "profile": profile,
            "predicted_cycles": case.cycles[0],
            "predicted_work_ms": work,
            "predicted_ms": all,
            "min_ms": ms(least),
            "median_ms": ms(median),
            "mean_ms": ms(mean),
            "max_ms": ms(most),
            "listed_ms": listed.map(ms),
            "macs": case.macs,
        });
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(
        out,
        "{} on the {}, {} runs after {}",
        case.design.name,
        session.place(),
        args.iters,
        args.warmup
    )?;
    writeln!(out, "  bits: equal to the simulator's")?;
    writeln!(
        out,
        "  predicted: {} cycles; {work:.3} ms with the controller's start, {all:.3} ms with the launch ({profile})",
        case.cycles[0]
    )?;
    writeln!(
        out,
        "  took: min {:.3}, median {:.3}, mean {:.3}, max {:.3} ms; median {:.2} x predicted",
        ms(least),
        ms(median),
        ms(mean),
        ms(most),
        ms(median) / all
    )?;
    if let Some(each) = listed {
        writeln!(
            out,
            "  in a list of {}: {:.3} ms each, {} cycles, {:.2} x predicted without the launch",
            args.list,
            ms(each),
            session.cycles_of(each),
            ms(each) / work
        )?;
    }
    if case.macs > 0 {
        writeln!(out, "  {:.1} GMAC/s at the median", rate(median))?;
    }
    Ok(ExitCode::SUCCESS)
}
