//! Two cores of one column rectify bytes, fed through the mem tile: the smallest whole design.

use super::gemm::STACK_BYTES;
use crate::relu;
use kiln_dsl::array::{Arg, Design, DesignBuilder, MemType, Port, Tile};
use kiln_dsl::kernel::{Elem, verify};
use std::sync::Arc;

/// Bytes in all.
const ALL: u32 = 65536;
/// Bytes of one core's object.
const PART: u32 = 2048;
/// Bytes of the mem tile's object: one part for each core.
const WHOLE: u32 = 2 * PART;

/// The design: `y = max(x, 0)`, 64 KiB.
pub fn relu2() -> Design {
    let d = DesignBuilder::new("relu2", "y = max(x, 0) of 64 KiB on two cores of one column.");
    d.columns(4);
    let kernel = verify(relu::relu_i8(PART)).unwrap_or_else(|e| panic!("{e}"));
    let kernel = d.kernel(Arc::new(kernel));
    let (shim, mem) = (Tile::new(0, 0), Tile::new(0, 1));
    let cores = [Tile::new(0, 2), Tile::new(0, 3)];
    let (whole, part) = (MemType::flat(Elem::I8, WHOLE), MemType::flat(Elem::I8, PART));
    let x = d.fifo("in_l2", shim, [mem], whole.clone()).id();
    let xs = [0, 1].map(|i| d.fifo(format!("in_c{i}"), mem, [cores[i]], part.clone()).id());
    d.split(x, [(xs[0], 0), (xs[1], PART)]);
    let ys = [0, 1].map(|i| d.fifo(format!("out_c{i}"), cores[i], [mem], part.clone()).id());
    let y = d.fifo("out_l2", mem, [shim], whole).id();
    d.join([(ys[0], 0), (ys[1], PART)], y);
    for i in 0..2 {
        d.core(cores[i], |p| {
            p.stack_bytes(STACK_BYTES);
            p.forever(|p| {
                let (from, to) = (p.consume(xs[i]), p.produce(ys[i]));
                p.call(kernel, vec![from.into(), to.into(), Arg::Const(PART as i32)]);
                p.release(xs[i], Port::Consume, 1);
                p.release(ys[i], Port::Produce, 1);
            });
        });
    }
    d.sequence(|s| {
        let bytes = MemType::flat(Elem::I8, ALL);
        let (from, to) = (s.buffer("x", bytes.clone()), s.buffer("y", bytes));
        s.copy_linear(from, x, 0, ALL.into());
        s.copy_linear(to, y, 0, ALL.into());
        s.wait(y);
    });
    d.build()
}
