//! Integer matrix products, lane for lane as `vmul` / `vmac`: row-major tiles, accumulator lanes
//! that wrap. The vectors prove int8 4x8x8 and int16 4x2x8 into 32-bit accumulators.

use wide::{i16x8, i32x4};

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
    let narrow = A::MAGNITUDE_BITS <= 15 && B::MAGNITUDE_BITS <= 15 && N.is_multiple_of(4);
    // A sum of K products either fits 32 bits, or the accumulator wraps there all the same.
    let sum_bits = A::MAGNITUDE_BITS + B::MAGNITUDE_BITS + K.next_power_of_two().ilog2();
    if narrow && (sum_bits < 31 || Acc::BITS == 32) {
        let sums = narrow_sums::<A, B, M, K, N, LA, LB, LC>(a, b);
        for (lane, sum) in acc.iter_mut().zip(sums) {
            *lane = lane.add_narrow(sum);
        }
    } else {
        mmul_wide::<A, B, Acc, M, K, N, LA, LB, LC>(acc, a, b);
    }
}

/// The operands of the products of one k, for all M x N lanes: `a` lanes repeated along n, rows of
/// `b` along m.
#[inline(always)]
fn operands_of_k<
    A: MulLane,
    const M: usize,
    const K: usize,
    const N: usize,
    const LA: usize,
    const LB: usize,
>(
    a: &[A; LA],
    b: &[i16; LB],
    k: usize,
) -> ([[i16; N]; M], [[i16; N]; M]) {
    let row: [i16; N] = std::array::from_fn(|n| b[k * N + n]);
    let mut left = [[0; N]; M];
    for (m, lanes) in left.iter_mut().enumerate() {
        // Repeated by a multiplication: LLVM turns that into two shuffles, and sixteen-bit stores
        // of the same lane into a chain of inserts.
        let repeated = u64::from(a[m * K + k].narrow() as u16).wrapping_mul(0x0001_0001_0001_0001);
        let four: [i16; 4] = bytemuck::cast(repeated);
        *lanes = std::array::from_fn(|n| four[n % 4]);
    }
    (left, [row; M])
}

/// The products of 16-bit operands, summed over k in 32 bits. The loops run over all M x N lanes,
/// long enough that LLVM vectorises them as they stand.
#[inline(always)]
fn narrow_sums<
    A: MulLane,
    B: MulLane,
    const M: usize,
    const K: usize,
    const N: usize,
    const LA: usize,
    const LB: usize,
    const LC: usize,
>(
    a: &[A; LA],
    b: &[B; LB],
) -> [i32; LC] {
    let product_bits = A::MAGNITUDE_BITS + B::MAGNITUDE_BITS;
    let b = b.map(B::narrow);
    let mut sums = [0i32; LC];
    if product_bits <= 14 && K.is_multiple_of(2) {
        // The sum of two products is at most 2^15: one less than it fits 16 bits.
        sums = [(K / 2) as i32; LC];
        for k in (0..K).step_by(2) {
            let (a0, b0) = operands_of_k::<A, M, K, N, LA, LB>(a, &b, k);
            let (a1, b1) = operands_of_k::<A, M, K, N, LA, LB>(a, &b, k + 1);
            let (a0, b0) = (a0.as_flattened(), b0.as_flattened());
            let (a1, b1) = (a1.as_flattened(), b1.as_flattened());
            for i in 0..LC {
                let two = a0[i].wrapping_mul(b0[i]).wrapping_add(a1[i].wrapping_mul(b1[i]));
                sums[i] = sums[i].wrapping_add(two.wrapping_sub(1).into());
            }
        }
        return sums;
    }
    if K.is_multiple_of(2) && N <= MAX_COLUMNS {
        return paired_sums::<A, M, K, N, LA, LB, LC>(a, &b);
    }
    for k in 0..K {
        let (left, right) = operands_of_k::<A, M, K, N, LA, LB>(a, &b, k);
        let (left, right) = (left.as_flattened(), right.as_flattened());
        for i in 0..LC {
            let product = if product_bits <= 15 {
                i32::from(left[i].wrapping_mul(right[i]))
            } else {
                i32::from(left[i]) * i32::from(right[i])
            };
            sums[i] = sums[i].wrapping_add(product);
        }
    }
    sums
}

/// Most columns of a product that [`paired_sums`] takes.
const MAX_COLUMNS: usize = 16;

/// As [`narrow_sums`], two k at a time: x86 has an instruction for the sum of two 16-bit products in 32 bits,
/// which LLVM does not find. Only -2^15 in all four operands leaves 32 bits, and wraps.
#[inline(always)]
fn paired_sums<
    A: MulLane,
    const M: usize,
    const K: usize,
    const N: usize,
    const LA: usize,
    const LB: usize,
    const LC: usize,
>(
    a: &[A; LA],
    b: &[i16; LB],
) -> [i32; LC] {
    let a = a.map(A::narrow);
    let mut sums = [[i32x4::ZERO; MAX_COLUMNS / 4]; M];
    for k in (0..K).step_by(2) {
        let mut pairs = [i16x8::ZERO; MAX_COLUMNS / 4];
        for (at, pair) in pairs.iter_mut().enumerate().take(N / 4) {
            *pair = i16x8::new(std::array::from_fn(|i| b[(k + i % 2) * N + 4 * at + i / 2]));
        }
        for (m, sums) in sums.iter_mut().enumerate() {
            let left = i16x8::new(bytemuck::cast([[a[m * K + k], a[m * K + k + 1]]; 4]));
            for (sum, &pair) in sums.iter_mut().zip(&pairs).take(N / 4) {
                *sum += left.dot(pair);
            }
        }
    }
    let mut out = [0; LC];
    for (row, sums) in out.chunks_exact_mut(N).zip(&sums) {
        for (lanes, sum) in row.chunks_exact_mut(4).zip(sums) {
            lanes.copy_from_slice(sum.as_array());
        }
    }
    out
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng, rngs::SmallRng};

    /// A row-major product by its definition, lane sums exact and wrapped at the end.
    fn naive(acc: &[i64], a: &[i64], b: &[i64], [m, k, n]: [usize; 3]) -> Vec<i128> {
        let dot = |i: usize, j: usize| {
            (0..k).map(|p| i128::from(a[i * k + p]) * i128::from(b[p * n + j])).sum::<i128>()
        };
        (0..m * n).map(|at| i128::from(acc[at]) + dot(at / n, at % n)).collect()
    }

    /// A lane of each type: extremes often, for they are where narrow sums overflow.
    macro_rules! lanes {
        ($rng:ident, $t:ty, $count:literal) => {{
            let mut lanes = [0 as $t; $count];
            let extreme = $rng.random_range(0..3);
            for lane in &mut lanes {
                *lane = match extreme {
                    0 => <$t>::MIN,
                    1 if $rng.random_bool(0.5) => <$t>::MAX,
                    1 => <$t>::MIN,
                    _ => $rng.random(),
                };
            }
            lanes
        }};
    }

    macro_rules! agrees {
        ($rng:ident, $m:literal x $k:literal x $n:literal, $a:ty, $b:ty, $acc:ty, $la:literal, $lb:literal, $lc:literal) => {{
            let (a, b, mut acc) = (lanes!($rng, $a, $la), lanes!($rng, $b, $lb), lanes!($rng, $acc, $lc));
            let want = naive(&acc.map(i64::from), &a.map(i64::from), &b.map(i64::from), [$m, $k, $n]);
            mmul_int::<$a, $b, $acc, $m, $k, $n, $la, $lb, $lc>(&mut acc, &a, &b);
            let want: Vec<$acc> = want.into_iter().map(|lane| lane as $acc).collect();
            prop_assert_eq!(
                &acc[..],
                &want[..],
                "{}x{}x{} {} {}",
                $m,
                $k,
                $n,
                stringify!($a),
                stringify!($b)
            );
        }};
    }

    proptest! {
        #[test]
        fn every_shape_is_the_naive_product(seed: u64) {
            let mut rng = SmallRng::seed_from_u64(seed);
            agrees!(rng, 4 x 8 x 8, i8, i8, i32, 32, 64, 32);
            agrees!(rng, 4 x 8 x 8, u8, i8, i32, 32, 64, 32);
            agrees!(rng, 4 x 8 x 8, i8, u8, i32, 32, 64, 32);
            agrees!(rng, 4 x 8 x 8, u8, u8, i32, 32, 64, 32);
            agrees!(rng, 2 x 8 x 8, i8, i8, i32, 16, 64, 16);
            agrees!(rng, 4 x 4 x 8, i16, i8, i32, 16, 32, 32);
            agrees!(rng, 4 x 8 x 4, i16, i8, i64, 32, 32, 16);
            agrees!(rng, 2 x 8 x 8, i16, i8, i64, 16, 64, 16);
            agrees!(rng, 4 x 2 x 8, i16, i16, i32, 8, 16, 32);
            agrees!(rng, 4 x 4 x 4, i16, i16, i64, 16, 16, 16);
            agrees!(rng, 2 x 4 x 8, i16, i16, i64, 8, 32, 16);
            agrees!(rng, 4 x 4 x 4, i32, i16, i64, 16, 16, 16);
            agrees!(rng, 3 x 5 x 2, i8, i8, i32, 15, 10, 6);
        }
    }
}
