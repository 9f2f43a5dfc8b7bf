//! Who waits for what when nothing can move, and the circle that they form.
//!
//! Every agent waits for others: for a lock, those that could release it; in a stream, the ends that
//! are not ready; for a task, the controller; for a token, the channel. From whoever the host waits
//! for, following these edges leads into a circle, or to one that has nothing left to do.

mod remedy;
mod waiting;

pub(super) use remedy::{Case, find as find_remedy};
pub use remedy::{Change, Remedy};
pub use waiting::Waiting;
pub(super) use waiting::describe;

use super::agent::Agent;
use super::dma::{Program, State};
use super::engine::Cycles;
use super::error::SimError;
use super::locks::{LockId, Pending};
use super::machine::Machine;
use kiln_dsl::array::{Port, Tile};
use kiln_dsl::kernel::Loc;
use std::collections::BTreeMap;

/// What one agent waits for.
struct Wait {
    told: Waiting,
    on: Vec<Agent>,
}

impl Machine<'_, '_> {
    /// The deadlock found at `cycle`.
    pub(super) fn deadlock(&self, cycle: Cycles) -> SimError {
        let waits = self.waits_now();
        let circle = circle(&waits);
        let told = |agents: &[Agent]| -> Vec<Waiting> {
            agents.iter().filter_map(|a| waits.get(a)).map(|w| w.told.clone()).collect()
        };
        let closed = circle.closed;
        let others: Vec<Agent> = waits.keys().filter(|a| !circle.agents.contains(a)).copied().collect();
        // Channels without a task and cores at the end of their program are of interest only as the
        // end of a chain.
        let mut others = told(&others);
        others.retain(|w| !matches!(w, Waiting::Task { .. } | Waiting::Ended { .. }));
        SimError::Deadlock { cycle, circle: told(&circle.agents), closed, others, remedy: None }
    }

    fn waits_now(&self) -> BTreeMap<Agent, Wait> {
        let mut waits = BTreeMap::new();
        for (lock, pending) in self.array.locks.waiting() {
            let told = self.lock_wait(lock, pending);
            waits.insert(pending.waiter, Wait { told, on: self.releasers(lock) });
        }
        for (at, core) in self.array.cores.iter().enumerate() {
            let agent = Agent::Core(at as u32);
            if let Some(blocked) = &core.blocked {
                let from = self.design.cascades.iter().find(|c| c.to == core.tile).map(|c| c.from);
                let told = Waiting::Cascade {
                    tile: core.tile,
                    from: from.unwrap_or(core.tile),
                    unread: core.cascade.unread(),
                    site: blocked.site.clone(),
                    since: blocked.since,
                };
                let writer = self.array.cores.iter().position(|c| c.reader == Some(at as u32));
                let on = writer.map(|w| Agent::Core(w as u32)).into_iter().collect();
                waits.insert(agent, Wait { told, on });
            } else if core.ended() {
                let told = Waiting::Ended { tile: core.tile, loc: core.loc() };
                waits.insert(agent, Wait { told, on: Vec::new() });
            }
        }
        for (at, channel) in self.array.channels.iter().enumerate() {
            let at = at as u32;
            let (tile, fifo) = (self.channel_tile(at), self.fifo_name(at).to_owned());
            let idle_queue = matches!(&channel.program, Program::Queue(tasks) if tasks.is_empty());
            let wait = match channel.state {
                State::Active => self.stream_wait(at),
                State::Idle if idle_queue => {
                    let tasks = channel.counters.tasks;
                    let told = Waiting::Task { tile, channel: channel.name, fifo, tasks };
                    Some(Wait { told, on: vec![Agent::Controller] })
                }
                _ => None,
            };
            if let Some(wait) = wait {
                waits.insert(Agent::Channel(at), wait);
            }
        }
        if let Some(channel) = self.controller.waits_for() {
            let (command, fifo) = (self.controller.position(), self.fifo_name(channel).to_owned());
            let loc = self.design.sequence.commands.get(command).map(|c| c.loc().clone());
            let told = Waiting::Token { command, fifo, loc: loc.unwrap_or(Loc::UNKNOWN) };
            waits.insert(Agent::Controller, Wait { told, on: vec![Agent::Channel(channel)] });
        }
        waits
    }

    fn lock_wait(&self, lock: LockId, pending: Pending) -> Waiting {
        let (lock_tile, lock_name) = self.array.lock_names[lock.0 as usize].clone();
        let (need, value, since) = (pending.count, self.array.locks.value(lock), pending.since);
        match pending.waiter {
            Agent::Channel(at) => {
                let channel = &self.array.channels[at as usize];
                Waiting::Bd {
                    tile: self.channel_tile(at),
                    channel: channel.name,
                    fifo: self.fifo_name(at).to_owned(),
                    transfers: channel.counters.transfers,
                    lock: lock_name,
                    need,
                    value,
                    since,
                }
            }
            // Only cores and channels acquire locks.
            Agent::Core(_) | Agent::Controller => {
                let at = if let Agent::Core(at) = pending.waiter { at as usize } else { 0 };
                let core = &self.array.cores[at];
                let end = core.waiting_end.map(|e| core.end(e));
                let fifo = end.and_then(|e| self.design.fifos.get(e.fifo.index()));
                Waiting::Core {
                    tile: core.tile,
                    fifo: fifo.map_or_else(String::new, |f| f.name.clone()),
                    port: end.map_or(Port::Consume, |e| e.port),
                    turns: core.turns(),
                    loc: core.loc(),
                    lock: lock_name,
                    lock_tile,
                    need,
                    value,
                    since,
                }
            }
        }
    }

    /// Who releases a lock, by its program.
    fn releasers(&self, lock: LockId) -> Vec<Agent> {
        let cores = self.array.cores.iter().enumerate();
        let cores = cores.filter(|(_, core)| core.ends().iter().any(|e| e.release == lock));
        let channels = self.array.channels.iter().enumerate().filter(|(_, channel)| {
            let releases = |bd: &super::dma::Bd| bd.release.is_some_and(|op| op.lock == lock);
            matches!(&channel.program, Program::Static(bds) if bds.iter().any(releases))
        });
        let cores = cores.map(|(i, _)| Agent::Core(i as u32));
        cores.chain(channels.map(|(i, _)| Agent::Channel(i as u32))).collect()
    }

    /// A channel that has words to move and a flow with an end that is not ready.
    fn stream_wait(&self, at: u32) -> Option<Wait> {
        let channel = &self.array.channels[at as usize];
        let flow = self.array.flows.get(channel.flow as usize)?;
        let ends = std::iter::once(flow.source).chain(flow.destinations.iter().map(|d| d.channel));
        let active = |c: &u32| self.array.channels[*c as usize].state == State::Active;
        let missing: Vec<u32> = ends.filter(|c| !active(c)).collect();
        let told = Waiting::Stream {
            tile: self.channel_tile(at),
            channel: channel.name,
            fifo: self.fifo_name(at).to_owned(),
            words: channel.words_left,
            missing: missing
                .iter()
                .map(|&c| (self.channel_tile(c), self.array.channels[c as usize].name))
                .collect(),
        };
        Some(Wait { told, on: missing.into_iter().map(Agent::Channel).collect() })
    }

    fn channel_tile(&self, channel: u32) -> Tile {
        self.array.tiles[self.array.channels[channel as usize].tile as usize]
    }
}

/// Agents each of which waits for the next; the last for the first if `closed`, else for nothing.
struct Circle {
    agents: Vec<Agent>,
    closed: bool,
}

/// The first circle on a walk from the controller, or from the first agent when it waits for nothing.
/// Without a circle, the chain to one that waits for nobody.
fn circle(waits: &BTreeMap<Agent, Wait>) -> Circle {
    let starts = waits.keys().rev().copied(); // the controller is the greatest
    let mut chain = Vec::new();
    let mut visited = Vec::new();
    for start in starts {
        let mut path = Vec::new();
        if walk(waits, start, &mut path, &mut visited) {
            return Circle { agents: path, closed: true };
        }
        if chain.is_empty() {
            chain = path;
        }
    }
    Circle { agents: chain, closed: false }
}

/// Depth first; leaves the circle in `path` and says so, or else the first chain to an end.
fn walk(
    waits: &BTreeMap<Agent, Wait>,
    start: Agent,
    path: &mut Vec<Agent>,
    visited: &mut Vec<Agent>,
) -> bool {
    let mut stack = vec![(start, 0usize)];
    while let Some(&(agent, next)) = stack.last() {
        if next == 0 {
            visited.push(agent);
        }
        let on = waits.get(&agent).and_then(|w| w.on.get(next));
        let Some(&on) = on else {
            if path.is_empty() {
                path.extend(stack.iter().map(|s| s.0));
            }
            stack.pop();
            continue;
        };
        if let Some(top) = stack.last_mut() {
            top.1 += 1;
        }
        if let Some(from) = stack.iter().position(|s| s.0 == on) {
            path.clear();
            path.extend(stack[from..].iter().map(|s| s.0));
            return true;
        }
        if !visited.contains(&on) {
            stack.push((on, 0));
        }
    }
    false
}
