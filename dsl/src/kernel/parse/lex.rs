//! Words of the IR text.

use super::error::{ParseError, Position, Syntax};

/// One word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name, keyword or type word.
    Word(String),
    /// A quoted name.
    Quoted(String),
    /// The bytes of `hex"..."`.
    Hex(Vec<u8>),
    /// A number without sign.
    Number(u64),
    /// `4x8x8`: the M, K and N of a matrix product, each below 100.
    Shape([u8; 3]),
    /// A line of documentation, without `///` and the space after it.
    Doc(String),
    /// One of `@ ( ) { } [ ] < > , : = + - *`, or `->` as `'→'`.
    Mark(char),
    /// After the last word.
    End,
}

impl Token {
    /// How a message names it.
    pub fn describe(&self) -> String {
        match self {
            Token::Word(word) => format!("`{word}`"),
            Token::Quoted(name) => format!("\"{name}\""),
            Token::Hex(_) => "hex bytes".to_string(),
            Token::Number(n) => format!("`{n}`"),
            Token::Shape([m, k, n]) => format!("`{m}x{k}x{n}`"),
            Token::Doc(_) => "a `///` line".to_string(),
            Token::Mark('→') => "`->`".to_string(),
            Token::Mark(c) => format!("`{c}`"),
            Token::End => "the end of the text".to_string(),
        }
    }
}

/// A word and where it starts.
#[derive(Clone, Debug)]
pub(super) struct Spanned {
    pub token: Token,
    pub at: Position,
    /// Just past its last character.
    pub end: Position,
}

/// Splits `text`; what is no word becomes an error and is skipped. Ends with [`Token::End`].
pub(super) fn lex(text: &str) -> (Vec<Spanned>, Vec<ParseError>) {
    let mut lexer =
        Lexer { rest: text, at: Position { line: 1, column: 1 }, tokens: Vec::new(), errors: Vec::new() };
    while lexer.word() {}
    (lexer.tokens, lexer.errors)
}

struct Lexer<'t> {
    rest: &'t str,
    at: Position,
    tokens: Vec<Spanned>,
    errors: Vec<ParseError>,
}

impl<'t> Lexer<'t> {
    fn bump(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        if c == '\n' {
            self.at = Position { line: self.at.line + 1, column: 1 };
        } else {
            self.at.column += 1;
        }
        Some(c)
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'t str {
        let start = self.rest;
        while self.rest.starts_with(&keep) {
            self.bump();
        }
        &start[..start.len() - self.rest.len()]
    }

    fn skip(&mut self, chars: usize) {
        for _ in 0..chars {
            self.bump();
        }
    }

    fn push(&mut self, at: Position, token: Token) {
        self.tokens.push(Spanned { token, at, end: self.at });
    }

    fn error(&mut self, at: Position, syntax: Syntax) {
        self.errors.push(ParseError { at, syntax });
    }

    /// Reads one word; false after the last.
    fn word(&mut self) -> bool {
        self.take_while(|c| c.is_whitespace());
        let at = self.at;
        let Some(first) = self.rest.chars().next() else {
            self.push(at, Token::End);
            return false;
        };
        match first {
            ';' => {
                self.take_while(|c| c != '\n');
            }
            '/' if self.rest.starts_with("///") => {
                self.skip(3);
                let line = self.take_while(|c| c != '\n');
                self.push(at, Token::Doc(line.strip_prefix(' ').unwrap_or(line).to_string()));
            }
            '-' if self.rest.starts_with("->") => {
                self.skip(2);
                self.push(at, Token::Mark('→'));
            }
            '@' | '(' | ')' | '{' | '}' | '[' | ']' | '<' | '>' | ',' | ':' | '=' | '+' | '-' | '*' => {
                self.bump();
                self.push(at, Token::Mark(first));
            }
            '"' => {
                if let Some(name) = self.quoted(at) {
                    self.push(at, Token::Quoted(name));
                }
            }
            '0'..='9' => self.number(at),
            c if c.is_ascii_alphabetic() || c == '_' => {
                let word = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
                if word == "hex" && self.rest.starts_with('"') {
                    self.hex(at);
                } else {
                    self.push(at, Token::Word(word.to_string()));
                }
            }
            c => {
                self.bump();
                self.error(at, Syntax::Character { found: c });
            }
        }
        true
    }

    fn number(&mut self, at: Position) {
        let word = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        if let Some(shape) = shape(word) {
            self.push(at, Token::Shape(shape));
            return;
        }
        let value = match word.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => word.parse(),
        };
        match value {
            Ok(value) => self.push(at, Token::Number(value)),
            Err(_) => self.error(at, Syntax::Number { found: word.to_string() }),
        }
    }

    fn quoted(&mut self, at: Position) -> Option<String> {
        self.bump();
        let mut name = String::new();
        loop {
            match self.bump() {
                Some('"') => return Some(name),
                Some('\\') => match self.bump() {
                    Some('n') => name.push('\n'),
                    Some('r') => name.push('\r'),
                    Some(c) => name.push(c),
                    None => {}
                },
                Some(c) => name.push(c),
                None => {
                    self.error(at, Syntax::OpenQuote);
                    return None;
                }
            }
        }
    }

    fn hex(&mut self, at: Position) {
        self.bump();
        let body = self.take_while(|c| c != '"');
        if self.bump().is_none() {
            self.error(at, Syntax::OpenQuote);
            return;
        }
        let digits: Vec<char> = body.chars().filter(|c| !c.is_whitespace()).collect();
        let byte = |pair: &[char]| match pair {
            [high, low] => Some((high.to_digit(16)? * 16 + low.to_digit(16)?) as u8),
            _ => None,
        };
        match digits.chunks(2).map(byte).collect() {
            Some(bytes) => self.push(at, Token::Hex(bytes)),
            None => self.error(at, Syntax::Hex),
        }
    }
}

fn shape(word: &str) -> Option<[u8; 3]> {
    let mut sizes = word.split('x').map(|size| size.parse::<u8>().ok().filter(|&s| s < 100));
    let shape = [sizes.next()??, sizes.next()??, sizes.next()??];
    sizes.next().is_none().then_some(shape)
}
