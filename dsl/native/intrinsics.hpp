// Declarations that let a host compiler read the real aie_api: types of the AIE2 compilers, and what else their headers
// expect. Intrinsics and native vectors are appended by name, see dsl/src/native/headers.rs. Nothing here can run.
#pragma once

#include <stdint.h>

// What an intrinsic gives where its name does not say it.
struct kiln_any {
    template <class T>
    constexpr operator T() const;
};
uint64_t operator|(kiln_any, uint64_t);
// The host's own abs is of integers only.
template <class T>
    requires requires(T v) { v.size(); }
kiln_any abs(const T &v);

enum class aie_dm_resource { none, a, b, c, d, ab, ac, ad, bc, bd, cd, stack };
template <class T>
struct aie_dm_resource_remove {
    using type = T;
};
template <class T>
using aie_dm_resource_remove_t = typename aie_dm_resource_remove<T>::type;
template <class T>
inline constexpr aie_dm_resource aie_dm_resource_get_v = aie_dm_resource::none;
template <class T, aie_dm_resource>
using aie_dm_resource_set_t = T;
#define __aie_dm_resource_a
#define __aie_dm_resource_b
#define __aie_dm_resource_c
#define __aie_dm_resource_d
#define __aie_dm_resource_ab
#define __aie_dm_resource_ac
#define __aie_dm_resource_ad
#define __aie_dm_resource_bc
#define __aie_dm_resource_bd
#define __aie_dm_resource_cd
#define __aie_dm_resource_stack
#define AIE_VECTOR_LDST_ALIGN 32

#define chess_storage(x)
#define chess_copy(x) x
#define chess_manifest(x) (x)
#define chess_unroll_loop(...)
#define chess_prepare_for_pipelining
#define chess_protect_access
#define chess_const
#define property(x)

using int8 = int8_t;
using uint8 = uint8_t;
using int16 = int16_t;
using uint16 = uint16_t;
using int32 = int32_t;
using uint32 = uint32_t;
using int64 = int64_t;
using uint64 = uint64_t;
using addr_t = uint32_t;
struct int4_t {
    int4_t(int);
    operator int() const;
};
struct uint4_t {
    uint4_t(int);
    operator int() const;
};
struct bfloat16 {
    uint16_t bits;
    bfloat16();
    bfloat16(float);
    operator float() const;
};
struct cint16 {
    int16 real, imag;
};
struct cint32 {
    int32 real, imag;
};
struct cfloat {
    float real, imag;
};

// Tags of accumulators.
struct acc16 {};
struct acc24 {};
struct acc32 {};
struct acc40 {};
struct acc48 {};
struct acc56 {};
struct acc64 {};
struct accfloat {};
struct cacc16 {};
struct cacc24 {};
struct cacc32 {};
struct cacc40 {};
struct cacc48 {};
struct cacc56 {};
struct cacc64 {};
struct caccfloat {};
