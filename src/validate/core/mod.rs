//! Workloads of one core: kernels written as their source code is, called once on one tile's memory.

pub mod conv2d;

pub mod eltwise;
pub mod gemm_core;
pub mod loops;
pub mod paired_loads;
mod place;
pub mod reduce;
pub mod softmax;
pub mod vector_scalar_mul;

use super::workload::{Conditions, Outcome};
use kiln_dsl::Verified;
use kiln_dsl::array::KernelId;
use kiln_dsl::device::Device;
use kiln_dsl::kernel::ops::{LatencyClass, Machine, form};
use kiln_dsl::kernel::{Elem, Kernel, ParamKind, verify};
use kiln_sim::core::{CoreExecutor, CoreModel, Engine, Issued, KernelArg, Schedule, SectionKind};
use kiln_sim::executor::{ArgValue, CallCost, Cascade, KernelExecutor, TileMemories};
use place::place;
use std::sync::Arc;

/// A field that is true if absent.
fn yes() -> bool {
    true
}

/// Lanes of a vector of 512 bits of `dtype`, which `n` elements must fill where they are `vectorised`.
fn check_lanes(dtype: Elem, n: u32, vectorised: bool) -> Result<(), String> {
    let lanes = 64 / dtype.bytes();
    match n > 0 && (!vectorised || n.is_multiple_of(lanes)) {
        true => Ok(()),
        false if vectorised => Err(format!("n: {n}, expected a multiple of {lanes}, the lanes of a vector")),
        false => Err(format!("n: {n}, expected 1 or more")),
    }
}

/// Whether each of these arrays is no more than a core's memory, by name and the factors of its bytes: asked before
/// anything is built, so that no size costs memory or time.
fn check_bytes(arrays: &[(&str, &[u32])], device: &Device) -> Result<(), String> {
    let most = device.core.data_memory_bytes();
    for (name, factors) in arrays {
        let bytes = factors.iter().fold(1_u64, |bytes, &factor| bytes.saturating_mul(factor.into()));
        if bytes > most.into() {
            return Err(format!(
                "{name} takes {bytes} B, expected at most {most} B, the memory of a core\nhelp: smaller sizes"
            ));
        }
    }
    Ok(())
}

/// Calls `kernel` once on memory of zeros; `integers` are its run-time integers in order.
///
/// # Errors
/// When the kernel is not right, or its parameters do not fit a core's memory.
fn call(kernel: Kernel, integers: &[i32], conditions: &Conditions) -> Result<CallCost, String> {
    let kernel = verify(kernel).map_err(|e| e.to_string())?;
    let mut integers = integers.iter();
    let args: Vec<KernelArg> = kernel
        .params
        .iter()
        .map(|param| match param.kind {
            ParamKind::I32 => KernelArg::I32(integers.next().copied().unwrap_or_default()),
            _ => KernelArg::Memory(Vec::new()),
        })
        .collect();
    call_on_core(&kernel, &args, conditions.core())
}

/// Calls `kernel` once on the memory of one core, where its parameters lie in the banks in turn. Bytes that an argument
/// does not give are zeros.
///
/// # Errors
/// When the parameters do not fit a core's memory, the arguments do not fit the parameters, or an operation fails.
pub fn call_on_core(
    kernel: &Verified<Kernel>,
    args: &[KernelArg],
    model: CoreModel<'_>,
) -> Result<CallCost, String> {
    let places = place(kernel, model.device)?;
    let mut memory = vec![0; model.device.core.data_memory_bytes() as usize];
    let mut values = Vec::new();
    for (arg, (address, bytes)) in args.iter().zip(places) {
        values.push(match arg {
            KernelArg::I32(value) => ArgValue::I32(*value),
            KernelArg::Memory(given) => {
                let given = &given[..given.len().min(bytes as usize)];
                memory[address as usize..][..given.len()].copy_from_slice(given);
                ArgValue::Memory { tile: 0, address, bytes }
            }
        });
    }
    let mut memories = TileMemories::new(vec![memory]);
    let kernel = Arc::new(kernel.clone());
    let mut executor = CoreExecutor::new(&[kernel], model, Engine::Compiled).map_err(|e| e.to_string())?;
    executor.call(KernelId(0), &values, &mut memories, &mut Cascade::default()).map_err(|e| e.to_string())
}

/// The outcome of one call.
fn outcome(cost: CallCost, peak_macs_per_cycle: u32) -> Outcome {
    Outcome {
        cycles: cost.cycles as f64,
        macs: cost.macs as f64,
        peak_macs_per_cycle: peak_macs_per_cycle.into(),
        ..Outcome::default()
    }
}

/// The innermost loop with most multiply-accumulates, as it is scheduled.
struct HotLoop {
    /// Bundles of its body in program memory.
    bundles: u64,
    /// Products of the vector unit in them.
    vmacs: u64,
}

impl HotLoop {
    /// As numbers of an outcome.
    fn quantities(&self) -> Vec<(&'static str, f64)> {
        vec![("loop_bundles", self.bundles as f64), ("loop_vmac", self.vmacs as f64)]
    }
}

/// The innermost loop of `kernel` that multiplies most.
///
/// # Errors
/// When the kernel is not right, or multiplies in no loop.
fn hot_loop(kernel: &Kernel, conditions: &Conditions) -> Result<HotLoop, String> {
    let kernel = verify(kernel.clone()).map_err(|e| e.to_string())?;
    let schedule = Schedule::new(&kernel, conditions.core());
    let loops = schedule.sections.iter().filter(|s| matches!(s.kind, SectionKind::Loop(..)));
    let multiplies = |issued: &&Issued| {
        let machine = issued.op.and_then(|op| form(&kernel, kernel.op(op)));
        let products = machine.iter().flat_map(|form| &form.machine);
        let of_vmac = |m: &Machine| matches!(m.latency, LatencyClass::Vmac | LatencyClass::VmacFloat);
        products.filter(|m| of_vmac(m)).any(|m| m.mnemonic == issued.mnemonic)
    };
    let all = loops.map(|section| HotLoop {
        bundles: section.bundles.len() as u64,
        vmacs: section.bundles.iter().flat_map(|b| &b.issued).filter(multiplies).count() as u64,
    });
    all.max_by_key(|hot| hot.vmacs).filter(|hot| hot.vmacs > 0).ok_or("no loop multiplies".to_owned())
}
