//! Value names of the text, and the ids they become.

use super::error::{ParseError, Position, Syntax};
use crate::kernel::ir::{Kernel, ValueId};
use crate::kernel::types::Type;
use indexmap::IndexMap;
use std::collections::BTreeSet;

#[derive(Default)]
struct Name {
    first_use: Option<Position>,
    ty: Option<Type>,
    /// Number of definitions of other names before this one's.
    defined: Option<u32>,
}

/// Every value name of one kernel, in order of appearance. Until [`Names::number`], a value's id
/// is its position here.
#[derive(Default)]
pub(super) struct Names {
    names: IndexMap<String, Name>,
    definitions: u32,
    excused: BTreeSet<String>,
}

impl Names {
    /// `word` stands in a line that could not be read, which may have defined it.
    pub fn excuse(&mut self, word: &str) {
        self.excused.insert(word.to_string());
    }

    pub fn used(&mut self, name: &str, at: Position) -> ValueId {
        let entry = self.names.entry(name.to_string());
        let id = ValueId(entry.index() as u32);
        entry.or_default().first_use.get_or_insert(at);
        id
    }

    /// # Errors
    /// The name already has another type.
    pub fn defined(&mut self, name: &str, ty: Type, at: Position) -> Result<ValueId, ParseError> {
        let entry = self.names.entry(name.to_string());
        let id = ValueId(entry.index() as u32);
        let slot = entry.or_default();
        match slot.ty {
            Some(first) if first != ty => {
                let syntax = Syntax::Redefined { name: name.to_string(), first, second: ty };
                return Err(ParseError { at, syntax });
            }
            Some(_) => {}
            None => {
                slot.ty = Some(ty);
                slot.defined = Some(self.definitions);
                self.definitions += 1;
            }
        }
        Ok(id)
    }

    /// Gives `kernel` its final ids: the numbers of the text where they are `v0..vn` without a
    /// gap, else the order of definition.
    pub fn number(&self, kernel: &mut Kernel, errors: &mut Vec<ParseError>) {
        for (name, info) in &self.names {
            if info.ty.is_none() && !self.excused.contains(name) {
                let at = info.first_use.unwrap_or(Position { line: 1, column: 1 });
                errors.push(ParseError { at, syntax: Syntax::Undefined { name: name.clone() } });
            }
        }
        let as_written: Option<Vec<u32>> = self.names.keys().map(|name| number_of(name)).collect();
        let ids = as_written.filter(|ids| is_dense(ids)).unwrap_or_else(|| {
            // Undefined names are errors; any number in range will do for them.
            self.names.values().map(|info| info.defined.unwrap_or(0)).collect()
        });
        let mut types = vec![Type::Scalar; self.names.len()];
        for (info, &id) in self.names.values().zip(&ids) {
            types[id as usize] = info.ty.unwrap_or(Type::Scalar);
        }
        kernel.values = types;
        let renumber = |v: &mut ValueId| *v = ValueId(ids[v.index()]);
        kernel.params.iter_mut().filter_map(|p| p.value.as_mut()).for_each(renumber);
        for op in &mut kernel.ops {
            op.operands.iter_mut().chain(&mut op.results).for_each(renumber);
            op.address.iter_mut().flat_map(|a| &mut a.terms).for_each(|(v, _)| renumber(v));
        }
        kernel.blocks.iter_mut().flat_map(|b| &mut b.args).for_each(renumber);
    }
}

/// 12 of `v12`.
fn number_of(name: &str) -> Option<u32> {
    let digits = name.strip_prefix('v')?;
    let number: u32 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

fn is_dense(ids: &[u32]) -> bool {
    let mut seen = vec![false; ids.len()];
    ids.iter().all(|&id| seen.get_mut(id as usize).is_some_and(|s| !std::mem::replace(s, true)))
}
