//! The array IR: tiles, object FIFOs, links, core programs, core-local buffers and cascades.

use crate::entity::entity;
use crate::kernel::{Elem, Kernel, Loc};
use crate::sequence::Sequence;
use crate::verified::Verified;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// A tile by logical column and row: row 0 shim, row 1 mem tile, rows 2 to 5 cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    /// Logical column.
    pub col: u8,
    /// Row.
    pub row: u8,
}

impl Tile {
    /// The tile at a column and row.
    pub const fn new(col: u8, row: u8) -> Tile {
        Tile { col, row }
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({},{})", self.col, self.row)
    }
}

entity!(
    /// An object FIFO of a design.
    FifoId, "fifo");
entity!(
    /// A kernel of a design, by position in `Design::kernels`.
    KernelId, "kernel");
entity!(
    /// A core-local buffer of a design.
    LocalId, "buffer");
entity!(
    /// An acquired object, bound by one `Acquire` of a core program.
    ObjectId, "obj");
entity!(
    /// A core program of a design, by position in `Design::cores`.
    CoreId, "core");

/// A dense block of memory with a type: `memref<4x8xi8>` in MLIR.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MemType {
    /// Type of one element.
    pub elem: Elem,
    /// Dimensions, row-major.
    pub shape: Vec<u32>,
}

impl MemType {
    /// A one-dimensional block.
    pub fn flat(elem: Elem, len: u32) -> MemType {
        MemType { elem, shape: vec![len] }
    }
    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.shape.iter().map(|&d| u64::from(d)).product()
    }
    /// Size in bytes.
    pub fn bytes(&self) -> u64 {
        self.elements() * u64::from(self.elem.bytes())
    }
}

/// One dimension of an n-d access, sizes and strides in elements, outermost first in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dim {
    /// Number of steps.
    pub size: u32,
    /// Distance of two steps.
    pub stride: u32,
}

/// An object FIFO: a producer, its consumers, and the objects in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fifo {
    /// Symbol.
    pub name: String,
    /// Tile that fills objects.
    pub producer: Tile,
    /// Tiles that drain them; more than one is a broadcast.
    pub consumers: Vec<Tile>,
    /// Objects held at each end, producer first, then consumers in order.
    pub depths: Vec<u32>,
    /// One object.
    pub object: MemType,
    /// Order in which the producer's DMA reads an object; empty means linear.
    pub to_stream: Vec<Dim>,
    /// Order in which each consumer's DMA writes an object; empty means linear.
    pub from_stream: Vec<Vec<Dim>>,
    /// How often the producer's DMA sends each object before the producer gets it back; 1 is the usual.
    pub repeat: u32,
    /// Bytes of the producer's objects at start, in order: all of them or none. They count as filled.
    pub init: Vec<Vec<u8>>,
    /// Goes through DMAs where the ends could share memory.
    pub via_dma: bool,
    /// Whose memory holds the objects of two ends that share memory; without, the producer's where the consumer reaches
    /// it, else the consumer's.
    pub memory: Option<Tile>,
    /// Where the author declared it.
    pub loc: Loc,
}

/// A link through a mem tile (or core): objects of `sources` become objects of `targets`.
/// Several targets split, several sources join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// FIFOs that end at the link's tile.
    pub sources: Vec<FifoId>,
    /// FIFOs that start there.
    pub targets: Vec<FifoId>,
    /// Element offset of each source's part in the joined object; empty unless joining.
    pub source_offsets: Vec<u32>,
    /// Element offset of each target's part in the split object; empty unless splitting.
    pub target_offsets: Vec<u32>,
    /// Where the author declared it.
    pub loc: Loc,
}

/// An `aie.buffer`: memory of one core outside any FIFO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalBuffer {
    /// Symbol.
    pub name: String,
    /// Tile that holds it.
    pub tile: Tile,
    /// Its type.
    pub ty: MemType,
    /// Initial bytes; `None` leaves it undefined.
    pub init: Option<Vec<u8>>,
    /// Logical bank asked for.
    pub bank: Option<u8>,
    /// Address asked for, in the memory of the tile.
    pub address: Option<u32>,
    /// Where the author declared it.
    pub loc: Loc,
}

/// Which end of a FIFO a core works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Port {
    /// Fills objects.
    Produce,
    /// Drains objects.
    Consume,
}

/// An i32 word of a consumed object (elements of 4 bytes, or a flat object of bytes).
///
/// The core reads it once, when the acquire that binds the object has its locks, so the word stays
/// usable after the object is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WordRef {
    /// The object.
    pub object: ObjectId,
    /// Position in i32 words from the object's start.
    pub index: u32,
}

impl ObjectId {
    /// The i32 word at `index` (in words from the object's start).
    pub const fn word(self, index: u32) -> WordRef {
        WordRef { object: self, index }
    }
    /// The part that starts at `byte_offset`, seen as `ty`.
    pub const fn view(self, byte_offset: u64, ty: MemType) -> Arg {
        Arg::Object { object: self, view: Some(View { byte_offset, ty }) }
    }
}

impl LocalId {
    /// The part that starts at `byte_offset`, seen as `ty`.
    pub const fn view(self, byte_offset: u64, ty: MemType) -> Arg {
        Arg::Local { buffer: self, view: Some(View { byte_offset, ty }) }
    }
}

impl fmt::Display for MemType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memref<")?;
        for d in &self.shape {
            write!(f, "{d}x")?;
        }
        write!(f, "{}>", self.elem)
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Port::Produce => "Produce",
            Port::Consume => "Consume",
        })
    }
}

impl From<ObjectId> for Arg {
    fn from(object: ObjectId) -> Arg {
        Arg::Object { object, view: None }
    }
}
impl From<LocalId> for Arg {
    fn from(buffer: LocalId) -> Arg {
        Arg::Local { buffer, view: None }
    }
}
impl From<i32> for Arg {
    fn from(value: i32) -> Arg {
        Arg::Const(value)
    }
}
impl From<WordRef> for Arg {
    fn from(word: WordRef) -> Arg {
        Arg::Word(word)
    }
}

/// How often a core loop runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Count {
    /// For ever: MLIR bound 9223372036854775807.
    Forever,
    /// A constant.
    Const(u64),
    /// A word of a consumed object (negative runs zero times).
    Word(WordRef),
}

/// A part of an object or local buffer, reinterpreted: `memref.view`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// First byte.
    pub byte_offset: u64,
    /// Type of the part.
    pub ty: MemType,
}

/// One argument of a kernel call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arg {
    /// An acquired object, whole (`view: None`) or a part.
    Object {
        /// Which.
        object: ObjectId,
        /// Part of it.
        view: Option<View>,
    },
    /// A core-local buffer, whole or a part.
    Local {
        /// Which.
        buffer: LocalId,
        /// Part of it.
        view: Option<View>,
    },
    /// A constant i32.
    Const(i32),
    /// A word of a consumed object.
    Word(WordRef),
}

/// One statement of a core program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stmt {
    /// A counted or endless loop.
    Loop {
        /// Trip count.
        count: Count,
        /// What repeats.
        body: Vec<Stmt>,
    },
    /// Waits until `objects.len()` objects are there; binds the oldest first.
    Acquire {
        /// From which FIFO.
        fifo: FifoId,
        /// Which end.
        port: Port,
        /// Names given to the objects.
        objects: Vec<ObjectId>,
        /// Where the author wrote it.
        loc: Loc,
    },
    /// Gives back the oldest `count` held objects.
    Release {
        /// To which FIFO.
        fifo: FifoId,
        /// Which end.
        port: Port,
        /// How many.
        count: u32,
        /// Where the author wrote it.
        loc: Loc,
    },
    /// Runs a kernel.
    Call {
        /// Which.
        kernel: KernelId,
        /// One per parameter, in order.
        args: Vec<Arg>,
        /// Where the author wrote it.
        loc: Loc,
    },
    /// Branches on a word: `scf.index_switch`.
    Switch {
        /// The word.
        on: WordRef,
        /// Value and what to do, values distinct.
        cases: Vec<(i64, Vec<Stmt>)>,
        /// Otherwise.
        default: Vec<Stmt>,
        /// Where the author wrote it.
        loc: Loc,
    },
}

/// The program of one core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Core {
    /// Where it runs.
    pub tile: Tile,
    /// What it does.
    pub body: Vec<Stmt>,
    /// Number of `ObjectId`s bound in the body.
    pub objects: u32,
    /// Bytes of stack; `None` takes the device's default.
    pub stack_bytes: Option<u32>,
    /// Where the author wrote it.
    pub loc: Loc,
}

/// A cascade connection of two neighbouring cores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cascade {
    /// Writes the cascade.
    pub from: Tile,
    /// Reads it.
    pub to: Tile,
    /// Where the author wrote it.
    pub loc: Loc,
}

/// A whole design: the array program and the runtime sequence that drives it. Unverified.
#[derive(Clone, Debug, PartialEq)]
pub struct Design {
    /// Name in `kiln list --designs` and of output folders.
    pub name: String,
    /// One paragraph for people.
    pub doc: String,
    /// Columns used, from 0: `npu1_1col` .. `npu1`.
    pub columns: u8,
    /// Kernels called, each verified.
    pub kernels: Vec<Arc<Verified<Kernel>>>,
    /// Object FIFOs.
    pub fifos: Vec<Fifo>,
    /// Links.
    pub links: Vec<Link>,
    /// Core-local buffers.
    pub locals: Vec<LocalBuffer>,
    /// Cascade connections.
    pub cascades: Vec<Cascade>,
    /// Core programs, at most one per tile.
    pub cores: Vec<Core>,
    /// What the host tells the controller.
    pub sequence: Sequence,
}

impl Design {
    /// Whether both load the same program into the array: all but name, description and sequence are equal. Going from
    /// one to the other needs no reconfiguration.
    pub fn same_program(&self, other: &Design) -> bool {
        let Design { name: _, doc: _, columns, kernels, fifos, links, locals, cascades, cores, sequence: _ } =
            self;
        *columns == other.columns
            && *fifos == other.fifos
            && *links == other.links
            && *cascades == other.cascades
            && *cores == other.cores
            && *locals == other.locals
            && *kernels == other.kernels
    }

    /// A FIFO by id.
    pub fn fifo(&self, id: FifoId) -> &Fifo {
        &self.fifos[id.index()]
    }
    /// A kernel by id.
    pub fn kernel(&self, id: KernelId) -> &Verified<Kernel> {
        &self.kernels[id.index()]
    }
    /// Names of the kernels that a core calls, sorted.
    pub fn called_by(&self, core: &Core) -> BTreeSet<&str> {
        fn collect<'d>(design: &'d Design, body: &[Stmt], out: &mut BTreeSet<&'d str>) {
            for stmt in body {
                match stmt {
                    Stmt::Call { kernel, .. } => {
                        out.insert(&design.kernel(*kernel).name);
                    }
                    Stmt::Loop { body, .. } => collect(design, body, out),
                    Stmt::Switch { cases, default, .. } => {
                        cases.iter().for_each(|(_, body)| collect(design, body, out));
                        collect(design, default, out);
                    }
                    Stmt::Acquire { .. } | Stmt::Release { .. } => {}
                }
            }
        }
        let mut names = BTreeSet::new();
        collect(self, &core.body, &mut names);
        names
    }
    /// A local buffer by id.
    pub fn local(&self, id: LocalId) -> &LocalBuffer {
        &self.locals[id.index()]
    }
    /// A FIFO by name.
    pub fn fifo_named(&self, name: &str) -> Option<FifoId> {
        self.fifos.iter().position(|f| f.name == name).map(|i| FifoId(i as u32))
    }
}
