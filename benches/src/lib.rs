//! Kiln's benchmarks.
//!
//! `benches/hardware.rs` sets simulated cycles of every kernel beside hardware's, in a table and a page; [`compare`] finds the
//! pairs, [`live`] times kernels on a device, [`page`] draws. `benches/simulator.rs` measures the simulator on this machine.

pub mod compare;
pub mod live;
pub mod page;
