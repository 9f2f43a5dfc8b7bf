//! Kiln's three IRs, their builders, device descriptions, verifiers, lowering, emitters, and the files that devices load.
pub mod array;
pub mod container;
pub mod device;
pub mod emit;
mod entity;
pub mod files;
pub mod fit;
pub mod kernel;
pub mod machine;
pub mod native;
pub mod num;
pub mod sequence;
mod verified;
pub use verified::Verified;
