//! C++ names of parameters, values and types.

use crate::kernel::ops::{Opcode, form};
use crate::kernel::{AccKind, BlockId, Elem, Imm, Kernel, OpData, OpId, Param, Type, ValueId};
use std::collections::{BTreeMap, BTreeSet};

/// Types that the emitted code uses by their short names. Keywords and namespaces were refused by
/// `verify`.
const RESERVED: [&str; 12] = [
    "bfloat16", "int16", "int16_t", "int32", "int32_t", "int8", "int8_t", "uint16", "uint32", "uint32_t",
    "uint8", "uint8_t",
];

/// Names of loop indices by depth; deeper ones are named after their values.
const INDICES: [&str; 6] = ["i", "j", "k", "l", "m", "n"];

/// What everything of one kernel is called.
pub(super) struct Names {
    params: BTreeMap<String, String>,
    used_params: BTreeSet<String>,
    values: Vec<String>,
    used: Vec<bool>,
    constants: Vec<Option<i64>>,
    /// Values that are assigned to the variable of the loop that carries them on.
    assigned: Vec<bool>,
}

impl Names {
    pub fn new(kernel: &Kernel) -> Names {
        let mut taken: BTreeSet<String> = RESERVED.iter().map(|s| s.to_string()).collect();
        taken.insert(kernel.name.clone());
        let mut params = BTreeMap::new();
        for p in &kernel.params {
            let mut name = p.name.clone();
            while !taken.insert(name.clone()) {
                name.push('_');
            }
            params.insert(p.name.clone(), name);
        }
        let mut names = Names {
            params,
            used_params: BTreeSet::new(),
            values: (0..kernel.values.len())
                .map(|i| {
                    let mut name = format!("v{i}");
                    while taken.contains(&name) {
                        name.push('_');
                    }
                    name
                })
                .collect(),
            used: vec![false; kernel.values.len()],
            constants: vec![None; kernel.values.len()],
            assigned: vec![false; kernel.values.len()],
        };
        for p in &kernel.params {
            if let Some(v) = p.value {
                names.values[v.index()] = names.params[&p.name].clone();
            }
        }
        names.uses(kernel);
        names.loops(kernel, Kernel::BODY, 0, &taken);
        names
    }

    fn uses(&mut self, kernel: &Kernel) {
        for op in &kernel.ops {
            let terms = op.address.iter().flat_map(|a| a.terms.iter().map(|t| t.0));
            // What a yield reads is decided with its loop.
            let operands = if op.opcode == Opcode::Yield { &[] } else { op.operands.as_slice() };
            for v in operands.iter().copied().chain(terms) {
                self.used[v.index()] = true;
            }
            for v in carried_on(kernel, op) {
                self.used[v.index()] = true;
            }
            if let Some(address) = &op.address {
                self.used_params.insert(kernel.param(address.param).name.clone());
            }
            if let Imm::Lookup { second, .. } = op.imm {
                self.used_params.insert(kernel.param(second).name.clone());
            }
            // Only a constant has nothing but its immediate for a template.
            let constant = form(kernel, op).is_some_and(|f| f.cpp == "$i");
            if let (true, Imm::Int(value), [result]) = (constant, &op.imm, op.results.as_slice()) {
                self.constants[result.index()] = Some(*value);
                self.values[result.index()] = super::literal(*value);
            }
        }
        for p in &kernel.params {
            if p.value.is_some_and(|v| self.used[v.index()]) {
                self.used_params.insert(p.name.clone());
            }
        }
    }

    /// Names loop indices i, j, k by depth, and carried values after the loop's results.
    fn loops(&mut self, kernel: &Kernel, block: BlockId, depth: usize, taken: &BTreeSet<String>) {
        for &id in &kernel.block(block).ops {
            let op = kernel.op(id);
            let (Opcode::For, Some(body)) = (op.opcode, op.body) else { continue };
            if let Some((&index, carried)) = kernel.block(body).args.split_first() {
                if let Some(name) = INDICES.get(depth).filter(|n| !taken.contains(**n)) {
                    self.values[index.index()] = name.to_string();
                }
                for (&arg, &result) in carried.iter().zip(&op.results) {
                    self.values[arg.index()] = self.values[result.index()].clone();
                }
            }
            self.loops(kernel, body, depth + 1, taken);
            for (next, arg) in updates_in_place(kernel, body) {
                self.values[next.index()] = self.values[arg.index()].clone();
                self.assigned[next.index()] = true;
            }
        }
    }

    /// Whether its definition assigns a carried variable instead of making a new value.
    pub fn is_assignment(&self, v: ValueId) -> bool {
        self.assigned[v.index()]
    }

    pub fn param(&self, p: &Param) -> &str {
        &self.params[&p.name]
    }

    pub fn param_used(&self, p: &Param) -> bool {
        self.used_params.contains(&p.name)
    }

    pub fn value(&self, v: ValueId) -> String {
        self.values[v.index()].clone()
    }

    /// Whether any operation reads it.
    pub fn is_used(&self, v: ValueId) -> bool {
        self.used[v.index()]
    }

    /// Whether it is written in place as a literal.
    pub fn is_literal(&self, v: ValueId) -> bool {
        self.constants[v.index()].is_some()
    }

    pub fn constant(&self, v: ValueId) -> Option<i64> {
        self.constants[v.index()]
    }
}

/// What the yield of a loop reads: every next value but a carried one that keeps its place, which
/// prints nothing.
fn carried_on(kernel: &Kernel, op: &OpData) -> Vec<ValueId> {
    let Some(body) = op.body.map(|b| kernel.block(b)) else { return Vec::new() };
    let Some(&end) = body.ops.last() else { return Vec::new() };
    let next = kernel.op(end).operands.iter().zip(body.args.iter().skip(1));
    next.filter(|(next, arg)| next != arg).map(|(&next, _)| next).collect()
}

/// Next values of a loop with the carried values they can overwrite where they are computed: read
/// only by the yield, while nothing after them reads the old value.
fn updates_in_place(kernel: &Kernel, body: BlockId) -> Vec<(ValueId, ValueId)> {
    let block = kernel.block(body);
    let Some((&end, rest)) = block.ops.split_last() else { return Vec::new() };
    let yielded = &kernel.op(end).operands;
    let reads = |v: ValueId, op: OpId| reads_within(kernel, op, v);
    let mut pairs = Vec::new();
    for (&next, &arg) in yielded.iter().zip(&block.args[1..]) {
        let defined = rest.iter().position(|&op| kernel.op(op).results.contains(&next));
        let Some(at) = defined.filter(|&at| kernel.op(rest[at]).opcode != Opcode::For) else { continue };
        let only_yielded_once =
            yielded.iter().filter(|&&y| y == next).count() == 1 && rest.iter().all(|&op| !reads(next, op));
        let old_is_dead = !yielded.contains(&arg) && rest[at + 1..].iter().all(|&op| !reads(arg, op));
        let constant = form(kernel, kernel.op(rest[at])).is_some_and(|f| f.cpp == "$i");
        if only_yielded_once && old_is_dead && !constant {
            pairs.push((next, arg));
        }
    }
    pairs
}

/// Whether an operation, or one in its body, reads the value.
fn reads_within(kernel: &Kernel, op: OpId, value: ValueId) -> bool {
    let op = kernel.op(op);
    op.operands.contains(&value)
        || op.address.iter().any(|a| a.terms.iter().any(|t| t.0 == value))
        || op
            .body
            .is_some_and(|b| kernel.block(b).ops.iter().any(|&inner| reads_within(kernel, inner, value)))
}

/// aie_api's type of a value.
pub(crate) fn type_name(ty: Type) -> String {
    match (ty, element(ty)) {
        (Type::Mask { lanes }, _) => format!("aie::mask<{lanes}>"),
        (Type::Vector { lanes, .. }, Some(elem)) => format!("aie::vector<{elem}, {lanes}>"),
        (Type::Accum { lanes, .. }, Some(tag)) => format!("aie::accum<{tag}, {lanes}>"),
        _ => "int32_t".to_string(),
    }
}

/// Element of a vector type, tag of an accumulator type.
pub(super) fn element(ty: Type) -> Option<&'static str> {
    match ty {
        Type::Vector { elem, .. } => Some(super::pointer::element(elem)),
        Type::Accum { kind, .. } => Some(match kind {
            AccKind::Acc32 => "acc32",
            AccKind::Acc64 => "acc64",
            AccKind::AccFloat => "accfloat",
        }),
        Type::Scalar | Type::Mask { .. } => None,
    }
}

/// aie_api's element type.
pub(super) const fn element_name(elem: Elem) -> &'static str {
    match elem {
        Elem::I8 => "int8",
        Elem::U8 => "uint8",
        Elem::I16 => "int16",
        Elem::I32 => "int32",
        Elem::Bf16 => "bfloat16",
        Elem::F32 => "float",
    }
}
