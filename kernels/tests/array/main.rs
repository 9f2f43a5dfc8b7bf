//! Designs and the encoder on the simulated array, bit for bit.

mod attention;
mod budgets;
mod containers;
mod designs;
mod encoder;
mod mel;
mod mlir_opt;
mod runner;
