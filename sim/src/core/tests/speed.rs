//! What the fast path costs the host. Run by hand: `cargo test -p kiln-sim speed -- --ignored --nocapture`.

use super::fixed::matmul;
use super::{arguments, bytes};
use crate::core::{Compiled, KernelCost};
use crate::executor::ArgValue;
use kiln_dsl::device::Device;
use std::time::Instant;

#[test]
#[ignore = "a measurement, printed"]
fn nanoseconds_per_matrix_product() {
    let (m, k, n) = (16, 16, 8);
    let kernel = matmul(m, k, n);
    let cost = KernelCost::new(&kernel, Device::npu1());
    let mut compiled = Compiled::new(&kernel, &cost).expect("a verified kernel");
    let given = arguments(&kernel, 1, &[9]);
    let mut memories: Vec<Vec<u8>> = (0..3).map(|i| bytes(&given, i).to_vec()).collect();
    let memory = |tile: usize| ArgValue::Memory { tile, address: 0, bytes: memories[tile].len() as u32 };
    let args = [memory(0), memory(1), memory(2), ArgValue::I32(9)];
    let calls = 200;
    let mut best = f64::INFINITY;
    for _ in 0..10 {
        let start = Instant::now();
        for _ in 0..calls {
            compiled.run(&kernel, &cost, &args, &mut memories).expect("the kernel runs");
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(calls * m * k * n));
    }
    println!("{best:.1} ns for each 4x8x8 product with its share of loads, stores and loops");
}
