//! Descriptions that say only what differs from a built-in one: `extends: npu1`.
//!
//! The text becomes one tree: what it says goes over what the extended description says, mapping by
//! mapping, down to single facts, which it replaces whole, so that no number keeps the source of
//! another. A list of `profiles` replaces the other, since machines are not parts of each other.
//! What comes from the extended description carries the place of the word `extends`, so that a
//! contradiction points into the file that can resolve it.

use super::error::{Problem, ProblemKind};
use super::node::{Entry, Mark, Node, Value, parse};

/// The key that names the extended description.
const KEY: &str = "extends";
/// Keys that every description has for itself.
const OWN: [&str; 3] = ["schema_version", "name", "doc"];

/// Reads one document and what it extends. `built_in` gives the text of a built-in description.
pub(super) fn read(
    text: &str,
    names: &[&'static str],
    built_in: impl Fn(&str) -> Option<&'static str> + Copy,
) -> Result<Node, Problem> {
    let mut root = parse(text)?;
    let Some(entry) = root.remove(KEY) else { return Ok(root) };
    let (at, name) = (entry.key_mark, entry.node.as_text().unwrap_or_default());
    let Some(base) = built_in(name) else {
        let kind = ProblemKind::UnknownBase { got: entry.node.describe(), known: names.to_vec() };
        return Err(Problem::new(entry.node.mark, KEY, kind));
    };
    let mut base = read(base, names, built_in)?;
    for own in OWN {
        base.remove(own);
    }
    Ok(over(root, base, at))
}

/// `node` over `base`, of which what stays is placed at `at`.
fn over(node: Node, base: Node, at: Mark) -> Node {
    match (node.value, base.value) {
        (Value::Map(entries), Value::Map(base_entries)) if !is_fact(&entries) => {
            let mut left: Vec<Option<Entry>> = entries.into_iter().map(Some).collect();
            let mut merged = Vec::new();
            for mut below in base_entries {
                let same = |e: &&mut Option<Entry>| e.as_ref().is_some_and(|e| e.key == below.key);
                match left.iter_mut().find(same).and_then(Option::take) {
                    Some(mut above) => {
                        if above.key != "profiles" {
                            above.node = over(above.node, below.node, at);
                        }
                        merged.push(above);
                    }
                    None => {
                        inherit(&mut below, at);
                        merged.push(below);
                    }
                }
            }
            merged.extend(left.into_iter().flatten());
            Node { mark: node.mark, value: Value::Map(merged) }
        }
        (value, _) => Node { mark: node.mark, value },
    }
}

/// Whether a mapping is a value with its source.
fn is_fact(entries: &[Entry]) -> bool {
    entries.iter().any(|e| e.key == "value" || e.key == "source")
}

fn inherit(entry: &mut Entry, at: Mark) {
    (entry.key_mark, entry.inherited) = (at, true);
    place(&mut entry.node, at);
}

fn place(node: &mut Node, at: Mark) {
    node.mark = at;
    match &mut node.value {
        Value::Scalar { .. } => {}
        Value::List(items) => items.iter_mut().for_each(|n| place(n, at)),
        Value::Map(entries) => entries.iter_mut().for_each(|e| inherit(e, at)),
    }
}

/// A tree as YAML in one line, for the typed reader. Quotes all texts but numbers.
pub(super) fn text(node: &Node) -> String {
    let list = |parts: Vec<String>| parts.join(", ");
    match &node.value {
        Value::List(items) => format!("[{}]", list(items.iter().map(text).collect())),
        Value::Map(entries) => {
            let entry = |e: &Entry| format!("{}: {}", quoted(&e.key), text(&e.node));
            format!("{{{}}}", list(entries.iter().map(entry).collect()))
        }
        Value::Scalar { text, quoted: false } if node.as_u64().is_some() || node.as_f64().is_some() => {
            text.clone()
        }
        Value::Scalar { text, .. } => quoted(text),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
