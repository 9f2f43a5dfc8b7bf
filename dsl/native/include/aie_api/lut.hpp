// Parallel lookups: aie::lut<4, T> and aie::parallel_lookup.
//
// A table is 32-byte lines, each holding 16 bytes of values twice; 8-bit values are stored as
// 16-bit ones. `ab` and `cd` point at equal tables in two banks. (dsl/src/num/lut.rs packs them.)
#pragma once

#include "memory.hpp"

namespace aie {

enum class lut_oor_policy { saturate, truncate };

template <unsigned ParallelAccesses, typename OffsetType>
struct lut {
    static_assert(ParallelAccesses == 4, "AIE2 looks up four lanes at once");
    using offset_type = OffsetType;
    unsigned elems;
    const void *ab;
    const void *cd;
    lut(unsigned elems_, const void *ab_, const void *cd_) : elems(elems_), ab(ab_), cd(cd_) {
        kiln_native::check_alignment(ab, vector_decl_align, "lookup table ab");
        kiln_native::check_alignment(cd, vector_decl_align, "lookup table cd");
        if (ab == cd) kiln_native::fail("lookup tables ab and cd must be two copies in two banks");
    }
};

template <typename T, typename Lut, lut_oor_policy Policy = lut_oor_policy::saturate>
class parallel_lookup {
    static_assert(kiln_native::is_int_elem<T>);
    static_assert(Policy == lut_oor_policy::saturate, "the stand-in saturates");
    using value = typename Lut::offset_type;
    static_assert(kiln_native::is_elem<value>);
    // log2 of the bytes of table that an entry costs, and the bytes that one copy of it takes.
    static constexpr unsigned entry_log2 = sizeof(value) == 4 ? 3 : 2;
    static constexpr unsigned slot = sizeof(value) == 4 ? 4 : 2;

    Lut lut_;
    int step_bits_;
    unsigned bias_;

public:
    parallel_lookup(const Lut &l, unsigned step_bits, unsigned bias)
        requires std::is_signed_v<T>
        : lut_(l), step_bits_(static_cast<int>(step_bits)), bias_(bias) {
        if (bias & (bias - 1)) kiln_native::fail("lookup bias %u is not a power of two", bias);
    }
    explicit parallel_lookup(const Lut &l, unsigned step_bits = 0)
        : lut_(l), step_bits_(static_cast<int>(step_bits)), bias_(0) {}

    template <unsigned N>
    vector<value, N> fetch(const vector<T, N> &input) {
        static_assert(N <= 32, "at most 32 indices at once");
        vector<value, N> out;
        const int shift = step_bits_ - static_cast<int>(entry_log2);
        const int64_t biased = int64_t{bias_} << entry_log2;
        const int64_t last = (int64_t{lut_.elems} << entry_log2) - 1 - biased;
        for (unsigned i = 0; i < N; ++i) {
            // The index becomes a byte offset by an srs, which rounds: entries are only
            // (index >> step_bits) under floor rounding or with those bits zero.
            int64_t offset = shift < 0 ? int64_t{input[i]} * (int64_t{1} << -shift)
                                       : static_cast<int64_t>(kiln_native::round_shift(input[i], shift, kiln_native::rounding));
            if (offset > last) offset = last;
            if (offset < -biased) offset = -biased;
            out[i] = entry(static_cast<unsigned>((offset + biased) >> entry_log2));
        }
        return out;
    }

private:
    value entry(unsigned index) const {
        constexpr unsigned per_line = 16 / slot;
        const unsigned at = index / per_line * 32 + index % per_line * slot;
        uint32_t copies[4] = {};
        const auto copy = [&](unsigned which, const void *table, unsigned from) {
            std::memcpy(&copies[which], static_cast<const uint8_t *>(table) + from, slot);
        };
        copy(0, lut_.ab, at);
        copy(1, lut_.ab, at + 16);
        copy(2, lut_.cd, at);
        copy(3, lut_.cd, at + 16);
        for (uint32_t other : copies) {
            if (other != copies[0]) kiln_native::fail("entry %u of a lookup table differs between its four copies", index);
        }
        if constexpr (sizeof(value) == 1) {
            // pack() narrows the 16-bit slot in the saturation mode.
            using wide = std::conditional_t<std::is_signed_v<value>, int16, uint16>;
            return kiln_native::saturate<value>(kiln_native::wrap<wide>(copies[0]));
        } else {
            value v;
            std::memcpy(static_cast<void *>(&v), copies, sizeof v);
            return v;
        }
    }
};

} // namespace aie
