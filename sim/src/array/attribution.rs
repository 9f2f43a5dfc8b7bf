//! Who waits for whom and how long, and what is at the end of such a chain: the bottleneck.

use super::agent::Agent;
use super::dma::WORD_BYTES;
use super::engine::Cycles;
use super::error::channel_name;
use super::machine::Machine;
use crate::report::{Bottleneck, Limit};
use kiln_dsl::array::Port;
use kiln_dsl::array::lowered::Direction;
use kiln_dsl::device::TileKind;
use std::collections::BTreeMap;

/// What an agent waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum For {
    /// A core: objects of one of its FIFO ends, by position.
    Objects(u32),
    /// A core: values of the cascade.
    Cascade,
    /// A channel: the lock of its BD.
    Lock,
    /// A channel: the other ends of its stream.
    Stream,
    /// A channel: host memory.
    Memory,
    /// A shim channel: a task.
    Task,
    /// The controller: a token.
    Token,
}

/// Cycles that each agent has waited for each other. An agent that waits for itself waits for what
/// has no agent, as host memory.
#[derive(Clone, Debug, Default)]
pub struct Waits(BTreeMap<(Agent, For, Agent), Cycles>);

impl Waits {
    /// Counts a wait of `who` that `whom` ended.
    #[inline]
    pub fn add(&mut self, who: Agent, what: For, whom: Agent, cycles: Cycles) {
        if cycles > 0 {
            *self.0.entry((who, what, whom)).or_default() += cycles;
        }
    }

    /// Waits of one agent.
    fn of(&self, who: Agent) -> impl Iterator<Item = (For, Agent, Cycles)> + '_ {
        let least = (who, For::Objects(0), Agent::Core(0));
        self.0.range(least..).take_while(move |w| w.0.0 == who).map(|(&(_, what, whom), &c)| (what, whom, c))
    }

    /// Whom an agent waits for most, for one thing or for anything.
    fn most(&self, who: Agent, only: Option<For>) -> Option<(Agent, Cycles)> {
        let mut sums: BTreeMap<Agent, Cycles> = BTreeMap::new();
        for (_, whom, cycles) in self.of(who).filter(|w| only.is_none_or(|o| o == w.0)) {
            *sums.entry(whom).or_default() += cycles;
        }
        // The first of equals.
        sums.into_iter().rev().max_by_key(|s| s.1)
    }
}

/// Cores below this share of waiting are not worth a line.
const WORTH: f64 = 0.01;

impl Machine<'_, '_> {
    /// For each cause of waiting, the core that waits longest for it, longest first.
    ///
    /// From a core's longest wait the search goes to the agent that ended most of it, and on from
    /// there as long as that one has itself waited for another longer than it worked.
    pub(super) fn bottlenecks(&self, cycles: Cycles) -> Vec<Bottleneck> {
        let mut causes: BTreeMap<Agent, (Bottleneck, u32)> = BTreeMap::new();
        for at in 0..self.array.cores.len() as u32 {
            let who = Agent::Core(at);
            let mut ends: BTreeMap<For, Cycles> = BTreeMap::new();
            for (what, _, waited) in self.waits.of(who) {
                *ends.entry(what).or_default() += waited;
            }
            let Some((what, waited)) = ends.into_iter().rev().max_by_key(|e| e.1) else { continue };
            let share = waited as f64 / cycles.max(1) as f64;
            if share < WORTH {
                continue;
            }
            let chain = self.chain(who, what);
            let Some(&cause) = chain.last() else { continue };
            let found = Bottleneck {
                core: self.array.cores[at as usize].tile,
                cores: 1,
                wait_share: share,
                waits_for: self.waited_for(at, what),
                chain: chain.iter().map(|&a| self.agent_name(a)).collect(),
                limit: self.limit(cause, cycles),
            };
            match causes.get_mut(&cause) {
                Some((known, cores)) => {
                    *cores += 1;
                    if found.wait_share > known.wait_share {
                        *known = found;
                    }
                }
                None => {
                    causes.insert(cause, (found, 1));
                }
            }
        }
        let mut all: Vec<Bottleneck> =
            causes.into_values().map(|(b, cores)| Bottleneck { cores, ..b }).collect();
        all.sort_by(|a, b| b.wait_share.total_cmp(&a.wait_share));
        all
    }

    /// Whom a core waits for, whom that one waits for, and so on to one that works.
    fn chain(&self, who: Agent, what: For) -> Vec<Agent> {
        let mut chain = vec![who];
        let mut next = self.waits.most(who, Some(what));
        while let Some((at, _)) = next.filter(|n| !chain.contains(&n.0)) {
            let before = chain.last().copied();
            chain.push(at);
            // What it works counts against what it waits for one other.
            next = self.waits.most(at, None).filter(|n| n.1 > self.works(at));
            if next.is_none_or(|n| n.0 == at) {
                // Words move at both ends of a stream: the cause is at the far one, or behind it.
                next = self.far_end(at).filter(|far| Some(*far) != before).map(|far| (far, 0));
            }
        }
        chain.remove(0);
        chain
    }

    /// The other end of a channel's stream.
    fn far_end(&self, agent: Agent) -> Option<Agent> {
        let Agent::Channel(at) = agent else { return None };
        let flow = self.array.flows.get(self.array.channels[at as usize].flow as usize)?;
        let far = if flow.source == at { flow.destinations.first()?.channel } else { flow.source };
        Some(Agent::Channel(far))
    }

    /// Cycles in which an agent did its own work.
    fn works(&self, agent: Agent) -> Cycles {
        match agent {
            Agent::Core(at) => {
                let c = &self.array.cores[at as usize].counters;
                c.busy_cycles + c.lock_op_cycles
            }
            Agent::Channel(at) => self.array.channels[at as usize].counters.moving_cycles,
            Agent::Controller => self.controller.busy_cycles(),
        }
    }

    fn waited_for(&self, core: u32, what: For) -> String {
        let For::Objects(end) = what else { return "the cascade".to_owned() };
        let end = self.array.cores[core as usize].end(end as usize);
        let fifo = self.design.fifos.get(end.fifo.index());
        let name = fifo.map_or_else(|| end.fifo.to_string(), |f| f.name.clone());
        match end.port {
            Port::Consume => format!("FIFO {name}"),
            Port::Produce => format!("room in FIFO {name}"),
        }
    }

    fn agent_name(&self, agent: Agent) -> String {
        match agent {
            Agent::Core(at) => format!("core {}", self.array.cores[at as usize].tile),
            Agent::Controller => "the controller".to_owned(),
            Agent::Channel(at) => {
                let channel = &self.array.channels[at as usize];
                let tile = self.array.tiles[channel.tile as usize];
                let kind = match channel.kind {
                    TileKind::Shim => "shim",
                    TileKind::Mem => "mem tile",
                    TileKind::Core => "tile",
                };
                format!("{} of {kind} {tile} (FIFO {})", channel_name(channel.name), self.fifo_name(at))
            }
        }
    }

    /// What the last of a chain does, with its share of the time.
    fn limit(&self, agent: Agent, cycles: Cycles) -> Limit {
        let share = self.works(agent) as f64 / cycles.max(1) as f64;
        match agent {
            Agent::Core(at) => Limit::Core { tile: self.array.cores[at as usize].tile, share },
            Agent::Controller => Limit::Controller { share },
            Agent::Channel(at) => {
                let channel = &self.array.channels[at as usize];
                let moving = channel.counters.moving_cycles.max(1) as f64;
                Limit::Channel {
                    tile: self.array.tiles[channel.tile as usize],
                    channel: channel.name,
                    delivers: channel.name.direction == Direction::Mm2s,
                    bytes_per_cycle: (channel.counters.words * WORD_BYTES) as f64 / moving,
                    port_bytes_per_cycle: (self.words_per_cycle() * WORD_BYTES) as f64,
                    host_memory_share: self.memory_wait(agent) as f64 / moving,
                    share,
                }
            }
        }
    }

    /// Cycles that a channel's words took longer for host memory.
    fn memory_wait(&self, agent: Agent) -> Cycles {
        self.waits.of(agent).filter(|w| w.0 == For::Memory).map(|w| w.2).sum()
    }
}
