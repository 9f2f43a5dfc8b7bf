//! What is wrong with bytes, text or a bundle.

use thiserror::Error;

/// Why something is no machine code.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MachineError {
    /// Fewer bytes than the first ones announce.
    #[error("a bundle of {expected} B begins with 0x{first:02x}, {got} B are left")]
    Short {
        /// First byte.
        first: u8,
        /// Bytes of the bundle.
        expected: usize,
        /// Bytes there.
        got: usize,
    },
    /// No format has these bits.
    #[error("no format of {bytes} B bundles has these bits: {found}")]
    Format {
        /// Size of the bundle.
        bytes: usize,
        /// The bytes in hexadecimal.
        found: String,
    },
    /// A slot holds bits of no instruction.
    #[error("slot {slot} holds 0x{bits:x}, which is no instruction")]
    Slot {
        /// Name of the slot.
        slot: &'static str,
        /// Its bits.
        bits: u64,
    },
    /// Text that is no instruction.
    #[error("`{text}` is no instruction{}", hint.as_ref().map(|h| format!("; {h}")).unwrap_or_default())]
    Text {
        /// As written.
        text: String,
        /// The forms of its name, or names near it.
        hint: Option<String>,
    },
    /// Instructions that no bundle holds together.
    #[error("`{text}`: no bundle holds these instructions together")]
    Together {
        /// As written.
        text: String,
    },
    /// A register that an operand cannot be.
    #[error("{op}: operand {operand} cannot be {register}")]
    Register {
        /// Name of the form.
        op: String,
        /// Name of the operand.
        operand: String,
        /// The register.
        register: String,
    },
    /// A number that an operand cannot be.
    #[error("{op}: operand {operand} is {value}, expected a multiple of {step} from {least} to {greatest}")]
    Range {
        /// Name of the form.
        op: String,
        /// Name of the operand.
        operand: String,
        /// The number.
        value: i64,
        /// Its step.
        step: i64,
        /// Least.
        least: i64,
        /// Greatest.
        greatest: i64,
    },
    /// A form whose encoding nothing shows.
    #[error("{op} is in no test vector and no shipped program: its encoding is not known to be right")]
    Unseen {
        /// Name of the form.
        op: String,
    },
}
