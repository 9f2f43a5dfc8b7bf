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
use kiln_dsl::array::KernelId;
use kiln_dsl::kernel::ops::{LatencyClass, Machine, form};
use kiln_dsl::kernel::{Kernel, ParamKind, verify};
use kiln_sim::core::{CoreExecutor, Engine, Issued, Schedule, SectionKind};
use kiln_sim::executor::{ArgValue, CallCost, Cascade, KernelExecutor, TileMemories};
use place::place;
use std::sync::Arc;

/// Calls `kernel` once on memory of zeros; `integers` are its run-time integers in order.
///
/// # Errors
/// When the kernel is not right, or its parameters do not fit a core's memory.
fn call(kernel: Kernel, integers: &[i32], conditions: &Conditions) -> Result<CallCost, String> {
    let device = conditions.device;
    let kernel = Arc::new(verify(kernel).map_err(|e| e.to_string())?);
    let places = place(&kernel, device)?;
    let mut integers = integers.iter();
    let args: Vec<ArgValue> = kernel
        .params
        .iter()
        .zip(places)
        .map(|(param, (address, bytes))| match param.kind {
            ParamKind::I32 => ArgValue::I32(integers.next().copied().unwrap_or_default()),
            _ => ArgValue::Memory { tile: 0, address, bytes },
        })
        .collect();
    let mut memories = TileMemories::new(vec![vec![0; device.core.data_memory_bytes() as usize]]);
    let mut executor =
        CoreExecutor::new(&[kernel], conditions.core(), Engine::Compiled).map_err(|e| e.to_string())?;
    executor.call(KernelId(0), &args, &mut memories, &mut Cascade::default()).map_err(|e| e.to_string())
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
