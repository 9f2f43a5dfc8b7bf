//! `loop`: a counted loop around a few operations.

use super::super::workload::{Conditions, Outcome, Workload};
use super::call;
use kiln_dsl::kernel::{Kernel, build::Builder};
use kiln_dsl::num::{Rounding, Saturation};
use serde::Deserialize;

/// A loop whose number of trips is known at run time only, as in a probe that is called with it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loop {
    body: Body,
    #[serde(default = "trips")]
    trips: u32,
}

/// What an iteration does.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    /// `sum = sum + i` in 16 lanes of 32 bits.
    VectorAccumulate,
    /// `*p = *p + i`, a 32-bit word in memory.
    MemoryAccumulate,
    /// `*q = p[i] + p[i + 4]`, 32-bit words.
    MemoryHammer,
    /// `q[i] = p[i]`, 32-bit words, both in one logical bank; the source code promises 16 trips, so that it is
    /// pipelined.
    Copy,
}

pub(super) fn trips() -> u32 {
    1024
}

/// Loops are simulated to at most this number of trips; each further one takes what those take on average.
const SIMULATED_TRIPS: u32 = 1024;
/// Words that `memory_hammer` walks around in.
const HAMMERED_WORDS: u32 = 512;

impl Workload for Loop {
    const KIND: &'static str = "loop";
    const QUANTITIES: &'static [&'static str] = &["cycles_per_iteration", "stalls_per_iteration"];

    fn simulate(&self, conditions: &Conditions) -> Result<Outcome, String> {
        per_iteration(&self.kernel(), &[], self.trips, conditions)
    }
}

/// Cycles of a loop that runs as often as the first integer of its kernel says, without what is around it.
pub(super) fn per_iteration(
    kernel: &Kernel,
    rest: &[i32],
    trips: u32,
    conditions: &Conditions,
) -> Result<Outcome, String> {
    let run = |trips: u32| {
        let integers: Vec<i32> = [trips as i32].iter().chain(rest).copied().collect();
        call(kernel.clone(), &integers, conditions)
    };
    let most = SIMULATED_TRIPS;
    let (half, all) = (run(most / 2)?, run(most)?);
    let each = |all: u64, half: u64| (all - half) as f64 / f64::from(most - most / 2);
    let stalls = each(all.stall_cycles, half.stall_cycles);
    let each = each(all.cycles, half.cycles);
    Ok(Outcome {
        cycles: each * f64::from(trips),
        quantities: vec![("cycles_per_iteration", each), ("stalls_per_iteration", stalls)],
        ..Outcome::default()
    })
}

impl Loop {
    fn kernel(&self) -> Kernel {
        Kernel::build("loop", Rounding::ConvEven, Saturation::On, |k: &Builder| {
            let trips = k.param_i32("trips");
            match self.body {
                Body::VectorAccumulate => {
                    let out = k.output::<i32>("out", [16]);
                    let sum = k.fold(trips, k.zeros::<i32, 16>(), |i, sum| sum + k.splat::<i32, 16>(i));
                    out.store(0, sum);
                }
                Body::MemoryAccumulate => {
                    let word = k.inout::<i32>("word", [1]);
                    k.for_n(trips, |i| word.set(0, word.get(0) + i));
                }
                Body::Copy => {
                    let from = k.input::<i32>("from", [SIMULATED_TRIPS]).bank(1);
                    let to = k.output::<i32>("to", [SIMULATED_TRIPS]).bank(1);
                    k.pipelined(16).for_step(0, trips, 1, |i| to.set(i, from.get(i)));
                }
                Body::MemoryHammer => {
                    let from = k.input::<i32>("from", [SIMULATED_TRIPS + HAMMERED_WORDS]);
                    let to = k.output::<i32>("to", [1]);
                    k.for_n(trips, |i| to.set(0, from.get(i) + from.get(i + 4)));
                }
            }
        })
    }
}
