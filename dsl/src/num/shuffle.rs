//! The 48 byte permutations of `vshuffle`, from the names that aie_api gives them.
//!
//! `T16_8x4` is the transposition of a row-major matrix of 8 rows and 4 columns of 16-bit
//! elements. A matrix of 1024 bits is read from both operands (the first is the low half) and
//! has two modes, `_lo` and `_hi`, for the two halves of the result; one of 512 bits is read from
//! the first operand; a smaller one repeats over the first operand. One mode is no transposition:
//! `T16_1x2_flip` swaps neighbours. All 48 are proven by the measured routing table.

/// What one mode does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShuffleMode {
    /// Name in aie_api.
    pub name: &'static str,
    /// Code in the mode register.
    pub mode: u8,
    /// Bytes of one element.
    elem_bytes: u8,
    /// Rows of the matrix.
    rows: u8,
    /// Columns of the matrix.
    cols: u8,
    /// Which half of a 1024-bit result.
    half: u8,
}

macro_rules! modes {
    ($($name:ident = $mode:literal: $bits:literal, $rows:literal x $cols:literal, $half:literal;)*) => {
        $(
            #[doc = concat!("Mode ", stringify!($name), ".")]
            pub const $name: u8 = $mode;
        )*
        /// Every mode, in the order of the codes, which are 0..=47.
        pub const MODES: [ShuffleMode; 48] = [$(
            ShuffleMode {
                name: stringify!($name),
                mode: $mode,
                elem_bytes: ($bits as u16 / 8) as u8,
                rows: $rows,
                cols: $cols,
                half: $half,
            },
        )*];
    };
}

modes! {
    T8_64X2_LO = 0: 8, 64 x 2, 0;
    T8_64X2_HI = 1: 8, 64 x 2, 1;
    T16_32X2_LO = 2: 16, 32 x 2, 0;
    T16_32X2_HI = 3: 16, 32 x 2, 1;
    T32_16X2_LO = 4: 32, 16 x 2, 0;
    T32_16X2_HI = 5: 32, 16 x 2, 1;
    T64_8X2_LO = 6: 64, 8 x 2, 0;
    T64_8X2_HI = 7: 64, 8 x 2, 1;
    T128_4X2_LO = 8: 128, 4 x 2, 0;
    T128_4X2_HI = 9: 128, 4 x 2, 1;
    T256_2X2_LO = 10: 256, 2 x 2, 0;
    T256_2X2_HI = 11: 256, 2 x 2, 1;
    T128_2X4_LO = 12: 128, 2 x 4, 0;
    T128_2X4_HI = 13: 128, 2 x 4, 1;
    T64_2X8_LO = 14: 64, 2 x 8, 0;
    T64_2X8_HI = 15: 64, 2 x 8, 1;
    T32_2X16_LO = 16: 32, 2 x 16, 0;
    T32_2X16_HI = 17: 32, 2 x 16, 1;
    T16_2X32_LO = 18: 16, 2 x 32, 0;
    T16_2X32_HI = 19: 16, 2 x 32, 1;
    T8_2X64_LO = 20: 8, 2 x 64, 0;
    T8_2X64_HI = 21: 8, 2 x 64, 1;
    T512_1X2_LO = 22: 512, 1 x 2, 0;
    T512_1X2_HI = 23: 512, 1 x 2, 1;
    T16_16X4_LO = 24: 16, 16 x 4, 0;
    T16_16X4_HI = 25: 16, 16 x 4, 1;
    T16_4X16_LO = 26: 16, 4 x 16, 0;
    T16_4X16_HI = 27: 16, 4 x 16, 1;
    T16_8X4 = 28: 16, 8 x 4, 0;
    T16_4X8 = 29: 16, 4 x 8, 0;
    T32_8X4_LO = 30: 32, 8 x 4, 0;
    T32_8X4_HI = 31: 32, 8 x 4, 1;
    T32_4X8_LO = 32: 32, 4 x 8, 0;
    T32_4X8_HI = 33: 32, 4 x 8, 1;
    T32_4X4 = 34: 32, 4 x 4, 0;
    T8_8X8 = 35: 8, 8 x 8, 0;
    T8_16X4 = 36: 8, 16 x 4, 0;
    T8_4X16 = 37: 8, 4 x 16, 0;
    T16_1X2_FLIP = 38: 16, 1 x 2, 0;
    T16_4X4 = 39: 16, 4 x 4, 0;
    T16_4X2 = 40: 16, 4 x 2, 0;
    T16_2X4 = 41: 16, 2 x 4, 0;
    T16_8X2 = 42: 16, 8 x 2, 0;
    T16_2X8 = 43: 16, 2 x 8, 0;
    T16_16X2 = 44: 16, 16 x 2, 0;
    T16_2X16 = 45: 16, 2 x 16, 0;
    T8_8X4 = 46: 8, 8 x 4, 0;
    T8_4X8 = 47: 8, 4 x 8, 0;
}

impl ShuffleMode {
    /// Position, in the two operands end to end, of each byte of the result.
    pub const fn route(self) -> [u8; 64] {
        let (elem, rows, cols) = (self.elem_bytes as usize, self.rows as usize, self.cols as usize);
        let matrix = elem * rows * cols;
        let mut route = [0; 64];
        let mut i = 0;
        while i < 64 {
            let at = i + 64 * self.half as usize;
            let (base, element, byte) = (at / matrix * matrix, at % matrix / elem, at % elem);
            let source =
                if self.mode == T16_1X2_FLIP { element ^ 1 } else { element % rows * cols + element / rows };
            route[i] = (base + source * elem + byte) as u8;
            i += 1;
        }
        route
    }
}

/// The routes of all modes, laid out once at compile time.
static ROUTES: [[u8; 64]; 48] = {
    let mut routes = [[0; 64]; 48];
    let mut mode = 0;
    while mode < 48 {
        routes[mode] = MODES[mode].route();
        mode += 1;
    }
    routes
};

/// `vshuffle`: permutes the bytes of two 512-bit registers into one. The hardware looks at the low
/// 6 bits of `mode`; for 48..=63 it gives byte 0 of `a` followed by zeros.
#[inline]
pub fn shuffle(mode: u8, a: &[u8; 64], b: &[u8; 64]) -> [u8; 64] {
    let Some(route) = ROUTES.get(usize::from(mode & 63)) else {
        let mut out = [0; 64];
        out[0] = a[0];
        return out;
    };
    let mut both = [0; 128];
    both[..64].copy_from_slice(a);
    both[64..].copy_from_slice(b);
    // The mask lets the compiler drop the bounds check; routes are below 128.
    route.map(|at| both[usize::from(at & 127)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operands() -> ([u8; 64], [u8; 64]) {
        (std::array::from_fn(|i| i as u8), std::array::from_fn(|i| 64 + i as u8))
    }

    #[test]
    fn modes_are_in_the_order_of_their_codes() {
        assert!(MODES.iter().enumerate().all(|(i, m)| usize::from(m.mode) == i));
    }

    #[test]
    fn transposing_back_gives_both_operands() {
        // The inverse of rows x cols is cols x rows, applied to both halves of the result.
        for (there, back) in [
            ([T8_64X2_LO, T8_64X2_HI], [T8_2X64_LO, T8_2X64_HI]),
            ([T16_16X4_LO, T16_16X4_HI], [T16_4X16_LO, T16_4X16_HI]),
            ([T32_8X4_LO, T32_8X4_HI], [T32_4X8_LO, T32_4X8_HI]),
            ([T256_2X2_LO, T256_2X2_HI], [T256_2X2_LO, T256_2X2_HI]),
        ] {
            let (a, b) = operands();
            let (low, high) = (shuffle(there[0], &a, &b), shuffle(there[1], &a, &b));
            assert_eq!(shuffle(back[0], &low, &high), a, "mode {}", there[0]);
            assert_eq!(shuffle(back[1], &low, &high), b, "mode {}", there[0]);
        }
    }

    #[test]
    fn a_mode_beyond_the_table_keeps_one_byte_and_only_six_bits_count() {
        let (a, b) = ([7; 64], [9; 64]);
        let mut one = [0; 64];
        one[0] = 7;
        assert_eq!(shuffle(48, &a, &b), one);
        assert_eq!(shuffle(63, &a, &b), one);
        assert_eq!(shuffle(64 + T512_1X2_HI, &a, &b), b);
    }
}
