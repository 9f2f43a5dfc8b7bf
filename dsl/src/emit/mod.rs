//! What leaves Kiln: AIE2 C++ for kernels, MLIR for designs.

mod cpp;
pub(crate) use cpp::c_element;
#[cfg(test)]
pub(crate) use cpp::{template, type_name};
pub use cpp::{CppError, emit_cpp};
