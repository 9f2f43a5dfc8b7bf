//! One test for each way a simulation can fail.

use crate::support::*;
use kiln_dsl::array::lowered::{Channel, CoreOp, Direction};
use kiln_dsl::array::{Count, DesignBuilder};
use kiln_sim::array::{Problem, SimError};

#[test]
fn a_full_task_queue_is_an_error() {
    let d = DesignBuilder::new("queue", "Three tasks on one channel.");
    d.columns(1);
    let input = d.fifo("l2_in", shim(0), [mem(0)], i8s(64));
    let output = d.fifo("l2_out", mem(0), [shim(0)], i8s(64));
    d.link([input], [output]);
    d.sequence(|s| {
        let (x, y) = (s.buffer("x", i8s(192)), s.buffer("y", i8s(192)));
        for i in 0..3 {
            s.copy_linear(x, input, i * 64, 64);
        }
        s.copy_linear(y, output, 0, 192);
        s.wait(output);
    });
    let mut ready = Ready::new(d.build());
    ready.run(&mut [ramp(192), vec![0; 192]], &[]).unwrap();
    ready.device.dma.task_queue_depth.value = 2;
    let error = ready.run(&mut [ramp(192), vec![0; 192]], &[]).unwrap_err();
    let expected = Channel { direction: Direction::Mm2s, index: 0 };
    let SimError::TaskQueueOverflow { command: 2, tile, channel, fifo, depth: 2, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!((*tile, *channel, fifo.as_str()), (shim(0), expected, "l2_in"));
}

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

#[test]
fn a_lock_released_above_its_maximum_is_an_error() {
    let mut ready = one_core(256, 2, 2);
    for lock in &mut ready.lowered.tiles[&core(0, 0)].locks {
        if lock.name == "of_in_cons_cons_lock_0" {
            lock.init = 63;
        }
    }
    // The core takes one and computes for long, while the DMA gives two.
    let error = ready.run(&mut [ramp(512), vec![0; 512]], &[1_000_000]);
    let Err(SimError::LockOverflow { tile, value: 64, max_value: 63, .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!(tile, core(0, 0));
}

#[test]
fn a_failing_kernel_names_its_core() {
    let mut ready = one_core(256, 1, 1);
    let call = |op: &mut CoreOp| {
        if let CoreOp::Call { args, .. } = op {
            args.clear();
        }
    };
    each_op(&mut ready.lowered.cores[0].body, &call);
    let error = ready.run(&mut [ramp(256), vec![0; 256]], &[1]).unwrap_err();
    assert!(matches!(&error, SimError::Kernel { tile, .. } if *tile == core(0, 0)), "{error}");
    assert!(error.to_string().contains("2 parameters and got 0 arguments"), "{error}");
}

#[test]
fn a_core_that_never_rests_ends_at_the_limit() {
    let mut ready = one_core(256, 1, 1);
    // Only the call is left: for ever, with no lock to wait for.
    let body = &mut ready.lowered.cores[0].body;
    let CoreOp::Loop { body: inner, .. } = &mut body[0] else { panic!() };
    let call = inner.remove(2);
    inner.truncate(2);
    body.extend([CoreOp::Loop { count: Count::Forever, body: vec![call] }]);
    body.iter_mut().take(1).for_each(|op| {
        if let CoreOp::Loop { count, .. } = op {
            *count = Count::Const(1);
        }
    });
    ready.options.max_cycles = 100_000;
    let error = ready.run(&mut [ramp(256), vec![0; 256]], &[10]).unwrap_err();
    assert_eq!(error, SimError::CycleLimit { limit: 100_000 });
}

#[test]
fn a_loop_that_does_nothing_does_not_hang() {
    let mut ready = one_core(256, 1, 1);
    let empty = |count| CoreOp::Loop { count, body: vec![] };
    let body = &mut ready.lowered.cores[0].body;
    body.insert(0, empty(Count::Const(u64::MAX)));
    let mut host = [ramp(256), vec![0; 256]];
    ready.run(&mut host, &[10]).unwrap();
    assert_eq!(host[0], host[1]);
    ready.lowered.cores[0].body.insert(0, empty(Count::Forever));
    let error = ready.run(&mut host, &[10]).unwrap_err();
    assert!(matches!(error, SimError::Deadlock { .. }), "{error}");
}
