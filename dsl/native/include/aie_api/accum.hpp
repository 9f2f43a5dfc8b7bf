// Accumulator registers: ups, srs and sums.
#pragma once

#include "float_lane.hpp"
#include "vector.hpp"

namespace aie {

template <typename Tag, unsigned Elems>
class accum {
    static_assert(kiln_native::is_tag<Tag>, "not an accumulator tag of the stand-in");
    using lane = kiln_native::lane_of<Tag>;
    static constexpr unsigned total_bits = Elems * 8 * sizeof(lane);
    static_assert(total_bits == 256 || total_bits == 512 || total_bits == 1024,
                  "AIE2 accumulator registers have 256, 512 or 1024 bits");
    static constexpr bool is_float = std::is_same_v<Tag, accfloat>;
    lane lanes_[Elems];

public:
    using value_type = Tag;
    static constexpr unsigned size() { return Elems; }
    static constexpr unsigned bits() { return total_bits; }

    // Undefined on the device; here a pattern, so that reading it shows in results.
    accum() { std::memset(lanes_, 0xa5, sizeof lanes_); }
    template <typename T>
    explicit accum(const vector<T, Elems> &v, int shift = 0) {
        from_vector(v, shift);
    }

    const accum &to_native() const { return *this; }

    lane &operator[](unsigned i) {
        if (i >= Elems) kiln_native::fail("lane %u of an accumulator of %u lanes", i, Elems);
        return lanes_[i];
    }
    const lane &operator[](unsigned i) const {
        if (i >= Elems) kiln_native::fail("lane %u of an accumulator of %u lanes", i, Elems);
        return lanes_[i];
    }

    // ups: lanes widened and shifted left, wrapping. Floats ignore the shift.
    template <typename T>
    void from_vector(const vector<T, Elems> &v, int shift = 0) {
        if constexpr (is_float) {
            static_assert(std::is_same_v<T, bfloat16> || std::is_same_v<T, float>);
            for (unsigned i = 0; i < Elems; ++i) lanes_[i] = static_cast<float>(v[i]);
        } else {
            static_assert(kiln_native::is_int_elem<T>);
            static_assert(!(std::is_same_v<Tag, acc64> && sizeof(T) == 1), "AIE2 has no ups from 8 to 64 bits");
            if (shift < 0 || shift > 63) kiln_native::fail("ups: shift %d is outside 0..63", shift);
            if constexpr (std::is_same_v<Tag, acc32> && sizeof(T) == 4) {
                // detail/aie2/accum.hpp: this pair is a register move that requires shift 0.
                if (shift != 0) kiln_native::fail("ups from int32 to acc32: shift must be 0, is %d", shift);
            }
            for (unsigned i = 0; i < Elems; ++i) {
                const uint64_t wide = static_cast<uint64_t>(static_cast<int64_t>(v[i]));
                lanes_[i] = kiln_native::wrap<lane>(static_cast<int64_t>(wide << shift));
            }
        }
    }
    // srs: lanes shifted right, rounded and brought into T by the modes. Floats ignore the shift.
    template <typename T>
    vector<T, Elems> to_vector(int shift = 0) const {
        vector<T, Elems> v;
        if constexpr (is_float) {
            static_assert(std::is_same_v<T, bfloat16> || std::is_same_v<T, float>);
            for (unsigned i = 0; i < Elems; ++i) {
                if constexpr (std::is_same_v<T, float>) {
                    v[i] = lanes_[i];
                } else {
                    v[i].bits = kiln_native::to_bfloat16(lanes_[i]);
                }
            }
        } else if constexpr (std::is_same_v<Tag, acc32> && sizeof(T) == 4) {
            // detail/aie2/accum.hpp: this pair is a register move that drops the shift unseen.
            if (shift != 0) kiln_native::fail("srs from acc32 to 32 bits: shift must be 0, is %d", shift);
            for (unsigned i = 0; i < Elems; ++i) v[i] = kiln_native::wrap<T>(lanes_[i]);
        } else {
            static_assert(kiln_native::is_int_elem<T>);
            static_assert(!(std::is_same_v<Tag, acc64> && sizeof(T) == 1), "AIE2 has no srs from 64 to 8 bits");
            for (unsigned i = 0; i < Elems; ++i)
                v[i] = kiln_native::saturate<T>(kiln_native::round_shift(lanes_[i], shift, kiln_native::rounding));
        }
        return v;
    }

    template <unsigned Part>
    accum<Tag, Part> extract(unsigned index) const {
        static_assert(Part <= Elems && Elems % Part == 0);
        if (index >= Elems / Part) kiln_native::fail("part %u of an accumulator of %u parts", index, Elems / Part);
        accum<Tag, Part> part;
        for (unsigned i = 0; i < Part; ++i) part[i] = lanes_[index * Part + i];
        return part;
    }
    template <unsigned Part>
    accum &insert(unsigned index, const accum<Tag, Part> &part) {
        static_assert(Part <= Elems && Elems % Part == 0);
        if (index >= Elems / Part) kiln_native::fail("part %u of an accumulator of %u parts", index, Elems / Part);
        for (unsigned i = 0; i < Part; ++i) lanes_[index * Part + i] = part[i];
        return *this;
    }
    template <typename To>
    auto cast_to() const {
        constexpr unsigned lanes = total_bits / 8 / sizeof(kiln_native::lane_of<To>);
        accum<To, lanes> same;
        std::memcpy(&same[0], lanes_, sizeof lanes_);
        return same;
    }
};

template <typename Tag, typename T, unsigned Elems>
accum<Tag, Elems> from_vector(const vector<T, Elems> &v, int shift = 0) {
    return accum<Tag, Elems>(v, shift);
}
template <typename T, typename Tag, unsigned Elems>
vector<T, Elems> to_vector(const accum<Tag, Elems> &acc, int shift = 0) {
    return acc.template to_vector<T>(shift);
}
template <typename Tag, unsigned Elems>
accum<Tag, 2 * Elems> concat(const accum<Tag, Elems> &low, const accum<Tag, Elems> &high) {
    accum<Tag, 2 * Elems> both;
    both.insert(0, low).insert(1, high);
    return both;
}

template <typename Tag, unsigned Elems>
accum<Tag, Elems> add(const accum<Tag, Elems> &a, const accum<Tag, Elems> &b) {
    accum<Tag, Elems> sum;
    for (unsigned i = 0; i < Elems; ++i) {
        if constexpr (std::is_same_v<Tag, accfloat>)
            sum[i] = kiln_native::sum_terms({kiln_native::term_of(a[i]), kiln_native::term_of(b[i])});
        else
            sum[i] = kiln_native::wrap<kiln_native::lane_of<Tag>>(kiln_native::wrapping_add(a[i], b[i]));
    }
    return sum;
}
template <typename Tag, unsigned Elems>
accum<Tag, Elems> sub(const accum<Tag, Elems> &a, const accum<Tag, Elems> &b) {
    accum<Tag, Elems> difference;
    for (unsigned i = 0; i < Elems; ++i) {
        if constexpr (std::is_same_v<Tag, accfloat>)
            difference[i] = kiln_native::sum_terms({kiln_native::term_of(a[i]), kiln_native::term_of(-b[i])});
        else
            difference[i] = kiln_native::wrap<kiln_native::lane_of<Tag>>(kiln_native::wrapping_sub(a[i], b[i]));
    }
    return difference;
}
template <typename Tag, unsigned Elems>
    requires(!std::is_same_v<Tag, accfloat>)
accum<Tag, Elems> neg(const accum<Tag, Elems> &a) {
    accum<Tag, Elems> negated;
    for (unsigned i = 0; i < Elems; ++i)
        negated[i] = kiln_native::wrap<kiln_native::lane_of<Tag>>(kiln_native::wrapping_sub(0, a[i]));
    return negated;
}

} // namespace aie
