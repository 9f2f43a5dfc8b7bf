//! Kiln's benchmarks: `benches/simulator.rs` measures the simulator on this machine.
