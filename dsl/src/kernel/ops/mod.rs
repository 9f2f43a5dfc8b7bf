//! The op table: one entry per operation with its operands, memory effect, semantics, C++ form,
//! machine instructions, issue slots and latency classes.
//!
//! Builder, printer, parser, verifier, C++ emitter, interpreter and core timing all read this
//! table; none of them knows an operation on its own. A (operation, types) pair that AIE2 lacks
//! is not in it; one that AIE2 does in several instructions lists them.

mod accum;
mod cascade;
mod float;
mod imm;
mod matrix;
mod memory;
mod reg;
mod scalar;
mod shapes;
mod table;
mod vector;

pub use imm::{ImmKind, SHUFFLE_MODES};
pub use reg::Reg;
pub use scalar::scalar_store_machine;
pub(crate) use shapes::*;
pub use table::{find, form, shape_code, shape_from_code, spec};

use super::types::Type;
use crate::num::{Rounding, Saturation};
use smallvec::SmallVec;
use std::fmt;

macro_rules! opcodes {
    ($($(#[$doc:meta])* $name:ident = $mnemonic:literal,)*) => {
        /// The name of an operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Opcode { $($(#[$doc])* $name,)* }
        impl Opcode {
            /// Every operation, in table order.
            pub const ALL: &'static [Opcode] = &[$(Opcode::$name,)*];
            /// The operation's name in IR text.
            pub const fn mnemonic(self) -> &'static str {
                match self { $(Opcode::$name => $mnemonic,)* }
            }
            /// The operation written `mnemonic`.
            pub fn from_mnemonic(mnemonic: &str) -> Option<Opcode> {
                Opcode::ALL.iter().copied().find(|o| o.mnemonic() == mnemonic)
            }
        }
        impl fmt::Display for Opcode {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.mnemonic())
            }
        }
    };
}

opcodes! {
    /// A counted loop with carried values.
    For = "for",
    /// The end of a loop body: the next carried values.
    Yield = "yield",
    /// A 32-bit constant (`Imm::Int`).
    SConst = "sconst",
    /// Scalar sum, wrapping.
    SAdd = "sadd",
    /// Scalar difference, wrapping.
    SSub = "ssub",
    /// Scalar product, low 32 bits.
    SMul = "smul",
    /// Signed division toward zero; by zero gives 0 (kernels must not rely on it).
    SDiv = "sdiv",
    /// Lesser, signed.
    SMin = "smin",
    /// Greater, signed.
    SMax = "smax",
    /// Bitwise and.
    SAnd = "sand",
    /// Bitwise or.
    SOr = "sor",
    /// Bitwise exclusive or.
    SXor = "sxor",
    /// Shift left by the low 5 bits of the count.
    SShl = "sshl",
    /// Arithmetic shift right by the low 5 bits of the count.
    SAshr = "sashr",
    /// Logical shift right by the low 5 bits of the count.
    SLshr = "slshr",
    /// Leading zeros; 32 for 0.
    SClz = "sclz",
    /// Magnitude; the least value stays.
    SAbs = "sabs",
    /// 1 when less, signed, else 0.
    SLt = "slt",
    /// 1 when equal, else 0.
    SEq = "seq",
    /// Second operand when the first is not 0, else the third.
    SSelect = "sselect",
    /// Scalar load of one element, sign- or zero-extended.
    SLoad = "sload",
    /// Scalar store of one element, truncated.
    SStore = "sstore",
    /// Vector load at a provable alignment of min(32, size) bytes.
    Load = "load",
    /// Vector store at a provable alignment of min(32, size) bytes.
    Store = "store",
    /// Vector load at element alignment.
    LoadU = "loadu",
    /// Vector store at element alignment.
    StoreU = "storeu",
    /// All lanes zero.
    Zeros = "zeros",
    /// Every lane the low bits of a scalar.
    Splat = "splat",
    /// Every lane one bf16 or f32 constant (`Imm::Int` has its bits).
    FSplat = "fsplat",
    /// Lanewise sum, wrapping.
    Add = "add",
    /// Lanewise difference, wrapping.
    Sub = "sub",
    /// Lanewise lesser.
    Min = "min",
    /// Lanewise greater.
    Max = "max",
    /// Lanewise difference where it is positive, else 0; a difference that does not fit wraps.
    MaxDiff = "maxdiff",
    /// Lanewise negation, wrapping.
    Neg = "neg",
    /// Lanewise magnitude, wrapping.
    Abs = "abs",
    /// Bitwise and.
    And = "and",
    /// Bitwise or.
    Or = "or",
    /// Mask of lanes where the first is less than the second.
    Lt = "lt",
    /// Mask of lanes where the first is at least the second.
    Ge = "ge",
    /// Mask of lanes that are equal.
    Eq = "eq",
    /// Lanes of the second operand where the mask is set, else of the third.
    Select = "select",
    /// Mask whose lowest `n` lanes are set; `n` is clamped to the lane count.
    TailMask = "tailmask",
    /// Two-register byte permutation (`Imm::Int` is the hardware's mode, 0..47).
    Shuffle = "shuffle",
    /// One half of a vector (`Imm::Int`: 0 low, 1 high).
    Half = "half",
    /// Two vectors end to end, the first in the low lanes.
    Concat = "concat",
    /// The same bits seen as other lanes.
    Cast = "cast",
    /// 8-bit lanes widened to 16 bits.
    Unpack = "unpack",
    /// 16-bit lanes narrowed to 8 bits in the saturation mode.
    Pack = "pack",
    /// One lane as a scalar (`Imm::Int`), sign- or zero-extended.
    GetLane = "getlane",
    /// Sum of all lanes, wrapping to 32 bits.
    ReduceAdd = "reduceadd",
    /// Greatest lane, sign- or zero-extended.
    ReduceMax = "reducemax",
    /// Least lane, sign- or zero-extended.
    ReduceMin = "reducemin",
    /// Parallel table lookup by lanes (`Imm::Lookup`).
    Lookup = "lookup",
    /// An accumulator of zeros.
    AccZeros = "acczeros",
    /// Vector to accumulator, shifted left by a scalar.
    Ups = "ups",
    /// Accumulator to vector: shifted right by a scalar, rounded and saturated by the modes.
    Srs = "srs",
    /// Accumulator sum.
    AccAdd = "accadd",
    /// Accumulator difference.
    AccSub = "accsub",
    /// Lanewise product.
    Mul = "mul",
    /// Accumulator plus lanewise product.
    Mac = "mac",
    /// Accumulator minus lanewise product.
    Msc = "msc",
    /// Matrix product of an M x K and a K x N tile, row-major lanes.
    MMul = "mmul",
    /// Accumulator plus matrix product.
    MMac = "mmac",
    /// Half of an accumulator (`Imm::Int`: 0 low, 1 high).
    AccHalf = "acchalf",
    /// Two accumulators end to end.
    AccConcat = "accconcat",
    /// Sends an accumulator of 512 bits to the neighbour's cascade; waits while it is full.
    CascadePut = "cascadeput",
    /// Takes an accumulator of 512 bits from the cascade; waits while it is empty.
    CascadeGet = "cascadeget",
    /// Changes the rounding mode (`Imm::Int`: crRnd code).
    SetRounding = "setrounding",
    /// Changes the saturation mode (`Imm::Int`: crSat code).
    SetSaturation = "setsaturation",
}

/// What an operation does besides defining its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: may be removed when unused.
    Pure,
    /// Reads the memory of its address (and of a lookup's second table).
    Read,
    /// Writes the memory of its address.
    Write,
    /// Changes a core mode.
    Mode,
    /// Writes or reads the cascade: values keep their order.
    Cascade,
    /// Control flow.
    Control,
}

/// An issue slot of the AIE2 bundle (`isa_timing.md` section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// Load unit A: scalar and vector loads, accumulator loads.
    Lda,
    /// Load unit B: vector loads, unpacking, parallel lookup.
    Ldb,
    /// Store unit, srs, pack.
    St,
    /// Scalar ALU.
    Alu,
    /// Moves and the vector ALU, shuffles, ups.
    Mv,
    /// Multiplier and accumulators.
    Vec,
    /// Immediate branches: occupies `Alu` and `Mv`.
    Lng,
}

impl Slot {
    /// The name in this project's texts.
    pub const fn name(self) -> &'static str {
        match self {
            Slot::Lda => "lda",
            Slot::Ldb => "ldb",
            Slot::St => "st",
            Slot::Alu => "alu",
            Slot::Mv => "mv",
            Slot::Vec => "vec",
            Slot::Lng => "lng",
        }
    }

    /// Bits of an instruction of the slot in its bundle (`isa_timing.md` section 1).
    pub const fn encoded_bits(self) -> u32 {
        match self {
            Slot::Lda | Slot::St => 21,
            Slot::Ldb => 16,
            Slot::Alu => 20,
            Slot::Mv => 22,
            Slot::Vec => 26,
            Slot::Lng => 42,
        }
    }
}

/// Bytes of a bundle's sizes' step.
const BUNDLE_STEP_BYTES: u32 = 2;

/// Bits of a bundle that say which format it has; the widest format needs fewer.
const FORMAT_BITS: u32 = 4;

/// Bytes of the widest bundle, which are also what is fetched at once.
pub const FETCH_BYTES: u32 = 16;

/// Bytes of the smallest bundle whose instructions have this many bits in all; one of none is the short nop.
pub const fn bundle_bytes(encoded_bits: u32) -> u32 {
    let bytes = (encoded_bits + FORMAT_BITS).div_ceil(8).next_multiple_of(BUNDLE_STEP_BYTES);
    if bytes < FETCH_BYTES { bytes } else { FETCH_BYTES }
}

/// A latency class; its cycles are in the device YAML under this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LatencyClass {
    /// Scalar ALU, compare, move.
    ScalarAlu,
    /// Scalar multiply.
    ScalarMul,
    /// One step of a division.
    DivStep,
    /// Scalar load.
    LoadScalar,
    /// Vector load.
    LoadVector,
    /// Vector load through ups into an accumulator.
    LoadUps,
    /// Parallel lookup load.
    LoadLut,
    /// Any full-width store.
    Store,
    /// 8- or 16-bit scalar store: read-modify-write.
    PartStore,
    /// Vector ALU in the move slot.
    VectorAlu,
    /// Integer multiply-accumulate.
    Vmac,
    /// bf16 multiply-accumulate.
    VmacFloat,
    /// Integer accumulator add, subtract, clear.
    AccAlu,
    /// Float accumulator add, subtract, clear.
    AccAluFloat,
    /// Vector to accumulator.
    Ups,
    /// Accumulator to vector.
    Srs,
    /// bf16 conversions, pack.
    Convert,
    /// Read of the cascade.
    CascadeRead,
    /// Lock and mode operations, write of the cascade.
    Control,
}

impl LatencyClass {
    /// Every class.
    pub const ALL: [LatencyClass; 19] = [
        LatencyClass::ScalarAlu,
        LatencyClass::ScalarMul,
        LatencyClass::DivStep,
        LatencyClass::LoadScalar,
        LatencyClass::LoadVector,
        LatencyClass::LoadUps,
        LatencyClass::LoadLut,
        LatencyClass::Store,
        LatencyClass::PartStore,
        LatencyClass::VectorAlu,
        LatencyClass::Vmac,
        LatencyClass::VmacFloat,
        LatencyClass::AccAlu,
        LatencyClass::AccAluFloat,
        LatencyClass::Ups,
        LatencyClass::Srs,
        LatencyClass::Convert,
        LatencyClass::CascadeRead,
        LatencyClass::Control,
    ];

    /// Key in the device YAML.
    pub const fn key(self) -> &'static str {
        match self {
            LatencyClass::ScalarAlu => "scalar_alu",
            LatencyClass::ScalarMul => "scalar_mul",
            LatencyClass::DivStep => "div_step",
            LatencyClass::LoadScalar => "load_scalar",
            LatencyClass::LoadVector => "load_vector",
            LatencyClass::LoadUps => "load_ups",
            LatencyClass::LoadLut => "load_lut",
            LatencyClass::Store => "store",
            LatencyClass::PartStore => "part_store",
            LatencyClass::VectorAlu => "vector_alu",
            LatencyClass::Vmac => "vmac",
            LatencyClass::VmacFloat => "vmac_float",
            LatencyClass::AccAlu => "acc_alu",
            LatencyClass::AccAluFloat => "acc_alu_float",
            LatencyClass::Ups => "ups",
            LatencyClass::Srs => "srs",
            LatencyClass::Convert => "convert",
            LatencyClass::CascadeRead => "cascade_read",
            LatencyClass::Control => "control",
        }
    }
}

/// One machine instruction of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Instruction mnemonic as the assembler writes it, without operands.
    pub mnemonic: &'static str,
    /// Slots it may issue in, preferred first.
    pub slots: &'static [Slot],
    /// Latency of its result.
    pub latency: LatencyClass,
    /// How many of it, one after another.
    pub times: u8,
}

/// What an operation's semantics may look at besides its operands.
#[derive(Clone, Copy, Debug)]
pub struct EvalCx {
    /// Current rounding mode.
    pub rounding: Rounding,
    /// Current saturation mode.
    pub saturation: Saturation,
    /// The operation's `Imm::Int`, 0 without one.
    pub imm: i64,
}

/// The meaning of a form: operands' register images to the result's.
pub type Eval = fn(&EvalCx, &[&Reg], &mut Reg);

/// One typed form of an operation.
#[derive(Clone, Debug)]
pub struct Form {
    /// Operand types, in order.
    pub operands: SmallVec<[Type; 3]>,
    /// Result type.
    pub result: Option<Type>,
    /// M, K, N of a matrix product.
    pub shape: Option<[u8; 3]>,
    /// Meaning; `None` for memory, control, mode and cascade operations, which the executor does.
    pub eval: Option<Eval>,
    /// C++ expression (statement for an operation without result). `$0`.. are operands, `$i` the
    /// immediate, `$p` the address as a pointer expression; `$E` and `$N` are the C++ element type
    /// and lane count of the result (of the address's parameter for a store). A lookup also has
    /// `$I` the index's element type, `$e` the table's entries, `$q` the second table, `$s` the
    /// step's log2 and `$b` the bias. A matrix product has its shape as `$M`, `$K` and `$L`.
    pub cpp: &'static str,
    /// The instructions it becomes, in order of dependence. More than one: composed.
    pub machine: Vec<Machine>,
}

/// One operation.
#[derive(Clone, Debug)]
pub struct OpSpec {
    /// Which.
    pub opcode: Opcode,
    /// Effect on the world.
    pub effect: Effect,
    /// Its typed forms; empty for `for` and `yield`, whose types are free.
    pub forms: Vec<Form>,
}
