// Matrix products of row-major tiles: C[M, N] (+)= A[M, K] x B[K, N].
#pragma once

#include "accum.hpp"

// The accumulator that a shape has.
struct accauto {};

namespace kiln_native {

struct mmul_shape {
    unsigned m, k, n, a_bytes, b_bytes;
    bool is_float;
    unsigned acc_bits;
};
// The shapes of detail/aie2/mmul_*.hpp that are one multiplier instruction.
inline constexpr mmul_shape mmul_shapes[] = {
    {4, 8, 8, 1, 1, false, 32}, {2, 8, 8, 1, 1, false, 32}, {4, 4, 8, 2, 1, false, 32}, {4, 8, 4, 2, 1, false, 64},
    {2, 8, 8, 2, 1, false, 64}, {4, 2, 8, 2, 2, false, 32}, {4, 4, 4, 2, 2, false, 64}, {2, 4, 8, 2, 2, false, 64},
    {4, 2, 4, 4, 2, false, 64}, {4, 4, 4, 4, 2, false, 64}, {2, 4, 8, 4, 2, false, 64}, {4, 8, 4, 2, 2, true, 32},
};
template <typename A, typename B>
constexpr unsigned mmul_acc_bits(unsigned m, unsigned k, unsigned n) {
    constexpr bool is_float = std::is_same_v<A, bfloat16> && std::is_same_v<B, bfloat16>;
    for (const mmul_shape &s : mmul_shapes) {
        if (s.m == m && s.k == k && s.n == n && s.a_bytes == sizeof(A) && s.b_bytes == sizeof(B) &&
            s.is_float == is_float)
            return s.acc_bits;
    }
    return 0;
}
template <typename A, unsigned Bits>
using mmul_tag = std::conditional_t<std::is_same_v<A, bfloat16>, accfloat, std::conditional_t<Bits == 64, acc64, acc32>>;

} // namespace kiln_native

namespace aie {

template <unsigned M, unsigned K, unsigned N, typename TypeA, typename TypeB = TypeA, typename AccumTag = accauto>
class mmul {
    static_assert(std::is_same_v<AccumTag, accauto>, "name no accumulator: each shape has one");
    static constexpr unsigned acc_bits = kiln_native::mmul_acc_bits<TypeA, TypeB>(M, K, N);
    static_assert(acc_bits != 0, "AIE2 has no such matrix product in one instruction");
    using tag = kiln_native::mmul_tag<TypeA, acc_bits>;

public:
    using accum_type = accum<tag, M * N>;
    static constexpr unsigned size_A = M * K;
    static constexpr unsigned size_B = K * N;
    static constexpr unsigned size_C = M * N;

    mmul() = default;
    mmul(const accum_type &acc) : acc_(acc) {}

    void mul(const vector<TypeA, M * K> &a, const vector<TypeB, K * N> &b) { acc_ = product(nullptr, a, b); }
    void mac(const vector<TypeA, M * K> &a, const vector<TypeB, K * N> &b) { acc_ = product(&acc_, a, b); }
    accum_type to_accum() const { return acc_; }
    operator accum_type() const { return acc_; }
    template <typename T>
    vector<T, M * N> to_vector(int shift = 0) const {
        return acc_.template to_vector<T>(shift);
    }

private:
    accum_type acc_;

    static accum_type product(const accum_type *start, const vector<TypeA, M * K> &a, const vector<TypeB, K * N> &b) {
        accum_type out;
        for (unsigned row = 0; row < M; ++row) {
            for (unsigned column = 0; column < N; ++column) {
                const unsigned at = row * N + column;
                if constexpr (std::is_same_v<tag, accfloat>) {
                    kiln_native::float_term terms[K + 1];
                    unsigned count = 0;
                    if (start != nullptr) terms[count++] = kiln_native::term_of((*start)[at]);
                    for (unsigned k = 0; k < K; ++k)
                        terms[count++] = kiln_native::term_of(a[row * K + k], b[k * N + column]);
                    out[at] = kiln_native::sum_terms(terms, count);
                } else {
                    int64_t sum = start != nullptr ? static_cast<int64_t>((*start)[at]) : 0;
                    for (unsigned k = 0; k < K; ++k)
                        sum = kiln_native::wrapping_add(sum, int64_t{a[row * K + k]} * int64_t{b[k * N + column]});
                    out[at] = kiln_native::wrap<kiln_native::lane_of<tag>>(sum);
                }
            }
        }
        return out;
    }
};

} // namespace aie
