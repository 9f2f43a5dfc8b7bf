//! `kiln`: simulates and emits kernels and designs for the AMD Phoenix NPU.

fn main() {}
