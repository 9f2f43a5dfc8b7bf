//! Vector clocks: what each agent knows to have happened.
//!
//! A lock is a queue of tokens, each with what its giver knew. An acquire takes the oldest tokens, not
//! all that are there: a buffer that the next token guards is not ordered by the present one, however
//! early it was given.

use super::super::agent::Agent;
use super::super::locks::LockOp;
use std::collections::VecDeque;
use std::rc::Rc;

/// What an agent knew at some point: for each agent, how far.
pub type Snapshot = Rc<[u32]>;

/// Tokens given together.
#[derive(Clone, Debug)]
struct Tokens {
    left: u32,
    /// `None` for those that a lock has from the start.
    known: Option<Snapshot>,
}

/// The clocks of all agents and the tokens in all locks.
#[derive(Clone, Debug)]
pub struct Clocks {
    cores: usize,
    channels: usize,
    clocks: Vec<Vec<u32>>,
    locks: Vec<VecDeque<Tokens>>,
}

impl Clocks {
    /// Agents that know nothing of each other, and locks with their initial tokens.
    pub fn new(cores: usize, channels: usize, locks: impl IntoIterator<Item = u32>) -> Clocks {
        let agents = cores + channels + 1;
        let clock = |agent| (0..agents).map(|a| u32::from(a == agent)).collect();
        let tokens = |left: u32| VecDeque::from([Tokens { left, known: None }]);
        Clocks {
            cores,
            channels,
            clocks: (0..agents).map(clock).collect(),
            locks: locks.into_iter().map(tokens).collect(),
        }
    }

    /// Dense index of an agent.
    pub fn index(&self, agent: Agent) -> usize {
        match agent {
            Agent::Core(core) => core as usize,
            Agent::Channel(channel) => self.cores + channel as usize,
            Agent::Controller => self.cores + self.channels,
        }
    }

    /// The agent of an index.
    pub fn agent(&self, index: usize) -> Agent {
        match index.checked_sub(self.cores) {
            None => Agent::Core(index as u32),
            Some(channel) if channel < self.channels => Agent::Channel(channel as u32),
            Some(_) => Agent::Controller,
        }
    }

    /// An agent's own time.
    pub fn now(&self, agent: usize) -> u32 {
        self.clocks[agent][agent]
    }

    /// Whether `agent` knows that `other` has passed its time `at`.
    pub fn knows(&self, agent: usize, other: usize, at: u32) -> bool {
        self.clocks[agent][other] >= at
    }

    /// What an agent knows, to pass on. What it does from now on is later than that.
    pub fn tell(&mut self, agent: usize) -> Snapshot {
        let known = Rc::from(&self.clocks[agent][..]);
        self.tick(agent);
        known
    }

    /// Makes what an agent does from now on later than what others know of it.
    pub fn tick(&mut self, agent: usize) {
        // Saturated, the agent's accesses pass for known: checks get weaker, nothing breaks.
        let own = &mut self.clocks[agent][agent];
        *own = own.saturating_add(1);
    }

    /// An agent learns what was told.
    pub fn learn(&mut self, agent: usize, known: &[u32]) {
        for (mine, theirs) in self.clocks[agent].iter_mut().zip(known) {
            *mine = (*mine).max(*theirs);
        }
    }

    /// An agent learns all that another knows.
    pub fn learn_from(&mut self, agent: usize, other: usize) {
        let known = std::mem::take(&mut self.clocks[other]);
        self.learn(agent, &known);
        self.clocks[other] = known;
    }

    /// Gives tokens.
    pub fn release(&mut self, agent: usize, op: LockOp) {
        let known = Some(self.tell(agent));
        self.locks[op.lock.0 as usize].push_back(Tokens { left: op.count, known });
    }

    /// Takes the oldest tokens.
    pub fn acquire(&mut self, agent: usize, op: LockOp) {
        let mut need = op.count;
        while need > 0 {
            let Some(oldest) = self.locks[op.lock.0 as usize].front_mut() else { return };
            let taken = need.min(oldest.left);
            oldest.left -= taken;
            need -= taken;
            let (known, empty) = (oldest.known.clone(), oldest.left == 0);
            if empty {
                self.locks[op.lock.0 as usize].pop_front();
            }
            if let Some(known) = known {
                self.learn(agent, &known);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::locks::LockId;
    use super::{Clocks, LockOp};

    #[test]
    fn an_acquire_learns_of_the_release_whose_token_it_takes() {
        let op = |count| LockOp { lock: LockId(0), count };
        let mut clocks = Clocks::new(2, 0, [1]);
        let (giver, taker) = (0, 1);
        let [first, second] = [(); 2].map(|()| {
            let at = clocks.now(giver);
            clocks.release(giver, op(1));
            at
        });
        clocks.acquire(taker, op(1));
        assert!(!clocks.knows(taker, giver, first), "a token that was there from the start");
        clocks.acquire(taker, op(1));
        assert!(clocks.knows(taker, giver, first) && !clocks.knows(taker, giver, second));
        clocks.acquire(taker, op(1));
        assert!(clocks.knows(taker, giver, second) && !clocks.knows(taker, giver, clocks.now(giver)));
    }
}
