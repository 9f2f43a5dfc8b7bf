// Vector loads and stores. Aligned ones need 16 bytes for 128-bit vectors and 32 for larger ones.
#pragma once

#include "vector.hpp"

namespace kiln_native {

inline void check_alignment(const void *pointer, unsigned needed, const char *what) {
    const unsigned misaligned = static_cast<unsigned>(reinterpret_cast<uintptr_t>(pointer) % needed);
    if (misaligned != 0)
        fail("%s at %p is %u bytes past a multiple of %u bytes; help: use the unaligned access", what, pointer,
             misaligned, needed);
}
template <typename T, unsigned Elems>
inline constexpr unsigned vector_alignment = Elems * sizeof(T) < 32 ? Elems * sizeof(T) : 32;

} // namespace kiln_native

namespace aie {

inline constexpr unsigned vector_decl_align = 32;

template <unsigned Elems, typename T>
vector<std::remove_cv_t<T>, Elems> load_unaligned_v(const T *pointer) {
    kiln_native::check_alignment(pointer, sizeof(T), "unaligned vector load");
    vector<std::remove_cv_t<T>, Elems> v;
    std::memcpy(static_cast<void *>(v.data()), static_cast<const void *>(pointer), Elems * sizeof(T));
    return v;
}
template <unsigned Elems, typename T>
vector<std::remove_cv_t<T>, Elems> load_v(const T *pointer) {
    kiln_native::check_alignment(pointer, kiln_native::vector_alignment<T, Elems>, "vector load");
    return load_unaligned_v<Elems>(pointer);
}
template <typename T, unsigned Elems>
void store_unaligned_v(T *pointer, const vector<T, Elems> &v) {
    kiln_native::check_alignment(pointer, sizeof(T), "unaligned vector store");
    std::memcpy(static_cast<void *>(pointer), static_cast<const void *>(v.data()), Elems * sizeof(T));
}
template <typename T, unsigned Elems>
void store_v(T *pointer, const vector<T, Elems> &v) {
    kiln_native::check_alignment(pointer, kiln_native::vector_alignment<T, Elems>, "vector store");
    store_unaligned_v(pointer, v);
}

} // namespace aie
