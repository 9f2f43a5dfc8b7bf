//! Who waits for whom, and how long.

use super::agent::Agent;
use super::engine::Cycles;
use std::collections::BTreeMap;

/// Cycles that each agent has waited for each other.
#[derive(Clone, Debug, Default)]
pub struct Waits(BTreeMap<(Agent, Agent), Cycles>);

impl Waits {
    /// Counts a wait of `who` that `whom` ended.
    pub fn add(&mut self, who: Agent, whom: Agent, cycles: Cycles) {
        if cycles > 0 {
            *self.0.entry((who, whom)).or_default() += cycles;
        }
    }
}
