//! The array simulator on small designs made with the real builder, kernels replaced by closures.

mod bandwidth;
mod bottlenecks;
mod cascade;
mod deadlock;
mod failures;
mod function;
mod layouts;
mod races;
mod support;
mod timing;
mod token_game;
mod traces;
mod unwritten;
