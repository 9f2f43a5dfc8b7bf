//! One core that runs what a control object tells it: the trip count of a product's K loop and the
//! operation after it are read at run time.

use crate::matmul::{Block, Left, MatmulShape, Product};
use crate::{matmul, relu, zero};
use kiln_dsl::array::{Arg, Design, DesignBuilder, MemType, Port, Tile, View, WordRef};
use kiln_dsl::kernel::{Elem, Kernel, verify};
use std::sync::Arc;

/// Elements of A, of B and of the sums.
const PART: u32 = 4096;
/// Words of the control object: trip count, operation, rest unused.
const CONTROL_WORDS: u32 = 16;
/// The operation that rectifies the sums; any other leaves them.
const RECTIFY: i64 = 1;

/// The design: the first half of each 8 KiB object is both A and B of a 64 x 64 x 64 product.
pub fn dispatch() -> Design {
    let d =
        DesignBuilder::new("dispatch", "Trip count and operation of one core come from a control object.");
    d.columns(4);
    let kernel = |k: Kernel| d.kernel(Arc::new(verify(k).unwrap_or_else(|e| panic!("{e}"))));
    let [m, k, n] = [64; 3];
    let (left, product, block) = (Left::I8, Product::Accumulate, Block::B4x2);
    let multiply = kernel(matmul::matmul(MatmulShape { m, k, n, left, product, block }));
    let clear = kernel(zero::zero_i32(PART));
    let rectify = kernel(relu::relu_i32(PART));
    let [shim, mem, core] = [0, 1, 2].map(|row| Tile::new(0, row));
    let operands = MemType::flat(Elem::I8, 2 * PART);
    let control = d.fifo("ctl", shim, [core], MemType::flat(Elem::I32, CONTROL_WORDS)).id();
    let ab = d.fifo("ab", mem, [core], operands.clone()).id();
    let ab_in = d.fifo("ab3", shim, [mem], operands).id();
    d.link([ab_in], [ab]);
    let out = d.fifo("o", core, [shim], MemType::flat(Elem::I32, PART)).depths([1, 1]).id();
    d.core(core, |p| {
        p.forever(|p| {
            let object = p.consume(control);
            let [trips, operation] = [0, 1].map(|index| WordRef { object, index });
            p.release(control, Port::Consume, 1);
            let sums = p.produce(out);
            p.call(clear, [sums]);
            p.repeat_word(trips, |p| {
                let object = p.consume(ab);
                let half = Arg::Object {
                    object,
                    view: Some(View { byte_offset: 0, ty: MemType::flat(Elem::I8, PART) }),
                };
                p.call(multiply, vec![half.clone(), half, sums.into()]);
                p.release(ab, Port::Consume, 1);
            });
            p.switch(operation, |branches| {
                branches.case(RECTIFY, |p| p.call(rectify, [sums]));
            });
            p.release(out, Port::Produce, 1);
        });
    });
    d.sequence(|s| {
        let x = s.buffer("x", MemType::flat(Elem::I8, 16 * PART));
        let y = s.buffer("y", MemType::flat(Elem::I32, 16 * PART));
        let z = s.buffer("z", MemType::flat(Elem::I32, CONTROL_WORDS));
        s.copy_linear(z, control, 0, CONTROL_WORDS.into()).bd(2);
        s.copy_linear(x, ab_in, 0, u64::from(16 * PART)).bd(0);
        s.copy_linear(y, out, 0, PART.into()).bd(1);
        s.wait(out);
    });
    d.build()
}
