//! A fact with where it is from.

use super::check::{Check, fields, join, word};
use super::error::Problem;
use super::node::{Mark, Node};
use serde::Deserialize;
use std::ops::Deref;

/// How a fact is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
pub enum Confidence {
    /// Specification, device model or driver; not itself a measurement.
    S,
    /// Measured on Phoenix silicon.
    M,
    /// Measured on the same silicon in an 8000-series part: cycles transfer, times do not.
    M8,
    /// Inferred: arithmetic on facts of the other kinds, or a choice between them.
    I,
}

impl Confidence {
    /// The words of the YAML.
    pub(super) const WORDS: [&str; 4] = ["S", "M", "M8", "I"];
}

/// A value with its source.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sourced<T> {
    /// The fact.
    pub value: T,
    /// A key of the description's `sources`, then the place in it.
    pub source: String,
    /// How it is known.
    pub confidence: Confidence,
    /// What one must know to use it.
    #[serde(default)]
    pub note: Option<String>,
}

impl<T> Deref for Sourced<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Check> Check for Sourced<T> {
    fn check(node: &Node, at: Mark, path: &str, out: &mut Vec<Problem>) {
        for entry in fields(node, at, path, &["value", "source", "confidence"], &["note"], out) {
            let (value, inner) = (&entry.node, join(path, &entry.key));
            match entry.key.as_str() {
                "value" => T::check(value, value.mark, &inner, out),
                "source" | "note" => String::check(value, value.mark, &inner, out),
                "confidence" => word(value, &inner, &Confidence::WORDS, out),
                _ => {}
            }
        }
    }
}
