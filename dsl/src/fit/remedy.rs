//! Changes that would make a tile fit, each tried on a copy of the design.

use crate::array::{
    ArrayError, Design, Fifo, FifoId, Link, LowerMode, MemType, Port, Stmt, Tile, allocate, each_stmt,
};
use crate::device::{Device, TileKind};
use crate::kernel::Elem;
use crate::sequence::Command;

/// What a tile has too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    Memory,
    Locks,
    Bds,
}

/// Depths beyond this are never tried one by one; a lock counts no further.
const MAX_DEPTH: u32 = 255;
/// Sizes that are proposed are multiples of this many bytes, one vector.
const SIZE_STEP: u64 = 32;

/// What would make `tile` keep within `limit`, the least change first; what cannot be helped by one
/// change is said to need several.
pub(super) fn remedies(design: &Design, device: &Device, tile: Tile, limit: Limit) -> Vec<String> {
    let trial = Trial { design, device, tile, limit };
    let mut found: Vec<String> = trial.depth().or_else(|| trial.depths()).into_iter().collect();
    if limit == Limit::Memory {
        found.extend(trial.through_mem_tile());
        found.extend(trial.other_mem_tile());
        found.extend(trial.size());
    }
    if found.is_empty() && limit == Limit::Memory {
        found.extend(trial.all_smaller());
    }
    if found.is_empty() {
        found.push(
            match limit {
                Limit::Memory => {
                    "what is not objects of FIFOs is too much: make stack, tables or buffers smaller"
                }
                Limit::Locks => "every FIFO end and every part of a split or join takes two: use fewer here",
                Limit::Bds => {
                    "split and join fewer parts, or spread the FIFOs over channels of both parities"
                }
            }
            .to_owned(),
        );
    }
    found
}

/// One end of a FIFO: the position of its depth.
type End = (usize, usize);

struct Trial<'a> {
    design: &'a Design,
    device: &'a Device,
    tile: Tile,
    limit: Limit,
}

impl Trial<'_> {
    /// How much a changed design is still over; 0 when it fits.
    fn excess(&self, design: &Design) -> u64 {
        excess(design, self.device, self.tile, self.limit)
    }

    /// Ends whose depth changes what this tile holds, with the least depth that their acquires allow.
    fn ends(&self) -> Vec<(End, u32, u32)> {
        let mut ends = Vec::new();
        for (at, fifo) in self.design.fifos.iter().enumerate() {
            let tiles = std::iter::once(&fifo.producer).chain(&fifo.consumers);
            for (end, (&tile, &depth)) in tiles.zip(&fifo.depths).enumerate() {
                let least = largest_acquire(self.design, at, end, tile).max(1);
                if depth > least {
                    ends.push(((at, end), depth.min(MAX_DEPTH), least));
                }
            }
        }
        let now = self.excess(self.design);
        let lowered = |&((at, end), depth, _): &(End, u32, u32)| {
            let mut less = self.design.clone();
            less.fifos[at].depths[end] = depth - 1;
            self.excess(&less) < now
        };
        ends.retain(lowered);
        ends
    }

    /// One depth that is enough: the one that gives up fewest objects, of the largest FIFO.
    fn depth_of_one(&self) -> Option<(End, u32, u32)> {
        let mut best: Option<(End, u32, u32)> = None;
        for (end, depth, least) in self.ends() {
            let with = |d: u32| {
                let mut less = self.design.clone();
                less.fifos[end.0].depths[end.1] = d;
                self.excess(&less) == 0
            };
            let Some(fits) = largest(u64::from(least), u64::from(depth) - 1, |d| with(d as u32)) else {
                continue;
            };
            let fits = fits as u32;
            if best.is_none_or(|(_, from, to)| depth - fits < from - to) {
                best = Some((end, depth, fits));
            }
        }
        best
    }

    fn place(&self, (at, end): End) -> (&str, Tile) {
        let fifo = &self.design.fifos[at];
        (&fifo.name, end.checked_sub(1).map_or(fifo.producer, |c| fifo.consumers[c]))
    }

    fn depth(&self) -> Option<String> {
        let (end, from, to) = self.depth_of_one()?;
        let (name, tile) = self.place(end);
        Some(format!("depth {to} instead of {from} of fifo {name} at {tile} fits"))
    }

    /// An end between this core and the shim that keeps its objects in the mem tile instead.
    fn through_mem_tile(&self) -> Option<String> {
        let ((at, end), from, to) = self.depth_of_one()?;
        let fifo = &self.design.fifos[at];
        let &row = self.device.geometry.mem_rows().first()?;
        let mem = Tile::new(self.tile.col, u8::try_from(row).ok()?);
        let kind = |tile| self.device.tile_kind(tile);
        let [consumer] = fifo.consumers[..] else { return None };
        let from_shim = kind(fifo.producer) == Some(TileKind::Shim);
        let to_shim = kind(consumer) == Some(TileKind::Shim);
        if kind(self.tile) != Some(TileKind::Core) || !(from_shim || to_shim) {
            return None;
        }
        let mut moved = self.design.clone();
        moved.fifos[at].depths[end] = to;
        lead_through(&mut moved, FifoId(at as u32), mem, from, from_shim);
        let fits = self.excess(&moved) == 0 && errors_at(&moved, self.device, mem) == 0;
        fits.then(|| {
            let name = &fifo.name;
            format!("fifo {name} linked through mem tile {mem} fits: {to} of its objects here, {from} there")
        })
    }

    /// A link of this mem tile that fits in another.
    fn other_mem_tile(&self) -> Option<String> {
        if self.device.tile_kind(self.tile) != Some(TileKind::Mem) {
            return None;
        }
        let others: Vec<Tile> = self.device.tiles(TileKind::Mem).collect();
        let here = |l: &&Link| l.targets.iter().all(|&f| self.design.fifo(f).producer == self.tile);
        for link in self.design.links.iter().filter(here) {
            for &other in others.iter().filter(|t| **t != self.tile && t.col < self.design.columns) {
                let mut moved = self.design.clone();
                for &target in &link.targets {
                    moved.fifos[target.index()].producer = other;
                }
                for &source in &link.sources {
                    let consumers = &mut moved.fifos[source.index()].consumers;
                    consumers.iter_mut().filter(|c| **c == self.tile).for_each(|c| *c = other);
                }
                let still = errors_at(&moved, self.device, self.tile) + errors_at(&moved, self.device, other);
                if still == 0 {
                    let name = &self.design.fifo(link.sources[0]).name;
                    return Some(format!("the link of fifo {name} in mem tile {other} fits"));
                }
            }
        }
        None
    }

    /// The object or buffer that has to shrink least.
    fn size(&self) -> Option<String> {
        let fifos = (0..self.design.fifos.len()).map(Sized::Objects);
        let locals = (0..self.design.locals.len()).map(Sized::Local);
        let mut best: Option<(u64, u64, Sized)> = None;
        for what in fifos.chain(locals) {
            let now = what.bytes(self.design);
            let with = |steps: u64| self.excess(&what.resized(self.design, steps * SIZE_STEP)) == 0;
            let Some(steps) = largest(1, (now - 1) / SIZE_STEP, with) else { continue };
            let fits = steps * SIZE_STEP;
            if best
                .as_ref()
                .is_none_or(|&(n, f, _)| u128::from(fits) * u128::from(n) > u128::from(f) * u128::from(now))
            {
                best = Some((now, fits, what));
            }
        }
        let (now, fits, what) = best?;
        Some(match what {
            Sized::Objects(at) => {
                let name = &self.design.fifos[at].name;
                format!("a smaller tile fits: objects of fifo {name} of at most {fits} B instead of {now} B")
            }
            Sized::Local(at) => {
                let name = &self.design.locals[at].name;
                format!("a smaller tile fits: buffer {name} of at most {fits} B instead of {now} B")
            }
        })
    }

    /// All depths at their least, and their names.
    fn least_depths(&self) -> (Design, String) {
        let mut small = self.design.clone();
        let mut names = Vec::new();
        for ((at, end), _, least) in self.ends() {
            small.fifos[at].depths[end] = least;
            let (name, tile) = self.place((at, end));
            names.push(format!("depth {least} of fifo {name} at {tile}"));
        }
        let listed = match names.len() {
            0..=4 => names.join(", "),
            n => format!("{} and the least depth of {} other ends", names[0], n - 1),
        };
        (small, listed)
    }

    fn depths(&self) -> Option<String> {
        let (small, listed) = self.least_depths();
        (!listed.is_empty() && self.excess(&small) == 0).then(|| format!("{listed} together fit"))
    }

    /// All depths at their least, and all objects and buffers smaller.
    fn all_smaller(&self) -> Option<String> {
        let (small, listed) = self.least_depths();
        let with = if listed.is_empty() { listed } else { format!("{listed}, and ") };
        (1..16).find_map(|halvings| {
            let mut smaller = small.clone();
            let part = |ty: &MemType| flat((ty.bytes() >> halvings).next_multiple_of(4));
            smaller.fifos.iter_mut().for_each(|f| f.object = part(&f.object));
            smaller.locals.iter_mut().for_each(|l| l.ty = part(&l.ty));
            let parts = 1 << halvings;
            (self.excess(&smaller) == 0)
                .then(|| format!("{with}objects and buffers of 1/{parts} of their size (a smaller tile) fit"))
        })
    }
}

/// Something whose size the author can choose.
#[derive(Clone, Copy)]
enum Sized {
    Objects(usize),
    Local(usize),
}

impl Sized {
    fn bytes(self, design: &Design) -> u64 {
        match self {
            Sized::Objects(at) => design.fifos[at].object.bytes(),
            Sized::Local(at) => design.locals[at].ty.bytes(),
        }
        .max(1)
    }

    fn resized(self, design: &Design, bytes: u64) -> Design {
        let mut design = design.clone();
        match self {
            Sized::Objects(at) => design.fifos[at].object = flat(bytes),
            Sized::Local(at) => design.locals[at].ty = flat(bytes),
        }
        design
    }
}

fn flat(bytes: u64) -> MemType {
    MemType::flat(Elem::I8, u32::try_from(bytes).unwrap_or(u32::MAX))
}

/// The largest number of a range that fits, when smaller ones fit as well.
fn largest(least: u64, most: u64, fits: impl Fn(u64) -> bool) -> Option<u64> {
    if least > most || !fits(least) {
        return None;
    }
    let (mut low, mut high) = (least, most);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) { low = middle } else { high = middle - 1 }
    }
    Some(low)
}

/// How much a tile is over one limit.
fn excess(design: &Design, device: &Device, tile: Tile, limit: Limit) -> u64 {
    let (_, errors) = allocate(design, device, LowerMode::Dynamic);
    let over = |e: &ArrayError| match (e, limit) {
        (ArrayError::OutOfMemory { tile: t, used_bytes, limit_bytes, .. }, Limit::Memory) if *t == tile => {
            Some(used_bytes - limit_bytes)
        }
        (ArrayError::TooManyLocks { tile: t, used, limit }, Limit::Locks)
        | (ArrayError::TooManyBds { tile: t, used, limit, .. }, Limit::Bds)
            if *t == tile =>
        {
            Some(u64::from(used - limit))
        }
        _ => None,
    };
    errors.iter().filter_map(over).sum()
}

/// Limits that a design exceeds at a tile.
fn errors_at(design: &Design, device: &Device, tile: Tile) -> usize {
    let (_, errors) = allocate(design, device, LowerMode::Dynamic);
    let here = |e: &&ArrayError| match e {
        ArrayError::OutOfMemory { tile: t, .. }
        | ArrayError::TooManyLocks { tile: t, .. }
        | ArrayError::TooManyBds { tile: t, .. }
        | ArrayError::TooManyChannels { tile: t, .. }
        | ArrayError::LockInit { tile: t, .. }
        | ArrayError::BankFull { tile: t, .. } => *t == tile,
        _ => false,
    };
    errors.iter().filter(here).count()
}

/// Most objects that the core at an end holds at once.
fn largest_acquire(design: &Design, fifo: usize, end: usize, tile: Tile) -> u32 {
    let wanted = if end == 0 { Port::Produce } else { Port::Consume };
    let mut most = 0;
    for core in design.cores.iter().filter(|c| c.tile == tile) {
        each_stmt(&core.body, &mut |stmt| {
            if let Stmt::Acquire { fifo: f, port, objects, .. } = stmt
                && f.index() == fifo
                && *port == wanted
            {
                most = most.max(objects.len() as u32);
            }
        });
    }
    most
}

/// Puts a link into a FIFO between the shim and a core: `depth` objects stand in the mem tile.
fn lead_through(design: &mut Design, id: FifoId, mem: Tile, depth: u32, from_shim: bool) {
    let old = design.fifo(id).clone();
    let new = FifoId(design.fifos.len() as u32);
    let half = |producer, consumer| Fifo {
        name: format!("{}_l2", old.name),
        producer,
        consumers: vec![consumer],
        depths: vec![depth; 2],
        from_stream: vec![Vec::new()],
        to_stream: Vec::new(),
        repeat: 1,
        init: Vec::new(),
        via_dma: false,
        memory: None,
        ..old.clone()
    };
    let (shim_half, sources, targets) = if from_shim {
        design.fifos[id.index()].producer = mem;
        (half(old.producer, mem), vec![new], vec![id])
    } else {
        design.fifos[id.index()].consumers = vec![mem];
        (half(mem, old.consumers[0]), vec![id], vec![new])
    };
    design.fifos.push(shim_half);
    let loc = old.loc.clone();
    design.links.push(Link { sources, targets, source_offsets: Vec::new(), target_offsets: Vec::new(), loc });
    for command in &mut design.sequence.commands {
        match command {
            Command::Copy { fifo, .. } | Command::Wait { fifo, .. } if *fifo == id => *fifo = new,
            _ => {}
        }
    }
}
