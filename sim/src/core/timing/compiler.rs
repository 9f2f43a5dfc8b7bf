//! What a compiler does with a loop: mechanisms, each with the observation behind it
//! (`docs/timing.md` has the reasons and the sources). None is a total of any kernel.

use kiln_dsl::device::Compiler;
use kiln_dsl::kernel::LoopHint;

/// How long the register of a value is taken in a pipelined loop, and whether it must be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// One register a value, taken from the issue of the instruction that writes it: registers are
    /// allocated in program order, before anything knows when results arrive.
    OneFromIssue,
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

/// How `compiler` pipelines an innermost loop of at least `trips_min` iterations; `None`: not. `counts_only`: the
/// loop's index does nothing but count trips and step pointers.
pub(super) fn pipelining(
    compiler: Compiler,
    hint: LoopHint,
    trips_min: u64,
    counts_only: bool,
) -> Option<Pipelining> {
    let trips = u32::try_from(trips_min).unwrap_or(u32::MAX);
    match compiler {
        // Its pipeliner after register allocation needs two known iterations; the one before
        // allocation guards the loop, and keeps no value longer than an interval. It takes only loops
        // that count down to zero, so that their index can be nothing else.
        Compiler::Peano if trips >= 2 => Some(Pipelining { names: Names::One, stages_max: trips }),
        Compiler::Peano if counts_only => {
            Some(Pipelining { names: Names::OneFromIssue, stages_max: GUARDED_STAGES })
        }
        Compiler::Peano => None,
        Compiler::Chess if hint.pipeline && trips >= 2 => {
            Some(Pipelining { names: Names::Many, stages_max: trips })
        }
        Compiler::Chess => None,
        Compiler::Ideal => Some(Pipelining { names: Names::Many, stages_max: u32::MAX }),
    }
}

/// Most iterations of a loop that Peano writes out in its body (`aie-unroll-max-count` of llvm-aie).
const UNROLLED_MAX: u64 = 4;

/// Trips from which it rather pipelines a loop whose source code promises them (`aie-prefer-swp-over-unroll`).
const PIPELINED_RATHER: u32 = 9;

/// Iterations of an innermost loop in one trip of its code. Of vector code none is repeated: what little of it would fit
/// the bound on instructions is unknown here.
pub(super) fn unrolled(compiler: Compiler, hint: LoopHint, trips: Option<u64>, is_scalar: bool) -> u32 {
    let (Compiler::Peano, Some(trips), true) = (compiler, trips, is_scalar) else { return 1 };
    if hint.min_trips >= PIPELINED_RATHER {
        return 1;
    }
    (1..=UNROLLED_MAX).rev().find(|&count| trips >= count && trips.is_multiple_of(count)).unwrap_or(1) as u32
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
