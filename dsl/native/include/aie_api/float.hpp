// bfloat16 to integers.
#pragma once

#include "float_lane.hpp"
#include "vector.hpp"

namespace aie {

// The integer below value * 2^shift (the rounding mode does not matter); out of range is clamped,
// a NaN gives 0 (neither is measured on silicon).
template <typename To, unsigned Elems>
    requires std::is_same_v<To, int32>
vector<To, Elems> to_fixed(const vector<bfloat16, Elems> &v, int shift = 0) {
    vector<To, Elems> out;
    for (unsigned i = 0; i < Elems; ++i) {
        const double x = std::floor(std::ldexp(static_cast<double>(static_cast<float>(v[i])), shift));
        if (std::isnan(x))
            out[i] = 0;
        else if (x >= 2147483647.0)
            out[i] = 2147483647;
        else if (x <= -2147483648.0)
            out[i] = -2147483647 - 1;
        else
            out[i] = static_cast<int32>(x);
    }
    return out;
}

} // namespace aie
