//! Units of measurements, and what a simulation gives in them.

use super::workload::{Conditions, Outcome};

/// A unit that an outcome converts to, at the clock of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Core cycles.
    Cycles,
    /// Time in seconds times this power of 1000: -1 ms, -2 us, -3 ns.
    Seconds(i32),
    /// 10^9 bytes a second.
    GigabytesPerSecond,
    /// Operations a second, two a multiply-accumulate, in powers of 1000.
    Operations(i32),
    /// Multiply-accumulates a cycle.
    MacsPerCycle,
    /// Share of the multiply-accumulates that the cores could do.
    Share,
}

impl Unit {
    /// Every spelling, for messages.
    pub const NAMES: &'static str =
        "cycles, ns, us, ms, s, GB/s, GOPS, GFLOPS, TOPS, TFLOPS, MAC/cycle, fraction, %";

    /// The unit of a spelling.
    pub fn parse(text: &str) -> Option<(Unit, f64)> {
        Some(match text.trim() {
            "cycle" | "cycles" => (Unit::Cycles, 1.0),
            "s" => (Unit::Seconds(0), 1.0),
            "ms" => (Unit::Seconds(-1), 1.0),
            "us" => (Unit::Seconds(-2), 1.0),
            "ns" => (Unit::Seconds(-3), 1.0),
            "GB/s" => (Unit::GigabytesPerSecond, 1.0),
            "GOPS" | "GFLOPS" | "GFLOP/s" => (Unit::Operations(3), 1.0),
            "TOPS" | "TFLOPS" => (Unit::Operations(4), 1.0),
            "MAC/cycle" | "MACs/cycle" => (Unit::MacsPerCycle, 1.0),
            "fraction" => (Unit::Share, 1.0),
            "%" => (Unit::Share, 100.0),
            _ => return None,
        })
    }

    /// Whether more of it takes less time.
    pub fn is_rate(self) -> bool {
        !matches!(self, Unit::Cycles | Unit::Seconds(_))
    }

    /// What `outcome` is in this unit; `None` when it has no such quantity.
    pub fn of(self, outcome: &Outcome, conditions: &Conditions) -> Option<f64> {
        let seconds = outcome.cycles / conditions.clock_hz() + outcome.host_us * 1e-6;
        let some = |quantity: f64| (quantity > 0.0).then_some(quantity);
        match self {
            Unit::Cycles => Some(outcome.cycles),
            Unit::Seconds(power) => Some(seconds / 1000f64.powi(power)),
            Unit::GigabytesPerSecond => Some(some(outcome.bytes)? / some(seconds)? / 1e9),
            Unit::Operations(power) => Some(2.0 * some(outcome.macs)? / some(seconds)? / 1000f64.powi(power)),
            Unit::MacsPerCycle => Some(some(outcome.macs)? / some(outcome.cycles)?),
            Unit::Share => Some(
                some(outcome.macs)?
                    / some(seconds * conditions.clock_hz())?
                    / some(outcome.peak_macs_per_cycle)?,
            ),
        }
    }
}
