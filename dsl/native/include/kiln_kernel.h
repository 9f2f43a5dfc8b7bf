// What Kiln's emitted kernels use besides aie_api: loop hints for the two AIE2 compilers, and
// small helpers over aie_api. Goes to the device toolchain with the kernels.
#pragma once

#include <aie_api/aie.hpp>
#include <stdint.h>

#define KILN_PRAGMA(text) _Pragma(#text)
#if defined(__chess__)
#define KILN_PIPELINE [[chess::prepare_for_pipelining]]
#define KILN_MIN_TRIPS(n) [[chess::min_loop_count(n)]]
#define KILN_MAX_TRIPS(n) [[chess::max_loop_count(n)]]
#define KILN_UNROLL [[chess::unroll_loop()]]
// Without `prepare_for_pipelining` it keeps a loop as it is written.
#define KILN_COMPACT
#elif defined(__AIENGINE__) || defined(__AIECC__)
// Peano pipelines innermost loops by itself and wants the range of their trip counts.
#define KILN_PIPELINE
#define KILN_MIN_TRIPS(n) KILN_PRAGMA(clang loop min_iteration_count(n))
#define KILN_MAX_TRIPS(n) KILN_PRAGMA(clang loop max_iteration_count(n))
#define KILN_UNROLL KILN_PRAGMA(clang loop unroll(full))
#define KILN_COMPACT KILN_PRAGMA(clang loop pipeline(disable) unroll(disable))
#else
#define KILN_PIPELINE
#define KILN_MIN_TRIPS(n)
#define KILN_MAX_TRIPS(n)
#define KILN_UNROLL
#define KILN_COMPACT
#endif

namespace kiln {

// Magnitude; the least value stays.
inline int32_t abs(int32_t x) { return x < 0 ? (int32_t)(0u - (uint32_t)x) : x; }

// Leading zeros; 32 for 0.
inline int32_t clz(int32_t x) { return x == 0 ? 32 : (int32_t)__builtin_clz((uint32_t)x); }

// The lesser and the greater, and compares that give 0 or 1: functions, since compilers warn of
// `n < n` where a kernel compares a value with itself.
inline int32_t min(int32_t a, int32_t b) { return a < b ? a : b; }
inline int32_t max(int32_t a, int32_t b) { return a < b ? b : a; }
inline int32_t lt(int32_t a, int32_t b) { return a < b ? 1 : 0; }
inline int32_t eq(int32_t a, int32_t b) { return a == b ? 1 : 0; }

// Toward zero; by zero gives 0; the least integer by -1 wraps.
inline int32_t div(int32_t a, int32_t b) {
    if (b == 0) return 0;
    if (b == -1) return (int32_t)(0u - (uint32_t)a);
    return a / b;
}

// The mode with a crRnd code.
template <unsigned Code>
inline constexpr aie::rounding_mode rounding() {
    switch (Code) {
    case 0: return aie::rounding_mode::floor;
    case 1: return aie::rounding_mode::ceil;
    case 2: return aie::rounding_mode::symmetric_floor;
    case 3: return aie::rounding_mode::symmetric_ceil;
    case 8: return aie::rounding_mode::negative_inf;
    case 9: return aie::rounding_mode::positive_inf;
    case 10: return aie::rounding_mode::symmetric_zero;
    case 11: return aie::rounding_mode::symmetric_inf;
    case 12: return aie::rounding_mode::conv_even;
    default: static_assert(Code < 4 || (Code >= 8 && Code <= 13), "no such rounding mode");
    }
    return aie::rounding_mode::conv_odd;
}

// The mode with a crSat code.
template <unsigned Code>
inline constexpr aie::saturation_mode saturation() {
    static_assert(Code == 0 || Code == 1 || Code == 3, "no such saturation mode");
    return Code == 0   ? aie::saturation_mode::none
           : Code == 1 ? aie::saturation_mode::saturate
                       : aie::saturation_mode::symmetric;
}

// Every lane the bfloat16 with these bits.
template <unsigned N>
inline aie::vector<bfloat16, N> splat_bf16(int32_t bits) {
    return aie::broadcast<int16, N>((int16)bits).template cast_to<bfloat16>();
}

// A mask whose lowest n lanes are set; n is clamped to 0..Lanes.
template <unsigned Lanes>
inline aie::mask<Lanes> tail_mask(int32_t n) {
    if constexpr (Lanes <= 32) {
        const uint32_t bits = n <= 0 ? 0 : n >= (int32_t)Lanes ? ~(uint32_t)0 >> (32 - Lanes) : ((uint32_t)1 << n) - 1;
        return aie::mask<Lanes>::from_uint32(bits);
    } else {
        const uint64_t bits = n <= 0 ? 0 : n >= (int32_t)Lanes ? ~(uint64_t)0 >> (64 - Lanes) : ((uint64_t)1 << n) - 1;
        return aie::mask<Lanes>::from_uint64(bits);
    }
}

// vshuffle of two 512-bit registers.
template <typename T, unsigned N>
inline aie::vector<T, N> shuffle(const aie::vector<T, N> &a, const aie::vector<T, N> &b, unsigned mode) {
    return ::shuffle(a.to_native(), b.to_native(), mode);
}

// A[M, K] x B[K, N] into the accumulator that the shape has.
template <unsigned M, unsigned K, unsigned N, typename A, typename B>
inline auto mul(const aie::vector<A, M * K> &a, const aie::vector<B, K * N> &b) {
    aie::mmul<M, K, N, A, B> product;
    product.mul(a, b);
    return product.to_accum();
}

// acc + A[M, K] x B[K, N].
template <unsigned M, unsigned K, unsigned N, typename Acc, typename A, typename B>
inline Acc mac(const Acc &acc, const aie::vector<A, M * K> &a, const aie::vector<B, K * N> &b) {
    aie::mmul<M, K, N, A, B> product(acc);
    product.mac(a, b);
    return product.to_accum();
}

// Entry (index >> StepLog2) + Bias of the table, clamped to its ends. The low bits of the index are
// cleared first: aie_api drops them by a shift that obeys the rounding mode.
template <typename Value, unsigned Entries, unsigned StepLog2, unsigned Bias, typename Index, unsigned N>
inline aie::vector<Value, N> lookup(const void *ab, const void *cd, aie::vector<Index, N> index) {
    static_assert((Bias & (Bias - 1)) == 0, "aie::parallel_lookup wants a bias that is a power of two");
    using table = aie::lut<4, Value>;
    const table copies(Entries, ab, cd);
    if constexpr (StepLog2 != 0)
        index = aie::bit_and(index, aie::broadcast<Index, N>((Index)-(1 << StepLog2)));
    if constexpr (std::is_signed_v<Index>) {
        aie::parallel_lookup<Index, table> lookup(copies, StepLog2, Bias);
        return lookup.fetch(index);
    } else {
        static_assert(Bias == 0, "aie::parallel_lookup takes a bias with signed indices only");
        aie::parallel_lookup<Index, table> lookup(copies, StepLog2);
        return lookup.fetch(index);
    }
}

} // namespace kiln
