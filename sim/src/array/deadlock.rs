//! Who waits for what when nothing can move.

use super::dma::State;
use super::engine::Cycles;
use super::error::{SimError, Waiting};
use super::locks::Waiter;
use super::machine::Machine;
use kiln_dsl::array::Port;

impl Machine<'_, '_> {
    /// The deadlock found at `cycle`: cores first, then BDs, streams and the controller.
    pub(super) fn deadlock(&self, cycle: Cycles) -> SimError {
        let (mut cores, mut rest) = (Vec::new(), Vec::new());
        for (lock, pending) in self.array.locks.waiting() {
            let (lock_tile, lock_name) = self.array.lock_names[lock.0 as usize].clone();
            let (need, value, since) = (pending.count, self.array.locks.value(lock), pending.since);
            match pending.waiter {
                Waiter::Core(at) => {
                    let core = &self.array.cores[at as usize];
                    let end = core.waiting_end.map(|e| core.end(e));
                    let fifo = end.and_then(|e| self.design.fifos.get(e.fifo.index()));
                    let fifo = fifo.map_or_else(String::new, |f| f.name.clone());
                    let port = end.map_or(Port::Consume, |e| e.port);
                    let (tile, lock) = (core.tile, lock_name);
                    cores.push((at, Waiting::Core { tile, fifo, port, lock, lock_tile, need, value, since }));
                }
                Waiter::Channel(at) => {
                    let channel = &self.array.channels[at as usize];
                    rest.push(Waiting::Bd {
                        tile: self.array.tiles[channel.tile as usize],
                        channel: channel.name,
                        fifo: self.fifo_name(at).to_owned(),
                        lock: lock_name,
                        need,
                        value,
                        since,
                    });
                }
            }
        }
        for (at, core) in self.array.cores.iter().enumerate() {
            let Some(blocked) = &core.blocked else { continue };
            let into = self.design.cascades.iter().find(|c| c.to == core.tile);
            let waiting = Waiting::Cascade {
                tile: core.tile,
                from: into.map_or(core.tile, |c| c.from),
                unread: core.cascade.unread(),
                site: blocked.site.clone(),
                since: blocked.since,
            };
            cores.push((at as u32, waiting));
        }
        cores.sort_by_key(|c| c.0);
        let mut waiting: Vec<Waiting> = cores.into_iter().map(|c| c.1).chain(rest).collect();
        self.streams(&mut waiting);
        if let Some(channel) = self.controller.waits_for() {
            let (command, fifo) = (self.controller.position(), self.fifo_name(channel).to_owned());
            waiting.push(Waiting::Token { command, fifo });
        }
        SimError::Deadlock { cycle, waiting }
    }

    fn streams(&self, waiting: &mut Vec<Waiting>) {
        for flow in &self.array.flows {
            let ends: Vec<u32> =
                std::iter::once(flow.source).chain(flow.destinations.iter().map(|d| d.channel)).collect();
            let name = |c: u32| {
                let channel = &self.array.channels[c as usize];
                (self.array.tiles[channel.tile as usize], channel.name)
            };
            let active = |c: u32| self.array.channels[c as usize].state == State::Active;
            let missing: Vec<_> = ends.iter().filter(|&&c| !active(c)).map(|&c| name(c)).collect();
            for &end in ends.iter().filter(|&&c| active(c)) {
                let (tile, channel) = name(end);
                waiting.push(Waiting::Stream {
                    tile,
                    channel,
                    fifo: self.fifo_name(end).to_owned(),
                    words: self.array.channels[end as usize].words_left,
                    missing: missing.clone(),
                });
            }
        }
    }
}
