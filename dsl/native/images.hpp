// Evaluates op-table forms on register images read from standard input: the stand-in's test.
//
// A case is: form index (u32), immediate, rounding code, saturation code (i32 each), then 128 bytes
// an operand. The answer is 128 bytes.
#pragma once

#include "kiln_kernel.h"

#include <cstddef>
#include <vector>

namespace kiln_native {

inline constexpr size_t image_bytes = 128;

template <typename T>
struct image;
template <typename T, unsigned N>
struct image<aie::vector<T, N>> {
    static aie::vector<T, N> get(const uint8_t *from) {
        aie::vector<T, N> v;
        std::memcpy(static_cast<void *>(v.data()), from, N * sizeof(T));
        return v;
    }
    static void put(uint8_t *to, const aie::vector<T, N> &v) {
        std::memcpy(to, static_cast<const void *>(v.data()), N * sizeof(T));
    }
};
template <typename Tag, unsigned N>
struct image<aie::accum<Tag, N>> {
    static aie::accum<Tag, N> get(const uint8_t *from) {
        aie::accum<Tag, N> acc;
        std::memcpy(&acc[0], from, N * sizeof(lane_of<Tag>));
        return acc;
    }
    static void put(uint8_t *to, const aie::accum<Tag, N> &acc) { std::memcpy(to, &acc[0], N * sizeof(lane_of<Tag>)); }
};
template <unsigned N>
struct image<aie::mask<N>> {
    static aie::mask<N> get(const uint8_t *from) {
        uint64_t bits = 0;
        std::memcpy(&bits, from, sizeof bits);
        if constexpr (N <= 32)
            return aie::mask<N>::from_uint32(static_cast<uint32_t>(bits));
        else
            return aie::mask<N>::from_uint64(bits);
    }
    static void put(uint8_t *to, const aie::mask<N> &m) {
        uint64_t bits = 0;
        if constexpr (N <= 32)
            bits = m.to_uint32();
        else
            bits = m.to_uint64();
        std::memcpy(to, &bits, sizeof bits);
    }
};
template <>
struct image<int32_t> {
    static int32_t get(const uint8_t *from) {
        int32_t value = 0;
        std::memcpy(&value, from, sizeof value);
        return value;
    }
    static void put(uint8_t *to, int32_t value) { std::memcpy(to, &value, sizeof value); }
};

struct evaluator {
    size_t operands;
    void (*run)(const uint8_t *in, uint8_t *out, int32_t imm);
};

template <size_t N>
int evaluate(const evaluator (&forms)[N]) {
    struct {
        uint32_t form;
        int32_t imm, rounding, saturation;
    } head;
    std::vector<uint8_t> in;
    while (std::fread(&head, sizeof head, 1, stdin) == 1) {
        if (head.form >= N) fail("form %u of %zu", head.form, N);
        const evaluator &f = forms[head.form];
        in.resize(f.operands * image_bytes);
        if (!in.empty() && std::fread(in.data(), in.size(), 1, stdin) != 1) fail("input ends inside a case");
        aie::set_rounding(static_cast<aie::rounding_mode>(head.rounding));
        aie::set_saturation(static_cast<aie::saturation_mode>(head.saturation));
        uint8_t out[image_bytes] = {};
        f.run(in.data(), out, head.imm);
        std::fwrite(out, image_bytes, 1, stdout);
    }
    return std::fflush(stdout) == 0 ? 0 : 1;
}

} // namespace kiln_native
