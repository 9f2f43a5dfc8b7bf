//! Random valid kernels over every form of the op table, for property tests of this and other
//! crates. A kernel is a function of a list of numbers, so that a failing one shrinks with the list.

use super::ir::{
    Address, Block, BlockId, Imm, Kernel, Layout, Loc, LoopHint, OpData, OpId, Param, ParamId, ParamKind,
    ValueId,
};
use super::ops::{Effect, Form, ImmKind, Opcode, shape_code, spec};
use super::types::{Elem, Type};
use super::{Access, access};
use crate::num::{Rounding, Saturation, lut};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Bytes of each memory parameter but tables.
const PARAM_BYTES: u32 = 2048;
/// Loops are this deep at most.
const DEPTH: usize = 3;
/// Loops run below this many times.
const TRIPS: u32 = 4;
/// Values of each vector type that are stored at the end: 4 of 16 to 128 bytes fit [`PARAM_BYTES`].
const KEPT: usize = 4;

/// The valid kernel that `choices` describe; longer lists give longer kernels.
///
/// Parameters are `n` (a run-time integer of any value), an `in` and an `inout` for each element
/// type and two copies of a table for each type that a lookup gives. Every access is in bounds,
/// shifts of `ups` and `srs` are 0 to 15, no scalar is divided by 0. The cascade, which needs a
/// neighbour, is left alone.
pub fn kernel(choices: &[u16]) -> Kernel {
    author(choices, false)
}

/// As [`kernel`], with reads and writes of the cascade.
pub fn cascade_kernel(choices: &[u16]) -> Kernel {
    author(choices, true)
}

fn author(choices: &[u16], cascade: bool) -> Kernel {
    let mut author =
        Author { choices: choices.iter(), cascade, kernel: frame(), loops: Vec::new(), scope: Vec::new() };
    author.scope.extend(author.kernel.params.iter().filter_map(|p| p.value));
    author.kernel.rounding = author.one(&Rounding::ALL);
    author.kernel.saturation = author.one(&Saturation::ALL);
    author.constant(1);
    while author.choices.len() > 0 {
        author.statement(Kernel::BODY);
    }
    author.keep_results();
    author.kernel
}

fn frame() -> Kernel {
    let loc = Loc { file: Cow::Borrowed("arbitrary"), line: 1 };
    let memory = |name: String, kind: ParamKind, elem: Elem, bytes: usize| Param {
        name,
        kind,
        elem,
        layout: Layout::RowMajor(vec![bytes as u32 / elem.bytes()]),
        align_bytes: 64,
        bank: None,
        value: None,
        loc: loc.clone(),
    };
    let mut params = Vec::new();
    for elem in Elem::ALL {
        params.push(memory(format!("in_{elem}"), ParamKind::In, elem, PARAM_BYTES as usize));
        params.push(memory(format!("inout_{elem}"), ParamKind::InOut, elem, PARAM_BYTES as usize));
        let is_looked_up = |f: &Form| matches!(f.result, Some(Type::Vector { elem: e, .. }) if e == elem);
        if spec(Opcode::Lookup).forms.iter().any(is_looked_up) {
            let values: Vec<i32> = (0..64).map(|i| i * 29 % 101 - 50).collect();
            let bytes = lut::pack_table(&values, elem);
            for bank in 0..2 {
                let kind = ParamKind::Table(bytes.clone());
                params.push(Param {
                    bank: Some(bank),
                    ..memory(format!("table{bank}_{elem}"), kind, elem, bytes.len())
                });
            }
        }
    }
    params.push(Param {
        layout: Layout::RowMajor(Vec::new()),
        align_bytes: 4,
        value: Some(ValueId(0)),
        ..memory("n".to_string(), ParamKind::I32, Elem::I32, 4)
    });
    Kernel {
        name: "arbitrary".to_string(),
        doc: "Random operations.".to_string(),
        rounding: Rounding::Floor,
        saturation: Saturation::Off,
        params,
        values: vec![Type::Scalar],
        ops: Vec::new(),
        blocks: vec![Block::default()],
    }
}

struct Author<'c> {
    choices: std::slice::Iter<'c, u16>,
    /// Whether cascade operations may stand in the kernel.
    cascade: bool,
    kernel: Kernel,
    /// Indices of the loops that are open, all with constant bounds below [`TRIPS`].
    loops: Vec<ValueId>,
    scope: Vec<ValueId>,
}

impl Author<'_> {
    fn below(&mut self, n: usize) -> usize {
        self.choices.next().map_or(0, |&c| usize::from(c)) % n
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn value(&mut self, ty: Type) -> ValueId {
        self.kernel.values.push(ty);
        ValueId(self.kernel.values.len() as u32 - 1)
    }

    fn open_block(&self) -> BlockId {
        BlockId(match self.loops.len() {
            0 => 0,
            // The innermost open loop's body is the block whose first argument is its index.
            n => self
                .kernel
                .blocks
                .iter()
                .position(|b| b.args.first() == Some(&self.loops[n - 1]))
                .unwrap_or(0) as u32,
        })
    }

    fn push(&mut self, block: BlockId, op: OpData) -> OpId {
        let id = OpId(self.kernel.ops.len() as u32);
        self.kernel.ops.push(op);
        self.kernel.blocks[block.index()].ops.push(id);
        id
    }

    fn draft(&self, opcode: Opcode) -> OpData {
        OpData {
            opcode,
            operands: SmallVec::new(),
            results: SmallVec::new(),
            imm: Imm::None,
            address: None,
            body: None,
            loc: Loc { file: Cow::Borrowed("arbitrary"), line: 1 },
        }
    }

    /// Appends an operation to the innermost open block.
    fn append(&mut self, mut op: OpData, result: Option<Type>) -> Option<ValueId> {
        let value = result.map(|ty| self.value(ty));
        op.results.extend(value);
        let block = self.open_block();
        self.push(block, op);
        self.scope.extend(value);
        value
    }

    fn constant(&mut self, value: i64) -> ValueId {
        let op = OpData { imm: Imm::Int(value), ..self.draft(Opcode::SConst) };
        let before = ValueId(self.kernel.values.len() as u32);
        self.append(op, Some(Type::Scalar)).unwrap_or(before)
    }

    fn statement(&mut self, block: BlockId) {
        if self.loops.len() < DEPTH && self.below(10) == 9 {
            self.fold(block);
            return;
        }
        // Operations first, so that those with many forms do not crowd out the others.
        let opcode = self.one(Opcode::ALL);
        let forms = &spec(opcode).forms;
        let excluded = spec(opcode).effect == Effect::Cascade && !self.cascade;
        if forms.is_empty() || excluded {
            return;
        }
        let start = self.below(forms.len());
        let candidates = forms.iter().cycle().skip(start).take(forms.len());
        for form in candidates {
            if let Some(operands) = self.operands(opcode, form) {
                self.operation(opcode, form, operands);
                return;
            }
        }
    }

    /// A random value in scope for each operand; none when a type is missing.
    fn operands(&mut self, opcode: Opcode, form: &Form) -> Option<SmallVec<[ValueId; 4]>> {
        let available = |kernel: &Kernel, scope: &[ValueId], ty: Type| -> Vec<ValueId> {
            scope.iter().copied().filter(|&v| kernel.ty(v) == ty).collect()
        };
        if form.operands.iter().any(|&ty| available(&self.kernel, &self.scope, ty).is_empty()) {
            return None;
        }
        let mut operands = SmallVec::new();
        for (i, &ty) in form.operands.iter().enumerate() {
            let limited = matches!(opcode, Opcode::Ups | Opcode::Srs) && ty == Type::Scalar;
            operands.push(match (opcode, i) {
                (Opcode::SDiv, 1) => {
                    let divisor = [1, 3, -7, 64][self.below(4)];
                    self.constant(divisor)
                }
                _ if limited => {
                    let shift = self.below(16) as i64;
                    self.constant(shift)
                }
                _ => {
                    let of = available(&self.kernel, &self.scope, ty);
                    // Newer values more often, so that chains form.
                    let back = self.below(of.len()).min(self.below(of.len()));
                    of[of.len() - 1 - back]
                }
            });
        }
        Some(operands)
    }

    fn operation(&mut self, opcode: Opcode, form: &Form, operands: SmallVec<[ValueId; 4]>) {
        let mut op = OpData { operands, ..self.draft(opcode) };
        op.imm = self.immediate(opcode, form);
        let effect = spec(opcode).effect;
        if matches!(effect, Effect::Read | Effect::Write) {
            match form.result.or(form.operands.first().copied()) {
                Some(Type::Vector { elem, .. }) if opcode == Opcode::Lookup => self.tables(&mut op, elem),
                Some(Type::Vector { elem, .. }) => self.address(&mut op, elem, form.result),
                _ => {
                    let elem = self.one(&[Elem::I8, Elem::U8, Elem::I16, Elem::I32]);
                    self.address(&mut op, elem, form.result);
                }
            }
        }
        self.append(op, form.result);
    }

    fn immediate(&mut self, opcode: Opcode, form: &Form) -> Imm {
        let lanes = form.operands.first().map_or(1, |t| usize::from(t.lanes()));
        Imm::Int(match opcode.imm_kind() {
            ImmKind::None | ImmKind::Lookup | ImmKind::Loop => return Imm::None,
            ImmKind::Const => {
                [0, 1, -1, 7, 255, i64::from(i32::MIN), i64::from(i32::MAX), 4096][self.below(8)]
            }
            ImmKind::FloatBits => self.below(1 << 16) as i64,
            ImmKind::Half => self.below(2) as i64,
            ImmKind::Lane => self.below(lanes) as i64,
            ImmKind::ShuffleMode => self.below(super::ops::SHUFFLE_MODES as usize) as i64,
            ImmKind::Shape => shape_code(form.shape.unwrap_or_default()),
            ImmKind::Rounding => i64::from(self.one(&Rounding::ALL).code()),
            ImmKind::Saturation => i64::from(self.one(&Saturation::ALL).code()),
        })
    }

    fn param(&self, name: &str) -> ParamId {
        let found = self.kernel.params.iter().position(|p| p.name == name);
        ParamId(found.unwrap_or(0) as u32)
    }

    fn tables(&mut self, op: &mut OpData, elem: Elem) {
        let (first, second) = (self.param(&format!("table0_{elem}")), self.param(&format!("table1_{elem}")));
        op.address = Some(Address { param: first, terms: SmallVec::new(), offset_bytes: 0 });
        // What aie::parallel_lookup takes: a power of two, and with unsigned indices none.
        let index = op.operands.first().map(|&v| self.kernel.ty(v));
        let signed = !matches!(index, Some(Type::Vector { elem: Elem::U8, .. }));
        let bias = if signed { self.one(&[0, 1, 8, 32, 64]) } else { 0 };
        op.imm = Imm::Lookup { second, step_log2: self.below(8) as u8, bias };
    }

    /// An address of `elem` in bounds on every trip of the open loops.
    fn address(&mut self, op: &mut OpData, elem: Elem, result: Option<Type>) {
        let names = [format!("inout_{elem}"), format!("in_{elem}")];
        let readable = if spec(op.opcode).effect == Effect::Write { 1 } else { 2 };
        let name = &names[self.below(readable)];
        let param = self.param(name);
        op.address = Some(Address { param, terms: SmallVec::new(), offset_bytes: 0 });
        // The width comes from the result, which has no id yet.
        let values = self.kernel.values.len();
        self.kernel.values.extend(result);
        let typed =
            OpData { results: result.map(|_| ValueId(values as u32)).into_iter().collect(), ..op.clone() };
        let width = access(&self.kernel, &typed);
        self.kernel.values.truncate(values);
        let Some(Access { size_bytes, align_bytes }) = width else { return };
        let align = i64::from(align_bytes);
        let mut room = i64::from(PARAM_BYTES) - i64::from(size_bytes);
        let mut terms: SmallVec<[(ValueId, i64); 4]> = SmallVec::new();
        for index in self.loops.clone() {
            let coefficient = align * self.below(4) as i64;
            let reach = coefficient * i64::from(TRIPS - 1);
            if coefficient > 0 && reach <= room {
                terms.push((index, coefficient));
                room -= reach;
            }
        }
        let offset_bytes = align * self.below((room / align) as usize + 1) as i64;
        op.address = Some(Address { param, terms, offset_bytes });
    }

    /// A loop of a few trips that carries up to three values of any types.
    fn fold(&mut self, block: BlockId) {
        let trips = self.below(TRIPS as usize) as i64;
        let (lo, hi) = (self.constant(0), self.constant(trips));
        let step = 1 + self.below(2) as u32;
        let carried = self.below(4);
        let inits: Vec<ValueId> = (0..carried).map(|_| self.one(&self.scope.clone())).collect();
        let types: Vec<Type> = inits.iter().map(|&v| self.kernel.ty(v)).collect();
        let index = self.value(Type::Scalar);
        let args: Vec<ValueId> = std::iter::once(index)
            .chain(types.iter().map(|&ty| self.value(ty)).collect::<Vec<_>>())
            .collect();
        let drawn = self.below(4);
        let hint = LoopHint { pipeline: drawn % 2 == 1, compact: drawn == 2, ..LoopHint::default() };
        let body = BlockId(self.kernel.blocks.len() as u32);
        let op = OpData {
            operands: [lo, hi].into_iter().chain(inits).collect(),
            imm: Imm::Loop { step, hint },
            body: Some(body),
            ..self.draft(Opcode::For)
        };
        let op = self.push(block, op);
        self.kernel.blocks.push(Block { args: args.clone(), ops: Vec::new() });
        let outer = self.scope.len();
        self.scope.extend(&args);
        self.loops.push(index);
        for _ in 0..1 + self.below(8) {
            self.statement(body);
        }
        let next: Vec<ValueId> = types
            .iter()
            .map(|&ty| {
                // The carried value itself is in scope, so there is always one.
                let of: Vec<ValueId> =
                    self.scope.iter().copied().filter(|&v| self.kernel.ty(v) == ty).collect();
                let back = self.below(of.len().min(3));
                of[of.len() - 1 - back]
            })
            .collect();
        let end = OpData { operands: next.into_iter().collect(), ..self.draft(Opcode::Yield) };
        self.push(body, end);
        self.loops.pop();
        self.scope.truncate(outer);
        let results: Vec<ValueId> = types.iter().map(|&ty| self.value(ty)).collect();
        self.kernel.ops[op.index()].results.extend(results.iter().copied());
        self.scope.extend(results);
    }

    /// Stores the newest values of each type that one store takes, side by side.
    fn keep_results(&mut self) {
        let mut next_byte: BTreeMap<Elem, i64> = BTreeMap::new();
        for form in &spec(Opcode::Store).forms {
            let Some(&ty @ Type::Vector { elem, .. }) = form.operands.first() else { continue };
            let newest: Vec<ValueId> =
                self.scope.iter().rev().copied().filter(|&v| self.kernel.ty(v) == ty).take(KEPT).collect();
            for value in newest {
                let next = next_byte.entry(elem).or_insert(0);
                let offset_bytes = *next;
                *next += i64::from(ty.bytes().next_multiple_of(32));
                let param = self.param(&format!("inout_{elem}"));
                let address = Some(Address { param, terms: SmallVec::new(), offset_bytes });
                let op =
                    OpData { operands: SmallVec::from_slice(&[value]), address, ..self.draft(Opcode::Store) };
                self.append(op, None);
            }
        }
    }
}

#[cfg(test)]
mod tests;
