//! Schemes: how each kind of tensor of the encoder is a number.
//!
//! | tensor | `w8a8` | `w8a8-static` | `design-doc` | `bf16` |
//! |---|---|---|---|---|
//! | weights | i8 by column | i8 by column | i8 by tensor | bf16 |
//! | LayerNorm output | i8 by row | i8 | i8 | bf16 |
//! | q, k, v | i8 | i8 | i8 | bf16 |
//! | ctx | i16 | i16 | i8 | bf16 |
//! | GELU argument | i16 | i16 | i8 | i16 |
//! | GELU output | i16 | i16 | i8 | bf16 |
//! | convolutions | i16 x i8 | i16 x i8 | i8 | bf16 |
//! | residual stream | i16 | i16 | i8 | i16 |
//! | accumulators | i32 | i32 | i32 | f32 |
//!
//! A scale by row is found at run time, which only a core that holds the whole row can do: that is LayerNorm. ctx spans
//! heads and the GELU's output spans column tiles, on different cores, so their scales are static and they take 16 bits.

use kiln_dsl::kernel::Elem;
use std::fmt;
use std::str::FromStr;

/// A scheme, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// Every matrix of the transformer in bytes, LayerNorm's output scaled row by row.
    #[default]
    W8A8,
    /// The same without any scale that is found at run time.
    W8A8Static,
    /// bf16 operands, f32 accumulators, rounded to nearest even.
    Bf16,
    /// Plain int8 of the design document, for comparison: everything a byte with one scale a tensor.
    DesignDoc,
}

/// A name that is no scheme's.
#[derive(Debug, thiserror::Error)]
#[error("no scheme is named \"{0}\"\nhelp: the names are w8a8, w8a8-static, bf16, design-doc")]
pub struct UnknownScheme(String);

impl Scheme {
    /// Every scheme, the default first.
    pub const ALL: [Scheme; 4] = [Scheme::W8A8, Scheme::W8A8Static, Scheme::Bf16, Scheme::DesignDoc];

    /// Name for people, options and files.
    pub const fn name(self) -> &'static str {
        match self {
            Scheme::W8A8 => "w8a8",
            Scheme::W8A8Static => "w8a8-static",
            Scheme::Bf16 => "bf16",
            Scheme::DesignDoc => "design-doc",
        }
    }

    /// What a report says beside the name: that a scheme is not meant for use.
    pub const fn note(self) -> Option<&'static str> {
        match self {
            Scheme::DesignDoc => Some("plain int8 of the design document, for comparison"),
            Scheme::W8A8 | Scheme::W8A8Static | Scheme::Bf16 => None,
        }
    }

    /// Types of the scheme's tensors.
    pub const fn recipe(self) -> Recipe {
        match self {
            Scheme::W8A8 => Recipe::W8A8,
            Scheme::W8A8Static => Recipe { norm: Number::I8, ..Recipe::W8A8 },
            Scheme::DesignDoc => Recipe::DESIGN_DOC,
            Scheme::Bf16 => Recipe::BF16,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Scheme {
    type Err = UnknownScheme;

    fn from_str(name: &str) -> Result<Scheme, UnknownScheme> {
        Scheme::ALL.into_iter().find(|s| s.name() == name).ok_or_else(|| UnknownScheme(name.to_owned()))
    }
}

/// Type and scale of an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Number {
    /// Bytes with one static scale.
    I8,
    /// Bytes with a scale for each row, found at run time.
    I8Rows,
    /// 16 bits with one static scale, 1.25 times the calibrated peak.
    I16,
    /// bf16.
    Bf16,
}

impl Number {
    /// The element type.
    pub const fn elem(self) -> Elem {
        match self {
            Number::I8 | Number::I8Rows => Elem::I8,
            Number::I16 => Elem::I16,
            Number::Bf16 => Elem::Bf16,
        }
    }
}

/// What one weight scale is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightScales {
    /// An output column.
    Column,
    /// The whole matrix.
    Tensor,
    /// Nothing: weights are bf16.
    None,
}

/// Types of a scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Recipe {
    /// Scales of all weights.
    pub weights: WeightScales,
    /// Output of the LayerNorms before matrices.
    pub norm: Number,
    /// Attention context: I8, I16 or bf16.
    pub context: Number,
    /// Argument and output of the GELUs of the feed-forward blocks: I8 or I16, or an argument of I16 and bf16.
    pub hidden: Number,
    /// Residual stream and what is added to it: I8 or I16.
    pub stream: Number,
    /// Mel, and arguments and outputs of the convolutions' GELUs: I8 or I16; or bf16, with arguments of I16 and the last
    /// output that of the stream.
    pub conv: Number,
    /// Scores and probabilities: I16, or I8 with normalised probabilities, or bf16 (and q, k and v with them).
    pub scores: Number,
}

impl Recipe {
    /// Scheme `w8a8`.
    pub const W8A8: Recipe = Recipe {
        weights: WeightScales::Column,
        norm: Number::I8Rows,
        context: Number::I16,
        hidden: Number::I16,
        stream: Number::I16,
        conv: Number::I16,
        scores: Number::I16,
    };

    /// Scheme `bf16`.
    pub const BF16: Recipe = Recipe {
        weights: WeightScales::None,
        norm: Number::Bf16,
        context: Number::Bf16,
        hidden: Number::Bf16,
        stream: Number::I16,
        conv: Number::Bf16,
        scores: Number::Bf16,
    };

    /// Scheme `design-doc`.
    pub const DESIGN_DOC: Recipe = Recipe {
        weights: WeightScales::Tensor,
        norm: Number::I8,
        context: Number::I8,
        hidden: Number::I8,
        stream: Number::I8,
        conv: Number::I8,
        scores: Number::I8,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for scheme in Scheme::ALL {
            assert_eq!(scheme.to_string().parse::<Scheme>().unwrap(), scheme);
        }
        let error = "int8".parse::<Scheme>().unwrap_err().to_string();
        assert!(Scheme::ALL.iter().all(|s| error.contains(s.name())), "{error}");
        assert_eq!(Scheme::default(), Scheme::ALL[0]);
    }
}
