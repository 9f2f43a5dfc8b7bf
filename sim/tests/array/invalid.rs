//! Lowered designs and host buffers that contradict each other or the device.

use crate::support::*;
use kiln_sim::array::{Problem, SimError};

#[test]
fn everything_that_does_not_fit_is_said_at_once() {
    let mut ready = one_core(256, 1, 1);
    let tile = &mut ready.lowered.tiles[&core(0, 0)];
    tile.dma[0].bds[0].offset_bytes = 4;
    tile.dma[1].bds[0].len_bytes = 255;
    tile.dma[1].bds[1].next = Some(9);
    tile.locks[0].init = 64;
    let last = tile.buffers.len() - 1;
    tile.buffers[last].address = 65_536;
    ready.lowered.cores[0].ends[0].2.acquire_lock = 99;
    ready.lowered.cores[0].ends[1].2.memory = core(0, 3);
    let error = ready.run(&mut [ramp(200)], &[1]).unwrap_err();
    let SimError::Invalid { problems } = &error else { panic!("{error}") };
    let has = |test: fn(&Problem) -> bool| assert!(problems.iter().any(test), "{error}");
    has(|p| matches!(p, Problem::HostBufferCount { expected: 2, got: 1 }));
    has(|p| matches!(p, Problem::HostBufferSize { expected_bytes: 256, got_bytes: 200, .. }));
    has(|p| matches!(p, Problem::BdOutside { bd: 0, end: 260, bytes: 256, .. }));
    has(|p| matches!(p, Problem::BdLength { bd: 0, len_bytes: 255, .. }));
    has(|p| matches!(p, Problem::Dangling { what: "BD", index: 9, .. }));
    has(|p| matches!(p, Problem::Dangling { what: "lock", index: 99, .. }));
    has(|p| matches!(p, Problem::TileNotLowered { tile, .. } if *tile == core(0, 3)));
    has(|p| matches!(p, Problem::LockInit { init: 64, .. }));
    has(|p| matches!(p, Problem::BufferOutside { address: 65_536, .. }));
}
