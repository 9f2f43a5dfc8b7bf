// Runs kernels on parameter bytes read from standard input, for Kiln's native oracle.
//
// A case is: kernel index (u32), then every parameter in order, a memory parameter as its bytes, a
// run-time integer as 4. The answer is the bytes of every memory parameter. All little endian.
#pragma once

#include <aie_api/aie.hpp>

#include <cstddef>
#include <vector>

namespace kiln_native {

struct param {
    const char *name;
    size_t bytes; // 0: a run-time integer
    size_t align;
    bool written;
};
struct kernel {
    const char *name;
    const param *params;
    size_t count;
    void (*call)(void *const *memory, const int32_t *integers);
};

// Memory of one parameter: aligned as promised and no better, between guard bytes.
class buffer {
    static constexpr size_t guard = 64;
    static constexpr uint8_t mark = 0xb7;
    std::vector<uint8_t> storage_;
    uint8_t *start_ = nullptr;
    size_t bytes_ = 0;

public:
    buffer(size_t bytes, size_t align) : storage_(bytes + 2 * guard + 4 * align, mark), bytes_(bytes) {
        const uintptr_t low = reinterpret_cast<uintptr_t>(storage_.data()) + guard;
        const uintptr_t even = (low + 2 * align - 1) / (2 * align) * (2 * align);
        start_ = storage_.data() + (even + align - reinterpret_cast<uintptr_t>(storage_.data()));
    }
    uint8_t *start() { return start_; }
    // Whether every byte around the memory is still the mark.
    bool intact() const {
        for (const uint8_t *p = storage_.data(); p != storage_.data() + storage_.size(); ++p) {
            if ((p < start_ || p >= start_ + bytes_) && *p != mark) return false;
        }
        return true;
    }
};

inline bool read_all(void *to, size_t bytes) { return bytes == 0 || std::fread(to, bytes, 1, stdin) == 1; }

inline void run_case(const kernel &k) {
    std::vector<buffer> buffers;
    std::vector<std::vector<uint8_t>> before(k.count);
    std::vector<void *> memory(k.count, nullptr);
    std::vector<int32_t> integers(k.count, 0);
    buffers.reserve(k.count);
    for (size_t i = 0; i < k.count; ++i) {
        const param &p = k.params[i];
        buffers.emplace_back(p.bytes, p.align);
        memory[i] = buffers[i].start();
        const bool ok = p.bytes == 0 ? read_all(&integers[i], 4) : read_all(memory[i], p.bytes);
        if (!ok) fail("kernel %s: input ends inside parameter %s", k.name, p.name);
        if (!p.written) before[i].assign(buffers[i].start(), buffers[i].start() + p.bytes);
    }
    // A kernel sets its modes itself: what the last one left must not matter.
    aie::set_rounding(aie::rounding_mode::conv_odd);
    aie::set_saturation(aie::saturation_mode::symmetric);
    k.call(memory.data(), integers.data());
    for (size_t i = 0; i < k.count; ++i) {
        const param &p = k.params[i];
        if (!buffers[i].intact()) fail("kernel %s wrote outside parameter %s (%zu bytes)", k.name, p.name, p.bytes);
        if (!p.written && p.bytes != 0 && std::memcmp(before[i].data(), memory[i], p.bytes) != 0)
            fail("kernel %s changed read-only parameter %s", k.name, p.name);
        if (p.bytes != 0 && std::fwrite(memory[i], p.bytes, 1, stdout) != 1) fail("cannot write the results");
    }
}

template <size_t N>
int run(const kernel (&kernels)[N]) {
    uint32_t index = 0;
    while (read_all(&index, 4)) {
        if (index >= N) fail("kernel %u of %zu", index, N);
        run_case(kernels[index]);
        // A later case may stop the program; this one's answer must be out by then.
        if (std::fflush(stdout) != 0) fail("cannot write the results");
    }
    return 0;
}

} // namespace kiln_native
