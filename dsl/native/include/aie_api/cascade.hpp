// The cascade between neighbouring cores: the compiler's intrinsics on accumulators of 512 bits.
//
// One queue stands for the cascade of the whole program: what one kernel puts, the next one called
// gets, in order and as bits, whatever the accumulators' kinds. On the device a read waits for a
// value; here nobody else runs, so a read of an empty queue stops the program.
#pragma once

#include "accum.hpp"

#include <array>
#include <deque>

namespace kiln_native {

inline constexpr unsigned cascade_bytes = 64;
using cascade_value = std::array<uint8_t, cascade_bytes>;

inline std::deque<cascade_value> &cascade() {
    static std::deque<cascade_value> values;
    return values;
}

template <typename Tag, unsigned Elems>
aie::accum<Tag, Elems> cascade_pop() {
    static_assert(Elems * sizeof(lane_of<Tag>) == cascade_bytes, "the cascade of AIE2 has 512 bits");
    if (cascade().empty()) fail("read of the cascade, which is empty: nothing was put before");
    aie::accum<Tag, Elems> acc;
    std::memcpy(&acc[0], cascade().front().data(), cascade_bytes);
    cascade().pop_front();
    return acc;
}

} // namespace kiln_native

template <typename Tag, unsigned Elems>
void put_mcd(const aie::accum<Tag, Elems> &acc) {
    static_assert(Elems * sizeof(kiln_native::lane_of<Tag>) == kiln_native::cascade_bytes,
                  "the cascade of AIE2 has 512 bits");
    kiln_native::cascade_value value;
    std::memcpy(value.data(), &acc[0], kiln_native::cascade_bytes);
    kiln_native::cascade().push_back(value);
}

inline aie::accum<acc32, 16> get_scd_v16acc32() { return kiln_native::cascade_pop<acc32, 16>(); }
inline aie::accum<acc64, 8> get_scd_v8acc64() { return kiln_native::cascade_pop<acc64, 8>(); }
inline aie::accum<accfloat, 16> get_scd_v16accfloat() { return kiln_native::cascade_pop<accfloat, 16>(); }
