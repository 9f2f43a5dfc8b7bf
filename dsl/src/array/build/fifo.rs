//! The handle of a FIFO under construction.

use super::DesignBuilder;
use crate::array::ir::{Dim, Fifo, FifoId, Tile};

/// A FIFO of a [`DesignBuilder`]; copies freely and stands for its [`FifoId`].
#[derive(Clone, Copy)]
pub struct FifoRef<'d> {
    design: &'d DesignBuilder,
    id: FifoId,
}

impl<'d> FifoRef<'d> {
    pub(super) fn new(design: &'d DesignBuilder, id: FifoId) -> FifoRef<'d> {
        FifoRef { design, id }
    }

    /// Its id in the design.
    pub fn id(self) -> FifoId {
        self.id
    }

    fn edit(self, change: impl FnOnce(&mut Fifo)) -> Self {
        change(&mut self.design.state.borrow_mut().fifos[self.id.index()]);
        self
    }

    /// Objects held at each end: the producer's, then each consumer's in order.
    pub fn depths(self, depths: impl IntoIterator<Item = u32>) -> Self {
        self.edit(|f| f.depths = depths.into_iter().collect())
    }

    /// `depth` objects at every end.
    pub fn depth(self, depth: u32) -> Self {
        self.edit(|f| f.depths = vec![depth; f.consumers.len() + 1])
    }

    /// Order in which the producer's DMA reads an object: (size, stride) in elements, outermost
    /// first.
    pub fn to_stream(self, dims: impl IntoIterator<Item = (u32, u32)>) -> Self {
        self.edit(|f| f.to_stream = collect(dims))
    }

    /// Each object is sent `times` before the producer gets it back: `repeat_count`. Always through DMAs.
    pub fn repeat(self, times: u32) -> Self {
        self.edit(|f| f.repeat = times)
    }

    /// Bytes of the producer's objects at start, which count as filled: one block an object, as many as the
    /// producer's depth.
    pub fn init(self, objects: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.edit(|f| f.init = objects.into_iter().collect())
    }

    /// Through DMAs also where both ends could share memory: `via_DMA`.
    pub fn via_dma(self) -> Self {
        self.edit(|f| f.via_dma = true)
    }

    /// The objects of two ends that share memory lie in that of `tile`, which both reach: `aie.objectfifo.allocate`.
    pub fn in_memory_of(self, tile: Tile) -> Self {
        self.edit(|f| f.memory = Some(tile))
    }

    /// Order in which the DMA of `consumer` writes an object: (size, stride) in elements,
    /// outermost first. A tile that consumes nothing here is recorded and refused by verify.
    pub fn from_stream(self, consumer: Tile, dims: impl IntoIterator<Item = (u32, u32)>) -> Self {
        self.edit(|f| match f.consumers.iter().position(|&c| c == consumer) {
            Some(at) => f.from_stream[at] = collect(dims),
            None => f.from_stream.push(collect(dims)),
        })
    }
}

impl From<FifoRef<'_>> for FifoId {
    fn from(fifo: FifoRef<'_>) -> FifoId {
        fifo.id
    }
}

fn collect(dims: impl IntoIterator<Item = (u32, u32)>) -> Vec<Dim> {
    dims.into_iter().map(|(size, stride)| Dim { size, stride }).collect()
}
