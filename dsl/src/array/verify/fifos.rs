//! FIFOs: depths, object sizes, and the orders in which DMAs walk objects.

use super::{ArrayError, Check};
use crate::array::ir::{Dim, Fifo, FifoId, Port, Tile};
use crate::array::lower::{both_reach, ends_used, link_of, plan, shared_memory};
use crate::device::{TileDma, TileKind};
use crate::sequence::Command;

impl Check<'_> {
    /// Every FIFO on its own.
    pub(super) fn fifos(&mut self) {
        for (at, fifo) in self.design.fifos.iter().enumerate() {
            let (name, loc) = (&fifo.name, &fifo.loc);
            if fifo.consumers.is_empty() {
                self.push(ArrayError::NoConsumer { fifo: name.clone(), loc: loc.clone() });
            }
            for (i, &tile) in fifo.consumers.iter().enumerate() {
                if fifo.consumers[..i].contains(&tile) {
                    self.push(ArrayError::ConsumerTwice { fifo: name.clone(), tile, loc: loc.clone() });
                }
            }
            let (got, ends) = (fifo.depths.len(), fifo.consumers.len() + 1);
            if got != ends {
                self.push(ArrayError::DepthCount { fifo: name.clone(), got, ends, loc: loc.clone() });
            }
            let tiles = std::iter::once(&fifo.producer).chain(&fifo.consumers);
            for (&tile, _) in tiles.zip(&fifo.depths).filter(|&(_, &d)| d == 0) {
                self.push(ArrayError::DepthZero { fifo: name.clone(), tile, loc: loc.clone() });
            }
            let (got, consumers) = (fifo.from_stream.len(), fifo.consumers.len());
            if got != consumers {
                self.push(ArrayError::FromStreamCount {
                    fifo: name.clone(),
                    got,
                    consumers,
                    loc: loc.clone(),
                });
            }
            let (bytes, granule) = (fifo.object.bytes(), self.device.dma.granule_bytes());
            if bytes == 0 || bytes % u64::from(granule) != 0 {
                self.push(ArrayError::ObjectBytes { fifo: name.clone(), bytes, granule, loc: loc.clone() });
            }
            self.repeat_and_init(fifo);
            self.shared_objects(FifoId(at as u32));
            self.ends_in_use(FifoId(at as u32));
        }
        self.transfers();
    }

    /// What a producer has at start, and how often it sends.
    fn repeat_and_init(&mut self, fifo: &Fifo) {
        let (name, tile, loc) = (|| fifo.name.clone(), fifo.producer, || fifo.loc.clone());
        let at_shim = self.device.tile_kind(tile) == Some(TileKind::Shim);
        let max = self.device.locks.max_value();
        if !(1..=max).contains(&fifo.repeat) {
            self.push(ArrayError::Repeat { fifo: name(), times: fifo.repeat, max, loc: loc() });
        }
        if at_shim && fifo.repeat != 1 {
            let (what, help) = ("a repeat count", "repeat the copy in the runtime sequence");
            self.push(ArrayError::AtShim { fifo: name(), tile, what, help, loc: loc() });
        }
        if fifo.init.is_empty() {
            return;
        }
        if at_shim {
            let (what, help) = ("initial objects", "write them to the host buffer");
            self.push(ArrayError::AtShim { fifo: name(), tile, what, help, loc: loc() });
        }
        let (got, depth) = (fifo.init.len(), fifo.depths.first().copied().unwrap_or(0));
        if got as u64 != u64::from(depth) {
            self.push(ArrayError::InitCount { fifo: name(), tile, got, depth, loc: loc() });
        }
        let bytes = fifo.object.bytes();
        for (at, object) in fifo.init.iter().enumerate().filter(|(_, o)| o.len() as u64 != bytes) {
            self.push(ArrayError::ObjectInit { fifo: name(), at, got: object.len(), bytes, loc: loc() });
        }
    }

    /// Whose memory the objects of shared ends lie in.
    fn shared_objects(&mut self, id: FifoId) {
        let fifo = self.design.fifo(id);
        let Some(tile) = fifo.memory else { return };
        let (why, help) = if shared_memory(self.design, self.device, id).is_none() {
            (
                "DMAs carry it, so each end holds objects of its own",
                "leave it out, or use neighbours without a link",
            )
        } else if !both_reach(self.design, self.device, id, tile) {
            (
                "not both of its cores reach that",
                "a core reaches its own memory and those above, below and on the left",
            )
        } else {
            return;
        };
        let (fifo, loc) = (fifo.name.clone(), fifo.loc.clone());
        self.push(ArrayError::MemoryOf { fifo, tile, why, help, loc });
    }

    /// Every end must be moved by something: a core, a link, or the runtime sequence.
    fn ends_in_use(&mut self, id: FifoId) {
        let fifo = self.design.fifo(id);
        let shim = |tile| self.device.tile_kind(tile) == Some(TileKind::Shim);
        let ends = std::iter::once((Port::Produce, fifo.producer))
            .chain(fifo.consumers.iter().map(|&tile| (Port::Consume, tile)));
        let mut shims = 0;
        let mut unused = Vec::new();
        for (port, tile) in ends {
            if shim(tile) {
                shims += 1;
            } else if link_of(self.design, id, port, tile).is_none() {
                let used = self
                    .design
                    .cores
                    .iter()
                    .filter(|c| c.tile == tile)
                    .any(|c| ends_used(c).contains(&(id, port)));
                let filled = port == Port::Produce && !fifo.init.is_empty();
                if !used && !filled {
                    unused.push((port, tile));
                }
            }
        }
        let (name, loc) = (fifo.name.clone(), fifo.loc.clone());
        for (port, tile) in unused {
            self.push(ArrayError::EndUnused { fifo: name.clone(), port, tile, loc: loc.clone() });
        }
        let moved = |c: &Command| matches!(c, Command::Copy { fifo, .. } if *fifo == id);
        match shims {
            0 => {}
            1 if self.design.sequence.commands.iter().any(moved) => {}
            1 => self.push(ArrayError::ShimUnused { fifo: name, loc }),
            _ => self.push(ArrayError::ShimToShim { fifo: name, loc }),
        }
    }

    /// The length and order of every DMA transfer.
    fn transfers(&mut self) {
        let (design, device) = (self.design, self.device);
        let plan = plan(design, device);
        for end in &plan.ends {
            let Some(kind) = device.tile_kind(end.tile) else { continue };
            let fifo = design.fifo(end.fifo);
            let pool = &plan.pools[end.pool];
            let dma = device.tile_dma(kind);
            if kind == TileKind::Shim {
                if !end.dims.is_empty() {
                    let (fifo, tile, loc) = (fifo.name.clone(), end.tile, fifo.loc.clone());
                    self.push(ArrayError::DimsAtShim { fifo, tile, loc });
                }
                continue;
            }
            let limit_bytes = u64::from(dma.bd_max_words()) * 4;
            let lengths = pool.parts.iter().enumerate().filter(|(i, _)| end.part.is_none_or(|p| p == *i));
            for (_, part) in lengths {
                let bytes = part.len_bytes;
                if bytes > limit_bytes {
                    let (fifo, tile, loc) = (fifo.name.clone(), end.tile, fifo.loc.clone());
                    self.push(ArrayError::BdTooLong { fifo, tile, bytes, limit_bytes, loc });
                }
                if !end.dims.is_empty() {
                    let elem_bytes = pool.object.elem.bytes();
                    let transfer = Transfer { elem_bytes, elements: bytes / u64::from(elem_bytes), dma };
                    self.order(end.fifo, end.tile, &end.dims, &transfer);
                }
            }
        }
    }

    fn order(&mut self, id: FifoId, tile: Tile, dims: &[Dim], transfer: &Transfer<'_>) {
        let fifo = self.design.fifo(id).name.clone();
        let loc = self.design.fifo(id).loc.clone();
        let Transfer { elem_bytes, elements, dma } = *transfer;
        let limit = dma.bd_dims();
        if dims.len() > limit as usize {
            let (got, fifo, loc) = (dims.len(), fifo.clone(), loc.clone());
            self.push(ArrayError::DimCount { fifo, tile, got, limit, loc });
        }
        let visited: u64 = dims.iter().map(|d| u64::from(d.size)).product();
        if visited != elements {
            let (fifo, loc) = (fifo.clone(), loc.clone());
            self.push(ArrayError::DimsCover { fifo, tile, visited, elements, loc });
        }
        let index: u64 = dims.iter().map(|d| u64::from(d.size.saturating_sub(1)) * u64::from(d.stride)).sum();
        if index >= elements {
            let (fifo, loc) = (fifo.clone(), loc.clone());
            self.push(ArrayError::DimsOutside { fifo, tile, index, elements, loc });
        }
        let granule = self.device.dma.granule_bytes();
        let sub_word = elem_bytes < granule;
        let last = dims.len() - 1;
        for (dim, d) in dims.iter().enumerate() {
            let (fifo, loc) = (fifo.clone(), loc.clone());
            let innermost = dim == last;
            if innermost && sub_word && d.stride != 1 {
                let (fifo, loc) = (fifo.clone(), loc.clone());
                self.push(ArrayError::InnerStride { fifo, tile, stride: d.stride, elem_bytes, loc });
                continue;
            }
            let (what, counted) = if innermost { ("a size", d.size) } else { ("a stride", d.stride) };
            let bytes = u64::from(counted) * u64::from(elem_bytes);
            if bytes % u64::from(granule) != 0 {
                let (fifo, loc) = (fifo.clone(), loc.clone());
                self.push(ArrayError::DimGranule { fifo, tile, dim, what, bytes, granule, loc });
                continue;
            }
            let size = if innermost { bytes / u64::from(granule) } else { u64::from(d.size) };
            // The outermost dimension has no wrap: it ends with the transfer. A lone innermost
            // dimension of stride 1 is a linear transfer.
            if size == 0 || (dim > 0 && size > u64::from(dma.wrap_max())) {
                let (fifo, loc) = (fifo.clone(), loc.clone());
                self.push(ArrayError::DimSize { fifo, tile, dim, size, limit: dma.wrap_max(), loc });
            }
            let words = if innermost && sub_word {
                1
            } else {
                u64::from(d.stride) * u64::from(elem_bytes) / u64::from(granule)
            };
            let unused = d.size == 1;
            if !unused && (words == 0 || words > u64::from(dma.step_max_words())) {
                self.push(ArrayError::DimStride { fifo, tile, dim, words, limit: dma.step_max_words(), loc });
            }
        }
    }
}

/// One transfer that a list of dimensions must walk.
#[derive(Clone, Copy)]
struct Transfer<'d> {
    elem_bytes: u32,
    elements: u64,
    dma: &'d TileDma,
}
