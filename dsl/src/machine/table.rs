//! The instruction table: `aie2.tsv`, read once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

/// The data, in the repository's own form.
const DATA: &str = include_str!("aie2.tsv");

/// An issue slot of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Slot {
    /// The empty bundle; also a part of one format of long immediates.
    Nop,
    /// First loads, and pointer steps.
    Ldb,
    /// Second loads.
    Lda,
    /// Stores.
    St,
    /// Scalar arithmetic and branches.
    Alu,
    /// Moves.
    Mv,
    /// Long immediates, in the place of `alu` and `mv`.
    Lng,
    /// Vector arithmetic.
    Vec,
}

impl Slot {
    /// All, in the order in which text lists them.
    pub const ALL: [Slot; 8] =
        [Slot::Nop, Slot::Ldb, Slot::Lda, Slot::St, Slot::Alu, Slot::Mv, Slot::Lng, Slot::Vec];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Slot::Ldb => "ldb",
            Slot::Lda => "lda",
            Slot::St => "st",
            Slot::Alu => "alu",
            Slot::Mv => "mv",
            Slot::Lng => "lng",
            Slot::Vec => "vec",
            Slot::Nop => "nop",
        }
    }

    fn named(name: &str) -> Slot {
        Slot::ALL.into_iter().find(|slot| slot.name() == name).expect("the table names slots that there are")
    }
}

/// A form of an instruction, by position in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpId(pub(super) u16);

/// How a set of slots lies in a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// Size.
    pub bytes: usize,
    /// Bits that tell the format from others.
    pub mask: u128,
    /// Their values.
    pub value: u128,
    /// Slots with their lowest bits.
    pub slots: Vec<(Slot, u32)>,
}

/// Registers that an operand can be, by encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterClass {
    /// LLVM's name of it.
    pub name: String,
    /// Registers; none where an encoding has no meaning.
    pub registers: Vec<Option<String>>,
}

/// A number in an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Immediate {
    /// Bits.
    pub bits: u32,
    /// Whether it is a two's complement.
    pub signed: bool,
    /// What one step of the encoding stands for.
    pub step: i64,
    /// Whether it is always below 0, and stored without its sign.
    pub negative: bool,
}

impl Immediate {
    /// Least and greatest value.
    pub fn range(self) -> (i64, i64) {
        let all = 1i64 << self.bits;
        let (least, greatest) = match (self.negative, self.signed) {
            (true, _) => (-all, -1),
            (false, true) => (-all / 2, all / 2 - 1),
            (false, false) => (0, all - 1),
        };
        (least * self.step, greatest * self.step)
    }

    /// The encoding of a value in range.
    pub(super) fn encode(self, value: i64) -> Option<u64> {
        let (least, greatest) = self.range();
        let fits = (least..=greatest).contains(&value) && value % self.step == 0;
        fits.then(|| (value / self.step) as u64 & ((1 << self.bits) - 1))
    }

    /// The value of an encoding.
    pub(super) fn decode(self, encoding: u64) -> i64 {
        let all = 1i64 << self.bits;
        let value = encoding as i64;
        let below = self.negative || (self.signed && value >= all / 2);
        (if below { value - all } else { value }) * self.step
    }
}

/// What an operand's bits mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A register of the class at this position of [`Isa::classes`].
    Register(usize),
    /// A number.
    Number(Immediate),
}

/// An operand in the bits of its instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in the text.
    pub name: String,
    /// Lowest bit in the slot, width, and lowest bit of the value, of each part.
    pub parts: Vec<(u32, u32, u32)>,
    /// What it means.
    pub kind: Kind,
}

impl Field {
    /// Its value in a slot's bits.
    pub(super) fn read(&self, bits: u64) -> u64 {
        self.parts.iter().map(|&(at, width, low)| ((bits >> at) & ((1 << width) - 1)) << low).sum()
    }

    /// A slot's bits with the value in them.
    pub(super) fn write(&self, value: u64) -> u64 {
        self.parts.iter().map(|&(at, width, low)| ((value >> low) & ((1 << width) - 1)) << at).sum()
    }

    /// All its bits in the slot.
    pub(super) fn mask(&self) -> u64 {
        self.write(u64::MAX)
    }
}

/// Part of an instruction's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// As it stands.
    Literal(String),
    /// A field, by position.
    Field(usize),
    /// A register that is always the same one.
    Fixed(String),
}

/// A form of an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// LLVM's name.
    pub name: String,
    /// Where it issues.
    pub slot: Slot,
    /// Bits that tell it from others.
    pub mask: u64,
    /// Their values.
    pub value: u64,
    /// In a test vector of llvm-aie.
    pub in_vector: bool,
    /// In a program that AMD shipped.
    pub in_program: bool,
    /// Reads memory.
    pub loads: bool,
    /// Writes memory.
    pub stores: bool,
    /// Name of its timing in [`Isa::cycles`].
    pub itinerary: String,
    /// Operands in LLVM's order, results first; `=r29` is always that register.
    pub operands: Vec<String>,
    /// How many of them are results.
    pub results: usize,
    /// Operands that are encoded.
    pub fields: Vec<Field>,
    /// Its text.
    pub(super) pieces: Vec<Piece>,
    /// The same as the table has it.
    pub text: String,
}

impl Op {
    /// Whether anything shows its encoding.
    pub fn is_seen(&self) -> bool {
        self.in_vector || self.in_program
    }

    /// Its name in text: up to the first space.
    pub fn mnemonic(&self) -> &str {
        self.text.split(' ').next().unwrap_or(&self.text)
    }
}

/// Cycles in which an instruction reads and writes its operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycles {
    /// By machine operand, results first.
    pub operands: Vec<u32>,
    /// Bypass of each, a letter; empty without any.
    pub bypass: String,
}

/// The whole table.
#[derive(Debug)]
pub struct Isa {
    /// Bits of each slot.
    widths: BTreeMap<Slot, u32>,
    /// Formats.
    pub formats: Vec<Format>,
    /// Register classes.
    pub classes: Vec<RegisterClass>,
    /// Timings by name.
    pub cycles: BTreeMap<String, Cycles>,
    ops: Vec<Op>,
    /// Forms by name in text.
    by_mnemonic: BTreeMap<String, Vec<OpId>>,
    /// Forms by slot, those with most decisive bits first.
    by_slot: BTreeMap<Slot, Vec<OpId>>,
}

impl Isa {
    /// The instructions of AIE2.
    ///
    /// # Panics
    /// Never: a test reads the table.
    pub fn aie2() -> &'static Isa {
        static ISA: LazyLock<Isa> = LazyLock::new(|| Isa::read(DATA));
        &ISA
    }

    /// Bits of a slot.
    pub fn width(&self, slot: Slot) -> u32 {
        self.widths[&slot]
    }

    /// A form.
    pub fn op(&self, id: OpId) -> &Op {
        &self.ops[usize::from(id.0)]
    }

    /// All forms.
    pub fn ops(&self) -> impl Iterator<Item = (OpId, &Op)> {
        (0..).map(OpId).zip(&self.ops)
    }

    /// The form of LLVM's name.
    pub fn named(&self, name: &str) -> Option<OpId> {
        self.ops().find(|(_, op)| op.name == name).map(|(id, _)| id)
    }

    /// Forms of a name in text.
    pub(super) fn of_mnemonic(&self, mnemonic: &str) -> &[OpId] {
        self.by_mnemonic.get(mnemonic).map_or(&[], Vec::as_slice)
    }

    /// Names in text.
    pub(super) fn mnemonics(&self) -> impl Iterator<Item = &str> {
        self.by_mnemonic.keys().map(String::as_str)
    }

    /// Forms that issue in a slot, those with most decisive bits first.
    pub(super) fn of_slot(&self, slot: Slot) -> &[OpId] {
        &self.by_slot[&slot]
    }

    /// The instruction of a slot that does nothing.
    pub(super) fn nop(&self, slot: Slot) -> Option<OpId> {
        let name = match slot {
            Slot::Ldb => "nopb",
            Slot::Lda => "nopa",
            Slot::St => "nops",
            Slot::Alu => "nopx",
            Slot::Mv => "nopm",
            Slot::Lng => "nopxm",
            Slot::Vec => "nopv",
            Slot::Nop => "nop",
        };
        self.of_mnemonic(name).iter().copied().find(|&id| self.op(id).slot == slot)
    }

    /// The smallest format that has all of these slots, and no more than it must.
    pub fn format(&self, slots: &[Slot]) -> Option<&Format> {
        let holds = |format: &&Format| slots.iter().all(|slot| format.slots.iter().any(|s| s.0 == *slot));
        self.formats.iter().filter(holds).min_by_key(|format| (format.bytes, format.slots.len()))
    }

    fn read(data: &str) -> Isa {
        let mut isa = Isa {
            widths: BTreeMap::new(),
            formats: Vec::new(),
            classes: Vec::new(),
            cycles: BTreeMap::new(),
            ops: Vec::new(),
            by_mnemonic: BTreeMap::new(),
            by_slot: BTreeMap::new(),
        };
        for line in data.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let columns: Vec<&str> = line.split('\t').collect();
            match columns[..] {
                ["slot", name, bits] => drop(isa.widths.insert(Slot::named(name), number(bits))),
                ["format", bytes, mask, value, slots] => isa.formats.push(Format {
                    bytes: number(bytes),
                    mask: hex(mask),
                    value: hex(value),
                    slots: slots.split(' ').map(slot_at).collect(),
                }),
                ["class", name, registers] => isa.classes.push(RegisterClass {
                    name: name.to_owned(),
                    registers: registers.split(' ').flat_map(repeated).collect(),
                }),
                ["cycles", name, operands, bypass] => {
                    let operands = operands.split(' ').filter(|o| !o.is_empty()).map(number).collect();
                    let bypass = if bypass == "-" { String::new() } else { bypass.to_owned() };
                    isa.cycles.insert(name.to_owned(), Cycles { operands, bypass });
                }
                ["op", ..] if columns.len() == 11 => {
                    let op = isa.op_of(&columns);
                    isa.ops.push(op);
                }
                _ => unreachable!("a test reads every line: {line}"),
            }
        }
        let mut mnemonics: BTreeMap<String, Vec<OpId>> = BTreeMap::new();
        let mut slots: BTreeMap<Slot, Vec<OpId>> = BTreeMap::new();
        for (id, op) in isa.ops() {
            mnemonics.entry(op.mnemonic().to_owned()).or_default().push(id);
            slots.entry(op.slot).or_default().push(id);
        }
        for ids in slots.values_mut() {
            ids.sort_by_key(|&id| (std::cmp::Reverse(isa.op(id).mask.count_ones()), id));
        }
        Isa { by_mnemonic: mnemonics, by_slot: slots, ..isa }
    }

    fn op_of(&self, columns: &[&str]) -> Op {
        let (operands, results) = columns[8].split_once(':').expect("operands and results");
        let (mut fields, mut fixed) = (Vec::new(), BTreeMap::new());
        for field in columns[10].split(' ').filter(|field| *field != "-") {
            if let Some((name, register)) = field.split_once('=') {
                fixed.insert(name, register);
                continue;
            }
            let parts: Vec<&str> = field.split(':').collect();
            let [name, bits, kind] = parts[..] else { unreachable!("a test reads every field: {field}") };
            fields.push(Field {
                name: name.to_owned(),
                parts: bits.split('+').map(part).collect(),
                kind: self.kind(kind),
            });
        }
        Op {
            name: columns[1].to_owned(),
            slot: Slot::named(columns[2]),
            mask: hex(columns[3]) as u64,
            value: hex(columns[4]) as u64,
            in_vector: columns[5].contains('v'),
            in_program: columns[5].contains('b'),
            loads: columns[6] == "l",
            stores: columns[6] == "s",
            itinerary: columns[7].to_owned(),
            operands: operands.split(',').filter(|o| *o != "-").map(str::to_owned).collect(),
            results: number(results),
            pieces: pieces(columns[9], &fields, &fixed),
            fields,
            text: columns[9].to_owned(),
        }
    }

    fn kind(&self, text: &str) -> Kind {
        let Some(form) = text.strip_prefix('#') else {
            let class = self.classes.iter().position(|c| c.name == text);
            return Kind::Register(class.expect("classes stand before instructions"));
        };
        let (negative, form) = (form.ends_with('-'), form.trim_end_matches('-'));
        let (bits, step) = form[1..].split_once('x').expect("bits and step");
        Kind::Number(Immediate {
            bits: number(bits),
            signed: form.starts_with('s'),
            step: number(step),
            negative,
        })
    }
}

fn number<T: std::str::FromStr<Err: fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a test reads every number")
}

fn hex(text: &str) -> u128 {
    u128::from_str_radix(text, 16).expect("a test reads every number")
}

fn slot_at(text: &str) -> (Slot, u32) {
    let (slot, at) = text.split_once('@').expect("a slot and its lowest bit");
    (Slot::named(slot), number(at))
}

/// `x*n`: n times x.
fn repeated(text: &str) -> Vec<Option<String>> {
    let (name, times) = text.split_once('*').unwrap_or((text, "1"));
    vec![(name != "-").then(|| name.to_owned()); number(times)]
}

fn part(text: &str) -> (u32, u32, u32) {
    let numbers: Vec<u32> = text.split('.').map(number).collect();
    (numbers[0], numbers[1], numbers[2])
}

/// The text of a form in literals and operands.
fn pieces(text: &str, fields: &[Field], fixed: &BTreeMap<&str, &str>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        if at > 0 {
            pieces.push(Piece::Literal(rest[..at].to_owned()));
        }
        let name = &rest[at + 1..];
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
        let (name, after) = name.split_at(end);
        // `$dst` that is tied to `$acc1` is printed as that.
        let same = fixed.get(name).and_then(|to| to.strip_prefix('$')).unwrap_or(name);
        pieces.push(match fields.iter().position(|f| f.name == same) {
            Some(field) => Piece::Field(field),
            None => Piece::Fixed(fixed[name].to_owned()),
        });
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest.to_owned()));
    }
    pieces
}
