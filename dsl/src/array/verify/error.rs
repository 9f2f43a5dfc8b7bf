//! What verify can find wrong with a design.

use crate::array::ir::{Design, MemType, Port, Tile};
use crate::array::lowered::Direction;
use crate::array::route::Bundle;
use crate::array::verify::MOST_ERRORS;
use crate::device::TileKind;
use crate::kernel::Loc;
use std::fmt;
use thiserror::Error;

/// Everything wrong with one design.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct ArrayErrors {
    /// Name of the design.
    pub design: String,
    /// What is wrong, at least one.
    pub errors: Vec<ArrayError>,
}

impl ArrayErrors {
    /// `None` when there is nothing wrong.
    pub(crate) fn new(design: &Design, errors: Vec<ArrayError>) -> Option<ArrayErrors> {
        (!errors.is_empty()).then(|| ArrayErrors { design: design.name.clone(), errors })
    }
}

impl fmt::Display for ArrayErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.errors.len();
        let (least, s) = (if n >= MOST_ERRORS { "at least " } else { "" }, if n == 1 { "" } else { "s" });
        write!(f, "design {}: {least}{n} error{s}", self.design)?;
        for (at, error) in self.errors.iter().enumerate() {
            let Some((tile, excess)) = error.excess() else {
                write!(f, "\n- {error}")?;
                continue;
            };
            let alike = |e: &ArrayError| e.excess().filter(|(_, other)| *other == excess).map(|(t, _)| t);
            if self.errors[..at].iter().any(|e| alike(e).is_some()) {
                continue;
            }
            write!(f, "\n- {error}")?;
            let others: Vec<String> = self.errors[at + 1..]
                .iter()
                .filter_map(alike)
                .filter(|t| *t != tile)
                .map(|t| t.to_string())
                .collect();
            if !others.is_empty() {
                write!(f, "\n  so too: {}", others.join(" "))?;
            }
        }
        Ok(())
    }
}

impl ArrayError {
    /// Whether something is used up, which `fit` tells with what would help.
    pub fn is_budget(&self) -> bool {
        self.excess().is_some()
            || matches!(
                self,
                ArrayError::SwitchFull { .. }
                    | ArrayError::TooManyHostBuffers { .. }
                    | ArrayError::TileOutside { .. }
                    | ArrayError::Columns { .. }
            )
    }

    /// The tile that lacks something and how much it takes of what: designs repeat themselves over the
    /// array, and the same lack at several tiles is told once.
    fn excess(&self) -> Option<(Tile, (&'static str, u64, u64))> {
        let small = |what, used: &u32, limit: &u32| (what, u64::from(*used), u64::from(*limit));
        Some(match self {
            ArrayError::OutOfMemory { tile, used_bytes, limit_bytes, .. } => {
                (*tile, ("memory", *used_bytes, *limit_bytes))
            }
            ArrayError::TooManyLocks { tile, used, limit } => (*tile, small("locks", used, limit)),
            ArrayError::TooManyBds { tile, used, limit, .. } => (*tile, small("BDs", used, limit)),
            ArrayError::TooManyChannels { tile, direction, used, limit, .. } => {
                (*tile, small(direction_name(*direction), used, limit))
            }
            ArrayError::BankFull { tile, bank, bytes, .. } => (*tile, ("bank", u64::from(*bank), *bytes)),
            _ => return None,
        })
    }
}

/// One thing wrong with a design. Messages name the object, what was found and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
#[allow(missing_docs)] // fields are named in the messages
pub enum ArrayError {
    // Names and places.
    #[error(
        "the design uses {columns} columns, the device has 1 to {limit}\n  help: `DesignBuilder::columns` says how many a design uses"
    )]
    Columns { columns: u8, limit: u32 },
    #[error(
        "{what}: tile {tile} is outside the design's {columns} columns and {rows} rows ({loc})\n  \
         help: columns count from 0; row 0 is the shim, row 1 the mem tiles"
    )]
    TileOutside { what: String, tile: Tile, columns: u32, rows: u32, loc: Loc },
    #[error("{what}: tile {tile} is a {} tile, expected a core ({loc})\n  help: cores stand above the mem tiles", kind_name(*.kind))]
    NotACore { what: String, tile: Tile, kind: TileKind, loc: Loc },
    #[error(
        "two symbols are named \"{name}\" ({loc})\n  help: FIFOs, local buffers and kernels share one name space"
    )]
    DuplicateSymbol { name: String, loc: Loc },
    #[error(
        "\"{name}\" cannot be a symbol ({loc})\n  help: start with a letter or _, go on with letters, digits, _, $ and ."
    )]
    BadSymbol { name: String, loc: Loc },
    #[error("two different kernels are named \"{name}\"\n  help: give each its own C symbol")]
    KernelClash { name: String },
    #[error("{kind} {index} does not exist, the design has {count} ({loc})")]
    UnknownId { kind: &'static str, index: u32, count: usize, loc: Loc },

    // FIFOs.
    #[error("fifo {fifo} has no consumer ({loc})")]
    NoConsumer { fifo: String, loc: Loc },
    #[error("fifo {fifo} has consumer {tile} twice ({loc})")]
    ConsumerTwice { fifo: String, tile: Tile, loc: Loc },
    #[error(
        "fifo {fifo} lists {got} depths for {ends} ends ({loc})\n  help: one for the producer, then one per consumer"
    )]
    DepthCount { fifo: String, got: usize, ends: usize, loc: Loc },
    #[error("fifo {fifo}: depth 0 at {tile} ({loc})\n  help: every end needs at least one object")]
    DepthZero { fifo: String, tile: Tile, loc: Loc },
    #[error(
        "fifo {fifo}: its objects are sent {times} times, expected 1 to {max}, what a lock can count ({loc})"
    )]
    Repeat { fifo: String, times: u32, max: u32, loc: Loc },
    #[error(
        "fifo {fifo}: initial bytes for {got} objects, its producer {tile} has {depth} ({loc})\n  help: the toolchain fills all objects or none"
    )]
    InitCount { fifo: String, tile: Tile, got: usize, depth: u32, loc: Loc },
    #[error("fifo {fifo}: initial object {at} has {got} B, an object has {bytes} B ({loc})")]
    ObjectInit { fifo: String, at: usize, got: usize, bytes: u64, loc: Loc },
    #[error(
        "fifo {fifo}: {what} at the shim tile {tile}, whose objects are in host memory ({loc})\n  help: {help}"
    )]
    AtShim { fifo: String, tile: Tile, what: &'static str, help: &'static str, loc: Loc },
    #[error("fifo {fifo}: its objects cannot lie in the memory of {tile}: {why} ({loc})\n  help: {help}")]
    MemoryOf { fifo: String, tile: Tile, why: &'static str, help: &'static str, loc: Loc },
    #[error(
        "fifo {fifo} has {got} from_stream orders for {consumers} consumers ({loc})\n  help: name a tile that consumes the FIFO"
    )]
    FromStreamCount { fifo: String, got: usize, consumers: usize, loc: Loc },
    #[error(
        "fifo {fifo}: an object of {bytes} B cannot go through a DMA ({loc})\n  help: transfers are multiples of {granule} B and not empty"
    )]
    ObjectBytes { fifo: String, bytes: u64, granule: u32, loc: Loc },
    #[error(
        "fifo {fifo}: one BD at {tile} moves {bytes} B, the most is {limit_bytes} B ({loc})\n  help: make the objects smaller, or split them through a mem tile"
    )]
    BdTooLong { fifo: String, tile: Tile, bytes: u64, limit_bytes: u64, loc: Loc },
    #[error(
        "fifo {fifo}: the shim at {tile} cannot reorder ({loc})\n  help: give the sizes and strides to the copy of the runtime sequence, or reorder at the mem tile"
    )]
    DimsAtShim { fifo: String, tile: Tile, loc: Loc },
    #[error(
        "fifo {fifo}: {got} dimensions at {tile}, its DMA has {limit} ({loc})\n  help: a mem tile's DMA has one more than a core's"
    )]
    DimCount { fifo: String, tile: Tile, got: usize, limit: u32, loc: Loc },
    #[error(
        "fifo {fifo}: the sizes at {tile} visit {visited} elements, one transfer has {elements} ({loc})\n  help: the product of the sizes is the elements of one object, or of its part in a split or join"
    )]
    DimsCover { fifo: String, tile: Tile, visited: u64, elements: u64, loc: Loc },
    #[error(
        "fifo {fifo}: the sizes and strides at {tile} reach element {index} of {elements} ({loc})\n  help: the last element is the sum of (size - 1) x stride"
    )]
    DimsOutside { fifo: String, tile: Tile, index: u64, elements: u64, loc: Loc },
    #[error(
        "fifo {fifo}: innermost stride {stride} of {elem_bytes}-byte elements at {tile} ({loc})\n  help: elements below 4 B need an innermost stride of 1"
    )]
    InnerStride { fifo: String, tile: Tile, stride: u32, elem_bytes: u32, loc: Loc },
    #[error(
        "fifo {fifo}: dimension {dim} (outermost first) at {tile} has {what} of {bytes} B, not a multiple of {granule} B ({loc})\n  help: DMAs move words of {granule} B: reorder in larger runs, and finer in the kernel"
    )]
    DimGranule {
        fifo: String,
        tile: Tile,
        dim: usize,
        what: &'static str,
        bytes: u64,
        granule: u32,
        loc: Loc,
    },
    #[error(
        "fifo {fifo}: dimension {dim} (outermost first) at {tile} has size {size}, the DMA allows 1 to {limit} ({loc})\n  help: split it into two dimensions; the outermost one may be longer"
    )]
    DimSize { fifo: String, tile: Tile, dim: usize, size: u64, limit: u32, loc: Loc },
    #[error(
        "fifo {fifo}: dimension {dim} (outermost first) at {tile} has a stride of {words} words, the DMA allows 1 to {limit} ({loc})\n  help: a mem tile steps further than a core; to repeat, send the object again"
    )]
    DimStride { fifo: String, tile: Tile, dim: usize, words: u64, limit: u32, loc: Loc },
    #[error(
        "fifo {fifo}: the {port} end at {tile} is in no link and no core acquires from it ({loc})\n  help: objects would wait there for ever; add a link, or acquire and release it in the core"
    )]
    EndUnused { fifo: String, port: Port, tile: Tile, loc: Loc },
    #[error(
        "fifo {fifo}: no copy of the runtime sequence feeds or drains its shim end ({loc})\n  help: add a copy, or the array waits for ever"
    )]
    ShimUnused { fifo: String, loc: Loc },
    #[error("fifo {fifo} goes from shim to shim ({loc})\n  help: lead it through a mem tile and a link")]
    ShimToShim { fifo: String, loc: Loc },

    // Links.
    #[error(
        "a link of {sources} sources and {targets} targets ({loc})\n  help: one to one, one to several (split), or several to one (join)"
    )]
    LinkShape { sources: usize, targets: usize, loc: Loc },
    #[error("link: fifo {fifo} does not {} at {tile} ({loc})\n  help: sources end where targets start", if *.as_target { "start" } else { "end" })]
    LinkTile { fifo: String, tile: Tile, as_target: bool, loc: Loc },
    #[error("link at {tile}, a {} tile: {what} ({loc})", kind_name(*.kind))]
    LinkPlace { tile: Tile, kind: TileKind, what: &'static str, loc: Loc },
    #[error("fifo {fifo} is the {} of two links at {tile} ({loc})", if *.as_target { "target" } else { "source" })]
    LinkTwice { fifo: String, tile: Tile, as_target: bool, loc: Loc },
    #[error("link: {got} offsets for {parts} parts ({loc})")]
    LinkOffsets { got: usize, parts: usize, loc: Loc },
    #[error(
        "link: the part of fifo {fifo} is elements {from} to {to} of {whole} but its objects have {object_bytes} B and the part {part_bytes} B ({loc})\n  help: offsets must follow each other without gaps, and parts equal the objects: else the last transfer is cut short and the design hangs"
    )]
    LinkPart { fifo: String, whole: String, from: u64, to: u64, part_bytes: u64, object_bytes: u64, loc: Loc },
    #[error(
        "link: objects of {source_bytes} B (fifo {from}) become objects of {target_bytes} B (fifo {to}), neither a multiple of the other ({loc})\n  help: let one object hold a whole number of the other"
    )]
    LinkSizes { from: String, to: String, source_bytes: u64, target_bytes: u64, loc: Loc },
    #[error(
        "link: fifo {fifo} repeats what it joins: the toolchain has no parts for the second time ({loc})\n  help: repeat a FIFO behind the join"
    )]
    RepeatOfJoin { fifo: String, loc: Loc },
    #[error(
        "link: fifo {one} sends each object {one_times} times, fifo {other} {other_times} times, and both give back parts of one object ({loc})\n  help: give all targets of a split one repeat count"
    )]
    RepeatsDiffer { one: String, one_times: u32, other: String, other_times: u32, loc: Loc },

    // Resources.
    #[error("tile {tile}: {used} {} channels, it has {limit}: {}\n  help: join or split through a mem tile, share memory between neighbours, or merge FIFOs", direction_name(*.direction), .fifos.join(", "))]
    TooManyChannels { tile: Tile, direction: Direction, used: u32, limit: u32, fifos: Vec<String> },
    #[error("tile {tile}: its switch is full: {} flows need its {ports} ports {side}: {}\n  help: broadcast one FIFO instead of sending several, join outputs through a mem tile on the other side, or move a core to another column", .fifos.len(), .fifos.join(", "), side = side.name())]
    SwitchFull { tile: Tile, side: Bundle, ports: u32, fifos: Vec<String> },
    #[error("tile {tile}: {used} BDs {}, the most is {limit}\n  help: lower the depths of its FIFOs", if *.groups > 1 { format!("on the channels whose BDs start at {first}") } else { String::from("in all") })]
    TooManyBds { tile: Tile, used: u32, limit: u32, first: u32, groups: u32 },
    #[error(
        "tile {tile}: {used} locks, it has {limit}\n  help: every FIFO end and every part of a split or join takes two"
    )]
    TooManyLocks { tile: Tile, used: u32, limit: u32 },
    #[error(
        "tile {tile}: fifo end {fifo} has depth {depth}, a lock counts to {max}\n  help: lower the depth: the lock that counts free objects starts at it"
    )]
    LockInit { tile: Tile, fifo: String, depth: u32, max: u32 },
    #[error("tile {tile}: {used_bytes} B of {limit_bytes} B, {} B over; stack {stack_bytes} B, largest buffers {}\n  help: lower depths or object sizes", used_bytes - limit_bytes, list_bytes(.largest))]
    OutOfMemory {
        tile: Tile,
        used_bytes: u64,
        limit_bytes: u64,
        stack_bytes: u64,
        largest: Vec<(String, u64)>,
    },
    #[error(
        "tile {tile}: buffer {buffer} of {bytes} B asks for bank {bank}, which has no room\n  help: lower depths, choose another bank, or none"
    )]
    BankFull { tile: Tile, buffer: String, bank: u8, bytes: u64 },
    #[error(
        "tile {tile}: buffer {buffer} of {bytes} B asks for address {address:#x}, which the stack ({stack_bytes} B at 0) or another buffer takes\n  help: choose a free address, or none"
    )]
    AddressTaken { tile: Tile, buffer: String, address: u64, bytes: u64, stack_bytes: u64 },
    #[error(
        "tile {tile}: kernel {kernel} needs parameter {param} at a multiple of {align_bytes} B, buffer {buffer} is at {address:#x} ({loc})\n  help: make the sizes of buffers and stack multiples of {align_bytes} B"
    )]
    Misaligned {
        tile: Tile,
        kernel: String,
        param: String,
        align_bytes: u32,
        buffer: String,
        address: u64,
        loc: Loc,
    },

    // Locals and cascades.
    #[error("buffer {buffer}: {got} initial bytes for {expected} B ({loc})")]
    InitBytes { buffer: String, got: usize, expected: u64, loc: Loc },
    #[error("buffer {buffer}: bank {bank}, the tile has {banks} ({loc})\n  help: banks count from 0")]
    NoSuchBank { buffer: String, bank: u8, banks: u32, loc: Loc },
    #[error("buffer {buffer} is empty ({loc})")]
    EmptyBuffer { buffer: String, loc: Loc },
    #[error(
        "cascade {from} -> {to}: only neighbours, from north to south or from west to east ({loc})\n  help: turn the cascade round, or place its cores side by side"
    )]
    CascadeDirection { from: Tile, to: Tile, loc: Loc },
    #[error("tile {tile} has two cascades {} ({loc})", if *.out { "out" } else { "in" })]
    CascadeTwice { tile: Tile, out: bool, loc: Loc },

    #[error(
        "core {tile}: kernel {kernel} {} the cascade, and no cascade leads {} the core ({loc})\n  help: `DesignBuilder::cascade` connects a core to its south or east neighbour",
        if *.out { "writes" } else { "reads" }, if *.out { "out of" } else { "into" }
    )]
    NoCascade { tile: Tile, kernel: String, out: bool, loc: Loc },

    // Core programs.
    #[error("tile {tile} has two core programs ({loc})")]
    TwoCores { tile: Tile, loc: Loc },
    #[error(
        "core {tile}: a stack of {bytes} B ({loc})\n  help: a multiple of 32 B, above 0 and at most {limit} B, the room in the first bank: a longer one would overlap the buffers of the next"
    )]
    StackBytes { tile: Tile, bytes: u32, limit: u32, loc: Loc },
    #[error("core {tile}: fifo {fifo} has no {port} end there ({loc})")]
    NotAnEnd { tile: Tile, fifo: String, port: Port, loc: Loc },
    #[error(
        "core {tile}: the {port} end of fifo {fifo} belongs to a link ({loc})\n  help: a link moves its objects by DMA; a core cannot acquire them"
    )]
    EndIsLinked { tile: Tile, fifo: String, port: Port, loc: Loc },
    #[error(
        "core {tile}: acquires {wanted} objects of fifo {fifo}, whose end there holds {depth} ({loc})\n  help: deepen the end, or acquire fewer: this would wait for ever"
    )]
    AcquireTooDeep { tile: Tile, fifo: String, wanted: u32, depth: u32, loc: Loc },
    #[error("core {tile}: {what} of 0 objects of fifo {fifo} ({loc})")]
    ZeroObjects { tile: Tile, fifo: String, what: &'static str, loc: Loc },
    #[error("core {tile}: releases {count} objects of fifo {fifo} ({port}) but holds {held} ({loc})")]
    ReleaseTooMany { tile: Tile, fifo: String, port: Port, count: u32, held: u32, loc: Loc },
    #[error(
        "core {tile}: a loop holds {before} objects of fifo {fifo} ({port}) when it starts and {after} after a turn ({loc})\n  help: release in the loop what it acquires; a window that slides starts with an acquire before the loop"
    )]
    LoopUnbalanced { tile: Tile, fifo: String, port: Port, before: u32, after: u32, loc: Loc },
    #[error(
        "core {tile}: the branches of a switch leave {one} and {other} objects of fifo {fifo} ({port}) held ({loc})"
    )]
    SwitchUnbalanced { tile: Tile, fifo: String, port: Port, one: u32, other: u32, loc: Loc },
    #[error("core {tile}: ends with {held} objects of fifo {fifo} ({port}) not released ({loc})")]
    NotReleased { tile: Tile, fifo: String, port: Port, held: u32, loc: Loc },
    #[error("core {tile}: statements after an endless loop never run ({loc})")]
    Unreachable { tile: Tile, loc: Loc },
    #[error("core {tile}: two cases of a switch for {value} ({loc})")]
    CaseTwice { tile: Tile, value: i64, loc: Loc },
    #[error("core {tile}: {object} is used where no acquire has bound it ({loc})")]
    ObjectUnbound { tile: Tile, object: String, loc: Loc },
    #[error(
        "core {tile}: {object} of fifo {fifo} is used after its release ({loc})\n  help: release after the last use"
    )]
    ObjectReleased { tile: Tile, object: String, fifo: String, loc: Loc },
    #[error("core {tile}: {object} is bound by two acquires ({loc})")]
    ObjectTwice { tile: Tile, object: String, loc: Loc },
    #[error(
        "core {tile}: word {index} of {object}, which the core fills ({loc})\n  help: words come from consumed objects"
    )]
    WordOfProduced { tile: Tile, object: String, index: u32, loc: Loc },
    #[error(
        "core {tile}: word {index} of {object} of fifo {fifo}, {ty}, which has {words} words ({loc})\n  help: objects with words have 4-byte integers, or are flat and of bytes"
    )]
    NoSuchWord { tile: Tile, object: String, fifo: String, ty: MemType, index: u32, words: u64, loc: Loc },

    // Calls.
    #[error(
        "core {tile}: kernel {kernel} takes {expected} arguments ({locals} of them core-local), got {got} ({loc})"
    )]
    ArgCount { tile: Tile, kernel: String, expected: usize, locals: usize, got: usize, loc: Loc },
    #[error("core {tile}: kernel {kernel}, parameter {param}: expected {expected}, got {got} ({loc})")]
    ArgKind { tile: Tile, kernel: String, param: String, expected: &'static str, got: &'static str, loc: Loc },
    #[error(
        "core {tile}: kernel {kernel}, parameter {param}: expected {expected} ({expected_bytes} B), got {got} ({got_bytes} B) ({loc})\n  help: pass a view of a part or of another type"
    )]
    ArgType {
        tile: Tile,
        kernel: String,
        param: String,
        expected: MemType,
        expected_bytes: u64,
        got: MemType,
        got_bytes: u64,
        loc: Loc,
    },
    #[error(
        "core {tile}: kernel {kernel}, parameter {param}: a view of {of} ({loc})\n  help: only flat objects of bytes (memref<Nxi8>) can be viewed: declare the object so"
    )]
    ViewOf { tile: Tile, kernel: String, param: String, of: MemType, loc: Loc },
    #[error(
        "core {tile}: kernel {kernel}, parameter {param}: the view ends at byte {end} of {bytes} ({loc})\n  help: a view and its offset stay inside the object"
    )]
    ViewOutside { tile: Tile, kernel: String, param: String, end: u64, bytes: u64, loc: Loc },
    #[error("core {tile}: kernel {kernel} writes parameter {param}, which is {what} ({loc})\n  help: {help}")]
    ArgWritten { tile: Tile, kernel: String, param: String, what: String, help: &'static str, loc: Loc },
    #[error(
        "core {tile}: kernel {kernel} writes parameter {written}, which overlaps parameter {other} ({loc})\n  help: written parameters are __restrict; copy, or write to another object"
    )]
    ArgAlias { tile: Tile, kernel: String, written: String, other: String, loc: Loc },
    #[error("core {tile}: kernel {kernel}, parameter {param}: buffer {buffer} is in tile {other} ({loc})")]
    LocalElsewhere { tile: Tile, kernel: String, param: String, buffer: String, other: Tile, loc: Loc },
    #[error(
        "core {tile}: kernel {kernel}, table {param}: buffer {buffer} does not hold the table's bytes ({loc})\n  help: leave core-local parameters out of the call, and buffers are made for them"
    )]
    TableInit { tile: Tile, kernel: String, param: String, buffer: String, loc: Loc },

    // The runtime sequence.
    #[error(
        "the sequence has {got} host buffers, a kernel takes at most {limit}\n  help: put several tensors into one buffer and copy from offsets"
    )]
    TooManyHostBuffers { got: usize, limit: usize },
    #[error(
        "the sequence moves fifo {fifo}, which has no end at the shim ({loc})\n  help: copy through the FIFO that starts or ends in row 0"
    )]
    NoShimEnd { fifo: String, loc: Loc },
    #[error(
        "copy of {fifo}: reaches element {index} of host buffer {buffer}, which has {elements} ({loc})\n  help: the last element is the sum of offset x stride and (size - 1) x stride; the hardware would read or write past the buffer"
    )]
    CopyPastBuffer { fifo: String, buffer: String, index: u128, elements: u64, loc: Loc },
    #[error(
        "copy of {fifo}: BD {bd}, the shim tile has 0 to {max} ({loc})\n  help: wait for earlier copies to free their BDs; a higher number overwrites the DMA's control registers"
    )]
    CopyBd { fifo: String, bd: u8, max: u32, loc: Loc },
    #[error(
        "copy of {fifo}: BD {bd} of tile {tile} still belongs to the copy at {first} ({loc})\n  help: wait for that copy first, or use another BD"
    )]
    BdBusy { fifo: String, bd: u8, tile: Tile, first: Loc, loc: Loc },
    #[error(
        "copy of {fifo}: {got} copies unawaited on one channel, its queue holds {limit} ({loc})\n  help: wait before pushing more: the hardware drops the next one silently"
    )]
    QueueFull { fifo: String, got: usize, limit: u32, loc: Loc },
    #[error(
        "copy of {fifo}: size {size} of dimension {dim} (outermost first), allowed {min} to {max} {unit} ({loc})\n  help: {help}"
    )]
    CopySize {
        fifo: String,
        dim: usize,
        size: u64,
        min: u64,
        max: u64,
        unit: &'static str,
        help: &'static str,
        loc: Loc,
    },
    #[error(
        "copy of {fifo}: stride {stride} of dimension {dim} (outermost first), allowed {min} to {max} ({loc})\n  help: only the outermost dimension may stay in place; split what steps further into several copies"
    )]
    CopyStride { fifo: String, dim: usize, stride: u64, min: u64, max: u64, loc: Loc },
    #[error(
        "copy of {fifo}: {what} is {bytes} B, not a multiple of {granule} B ({loc})\n  help: DMAs move words of {granule} B: move more, and drop the rest in the kernel"
    )]
    CopyGranule { fifo: String, what: String, bytes: u128, granule: u32, loc: Loc },
    #[error(
        "copy of {fifo}: it drains the array without issue_token ({loc})\n  help: set issue_token and wait once for each such copy: the toolchain issues a token for it all the same, and a wait takes the oldest one"
    )]
    DrainWithoutToken { fifo: String, loc: Loc },
    #[error(
        "copy of {fifo}: no wait covers it, so the host may read its buffer too early ({loc})\n  help: each wait takes one token, and each copy that drains issues one: wait once more for {fifo}"
    )]
    DrainNotAwaited { fifo: String, loc: Loc },
    #[error(
        "wait for {fifo}: no copy with a token is unawaited ({loc})\n  help: each wait takes one token: drop this wait, or give a copy a token"
    )]
    WaitForNothing { fifo: String, loc: Loc },
    #[error(
        "fifo {fifo}: the sequence moves {bytes} B, not a multiple of its objects of {object_bytes} B\n  help: the last object would never be complete"
    )]
    PartialObject { fifo: String, bytes: u128, object_bytes: u64 },
    #[error(
        "link: {whole_bytes} B pass fifo {whole}, so {expected_bytes} B should pass fifo {part}, but {part_bytes} B do ({loc})\n  help: make the copies and loops at both sides move the same"
    )]
    LinkBytes {
        whole: String,
        whole_bytes: u128,
        part: String,
        part_bytes: u128,
        expected_bytes: u128,
        loc: Loc,
    },
    #[error(
        "core {tile}: {total} objects pass fifo {fifo}; the core takes {before} before its loop and {per_turn} a turn, which never adds up ({loc})\n  help: copy a multiple of what the loop takes"
    )]
    ObjectsPerTurn { tile: Tile, fifo: String, total: u128, before: u128, per_turn: u128, loc: Loc },
    #[error(
        "core {tile}: {one_objects} objects of fifo {one} are {one_turns} turns of its loop, {other_objects} of fifo {other} are {other_turns} ({loc})\n  help: with the fewer it waits for ever; make the copies move what the loop takes and gives"
    )]
    TurnsDiffer {
        tile: Tile,
        one: String,
        one_objects: u128,
        one_turns: u128,
        other: String,
        other_objects: u128,
        other_turns: u128,
        loc: Loc,
    },
}

fn kind_name(kind: TileKind) -> &'static str {
    match kind {
        TileKind::Shim => "shim",
        TileKind::Mem => "mem",
        TileKind::Core => "core",
    }
}

fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::S2mm => "S2MM (input)",
        Direction::Mm2s => "MM2S (output)",
    }
}

fn list_bytes(buffers: &[(String, u64)]) -> String {
    buffers.iter().map(|(name, bytes)| format!("{name} {bytes} B")).collect::<Vec<_>>().join(", ")
}
