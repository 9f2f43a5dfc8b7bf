//! Routes against the rules of the switches, and against loads that are known to fit or not.

use super::{Bundle, Connection, Port, Route, Routing, route};
use crate::array::ir::{FifoId, Tile};
use crate::array::lowered::Flow;
use crate::array::{LowerMode, allocate, examples};
use crate::device::{Device, TileKind};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn flow(from: (u8, u8, u8), to: &[(u8, u8, u8)]) -> Flow {
    let place = |(col, row, channel): (u8, u8, u8)| (Tile::new(col, row), channel);
    Flow { from: place(from), to: to.iter().map(|&t| place(t)).collect(), fifo: FifoId(0) }
}

fn port(bundle: Bundle, index: u8) -> Port {
    Port { bundle, index }
}

/// What leaves a tile on a side arrives here.
fn across(tile: Tile, side: Bundle) -> Option<(Tile, Bundle)> {
    Some(match side {
        Bundle::North => (Tile::new(tile.col, tile.row + 1), Bundle::South),
        Bundle::South => (Tile::new(tile.col, tile.row.checked_sub(1)?), Bundle::North),
        Bundle::East => (Tile::new(tile.col + 1, tile.row), Bundle::West),
        Bundle::West => (Tile::new(tile.col.checked_sub(1)?, tile.row), Bundle::East),
        Bundle::Dma => return None,
    })
}

/// Every output drives one input, every connection is fed, every destination is reached, and
/// `switches` counts what lies between. Written from the sheet of ports, apart from the search.
fn assert_sound(routing: &Routing, flows: &[Flow]) {
    assert_eq!(routing.full, []);
    let mut driven: BTreeMap<(Tile, Port), Port> = BTreeMap::new();
    for (flow, route) in flows.iter().zip(&routing.routes) {
        let dma = |tile: Tile, channel: u8, shim: [u8; 2]| match tile.row {
            0 => (tile, port(Bundle::South, shim[usize::from(channel)])),
            _ => (tile, port(Bundle::Dma, channel)),
        };
        let mut alive = BTreeMap::from([(dma(flow.from.0, flow.from.1, [3, 7]), 0)]);
        for &Connection { tile, slave, master } in &route.connections {
            let passed = alive.get(&(tile, slave)).copied();
            let passed: u32 = passed.unwrap_or_else(|| panic!("{tile} {slave} is not fed")) + 1;
            assert_eq!(driven.insert((tile, master), slave), None, "{tile} {master} is driven twice");
            let keeps_number = tile.row == 1 && slave.bundle != Bundle::Dma && master.bundle != Bundle::Dma;
            assert!(!keeps_number || slave.index == master.index, "{tile} {slave} -> {master}");
            let limit = match (tile.row, master.bundle) {
                (_, Bundle::North) | (0, Bundle::South) | (1, Bundle::Dma) => 6,
                (_, Bundle::Dma) => 2,
                _ => 4,
            };
            assert!(master.index < limit, "{tile} {master}");
            alive.insert((tile, master), passed);
            if let Some((next, side)) = across(tile, master.bundle) {
                alive.insert((next, port(side, master.index)), passed);
            }
        }
        let reached: Vec<Option<u32>> =
            flow.to.iter().map(|&(tile, c)| alive.get(&dma(tile, c, [2, 3])).copied()).collect();
        assert_eq!(reached, route.switches.iter().map(|&s| Some(s)).collect::<Vec<_>>());
    }
}

#[test]
fn the_designs_of_the_reference_data_route_by_shortest_ways() {
    for design in examples::all() {
        let (lowered, _) = allocate(&design, Device::npu1(), LowerMode::Dynamic);
        let routing = route(Device::npu1(), design.columns, &lowered.flows);
        assert_sound(&routing, &lowered.flows);
        for (flow, route) in lowered.flows.iter().zip(&routing.routes) {
            for (&(to, _), &switches) in flow.to.iter().zip(&route.switches) {
                let from = flow.from.0;
                let hops = u32::from(from.col.abs_diff(to.col)) + u32::from(from.row.abs_diff(to.row));
                assert_eq!(switches, hops + 1, "{} {from} -> {to}", design.name);
            }
        }
    }
}

#[test]
fn five_streams_do_not_go_down_four_ports() {
    // mlir-aie refuses the same load: only row 2 touches the mem tile, with four ports down.
    let down: Vec<Flow> = (0..5).map(|i| flow((0, 2 + i / 2, i % 2), &[(0, 1, i)])).collect();
    assert_sound(&route(Device::npu1(), 1, &down[..4]), &down[..4]);
    let full = route(Device::npu1(), 1, &down).full;
    let [one] = &full[..] else { panic!("{full:?}") };
    assert_eq!((one.tile, one.side, one.ports), (Tile::new(0, 2), Bundle::South, 4));
    assert_eq!(one.flows, [0, 1, 2, 3, 4]);
    // With a second column the fifth goes round through the shim row.
    let wide = route(Device::npu1(), 2, &down);
    assert_sound(&wide, &down);
    assert_eq!(wide.used(Tile::new(0, 0), Bundle::North), 1);
    assert_eq!(wide.ports(Tile::new(0, 0), Bundle::West), 0);
}

#[test]
fn channels_that_are_not_there_are_left_out() {
    let flows = [flow((0, 2, 2), &[(0, 3, 0)]), flow((0, 3, 0), &[(0, 2, 0)]), flow((5, 2, 0), &[(0, 2, 1)])];
    let routing = route(Device::npu1(), 4, &flows);
    assert_eq!(routing.routes.iter().map(|r| r.flow).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_mem_tiles_own_dma_is_reached_on_the_same_number_or_round_a_neighbour() {
    let flows = [flow((0, 1, 2), &[(0, 1, 2)]), flow((0, 1, 0), &[(0, 1, 5)])];
    let routing = route(Device::npu1(), 1, &flows);
    assert_sound(&routing, &flows);
    assert_eq!([routing.routes[0].switches[0], routing.routes[1].switches[0]], [1, 3]);
}

/// Flows that are known to fit: each takes a random walk over outputs that are still free.
fn witness(seed: Vec<u16>) -> Vec<Flow> {
    let device = Device::npu1();
    let tiles: Vec<Tile> =
        [TileKind::Shim, TileKind::Mem, TileKind::Core].iter().flat_map(|&k| device.tiles(k)).collect();
    let channels = |tile: Tile| if tile.row == 1 { 6 } else { 2 };
    let (mut links, mut sources, mut sinks) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut flows = Vec::new();
    for steps in seed.chunks_exact(8) {
        let pick = |i: usize, of: usize| usize::from(steps[i]) % of;
        let from = tiles[pick(0, tiles.len())];
        let channel = pick(1, channels(from)) as u8;
        if sources.contains(&(from, channel)) {
            continue;
        }
        let (mut at, mut index, mut path) = (from, None, Vec::new());
        for i in 2..7 {
            let side = Bundle::SIDES[pick(i, 4)];
            let Some((next, entry)) = across(at, side).filter(|(t, _)| tiles.contains(t)) else { continue };
            let limit = if side == Bundle::North { 6 } else { 4 };
            let horizontal = at.row == 1 && matches!(side, Bundle::East | Bundle::West);
            let back = path.last().is_some_and(|&(_, last, _)| entry == last);
            let fixed = index.filter(|_| at.row == 1);
            let free = (0..limit)
                .find(|i| fixed.is_none_or(|f| f == *i) && !links.contains(&(at, side, *i)) && !horizontal);
            if let Some(free) = free.filter(|_| !back) {
                path.push((at, side, free));
                links.insert((at, side, free));
                (at, index) = (next, Some(free));
            }
        }
        let sink = (0..channels(at)).map(|c| (at, c as u8)).find(|s| !sinks.contains(s));
        match sink {
            Some(sink) if at != from => {
                sources.insert((from, channel));
                sinks.insert(sink);
                flows.push(Flow { from: (from, channel), to: vec![sink], fifo: FifoId(0) });
            }
            _ => path.iter().for_each(|p| {
                links.remove(p);
            }),
        }
    }
    flows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn loads_that_fit_are_routed(seed in prop::collection::vec(any::<u16>(), 8..8 * 48)) {
        let flows = witness(seed);
        let routing = route(Device::npu1(), 4, &flows);
        assert_sound(&routing, &flows);
        prop_assert_eq!(&routing, &route(Device::npu1(), 4, &flows));
    }

    #[test]
    fn broadcasts_to_rows_and_columns_are_routed(rows in 1u8..5, columns in 1u8..5, out in any::<bool>()) {
        let mut flows = Vec::new();
        for row in 0..rows {
            let to: Vec<_> = (0..columns).map(|col| (col, row + 2, 0)).collect();
            flows.push(flow((row, 1, 0), &to));
        }
        for col in 0..columns {
            let to: Vec<_> = (0..rows).map(|row| (col, row + 2, 1)).collect();
            flows.push(flow((col, 1, 1), &to));
            flows.push(flow((col, 0, 0), &[(col, 1, 0)]));
            let down = (0..rows).filter(|_| out);
            flows.extend(down.map(|row| flow((col, row + 2, 0), &[(col, 1, 2 + row)])));
        }
        let routing = route(Device::npu1(), 4, &flows);
        assert_sound(&routing, &flows);
        let tree = |r: &Route| r.connections.iter().filter(|c| c.master.bundle == Bundle::Dma).count();
        prop_assert_eq!(tree(&routing.routes[0]), usize::from(columns));
    }
}
