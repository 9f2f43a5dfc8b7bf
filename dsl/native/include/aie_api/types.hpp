// Element types, accumulator tags and the facts about them.
#pragma once

#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>

static_assert(std::endian::native == std::endian::little, "register images are little endian");

using int8 = int8_t;
using uint8 = uint8_t;
using int16 = int16_t;
using uint16 = uint16_t;
using int32 = int32_t;
using uint32 = uint32_t;

// The upper half of an IEEE single.
struct bfloat16 {
    uint16_t bits = 0;
    constexpr bfloat16() = default;
    // A float that bfloat16 holds exactly; others have no place in kernels, whose constants are bits.
    explicit bfloat16(float value) {
        const uint32_t wide = std::bit_cast<uint32_t>(value);
        if (wide & 0xffff) {
            std::fprintf(stderr, "aie_api stand-in: %g is not a bfloat16\n", static_cast<double>(value));
            std::abort();
        }
        bits = static_cast<uint16_t>(wide >> 16);
    }
    explicit operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
};
static_assert(sizeof(bfloat16) == 2);

// Tags of accumulator lanes.
struct acc32 {};
struct acc64 {};
struct accfloat {};

namespace kiln_native {

[[noreturn]] inline void fail(const char *what) {
    std::fprintf(stderr, "aie_api stand-in: %s\n", what);
    std::abort();
}
template <typename... Args>
[[noreturn]] inline void fail(const char *format, Args... args) {
    std::fprintf(stderr, "aie_api stand-in: ");
    std::fprintf(stderr, format, args...);
    std::fprintf(stderr, "\n");
    std::abort();
}

template <typename T>
inline constexpr bool is_int_elem = std::is_same_v<T, int8> || std::is_same_v<T, uint8> || std::is_same_v<T, int16> ||
                                    std::is_same_v<T, uint16> || std::is_same_v<T, int32> || std::is_same_v<T, uint32>;
template <typename T>
inline constexpr bool is_elem = is_int_elem<T> || std::is_same_v<T, bfloat16> || std::is_same_v<T, float>;
template <typename T>
inline constexpr bool is_tag = std::is_same_v<T, acc32> || std::is_same_v<T, acc64> || std::is_same_v<T, accfloat>;

// What one lane of an accumulator is stored as.
template <typename Tag>
using lane_of = std::conditional_t<std::is_same_v<Tag, acc64>, int64_t,
                                   std::conditional_t<std::is_same_v<Tag, acc32>, int32_t, float>>;

// Brings a wide integer into T modulo 2^bits.
template <typename T>
constexpr T wrap(int64_t value) {
    return static_cast<T>(static_cast<std::make_unsigned_t<T>>(static_cast<uint64_t>(value)));
}
constexpr int64_t wrapping_add(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
constexpr int64_t wrapping_sub(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

} // namespace kiln_native
