//! A cursor over MLIR text.

use super::{MlirLine, MlirParseError};
use std::rc::Rc;

/// Position in a text, with the small words of the grammar.
#[derive(Clone)]
pub(super) struct Cursor<'t> {
    text: &'t str,
    at: usize,
    /// First byte of each line.
    lines: Rc<[usize]>,
}

impl<'t> Cursor<'t> {
    pub fn new(text: &'t str) -> Cursor<'t> {
        let behind = text.match_indices('\n').map(|(at, _)| at + 1);
        Cursor { text, at: 0, lines: std::iter::once(0).chain(behind).collect() }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// Skips blanks and `//` comments.
    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            self.at += blank;
            if !self.rest().starts_with("//") {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    /// The error that `expected` is not here.
    pub fn error(&mut self, expected: impl Into<String>) -> MlirParseError {
        self.skip();
        let line = self.lines.partition_point(|&first| first <= self.at);
        let column = self.at - self.lines[line - 1] + 1;
        let got = self.rest().lines().next().unwrap_or("end of text").chars().take(40).collect();
        MlirParseError { line, column, expected: expected.into(), got }
    }

    /// The line of what comes next.
    pub fn here(&mut self) -> MlirLine {
        self.skip();
        let line = self.lines.partition_point(|&first| first <= self.at);
        MlirLine(u32::try_from(line).unwrap_or(u32::MAX))
    }

    /// Whether `word` comes next (not as the start of a longer word).
    pub fn sees(&mut self, word: &str) -> bool {
        self.skip();
        let Some(behind) = self.rest().strip_prefix(word) else { return false };
        let long = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        !(word.ends_with(long) && behind.starts_with(long))
    }

    /// Whether the text goes on with `prefix`.
    pub fn starts(&mut self, prefix: &str) -> bool {
        self.skip();
        self.rest().starts_with(prefix)
    }

    /// Whether a decimal integer comes next.
    pub fn sees_integer(&mut self) -> bool {
        self.skip();
        let rest = self.rest();
        let digits = rest.strip_prefix('-').unwrap_or(rest);
        let behind = digits.trim_start_matches(|c: char| c.is_ascii_digit());
        behind.len() < digits.len() && !behind.starts_with(['.', 'e'])
    }

    /// Takes `word` if it comes next.
    pub fn eat(&mut self, word: &str) -> bool {
        let sees = self.sees(word);
        if sees {
            self.at += word.len();
        }
        sees
    }

    /// Takes `word`.
    pub fn expect(&mut self, word: &str) -> Result<(), MlirParseError> {
        if self.eat(word) { Ok(()) } else { Err(self.error(format!("`{word}`"))) }
    }

    /// Takes what `accept` accepts, at least one character.
    fn run(&mut self, what: &str, accept: impl Fn(char) -> bool) -> Result<&'t str, MlirParseError> {
        self.skip();
        let rest = self.rest();
        let len = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        if len == 0 {
            return Err(self.error(what));
        }
        self.at += len;
        Ok(&rest[..len])
    }

    /// A bare word such as `aie.core` or `Consume`.
    pub fn word(&mut self) -> Result<&'t str, MlirParseError> {
        self.run("a word", |c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
    }

    fn name(&mut self, sigil: &str, what: &str) -> Result<&'t str, MlirParseError> {
        if !self.eat(sigil) {
            return Err(self.error(what));
        }
        self.run(what, |c| c.is_ascii_alphanumeric() || "_.$-".contains(c))
    }

    /// `%name`.
    pub fn value(&mut self) -> Result<&'t str, MlirParseError> {
        self.name("%", "a value (%name)")
    }

    /// `@name`.
    pub fn symbol(&mut self) -> Result<&'t str, MlirParseError> {
        self.name("@", "a symbol (@name)")
    }

    /// An integer, decimal or from `0x` on in hexadecimal.
    pub fn integer(&mut self) -> Result<i64, MlirParseError> {
        self.skip();
        let start = self.at;
        if self.rest().starts_with("0x") {
            self.at += 2;
            let digits = self.run("hexadecimal digits", |c| c.is_ascii_hexdigit())?;
            return i64::from_str_radix(digits, 16).map_err(|_| {
                self.at = start;
                self.error("an integer of 64 bits")
            });
        }
        let text = self.run("an integer", |c| c.is_ascii_digit() || c == '-')?;
        text.parse().map_err(|_| {
            self.at = start;
            self.error("an integer of 64 bits")
        })
    }

    /// What stands before the `>` that closes an open `<`, without blanks.
    pub fn angle(&mut self) -> Result<String, MlirParseError> {
        self.skip();
        let start = self.at;
        self.balanced(1)?;
        Ok(self.text[start..self.at - 1].split_whitespace().collect())
    }

    /// A type: a word, and what its angle brackets enclose.
    pub fn ty(&mut self) -> Result<String, MlirParseError> {
        self.skip();
        let start = self.at;
        self.eat("!");
        self.word()?;
        if self.eat("<") {
            self.balanced(1)?;
        }
        Ok(self.text[start..self.at].split_whitespace().collect())
    }

    /// Skips to behind the bracket that closes `depth` open ones.
    fn balanced(&mut self, mut depth: usize) -> Result<(), MlirParseError> {
        let rest = self.rest();
        for (at, c) in rest.char_indices() {
            match c {
                '<' => depth += 1,
                '>' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.at += at + 1;
                return Ok(());
            }
        }
        Err(self.error("`>`"))
    }

    /// Skips `{`, what it encloses, and `}`: the body of a function.
    pub fn skip_block(&mut self) -> Result<(), MlirParseError> {
        let start = self.at;
        let mut depth = 0usize;
        while !self.at_end() {
            let c = self.rest().chars().next().unwrap_or_default();
            self.at += c.len_utf8();
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return Ok(());
            }
        }
        self.at = start;
        Err(self.error("a block that ends"))
    }

    /// The text up to the next top-level `,` or `}` of an attribute dictionary.
    pub fn attribute(&mut self) -> Result<&'t str, MlirParseError> {
        self.skip();
        let rest = self.rest();
        let mut quoted = false;
        let mut depth = 0usize;
        let end = rest.find(|c| {
            quoted ^= c == '"';
            let ends = !quoted && depth == 0 && (c == ',' || c == '}');
            match c {
                '[' | '{' | '(' | '<' if !quoted => depth += 1,
                ']' | '}' | ')' | '>' if !quoted => depth = depth.saturating_sub(1),
                _ => {}
            }
            ends
        });
        let Some(end) = end else { return Err(self.error("`}`")) };
        self.at += end;
        Ok(rest[..end].trim())
    }

    /// `open item, item close`.
    pub fn list<T>(
        &mut self,
        open: &str,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Result<T, MlirParseError>,
    ) -> Result<Vec<T>, MlirParseError> {
        self.expect(open)?;
        let mut items = Vec::new();
        while !self.eat(close) {
            if !items.is_empty() {
                self.expect(",")?;
            }
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// The rest of an operation that is taken as text: to the end of its line, blanks made one.
    pub fn line(&mut self) -> String {
        self.skip();
        let line = self.rest().lines().next().unwrap_or("");
        self.at += line.len();
        let code = line.split("//").next().unwrap_or("");
        code.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Whether nothing is left.
    pub fn at_end(&mut self) -> bool {
        self.skip();
        self.rest().is_empty()
    }
}
