//! The builder of the runtime sequence.

use super::DesignBuilder;
use crate::array::ir::{Fifo, FifoId, MemType, Tile};
use crate::kernel::Loc;
use crate::sequence::{Command, HostBuffer, HostBufferId, Sequence};
use std::cell::RefCell;

/// A copy that the controller has been told of and that no wait has covered yet.
struct InFlight {
    command: usize,
    fifo: FifoId,
    shim: Option<Tile>,
    /// Whether the author asked for its token, so that a wait may be for this copy.
    named: bool,
}

struct State {
    sequence: Sequence,
    in_flight: Vec<InFlight>,
    /// Copies of one FIFO that may be unawaited at once.
    pace: Option<usize>,
}

/// Builds the runtime sequence; see [`DesignBuilder::sequence`].
///
/// A copy takes the lowest BD of its shim tile that no unawaited copy uses.
pub struct SequenceBuilder<'d> {
    design: &'d DesignBuilder,
    state: RefCell<State>,
}

impl<'d> SequenceBuilder<'d> {
    pub(super) fn new(design: &'d DesignBuilder) -> SequenceBuilder<'d> {
        let sequence = design.state.borrow().sequence.clone();
        SequenceBuilder { design, state: RefCell::new(State { sequence, in_flight: Vec::new(), pace: None }) }
    }

    pub(super) fn finish(self) -> Sequence {
        self.state.into_inner().sequence
    }

    /// An argument of the sequence: a buffer in host memory.
    pub fn buffer(&self, name: impl Into<String>, ty: MemType) -> HostBufferId {
        let buffers = &mut self.state.borrow_mut().sequence.buffers;
        buffers.push(HostBuffer { name: name.into(), ty });
        HostBufferId((buffers.len() - 1) as u32)
    }

    /// From here on, a copy first waits until fewer than `copies` of its FIFO are unawaited: a
    /// channel's queue holds 4 tasks on AIE2 and loses the next one.
    pub fn keep_in_flight(&self, copies: usize) {
        self.state.borrow_mut().pace = Some(copies.max(1));
    }

    /// Starts an n-d copy between a host buffer and the shim end of a FIFO. Lists have four
    /// entries, outermost first, in elements of the buffer; `sizes[0]` repeats the whole.
    ///
    /// A copy that drains a FIFO always issues a token, as in the toolchain; one that feeds does when
    /// [`CopyRef::token`] or a wait asks for it.
    #[track_caller]
    pub fn copy(
        &self,
        buffer: HostBufferId,
        fifo: impl Into<FifoId>,
        offsets: [u64; 4],
        sizes: [u64; 4],
        strides: [u64; 4],
    ) -> CopyRef<'_, 'd> {
        let fifo = fifo.into();
        let (shim, drains) = match self.design.state.borrow().fifos.get(fifo.index()) {
            Some(f) => (shim_end(f), f.producer.row != 0),
            None => (None, false),
        };
        let state = &mut *self.state.borrow_mut();
        let loc = Loc::caller();
        if let Some(pace) = state.pace {
            while state.unawaited(fifo).len() >= pace {
                let oldest = state.unawaited(fifo)[0];
                state.await_command(fifo, oldest, loc.clone());
            }
        }
        let command = state.sequence.commands.len();
        let bd_id = state.free_bd(shim);
        state.in_flight.push(InFlight { command, fifo, shim, named: false });
        state.sequence.commands.push(Command::Copy {
            buffer,
            fifo,
            offsets,
            sizes,
            strides,
            bd_id,
            issue_token: drains,
            loc,
        });
        CopyRef { sequence: self, command }
    }

    /// Starts a copy of `len` contiguous elements from element `offset`.
    #[track_caller]
    pub fn copy_linear(
        &self,
        buffer: HostBufferId,
        fifo: impl Into<FifoId>,
        offset: u64,
        len: u64,
    ) -> CopyRef<'_, 'd> {
        self.copy(buffer, fifo, [0, 0, 0, offset], [1, 1, 1, len], [0, 0, 0, 1])
    }

    /// Waits for the oldest copy of the FIFO that [`CopyRef::token`] names, else for all its copies.
    ///
    /// A `dma_wait` takes one token, the oldest of the channel, so there is one for every token up
    /// to that copy.
    #[track_caller]
    pub fn wait(&self, fifo: impl Into<FifoId>) {
        let fifo = fifo.into();
        let state = &mut *self.state.borrow_mut();
        let mine: Vec<&InFlight> = state.in_flight.iter().filter(|c| c.fifo == fifo).collect();
        let awaited = mine.iter().find(|c| c.named).or(mine.last()).map(|c| c.command);
        match awaited {
            Some(awaited) => state.await_command(fifo, awaited, Loc::caller()),
            None => state.sequence.commands.push(Command::Wait { fifo, loc: Loc::caller() }),
        }
    }
}

impl State {
    /// Copies of a FIFO that no wait has covered, oldest first.
    fn unawaited(&self, fifo: FifoId) -> Vec<usize> {
        self.in_flight.iter().filter(|c| c.fifo == fifo).map(|c| c.command).collect()
    }

    /// Waits for a copy, and so for all before it on the same channel.
    fn await_command(&mut self, fifo: FifoId, command: usize, loc: Loc) {
        self.edit(command, |_, token| *token = true);
        let covered = self.unawaited(fifo).into_iter().filter(|&c| c <= command);
        let tokens = covered.filter(|&c| self.has_token(c)).count();
        self.in_flight.retain(|c| c.fifo != fifo || c.command > command);
        let wait = Command::Wait { fifo, loc };
        self.sequence.commands.extend(std::iter::repeat_n(wait, tokens));
    }

    /// Lowest BD that no copy in flight on the tile uses; past the tile's last one when all are
    /// taken, which verify refuses.
    fn free_bd(&self, shim: Option<Tile>) -> u8 {
        let used: Vec<u8> = self
            .in_flight
            .iter()
            .filter(|c| c.shim == shim)
            .filter_map(|c| match &self.sequence.commands[c.command] {
                Command::Copy { bd_id, .. } => Some(*bd_id),
                Command::Wait { .. } => None,
            })
            .collect();
        (0..=u8::MAX).find(|id| !used.contains(id)).unwrap_or(u8::MAX)
    }

    fn has_token(&self, command: usize) -> bool {
        matches!(self.sequence.commands[command], Command::Copy { issue_token: true, .. })
    }

    fn edit(&mut self, command: usize, change: impl FnOnce(&mut u8, &mut bool)) {
        if let Command::Copy { bd_id, issue_token, .. } = &mut self.sequence.commands[command] {
            change(bd_id, issue_token);
        }
    }
}

/// The handle of a copy just added.
pub struct CopyRef<'s, 'd> {
    sequence: &'s SequenceBuilder<'d>,
    command: usize,
}

impl CopyRef<'_, '_> {
    /// Uses this shim BD.
    pub fn bd(self, id: u8) -> Self {
        self.sequence.state.borrow_mut().edit(self.command, |bd, _| *bd = id);
        self
    }

    /// Issues a token at its end, for a later wait.
    pub fn token(self) -> Self {
        let state = &mut *self.sequence.state.borrow_mut();
        state.edit(self.command, |_, token| *token = true);
        state.in_flight.iter_mut().filter(|c| c.command == self.command).for_each(|c| c.named = true);
        self
    }
}

/// The shim tile of a FIFO with a shim end.
fn shim_end(fifo: &Fifo) -> Option<Tile> {
    std::iter::once(fifo.producer).chain(fifo.consumers.iter().copied()).find(|t| t.row == 0)
}
