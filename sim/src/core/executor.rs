//! Kernel calls for others: on tile memories for the array, on plain buffers for tests.

use super::compiled::Compiled;
use super::error::RunError;
use super::interp::Interpreter;
use super::timing::KernelCost;
use crate::executor::{ArgValue, CallCost, ExecError, KernelExecutor, TileMemories};
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
}

impl Entry {
    fn new(kernel: Arc<Verified<Kernel>>, device: &Device, engine: Engine) -> Result<Entry, RunError> {
        let cost = KernelCost::new(&kernel, device);
        let prepared = match engine {
            Engine::Interpreter => Prepared::Interpreter(Interpreter::new(&kernel)?),
            Engine::Compiled => Prepared::Compiled(Box::new(Compiled::new(&kernel, &cost)?)),
        };
        Ok(Entry { kernel, cost, prepared })
    }

    fn call(&mut self, args: &[ArgValue], memories: &mut [Vec<u8>]) -> Result<CallCost, RunError> {
        match &mut self.prepared {
            Prepared::Interpreter(run) => Ok(run.run(&self.kernel, &self.cost, args, memories)?.0),
            Prepared::Compiled(run) => run.run(&self.kernel, &self.cost, args, memories),
        }
    }
}

/// Runs the kernels of a design in place on tile memories.
#[derive(Clone, Debug)]
pub struct CoreExecutor {
    entries: Vec<Entry>,
}

impl CoreExecutor {
    /// Prepares the kernels of a design, in the order of `Design::kernels`, for cores of `device`.
    ///
    /// # Errors
    /// When a kernel has an operation that the op table lacks, which `verify` excludes.
    pub fn new(
        kernels: &[Arc<Verified<Kernel>>],
        device: &Device,
        engine: Engine,
    ) -> Result<CoreExecutor, RunError> {
        let entries = kernels.iter().map(|k| Entry::new(Arc::clone(k), device, engine));
        Ok(CoreExecutor { entries: entries.collect::<Result<_, _>>()? })
    }
}

impl KernelExecutor for CoreExecutor {
    fn call(
        &mut self,
        kernel: KernelId,
        args: &[ArgValue],
        memories: &mut TileMemories,
    ) -> Result<CallCost, ExecError> {
        let kernels = self.entries.len();
        let entry =
            self.entries.get_mut(kernel.index()).ok_or(ExecError::UnknownKernel { kernel, kernels })?;
        Ok(entry.call(args, memories.all_mut())?)
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

/// As [`run_kernel`], for cores of `device`, on `engine`.
///
/// # Errors
/// When the arguments do not fit the parameters, or an operation fails.
pub fn run_kernel_on(
    kernel: &Verified<Kernel>,
    device: &Device,
    engine: Engine,
    args: &mut [KernelArg],
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
    let cost = KernelCost::new(kernel, device);
    let result = match engine {
        Engine::Interpreter => {
            Interpreter::new(kernel).and_then(|run| Ok(run.run(kernel, &cost, &values, &mut memories)?.0))
        }
        Engine::Compiled => {
            Compiled::new(kernel, &cost).and_then(|mut run| run.run(kernel, &cost, &values, &mut memories))
        }
    };
    for (arg, memory) in args.iter_mut().zip(memories) {
        if let KernelArg::Memory(bytes) = arg {
            *bytes = memory;
        }
    }
    result
}
