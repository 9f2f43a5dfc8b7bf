//! Which buffers and locks each FIFO end uses: the toolchain's rules of `aie.objectfifo`.
//!
//! Every end that needs its own memory is a pool: buffers `<fifo>_buff_k` at the producer,
//! `<fifo>_cons_buff_k` (or `<fifo>_<i>_cons_buff_k` of a broadcast) at a consumer, with one pair of
//! locks, or one pair per part at the end of a split or join that holds the whole object. Linked
//! ends share the pool of the larger object; a producer and a consumer that share memory need one
//! pool and no DMA. A shim end has locks only.

use super::cores::each_stmt;
use crate::array::ir::{Design, Dim, Fifo, FifoId, Link, MemType, Port, Stmt, Tile};
use crate::array::lowered::Direction;
use crate::device::{Device, TileKind};

/// A contiguous range of an object, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// First byte.
    pub offset_bytes: u64,
    /// Size.
    pub len_bytes: u64,
}

/// Buffers and locks of one or two FIFO ends.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    /// Prefix of its buffers and locks.
    pub name: String,
    /// Tile that holds it.
    pub memory: Tile,
    /// Whether that is a mem tile.
    pub at_mem_tile: bool,
    /// One buffer.
    pub object: MemType,
    /// Number of buffers; 0 at the shim.
    pub depth: u32,
    /// What each lock pair guards: the whole object, or the parts of a split or join.
    pub parts: Vec<Part>,
    /// How often each object is sent: its locks count sendings.
    pub repeat: u32,
    /// Content of the first buffers at start.
    pub init: Vec<Vec<u8>>,
}

/// The end of a FIFO that a DMA channel serves.
#[derive(Clone, Debug)]
pub(crate) struct DmaEnd {
    /// Which FIFO.
    pub fifo: FifoId,
    /// Which end.
    pub port: Port,
    /// Where.
    pub tile: Tile,
    /// Position in `Plan::pools`.
    pub pool: usize,
    /// The part it moves; `None` for all parts in turn.
    pub part: Option<usize>,
    /// Order of access, in elements of the pool's object.
    pub dims: Vec<Dim>,
    /// How often it sends each object.
    pub repeat: u32,
    /// Whether it needs one descriptor only, which can follow itself.
    pub alone: bool,
    /// What each descriptor takes and gives of its locks.
    pub tokens: u32,
}

impl DmaEnd {
    /// Direction of its channel: the producer's DMA reads memory.
    pub fn direction(&self) -> Direction {
        match self.port {
            Port::Produce => Direction::Mm2s,
            Port::Consume => Direction::S2mm,
        }
    }
}

/// All pools and DMA ends of a design.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// Pools in order of creation, which is the order of lock ids.
    pub pools: Vec<Pool>,
    /// DMA ends in order of channel allocation: FIFO by FIFO, producer first.
    pub ends: Vec<DmaEnd>,
    /// Pool of every end: (fifo, port, consumer position) to position in `pools`.
    by_end: Vec<((FifoId, Port, usize), usize)>,
}

impl Plan {
    /// The pool of an end.
    pub fn pool_of(&self, fifo: FifoId, port: Port, consumer: usize) -> Option<usize> {
        self.by_end.iter().find(|(key, _)| *key == (fifo, port, consumer)).map(|&(_, pool)| pool)
    }

    /// The pool that a core uses as `port` of a FIFO.
    pub fn pool_at(&self, design: &Design, fifo: FifoId, port: Port, tile: Tile) -> Option<usize> {
        let consumer = match port {
            Port::Produce => 0,
            Port::Consume => design.fifos.get(fifo.index())?.consumers.iter().position(|&c| c == tile)?,
        };
        self.pool_of(fifo, port, consumer)
    }
}

/// A link with what the rules ask about it.
#[derive(Clone, Copy)]
pub(crate) struct LinkView<'d> {
    design: &'d Design,
    /// The link.
    pub link: &'d Link,
}

impl<'d> LinkView<'d> {
    /// Views of all links whose FIFOs exist.
    pub fn all(design: &'d Design) -> impl Iterator<Item = LinkView<'d>> {
        design.links.iter().map(move |link| LinkView { design, link }).filter(|v| {
            let known = |id: &FifoId| id.index() < design.fifos.len();
            let link = v.link;
            !link.sources.is_empty()
                && !link.targets.is_empty()
                && link.sources.iter().chain(&link.targets).all(known)
        })
    }

    /// Where sources end and targets start.
    pub fn tile(&self) -> Tile {
        self.design.fifo(self.link.targets[0]).producer
    }

    /// Whether several sources become one object.
    pub fn is_join(&self) -> bool {
        self.link.sources.len() > 1
    }

    /// Whether one object becomes parts for several targets.
    pub fn is_split(&self) -> bool {
        self.link.targets.len() > 1
    }

    /// The FIFO whose object the shared buffers hold, and whether that is the target: the target
    /// of a join, the source of a split, else a target with initial objects, else the larger object, the source if
    /// equal.
    pub fn owner(&self) -> (FifoId, bool) {
        let (source, target) = (self.link.sources[0], self.link.targets[0]);
        let elements = |id: FifoId| self.design.fifo(id).object.elements();
        let filled = !self.design.fifo(target).init.is_empty();
        let at_target =
            self.is_join() || (!self.is_split() && (filled || elements(target) > elements(source)));
        if at_target { (target, true) } else { (source, false) }
    }

    /// The parts of the shared object, in bytes: from each offset to the next, the last to the end.
    pub fn parts(&self) -> Vec<Part> {
        let (owner, _) = self.owner();
        let object = &self.design.fifo(owner).object;
        let element = u64::from(object.elem.bytes());
        let offsets = match (self.is_join(), self.is_split()) {
            (true, _) => &self.link.source_offsets,
            (_, true) => &self.link.target_offsets,
            _ => return vec![Part { offset_bytes: 0, len_bytes: object.bytes() }],
        };
        let ends = offsets.iter().skip(1).map(|&o| u64::from(o)).chain([object.elements()]);
        offsets
            .iter()
            .zip(ends)
            .map(|(&from, to)| Part {
                offset_bytes: u64::from(from) * element,
                len_bytes: to.saturating_sub(u64::from(from)) * element,
            })
            .collect()
    }

    /// How often what comes goes on: what the first target that repeats says.
    pub fn repeat(&self) -> u32 {
        let times = self.link.targets.iter().map(|&t| repeat(self.design.fifo(t)));
        times.into_iter().find(|&times| times != 1).unwrap_or(1)
    }

    /// The part that a source (or target) moves; `None` when it moves the whole object.
    fn part_of(&self, fifo: FifoId, as_target: bool) -> Option<usize> {
        match (self.is_join(), self.is_split(), as_target) {
            (true, _, false) => self.link.sources.iter().position(|&s| s == fifo),
            (_, true, true) => self.link.targets.iter().position(|&t| t == fifo),
            _ => None,
        }
    }
}

/// The link that an end belongs to, and whether the FIFO is one of its targets.
pub(crate) fn link_of<'d>(design: &'d Design, fifo: FifoId, port: Port, tile: Tile) -> Option<LinkView<'d>> {
    LinkView::all(design).find(|v| match port {
        Port::Produce => v.link.targets.contains(&fifo),
        Port::Consume => v.link.sources.contains(&fifo) && v.tile() == tile,
    })
}

/// The tile whose memory a producer and its only consumer share, if the FIFO needs no DMA.
pub(crate) fn shared_memory(design: &Design, device: &Device, id: FifoId) -> Option<Tile> {
    let fifo = design.fifo(id);
    let [consumer] = fifo.consumers[..] else { return None };
    let reordered = !fifo.to_stream.is_empty() || fifo.from_stream.iter().any(|d| !d.is_empty());
    let linked = LinkView::all(design).any(|v| v.link.sources.contains(&id) || v.link.targets.contains(&id));
    let neighbour = if reordered || linked || fifo.via_dma || fifo.repeat != 1 {
        None
    } else if device.core_reaches(consumer, fifo.producer) {
        Some(fifo.producer)
    } else if device.core_reaches(fifo.producer, consumer) {
        Some(consumer)
    } else {
        None
    }?;
    Some(fifo.memory.filter(|&tile| both_reach(design, device, id, tile)).unwrap_or(neighbour))
}

/// Whether the cores at all ends of a FIFO reach the memory of a tile.
pub(crate) fn both_reach(design: &Design, device: &Device, id: FifoId, tile: Tile) -> bool {
    let fifo = design.fifo(id);
    std::iter::once(&fifo.producer).chain(&fifo.consumers).all(|&end| device.core_reaches(end, tile))
}

/// Depths beyond this are modelled as this: far more than a lock counts to, so that nothing fits
/// either way, and few enough to list.
const MODELLED_DEPTH: u32 = 255;

/// Depths that the toolchain builds from one number, producer first.
///
/// A mem tile gets the number, and so does a producer whose objects are filled at start. A core gets one object more
/// than it ever acquires at once, to fill or drain the next meanwhile, except that it keeps one if both are one. So do
/// ends that share memory: they get the number.
pub(crate) fn derived_depths(design: &Design, device: &Device, id: FifoId, number: u32) -> Vec<u32> {
    let fifo = design.fifo(id);
    let shared = shared_memory(design, device, id).is_some();
    let largest_acquire = |tile: Tile| {
        let mut largest = 0;
        for core in design.cores.iter().filter(|c| c.tile == tile) {
            each_stmt(&core.body, &mut |stmt| {
                if let Stmt::Acquire { fifo, objects, .. } = stmt
                    && *fifo == id
                {
                    largest = largest.max(objects.len() as u32);
                }
            });
        }
        largest
    };
    let end = |tile: Tile| match largest_acquire(tile) {
        _ if tile == fifo.producer && !fifo.init.is_empty() => number,
        _ if shared || device.tile_kind(tile) != Some(TileKind::Core) => number,
        0 => number,
        1 if number == 1 => 1,
        acquired => acquired + 1,
    };
    std::iter::once(fifo.producer).chain(fifo.consumers.iter().copied()).map(end).collect()
}

/// How often an object is sent.
fn repeat(fifo: &Fifo) -> u32 {
    fifo.repeat.clamp(1, MODELLED_DEPTH)
}

/// Objects that an end holds.
fn depth(fifo: &Fifo, at: usize) -> u32 {
    fifo.depths.get(at).copied().unwrap_or(0).min(MODELLED_DEPTH)
}

/// Name, place and order of one end of a FIFO that needs DMA.
struct EndOf<'d> {
    fifo: FifoId,
    port: Port,
    consumer: usize,
    tile: Tile,
    name: String,
    depth: u32,
    dims: &'d [Dim],
}

/// The ends of a FIFO, producer first.
fn ends_of(design: &Design, id: FifoId) -> Vec<EndOf<'_>> {
    let fifo = design.fifo(id);
    let producer = EndOf {
        fifo: id,
        port: Port::Produce,
        consumer: 0,
        tile: fifo.producer,
        name: fifo.name.clone(),
        depth: depth(fifo, 0),
        dims: &fifo.to_stream,
    };
    let consumer = |(at, &tile): (usize, &Tile)| EndOf {
        fifo: id,
        port: Port::Consume,
        consumer: at,
        tile,
        name: match fifo.consumers.len() {
            1 => format!("{}_cons", fifo.name),
            _ => format!("{}_{at}_cons", fifo.name),
        },
        depth: depth(fifo, at + 1),
        dims: fifo.from_stream.get(at).map_or(&[][..], |d| d),
    };
    std::iter::once(producer).chain(fifo.consumers.iter().enumerate().map(consumer)).collect()
}

/// Pools and DMA ends of a design. Total: what is inconsistent (and refused by verify) is left out.
pub(crate) fn plan(design: &Design, device: &Device) -> Plan {
    let mut plan = Plan::default();
    let mut ends = Vec::new();
    for id in (0..design.fifos.len()).map(|at| FifoId(at as u32)) {
        match shared_memory(design, device, id) {
            Some(memory) => plan.share(design, id, memory),
            None => {
                let of = ends_of(design, id);
                of.iter().for_each(|end| plan.own_pool(design, device, end));
                ends.extend(of);
            }
        }
    }
    for end in ends {
        let link = link_of(design, end.fifo, end.port, end.tile);
        let pool = plan.pool_of(end.fifo, end.port, end.consumer).or_else(|| plan.owner_pool(design, link?));
        let Some(pool) = pool else { continue };
        let key = (end.fifo, end.port, end.consumer);
        if !plan.by_end.iter().any(|(known, _)| *known == key) {
            plan.by_end.push((key, pool));
        }
        let part = link.and_then(|l| l.part_of(end.fifo, end.port == Port::Produce));
        let alone = plan.pools[pool].depth == 1 && (part.is_some() || plan.pools[pool].parts.len() == 1);
        let fills_link = link.filter(|l| end.port == Port::Consume && l.link.sources[0] == end.fifo);
        plan.ends.push(DmaEnd {
            fifo: end.fifo,
            port: end.port,
            tile: end.tile,
            pool,
            part,
            dims: end.dims.to_vec(),
            repeat: if end.port == Port::Produce { repeat(design.fifo(end.fifo)) } else { 1 },
            alone,
            tokens: fills_link.map_or(1, |l| l.repeat()),
        });
    }
    plan
}

impl Plan {
    fn share(&mut self, design: &Design, id: FifoId, memory: Tile) {
        let fifo = design.fifo(id);
        self.pools.push(Pool {
            name: fifo.name.clone(),
            memory,
            at_mem_tile: false,
            object: fifo.object.clone(),
            depth: depth(fifo, 0),
            parts: vec![Part { offset_bytes: 0, len_bytes: fifo.object.bytes() }],
            repeat: 1,
            init: fifo.init.clone(),
        });
        let pool = self.pools.len() - 1;
        self.by_end.push(((id, Port::Produce, 0), pool));
        self.by_end.push(((id, Port::Consume, 0), pool));
    }

    /// Makes the pool of an end, unless a link gives it another end's.
    fn own_pool(&mut self, design: &Design, device: &Device, end: &EndOf<'_>) {
        let fifo = design.fifo(end.fifo);
        let object = fifo.object.clone();
        let whole = vec![Part { offset_bytes: 0, len_bytes: object.bytes() }];
        let link = link_of(design, end.fifo, end.port, end.tile);
        let parts = match link {
            None => whole,
            Some(link) if link.owner() == (end.fifo, end.port == Port::Produce) => link.parts(),
            Some(_) => return,
        };
        let at_shim = device.tile_kind(end.tile) == Some(TileKind::Shim);
        self.pools.push(Pool {
            name: end.name.clone(),
            memory: end.tile,
            at_mem_tile: device.tile_kind(end.tile) == Some(TileKind::Mem),
            object,
            depth: if at_shim { 0 } else { end.depth },
            parts,
            repeat: match (link, end.port) {
                (Some(link), _) => link.repeat(),
                (None, Port::Produce) => repeat(fifo),
                (None, Port::Consume) => 1,
            },
            init: if end.port == Port::Produce && !at_shim { fifo.init.clone() } else { Vec::new() },
        });
        self.by_end.push(((end.fifo, end.port, end.consumer), self.pools.len() - 1));
    }

    fn owner_pool(&self, design: &Design, link: LinkView<'_>) -> Option<usize> {
        let (owner, at_target) = link.owner();
        let port = if at_target { Port::Produce } else { Port::Consume };
        self.pool_at(design, owner, port, link.tile())
    }
}
