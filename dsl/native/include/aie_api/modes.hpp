// The core's rounding and saturation modes, and the shift-round-saturate that obeys them.
#pragma once

#include "types.hpp"

namespace aie {

// Values are the crRnd codes.
enum class rounding_mode : unsigned {
    floor = 0,
    ceil = 1,
    symmetric_floor = 2,
    symmetric_ceil = 3,
    negative_inf = 8,
    positive_inf = 9,
    symmetric_zero = 10,
    symmetric_inf = 11,
    conv_even = 12,
    conv_odd = 13,
};

// Values are the crSat codes.
enum class saturation_mode : unsigned { none = 0, saturate = 1, symmetric = 3 };

} // namespace aie

namespace kiln_native {

inline aie::rounding_mode rounding = aie::rounding_mode::floor;
inline aie::saturation_mode saturation = aie::saturation_mode::none;

// The state of a core after reset.
inline void reset_modes() {
    rounding = aie::rounding_mode::floor;
    saturation = aie::saturation_mode::none;
}

// value / 2^shift, rounded to an integer by `mode`. Shifts are 0..63: six bits.
inline __int128 round_shift(__int128 value, int shift, aie::rounding_mode mode) {
    using enum aie::rounding_mode;
    if (shift < 0 || shift > 63) fail("shift %d is outside 0..63", shift);
    if (shift == 0) return value;
    const __int128 unit = __int128{1} << shift;
    const __int128 below = value >> shift;
    const __int128 rest = value - below * unit;
    if (rest == 0) return below;
    const __int128 above = below + 1;
    const bool negative = value < 0;
    switch (mode) {
    case floor: return below;
    case ceil: return above;
    case symmetric_floor: return negative ? above : below;
    case symmetric_ceil: return negative ? below : above;
    default: break;
    }
    if (2 * rest < unit) return below;
    if (2 * rest > unit) return above;
    const bool below_is_even = (below & 1) == 0;
    switch (mode) {
    case negative_inf: return below;
    case positive_inf: return above;
    case symmetric_zero: return negative ? above : below;
    case symmetric_inf: return negative ? below : above;
    case conv_even: return below_is_even ? below : above;
    case conv_odd: return below_is_even ? above : below;
    default: fail("rounding mode %u does not exist", static_cast<unsigned>(mode));
    }
}

// An integer brought into T by the current saturation mode.
template <typename T>
T saturate(__int128 value) {
    constexpr int bits = 8 * sizeof(T);
    constexpr bool is_signed = std::is_signed_v<T>;
    if (saturation != aie::saturation_mode::none) {
        const __int128 high = (__int128{1} << (is_signed ? bits - 1 : bits)) - 1;
        __int128 low = is_signed ? -high - 1 : 0;
        if (is_signed && saturation == aie::saturation_mode::symmetric) low = -high;
        if (value > high) value = high;
        if (value < low) value = low;
    }
    return wrap<T>(static_cast<int64_t>(value));
}

} // namespace kiln_native

namespace aie {

inline void set_rounding(rounding_mode mode) {
    using enum rounding_mode;
    switch (mode) {
    case floor:
    case ceil:
    case symmetric_floor:
    case symmetric_ceil:
    case negative_inf:
    case positive_inf:
    case symmetric_zero:
    case symmetric_inf:
    case conv_even:
    case conv_odd: kiln_native::rounding = mode; return;
    }
    kiln_native::fail("rounding mode %u does not exist", static_cast<unsigned>(mode));
}
inline void set_saturation(saturation_mode mode) {
    if (mode != saturation_mode::none && mode != saturation_mode::saturate && mode != saturation_mode::symmetric)
        kiln_native::fail("saturation mode %u does not exist", static_cast<unsigned>(mode));
    kiln_native::saturation = mode;
}
inline rounding_mode get_rounding() { return kiln_native::rounding; }
inline saturation_mode get_saturation() { return kiln_native::saturation; }

} // namespace aie
