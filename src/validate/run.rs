//! Simulating the workloads of a file and comparing.

use super::file::{Measured, MeasuredFile};
use super::report::{InCycles, Report, Role, Row};
use super::unit::Unit;
use super::workload::{Common, Conditions, Outcome, Plan, Task};
use kiln_dsl::device::{Device, Profile};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Simulates the workloads of a file on `device` and compares them with what was measured. `done` is called after each
/// simulation, on any thread.
pub fn validate(file: &MeasuredFile, device: &Device, done: &(dyn Fn() + Sync)) -> Report {
    let distinct: BTreeMap<&str, &Task> = file.tasks().map(|task| (task.key.as_str(), task)).collect();
    let simulate = |(key, task): (&str, &Task)| {
        let outcome = conditions(&task.common, device).and_then(|on| task.workload.simulate(&on));
        done();
        (key.to_owned(), outcome)
    };
    let outcomes: BTreeMap<String, Result<Outcome, String>> =
        distinct.into_par_iter().map(simulate).collect();
    let mut rows = Vec::new();
    for (entry, plan) in &file.plans {
        match plan {
            Plan::NotModelled { kind, reason, role } => {
                rows.push(Row {
                    kind: kind.clone(),
                    measured: entry.value.as_f64(),
                    role: *role,
                    reason: Some(reason.clone()),
                    ..row(entry)
                });
            }
            Plan::Tasks { tasks } => {
                rows.extend(tasks.iter().map(|task| compare(entry, task, &outcomes[&task.key], device)));
            }
        }
    }
    Report::new(rows, file.problems.iter().map(ToString::to_string).collect())
}

/// How many simulations [`validate`] runs.
impl MeasuredFile {
    /// Number of different workloads.
    pub fn simulations(&self) -> usize {
        self.tasks().map(|task| task.key.as_str()).collect::<std::collections::BTreeSet<_>>().len()
    }
}

fn row(entry: &Measured) -> Row {
    Row {
        id: entry.id.clone(),
        kind: None,
        component: None,
        predicted: None,
        measured: None,
        error: None,
        role: Role::Target,
        groups: Vec::new(),
        unit: entry.unit.clone(),
        source: entry.source.clone(),
        quality: entry.quality.clone(),
        in_cycles: None,
        reason: None,
    }
}

fn conditions<'a>(common: &Common, device: &'a Device) -> Result<Conditions<'a>, String> {
    let mut profile = match &common.profile {
        Some(name) => device.profile(name).map_err(|e| e.to_string())?,
        None => nearest(device, common.clock_ghz)?,
    }
    .clone();
    if let Some(ghz) = common.clock_ghz {
        profile.clock_mhz.value = (ghz * 1e3).round() as u32;
    }
    Ok(Conditions { device, profile, compiler: common.compiler.unwrap_or_default() })
}

/// The profile whose clock is nearest to a given one, or the default: a clock that only one kind of machine has
/// says which memory it had.
fn nearest(device: &Device, clock_ghz: Option<f64>) -> Result<&Profile, String> {
    let default = device.profile(device.default_profile()).map_err(|e| e.to_string())?;
    let Some(ghz) = clock_ghz else { return Ok(default) };
    let off = |profile: &Profile| (f64::from(profile.clock_mhz()) - ghz * 1e3).abs();
    let all = device.profiles().map(|(_, profile)| profile);
    Ok(all.fold(default, |best, profile| if off(profile) < off(best) { profile } else { best }))
}

fn compare(entry: &Measured, task: &Task, outcome: &Result<Outcome, String>, device: &Device) -> Row {
    let base = Row {
        kind: Some(task.kind.name.to_owned()),
        component: task.component.clone(),
        measured: Some(task.measured),
        role: task.role,
        groups: [task.kind.area.name().to_owned()].into_iter().chain(task.workload.group()).collect(),
        ..row(entry)
    };
    if task.role == Role::Context {
        return Row { reason: Some("context of another number".to_owned()), ..base };
    }
    let found = outcome.clone().and_then(|outcome| {
        let value = predicted(entry, task, outcome.clone(), device)?;
        Ok((value, in_cycles(entry, task, &outcome, value, device)))
    });
    match found {
        Ok((predicted, in_cycles)) => {
            let error = (task.measured != 0.0).then(|| (predicted - task.measured) / task.measured);
            Row { predicted: Some(predicted), error, in_cycles, ..base }
        }
        Err(reason) => Row { reason: Some(reason), ..base },
    }
}

/// Both numbers as cycles; `None` for those that are neither time nor rate.
fn in_cycles(
    entry: &Measured,
    task: &Task,
    outcome: &Outcome,
    predicted: f64,
    device: &Device,
) -> Option<InCycles> {
    if task.common.observe.is_some()
        || entry.metric.ends_with("/iteration")
        || predicted * task.measured <= 0.0
    {
        return None;
    }
    let (unit, _) = Unit::parse(&entry.unit)?;
    let on = conditions(&task.common, device).ok()?;
    let around = task.common.offset_cycles;
    let cycles = outcome.cycles + around + outcome.host_us * on.clock_hz() * 1e-6;
    let longer = task.measured / predicted;
    Some(InCycles {
        predicted: cycles - around,
        measured: cycles * if unit.is_rate() { longer.recip() } else { longer } - around,
        workload: task.fields.clone(),
        compiler: on.compiler,
    })
}

/// The number that was measured, out of an outcome.
fn predicted(entry: &Measured, task: &Task, mut outcome: Outcome, device: &Device) -> Result<f64, String> {
    outcome.cycles += task.common.offset_cycles;
    let per_iteration =
        entry.metric.ends_with("/iteration") && task.kind.quantities.contains(&"cycles_per_iteration");
    let observe = task.common.observe.as_deref().or(per_iteration.then_some("cycles_per_iteration"));
    if let Some(name) = observe {
        return outcome.quantity(name).ok_or_else(|| format!("this workload gives no {name}"));
    }
    let Some((unit, scale)) = Unit::parse(&entry.unit) else {
        let names = task.kind.quantities.join(", ");
        return Err(format!(
            "unit \"{}\": expected {}, or `observe` with one of: {names}",
            entry.unit,
            Unit::NAMES
        ));
    };
    let on = conditions(&task.common, device)?;
    let value = unit
        .of(&outcome, &on)
        .ok_or_else(|| format!("{} gives nothing in {}", task.kind.name, entry.unit))?;
    Ok(value * scale)
}
