//! Kernel calls for others: on tile memories for the array, on plain buffers for tests.

use super::compiled::Compiled;
use super::error::RunError;
use super::interp::Interpreter;
use super::timing::{CoreModel, KernelCost};
use crate::executor::{ArgValue, CallCost, Cascade, ExecError, KernelExecutor, TileMemories};
use kiln_dsl::Verified;
use kiln_dsl::array::KernelId;
use kiln_dsl::device::Device;
use kiln_dsl::kernel::Kernel;
use std::sync::Arc;

/// Which executor runs kernels. Both give the same bits and cycles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Engine {
    /// The oracle.
    Interpreter,
    /// The fast path.
    #[default]
    Compiled,
}

/// A kernel made ready for one engine.
#[derive(Clone, Debug)]
enum Prepared {
    Interpreter(Interpreter),
    Compiled(Box<Compiled>),
}

#[derive(Clone, Debug)]
struct Entry {
    kernel: Arc<Verified<Kernel>>,
    cost: KernelCost,
    prepared: Prepared,
    /// Costs of calls by where their arguments lie, of those seen last.
    placed: Vec<(Vec<ArgValue>, KernelCost)>,
}

/// Calls that differ in the places of their arguments: FIFO objects of a core come round after a few.
const PLACED_MAX: usize = 64;

impl Entry {
    fn new(kernel: Arc<Verified<Kernel>>, model: CoreModel, engine: Engine) -> Result<Entry, RunError> {
        let cost = KernelCost::new(&kernel, model);
        let prepared = match engine {
            Engine::Interpreter => Prepared::Interpreter(Interpreter::new(&kernel)?),
            Engine::Compiled => Prepared::Compiled(Box::new(Compiled::new(&kernel)?)),
        };
        Ok(Entry { kernel, cost, prepared, placed: Vec::new() })
    }

    fn call(
        &mut self,
        args: &[ArgValue],
        memories: &mut [Vec<u8>],
        cascade: &mut Cascade,
    ) -> Result<CallCost, RunError> {
        self.place(args);
        let cost = self.placed.last().map_or(&self.cost, |(_, cost)| cost);
        match &mut self.prepared {
            Prepared::Interpreter(run) => Ok(run.run(&self.kernel, cost, args, memories, cascade)?.0),
            Prepared::Compiled(run) => run.run(&self.kernel, cost, args, memories, cascade),
        }
    }

    /// Makes the cost of a call with `args` the last of `placed`; nothing where no place makes a difference.
    fn place(&mut self, args: &[ArgValue]) {
        if self.cost.never_stalls() {
            return;
        }
        let memory = |args: &[ArgValue]| -> Vec<ArgValue> {
            args.iter()
                .map(|arg| if matches!(arg, ArgValue::I32(_)) { ArgValue::I32(0) } else { *arg })
                .collect()
        };
        let args = memory(args);
        match self.placed.iter().position(|(placed, _)| *placed == args) {
            Some(at) => {
                let last = self.placed.len() - 1;
                self.placed.swap(at, last);
            }
            None => {
                if self.placed.len() == PLACED_MAX {
                    self.placed.remove(0);
                }
                let cost = self.cost.at(&args);
                self.placed.push((args, cost));
            }
        }
    }

    /// As `call`; when the cascade has too little for it, as if there had been no call.
    fn call_or_restore(
        &mut self,
        args: &[ArgValue],
        memories: &mut TileMemories,
        cascade: &mut Cascade,
    ) -> Result<CallCost, RunError> {
        let before = cascade.clone();
        let written: Vec<(usize, u32, Vec<u8>)> = self
            .kernel
            .params
            .iter()
            .zip(args)
            .filter_map(|(param, arg)| match *arg {
                ArgValue::Memory { tile, address, bytes } if param.kind.is_written() => {
                    Some((tile, address, memories.get(tile, address, bytes)?.to_vec()))
                }
                _ => None,
            })
            .collect();
        let result = self.call(args, memories.all_mut(), cascade);
        if matches!(result, Err(RunError::CascadeEmpty { .. })) {
            *cascade = before;
            for (tile, address, bytes) in written {
                if let Some(place) = memories.get_mut(tile, address, bytes.len() as u32) {
                    place.copy_from_slice(&bytes);
                }
            }
        }
        result
    }
}

/// Runs the kernels of a design in place on tile memories.
#[derive(Clone, Debug)]
pub struct CoreExecutor {
    entries: Vec<Entry>,
}

impl CoreExecutor {
    /// Prepares the kernels of a design, in the order of `Design::kernels`, for cores of `model`: a
    /// device, with a compiler if it is not the default.
    ///
    /// # Errors
    /// When a kernel has an operation that the op table lacks, which `verify` excludes.
    pub fn new<'d>(
        kernels: &[Arc<Verified<Kernel>>],
        model: impl Into<CoreModel<'d>>,
        engine: Engine,
    ) -> Result<CoreExecutor, RunError> {
        let model = model.into();
        let entries = kernels.iter().map(|k| Entry::new(Arc::clone(k), model, engine));
        Ok(CoreExecutor { entries: entries.collect::<Result<_, _>>()? })
    }
}

impl KernelExecutor for CoreExecutor {
    fn call(
        &mut self,
        kernel: KernelId,
        args: &[ArgValue],
        memories: &mut TileMemories,
        cascade: &mut Cascade,
    ) -> Result<CallCost, ExecError> {
        let kernels = self.entries.len();
        let entry =
            self.entries.get_mut(kernel.index()).ok_or(ExecError::UnknownKernel { kernel, kernels })?;
        let cost = match entry.kernel.reads_cascade() {
            true => entry.call_or_restore(args, memories, cascade)?,
            false => entry.call(args, memories.all_mut(), cascade)?,
        };
        Ok(cost)
    }
}

/// An argument of [`run_kernel`]: a buffer of the parameter's bytes, aligned as it asks, or an integer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelArg {
    /// The bytes of a memory parameter, little endian, row-major or tiled as its layout says.
    Memory(Vec<u8>),
    /// A run-time integer.
    I32(i32),
}

/// Runs a kernel once on the fast path with the core time of `Device::npu1`; `args` are one a
/// parameter, in order, and hold the results afterwards.
///
/// # Errors
/// When the arguments do not fit the parameters, or an operation fails.
pub fn run_kernel(kernel: &Verified<Kernel>, args: &mut [KernelArg]) -> Result<CallCost, RunError> {
    run_kernel_on(kernel, Device::npu1(), Engine::Compiled, args)
}

/// As [`run_kernel`], for cores of `model`, on `engine`.
///
/// # Errors
/// When the arguments do not fit the parameters, or an operation fails.
pub fn run_kernel_on<'d>(
    kernel: &Verified<Kernel>,
    model: impl Into<CoreModel<'d>>,
    engine: Engine,
    args: &mut [KernelArg],
) -> Result<CallCost, RunError> {
    run_kernel_with(kernel, model, engine, args, &mut Cascade::default())
}

/// As [`run_kernel_on`], with a cascade: what the kernel reads is fed before, what it writes is
/// there afterwards.
///
/// # Errors
/// When the arguments do not fit the parameters, an operation fails, or the kernel reads more of
/// the cascade than it has.
pub fn run_kernel_with<'d>(
    kernel: &Verified<Kernel>,
    model: impl Into<CoreModel<'d>>,
    engine: Engine,
    args: &mut [KernelArg],
    cascade: &mut Cascade,
) -> Result<CallCost, RunError> {
    let mut memories = Vec::with_capacity(args.len());
    let mut values = Vec::with_capacity(args.len());
    for (tile, arg) in args.iter_mut().enumerate() {
        let (memory, value) = match arg {
            KernelArg::Memory(bytes) => {
                let size = bytes.len() as u32;
                (std::mem::take(bytes), ArgValue::Memory { tile, address: 0, bytes: size })
            }
            KernelArg::I32(n) => (Vec::new(), ArgValue::I32(*n)),
        };
        memories.push(memory);
        values.push(value);
    }
    // Each argument has a memory of its own, so that no two meet in a bank.
    let cost = KernelCost::new(kernel, model);
    let result = match engine {
        Engine::Interpreter => {
            let run = Interpreter::new(kernel);
            run.and_then(|run| Ok(run.run(kernel, &cost, &values, &mut memories, cascade)?.0))
        }
        Engine::Compiled => {
            let run = Compiled::new(kernel);
            run.and_then(|mut run| run.run(kernel, &cost, &values, &mut memories, cascade))
        }
    };
    for (arg, memory) in args.iter_mut().zip(memories) {
        if let KernelArg::Memory(bytes) = arg {
            *bytes = memory;
        }
    }
    result
}
