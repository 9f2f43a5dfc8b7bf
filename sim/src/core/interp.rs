//! The oracle: walks the tree of blocks and does what each operation says, one value at a time.

use super::access::{LookupPlan, extend};
use super::bind::{Region, bind, integers};
use super::error::{RunError, Site, constant, rounding, saturation};
use super::timing::KernelCost;
use crate::executor::{ArgValue, CallCost, Cascade, CascadeValue};
use kiln_dsl::kernel::ops::{self, Eval, EvalCx, Opcode, Reg};
use kiln_dsl::kernel::{Address, BlockId, Imm, Kernel, OpData, OpId, ParamId, ValueId, access};
use kiln_dsl::num::lut;
use std::ops::Range;

/// The bytes of one parameter that a call read and wrote, as hulls from the parameter's start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// From the first to the last byte read.
    pub read: Option<Range<u64>>,
    /// From the first to the last byte written.
    pub written: Option<Range<u64>>,
}

/// A kernel made ready for interpretation: the meaning of each pure operation, found once.
#[derive(Clone, Debug)]
pub struct Interpreter {
    evals: Vec<Option<Eval>>,
}

impl Interpreter {
    /// Finds the meanings of all operations of `kernel`.
    ///
    /// # Errors
    /// When the op table has no form for an operation.
    pub fn new(kernel: &Kernel) -> Result<Interpreter, RunError> {
        let eval = |(i, op): (usize, &OpData)| match op.opcode {
            Opcode::For | Opcode::Yield => Ok(None),
            _ => match ops::form(kernel, op) {
                Some(form) => Ok(form.eval),
                None => Err(RunError::NoForm { site: Site::new(kernel, OpId(i as u32)) }),
            },
        };
        Ok(Interpreter { evals: kernel.ops.iter().enumerate().map(eval).collect::<Result<_, _>>()? })
    }

    /// Runs `kernel`, the one this was made of, on `memories` and `cascade`; also says what it touched, one
    /// entry a parameter.
    ///
    /// # Errors
    /// When the arguments do not fit the parameters, or an operation fails; the memories then hold
    /// what was written before.
    pub fn run(
        &self,
        kernel: &Kernel,
        cost: &KernelCost,
        args: &[ArgValue],
        memories: &mut [Vec<u8>],
        cascade: &mut Cascade,
    ) -> Result<(CallCost, Vec<Touched>), RunError> {
        let mut regions = Vec::new();
        bind(kernel, args, memories, &mut regions)?;
        let mut values = vec![Reg::ZERO; kernel.values.len()];
        for (value, n) in integers(kernel, args) {
            values[value.index()] = Reg::scalar(n);
        }
        let mut run = Run {
            kernel,
            cost,
            evals: &self.evals,
            values,
            touched: vec![Touched::default(); regions.len()],
            regions,
            memories,
            cascade,
            cx: EvalCx { rounding: kernel.rounding, saturation: kernel.saturation, imm: 0 },
            total: cost.call(),
        };
        run.block(Kernel::BODY)?;
        Ok((run.total, run.touched))
    }
}

struct Run<'a> {
    kernel: &'a Kernel,
    cost: &'a KernelCost,
    evals: &'a [Option<Eval>],
    values: Vec<Reg>,
    regions: Vec<Region>,
    touched: Vec<Touched>,
    memories: &'a mut [Vec<u8>],
    cascade: &'a mut Cascade,
    cx: EvalCx,
    total: CallCost,
}

impl Run<'_> {
    /// Runs a block; the values of its final `yield`, none without one.
    fn block(&mut self, block: BlockId) -> Result<Vec<Reg>, RunError> {
        let kernel = self.kernel;
        for &op in &kernel.block(block).ops {
            let data = kernel.op(op);
            match data.opcode {
                Opcode::Yield => return Ok(data.operands.iter().map(|&v| self.value(v)).collect()),
                Opcode::For => self.run_loop(op, data)?,
                _ => self.step(op, data)?,
            }
        }
        Ok(Vec::new())
    }

    fn run_loop(&mut self, op: OpId, data: &OpData) -> Result<(), RunError> {
        let malformed = |missing| RunError::Malformed { site: Site::new(self.kernel, op), missing };
        let body = data.body.ok_or_else(|| malformed("body"))?;
        let Imm::Loop { step, .. } = data.imm else { return Err(malformed("step")) };
        let [lo, hi, init @ ..] = data.operands.as_slice() else { return Err(malformed("bound")) };
        let [index, carried @ ..] = self.kernel.block(body).args.as_slice() else {
            return Err(malformed("index"));
        };
        let (lo, hi) = (self.scalar(*lo), self.scalar(*hi));
        let mut next: Vec<Reg> = init.iter().map(|&v| self.value(v)).collect();
        let mut trips = 0;
        let mut at = i64::from(lo);
        while at < i64::from(hi) {
            self.values[index.index()] = Reg::scalar(at as i32);
            for (arg, value) in carried.iter().zip(&next) {
                self.values[arg.index()] = *value;
            }
            next = self.block(body)?;
            at += i64::from(step.max(1));
            trips += 1;
        }
        for (result, value) in data.results.iter().zip(&next) {
            self.values[result.index()] = *value;
        }
        self.cost.of_loop(op).add(trips, &mut self.total);
        Ok(())
    }

    fn step(&mut self, op: OpId, data: &OpData) -> Result<(), RunError> {
        match data.opcode {
            Opcode::Load | Opcode::LoadU => {
                let bytes = self.read(op, data)?;
                let size = bytes.len();
                let mut reg = Reg::ZERO;
                reg.0[..size].copy_from_slice(&bytes);
                self.define(data, reg);
            }
            Opcode::SLoad => {
                let bytes = self.read(op, data)?;
                let elem = self.kernel.param(self.address(op, data)?.param).elem;
                self.define(data, Reg::scalar(extend(elem, &bytes)));
            }
            Opcode::Store | Opcode::StoreU | Opcode::SStore => self.write(op, data)?,
            Opcode::Lookup => self.lookup(op, data)?,
            Opcode::CascadePut => {
                let mut value: CascadeValue = [0; size_of::<CascadeValue>()];
                value.copy_from_slice(&self.value(data.operands[0]).0[..size_of::<CascadeValue>()]);
                self.cascade.put(value);
            }
            Opcode::CascadeGet => {
                let value = self.cascade.get().ok_or_else(|| RunError::cascade_empty(self.kernel, op))?;
                let mut reg = Reg::ZERO;
                reg.0[..value.len()].copy_from_slice(&value);
                self.define(data, reg);
            }
            Opcode::SetRounding => self.cx.rounding = rounding(self.kernel, op)?,
            Opcode::SetSaturation => self.cx.saturation = saturation(self.kernel, op)?,
            _ => self.pure(op, data)?,
        }
        Ok(())
    }

    fn pure(&mut self, op: OpId, data: &OpData) -> Result<(), RunError> {
        let eval =
            self.evals[op.index()].ok_or_else(|| RunError::NoForm { site: Site::new(self.kernel, op) })?;
        if data.opcode == Opcode::SDiv && self.scalar(data.operands[1]) == 0 {
            let dividend = self.scalar(data.operands[0]);
            return Err(RunError::division_by_zero(self.kernel, op, dividend));
        }
        let operands: Vec<&Reg> = data.operands.iter().map(|v| &self.values[v.index()]).collect();
        let cx = EvalCx { imm: constant(self.kernel, op), ..self.cx };
        let mut result = Reg::ZERO;
        eval(&cx, &operands, &mut result);
        self.define(data, result);
        Ok(())
    }

    fn lookup(&mut self, op: OpId, data: &OpData) -> Result<(), RunError> {
        let plan = LookupPlan::new(self.kernel, op)?;
        let address = self.address(op, data)?;
        let offset = self.offset(address);
        let first = self.table(op, address.param, offset)?;
        let second = self.table(op, plan.second, offset)?;
        let mut reg = Reg::ZERO;
        plan.lookup(&first, &second, &self.value(data.operands[0]), &mut reg)
            .map_err(|entry| RunError::tables_differ(self.kernel, op, [address.param, plan.second], entry))?;
        self.define(data, reg);
        Ok(())
    }

    /// The bytes of a lookup's table: its parameter from `offset` to the end.
    fn table(&mut self, op: OpId, param: ParamId, offset: i64) -> Result<Vec<u8>, RunError> {
        let region = self.regions[param.index()];
        let inside = |o: &usize| o + lut::LINE_BYTES as usize <= region.bytes;
        let Some(start) = usize::try_from(offset).ok().filter(inside) else {
            return Err(RunError::out_of_bounds(self.kernel, op, param, offset, lut::LINE_BYTES));
        };
        touch(&mut self.touched[param.index()].read, start as u64, region.bytes as u64);
        Ok(self.memories[region.memory][region.base + start..region.base + region.bytes].to_vec())
    }

    fn read(&mut self, op: OpId, data: &OpData) -> Result<Vec<u8>, RunError> {
        let (param, offset, range) = self.locate(op, data)?;
        touch(&mut self.touched[param.index()].read, offset, offset + range.len() as u64);
        Ok(self.memories[self.regions[param.index()].memory][range].to_vec())
    }

    fn write(&mut self, op: OpId, data: &OpData) -> Result<(), RunError> {
        let (param, offset, range) = self.locate(op, data)?;
        touch(&mut self.touched[param.index()].written, offset, offset + range.len() as u64);
        let value = self.value(data.operands[0]);
        let size = range.len();
        self.memories[self.regions[param.index()].memory][range].copy_from_slice(&value.0[..size]);
        Ok(())
    }

    /// Parameter, offset in it and bytes in its memory of a load or store.
    fn locate(&self, op: OpId, data: &OpData) -> Result<(ParamId, u64, Range<usize>), RunError> {
        let address = self.address(op, data)?;
        let Some(access) = access(self.kernel, data) else {
            return Err(RunError::Malformed { site: Site::new(self.kernel, op), missing: "value" });
        };
        let offset = self.offset(address);
        let region = self.regions[address.param.index()];
        let inside = |o: &u64| o + u64::from(access.size_bytes) <= region.bytes as u64;
        let Some(start) = u64::try_from(offset).ok().filter(inside) else {
            return Err(RunError::out_of_bounds(self.kernel, op, address.param, offset, access.size_bytes));
        };
        let at = region.base + start as usize;
        if !at.is_multiple_of(access.align_bytes as usize) {
            let widths = [access.size_bytes, access.align_bytes];
            return Err(RunError::misaligned(self.kernel, op, address.param, offset, at as u64, widths));
        }
        Ok((address.param, start, at..at + access.size_bytes as usize))
    }

    fn address<'d>(&self, op: OpId, data: &'d OpData) -> Result<&'d Address, RunError> {
        let missing = || RunError::Malformed { site: Site::new(self.kernel, op), missing: "address" };
        data.address.as_ref().ok_or_else(missing)
    }

    /// Byte offset from the parameter's start. Saturates: what does not fit is out of bounds.
    fn offset(&self, address: &Address) -> i64 {
        address.terms.iter().fold(address.offset_bytes, |sum, &(value, coefficient)| {
            sum.saturating_add(coefficient.saturating_mul(i64::from(self.scalar(value))))
        })
    }

    fn value(&self, value: ValueId) -> Reg {
        self.values[value.index()]
    }

    fn scalar(&self, value: ValueId) -> i32 {
        self.values[value.index()].as_scalar()
    }

    fn define(&mut self, data: &OpData, reg: Reg) {
        if let Some(result) = data.results.first() {
            self.values[result.index()] = reg;
        }
    }
}

fn touch(hull: &mut Option<Range<u64>>, start: u64, end: u64) {
    *hull = Some(match hull.take() {
        Some(old) => old.start.min(start)..old.end.max(end),
        None => start..end,
    });
}
