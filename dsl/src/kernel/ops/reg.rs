//! The register image of one value.

use bytemuck::Pod;

/// Up to 1024 bits, lane 0 first, little endian. A scalar is an i32 in the first 4 bytes, a mask
/// a u64 in the first 8 (lane i is bit i).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Reg(pub [u8; 128]);

impl Reg {
    /// All bits clear.
    pub const ZERO: Reg = Reg([0; 128]);

    /// The first `N` lanes.
    #[inline(always)]
    pub fn lanes<T: Pod, const N: usize>(&self) -> &[T; N] {
        let bytes = &self.0[..N * size_of::<T>()];
        bytemuck::cast_slice::<u8, T>(bytes).try_into().expect("N lanes were cut")
    }

    /// The first `N` lanes, to write.
    #[inline(always)]
    pub fn lanes_mut<T: Pod, const N: usize>(&mut self) -> &mut [T; N] {
        let bytes = &mut self.0[..N * size_of::<T>()];
        bytemuck::cast_slice_mut::<u8, T>(bytes).try_into().expect("N lanes were cut")
    }

    /// The scalar image of `value`.
    #[inline(always)]
    pub fn scalar(value: i32) -> Reg {
        let mut reg = Reg::ZERO;
        reg.lanes_mut::<i32, 1>()[0] = value;
        reg
    }

    /// The value of a scalar image.
    #[inline(always)]
    pub fn as_scalar(&self) -> i32 {
        self.lanes::<i32, 1>()[0]
    }

    /// The bits of a mask image.
    #[inline(always)]
    pub fn as_mask(&self) -> u64 {
        self.lanes::<u64, 1>()[0]
    }
}
