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

    /// The channel whose token the command in progress has taken.
    pub fn awaited(&self) -> Option<u32> {
        match self.commands.get(self.at) {
            Some(Command::Wait { channel }) if !self.blocked => Some(*channel),
            _ => None,
        }
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
            Command::Push { direction, task, .. } => {
                let cost = match (self.before, direction) {
                    (Before::Nothing, _) => self.costs.push_cold,
                    (Before::Push, _) => self.costs.push_after_push(task.token),
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

#[cfg(test)]
mod tests {
    use super::{Action, Command, Controller};
    use crate::array::dma::Task;
    use crate::array::memory::Walk;
    use crate::array::timing::ControllerCosts;
    use kiln_dsl::array::lowered::Direction;

    const COSTS: ControllerCosts = ControllerCosts {
        push_cold: 1000,
        push_mm2s: 300,
        push_s2mm: 400,
        push_next: 50,
        push_writes: 40,
        token_write: 30,
        wait_first: 7000,
        wait_later: 2,
    };

    fn push(direction: Direction, token: bool) -> Command {
        let walk = Walk::linear(0, 4);
        let task = Task { buffer: 0, walk, run_words: 1, runs: 1, run_stride_bytes: 0, token, command: 0 };
        Command::Push { channel: 0, direction, task }
    }

    #[test]
    fn commands_cost_what_comes_before_them_makes_them() {
        let wait = Command::Wait { channel: 1 };
        let (read, write) = (push(Direction::Mm2s, false), push(Direction::S2mm, true));
        let mut controller = Controller::new(vec![read, read, wait, write, wait, read, write], 2, COSTS);
        assert_eq!(controller.start(10), Action::Busy(1010), "the first push is cold");
        assert!(controller.complete().is_some());
        assert_eq!(controller.start(1010), Action::Busy(1060), "a push follows a push");
        assert!(controller.complete().is_some());
        assert_eq!(controller.start(1060), Action::Blocked);
        assert_eq!(controller.waits_for(), Some(1));
        assert!(!controller.token(0, 2000), "a token of another channel");
        assert!(controller.token(1, 3000));
        assert_eq!(
            controller.start(3000),
            Action::Busy(10_000),
            "the first wait takes the token's whole way"
        );
        assert!(controller.complete().is_none());
        assert!(!controller.token(1, 9000), "not waited for yet");
        assert_eq!(controller.start(10_000), Action::Busy(10_400), "a push after a wait");
        assert!(controller.complete().is_some());
        assert_eq!(controller.start(10_400), Action::Busy(10_402), "the token is there");
        assert!(controller.complete().is_none());
        assert_eq!(controller.start(10_402), Action::Busy(10_702));
        assert!(controller.complete().is_some());
        assert_eq!(controller.start(10_702), Action::Busy(10_772), "a push with the token's register");
        assert!(controller.complete().is_some());
        assert_eq!(controller.start(10_772), Action::Finished);
        assert_eq!(controller.busy_cycles(), 1000 + 50 + 7000 + 400 + 2 + 300 + 70);
    }
}
