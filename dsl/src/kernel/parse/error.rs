//! What can be wrong with IR text.

use crate::kernel::types::Type;
use std::fmt;

/// A place in the text, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

/// One thing wrong with the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Where.
    pub at: Position,
    /// What.
    pub syntax: Syntax,
}

/// A rule of the text form, as broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Syntax {
    /// A character that starts no word.
    #[error("{found:?} starts no word of the IR")]
    Character {
        /// The character.
        found: char,
    },
    /// A number that is none, or does not fit 64 bits.
    #[error("`{found}` is no number")]
    Number {
        /// The word.
        found: String,
    },
    /// A quote without end.
    #[error("the quote is not closed")]
    OpenQuote,
    /// Bytes that are not pairs of hexadecimal digits.
    #[error("bytes are pairs of hexadecimal digits")]
    Hex,
    /// Something else was due.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What was due.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A number that its field cannot hold.
    #[error("{what} is {found}, at most {limit} fits")]
    TooLarge {
        /// The field.
        what: &'static str,
        /// Its value.
        found: u64,
        /// Largest value.
        limit: u64,
    },
    /// A word that names no operation.
    #[error("`{found}` is no operation")]
    UnknownOp {
        /// The word.
        found: String,
    },
    /// A word that names no parameter of the kernel.
    #[error("`{found}` is no parameter of this kernel")]
    UnknownParam {
        /// The word.
        found: String,
    },
    /// A value that nothing in the kernel defines.
    #[error("`{name}` is defined nowhere in this kernel")]
    Undefined {
        /// Its name.
        name: String,
    },
    /// Two definitions of one name disagree on its type.
    #[error("`{name}` was a {first} before, here it is a {second}")]
    Redefined {
        /// The value.
        name: String,
        /// Type of the first definition.
        first: Type,
        /// Type of this one.
        second: Type,
    },
    /// The list of result types is longer or shorter than the list of results.
    #[error("each result needs a type: {results} named, {types} typed")]
    ResultTypes {
        /// Results named.
        results: usize,
        /// Types given.
        types: usize,
    },
    /// Loops nest deeper than the IR allows.
    #[error("loops nest deeper than {limit}")]
    TooDeep {
        /// Depth allowed.
        limit: usize,
    },
    /// The text should hold one kernel.
    #[error("the text holds {found} kernels, expected one")]
    KernelCount {
        /// Kernels found.
        found: usize,
    },
}

/// Everything wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ParseErrors {
    /// The name of the text.
    pub file: String,
    /// In the order of the text; never empty.
    pub errors: Vec<ParseError>,
    /// The lines that the errors are in, in the same order.
    pub lines: Vec<String>,
}

impl ParseErrors {
    pub(super) fn new(file: &str, text: &str, mut errors: Vec<ParseError>) -> ParseErrors {
        errors.sort_by_key(|e| e.at);
        let line = |e: &ParseError| text.lines().nth(e.at.line as usize - 1).unwrap_or_default().to_string();
        let lines = errors.iter().map(line).collect();
        ParseErrors { file: file.to_string(), errors, lines }
    }
}

impl fmt::Display for ParseErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (ParseError { at, syntax }, line)) in self.errors.iter().zip(&self.lines).enumerate() {
            let width = at.line.to_string().len();
            if i > 0 {
                f.write_str("\n\n")?;
            }
            writeln!(f, "error: {syntax}")?;
            writeln!(f, "{:width$}--> {}:{}:{}", "", self.file, at.line, at.column)?;
            writeln!(f, "{} | {line}", at.line)?;
            write!(f, "{:width$} | {:indent$}^", "", "", indent = at.column as usize - 1)?;
        }
        Ok(())
    }
}
