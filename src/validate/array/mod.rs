//! Workloads of the array: designs built as their source is, simulated for time.

pub mod chain;
pub mod core_stream;
pub mod ddr_passthrough;
pub mod dispatch;
pub mod eltwise_array;
pub mod gemm_array;
pub mod memtile_stream;
pub mod shim_task;

use super::workload::Conditions;
use kiln_dsl::array::lowered::{Channel, Direction};
use kiln_dsl::array::{
    ArrayErrors, Design, DesignBuilder, FifoRef, KernelId, LowerMode, Port, Tile, lower, verify,
};
use kiln_dsl::kernel::{Kernel, verify as verify_kernel};
use kiln_sim::CostOnly;
use kiln_sim::array::{SimOptions, simulate_with};
use kiln_sim::core::{CoreExecutor, Engine};
use kiln_sim::report::SimReport;
use kiln_sim::trace::{Event, TraceEvent};
use serde::Deserialize;
use std::sync::Arc;

/// How the host starts a run, for measurements in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Launch {
    /// From submit to wait through the usual driver stack.
    #[default]
    Bracket,
    /// Alone, from a native program.
    Native,
    /// One of many in a run list.
    Runlist,
    /// Through a Python front end.
    Python,
    /// Nothing: the measurement is of the array.
    None,
}

impl Launch {
    /// The host's part in microseconds. Published figures are of dispatches that do nothing, which the
    /// controller takes some cycles for: those are the simulation's.
    fn us(self, conditions: &Conditions) -> f64 {
        let host = &conditions.device.host;
        let total = match self {
            Launch::Bracket => host.bracket_us(),
            Launch::Native => host.launch_us(),
            Launch::Runlist => host.runlist_launch_us(),
            Launch::Python => host.bracket_us() + host.python_us(),
            Launch::None => return 0.0,
        };
        let controller = &conditions.device.controller;
        let fixed = u64::from(controller.push_cold_cycles()) + u64::from(controller.wait_first_cycles());
        (total - conditions.profile.us(fixed)).max(0.0)
    }
}

/// Simulates a design for its time; data does not move.
///
/// # Errors
/// What is wrong with the design, or with its run.
fn run(
    design: Design,
    mode: LowerMode,
    trace_events: usize,
    conditions: &Conditions,
) -> Result<SimReport, String> {
    let device = conditions.device;
    let design = verify(design, device).map_err(|e| first_error(&e))?;
    let lowered = lower(&design, device, mode).map_err(|e| e.to_string())?;
    let mut core =
        CoreExecutor::new(&design.kernels, conditions.core(), Engine::Compiled).map_err(|e| e.to_string())?;
    let mut host: Vec<Vec<u8>> =
        design.sequence.buffers.iter().map(|b| vec![0; b.ty.bytes() as usize]).collect();
    let options = SimOptions { move_data: false, trace_events, ..SimOptions::default() };
    let mut costs = CostOnly::new(&mut core);
    simulate_with(&design, &lowered, device, &conditions.profile, &mut host, &options, &mut costs)
        .map_err(|e| e.to_string())
}

/// The first error of a design, which the others are mostly like: cores do the same.
fn first_error(errors: &ArrayErrors) -> String {
    match &errors.errors[..] {
        [one, others @ ..] if !others.is_empty() => format!("{one}\nand {} more errors", others.len()),
        _ => errors.to_string(),
    }
}

/// A kernel of a design.
fn add(design: &DesignBuilder, kernel: Kernel) -> Result<KernelId, String> {
    Ok(design.kernel(Arc::new(verify_kernel(kernel).map_err(|e| e.to_string())?)))
}

/// A core that passes objects from one FIFO to another for ever; it waits for a free object before a full one.
fn pass(d: &DesignBuilder, tile: Tile, kernel: KernelId, input: FifoRef<'_>, output: FifoRef<'_>) {
    d.core(tile, |c| {
        c.forever(|c| {
            let y = c.produce(output);
            let x = c.consume(input);
            c.call(kernel, (x, y));
            c.release(input, Port::Consume, 1);
            c.release(output, Port::Produce, 1);
        });
    });
}

/// Channel 0 of a direction.
fn channel(direction: Direction) -> Channel {
    Channel { direction, index: 0 }
}

/// The first event of a kind at a tile.
fn first(report: &SimReport, tile: Tile, is: impl Fn(Event) -> bool) -> Result<TraceEvent, String> {
    let found = report.trace.events.iter().find(|e| e.tile == tile && is(e.event));
    found.copied().ok_or_else(|| format!("nothing to measure happened at tile {tile}"))
}
