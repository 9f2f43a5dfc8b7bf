//! Loads, stores and lookups: what they may touch, at which alignment, within which bounds.

use super::error::Report;
use super::problem::Problem;
use super::scalar::{Facts, LowBits};
use crate::kernel::access::{Access, access};
use crate::kernel::ir::{Address, BlockId, Imm, Kernel, OpData, OpId, Param, ParamKind, ValueId};
use crate::kernel::ops::{Effect, ImmKind, Opcode, spec};
use crate::kernel::types::{Elem, Type};
use crate::num::lut;

/// Reports everything about memory in a kernel whose structure is sound.
pub(super) fn check(kernel: &Kernel, report: &mut Report) {
    let facts = Facts::of(kernel);
    for (b, block) in kernel.blocks.iter().enumerate() {
        for &id in &block.ops {
            let op = kernel.op(id);
            if let Some(address) = &op.address {
                Check { kernel, facts: &facts, id, op, address, block: BlockId(b as u32) }.run(report);
            }
            promised_trips(&facts, id, op, report);
        }
    }
}

fn promised_trips(facts: &Facts, id: OpId, op: &OpData, report: &mut Report) {
    if let Imm::Loop { hint, .. } = op.imm
        && let Some(trips) = facts.trips(op)
        && trips < u64::from(hint.min_trips)
    {
        report.op(id, Problem::MinTrips { trips, min_trips: hint.min_trips });
    }
}

struct Check<'k> {
    kernel: &'k Kernel,
    facts: &'k Facts<'k>,
    id: OpId,
    op: &'k OpData,
    address: &'k Address,
    block: BlockId,
}

impl Check<'_> {
    fn run(&self, report: &mut Report) {
        let param = self.kernel.param(self.address.param);
        let is_scalar = self.form_of_address(report);
        if !param.kind.is_memory() {
            report.op(self.id, Problem::NotMemory { param: param.name.clone() });
            return;
        }
        if spec(self.op.opcode).effect == Effect::Write && !param.kind.is_written() {
            report.op(self.id, Problem::ReadOnly { param: param.name.clone(), kind: param.kind.keyword() });
        }
        if self.op.opcode.imm_kind() == ImmKind::Lookup {
            self.lookup(param, report);
        } else if let Some(access) = access(self.kernel, self.op) {
            self.element(param, report);
            if is_scalar {
                self.alignment(param, access, report);
                self.bounds(param, access, report);
            }
        }
    }

    /// Returns whether all terms are scalars.
    fn form_of_address(&self, report: &mut Report) -> bool {
        let mut seen: Vec<ValueId> = Vec::new();
        let mut is_scalar = true;
        for &(value, coefficient) in &self.address.terms {
            let found = self.kernel.ty(value);
            if found != Type::Scalar {
                report.op(self.id, Problem::AddressType { value, found });
                is_scalar = false;
            }
            if coefficient == 0 || seen.contains(&value) {
                report.op(self.id, Problem::AddressTerm { value, coefficient });
            }
            seen.push(value);
        }
        is_scalar
    }

    fn element(&self, param: &Param, report: &mut Report) {
        let value = self.op.results.first().or(self.op.operands.first());
        let expected = param.elem;
        match value.map(|&v| self.kernel.ty(v)) {
            Some(Type::Vector { elem, .. }) if elem != expected => {
                report.op(self.id, Problem::Element { param: param.name.clone(), expected, found: elem });
            }
            Some(Type::Scalar) if expected.is_float() => {
                report.op(self.id, Problem::ScalarFloat { param: param.name.clone(), elem: expected });
            }
            _ => {}
        }
    }

    fn alignment(&self, param: &Param, access: Access, report: &mut Report) {
        let term =
            |value: ValueId, coefficient: i64| self.facts.get(value).low.mul(LowBits::constant(coefficient));
        let offset = LowBits::constant(self.address.offset_bytes);
        let sum = self.address.terms.iter().fold(offset, |sum, &(v, c)| sum.add(term(v, c)));
        let base_bytes = if param.align_bytes.is_power_of_two() { param.align_bytes } else { 1 };
        let provable_bytes = (1u64 << sum.zeros().min(31)).min(u64::from(base_bytes)) as u32;
        if provable_bytes >= access.align_bytes {
            return;
        }
        let weakest = self.address.terms.iter().map(|&(v, c)| (term(v, c).zeros(), v, c)).min_by_key(|t| t.0);
        let cause = match weakest {
            _ if base_bytes < access.align_bytes => None,
            Some((zeros, value, coefficient)) if zeros <= offset.zeros() => {
                let factor = if coefficient == 1 { String::new() } else { format!("*{coefficient}") };
                Some(format!("{value}{factor} is only known to be a multiple of {} bytes", 1u64 << zeros))
            }
            _ => Some(format!("the constant part is {} bytes", self.address.offset_bytes)),
        };
        report.op(
            self.id,
            Problem::Alignment {
                param: param.name.clone(),
                param_align_bytes: param.align_bytes,
                needed_bytes: access.align_bytes,
                provable_bytes,
                cause,
                unaligned: match self.op.opcode {
                    Opcode::Load => Some(Opcode::LoadU.mnemonic()),
                    Opcode::Store => Some(Opcode::StoreU.mnemonic()),
                    _ => None,
                },
            },
        );
    }

    /// Reports an access that leaves its parameter on some trip, whatever the run-time values are.
    fn bounds(&self, param: &Param, access: Access, report: &mut Report) {
        if self.facts.is_dead(self.block) {
            return;
        }
        let Some(sum) = self.facts.address(self.address) else { return };
        // The least address that the highest access can have, and the greatest of the lowest.
        let sweeping = self.facts.sweeping(self.block);
        let (mut highest, mut lowest) = (i128::from(sum.constant), i128::from(sum.constant));
        for (&value, &coefficient) in &sum.terms {
            let fact = self.facts.get(value);
            let ends = [fact.range.lo, fact.range.hi].map(|end| i128::from(end) * i128::from(coefficient));
            let (least, greatest) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
            let sweeps = sweeping.contains(&value);
            highest += if sweeps { greatest } else { least };
            lowest += if sweeps { least } else { greatest };
        }
        let size_bytes = param.bytes();
        let end = highest + i128::from(access.size_bytes);
        if end > i128::from(size_bytes) || lowest < 0 {
            report.op(
                self.id,
                Problem::OutOfBounds {
                    param: param.name.clone(),
                    size_bytes,
                    first_byte: if lowest < 0 { lowest } else { highest },
                    access_bytes: access.size_bytes,
                },
            );
        }
    }

    fn lookup(&self, first: &Param, report: &mut Report) {
        let Imm::Lookup { second, step_log2, bias } = self.op.imm else { return };
        let second_param = self.kernel.param(second);
        if !self.address.terms.is_empty() || self.address.offset_bytes != 0 {
            report.op(self.id, Problem::LookupOffset { param: first.name.clone() });
        }
        if let Some(Type::Vector { elem, .. }) = self.op.operands.first().map(|&v| self.kernel.ty(v))
            && u32::from(step_log2) >= elem.bytes() * 8
        {
            report.op(self.id, Problem::LookupStep { step_log2, index: elem });
        }
        // aie_api's constructors of `parallel_lookup`, documented in its `aie.hpp`.
        let index = self.op.operands.first().map(|&v| self.kernel.ty(v));
        let is_unsigned = matches!(index, Some(Type::Vector { elem: Elem::U8, .. }));
        if bias != 0 && (is_unsigned || !bias.is_power_of_two()) {
            report.op(self.id, Problem::LookupBias { bias, is_unsigned });
        }
        for p in [first, second_param] {
            self.table(p, report);
        }
        let copies = match (&first.kind, &second_param.kind) {
            (ParamKind::Table(a), ParamKind::Table(b)) => a == b,
            // What the kernel writes there is for the simulator to compare.
            (a, b) if is_made(a) && is_made(b) => first.bytes() == second_param.bytes(),
            (a, b) if is_made(a) || is_made(b) => false,
            _ => return,
        };
        let names = || (first.name.clone(), second_param.name.clone());
        if second == self.address.param || !copies {
            let (first, second) = names();
            report.op(self.id, Problem::LookupCopies { first, second });
        } else if let (Some(bank), true) = (first.bank, first.bank == second_param.bank) {
            let (first, second) = names();
            report.op(self.id, Problem::LookupBank { first, second, bank });
        }
    }

    fn table(&self, p: &Param, report: &mut Report) {
        let expected: Option<Elem> = self.op.results.first().and_then(|&v| match self.kernel.ty(v) {
            Type::Vector { elem, .. } => Some(elem),
            _ => None,
        });
        let lines = match &p.kind {
            ParamKind::Table(bytes) => lut::is_well_formed(bytes),
            kind if is_made(kind) => p.bytes() > 0 && p.bytes().is_multiple_of(lut::LINE_BYTES.into()),
            kind => {
                report.op(self.id, Problem::LookupKind { param: p.name.clone(), kind: kind.keyword() });
                return;
            }
        };
        if let Some(expected) = expected.filter(|&e| e != p.elem) {
            report.op(self.id, Problem::Element { param: p.name.clone(), expected: p.elem, found: expected });
        }
        if !lines {
            report.op(self.id, Problem::LookupLayout { param: p.name.clone(), bytes: p.bytes() });
        }
        if p.align_bytes < lut::LINE_BYTES {
            report.op(
                self.id,
                Problem::LookupAlign {
                    param: p.name.clone(),
                    needed_bytes: lut::LINE_BYTES,
                    align_bytes: p.align_bytes,
                },
            );
        }
    }
}

/// Whether a kernel can make a lookup table there itself: core-local memory, whose bank is the kernel's to choose.
fn is_made(kind: &ParamKind) -> bool {
    matches!(kind, ParamKind::State | ParamKind::Scratch)
}
