//! Activations of the encoder, in the types a [`Recipe`](super::scheme::Recipe) gives them.

use half::bf16;
use ndarray::{Array2, ArrayView2, s};

use super::scheme::Number;
use crate::fixed::saturate_i8;
use crate::float;

/// An intermediate tensor `[rows, columns]`.
#[derive(Clone, Copy, Debug)]
pub enum Tensor<'a> {
    /// Bytes.
    I8(ArrayView2<'a, i8>),
    /// 16 bits.
    I16(ArrayView2<'a, i16>),
    /// Bytes, and what each row is multiplied by.
    I8Rows(ArrayView2<'a, i8>, &'a [i16]),
    /// bf16.
    Bf16(ArrayView2<'a, bf16>),
}

impl Tensor<'_> {
    /// The elements (times their rows' multipliers) times `scale`.
    pub fn dequantise(&self, scale: f64) -> Array2<f32> {
        match self {
            Tensor::I8(t) => t.mapv(|v| (f64::from(v) * scale) as f32),
            Tensor::I16(t) => t.mapv(|v| (f64::from(v) * scale) as f32),
            Tensor::Bf16(t) => t.mapv(|v| (v.to_f64() * scale) as f32),
            Tensor::I8Rows(t, rows) => Array2::from_shape_fn(t.dim(), |(m, n)| {
                (f64::from(t[(m, n)]) * f64::from(rows[m]) * scale) as f32
            }),
        }
    }

    /// Elements at the end of their type's range, which may have been beyond it. Rows with scales of their own always
    /// have one there and never lose anything.
    pub fn saturated(&self) -> u64 {
        let count = match self {
            Tensor::I8(t) => t.iter().filter(|v| matches!(**v, i8::MIN | i8::MAX)).count(),
            Tensor::I16(t) => t.iter().filter(|v| matches!(**v, i16::MIN | i16::MAX)).count(),
            Tensor::I8Rows(..) => 0,
            Tensor::Bf16(t) => t.iter().filter(|v| !v.is_finite()).count(),
        };
        count as u64
    }
}

/// A tensor that is owned.
#[derive(Clone, Debug, PartialEq)]
pub enum Activation {
    /// Bytes.
    I8(Array2<i8>),
    /// 16 bits.
    I16(Array2<i16>),
    /// Bytes, and what each row is multiplied by.
    I8Rows(Array2<i8>, Vec<i16>),
    /// bf16.
    Bf16(Array2<bf16>),
}

impl Activation {
    /// The tensor.
    pub fn view(&self) -> Tensor<'_> {
        match self {
            Activation::I8(t) => Tensor::I8(t.view()),
            Activation::I16(t) => Tensor::I16(t.view()),
            Activation::I8Rows(t, rows) => Tensor::I8Rows(t.view(), rows),
            Activation::Bf16(t) => Tensor::Bf16(t.view()),
        }
    }

    /// Rows and columns.
    pub fn dim(&self) -> (usize, usize) {
        match self {
            Activation::I8(t) | Activation::I8Rows(t, _) => t.dim(),
            Activation::I16(t) => t.dim(),
            Activation::Bf16(t) => t.dim(),
        }
    }

    /// The elements in 16 bits, without multipliers.
    ///
    /// # Panics
    /// When they are bf16.
    pub fn widened(&self) -> Array2<i16> {
        match self {
            Activation::I8(t) | Activation::I8Rows(t, _) => t.mapv(i16::from),
            Activation::I16(t) => t.clone(),
            Activation::Bf16(_) => panic!("bf16 are no integers"),
        }
    }

    /// Elements of 16 bits as a static type, saturated or, to bf16, rounded.
    pub fn narrowed(values: Array2<i16>, number: Number) -> Activation {
        match number {
            Number::I16 => Activation::I16(values),
            Number::Bf16 => Activation::Bf16(values.mapv(float::from_i16)),
            Number::I8 | Number::I8Rows => Activation::I8(values.mapv(|v| saturate_i8(v.into()))),
        }
    }

    /// Some columns.
    pub fn columns(&self, columns: std::ops::Range<usize>) -> Tensor<'_> {
        match self {
            Activation::I8(t) => Tensor::I8(t.slice(s![.., columns])),
            Activation::I16(t) => Tensor::I16(t.slice(s![.., columns])),
            Activation::I8Rows(t, rows) => Tensor::I8Rows(t.slice(s![.., columns]), rows),
            Activation::Bf16(t) => Tensor::Bf16(t.slice(s![.., columns])),
        }
    }
}
