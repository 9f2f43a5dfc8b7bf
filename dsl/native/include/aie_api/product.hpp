// Lanewise products into accumulators.
#pragma once

#include "accum.hpp"
#include "float_lane.hpp"

namespace kiln_native {

// Products of these types go to this accumulator when none is named.
template <typename A, typename B>
using default_accum =
    std::conditional_t<std::is_same_v<A, bfloat16>, accfloat, std::conditional_t<(sizeof(A) + sizeof(B) > 4), acc64, acc32>>;

template <typename Tag, typename A, typename B>
constexpr void check_product() {
    if constexpr (std::is_same_v<Tag, accfloat>)
        static_assert(std::is_same_v<A, bfloat16> && std::is_same_v<B, bfloat16>, "the float multiplier takes bfloat16");
    else
        static_assert(is_int_elem<A> && is_int_elem<B>);
}

} // namespace kiln_native

namespace aie {

// acc + a * b, lanewise.
template <typename Tag, typename A, typename B, unsigned Elems>
accum<Tag, Elems> mac(const accum<Tag, Elems> &acc, const vector<A, Elems> &a, const vector<B, Elems> &b) {
    kiln_native::check_product<Tag, A, B>();
    accum<Tag, Elems> out;
    for (unsigned i = 0; i < Elems; ++i) {
        if constexpr (std::is_same_v<Tag, accfloat>)
            out[i] = kiln_native::sum_terms({kiln_native::term_of(acc[i]), kiln_native::term_of(a[i], b[i])});
        else
            out[i] = kiln_native::wrap<kiln_native::lane_of<Tag>>(
                kiln_native::wrapping_add(acc[i], int64_t{a[i]} * int64_t{b[i]}));
    }
    return out;
}
// acc - a * b, lanewise.
template <typename Tag, typename A, typename B, unsigned Elems>
accum<Tag, Elems> msc(const accum<Tag, Elems> &acc, const vector<A, Elems> &a, const vector<B, Elems> &b) {
    kiln_native::check_product<Tag, A, B>();
    accum<Tag, Elems> out;
    for (unsigned i = 0; i < Elems; ++i) {
        if constexpr (std::is_same_v<Tag, accfloat>) {
            bfloat16 negated = a[i];
            negated.bits ^= 0x8000;
            out[i] = kiln_native::sum_terms({kiln_native::term_of(acc[i]), kiln_native::term_of(negated, b[i])});
        } else {
            out[i] = kiln_native::wrap<kiln_native::lane_of<Tag>>(
                kiln_native::wrapping_sub(acc[i], int64_t{a[i]} * int64_t{b[i]}));
        }
    }
    return out;
}
// a * b, lanewise.
template <typename Tag, typename A, typename B, unsigned Elems>
    requires kiln_native::is_tag<Tag>
accum<Tag, Elems> mul(const vector<A, Elems> &a, const vector<B, Elems> &b) {
    kiln_native::check_product<Tag, A, B>();
    accum<Tag, Elems> out;
    for (unsigned i = 0; i < Elems; ++i) {
        if constexpr (std::is_same_v<Tag, accfloat>)
            out[i] = kiln_native::sum_terms({kiln_native::term_of(a[i], b[i])});
        else
            out[i] = kiln_native::wrap<kiln_native::lane_of<Tag>>(int64_t{a[i]} * int64_t{b[i]});
    }
    return out;
}
template <typename A, typename B, unsigned Elems>
auto mul(const vector<A, Elems> &a, const vector<B, Elems> &b) {
    return mul<kiln_native::default_accum<A, B>>(a, b);
}

} // namespace aie
