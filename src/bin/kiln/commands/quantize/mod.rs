//! `kiln quantize`: an encoder's weights and some recordings to a file of integers, and what that costs.

mod html;

use super::claim;
use anyhow::{Result, anyhow, bail};
use kiln::kernels::whisper::config::WINDOW_FRAMES;
use kiln::kernels::whisper::report::{QuantReport, compare};
use kiln::kernels::whisper::saved;
use kiln::kernels::whisper::scheme::Scheme;
use kiln::kernels::whisper::weights::EncoderWeights;
use kiln::kernels::whisper::{audio, calibrate};
use kiln::network::quantise_watched;
use kiln::progress;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Quantises an encoder once, for `kiln encode --weights`
///
/// The f32 encoder runs on the recordings first, which gives the scales; then the integers run on the same ones, and the
/// report compares both tensor by tensor. Strange numbers of the f32 encoder mean a wrong file of weights, not a bad
/// quantisation.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Weights with Hugging Face's or OpenAI's names: safetensors (a file, a list of shards or their folder), PyTorch
    /// (.pt) or whisper.cpp's ggml (.bin)
    #[arg(value_name = "MODEL")]
    weights: PathBuf,
    /// Recording to measure scales on; may be given more than once
    #[arg(long, value_name = "AUDIO", required = true)]
    calibrate: Vec<PathBuf>,
    /// How tensors are numbers: w8a8, w8a8-static, bf16 or design-doc
    #[arg(long, value_name = "S", default_value_t = Scheme::default())]
    scheme: Scheme,
    /// File for the integers: safetensors with a stamp
    #[arg(long, value_name = "Q.safetensors")]
    out: PathBuf,
    /// File for the report: .html or .json
    #[arg(long, value_name = "F.html|F.json")]
    report: Option<PathBuf>,
}

/// All that a report tells.
#[derive(Debug, Serialize)]
struct Report {
    /// Always this: the report is of recordings that scales were measured on.
    note: &'static str,
    /// The weights.
    weights: String,
    /// Recordings.
    calibration: Vec<String>,
    /// Windows that they were measured on.
    windows: usize,
    /// What the file of integers is stamped with.
    stamp: saved::Stamp,
    /// Tensors and layers.
    #[serde(flatten)]
    found: QuantReport,
}

/// Quantises, and writes the integers and the report.
///
/// # Errors
/// When an input is bad, the encoder cannot be quantised, or a file cannot be written.
pub fn quantize(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    let format = args.report.as_deref().map(format_of).transpose()?;
    let inputs: Vec<&Path> = args.calibrate.iter().chain([&args.weights]).map(PathBuf::as_path).collect();
    let outputs = [("the integers", Some(args.out.as_path())), ("the report", args.report.as_deref())];
    let [integers, report_file] = claim(outputs, &inputs)?;
    let weights = EncoderWeights::load(&args.weights, None)?;
    if weights.config.frames() > WINDOW_FRAMES {
        let frames = weights.config.frames();
        bail!(
            "{}: the encoder reads {frames} mel frames, a window has {WINDOW_FRAMES}",
            args.weights.display()
        );
    }
    let recordings = args.calibrate.iter().map(|path| audio::read(path)).collect::<Result<Vec<_>, _>>()?;
    for note in args.calibrate.iter().zip(&recordings).filter_map(|(path, audio)| audio.note(path)) {
        kiln::say!("note: {note}");
    }
    let mels: Vec<_> = recordings.iter().flat_map(|a| calibrate::windows(a, &weights.config)).collect();
    if mels.is_empty() {
        bail!("the recordings are empty: nothing to measure scales on");
    }
    if !weights.unknown.is_empty() {
        kiln::say!("note: tensors that an encoder does not have: {}", weights.unknown.join(", "));
    }

    let bar = progress::steps("f32 encoder on the recordings, scales and integers");
    let quantised = quantise_watched(&weights, &mels, args.scheme, &bar, &kiln::interrupt::requested)
        .map_err(|e| anyhow!("{}: {e}", args.weights.display()))?;
    bar.set_position(bar.length().unwrap_or(0));
    bar.set_message("integers beside floats");
    let report = Report {
        note: "measured on the recordings that scales were measured on: others are a little worse",
        weights: args.weights.display().to_string(),
        calibration: args.calibrate.iter().map(|p| p.display().to_string()).collect(),
        windows: mels.len(),
        found: compare(&quantised.weights, &quantised.model, &mels),
        stamp: quantised.stamp,
    };
    bar.set_message("writing");
    if let Some(integers) = integers {
        saved::write(integers, &quantised.model, &report.stamp)?;
    }
    if let (Some(file), Some(format)) = (report_file, format) {
        let text = match format {
            Format::Json => serde_json::to_string_pretty(&report)?,
            Format::Html => html::page(&report).into_string(),
        };
        file.write(|file| file.write_all(text.as_bytes()))?;
    }
    bar.finish_and_clear();
    summary(&report, &args.out, out)?;
    Ok(ExitCode::SUCCESS)
}

/// What a report is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Html,
    Json,
}

fn format_of(path: &Path) -> Result<Format> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("html" | "htm") => Ok(Format::Html),
        Some("json") => Ok(Format::Json),
        _ => bail!("{}: expected a report named .html or .json", path.display()),
    }
}

fn summary(report: &Report, file: &Path, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "{}: {}", file.display(), report.stamp)?;
    writeln!(
        out,
        "\n{:<10} {:>12} {:>10} {:>9}   on the calibration's {} window(s)",
        "stream", "f32 rms", "cosine", "SQNR", report.windows
    )?;
    for layer in &report.found.layers {
        writeln!(
            out,
            "{:<10} {:>12.4} {:>10.6} {:>6.1} dB",
            layer.name, layer.rms, layer.cosine, layer.sqnr_db
        )?;
    }
    let worst = report.found.tensors.iter().min_by(|a, b| a.sqnr_db.total_cmp(&b.sqnr_db));
    if let Some(worst) = worst {
        writeln!(
            out,
            "\nnoisiest tensor {}: {:.1} dB, {} of {} elements saturated",
            worst.name, worst.sqnr_db, worst.saturated, worst.elements
        )?;
    }
    Ok(())
}
