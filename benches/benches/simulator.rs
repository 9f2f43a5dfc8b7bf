//! Speed of the simulator.
fn main() {}
