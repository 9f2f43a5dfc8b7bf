//! Residual addition of two tensors of different scales: `out = sat(srs(x * mx + y * my, shift))`, all i16 or all i8.

use crate::case::{Arg, Case, Entry, Source, bytes_of};
use kiln_dsl::kernel::Kernel;
use kiln_dsl::kernel::build::{Acc32, Builder};
use kiln_dsl::num::{Rounding, Saturation};
use ndarray::{Array, ArrayView, Dimension};

use crate::fixed::{saturate_i8, saturate_i16, srs};

/// The two multipliers and the shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResidualAdd {
    /// Multiplier of `x`, at most 2^14, so that the sum of both products fits 32 bits.
    pub mult_x: i16,
    /// Multiplier of `y`, at most 2^14.
    pub mult_y: i16,
    /// Right shift of the sum, at most 30.
    pub shift: u32,
}

impl ResidualAdd {
    /// The integers for `out * out_scale = x * x_scale + y * y_scale`.
    ///
    /// # Panics
    /// When a scale is not positive.
    pub fn new(x_scale: f64, y_scale: f64, out_scale: f64) -> ResidualAdd {
        assert!(x_scale > 0.0 && y_scale > 0.0 && out_scale > 0.0, "scales {x_scale} {y_scale} {out_scale}");
        let (x, y) = (x_scale / out_scale, y_scale / out_scale);
        let shift = (16384.0 / x.max(y)).log2().floor().clamp(0.0, 30.0);
        let mult = |factor: f64| (factor * shift.exp2()).round().clamp(0.0, 16384.0) as i16;
        ResidualAdd { mult_x: mult(x), mult_y: mult(y), shift: shift as u32 }
    }

    /// One element.
    #[inline]
    pub fn apply(&self, x: i16, y: i16) -> i16 {
        let sum = i32::from(x) * i32::from(self.mult_x) + i32::from(y) * i32::from(self.mult_y);
        saturate_i16(srs(sum.into(), self.shift))
    }
}

/// The sum of `x` and `y`, element by element.
///
/// # Panics
/// When the shapes differ.
pub fn reference<D: Dimension>(
    x: ArrayView<i16, D>,
    y: ArrayView<i16, D>,
    add: &ResidualAdd,
) -> Array<i16, D> {
    assert_eq!(x.shape(), y.shape(), "shapes of the two terms");
    ndarray::Zip::from(x).and(y).map_collect(|&x, &y| add.apply(x, y))
}

/// The sum of `x` and `y` in bytes, element by element: of a stream of bytes.
///
/// # Panics
/// When the shapes differ.
pub fn reference_i8<D: Dimension>(
    x: ArrayView<i16, D>,
    y: ArrayView<i16, D>,
    add: &ResidualAdd,
) -> Array<i8, D> {
    reference(x, y, add).mapv(|sum| saturate_i8(sum.into()))
}

/// Lanes that one step takes.
const LANES: u32 = 32;

/// The kernel: [`reference()`] of `len` elements, all i16; `scale` holds `mult_x`, `mult_y` and
/// `shift` in its first three words.
///
/// # Panics
/// When `len` is not a multiple of 32.
pub fn residual_add(len: u32) -> Kernel {
    assert!(
        len.is_multiple_of(LANES) && len > 0,
        "residual_add of {len} elements: expected a multiple of 32"
    );
    Kernel::build(&format!("residual_add_{len}"), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let x = k.input::<i16>("x", [len]);
        let y = k.input::<i16>("y", [len]);
        let scale = k.input::<i32>("scale", [8]);
        let out = k.output::<i16>("out", [len]);
        let mult_x = k.splat::<i16, 32>(scale.get(0));
        let mult_y = k.splat::<i16, 32>(scale.get(1));
        let shift = scale.get(2);
        k.pipelined(1).for_step(0, len, LANES, |i| {
            let sum = x.load::<32>(i).times::<Acc32, i16>(mult_x).mac(y.load::<32>(i), mult_y);
            out.store(i, sum.srs::<i16>(shift));
        });
    })
    .with_doc(&format!("out = sat16(srs(x * scale[0] + y * scale[1], scale[2])), {len} elements of i16."))
}

/// The kernel: [`reference_i8`] of `len` elements, all i8; `scale` as in [`residual_add`].
///
/// # Panics
/// When `len` is not a multiple of 32.
pub fn residual_add_i8(len: u32) -> Kernel {
    assert!(len.is_multiple_of(LANES) && len > 0, "residual_add of {len} bytes: expected a multiple of 32");
    Kernel::build(&format!("residual_add_i8_{len}"), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let x = k.input::<i8>("x", [len]);
        let y = k.input::<i8>("y", [len]);
        let scale = k.input::<i32>("scale", [8]);
        let out = k.output::<i8>("out", [len]);
        let mult_x = k.splat::<i16, 32>(scale.get(0));
        let mult_y = k.splat::<i16, 32>(scale.get(1));
        let shift = scale.get(2);
        k.pipelined(1).for_step(0, len, LANES, |i| {
            let [x, y] = [x, y].map(|term| term.load::<32>(i).unpack());
            out.store(i, x.times::<Acc32, i16>(mult_x).mac(y, mult_y).srs::<i8>(shift));
        });
    })
    .with_doc(&format!("out = sat8(srs(x * scale[0] + y * scale[1], scale[2])), {len} elements of i8."))
}

/// Random terms in `range`, a random addition, and its `scale`.
fn random(source: &mut Source, len: u32, range: [i64; 2]) -> ([Vec<i16>; 2], ResidualAdd, Arg) {
    let terms = [(); 2].map(|()| {
        source.values(len as usize, range[0], range[1]).into_iter().map(|v| v as i16).collect::<Vec<_>>()
    });
    let mut mult = || source.number(0, 1 << 14) as i16;
    let add = ResidualAdd { mult_x: mult(), mult_y: mult(), shift: source.number(0, 30) as u32 };
    let scale = bytes_of(&[add.mult_x.into(), add.mult_y.into(), add.shift as i32, 0, 0, 0, 0, 0]);
    (terms, add, Arg::Bytes(scale))
}

/// [`residual_add_i8`] with its test cases.
pub fn entry_i8(len: u32) -> Entry {
    Entry::new(residual_add_i8(len), move |source| {
        let ([x, y], add, scale) = random(source, len, [-128, 127]);
        let out = reference_i8(ArrayView::from(&x), ArrayView::from(&y), &add).to_vec();
        let bytes = |term: &[i16]| Arg::Bytes(term.iter().map(|&v| v as u8).collect());
        let args = vec![bytes(&x), bytes(&y), scale, Arg::Bytes(vec![0; out.len()])];
        Case { args, expected: vec![(3, bytes_of(&out))] }
    })
}

/// The kernel with its test cases.
pub fn entry(len: u32) -> Entry {
    Entry::new(residual_add(len), move |source| {
        let ([x, y], add, scale) = random(source, len, [-32768, 32767]);
        let out = reference(ArrayView::from(&x), ArrayView::from(&y), &add);
        let [args_x, args_y] = [&x, &y].map(|term| Arg::Bytes(bytes_of(term)));
        let args = vec![args_x, args_y, scale, Arg::Bytes(vec![0; x.len() * 2])];
        Case { args, expected: vec![(3, bytes_of(&out.to_vec()))] }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn extremes_fit_and_saturate() {
        let add = ResidualAdd::new(1.0, 1.0, 1.0);
        assert_eq!((add.mult_x, add.shift), (16384, 14));
        assert_eq!(
            (add.apply(-32768, -32768), add.apply(32767, 32767), add.apply(3, -5)),
            (-32768, 32767, -2)
        );
    }

    proptest! {
        /// Half a step of the output, and half a step of each 14-bit multiplier.
        #[test]
        fn error_is_bounded(x: i16, y: i16, sx in 0.01f64..1.0, sy in 0.01f64..1.0, so in 0.5f64..2.0) {
            let add = ResidualAdd::new(sx, sy, so);
            let exact = (f64::from(x) * sx + f64::from(y) * sy) / so;
            let bound = 0.5 + 0.5 * (f64::from(x).abs() + f64::from(y).abs()) / f64::from(add.shift).exp2() + 1e-9;
            let clipped = exact.clamp(-32768.0, 32767.0);
            prop_assert!((f64::from(add.apply(x, y)) - clipped).abs() <= bound);
        }
    }
}
