//! The event queue: simulated time, and simultaneous events in the order they were scheduled.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A point in time or a duration, in array cycles.
pub type Cycles = u64;

#[derive(Clone, Copy, Debug)]
struct Scheduled<E> {
    at: Cycles,
    order: u64,
    event: E,
}

impl<E> PartialEq for Scheduled<E> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl<E> Eq for Scheduled<E> {}

impl<E> PartialOrd for Scheduled<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Scheduled<E> {
    /// Reversed, so that the heap's greatest is the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// Simulated time and what is still to happen.
#[derive(Debug)]
pub struct Engine<E> {
    now: Cycles,
    scheduled: u64,
    processed: u64,
    heap: BinaryHeap<Scheduled<E>>,
}

impl<E> Default for Engine<E> {
    fn default() -> Engine<E> {
        Engine { now: 0, scheduled: 0, processed: 0, heap: BinaryHeap::new() }
    }
}

impl<E> Engine<E> {
    /// The time of the event in progress.
    pub fn now(&self) -> Cycles {
        self.now
    }

    /// Events handed out so far.
    pub fn processed(&self) -> u64 {
        self.processed
    }

    /// Schedules an event; a time that has passed means now, after what is already due.
    pub fn schedule(&mut self, at: Cycles, event: E) {
        self.heap.push(Scheduled { at: at.max(self.now), order: self.scheduled, event });
        self.scheduled += 1;
    }

    /// Advances time to the earliest event and takes it; `None` when nothing is left to happen.
    pub fn next(&mut self) -> Option<E> {
        let next = self.heap.pop()?;
        self.now = next.at;
        self.processed += 1;
        Some(next.event)
    }
}

#[cfg(test)]
mod tests {
    use super::Engine;

    #[test]
    fn simultaneous_events_come_in_the_order_they_were_scheduled() {
        let mut engine = Engine::default();
        for (at, event) in [(5, 'c'), (3, 'a'), (5, 'd'), (3, 'b')] {
            engine.schedule(at, event);
        }
        let mut seen = Vec::new();
        while let Some(event) = engine.next() {
            seen.push((engine.now(), event));
            if event == 'c' {
                engine.schedule(0, 'e'); // in the past: now, but behind 'd'
            }
        }
        assert_eq!(seen, [(3, 'a'), (3, 'b'), (5, 'c'), (5, 'd'), (5, 'e')]);
    }
}
