//! `kiln numerics`: the options of quantisation, each with its number.

use anyhow::{Result, bail};
use kiln::kernels::whisper::scheme::Scheme;
use kiln::kernels::whisper::study::{self, Clip, Exponentials, Recordings, Score, Variant};
use kiln::kernels::whisper::{EncoderWeights, audio, calibrate, mel, reference};
use ndarray::Array2;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Compares the options of quantisation on recordings: the table of docs/numerics.md
///
/// Every option is an encoder in integers, run whole on the processor, as the array would compute it. Its features are
/// compared with those of the f32 encoder: cosine, and signal to error ratio in dB.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Weights: safetensors with the Hugging Face names of a Whisper encoder
    #[arg(value_name = "WEIGHTS")]
    weights: PathBuf,
    /// Recording to measure scales on; may be given more than once
    #[arg(long, value_name = "WAV", required = true)]
    calibrate: Vec<PathBuf>,
    /// Recording to compare on; may be given more than once
    #[arg(long, value_name = "WAV", required = true)]
    test: Vec<PathBuf>,
    /// Only options with one of these words in their name
    #[arg(long, value_name = "WORD")]
    only: Vec<String>,
    /// Windows of each recording to compare on; all but `full` make a table with one line a window, the least and the
    /// mean cosine last
    #[arg(long, value_enum, default_value_t)]
    windows: Windows,
}

/// Which windows a recording gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Windows {
    /// As it is, and three that it fills
    #[default]
    Full,
    /// 26 that differ in length, speed, level, band and noise
    Varied,
    /// Only as it is
    Recorded,
}

/// Prints a Markdown table, line by line as it is measured.
///
/// # Errors
/// When an input cannot be read.
pub fn numerics(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    let weights = EncoderWeights::load(&args.weights, None)?;
    let window = |samples: &[f32]| mel::spectrogram(samples, &weights.config);
    let clip = |name: String, mel: Array2<f32>| {
        let exact = reference::encode(&weights, mel.view(), &mut |_, _| ());
        Clip { name, mel, exact }
    };
    let mut clips = Vec::new();
    for path in &args.test {
        let samples = audio::read(path)?.samples;
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        if args.windows != Windows::Varied {
            clips.push(clip(name.clone(), window(&samples)));
        }
        let made = match args.windows {
            Windows::Full => study::full_windows(&samples),
            Windows::Varied => study::varied_windows(&samples),
            Windows::Recorded => Vec::new(),
        };
        clips.extend(made.into_iter().map(|(what, s)| clip(format!("{name} {what}"), window(&s))));
    }
    let variants: Vec<_> = study::variants()
        .into_iter()
        .filter(|v| args.only.is_empty() || args.only.iter().any(|w| v.name.contains(w.as_str())))
        .collect();
    if variants.is_empty() {
        let names: Vec<_> = study::variants().into_iter().map(|v| v.name).collect();
        bail!("no option has such a name\nhelp: the names are {}", names.join(", "));
    }
    let recordings = args.calibrate.iter().map(|path| audio::read(path)).collect::<Result<Vec<_>, _>>()?;
    let recorded: Vec<_> = recordings.iter().map(|a| window(&a.samples)).collect();
    let recorded = Recordings::new(&weights, recorded);
    let looped = recordings.iter().flat_map(|a| calibrate::windows(a, &weights.config)).collect();
    let looped = Recordings::new(&weights, looped);
    let scores = |variant: &Variant| {
        let calibration = if variant.looped { &looped } else { &recorded };
        calibration.scores(variant, &weights, &clips)
    };
    if args.windows != Windows::Full {
        let columns: Vec<_> = variants.into_iter().map(|v| (scores(&v), v.name)).collect();
        by_window(&clips, &columns, out)?;
        return Ok(ExitCode::SUCCESS);
    }
    let names: Vec<_> = clips.iter().map(|c| c.name.as_str()).collect();
    writeln!(out, "| option | what | {} |", names.join(" | "))?;
    writeln!(out, "|---|---|{}", "---|".repeat(clips.len()))?;
    for variant in variants {
        let cells: Vec<_> = scores(&variant).iter().map(cell).collect();
        writeln!(out, "| {} | {} | {} |", variant.name, variant.what, cells.join(" | "))?;
        out.flush()?;
    }
    if args.only.is_empty() || args.only.iter().any(|w| "ctx of exponentials".contains(w.as_str())) {
        contexts(&looped, &weights, &clips, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn cell(score: &Score) -> String {
    format!("{:.5}, {:.1} dB", score.cosine, score.sqnr_db)
}

/// Prints a line for each window, the least and the mean, with a column for each option.
fn by_window(clips: &[Clip], options: &[(Vec<Score>, String)], out: &mut dyn Write) -> Result<()> {
    let names: Vec<_> = options.iter().map(|o| o.1.as_str()).collect();
    writeln!(out, "| window | {} |", names.join(" | "))?;
    writeln!(out, "|---|{}", "---|".repeat(options.len()))?;
    for (i, clip) in clips.iter().enumerate() {
        let cells: Vec<_> = options.iter().map(|o| cell(&o.0[i])).collect();
        writeln!(out, "| {} | {} |", clip.name, cells.join(" | "))?;
    }
    let over_all = |of: &dyn Fn(&mut dyn Iterator<Item = f64>) -> f64| {
        let cells = options.iter().map(|o| format!("{:.5}", of(&mut o.0.iter().map(|s| s.cosine))));
        cells.collect::<Vec<_>>().join(" | ")
    };
    writeln!(out, "| least | {} |", over_all(&|all| all.fold(f64::MAX, f64::min)))?;
    writeln!(out, "| mean | {} |", over_all(&|all| all.sum::<f64>() / clips.len() as f64))?;
    Ok(())
}

/// Prints what exponentials cost ctx, of the scheme w8a8-static on every recording.
fn contexts(
    calibration: &Recordings,
    weights: &EncoderWeights,
    clips: &[Clip],
    out: &mut dyn Write,
) -> Result<()> {
    let names: Vec<_> = clips.iter().map(|c| format!("{}: dB by layer", c.name)).collect();
    writeln!(out, "\n| ctx of exponentials | {} |", names.join(" | "))?;
    writeln!(out, "|---|{}", "---|".repeat(clips.len()))?;
    let scheme = Scheme::W8A8Static;
    let chosen = study::variants().into_iter().find(|v| {
        (v.recipe, v.tuning, v.looped) == (scheme.recipe(), scheme.tuning(), true)
            && v.exponentials == Exponentials::Array
    });
    let model = calibration.model(&chosen.expect("the scheme's choices are one of the options"), weights);
    let by_clip: Vec<_> = clips.iter().map(|clip| study::context_sqnr(&model, clip)).collect();
    for (i, (option, _)) in by_clip.first().into_iter().flatten().enumerate() {
        let layers = |of: &[f64]| of.iter().map(|db| format!("{db:.1}")).collect::<Vec<_>>().join(", ");
        let cells: Vec<_> = by_clip.iter().map(|rows| layers(&rows[i].1)).collect();
        writeln!(out, "| {option} | {} |", cells.join(" | "))?;
    }
    Ok(())
}
