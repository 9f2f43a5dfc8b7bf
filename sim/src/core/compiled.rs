//! The fast path: a kernel flattened once into a dense program over register slots.
//!
//! Meanings are the op table's, called through resolved pointers; addresses are precomputed affine
//! forms, loops are jumps, and carried values stay in place (`slots`). Bits, costs and errors equal
//! the interpreter's.

mod flatten;
mod program;
mod run;
mod slots;

use super::bind::{Region, bind, integers};
use super::error::RunError;
use super::timing::KernelCost;
use crate::executor::{ArgValue, CallCost, Cascade};
use kiln_dsl::kernel::Kernel;
use kiln_dsl::kernel::ops::{EvalCx, Reg};
use program::Program;
use run::Frame;
use slots::Slots;

/// A kernel ready to run fast, with the register file and scratch space of its calls.
#[derive(Clone, Debug)]
pub struct Compiled {
    program: Program,
    slots: Slots,
    registers: Vec<Reg>,
    trips: Vec<u64>,
    regions: Vec<Region>,
}

impl Compiled {
    /// Flattens `kernel`.
    ///
    /// # Errors
    /// When the op table has no form for an operation or an operation is malformed.
    pub fn new(kernel: &Kernel) -> Result<Compiled, RunError> {
        let (program, registers, slots) = flatten::flatten(kernel)?;
        Ok(Compiled { trips: vec![0; program.depth], program, slots, registers, regions: Vec::new() })
    }

    /// Runs `kernel`, the one this was made of, on `memories` and `cascade`; `cost` is its cost.
    ///
    /// # Errors
    /// When the arguments do not fit the parameters, or an operation fails; the memories then hold
    /// what was written before.
    pub fn run(
        &mut self,
        kernel: &Kernel,
        cost: &KernelCost,
        args: &[ArgValue],
        memories: &mut [Vec<u8>],
        cascade: &mut Cascade,
    ) -> Result<CallCost, RunError> {
        bind(kernel, args, memories, &mut self.regions)?;
        for (value, n) in integers(kernel, args) {
            self.registers[self.slots.of(value) as usize] = Reg::scalar(n);
        }
        let mut frame = Frame {
            kernel,
            program: &self.program,
            cost,
            registers: &mut self.registers,
            trips: &mut self.trips,
            regions: &self.regions,
            memories,
            cascade,
            cx: EvalCx { rounding: kernel.rounding, saturation: kernel.saturation, imm: 0 },
            total: cost.call(),
        };
        frame.run()?;
        Ok(frame.total)
    }
}
