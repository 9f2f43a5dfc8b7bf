//! The runtime sequence, and objects that come against objects that are taken.

use super::*;

#[test]
fn copies_out_of_range() {
    has!(relu2(|d| copy(d, 0).1[0] = 65), ArrayError::CopySize { dim: 0, size: 65, min: 1, max: 64, .. });
    let wide = |d: &mut Design| (*copy(d, 0).1, *copy(d, 0).2) = ([1, 1, 2, 8192], [0, 0, 8192, 1]);
    has!(relu2(wide), ArrayError::CopySize { dim: 3, size: 2048, max: 1023, unit: "words", .. });
    let steps = |d: &mut Design| (*copy(d, 0).1, *copy(d, 0).2) = ([1, 1, 1024, 64], [0, 0, 64, 1]);
    only!(relu2(steps), ArrayError::CopySize { dim: 2, size: 1024, max: 1023, .. });
    let still = |d: &mut Design| (*copy(d, 0).1, *copy(d, 0).2) = ([1, 1, 4, 1024], [0, 0, 0, 1]);
    only!(relu2(still), ArrayError::CopyStride { dim: 2, stride: 0, min: 1, .. });
    let odd = |d: &mut Design| (*copy(d, 0).1, *copy(d, 0).2) = ([1, 1, 64, 64], [0, 0, 63, 1]);
    only!(relu2(odd), ArrayError::CopyGranule { bytes: 63, granule: 4, .. });
    only!(
        relu2(|d| (copy(d, 0).0[3], copy(d, 0).1[3]) = (2, 4096)),
        ArrayError::CopyGranule { bytes: 2, .. }
    );
    only!(
        relu2(|d| copy(d, 0).1[3] = 4100),
        ArrayError::PartialObject { bytes: 4100, object_bytes: 4096, .. }
    );
    has!(relu2(|d| copy(d, 0).1[1] = 0), ArrayError::CopySize { dim: 1, size: 0, .. });
    let past = |d: &mut Design| *copy(d, 1).0 = [0, 0, 0, 4];
    only!(relu2(past), ArrayError::CopyPastBuffer { index: 65_539, elements: 65_536, .. });
}

/// A core that takes objects of 64 B straight from the shim; `copies` moves them out of a host buffer
/// of one object.
fn dropper(copies: impl FnOnce(&SequenceBuilder<'_>, HostBufferId, FifoRef<'_>)) -> Design {
    let d = DesignBuilder::new("dropper", "");
    let x = d.fifo("x", SHIM, [CORE], i8s(64));
    d.core(CORE, |c| {
        c.forever(|c| {
            c.consume(x);
            c.release(x, Port::Consume, 1);
        });
    });
    d.sequence(|s| copies(s, s.buffer("h", i8s(64)), x));
    d.build()
}

#[test]
fn bds_and_queues() {
    only!(relu2(|d| *copy(d, 1).3 = 0), ArrayError::BdBusy { bd: 0, tile: SHIM, .. });
    has!(relu2(|d| *copy(d, 0).3 = 16), ArrayError::CopyBd { bd: 16, max: 15, .. });
    let copies = |n: u64, waits: bool| {
        dropper(|s, h, x| {
            for _ in 0..n {
                s.copy_linear(h, x, 0, 64);
                if waits {
                    s.wait(x);
                }
            }
        })
    };
    assert_eq!(errors(copies(4, false)), []);
    only!(copies(5, false), ArrayError::QueueFull { got: 5, limit: 4, .. });
    assert_eq!(errors(copies(40, true)), []);
    only!(
        relu2(|d| d.sequence.commands.push(d.sequence.commands[2].clone())),
        ArrayError::WaitForNothing { .. }
    );
    has!(
        relu2(|d| if let Command::Wait { fifo, .. } = &mut d.sequence.commands[2] {
            *fifo = FifoId(1)
        }),
        ArrayError::NoShimEnd { .. }
    );
}

/// A core that copies `per_turn` objects a turn; `inputs` objects go in, `outputs` are drained.
fn copier(inputs: u64, outputs: u64, per_turn: u64, window: bool) -> Design {
    let d = DesignBuilder::new("copier", "");
    let x = d.fifo("x", SHIM, [CORE], i8s(64)).depths([2, 3]);
    let y = d.fifo("y", CORE, [SHIM], i8s(64));
    d.core(CORE, |c| {
        if window {
            c.acquire(x, Port::Consume, 1);
        }
        c.forever(|c| {
            c.repeat(per_turn, |c| {
                c.acquire(x, Port::Consume, if window { 2 } else { 1 });
                c.release(x, Port::Consume, 1);
            });
            c.produce(y);
            c.release(y, Port::Produce, 1);
        });
    });
    d.sequence(|s| {
        let h = s.buffer("h", i8s(6400));
        s.copy_linear(h, x, 0, 64 * inputs);
        s.copy_linear(h, y, 0, 64 * outputs);
        s.wait(y);
    });
    d.build()
}

#[test]
fn objects_that_come_are_the_objects_that_are_taken() {
    assert_eq!(errors(copier(6, 3, 2, false)), []);
    only!(copier(6, 2, 2, false), ArrayError::TurnsDiffer { one_turns: 3, other_turns: 2, .. });
    only!(copier(5, 2, 2, false), ArrayError::ObjectsPerTurn { total: 5, before: 0, per_turn: 2, .. });
    // A window of two keeps one object to the end.
    assert_eq!(errors(copier(7, 3, 2, true)), []);
    only!(copier(9, 3, 2, true), ArrayError::TurnsDiffer { .. });
    // Host to mem tile to core to mem tile to host: 16 objects in, 8 out.
    let half = relu2(|d| copy(d, 1).1[3] = 32_768);
    has!(half, ArrayError::TurnsDiffer { .. });
}

#[test]
fn a_paced_sequence_waits_before_the_queue_is_full() {
    let paced = |pace: usize| {
        dropper(|s, h, x| {
            s.keep_in_flight(pace);
            for _ in 0..20 {
                s.copy_linear(h, x, 0, 64);
            }
        })
    };
    assert_eq!(errors(paced(4)), []);
    let waits = paced(4).sequence.commands.iter().filter(|c| matches!(c, Command::Wait { .. })).count();
    assert_eq!(waits, 16);
    has!(paced(5), ArrayError::QueueFull { got: 5, .. });
}
