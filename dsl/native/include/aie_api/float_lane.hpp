// One lane of the float multiplier and of the conversions.
//
// Rule (shared/data/silicon/README.md, isa_timing.md section 5): every product, and the
// accumulator, is rounded to nearest even to a multiple of 2^(emax - 23), emax being the greatest
// exponent of the lane (of a product: the sum of its operands' exponents); the exact sum of those
// is rounded once to nearest even. Not IEEE. Denormal terms count with their value, a denormal
// result becomes zero of its sign (all unshifted lanes of two denormals in
// shared/data/silicon/vacc_float_random_config.jsonl give 0); a zero does not raise emax.
#pragma once

#include <cmath>
#include <initializer_list>
#include <limits>

#include "modes.hpp"

namespace kiln_native {

// sign * mantissa * 2^scale; `exponent` is what the lane's emax compares.
struct float_term {
    int64_t mantissa;
    int scale;
    int exponent;
    bool nan;
    // The value where the lane is not finite, for IEEE's rules.
    double ieee;
};

struct float_parts {
    int64_t mantissa; // with the hidden bit, signed
    int exponent;     // unbiased; that of the least normal for denormals
};
// Splits bits of a format with 8 exponent bits and `fraction_bits` of fraction. Exponent 255 is
// nothing special here: the multiplier passes it on as an ordinary number.
inline float_parts split(uint32_t bits, int fraction_bits) {
    const uint32_t field = bits >> fraction_bits & 0xff;
    int64_t mantissa = bits & ((1u << fraction_bits) - 1);
    if (field != 0) mantissa += int64_t{1} << fraction_bits;
    if (bits >> (fraction_bits + 8) & 1) mantissa = -mantissa;
    return {mantissa, (field == 0 ? 1 : static_cast<int>(field)) - 127};
}
inline bool is_nan_bits(uint16_t bits) { return (bits & 0x7fff) > 0x7f80; }

inline float_term term_of(float x) {
    const float_parts p = split(std::bit_cast<uint32_t>(x), 23);
    return {p.mantissa, p.exponent - 23, p.exponent, std::isnan(x), static_cast<double>(x)};
}
inline float_term term_of(bfloat16 a, bfloat16 b) {
    const float_parts pa = split(a.bits, 7);
    const float_parts pb = split(b.bits, 7);
    const double ieee = static_cast<double>(static_cast<float>(a)) * static_cast<double>(static_cast<float>(b));
    return {pa.mantissa * pb.mantissa, pa.exponent + pb.exponent - 14, pa.exponent + pb.exponent,
            is_nan_bits(a.bits) || is_nan_bits(b.bits), ieee};
}

// The lane's sum. A NaN anywhere sets exponent 255 and the lowest mantissa bit of what the finite
// rule gives; infinities follow IEEE.
inline float sum_terms(const float_term *terms, unsigned count) {
    int emax = std::numeric_limits<int>::min();
    bool any_nan = false;
    double ieee = 0;
    for (unsigned i = 0; i < count; ++i) {
        if (terms[i].mantissa != 0 && terms[i].exponent > emax) emax = terms[i].exponent;
        any_nan |= terms[i].nan;
        ieee += terms[i].ieee;
    }
    __int128 total = 0; // in units of 2^(emax - 23)
    for (unsigned i = 0; i < count; ++i) {
        if (terms[i].mantissa == 0) continue;
        const int right = emax - 23 - terms[i].scale;
        if (right <= 0)
            total += __int128{terms[i].mantissa} * (__int128{1} << -right);
        else
            total += round_shift(terms[i].mantissa, right > 63 ? 63 : right, aie::rounding_mode::conv_even);
    }
    // The sum fits a double exactly, so the only rounding is the last one.
    const double exact = total == 0 ? 0.0 : std::ldexp(static_cast<double>(total), emax - 23);
    const double beyond = std::ldexp(2.0 - std::ldexp(1.0, -24), 127); // rounds to infinity from here
    float sum;
    if (std::fabs(exact) >= beyond)
        sum = std::copysign(std::numeric_limits<float>::infinity(), static_cast<float>(exact > 0 ? 1 : -1));
    else
        sum = static_cast<float>(exact);
    if (std::fabs(sum) < std::numeric_limits<float>::min()) sum = std::copysign(0.0f, sum);
    bool any_infinite = false;
    for (unsigned i = 0; i < count; ++i) any_infinite |= std::isinf(terms[i].ieee);
    if (any_nan || (any_infinite && std::isnan(ieee))) {
        const uint32_t bits = std::bit_cast<uint32_t>(sum);
        const uint32_t fraction = std::isinf(sum) ? 0 : bits & 0x7fffff;
        return std::bit_cast<float>((bits & 0x80000000u) | 0x7f800000u | fraction | 1u);
    }
    if (any_infinite) return ieee > 0 ? std::numeric_limits<float>::infinity() : -std::numeric_limits<float>::infinity();
    return sum;
}
inline float sum_terms(std::initializer_list<float_term> terms) {
    return sum_terms(terms.begin(), static_cast<unsigned>(terms.size()));
}

// f32 to bf16 in the rounding mode: the bits without the sign are an integer that is rounded to a
// multiple of 2^16 with the value's sign. A NaN is truncated, and keeps a payload.
inline uint16_t to_bfloat16(float x) {
    const uint32_t bits = std::bit_cast<uint32_t>(x);
    const uint16_t sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
    const int64_t magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) {
        const uint16_t high = static_cast<uint16_t>(bits >> 16);
        return (high & 0x7f) == 0 ? high | 1 : high;
    }
    const __int128 rounded = round_shift(sign ? -magnitude : magnitude, 16, rounding);
    return static_cast<uint16_t>(sign | static_cast<uint16_t>(rounded < 0 ? -rounded : rounded));
}

// Order of bf16 by sign and magnitude: zeros are equal, a NaN is less than nothing.
inline bool less(bfloat16 a, bfloat16 b) {
    if (is_nan_bits(a.bits) || is_nan_bits(b.bits)) return false;
    const auto key = [](uint16_t bits) { return bits & 0x8000 ? -(bits & 0x7fff) : bits & 0x7fff; };
    return key(a.bits) < key(b.bits);
}

} // namespace kiln_native
