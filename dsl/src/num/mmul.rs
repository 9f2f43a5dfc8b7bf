//! Integer matrix products, lane for lane as `vmul` / `vmac`: row-major tiles, accumulator lanes
//! that wrap. The vectors prove int8 4x8x8 and int16 4x2x8 into 32-bit accumulators.

/// An integer lane of a multiplier operand.
pub trait MulLane: Copy {
    /// Bits of magnitude: |lane| <= 2^MAGNITUDE_BITS.
    const MAGNITUDE_BITS: u32;
    /// The lane as 16 bits, exact when `MAGNITUDE_BITS` is at most 15.
    fn narrow(self) -> i16;
    /// The lane's value.
    fn wide(self) -> i64;
}

macro_rules! mul_lane {
    ($($t:ty: $bits:literal),*) => {$(
        impl MulLane for $t {
            const MAGNITUDE_BITS: u32 = $bits;
            #[inline(always)]
            fn narrow(self) -> i16 {
                self as i16
            }
            #[inline(always)]
            fn wide(self) -> i64 {
                self.into()
            }
        }
    )*};
}
mul_lane!(i8: 7, u8: 8, i16: 15, u16: 16, i32: 31);

/// An integer accumulator lane.
pub trait AccLane: Copy {
    /// Bits of the lane.
    const BITS: u32;
    /// Adds, wrapping to the lane.
    fn add_wide(self, sum: i64) -> Self;
    /// Adds, wrapping to the lane.
    fn add_narrow(self, sum: i32) -> Self;
}

impl AccLane for i32 {
    const BITS: u32 = 32;
    #[inline(always)]
    fn add_wide(self, sum: i64) -> i32 {
        self.wrapping_add(sum as i32)
    }
    #[inline(always)]
    fn add_narrow(self, sum: i32) -> i32 {
        self.wrapping_add(sum)
    }
}

impl AccLane for i64 {
    const BITS: u32 = 64;
    #[inline(always)]
    fn add_wide(self, sum: i64) -> i64 {
        self.wrapping_add(sum)
    }
    #[inline(always)]
    fn add_narrow(self, sum: i32) -> i64 {
        self.wrapping_add(sum.into())
    }
}

/// `acc[M, N] += a[M, K] x b[K, N]`, all row-major. `LA`, `LB`, `LC` are M*K, K*N, M*N (checked at
/// compile time: Rust cannot yet derive them).
#[inline]
pub fn mmul_int<
    A: MulLane,
    B: MulLane,
    Acc: AccLane,
    const M: usize,
    const K: usize,
    const N: usize,
    const LA: usize,
    const LB: usize,
    const LC: usize,
>(
    acc: &mut [Acc; LC],
    a: &[A; LA],
    b: &[B; LB],
) {
    const { assert!(LA == M * K && LB == K * N && LC == M * N) };
    let narrow = A::MAGNITUDE_BITS <= 15 && B::MAGNITUDE_BITS <= 15 && K.is_multiple_of(2);
    // A sum of K products either fits 32 bits, or the accumulator wraps there all the same.
    let sum_bits = A::MAGNITUDE_BITS + B::MAGNITUDE_BITS + K.next_power_of_two().ilog2();
    let fits = sum_bits < 31 || Acc::BITS == 32;
    if narrow && fits {
        mmul_pairs::<A, B, Acc, M, K, N, LA, LB, LC>(acc, a, b);
    } else {
        mmul_wide::<A, B, Acc, M, K, N, LA, LB, LC>(acc, a, b);
    }
}

/// By pairs of k in 16-bit lanes: the loop over n is what SSE2's `pmaddwd` computes.
#[inline(always)]
fn mmul_pairs<
    A: MulLane,
    B: MulLane,
    Acc: AccLane,
    const M: usize,
    const K: usize,
    const N: usize,
    const LA: usize,
    const LB: usize,
    const LC: usize,
>(
    acc: &mut [Acc; LC],
    a: &[A; LA],
    b: &[B; LB],
) {
    let a: [i16; LA] = a.map(A::narrow);
    let b: [i16; LB] = b.map(B::narrow);
    for m in 0..M {
        let mut sums = [0i32; N];
        for k in (0..K).step_by(2) {
            let (a0, a1) = (i32::from(a[m * K + k]), i32::from(a[m * K + k + 1]));
            for n in 0..N {
                let (b0, b1) = (i32::from(b[k * N + n]), i32::from(b[(k + 1) * N + n]));
                sums[n] = sums[n].wrapping_add((a0 * b0).wrapping_add(a1 * b1));
            }
        }
        for n in 0..N {
            acc[m * N + n] = acc[m * N + n].add_narrow(sums[n]);
        }
    }
}

#[inline(always)]
fn mmul_wide<
    A: MulLane,
    B: MulLane,
    Acc: AccLane,
    const M: usize,
    const K: usize,
    const N: usize,
    const LA: usize,
    const LB: usize,
    const LC: usize,
>(
    acc: &mut [Acc; LC],
    a: &[A; LA],
    b: &[B; LB],
) {
    for m in 0..M {
        for k in 0..K {
            let lane = a[m * K + k].wide();
            for n in 0..N {
                let product = lane.wrapping_mul(b[k * N + n].wide());
                acc[m * N + n] = acc[m * N + n].add_wide(product);
            }
        }
    }
}
