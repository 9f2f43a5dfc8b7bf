//! Bank conflicts: cycles that a core waits because one bundle accesses one physical bank several times.
//!
//! A physical bank serves one access a cycle, and a core whose access is refused stops whole and tries
//! again (`isa_timing` section 6), so a bundle takes as many cycles more as its fullest bank has
//! accesses beyond one. Which bundles access memory several times is the schedule's; where the
//! parameters lie, the call's. A 256-bit access takes both halves of its logical bank. DMAs are not in
//! it: silicon grants the core nearly every access against them (`docs/timing.md`).

use super::listing::Section;
use crate::executor::ArgValue;
use kiln_dsl::device::BankMap;
use kiln_dsl::kernel::{Imm, Kernel, OpId, ParamId, access};
use smallvec::SmallVec;

/// An access of a bundle, as far as it is known without the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reach {
    param: ParamId,
    /// From the parameter's start, in the first iteration of the loop around.
    offset_bytes: i64,
    /// From one iteration to the next.
    step_bytes: i64,
    size_bytes: u32,
}

/// Accesses of one bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Together {
    /// The loop whose every iteration has the bundle; `None`: once a call.
    within: Option<OpId>,
    reaches: SmallVec<[Reach; 3]>,
}

/// The bundles of a kernel that may wait for a bank.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Banks {
    map: BankMap,
    bundles: Vec<Together>,
}

/// Cycles lost in a number of iterations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stalls {
    cycles: u64,
    iterations: u64,
}

impl Stalls {
    /// Cycles lost in `iterations`.
    pub fn of(self, iterations: u64) -> u64 {
        (self.cycles * iterations).checked_div(self.iterations).unwrap_or(0)
    }
}

/// Iterations after which narrow accesses meet the same banks again, whatever their steps: banks of a
/// pair take turns every 16 bytes, steps are whole bytes.
const PHASES: i64 = 32;

/// Places that a parameter larger than a bank is looked at in, evenly from its start to its end.
const PLACES: i64 = 16;

impl Banks {
    /// The bundles of `sections` with several accesses.
    pub fn new(kernel: &Kernel, map: BankMap, sections: &[Section]) -> Banks {
        let mut bundles = Vec::new();
        for section in sections {
            for bundle in section.iteration() {
                let loads = bundle.issued.iter().filter(|issued| issued.accesses.is_some());
                let reaches: SmallVec<[Reach; 3]> =
                    loads.filter_map(|issued| reach(kernel, issued.op?, section.within)).collect();
                if reaches.len() > 1 {
                    bundles.push(Together { within: section.within, reaches });
                }
            }
        }
        Banks { map, bundles }
    }

    /// Whether no call waits.
    pub fn is_empty(&self) -> bool {
        self.bundles.is_empty()
    }

    /// Cycles lost by a call with `args`: outside loops, and in the iterations of each loop.
    pub fn stalls(&self, args: &[ArgValue]) -> Vec<(Option<OpId>, Stalls)> {
        let mut all: Vec<(Option<OpId>, Stalls)> = Vec::new();
        for bundle in &self.bundles {
            let cycles = self.bundle(bundle, args);
            match all.iter_mut().find(|(within, _)| *within == bundle.within) {
                Some((_, sum)) => sum.cycles += cycles,
                None => {
                    all.push((bundle.within, Stalls { cycles, iterations: (PLACES * PHASES).unsigned_abs() }))
                }
            }
        }
        all
    }

    /// Cycles that one bundle loses, over all places and phases.
    fn bundle(&self, bundle: &Together, args: &[ArgValue]) -> u64 {
        // One place or phase stands for all where they make no difference.
        let spans = |reach: &Reach| args.get(reach.param.index()).is_some_and(|arg| self.spans_banks(arg));
        let places = if bundle.reaches.iter().any(spans) { PLACES } else { 1 };
        let is_narrow = |reach: &Reach| reach.size_bytes < self.map.period_bytes();
        let phases = if bundle.reaches.iter().any(is_narrow) { PHASES } else { 1 };
        let mut cycles = 0;
        for place in 0..places {
            for phase in 0..phases {
                let at = |reach: &Reach| self.locate(reach, args, place, phase);
                let accesses: SmallVec<[_; 3]> = bundle.reaches.iter().filter_map(at).collect();
                cycles += self.wait(&accesses);
            }
        }
        cycles * ((PLACES / places) * (PHASES / phases)).unsigned_abs()
    }

    /// Whether a parameter lies in several logical banks.
    fn spans_banks(&self, arg: &ArgValue) -> bool {
        match *arg {
            ArgValue::Memory { address, bytes, .. } => {
                let logical = |address: u32| address / self.map.logical_bytes;
                logical(address) != logical(address + bytes.max(1) - 1)
            }
            ArgValue::I32(_) => false,
        }
    }

    /// Tile, first byte and size of an access.
    fn locate(&self, reach: &Reach, args: &[ArgValue], place: i64, phase: i64) -> Option<(usize, u32, u32)> {
        let arg = args.get(reach.param.index())?;
        let ArgValue::Memory { tile, address, bytes } = *arg else { return None };
        if !self.spans_banks(arg) {
            // In one logical bank: which of its halves is the phase's to say.
            let period = self.map.period_bytes();
            let moved = i64::from(address) + reach.offset_bytes + reach.step_bytes * phase;
            let low = moved.rem_euclid(i64::from(period)) as u32;
            return Some((tile, address - address % period + low, reach.size_bytes));
        }
        let last = bytes.saturating_sub(reach.size_bytes);
        let along = i64::from(last) * place / (PLACES - 1);
        let along = along as u32 / self.map.period_bytes() * self.map.period_bytes();
        Some((tile, address + along, reach.size_bytes))
    }

    /// Cycles that these accesses take beyond one.
    fn wait(&self, accesses: &[(usize, u32, u32)]) -> u64 {
        let banks = |&(tile, address, size): &(usize, u32, u32)| {
            let width = self.map.interleave_bytes;
            let granules = address / width..=(address + size.max(1) - 1) / width;
            granules.map(move |granule| (tile, self.map.physical_of(granule * width)))
        };
        let all: SmallVec<[(usize, u32); 6]> = accesses.iter().flat_map(banks).collect();
        let most = all.iter().map(|bank| all.iter().filter(|other| *other == bank).count()).max();
        most.unwrap_or(1) as u64 - 1
    }
}

/// One access of an operation, of at most the width of a port.
fn reach(kernel: &Kernel, op: OpId, within: Option<OpId>) -> Option<Reach> {
    const PORT_BYTES: u32 = 32;
    let data = kernel.op(op);
    let address = data.address.as_ref()?;
    // A lookup reads four banks' worth of entries, wherever they are.
    let size_bytes = access(kernel, data).map_or(PORT_BYTES, |a| a.size_bytes.min(PORT_BYTES));
    let index = within.and_then(|op| {
        let data = kernel.op(op);
        let step = match data.imm {
            Imm::Loop { step, .. } => i64::from(step),
            _ => 0,
        };
        Some((kernel.block(data.body?).args.first().copied()?, step))
    });
    let step_bytes = index.map_or(0, |(index, step)| {
        let term = address.terms.iter().find(|(value, _)| *value == index);
        term.map_or(0, |(_, coefficient)| coefficient * step)
    });
    Some(Reach { param: address.param, offset_bytes: address.offset_bytes, step_bytes, size_bytes })
}

#[cfg(test)]
mod tests {
    use super::super::{CoreModel, KernelCost};
    use crate::executor::{ArgValue, CallCost};
    use kiln_dsl::device::{Compiler, Device};
    use kiln_dsl::kernel::build::{Acc32, Builder};
    use kiln_dsl::kernel::{Kernel, verify};
    use kiln_dsl::num::{Rounding, Saturation};

    /// `c += a * b` over 512 bytes each; the schedule pairs the two loads of an iteration.
    fn paired() -> KernelCost {
        let kernel = Kernel::build("paired", Rounding::ConvEven, Saturation::On, |k: &Builder| {
            let (a, b) = (k.input::<i8>("a", [512]), k.input::<i8>("b", [512]));
            let c = k.output::<i32>("c", [32]);
            let zero = k.acc_zeros::<Acc32, 32>();
            let sum = k
                .pipelined(16)
                .fold_step(0, 512, 32, zero, |i, sum| sum.mac(a.load::<32>(i), b.load::<32>(i)));
            c.store(0, sum.srs::<i32>(0));
        });
        let kernel = verify(kernel).expect("a kernel that verifies");
        KernelCost::new(&kernel, CoreModel { compiler: Compiler::Ideal, ..Device::npu1().into() })
    }

    fn memory(tile: usize, address: u32, bytes: u32) -> ArgValue {
        ArgValue::Memory { tile, address, bytes }
    }

    /// Cycles that 16 iterations and what is around them wait, with the operands there.
    fn stalls(cost: &KernelCost, a: ArgValue, b: ArgValue) -> u64 {
        let cost = cost.at(&[a, b, memory(0, 0xc000, 128)]);
        let mut total = CallCost { cycles: cost.call().cycles, ..cost.call() };
        for op in 0..64 {
            let of_loop = cost.of_loop(kiln_dsl::kernel::OpId(op));
            if of_loop.interval_cycles > 0 {
                of_loop.add(16, &mut total);
            }
        }
        total.stall_cycles
    }

    #[test]
    fn two_wide_loads_of_one_logical_bank_wait_once_each_iteration() {
        let cost = paired();
        assert_eq!(stalls(&cost, memory(0, 0x4000, 512), memory(0, 0x8000, 512)), 0);
        assert_eq!(stalls(&cost, memory(0, 0x4000, 512), memory(0, 0x4800, 512)), 16);
        // Offsets within the bank make no difference (isa_timing section 6).
        assert_eq!(stalls(&cost, memory(0, 0x4000, 512), memory(0, 0x4840, 512)), 16);
    }

    #[test]
    fn banks_of_different_tiles_never_meet() {
        assert_eq!(stalls(&paired(), memory(0, 0x4000, 512), memory(1, 0x4800, 512)), 0);
    }

    #[test]
    fn a_parameter_in_two_banks_waits_in_one_of_them() {
        let waits = stalls(&paired(), memory(0, 0x4000, 512), memory(0, 0x7f00, 512));
        assert!((4..=12).contains(&waits), "{waits}");
    }
}
