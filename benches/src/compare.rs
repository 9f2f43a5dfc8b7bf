//! Simulated cycles of every kernel beside hardware's: live where a device is, else as published for the same work.

use crate::live::Live;
use kiln::dsl::device::{Compiler, Device};
use kiln::kernels::case::{Arg, Case, Data, Entry};
use kiln::sim::core::{CoreModel, Engine, KernelArg, run_kernel_on};
use kiln::validate::{InCycles, MeasuredFile, Role, call_on_core, validate};
use serde_yaml::{Mapping, Value};
use std::fmt::Write;

/// Cycles of a call on hardware, and how they are known.
#[derive(Clone, Debug, PartialEq)]
pub struct Hardware {
    /// Cycles.
    pub cycles: f64,
    /// A device, or an entry of the measurements and where it was published.
    pub origin: String,
}

/// One kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its name.
    pub kernel: String,
    /// Who makes bundles of it: whoever did for the measurement.
    pub compiler: Compiler,
    /// Cycles of a call as simulated; else why there are none.
    pub simulated: Result<f64, String>,
    /// On hardware.
    pub hardware: Option<Hardware>,
    /// What went wrong on the device.
    pub failed: Option<String>,
}

impl Row {
    /// Relative error of the simulation.
    pub fn error(&self) -> Option<f64> {
        let hardware = self.hardware.as_ref()?.cycles;
        self.simulated.as_ref().ok().map(|simulated| (simulated - hardware) / hardware)
    }

    /// Operation of the kernel: its name up to the first type or size.
    pub fn group(&self) -> &str {
        group(&self.kernel)
    }
}

fn group(kernel: &str) -> &str {
    let is_operation = |word: &&str| !word.contains(|c: char| c.is_ascii_digit());
    let words = kernel.split('_').take_while(is_operation).map(str::len);
    let (count, bytes) = words.fold((0, 0), |(count, bytes), word| (count + 1, bytes + word));
    &kernel[..bytes + usize::max(count, 1) - 1]
}

/// A published measurement and what the simulation makes of the code that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Entry, and the number in it.
    pub name: String,
    /// Kind of workload.
    pub kind: String,
    /// Both numbers in cycles, and the code.
    pub cycles: InCycles,
    /// Whether a number of the device description comes from it, so that it proves nothing.
    pub is_input: bool,
    /// How it is known, as its entry says.
    pub quality: String,
    /// Where it was published.
    pub source: String,
}

impl Point {
    /// Relative error of the simulation.
    pub fn error(&self) -> f64 {
        (self.cycles.predicted - self.cycles.measured) / self.cycles.measured
    }
}

/// Qualities of entries that tell of hardware: times of it, and counts over the bundles of an object that was compiled for it,
/// but nothing of a vendor's simulator.
const OF_HARDWARE: [&str; 3] = ["measured-on-silicon", "paper", "static-from-object"];

/// Every published time or rate of hardware that is modelled, as `kiln validate` compares it.
pub fn published(file: &MeasuredFile, device: &Device) -> Vec<Point> {
    let report = validate(file, device, &|| {});
    let rows = report.entries.into_iter().filter(|row| OF_HARDWARE.contains(&row.quality.as_str()));
    rows.filter_map(|row| {
        let name = match &row.component {
            Some(component) => format!("{} [{component}]", row.id),
            None => row.id,
        };
        let is_input = row.role == Role::Input;
        let cycles = row.in_cycles.filter(|c| c.predicted > 0.0 && c.measured > 0.0)?;
        Some(Point { name, kind: row.kind?, cycles, is_input, quality: row.quality, source: row.source })
    })
    .collect()
}

/// The published measurement of the work that a kernel does, the fastest where there are several: same operation, types
/// and sizes, other code.
pub fn same_work<'p>(kernel: &str, points: &'p [Point]) -> Option<&'p Point> {
    let (kind, work) = work_of(kernel)?;
    let same = |point: &&Point| {
        let of = &point.cycles.workload;
        let in_b = [of, &work].map(|map| map.get("in_b").or(map.get("in")));
        point.kind == kind
            && in_b[0] == in_b[1]
            && work.iter().all(|(field, value)| {
                // A second operand of the first one's type goes without saying.
                field.as_str() == Some("in_b") || of.get(field) == Some(value)
            })
    };
    points.iter().filter(same).min_by(|a, b| a.cycles.measured.total_cmp(&b.cycles.measured))
}

/// What a kernel of the catalogue does, in the words of `docs/validation.md`, by its name: operation, types and sizes.
fn work_of(kernel: &str) -> Option<(&'static str, Mapping)> {
    let words: Vec<&str> = kernel.split('_').collect();
    let (kind, work) = match words.as_slice() {
        ["matmul", a, out, sizes] => {
            let sizes: Vec<u64> = sizes.split('x').map(|n| n.parse().ok()).collect::<Option<_>>()?;
            let [m, k, n] = sizes[..] else { return None };
            let mut work = vec![("in", Value::from(*a)), ("out", Value::from(*out))];
            work.extend([("m", m.into()), ("k", k.into()), ("n", n.into())]);
            // The catalogue's products of 16-bit integers are with weights of 8 bits.
            if *a == "i16" {
                work.push(("in_b", "i8".into()));
            }
            ("gemm_core", work)
        }
        [op @ ("copy" | "relu"), dtype, n] => {
            let n: u64 = n.parse().ok()?;
            let work = [("op", Value::from(*op)), ("dtype", Value::from(*dtype)), ("n", n.into())];
            ("eltwise", Vec::from(work))
        }
        _ => return None,
    };
    Some((kind, work.into_iter().map(|(field, value)| (Value::from(field), value)).collect()))
}

/// Every kernel, on the device where there is one and it runs there, else beside what was published.
pub fn rows(entries: &[Entry], device: &'static Device, points: &[Point], live: Option<&Live>) -> Vec<Row> {
    let row = |entry: &Entry| {
        let kernel = entry.kernel.name.clone();
        let case = entry.case(1, Data::Random);
        let (measured, failed) = match live.map(|live| live.cycles(entry, &case)) {
            Some(Ok(measured)) => (measured, None),
            Some(Err(why)) => (None, Some(why)),
            None => (None, None),
        };
        if let Some(on) = measured {
            let hardware = Some(Hardware { cycles: on.measured, origin: on.origin });
            let compiler = Compiler::Peano;
            return Row { kernel, compiler, simulated: Ok(on.simulated), hardware, failed };
        }
        let published = same_work(&kernel, points);
        let compiler = published.map(|point| point.cycles.compiler).unwrap_or_default();
        let hardware = published.map(|point| Hardware {
            cycles: point.cycles.measured,
            origin: format!("{}, {}: {}", point.name, point.quality, point.source),
        });
        Row { kernel, compiler, simulated: simulated(entry, case, device, compiler), hardware, failed }
    };
    entries.iter().map(row).collect()
}

/// Cycles of a call on the memory of one core, as `compiler` would build it; of a kernel that does not fit one, without the
/// cycles in which the core waits for a bank.
fn simulated(entry: &Entry, case: Case, device: &Device, compiler: Compiler) -> Result<f64, String> {
    let arg = |(param, arg)| match arg {
        Arg::Bytes(bytes) => KernelArg::Memory(bytes),
        Arg::I32(n) => KernelArg::I32(n),
        Arg::Local => KernelArg::Memory(entry.local_bytes(param)),
    };
    let mut args: Vec<KernelArg> = case.args.into_iter().enumerate().map(arg).collect();
    let model = CoreModel { compiler, ..device.into() };
    let on_core = call_on_core(&entry.kernel, &args, model);
    // A kernel that fills a core's memory may not fit it without the care of a design.
    let cost = on_core.or_else(|_| {
        run_kernel_on(&entry.kernel, model, Engine::Compiled, &mut args).map_err(|e| e.to_string())
    })?;
    Ok(cost.cycles as f64)
}

/// An error for people.
pub(crate) fn percent(error: Option<f64>) -> String {
    error.map_or("-".to_owned(), |error| format!("{:+.1} %", 100.0 * error))
}

/// The kernels as a table for a terminal, by operation.
pub fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|r| r.kernel.len()).max().unwrap_or(0).max("kernel".len());
    let mut text =
        format!("{:<width$} {:>11} {:>10} {:>9}  known from\n", "kernel", "simulated", "hardware", "error");
    for row in rows {
        let simulated = row.simulated.as_ref().map_or("-".to_owned(), |cycles| format!("{cycles:.0}"));
        let hardware = row.hardware.as_ref().map_or("-".to_owned(), |h| format!("{:.0}", h.cycles));
        let origin = row.hardware.as_ref().map(|h| h.origin.as_str()).unwrap_or_default();
        let error = percent(row.error());
        let line = format!("{:<width$} {simulated:>11} {hardware:>10} {error:>9}  {origin}", row.kernel);
        let _ = writeln!(text, "{}", line.trim_end());
        for why in row.simulated.as_ref().err().into_iter().chain(&row.failed) {
            let _ = writeln!(text, "{:<width$} {why}", "");
        }
    }
    text
}

#[cfg(test)]
mod tests;
