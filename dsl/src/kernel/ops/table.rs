//! The table itself and how it is asked.

use super::{Effect, Eval, Form, LatencyClass, Machine, OpSpec, Opcode, Slot};
use crate::kernel::ir::{Imm, Kernel, OpData};
use crate::kernel::types::Type;
use std::sync::LazyLock;

static TABLE: LazyLock<Vec<OpSpec>> = LazyLock::new(|| {
    let mut table = Table { specs: Vec::new() };
    super::scalar::fill(&mut table);
    super::memory::fill(&mut table);
    super::vector::fill(&mut table);
    super::accum::fill(&mut table);
    super::cascade::fill(&mut table);
    super::matrix::fill(&mut table);
    super::float::fill(&mut table);
    table.control(Opcode::For);
    table.control(Opcode::Yield);
    Opcode::ALL
        .iter()
        .map(|&opcode| {
            let found = table.specs.iter().find(|s| s.opcode == opcode).cloned();
            found.unwrap_or(OpSpec { opcode, effect: Effect::Pure, forms: Vec::new() })
        })
        .collect()
});

/// The entry of an operation.
pub fn spec(opcode: Opcode) -> &'static OpSpec {
    &TABLE[opcode as usize]
}

/// The form of an operation with these types, or `None` when AIE2 has no such thing.
/// `shape` is the M, K, N of a matrix product.
pub fn find(
    opcode: Opcode,
    operands: &[Type],
    result: Option<Type>,
    shape: Option<[u8; 3]>,
) -> Option<&'static Form> {
    spec(opcode)
        .forms
        .iter()
        .find(|f| f.operands.as_slice() == operands && f.result == result && f.shape == shape)
}

/// The form of an operation of a kernel; `None` for `for` and `yield`, for ids out of range and
/// where the table has none.
pub fn form(kernel: &Kernel, op: &OpData) -> Option<&'static Form> {
    let ty = |v: &crate::kernel::ValueId| kernel.values.get(v.index()).copied();
    let operands = op.operands.iter().map(ty).collect::<Option<smallvec::SmallVec<[Type; 4]>>>()?;
    let result = match op.results.as_slice() {
        [] => None,
        [one] => Some(ty(one)?),
        _ => return None,
    };
    let shape = match (op.opcode, &op.imm) {
        (Opcode::MMul | Opcode::MMac, Imm::Int(code)) => Some(shape_from_code(*code)?),
        _ => None,
    };
    find(op.opcode, &operands, result, shape)
}

/// `Imm::Int` of a matrix product: M * 10000 + K * 100 + N.
pub const fn shape_code([m, k, n]: [u8; 3]) -> i64 {
    m as i64 * 10_000 + k as i64 * 100 + n as i64
}

/// The inverse of [`shape_code`].
pub fn shape_from_code(code: i64) -> Option<[u8; 3]> {
    let part = |v: i64| u8::try_from(v).ok().filter(|&v| 0 < v && v < 100);
    Some([part(code / 10_000)?, part(code / 100 % 100)?, part(code % 100)?])
}

/// The table while it is filled.
pub(super) struct Table {
    specs: Vec<OpSpec>,
}

impl Table {
    fn spec(&mut self, opcode: Opcode, effect: Effect) -> &mut OpSpec {
        if let Some(at) = self.specs.iter().position(|s| s.opcode == opcode) {
            return &mut self.specs[at];
        }
        self.specs.push(OpSpec { opcode, effect, forms: Vec::new() });
        self.specs.last_mut().expect("just pushed")
    }

    fn control(&mut self, opcode: Opcode) {
        self.spec(opcode, Effect::Control);
    }

    /// Adds a form of a pure operation; a matrix product then sets the form's shape.
    pub(super) fn pure(
        &mut self,
        opcode: Opcode,
        operands: &[Type],
        result: Type,
        eval: Eval,
        cpp: &'static str,
        machine: Vec<Machine>,
    ) -> &mut Form {
        let form = Form {
            operands: operands.into(),
            result: Some(result),
            shape: None,
            eval: Some(eval),
            cpp,
            machine,
        };
        let forms = &mut self.spec(opcode, Effect::Pure).forms;
        forms.push(form);
        forms.last_mut().expect("just pushed")
    }

    /// Adds a form that the executor runs itself.
    pub(super) fn effect(
        &mut self,
        opcode: Opcode,
        effect: Effect,
        operands: &[Type],
        result: Option<Type>,
        cpp: &'static str,
        machine: Vec<Machine>,
    ) {
        let form = Form { operands: operands.into(), result, shape: None, eval: None, cpp, machine };
        self.spec(opcode, effect).forms.push(form);
    }
}

/// `times` of one instruction.
pub(super) fn m(mnemonic: &'static str, slots: &'static [Slot], latency: LatencyClass, times: u8) -> Machine {
    Machine { mnemonic, slots, latency, times }
}

/// The scalar ALU.
pub(super) const ALU: &[Slot] = &[Slot::Alu];
/// The move slot and vector ALU.
pub(super) const MV: &[Slot] = &[Slot::Mv];
/// The multiplier.
pub(super) const VEC: &[Slot] = &[Slot::Vec];
/// Either load unit.
pub(super) const LOAD: &[Slot] = &[Slot::Ldb, Slot::Lda];
/// Load unit A.
pub(super) const LDA: &[Slot] = &[Slot::Lda];
/// Load unit B.
pub(super) const LDB: &[Slot] = &[Slot::Ldb];
/// The store unit.
pub(super) const ST: &[Slot] = &[Slot::St];
/// srs into a register: store unit, or the move slot for 16- and 32-bit results.
pub(super) const ST_MV: &[Slot] = &[Slot::St, Slot::Mv];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_opcode_has_an_entry_in_order_and_every_form_has_machine_and_cpp() {
        for (i, &opcode) in Opcode::ALL.iter().enumerate() {
            let entry = spec(opcode);
            assert_eq!(entry.opcode, opcode);
            assert_eq!(opcode as usize, i);
            if entry.effect == Effect::Control {
                continue;
            }
            assert!(!entry.forms.is_empty(), "{opcode} has no form");
            for form in &entry.forms {
                assert!(!form.cpp.is_empty(), "{opcode} {form:?}");
                assert_eq!(
                    form.eval.is_some(),
                    entry.effect == Effect::Pure && opcode != Opcode::Lookup,
                    "{opcode}"
                );
            }
        }
    }

    #[test]
    fn no_form_stands_twice() {
        for &opcode in Opcode::ALL {
            let forms = &spec(opcode).forms;
            for (i, a) in forms.iter().enumerate() {
                for b in &forms[i + 1..] {
                    assert!(
                        a.operands != b.operands || a.result != b.result || a.shape != b.shape,
                        "{opcode} {a:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn shape_codes_invert() {
        assert_eq!(shape_from_code(shape_code([4, 8, 8])), Some([4, 8, 8]));
        assert_eq!(shape_from_code(-1), None);
    }
}
