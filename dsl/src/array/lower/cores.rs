//! Core programs over lowered ends: what each acquire takes, which words it reads.

use super::dma::PoolPlace;
use super::pools::Plan;
use crate::array::ir::{Arg, Core, CoreId, Count, Design, FifoId, LocalId, Port, Stmt, Tile, WordRef};
use crate::array::lowered::{CoreEnd, CoreOp, LoweredCore};
use indexmap::IndexMap;

/// FIFO ends that a core acquires from, in order of first use.
pub(crate) fn ends_used(core: &Core) -> Vec<(FifoId, Port)> {
    let mut ends = Vec::new();
    each_stmt(&core.body, &mut |stmt| {
        if let Stmt::Acquire { fifo, port, .. } = stmt
            && !ends.contains(&(*fifo, *port))
        {
            ends.push((*fifo, *port));
        }
    });
    ends
}

/// Locals that a core's calls name, in order of first use.
pub(crate) fn locals_used(core: &Core) -> Vec<LocalId> {
    let mut locals = Vec::new();
    each_stmt(&core.body, &mut |stmt| {
        if let Stmt::Call { args, .. } = stmt {
            for arg in args {
                if let Arg::Local { buffer, .. } = arg
                    && !locals.contains(buffer)
                {
                    locals.push(*buffer);
                }
            }
        }
    });
    locals
}

/// Words that a core uses: loop counts, call arguments and switches, in order of first use.
pub(crate) fn words_used(core: &Core) -> Vec<WordRef> {
    let mut words = Vec::new();
    each_stmt(&core.body, &mut |stmt| {
        let used: Vec<WordRef> = match stmt {
            Stmt::Loop { count: Count::Word(word), .. } => vec![*word],
            Stmt::Switch { on, .. } => vec![*on],
            Stmt::Call { args, .. } => {
                args.iter().filter_map(|a| if let Arg::Word(w) = a { Some(*w) } else { None }).collect()
            }
            _ => Vec::new(),
        };
        for word in used {
            if !words.contains(&word) {
                words.push(word);
            }
        }
    });
    words
}

/// Visits every statement, outer before inner.
pub(crate) fn each_stmt<'s>(body: &'s [Stmt], visit: &mut impl FnMut(&'s Stmt)) {
    for stmt in body {
        visit(stmt);
        match stmt {
            Stmt::Loop { body, .. } => each_stmt(body, visit),
            Stmt::Switch { cases, default, .. } => {
                cases.iter().for_each(|(_, body)| each_stmt(body, visit));
                each_stmt(default, visit);
            }
            Stmt::Acquire { .. } | Stmt::Release { .. } | Stmt::Call { .. } => {}
        }
    }
}

/// Lowers one core.
pub(super) fn core(
    design: &Design,
    plan: &Plan,
    places: &[PoolPlace],
    id: CoreId,
    locals: &IndexMap<LocalId, (Tile, usize)>,
) -> LoweredCore {
    let core = &design.cores[id.index()];
    let mut ends = Vec::new();
    for (fifo, port) in ends_used(core) {
        let Some(at) = plan.pool_at(design, fifo, port, core.tile) else { continue };
        let (pool, place) = (&plan.pools[at], places[at]);
        let (producer, consumer) = (place.first_lock, place.first_lock + 1);
        let (acquire_lock, release_lock) = match port {
            Port::Produce => (producer, consumer),
            Port::Consume => (consumer, producer),
        };
        let buffers = (place.first_buffer..place.first_buffer + pool.depth as usize).collect();
        let tokens = if port == Port::Produce { byte(pool.repeat) } else { 1 };
        let end = CoreEnd { memory: pool.memory, buffers, acquire_lock, release_lock, tokens };
        ends.push((fifo, port, end));
    }
    let used = locals_used(core);
    let locals = used.iter().filter_map(|l| Some((l.0, *locals.get(l)?))).collect();
    let mut lowering = Lowering { ends: &ends, held: vec![0; ends.len()], words: words_used(core) };
    let body = lowering.body(&core.body);
    LoweredCore { core: id, tile: core.tile, ends, locals, body }
}

struct Lowering<'a> {
    ends: &'a [(FifoId, Port, CoreEnd)],
    /// Objects held at each end; verify has shown that loops and branches leave it unchanged.
    held: Vec<u32>,
    words: Vec<WordRef>,
}

impl Lowering<'_> {
    fn end(&self, fifo: FifoId, port: Port) -> Option<usize> {
        self.ends.iter().position(|(f, p, _)| (*f, *p) == (fifo, port))
    }

    fn body(&mut self, body: &[Stmt]) -> Vec<CoreOp> {
        body.iter().filter_map(|stmt| self.stmt(stmt)).collect()
    }

    fn stmt(&mut self, stmt: &Stmt) -> Option<CoreOp> {
        Some(match stmt {
            Stmt::Loop { count, body } => CoreOp::Loop { count: *count, body: self.body(body) },
            Stmt::Acquire { fifo, port, objects, loc } => {
                let end = self.end(*fifo, *port)?;
                let wanted = objects.len() as u32;
                let take = wanted.saturating_sub(self.held[end]);
                self.held[end] = self.held[end].max(wanted);
                let words = self.words.iter().filter(|w| objects.contains(&w.object)).copied().collect();
                CoreOp::Acquire { end, objects: objects.clone(), take: byte(take), words, loc: loc.clone() }
            }
            Stmt::Release { fifo, port, count, loc } => {
                let end = self.end(*fifo, *port)?;
                self.held[end] = self.held[end].saturating_sub(*count);
                CoreOp::Release { end, count: byte(*count), loc: loc.clone() }
            }
            Stmt::Call { kernel, args, loc } => {
                CoreOp::Call { kernel: *kernel, args: args.clone(), loc: loc.clone() }
            }
            Stmt::Switch { on, cases, default, .. } => {
                let before = self.held.clone();
                let mut branches = Vec::new();
                for (value, body) in cases {
                    self.held.clone_from(&before);
                    branches.push((*value, self.body(body)));
                }
                self.held = before;
                let default = self.body(default);
                CoreOp::Switch { on: *on, cases: branches, default }
            }
        })
    }
}

fn byte(count: u32) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}
