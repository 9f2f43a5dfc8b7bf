//! A YAML document as a tree in which everything knows its line and column.
//!
//! Limits keep hostile input cheap: the tree's depth and size are bounded, and anchors and aliases,
//! which could expand without end, are refused.

use super::error::{Problem, ProblemKind};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

/// Deepest nesting of a device description; its schema needs five.
const MAX_DEPTH: usize = 16;
/// Most nodes of a device description; `npu1.yaml` has about 1,000.
const MAX_NODES: usize = 100_000;

/// A place in a file, both counted from 1; line 0 stands for the file as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub line: usize,
    pub column: usize,
}

impl Mark {
    fn of(marker: &Marker) -> Mark {
        // The parser counts columns from 0.
        Mark { line: marker.line(), column: marker.col() + 1 }
    }
}

/// One YAML value.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub mark: Mark,
    pub value: Value,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A scalar, and whether it was quoted (quoted scalars are never numbers).
    Scalar { text: String, quoted: bool },
    /// A list.
    List(Vec<Node>),
    /// A mapping in file order.
    Map(Vec<Entry>),
}

/// One key of a mapping.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub key: String,
    pub key_mark: Mark,
    pub node: Node,
    /// Whether it comes from a description that this one extends.
    pub inherited: bool,
}

impl Node {
    /// What it is, for messages.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Scalar { text, quoted } if text.is_empty() || (!quoted && is_null(text)) => {
                "nothing".into()
            }
            Value::Scalar { text, quoted: true } => format!("the text \"{}\"", clip(text)),
            Value::Scalar { text, quoted: false } => format!("`{}`", clip(text)),
            Value::List(items) => format!("a list of {}", items.len()),
            Value::Map(entries) => format!("a mapping of {} keys", entries.len()),
        }
    }

    /// The entry under a key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|e| e.key == key),
            _ => None,
        }
    }

    /// The entries, empty unless it is a mapping.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Takes the entry of a key out of a mapping.
    pub fn remove(&mut self, key: &str) -> Option<Entry> {
        match &mut self.value {
            Value::Map(entries) => {
                let at = entries.iter().position(|e| e.key == key)?;
                Some(entries.remove(at))
            }
            _ => None,
        }
    }

    /// The entry at a dotted path.
    pub fn at(&self, path: &str) -> Option<&Entry> {
        let mut node = self;
        let mut found = None;
        for key in path.split('.') {
            let entry = node.entry(key)?;
            node = &entry.node;
            found = Some(entry);
        }
        found
    }

    /// An unsigned decimal scalar.
    pub fn as_u64(&self) -> Option<u64> {
        match &self.value {
            Value::Scalar { text, quoted: false } if text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().ok()
            }
            _ => None,
        }
    }

    /// A finite decimal scalar.
    pub fn as_f64(&self) -> Option<f64> {
        match &self.value {
            Value::Scalar { text, quoted: false }
                if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') =>
            {
                text.parse().ok().filter(|v: &f64| v.is_finite())
            }
            _ => None,
        }
    }

    /// A scalar's text; what YAML reads as null or a truth value is none.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, quoted: true } => Some(text),
            Value::Scalar { text, quoted: false } => (!is_null(text)
                && !matches!(text.to_ascii_lowercase().as_str(), "true" | "false"))
            .then_some(text),
            _ => None,
        }
    }
}

/// An unquoted scalar that stands for no value; the parser writes `~` for an absent one.
fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// The start of a text that may be long or contain line ends.
fn clip(text: &str) -> String {
    let mut out: String = text.chars().take(40).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() > 40 {
        out.push_str("...");
    }
    out
}

/// Reads one document.
pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let mut builder = Builder { stack: Vec::new(), root: None, nodes: 0, documents: 0 };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|e| {
            Problem::new(Mark::of(e.marker()), "", ProblemKind::Syntax { message: e.info().to_owned() })
        })?;
        let mark = Mark::of(&span.start);
        builder.event(event, mark).map_err(|kind| Problem::new(mark, "", kind))?;
    }
    builder.root.ok_or_else(|| Problem::new(Mark { line: 1, column: 1 }, "", ProblemKind::Empty))
}

/// A collection under construction.
enum Open {
    List(Mark, Vec<Node>),
    Map(Mark, Vec<Entry>, Option<(String, Mark)>),
}

struct Builder {
    stack: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
    documents: usize,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, mark: Mark) -> Result<(), ProblemKind> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 { Err(ProblemKind::SecondDocument) } else { Ok(()) }
            }
            Event::Alias(_) => Err(ProblemKind::Alias),
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _)
                if anchor != 0 =>
            {
                Err(ProblemKind::Alias)
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => Err(ProblemKind::Tag),
            Event::Scalar(text, style, _, _) => {
                let quoted = style != ScalarStyle::Plain;
                self.add(Node { mark, value: Value::Scalar { text: text.into_owned(), quoted } })
            }
            Event::SequenceStart(..) => self.open(Open::List(mark, Vec::new())),
            Event::MappingStart(..) => self.open(Open::Map(mark, Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(Open::List(mark, items)) => self.add(Node { mark, value: Value::List(items) }),
                Some(Open::Map(mark, entries, _)) => self.add(Node { mark, value: Value::Map(entries) }),
                None => Ok(()),
            },
        }
    }

    fn open(&mut self, open: Open) -> Result<(), ProblemKind> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(ProblemKind::TooDeep { limit: MAX_DEPTH });
        }
        self.stack.push(open);
        Ok(())
    }

    fn add(&mut self, node: Node) -> Result<(), ProblemKind> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(ProblemKind::TooManyNodes { limit: MAX_NODES });
        }
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map(_, entries, key)) => match key.take() {
                Some((name, key_mark)) => entries.push(Entry { key: name, key_mark, node, inherited: false }),
                None => match node.value {
                    Value::Scalar { text, .. } => *key = Some((text, node.mark)),
                    _ => return Err(ProblemKind::KeyNotScalar),
                },
            },
        }
        Ok(())
    }
}
