//! GELU by table: 256 segments over [-4, 4) with linear interpolation, the identity above, zero below.
//!
//! Input and output are i16 with one power-of-two scale `2^-k`, `k` in 5..=13. Segments are centred on multiples of
//! 1/32 and the index is the argument rounded to nearest, so the kernel stays in one rounding mode.
//!
//! Core time: 32 values take at least 28 cycles, 896 for 1024. The ideal schedule predicts 1,200, where vector registers
//! bound it, and `peano` 1,969, which needs one register for each value of an iteration (`kernels/tests/core_time.rs`).

use crate::case::{Arg, Case, Entry, bytes_of};
use kiln_dsl::kernel::Kernel;
use kiln_dsl::kernel::build::{Acc32, Accum, Buf, Builder, Scalar, Vector};
use kiln_dsl::num::{Rounding, Saturation};
use std::sync::LazyLock;

use ndarray::{Array, ArrayView, Dimension};

use crate::fixed::{saturate_i16, srs};

/// Values of `k`: 5 has one table entry per step and reaches 1024; 13 reaches 4.
pub const FRACTION_BITS: std::ops::RangeInclusive<u32> = 5..=13;

/// The two tables: entry `i` is the segment around `(i - 128) / 32`.
#[derive(Clone, Debug)]
pub struct GeluTables {
    /// Value at the segment's centre, Q13.
    pub base: [i16; 256],
    /// Slope of the segment, Q14.
    pub slope: [i16; 256],
}

/// The tables, the same for every layer: each segment is the chord, moved so that the error at its centre and at its
/// ends is equal.
pub static TABLES: LazyLock<GeluTables> = LazyLock::new(|| {
    let centre = |i: usize| (i as f64 - 128.0) / 32.0;
    let half = 1.0 / 64.0;
    let ends = |i: usize| (gelu(centre(i) - half), gelu(centre(i) + half));
    let base = |i: usize| (gelu(centre(i)) + (ends(i).0 + ends(i).1) / 2.0) / 2.0;
    GeluTables {
        base: std::array::from_fn(|i| (base(i) * 8192.0).round() as i16),
        slope: std::array::from_fn(|i| ((ends(i).1 - ends(i).0) / (2.0 * half) * 16384.0).round() as i16),
    }
});

/// The error function, to double precision: `2/sqrt(pi) e^(-x^2) sum of 2^n x^(2n+1) / (2n+1)!!`, all terms of one sign.
pub fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut n) = (x, 0.0, 0.0);
    while sum + term != sum {
        sum += term;
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

/// `x * Phi(x)`, Whisper's (exact) GELU, to double precision.
pub fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2))
}

/// GELU of one argument in units of `2^-k`, in the same units.
///
/// With `s = k - 5`: zero below `-128 << s`, `x` above `127 << s`; between, `i = srs(x, s)`, `f = x - (i << s)` and
/// `sat16(srs((base[i] << (k + 1)) + slope[i] * f, 14))`, all in 32 bits.
#[inline]
pub fn apply(tables: &GeluTables, x: i16, k: u32) -> i16 {
    let s = k - 5;
    let (x, low, high) = (i32::from(x), -128 << s, 127 << s);
    if x < low {
        return 0;
    }
    if x > high {
        return x as i16;
    }
    let segment = srs(x.into(), s) as i32;
    let (entry, fraction) = ((segment + 128) as usize, x - (segment << s));
    let acc = (i32::from(tables.base[entry]) << (k + 1)) + i32::from(tables.slope[entry]) * fraction;
    saturate_i16(srs(acc.into(), 14))
}

/// GELU of every element of `x`, in and out in units of `2^-k`.
///
/// # Panics
/// When `k` is outside [`FRACTION_BITS`].
pub fn reference<D: Dimension>(x: ArrayView<i16, D>, k: u32) -> Array<i16, D> {
    assert!(FRACTION_BITS.contains(&k), "k {k}: expected 5..=13");
    x.map(|&x| apply(&TABLES, x, k))
}

/// Lanes that one step takes.
const LANES: u32 = 32;

/// The kernel: [`reference()`] of `len` elements, in and out i16 in units of `2^-k`, `k` a run-time
/// integer in [`FRACTION_BITS`].
///
/// # Panics
/// When `len` is not a multiple of 32.
pub fn gelu_i16(len: u32) -> Kernel {
    assert!(len.is_multiple_of(LANES) && len > 0, "gelu of {len} elements: expected a multiple of 32");
    Kernel::build(&format!("gelu_i16_{len}"), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let x = k.input::<i16>("x", [len]);
        let y = k.output::<i16>("y", [len]);
        let gelu = StagedGelu::declare(k);
        k.pipelined(1).for_step(0, len, LANES, |i| y.store(i, gelu.of(x.load::<32>(i))));
    })
    .with_doc(&format!("y = gelu(x), {len} elements of i16 in units of 2^-k."))
}

/// [`apply`] inside a kernel: the tables, and what follows from `k`, a run-time integer.
pub(crate) struct StagedGelu<'k> {
    k: &'k Builder,
    base: [Buf<'k, i16>; 2],
    slope: [Buf<'k, i16>; 2],
    fraction_bits: Scalar<'k>,
    segment_shift: Scalar<'k>,
    ends: [Vector<'k, i16, 32>; 2],
}

impl<'k> StagedGelu<'k> {
    /// Declares `k` and the tables.
    pub(crate) fn declare(k: &'k Builder) -> StagedGelu<'k> {
        let values = |table: &[i16; 256]| table.iter().map(|&v| i32::from(v)).collect::<Vec<_>>();
        let fraction_bits = k.param_i32("k");
        let base = k.lookup_tables::<i16>("base", &values(&TABLES.base), [2, 3]);
        let slope = k.lookup_tables::<i16>("slope", &values(&TABLES.slope), [2, 3]);
        let segment_shift = fraction_bits - 5;
        let ends = [-128, 127].map(|end| k.splat::<i16, 32>(k.constant(end).shift_left(segment_shift)));
        StagedGelu { k, base, slope, fraction_bits, segment_shift, ends }
    }

    /// GELU of 32 arguments.
    pub(crate) fn of(&self, x: Vector<'k, i16, 32>) -> Vector<'k, i16, 32> {
        let [low, high] = self.ends;
        let acc: Accum<Acc32, 32> = x.ups(0);
        let segment: Vector<i16, 32> = acc.srs(self.segment_shift);
        let fraction: Vector<i16, 32> = (acc - segment.ups(self.segment_shift)).srs(0);
        let value = segment.lookup(self.base, 0, 128).ups::<Acc32>(self.fraction_bits + 1);
        let inside: Vector<i16, 32> = value.mac(segment.lookup(self.slope, 0, 128), fraction).srs(14);
        let above = high.lt(x).select(x, inside);
        x.lt(low).select(self.k.zeros(), above)
    }
}

/// The kernel with its test cases.
pub fn entry(len: u32) -> Entry {
    Entry::new(gelu_i16(len), move |source| {
        let k = source.number((*FRACTION_BITS.start()).into(), (*FRACTION_BITS.end()).into());
        let range = [32767, 5 << k, 40][source.number(0, 2) as usize].min(32767);
        let x: Vec<i16> =
            source.values(len as usize, -range - 1, range).into_iter().map(|v| v as i16).collect();
        let y = reference(ArrayView::from(&x), k as u32);
        let mut args = vec![Arg::Bytes(bytes_of(&x)), Arg::Bytes(vec![0; x.len() * 2]), Arg::I32(k as i32)];
        args.extend([Arg::Local, Arg::Local, Arg::Local, Arg::Local]);
        Case { args, expected: vec![(1, bytes_of(&y.to_vec()))] }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erf_values() {
        // Abramowitz and Stegun, table 7.1.
        for (x, y) in [(0.5, 0.5204998778), (1.0, 0.8427007929), (2.0, 0.9953222650)] {
            assert!((erf(x) - y).abs() < 1e-10 && (erf(-x) + y).abs() < 1e-10);
        }
        assert_eq!((erf(0.0), erf(7.0), erf(-7.0)), (0.0, 1.0, -1.0));
    }

    /// Half a step of the output, plus 1.6e-4 of the tables and of the two ends: 1.8 LSB at k = 13, 0.51 at k = 5.
    #[test]
    fn error_bound_over_every_argument() {
        for k in FRACTION_BITS {
            let unit = f64::from(k).exp2();
            let mut worst = 0.0f64;
            for x in i16::MIN..=i16::MAX {
                let exact = gelu(f64::from(x) / unit) * unit;
                worst = worst.max((f64::from(apply(&TABLES, x, k)) - exact).abs());
            }
            println!("gelu: k {k}: worst {worst:.3} LSB");
            assert!(worst <= 0.5 + 1.6e-4 * unit, "k {k}: {worst} LSB");
        }
    }
}
