//! Reads of bytes that nothing has written.

use crate::support::*;
use kiln_dsl::array::DesignBuilder;
use kiln_dsl::array::lowered::{CoreOp, Direction};
use kiln_sim::array::{Hazard, SimError, Site};

fn hazards(ready: &Ready) -> Vec<Hazard> {
    let mut host: Vec<Vec<u8>> =
        ready.design.sequence.buffers.iter().map(|b| ramp(b.ty.bytes() as u32)).collect();
    match ready.run(&mut host, &[10]) {
        Err(SimError::Hazards { hazards, more: 0 }) => hazards,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_object_that_no_kernel_filled() {
    let mut ready = one_core(256, 1, 1);
    let CoreOp::Loop { body, .. } = &mut ready.lowered.cores[0].body[0] else { panic!() };
    body.retain(|op| !matches!(op, CoreOp::Call { .. }));
    let found = hazards(&ready);
    let [Hazard::Unwritten { bytes, reader: Site::Bd { fifo, channel, loc, .. } }] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!((bytes.tile, bytes.from, bytes.to), (Some(core(0, 0)), 0, 256));
    assert_eq!((bytes.buffer.as_str(), fifo.as_str()), ("buffer of_out_buff_0", "of_out"));
    assert_eq!(channel.direction, Direction::Mm2s);
    assert!(loc.file.ends_with("support.rs"));
}

#[test]
fn a_core_local_buffer_without_initial_content() {
    let d = DesignBuilder::new("garbage", "A core returns a buffer that nothing has written.");
    d.columns(1);
    let copy = d.kernel(copy_kernel("copy", 64));
    let output = d.fifo("of_out", core(0, 0), [shim(0)], i8s(64));
    let locals = [None, Some(ramp(64))].map(|init| {
        let name = if init.is_some() { "known" } else { "unwritten" };
        d.local(name, core(0, 0), i8s(64), init, None)
    });
    d.core(core(0, 0), |c| {
        for local in locals {
            let y = c.produce(output);
            c.call(copy, (local, y));
            c.release(output, kiln_dsl::array::Port::Produce, 1);
        }
    });
    d.sequence(|s| {
        let y = s.buffer("y", i8s(128));
        s.copy_linear(y, output, 0, 128);
        s.wait(output);
    });
    let found = hazards(&Ready::new(d.build()));
    let [Hazard::Unwritten { bytes, reader: Site::Call { kernel, param, loc, .. } }] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!((bytes.buffer.as_str(), kernel.as_str(), param.as_str()), ("buffer unwritten", "copy", "x"));
    assert!(loc.file.ends_with("unwritten.rs"));
}

#[test]
fn the_part_of_an_object_that_a_view_leaves_out() {
    let d = DesignBuilder::new("part", "A kernel fills the first half of an object.");
    d.columns(1);
    let copy = d.kernel(copy_kernel("copy", 128));
    let input = d.fifo("of_in", shim(0), [core(0, 0)], i8s(256));
    let output = d.fifo("of_out", core(0, 0), [shim(0)], i8s(256));
    d.core(core(0, 0), |c| {
        c.forever(|c| {
            let (x, y) = (c.consume(input), c.produce(output));
            c.call(copy, (x.view(0, i8s(128)), y.view(0, i8s(128))));
            c.release(input, kiln_dsl::array::Port::Consume, 1);
            c.release(output, kiln_dsl::array::Port::Produce, 1);
        });
    });
    d.sequence(|s| {
        let (x, y) = (s.buffer("x", i8s(256)), s.buffer("y", i8s(256)));
        s.copy_linear(x, input, 0, 256);
        s.copy_linear(y, output, 0, 256);
        s.wait(output);
    });
    let found = hazards(&Ready::new(d.build()));
    let [Hazard::Unwritten { bytes, reader: Site::Bd { .. } }] = &found[..] else { panic!("{found:?}") };
    assert_eq!((bytes.from, bytes.to), (128, 256));
}
