//! What leaves Kiln: AIE2 C++ for kernels, MLIR and the controller's instructions for designs.

pub mod bundle;
mod cpp;
mod insts;
mod mlir;
mod mlir_parse;
pub use bundle::{Bundle, BundleError, BundleFile, Manifest, emit_bundle};
pub(crate) use cpp::c_element;
pub use cpp::{CppError, LoopPlan, LoopPlans, emit_cpp, emit_cpp_scheduled};
#[cfg(test)]
pub(crate) use cpp::{template, type_name};
pub use insts::{
    DecodeError, Inst, Insts, InstsError, InstsHeader, decode_insts, emit_insts, insts_from_bytes,
    insts_to_bytes,
};
pub use mlir::{MLIR_AIE_SPAN, MlirError, emit_mlir};
pub use mlir_parse::{
    MlirBuffer, MlirCascade, MlirCopy, MlirCore, MlirDepths, MlirDesign, MlirFifo, MlirFunction,
    MlirHostBuffer, MlirImportError, MlirLine, MlirLink, MlirParseError, MlirSequence, MlirStep, MlirStmt,
    MlirTrips, MlirValue, design_of_mlir, parse_mlir,
};
