//! What `kiln asm` shows: the bundles of a kernel, section by section, with their sizes.

use super::graph::Node;
use super::modulo::Limit;
use super::registers::RegisterFile;
use super::resources::{SLOTS, SRS_UNIT, bits};
use kiln_dsl::kernel::ops::{FETCH_BYTES, Slot, bundle_bytes};
use kiln_dsl::kernel::{Kernel, OpId, ParamId};

/// One instruction in its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Where it issues.
    pub slot: Slot,
    /// As the assembler writes it, without operands.
    pub mnemonic: &'static str,
    /// The operation it is of; `None` for what the compiler adds: loop registers, pointers, branches.
    pub op: Option<OpId>,
    /// The parameter whose memory it accesses.
    pub accesses: Option<ParamId>,
    /// Iteration, counted from the first that runs here.
    pub iteration: u32,
}

/// What issues in one cycle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// By slot.
    pub issued: Vec<Issued>,
    /// Size in program memory.
    pub bytes: u32,
}

/// What kind of code a section is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// Runs once where it stands; the start and the end of pipelined loops are in it.
    Straight,
    /// A hardware loop.
    Loop(OpId, LoopFacts),
    /// A loop around the sections that are deeper than it.
    Nest(OpId),
}

/// What a schedule says of an innermost loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopFacts {
    /// Cycles from one iteration to the next.
    pub interval_cycles: u32,
    /// What resources and recurrences alone would allow.
    pub least_cycles: u32,
    /// Cycles of one iteration from its first bundle to its last.
    pub length_cycles: u32,
    /// Iterations in flight; 1: not pipelined.
    pub stages: u32,
    /// Repetitions of the body, with other registers each.
    pub copies: u32,
    /// What set the interval, in words.
    pub bound: String,
    /// Multiply-accumulates of an iteration.
    pub macs: u64,
    /// The most 256-bit parts of vector registers and accumulators taken at once, invariants included.
    pub live_parts: [u32; 2],
}

/// A part of a kernel's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What it is, with the author's place for a loop.
    pub title: String,
    /// Loops around it.
    pub depth: u32,
    /// The loop that runs it once each iteration; `None`: once a call.
    pub within: Option<OpId>,
    /// What kind of code.
    pub kind: SectionKind,
    /// In order; of a loop around loops: none.
    pub bundles: Vec<Bundle>,
    /// 256-bit parts of registers that go to a place of their own in the frame and come back: a store, a load and a bundle
    /// each. They are counted, in cycles, bytes and frame, but stand in no bundle's text.
    pub spilled: u32,
}

impl Section {
    /// Size in program memory.
    pub fn bytes(&self) -> u32 {
        self.bundles.iter().map(|b| b.bytes).sum()
    }

    /// The bundles that one iteration of `within` runs: of a loop that repeats its body, one copy.
    pub fn iteration(&self) -> &[Bundle] {
        match &self.kind {
            SectionKind::Loop(_, facts) => {
                self.bundles.get(..facts.interval_cycles as usize).unwrap_or(&self.bundles)
            }
            SectionKind::Straight | SectionKind::Nest(_) => &self.bundles,
        }
    }
}

impl Bundle {
    /// A bundle of these instructions.
    fn new(mut issued: Vec<Issued>) -> Bundle {
        issued.sort_by_key(|i| bits(i.slot));
        let bits: u32 = issued.iter().map(|i| i.slot.encoded_bits()).sum();
        Bundle { issued, bytes: bundle_bytes(bits) }
    }
}

/// Bundles while they fill.
#[derive(Clone, Debug, Default)]
pub(super) struct Page {
    cycles: Vec<Vec<Issued>>,
}

impl Page {
    /// Adds an instruction in `cycle`.
    pub fn add(&mut self, cycle: u32, slot: Slot, node: &Node, iteration: u32) {
        self.put(
            cycle,
            Issued {
                slot,
                mnemonic: node.mnemonic,
                op: node.op,
                accesses: node.memory.map(|m| m.0),
                iteration,
            },
        );
    }

    pub fn put(&mut self, cycle: u32, issued: Issued) {
        let cycle = cycle as usize;
        if self.cycles.len() <= cycle {
            self.cycles.resize(cycle + 1, Vec::new());
        }
        self.cycles[cycle].push(issued);
    }

    /// Straight code of `length` cycles; `before_loop` fills up to where a hardware loop may begin.
    pub fn straight(mut self, length: u32, before_loop: bool) -> Vec<Bundle> {
        self.cycles.resize(length as usize, Vec::new());
        let mut bundles: Vec<Bundle> = self.cycles.into_iter().map(Bundle::new).collect();
        let bytes: u32 = bundles.iter().map(|b| b.bytes).sum();
        let mut missing = bytes.next_multiple_of(FETCH_BYTES) - bytes;
        // Wider formats of the last bundles, so that it costs no cycle.
        for bundle in bundles.iter_mut().rev().filter(|_| before_loop) {
            let more = missing.min(FETCH_BYTES - bundle.bytes);
            bundle.bytes += more;
            missing -= more;
        }
        bundles
    }

    /// The body of a hardware loop, `copies` times: it ends in a bundle of full width on a boundary.
    pub fn repeated(mut self, interval: u32, copies: u32) -> Vec<Bundle> {
        self.cycles.resize(interval as usize, Vec::new());
        let body: Vec<Bundle> = self.cycles.into_iter().map(Bundle::new).collect();
        let mut bundles: Vec<Bundle> = (0..copies).flat_map(|_| body.clone()).collect();
        let Some((last, others)) = bundles.split_last_mut() else { return bundles };
        last.bytes = FETCH_BYTES;
        let bytes: u32 = others.iter().map(|b| b.bytes).sum();
        let mut missing = bytes.next_multiple_of(FETCH_BYTES) - bytes;
        for bundle in others.iter_mut().rev() {
            let more = missing.min(FETCH_BYTES - bundle.bytes);
            bundle.bytes += more;
            missing -= more;
        }
        bundles
    }
}

/// What set a loop's interval, in words.
pub(super) fn bound(kernel: &Kernel, limit: Limit) -> String {
    match limit {
        Limit::Resources(SRS_UNIT) => "the shift-round-saturate unit".to_owned(),
        Limit::Resources(mask) => {
            let slots: Vec<&str> = SLOTS.iter().filter(|&&s| mask & bits(s) != 0).map(|s| s.name()).collect();
            if slots.is_empty() {
                let param = kernel
                    .params
                    .iter()
                    .enumerate()
                    .find(|(i, _)| super::resources::load_of(ParamId(*i as u32)) == mask);
                let name = param.map_or("one parameter", |(_, p)| p.name.as_str());
                format!("loads of {name}, one a cycle")
            } else {
                format!("slot{} {}", if slots.len() > 1 { "s" } else { "" }, slots.join(" + "))
            }
        }
        Limit::Recurrence => "recurrence".to_owned(),
        Limit::Registers(file @ RegisterFile::Vector) => format!("registers: {file}"),
        Limit::Registers(file) => format!("registers: {file}"),
        Limit::Lifetime => "registers: one name for each value".to_owned(),
        Limit::Stages => "known trip count: no more iterations in flight".to_owned(),
        Limit::Search => "search: no shorter schedule found".to_owned(),
        Limit::Sequence => "not pipelined".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(slots: &[Slot]) -> u32 {
        let issued = |&slot: &Slot| Issued { slot, mnemonic: "x", op: None, accesses: None, iteration: 0 };
        Bundle::new(slots.iter().map(issued).collect()).bytes
    }

    #[test]
    fn bundles_take_2_to_16_bytes() {
        assert_eq!(bytes(&[]), 2);
        assert_eq!(bytes(&[Slot::Vec]), 4);
        assert_eq!(bytes(&[Slot::Lng]), 6);
        assert_eq!(bytes(&[Slot::Lda, Slot::Ldb]), 6);
        assert_eq!(bytes(&SLOTS), 16);
    }

    #[test]
    fn a_loop_is_whole_fetches_and_its_last_bundle_is_full() {
        let mut page = Page::default();
        let issued = Issued { slot: Slot::Vec, mnemonic: "vmac", op: None, accesses: None, iteration: 0 };
        page.put(0, issued);
        let bundles = page.repeated(2, 2);
        let bytes: Vec<u32> = bundles.iter().map(|b| b.bytes).collect();
        assert_eq!(bytes, [4, 2, 10, 16]);
    }
}
