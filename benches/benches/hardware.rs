//! Simulated cycles of every kernel beside those of hardware: `cargo bench -p kiln-benches --bench hardware`, with a part of
//! a name behind `--` for some kernels.
//!
//! Prints a table and writes `target/kiln/hardware.html`. With an NPU and its toolchain, kernels are timed on it, at the
//! clock of the profile that `KILN_PROFILE` names; `KILN_XRT=simulated` rehearses that. Elsewhere hardware's cycles are those
//! that were published for the same work.

use kiln::dsl::device::Device;
use kiln::kernels::catalogue::catalogue;
use kiln::live::Place;
use kiln::validate::MeasuredFile;
use kiln_benches::compare::{published, rows, table};
use kiln_benches::live::Live;
use kiln_benches::page::page;
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::npu1();
    let mut told = Vec::new();
    let live = match Place::here() {
        Ok(place) => {
            let profile = std::env::var("KILN_PROFILE").unwrap_or(device.default_profile().to_owned());
            let live = Live::new(place, device, &profile)?;
            told.push(format!("live: {}", live.origin()));
            Some(live)
        }
        Err(missing) => {
            let count = missing.len();
            told.push(format!(
                "live: no NPU, or no toolchain for it: {count} things are missing, see `hwrun doctor`"
            ));
            None
        }
    };
    told.push(
        "recorded: published measurements (validation/measured.yaml), of other code than ours for the same work"
            .to_owned(),
    );
    let points = published(&MeasuredFile::built_in(), device);
    // Cargo says `--bench`, people a part of a name.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let mut entries = catalogue();
    entries.retain(|entry| wanted.iter().all(|part| entry.kernel.name.contains(part.as_str())));
    let rows = rows(&entries, device, &points, live.as_ref());

    println!("cycles of a call, predicted for {}, beside hardware's", device.name);
    told.iter().for_each(|line| println!("  {line}"));
    print!("\n{}", table(&rows));
    let known = rows.iter().filter(|row| row.hardware.is_some()).count();
    println!(
        "\nhardware is known for {known} of {} kernels; {} published times and rates are simulated too",
        rows.len(),
        points.len()
    );
    // Cargo's folder for benchmarks lies in that of the build.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap_or(Path::new("."));
    let folder = target.join("kiln");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("hardware.html");
    std::fs::write(&file, page(&rows, &points, &told, device).into_string())?;
    println!("plots: {}", file.display());
    Ok(())
}
