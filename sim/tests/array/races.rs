//! Two agents at the same bytes with nothing that orders them, also where timing hides it.

use crate::support::*;
use kiln_dsl::array::lowered::{CoreOp, Direction};
use kiln_dsl::array::{DesignBuilder, ObjectId, Port};
use kiln_sim::array::{Hazard, SimError, Site};
use kiln_sim::report::Checked;

fn run(ready: &Ready, cycles: &[u64]) -> Result<Checked, SimError> {
    let mut host: Vec<Vec<u8>> =
        ready.design.sequence.buffers.iter().map(|b| ramp(b.ty.bytes() as u32)).collect();
    ready.run(&mut host, cycles).map(|report| report.checked)
}

fn hazards(ready: &Ready, cycles: &[u64]) -> Vec<Hazard> {
    match run(ready, cycles) {
        Err(SimError::Hazards { hazards, more: 0 }) => hazards,
        other => panic!("{other:?}"),
    }
}

/// Whether a site is a parameter of the kernel `copy`, at the line of its call.
fn is_call(site: &Site, name: &str) -> bool {
    matches!(site, Site::Call { kernel, param, loc, .. }
        if kernel == "copy" && param == name && loc.file.ends_with("support.rs") && loc.line > 0)
}

fn is_bd(site: &Site, name: &str, direction: Direction) -> bool {
    matches!(site, Site::Bd { fifo, channel, .. } if fifo == name && channel.direction == direction)
}

#[test]
fn an_object_used_after_its_release_races_with_the_dma_that_refills_it() {
    let mut ready = one_core(256, 8, 8);
    let CoreOp::Loop { body, .. } = &mut ready.lowered.cores[0].body[0] else { panic!() };
    let call = body.iter().position(|op| matches!(op, CoreOp::Call { .. })).unwrap();
    let release = body.iter().position(|op| matches!(op, CoreOp::Release { end: 0, .. })).unwrap();
    body.swap(call, release);
    // With a slow kernel the object is overwritten during the call; a fast one is done before. The
    // race is there in both.
    for cycles in [1, 100_000] {
        let found = hazards(&ready, &[cycles]);
        assert!(!found.is_empty());
        for hazard in &found {
            let Hazard::Race { bytes, first, second } = hazard else { panic!("{hazard}") };
            assert_eq!((bytes.tile, bytes.from, bytes.to), (Some(core(0, 0)), 0, 256), "{hazard}");
            assert!(bytes.buffer.starts_with("buffer of_in_cons_buff_"), "{hazard}");
            let (call, dma) = if first.1 { (second, first) } else { (first, second) };
            assert!(is_call(&call.0, "x") && !call.1, "{hazard}");
            assert!(is_bd(&dma.0, "of_in", Direction::S2mm) && dma.1, "{hazard}");
        }
        let text = found[0].to_string();
        assert!(
            text.contains("support.rs:") && text.contains("copy(x)") && text.contains("S2MM 0"),
            "{text}"
        );
    }
}

#[test]
fn a_lock_with_a_token_too_many_lets_the_dma_overtake_the_core() {
    let mut ready = one_core(256, 8, 8);
    for lock in &mut ready.lowered.tiles[&core(0, 0)].locks {
        if lock.name == "of_in_cons_prod_lock_0" {
            lock.init += 1;
        }
    }
    for cycles in [1, 100_000] {
        let found = hazards(&ready, &[cycles]);
        assert!(
            found.iter().all(|h| matches!(h, Hazard::Race { bytes, .. } if bytes.buffer.contains("of_in")))
        );
        assert!(!found.is_empty());
    }
}

#[test]
fn a_token_guards_only_its_own_buffer() {
    // The core takes one object and looks at two, at the second when it has long been there.
    let mut ready = one_core(256, 2, 2);
    let CoreOp::Loop { body, .. } = &mut ready.lowered.cores[0].body[0] else { panic!() };
    let second = ObjectId(7);
    let mut call = body.iter().find(|op| matches!(op, CoreOp::Call { .. })).unwrap().clone();
    if let CoreOp::Call { args, .. } = &mut call {
        args[0] = second.into();
    }
    for op in body.iter_mut() {
        if let CoreOp::Acquire { end: 0, objects, .. } = op {
            objects.push(second);
        }
    }
    let behind = 1 + body.iter().position(|op| matches!(op, CoreOp::Call { .. })).unwrap();
    body.insert(behind, call);
    let found = hazards(&ready, &[100_000]);
    let hidden = |h: &Hazard| {
        matches!(h, Hazard::Race { first, second, .. }
            if is_bd(&first.0, "of_in", Direction::S2mm) && first.1 && is_call(&second.0, "x") && !second.1)
    };
    assert!(found.iter().any(hidden), "{found:?}");
}

#[test]
fn a_core_that_writes_without_asking_races_with_the_dma_that_sends() {
    let mut ready = one_core(256, 8, 8);
    each_op(&mut ready.lowered.cores[0].body, &|op| {
        if let CoreOp::Acquire { end: 1, take, .. } = op {
            *take = 0;
        }
    });
    // Nothing takes the tokens that come back: few objects, so that the lock can hold them.
    let found = hazards(&ready, &[100]);
    assert!(
        found.iter().any(|h| matches!(h, Hazard::Race { first, second, .. }
        if is_bd(&first.0, "of_out", Direction::Mm2s) && !first.1 && is_call(&second.0, "y") && second.1)),
        "{found:?}"
    );
}

/// A copy through a core into `y`, and one of `y` through a mem tile into `z`.
fn there_and_on(wait: bool) -> Ready {
    let d = DesignBuilder::new("there_and_on", "A buffer of the host is written and read.");
    d.columns(1);
    let copy = d.kernel(copy_kernel("copy", 256));
    let input = d.fifo("of_in", shim(0), [core(0, 0)], i8s(256));
    let output = d.fifo("of_out", core(0, 0), [shim(0)], i8s(256));
    pass(&d, core(0, 0), copy, input, output);
    let onwards = d.fifo("l2_in", shim(0), [mem(0)], i8s(256));
    let back = d.fifo("l2_out", mem(0), [shim(0)], i8s(256));
    d.link([onwards], [back]);
    d.sequence(|s| {
        let [x, y, z] = ["x", "y", "z"].map(|name| s.buffer(name, i8s(256)));
        s.copy_linear(x, input, 0, 256);
        s.copy_linear(y, output, 0, 256);
        if wait {
            s.wait(output);
        }
        s.copy_linear(y, onwards, 0, 256);
        s.copy_linear(z, back, 0, 256);
        if !wait {
            s.wait(output);
        }
        s.wait(back);
    });
    Ready::new(d.build())
}

#[test]
fn host_memory_read_before_its_writer_was_awaited_is_a_race() {
    let found = hazards(&there_and_on(false), &[100]);
    let [Hazard::Race { bytes, first, second }] = &found[..] else { panic!("{found:?}") };
    assert_eq!((bytes.tile, bytes.buffer.as_str(), bytes.from, bytes.to), (None, "y", 0, 256));
    let mut commands = Vec::new();
    for (site, writes) in [first, second] {
        let Site::Task { command, fifo, loc, .. } = site else { panic!("{found:?}") };
        assert!(loc.file.ends_with("races.rs"));
        commands.push((*command, fifo.as_str(), *writes));
    }
    commands.sort_unstable();
    assert_eq!(commands, [(1, "of_out", true), (2, "l2_in", false)]);
    assert_eq!(run(&there_and_on(true), &[100]).unwrap(), Checked::Fully);
}

/// Two columns that copy `x` into the same half of `y`, the second from byte `second` of `x` on.
fn two_writers(second: u64) -> Ready {
    let d = DesignBuilder::new("two_writers", "Two columns write to the same bytes of the host.");
    d.columns(2);
    let ways = [0, 1].map(|col| {
        let input = d.fifo(format!("in{col}"), shim(col), [mem(col)], i8s(256));
        let output = d.fifo(format!("out{col}"), mem(col), [shim(col)], i8s(256));
        d.link([input], [output]);
        (input, output)
    });
    d.sequence(|s| {
        let (x, y) = (s.buffer("x", i8s(512)), s.buffer("y", i8s(256)));
        for (at, (input, output)) in ways.into_iter().enumerate() {
            s.copy_linear(x, input, at as u64 * second, 256);
            s.copy_linear(y, output, 0, 256);
        }
        ways.iter().for_each(|w| s.wait(w.1));
    });
    Ready::new(d.build())
}

#[test]
fn unordered_writes_to_the_host_are_a_race_unless_they_write_the_same() {
    let found = hazards(&two_writers(256), &[]);
    let [Hazard::Race { bytes, first, second }] = &found[..] else { panic!("{found:?}") };
    assert_eq!((bytes.buffer.as_str(), first.1, second.1), ("y", true, true));
    assert_eq!(run(&two_writers(0), &[]).unwrap(), Checked::Fully);
}

#[test]
fn neighbours_that_share_memory_are_ordered_by_its_locks_only() {
    let mut ready = neighbours();
    assert_eq!(run(&ready, &[50, 70]).unwrap(), Checked::Fully);
    // The second core gives the object back before its call.
    let CoreOp::Loop { body, .. } = &mut ready.lowered.cores[1].body[0] else { panic!() };
    let call = body.iter().position(|op| matches!(op, CoreOp::Call { .. })).unwrap();
    let release = body.iter().position(|op| matches!(op, CoreOp::Release { end: 0, .. })).unwrap();
    body.swap(call, release);
    let found = hazards(&ready, &[50, 70]);
    let race = |h: &Hazard| {
        matches!(h, Hazard::Race { first, second, .. }
            if [first, second].iter().any(|s| matches!(&s.0, Site::Call { kernel, .. } if kernel == "first") && s.1)
            && [first, second].iter().any(|s| matches!(&s.0, Site::Call { kernel, .. } if kernel == "second") && !s.1))
    };
    assert!(found.iter().all(race) && !found.is_empty(), "{found:?}");
}

#[test]
fn a_window_of_objects_and_words_of_released_objects_are_in_order() {
    // A core that holds two objects of three and reads the older again.
    let d = DesignBuilder::new("window", "A sliding window of two objects.");
    d.columns(1);
    let copy = d.kernel(copy_kernel("copy", 256));
    let input = d.fifo("of_in", shim(0), [core(0, 0)], i8s(256)).depth(3);
    let output = d.fifo("of_out", core(0, 0), [shim(0)], i8s(256));
    d.core(core(0, 0), |c| {
        c.acquire(input, Port::Consume, 1);
        c.forever(|c| {
            let both = c.acquire(input, Port::Consume, 2);
            let y = c.produce(output);
            c.call(copy, (both[0], y));
            c.call(copy, (both[1], y));
            c.release(input, Port::Consume, 1);
            c.release(output, Port::Produce, 1);
        });
    });
    d.sequence(|s| {
        let (x, y) = (s.buffer("x", i8s(5 * 256)), s.buffer("y", i8s(4 * 256)));
        s.copy_linear(x, input, 0, 5 * 256);
        s.copy_linear(y, output, 0, 4 * 256);
        s.wait(output);
    });
    assert_eq!(run(&Ready::new(d.build()), &[10]).unwrap(), Checked::Fully);
}

#[test]
fn the_checks_change_neither_bytes_nor_cycles() {
    let mut ready = one_core(2048, 20, 20);
    let run = |ready: &Ready| {
        let mut host = [ramp(2048 * 20), vec![0; 2048 * 20]];
        let report = ready.run(&mut host, &[300]).unwrap();
        (host, report.cycles, report.trace)
    };
    let checked = run(&ready);
    ready.options.hazards = false;
    assert!(run(&ready) == checked);
}
