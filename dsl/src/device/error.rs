//! What can be wrong with a device description.

use super::node::Mark;
use std::fmt;
use std::path::PathBuf;
use thiserror::Error;

/// Why a device could not be loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The file could not be read.
    #[error("cannot read the device description {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is too large to be a device description.
    #[error("the device description {file} has {got_bytes} bytes or more, the limit is {limit_bytes} bytes")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size, as far as it was read.
        got_bytes: u64,
        /// The largest that is read.
        limit_bytes: u64,
    },
    /// The file is not text.
    #[error("the device description {file} is not UTF-8: byte {offset} starts no character")]
    NotUtf8 {
        /// The file.
        file: String,
        /// First byte that is wrong.
        offset: usize,
    },
    /// The description has problems; the message lists all of them.
    #[error("the device description {file} has {} problem{}:\n{}", problems.len(), if problems.len() == 1 { "" } else { "s" }, Listed { file, problems })]
    Invalid {
        /// The file.
        file: String,
        /// Every problem, in file order.
        problems: Vec<Problem>,
    },
    /// No built-in device has this name.
    #[error("no device is named \"{name}\"\nhelp: built in are {}; anything else is a path to a YAML file", known.join(", "))]
    UnknownDevice {
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: Vec<&'static str>,
    },
    /// The device has no such profile.
    #[error("device {device} has no profile \"{name}\"\nhelp: its profiles are {}", known.join(", "))]
    UnknownProfile {
        /// The device.
        device: String,
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
}

/// Writes problems one per line, each with its place.
struct Listed<'a> {
    file: &'a str,
    problems: &'a [Problem],
}

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:{problem}", self.file)?;
        }
        Ok(())
    }
}

/// One thing that is wrong, and where. Prints as `line:column: path: message`.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// Keys from the root, dotted; empty for the whole file.
    pub path: String,
    /// What is wrong.
    pub kind: ProblemKind,
}

impl Problem {
    pub(super) fn new(mark: Mark, path: impl Into<String>, kind: ProblemKind) -> Problem {
        Problem { line: mark.line, column: mark.column, path: path.into(), kind }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}", self.kind)
    }
}

/// What is wrong at one place.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ProblemKind {
    /// Not YAML.
    #[error("not YAML: {message}")]
    Syntax {
        /// The parser's words.
        message: String,
    },
    /// No content.
    #[error("the file is empty")]
    Empty,
    /// A description that extends one that is not built in.
    #[error("extends {got}, which is not built in\nhelp: built in are {}", known.join(", "))]
    UnknownBase {
        /// What stands there.
        got: String,
        /// The names that exist.
        known: Vec<&'static str>,
    },
    /// More than one document.
    #[error("a second YAML document starts here; a device description is one")]
    SecondDocument,
    /// An anchor or alias.
    #[error("anchors and aliases are not allowed\nhelp: write the value out")]
    Alias,
    /// A tag.
    #[error("YAML tags are not allowed")]
    Tag,
    /// A key that is a list or mapping.
    #[error("a key must be a plain word")]
    KeyNotScalar,
    /// Nested too deeply.
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// The deepest allowed.
        limit: usize,
    },
    /// Too many values.
    #[error("more than {limit} values")]
    TooManyNodes {
        /// The most allowed.
        limit: usize,
    },
    /// A key written twice.
    #[error("already given at line {first_line}")]
    Duplicate {
        /// Line of the first.
        first_line: usize,
    },
    /// A key that the schema does not have.
    #[error("unknown field\nhelp: the fields here are {}", known.join(", "))]
    UnknownField {
        /// The keys the schema has here.
        known: Vec<String>,
    },
    /// A key that is not there.
    #[error("missing field `{field}`")]
    MissingField {
        /// The key.
        field: String,
    },
    /// A value of another type.
    #[error("expected {expected}, found {got}")]
    WrongType {
        /// What the schema has.
        expected: String,
        /// What is there.
        got: String,
    },
    /// A source without words.
    #[error("the source is empty\nhelp: start it with a key of `sources`, then say where in it")]
    EmptySource,
    /// A source whose first word is not declared.
    #[error("source \"{key}\" is not declared\nhelp: start it with a key of `sources`: {}", known.join(", "))]
    UndeclaredSource {
        /// The first word.
        key: String,
        /// The declared keys.
        known: Vec<String>,
    },
    /// Declared but never cited.
    #[error("no value cites this source")]
    UnusedSource,
    /// A number too small or too large.
    #[error("{got} is outside {min}..={max}")]
    OutOfRange {
        /// Least allowed.
        min: f64,
        /// Most allowed.
        max: f64,
        /// The number.
        got: f64,
    },
    /// Two ways to the same number disagree.
    #[error("{what} is {computed}, but {stated} is stated here")]
    Inconsistent {
        /// How the other number is made.
        what: &'static str,
        /// The other number.
        computed: u64,
        /// The number here.
        stated: u64,
    },
    /// A number above another that bounds it.
    #[error("{got} is more than {what}, {limit}")]
    Exceeds {
        /// The bound's meaning.
        what: &'static str,
        /// The bound.
        limit: u64,
        /// The number.
        got: u64,
    },
    /// A row with two kinds of tile.
    #[error("row {row} is listed more than once")]
    RowTwice {
        /// The row.
        row: u64,
    },
    /// A row that the array does not have.
    #[error("row {row} does not exist: the array has {rows} rows, counted from 0")]
    RowOutside {
        /// The row.
        row: u64,
        /// Rows of the array.
        rows: u64,
    },
    /// A row without a kind.
    #[error("row {row} is neither shim, mem nor compute")]
    RowUnassigned {
        /// The row.
        row: u64,
    },
    /// A latency class that no operation has.
    #[error("no latency class has this name\nhelp: the classes are {}", known.join(", "))]
    UnknownLatencyClass {
        /// The classes.
        known: Vec<&'static str>,
    },
    /// A latency class without cycles.
    #[error("latency class `{class}` has no cycles")]
    MissingLatencyClass {
        /// The class.
        class: &'static str,
    },
    /// The default profile is not among the profiles.
    #[error("no profile is named \"{name}\"\nhelp: the profiles are {}", known.join(", "))]
    UnknownProfile {
        /// The name.
        name: String,
        /// The profiles.
        known: Vec<String>,
    },
    /// A version of the schema that this program does not read.
    #[error("schema version {got}, this program reads {expected}")]
    SchemaVersion {
        /// The version it reads.
        expected: u64,
        /// The version here.
        got: u64,
    },
    /// The typed reader refused what the checks accepted.
    #[error("{message}")]
    Typed {
        /// Its words.
        message: String,
    },
}
