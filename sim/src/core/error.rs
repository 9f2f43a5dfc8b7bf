//! What can go wrong while one kernel runs.

use kiln_dsl::kernel::{Imm, Kernel, Loc, OpId, ParamId};
use kiln_dsl::num::{Rounding, Saturation};
use std::fmt;

/// The operation at fault: the kernel, its line of IR text and where its author wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Name of the kernel.
    pub kernel: String,
    /// The operation.
    pub op: OpId,
    /// Its line of IR text.
    pub text: String,
    /// Author's file and line.
    pub loc: Loc,
}

impl Site {
    /// The site of `op`.
    pub fn new(kernel: &Kernel, op: OpId) -> Box<Site> {
        let data = kernel.op(op);
        let text = kernel.op_text(op).unwrap_or_else(|| data.opcode.mnemonic().to_string());
        Box::new(Site { kernel: kernel.name.clone(), op, text, loc: data.loc.clone() })
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kernel {}, `{}` at {}", self.kernel, self.text, self.loc)
    }
}

/// Why a kernel could not be prepared, called or run to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The number of arguments is not the number of parameters.
    #[error("kernel {kernel} has {expected} parameters and got {got} arguments")]
    ArgumentCount {
        /// Name of the kernel.
        kernel: String,
        /// Parameters.
        expected: usize,
        /// Arguments.
        got: usize,
    },
    /// Memory where an integer is due, or the reverse.
    #[error("kernel {kernel}, parameter {param} ({keyword}): expected {expected}, got {got}")]
    ArgumentKind {
        /// Name of the kernel.
        kernel: String,
        /// Name of the parameter.
        param: String,
        /// Role of the parameter.
        keyword: &'static str,
        /// What the parameter takes.
        expected: &'static str,
        /// What the call gave.
        got: &'static str,
    },
    /// A buffer of another size than its parameter.
    #[error("kernel {kernel}, parameter {param}: expected {expected_bytes} bytes, got {got_bytes}")]
    ArgumentSize {
        /// Name of the kernel.
        kernel: String,
        /// Name of the parameter.
        param: String,
        /// Bytes of the parameter.
        expected_bytes: u64,
        /// Bytes of the argument.
        got_bytes: u64,
    },
    /// A buffer that starts at a less aligned address than its parameter promises.
    #[error(
        "kernel {kernel}, parameter {param}: address {address:#x} is not a multiple of {align_bytes} bytes\nhelp: place the object at a multiple of {align_bytes} bytes, or pass a view that starts at one"
    )]
    ArgumentAlignment {
        /// Name of the kernel.
        kernel: String,
        /// Name of the parameter.
        param: String,
        /// First byte in the tile's memory.
        address: u64,
        /// What the parameter promises.
        align_bytes: u32,
    },
    /// A buffer that does not lie in the memory it names.
    #[error(
        "kernel {kernel}, parameter {param}: bytes {address:#x}..{end:#x} of memory {memory}, which has {memory_bytes} bytes"
    )]
    ArgumentOutside {
        /// Name of the kernel.
        kernel: String,
        /// Name of the parameter.
        param: String,
        /// Dense index of the memory.
        memory: usize,
        /// First byte.
        address: u64,
        /// One past the last byte.
        end: u64,
        /// Size of the memory, 0 when there is none of that index.
        memory_bytes: u64,
    },
    /// A written parameter shares bytes with another one.
    #[error(
        "kernel {kernel}: parameters {first} and {second} share bytes of memory {memory} and at least one is written\nhelp: emitted kernels promise the compiler (`__restrict`) that they do not; give them separate buffers"
    )]
    Overlap {
        /// Name of the kernel.
        kernel: String,
        /// Name of one parameter.
        first: String,
        /// Name of the other.
        second: String,
        /// Dense index of the memory.
        memory: usize,
    },
    /// A load or store past either end of its parameter.
    #[error(
        "{site}: parameter {param} has {param_bytes} bytes, access to {size_bytes} bytes at offset {offset_bytes}"
    )]
    OutOfBounds {
        /// The load or store.
        site: Box<Site>,
        /// Name of the parameter.
        param: String,
        /// Size of the parameter.
        param_bytes: u64,
        /// First byte accessed, from the parameter's start.
        offset_bytes: i64,
        /// Bytes accessed.
        size_bytes: u32,
    },
    /// A load or store at an address that the operation cannot reach.
    #[error(
        "{site}: parameter {param}, {size_bytes} bytes at offset {offset_bytes} (address {address:#x}) need alignment {align_bytes}\nhelp: use the unaligned operation, or an address that is a multiple of {align_bytes} bytes"
    )]
    Misaligned {
        /// The load or store.
        site: Box<Site>,
        /// Name of the parameter.
        param: String,
        /// First byte accessed, from the parameter's start.
        offset_bytes: i64,
        /// First byte accessed, in the tile's memory.
        address: u64,
        /// Bytes accessed.
        size_bytes: u32,
        /// What the operation needs.
        align_bytes: u32,
    },
    /// A scalar division by zero.
    #[error("{site}: division by zero (dividend {dividend})")]
    DivisionByZero {
        /// The division.
        site: Box<Site>,
        /// Value divided.
        dividend: i32,
    },
    /// The op table has no form for the operands of an operation.
    #[error("{site}: the op table has no form for its operands")]
    NoForm {
        /// The operation.
        site: Box<Site>,
    },
    /// An operation lacks an operand, address, body or immediate that its kind needs.
    #[error("{site}: malformed, {missing} is missing")]
    Malformed {
        /// The operation.
        site: Box<Site>,
        /// What it lacks.
        missing: &'static str,
    },
    /// A mode operation names a code that the core does not have.
    #[error("{site}: no {register} mode has code {code}")]
    UnknownMode {
        /// The mode operation.
        site: Box<Site>,
        /// `rounding` or `saturation`.
        register: &'static str,
        /// The code.
        code: i64,
    },
    /// A read of the cascade, from which nothing has come.
    #[error(
        "{site}: the cascade is empty\nhelp: a kernel run by itself reads what `run_kernel_with` is given; in a design, what a neighbour writes"
    )]
    CascadeEmpty {
        /// The read.
        site: Box<Site>,
    },
    /// The two copies of a parallel lookup's table differ, or the halves of a line.
    #[error(
        "{site}: tables {first} and {second} of the lookup differ in entry {entry}, or hold it once in a line and not twice"
    )]
    TablesDiffer {
        /// The lookup.
        site: Box<Site>,
        /// Name of the first table.
        first: String,
        /// Name of the second.
        second: String,
        /// The entry.
        entry: u32,
    },
}

impl RunError {
    pub(super) fn out_of_bounds(
        kernel: &Kernel,
        op: OpId,
        param: ParamId,
        offset: i64,
        size: u32,
    ) -> RunError {
        let data = kernel.param(param);
        RunError::OutOfBounds {
            site: Site::new(kernel, op),
            param: data.name.clone(),
            param_bytes: data.bytes(),
            offset_bytes: offset,
            size_bytes: size,
        }
    }

    pub(super) fn tables_differ(
        kernel: &Kernel,
        op: OpId,
        [first, second]: [ParamId; 2],
        entry: u32,
    ) -> RunError {
        RunError::TablesDiffer {
            site: Site::new(kernel, op),
            first: kernel.param(first).name.clone(),
            second: kernel.param(second).name.clone(),
            entry,
        }
    }

    /// `widths` are the bytes accessed and their alignment.
    pub(super) fn misaligned(
        kernel: &Kernel,
        op: OpId,
        param: ParamId,
        offset_bytes: i64,
        address: u64,
        widths: [u32; 2],
    ) -> RunError {
        let [size_bytes, align_bytes] = widths;
        let param = kernel.param(param).name.clone();
        RunError::Misaligned {
            site: Site::new(kernel, op),
            param,
            offset_bytes,
            address,
            size_bytes,
            align_bytes,
        }
    }

    pub(super) fn cascade_empty(kernel: &Kernel, op: OpId) -> RunError {
        RunError::CascadeEmpty { site: Site::new(kernel, op) }
    }

    pub(super) fn division_by_zero(kernel: &Kernel, op: OpId, dividend: i32) -> RunError {
        RunError::DivisionByZero { site: Site::new(kernel, op), dividend }
    }

    fn unknown_mode(kernel: &Kernel, op: OpId, register: &'static str, code: i64) -> RunError {
        RunError::UnknownMode { site: Site::new(kernel, op), register, code }
    }
}

/// The constant of an operation, 0 without one.
pub(super) fn constant(kernel: &Kernel, op: OpId) -> i64 {
    if let Imm::Int(n) = kernel.op(op).imm { n } else { 0 }
}

/// The mode that a `setrounding` selects.
pub(super) fn rounding(kernel: &Kernel, op: OpId) -> Result<Rounding, RunError> {
    let code = constant(kernel, op);
    let mode = u8::try_from(code).ok().and_then(Rounding::from_code);
    mode.ok_or_else(|| RunError::unknown_mode(kernel, op, "rounding", code))
}

/// The mode that a `setsaturation` selects.
pub(super) fn saturation(kernel: &Kernel, op: OpId) -> Result<Saturation, RunError> {
    let code = constant(kernel, op);
    let mode = u8::try_from(code).ok().and_then(Saturation::from_code);
    mode.ok_or_else(|| RunError::unknown_mode(kernel, op, "saturation", code))
}
