//! The runtime sequence: copies inside their buffers and the shim DMA's ranges, BDs and queue slots
//! not reused before a wait has freed them.

use super::{ArrayError, Check};
use crate::array::ir::{FifoId, Tile};
use crate::device::TileKind;
use crate::kernel::Loc;
use crate::sequence::{Command, HostBufferId};
use indexmap::IndexMap;
use std::collections::{BTreeMap, VecDeque};

/// A copy that no wait has covered.
struct Pending {
    fifo: FifoId,
    tile: Tile,
    bd: u8,
    token: bool,
    loc: Loc,
}

/// Copies that no wait has covered, numbered as they started.
#[derive(Default)]
struct AllPending {
    started: usize,
    /// Of each FIFO, oldest first.
    copies: IndexMap<FifoId, VecDeque<(usize, Pending)>>,
    /// Where those that use a BD stand.
    bds: IndexMap<(Tile, u8), BTreeMap<usize, Loc>>,
}

impl AllPending {
    fn start(&mut self, copy: Pending) {
        let number = self.started;
        self.started += 1;
        self.bds.entry((copy.tile, copy.bd)).or_default().insert(number, copy.loc.clone());
        self.copies.entry(copy.fifo).or_default().push_back((number, copy));
    }

    /// Ends the copies of a FIFO up to the first with a token: its channel runs them in order. `false` when
    /// none has one; then all stay.
    fn wait(&mut self, fifo: FifoId) -> bool {
        let Some(copies) = self.copies.get_mut(&fifo) else { return false };
        let Some(last) = copies.iter().position(|(_, c)| c.token) else { return false };
        for (number, copy) in copies.drain(..=last) {
            if let Some(of) = self.bds.get_mut(&(copy.tile, copy.bd)) {
                of.remove(&number);
            }
        }
        true
    }
}

struct Copy<'a> {
    fifo: FifoId,
    buffer: HostBufferId,
    offsets: &'a [u64; 4],
    sizes: &'a [u64; 4],
    strides: &'a [u64; 4],
    loc: &'a Loc,
}

impl Check<'_> {
    /// Every command, in order.
    pub(super) fn sequence(&mut self) {
        let sequence = &self.design.sequence;
        let got = sequence.buffers.len();
        let limit = self.device.host.buffers_max() as usize;
        if got > limit {
            self.push(ArrayError::TooManyHostBuffers { got, limit });
        }
        let mut pending = AllPending::default();
        let mut moved: IndexMap<FifoId, u128> = IndexMap::new();
        for command in &sequence.commands {
            let (fifo, loc) = match command {
                Command::Copy { fifo, loc, .. } | Command::Wait { fifo, loc } => (*fifo, loc),
            };
            let Some(tile) = self.shim_end(fifo, loc) else { continue };
            match command {
                Command::Copy { buffer, offsets, sizes, strides, bd_id, issue_token, .. } => {
                    if self.known("host buffer", buffer.0, got, loc) {
                        let copy = Copy { fifo, buffer: *buffer, offsets, sizes, strides, loc };
                        *moved.entry(fifo).or_insert(0) += self.copy(&copy);
                    }
                    self.start(
                        &mut pending,
                        Pending { fifo, tile, bd: *bd_id, token: *issue_token, loc: loc.clone() },
                    );
                }
                Command::Wait { .. } => {
                    if !pending.wait(fifo) {
                        self.push(ArrayError::WaitForNothing {
                            fifo: self.fifo_name(fifo),
                            loc: loc.clone(),
                        });
                    }
                }
            }
        }
        let mut left: Vec<(usize, Pending)> = pending.copies.into_values().flatten().collect();
        left.retain(|(_, p)| p.token && self.drains(p.fifo));
        left.sort_by_key(|(number, _)| *number);
        for (_, Pending { fifo, loc, .. }) in left {
            self.push(ArrayError::DrainNotAwaited { fifo: self.fifo_name(fifo), loc });
        }
        for (fifo, bytes) in moved {
            let object_bytes = self.design.fifo(fifo).object.bytes();
            if object_bytes > 0 && bytes % u128::from(object_bytes) != 0 {
                self.push(ArrayError::PartialObject { fifo: self.fifo_name(fifo), bytes, object_bytes });
            }
        }
    }

    fn shim_end(&mut self, fifo: FifoId, loc: &Loc) -> Option<Tile> {
        if !self.known("fifo", fifo.0, self.design.fifos.len(), loc) {
            return None;
        }
        let f = self.design.fifo(fifo);
        let mut ends = std::iter::once(f.producer).chain(f.consumers.iter().copied());
        let shim = ends.find(|&t| self.device.tile_kind(t) == Some(TileKind::Shim));
        if shim.is_none() {
            self.push(ArrayError::NoShimEnd { fifo: self.fifo_name(fifo), loc: loc.clone() });
        }
        shim
    }

    /// Whether copies of a FIFO bring data to host memory.
    fn drains(&self, fifo: FifoId) -> bool {
        self.device.tile_kind(self.design.fifo(fifo).producer) != Some(TileKind::Shim)
    }

    fn start(&mut self, pending: &mut AllPending, copy: Pending) {
        let fifo = self.fifo_name(copy.fifo);
        let loc = || copy.loc.clone();
        if self.drains(copy.fifo) && !copy.token {
            self.push(ArrayError::DrainWithoutToken { fifo: fifo.clone(), loc: loc() });
        }
        let bds = self.device.shim.dma.bds();
        if u32::from(copy.bd) >= bds {
            self.push(ArrayError::CopyBd { fifo: fifo.clone(), bd: copy.bd, max: bds - 1, loc: loc() });
        }
        if let Some(busy) = pending.bds.get(&(copy.tile, copy.bd)).and_then(|of| of.first_key_value()) {
            let (bd, tile, first) = (copy.bd, copy.tile, busy.1.clone());
            self.push(ArrayError::BdBusy { fifo: fifo.clone(), bd, tile, first, loc: loc() });
        }
        let limit = self.device.dma.task_queue_depth();
        let got = pending.copies.get(&copy.fifo).map_or(0, VecDeque::len) + 1;
        if got as u64 > u64::from(limit) {
            self.push(ArrayError::QueueFull { fifo, got, limit, loc: loc() });
        }
        pending.start(copy);
    }

    /// The ranges of one copy; returns the bytes it moves.
    fn copy(&mut self, copy: &Copy<'_>) -> u128 {
        let buffer = &self.design.sequence.buffers[copy.buffer.index()];
        let elem = u64::from(buffer.ty.elem.bytes());
        let fifo = self.fifo_name(copy.fifo);
        let steps = || copy.offsets.iter().zip(copy.sizes).zip(copy.strides);
        // The innermost offset counts elements whatever its stride.
        let reach = |(d, ((&offset, &size), &stride)): (usize, ((&u64, &u64), &u64))| {
            let step = if d == 3 { 1 } else { stride };
            u128::from(offset) * u128::from(step) + u128::from(size.saturating_sub(1)) * u128::from(stride)
        };
        let index: u128 = steps().enumerate().map(reach).sum();
        let elements = buffer.ty.elements();
        if index >= u128::from(elements) && !copy.sizes.contains(&0) {
            self.push(ArrayError::CopyPastBuffer {
                fifo: fifo.clone(),
                buffer: buffer.name.clone(),
                index,
                elements,
                loc: copy.loc.clone(),
            });
        }
        let start: u128 = steps()
            .enumerate()
            .map(|(d, ((&o, _), &s))| u128::from(o) * u128::from(if d == 3 { 1 } else { s }))
            .sum();
        let granule = self.device.dma.granule_bytes();
        self.granule(copy, "the first byte", start * u128::from(elem), granule);
        self.sizes(copy, &fifo, elem, granule);
        self.strides(copy, &fifo, elem, granule);
        copy.sizes.iter().map(|&s| u128::from(s)).product::<u128>() * u128::from(elem)
    }

    fn granule(&mut self, copy: &Copy<'_>, what: &str, bytes: u128, granule: u32) {
        if !bytes.is_multiple_of(u128::from(granule)) {
            let (fifo, what, loc) = (self.fifo_name(copy.fifo), what.to_owned(), copy.loc.clone());
            self.push(ArrayError::CopyGranule { fifo, what, bytes, granule, loc });
        }
    }

    fn sizes(&mut self, copy: &Copy<'_>, fifo: &str, elem: u64, granule: u32) {
        let dma = &self.device.shim.dma;
        let (wrap, iterations) = (u64::from(dma.wrap_max()), u64::from(dma.iteration_max()));
        let [s3, s2, s1, s0] = *copy.sizes;
        self.granule(copy, "the innermost size", u128::from(s0) * u128::from(elem), granule);
        let words = s0.saturating_mul(elem) / u64::from(granule);
        let linear = copy.strides[3] == 1 && s1 == 1 && s2 == 1;
        let inner_max = if linear { u64::MAX / 8 } else { wrap };
        let repeat = "split the copy: repeats beyond the limit read one address";
        let split = "use an outer dimension";
        for (dim, size, max, unit, help) in [
            (0, s3, iterations, "repeats", repeat),
            (1, s2, u64::MAX, "steps", split),
            (2, s1, wrap, "steps", split),
            (3, words, inner_max, "words", split),
        ] {
            if size == 0 || size > max {
                let (fifo, loc) = (fifo.to_owned(), copy.loc.clone());
                self.push(ArrayError::CopySize { fifo, dim, size, min: 1, max, unit, help, loc });
            }
        }
    }

    fn strides(&mut self, copy: &Copy<'_>, fifo: &str, elem: u64, granule: u32) {
        let max_words = u64::from(self.device.shim.dma.step_max_words());
        let max = max_words * u64::from(granule) / elem;
        for (dim, (&size, &stride)) in copy.sizes.iter().zip(copy.strides).enumerate() {
            let inner = dim == 3;
            // A stride is only encoded where there is a second step; the repeat may stay in place.
            if size <= 1 {
                continue;
            }
            let sub_word = inner && elem < u64::from(granule);
            let min = u64::from(dim != 0);
            let max = if sub_word { 1 } else { max };
            if stride < min || stride > max {
                let (fifo, loc) = (fifo.to_owned(), copy.loc.clone());
                self.push(ArrayError::CopyStride { fifo, dim, stride, min, max, loc });
            } else if !sub_word {
                let what = format!("the stride of dimension {dim} (outermost first)");
                self.granule(copy, &what, u128::from(stride) * u128::from(elem), granule);
            }
        }
    }
}
