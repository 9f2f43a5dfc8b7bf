//! What can be wrong with a kernel, and how it is shown.

use crate::kernel::ir::{BlockId, Kernel, Loc, OpId, ParamId, ValueId};
use crate::kernel::print::Listing;
use crate::kernel::types::Type;
use std::fmt;

/// The part of a kernel that an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// The kernel as a whole.
    Kernel,
    /// A parameter.
    Param(ParamId),
    /// An operation.
    Op(OpId),
}

/// One broken rule. Prints as one line, then the IR line under which it is drawn, then help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct KernelError {
    /// Where the author wrote the offending thing.
    pub loc: Loc,
    /// The offending thing.
    pub place: Place,
    /// Its line of IR text, from 1, as `kernel.to_string()` prints it.
    pub ir_line: usize,
    /// That line.
    pub ir: String,
    /// The rule.
    pub problem: Problem,
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.ir.trim_start();
        let indent = self.ir.len() - text.len();
        let width = self.ir_line.to_string().len();
        writeln!(f, "error: {}", self.problem)?;
        writeln!(f, "{:width$}--> {}", "", self.loc)?;
        writeln!(f, "{:width$} |", "")?;
        writeln!(f, "{} | {}", self.ir_line, self.ir)?;
        write!(f, "{:width$} | {:indent$}{}", "", "", "^".repeat(text.chars().count().max(1)))?;
        if let Some(help) = self.problem.help() {
            write!(f, "\n{:width$} = help: {help}", "")?;
        }
        Ok(())
    }
}

/// Every broken rule of one kernel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct KernelErrors {
    /// Name of the kernel.
    pub kernel: String,
    /// In the order of the kernel's text; never empty.
    pub errors: Vec<KernelError>,
}

impl fmt::Display for KernelErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.errors.len();
        write!(f, "kernel `{}` has {count} error{}", self.kernel, if count == 1 { "" } else { "s" })?;
        for error in &self.errors {
            write!(f, "\n\n{error}")?;
        }
        Ok(())
    }
}

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
            _ => None,
        }
    }
}

/// Collects errors and finds each one's line.
pub(super) struct Report<'k> {
    kernel: &'k Kernel,
    found: Vec<(Place, Problem)>,
}

impl<'k> Report<'k> {
    pub fn new(kernel: &'k Kernel) -> Report<'k> {
        Report { kernel, found: Vec::new() }
    }

    pub fn add(&mut self, place: Place, problem: Problem) {
        self.found.push((place, problem));
    }

    pub fn op(&mut self, op: OpId, problem: Problem) {
        self.add(Place::Op(op), problem);
    }

    pub fn param(&mut self, param: usize, problem: Problem) {
        self.add(Place::Param(ParamId(param as u32)), problem);
    }

    /// Errors so far.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// The errors in the order of the kernel's text.
    pub fn finish(self) -> Vec<KernelError> {
        if self.found.is_empty() {
            return Vec::new();
        }
        let listing = Listing::new(self.kernel, false);
        let line_of = |place: Place| match place {
            Place::Kernel => listing.header,
            Place::Param(p) => listing.params.get(p.index()).copied().unwrap_or(listing.header),
            Place::Op(op) => listing.ops.get(&op).copied().unwrap_or(listing.header),
        };
        let loc_of = |place: Place| match place {
            Place::Kernel => None,
            Place::Param(p) => self.kernel.params.get(p.index()).map(|p| p.loc.clone()),
            Place::Op(op) => self.kernel.ops.get(op.index()).map(|op| op.loc.clone()),
        };
        let mut errors: Vec<KernelError> = self
            .found
            .into_iter()
            .map(|(place, problem)| {
                let line = line_of(place);
                let ir = listing.lines.get(line).cloned().unwrap_or_default();
                let loc = loc_of(place).unwrap_or(Loc::UNKNOWN);
                KernelError { loc, place, ir_line: line + 1, ir, problem }
            })
            .collect();
        errors.sort_by_key(|e| e.ir_line);
        errors
    }
}
