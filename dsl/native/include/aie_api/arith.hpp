// Lanewise operations and reductions of vectors.
#pragma once

#include "accum.hpp"
#include "float_lane.hpp"

namespace kiln_native {

template <typename T>
bool lane_less(T a, T b) {
    if constexpr (std::is_same_v<T, bfloat16>) {
        return less(a, b);
    } else {
        static_assert(is_int_elem<T>, "AIE2 compares integers and bfloat16");
        return a < b;
    }
}
template <typename T, unsigned N, typename F>
aie::vector<T, N> map(const aie::vector<T, N> &a, const aie::vector<T, N> &b, F f) {
    aie::vector<T, N> out;
    for (unsigned i = 0; i < N; ++i) out[i] = f(a[i], b[i]);
    return out;
}
template <typename T, unsigned N, typename F>
aie::mask<N> compare(const aie::vector<T, N> &a, const aie::vector<T, N> &b, F f) {
    aie::mask<N> out;
    for (unsigned i = 0; i < N; ++i) {
        if (f(a[i], b[i])) out.set(i);
    }
    return out;
}
} // namespace kiln_native

namespace aie {

// Zeros of a vector type, or of an accumulator tag.
template <typename T, unsigned Elems>
auto zeros() {
    if constexpr (kiln_native::is_tag<T>) {
        accum<T, Elems> z;
        for (unsigned i = 0; i < Elems; ++i) z[i] = 0;
        return z;
    } else {
        vector<T, Elems> z;
        for (unsigned i = 0; i < Elems; ++i) z[i] = T{};
        return z;
    }
}
template <typename T, unsigned Elems>
vector<T, Elems> broadcast(T value) {
    vector<T, Elems> v;
    for (unsigned i = 0; i < Elems; ++i) v[i] = value;
    return v;
}

template <typename T, unsigned Elems>
    requires kiln_native::is_int_elem<T>
vector<T, Elems> add(const vector<T, Elems> &a, const vector<T, Elems> &b) {
    return kiln_native::map(a, b, [](T x, T y) { return kiln_native::wrap<T>(int64_t{x} + int64_t{y}); });
}
template <typename T, unsigned Elems>
    requires kiln_native::is_int_elem<T>
vector<T, Elems> sub(const vector<T, Elems> &a, const vector<T, Elems> &b) {
    return kiln_native::map(a, b, [](T x, T y) { return kiln_native::wrap<T>(int64_t{x} - int64_t{y}); });
}
template <typename T, unsigned Elems>
vector<T, Elems> max(const vector<T, Elems> &a, const vector<T, Elems> &b) {
    return kiln_native::map(a, b, [](T x, T y) { return kiln_native::lane_less(x, y) ? y : x; });
}
template <typename T, unsigned Elems>
vector<T, Elems> min(const vector<T, Elems> &a, const vector<T, Elems> &b) {
    return kiln_native::map(a, b, [](T x, T y) { return kiln_native::lane_less(x, y) ? x : y; });
}
template <typename T, unsigned Elems>
    requires kiln_native::is_int_elem<T>
vector<T, Elems> maxdiff(const vector<T, Elems> &a, const vector<T, Elems> &b) {
    return kiln_native::map(a, b, [](T x, T y) { return x > y ? kiln_native::wrap<T>(int64_t{x} - int64_t{y}) : T{0}; });
}
template <typename T, unsigned Elems>
    requires kiln_native::is_int_elem<T>
vector<T, Elems> neg(const vector<T, Elems> &a) {
    return kiln_native::map(a, a, [](T x, T) { return kiln_native::wrap<T>(-int64_t{x}); });
}
template <typename T, unsigned Elems>
    requires kiln_native::is_int_elem<T>
vector<T, Elems> abs(const vector<T, Elems> &a) {
    return kiln_native::map(a, a, [](T x, T) { return kiln_native::wrap<T>(x < 0 ? -int64_t{x} : int64_t{x}); });
}
template <typename T, unsigned Elems>
    requires kiln_native::is_int_elem<T>
vector<T, Elems> bit_and(const vector<T, Elems> &a, const vector<T, Elems> &b) {
    return kiln_native::map(a, b, [](T x, T y) { return static_cast<T>(x & y); });
}
template <typename T, unsigned Elems>
    requires kiln_native::is_int_elem<T>
vector<T, Elems> bit_or(const vector<T, Elems> &a, const vector<T, Elems> &b) {
    return kiln_native::map(a, b, [](T x, T y) { return static_cast<T>(x | y); });
}

template <typename T, unsigned Elems>
mask<Elems> lt(const vector<T, Elems> &a, const vector<T, Elems> &b) {
    return kiln_native::compare(a, b, [](T x, T y) { return kiln_native::lane_less(x, y); });
}
template <typename T, unsigned Elems>
mask<Elems> ge(const vector<T, Elems> &a, const vector<T, Elems> &b) {
    return kiln_native::compare(a, b, [](T x, T y) { return !kiln_native::lane_less(x, y); });
}
template <typename T, unsigned Elems>
    requires kiln_native::is_int_elem<T>
mask<Elems> eq(const vector<T, Elems> &a, const vector<T, Elems> &b) {
    return kiln_native::compare(a, b, [](T x, T y) { return x == y; });
}

// A set mask bit takes the SECOND vector.
template <typename T, unsigned Elems>
vector<T, Elems> select(const vector<T, Elems> &clear, const vector<T, Elems> &set, const mask<Elems> &m) {
    vector<T, Elems> out;
    for (unsigned i = 0; i < Elems; ++i) out[i] = m.test(i) ? set[i] : clear[i];
    return out;
}

template <typename T, unsigned Elems>
T reduce_max(const vector<T, Elems> &v) {
    T best = v[0];
    for (unsigned i = 1; i < Elems; ++i) best = kiln_native::lane_less(best, v[i]) ? v[i] : best;
    return best;
}
template <typename T, unsigned Elems>
T reduce_min(const vector<T, Elems> &v) {
    T best = v[0];
    for (unsigned i = 1; i < Elems; ++i) best = kiln_native::lane_less(v[i], best) ? v[i] : best;
    return best;
}
// Of 32-bit lanes only: for narrower ones aie_api's result passes an srs to the lane type, so that
// it depends on the saturation mode (detail/aie2/add_reduce.hpp).
template <typename T, unsigned Elems>
    requires(kiln_native::is_int_elem<T> && sizeof(T) == 4)
T reduce_add(const vector<T, Elems> &v) {
    int64_t sum = 0;
    for (unsigned i = 0; i < Elems; ++i) sum += v[i];
    return kiln_native::wrap<T>(sum);
}

} // namespace aie
