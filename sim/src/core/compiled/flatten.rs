//! From the tree of blocks to the dense program.

use super::super::access::LookupPlan;
use super::super::error::{RunError, Site, constant, rounding, saturation};
use super::super::live::live_ops;
use super::program::{Inst, Plan, Program, Slot};
use super::slots::{Slots, carried, sequence_copies, yielded};
use kiln_dsl::kernel::ops::{self, EvalCx, Form, Opcode, Reg};
use kiln_dsl::kernel::{AccKind, Access, BlockId, Elem, Imm, Kernel, OpData, OpId, Type, ValueId, access};
use kiln_dsl::num::lut;

/// Largest coefficient that the short address form takes: with two such terms and a 32-bit index
/// each, sums stay far inside 64 bits.
const NEAR_COEFFICIENT: i64 = 1 << 28;

/// Flattens a kernel; also gives the register file at the start, which holds the constants.
///
/// # Errors
/// When the op table has no form for an operation or an operation is malformed.
pub(super) fn flatten(kernel: &Kernel) -> Result<(Program, Vec<Reg>, Slots), RunError> {
    let slots = Slots::new(kernel);
    let mut flat = Flat {
        kernel,
        live: live_ops(kernel),
        spare: slots.count() as Slot,
        registers: vec![Reg::ZERO; slots.count() + 1],
        slots,
        program: Program { insts: Vec::new(), plans: Vec::new(), lookups: Vec::new(), depth: 0 },
        depth: 0,
    };
    flat.block(Kernel::BODY)?;
    Ok((flat.program, flat.registers, flat.slots))
}

struct Flat<'a> {
    kernel: &'a Kernel,
    live: Vec<bool>,
    slots: Slots,
    spare: Slot,
    registers: Vec<Reg>,
    program: Program,
    depth: u32,
}

impl Flat<'_> {
    fn block(&mut self, block: BlockId) -> Result<(), RunError> {
        let kernel = self.kernel;
        for &op in &kernel.block(block).ops {
            let data = kernel.op(op);
            match data.opcode {
                Opcode::Yield => {}
                Opcode::For => self.run_loop(op, data)?,
                _ if self.live[op.index()] => self.step(op, data)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn run_loop(&mut self, op: OpId, data: &OpData) -> Result<(), RunError> {
        let kernel = self.kernel;
        let malformed = |missing| RunError::Malformed { site: Site::new(kernel, op), missing };
        let body = data.body.ok_or_else(|| malformed("body"))?;
        let Imm::Loop { step, .. } = data.imm else { return Err(malformed("step")) };
        let [lo, hi, init @ ..] = data.operands.as_slice() else { return Err(malformed("bound")) };
        let index = *kernel.block(body).args.first().ok_or_else(|| malformed("index"))?;
        let (index, step, depth) = (self.slots.of(index), step.max(1), self.depth);
        self.copies(carried(kernel, data), init);
        let start = self.program.insts.len();
        self.program.insts.push(Inst::LoopStart {
            lo: self.slots.of(*lo),
            hi: self.slots.of(*hi),
            index,
            step,
            depth,
            exit: 0,
            op,
        });
        self.depth += 1;
        self.program.depth = self.program.depth.max(self.depth as usize);
        self.block(body)?;
        self.copies(carried(kernel, data), yielded(kernel, data));
        self.depth -= 1;
        self.program.insts.push(Inst::LoopEnd { index, step, depth, body: start as u32 + 1 });
        let end = self.program.insts.len() as u32;
        if let Inst::LoopStart { exit, .. } = &mut self.program.insts[start] {
            *exit = end;
        }
        Ok(())
    }

    fn copies(&mut self, to: &[ValueId], from: &[ValueId]) {
        let copies =
            to.iter().zip(from).map(|(&to, &from)| (self.slots.of(to), self.slots.of(from))).collect();
        for (to, from) in sequence_copies(copies, self.spare) {
            self.program.insts.push(Inst::Copy { from, to });
        }
    }

    fn step(&mut self, op: OpId, data: &OpData) -> Result<(), RunError> {
        let malformed = |missing| RunError::Malformed { site: Site::new(self.kernel, op), missing };
        let form = ops::form(self.kernel, data)
            .ok_or_else(|| RunError::NoForm { site: Site::new(self.kernel, op) })?;
        let result = data.results.first().map(|&v| self.slots.of(v)).ok_or_else(|| malformed("result"));
        let operand = data.operands.first().map(|&v| self.slots.of(v)).ok_or_else(|| malformed("operand"));
        let inst = match data.opcode {
            Opcode::Load | Opcode::LoadU => {
                let (plan, to) = (self.plan(op, data)?, result?);
                match self.program.plans[plan as usize].size_bytes {
                    16 => Inst::Load16 { plan, to },
                    32 => Inst::Load32 { plan, to },
                    64 => Inst::Load64 { plan, to },
                    128 => Inst::Load128 { plan, to },
                    _ => return Err(malformed("vector of 128 to 1024 bits")),
                }
            }
            Opcode::Store | Opcode::StoreU => {
                let (plan, from) = (self.plan(op, data)?, operand?);
                match self.program.plans[plan as usize].size_bytes {
                    16 => Inst::Store16 { plan, from },
                    32 => Inst::Store32 { plan, from },
                    64 => Inst::Store64 { plan, from },
                    128 => Inst::Store128 { plan, from },
                    _ => return Err(malformed("vector of 128 to 1024 bits")),
                }
            }
            Opcode::SLoad => {
                let plan = self.plan(op, data)?;
                let param = self.program.plans[plan as usize].param as usize;
                Inst::LoadScalar { plan, elem: self.kernel.params[param].elem, to: result? }
            }
            Opcode::SStore => Inst::StoreScalar { plan: self.plan(op, data)?, from: operand? },
            Opcode::Lookup => {
                let plan = self.plan(op, data)?;
                self.program.lookups.push(LookupPlan::new(self.kernel, op)?);
                let lookup = self.program.lookups.len() as u32 - 1;
                Inst::Lookup { plan, lookup, indices: operand?, to: result? }
            }
            Opcode::CascadePut => Inst::CascadePut { from: operand? },
            Opcode::CascadeGet => Inst::CascadeGet { to: result?, op },
            Opcode::SetRounding => Inst::SetRounding(rounding(self.kernel, op)?),
            Opcode::SetSaturation => Inst::SetSaturation(saturation(self.kernel, op)?),
            _ => return self.pure(op, data, form, result?),
        };
        self.program.insts.push(inst);
        Ok(())
    }

    fn pure(&mut self, op: OpId, data: &OpData, form: &Form, to: Slot) -> Result<(), RunError> {
        let eval = form.eval.ok_or_else(|| RunError::NoForm { site: Site::new(self.kernel, op) })?;
        let imm = constant(self.kernel, op);
        let mut operands = [0; 3];
        if data.operands.len() > operands.len() {
            return Err(RunError::Malformed {
                site: Site::new(self.kernel, op),
                missing: "form of three operands",
            });
        }
        for (slot, &value) in operands.iter_mut().zip(&data.operands) {
            *slot = self.slots.of(value);
        }
        // A constant that nothing overwrites is computed now.
        if data.operands.is_empty() && self.slots.is_alone(data.results[0]) {
            let cx = EvalCx { rounding: self.kernel.rounding, saturation: self.kernel.saturation, imm };
            eval(&cx, &[], &mut self.registers[to as usize]);
            return Ok(());
        }
        let [a, b, c] = operands;
        if data.opcode == Opcode::SDiv {
            self.program.insts.push(Inst::CheckDivisor { dividend: a, divisor: b, op });
        }
        self.program.insts.push(match data.opcode {
            Opcode::MMac if is_i8_4x8x8(form) => Inst::MacI8 { acc: a, a: b, b: c, to },
            Opcode::SAdd => Inst::AddScalars { a, b, to },
            _ => Inst::Eval { eval, operands, count: data.operands.len() as u8, to, imm },
        });
        Ok(())
    }

    fn plan(&mut self, op: OpId, data: &OpData) -> Result<u32, RunError> {
        let malformed = |missing| RunError::Malformed { site: Site::new(self.kernel, op), missing };
        let address = data.address.as_ref().ok_or_else(|| malformed("address"))?;
        let access = match data.opcode {
            Opcode::Lookup => Access { size_bytes: lut::LINE_BYTES, align_bytes: 1 },
            _ => access(self.kernel, data).ok_or_else(|| malformed("value"))?,
        };
        let terms: Vec<(Slot, i64)> = address.terms.iter().map(|&(v, c)| (self.slots.of(v), c)).collect();
        let small = |n: i64| n.unsigned_abs() <= NEAR_COEFFICIENT.unsigned_abs();
        let is_near = terms.len() <= 2 && small(address.offset_bytes) && terms.iter().all(|&(_, c)| small(c));
        let mut near = [(0, 0); 2];
        if is_near {
            near[..terms.len()].copy_from_slice(&terms);
        }
        self.program.plans.push(Plan {
            param: address.param.0,
            size_bytes: access.size_bytes,
            align_mask: access.align_bytes as usize - 1,
            offset: address.offset_bytes,
            near,
            far: if is_near { Vec::new() } else { terms },
            op,
        });
        Ok(self.program.plans.len() as u32 - 1)
    }
}

/// Whether a form is the full-rate product of signed bytes.
fn is_i8_4x8x8(form: &Form) -> bool {
    form.shape == Some([4, 8, 8])
        && form.operands.as_slice()
            == [Type::accum(AccKind::Acc32, 32), Type::vector(Elem::I8, 32), Type::vector(Elem::I8, 64)]
}
