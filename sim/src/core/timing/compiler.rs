//! What a compiler does with a loop: mechanisms, each with the observation behind it
//! (`docs/timing.md` has the reasons and the sources). None is a total of any kernel.

use super::Hints;
use kiln_dsl::device::Compiler;
use kiln_dsl::kernel::LoopHint;

/// How long the register of a value is taken in a pipelined loop, and whether it must be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// One register a value, taken from the issue of the instruction that writes it: registers are
    /// allocated in program order, before anything knows when results arrive.
    OneFromIssue,
    /// The same, but a value that lives longer than an interval is copied to another register for each further one: the
    /// expanded loop hands it on from one iteration to the next.
    Copied,
    /// One register a value, taken while it holds the value: loops are pipelined after allocation.
    One,
    /// As many as iterations need it at once: the loop's body is repeated with other registers
    /// (modulo variable expansion), since AIE2's registers do not rotate.
    Many,
}

/// How a loop is software-pipelined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pipelining {
    pub names: Names,
    /// Most iterations in flight.
    pub stages_max: u32,
}

/// Iterations in flight where the trip count is unknown and a branch guards the loop.
const GUARDED_STAGES: u32 = 2;

/// What a compiler knows of an innermost loop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub hint: LoopHint,
    /// Trips of its code, where their number is a constant.
    pub trips: Option<u64>,
    /// How often its code runs at least.
    pub trips_min: u64,
    /// Its index does nothing but count trips and step pointers.
    pub counts_only: bool,
    /// An iteration hands values to the next.
    pub carries: bool,
}

/// How `compiler` pipelines an innermost loop; `None`: not.
pub(super) fn pipelining(compiler: Compiler, hints: Hints, of: &Known) -> Option<Pipelining> {
    let stages = |trips: u64| u32::try_from(trips).unwrap_or(u32::MAX);
    let one = |trips: u64| Some(Pipelining { names: Names::One, stages_max: stages(trips) });
    match compiler {
        Compiler::Peano | Compiler::Chess if of.hint.compact => None,
        // Its pipeliner after register allocation needs two promised iterations.
        Compiler::Peano if is_promised(hints, of) && of.trips_min >= 2 => one(of.trips_min),
        // The one before allocation takes loops that count down to zero: constant counts that nothing promises,
        Compiler::Peano if of.trips.is_some_and(|trips| trips >= 2) => {
            Some(Pipelining { names: Names::Copied, stages_max: stages(of.trips.unwrap_or(0)) })
        }
        // and unknown ones behind a guard, where nothing is carried.
        Compiler::Peano if of.trips.is_none() && of.counts_only && !of.carries => {
            Some(Pipelining { names: Names::OneFromIssue, stages_max: GUARDED_STAGES })
        }
        Compiler::Peano => None,
        Compiler::Chess if of.hint.pipeline && of.trips_min >= 2 => {
            Some(Pipelining { names: Names::Many, stages_max: stages(of.trips_min) })
        }
        Compiler::Chess => None,
        Compiler::Ideal => Some(Pipelining { names: Names::Many, stages_max: u32::MAX }),
    }
}

/// Whether the source code says how often the loop runs at least, by more than its bounds.
fn is_promised(hints: Hints, of: &Known) -> bool {
    hints == Hints::Emitted || of.hint.min_trips > 0
}

/// Whether Peano sees no distance between the places of a local array that iterations access at their index: its
/// address is made from the index each time, and only the pipeliner after allocation is told of aliases.
pub(super) fn indexes_locals(compiler: Compiler, hints: Hints, of: &Known) -> bool {
    compiler == Compiler::Peano && !is_promised(hints, of)
}

/// Intervals above the least that the pipeliner before allocation tries (LLVM's `pipeliner-ii-search-range`).
pub(super) const SEARCHED_INTERVALS: u32 = 10;

/// Most iterations of a loop that Peano writes out in its body (`aie-unroll-max-count` of llvm-aie).
const UNROLLED_MAX: u64 = 4;

/// Trips from which it rather pipelines a loop whose source code promises them (`aie-prefer-swp-over-unroll`).
const PIPELINED_RATHER: u32 = 9;

/// LLVM's bounds on the size of a loop that is unrolled in part, and whole (`aie-unroll-max-cost`).
const PARTLY_UNROLLED_COST: u64 = 150;
const WHOLLY_UNROLLED_COST: u64 = 200;

/// Size of a vector operation with its pointer and its casts, in those units. Of `mm.cc`'s inner loops, one of 8 such
/// operations is doubled in its object (2x2) and one of 14 is not (4x2): 5.3 to 9.2.
const VECTOR_COST: u64 = 7;

/// What of a body decides whether it is repeated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body {
    pub is_scalar: bool,
    /// Operations on vectors, accesses included.
    pub vector_ops: u64,
}

/// Iterations of an innermost loop in one trip of its code.
pub(super) fn unrolled(
    compiler: Compiler,
    hints: Hints,
    hint: LoopHint,
    trips: Option<u64>,
    body: Body,
) -> u32 {
    let (Compiler::Peano, Some(trips)) = (compiler, trips) else { return 1 };
    if hint.compact || hint.min_trips >= PIPELINED_RATHER {
        return 1;
    }
    let most = match body.is_scalar {
        true => UNROLLED_MAX,
        // Loops of vectors that we emit promise their trips.
        false if hints == Hints::Emitted => 1,
        false if trips * body.vector_ops * VECTOR_COST <= WHOLLY_UNROLLED_COST => trips,
        false => UNROLLED_MAX.min(PARTLY_UNROLLED_COST / (body.vector_ops * VECTOR_COST).max(1)),
    };
    (1..=most).rev().find(|&count| trips >= count && trips.is_multiple_of(count)).unwrap_or(1) as u32
}

/// Whether the end of one iteration of an outer loop overlaps the start of the next.
pub(super) fn overlaps_groups(compiler: Compiler) -> bool {
    compiler == Compiler::Ideal
}

/// Whether elements of several arrays at one index share an offset register, which is made anew from the
/// index in each iteration; otherwise each array has a pointer that steps.
pub(super) fn shares_offsets(compiler: Compiler) -> bool {
    compiler == Compiler::Peano
}

/// Whether pointers that step in several loops at once use the 2-d and 3-d address registers, so
/// that only the access itself remains.
pub(super) fn steps_in_dimensions(compiler: Compiler) -> bool {
    compiler != Compiler::Peano
}
