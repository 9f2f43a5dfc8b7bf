//! Words on standard error, for people.

use std::fmt;
use std::io::Write;

/// Writes a line to standard error. That nobody can read it is no reason to stop, and control characters, which names
/// out of files may hold, are shown instead of sent to the terminal.
#[macro_export]
macro_rules! say {
    ($($words:tt)*) => { $crate::say::line(format_args!($($words)*)) };
}

/// What [`say!`](crate::say!) does.
pub fn line(words: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{}", visible(&words.to_string()));
}

/// The text with its control characters spelled out, but for ends of lines and tabs.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' && c != '\t' {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// At most this many errors of a list are shown.
const SHOWN: usize = 20;

/// Messages as one text, each after the word `error: ` but the first; of a long list, the first ones and how many more.
pub fn errors(messages: &[String]) -> String {
    let mut text = messages.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\nerror: ");
    if messages.len() > SHOWN {
        text.push_str(&format!("\nand {} more like these", messages.len() - SHOWN));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(visible("a\tb\n\u{1b}[31mred\u{7}\u{9b}é"), "a\tb\n\\u{1b}[31mred\\u{7}\\u{9b}é");
    }

    #[test]
    fn long_lists_are_counted() {
        let messages: Vec<String> = (0..25).map(|i| format!("m{i}")).collect();
        let text = errors(&messages);
        assert_eq!(text.lines().count(), 21);
        assert!(text.starts_with("m0\nerror: m1\n") && text.ends_with("and 5 more like these"), "{text}");
        assert_eq!(errors(&messages[..1]), "m0");
    }
}
