//! More tasks pushed to a channel than its queue holds.

use crate::support::*;
use kiln_dsl::array::DesignBuilder;
use kiln_dsl::array::lowered::{Channel, Direction};
use kiln_sim::array::SimError;

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
