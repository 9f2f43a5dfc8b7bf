//! Reads operations, loops and addresses.

use super::error::{ParseError, Position, Syntax};
use super::lex::Token;
use super::{Parsed, Parser};
use crate::kernel::ir::{Address, Block, BlockId, Imm, LoopHint, OpData, OpId, ParamId, ValueId};
use crate::kernel::ops::{ImmKind, Opcode, shape_code};
use crate::kernel::print::MAX_DEPTH;
use crate::kernel::types::Type;
use crate::num::{Rounding, Saturation};
use smallvec::SmallVec;

impl Parser {
    /// Reads operations into `block` up to the brace that closes it.
    pub(super) fn block(&mut self, block: BlockId, depth: usize) {
        while !matches!(self.peek(), Token::End | Token::Mark('}')) {
            let start = self.next;
            let result = self.op(block, depth);
            if let Err(error) = result {
                self.errors.push(error);
                self.skip_line(start, depth);
                if self.next == start {
                    self.take();
                }
            }
        }
    }

    fn op(&mut self, block: BlockId, depth: usize) -> Parsed<()> {
        let at = self.at();
        let mut results: Vec<(String, Position)> = Vec::new();
        let followed_by = |p: &Parser, i: usize| p.tokens.get(p.next + i).map(|t| t.token.clone());
        if matches!(followed_by(self, 1), Some(Token::Mark(',' | '='))) {
            results = self.list(|p| Ok((p.at(), p.word("a value")?)).map(|(at, name)| (name, at)))?;
            self.mark('=', "`=`")?;
        }
        let mnemonic_at = self.at();
        let word = self.word("an operation")?;
        let Some(opcode) = Opcode::from_mnemonic(&word) else {
            return Err(ParseError { at: mnemonic_at, syntax: Syntax::UnknownOp { found: word } });
        };
        let mut op = OpData {
            opcode,
            operands: SmallVec::new(),
            results: SmallVec::new(),
            imm: Imm::None,
            address: None,
            body: None,
            loc: self.loc(at),
        };
        let mut args = Vec::new();
        if opcode == Opcode::For {
            args = self.loop_header(&mut op)?;
        } else if !matches!(self.peek(), Token::Mark(':' | '}' | '{') | Token::End)
            && self.at().line == mnemonic_at.line
        {
            self.arguments(&mut op)?;
        }
        let types_at = self.due();
        let types = if self.eat(':') { self.list(Parser::ty)? } else { Vec::new() };
        if types.len() != results.len() {
            let syntax = Syntax::ResultTypes { results: results.len(), types: types.len() };
            return Err(ParseError { at: types_at, syntax });
        }
        for ((name, at), ty) in results.iter().zip(types) {
            let value = self.names.defined(name, ty, *at)?;
            op.results.push(value);
        }
        let is_loop = opcode == Opcode::For;
        if is_loop {
            self.mark('{', "`{` and the loop's body")?;
        }
        let id = OpId(self.kernel.ops.len() as u32);
        self.kernel.ops.push(op);
        self.kernel.blocks[block.index()].ops.push(id);
        if is_loop {
            if depth >= MAX_DEPTH {
                self.skip_block();
                return Err(ParseError { at, syntax: Syntax::TooDeep { limit: MAX_DEPTH } });
            }
            let body = BlockId(self.kernel.blocks.len() as u32);
            self.kernel.blocks.push(Block { args, ops: Vec::new() });
            self.kernel.ops[id.index()].body = Some(body);
            self.block(body, depth + 1);
            self.mark('}', "an operation or `}`")?;
        }
        Ok(())
    }

    /// `v4 = v1 to v2 step 2 iter(v5: i32 = v1) pipeline unroll compact min_trips 4`; returns the body's
    /// arguments.
    fn loop_header(&mut self, op: &mut OpData) -> Parsed<Vec<ValueId>> {
        let at = self.at();
        let index = self.word("the loop's index")?;
        let ty = if self.eat(':') { self.ty()? } else { Type::Scalar };
        let mut args = vec![self.names.defined(&index, ty, at)?];
        self.mark('=', "`=` and the lower bound")?;
        op.operands.push(self.value()?);
        self.keyword("to", "`to` and the upper bound")?;
        op.operands.push(self.value()?);
        self.keyword("step", "`step`")?;
        let step = self.u32("a step")?;
        if self.eat_word("iter") {
            self.mark('(', "`(`")?;
            let carried = self.list(|p| {
                let at = p.at();
                let name = p.word("a carried value")?;
                p.mark(':', "`:` and its type")?;
                let ty = p.ty()?;
                p.mark('=', "`=` and its initial value")?;
                Ok((p.names.defined(&name, ty, at)?, p.value()?))
            })?;
            self.mark(')', "`)`")?;
            for (arg, init) in carried {
                args.push(arg);
                op.operands.push(init);
            }
        }
        let mut hint = LoopHint {
            pipeline: self.eat_word("pipeline"),
            unroll: self.eat_word("unroll"),
            compact: self.eat_word("compact"),
            min_trips: 0,
        };
        if self.eat_word("min_trips") {
            hint.min_trips = self.u32("a trip count")?;
        }
        op.imm = Imm::Loop { step, hint };
        Ok(args)
    }

    fn value(&mut self) -> Parsed<ValueId> {
        let at = self.at();
        let name = self.word("a value")?;
        Ok(self.names.used(&name, at))
    }

    /// Values, then an address, then an integer, each optional, between commas.
    fn arguments(&mut self, op: &mut OpData) -> Parsed<()> {
        loop {
            let bracket = matches!(self.tokens.get(self.next + 1), Some(t) if t.token == Token::Mark('['));
            if let Some(code) = self.named_immediate(op.opcode.imm_kind()) {
                self.next += 1;
                op.imm = Imm::Int(code);
                return Ok(());
            }
            match self.peek() {
                Token::Word(_) | Token::Quoted(_) if bracket && op.address.is_none() => {
                    op.address = Some(self.address()?);
                }
                Token::Word(_) if op.address.is_none() => {
                    let value = self.value()?;
                    op.operands.push(value);
                }
                Token::Number(_) | Token::Mark('-') => {
                    op.imm = Imm::Int(self.signed("an integer")?);
                    return Ok(());
                }
                _ => return self.expected("a value, an address or an integer"),
            }
            if !self.eat(',') {
                break;
            }
        }
        if self.eat_word("second") {
            let second = self.param_ref()?;
            self.keyword("step_log2", "`step_log2`")?;
            let step_log2 = self.number("a step", u64::from(u8::MAX))? as u8;
            self.keyword("bias", "`bias`")?;
            op.imm = Imm::Lookup { second, step_log2, bias: self.u32("a bias")? };
        }
        Ok(())
    }

    /// A mode's name or a matrix shape, where the operation takes one.
    fn named_immediate(&self, kind: ImmKind) -> Option<i64> {
        match (kind, self.peek()) {
            (ImmKind::Rounding, Token::Word(word)) => {
                Rounding::ALL.into_iter().find(|m| m.name() == word).map(|m| i64::from(m.code()))
            }
            (ImmKind::Saturation, Token::Word(word)) => {
                Saturation::ALL.into_iter().find(|m| m.name() == word).map(|m| i64::from(m.code()))
            }
            (ImmKind::Shape, Token::Shape(shape)) => Some(shape_code(*shape)),
            _ => None,
        }
    }

    fn param_ref(&mut self) -> Parsed<ParamId> {
        let at = self.at();
        let found = self.name("a parameter")?;
        match self.kernel.param_named(&found) {
            Some((id, _)) => Ok(id),
            None => Err(ParseError { at, syntax: Syntax::UnknownParam { found } }),
        }
    }

    /// `a[v3*64 + v5*32 - 16]`.
    fn address(&mut self) -> Parsed<Address> {
        let mut address = Address { param: self.param_ref()?, terms: SmallVec::new(), offset_bytes: 0 };
        self.mark('[', "`[`")?;
        let mut minus = false;
        loop {
            if let Token::Word(_) = self.peek() {
                let value = self.value()?;
                let factor = if self.eat('*') { self.signed("a coefficient in bytes")? } else { 1 };
                address.terms.push((value, if minus { factor.wrapping_neg() } else { factor }));
            } else {
                let negative = self.eat('-') != minus;
                let offset = self.magnitude("a value or an offset in bytes", negative)?;
                address.offset_bytes = address.offset_bytes.wrapping_add(offset);
            }
            minus = match self.peek() {
                Token::Mark('+') => false,
                Token::Mark('-') => true,
                _ => break,
            };
            self.next += 1;
        }
        self.mark(']', "`+`, `-` or `]`")?;
        Ok(address)
    }
}
