//! The rules of the kernel IR, as broken.

use crate::kernel::ir::{BlockId, Loc, OpId, ParamId, ValueId};
use crate::kernel::types::{Elem, Type};
use std::fmt;

/// A rule of the kernel IR, as broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The kernel has no block 0.
    #[error("the kernel has no body")]
    NoBody,
    /// The body takes arguments, which nothing could pass.
    #[error("the kernel's body takes {count} block arguments, expected none")]
    BodyArguments {
        /// Arguments of block 0.
        count: usize,
    },
    /// A block lists an operation that does not exist.
    #[error("{block} lists {op}, but the kernel has {count} operations")]
    OpOutOfRange {
        /// The list.
        block: BlockId,
        /// The id that does not exist.
        op: OpId,
        /// Operations of the kernel.
        count: usize,
    },
    /// A value id beyond the kernel's values.
    #[error("{value} does not exist: the kernel has {count} values")]
    ValueOutOfRange {
        /// The id.
        value: ValueId,
        /// Values of the kernel.
        count: usize,
    },
    /// A block id beyond the kernel's blocks.
    #[error("{block} does not exist: the kernel has {count} blocks")]
    BlockOutOfRange {
        /// The id.
        block: BlockId,
        /// Blocks of the kernel.
        count: usize,
    },
    /// A parameter id beyond the kernel's parameters.
    #[error("{param} does not exist: the kernel has {count} parameters")]
    ParamOutOfRange {
        /// The id.
        param: ParamId,
        /// Parameters of the kernel.
        count: usize,
    },
    /// An operation stands in two places.
    #[error("{op} stands in {first} and again in {second}")]
    OpTwice {
        /// The operation.
        op: OpId,
        /// Where it stood first.
        first: BlockId,
        /// Where it stands again.
        second: BlockId,
    },
    /// An operation that no block lists.
    #[error("{op} stands in no block, so it would never run")]
    OpUnplaced {
        /// The operation.
        op: OpId,
    },
    /// A block is the body of two loops, or of one inside itself, or the kernel's body.
    #[error("{block} is the body of more than one thing")]
    BlockShared {
        /// The block.
        block: BlockId,
    },
    /// A block that is nobody's body.
    #[error("{block} is the body of no loop, so it would never run")]
    BlockUnplaced {
        /// The block.
        block: BlockId,
    },
    /// Loops nest deeper than the IR allows.
    #[error("loops nest {depth} deep, at most {limit} are allowed")]
    TooDeep {
        /// Depth found.
        depth: usize,
        /// Depth allowed.
        limit: usize,
    },
    /// An operation with a body that is not a loop, or a loop without one.
    #[error("`{mnemonic}` {}", if *.has_body { "cannot have a body" } else { "needs a body" })]
    Body {
        /// The operation's name.
        mnemonic: &'static str,
        /// Whether it has one.
        has_body: bool,
    },
    /// A loop body that does not end in `yield`.
    #[error("the loop's body does not end in `yield`")]
    NoYield,
    /// A `yield` that is not the last operation of a loop body.
    #[error("`yield` stands {}", if *.in_loop { "before the end of the loop's body" } else { "outside any loop" })]
    MisplacedYield {
        /// Whether it is in a loop at all.
        in_loop: bool,
    },
    /// A loop has no bounds.
    #[error("a loop needs its bounds as first two operands, it has {operands}")]
    LoopBounds {
        /// Operands of the loop.
        operands: usize,
    },
    /// A loop's immediate is not its step.
    #[error("a loop needs its step as immediate")]
    LoopImm,
    /// A loop that would not advance.
    #[error("the loop's step is 0")]
    LoopStep,
    /// The loop runs fewer times than the author promised to the compiler.
    #[error("the loop runs {trips} times, but promises the compiler at least {min_trips}")]
    MinTrips {
        /// Actual trip count.
        trips: u64,
        /// Promise.
        min_trips: u32,
    },
    /// Numbers of initial, inner, next and final carried values differ.
    #[error(
        "the loop starts with {inits} carried values, its body takes {args} and yields {yields}, and it returns {results}"
    )]
    CarriedCount {
        /// Operands after the bounds.
        inits: usize,
        /// Body arguments after the index.
        args: usize,
        /// Operands of the `yield`.
        yields: usize,
        /// Results of the loop.
        results: usize,
    },
    /// Types of one carried value differ.
    #[error(
        "carried value {position} starts as {init}, is {arg} in the body, is yielded as {yielded} and returned as {result}"
    )]
    CarriedType {
        /// Which, from 0.
        position: usize,
        /// Type of the initial value.
        init: Type,
        /// Type of the body's argument.
        arg: Type,
        /// Type yielded.
        yielded: Type,
        /// Type of the loop's result.
        result: Type,
    },
    /// A loop bound or index that is not a scalar.
    #[error("the loop's {role} {value} is {found}, expected i32")]
    LoopScalar {
        /// `lower bound`, `upper bound` or `index`.
        role: &'static str,
        /// The value.
        value: ValueId,
        /// Its type.
        found: Type,
    },
    /// A value defined in two places.
    #[error("{value} is defined twice")]
    DefinedTwice {
        /// The value.
        value: ValueId,
    },
    /// A value that nothing defines.
    #[error("{value} is used, but nothing defines it")]
    Undefined {
        /// The value.
        value: ValueId,
    },
    /// A value used above its definition.
    #[error("{value} is used before its definition at {defined}")]
    UsedBeforeDefinition {
        /// The value.
        value: ValueId,
        /// Where the author defined it.
        defined: Loc,
    },
    /// A value of a loop's body used after the loop.
    #[error("{value} is used outside the loop at {of_loop}, in which {defined} defines it")]
    EscapesLoop {
        /// The value.
        value: ValueId,
        /// Where the author defined it.
        defined: Loc,
        /// The loop whose body defines it.
        of_loop: Loc,
    },
    /// An operation on types that AIE2 does not have it for.
    #[error("AIE2 has no `{found}`")]
    NoForm {
        /// The operation with its types.
        found: String,
        /// Forms of the op table that come near.
        nearest: Vec<String>,
    },
    /// An immediate that the operation does not take.
    #[error("`{mnemonic}` takes {expected}, found {}", .found.map_or("something else".to_string(), |v| v.to_string()))]
    Immediate {
        /// The operation's name.
        mnemonic: &'static str,
        /// What it takes.
        expected: &'static str,
        /// The integer found, if it is one.
        found: Option<i64>,
    },
    /// A load or store without address, or an address on another operation.
    #[error("`{mnemonic}` {}", if *.has_address { "touches no memory, so it takes no address" } else { "needs an address" })]
    Address {
        /// The operation's name.
        mnemonic: &'static str,
        /// Whether it has one.
        has_address: bool,
    },
    /// A name that cannot stand in C++ or in IR text.
    #[error("`{name}` {fault}")]
    Name {
        /// The name.
        name: String,
        /// Why not.
        fault: NameFault,
    },
    /// A parameter has a value and should not, or the other way round.
    #[error("parameter `{param}` ({kind}) {}", .found.map_or("has no value, a run-time integer needs one".to_string(), |t| format!("has a value of type {t}; only a run-time integer has one, an i32")))]
    ParamValue {
        /// The parameter.
        param: String,
        /// Its kind.
        kind: &'static str,
        /// Type of its value.
        found: Option<Type>,
    },
    /// A run-time integer of another type.
    #[error("run-time integer `{param}` has elements {found}, expected i32")]
    ParamElem {
        /// The parameter.
        param: String,
        /// Its element type.
        found: Elem,
    },
    /// An alignment that is none.
    #[error("`{param}` is aligned to {align_bytes} bytes, which is no power of two")]
    AlignNotPowerOfTwo {
        /// The parameter.
        param: String,
        /// Its alignment.
        align_bytes: u32,
    },
    /// An alignment below the element's size.
    #[error("`{param}` is aligned to {align_bytes} bytes, one {elem} needs {}", .elem.bytes())]
    AlignBelowElement {
        /// The parameter.
        param: String,
        /// Its alignment.
        align_bytes: u32,
        /// Its element type.
        elem: Elem,
    },
    /// A dimension is 0.
    #[error("`{param}` has no elements: a dimension is 0")]
    EmptyParam {
        /// The parameter.
        param: String,
    },
    /// More bytes than an address reaches.
    #[error("`{param}` is larger than 4 GiB")]
    ParamTooLarge {
        /// The parameter.
        param: String,
    },
    /// A table whose bytes do not fill its layout.
    #[error("table `{param}` has {found} bytes of data, its layout needs {expected}")]
    TableSize {
        /// The parameter.
        param: String,
        /// Bytes of the layout.
        expected: u64,
        /// Bytes given.
        found: u64,
    },
    /// An output that the kernel never writes.
    #[error("nothing stores to `{param}`, which is an `out` parameter")]
    NeverStored {
        /// The parameter.
        param: String,
    },
    /// A read of memory whose bytes mean nothing yet.
    #[error(
        "reads bytes {first_byte}..{end} of `{param}`, which is `{kind}`, before anything can have stored to them"
    )]
    ReadBeforeStore {
        /// The parameter.
        param: String,
        /// Its role.
        kind: &'static str,
        /// Least byte that the access can touch.
        first_byte: i128,
        /// One past the greatest.
        end: i128,
    },
    /// An access to a run-time integer.
    #[error("`{param}` is a run-time integer and travels in a register, so it has no address")]
    NotMemory {
        /// The parameter.
        param: String,
    },
    /// A store to something that the kernel may only read.
    #[error("a store to `{param}`, which is `{kind}` and read only")]
    ReadOnly {
        /// The parameter.
        param: String,
        /// Its kind.
        kind: &'static str,
    },
    /// A term of an address that is no scalar.
    #[error("{value} in the address is {found}, expected i32")]
    AddressType {
        /// The value.
        value: ValueId,
        /// Its type.
        found: Type,
    },
    /// A value stands twice in an address, or with coefficient 0.
    #[error(
        "{value}*{coefficient} in the address: each value stands there once, with a coefficient other than 0"
    )]
    AddressTerm {
        /// The value.
        value: ValueId,
        /// Its coefficient in bytes.
        coefficient: i64,
    },
    /// An access by another element type than the parameter's.
    #[error("`{param}` has elements {expected}, the access has {found}")]
    Element {
        /// The parameter.
        param: String,
        /// Its element type.
        expected: Elem,
        /// The access's.
        found: Elem,
    },
    /// A scalar access to floats: AIE2 has no scalar float registers.
    #[error("a scalar access to `{param}`, whose elements are {elem}: AIE2 has no scalar floats")]
    ScalarFloat {
        /// The parameter.
        param: String,
        /// Its element type.
        elem: Elem,
    },
    /// An address whose alignment does not follow from the kernel.
    #[error("the access needs an address in `{param}` that is a multiple of {needed_bytes} bytes, provable is {provable_bytes}{}", match .cause { Some(cause) => format!(": {cause}"), None => format!(": the parameter is aligned to {param_align_bytes}") })]
    Alignment {
        /// The parameter.
        param: String,
        /// Its alignment.
        param_align_bytes: u32,
        /// Alignment that the operation needs.
        needed_bytes: u32,
        /// Largest power of two that surely divides the address.
        provable_bytes: u32,
        /// The part of the address that spoils it, if not the parameter.
        cause: Option<String>,
        /// The operation that needs no more than the element's alignment.
        unaligned: Option<&'static str>,
    },
    /// An access that leaves its parameter.
    #[error(
        "the access of {access_bytes} bytes at byte {first_byte} leaves `{param}`, which has {size_bytes} bytes"
    )]
    OutOfBounds {
        /// The parameter.
        param: String,
        /// Its size.
        size_bytes: u64,
        /// Where the worst access starts.
        first_byte: i128,
        /// Bytes accessed.
        access_bytes: u32,
    },
    /// A lookup into memory that is neither a table nor core-local.
    #[error("a lookup reads tables, `{param}` is `{kind}`")]
    LookupKind {
        /// The parameter.
        param: String,
        /// Its kind.
        kind: &'static str,
    },
    /// A lookup from the middle of a table.
    #[error("a lookup starts at the table's first byte, the address of `{param}` has an offset")]
    LookupOffset {
        /// The first table.
        param: String,
    },
    /// A lookup that drops the whole index.
    #[error("a lookup that drops the low {step_log2} bits of an {index} index keeps none")]
    LookupStep {
        /// Bits dropped.
        step_log2: u8,
        /// Type of the index.
        index: Elem,
    },
    /// A bias that aie_api does not offer.
    #[error("a lookup's bias is {}, found {bias}", if *.is_unsigned { "0 with unsigned indices" } else { "0 or a power of two" })]
    LookupBias {
        /// Entry of index 0.
        bias: u32,
        /// Whether the indices are unsigned.
        is_unsigned: bool,
    },
    /// The tables of a lookup are not two copies.
    #[error("a lookup reads two identical tables at once, `{first}` and `{second}` are not")]
    LookupCopies {
        /// The table of the address.
        first: String,
        /// The other.
        second: String,
    },
    /// Both tables of a lookup lie in one bank, which serves one access a cycle.
    #[error(
        "the lookup's tables `{first}` and `{second}` are both in bank {bank}, the hardware reads them at once"
    )]
    LookupBank {
        /// The table of the address.
        first: String,
        /// The other.
        second: String,
        /// The bank.
        bank: u8,
    },
    /// A table that is not laid out for parallel lookups.
    #[error("the {bytes} bytes of table `{param}` are not whole 32-byte lines of 16 bytes written twice")]
    LookupLayout {
        /// The parameter.
        param: String,
        /// Its size.
        bytes: u64,
    },
    /// A table whose lines could straddle banks.
    #[error("lookup table `{param}` is aligned to {align_bytes} bytes, its lines need {needed_bytes}")]
    LookupAlign {
        /// The parameter.
        param: String,
        /// Alignment of a line.
        needed_bytes: u32,
        /// Its alignment.
        align_bytes: u32,
    },
}

/// Why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameFault {
    /// It is no C identifier.
    NotAnIdentifier,
    /// C++ has it as a keyword.
    Keyword,
    /// C++, the emitted code or IR text uses it.
    Reserved,
    /// The kernel or another parameter has it.
    Taken,
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NameFault::NotAnIdentifier => {
                "is no C identifier: letters, digits and underscores, not a digit first"
            }
            NameFault::Keyword => "is a keyword of C++",
            NameFault::Reserved => "is reserved in C++, in emitted code or for values",
            NameFault::Taken => "names two things",
        })
    }
}

impl Problem {
    /// How to mend it, where that is known.
    pub fn help(&self) -> Option<String> {
        match self {
            Problem::EscapesLoop { .. } => Some(
                "a staged loop's body is recorded once, so a Rust variable that it rebinds does not carry a value \
                 from trip to trip or out of the loop; pass the value through `fold`, which returns the final one"
                    .to_string(),
            ),
            Problem::NoYield => Some("end the body with `yield` of the next carried values, or none".to_string()),
            Problem::NoForm { nearest, .. } if !nearest.is_empty() => {
                Some(format!("it has {}", nearest.iter().map(|f| format!("`{f}`")).collect::<Vec<_>>().join(", ")))
            }
            Problem::ScalarFloat { .. } => Some("load a vector, or declare the parameter with integers".to_string()),
            Problem::Alignment { needed_bytes, param_align_bytes, unaligned, .. } => {
                let mend = if param_align_bytes < needed_bytes {
                    format!("align the parameter to {needed_bytes} bytes")
                } else {
                    format!("pad the shape so that offsets are multiples of {needed_bytes} bytes")
                };
                Some(match unaligned {
                    Some(op) => format!("{mend}, or use the unaligned `{op}` at its cost"),
                    None => mend,
                })
            }
            Problem::LookupCopies { .. } | Problem::LookupBank { .. } | Problem::LookupLayout { .. } => {
                Some("declare both with `lookup_tables`, which packs two copies for two banks".to_string())
            }
            Problem::LookupKind { .. } => Some(
                "copy it to two scratch parameters in two banks, or declare constants with `lookup_tables`".to_string(),
            ),
            Problem::LookupBias { is_unsigned, .. } => Some(
                if *is_unsigned { "cast the indices to i8 or shift the table" } else { "pad the table in front" }.to_string(),
            ),
            Problem::ReadBeforeStore { kind, .. } => Some(match *kind {
                "out" => "store first, or declare it `inout` or `state`".to_string(),
                _ => "store first, or declare it `state`, whose bytes stay from call to call".to_string(),
            }),
            Problem::NeverStored { .. } => Some("remove it, or declare it `inout` or `scratch`".to_string()),
            _ => None,
        }
    }
}
