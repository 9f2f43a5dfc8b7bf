//! Deadlocks: found at once, told as a circle of waits, with what removes them.

use crate::support::*;
use kiln_dsl::array::lowered::CoreOp;
use kiln_dsl::array::{CoreBuilder, DesignBuilder, FifoRef, Port, Tile};
use kiln_sim::array::{Change, SimError, Waiting};

/// Shim to core, two FIFOs to a second core, which goes through them in the order `second`; shim.
fn two_ways(depth: u32, first: [usize; 4], second: [usize; 4]) -> Ready {
    let d = DesignBuilder::new("two_ways", "Two FIFOs between two cores.");
    d.columns(4);
    let bytes = 1024;
    let (a, b) = (core(0, 0), core(2, 2));
    let input = d.fifo("input", shim(0), [a], i8s(bytes));
    let ways = ["left", "right"].map(|name| d.fifo(name, a, [b], i8s(bytes)).depth(depth));
    let output = d.fifo("output", b, [shim(2)], i8s(bytes));
    let turn = |tile: Tile, port: Port, order: [usize; 4], other: FifoRef<'_>, other_port: Port| {
        d.core(tile, |c: &CoreBuilder<'_>| {
            c.forever(|c| {
                c.acquire(other, other_port, 1);
                for way in order {
                    c.acquire(ways[way], port, 1);
                    c.release(ways[way], port, 1);
                }
                c.release(other, other_port, 1);
            });
        });
    };
    turn(a, Port::Produce, first, input, Port::Consume);
    turn(b, Port::Consume, second, output, Port::Produce);
    d.sequence(|s| {
        let (x, y) = (s.buffer("x", i8s(4 * bytes)), s.buffer("y", i8s(4 * bytes)));
        s.copy_linear(x, input, 0, u64::from(4 * bytes));
        s.copy_linear(y, output, 0, u64::from(4 * bytes));
        s.wait(output);
    });
    let mut ready = Ready::new(d.build());
    ready.options.hazards = false; // no kernel writes the objects
    ready
}

fn run(ready: &Ready) -> Result<(), SimError> {
    let mut host: Vec<Vec<u8>> =
        ready.design.sequence.buffers.iter().map(|b| ramp(b.ty.bytes() as u32)).collect();
    ready.run(&mut host, &vec![100; ready.design.kernels.len()]).map(|_| ())
}

#[test]
fn the_circle_names_cores_channels_locks_and_iterations_and_the_depth_that_removes_it() {
    // Three objects go left before one goes right; the other core wants the right one first.
    let (left, right) = (0, 1);
    let order = ([left, left, left, right], [right, left, left, left]);
    run(&two_ways(2, order.0, order.1)).unwrap();
    let ready = two_ways(1, order.0, order.1);
    let error = run(&ready).unwrap_err();
    let text = mask(&error.to_string());
    let (circle, behind) = text.split_once("\nand behind them:").unwrap();
    insta::assert_snapshot!(circle, @r"
    deadlock at cycle _: nothing can move. Each waits for the next, the last for the first:
      core (2,4) in iteration 1 waits since cycle _ for 1 object to drain from FIFO right (sim/tests/array/deadlock.rs:_): lock right_cons_cons_lock_0 is 0
      S2MM 1 of tile (2,4) has _ words to receive for FIFO right and waits for MM2S 1 of tile (0,2)
      MM2S 1 of tile (0,2) (FIFO right), 0 BDs done, waits since cycle _ for lock right_cons_lock_0: needs 1, is 0
      core (0,2) in iteration 1 waits since cycle _ for 1 object to fill in FIFO left (sim/tests/array/deadlock.rs:_): lock left_prod_lock_0 is 0
      MM2S 0 of tile (0,2) has _ words to send for FIFO left and waits for S2MM 0 of tile (2,4)
      S2MM 0 of tile (2,4) (FIFO left), 1 BDs done, waits since cycle _ for lock left_cons_prod_lock_0: needs 1, is 0
    ");
    let help = behind.split_once("help: ").unwrap().1;
    assert_eq!(
        help,
        "the sequence runs to its end with depth 2 instead of 1 for FIFO left at its producer (0,2)"
    );
    let SimError::Deadlock { circle, closed: true, remedy: Some(remedy), .. } = error else { panic!() };
    assert!(circle.iter().any(|w| matches!(w, Waiting::Core { fifo, .. } if fifo == "left")));
    // The FIFO holds one object at each end: one more somewhere and the third gets through.
    let [Change::Depth { fifo, from: 1, to: 2, .. }] = &remedy.changes[..] else { panic!("{remedy}") };
    assert_eq!(fifo, "left");
}

/// The text with `_` for what timing and lines of this file decide.
fn mask(text: &str) -> String {
    let (mut masked, mut rest) = (String::new(), text);
    let words = ["deadlock.rs:", "cycle ", " has "];
    while let Some(end) = words.iter().filter_map(|w| rest.find(w).map(|at| at + w.len())).min() {
        masked += &rest[..end];
        rest = &rest[end..];
        let number = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        if number.len() < rest.len() {
            masked.push('_');
        }
        rest = number;
    }
    masked + rest
}

#[test]
fn the_depth_that_is_told_is_the_smallest() {
    let (left, right) = (0, 1);
    let ready = two_ways(1, [left, left, left, right], [right, left, left, left]);
    let Err(SimError::Deadlock { remedy: Some(remedy), .. }) = run(&ready) else { panic!() };
    let deeper = |by: u32| {
        let mut design = ready.design.clone().into_inner();
        for change in &remedy.changes {
            let Change::Depth { fifo, tile, port, to, .. } = change else { panic!("{change}") };
            let fifo = design.fifos.iter_mut().find(|f| f.name == *fifo).unwrap();
            let end = match port {
                Port::Produce => 0,
                Port::Consume => 1 + fifo.consumers.iter().position(|c| c == tile).unwrap(),
            };
            fifo.depths[end] = to - by;
        }
        Ready { options: ready.options.clone(), ..Ready::new(design) }
    };
    run(&deeper(0)).unwrap();
    assert!(matches!(run(&deeper(1)), Err(SimError::Deadlock { .. })));
}

#[test]
fn a_missing_release_is_found_by_trying() {
    let mut ready = one_core(256, 6, 6);
    let CoreOp::Loop { body, .. } = &mut ready.lowered.cores[0].body[0] else { panic!() };
    body.retain(|op| !matches!(op, CoreOp::Release { end: 0, .. }));
    let error = run(&ready).unwrap_err();
    assert!(error.to_string().contains("support.rs:"), "the acquire's place: {error}");
    let SimError::Deadlock { circle, closed: true, remedy: Some(remedy), .. } = &error else {
        panic!("{error}")
    };
    let [Change::Release { tile, fifo, port: Port::Consume, count: 1, .. }] = &remedy.changes[..] else {
        panic!("{error}")
    };
    assert_eq!((*tile, fifo.as_str()), (core(0, 0), "of_in"));
    // It holds both objects and waits for a third.
    let turns = circle.iter().find_map(|w| match w {
        Waiting::Core { turns, .. } => Some(turns.clone()),
        _ => None,
    });
    assert_eq!(turns, Some(vec![3]));
}

#[test]
fn cores_that_wait_for_each_other_have_no_depth_that_helps() {
    let d = DesignBuilder::new("chicken", "Each core waits for the other's first object.");
    d.columns(4);
    let (a, b) = (core(0, 0), core(2, 2));
    let input = d.fifo("input", shim(0), [a], i8s(256));
    let there = d.fifo("there", a, [b], i8s(256));
    let back = d.fifo("back", b, [a], i8s(256));
    let output = d.fifo("output", a, [shim(0)], i8s(256));
    d.core(a, |c| {
        c.forever(|c| {
            for (fifo, port) in [(input, Port::Consume), (back, Port::Consume), (there, Port::Produce)] {
                c.acquire(fifo, port, 1);
                c.release(fifo, port, 1);
            }
            c.acquire(output, Port::Produce, 1);
            c.release(output, Port::Produce, 1);
        });
    });
    d.core(b, |c| {
        c.forever(|c| {
            for (fifo, port) in [(there, Port::Consume), (back, Port::Produce)] {
                c.acquire(fifo, port, 1);
                c.release(fifo, port, 1);
            }
        });
    });
    d.sequence(|s| {
        let (x, y) = (s.buffer("x", i8s(512)), s.buffer("y", i8s(512)));
        s.copy_linear(x, input, 0, 512);
        s.copy_linear(y, output, 0, 512);
        s.wait(output);
    });
    let mut ready = Ready::new(d.build());
    ready.options.hazards = false;
    let Err(SimError::Deadlock { circle, closed: true, remedy: None, .. }) = run(&ready) else { panic!() };
    let cores: Vec<Tile> = circle
        .iter()
        .filter_map(|w| match w {
            Waiting::Core { tile, .. } => Some(*tile),
            _ => None,
        })
        .collect();
    assert_eq!(cores.len(), 2, "{circle:?}");
    assert!(!circle.iter().any(|w| matches!(w, Waiting::Token { .. })), "{circle:?}");
}

#[test]
fn too_few_objects_lead_to_the_sequence() {
    // Three objects go in, but a turn takes two: the fourth never comes.
    let mut ready = one_core(256, 3, 3);
    each_op(&mut ready.lowered.cores[0].body, &|op| match op {
        CoreOp::Acquire { end: 0, take, .. } => *take = 2,
        CoreOp::Release { end: 0, count, .. } => *count = 2,
        _ => {}
    });
    let error = run(&ready).unwrap_err();
    let SimError::Deadlock { circle, closed: true, remedy: None, .. } = &error else { panic!("{error}") };
    let core =
        circle.iter().any(|w| matches!(w, Waiting::Core { fifo, need: 2, value: 1, .. } if fifo == "of_in"));
    let task = circle.iter().any(|w| matches!(w, Waiting::Task { fifo, tasks: 1, .. } if fifo == "of_in"));
    let token =
        circle.iter().any(|w| matches!(w, Waiting::Token { command: 2, fifo, .. } if fifo == "of_out"));
    assert!(core && task && token, "{error}");
}

#[test]
fn a_core_that_ends_is_the_end_of_the_chain() {
    let mut ready = one_core(256, 2, 2);
    let CoreOp::Loop { body, .. } = ready.lowered.cores[0].body.remove(0) else { panic!() };
    ready.lowered.cores[0].body = body; // one turn instead of an endless loop
    ready.options.remedy_tries = 0;
    let error = run(&ready).unwrap_err();
    let SimError::Deadlock { circle, closed: false, .. } = &error else { panic!("{error}") };
    assert!(matches!(circle.last(), Some(Waiting::Ended { tile, .. }) if *tile == core(0, 0)), "{error}");
}
