//! Loops. Carried values are explicit: a Rust variable rebound inside a staged loop is lost, and
//! `verify` says so.

use super::{Builder, Carried, IntoScalar, Scalar};
use crate::kernel::ir::{Block, BlockId, Imm, Loc, LoopHint, OpData, OpId, ValueId};
use crate::kernel::ops::Opcode;
use crate::kernel::types::Type;

/// A loop with hints, about to run: see [`Builder::pipelined`].
#[derive(Clone, Copy, Debug)]
pub struct Hinted<'k> {
    k: &'k Builder,
    hint: LoopHint,
}

impl Builder {
    /// The next loop is to be software-pipelined and runs at least `min_trips` times.
    pub fn pipelined(&self, min_trips: u32) -> Hinted<'_> {
        Hinted { k: self, hint: LoopHint { pipeline: true, min_trips, ..LoopHint::default() } }
    }

    /// The next loop is to be unrolled completely.
    pub fn unrolled(&self) -> Hinted<'_> {
        Hinted { k: self, hint: LoopHint { unroll: true, ..LoopHint::default() } }
    }

    /// The next loop is to take little program memory: one iteration after the other, written once.
    pub fn compact(&self) -> Hinted<'_> {
        Hinted { k: self, hint: LoopHint { compact: true, ..LoopHint::default() } }
    }

    fn plain(&self) -> Hinted<'_> {
        Hinted { k: self, hint: LoopHint::default() }
    }

    /// `for i in 0..n`.
    #[track_caller]
    pub fn for_n<'k>(&'k self, n: impl IntoScalar<'k>, body: impl FnOnce(Scalar<'k>)) {
        self.plain().for_step(0, n, 1, body);
    }

    /// `for i in (lo..hi).step_by(step)`.
    #[track_caller]
    pub fn for_step<'k>(
        &'k self,
        lo: impl IntoScalar<'k>,
        hi: impl IntoScalar<'k>,
        step: u32,
        body: impl FnOnce(Scalar<'k>),
    ) {
        self.plain().for_step(lo, hi, step, body);
    }

    /// Carries a value through `for i in 0..n`; the closure gives the next value.
    #[track_caller]
    pub fn fold<'k, C: Carried<'k>>(
        &'k self,
        n: impl IntoScalar<'k>,
        init: C,
        body: impl FnOnce(Scalar<'k>, C) -> C,
    ) -> C {
        self.plain().fold_step(0, n, 1, init, body)
    }

    /// Carries a value through `for i in (lo..hi).step_by(step)`.
    #[track_caller]
    pub fn fold_step<'k, C: Carried<'k>>(
        &'k self,
        lo: impl IntoScalar<'k>,
        hi: impl IntoScalar<'k>,
        step: u32,
        init: C,
        body: impl FnOnce(Scalar<'k>, C) -> C,
    ) -> C {
        self.plain().fold_step(lo, hi, step, init, body)
    }
}

impl<'k> Hinted<'k> {
    /// See [`Builder::for_step`].
    #[track_caller]
    pub fn for_step(
        self,
        lo: impl IntoScalar<'k>,
        hi: impl IntoScalar<'k>,
        step: u32,
        body: impl FnOnce(Scalar<'k>),
    ) {
        let (lo, hi) = (lo.into_scalar(self.k), hi.into_scalar(self.k));
        let (index, op) = self.open(lo, hi, step, &[], Loc::caller());
        body(index);
        self.close(op, &[], Loc::caller());
    }

    /// See [`Builder::fold`].
    #[track_caller]
    pub fn fold<C: Carried<'k>>(
        self,
        n: impl IntoScalar<'k>,
        init: C,
        body: impl FnOnce(Scalar<'k>, C) -> C,
    ) -> C {
        self.fold_step(0, n, 1, init, body)
    }

    /// See [`Builder::fold_step`].
    #[track_caller]
    pub fn fold_step<C: Carried<'k>>(
        self,
        lo: impl IntoScalar<'k>,
        hi: impl IntoScalar<'k>,
        step: u32,
        init: C,
        body: impl FnOnce(Scalar<'k>, C) -> C,
    ) -> C {
        let (lo, hi) = (lo.into_scalar(self.k), hi.into_scalar(self.k));
        let mut ids = Vec::new();
        init.ids(&mut ids);
        let (index, op) = self.open(lo, hi, step, &ids, Loc::caller());
        let args = self.carried_args(op);
        let next = body(index, init.renamed(self.k, &mut args.into_iter()));
        let mut yielded = Vec::new();
        next.ids(&mut yielded);
        let results = self.close(op, &yielded, Loc::caller());
        init.renamed(self.k, &mut results.into_iter())
    }

    /// Opens a loop's body; gives its index and operation.
    fn open(
        &self,
        lo: Scalar<'k>,
        hi: Scalar<'k>,
        step: u32,
        init: &[ValueId],
        loc: Loc,
    ) -> (Scalar<'k>, OpId) {
        let k = self.k;
        let (index, op) = k.with(|s| {
            let index = s.new_value(Type::Scalar);
            let types: Vec<Type> = init.iter().map(|&v| s.kernel.ty(v)).collect();
            let mut args = vec![index];
            args.extend(types.into_iter().map(|ty| s.new_value(ty)));
            let body = BlockId(s.kernel.blocks.len() as u32);
            s.kernel.blocks.push(Block { args, ops: Vec::new() });
            let operands = [lo.id, hi.id].into_iter().chain(init.iter().copied()).collect();
            let imm = Imm::Loop { step, hint: self.hint };
            let op = OpData {
                opcode: Opcode::For,
                operands,
                results: Default::default(),
                imm,
                address: None,
                body: Some(body),
                loc,
            };
            let op = s.push(op);
            s.open.push(body);
            (index, op)
        });
        (Scalar::from_id(k, index), op)
    }

    fn carried_args(&self, op: OpId) -> Vec<ValueId> {
        self.k.with(|s| {
            let body = s.kernel.op(op).body.expect("a loop has a body");
            s.kernel.block(body).args[1..].to_vec()
        })
    }

    /// Ends a loop's body with the next carried values; gives the loop's results.
    fn close(&self, op: OpId, yielded: &[ValueId], loc: Loc) -> Vec<ValueId> {
        self.k.with(|s| {
            s.append(super::Draft::new(Opcode::Yield, yielded), None, loc);
            s.open.pop();
            let carried: Vec<ValueId> = s.kernel.op(op).operands[2..].to_vec();
            let results: Vec<ValueId> = carried
                .into_iter()
                .map(|v| {
                    let ty = s.kernel.ty(v);
                    s.new_value(ty)
                })
                .collect();
            s.kernel.ops[op.index()].results = results.iter().copied().collect();
            results
        })
    }
}
