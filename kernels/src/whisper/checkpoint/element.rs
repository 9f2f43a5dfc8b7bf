//! How a file encodes a tensor's elements.

use std::fmt;

use safetensors::tensor::Dtype;

/// Elements that ggml's block formats scale together.
const BLOCK: usize = 32;

/// Encoding of a tensor's elements.
///
/// The blocks are ggml's, 32 elements each, after its `ggml-common.h`: a scale `d` in f16 (and an offset `m`), then
/// quants. Of 4- and 5-bit quants, byte `j` holds element `j` in its low half and element `j + 16` in its high half; the
/// fifth bits come first, as one little-endian word with bit `j` for element `j`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// IEEE single.
    F32,
    /// IEEE half.
    F16,
    /// The upper half of a single.
    BF16,
    /// `d (q - 8)`, 4 bits.
    Q4_0,
    /// `d q + m`, 4 bits.
    Q4_1,
    /// `d (q - 16)`, 5 bits.
    Q5_0,
    /// `d q + m`, 5 bits.
    Q5_1,
    /// `d q`, 8 bits, signed.
    Q8_0,
    /// Anything that weights are not stored in.
    Foreign(Foreign),
}

/// A type that no weights of an encoder have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// IEEE double.
    F64,
    /// 64-bit integer.
    I64,
    /// 32-bit integer.
    I32,
    /// 16-bit integer.
    I16,
    /// 8-bit integer.
    I8,
    /// Byte without sign.
    U8,
    /// Truth value.
    Bool,
    /// Another type of safetensors.
    Safetensors(Dtype),
    /// A type of ggml, by its number, whose elements have an unknown size.
    Ggml(u32),
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Foreign::F64 => f.write_str("f64"),
            Foreign::I64 => f.write_str("i64"),
            Foreign::I32 => f.write_str("i32"),
            Foreign::I16 => f.write_str("i16"),
            Foreign::I8 => f.write_str("i8"),
            Foreign::U8 => f.write_str("u8"),
            Foreign::Bool => f.write_str("bool"),
            Foreign::Safetensors(dtype) => write!(f, "{dtype:?}"),
            Foreign::Ggml(number) => write!(f, "ggml type {number}"),
        }
    }
}

impl From<Dtype> for Element {
    fn from(dtype: Dtype) -> Element {
        Element::Foreign(match dtype {
            Dtype::F32 => return Element::F32,
            Dtype::F16 => return Element::F16,
            Dtype::BF16 => return Element::BF16,
            Dtype::F64 => Foreign::F64,
            Dtype::I64 => Foreign::I64,
            Dtype::I32 => Foreign::I32,
            Dtype::I16 => Foreign::I16,
            Dtype::I8 => Foreign::I8,
            Dtype::U8 => Foreign::U8,
            Dtype::BOOL => Foreign::Bool,
            other => Foreign::Safetensors(other),
        })
    }
}

impl Element {
    /// Elements and bytes of the smallest unit.
    fn unit(&self) -> (usize, usize) {
        match self {
            Element::F32 => (1, 4),
            Element::F16 | Element::BF16 => (1, 2),
            Element::Q4_0 => (BLOCK, 18),
            Element::Q4_1 => (BLOCK, 20),
            Element::Q5_0 => (BLOCK, 22),
            Element::Q5_1 => (BLOCK, 24),
            Element::Q8_0 => (BLOCK, 34),
            Element::Foreign(_) => (1, 0),
        }
    }

    /// Elements that are encoded together.
    pub(super) fn group(&self) -> usize {
        self.unit().0
    }

    /// Bytes of `count` elements, a multiple of [`Element::group`]; saturates.
    pub(super) fn bytes(&self, count: usize) -> usize {
        let (elements, bytes) = self.unit();
        (count / elements).saturating_mul(bytes)
    }

    /// Values of whole units.
    pub(super) fn decode(&self, bytes: &[u8]) -> Vec<f32> {
        let half = |b: &[u8]| half::f16::from_le_bytes([b[0], b[1]]).to_f32();
        let units = bytes.chunks_exact(self.unit().1.max(1));
        match self {
            Element::F32 => units.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            Element::F16 => units.map(half).collect(),
            Element::BF16 => units.map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            Element::Q8_0 => {
                units.flat_map(|b| b[2..].iter().map(move |q| half(b) * f32::from(*q as i8))).collect()
            }
            Element::Q4_0 => {
                units.flat_map(|b| quants(&b[2..], 0).map(move |q| half(b) * (q - 8.0))).collect()
            }
            Element::Q4_1 => {
                units.flat_map(|b| quants(&b[4..], 0).map(move |q| half(b) * q + half(&b[2..]))).collect()
            }
            Element::Q5_0 => units
                .flat_map(|b| quants(&b[6..], word(&b[2..])).map(move |q| half(b) * (q - 16.0)))
                .collect(),
            Element::Q5_1 => units
                .flat_map(|b| quants(&b[8..], word(&b[4..])).map(move |q| half(b) * q + half(&b[2..])))
                .collect(),
            Element::Foreign(_) => Vec::new(),
        }
    }
}

fn word(b: &[u8]) -> u32 {
    u32::from_le_bytes([b[0], b[1], b[2], b[3]])
}

/// The unsigned quants of a block: four bits of `low` each, and the fifth of `fifth`.
fn quants(low: &[u8], fifth: u32) -> impl Iterator<Item = f32> + use<'_> {
    (0..BLOCK).map(move |i| {
        let nibble = if i < 16 { low[i] & 15 } else { low[i - 16] >> 4 };
        f32::from(nibble | (((fifth >> i) & 1) as u8) << 4)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_decode_as_ggml_lays_them_out() {
        let (half, two) = (half::f16::from_f32(0.5).to_le_bytes(), half::f16::from_f32(2.0).to_le_bytes());
        // Low halves 0..16, high halves 15 - j; fifth bit of elements 0 and 31.
        let nibbles: Vec<u8> = (0..16).map(|j| j | (15 - j) << 4).collect();
        let fifth = 0x8000_0001u32.to_le_bytes();
        let block = |parts: &[&[u8]]| parts.concat();

        let q5_0 = Element::Q5_0.decode(&block(&[&half, &fifth, &nibbles]));
        assert_eq!((q5_0[0], q5_0[1], q5_0[15]), (0.0, -7.5, -0.5));
        assert_eq!((q5_0[16], q5_0[30], q5_0[31]), (-0.5, -7.5, 0.0));
        let q5_1 = Element::Q5_1.decode(&block(&[&half, &two, &fifth, &nibbles]));
        assert_eq!((q5_1[0], q5_1[1], q5_1[16], q5_1[31]), (10.0, 2.5, 9.5, 10.0));
        let q4_0 = Element::Q4_0.decode(&block(&[&half, &nibbles]));
        assert_eq!((q4_0[0], q4_0[15], q4_0[16]), (-4.0, 3.5, 3.5));
        let q4_1 = Element::Q4_1.decode(&block(&[&half, &two, &nibbles]));
        assert_eq!((q4_1[0], q4_1[15], q4_1[31]), (2.0, 9.5, 2.0));
        let bytes: Vec<u8> = (0..32).map(|i: i8| (i - 16) as u8).collect();
        let q8_0 = Element::Q8_0.decode(&block(&[&half, &bytes]));
        assert_eq!((q8_0.len(), q8_0[0], q8_0[31]), (32, -8.0, 7.5));
        for element in [Element::Q4_0, Element::Q4_1, Element::Q5_0, Element::Q5_1, Element::Q8_0] {
            assert_eq!(element.decode(&vec![0; element.bytes(64)]).len(), 64, "{element:?}");
        }
    }
}
