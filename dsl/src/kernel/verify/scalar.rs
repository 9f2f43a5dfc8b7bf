//! What is known about the scalar values of a kernel before it runs: their ranges, their low bits
//! and how they depend on loop indices. Alignment and bounds of accesses follow from it.

use crate::kernel::ir::{Address, BlockId, Imm, Kernel, OpData, OpId, ValueId};
use crate::kernel::ops::Opcode;
use crate::kernel::types::{Elem, Type};
use std::collections::BTreeMap;

/// Carried scalars are followed through loops this deep; deeper ones count as unknown, since each
/// level repeats the ones inside it.
const FOLLOWED_DEPTH: usize = 4;
/// Rounds after which a carried scalar that still changes counts as unknown.
const ROUNDS: usize = 3;

/// Inclusive bounds of a 32-bit value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub lo: i64,
    pub hi: i64,
}

impl Range {
    const ALL: Range = Range { lo: i32::MIN as i64, hi: i32::MAX as i64 };

    fn constant(value: i64) -> Range {
        Range { lo: value, hi: value }
    }

    /// The range, or everything when a 32-bit value would wrap.
    fn fits(lo: i64, hi: i64) -> Range {
        if lo < Range::ALL.lo || hi > Range::ALL.hi { Range::ALL } else { Range { lo, hi } }
    }

    fn join(self, other: Range) -> Range {
        Range { lo: self.lo.min(other.lo), hi: self.hi.max(other.hi) }
    }

    /// The value, when it is certain.
    pub fn exact(self) -> Option<i64> {
        (self.lo == self.hi).then_some(self.lo)
    }
}

/// The low `known` bits of a value, at most 32, are those of `value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LowBits {
    known: u32,
    value: u32,
}

impl LowBits {
    const NONE: LowBits = LowBits { known: 0, value: 0 };

    fn new(known: u32, value: u32) -> LowBits {
        let mask = if known >= 32 { u32::MAX } else { (1 << known) - 1 };
        LowBits { known: known.min(32), value: value & mask }
    }

    pub fn constant(value: i64) -> LowBits {
        LowBits::new(32, value as u32)
    }

    pub fn add(self, other: LowBits) -> LowBits {
        LowBits::new(self.known.min(other.known), self.value.wrapping_add(other.value))
    }

    fn sub(self, other: LowBits) -> LowBits {
        LowBits::new(self.known.min(other.known), self.value.wrapping_sub(other.value))
    }

    /// (a + 2^i x) (b + 2^j y) = ab + 2^i bx + 2^j ay + 2^(i+j) xy.
    pub fn mul(self, other: LowBits) -> LowBits {
        let zeros = |v: u32| if v == 0 { 64 } else { v.trailing_zeros() };
        let cross = |bits: LowBits, factor: LowBits| {
            if bits.known == 32 { 64 } else { bits.known + zeros(factor.value).min(factor.known) }
        };
        let known = cross(self, other).min(cross(other, self));
        LowBits::new(known.min(32), self.value.wrapping_mul(other.value))
    }

    fn join(self, other: LowBits) -> LowBits {
        let same = (self.value ^ other.value).trailing_zeros();
        LowBits::new(self.known.min(other.known).min(same), self.value)
    }

    /// Bit by bit from the lowest, as far as `bit` knows the outcome.
    fn bitwise(self, other: LowBits, bit: fn(Option<bool>, Option<bool>) -> Option<bool>) -> LowBits {
        let at = |bits: LowBits, i: u32| (i < bits.known).then_some(bits.value >> i & 1 == 1);
        let mut value = 0;
        for i in 0..32 {
            match bit(at(self, i), at(other, i)) {
                Some(set) => value |= u32::from(set) << i,
                None => return LowBits::new(i, value),
            }
        }
        LowBits::new(32, value)
    }

    /// log2 of the largest power of two, at most 2^32, that surely divides the value.
    pub fn zeros(self) -> u32 {
        if self.value == 0 { self.known } else { self.value.trailing_zeros() }
    }
}

/// `constant + sum(coefficient * value)` over values that are not sums themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Linear {
    pub terms: BTreeMap<ValueId, i64>,
    pub constant: i64,
}

impl Linear {
    fn term(value: ValueId) -> Linear {
        Linear { terms: BTreeMap::from([(value, 1)]), constant: 0 }
    }

    fn constant(constant: i64) -> Linear {
        Linear { terms: BTreeMap::new(), constant }
    }

    /// `self + factor * other`; none when a coefficient leaves 64 bits.
    pub fn plus(mut self, factor: i64, other: &Linear) -> Option<Linear> {
        self.constant = self.constant.checked_add(factor.checked_mul(other.constant)?)?;
        for (&value, &c) in &other.terms {
            let mine = self.terms.entry(value).or_insert(0);
            *mine = mine.checked_add(factor.checked_mul(c)?)?;
            if *mine == 0 {
                self.terms.remove(&value);
            }
        }
        Some(self)
    }
}

/// What is known about one scalar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    pub range: Range,
    pub low: LowBits,
    pub linear: Linear,
}

impl Fact {
    fn new(value: ValueId, range: Range, low: LowBits) -> Fact {
        match range.exact() {
            Some(constant) => {
                Fact { range, low: LowBits::constant(constant), linear: Linear::constant(constant) }
            }
            None => Fact { range, low, linear: Linear::term(value) },
        }
    }

    fn unknown(value: ValueId) -> Fact {
        Fact::new(value, Range::ALL, LowBits::NONE)
    }
}

/// Facts about all values of a kernel whose structure is sound.
pub(super) struct Facts<'k> {
    kernel: &'k Kernel,
    facts: Vec<Fact>,
    /// Blocks that never run.
    dead: Vec<bool>,
    /// The loop of each block and the block that it stands in.
    around: Vec<Option<(OpId, BlockId)>>,
}

impl<'k> Facts<'k> {
    pub fn of(kernel: &'k Kernel) -> Facts<'k> {
        let facts = (0..kernel.values.len() as u32).map(|v| Fact::unknown(ValueId(v))).collect();
        let mut around = vec![None; kernel.blocks.len()];
        for (b, block) in kernel.blocks.iter().enumerate() {
            for &op in &block.ops {
                if let Some(body) = kernel.op(op).body {
                    around[body.index()] = Some((op, BlockId(b as u32)));
                }
            }
        }
        let mut this = Facts { kernel, facts, dead: vec![false; kernel.blocks.len()], around };
        this.block(Kernel::BODY, 0);
        this
    }

    pub fn get(&self, value: ValueId) -> &Fact {
        &self.facts[value.index()]
    }

    /// The bytes from a parameter's start to an address, as a sum of what they depend on; `None`
    /// when that does not fit.
    pub fn address(&self, address: &Address) -> Option<Linear> {
        let start = Some(Linear { constant: address.offset_bytes, ..Linear::default() });
        address.terms.iter().fold(start, |sum, &(v, c)| sum?.plus(c, &self.get(v).linear))
    }

    /// Whether the block is the body of a loop that surely never runs, or inside one.
    pub fn is_dead(&self, block: BlockId) -> bool {
        self.dead[block.index()] || self.around[block.index()].is_some_and(|(_, outer)| self.is_dead(outer))
    }

    /// Loop indices that take all their values, in every combination, whenever `block` runs: those
    /// of the loops around it with constant bounds, up to one that may not run on some trip.
    pub fn sweeping(&self, block: BlockId) -> Vec<ValueId> {
        let mut indices = Vec::new();
        let mut at = block;
        while let Some((op, outer)) = self.around[at.index()] {
            if self.trips(self.kernel.op(op)).is_none() {
                break;
            }
            indices.extend(self.kernel.block(at).args.first());
            at = outer;
        }
        indices
    }

    /// How often a loop runs, when its bounds are constants.
    pub fn trips(&self, op: &OpData) -> Option<u64> {
        let Imm::Loop { step, .. } = op.imm else { return None };
        let lo = self.get(*op.operands.first()?).range.exact()?;
        let hi = self.get(*op.operands.get(1)?).range.exact()?;
        if step == 0 {
            return None;
        }
        Some(if hi <= lo { 0 } else { (hi - lo) as u64 }.div_ceil(u64::from(step)))
    }

    fn set(&mut self, value: ValueId, range: Range, low: LowBits) {
        self.facts[value.index()] = Fact::new(value, range, low);
    }

    fn block(&mut self, block: BlockId, depth: usize) {
        let kernel = self.kernel;
        for &id in &kernel.block(block).ops {
            let op = kernel.op(id);
            match (op.opcode, op.body) {
                (Opcode::For, Some(body)) => self.run_loop(id, body, depth),
                _ => self.op(op),
            }
        }
    }

    fn run_loop(&mut self, id: OpId, body: BlockId, depth: usize) {
        let kernel = self.kernel;
        let op = kernel.op(id);
        let Imm::Loop { step, .. } = op.imm else { return };
        let args = &kernel.block(body).args;
        let (index, carried) = (args[0], &args[1..]);
        let (lo, hi) = (self.get(op.operands[0]).clone(), self.get(op.operands[1]).range);
        let last = match (lo.range.exact(), self.trips(op)) {
            (Some(first), Some(trips)) if trips > 0 => first + (trips as i64 - 1) * i64::from(step),
            _ => hi.hi - 1,
        };
        self.dead[body.index()] = last < lo.range.lo;
        let low = lo.low.join(lo.low.add(LowBits::new(step.trailing_zeros(), 0)));
        self.set(index, Range { lo: lo.range.lo, hi: last.max(lo.range.lo) }, low);

        let known = |this: &Self, v: ValueId| (this.get(v).range, this.get(v).low);
        let inits: Vec<(Range, LowBits)> = op.operands[2..].iter().map(|&v| known(self, v)).collect();
        let yields: Vec<ValueId> =
            kernel.block(body).ops.last().map(|&y| kernel.op(y).operands.to_vec()).unwrap_or_default();
        let mut assumed = if depth < FOLLOWED_DEPTH {
            inits.clone()
        } else {
            vec![(Range::ALL, LowBits::NONE); inits.len()]
        };
        for round in 0..=ROUNDS {
            if round == ROUNDS {
                assumed.fill((Range::ALL, LowBits::NONE));
            }
            for (&arg, &(range, low)) in carried.iter().zip(&assumed) {
                self.set(arg, range, low);
            }
            self.block(body, depth + 1);
            let next: Vec<(Range, LowBits)> = assumed
                .iter()
                .zip(&yields)
                .map(|(&(range, low), &y)| {
                    let (found, found_low) = known(self, y);
                    // A range that grows would grow on each trip.
                    let range = if range.join(found) == range { range } else { Range::ALL };
                    (range, low.join(found_low))
                })
                .collect();
            if next == assumed {
                break;
            }
            assumed = next;
        }
        for (&result, (range, low)) in op.results.iter().zip(assumed) {
            self.set(result, range, low);
        }
    }

    fn op(&mut self, op: &OpData) {
        let &[result] = op.results.as_slice() else { return };
        if self.kernel.ty(result) != Type::Scalar {
            return;
        }
        let operands: Vec<Fact> = op.operands.iter().map(|&v| self.get(v).clone()).collect();
        let (range, low) = match operands.as_slice() {
            [a, b] => binary(op.opcode, a, b),
            [_, b, c] if op.opcode == Opcode::SSelect => (b.range.join(c.range), b.low.join(c.low)),
            _ => (self.leaf(op), LowBits::NONE),
        };
        let fact = Fact::new(result, range, low);
        self.facts[result.index()] = match self.linear(op, &operands) {
            // A sum whose range would wrap is not the sum of its parts.
            Some(linear) if fact.range != Range::ALL => Fact { linear, ..fact },
            _ => fact,
        };
    }

    /// The range of a scalar that comes from no two scalars.
    fn leaf(&self, op: &OpData) -> Range {
        let of = |elem: Elem| match elem {
            Elem::I8 => Range { lo: i64::from(i8::MIN), hi: i64::from(i8::MAX) },
            Elem::U8 => Range { lo: 0, hi: i64::from(u8::MAX) },
            Elem::I16 => Range { lo: i64::from(i16::MIN), hi: i64::from(i16::MAX) },
            Elem::I32 | Elem::Bf16 | Elem::F32 => Range::ALL,
        };
        let vector = op.operands.first().map(|&v| self.kernel.ty(v));
        match (op.opcode, &op.imm, &op.address) {
            (Opcode::SConst, Imm::Int(value), _) => Range::constant(i64::from(*value as i32)),
            (Opcode::SClz, ..) => Range { lo: 0, hi: 32 },
            (Opcode::SLoad, _, Some(address)) => of(self.kernel.param(address.param).elem),
            (Opcode::GetLane | Opcode::ReduceMax | Opcode::ReduceMin, ..) => match vector {
                Some(Type::Vector { elem, .. }) => of(elem),
                _ => Range::ALL,
            },
            _ => Range::ALL,
        }
    }

    fn linear(&self, op: &OpData, operands: &[Fact]) -> Option<Linear> {
        let [a, b] = operands else { return None };
        match op.opcode {
            Opcode::SAdd => a.linear.clone().plus(1, &b.linear),
            Opcode::SSub => a.linear.clone().plus(-1, &b.linear),
            Opcode::SMul => match (a.range.exact(), b.range.exact()) {
                (Some(factor), _) => Linear::default().plus(factor, &b.linear),
                (_, Some(factor)) => Linear::default().plus(factor, &a.linear),
                _ => None,
            },
            Opcode::SShl => Linear::default().plus(1 << (b.range.exact()? & 31), &a.linear),
            _ => None,
        }
    }
}

/// Range and low bits of a scalar operation on two scalars; everything for other operations.
fn binary(opcode: Opcode, a: &Fact, b: &Fact) -> (Range, LowBits) {
    let (x, y) = (a.range, b.range);
    let corners = |f: fn(i64, i64) -> i64| {
        let all = [f(x.lo, y.lo), f(x.lo, y.hi), f(x.hi, y.lo), f(x.hi, y.hi)];
        Range::fits(all.into_iter().fold(i64::MAX, i64::min), all.into_iter().fold(i64::MIN, i64::max))
    };
    let count = y.exact().map(|c| (c & 31) as u32);
    let shifted_down =
        |c: u32| LowBits::new(a.low.known.saturating_sub(c), a.low.value.checked_shr(c).unwrap_or(0));
    match opcode {
        Opcode::SAdd => (Range::fits(x.lo + y.lo, x.hi + y.hi), a.low.add(b.low)),
        Opcode::SSub => (Range::fits(x.lo - y.hi, x.hi - y.lo), a.low.sub(b.low)),
        Opcode::SMul => (corners(|a, b| a * b), a.low.mul(b.low)),
        Opcode::SMin => (Range { lo: x.lo.min(y.lo), hi: x.hi.min(y.hi) }, a.low.join(b.low)),
        Opcode::SMax => (Range { lo: x.lo.max(y.lo), hi: x.hi.max(y.hi) }, a.low.join(b.low)),
        Opcode::SDiv => match y.exact() {
            Some(d) if d > 0 => {
                let low = if d & (d - 1) == 0 && a.low.zeros() >= d.trailing_zeros() {
                    LowBits::new(a.low.zeros() - d.trailing_zeros(), 0)
                } else {
                    LowBits::NONE
                };
                (Range { lo: x.lo / d, hi: x.hi / d }, low)
            }
            _ => (Range::ALL, LowBits::NONE),
        },
        Opcode::SAnd => {
            let low = a.low.bitwise(b.low, |a, b| match (a, b) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            });
            // A mask that is not negative bounds the result.
            let bounds = [x, y].into_iter().filter(|r| r.lo >= 0).map(|r| r.hi).min();
            (bounds.map_or(Range::ALL, |hi| Range { lo: 0, hi }), low)
        }
        Opcode::SOr => {
            let low = a.low.bitwise(b.low, |a, b| match (a, b) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            });
            (Range::ALL, low)
        }
        Opcode::SXor => (Range::ALL, a.low.bitwise(b.low, |a, b| Some(a? ^ b?))),
        Opcode::SShl => match count {
            Some(c) => (Range::fits(x.lo << c, x.hi << c), LowBits::new(a.low.known + c, a.low.value << c)),
            None => (Range::ALL, LowBits::NONE),
        },
        Opcode::SAshr => match count {
            Some(c) => (Range { lo: x.lo >> c, hi: x.hi >> c }, shifted_down(c)),
            None => (Range { lo: x.lo.min(0), hi: x.hi.max(0) }, LowBits::NONE),
        },
        Opcode::SLshr => match count {
            Some(c) if x.lo >= 0 => (Range { lo: x.lo >> c, hi: x.hi >> c }, shifted_down(c)),
            Some(c) if c > 0 => (Range { lo: 0, hi: i64::from(u32::MAX >> c) }, shifted_down(c)),
            _ => (Range::ALL, LowBits::NONE),
        },
        Opcode::SLt | Opcode::SEq => (Range { lo: 0, hi: 1 }, LowBits::NONE),
        _ => (Range::ALL, LowBits::NONE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fact(value: u32, known: u32, spread: (i32, i32)) -> (Fact, i32) {
        let lo = i64::from(spread.0.min(spread.1));
        let hi = i64::from(spread.0.max(spread.1));
        // A member of the range that also has the known bits: the range's own member, whose low
        // bits then are the known ones.
        let member = lo + i64::from(value) % (hi - lo + 1);
        let low = LowBits::new(known, member as u32);
        (Fact::new(ValueId(0), Range { lo, hi }, low), member as i32)
    }

    proptest! {
        /// What is known about operands covers what the operation gives.
        #[test]
        fn facts_hold(
            a in (any::<u32>(), 0u32..=32, (any::<i32>(), any::<i32>())),
            b in (any::<u32>(), 0u32..=32, (-40i32..40, -40i32..40)),
            swap in any::<bool>(),
        ) {
            let (mut a, mut b) = (fact(a.0, a.1, a.2), fact(b.0, b.1, b.2));
            if swap {
                std::mem::swap(&mut a, &mut b);
            }
            let (x, y) = (a.1, b.1);
            let cases = [
                (Opcode::SAdd, x.wrapping_add(y)),
                (Opcode::SSub, x.wrapping_sub(y)),
                (Opcode::SMul, x.wrapping_mul(y)),
                (Opcode::SDiv, if y == 0 { 0 } else { x.wrapping_div(y) }),
                (Opcode::SMin, x.min(y)),
                (Opcode::SMax, x.max(y)),
                (Opcode::SAnd, x & y),
                (Opcode::SOr, x | y),
                (Opcode::SXor, x ^ y),
                (Opcode::SShl, x.wrapping_shl(y as u32)),
                (Opcode::SAshr, x.wrapping_shr(y as u32)),
                (Opcode::SLshr, (x as u32).wrapping_shr(y as u32) as i32),
                (Opcode::SLt, i32::from(x < y)),
                (Opcode::SEq, i32::from(x == y)),
            ];
            for (opcode, value) in cases {
                let (range, low) = binary(opcode, &a.0, &b.0);
                prop_assert!(range.lo <= i64::from(value) && i64::from(value) <= range.hi, "{opcode} {x} {y}: {value} {range:?}");
                prop_assert_eq!(low, LowBits::new(low.known, value as u32), "{} {} {}", opcode, x, y);
                prop_assert!(value == 0 || value.trailing_zeros() >= low.zeros());
            }
        }
    }
}
