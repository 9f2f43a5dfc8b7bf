//! The array simulator on small designs made with the real builder, kernels replaced by closures.

mod bandwidth;
mod cascade;
mod deadlock;
mod failures;
mod function;
mod layouts;
mod support;
mod timing;
mod token_game;
