//! Uses of aie_api in C++ text, with the numbers of their arguments.

use std::ops::RangeInclusive;

/// One use: a call, a constructor or a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Use {
    /// As in `aie_api_used.txt`: `aie::load_v`, `.to_vector`.
    pub name: String,
    /// Template arguments that are written.
    pub template: usize,
    /// Arguments in parentheses, where there are some.
    pub arguments: Option<usize>,
}

/// A line of `aie_api_used.txt`.
#[derive(Clone, Debug)]
pub(super) struct Signature<'t> {
    pub name: &'t str,
    pub template: RangeInclusive<usize>,
    /// `None`: nothing is called.
    pub arguments: Option<RangeInclusive<usize>>,
}

/// The lines of `aie_api_used.txt`.
///
/// # Panics
/// When a line has another form.
pub(super) fn signatures(list: &str) -> Vec<Signature<'_>> {
    let line = |line| {
        let words: Vec<&str> = str::split_whitespace(line).collect();
        let [name, template, arguments, _header, ..] = words[..] else { panic!("four columns: {line}") };
        let arguments = (arguments != "-").then(|| range(arguments));
        Signature { name, template: range(template), arguments }
    };
    list.lines().filter(|l| !l.starts_with('#')).map(line).collect()
}

/// `2`, `1..2` with both ends, `1..`.
fn range(text: &str) -> RangeInclusive<usize> {
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let number = |text: &str| text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
    number(least)..=if most.is_empty() { usize::MAX } else { number(most) }
}

/// Every use of aie_api's names in a text, and of methods that are listed.
pub(super) fn uses(text: &str, methods: &[&str]) -> Vec<Use> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("aie::") {
        // `kiln_aie::` is none, and a name behind another `::` is a part of a type.
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c)) {
            continue;
        }
        let name = word(&text[at + 5..]);
        found.extend(use_of(format!("aie::{name}"), &text[at + 5 + name.len()..], true));
    }
    for method in methods {
        for (at, _) in text.match_indices(method) {
            let rest = &text[at + method.len()..];
            found.extend(use_of((*method).to_owned(), rest, false));
        }
        let templated = format!(".template {}", method.trim_start_matches('.'));
        for (at, _) in text.match_indices(&templated) {
            found.extend(use_of((*method).to_owned(), &text[at + templated.len()..], false));
        }
    }
    found
}

/// The use whose name ends where `rest` begins. A type may be followed by the name of what it declares.
fn use_of(name: String, rest: &str, may_declare: bool) -> Option<Use> {
    if rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let (template, rest) = match list(rest, '<', '>') {
        Some((count, rest)) => (count, rest),
        None => (0, rest),
    };
    let declared = rest.strip_prefix(' ').filter(|_| may_declare).map(|r| r.trim_start_matches(word(r)));
    let call = list(rest, '(', ')').or_else(|| list(declared?, '(', ')'));
    // `aie::rounding_mode::floor` and `a.get` without a call are no calls.
    Some(Use { name, template, arguments: call.map(|(count, _)| count) })
}

/// The word at the start.
fn word(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// Elements of a bracketed list at the start, and what follows it.
fn list(text: &str, open: char, close: char) -> Option<(usize, &str)> {
    let inside = text.strip_prefix(open)?;
    let (mut depth, mut count) = (0usize, 1);
    for (at, c) in inside.char_indices() {
        // An arrow or a comparison is no bracket; templates hold neither.
        match c {
            c if c == close && depth == 0 => {
                let is_empty = inside[..at].trim().is_empty();
                return Some((if is_empty { 0 } else { count }, &inside[at + 1..]));
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.checked_sub(1)?,
            '<' if is_template(&inside[..at]) => depth += 1,
            '>' if depth > 0 && !inside[..at].ends_with(' ') => depth -= 1,
            ',' if depth == 0 => count += 1,
            _ => {}
        }
    }
    None
}

/// Whether a `<` behind this text opens a list of template arguments: a name stands before it, without a blank.
fn is_template(before: &str) -> bool {
    before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_counted_at_their_own_depth() {
        let text = "const aie::vector<int8, 32> v = aie::load_v<32>(c + 256 * i + 32 * j);
            v = aie::mac(acc, a.to_vector<int8>(4), aie::broadcast<int8, 32>((int8)-(1 << 3)));
            aie::zeros<acc32, 16>(); aie::lut<4, Value> t(a, b, c); aie::rounding_mode::floor";
        let found = uses(text, &[".to_vector"]);
        let shown: Vec<String> = found
            .iter()
            .map(|u| {
                format!("{} {} {}", u.name, u.template, u.arguments.map_or("-".into(), |n| n.to_string()))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "aie::vector 2 -",
                "aie::load_v 1 1",
                "aie::mac 0 3",
                "aie::broadcast 2 1",
                "aie::zeros 2 0",
                "aie::lut 2 3",
                "aie::rounding_mode 0 -",
                ".to_vector 1 1",
            ]
        );
    }
}
