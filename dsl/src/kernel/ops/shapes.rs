//! The typed shapes that AIE2 has, each list written once. The op table turns a list into forms,
//! the builder into trait impls, so that a shape missing here is a compile error for authors.

/// Integer lanes of the vector ALU: 256 and 512 bits. `Rust type, Elem, lanes`.
macro_rules! alu_shapes {
    ($m:ident) => {
        $m!(i8, I8, 32);
        $m!(i8, I8, 64);
        $m!(u8, U8, 32);
        $m!(u8, U8, 64);
        $m!(i16, I16, 16);
        $m!(i16, I16, 32);
        $m!(i32, I32, 8);
        $m!(i32, I32, 16);
    };
}

/// Vectors that load, store and cast: 128 to 1024 bits. `Rust type, Elem, lanes`.
macro_rules! memory_shapes {
    ($m:ident) => {
        $m!(i8, I8, 16);
        $m!(i8, I8, 32);
        $m!(i8, I8, 64);
        $m!(i8, I8, 128);
        $m!(u8, U8, 16);
        $m!(u8, U8, 32);
        $m!(u8, U8, 64);
        $m!(u8, U8, 128);
        $m!(i16, I16, 8);
        $m!(i16, I16, 16);
        $m!(i16, I16, 32);
        $m!(i16, I16, 64);
        $m!(i32, I32, 4);
        $m!(i32, I32, 8);
        $m!(i32, I32, 16);
        $m!(i32, I32, 32);
        $m!(bf16, Bf16, 8);
        $m!(bf16, Bf16, 16);
        $m!(bf16, Bf16, 32);
        $m!(bf16, Bf16, 64);
        $m!(f32, F32, 4);
        $m!(f32, F32, 8);
        $m!(f32, F32, 16);
        $m!(f32, F32, 32);
    };
}

/// Vectors with halves: `Rust type, Elem, lanes of the whole, lanes of a half`.
macro_rules! half_shapes {
    ($m:ident) => {
        $m!(i8, I8, 32, 16);
        $m!(i8, I8, 64, 32);
        $m!(i8, I8, 128, 64);
        $m!(u8, U8, 32, 16);
        $m!(u8, U8, 64, 32);
        $m!(u8, U8, 128, 64);
        $m!(i16, I16, 16, 8);
        $m!(i16, I16, 32, 16);
        $m!(i16, I16, 64, 32);
        $m!(i32, I32, 8, 4);
        $m!(i32, I32, 16, 8);
        $m!(i32, I32, 32, 16);
        $m!(bf16, Bf16, 16, 8);
        $m!(bf16, Bf16, 32, 16);
        $m!(bf16, Bf16, 64, 32);
        $m!(f32, F32, 16, 8);
        $m!(f32, F32, 32, 16);
    };
}

/// Accumulators with halves: `AccKind, lanes of the whole, lanes of a half`.
macro_rules! acc_half_shapes {
    ($m:ident) => {
        $m!(Acc32, 16, 8);
        $m!(Acc32, 32, 16);
        $m!(Acc64, 8, 4);
        $m!(Acc64, 16, 8);
        $m!(AccFloat, 16, 8);
        $m!(AccFloat, 32, 16);
    };
}

/// Accumulators: `AccKind, lane type, lanes`.
macro_rules! acc_shapes {
    ($m:ident) => {
        $m!(Acc32, i32, 8);
        $m!(Acc32, i32, 16);
        $m!(Acc32, i32, 32);
        $m!(Acc64, i64, 4);
        $m!(Acc64, i64, 8);
        $m!(Acc64, i64, 16);
        $m!(AccFloat, f32, 8);
        $m!(AccFloat, f32, 16);
        $m!(AccFloat, f32, 32);
    };
}

/// Integer vectors to and from accumulators: `Rust type, Elem, AccKind, lane type, lanes`
/// (vups and vsrs; to 8 bits only from 32-bit lanes, 8-bit ups only into them).
macro_rules! ups_srs_shapes {
    ($m:ident) => {
        $m!(i8, I8, Acc32, i32, 16);
        $m!(i8, I8, Acc32, i32, 32);
        $m!(u8, U8, Acc32, i32, 16);
        $m!(u8, U8, Acc32, i32, 32);
        $m!(i16, I16, Acc32, i32, 16);
        $m!(i16, I16, Acc32, i32, 32);
        $m!(i16, I16, Acc64, i64, 8);
        $m!(i16, I16, Acc64, i64, 16);
        $m!(i32, I32, Acc64, i64, 4);
        $m!(i32, I32, Acc64, i64, 8);
        $m!(i32, I32, Acc64, i64, 16);
    };
}

/// 32-bit integer vectors and accumulators: a register move without shift, rounding or saturation
/// (aie_api `detail/aie2/accum.hpp`). `Rust type, Elem, AccKind, lanes`.
macro_rules! acc_move_shapes {
    ($m:ident) => {
        $m!(i32, I32, Acc32, 8);
        $m!(i32, I32, Acc32, 16);
        $m!(i32, I32, Acc32, 32);
    };
}

/// Lanewise products: `left type, Elem, right type, Elem, AccKind, lane type, lanes, vshuffles, vmuls`. The multiplier
/// takes 16 bits: 32-bit operands are shuffled into their upper and lower halves, each half is multiplied (aie_api
/// `detail/aie2/mul_acc64.hpp`, mlir-aie `AIEVecToLLVM`).
macro_rules! mul_shapes {
    ($m:ident) => {
        $m!(i8, I8, i8, I8, Acc32, i32, 32, 0, 1);
        $m!(i16, I16, i16, I16, Acc32, i32, 32, 0, 1);
        $m!(i16, I16, i16, I16, Acc64, i64, 16, 0, 1);
        $m!(i32, I32, i16, I16, Acc64, i64, 16, 2, 2);
        $m!(i32, I32, i32, I32, Acc64, i64, 16, 4, 4);
    };
}

/// Matrix products: `constant, M, K, N, left type, Elem, lanes, right type, Elem, lanes,
/// AccKind, lane type, lanes`. Each is one vmac (`isa_timing.md` section 5, aie_api mmul headers); that of 32 bits is
/// two.
macro_rules! mmul_shapes {
    ($m:ident) => {
        $m!(I8_I8_4X8X8, 4, 8, 8, i8, I8, 32, i8, I8, 64, Acc32, i32, 32);
        $m!(U8_I8_4X8X8, 4, 8, 8, u8, U8, 32, i8, I8, 64, Acc32, i32, 32);
        $m!(I8_U8_4X8X8, 4, 8, 8, i8, I8, 32, u8, U8, 64, Acc32, i32, 32);
        $m!(U8_U8_4X8X8, 4, 8, 8, u8, U8, 32, u8, U8, 64, Acc32, i32, 32);
        $m!(I8_I8_2X8X8, 2, 8, 8, i8, I8, 16, i8, I8, 64, Acc32, i32, 16);
        $m!(I16_I8_4X4X8, 4, 4, 8, i16, I16, 16, i8, I8, 32, Acc32, i32, 32);
        $m!(I16_I8_4X8X4, 4, 8, 4, i16, I16, 32, i8, I8, 32, Acc64, i64, 16);
        $m!(I16_I8_2X8X8, 2, 8, 8, i16, I16, 16, i8, I8, 64, Acc64, i64, 16);
        $m!(I16_I16_4X4X4, 4, 4, 4, i16, I16, 16, i16, I16, 16, Acc64, i64, 16);
        $m!(I16_I16_2X4X8, 2, 4, 8, i16, I16, 8, i16, I16, 32, Acc64, i64, 16);
        $m!(I32_I16_4X4X4, 4, 4, 4, i32, I32, 16, i16, I16, 16, Acc64, i64, 16);
    };
}

/// Parallel lookups: `index type, Elem, value type, Elem, lanes`.
macro_rules! lookup_shapes {
    ($m:ident) => {
        $m!(i16, I16, i16, I16, 32);
        $m!(i16, I16, i8, I8, 32);
        $m!(i8, I8, i8, I8, 32);
        $m!(i8, I8, i16, I16, 32);
        $m!(u8, U8, u8, U8, 32);
        $m!(u8, U8, i16, I16, 32);
    };
}

pub(crate) use {
    acc_half_shapes, acc_move_shapes, acc_shapes, alu_shapes, half_shapes, lookup_shapes, memory_shapes,
    mmul_shapes, mul_shapes, ups_srs_shapes,
};
