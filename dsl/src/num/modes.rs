//! Rounding and saturation modes of the core.

/// Rounding of srs and of float conversions: the crRnd codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Rounding {
    /// Toward minus infinity; the core's and aie_api's default.
    Floor = 0,
    /// Toward plus infinity.
    Ceil = 1,
    /// Toward zero.
    TowardZero = 2,
    /// Away from zero.
    AwayFromZero = 3,
    /// To nearest, ties toward minus infinity.
    NegInf = 8,
    /// To nearest, ties toward plus infinity.
    PosInf = 9,
    /// To nearest, ties toward zero.
    SymZero = 10,
    /// To nearest, ties away from zero.
    SymInf = 11,
    /// To nearest, ties to even.
    ConvEven = 12,
    /// To nearest, ties to odd.
    ConvOdd = 13,
}

impl Rounding {
    /// Every mode.
    pub const ALL: [Rounding; 10] = [
        Rounding::Floor,
        Rounding::Ceil,
        Rounding::TowardZero,
        Rounding::AwayFromZero,
        Rounding::NegInf,
        Rounding::PosInf,
        Rounding::SymZero,
        Rounding::SymInf,
        Rounding::ConvEven,
        Rounding::ConvOdd,
    ];

    /// The control register's code.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The mode with a control register code.
    pub fn from_code(code: u8) -> Option<Rounding> {
        Rounding::ALL.into_iter().find(|m| m.code() == code)
    }

    /// Name in IR text.
    pub const fn name(self) -> &'static str {
        match self {
            Rounding::Floor => "floor",
            Rounding::Ceil => "ceil",
            Rounding::TowardZero => "toward_zero",
            Rounding::AwayFromZero => "away_from_zero",
            Rounding::NegInf => "neg_inf",
            Rounding::PosInf => "pos_inf",
            Rounding::SymZero => "sym_zero",
            Rounding::SymInf => "sym_inf",
            Rounding::ConvEven => "conv_even",
            Rounding::ConvOdd => "conv_odd",
        }
    }
}

/// What happens to a value that does not fit: the crSat codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Saturation {
    /// Wraps; the core's and aie_api's default.
    Off = 0,
    /// Clamps to the type's range.
    On = 1,
    /// Clamps to plus and minus the type's maximum (signed types).
    Symmetric = 3,
}

impl Saturation {
    /// Every mode.
    pub const ALL: [Saturation; 3] = [Saturation::Off, Saturation::On, Saturation::Symmetric];

    /// The control register's code.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The mode with a control register code.
    pub fn from_code(code: u8) -> Option<Saturation> {
        Saturation::ALL.into_iter().find(|m| m.code() == code)
    }

    /// Name in IR text.
    pub const fn name(self) -> &'static str {
        match self {
            Saturation::Off => "off",
            Saturation::On => "on",
            Saturation::Symmetric => "symmetric",
        }
    }
}
