//! The staged builder: Rust code that writes a kernel reads like the kernel.
//!
//! Methods take `&self`; values are `Copy` handles that know their builder, so expressions nest.
//! What the hardware fixes is typed: element, lanes and mmul shape are part of a handle's type, and
//! a combination that AIE2 lacks does not compile. Problem sizes are run-time values of the Rust
//! program.
//!
//! ```
//! use kiln_dsl::kernel::build::Builder;
//! use kiln_dsl::kernel::Kernel;
//! use kiln_dsl::num::{Rounding, Saturation};
//!
//! /// y = max(x, 0), 2048 bytes.
//! let relu = Kernel::build("relu_i8", Rounding::ConvEven, Saturation::On, |k: &Builder| {
//!     let x = k.input::<i8>("x", [2048]);
//!     let y = k.output::<i8>("y", [2048]);
//!     let zero = k.zeros::<i8, 64>();
//!     k.for_step(0, 2048, 64, |i| y.store(i, x.load::<64>(i).max(zero)));
//! });
//! assert_eq!(relu.params.len(), 2);
//! ```
//!
//! The 4x8x8 product takes 32 lanes of A; with 16 it does not compile:
//!
//! ```compile_fail,E0308
//! # use kiln_dsl::kernel::build::{Acc32, Builder, mmul};
//! # use kiln_dsl::kernel::Kernel;
//! # use kiln_dsl::num::{Rounding, Saturation};
//! # Kernel::build("k", Rounding::ConvEven, Saturation::On, |k: &Builder| {
//! let (a, b) = (k.zeros::<i8, 16>(), k.zeros::<i8, 64>());
//! k.mac(mmul::I8_I8_4X8X8, k.acc_zeros::<Acc32, 32>(), a, b);
//! # });
//! ```

mod address;
mod carried;
mod control;
mod memory;
mod scalar;
#[cfg(test)]
mod tests;
mod typed;
mod vector;

pub use address::Index;
pub use carried::{Block2, Carried};
pub use control::Hinted;
pub use memory::{Buf, Shape, TileBuf};
pub use scalar::{IntoScalar, Scalar};
pub use typed::*;
pub use vector::{Accum, Mask, Vector};

use super::ir::{
    Address, Block, BlockId, Imm, Kernel, Loc, OpData, OpId, Param, ParamId, ParamKind, ValueId,
};
use super::ops::Opcode;
use super::types::Type;
use crate::num::{Rounding, Saturation};
use smallvec::SmallVec;
use std::cell::RefCell;

/// Writes one kernel. Made by [`Kernel::build`].
#[derive(Debug)]
pub struct Builder {
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    kernel: Kernel,
    /// Blocks being written, innermost last.
    open: Vec<BlockId>,
}

impl Kernel {
    /// Runs `author` to write a kernel. The result is unverified.
    pub fn build(
        name: &str,
        rounding: Rounding,
        saturation: Saturation,
        author: impl for<'k> FnOnce(&'k Builder),
    ) -> Kernel {
        let kernel = Kernel {
            name: name.to_string(),
            doc: String::new(),
            rounding,
            saturation,
            params: Vec::new(),
            values: Vec::new(),
            ops: Vec::new(),
            blocks: vec![Block::default()],
        };
        let builder = Builder { state: RefCell::new(State { kernel, open: vec![Kernel::BODY] }) };
        author(&builder);
        let mut kernel = builder.state.into_inner().kernel;
        super::tidy::remove_unused(&mut kernel);
        kernel
    }

    /// The same kernel with its paragraph for people.
    pub fn with_doc(mut self, doc: &str) -> Kernel {
        self.doc = doc.to_string();
        self
    }
}

/// An operation about to be appended.
pub(crate) struct Draft {
    opcode: Opcode,
    operands: SmallVec<[ValueId; 4]>,
    imm: Imm,
    address: Option<Address>,
}

impl Draft {
    fn new(opcode: Opcode, operands: &[ValueId]) -> Draft {
        Draft { opcode, operands: operands.into(), imm: Imm::None, address: None }
    }
    fn imm(mut self, imm: i64) -> Draft {
        self.imm = Imm::Int(imm);
        self
    }
    fn address(mut self, address: Address) -> Draft {
        self.address = Some(address);
        self
    }
}

impl Builder {
    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.borrow_mut())
    }

    fn append(&self, draft: Draft, result: Option<Type>, loc: Loc) -> Option<ValueId> {
        self.with(|s| s.append(draft, result, loc))
    }

    /// Appends an operation with a result.
    fn value(&self, draft: Draft, result: Type, loc: Loc) -> ValueId {
        self.append(draft, Some(result), loc).expect("an operation with a result type defines a value")
    }

    fn declare(&self, param: Param) -> ParamId {
        self.with(|s| {
            s.kernel.params.push(param);
            ParamId(s.kernel.params.len() as u32 - 1)
        })
    }

    /// A run-time 32-bit integer parameter: a loop bound, shift or offset.
    #[track_caller]
    pub fn param_i32(&self, name: &str) -> Scalar<'_> {
        let loc = Loc::caller();
        let id = self.with(|s| s.new_value(Type::Scalar));
        self.declare(Param {
            name: name.to_string(),
            kind: ParamKind::I32,
            elem: super::types::Elem::I32,
            layout: super::ir::Layout::RowMajor(vec![]),
            align_bytes: 4,
            bank: None,
            value: Some(id),
            loc,
        });
        Scalar::from_id(self, id)
    }

    /// Changes the rounding mode from here on; costs an instruction.
    #[track_caller]
    pub fn set_rounding(&self, mode: Rounding) {
        let draft = Draft::new(Opcode::SetRounding, &[]).imm(i64::from(mode.code()));
        self.append(draft, None, Loc::caller());
    }

    /// Changes the saturation mode from here on; costs an instruction.
    #[track_caller]
    pub fn set_saturation(&self, mode: Saturation) {
        let draft = Draft::new(Opcode::SetSaturation, &[]).imm(i64::from(mode.code()));
        self.append(draft, None, Loc::caller());
    }
}

impl State {
    fn new_value(&mut self, ty: Type) -> ValueId {
        self.kernel.values.push(ty);
        ValueId(self.kernel.values.len() as u32 - 1)
    }

    fn append(&mut self, draft: Draft, result: Option<Type>, loc: Loc) -> Option<ValueId> {
        let result = result.map(|ty| self.new_value(ty));
        self.push(OpData {
            opcode: draft.opcode,
            operands: draft.operands,
            results: result.into_iter().collect(),
            imm: draft.imm,
            address: draft.address,
            body: None,
            loc,
        });
        result
    }

    fn push(&mut self, op: OpData) -> OpId {
        let id = OpId(self.kernel.ops.len() as u32);
        self.kernel.ops.push(op);
        let block = *self.open.last().expect("the body is always open");
        self.kernel.blocks[block.index()].ops.push(id);
        id
    }

    /// The operation that defines a value, if an operation does.
    fn definition(&self, value: ValueId) -> Option<&OpData> {
        // Values are defined in order, so the definition lies near the end; kernels are small.
        self.kernel.ops.iter().rev().find(|op| op.results.contains(&value))
    }
}
