//! `paired_loads`: two vector loads that one bundle can hold, in one bank or in two.

use super::super::workload::{Conditions, Outcome, Workload};
use super::loops::{per_iteration, trips};
use kiln_dsl::kernel::Kernel;
use kiln_dsl::kernel::build::{Acc64, Builder};
use kiln_dsl::num::{Rounding, Saturation};
use serde::Deserialize;

/// `sum += a[i % 32] * b[i % 32]`, vectors of 16 words of 16 bits; the number of trips is known at run time only.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairedLoads {
    #[serde(default = "trips")]
    trips: u32,
    /// Whether both operands lie in one logical bank.
    #[serde(default)]
    same_bank: bool,
    /// 1: `b` is a constant in a register.
    #[serde(default = "loads")]
    loads: u32,
}

fn loads() -> u32 {
    2
}

/// Vectors in each operand; a power of two.
const VECTORS: i32 = 32;
const LANES: u32 = 16;

impl Workload for PairedLoads {
    const KIND: &'static str = "paired_loads";
    const QUANTITIES: &'static [&'static str] = &["cycles_per_iteration", "stalls_per_iteration"];

    fn simulate(&self, conditions: &Conditions) -> Result<Outcome, String> {
        if !(1..=2).contains(&self.loads) {
            return Err(format!("loads: {}, expected 1 or 2", self.loads));
        }
        per_iteration(&self.kernel(), &[], self.trips, conditions)
    }
}

impl PairedLoads {
    fn kernel(&self) -> Kernel {
        Kernel::build("paired_loads", Rounding::ConvEven, Saturation::On, |k: &Builder| {
            let trips = k.param_i32("trips");
            let elements = [VECTORS as u32 * LANES];
            let a = k.input::<i16>("a", elements).bank(1);
            let b = k.input::<i16>("b", elements).bank(if self.same_bank { 1 } else { 2 });
            let out = k.output::<i32>("out", [LANES]).bank(0);
            let one = k.splat::<i16, 16>(1);
            let sum = k.fold(trips, k.acc_zeros::<Acc64, 16>(), |i, sum| {
                let at = (i & (VECTORS - 1)) * LANES as i32;
                let with = if self.loads == 2 { b.load::<16>(at) } else { one };
                sum.mac(a.load::<16>(at), with)
            });
            out.store(0, sum.srs::<i32>(0));
        })
    }
}
