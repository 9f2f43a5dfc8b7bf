//! `kiln disasm`: machine code of a core as text, and text as machine code.

use anyhow::{Context, Result, bail};
use kiln::dsl::container::{CoreElf, Segment};
use kiln::dsl::files;
use kiln::dsl::machine::{Bundle, Disassembly, disassemble};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Bytes of the longest file that is read: an ELF with its symbols and both memories of a core many times over.
const LONGEST_BYTES: u64 = 16 << 20;

/// The machine code of a core, bundle by bundle
///
/// FILE is an ELF of an AIE2 core, of which the program is printed, or bare bytes of program memory. With --encode, TEXT is
/// put into bytes instead: instructions of one bundle between `;`, as `nopa ; mova r0, #-1`. The exit code is 1 where
/// bytes are no bundle; what came before is printed.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["file", "encode"])))]
pub struct Args {
    /// Machine code
    #[arg(value_name = "FILE.elf|FILE.bin")]
    file: Option<PathBuf>,
    /// Text of a bundle; may be given more than once
    #[arg(long, value_name = "TEXT")]
    encode: Vec<String>,
}

/// Prints the bundles.
///
/// # Errors
/// When the file cannot be read, or is no machine code.
pub fn disasm(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    for text in &args.encode {
        let bundle: Bundle = text.parse()?;
        writeln!(out, "{:<47}  {bundle}", hex(&bundle.encode()?))?;
    }
    let Some(path) = &args.file else { return Ok(ExitCode::SUCCESS) };
    let bytes = files::read(path, "a core's machine code", LONGEST_BYTES)?;
    if !bytes.starts_with(b"\x7fELF") {
        print(path, 0, &bytes, out)?;
        return Ok(ExitCode::SUCCESS);
    }
    let elf = CoreElf::read(&bytes).with_context(|| path.display().to_string())?;
    let code: Vec<&Segment> = elf.segments.iter().filter(|segment| segment.executable).collect();
    if code.is_empty() {
        bail!("{}: no segment is code", path.display());
    }
    code.into_iter().try_for_each(|segment| print(path, segment.address, &segment.bytes, out))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the bundles of program memory from an address on.
fn print(path: &Path, address: u32, program: &[u8], out: &mut dyn Write) -> Result<()> {
    let Disassembly { bundles, end } = disassemble(program);
    let stop = end.as_ref().map_or(program.len(), |(at, _)| *at);
    let ends = bundles.iter().skip(1).map(|(at, _)| *at).chain([stop]);
    for ((at, bundle), next) in bundles.iter().zip(ends) {
        let place = u64::from(address) + *at as u64;
        writeln!(out, "{place:6}  {:<47}  {bundle}", hex(&program[*at..next]))?;
    }
    if let Some((at, e)) = end {
        out.flush()?;
        bail!("{}: address {}: {e}", path.display(), u64::from(address) + at as u64);
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
