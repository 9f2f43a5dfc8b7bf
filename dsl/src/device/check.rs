//! Structural checks: every value against its type in the schema, all problems collected.

use super::error::{Problem, ProblemKind};
use super::node::{Mark, Node, Value};
use indexmap::IndexMap;

/// A type of the schema: reports everything in `node` that does not fit it.
/// `at` is where to report what concerns the value as a whole.
pub(super) trait Check {
    fn check(node: &Node, at: Mark, path: &str, out: &mut Vec<Problem>);
}

/// `path.key`, or `key` at the root.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A mapping with fixed keys: its entries, after reporting unknown, repeated and missing ones.
pub(super) fn fields<'a>(
    node: &'a Node,
    at: Mark,
    path: &str,
    required: &[&str],
    optional: &[&str],
    out: &mut Vec<Problem>,
) -> &'a [super::node::Entry] {
    if !map(node, at, path, out) {
        return &[];
    }
    for entry in node.entries() {
        if !required.contains(&entry.key.as_str()) && !optional.contains(&entry.key.as_str()) {
            let known = required.iter().chain(optional).map(|s| (*s).to_owned()).collect();
            out.push(Problem::new(
                entry.key_mark,
                join(path, &entry.key),
                ProblemKind::UnknownField { known },
            ));
        }
    }
    for field in required {
        if node.entry(field).is_none() {
            out.push(Problem::new(at, path, ProblemKind::MissingField { field: (*field).to_owned() }));
        }
    }
    node.entries()
}

/// A mapping with free keys: false, and reported, when it is something else. Reports repeated keys.
fn map(node: &Node, at: Mark, path: &str, out: &mut Vec<Problem>) -> bool {
    if !matches!(node.value, Value::Map(_)) {
        wrong(node, at, path, "a mapping", out);
        return false;
    }
    let mut seen: IndexMap<&str, usize> = IndexMap::new();
    for entry in node.entries() {
        if let Some(&first_line) = seen.get(entry.key.as_str()) {
            out.push(Problem::new(
                entry.key_mark,
                join(path, &entry.key),
                ProblemKind::Duplicate { first_line },
            ));
        } else {
            seen.insert(&entry.key, entry.key_mark.line);
        }
    }
    true
}

fn wrong(node: &Node, at: Mark, path: &str, expected: &str, out: &mut Vec<Problem>) {
    let kind = ProblemKind::WrongType { expected: expected.to_owned(), got: node.describe() };
    out.push(Problem::new(at, path, kind));
}

impl Check for u32 {
    fn check(node: &Node, _: Mark, path: &str, out: &mut Vec<Problem>) {
        if node.as_u64().is_none_or(|v| u32::try_from(v).is_err()) {
            wrong(node, node.mark, path, "a whole number from 0 to 4294967295, in decimal", out);
        }
    }
}

impl Check for f64 {
    fn check(node: &Node, _: Mark, path: &str, out: &mut Vec<Problem>) {
        if node.as_f64().is_none() {
            wrong(node, node.mark, path, "a number", out);
        }
    }
}

impl Check for String {
    fn check(node: &Node, _: Mark, path: &str, out: &mut Vec<Problem>) {
        let text = node.as_text().is_some_and(|t| !t.trim().is_empty());
        let number = node.as_f64().is_some();
        if !text || number {
            wrong(node, node.mark, path, "a text", out);
        }
    }
}

impl<T: Check> Check for Vec<T> {
    fn check(node: &Node, at: Mark, path: &str, out: &mut Vec<Problem>) {
        match &node.value {
            Value::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    T::check(item, item.mark, &format!("{path}[{i}]"), out);
                }
            }
            _ => wrong(node, at, path, "a list", out),
        }
    }
}

impl<T: Check, const N: usize> Check for [T; N] {
    fn check(node: &Node, at: Mark, path: &str, out: &mut Vec<Problem>) {
        match &node.value {
            Value::List(items) if items.len() == N => {
                for (i, item) in items.iter().enumerate() {
                    T::check(item, item.mark, &format!("{path}[{i}]"), out);
                }
            }
            _ => wrong(node, at, path, &format!("a list of {N}"), out),
        }
    }
}

impl<T: Check> Check for IndexMap<String, T> {
    fn check(node: &Node, at: Mark, path: &str, out: &mut Vec<Problem>) {
        if map(node, at, path, out) {
            for entry in node.entries() {
                T::check(&entry.node, entry.key_mark, &join(path, &entry.key), out);
            }
        }
    }
}

/// One of a list of words.
pub(super) fn word(node: &Node, path: &str, words: &[&str], out: &mut Vec<Problem>) {
    if !node.as_text().is_some_and(|t| words.contains(&t)) {
        wrong(node, node.mark, path, &format!("one of {}", words.join(", ")), out);
    }
}
