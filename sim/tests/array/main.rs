//! The array simulator on small designs made with the real builder, kernels replaced by closures. Each way to fail has a
//! file of its own.

mod bandwidth;
mod bottlenecks;
mod cascade;
mod deadlock;
mod endless;
mod function;
mod invalid;
mod kernel_errors;
mod layouts;
mod lock_overflow;
mod races;
mod support;
mod task_queue;
mod timing;
mod token_game;
mod traces;
mod unwritten;
