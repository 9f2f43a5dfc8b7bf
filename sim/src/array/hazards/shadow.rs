//! Who last wrote each byte of a memory, and who has read it since.

use smallvec::SmallVec;
use std::collections::BTreeMap;

/// An access by an agent, at a point of its own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Dense index of the agent.
    pub agent: u32,
    /// Its time.
    pub clock: u32,
    /// What it did, in its own terms.
    pub site: u32,
}

/// Bytes that an agent reads or writes.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// First byte.
    pub from: u64,
    /// The byte behind the last.
    pub to: u64,
    /// Who, when and at what.
    pub stamp: Stamp,
}

/// What has been written to bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Nothing.
    Never,
    /// Something, before the run.
    Before,
    /// This.
    By(Stamp),
}

/// What an access finds wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// It reads what nothing has written.
    Unwritten,
    /// It reads what this may be writing.
    ReadAfterWrite(Stamp),
    /// It writes what this may be writing.
    WriteAfterWrite(Stamp),
    /// It writes what this may be reading.
    WriteAfterRead(Stamp),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment {
    end: u64,
    written: Written,
    /// Reads since then that no other of these is known to follow.
    reads: SmallVec<[Stamp; 2]>,
}

/// The state of a memory, in segments of bytes with the same history.
#[derive(Clone, Debug)]
pub struct Shadow {
    segments: BTreeMap<u64, Segment>,
}

impl Shadow {
    /// Memory of a size.
    pub fn new(bytes: u64, written: Written) -> Shadow {
        let whole = Segment { end: bytes, written, reads: SmallVec::new() };
        Shadow { segments: BTreeMap::from([(0, whole)]) }
    }

    /// Number of segments.
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    /// Bytes that hold something before the run.
    pub fn initialise(&mut self, from: u64, to: u64) {
        self.replace(from, to, Written::Before);
    }

    /// Whether a write of `from..to` would overwrite one that is not known to the writer.
    pub fn overwrites(&self, from: u64, to: u64, known: impl Fn(Stamp) -> bool) -> bool {
        let first = self.segments.range(..=from).next_back().map_or(from, |s| *s.0);
        let unknown = |written: Written| matches!(written, Written::By(by) if !known(by));
        self.segments.range(first..to).any(|(_, s)| s.end > from && unknown(s.written))
    }

    /// A write; `known` says whether an access is known to the writer, `found` takes what is wrong with which bytes.
    pub fn write(
        &mut self,
        Span { from, to, stamp }: Span,
        known: impl Fn(Stamp) -> bool,
        mut found: impl FnMut(u64, u64, Fault),
    ) {
        self.cut(from, to);
        for (&start, segment) in self.segments.range(from..to) {
            match segment.written {
                Written::By(by) if !known(by) => found(start, segment.end, Fault::WriteAfterWrite(by)),
                _ => {}
            }
            for &by in segment.reads.iter().filter(|&&by| !known(by)) {
                found(start, segment.end, Fault::WriteAfterRead(by));
            }
        }
        self.replace(from, to, Written::By(stamp));
    }

    /// A read, as [`Shadow::write`].
    pub fn read(
        &mut self,
        Span { from, to, stamp }: Span,
        known: impl Fn(Stamp) -> bool,
        mut found: impl FnMut(u64, u64, Fault),
    ) {
        self.cut(from, to);
        let mut parts = 0;
        for (&start, segment) in self.segments.range_mut(from..to) {
            match segment.written {
                Written::Never => found(start, segment.end, Fault::Unwritten),
                Written::By(by) if !known(by) => found(start, segment.end, Fault::ReadAfterWrite(by)),
                _ => {}
            }
            // Who is ordered after this read is ordered after all that it follows.
            segment.reads.retain(|by| !known(*by));
            segment.reads.push(stamp);
            parts += 1;
        }
        if parts > 1 {
            self.merge(from, to);
        }
    }

    /// Makes segments begin at `from` and end at `to`.
    fn cut(&mut self, from: u64, to: u64) {
        for at in [from, to] {
            let Some((&start, segment)) = self.segments.range_mut(..at).next_back() else { continue };
            if start < at && at < segment.end {
                let behind = segment.clone();
                segment.end = at;
                self.segments.insert(at, behind);
            }
        }
    }

    /// One segment without reads.
    fn replace(&mut self, from: u64, to: u64, written: Written) {
        self.cut(from, to);
        let inner: SmallVec<[u64; 8]> =
            self.segments.range(from + 1..to.max(from + 1)).map(|s| *s.0).collect();
        for start in inner {
            self.segments.remove(&start);
        }
        if let Some(segment) = self.segments.get_mut(&from) {
            *segment = Segment { end: to, written, reads: SmallVec::new() };
        }
    }

    /// Joins neighbours with the same history.
    fn merge(&mut self, from: u64, to: u64) {
        let starts: SmallVec<[u64; 8]> = self.segments.range(from..to).map(|s| *s.0).collect();
        let mut first = starts[0];
        for &start in &starts[1..] {
            let Some(next) = self.segments.get(&start).cloned() else { continue };
            let Some(before) = self.segments.get_mut(&first) else { continue };
            if before.written == next.written && before.reads == next.reads {
                before.end = next.end;
                self.segments.remove(&start);
            } else {
                first = start;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Shadow, Span, Stamp, Written};
    use proptest::prelude::*;

    /// The same byte by byte.
    #[derive(Clone)]
    struct Byte {
        written: Written,
        reads: Vec<Stamp>,
    }

    proptest! {
        #[test]
        fn segments_find_what_single_bytes_do(
            accesses in prop::collection::vec((0u64..40, 1u64..24, any::<bool>(), 0u32..3, 0u32..12), 1..40),
        ) {
            const BYTES: u64 = 64;
            let mut shadow = Shadow::new(BYTES, Written::Never);
            shadow.initialise(8, 16);
            let mut bytes = vec![Byte { written: Written::Never, reads: Vec::new() }; BYTES as usize];
            bytes[8..16].iter_mut().for_each(|b| b.written = Written::Before);
            for (clock, (from, len, write, agent, horizon)) in accesses.into_iter().enumerate() {
                let to = (from + len).min(BYTES);
                let stamp = Stamp { agent, clock: clock as u32, site: 0 };
                // An agent knows itself, and all that is old enough.
                let known = |by: Stamp| by.agent == agent || by.clock + horizon <= clock as u32;
                let mut got = Vec::new();
                let found = |a, b, fault| (a..b).for_each(|at| got.push((at, fault)));
                let unknown = |b: &Byte| matches!(b.written, Written::By(by) if !known(by));
                let expected = bytes[from as usize..to as usize].iter().any(unknown);
                prop_assert_eq!(shadow.overwrites(from, to, known), expected);
                let span = Span { from, to, stamp };
                if write { shadow.write(span, known, found) } else { shadow.read(span, known, found) }
                let mut expected = Vec::new();
                for at in from..to {
                    let byte = &mut bytes[at as usize];
                    match byte.written {
                        Written::Never if !write => expected.push((at, Fault::Unwritten)),
                        Written::By(by) if !known(by) => expected.push((at, if write { Fault::WriteAfterWrite(by) } else { Fault::ReadAfterWrite(by) })),
                        _ => {}
                    }
                    if write {
                        expected.extend(byte.reads.iter().filter(|&&by| !known(by)).map(|&by| (at, Fault::WriteAfterRead(by))));
                        *byte = Byte { written: Written::By(stamp), reads: Vec::new() };
                    } else {
                        byte.reads.retain(|&by| !known(by));
                        byte.reads.push(stamp);
                    }
                }
                got.sort_by_key(|g| g.0);
                prop_assert_eq!(got, expected);
            }
            prop_assert!(shadow.len() <= BYTES as usize);
        }
    }
}
