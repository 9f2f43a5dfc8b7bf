//! The types of kernel values: 32-bit scalars, vectors, accumulators and masks.

use std::fmt;

/// The type of one lane in memory or in a vector register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Elem {
    /// Signed 8-bit integer.
    I8,
    /// Unsigned 8-bit integer.
    U8,
    /// Signed 16-bit integer.
    I16,
    /// Signed 32-bit integer.
    I32,
    /// The upper half of an IEEE single: 8 exponent bits, 7 of mantissa.
    Bf16,
    /// IEEE single.
    F32,
}

impl Elem {
    /// Every element type, in the order of the op table.
    pub const ALL: [Elem; 6] = [Elem::I8, Elem::U8, Elem::I16, Elem::I32, Elem::Bf16, Elem::F32];

    /// Size of one element in memory.
    pub const fn bytes(self) -> u32 {
        match self {
            Elem::I8 | Elem::U8 => 1,
            Elem::I16 | Elem::Bf16 => 2,
            Elem::I32 | Elem::F32 => 4,
        }
    }

    /// The name in Kiln's IR text; `mlir_name` has the signless one.
    pub const fn name(self) -> &'static str {
        match self {
            Elem::I8 => "i8",
            Elem::U8 => "u8",
            Elem::I16 => "i16",
            Elem::I32 => "i32",
            Elem::Bf16 => "bf16",
            Elem::F32 => "f32",
        }
    }

    /// The MLIR element type: integers are signless there.
    pub const fn mlir_name(self) -> &'static str {
        match self {
            Elem::U8 => "i8",
            other => other.name(),
        }
    }

    /// The element type written `name` in IR text.
    pub fn from_name(name: &str) -> Option<Elem> {
        Elem::ALL.into_iter().find(|e| e.name() == name)
    }

    /// Whether lanes are floating point.
    pub const fn is_float(self) -> bool {
        matches!(self, Elem::Bf16 | Elem::F32)
    }
}

impl fmt::Display for Elem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The type of one accumulator lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccKind {
    /// 32-bit integer lanes, wrapping.
    Acc32,
    /// 64-bit integer lanes, wrapping.
    Acc64,
    /// IEEE single lanes.
    AccFloat,
}

impl AccKind {
    /// Size of one lane.
    pub const fn bytes(self) -> u32 {
        match self {
            AccKind::Acc32 | AccKind::AccFloat => 4,
            AccKind::Acc64 => 8,
        }
    }

    /// The name in Kiln's IR text and, but for `accfloat`, in aie_api.
    pub const fn name(self) -> &'static str {
        match self {
            AccKind::Acc32 => "acc32",
            AccKind::Acc64 => "acc64",
            AccKind::AccFloat => "accfloat",
        }
    }

    /// The accumulator kind written `name`.
    pub fn from_name(name: &str) -> Option<AccKind> {
        [AccKind::Acc32, AccKind::Acc64, AccKind::AccFloat].into_iter().find(|k| k.name() == name)
    }
}

impl fmt::Display for AccKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The type of one SSA value.
///
/// Text form: `i32`, `vec<i8x32>`, `acc<acc32x32>`, `mask<32>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Type {
    /// A 32-bit scalar register.
    Scalar,
    /// A vector register of `lanes` elements: 128, 256, 512 or 1024 bits.
    Vector {
        /// Type of one lane.
        elem: Elem,
        /// Number of lanes.
        lanes: u16,
    },
    /// An accumulator of `lanes` lanes: 256, 512 or 1024 bits.
    Accum {
        /// Type of one lane.
        kind: AccKind,
        /// Number of lanes.
        lanes: u16,
    },
    /// One bit a lane, the result of a compare.
    Mask {
        /// Number of lanes.
        lanes: u16,
    },
}

impl Type {
    /// Shorthand for a vector type.
    pub const fn vector(elem: Elem, lanes: u16) -> Type {
        Type::Vector { elem, lanes }
    }

    /// Shorthand for an accumulator type.
    pub const fn accum(kind: AccKind, lanes: u16) -> Type {
        Type::Accum { kind, lanes }
    }

    /// Bytes that a value of this type occupies in the register image
    /// (lane 0 first, little endian; a mask is 8 bytes).
    pub const fn bytes(self) -> u32 {
        match self {
            Type::Scalar => 4,
            Type::Vector { elem, lanes } => elem.bytes() * lanes as u32,
            Type::Accum { kind, lanes } => kind.bytes() * lanes as u32,
            Type::Mask { .. } => 8,
        }
    }

    /// Number of lanes; 1 for a scalar.
    pub const fn lanes(self) -> u16 {
        match self {
            Type::Scalar => 1,
            Type::Vector { lanes, .. } | Type::Accum { lanes, .. } | Type::Mask { lanes } => lanes,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Scalar => f.write_str("i32"),
            Type::Vector { elem, lanes } => write!(f, "vec<{elem}x{lanes}>"),
            Type::Accum { kind, lanes } => write!(f, "acc<{kind}x{lanes}>"),
            Type::Mask { lanes } => write!(f, "mask<{lanes}>"),
        }
    }
}
