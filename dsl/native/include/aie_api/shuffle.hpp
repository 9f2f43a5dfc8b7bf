// vshuffle: a fixed byte permutation of two 512-bit registers.
//
// Modes are matrix transposes of lanes, named T<bits>_<rows>x<columns>: the source bytes seen as
// `rows` x `columns` lanes, row-major, come out column by column. Three families:
//   lo/hi  over both registers (1024 bits), of which the mode gives the low or high half;
//   whole  over the first register;
//   block  over every 256 or 128 bits of the first register.
// The list was derived from the routing table in shared/data/silicon/vshift_vshuffle.jsonl, and
// equals it in all 48 modes (dsl/src/native/silicon.rs).
#pragma once

#include "vector.hpp"

namespace kiln_native {

struct transpose {
    uint16_t lane_bits;
    uint8_t rows;
    uint8_t columns;
    // Bits of the source block; 1024 gives two modes, its low and its high half.
    uint16_t block_bits;
    bool high;
};

inline constexpr transpose shuffle_modes[48] = {
    {8, 64, 2, 1024, false},   {8, 64, 2, 1024, true},   {16, 32, 2, 1024, false}, {16, 32, 2, 1024, true},
    {32, 16, 2, 1024, false},  {32, 16, 2, 1024, true},  {64, 8, 2, 1024, false},  {64, 8, 2, 1024, true},
    {128, 4, 2, 1024, false},  {128, 4, 2, 1024, true},
    {256, 2, 2, 1024, false},  {256, 2, 2, 1024, true},
    {128, 2, 4, 1024, false},  {128, 2, 4, 1024, true},  {64, 2, 8, 1024, false},  {64, 2, 8, 1024, true},
    {32, 2, 16, 1024, false},  {32, 2, 16, 1024, true},  {16, 2, 32, 1024, false}, {16, 2, 32, 1024, true},
    {8, 2, 64, 1024, false},   {8, 2, 64, 1024, true},
    {512, 1, 2, 1024, false},  {512, 1, 2, 1024, true},
    {16, 16, 4, 1024, false},  {16, 16, 4, 1024, true},  {16, 4, 16, 1024, false}, {16, 4, 16, 1024, true},
    {16, 8, 4, 512, false},    {16, 4, 8, 512, false},
    {32, 8, 4, 1024, false},   {32, 8, 4, 1024, true},   {32, 4, 8, 1024, false},  {32, 4, 8, 1024, true},
    {32, 4, 4, 512, false},    {8, 8, 8, 512, false},    {8, 16, 4, 512, false},   {8, 4, 16, 512, false},
    // T16_1x2_flip swaps the lanes of each pair; handled apart
    {16, 1, 2, 32, false},
    {16, 4, 4, 256, false},    {16, 4, 2, 128, false},   {16, 2, 4, 128, false},   {16, 8, 2, 256, false},
    {16, 2, 8, 256, false},    {16, 16, 2, 512, false},  {16, 2, 16, 512, false},  {8, 8, 4, 256, false},
    {8, 4, 8, 256, false},
};
inline constexpr unsigned flip_mode = 38;

// Byte of the 128 source bytes that output byte `at` of the mode comes from.
constexpr unsigned shuffle_source(unsigned mode, unsigned at) {
    if (mode == flip_mode) return at ^ 2;
    const transpose &t = shuffle_modes[mode];
    const unsigned lane_bytes = t.lane_bits / 8;
    const unsigned block_bytes = t.block_bits / 8;
    const unsigned out = t.high ? at + 64 : at;
    const unsigned block = out / block_bytes * block_bytes;
    const unsigned lane = out % block_bytes / lane_bytes;
    const unsigned row = lane % t.rows;
    const unsigned column = lane / t.rows;
    return block + (row * t.columns + column) * lane_bytes + out % lane_bytes;
}

} // namespace kiln_native

// The intrinsic; modes 48..63 give byte 0 of the first register, then zeros.
template <typename T, unsigned Elems>
aie::vector<T, Elems> shuffle(const aie::vector<T, Elems> &a, const aie::vector<T, Elems> &b, unsigned mode) {
    static_assert(aie::vector<T, Elems>::bits() == 512, "vshuffle works on 512-bit registers");
    uint8_t in[128];
    std::memcpy(in, static_cast<const void *>(a.data()), 64);
    std::memcpy(in + 64, static_cast<const void *>(b.data()), 64);
    uint8_t out[64] = {in[0]};
    mode &= 63;
    if (mode < 48) {
        for (unsigned i = 0; i < 64; ++i) out[i] = in[kiln_native::shuffle_source(mode, i)];
    }
    aie::vector<T, Elems> result;
    std::memcpy(static_cast<void *>(result.data()), out, 64);
    return result;
}
