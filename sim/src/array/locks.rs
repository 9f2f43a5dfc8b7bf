//! Semaphore locks: values, and who waits for them.

use super::agent::Agent;
use super::engine::Cycles;
use std::collections::VecDeque;

/// A lock by position among all locks of the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockId(pub u32);

/// A lock and how much of it: what an acquire takes or a release gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockOp {
    /// Which lock.
    pub lock: LockId,
    /// How much.
    pub count: u32,
}

/// A request that is not granted yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Who.
    pub waiter: Agent,
    /// How much.
    pub count: u32,
    /// Since when.
    pub since: Cycles,
}

#[derive(Clone, Debug, Default)]
struct State {
    value: u32,
    waiting: VecDeque<Pending>,
}

/// All locks of the array.
#[derive(Clone, Debug)]
pub struct Locks {
    states: Vec<State>,
    max_value: u32,
}

/// A release took a lock above what it can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow {
    /// The value it would have.
    pub value: u32,
    /// The greatest it can hold.
    pub max_value: u32,
}

impl Locks {
    /// Locks with their initial values; none may exceed `max_value`.
    pub fn new(initial: impl IntoIterator<Item = u32>, max_value: u32) -> Locks {
        let states = initial.into_iter().map(|value| State { value, waiting: VecDeque::new() });
        Locks { states: states.collect(), max_value }
    }

    /// Present value.
    pub fn value(&self, lock: LockId) -> u32 {
        self.states[lock.0 as usize].value
    }

    /// Present values of all locks.
    pub fn values(&self) -> impl Iterator<Item = u32> + '_ {
        self.states.iter().map(|s| s.value)
    }

    /// Acquire greater-equal: takes `count` if the value is at least that, else queues the waiter.
    /// Says whether it was granted.
    pub fn acquire(&mut self, op: LockOp, waiter: Agent, now: Cycles) -> bool {
        let state = &mut self.states[op.lock.0 as usize];
        if state.value >= op.count {
            state.value -= op.count;
            return true;
        }
        state.waiting.push_back(Pending { waiter, count: op.count, since: now });
        false
    }

    /// Adds to a lock. Call [`Locks::grant`] until it returns `None` afterwards.
    pub fn release(&mut self, op: LockOp) -> Result<(), Overflow> {
        let state = &mut self.states[op.lock.0 as usize];
        let value = state.value + op.count;
        if value > self.max_value {
            return Err(Overflow { value, max_value: self.max_value });
        }
        state.value = value;
        Ok(())
    }

    /// Serves the longest waiting request that the value satisfies.
    pub fn grant(&mut self, lock: LockId) -> Option<Pending> {
        let state = &mut self.states[lock.0 as usize];
        let at = state.waiting.iter().position(|p| p.count <= state.value)?;
        let granted = state.waiting.remove(at)?;
        state.value -= granted.count;
        Some(granted)
    }

    /// Requests not granted, by lock.
    pub fn waiting(&self) -> impl Iterator<Item = (LockId, Pending)> + '_ {
        let locks = self.states.iter().enumerate();
        locks.flat_map(|(i, s)| s.waiting.iter().map(move |&p| (LockId(i as u32), p)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Agent, LockId, LockOp, Locks, Overflow};

    const LOCK: LockId = LockId(0);

    fn op(count: u32) -> LockOp {
        LockOp { lock: LOCK, count }
    }

    #[test]
    fn acquire_takes_or_queues_and_release_serves_in_order() {
        let mut locks = Locks::new([1], 63);
        assert!(locks.acquire(op(1), Agent::Core(0), 5));
        assert!(!locks.acquire(op(2), Agent::Core(1), 6));
        assert!(!locks.acquire(op(1), Agent::Channel(2), 7));
        locks.release(op(1)).unwrap();
        // The first in line needs two; the one behind it is satisfied now.
        let granted = locks.grant(LOCK).unwrap();
        assert_eq!((granted.waiter, granted.since), (Agent::Channel(2), 7));
        assert_eq!(locks.grant(LOCK), None);
        locks.release(op(2)).unwrap();
        assert_eq!(locks.grant(LOCK).unwrap().waiter, Agent::Core(1));
        assert_eq!(locks.value(LOCK), 0);
    }

    #[test]
    fn a_lock_holds_no_more_than_its_maximum() {
        let mut locks = Locks::new([63], 63);
        assert_eq!(locks.release(op(1)), Err(Overflow { value: 64, max_value: 63 }));
    }
}
