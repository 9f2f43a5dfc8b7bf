//! Kiln's benchmarks
