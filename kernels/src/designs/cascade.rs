//! Two cores joined by the cascade: the upper one multiplies and sends its sums as accumulators, the
//! lower one adds its part and stores bytes.

use kiln_dsl::array::{Design, DesignBuilder, MemType, Port, Tile};
use kiln_dsl::kernel::build::Acc32;
use kiln_dsl::kernel::{Elem, Kernel, build::Builder, verify};
use kiln_dsl::num::{Rounding, Saturation};
use std::sync::Arc;

/// Bytes in all.
const ALL: u32 = 65536;
/// Bytes of an object.
const OBJECT: u32 = 1024;
/// Lanes of one product; its sums are two values of the cascade.
const LANES: u32 = 32;
/// What the upper core multiplies by.
const WEIGHT: i8 = 13;
/// What the lower core adds.
const BIAS: i32 = -100;
/// What the lower core shifts the sums right by.
const SHIFT: u32 = 4;

fn scale_put() -> Kernel {
    Kernel::build("scale_put_i8", Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let x = k.input::<i8>("x", [OBJECT]);
        let weight = k.splat::<i8, 32>(i32::from(WEIGHT));
        k.pipelined(1).for_step(0, OBJECT, LANES, |i| {
            let sums = x.load::<32>(i).times::<Acc32, i8>(weight);
            sums.low::<16>().cascade_put();
            sums.high::<16>().cascade_put();
        });
    })
    .with_doc(&format!("Sends {WEIGHT} x[i] to the cascade, 16 sums of 32 bits at a time; 1024 of i8."))
}

fn bias_get() -> Kernel {
    Kernel::build("bias_get_i8", Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let y = k.output::<i8>("y", [OBJECT]);
        let bias = k.splat::<i32, 16>(BIAS).ups::<Acc32>(0);
        k.pipelined(1).for_step(0, OBJECT, LANES, |i| {
            let (low, high) = (k.cascade_get::<Acc32, 16>(), k.cascade_get::<Acc32, 16>());
            y.store(i, (low + bias).concat::<32>(high + bias).srs::<i8>(SHIFT as i32));
        });
    })
    .with_doc(&format!("y[i] = (s[i] + {BIAS}) / 2^{SHIFT} rounded to even, s from the cascade; 1024 of i8."))
}

/// The design: `y = (13 x - 100) / 16` of 64 KiB, rounded to even and saturated.
pub fn cascade() -> Design {
    let d =
        DesignBuilder::new("cascade", "y = (13 x - 100) / 16 of 64 KiB on two cores joined by the cascade.");
    d.columns(4);
    let [put, get] = [scale_put(), bias_get()]
        .map(|kernel| d.kernel(Arc::new(verify(kernel).unwrap_or_else(|e| panic!("{e}")))));
    let [shim, upper, lower] = [Tile::new(0, 0), Tile::new(0, 3), Tile::new(0, 2)];
    d.cascade(upper, lower);
    let object = MemType::flat(Elem::I8, OBJECT);
    let x = d.fifo("i", shim, [upper], object.clone()).id();
    let y = d.fifo("o", lower, [shim], object).id();
    d.core(upper, |p| {
        p.forever(|p| {
            let from = p.consume(x);
            p.call(put, [from]);
            p.release(x, Port::Consume, 1);
        });
    });
    d.core(lower, |p| {
        p.forever(|p| {
            let to = p.produce(y);
            p.call(get, [to]);
            p.release(y, Port::Produce, 1);
        });
    });
    d.sequence(|s| {
        let bytes = MemType::flat(Elem::I8, ALL);
        let (from, to) = (s.buffer("x", bytes.clone()), s.buffer("y", bytes));
        s.copy_linear(from, x, 0, ALL.into());
        s.copy_linear(to, y, 0, ALL.into());
        s.wait(y);
    });
    d.build()
}

/// What the design computes.
pub fn cascade_reference(x: &[i8]) -> Vec<i8> {
    let one = |&x: &i8| {
        let sum = i32::from(x) * i32::from(WEIGHT) + BIAS;
        let (whole, rest, half) = (sum >> SHIFT, sum & ((1 << SHIFT) - 1), 1 << (SHIFT - 1));
        let up = rest > half || (rest == half && whole & 1 == 1);
        (whole + i32::from(up)).clamp(i8::MIN.into(), i8::MAX.into()) as i8
    };
    x.iter().map(one).collect()
}
