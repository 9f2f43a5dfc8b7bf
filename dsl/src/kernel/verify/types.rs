//! Each operation has a form in the op table, and an immediate that its kind allows.

use super::error::Report;
use super::problem::Problem;
use crate::kernel::ir::{Imm, Kernel, OpData, OpId};
use crate::kernel::ops::{Effect, Form, ImmKind, form, spec};
use crate::kernel::types::Type;

/// Forms that an error names.
const NEAREST: usize = 4;

/// Reports operations that AIE2 has not, with the forms that come nearest.
pub(super) fn check(kernel: &Kernel, report: &mut Report) {
    for (i, op) in kernel.ops.iter().enumerate() {
        let id = OpId(i as u32);
        immediate(kernel, id, op, report);
        let entry = spec(op.opcode);
        let touches = matches!(entry.effect, Effect::Read | Effect::Write);
        if op.address.is_some() != touches {
            report.op(
                id,
                Problem::Address { mnemonic: op.opcode.mnemonic(), has_address: op.address.is_some() },
            );
        }
        if entry.effect != Effect::Control && form(kernel, op).is_none() {
            let operands: Vec<Type> = op.operands.iter().map(|&v| kernel.ty(v)).collect();
            let results: Vec<Type> = op.results.iter().map(|&v| kernel.ty(v)).collect();
            report.op(
                id,
                Problem::NoForm {
                    found: signature(op, &operands, &results),
                    nearest: nearest(op, &operands, &results),
                },
            );
        }
    }
}

fn immediate(kernel: &Kernel, id: OpId, op: &OpData, report: &mut Report) {
    let kind = op.opcode.imm_kind();
    let ty = |v: Option<&crate::kernel::ValueId>| v.map(|&v| kernel.ty(v));
    let allowed = match &op.imm {
        Imm::None => kind == ImmKind::None,
        Imm::Int(value) => kind.allows(*value, ty(op.operands.first()), ty(op.results.first())),
        Imm::Lookup { .. } => kind == ImmKind::Lookup,
        // A loop's own rules say more.
        Imm::Loop { .. } => kind == ImmKind::Loop,
    };
    if !allowed && kind != ImmKind::Loop {
        let found = match op.imm {
            Imm::Int(value) => Some(value),
            _ => None,
        };
        report
            .op(id, Problem::Immediate { mnemonic: op.opcode.mnemonic(), expected: kind.expected(), found });
    }
}

fn signature(op: &OpData, operands: &[Type], results: &[Type]) -> String {
    let list = |types: &[Type]| types.iter().map(Type::to_string).collect::<Vec<_>>().join(", ");
    let mut text = op.opcode.mnemonic().to_string();
    if !operands.is_empty() {
        text.push_str(&format!(" {}", list(operands)));
    }
    if !results.is_empty() {
        text.push_str(&format!(" : {}", list(results)));
    }
    text
}

/// The forms of the operation that share most with it, best first.
fn nearest(op: &OpData, operands: &[Type], results: &[Type]) -> Vec<String> {
    let mut forms: Vec<(usize, &Form)> = spec(op.opcode)
        .forms
        .iter()
        .map(|form| {
            let pairs = form.operands.iter().zip(operands).chain(form.result.iter().zip(results));
            let same_count = form.operands.len() == operands.len();
            let score: usize = pairs.map(|(a, b)| closeness(*a, *b)).sum();
            (score + usize::from(same_count), form)
        })
        .collect();
    forms.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    let mut texts: Vec<String> = Vec::new();
    for (_, form) in forms {
        let result: Vec<Type> = form.result.into_iter().collect();
        let mut text = signature(op, &form.operands, &result);
        if let Some([m, k, n]) = form.shape {
            text.push_str(&format!(" as {m}x{k}x{n}"));
        }
        if texts.len() < NEAREST && !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}

/// 4 for the same type, less for types that share element, family or lanes.
fn closeness(a: Type, b: Type) -> usize {
    let same_lane = match (a, b) {
        (Type::Vector { elem: x, .. }, Type::Vector { elem: y, .. }) => x == y,
        (Type::Accum { kind: x, .. }, Type::Accum { kind: y, .. }) => x == y,
        _ => false,
    };
    let same_family = std::mem::discriminant(&a) == std::mem::discriminant(&b);
    usize::from(a == b)
        + usize::from(same_family)
        + usize::from(same_lane)
        + usize::from(a.lanes() == b.lanes())
}
