//! What leaves Kiln: AIE2 C++ for kernels, MLIR for designs.

mod cpp;
pub(crate) use cpp::c_element;
pub use cpp::{CppError, emit_cpp};
#[cfg(test)]
pub(crate) use cpp::{template, type_name};
