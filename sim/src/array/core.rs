//! Core programs: flat code over dense ids, and how far a core is in it.

use super::engine::Cycles;
use super::locks::{LockId, LockOp};
use crate::core::Site;
use crate::executor::{ArgValue, Cascade, CascadeValue, TileMemories};
use kiln_dsl::array::{FifoId, KernelId, Port, Tile};
use kiln_dsl::kernel::Loc;
use std::ops::Range;

/// Bytes of a word that a program reads from an object.
pub(super) const WORD_BYTES: u32 = 4;

/// A word of an object that the program keeps, by position among the core's words.
#[derive(Clone, Copy, Debug)]
pub struct Word(pub u32);

/// A word to read once its object is acquired; it lies inside the object.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// Where it is kept.
    pub word: Word,
    /// Position of the object among the core's.
    pub object: u32,
    /// Byte offset in it.
    pub offset: u32,
}

/// A trip count.
#[derive(Clone, Copy, Debug)]
pub enum Trips {
    /// For ever.
    Forever,
    /// A constant.
    Const(u64),
    /// A word; negative runs zero times.
    Word(Word),
}

/// An argument before its object is known.
#[derive(Clone, Copy, Debug)]
pub enum Argument {
    /// A part of an acquired object.
    Object {
        /// Position of the object among the core's.
        object: u32,
        /// First byte.
        offset: u32,
        /// Size.
        bytes: u32,
    },
    /// A value known from the start: memory at a fixed place, or a constant.
    Fixed(ArgValue),
    /// A word.
    Word(Word),
}

/// An instruction of a flat program. Ranges and targets are positions in [`Program`]'s lists.
#[derive(Clone, Debug)]
pub enum Op {
    /// Enters a loop, or jumps behind it.
    Loop {
        /// How often.
        trips: Trips,
        /// The instruction behind its end.
        exit: usize,
    },
    /// The end of the innermost loop's body.
    EndLoop,
    /// Continues elsewhere.
    Jump(usize),
    /// Continues at the case of a word.
    Switch {
        /// The word.
        on: Word,
        /// Value and target.
        cases: Vec<(i64, usize)>,
        /// Target otherwise.
        default: usize,
    },
    /// Takes `take` objects of an end and binds the oldest held.
    Acquire {
        /// Position in [`Program::ends`].
        end: usize,
        /// Objects bound, oldest first: range of [`Program::bound`].
        objects: Range<usize>,
        /// How many to take now.
        take: u32,
        /// Position in [`Program::locs`].
        site: u32,
    },
    /// Reads words of objects that are acquired: range of [`Program::reads`].
    Read(Range<usize>),
    /// Gives back the oldest `count` objects of an end.
    Release {
        /// Position in [`Program::ends`].
        end: usize,
        /// How many.
        count: u32,
        /// Position in [`Program::locs`].
        site: u32,
    },
    /// Runs a kernel.
    Call {
        /// Which.
        kernel: KernelId,
        /// Range of [`Program::args`].
        args: Range<usize>,
        /// Position in [`Program::locs`].
        site: u32,
    },
}

/// The end of a FIFO at a core.
#[derive(Clone, Debug)]
pub struct End {
    /// Dense index of the tile that holds the buffers.
    pub memory: usize,
    /// Addresses of the buffers in rotation.
    pub addresses: Vec<u32>,
    /// Taken by acquire.
    pub acquire: LockId,
    /// Given by release.
    pub release: LockId,
    /// What one object counts in these locks.
    pub tokens: u32,
    /// FIFO, for messages.
    pub fifo: FifoId,
    /// Which end it is, for messages.
    pub port: Port,
    /// Cycles of the core to find an acquired object.
    pub access: Cycles,
    /// Cycles of the core to move on after a release.
    pub advance: Cycles,
}

/// A core's program.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Instructions; past the last the core stops.
    pub ops: Vec<Op>,
    /// FIFO ends.
    pub ends: Vec<End>,
    /// Objects that acquires bind.
    pub bound: Vec<u32>,
    /// Arguments of calls.
    pub args: Vec<Argument>,
    /// Words to read.
    pub reads: Vec<Read>,
    /// Where the author wrote each acquire, release and call.
    pub locs: Vec<Loc>,
    /// Number of objects.
    pub objects: usize,
    /// Number of words.
    pub words: usize,
}

/// What a core does next that takes time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Takes a lock.
    Acquire(LockOp),
    /// Gives a lock.
    Release(LockOp),
    /// Runs a kernel; the arguments are in [`Core::values`].
    Call(KernelId),
    /// Nothing any more.
    Stop,
}

#[derive(Clone, Copy, Debug, Default)]
struct Binding {
    tile: usize,
    address: u32,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    start: usize,
    exit: usize,
    /// Iterations left with the present one; `None` for ever.
    left: Option<u64>,
    /// The present one, from 1.
    turn: u64,
    /// `Core::done` when the iteration began.
    done: u64,
}

/// Counters of a core.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Cycles in kernels.
    pub busy_cycles: u64,
    /// Cycles waiting for locks.
    pub lock_stall_cycles: u64,
    /// Cycles waiting for the cascade.
    pub cascade_stall_cycles: u64,
    /// Cycles of acquires and releases without waiting.
    pub lock_op_cycles: u64,
    /// Kernel calls.
    pub calls: u64,
    /// Multiply-accumulates.
    pub macs: u64,
}

/// A call that waits for the cascade; its arguments are in [`Core::values`].
#[derive(Clone, Debug)]
pub struct Blocked {
    /// The kernel.
    pub kernel: KernelId,
    /// The read that found nothing.
    pub site: Box<Site>,
    /// Since when.
    pub since: Cycles,
}

/// A core in execution.
#[derive(Clone, Debug)]
pub struct Core {
    /// Where.
    pub tile: Tile,
    /// Arguments of the call in progress.
    pub values: Vec<ArgValue>,
    /// The acquire that waits, as position in `Program::ends`.
    pub waiting_end: Option<usize>,
    /// Tile and address of the words read since the last step, to check.
    pub words_read: Vec<(usize, u32)>,
    /// What has come by the cascade.
    pub cascade: Cascade,
    /// What the call in progress has written to the cascade.
    pub sent: Vec<CascadeValue>,
    /// The core that reads what this one writes.
    pub reader: Option<u32>,
    /// The call that waits for the cascade.
    pub blocked: Option<Blocked>,
    /// Counters.
    pub counters: Counters,
    /// The acquire, release or call in progress, by position among [`Core::locs`].
    pub site: u32,
    /// Cycles that finding objects and moving on cost, to be added to the step that comes.
    pub overhead: Cycles,
    program: Program,
    pc: usize,
    frames: Vec<Frame>,
    objects: Vec<Binding>,
    words: Vec<i32>,
    /// Position in the rotation of the oldest held object, by end.
    heads: Vec<usize>,
    /// Steps that took time.
    done: u64,
}

impl Core {
    /// At the start of a program.
    pub fn new(tile: Tile, program: Program) -> Core {
        Core {
            tile,
            values: Vec::new(),
            waiting_end: None,
            words_read: Vec::new(),
            cascade: Cascade::default(),
            sent: Vec::new(),
            reader: None,
            blocked: None,
            counters: Counters::default(),
            site: 0,
            overhead: 0,
            pc: 0,
            frames: Vec::new(),
            objects: vec![Binding::default(); program.objects],
            words: vec![0; program.words],
            heads: vec![0; program.ends.len()],
            done: 0,
            program,
        }
    }

    /// An end of a FIFO.
    pub fn end(&self, end: usize) -> &End {
        &self.program.ends[end]
    }

    /// Its FIFO ends.
    pub fn ends(&self) -> &[End] {
        &self.program.ends
    }

    /// Where the author wrote each of its acquires, releases and calls.
    pub fn locs(&self) -> &[Loc] {
        &self.program.locs
    }

    /// The kernel called at a site, if a call is there.
    pub fn call_at(&self, at: u32) -> Option<KernelId> {
        self.program.ops.iter().find_map(|op| match op {
            Op::Call { kernel, site, .. } if *site == at => Some(*kernel),
            _ => None,
        })
    }

    /// Where the author wrote what is in progress.
    pub fn loc(&self) -> Loc {
        self.program.locs.get(self.site as usize).cloned().unwrap_or(Loc::UNKNOWN)
    }

    /// Whether its program has ended.
    pub fn ended(&self) -> bool {
        self.pc >= self.program.ops.len() && self.waiting_end.is_none() && self.blocked.is_none()
    }

    /// The iteration of each loop it is in, from 1, outermost first.
    pub fn turns(&self) -> Vec<u64> {
        self.frames.iter().map(|f| f.turn).collect()
    }

    /// Runs what takes no time up to the next step that does.
    pub fn step(&mut self, tiles: &TileMemories) -> Step {
        loop {
            let Some(op) = self.program.ops.get(self.pc) else { return Step::Stop };
            self.pc += 1;
            match op {
                Op::Loop { trips, exit } => {
                    let left = match *trips {
                        Trips::Forever => None,
                        Trips::Const(n) => Some(n),
                        Trips::Word(word) => Some(u64::try_from(self.words[word.0 as usize]).unwrap_or(0)),
                    };
                    if left == Some(0) {
                        self.pc = *exit;
                    } else {
                        self.frames.push(Frame {
                            start: self.pc,
                            exit: *exit,
                            left,
                            turn: 1,
                            done: self.done,
                        });
                    }
                }
                Op::EndLoop => {
                    let Some(frame) = self.frames.last_mut() else { continue };
                    // An iteration that took no time changed nothing: all others are like it.
                    let idle = frame.done == self.done;
                    if idle && frame.left.is_none() {
                        self.pc = usize::MAX;
                        return Step::Stop;
                    }
                    frame.left = frame.left.map(|n| if idle { 0 } else { n - 1 });
                    if frame.left == Some(0) {
                        self.pc = frame.exit;
                        self.frames.pop();
                    } else {
                        frame.done = self.done;
                        frame.turn += 1;
                        self.pc = frame.start;
                    }
                }
                Op::Jump(target) => self.pc = *target,
                Op::Switch { on, cases, default } => {
                    let value = i64::from(self.words[on.0 as usize]);
                    self.pc = cases.iter().find(|c| c.0 == value).map_or(*default, |c| c.1);
                }
                Op::Acquire { end: at, objects, take, site } => {
                    let end = &self.program.ends[*at];
                    self.overhead += end.access * objects.len() as Cycles;
                    for (i, &object) in self.program.bound[objects.clone()].iter().enumerate() {
                        let address = end.addresses[(self.heads[*at] + i) % end.addresses.len()];
                        self.objects[object as usize] = Binding { tile: end.memory, address };
                    }
                    if *take > 0 {
                        self.done += 1;
                        self.waiting_end = Some(*at);
                        self.site = *site;
                        return Step::Acquire(LockOp { lock: end.acquire, count: *take * end.tokens });
                    }
                }
                Op::Read(reads) => {
                    for read in &self.program.reads[reads.clone()] {
                        let object = self.objects[read.object as usize];
                        let address = object.address + read.offset;
                        self.words_read.push((object.tile, address));
                        let bytes = tiles.get(object.tile, address, WORD_BYTES);
                        // Inside the memory: `build` checked the buffers, `program` the words.
                        if let Some(word) = bytes.and_then(|b| b.first_chunk::<4>()) {
                            self.words[read.word.0 as usize] = i32::from_le_bytes(*word);
                        }
                    }
                }
                Op::Release { end: at, count, site } => {
                    let end = &self.program.ends[*at];
                    self.site = *site;
                    self.overhead += end.advance;
                    self.heads[*at] = (self.heads[*at] + *count as usize) % end.addresses.len();
                    self.done += 1;
                    return Step::Release(LockOp { lock: end.release, count: *count * end.tokens });
                }
                Op::Call { kernel, args, site } => {
                    self.site = *site;
                    self.values.clear();
                    for argument in &self.program.args[args.clone()] {
                        self.values.push(match *argument {
                            Argument::Object { object, offset, bytes } => {
                                let object = self.objects[object as usize];
                                let address = object.address + offset;
                                ArgValue::Memory { tile: object.tile, address, bytes }
                            }
                            Argument::Fixed(value) => value,
                            Argument::Word(word) => ArgValue::I32(self.words[word.0 as usize]),
                        });
                    }
                    self.done += 1;
                    return Step::Call(*kernel);
                }
            }
        }
    }
}
