//! Bundles to bytes and back.

use super::error::MachineError;
use super::table::{Isa, Kind, Op, OpId, Slot};

/// An operand's encoding. Registers that several encodings stand for keep the one they were read with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Value(pub u64);

/// One instruction with its operands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// Its form.
    pub op: OpId,
    /// A value for each of the form's fields.
    pub values: Vec<Value>,
}

impl Instruction {
    /// Its form.
    pub fn form(&self) -> &'static Op {
        Isa::aie2().op(self.op)
    }

    /// The bits of its slot.
    fn bits(&self) -> u64 {
        let op = self.form();
        op.fields.iter().zip(&self.values).fold(op.value, |bits, (field, value)| bits | field.write(value.0))
    }

    /// The instruction in a slot's bits: of all forms that explain every bit, the one with most decisive bits.
    fn of_bits(slot: Slot, bits: u64) -> Option<Instruction> {
        let isa = Isa::aie2();
        isa.of_slot(slot).iter().find_map(|&id| {
            let op = isa.op(id);
            let explained = op.fields.iter().fold(op.mask, |mask, field| mask | field.mask());
            if bits & op.mask != op.value || bits & !explained != 0 {
                return None;
            }
            let values: Vec<Value> = op.fields.iter().map(|field| Value(field.read(bits))).collect();
            let valid = op.fields.iter().zip(&values).all(|(field, value)| match field.kind {
                Kind::Register(class) => {
                    isa.classes[class].registers.get(value.0 as usize).is_some_and(Option::is_some)
                }
                Kind::Number(_) => true,
            });
            valid.then_some(Instruction { op: id, values })
        })
    }
}

/// Instructions that issue together, at most one a slot, in the order of [`Slot::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Bundle {
    /// The instructions, nops that were written included.
    pub instructions: Vec<Instruction>,
}

impl Bundle {
    /// A bundle of instructions in any order.
    pub(super) fn new(mut instructions: Vec<Instruction>) -> Bundle {
        instructions.sort_by_key(|i| i.form().slot);
        Bundle { instructions }
    }

    /// Slots in use.
    pub fn slots(&self) -> Vec<Slot> {
        self.instructions.iter().map(|i| i.form().slot).collect()
    }

    /// Its bytes. Slots of the format that are not in use hold nops.
    ///
    /// # Errors
    /// When no format holds the slots together, or nothing shows the encoding of an instruction.
    pub fn encode(&self) -> Result<Vec<u8>, MachineError> {
        let isa = Isa::aie2();
        if let Some(unseen) = self.instructions.iter().find(|i| !i.form().is_seen()) {
            return Err(MachineError::Unseen { op: unseen.form().name.clone() });
        }
        let slots = if self.instructions.is_empty() { vec![Slot::Nop] } else { self.slots() };
        let together = || MachineError::Together { text: self.to_string() };
        let format = isa.format(&slots).ok_or_else(together)?;
        let mut bits = format.value;
        for &(slot, at) in &format.slots {
            let mut here = self.instructions.iter().filter(|i| i.form().slot == slot);
            let content = match here.next() {
                Some(instruction) => instruction.bits(),
                None => isa.op(isa.nop(slot).ok_or_else(together)?).value,
            };
            if here.next().is_some() {
                return Err(together());
            }
            bits |= u128::from(content) << at;
        }
        Ok(bits.to_le_bytes()[..format.bytes].to_vec())
    }

    /// The first bundle of some bytes.
    ///
    /// # Errors
    /// When the bytes end early, or the table does not explain all bits.
    pub fn decode(bytes: &[u8]) -> Result<Bundle, MachineError> {
        let isa = Isa::aie2();
        let Some(&first) = bytes.first() else {
            return Err(MachineError::Short { first: 0, expected: 2, got: 0 });
        };
        let size = size_of(first);
        let Some(found) = bytes.get(..size) else {
            return Err(MachineError::Short { first, expected: size, got: bytes.len() });
        };
        let mut all = [0; 16];
        all[..size].copy_from_slice(found);
        let bits = u128::from_le_bytes(all);
        let unknown = || MachineError::Format {
            bytes: size,
            found: found.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" "),
        };
        let format = isa.formats.iter().find(|f| f.bytes == size && bits & f.mask == f.value);
        let format = format.ok_or_else(unknown)?;
        let mut explained = format.mask;
        let mut instructions = Vec::new();
        for &(slot, at) in &format.slots {
            let width = isa.width(slot);
            let mask = (1u128 << width) - 1;
            explained |= mask << at;
            let content = (bits >> at & mask) as u64;
            let read = Instruction::of_bits(slot, content);
            let instruction = read.ok_or(MachineError::Slot { slot: slot.name(), bits: content })?;
            instructions.push(instruction);
        }
        if bits & !explained != 0 {
            return Err(unknown());
        }
        Ok(Bundle::new(instructions))
    }

    /// Bytes that a bundle with these slots takes; the size is not the sum of the slots' bits. None where no bundle has
    /// them together.
    pub fn bytes_of(slots: &[Slot]) -> Option<usize> {
        let slots = if slots.is_empty() { &[Slot::Nop] } else { slots };
        Isa::aie2().format(slots).map(|format| format.bytes)
    }
}

/// Size of the bundle that begins with a byte: its low four bits tell (source: `aie2_isa.json`, size_of_low_nibble).
fn size_of(first: u8) -> usize {
    match first & 15 {
        1 => 2,
        9 => 4,
        5 | 13 => 6,
        3 => 8,
        11 => 10,
        7 => 12,
        15 => 14,
        _ => 16,
    }
}

/// A program, bundle by bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disassembly {
    /// Bundles with the positions of their first bytes.
    pub bundles: Vec<(usize, Bundle)>,
    /// The first bytes that are no bundle, if there are any.
    pub end: Option<(usize, MachineError)>,
}

/// The bundles of a program, up to the first bytes that are none.
pub fn disassemble(bytes: &[u8]) -> Disassembly {
    let (mut at, mut bundles) = (0, Vec::new());
    while at < bytes.len() {
        match Bundle::decode(&bytes[at..]) {
            Ok(bundle) => bundles.push((at, bundle)),
            Err(e) => return Disassembly { bundles, end: Some((at, e)) },
        }
        at += size_of(bytes[at]);
    }
    Disassembly { bundles, end: None }
}
