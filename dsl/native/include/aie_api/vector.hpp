// Vector registers and masks.
#pragma once

#include "modes.hpp"

namespace aie {

template <typename T, unsigned Elems>
class vector {
    static_assert(kiln_native::is_elem<T>, "not an element type of the stand-in");
    static constexpr unsigned total_bits = Elems * 8 * sizeof(T);
    static_assert(total_bits == 128 || total_bits == 256 || total_bits == 512 || total_bits == 1024,
                  "AIE2 vector registers have 128, 256, 512 or 1024 bits");
    T lanes_[Elems];

public:
    using value_type = T;
    static constexpr unsigned size() { return Elems; }
    static constexpr unsigned bits() { return total_bits; }

    // Undefined on the device; here a pattern, so that reading it shows in results.
    vector() { std::memset(static_cast<void *>(lanes_), 0xa5, sizeof lanes_); }

    T get(unsigned lane) const {
        check(lane);
        return lanes_[lane];
    }
    void set(T value, unsigned lane) {
        check(lane);
        lanes_[lane] = value;
    }
    T &operator[](unsigned lane) {
        check(lane);
        return lanes_[lane];
    }
    const T &operator[](unsigned lane) const {
        check(lane);
        return lanes_[lane];
    }
    const T *data() const { return lanes_; }
    T *data() { return lanes_; }
    const vector &to_native() const { return *this; }

    template <unsigned Part>
    vector<T, Part> extract(unsigned index) const {
        static_assert(Part <= Elems && Elems % Part == 0);
        if (index >= Elems / Part) kiln_native::fail("part %u of a vector of %u parts", index, Elems / Part);
        vector<T, Part> part;
        for (unsigned i = 0; i < Part; ++i) part[i] = lanes_[index * Part + i];
        return part;
    }
    template <unsigned Part>
    vector &insert(unsigned index, const vector<T, Part> &part) {
        static_assert(Part <= Elems && Elems % Part == 0);
        if (index >= Elems / Part) kiln_native::fail("part %u of a vector of %u parts", index, Elems / Part);
        for (unsigned i = 0; i < Part; ++i) lanes_[index * Part + i] = part[i];
        return *this;
    }
    template <unsigned More>
    vector<T, More> grow() const {
        static_assert(More >= Elems);
        vector<T, More> wide;
        wide.insert(0, *this);
        return wide;
    }
    template <typename To>
    vector<To, total_bits / 8 / sizeof(To)> cast_to() const {
        vector<To, total_bits / 8 / sizeof(To)> same;
        std::memcpy(static_cast<void *>(same.data()), static_cast<const void *>(lanes_), sizeof lanes_);
        return same;
    }
    // 8-bit lanes widened to 16 bits of the same signedness.
    auto unpack() const {
        static_assert(sizeof(T) == 1, "the stand-in unpacks 8-bit lanes");
        using Wide = std::conditional_t<std::is_signed_v<T>, int16, uint16>;
        vector<Wide, Elems> wide;
        for (unsigned i = 0; i < Elems; ++i) wide[i] = lanes_[i];
        return wide;
    }
    // 16-bit lanes narrowed to 8 bits of the same signedness in the saturation mode.
    auto pack() const {
        static_assert(kiln_native::is_int_elem<T> && sizeof(T) == 2, "the stand-in packs 16-bit lanes");
        using Narrow = std::conditional_t<std::is_signed_v<T>, int8, uint8>;
        vector<Narrow, Elems> narrow;
        for (unsigned i = 0; i < Elems; ++i) narrow[i] = kiln_native::saturate<Narrow>(lanes_[i]);
        return narrow;
    }

private:
    static void check(unsigned lane) {
        if (lane >= Elems) kiln_native::fail("lane %u of a vector of %u lanes", lane, Elems);
    }
};

template <unsigned Elems>
class mask {
    static_assert(Elems <= 64, "masks of at most 64 lanes");
    uint64_t bits_;
    static constexpr uint64_t all = Elems == 64 ? ~uint64_t{0} : (uint64_t{1} << Elems) - 1;

public:
    explicit mask(bool initial_set = false) : bits_(initial_set ? all : 0) {}
    static constexpr unsigned size() { return Elems; }
    // Up to 32 lanes are made from a 32-bit word, more from a 64-bit one; aie_api has no other way.
    static mask from_uint32(uint32_t bits) {
        static_assert(Elems <= 32);
        return of(bits);
    }
    static mask from_uint64(uint64_t bits) {
        static_assert(Elems > 32);
        return of(bits);
    }
    uint32_t to_uint32() const {
        static_assert(Elems <= 32);
        return static_cast<uint32_t>(bits_);
    }
    uint64_t to_uint64() const {
        static_assert(Elems > 32);
        return bits_;
    }
    bool test(unsigned lane) const {
        if (lane >= Elems) kiln_native::fail("bit %u of a mask of %u lanes", lane, Elems);
        return bits_ >> lane & 1;
    }
    void set(unsigned lane) {
        if (lane >= Elems) kiln_native::fail("bit %u of a mask of %u lanes", lane, Elems);
        bits_ |= uint64_t{1} << lane;
    }
    mask operator~() const { return of(~bits_); }
    mask operator&(const mask &other) const { return of(bits_ & other.bits_); }
    mask operator|(const mask &other) const { return of(bits_ | other.bits_); }
    mask operator^(const mask &other) const { return of(bits_ ^ other.bits_); }

private:
    static mask of(uint64_t bits) {
        mask m;
        m.bits_ = bits & all;
        return m;
    }
};

template <typename T, unsigned Elems>
vector<T, 2 * Elems> concat(const vector<T, Elems> &low, const vector<T, Elems> &high) {
    vector<T, 2 * Elems> both;
    both.insert(0, low).insert(1, high);
    return both;
}
template <typename T, unsigned Elems>
auto unpack(const vector<T, Elems> &v) {
    return v.unpack();
}
template <typename T, unsigned Elems>
auto pack(const vector<T, Elems> &v) {
    return v.pack();
}

} // namespace aie
