//! What cores wait for, followed to its cause.

use crate::support::*;
use kiln_dsl::array::DesignBuilder;
use kiln_sim::report::{Bottleneck, Limit};

fn bottlenecks(ready: &Ready, cycles: &[u64]) -> Vec<Bottleneck> {
    let mut host: Vec<Vec<u8>> =
        ready.design.sequence.buffers.iter().map(|b| ramp(b.ty.bytes() as u32)).collect();
    ready.run(&mut host, cycles).unwrap().bottlenecks
}

#[test]
fn a_fast_core_waits_for_the_shim_that_delivers_all_it_can() {
    // 512 words an object against 10 cycles of work; the way back is as slow, but comes later.
    let found = bottlenecks(&one_core(2048, 400, 400), &[10]);
    let first = &found[0];
    assert_eq!(
        (first.core, first.cores, first.waits_for.as_str()),
        (core(0, 0), 1, "FIFO of_in"),
        "{found:?}"
    );
    assert!(first.wait_share > 0.5, "most of the time: {found:?}");
    let Limit::Channel { tile, delivers: true, bytes_per_cycle, port_bytes_per_cycle, share, .. } =
        first.limit
    else {
        panic!("{found:?}")
    };
    assert_eq!((tile, port_bytes_per_cycle), (shim(0), 4.0));
    assert!(bytes_per_cycle > 3.9 && share > 0.8, "{found:?}");
    let text = first.to_string();
    let words =
        ["core (0,2) waits ", " % of the time for FIFO of_in: shim column 0 delivers 4.0 of 4.0 B/cycle"];
    assert!(words.iter().all(|w| text.contains(w)), "{text}");
}

#[test]
fn a_chain_of_cores_waits_for_the_slow_one_on_both_sides() {
    let d = DesignBuilder::new("chain", "Three cores in a row, the middle one slow.");
    d.columns(3);
    let kernels = ["fast", "slow", "last"].map(|name| d.kernel(copy_kernel(name, 256)));
    let [a, b, c] = [core(0, 0), core(1, 2), core(2, 0)];
    let input = d.fifo("of_in", shim(0), [a], i8s(256));
    let left = d.fifo("left", a, [b], i8s(256));
    let right = d.fifo("right", b, [c], i8s(256));
    let output = d.fifo("of_out", c, [shim(2)], i8s(256));
    pass(&d, a, kernels[0], input, left);
    pass(&d, b, kernels[1], left, right);
    pass(&d, c, kernels[2], right, output);
    d.sequence(|s| {
        let (x, y) = (s.buffer("x", i8s(256 * 60)), s.buffer("y", i8s(256 * 60)));
        s.copy_linear(x, input, 0, 256 * 60);
        s.copy_linear(y, output, 0, 256 * 60);
        s.wait(output);
    });
    let found = bottlenecks(&Ready::new(d.build()), &[50, 5000, 50]);
    let slow = |limit: &Limit| matches!(limit, Limit::Core { tile, share } if *tile == b && *share > 0.9);
    assert!(slow(&found[0].limit), "{found:?}");
    assert_eq!(found[0].cores, 2, "the cores before and behind it: {found:?}");
    assert!(found[0].wait_share > 0.85, "{found:?}");
    let text = found[0].to_string();
    assert!(text.contains("core (1,4) computes 9") && text.contains("; so does 1 other core"), "{text}");
}

#[test]
fn little_work_waits_for_the_controller() {
    let found = bottlenecks(&one_core(64, 1, 1), &[10]);
    assert!(matches!(found[0].limit, Limit::Controller { share } if share > 0.3), "{found:?}");
}

#[test]
fn channels_that_share_host_memory_are_held_up_by_it() {
    let d = DesignBuilder::new("columns", "Four columns that copy.");
    d.columns(4);
    let bytes = 4096;
    let ways: Vec<_> = (0..4u8)
        .map(|col| {
            let copy = d.kernel(copy_kernel(&format!("copy{col}"), bytes));
            let input = d.fifo(format!("in{col}"), shim(col), [core(col, 0)], i8s(bytes));
            let output = d.fifo(format!("out{col}"), core(col, 0), [shim(col)], i8s(bytes));
            pass(&d, core(col, 0), copy, input, output);
            (input, output)
        })
        .collect();
    d.sequence(|s| {
        let (x, y) = (s.buffer("x", i8s(4 * 40 * bytes)), s.buffer("y", i8s(4 * 40 * bytes)));
        for (col, &(input, output)) in ways.iter().enumerate() {
            let (at, len) = (col as u64 * 40 * u64::from(bytes), 40 * u64::from(bytes));
            s.copy_linear(x, input, at, len);
            s.copy_linear(y, output, at, len);
        }
        ways.iter().for_each(|w| s.wait(w.1));
    });
    // Eight channels at 4 B/cycle want 32 B/cycle of the 15 there are.
    let found = bottlenecks(&Ready::new(d.build()), &[10; 4]);
    assert!(!found.is_empty());
    for b in &found {
        let Limit::Channel { host_memory_share, bytes_per_cycle, .. } = b.limit else { panic!("{found:?}") };
        assert!(host_memory_share > 0.3 && bytes_per_cycle < 3.0, "{found:?}");
        assert!(b.to_string().contains("held up by host memory"), "{b}");
    }
}
