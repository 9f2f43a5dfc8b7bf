//! What the immediate of each operation means.

use super::{Opcode, shape_from_code};
use crate::kernel::types::{Elem, Type};
use crate::num::{Rounding, Saturation};

/// The kind of an operation's immediate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImmKind {
    /// No immediate.
    None,
    /// A 32-bit constant.
    Const,
    /// The bits of one bf16 or f32 lane.
    FloatBits,
    /// 0 for the low half, 1 for the high one.
    Half,
    /// A lane of the first operand.
    Lane,
    /// A mode of the byte permutation network.
    ShuffleMode,
    /// M, K and N of a matrix product, as [`super::shape_code`] packs them.
    Shape,
    /// A crRnd code.
    Rounding,
    /// A crSat code.
    Saturation,
    /// `Imm::Lookup`.
    Lookup,
    /// `Imm::Loop`.
    Loop,
}

/// Modes of `vshuffle` (`num::shuffle` has their permutations).
pub const SHUFFLE_MODES: i64 = 48;

impl Opcode {
    /// What the operation's immediate means.
    pub const fn imm_kind(self) -> ImmKind {
        match self {
            Opcode::For => ImmKind::Loop,
            Opcode::SConst => ImmKind::Const,
            Opcode::FSplat => ImmKind::FloatBits,
            Opcode::Half | Opcode::AccHalf => ImmKind::Half,
            Opcode::GetLane => ImmKind::Lane,
            Opcode::Shuffle => ImmKind::ShuffleMode,
            Opcode::MMul | Opcode::MMac => ImmKind::Shape,
            Opcode::SetRounding => ImmKind::Rounding,
            Opcode::SetSaturation => ImmKind::Saturation,
            Opcode::Lookup => ImmKind::Lookup,
            _ => ImmKind::None,
        }
    }
}

impl ImmKind {
    /// Whether an integer may stand here; `operand` is the type of the first operand, `result`
    /// that of the result.
    pub fn allows(self, value: i64, operand: Option<Type>, result: Option<Type>) -> bool {
        match self {
            ImmKind::None | ImmKind::Lookup | ImmKind::Loop => false,
            ImmKind::Const => i32::try_from(value).is_ok(),
            ImmKind::FloatBits => match result {
                Some(Type::Vector { elem: Elem::Bf16, .. }) => u16::try_from(value).is_ok(),
                _ => u32::try_from(value).is_ok(),
            },
            ImmKind::Half => matches!(value, 0 | 1),
            ImmKind::Lane => operand.is_some_and(|t| (0..i64::from(t.lanes())).contains(&value)),
            ImmKind::ShuffleMode => (0..SHUFFLE_MODES).contains(&value),
            ImmKind::Shape => shape_from_code(value).is_some(),
            ImmKind::Rounding => u8::try_from(value).is_ok_and(|code| Rounding::from_code(code).is_some()),
            ImmKind::Saturation => {
                u8::try_from(value).is_ok_and(|code| Saturation::from_code(code).is_some())
            }
        }
    }

    /// What is allowed, for messages.
    pub const fn expected(self) -> &'static str {
        match self {
            ImmKind::None => "no immediate",
            ImmKind::Const => "a 32-bit constant",
            ImmKind::FloatBits => "the bits of one lane",
            ImmKind::Half => "0 (low half) or 1 (high half)",
            ImmKind::Lane => "a lane of the operand",
            ImmKind::ShuffleMode => "a shuffle mode, 0 to 47",
            ImmKind::Shape => "M, K and N of a matrix product, as M*10000 + K*100 + N",
            ImmKind::Rounding => "a crRnd code: 0 to 3 or 8 to 13",
            ImmKind::Saturation => "a crSat code: 0, 1 or 3",
            ImmKind::Lookup => "the second table with step and bias",
            ImmKind::Loop => "a step",
        }
    }
}
