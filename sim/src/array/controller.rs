//! The controller: executes the runtime sequence, pushes tasks to shim channels, waits for tokens.

use super::dma::Task;
use super::engine::Cycles;
use super::timing::ControllerCosts;
use kiln_dsl::array::lowered::Direction;

/// A command of the sequence over dense ids.
#[derive(Clone, Copy, Debug)]
pub enum Command {
    /// Writes a BD and pushes it to the queue of a channel.
    Push {
        /// Dense channel index.
        channel: u32,
        /// Its direction.
        direction: Direction,
        /// What it does.
        task: Task,
    },
    /// Waits for the oldest unawaited token of a channel.
    Wait {
        /// Dense channel index.
        channel: u32,
    },
}

/// What the controller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Is done with its command at that time; call [`Controller::complete`] then.
    Busy(Cycles),
    /// Waits for a token.
    Blocked,
    /// The sequence is done.
    Finished,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    Push,
    Wait,
}

/// The controller and where it is in the sequence.
#[derive(Clone, Debug)]
pub struct Controller {
    costs: ControllerCosts,
    commands: Vec<Command>,
    at: usize,
    before: Before,
    waited: bool,
    blocked: bool,
    busy_cycles: Cycles,
    /// Times of tokens not awaited yet, by channel, oldest first.
    tokens: Vec<std::collections::VecDeque<Cycles>>,
}

impl Controller {
    /// Before the first command of a sequence.
    pub fn new(commands: Vec<Command>, channels: usize, costs: ControllerCosts) -> Controller {
        Controller {
            costs,
            commands,
            at: 0,
            before: Before::Nothing,
            waited: false,
            blocked: false,
            busy_cycles: 0,
            tokens: vec![Default::default(); channels],
        }
    }

    /// Position of the command in progress.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Cycles spent on commands, waiting for tokens apart.
    pub fn busy_cycles(&self) -> Cycles {
        self.busy_cycles
    }

    /// The channel whose token it waits for.
    pub fn waits_for(&self) -> Option<u32> {
        match self.commands.get(self.at) {
            Some(Command::Wait { channel }) if self.blocked => Some(*channel),
            _ => None,
        }
    }

    /// Starts the command in line.
    pub fn start(&mut self, now: Cycles) -> Action {
        let Some(command) = self.commands.get(self.at) else { return Action::Finished };
        match *command {
            Command::Push { direction, .. } => {
                let cost = match (self.before, direction) {
                    (Before::Nothing, _) => self.costs.push_cold,
                    (Before::Push, _) => self.costs.push_next,
                    (Before::Wait, Direction::Mm2s) => self.costs.push_mm2s,
                    (Before::Wait, Direction::S2mm) => self.costs.push_s2mm,
                };
                self.busy_cycles += cost;
                Action::Busy(now + cost)
            }
            Command::Wait { channel } => {
                let Some(token) = self.tokens[channel as usize].pop_front() else {
                    self.blocked = true;
                    return Action::Blocked;
                };
                self.blocked = false;
                let cost = if self.waited { self.costs.wait_later } else { self.costs.wait_first };
                let end = if self.waited { now.max(token) + cost } else { now.max(token + cost) };
                self.waited = true;
                self.busy_cycles += end - now;
                Action::Busy(end)
            }
        }
    }

    /// Ends the command in progress; returns the task to push to a channel.
    pub fn complete(&mut self) -> Option<(u32, Task)> {
        let command = self.commands.get(self.at).copied()?;
        self.at += 1;
        match command {
            Command::Push { channel, task, .. } => {
                self.before = Before::Push;
                Some((channel, task))
            }
            Command::Wait { .. } => {
                self.before = Before::Wait;
                None
            }
        }
    }

    /// Takes a token; says whether the controller was waiting for it (then [`Controller::start`]).
    pub fn token(&mut self, channel: u32, now: Cycles) -> bool {
        self.tokens[channel as usize].push_back(now);
        self.waits_for() == Some(channel)
    }
}
