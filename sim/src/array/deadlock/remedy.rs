//! What would remove a deadlock, found by trying: the design is changed, lowered and simulated again.
//!
//! Tries run the token game only: a kernel call takes a cycle and computes nothing, unless what cores do
//! depends on what they compute. Whether a design comes to a stop does not depend on how long calls
//! take, since an agent waits for one thing at a time.

use super::super::{SimOptions, simulate_with};
use super::Waiting;
use crate::core::{CoreExecutor, CoreModel, Engine};
use crate::executor::{ArgValue, CallCost, Cascade, ExecError, KernelExecutor, TileMemories};
use kiln_dsl::Verified;
use kiln_dsl::array::lowered::{CoreOp, Lowered, LoweredCore};
use kiln_dsl::array::{Design, FifoId, KernelId, LowerMode, Port, Tile, lower, verify};
use kiln_dsl::device::{Device, Profile};
use kiln_dsl::kernel::Loc;
use std::fmt;

/// Objects by which a depth is raised at most.
const DEPTH_STEPS: [u32; 4] = [8, 4, 2, 1];

/// One change of a design.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// More objects at an end of a FIFO.
    Depth {
        /// Name of the FIFO.
        fifo: String,
        /// Tile of the end.
        tile: Tile,
        /// Which end.
        port: Port,
        /// Objects now.
        from: u32,
        /// Objects needed.
        to: u32,
    },
    /// A release that a core's program lacks.
    Release {
        /// Tile of the core.
        tile: Tile,
        /// Name of the FIFO.
        fifo: String,
        /// Which end.
        port: Port,
        /// How many objects.
        count: u8,
        /// The acquire that it belongs to.
        loc: Loc,
    },
}

/// Changes with which the sequence ran to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// All are needed.
    pub changes: Vec<Change>,
    /// Simulations that finding them took.
    pub tries: u32,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Depth { fifo, tile, port, from, to } => {
                let end = match port {
                    Port::Produce => "producer",
                    Port::Consume => "consumer",
                };
                write!(f, "depth {to} instead of {from} for FIFO {fifo} at its {end} {tile}")
            }
            Change::Release { tile, fifo, port, count, loc } => {
                let s = if *count == 1 { "" } else { "s" };
                write!(
                    f,
                    "core {tile} releases {count} object{s} of FIFO {fifo} ({port} end) at the end of the block that acquires at {loc}"
                )
            }
        }
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes: Vec<String> = self.changes.iter().map(ToString::to_string).collect();
        write!(f, "the sequence runs to its end with {}", changes.join(", and "))
    }
}

/// What a search needs to know.
pub struct Case<'a> {
    pub design: &'a Verified<Design>,
    pub lowered: &'a Lowered,
    pub device: &'a Device,
    pub profile: &'a Profile,
    pub host: &'a [Vec<u8>],
    pub options: &'a SimOptions,
}

/// The smallest change found within `options.remedy_tries` simulations.
pub fn find(case: &Case<'_>, circle: &[Waiting]) -> Option<Remedy> {
    let mut search = Search { case, tries: 0 };
    let same = |mode: &LowerMode| lower(case.design, case.device, *mode).is_ok_and(|l| l == *case.lowered);
    let changes = match [LowerMode::Dynamic, LowerMode::Static].iter().find(|m| same(m)) {
        Some(mode) => search.depths(*mode, circle),
        // Not what the toolchain makes of the design: verify has not seen that loops give back what
        // they take.
        None => search.releases(),
    };
    changes.map(|changes| Remedy { changes, tries: search.tries })
}

struct Search<'a> {
    case: &'a Case<'a>,
    tries: u32,
}

/// One end of a FIFO: position in [`Design::fifos`] and in its depths.
type End = (usize, usize);

impl Search<'_> {
    fn runs(&mut self, design: &Verified<Design>, lowered: &Lowered) -> Option<bool> {
        let case = self.case;
        if self.tries >= case.options.remedy_tries {
            return None;
        }
        self.tries += 1;
        let options = SimOptions { remedy_tries: 0, trace_events: 0, hazards: false, ..case.options.clone() };
        let mut host = case.host.to_vec();
        let mut executor: Box<dyn KernelExecutor> = if depends_on_data(design, lowered) {
            Box::new({
                let model = CoreModel { compiler: case.options.compiler, ..case.device.into() };
                CoreExecutor::new(&design.kernels, model, Engine::Compiled).ok()?
            })
        } else {
            Box::new(Tokens)
        };
        let run =
            simulate_with(design, lowered, case.device, case.profile, &mut host, &options, &mut *executor);
        Some(run.is_ok())
    }

    // ---- depths

    fn depths(&mut self, mode: LowerMode, circle: &[Waiting]) -> Option<Vec<Change>> {
        let fifos = &self.case.design.fifos;
        let ends = |named: bool| {
            let of = move |f: &usize| circle.iter().any(|w| w.fifo() == Some(&fifos[*f].name)) == named;
            (0..fifos.len()).filter(of).flat_map(|f| (0..fifos[f].depths.len()).map(move |e| (f, e)))
        };
        let inner: Vec<End> = ends(true).collect();
        // One end, those of the circle first; then all of the circle together.
        let mut best: Option<(u32, u64, End)> = None;
        for end in inner.iter().copied().chain(ends(false)) {
            let most = best.map_or(DEPTH_STEPS[0], |b| b.0);
            let Some(step) = self.smallest(mode, &[end], most) else { continue };
            let bytes = u64::from(step) * fifos[end.0].object.bytes();
            if best.is_none_or(|b| (step, bytes) < (b.0, b.1)) {
                best = Some((step, bytes, end));
            }
        }
        if let Some((step, _, end)) = best {
            return Some(vec![self.change(end, step)]);
        }
        let step = self.smallest(mode, &inner, DEPTH_STEPS[0])?;
        Some(inner.iter().map(|&end| self.change(end, step)).collect())
    }

    /// The smallest step up to `most` by which raising `ends` lets the sequence run to its end.
    fn smallest(&mut self, mode: LowerMode, ends: &[End], most: u32) -> Option<u32> {
        let mut largest = None;
        // A deeper FIFO never hurts, unless the design does not fit any more.
        for step in DEPTH_STEPS.into_iter().filter(|&s| s <= most) {
            if let Some((design, lowered)) = self.deeper(mode, ends, step) {
                largest = self.runs(&design, &lowered)?.then_some(step);
                break;
            }
        }
        let (mut fails, mut works) = (0, largest?);
        while works - fails > 1 {
            let step = fails + (works - fails) / 2;
            let (design, lowered) = self.deeper(mode, ends, step)?;
            if self.runs(&design, &lowered)? { works = step } else { fails = step }
        }
        Some(works)
    }

    fn deeper(&self, mode: LowerMode, ends: &[End], step: u32) -> Option<(Verified<Design>, Lowered)> {
        let mut design = self.case.design.clone().into_inner();
        for &(fifo, end) in ends {
            design.fifos[fifo].depths[end] += step;
        }
        let design = verify(design, self.case.device).ok()?;
        let lowered = lower(&design, self.case.device, mode).ok()?;
        (lowered != *self.case.lowered).then_some((design, lowered))
    }

    fn change(&self, (fifo, end): End, step: u32) -> Change {
        let fifo = &self.case.design.fifos[fifo];
        let from = fifo.depths[end];
        let (tile, port) = match end.checked_sub(1).and_then(|c| fifo.consumers.get(c)) {
            Some(&consumer) => (consumer, Port::Consume),
            None => (fifo.producer, Port::Produce),
        };
        Change::Depth { fifo: fifo.name.clone(), tile, port, from, to: from + step }
    }

    // ---- releases

    fn releases(&mut self) -> Option<Vec<Change>> {
        let mut sites = Vec::new();
        for (at, core) in self.case.lowered.cores.iter().enumerate() {
            missing(&core.body, &mut Vec::new(), &mut |path, missing| {
                sites.push((at, path.to_vec(), missing));
            });
        }
        for (at, path, missing) in sites {
            let mut lowered = self.case.lowered.clone();
            let Missing { end, count, loc } = missing;
            let body = block(&mut lowered.cores[at], &path)?;
            body.push(CoreOp::Release { end, count, loc: loc.clone() });
            if self.runs(self.case.design, &lowered)? {
                let core = &lowered.cores[at];
                let (fifo, port, _) = core.ends[end];
                let fifo = self.fifo(fifo);
                return Some(vec![Change::Release { tile: core.tile, fifo, port, count, loc }]);
            }
        }
        None
    }

    fn fifo(&self, fifo: FifoId) -> String {
        self.case.design.fifos.get(fifo.index()).map_or_else(|| fifo.to_string(), |f| f.name.clone())
    }
}

/// More taken than given in one block.
struct Missing {
    end: usize,
    count: u8,
    loc: Loc,
}

/// Calls `found` for each loop body that takes more of an end than it gives, inner ones first.
fn missing(body: &[CoreOp], path: &mut Vec<usize>, found: &mut impl FnMut(&[usize], Missing)) {
    for (at, op) in body.iter().enumerate() {
        if let CoreOp::Loop { body, .. } = op {
            path.push(at);
            missing(body, path, found);
            path.pop();
        }
    }
    if path.is_empty() {
        return; // what is taken before a loop may be a window that is kept
    }
    let mut ends: Vec<(usize, i32, Loc)> = Vec::new();
    for op in body {
        let (end, change, loc) = match op {
            CoreOp::Acquire { end, take, loc, .. } => (*end, i32::from(*take), loc),
            CoreOp::Release { end, count, loc } => (*end, -i32::from(*count), loc),
            _ => continue,
        };
        match ends.iter_mut().find(|e| e.0 == end) {
            Some(known) => known.1 += change,
            None => ends.push((end, change, loc.clone())),
        }
    }
    for (end, balance, loc) in ends {
        if let Ok(count @ 1..) = u8::try_from(balance) {
            found(path, Missing { end, count, loc });
        }
    }
}

/// The loop body at a path of positions.
fn block<'a>(core: &'a mut LoweredCore, path: &[usize]) -> Option<&'a mut Vec<CoreOp>> {
    let mut body = &mut core.body;
    for &at in path {
        let CoreOp::Loop { body: inner, .. } = body.get_mut(at)? else { return None };
        body = inner;
    }
    Some(body)
}

/// Whether what cores do depends on what they compute: by cascades, or words of objects.
fn depends_on_data(design: &Design, lowered: &Lowered) -> bool {
    fn reads(body: &[CoreOp]) -> bool {
        body.iter().any(|op| match op {
            CoreOp::Loop { body, .. } => reads(body),
            CoreOp::Acquire { words, .. } => !words.is_empty(),
            CoreOp::Switch { .. } => true,
            _ => false,
        })
    }
    !design.cascades.is_empty() || lowered.cores.iter().any(|c| reads(&c.body))
}

/// Calls that take a cycle and compute nothing.
struct Tokens;

impl KernelExecutor for Tokens {
    fn call(
        &mut self,
        _kernel: KernelId,
        _args: &[ArgValue],
        _memories: &mut TileMemories,
        _cascade: &mut Cascade,
    ) -> Result<CallCost, ExecError> {
        Ok(CallCost { cycles: 1, ..CallCost::default() })
    }
}
