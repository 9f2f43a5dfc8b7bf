//! The kernel IR: a tree of blocks of operations over SSA values, stored in dense arenas.
//!
//! Ids are `u32` newtypes that print as they stand in the IR text: `v3`, `op7`, `bb1`.

use super::ops::Opcode;
use super::types::{Elem, Type};
use crate::entity::entity;
use crate::num::{Rounding, Saturation};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::fmt;

entity!(
    /// An SSA value of a kernel.
    ValueId, "v");
entity!(
    /// An operation of a kernel.
    OpId, "op");
entity!(
    /// A straight sequence of operations: the kernel's body or a loop's.
    BlockId, "bb");
entity!(
    /// A parameter of a kernel, by position.
    ParamId, "p");

/// Where the author wrote something: file and line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Loc {
    /// Source file as the compiler names it.
    pub file: Cow<'static, str>,
    /// Line, from 1; 0 when unknown.
    pub line: u32,
}

impl Loc {
    /// A place nobody wrote: parsed or generated IR.
    pub const UNKNOWN: Loc = Loc { file: Cow::Borrowed("<unknown>"), line: 0 };

    /// The caller of a `#[track_caller]` function.
    #[track_caller]
    pub fn caller() -> Loc {
        let at = std::panic::Location::caller();
        Loc { file: Cow::Borrowed(at.file()), line: at.line() }
    }
}

impl fmt::Display for Loc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// How a parameter's elements are laid out, row-major unless tiled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Dense, last dimension contiguous.
    RowMajor(Vec<u32>),
    /// A `grid` of tiles, row-major over tiles, each tile `tile[0] x tile[1]` row-major and contiguous.
    Tiled {
        /// Rows and columns of one tile, in elements.
        tile: [u32; 2],
        /// Rows and columns of the grid, in tiles.
        grid: [u32; 2],
    },
}

impl Layout {
    /// Number of elements.
    pub fn elements(&self) -> u64 {
        match self {
            Layout::RowMajor(shape) => shape.iter().map(|&d| u64::from(d)).product(),
            Layout::Tiled { tile, grid } => tile.iter().chain(grid).map(|&d| u64::from(d)).product(),
        }
    }
}

/// What a parameter is to its caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ParamKind {
    /// Read only: an acquired object or a core-local buffer.
    In,
    /// Written before it is read.
    Out,
    /// Read and written.
    InOut,
    /// Core-local, keeps its bytes from call to call.
    State,
    /// Core-local, its bytes mean nothing between calls.
    Scratch,
    /// Core-local constants: the bytes, as the core reads them.
    Table(Vec<u8>),
    /// A run-time 32-bit integer.
    I32,
}

impl ParamKind {
    /// Keyword in the IR text.
    pub const fn keyword(&self) -> &'static str {
        match self {
            ParamKind::In => "in",
            ParamKind::Out => "out",
            ParamKind::InOut => "inout",
            ParamKind::State => "state",
            ParamKind::Scratch => "scratch",
            ParamKind::Table(_) => "table",
            ParamKind::I32 => "i32",
        }
    }

    /// Whether a kernel may store to it.
    pub const fn is_written(&self) -> bool {
        matches!(self, ParamKind::Out | ParamKind::InOut | ParamKind::State | ParamKind::Scratch)
    }

    /// Whether it is memory (not a run-time integer).
    pub const fn is_memory(&self) -> bool {
        !matches!(self, ParamKind::I32)
    }

    /// Whether it is an `aie.buffer` of the core rather than an object handed in by the call.
    pub const fn is_core_local(&self) -> bool {
        matches!(self, ParamKind::State | ParamKind::Scratch | ParamKind::Table(_))
    }
}

/// One parameter of a kernel, in the order of the C signature.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Param {
    /// Name in the IR, in C++ and in messages.
    pub name: String,
    /// Role.
    pub kind: ParamKind,
    /// Element type; `I32` for a run-time integer.
    pub elem: Elem,
    /// Shape and order of the elements.
    pub layout: Layout,
    /// Guaranteed alignment of its first byte.
    pub align_bytes: u32,
    /// Logical bank of L1 that the author asks for.
    pub bank: Option<u8>,
    /// The value of an `I32` parameter inside the kernel.
    pub value: Option<ValueId>,
    /// Where the author declared it.
    pub loc: Loc,
}

impl Param {
    /// Size in memory; 0 for a run-time integer, which travels in a register.
    pub fn bytes(&self) -> u64 {
        if self.kind.is_memory() { self.layout.elements() * u64::from(self.elem.bytes()) } else { 0 }
    }
}

/// `param + offset_bytes + sum(coefficient * value)`: the address of a load or store, affine in
/// scalar values, so that alignment can be proven and increments found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The memory addressed.
    pub param: ParamId,
    /// Scalar values with their coefficients in bytes; no value twice, no coefficient 0.
    pub terms: SmallVec<[(ValueId, i64); 4]>,
    /// Constant part.
    pub offset_bytes: i64,
}

/// What the author knows about a loop that the C++ compiler needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct LoopHint {
    /// Ask for software pipelining.
    pub pipeline: bool,
    /// Least trip count, 0 when unknown.
    pub min_trips: u32,
    /// Unroll completely.
    pub unroll: bool,
    /// Neither pipeline nor unroll: the loop with the least code.
    pub compact: bool,
}

/// The part of an operation that is neither an operand nor an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Imm {
    /// Nothing.
    None,
    /// A constant, shuffle mode, lane index, compare predicate code or mode code, as its op says.
    Int(i64),
    /// A parallel lookup: the address names the first table, `second` the identical one in another
    /// bank; the entry is `(index >> step_log2) + bias`, clamped to the table's ends.
    Lookup {
        /// The second copy of the table.
        second: ParamId,
        /// Low bits of the index that are dropped.
        step_log2: u8,
        /// Entry of index 0.
        bias: u32,
    },
    /// A loop's step and hints.
    Loop {
        /// Increment of the index, above 0.
        step: u32,
        /// For the compiler.
        hint: LoopHint,
    },
}

/// One operation.
///
/// A `for` has operands `lo, hi, init...`, a body whose arguments are `index, carried...` and
/// which ends in a `yield` of the next carried values, and the final carried values as results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpData {
    /// Which operation; the op table has its meaning.
    pub opcode: Opcode,
    /// Values read.
    pub operands: SmallVec<[ValueId; 4]>,
    /// Values defined.
    pub results: SmallVec<[ValueId; 1]>,
    /// Constant part.
    pub imm: Imm,
    /// Memory touched.
    pub address: Option<Address>,
    /// Body of a loop.
    pub body: Option<BlockId>,
    /// Where the author wrote it.
    pub loc: Loc,
}

/// A straight sequence of operations with arguments.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Block {
    /// Values defined on entry.
    pub args: Vec<ValueId>,
    /// Operations, in order.
    pub ops: Vec<OpId>,
}

/// A kernel: what one core computes on one call. Unverified: see `verify`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Symbol of the C++ function.
    pub name: String,
    /// One paragraph for people: shapes, layouts, units.
    pub doc: String,
    /// Rounding mode set at entry.
    pub rounding: Rounding,
    /// Saturation mode set at entry.
    pub saturation: Saturation,
    /// Parameters in the order of the C signature.
    pub params: Vec<Param>,
    /// Types of all values.
    pub values: Vec<Type>,
    /// All operations.
    pub ops: Vec<OpData>,
    /// All blocks; the body is block 0.
    pub blocks: Vec<Block>,
}

impl Kernel {
    /// The block that the kernel runs.
    pub const BODY: BlockId = BlockId(0);

    /// Type of a value.
    pub fn ty(&self, value: ValueId) -> Type {
        self.values[value.index()]
    }

    /// An operation by id.
    pub fn op(&self, op: OpId) -> &OpData {
        &self.ops[op.index()]
    }

    /// A block by id.
    pub fn block(&self, block: BlockId) -> &Block {
        &self.blocks[block.index()]
    }

    /// A parameter by id.
    pub fn param(&self, param: ParamId) -> &Param {
        &self.params[param.index()]
    }

    /// A parameter by name.
    pub fn param_named(&self, name: &str) -> Option<(ParamId, &Param)> {
        self.params.iter().enumerate().find(|(_, p)| p.name == name).map(|(i, p)| (ParamId(i as u32), p))
    }

    /// Whether an operation reads the cascade.
    pub fn reads_cascade(&self) -> bool {
        self.ops.iter().any(|op| op.opcode == Opcode::CascadeGet)
    }

    /// Whether an operation writes the cascade.
    pub fn writes_cascade(&self) -> bool {
        self.ops.iter().any(|op| op.opcode == Opcode::CascadePut)
    }
}
