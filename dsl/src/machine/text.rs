//! Bundles as text, in LLVM's words: instructions between `;`, registers in lower case, numbers after `#`.

use super::bundle::{Bundle, Instruction, Value};
use super::error::MachineError;
use super::table::{Isa, Kind, OpId, Piece, Slot};
use std::fmt;
use std::str::FromStr;

/// Pairs of scalar registers, `l0` to `l7`, are printed as their halves: `r17:r16`.
fn spelled(register: &str) -> String {
    match register.strip_prefix('l').and_then(|n| n.parse::<u32>().ok()) {
        Some(pair) => format!("r{}:r{}", 17 + 2 * pair, 16 + 2 * pair),
        None => register.to_owned(),
    }
}

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let isa = Isa::aie2();
        let op = self.form();
        for piece in &op.pieces {
            match piece {
                Piece::Literal(text) => f.write_str(text)?,
                Piece::Fixed(register) => f.write_str(register)?,
                Piece::Field(at) => {
                    let value = self.values[*at].0;
                    match op.fields[*at].kind {
                        Kind::Register(class) => {
                            let register = isa.classes[class].registers.get(value as usize);
                            f.write_str(&spelled(register.and_then(Option::as_deref).unwrap_or("?")))?;
                        }
                        Kind::Number(number) => write!(f, "#{}", number.decode(value))?,
                    }
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.instructions.is_empty() {
            return f.write_str("nop");
        }
        for (at, instruction) in self.instructions.iter().enumerate() {
            write!(f, "{}{instruction}", if at > 0 { " ; " } else { "" })?;
        }
        Ok(())
    }
}

/// The instruction of a form with the operands in a text, if it is of that form.
fn of_form(id: OpId, text: &str) -> Option<Instruction> {
    let isa = Isa::aie2();
    let op = isa.op(id);
    let mut values = vec![None; op.fields.len()];
    let mut rest = text;
    for piece in &op.pieces {
        match piece {
            Piece::Literal(literal) => rest = after(rest, literal)?,
            Piece::Fixed(register) => {
                let (word, left) = operand(rest);
                rest = left;
                if word != register {
                    return None;
                }
            }
            Piece::Field(at) => {
                let (word, left) = operand(rest);
                rest = left;
                let value = match op.fields[*at].kind {
                    Kind::Register(class) => {
                        let named = |r: &Option<String>| r.as_deref().is_some_and(|r| spelled(r) == word);
                        isa.classes[class].registers.iter().position(named)? as u64
                    }
                    Kind::Number(number) => number.encode(word.strip_prefix('#')?.parse().ok()?)?,
                };
                // An operand that stands twice must be the same twice.
                if values[*at].is_some_and(|old| old != value) {
                    return None;
                }
                values[*at] = Some(value);
            }
        }
    }
    let values: Option<Vec<Value>> = values.into_iter().map(|v| v.map(Value)).collect();
    rest.trim().is_empty().then_some(Instruction { op: id, values: values? })
}

/// What follows a literal in which spaces may be more.
fn after<'t>(text: &'t str, literal: &str) -> Option<&'t str> {
    let mut rest = text;
    for word in literal.split(' ') {
        rest = rest.trim_start().strip_prefix(word)?;
    }
    Some(rest.trim_start())
}

/// The operand that a text begins with, and the rest.
fn operand(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let end = text.find([',', ']', ' ']).unwrap_or(text.len());
    text.split_at(end)
}

/// All instructions that a text can be, in whatever slot; shown ones alone, if there are any.
fn candidates(text: &str) -> Result<Vec<Instruction>, MachineError> {
    let isa = Isa::aie2();
    let mnemonic = text.split(' ').next().unwrap_or(text);
    let forms = isa.of_mnemonic(mnemonic);
    let mut found: Vec<Instruction> = forms.iter().filter_map(|&id| of_form(id, text)).collect();
    if found.iter().any(|i| i.form().is_seen()) {
        found.retain(|i| i.form().is_seen());
    }
    if found.is_empty() {
        let texts: Vec<&str> = forms.iter().map(|&id| isa.op(id).text.as_str()).take(4).collect();
        let near =
            || isa.mnemonics().filter(|m| m.starts_with(mnemonic.split('.').next().unwrap_or_default()));
        let hint = match texts.is_empty() {
            false => Some(format!("there is {}", texts.join(", "))),
            true => {
                let names: Vec<&str> = near().filter(|_| !mnemonic.is_empty()).take(6).collect();
                (!names.is_empty()).then(|| format!("names near it: {}", names.join(", ")))
            }
        };
        return Err(MachineError::Text { text: text.to_owned(), hint });
    }
    Ok(found)
}

impl FromStr for Bundle {
    type Err = MachineError;

    /// Each instruction goes to the slot that lets the bundle be smallest.
    fn from_str(text: &str) -> Result<Bundle, MachineError> {
        let parts: Vec<&str> = text.split(';').map(str::trim).collect();
        let choices: Vec<Vec<Instruction>> =
            parts.iter().map(|part| candidates(part)).collect::<Result<_, _>>()?;
        let mut best: Option<(usize, Vec<Instruction>)> = None;
        choose(&choices, &mut Vec::new(), &mut best);
        let (_, instructions) = best.ok_or_else(|| MachineError::Together { text: text.to_owned() })?;
        Ok(Bundle::new(instructions))
    }
}

/// Tries the instructions of each part in slots of their own; a bundle has seven slots, so there are few.
fn choose(
    left: &[Vec<Instruction>],
    taken: &mut Vec<Instruction>,
    best: &mut Option<(usize, Vec<Instruction>)>,
) {
    let slots: Vec<Slot> = taken.iter().map(|i| i.form().slot).collect();
    let Some((first, rest)) = left.split_first() else {
        let Some(bytes) = Bundle::bytes_of(&slots) else { return };
        if best.as_ref().is_none_or(|(least, _)| bytes < *least) {
            *best = Some((bytes, taken.clone()));
        }
        return;
    };
    for instruction in first {
        if !slots.contains(&instruction.form().slot) {
            taken.push(instruction.clone());
            choose(rest, taken, best);
            taken.pop();
        }
    }
}
