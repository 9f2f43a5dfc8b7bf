//! Reads the text form of kernels, as [`super::print`] describes it.

mod error;
mod lex;
mod names;
mod op;

pub use error::{ParseError, ParseErrors, Position, Syntax};

use super::ir::{Block, Kernel, Layout, Loc, Param, ParamKind};
use super::print::MAX_DEPTH;
use super::types::{AccKind, Elem, Type};
use crate::num::{Rounding, Saturation};
use lex::{Spanned, Token, lex};
use names::Names;
use std::borrow::Cow;

type Parsed<T> = Result<T, ParseError>;

/// Reads the one kernel of `text`. Operations carry `file_name` and their line as their place.
/// Value names are free; `v0..vn` without a gap keep their numbers, others are numbered in order.
///
/// # Errors
/// Everything that is wrong with the text, by line and column. The kernel is not verified.
pub fn parse_kernel(text: &str, file_name: &str) -> Result<Kernel, ParseErrors> {
    let mut kernels = parse_kernels(text, file_name)?;
    match (kernels.pop(), kernels.len()) {
        (Some(kernel), 0) => Ok(kernel),
        (_, others) => {
            let found = if others == 0 { 0 } else { others + 1 };
            let at = Position { line: 1, column: 1 };
            let error = ParseError { at, syntax: Syntax::KernelCount { found } };
            Err(ParseErrors::new(file_name, text, vec![error]))
        }
    }
}

/// Reads any number of kernels, one after another.
///
/// # Errors
/// As [`parse_kernel`].
pub fn parse_kernels(text: &str, file_name: &str) -> Result<Vec<Kernel>, ParseErrors> {
    let (tokens, errors) = lex(text);
    let mut parser = Parser {
        tokens,
        next: 0,
        errors,
        file: Cow::Owned(file_name.to_string()),
        names: Names::default(),
        kernel: empty_kernel(),
    };
    let mut kernels = Vec::new();
    while *parser.peek() != Token::End {
        match parser.kernel() {
            Ok(kernel) => kernels.push(kernel),
            Err(error) => {
                parser.errors.push(error);
                parser.skip_to_kernel();
            }
        }
    }
    if parser.errors.is_empty() { Ok(kernels) } else { Err(ParseErrors::new(file_name, text, parser.errors)) }
}

fn empty_kernel() -> Kernel {
    Kernel {
        name: String::new(),
        doc: String::new(),
        rounding: Rounding::Floor,
        saturation: Saturation::Off,
        params: Vec::new(),
        values: Vec::new(),
        ops: Vec::new(),
        blocks: vec![Block::default()],
    }
}

struct Parser {
    tokens: Vec<Spanned>,
    next: usize,
    errors: Vec<ParseError>,
    file: Cow<'static, str>,
    names: Names,
    kernel: Kernel,
}

/// Words and numbers.
impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next].token
    }

    fn at(&self) -> Position {
        self.tokens[self.next].at
    }

    /// Where something is missing: the next word, or the end of the line if that is on a later one.
    fn due(&self) -> Position {
        match self.next.checked_sub(1).map(|last| self.tokens[last].end) {
            Some(end) if end.line < self.at().line => end,
            _ => self.at(),
        }
    }

    /// Takes the next word; the end stays.
    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        if token != Token::End {
            self.next += 1;
        }
        token
    }

    fn expected<T>(&self, expected: &'static str) -> Parsed<T> {
        let found = self.peek().describe();
        Err(ParseError { at: self.due(), syntax: Syntax::Expected { expected, found } })
    }

    fn eat(&mut self, mark: char) -> bool {
        let found = *self.peek() == Token::Mark(mark);
        if found {
            self.next += 1;
        }
        found
    }

    fn mark(&mut self, mark: char, expected: &'static str) -> Parsed<()> {
        if self.eat(mark) { Ok(()) } else { self.expected(expected) }
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(w) if w == word)
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.next += 1;
        }
        found
    }

    fn keyword(&mut self, word: &str, expected: &'static str) -> Parsed<()> {
        if self.eat_word(word) { Ok(()) } else { self.expected(expected) }
    }

    fn word(&mut self, expected: &'static str) -> Parsed<String> {
        match self.peek() {
            Token::Word(_) => match self.take() {
                Token::Word(word) => Ok(word),
                _ => self.expected(expected),
            },
            _ => self.expected(expected),
        }
    }

    fn name(&mut self, expected: &'static str) -> Parsed<String> {
        match self.peek() {
            Token::Quoted(name) => {
                let name = name.clone();
                self.next += 1;
                Ok(name)
            }
            _ => self.word(expected),
        }
    }

    fn number(&mut self, what: &'static str, limit: u64) -> Parsed<u64> {
        let at = self.at();
        match *self.peek() {
            Token::Number(found) if found <= limit => {
                self.next += 1;
                Ok(found)
            }
            Token::Number(found) => Err(ParseError { at, syntax: Syntax::TooLarge { what, found, limit } }),
            _ => self.expected(what),
        }
    }

    fn u32(&mut self, what: &'static str) -> Parsed<u32> {
        Ok(self.number(what, u64::from(u32::MAX))? as u32)
    }

    /// A number with an optional minus, in 64 bits.
    fn signed(&mut self, what: &'static str) -> Parsed<i64> {
        let negative = self.eat('-');
        self.magnitude(what, negative)
    }

    fn magnitude(&mut self, what: &'static str, negative: bool) -> Parsed<i64> {
        let limit = i64::MAX as u64 + u64::from(negative);
        let found = self.number(what, limit)? as i64;
        Ok(if negative { found.wrapping_neg() } else { found })
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Parser) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat(',') {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn loc(&self, at: Position) -> Loc {
        Loc { file: self.file.clone(), line: at.line }
    }

    /// After an error in the line that began at token `start`: to the first word of a later line,
    /// or the brace that closes the block. A block that the bad line opens is read for its own
    /// errors.
    fn skip_line(&mut self, start: usize, depth: usize) {
        let line = self.tokens[start.max(self.next.saturating_sub(1))].end.line;
        let mut opened = false;
        while !opened && self.at().line <= line && !matches!(self.peek(), Token::End | Token::Mark('}')) {
            opened = self.take() == Token::Mark('{');
        }
        for token in &self.tokens[start..self.next] {
            if let Token::Word(word) = &token.token {
                self.names.excuse(word);
            }
        }
        if opened && depth < MAX_DEPTH {
            self.block(Kernel::BODY, depth + 1);
            self.eat('}');
        } else if opened {
            self.skip_block();
        }
    }

    /// Past the brace that closes the block whose opening brace was just read.
    fn skip_block(&mut self) {
        let mut open = 1;
        while open > 0 {
            match self.take() {
                Token::Mark('{') => open += 1,
                Token::Mark('}') => open -= 1,
                Token::Word(word) => self.names.excuse(&word),
                Token::End => return,
                _ => {}
            }
        }
    }

    fn skip_to_kernel(&mut self) {
        loop {
            self.take();
            if *self.peek() == Token::End || self.is_word("kernel") {
                return;
            }
        }
    }
}

/// Kernels, parameters, types.
impl Parser {
    fn kernel(&mut self) -> Parsed<Kernel> {
        self.kernel = empty_kernel();
        self.names = Names::default();
        let mut doc = Vec::new();
        while let Token::Doc(line) = self.peek() {
            doc.push(line.clone());
            self.next += 1;
        }
        self.kernel.doc = doc.join("\n");
        self.keyword("kernel", "`kernel`")?;
        self.mark('@', "`@` and the kernel's name")?;
        self.kernel.name = self.name("the kernel's name")?;
        self.keyword("rounding", "`rounding(mode)`")?;
        self.kernel.rounding = self.mode("a rounding mode", &Rounding::ALL, Rounding::name)?;
        self.keyword("saturation", "`saturation(mode)`")?;
        self.kernel.saturation = self.mode("a saturation mode", &Saturation::ALL, Saturation::name)?;
        self.mark('{', "`{`")?;
        while matches!(self.peek(), Token::Word(_)) && self.is_param() {
            let start = self.next;
            match self.param() {
                Ok(param) => self.kernel.params.push(param),
                Err(error) => {
                    self.errors.push(error);
                    self.skip_line(start, 0);
                }
            }
        }
        self.block(Kernel::BODY, 0);
        self.mark('}', "an operation or `}`")?;
        let mut kernel = std::mem::replace(&mut self.kernel, empty_kernel());
        self.names.number(&mut kernel, &mut self.errors);
        Ok(kernel)
    }

    fn mode<T: Copy>(&mut self, expected: &'static str, all: &[T], name: fn(T) -> &'static str) -> Parsed<T> {
        self.mark('(', "`(`")?;
        let found = all.iter().copied().find(|&mode| self.is_word(name(mode)));
        let Some(mode) = found else { return self.expected(expected) };
        self.next += 1;
        self.mark(')', "`)`")?;
        Ok(mode)
    }

    /// A parameter starts with its kind and its name; an operation never has two words in a row
    /// unless the first is its mnemonic.
    fn is_param(&self) -> bool {
        let kind = matches!(self.peek(), Token::Word(w) if param_kind(w).is_some());
        let named = matches!(self.tokens.get(self.next + 1), Some(t) if matches!(t.token, Token::Word(_) | Token::Quoted(_)));
        kind && named
    }

    fn param(&mut self) -> Parsed<Param> {
        let loc = self.loc(self.at());
        let word = self.word("a parameter's kind")?;
        let Some(mut kind) = param_kind(&word) else { return self.expected("a parameter's kind") };
        let name = self.name("the parameter's name")?;
        let (mut elem, mut layout, mut align_bytes, mut bank) =
            (Elem::I32, Layout::RowMajor(Vec::new()), 4, None);
        if kind.is_memory() {
            self.mark(':', "`:` and the element type")?;
            elem = self.elem()?;
            layout = self.layout()?;
            self.keyword("align", "`align`")?;
            align_bytes = self.u32("an alignment in bytes")?;
            if self.eat_word("bank") {
                bank = Some(self.number("a bank", u64::from(u8::MAX))? as u8);
            }
        }
        let mut value = None;
        if self.eat('→') {
            let at = self.at();
            let name = self.word("a value")?;
            value = Some(self.names.defined(&name, Type::Scalar, at)?);
        }
        if let ParamKind::Table(bytes) = &mut kind {
            self.mark('=', "`= hex\"...\"`")?;
            match self.take() {
                Token::Hex(found) => *bytes = found,
                _ => {
                    self.next = self.next.saturating_sub(1);
                    return self.expected("`hex\"...\"`");
                }
            }
        }
        Ok(Param { name, kind, elem, layout, align_bytes, bank, value, loc })
    }

    fn elem(&mut self) -> Parsed<Elem> {
        let found = match self.peek() {
            Token::Word(word) => Elem::from_name(word),
            _ => None,
        };
        let Some(elem) = found else { return self.expected("an element type") };
        self.next += 1;
        Ok(elem)
    }

    fn layout(&mut self) -> Parsed<Layout> {
        if !self.eat_word("grid") {
            return Ok(Layout::RowMajor(self.dims()?));
        }
        let grid = self.pair()?;
        self.keyword("of", "`of tile[rows, cols]`")?;
        self.keyword("tile", "`tile[rows, cols]`")?;
        Ok(Layout::Tiled { tile: self.pair()?, grid })
    }

    fn pair(&mut self) -> Parsed<[u32; 2]> {
        self.mark('[', "`[rows, cols]`")?;
        let rows = self.u32("a number of rows")?;
        self.mark(',', "`,` and the number of columns")?;
        let cols = self.u32("a number of columns")?;
        self.mark(']', "`]`")?;
        Ok([rows, cols])
    }

    fn dims(&mut self) -> Parsed<Vec<u32>> {
        self.mark('[', "`[` and the dimensions")?;
        if self.eat(']') {
            return Ok(Vec::new());
        }
        let dims = self.list(|p| p.u32("a dimension"))?;
        self.mark(']', "`]`")?;
        Ok(dims)
    }

    fn ty(&mut self) -> Parsed<Type> {
        const EXPECTED: &str = "a type: i32, vec<i8x32>, acc<acc32x32> or mask<32>";
        let at = self.next;
        let family = self.word(EXPECTED)?;
        if family == "i32" {
            return Ok(Type::Scalar);
        }
        let ty = self.lanes_of(&family);
        match ty {
            Some(ty) => Ok(ty),
            None => {
                self.next = at;
                self.expected(EXPECTED)
            }
        }
    }

    /// `<i8x32>` after `vec`, and so on; may stop anywhere when it is none.
    fn lanes_of(&mut self, family: &str) -> Option<Type> {
        if !self.eat('<') {
            return None;
        }
        let ty = match (family, self.take()) {
            ("mask", Token::Number(lanes)) => Type::Mask { lanes: u16::try_from(lanes).ok()? },
            (_, Token::Word(word)) => {
                let (lane, lanes) = word.rsplit_once('x')?;
                let number: u16 = lanes.parse().ok()?;
                match family {
                    "vec" => Type::vector(Elem::from_name(lane)?, number),
                    "acc" => Type::accum(AccKind::from_name(lane)?, number),
                    _ => return None,
                }
            }
            _ => return None,
        };
        self.eat('>').then_some(ty)
    }
}

fn param_kind(word: &str) -> Option<ParamKind> {
    let kinds = [
        ParamKind::In,
        ParamKind::Out,
        ParamKind::InOut,
        ParamKind::State,
        ParamKind::Scratch,
        ParamKind::Table(Vec::new()),
        ParamKind::I32,
    ];
    kinds.into_iter().find(|k| k.keyword() == word)
}
