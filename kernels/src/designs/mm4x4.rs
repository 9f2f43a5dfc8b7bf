//! A product of two 256 x 256 matrices of bytes on all 16 cores, after mlir-aie's whole-array
//! example: A broadcast along rows, B down columns, C joined in each column's mem tile. The sums
//! leave in i32 and in the cores' 4x8 tiles.

use crate::matmul::{Block, Left, MatmulShape, Product};
use crate::{matmul, zero};
use kiln_dsl::array::{Design, DesignBuilder, MemType, Port, Tile};
use kiln_dsl::kernel::{Elem, Kernel, verify};
use std::sync::Arc;

/// Rows and columns of the matrices.
const SIZE: u32 = 256;
/// Rows and columns of one core's part.
const PART: u32 = 64;
/// Elements of one object of A, B or a core's C.
const OBJECT: u32 = PART * PART;
/// Stack that mlir-aie's example gives its cores.
const STACK_BYTES: u32 = 3328;

/// The design.
pub fn mm4x4() -> Design {
    let d = DesignBuilder::new("mm4x4", "C = A x B, 256 x 256 of i8, i32 sums in 4x8 tiles, 16 cores.");
    let kernel = |k: Kernel| d.kernel(Arc::new(verify(k).unwrap_or_else(|e| panic!("{e}"))));
    let multiply = kernel(matmul::matmul(MatmulShape {
        m: PART,
        k: PART,
        n: PART,
        left: Left::I8,
        product: Product::Accumulate,
        block: Block::B4x2,
    }));
    let clear = kernel(zero::zero_i32(OBJECT));
    let tile = |c: u32, r: u32| Tile::new(c as u8, r as u8);
    let (bytes, sums) = (MemType::flat(Elem::I8, OBJECT), MemType::flat(Elem::I32, OBJECT));
    let (mut a_in, mut a, mut b_in, mut b, mut c, mut c_out) =
        (vec![], vec![], vec![], vec![], vec![], vec![]);
    for i in 0..4 {
        a_in.push(d.fifo(format!("a3_{i}"), tile(i, 0), [tile(i, 1)], bytes.clone()).id());
        let row = (0..4).map(|col| tile(col, 2 + i));
        let cut = [(16, 256), (8, 8), (4, 64), (8, 1)];
        a.push(d.fifo(format!("a_{i}"), tile(i, 1), row, bytes.clone()).to_stream(cut).id());
        d.link([a_in[i as usize]], [a[i as usize]]);
    }
    for i in 0..4 {
        b_in.push(d.fifo(format!("b3_{i}"), tile(i, 0), [tile(i, 1)], bytes.clone()).id());
        let column = (0..4).map(|row| tile(i, 2 + row));
        let cut = [(8, 512), (8, 8), (8, 64), (8, 1)];
        b.push(d.fifo(format!("b_{i}"), tile(i, 1), column, bytes.clone()).to_stream(cut).id());
        d.link([b_in[i as usize]], [b[i as usize]]);
        let parts: Vec<_> = (0..4)
            .map(|r| {
                d.fifo(format!("c_{i}_{r}"), tile(i, 2 + r), [tile(i, 1)], sums.clone()).depths([1, 1]).id()
            })
            .collect();
        c_out.push(
            d.fifo(format!("c3_{i}"), tile(i, 1), [tile(i, 0)], MemType::flat(Elem::I32, 4 * OBJECT)).id(),
        );
        d.join(parts.iter().enumerate().map(|(r, &f)| (f, r as u32 * OBJECT)), c_out[i as usize]);
        c.push(parts);
    }
    for at in super::cores() {
        let (col, row) = (usize::from(at.col), usize::from(at.row - 2));
        d.core(at, |p| {
            p.stack_bytes(STACK_BYTES);
            p.forever(|p| {
                let out = p.produce(c[col][row]);
                p.call(clear, [out]);
                p.repeat(u64::from(SIZE / PART), |p| {
                    let (av, bv) = (p.consume(a[row]), p.consume(b[col]));
                    p.call(multiply, (av, bv, out));
                    p.release(a[row], Port::Consume, 1);
                    p.release(b[col], Port::Consume, 1);
                });
                p.release(c[col][row], Port::Produce, 1);
            });
        });
    }
    d.sequence(|s| {
        let (size, part) = (u64::from(SIZE), u64::from(PART));
        let square = |elem| MemType::flat(elem, SIZE * SIZE);
        let [av, bv, cv] =
            [("A", Elem::I8), ("B", Elem::I8), ("C", Elem::I32)].map(|(n, e)| s.buffer(n, square(e)));
        for col in 0..4u64 {
            let at = col as usize;
            let first = [0, 0, 0, col * part];
            s.copy(cv, c_out[at], first, [1, 1, size, part], [0, 0, size, 1]).bd(0).token();
            let (sizes, rows) = ([1, 4, part, part], [0, 0, 0, col * part * size]);
            s.copy(av, a_in[at], rows, sizes, [0, part, size, 1]).bd(1);
            s.copy(bv, b_in[at], first, sizes, [0, part * size, size, 1]).bd(2);
        }
        c_out.iter().for_each(|&fifo| s.wait(fifo));
    });
    d.build()
}
