//! Random pipelines against a small model of the token game, explored over all interleavings.
//!
//! The model knows only what a design says: ends of FIFOs hold objects, a core takes and gives them
//! in order, and a stream moves one object when every end of it can. It shares no code with the
//! lowering or the simulator.

use crate::support::*;
use kiln_dsl::array::{Design, DesignBuilder, Port, Tile, verify};
use kiln_dsl::device::Device;
use kiln_sim::array::SimError;
use proptest::prelude::*;
use std::collections::HashSet;

const WORDS: u32 = 512;

/// A FIFO from one stage to another; a stage is a core, and the host is the stage behind the last.
#[derive(Clone, Debug)]
struct Way {
    from: usize,
    to: usize,
    /// Objects a turn.
    rate: u32,
    /// Objects at the producer, in the mem tile if it goes through one, at the consumer.
    depths: [u32; 3],
    /// Whether the stream changes the order of bytes.
    reordered: bool,
    /// Whether a way from or to the host goes through the mem tile.
    staged: bool,
}

#[derive(Clone, Debug)]
struct Pipeline {
    tiles: Vec<Tile>,
    ways: Vec<Way>,
    /// Of each core: what one turn does, as (way, objects); odd visits of a way release.
    turns: Vec<Vec<(usize, Port, u32, bool)>>,
    objects: u32,
}

const HOST: usize = usize::MAX;

fn way(from: usize, to: usize) -> impl Strategy<Value = Way> {
    (1u32..=3, prop::array::uniform3(1u32..=3), any::<bool>(), any::<bool>())
        .prop_map(move |(rate, depths, reordered, staged)| Way { from, to, rate, depths, reordered, staged })
}

fn pipeline() -> impl Strategy<Value = Pipeline> {
    let tiles = prop::sample::subsequence((0..16u8).collect::<Vec<_>>(), 3).prop_shuffle();
    // Beside the chain: a second way from the first core, and a way back.
    let second = prop_oneof![Just(None), way(0, 1).prop_map(Some), way(0, 2).prop_map(Some)];
    let back = prop::option::weighted(0.3, way(1, 0));
    let chain = (way(HOST, 0), way(0, 1), way(1, 2), way(2, HOST));
    (tiles, chain, second, back, 1u32..=2, any::<u64>()).prop_map(
        |(tiles, w, second, back, objects, seed)| {
            let ways: Vec<Way> = [w.0, w.1, w.2, w.3].into_iter().chain(second).chain(back).collect();
            let tiles: Vec<Tile> = tiles.into_iter().map(|t| core(t / 4, t % 4)).collect();
            let mut random = seed;
            let turns = (0..tiles.len()).map(|at| turn(&ways, at, &mut random)).collect();
            Pipeline { tiles, ways, turns, objects }
        },
    )
}

fn below(random: &mut u64, limit: usize) -> usize {
    *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    ((*random >> 33) as usize) % limit.max(1)
}

/// A turn of a core: its ends in groups of objects, interleaved at random, each group taken and given.
fn turn(ways: &[Way], core: usize, random: &mut u64) -> Vec<(usize, Port, u32, bool)> {
    let mut lists: Vec<Vec<(usize, Port, u32, bool)>> = Vec::new();
    for (at, way) in ways.iter().enumerate() {
        for (end, port) in [(way.from, Port::Produce), (way.to, Port::Consume)] {
            if end != core {
                continue;
            }
            let (mut left, mut list) = (way.rate, Vec::new());
            while left > 0 {
                let depth = way.depths.iter().copied().min().unwrap_or(1);
                let count = 1 + below(random, left.min(depth) as usize) as u32;
                list.extend([(at, port, count, true), (at, port, count, false)]);
                left -= count;
            }
            list.reverse();
            lists.push(list);
        }
    }
    let mut turn = Vec::new();
    while !lists.is_empty() {
        let at = below(random, lists.len());
        turn.extend(lists[at].pop());
        lists.retain(|l| !l.is_empty());
    }
    turn
}

fn design(p: &Pipeline) -> Design {
    let d = DesignBuilder::new("pipeline", "A random pipeline of cores.");
    d.columns(4);
    let words = kiln_dsl::array::MemType::flat(kiln_dsl::kernel::Elem::I32, WORDS);
    let order = [(16, 1), (WORDS / 16, 16)];
    let mut ends = Vec::new();
    let (mut host_in, mut host_out) = (None, None);
    for (at, w) in p.ways.iter().enumerate() {
        let [from, through, to] = w.depths;
        let name = format!("way{at}");
        let (producer, consumer) =
            (p.tiles.get(w.from).copied().unwrap_or(mem(0)), p.tiles.get(w.to).copied().unwrap_or(mem(1)));
        let fifo = match (w.from, w.to) {
            (HOST, _) if w.staged => {
                let outer = d.fifo("host_in", shim(0), [mem(0)], words.clone()).depths([1, through]);
                let inner = d.fifo(name, mem(0), [consumer], words.clone()).depths([1, to]);
                d.link([outer], [inner]);
                host_in = Some(outer);
                inner
            }
            (_, HOST) if w.staged => {
                let inner = d.fifo(name, producer, [mem(1)], words.clone()).depths([from, through]);
                let outer = d.fifo("host_out", mem(1), [shim(1)], words.clone()).depths([1, 1]);
                d.link([inner], [outer]);
                host_out = Some(outer);
                inner
            }
            (HOST, _) => {
                let fifo = d.fifo(name, shim(0), [consumer], words.clone()).depths([1, to]);
                host_in = Some(fifo);
                fifo
            }
            (_, HOST) => {
                let fifo = d.fifo(name, producer, [shim(1)], words.clone()).depths([from, 1]);
                host_out = Some(fifo);
                fifo
            }
            _ => d.fifo(name, producer, [consumer], words.clone()).depths([from, to]),
        };
        let fifo = match (w.reordered, w.from, w.to) {
            (false, ..) => fifo,
            (true, HOST, _) => fifo.from_stream(consumer, order),
            (true, ..) => fifo.to_stream(order),
        };
        ends.push(fifo);
    }
    for (tile, turn) in p.tiles.iter().zip(&p.turns) {
        d.core(*tile, |c| {
            c.forever(|c| {
                for &(way, port, count, take) in turn {
                    if take {
                        c.acquire(ends[way], port, count);
                    } else {
                        c.release(ends[way], port, count);
                    }
                }
            });
        });
    }
    d.sequence(|s| {
        let [inputs, outputs] = [0, 3].map(|w: usize| p.objects * p.ways[w].rate * WORDS);
        let ints = |n| kiln_dsl::array::MemType::flat(kiln_dsl::kernel::Elem::I32, n);
        let (x, y) = (s.buffer("x", ints(inputs)), s.buffer("y", ints(outputs)));
        s.copy_linear(x, host_in.expect("a way in"), 0, u64::from(inputs));
        s.copy_linear(y, host_out.expect("a way out"), 0, u64::from(outputs));
        s.wait(host_out.expect("a way out"));
    });
    d.build()
}

/// The token game: pools of objects, streams between them, cores that take and give.
struct Game {
    /// Objects a pool holds.
    depths: Vec<u32>,
    /// From a pool (or the host) to a pool (or the host).
    streams: Vec<(Option<usize>, Option<usize>)>,
    /// What a turn of each core does: (pool, takes full objects or free places, count, take or give).
    turns: Vec<Vec<(usize, Port, u32, bool)>>,
    inputs: u32,
    outputs: u32,
}

/// Free and full places of each pool, position of each core, objects sent and received by the host.
#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    free: Vec<u32>,
    full: Vec<u32>,
    at: Vec<usize>,
    sent: u32,
    received: u32,
}

impl Game {
    fn new(p: &Pipeline, device: &Device) -> Game {
        let (mut depths, mut streams, mut pools) = (Vec::new(), Vec::new(), Vec::new());
        let mut pool = |depth: u32| {
            depths.push(depth);
            depths.len() - 1
        };
        for w in &p.ways {
            let [from, through, to] = w.depths;
            pools.push(match (w.from, w.to) {
                (HOST, _) => {
                    let last = pool(to);
                    let first = if w.staged { pool(through) } else { last };
                    streams.push((None, Some(first)));
                    if w.staged {
                        streams.push((Some(first), Some(last)));
                    }
                    (last, last)
                }
                (_, HOST) => {
                    let first = pool(from);
                    let last = if w.staged { pool(through) } else { first };
                    if w.staged {
                        streams.push((Some(first), Some(last)));
                    }
                    streams.push((Some(last), None));
                    (first, first)
                }
                (a, b) => {
                    let [a, b] = [a, b].map(|core| p.tiles[core]);
                    if !w.reordered && (device.core_reaches(a, b) || device.core_reaches(b, a)) {
                        let shared = pool(from);
                        (shared, shared)
                    } else {
                        let (first, last) = (pool(from), pool(to));
                        streams.push((Some(first), Some(last)));
                        (first, last)
                    }
                }
            });
        }
        let place = |&(way, port, count, take): &(usize, Port, u32, bool)| {
            let (first, last) = pools[way];
            (if port == Port::Produce { first } else { last }, port, count, take)
        };
        let turns = p.turns.iter().map(|t| t.iter().map(place).collect()).collect();
        let [inputs, outputs] = [0, 3].map(|w: usize| p.objects * p.ways[w].rate);
        Game { depths, streams, turns, inputs, outputs }
    }

    fn moves(&self, s: &State, mut next: impl FnMut(State)) {
        for &(from, to) in &self.streams {
            let (ready, room) = (
                from.map_or(s.sent < self.inputs, |p| s.full[p] > 0),
                to.map_or(s.received < self.outputs, |p| s.free[p] > 0),
            );
            if !ready || !room {
                continue;
            }
            let mut n = s.clone();
            match from {
                Some(p) => (n.full[p], n.free[p]) = (n.full[p] - 1, n.free[p] + 1),
                None => n.sent += 1,
            }
            match to {
                Some(p) => (n.full[p], n.free[p]) = (n.full[p] + 1, n.free[p] - 1),
                None => n.received += 1,
            }
            next(n);
        }
        for (core, turn) in self.turns.iter().enumerate() {
            let (pool, port, count, take) = turn[s.at[core]];
            let mut n = s.clone();
            n.at[core] = (s.at[core] + 1) % turn.len();
            let places = match (port, take) {
                (Port::Produce, true) | (Port::Consume, false) => &mut n.free[pool],
                (Port::Produce, false) | (Port::Consume, true) => &mut n.full[pool],
            };
            if take {
                let Some(left) = places.checked_sub(count) else { continue };
                *places = left;
            } else {
                *places += count;
            }
            next(n);
        }
    }

    /// Whether some interleaving comes to a stop before the host has everything, and whether some
    /// reaches the end; `None` when there are too many states.
    fn explore(&self) -> Option<(bool, bool)> {
        let start = State {
            free: self.depths.clone(),
            full: vec![0; self.depths.len()],
            at: vec![0; self.turns.len()],
            sent: 0,
            received: 0,
        };
        let (mut stops, mut ends) = (false, false);
        let mut seen: HashSet<State> = HashSet::from([start.clone()]);
        let mut open = vec![start];
        while let Some(state) = open.pop() {
            if state.received == self.outputs {
                ends = true;
                continue;
            }
            let mut stuck = true;
            self.moves(&state, |next| {
                stuck = false;
                if seen.insert(next.clone()) {
                    open.push(next);
                }
            });
            stops |= stuck;
            if seen.len() > 100_000 {
                return None;
            }
        }
        Some((stops, ends))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_global_rejects: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn the_verdict_is_that_of_all_interleavings(p in pipeline()) {
        let device = Device::npu1();
        let verified = verify(design(&p), device);
        prop_assume!(verified.is_ok());
        let Some((stops, ends)) = Game::new(&p, device).explore() else { return Err(TestCaseError::reject("states")) };
        prop_assert!(stops != ends, "the order of simultaneous steps decides: {p:?}");
        let mut ready = Ready::new(design(&p));
        ready.options.hazards = false;
        ready.options.remedy_tries = 0;
        let mut host: Vec<Vec<u8>> = ready.design.sequence.buffers.iter().map(|b| ramp(b.ty.bytes() as u32)).collect();
        match ready.run(&mut host, &[]) {
            Ok(_) => prop_assert!(ends, "the model stops: {p:?}"),
            Err(SimError::Deadlock { closed, circle, .. }) => {
                prop_assert!(stops, "the model ends: {p:?}");
                prop_assert!(closed && !circle.is_empty(), "{circle:?}");
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}

/// Both verdicts and both kinds of FIFO come up in what the strategy draws.
#[test]
fn the_pipelines_drawn_are_of_every_kind() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let device = Device::npu1();
    let (mut valid, mut stops, mut ends) = (0, 0, 0);
    for _ in 0..150 {
        let p = pipeline().new_tree(&mut runner).unwrap().current();
        if verify(design(&p), device).is_err() {
            continue;
        }
        valid += 1;
        if let Some((stop, _)) = Game::new(&p, device).explore() {
            if stop { stops += 1 } else { ends += 1 }
        }
    }
    println!("{valid} of 150 verify, {stops} stop, {ends} end");
    assert!(valid > 40 && stops > 10 && ends > 10, "{valid} verify, {stops} stop, {ends} end");
}
