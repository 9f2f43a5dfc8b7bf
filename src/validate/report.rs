//! What came out: a row a measured number, and the statistics over those that count.

use kiln_dsl::device::Compiler;
use serde::{Deserialize, Serialize};
use serde_yaml::Mapping;
use std::collections::BTreeSet;
use std::fmt;

/// What a measured number is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// To be predicted.
    Target,
    /// The source of a number of the device description: left out of the statistics.
    Input,
    /// Says more about another number of its entry, such as the range of an average: not to be predicted.
    Context,
}

/// A measured time or rate as cycles of the array, at the clock of its workload, with those that are around it taken off.
#[derive(Clone, Debug, PartialEq)]
pub struct InCycles {
    /// Predicted.
    pub predicted: f64,
    /// Measured.
    pub measured: f64,
    /// Fields of the workload's kind.
    pub workload: Mapping,
    /// Who made bundles of its source code.
    pub compiler: Compiler,
}

/// One measured number and its prediction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Entry.
    pub id: String,
    /// Kind of workload; `None` without one.
    pub kind: Option<String>,
    /// Name of this number among those of the entry.
    pub component: Option<String>,
    /// Predicted, in the unit; `None` when it is not modelled.
    pub predicted: Option<f64>,
    /// Measured, in the unit; `None` when the entry has a list without names.
    pub measured: Option<f64>,
    /// `(predicted - measured) / measured`.
    pub error: Option<f64>,
    /// What the number is for.
    pub role: Role,
    /// Groups that it counts in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Unit of both.
    pub unit: String,
    /// Where the measurement was published.
    pub source: String,
    /// How the measurement is known, as the entry says.
    #[serde(skip)]
    pub quality: String,
    /// The same in cycles, where both numbers are a time or a rate.
    #[serde(skip)]
    pub in_cycles: Option<InCycles>,
    /// Why there is no prediction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How well the targets of a group are predicted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// `core`, `array`, or measurements that have a target of their own.
    pub name: String,
    /// Entries of the file with a predicted target in it.
    pub entries: usize,
    /// Predicted targets.
    pub numbers: usize,
    /// Median of their absolute relative errors.
    pub median_abs_error: f64,
    /// Their 90th percentile.
    pub p90_abs_error: f64,
}

/// Every measured number, and how well those are predicted that are to be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// In the order of the file.
    pub entries: Vec<Row>,
    /// Entries of the file with a prediction.
    pub modelled: usize,
    /// Entries of the file.
    pub total: usize,
    /// Median of the absolute relative errors of all predicted targets.
    pub median_abs_error: Option<f64>,
    /// Their 90th percentile.
    pub p90_abs_error: Option<f64>,
    /// The same of every group that has a target, in order of their names.
    pub groups: Vec<Group>,
    /// What is wrong with entries of the file.
    pub problems: Vec<String>,
}

impl Report {
    /// The report of these rows.
    pub(super) fn new(entries: Vec<Row>, problems: Vec<String>) -> Report {
        let targets: Vec<(&Row, f64)> = entries
            .iter()
            .filter(|row| row.role == Role::Target)
            .filter_map(|row| row.error.map(|error| (row, error.abs())))
            .collect();
        let errors = ascending(targets.iter().map(|&(_, error)| error));
        let names: BTreeSet<&String> = targets.iter().flat_map(|(row, _)| &row.groups).collect();
        let groups = names.into_iter().filter_map(|name| Group::new(name, &targets)).collect();
        let mut ids: Vec<(&str, bool)> =
            entries.iter().map(|row| (row.id.as_str(), row.predicted.is_none())).collect();
        ids.sort_unstable();
        ids.dedup_by_key(|(id, _)| *id);
        Report {
            modelled: ids.iter().filter(|(_, missing)| !missing).count(),
            total: ids.len(),
            median_abs_error: quantile(&errors, 0.5),
            p90_abs_error: quantile(&errors, 0.9),
            groups,
            entries,
            problems,
        }
    }
}

impl Group {
    /// The group of a name among targets with their errors.
    fn new(name: &str, targets: &[(&Row, f64)]) -> Option<Group> {
        let mine: Vec<_> = targets.iter().filter(|(row, _)| row.groups.iter().any(|g| g == name)).collect();
        let errors = ascending(mine.iter().map(|(_, error)| *error));
        Some(Group {
            name: name.to_owned(),
            entries: mine.iter().map(|(row, _)| row.id.as_str()).collect::<BTreeSet<_>>().len(),
            numbers: errors.len(),
            median_abs_error: quantile(&errors, 0.5)?,
            p90_abs_error: quantile(&errors, 0.9)?,
        })
    }
}

fn ascending(errors: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut errors: Vec<f64> = errors.collect();
    errors.sort_by(f64::total_cmp);
    errors
}

/// The quantile of ascending numbers, linear between neighbours.
fn quantile(ascending: &[f64], q: f64) -> Option<f64> {
    let last = ascending.len().checked_sub(1)?;
    let at = q * last as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    Some(ascending[low] + (ascending[high] - ascending[low]) * (at - low as f64))
}

/// A number with as many digits as say something.
fn short(x: Option<f64>) -> String {
    match x {
        None => "-".to_owned(),
        Some(x) if x == 0.0 || x.abs() >= 1000.0 || x.fract() == 0.0 => format!("{x:.0}"),
        Some(x) if x.abs() >= 10.0 => format!("{x:.1}"),
        Some(x) => format!("{x:.3}"),
    }
}

fn percent(x: Option<f64>) -> String {
    x.map_or("-".to_owned(), |x| format!("{:+.1} %", 100.0 * x))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |row: &Row| match &row.component {
            Some(component) => format!("{} [{component}]", row.id),
            None => row.id.clone(),
        };
        let (modelled, others): (Vec<&Row>, Vec<&Row>) =
            self.entries.iter().partition(|row| row.predicted.is_some());
        let width = modelled.iter().map(|row| name(row).chars().count()).max().unwrap_or(2).max(2);
        writeln!(
            f,
            "{:width$}  {:>10}  {:>10}  {:>9}  {:<16}source",
            "id", "predicted", "measured", "error", "unit"
        )?;
        for row in &modelled {
            let (predicted, measured) = (short(row.predicted), short(row.measured));
            let error = match row.role {
                Role::Target => percent(row.error),
                Role::Input => "input".to_owned(),
                Role::Context => "context".to_owned(),
            };
            let unit: String = row.unit.chars().take(15).collect();
            writeln!(
                f,
                "{:width$}  {predicted:>10}  {measured:>10}  {error:>9}  {unit:<16}{}",
                name(row),
                row.source
            )?;
        }
        if !others.is_empty() {
            writeln!(f, "\nnot modelled:")?;
            for row in others.iter().filter(|row| row.role != Role::Context) {
                writeln!(f, "  {}: {}", name(row), row.reason.as_deref().unwrap_or("no reason known"))?;
            }
        }
        let targets = modelled.iter().filter(|row| row.role == Role::Target && row.error.is_some()).count();
        writeln!(f, "\n{} of {} entries modelled, {targets} numbers predicted", self.modelled, self.total)?;
        if let (Some(median), Some(p90)) = (self.median_abs_error, self.p90_abs_error) {
            let (median, p90) = (100.0 * median, 100.0 * p90);
            writeln!(f, "absolute relative error: median {median:.1} %, 90th percentile {p90:.1} %")?;
        }
        for group in &self.groups {
            let Group { name, entries, numbers, .. } = group;
            let (median, p90) = (100.0 * group.median_abs_error, 100.0 * group.p90_abs_error);
            writeln!(
                f,
                "  {name}: {numbers} numbers of {entries} entries, median {median:.1} %, 90th percentile {p90:.1} %"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[3.0], 0.9), Some(3.0));
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.5), Some(2.0));
        assert_eq!(quantile(&[0.0, 10.0], 0.9), Some(9.0));
    }
}
