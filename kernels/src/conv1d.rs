//! One-dimensional convolution over time as a matrix multiplication.
//!
//! The input is time-major `[frames, channels]`. With a frame of zeros before and after, the `taps * channels` values
//! an output frame reads are contiguous, so the matrix needs no copy: row `t` starts `t * stride * channels` elements
//! in, and rows overlap. Weights are `[taps * channels, outputs]`, tap outermost.

use ndarray::{Array2, ArrayView1, ArrayView2, ShapeBuilder, s};

use crate::matmul;

/// Taps of Whisper's convolutions; one frame of padding on each side.
pub const TAPS: usize = 3;

/// Frames that come out of `frames`: `(frames - 1) / stride + 1` with one frame of padding on each side.
///
/// # Panics
/// When `frames` or `stride` is 0.
pub fn output_frames(frames: usize, stride: usize) -> usize {
    (frames - 1) / stride + 1
}

/// `x[frames, channels]` with a frame of zeros before and after.
pub fn pad<T: Copy + Default>(x: ArrayView2<T>) -> Array2<T> {
    let mut padded = Array2::from_elem((x.nrows() + 2, x.ncols()), T::default());
    padded.slice_mut(s![1..=x.nrows(), ..]).assign(&x);
    padded
}

/// The matrix of a convolution, as overlapping rows of the padded input: `[output_frames, TAPS * channels]`.
///
/// # Panics
/// When `padded` is not in standard layout or has no frame besides its padding, or `stride` is 0.
pub fn windows<T>(padded: &Array2<T>, stride: usize) -> ArrayView2<'_, T> {
    let channels = padded.ncols();
    let rows = output_frames(padded.nrows() - 2, stride);
    let shape = (rows, TAPS * channels).strides((stride * channels, 1));
    ArrayView2::from_shape(shape, padded.as_slice().expect("standard layout"))
        .expect("windows inside the input")
}

/// `acc[output_frames, outputs] = bias + conv(x)` in i32, exact sums saturated as in [`matmul::reference`].
///
/// # Panics
/// When the weights' rows are not `TAPS * channels`, or the bias is not as long as their columns.
pub fn reference<T>(
    x: ArrayView2<T>,
    weights: ArrayView2<i8>,
    bias: ArrayView1<i32>,
    stride: usize,
) -> Array2<i32>
where
    T: Copy + Default + Into<i64>,
{
    matmul::reference(windows(&pad(x), stride), weights, bias)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};

    proptest! {
        /// Equal to the definition of a convolution with padding 1.
        #[test]
        fn equals_the_definition(frames in 1usize..20, channels in 1usize..9, outputs in 1usize..6, stride in 1usize..3, seed: u64) {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
            let x = Array2::from_shape_fn((frames, channels), |_| rng.random::<i16>());
            let w = Array2::from_shape_fn((TAPS * channels, outputs), |_| rng.random::<i8>());
            let bias = ndarray::Array1::from_shape_fn(outputs, |_| rng.random_range(-1000..1000));
            let got = reference(x.view(), w.view(), bias.view(), stride);
            prop_assert_eq!(got.nrows(), (frames + 2 - TAPS) / stride + 1);
            for ((t, o), &acc) in got.indexed_iter() {
                let mut sum = i64::from(bias[o]);
                for tap in 0..TAPS {
                    let frame = (t * stride + tap) as i64 - 1;
                    if frame >= 0 && frame < frames as i64 {
                        sum += (0..channels).map(|c| i64::from(x[(frame as usize, c)]) * i64::from(w[(tap * channels + c, o)])).sum::<i64>();
                    }
                }
                prop_assert_eq!(i64::from(acc), sum);
            }
        }
    }
}
