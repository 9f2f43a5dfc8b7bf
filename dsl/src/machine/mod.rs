//! Machine code of the AIE2 core: bundles as bytes and as text.
//!
//! [`Isa`] is the table of all instruction forms, read from `aie2.tsv`. A [`Bundle`] holds at most one instruction a slot;
//! [`Bundle::encode`] gives its bytes, [`Bundle::decode`] reads them back, and both have a text form, as LLVM prints it:
//!
//! ```
//! use kiln_dsl::machine::Bundle;
//!
//! let bundle: Bundle = "mova r0, #-1 ; movx r1, #776".parse()?;
//! let bytes = bundle.encode()?;
//! assert_eq!(bytes, [0x1d, 0x21, 0x02, 0x0b, 0xe0, 0xff]);
//! assert_eq!(Bundle::decode(&bytes)?.to_string(), "mova r0, #-1 ; movx r1, #776");
//! # Ok::<(), kiln_dsl::machine::MachineError>(())
//! ```
//!
//! What always holds: the bytes of a decoded bundle are those that were read; bytes that the table does not explain to the
//! last bit are an error. Forms that neither a test vector of llvm-aie nor a shipped program shows are decoded, and refused
//! by `encode`: nobody has seen what they are.

mod bundle;
mod error;
mod table;
mod text;

pub use bundle::{Bundle, Disassembly, Instruction, Value, disassemble};
pub use error::MachineError;
pub use table::{Field, Format, Immediate, Isa, Kind, Op, OpId, RegisterClass, Slot};

#[cfg(test)]
mod tests;
