//! Execution of the dense program.

use super::super::access::extend;
use super::super::bind::Region;
use super::super::error::RunError;
use super::super::timing::KernelCost;
use super::program::{Inst, Plan, Program, Slot};
use crate::executor::{CallCost, Cascade, CascadeValue};
use kiln_dsl::kernel::ops::{EvalCx, Reg};
use kiln_dsl::kernel::{Kernel, OpId, ParamId};
use kiln_dsl::num::{lut, mmul};

/// What one call works on.
pub(super) struct Frame<'a> {
    pub kernel: &'a Kernel,
    pub program: &'a Program,
    pub cost: &'a KernelCost,
    pub registers: &'a mut [Reg],
    /// Trips left of each open loop, by depth.
    pub trips: &'a mut [u64],
    pub regions: &'a [Region],
    pub memories: &'a mut [Vec<u8>],
    pub cascade: &'a mut Cascade,
    pub cx: EvalCx,
    pub total: CallCost,
}

impl Frame<'_> {
    /// Runs the program to its end.
    pub fn run(&mut self) -> Result<(), RunError> {
        let program = self.program;
        let mut result = Reg::ZERO;
        let mut at = 0;
        while let Some(&inst) = program.insts.get(at) {
            at += 1;
            match inst {
                Inst::Eval { eval, operands: [a, b, c], count, to, imm } => {
                    let cx = EvalCx { imm, ..self.cx };
                    let operands = [
                        &self.registers[a as usize],
                        &self.registers[b as usize],
                        &self.registers[c as usize],
                    ];
                    eval(&cx, &operands[..usize::from(count)], &mut result);
                    self.registers[to as usize] = result;
                }
                Inst::MacI8 { acc, a, b, to } => {
                    let a = *self.registers[a as usize].lanes::<i8, 32>();
                    let b = *self.registers[b as usize].lanes::<i8, 64>();
                    if acc != to {
                        self.registers[to as usize] = self.registers[acc as usize];
                    }
                    let acc = self.registers[to as usize].lanes_mut();
                    mmul::mmul_int::<i8, i8, i32, 4, 8, 8, 32, 64, 32>(acc, &a, &b);
                }
                Inst::AddScalars { a, b, to } => {
                    self.set_scalar(to, self.scalar(a).wrapping_add(self.scalar(b)));
                }
                Inst::CheckDivisor { dividend, divisor, op } => {
                    if self.scalar(divisor) == 0 {
                        return Err(self.division_by_zero(self.scalar(dividend), op));
                    }
                }
                Inst::Copy { from, to } => self.registers[to as usize] = self.registers[from as usize],
                Inst::Load16 { plan, to } => self.load::<16>(plan, to)?,
                Inst::Load32 { plan, to } => self.load::<32>(plan, to)?,
                Inst::Load64 { plan, to } => self.load::<64>(plan, to)?,
                Inst::Load128 { plan, to } => self.load::<128>(plan, to)?,
                Inst::Store16 { plan, from } => self.store::<16>(plan, from)?,
                Inst::Store32 { plan, from } => self.store::<32>(plan, from)?,
                Inst::Store64 { plan, from } => self.store::<64>(plan, from)?,
                Inst::Store128 { plan, from } => self.store::<128>(plan, from)?,
                Inst::LoadScalar { plan, elem, to } => {
                    let plan = &program.plans[plan as usize];
                    let (memory, start) = self.locate(plan, plan.size_bytes as usize)?;
                    let bytes = &self.memories[memory][start..start + plan.size_bytes as usize];
                    self.set_scalar(to, extend(elem, bytes));
                }
                Inst::StoreScalar { plan, from } => {
                    let plan = &program.plans[plan as usize];
                    let size = plan.size_bytes as usize;
                    let (memory, start) = self.locate(plan, size)?;
                    self.memories[memory][start..start + size]
                        .copy_from_slice(&self.registers[from as usize].0[..size]);
                }
                Inst::Lookup { plan, lookup, indices, to } => self.lookup(plan, lookup, indices, to)?,
                Inst::CascadePut { from } => {
                    let mut value: CascadeValue = [0; size_of::<CascadeValue>()];
                    let size = value.len();
                    value.copy_from_slice(&self.registers[from as usize].0[..size]);
                    self.cascade.put(value);
                }
                Inst::CascadeGet { to, op } => {
                    let Some(value) = self.cascade.get() else {
                        return Err(RunError::cascade_empty(self.kernel, op));
                    };
                    self.registers[to as usize].0[..value.len()].copy_from_slice(&value);
                }
                Inst::SetRounding(mode) => self.cx.rounding = mode,
                Inst::SetSaturation(mode) => self.cx.saturation = mode,
                Inst::LoopStart { lo, hi, index, step, depth, exit, op } => {
                    let (lo, hi) = (self.scalar(lo), self.scalar(hi));
                    let distance = (i64::from(hi) - i64::from(lo)).max(0) as u64;
                    let trips = distance.div_ceil(u64::from(step));
                    self.cost.of_loop(op).add(trips, &mut self.total);
                    self.trips[depth as usize] = trips;
                    self.set_scalar(index, lo);
                    if trips == 0 {
                        at = exit as usize;
                    }
                }
                Inst::LoopEnd { index, step, depth, body } => {
                    let left = &mut self.trips[depth as usize];
                    *left -= 1;
                    if *left > 0 {
                        // Stays below the upper bound: another trip follows.
                        self.set_scalar(index, self.scalar(index).wrapping_add(step as i32));
                        at = body as usize;
                    }
                }
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn scalar(&self, slot: Slot) -> i32 {
        self.registers[slot as usize].as_scalar()
    }

    #[inline(always)]
    fn set_scalar(&mut self, slot: Slot, value: i32) {
        self.registers[slot as usize].lanes_mut::<i32, 1>()[0] = value;
    }

    #[inline(always)]
    fn load<const N: usize>(&mut self, plan: u32, to: Slot) -> Result<(), RunError> {
        let (memory, start) = self.locate(&self.program.plans[plan as usize], N)?;
        let bytes = &self.memories[memory][start..start + N];
        self.registers[to as usize].0[..N].copy_from_slice(bytes);
        Ok(())
    }

    #[inline(always)]
    fn store<const N: usize>(&mut self, plan: u32, from: Slot) -> Result<(), RunError> {
        let (memory, start) = self.locate(&self.program.plans[plan as usize], N)?;
        self.memories[memory][start..start + N].copy_from_slice(&self.registers[from as usize].0[..N]);
        Ok(())
    }

    /// Memory and first byte of an access of `size` bytes.
    #[inline(always)]
    fn locate(&self, plan: &Plan, size: usize) -> Result<(usize, usize), RunError> {
        let offset = self.offset(plan);
        let region = &self.regions[plan.param as usize];
        if offset < 0 || offset as usize + size > region.bytes {
            return Err(self.out_of_bounds(plan, offset));
        }
        let start = region.base + offset as usize;
        if start & plan.align_mask != 0 {
            return Err(self.misaligned(plan, offset, start));
        }
        Ok((region.memory, start))
    }

    #[inline(always)]
    fn offset(&self, plan: &Plan) -> i64 {
        if plan.far.is_empty() {
            let [(a, x), (b, y)] = plan.near;
            // Cannot overflow: see `NEAR_COEFFICIENT`.
            let term = |slot, coefficient| i64::from(self.scalar(slot)).wrapping_mul(coefficient);
            plan.offset.wrapping_add(term(a, x)).wrapping_add(term(b, y))
        } else {
            plan.far.iter().fold(plan.offset, |sum, &(slot, coefficient)| {
                sum.saturating_add(coefficient.saturating_mul(i64::from(self.scalar(slot))))
            })
        }
    }

    fn lookup(&mut self, plan: u32, lookup: u32, indices: Slot, to: Slot) -> Result<(), RunError> {
        let (plan, lookup) = (&self.program.plans[plan as usize], &self.program.lookups[lookup as usize]);
        let offset = self.offset(plan);
        let table = |param: usize| {
            let region = self.regions[param];
            match usize::try_from(offset).ok().filter(|o| o + lut::LINE_BYTES as usize <= region.bytes) {
                Some(start) => {
                    Ok(&self.memories[region.memory][region.base + start..region.base + region.bytes])
                }
                None => {
                    let (param, size) = (ParamId(param as u32), lut::LINE_BYTES);
                    Err(RunError::out_of_bounds(self.kernel, plan.op, param, offset, size))
                }
            }
        };
        let (first, second) = (table(plan.param as usize)?, table(lookup.second.index())?);
        let mut result = Reg::ZERO;
        lookup.lookup(first, second, &self.registers[indices as usize], &mut result).map_err(|entry| {
            RunError::tables_differ(self.kernel, plan.op, [ParamId(plan.param), lookup.second], entry)
        })?;
        self.registers[to as usize] = result;
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn out_of_bounds(&self, plan: &Plan, offset: i64) -> RunError {
        RunError::out_of_bounds(self.kernel, plan.op, ParamId(plan.param), offset, plan.size_bytes)
    }

    #[cold]
    #[inline(never)]
    fn misaligned(&self, plan: &Plan, offset: i64, address: usize) -> RunError {
        RunError::misaligned(
            self.kernel,
            plan.op,
            ParamId(plan.param),
            offset,
            address as u64,
            [plan.size_bytes, plan.align_mask as u32 + 1],
        )
    }

    #[cold]
    #[inline(never)]
    fn division_by_zero(&self, dividend: i32, op: OpId) -> RunError {
        RunError::division_by_zero(self.kernel, op, dividend)
    }
}
