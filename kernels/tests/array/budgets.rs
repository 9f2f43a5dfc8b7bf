//! What every kernel and every design takes of a tile, against the device and against `budgets.txt`.
//!
//! The file holds ceilings with some room above what was predicted when a line was written, so that code or memory that
//! grows is seen long before it does not fit. One line a kernel: program and stack frame; one a design: data memory and
//! program memory of its fullest core, and bytes of its fullest mem tile. Code is that of the default compiler's
//! predicted schedules. A name without a line is held against the device only; `--nocapture` prints the lines to add.

use kiln_dsl::device::Device;
use kiln_dsl::fit::{CodeBytes, TileFit, fit_with_code};
use kiln_dsl::kernel::Kernel;
use kiln_kernels::catalogue::catalogue;
use kiln_kernels::designs;
use kiln_sim::core::KernelCost;
use std::collections::BTreeMap;

/// Ceilings by kind and name.
fn ceilings() -> BTreeMap<(&'static str, &'static str), Vec<u64>> {
    let lines = include_str!("budgets.txt").lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    let words = lines.map(|l| l.split_whitespace().collect::<Vec<_>>());
    let number = |w: &&str| w.parse().unwrap_or_else(|e| panic!("{w}: {e}"));
    words.map(|w| ((w[0], w[1]), w[2..].iter().map(number).collect())).collect()
}

/// A line for these numbers: an eighth more, in steps of 64 bytes, at most `limits`.
fn line(kind: &str, name: &str, used: &[u64], limits: &[u64]) -> String {
    let room = |(u, limit): (&u64, &u64)| (u + u / 8).next_multiple_of(64).min(*limit).to_string();
    let ceilings: Vec<String> = used.iter().zip(limits).map(room).collect();
    format!("{kind} {name} {}", ceilings.join(" "))
}

/// Holds numbers against the device and the line of their name.
fn check(
    kind: &'static str,
    name: &str,
    what: &[&str],
    used: &[u64],
    limits: &[u64],
    problems: &mut Vec<String>,
) {
    let ceilings = ceilings();
    let ceiling = ceilings.get(&(kind, name)).map_or(limits, |c| &c[..]);
    if !ceilings.contains_key(&(kind, name)) {
        println!("{}", line(kind, name, used, limits));
    }
    assert_eq!(ceiling.len(), used.len(), "{kind} {name}");
    for (((what, used), ceiling), limit) in what.iter().zip(used).zip(ceiling).zip(limits) {
        if used > ceiling || ceiling > limit {
            problems.push(format!("{kind} {name}: {what} {used} B, at most {ceiling} B (device {limit} B)"));
        }
    }
}

fn code(kernel: &Kernel) -> CodeBytes {
    KernelCost::new(kernel, Device::npu1()).size()
}

#[test]
fn every_kernel_is_within_its_budget() {
    let core = &Device::npu1().core;
    let program = u64::from(core.program_memory_bytes() - core.program_overhead_bytes());
    let mut problems = Vec::new();
    for entry in catalogue() {
        let CodeBytes { program: used, frame } = code(&entry.kernel);
        let (used, limits) =
            ([used.into(), frame.into()], [program, u64::from(core.default_stack_bytes()) * 2]);
        check("kernel", &entry.kernel.name, &["program", "stack frame"], &used, &limits, &mut problems);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_design_is_within_its_budget() {
    let device = Device::npu1();
    let mut known: BTreeMap<String, CodeBytes> = BTreeMap::new();
    let mut problems = Vec::new();
    for design in designs::designs() {
        for kernel in &design.kernels {
            known.entry(kernel.name.clone()).or_insert_with(|| code(kernel));
        }
        let report = fit_with_code(&design, device, &|kernel| known.get(&kernel.name).copied());
        if !report.fits {
            problems.push(report.to_string());
        }
        let most =
            |kind, of: fn(&TileFit) -> Option<u64>| report.of_kind(kind).filter_map(of).max().unwrap_or(0);
        let memory = |tile: &TileFit| tile.memory.as_ref().map(|m| m.bytes.used);
        let used =
            [most("core", memory), most("core", |tile| tile.program.map(|p| p.used)), most("mem", memory)];
        let limits =
            [device.core.data_memory_bytes(), device.core.program_memory_bytes(), device.mem.memory_bytes()];
        let what = ["L1", "program memory", "mem tile"];
        check("design", &design.name, &what, &used, &limits.map(u64::from), &mut problems);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
