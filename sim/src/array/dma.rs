//! DMA channels: which buffer descriptor or task a channel is at, and how far.

use super::engine::Cycles;
use super::locks::LockOp;
use super::memory::{Access, Place, Walk};
use kiln_dsl::array::lowered::Channel as ChannelName;
use kiln_dsl::device::TileKind;
use std::collections::VecDeque;

/// Bytes of a stream word.
pub const WORD_BYTES: u64 = 4;

/// A buffer descriptor of a static program.
#[derive(Clone, Debug)]
pub struct Bd {
    /// Order of access in the tile's memory.
    pub walk: Walk,
    /// Its length.
    pub words: u64,
    /// Taken before it.
    pub acquire: Option<LockOp>,
    /// Given after it.
    pub release: Option<LockOp>,
    /// The one that follows.
    pub next: Option<usize>,
}

/// A task that the runtime sequence pushes to a shim channel: `runs` transfers.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// Host buffer.
    pub buffer: u32,
    /// Order of access of the first run.
    pub walk: Walk,
    /// Words of one run.
    pub run_words: u64,
    /// Number of runs.
    pub runs: u32,
    /// Distance of two runs.
    pub run_stride_bytes: usize,
    /// Whether its end issues a token.
    pub token: bool,
    /// Position of its command in the sequence.
    pub command: u32,
}

/// What feeds a channel with work.
#[derive(Clone, Debug)]
pub enum Program {
    /// A chain of BDs that runs from the start.
    Static(Vec<Bd>),
    /// Tasks pushed by the controller, oldest (the running one) first.
    Queue(VecDeque<Task>),
}

/// What a channel is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Has nothing to do: no task, or past its last BD.
    Idle,
    /// Waits for the lock of its BD, since then.
    LockStall(Cycles),
    /// A shim task on its way to the first word.
    Starting,
    /// Can move words from the time `ready`.
    Active,
    /// Its last words are on their way to it.
    Draining,
}

/// What follows the end of a BD or of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another BD of the chain; ask for its lock.
    Bd,
    /// Another run of the same task.
    Run,
    /// The end of a task.
    TaskEnd,
    /// The end of a chain.
    Stop,
}

/// Counters of a channel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Words moved.
    pub words: u64,
    /// Cycles in which it moved them, gaps within a chunk included.
    pub moving_cycles: Cycles,
    /// BDs or runs completed.
    pub transfers: u64,
    /// Tasks started.
    pub tasks: u64,
    /// Cycles its BDs waited for locks.
    pub lock_stall_cycles: Cycles,
}

/// One DMA channel.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Dense index of its tile.
    pub tile: u32,
    /// Kind of that tile.
    pub kind: TileKind,
    /// Direction and number.
    pub name: ChannelName,
    /// Its work.
    pub program: Program,
    /// What it is doing.
    pub state: State,
    /// From when it can move words, if active.
    pub ready: Cycles,
    /// Words left of the BD or run.
    pub words_left: u64,
    /// The flow it is an end of.
    pub flow: u32,
    /// Time of the end of the last BD plus the hole after it: the next cannot start before.
    pub free_at: Cycles,
    /// Since when a shim channel has had no task.
    pub idle_since: Cycles,
    /// Cold start that the next task pays.
    pub cold: Cycles,
    /// When host memory has answered the task in progress for the first time.
    pub answered: Cycles,
    /// Counters.
    pub counters: Counters,
    bd: usize,
    run: u32,
    access: Access,
}

impl Channel {
    /// An idle channel.
    pub fn new(tile: u32, kind: TileKind, name: ChannelName, program: Program, cold: Cycles) -> Channel {
        let access = Access { place: Place::Tile(tile), walk: Walk::linear(0, 0), position: 0 };
        Channel {
            tile,
            kind,
            name,
            program,
            state: State::Idle,
            ready: 0,
            words_left: 0,
            flow: u32::MAX,
            free_at: 0,
            idle_since: 0,
            cold,
            answered: 0,
            counters: Counters::default(),
            bd: 0,
            run: 0,
            access,
        }
    }

    /// Loads the current BD of a static program; returns the lock to take first.
    pub fn load_bd(&mut self) -> Option<LockOp> {
        let Program::Static(bds) = &self.program else { return None };
        let bd = &bds[self.bd];
        self.access = Access { place: Place::Tile(self.tile), walk: bd.walk, position: 0 };
        self.words_left = bd.words;
        bd.acquire
    }

    /// Loads the current run of the oldest task; `None` when the queue is empty.
    pub fn load_run(&mut self) -> Option<()> {
        let Program::Queue(tasks) = &self.program else { return None };
        let task = tasks.front()?;
        let walk = task.walk.moved(self.run as usize * task.run_stride_bytes);
        self.access = Access { place: Place::Host(task.buffer), walk, position: 0 };
        self.words_left = task.run_words;
        Some(())
    }

    /// The next bytes it reads or writes.
    pub fn access(&self) -> Access {
        self.access
    }

    /// The BD it is at, or the command of the task.
    pub fn site(&self) -> u32 {
        match &self.program {
            Program::Static(_) => self.bd as u32,
            Program::Queue(tasks) => tasks.front().map_or(0, |t| t.command),
        }
    }

    /// Counts words as moved.
    pub fn advance(&mut self, words: u64) {
        self.access.position += (words * WORD_BYTES) as usize;
        self.words_left -= words;
        self.counters.words += words;
    }

    /// Ends the BD or run: returns the lock to give, and what follows.
    pub fn finish(&mut self) -> (Option<LockOp>, Next) {
        self.counters.transfers += 1;
        self.state = State::Idle;
        match &mut self.program {
            Program::Static(bds) => {
                let bd = &bds[self.bd];
                let next = bd.next.map_or(Next::Stop, |n| {
                    self.bd = n;
                    Next::Bd
                });
                (bd.release, next)
            }
            Program::Queue(tasks) => {
                self.run += 1;
                match tasks.front() {
                    Some(task) if self.run < task.runs => (None, Next::Run),
                    Some(_) => (None, Next::TaskEnd),
                    None => (None, Next::Stop),
                }
            }
        }
    }

    /// Removes the oldest task, which has ended; says whether it issues a token.
    pub fn pop_task(&mut self) -> bool {
        self.run = 0;
        match &mut self.program {
            Program::Queue(tasks) => tasks.pop_front().is_some_and(|t| t.token),
            Program::Static(_) => false,
        }
    }

    /// Tasks in the queue, with the running one.
    pub fn tasks(&self) -> usize {
        match &self.program {
            Program::Queue(tasks) => tasks.len(),
            Program::Static(_) => 0,
        }
    }
}
