//! `kiln lower`: what the toolchain builds from a design.

use super::{design_or_file, device};
use anyhow::Result;
use clap::ValueEnum;
use kiln::dsl::array::lowered::{LoweredJson, TileJson};
use kiln::dsl::array::{LowerMode, lower as lower_verified, preview, verify};
use kiln::dsl::device::Compiler;
use kiln::fit::fit;
use std::io::{self, Write};
use std::process::ExitCode;

/// What the MLIR-AIE toolchain builds from a design: buffers, locks, buffer descriptors, channels and flows
///
/// A design with errors, or whose code does not fit, is lowered too, to be looked at; what is wrong goes to stderr and
/// the exit code is 1.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the design, as `kiln list --designs` prints it, or a file of MLIR at the level of object FIFOs
    #[arg(value_name = "DESIGN|FILE.mlir")]
    design: String,
    /// How accesses to FIFOs in cores are lowered
    #[arg(long, value_enum, default_value_t = Mode::Dynamic)]
    mode: Mode,
    /// Device to lower for: a built-in name, or a file with a description
    #[arg(long, value_name = "DEVICE|FILE", default_value = "npu1")]
    device: String,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    /// Positions in counters, as aiecc does by default
    Dynamic,
    /// Loops unrolled
    Static,
}

/// Prints the lowering.
///
/// # Errors
/// When there is no such design, file or device, the file is not in the subset, or the mode cannot lower it.
pub fn lower(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    let device = device(&args.device)?;
    let design = design_or_file(&args.design, &device)?;
    let mode = match args.mode {
        Mode::Dynamic => LowerMode::Dynamic,
        Mode::Static => LowerMode::Static,
    };
    let (lowered, errors) = match verify(design.clone(), &device) {
        Ok(verified) => {
            let budget = fit(&design, &device, Compiler::default());
            let over = (!budget.fits).then(|| budget.to_string());
            (lower_verified(&verified, &device, mode)?, over)
        }
        Err(errors) => (preview(&design, &device, mode), Some(errors.to_string())),
    };
    let lowered = LoweredJson::new(&design, &lowered, mode);
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&lowered)?)?;
    } else {
        print(&lowered, out)?;
    }
    let Some(errors) = errors else { return Ok(ExitCode::SUCCESS) };
    out.flush()?;
    kiln::say!("error: {errors}");
    Ok(ExitCode::FAILURE)
}

fn print(lowered: &LoweredJson, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{} lowering, as mlir-aie of {}", lowered.mode, lowered.mlir_aie)?;
    for (place, tile) in &lowered.tiles {
        print_tile(place, tile, out)?;
    }
    writeln!(out, "flows")?;
    for flow in &lowered.flows {
        let [[from_col, from_row], [to_col, to_row]] = [flow.from, flow.to];
        let (port, to_port) = (&flow.port, &flow.to_port);
        writeln!(out, "  ({from_col},{from_row}) {port} -> ({to_col},{to_row}) {to_port}")?;
    }
    Ok(())
}

fn print_tile(place: &str, tile: &TileJson, out: &mut dyn Write) -> io::Result<()> {
    match tile.stack_bytes {
        Some(bytes) => writeln!(out, "tile ({place}), stack {bytes} B")?,
        None => writeln!(out, "tile ({place})")?,
    }
    for b in &tile.buffers {
        let made = if b.name.starts_with("_anonymous") {
            "  (positions of FIFOs, made by the toolchain)"
        } else {
            ""
        };
        writeln!(out, "  buffer {:#07x}  bank {}  {:>6} B  {}{made}", b.address, b.bank, b.bytes, b.name)?;
    }
    for lock in &tile.locks {
        writeln!(out, "  lock {:>2} = {:<2}  {}", lock.id, lock.init, lock.name)?;
    }
    for channel in &tile.dma {
        writeln!(out, "  {}", channel.channel)?;
        for bd in &channel.bds {
            write!(out, "    bd {:>2}  {}[{}..{}]", bd.bd_id, bd.buffer, bd.offset, bd.offset + bd.len)?;
            if let (Some(sizes), Some(strides)) = (&bd.sizes, &bd.strides) {
                write!(out, "  sizes {sizes:?} strides {strides:?}")?;
            }
            match bd.next {
                Some(next) => writeln!(out, "  then {next}")?,
                None => writeln!(out)?,
            }
        }
    }
    Ok(())
}
