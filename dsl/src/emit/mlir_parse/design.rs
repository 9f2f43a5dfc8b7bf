//! A design as its MLIR says it, in comparable form.

use crate::array::{Dim, Tile};
use indexmap::{IndexMap, IndexSet};
use std::hash::{Hash, Hasher};

/// The line of the text that something stands on, from 1. All compare equal: it does not matter to what is said.
#[derive(Clone, Copy, Debug, Default, Eq)]
pub struct MlirLine(pub u32);

impl PartialEq for MlirLine {
    fn eq(&self, _: &MlirLine) -> bool {
        true
    }
}

impl Hash for MlirLine {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// A device with its design, in comparable form: maps keep the order of the text and compare without it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MlirDesign {
    /// `npu1`, `npu1_1col`, ...
    pub device: String,
    /// External functions by name.
    pub functions: IndexMap<String, MlirFunction>,
    /// Declared tiles, in order of column and row.
    pub tiles: Vec<Tile>,
    /// Core-local buffers by name.
    pub buffers: IndexMap<String, MlirBuffer>,
    /// Object FIFOs by name.
    pub fifos: IndexMap<String, MlirFifo>,
    /// Links.
    pub links: IndexSet<MlirLink>,
    /// Cascade connections, in order.
    pub cascades: Vec<MlirCascade>,
    /// Core programs by tile.
    pub cores: IndexMap<Tile, MlirCore>,
    /// The runtime sequence.
    pub sequence: MlirSequence,
}

/// An `aie.cascade_flow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MlirCascade {
    /// Writes the cascade.
    pub from: Tile,
    /// Reads it.
    pub to: Tile,
    /// Where.
    pub line: MlirLine,
}

/// An external function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MlirFunction {
    /// Types of its parameters.
    pub types: Vec<String>,
    /// Whether it names an object file.
    pub linked: bool,
    /// Where.
    pub line: MlirLine,
}

/// An `aie.buffer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MlirBuffer {
    /// Where.
    pub tile: Tile,
    /// Its type.
    pub ty: String,
    /// Its bank.
    pub bank: Option<i64>,
    /// Its address.
    pub address: Option<i64>,
    /// The text between the brackets of `dense<..>`.
    pub init: Option<String>,
    /// Where.
    pub line: MlirLine,
}

/// An `aie.objectfifo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MlirFifo {
    /// Fills objects.
    pub producer: Tile,
    /// Drain them.
    pub consumers: Vec<Tile>,
    /// Objects at each end.
    pub depths: MlirDepths,
    /// Type of an object.
    pub object: String,
    /// Order in which the producer's DMA reads.
    pub to_stream: Vec<Dim>,
    /// Order in which each consumer's DMA writes.
    pub from_stream: Vec<Vec<Dim>>,
    /// `repeat_count`.
    pub repeat: Option<i64>,
    /// `via_DMA`.
    pub via_dma: bool,
    /// The tile of its `aie.objectfifo.allocate`.
    pub memory: Option<Tile>,
    /// The text between the brackets of each `dense<..>`.
    pub init: Vec<String>,
    /// Where.
    pub line: MlirLine,
}

/// The depths of a FIFO. One number and a list of equal ones compare equal.
#[derive(Clone, Debug, Eq)]
pub struct MlirDepths {
    /// As written, producer first.
    pub per_end: Vec<i64>,
    /// Written as one number, from which the toolchain derives the depth of each end.
    pub one_number: bool,
}

impl PartialEq for MlirDepths {
    fn eq(&self, other: &MlirDepths) -> bool {
        self.per_end == other.per_end
    }
}

/// An `aie.objectfifo.link`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MlirLink {
    /// FIFOs that end there.
    pub sources: Vec<String>,
    /// FIFOs that start there.
    pub targets: Vec<String>,
    /// Offsets of joined parts.
    pub source_offsets: Vec<i64>,
    /// Offsets of split parts.
    pub target_offsets: Vec<i64>,
    /// Where.
    pub line: MlirLine,
}

/// An `aie.core`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MlirCore {
    /// `stack_size`.
    pub stack_bytes: Option<i64>,
    /// Its program.
    pub body: Vec<MlirStmt>,
    /// Where.
    pub line: MlirLine,
}

/// A value, resolved to what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MlirValue {
    /// A constant.
    Constant(i64),
    /// Object `element` of the program's acquire number `acquire`.
    Object {
        /// Number of the acquire, in program order.
        acquire: usize,
        /// Position among its objects.
        element: i64,
    },
    /// A core-local buffer.
    Buffer(String),
    /// A part of another value.
    View {
        /// Of which.
        of: Box<MlirValue>,
        /// First byte.
        byte_offset: i64,
        /// Its type.
        ty: String,
    },
    /// An element loaded from a value.
    Load {
        /// From which.
        of: Box<MlirValue>,
        /// Position.
        index: i64,
    },
    /// The index of a loop, or what the core computes itself: the operation's text.
    Computed(String),
}

/// How often a loop runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MlirTrips {
    /// For ever: a bound of 2^32 - 1 or more.
    Endless,
    /// A constant.
    Constant(i64),
    /// A value read at run time.
    Value(MlirValue),
}

/// One statement of a core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MlirStmt {
    /// `scf.for`.
    For {
        /// Trip count.
        trips: MlirTrips,
        /// Where.
        line: MlirLine,
        /// Body.
        body: Vec<MlirStmt>,
    },
    /// `aie.objectfifo.acquire`.
    Acquire {
        /// FIFO.
        fifo: String,
        /// `Produce` or `Consume`.
        port: String,
        /// How many objects.
        count: i64,
        /// Where.
        line: MlirLine,
    },
    /// `aie.objectfifo.release`.
    Release {
        /// FIFO.
        fifo: String,
        /// `Produce` or `Consume`.
        port: String,
        /// How many objects.
        count: i64,
        /// Where.
        line: MlirLine,
    },
    /// `func.call`.
    Call {
        /// Function.
        function: String,
        /// Arguments.
        args: Vec<MlirValue>,
        /// Where.
        line: MlirLine,
    },
    /// An operation on memory that the core does itself: its text.
    Inline {
        /// The operation.
        text: String,
        /// Where.
        line: MlirLine,
    },
    /// `scf.if`.
    If {
        /// The condition.
        on: MlirValue,
        /// Where.
        line: MlirLine,
        /// If it holds.
        then: Vec<MlirStmt>,
        /// Otherwise.
        otherwise: Vec<MlirStmt>,
    },
    /// `scf.index_switch`.
    Switch {
        /// On what.
        on: MlirValue,
        /// Where.
        line: MlirLine,
        /// Value and body of each case.
        cases: Vec<(i64, Vec<MlirStmt>)>,
        /// Otherwise.
        default: Vec<MlirStmt>,
    },
}

/// An `aie.runtime_sequence`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MlirSequence {
    /// The host buffers.
    pub buffers: Vec<MlirHostBuffer>,
    /// Commands, in order.
    pub steps: Vec<MlirStep>,
}

/// A host buffer; its name does not compare.
#[derive(Clone, Debug, Eq)]
pub struct MlirHostBuffer {
    /// Name of the sequence's argument.
    pub name: String,
    /// Its type.
    pub ty: String,
}

impl PartialEq for MlirHostBuffer {
    fn eq(&self, other: &MlirHostBuffer) -> bool {
        self.ty == other.ty
    }
}

/// One command of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MlirStep {
    /// `aiex.npu.dma_memcpy_nd`.
    Copy(MlirCopy),
    /// `aiex.npu.dma_wait`, or `aiex.dma_await_task`.
    Wait {
        /// FIFO.
        fifo: String,
        /// Where.
        line: MlirLine,
    },
}

/// An `aiex.npu.dma_memcpy_nd`, or the task of an `aiex.dma_configure_task_for`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MlirCopy {
    /// Position of the host buffer.
    pub buffer: usize,
    /// FIFO.
    pub fifo: String,
    /// Offsets, sizes and strides, outermost first.
    pub access: [Vec<i64>; 3],
    /// BD; tasks have none before the toolchain gives them one.
    pub id: Option<i64>,
    /// Whether it issues a token.
    pub token: bool,
    /// Where.
    pub line: MlirLine,
}
