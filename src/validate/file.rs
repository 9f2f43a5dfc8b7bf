//! Files of measurements: YAML with a list `entries`.

use super::report::Role;
use super::workload::{KINDS, Plan, Task};
use kiln_dsl::files::{ReadError, read_text};
use serde::Deserialize;
use serde_yaml::Value;
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

/// Larger files are refused before they are read.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The project's own measurements, each with its source.
const BUILT_IN: &str = include_str!("../../validation/measured.yaml");

/// One published measurement, as the file has it.
#[derive(Clone, Debug, Deserialize)]
pub struct Measured {
    /// Unique in its file.
    pub id: String,
    /// What was measured.
    #[serde(default)]
    pub metric: String,
    /// A number, or a list of them.
    pub value: Value,
    /// Unit of the value.
    #[serde(default)]
    pub unit: String,
    /// Where the number was published.
    #[serde(default)]
    pub source: String,
    /// How it is known, as `measured-on-silicon`.
    #[serde(default)]
    pub quality: String,
    /// The source code and conditions that were measured; none: nothing that is simulated here.
    #[serde(default)]
    pub workload: Option<Value>,
}

#[derive(Deserialize)]
struct Document {
    entries: Vec<Measured>,
}

/// Something wrong with one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which entry.
    pub id: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.message)
    }
}

/// Why there are no measurements to compare with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file cannot be read, or is larger than any list of measurements.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Not YAML, or not a list of entries.
    #[error(
        "{name}: {cause}\nhelp: expected `entries:`, a list of maps with id, metric, value, unit, source and workload"
    )]
    Format {
        /// Name of the file.
        name: String,
        /// Line and column, and what was expected.
        cause: serde_yaml::Error,
    },
}

/// Measurements, and what to simulate for each.
#[derive(Debug)]
pub struct MeasuredFile {
    /// Every entry with what is to be done about it, in the order of the file.
    pub(super) plans: Vec<(Measured, Plan)>,
    /// What is wrong with entries; those are listed as not modelled.
    pub problems: Vec<Problem>,
}

impl MeasuredFile {
    /// The project's own measurements.
    ///
    /// # Panics
    /// Never: a test reads them.
    pub fn built_in() -> MeasuredFile {
        MeasuredFile::parse(BUILT_IN, "validation/measured.yaml").unwrap_or_else(|e| panic!("{e}"))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or is no list of measurements. What is wrong with single entries is in `problems`.
    pub fn read(path: &Path) -> Result<MeasuredFile, FileError> {
        let text = read_text(path, "a list of measurements", MAX_FILE_BYTES)?;
        MeasuredFile::parse(&text, &path.display().to_string())
    }

    /// Reads the text of a file; `name` is for errors.
    ///
    /// # Errors
    /// When it is no list of measurements.
    pub fn parse(text: &str, name: &str) -> Result<MeasuredFile, FileError> {
        let document: Document =
            serde_yaml::from_str(text).map_err(|cause| FileError::Format { name: name.to_owned(), cause })?;
        let mut file = MeasuredFile { plans: Vec::new(), problems: Vec::new() };
        let mut seen = BTreeSet::new();
        for entry in document.entries {
            if !seen.insert(entry.id.clone()) {
                let message = "a second entry of this id".to_owned();
                file.problems.push(Problem { id: entry.id.clone(), message });
            }
            let plan = Plan::new(&entry).unwrap_or_else(|messages| {
                let reason = messages.join("; ");
                let problems = messages.into_iter().map(|message| Problem { id: entry.id.clone(), message });
                file.problems.extend(problems);
                Plan::NotModelled { kind: kind_of(&entry), reason, role: Role::Target }
            });
            file.plans.push((entry, plan));
        }
        Ok(file)
    }

    /// Everything that is to be simulated.
    pub(super) fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.plans.iter().flat_map(|(_, plan)| match plan {
            Plan::NotModelled { .. } => &[],
            Plan::Tasks { tasks, .. } => tasks.as_slice(),
        })
    }
}

/// The kind that an entry names, known or not.
pub(super) fn kind_of(entry: &Measured) -> Option<String> {
    entry.workload.as_ref()?.get("kind")?.as_str().map(str::to_owned)
}

/// Names of all kinds, for messages.
pub(super) fn kind_names() -> String {
    KINDS.iter().map(|k| k.name).collect::<Vec<_>>().join(", ")
}
