//! Registers: what each instruction takes, for how long, and whether a schedule fits.

use super::compiler::Names;
use super::graph::Graph;
use kiln_dsl::device::Device;
use kiln_dsl::kernel::ops::LatencyClass;
use kiln_dsl::kernel::{Kernel, Type};
use std::fmt;

/// Both files are counted in parts of 256 bits: `wl` and `wh`, and the quarters of an accumulator.
const PART_BYTES: u32 = 32;

/// Smallest accumulator that has a name: 512 bits (`bml`, `bmh`).
const ACCUMULATOR_BYTES: u32 = 64;

/// A register file that schedules can run out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegisterFile {
    /// `x`: 512 bits each.
    Vector,
    /// `cm`: 1024 bits each.
    Accumulator,
}

impl fmt::Display for RegisterFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RegisterFile::Vector => "vector registers",
            RegisterFile::Accumulator => "accumulators",
        })
    }
}

/// What an instruction writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Def {
    pub file: RegisterFile,
    /// Parts of 256 bits.
    pub parts: u32,
}

impl Def {
    /// The share of a value of `ty` that each of `instructions` writes.
    pub fn of(ty: Type, instructions: usize) -> Option<Def> {
        let (file, bytes) = match ty {
            Type::Vector { .. } => (RegisterFile::Vector, ty.bytes()),
            Type::Accum { .. } => (RegisterFile::Accumulator, ty.bytes().max(ACCUMULATOR_BYTES)),
            Type::Scalar | Type::Mask { .. } => return None,
        };
        let parts = bytes.div_ceil(PART_BYTES).div_ceil(instructions.max(1) as u32);
        Some(Def { file, parts })
    }

    /// What an instruction writes for another of the same operation: one 512-bit vector, or a whole
    /// accumulator where it accumulates.
    pub fn between(class: LatencyClass) -> Option<Def> {
        let (file, parts) = match class {
            LatencyClass::VectorAlu | LatencyClass::Convert | LatencyClass::Srs => (RegisterFile::Vector, 2),
            LatencyClass::LoadVector | LatencyClass::LoadLut => (RegisterFile::Vector, 1),
            LatencyClass::Ups => (RegisterFile::Accumulator, 2),
            LatencyClass::Vmac
            | LatencyClass::VmacFloat
            | LatencyClass::AccAlu
            | LatencyClass::AccAluFloat => (RegisterFile::Accumulator, 4),
            _ => return None,
        };
        Some(Def { file, parts })
    }
}

/// Parts of each file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub vector: u32,
    pub accumulator: u32,
}

impl Parts {
    /// What a core has.
    pub fn of_core(device: &Device) -> Parts {
        let parts = |count: u32, bits: u32| count * bits / 8 / PART_BYTES;
        let core = &device.core;
        Parts {
            vector: parts(core.vector_registers(), core.vector_register_bits()),
            accumulator: parts(core.accumulators(), core.accumulator_bits()),
        }
    }

    pub fn get(&self, file: RegisterFile) -> u32 {
        match file {
            RegisterFile::Vector => self.vector,
            RegisterFile::Accumulator => self.accumulator,
        }
    }

    pub fn get_mut(&mut self, file: RegisterFile) -> &mut u32 {
        match file {
            RegisterFile::Vector => &mut self.vector,
            RegisterFile::Accumulator => &mut self.accumulator,
        }
    }

    pub fn add(&mut self, def: Def) {
        *self.get_mut(def.file) += def.parts;
    }

    pub fn add_all(&mut self, defs: impl IntoIterator<Item = Def>) {
        defs.into_iter().for_each(|def| self.add(def));
    }

    /// The first file of which there is more than `most`.
    pub fn over(&self, most: &Parts) -> Option<RegisterFile> {
        let files = [RegisterFile::Vector, RegisterFile::Accumulator];
        files.into_iter().find(|&f| self.get(f) > most.get(f))
    }

    /// The larger of each.
    pub fn max(&self, other: &Parts) -> Parts {
        Parts { vector: self.vector.max(other.vector), accumulator: self.accumulator.max(other.accumulator) }
    }
}

/// When a register is taken: from the first to the last cycle, of one iteration's schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub node: usize,
    pub def: Def,
    pub first: i64,
    pub last: i64,
}

impl Lifetime {
    /// Cycles.
    pub fn length(&self) -> i64 {
        self.last - self.first + 1
    }
}

/// The lifetimes of a schedule that issues the nodes in `cycles`, with iterations `interval` apart.
pub(super) fn lifetimes(
    graph: &Graph,
    device: &Device,
    cycles: &[u32],
    interval: u32,
    names: Names,
) -> Vec<Lifetime> {
    let mut last: Vec<Option<i64>> = vec![None; graph.nodes.len()];
    let mut continues = vec![false; graph.nodes.len()];
    for edge in &graph.edges {
        let Some(after) = edge.reads_after else { continue };
        // Only accumulators are read after the cycle of issue.
        continues[edge.to] |= after > 0;
        let after = match names {
            // An accumulator may be read in the bundle that writes it again, nothing else.
            Names::OneFromIssue | Names::Copied => -i64::from(after.min(1)),
            _ => i64::from(after),
        };
        let read = i64::from(cycles[edge.to]) + i64::from(interval) * i64::from(edge.distance) + after;
        last[edge.from] = last[edge.from].max(Some(read));
    }
    let of = |(i, node): (usize, &super::graph::Node)| {
        let def = node.def?;
        let issue = i64::from(cycles[i]);
        let first = match names {
            Names::OneFromIssue | Names::Copied => issue,
            // The register of a sum is that of the accumulator it continues.
            _ if continues[i] => issue + i64::from(device.core_timing.accumulator_read_cycle()),
            // Results arrive in the register when they can be used, not before.
            _ => issue + i64::from(device.latency_cycles(node.class)),
        };
        Some(Lifetime { node: i, def, first, last: last[i].unwrap_or(first).max(first) })
    };
    graph.nodes.iter().enumerate().filter_map(of).collect()
}

/// What values from outside take all the time.
pub(super) fn held(graph: &Graph, kernel: &Kernel) -> Parts {
    let mut values: Vec<_> = graph.outside.iter().map(|u| u.value).collect();
    values.sort_unstable();
    values.dedup();
    let mut parts = Parts::default();
    parts.add_all(values.into_iter().filter_map(|v| Def::of(kernel.ty(v), 1)));
    parts
}

/// The most of each file that iterations `interval` apart take at once.
pub(super) fn most_live(lifetimes: &[Lifetime], interval: u32) -> Parts {
    let interval = i64::from(interval.max(1));
    let mut most = Parts::default();
    for cycle in 0..interval {
        let mut live = Parts::default();
        for lifetime in lifetimes {
            // Iterations whose lifetime covers the cycle.
            let to_cycle = (cycle - lifetime.first).rem_euclid(interval);
            let covered = lifetime.length() - to_cycle;
            if covered > 0 {
                let times = (covered - 1) / interval + 1;
                *live.get_mut(lifetime.def.file) += lifetime.def.parts * times as u32;
            }
        }
        most = most.max(&live);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: Def = Def { file: RegisterFile::Vector, parts: 2 };

    #[test]
    fn a_core_has_24_halves_and_36_quarters() {
        assert_eq!(Parts::of_core(Device::npu1()), Parts { vector: 24, accumulator: 36 });
    }

    #[test]
    fn iterations_overlap_in_the_registers_of_long_lifetimes() {
        let lifetime = Lifetime { node: 0, def: X, first: 7, last: 11 };
        // Five cycles of every four: twice in one of them.
        assert_eq!(most_live(&[lifetime], 4).vector, 4);
        assert_eq!(most_live(&[lifetime], 5).vector, 2);
        assert_eq!(most_live(&[lifetime, lifetime], 5).vector, 4);
        assert_eq!(most_live(&[lifetime], 1).vector, 10);
    }
}
