//! The staged builder of a design: tiles, FIFOs, links, cores and the runtime sequence, in the
//! order and with the words of the MLIR that comes out.
//!
//! Nothing here can fail: what does not make sense is recorded as written and refused, with the
//! author's file and line, by [`super::verify`].

mod core;
mod fifo;
mod sequence;

pub use core::{CoreBuilder, IntoArgs, SwitchBuilder};
pub use fifo::FifoRef;
pub use sequence::{CopyRef, SequenceBuilder};

use super::ir::{
    Cascade, Core, CoreId, Design, Fifo, FifoId, KernelId, Link, LocalBuffer, LocalId, MemType, Tile,
};
use crate::array::lower::tiles_used;
use crate::kernel::{Kernel, Loc};
use crate::sequence::Sequence;
use crate::verified::Verified;
use std::cell::RefCell;
use std::sync::Arc;

/// Builds a [`Design`]; methods take `&self`, so that handles and closures can nest.
///
/// ```
/// use kiln_dsl::array::{DesignBuilder, MemType, Port, Tile};
/// use kiln_dsl::kernel::Elem;
///
/// let d = DesignBuilder::new("through", "Host bytes through one mem tile and back.");
/// let [shim, mem] = [Tile::new(0, 0), Tile::new(0, 1)];
/// let bytes = MemType::flat(Elem::I8, 1024);
/// let down = d.fifo("down", shim, [mem], bytes.clone());
/// let up = d.fifo("up", mem, [shim], bytes);
/// d.link([down], [up]);
/// d.sequence(|s| {
///     let x = s.buffer("x", MemType::flat(Elem::I8, 65536));
///     let y = s.buffer("y", MemType::flat(Elem::I8, 65536));
///     s.copy_linear(x, down, 0, 65536);
///     s.copy_linear(y, up, 0, 65536);
///     s.wait(up);
/// });
/// let design = d.build();
/// assert_eq!(design.fifos.len(), 2);
/// # let _ = Port::Produce;
/// ```
pub struct DesignBuilder {
    state: RefCell<Design>,
    automatic_locals: RefCell<Vec<core::AutomaticLocal>>,
}

impl DesignBuilder {
    /// An empty design on all columns that its tiles need.
    pub fn new(name: impl Into<String>, doc: impl Into<String>) -> DesignBuilder {
        DesignBuilder {
            state: RefCell::new(Design {
                name: name.into(),
                doc: doc.into(),
                columns: 0,
                kernels: Vec::new(),
                fifos: Vec::new(),
                links: Vec::new(),
                locals: Vec::new(),
                cascades: Vec::new(),
                cores: Vec::new(),
                sequence: Sequence::default(),
            }),
            automatic_locals: RefCell::new(Vec::new()),
        }
    }

    /// Columns of the partition, from column 0; without this call, as many as the tiles span.
    pub fn columns(&self, columns: u8) {
        self.state.borrow_mut().columns = columns;
    }

    /// Adds a kernel that cores may call. The same kernel added twice is two instances with
    /// their own automatic locals.
    pub fn kernel(&self, kernel: Arc<Verified<Kernel>>) -> KernelId {
        let mut design = self.state.borrow_mut();
        design.kernels.push(kernel);
        KernelId((design.kernels.len() - 1) as u32)
    }

    /// An object FIFO of `object`s, double-buffered at each end unless [`FifoRef::depths`] says
    /// otherwise. Several consumers are a broadcast.
    #[track_caller]
    pub fn fifo(
        &self,
        name: impl Into<String>,
        producer: Tile,
        consumers: impl IntoIterator<Item = Tile>,
        object: MemType,
    ) -> FifoRef<'_> {
        let consumers: Vec<Tile> = consumers.into_iter().collect();
        let mut design = self.state.borrow_mut();
        design.fifos.push(Fifo {
            name: name.into(),
            producer,
            depths: vec![2; consumers.len() + 1],
            from_stream: vec![Vec::new(); consumers.len()],
            consumers,
            object,
            to_stream: Vec::new(),
            repeat: 1,
            init: Vec::new(),
            via_dma: false,
            memory: None,
            loc: Loc::caller(),
        });
        FifoRef::new(self, FifoId((design.fifos.len() - 1) as u32))
    }

    /// Objects of one FIFO go on as objects of another, one to one.
    #[track_caller]
    pub fn link<S: Into<FifoId>, T: Into<FifoId>>(&self, source: [S; 1], target: [T; 1]) {
        self.push_link(ids(source), ids(target), Vec::new(), vec![0], Loc::caller());
    }

    /// Parts of one FIFO's object become objects of several; each target comes with the element
    /// offset of its part.
    #[track_caller]
    pub fn split<S: Into<FifoId>, T: Into<FifoId>>(
        &self,
        source: S,
        targets: impl IntoIterator<Item = (T, u32)>,
    ) {
        let (targets, offsets) = targets.into_iter().map(|(t, o)| (t.into(), o)).unzip();
        self.push_link(vec![source.into()], targets, Vec::new(), offsets, Loc::caller());
    }

    /// Objects of several FIFOs become parts of one object; each source comes with the element
    /// offset of its part.
    #[track_caller]
    pub fn join<S: Into<FifoId>, T: Into<FifoId>>(
        &self,
        sources: impl IntoIterator<Item = (S, u32)>,
        target: T,
    ) {
        let (sources, offsets) = sources.into_iter().map(|(s, o)| (s.into(), o)).unzip();
        self.push_link(sources, vec![target.into()], offsets, Vec::new(), Loc::caller());
    }

    fn push_link(
        &self,
        sources: Vec<FifoId>,
        targets: Vec<FifoId>,
        source_offsets: Vec<u32>,
        target_offsets: Vec<u32>,
        loc: Loc,
    ) {
        self.state.borrow_mut().links.push(Link { sources, targets, source_offsets, target_offsets, loc });
    }

    /// An `aie.buffer` of a core: memory outside any FIFO, with initial bytes and a logical bank
    /// if given.
    #[track_caller]
    pub fn local(
        &self,
        name: impl Into<String>,
        tile: Tile,
        ty: MemType,
        init: Option<Vec<u8>>,
        bank: Option<u8>,
    ) -> LocalId {
        self.push_local(LocalBuffer {
            name: name.into(),
            tile,
            ty,
            init,
            bank,
            address: None,
            loc: Loc::caller(),
        })
    }

    fn push_local(&self, local: LocalBuffer) -> LocalId {
        let mut design = self.state.borrow_mut();
        design.locals.push(local);
        LocalId((design.locals.len() - 1) as u32)
    }

    /// A cascade connection: `from` writes, its south or east neighbour `to` reads.
    #[track_caller]
    pub fn cascade(&self, from: Tile, to: Tile) {
        self.state.borrow_mut().cascades.push(Cascade { from, to, loc: Loc::caller() });
    }

    /// The program of the core at `tile`.
    #[track_caller]
    pub fn core(&self, tile: Tile, program: impl FnOnce(&CoreBuilder<'_>)) -> CoreId {
        let loc = Loc::caller();
        let builder = CoreBuilder::new(self, tile);
        program(&builder);
        let (body, objects, stack_bytes) = builder.finish();
        let mut design = self.state.borrow_mut();
        design.cores.push(Core { tile, body, objects, stack_bytes, loc });
        CoreId((design.cores.len() - 1) as u32)
    }

    /// The runtime sequence; called again, it appends.
    pub fn sequence(&self, program: impl FnOnce(&SequenceBuilder<'_>)) {
        let builder = SequenceBuilder::new(self);
        program(&builder);
        let added = builder.finish();
        let mut design = self.state.borrow_mut();
        design.sequence = added;
    }

    /// The design as described so far.
    pub fn build(&self) -> Design {
        let mut design = self.state.borrow().clone();
        if design.columns == 0 {
            design.columns = tiles_used(&design).iter().map(|t| t.col).max().unwrap_or(0) + 1;
        }
        design
    }
}

fn ids<I: Into<FifoId>>(of: [I; 1]) -> Vec<FifoId> {
    of.into_iter().map(Into::into).collect()
}
