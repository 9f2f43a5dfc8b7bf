//! From a lowered design to dense ids: everything is checked here, so that the run cannot fail on it.

use super::controller::Command;
use super::core::{Core, Program};
use super::dma::{Bd, Channel, Program as ChannelProgram, Task, WORD_BYTES};
use super::engine::Cycles;
use super::error::{Problem, channel_name};
use super::locks::{LockId, LockOp, Locks};
use super::memory::{MAX_DIMS, UNINITIALISED, Walk};
use super::program;
use super::timing::Timing;
use super::transport::{Destination, Flow};
use crate::executor::TileMemories;
use indexmap::IndexMap;
use kiln_dsl::array::lowered::{self, Direction, LockUse, Lowered, LoweredTile};
use kiln_dsl::array::route::route;
use kiln_dsl::array::{Cascade, Design, FifoId, Tile};
use kiln_dsl::device::{Device, TileKind};
use kiln_dsl::sequence;

/// The array over dense ids, at time 0.
#[derive(Debug)]
pub struct Array {
    /// Tiles: those of the lowered design in order, then others that only flows name.
    pub tiles: Vec<Tile>,
    /// Their memories, initialised.
    pub memories: TileMemories,
    /// All locks.
    pub locks: Locks,
    /// Tile and name of each.
    pub lock_names: Vec<(Tile, String)>,
    /// All DMA channels.
    pub channels: Vec<Channel>,
    /// All flows.
    pub flows: Vec<Flow>,
    /// The FIFO of each.
    pub flow_fifos: Vec<FifoId>,
    /// All cores.
    pub cores: Vec<Core>,
    /// The runtime sequence.
    pub commands: Vec<Command>,
}

/// Builds the array, or says everything that is wrong.
pub fn build(
    design: &Design,
    lowered: &Lowered,
    device: &Device,
    timing: &Timing,
    host: &[Vec<u8>],
) -> Result<Array, Vec<Problem>> {
    let mut builder = Builder::new(design, lowered, device, timing);
    builder.host(host);
    builder.channels();
    builder.flows();
    builder.cores();
    builder.commands();
    builder.finish()
}

pub(super) struct Builder<'a> {
    pub(super) design: &'a Design,
    pub(super) lowered: &'a Lowered,
    device: &'a Device,
    pub(super) timing: &'a Timing,
    pub(super) problems: Vec<Problem>,
    /// Tiles with their kinds and the number of locks before theirs.
    tiles: IndexMap<Tile, (TileKind, u32)>,
    channels: IndexMap<(Tile, lowered::Channel), Channel>,
    flows: Vec<Flow>,
    flow_fifos: Vec<FifoId>,
    cores: Vec<Core>,
    commands: Vec<Command>,
}

impl<'a> Builder<'a> {
    fn new(design: &'a Design, lowered: &'a Lowered, device: &'a Device, timing: &'a Timing) -> Builder<'a> {
        let mut builder = Builder {
            design,
            lowered,
            device,
            timing,
            problems: Vec::new(),
            tiles: IndexMap::new(),
            channels: IndexMap::new(),
            flows: Vec::new(),
            flow_fifos: Vec::new(),
            cores: Vec::new(),
            commands: Vec::new(),
        };
        let mut locks = 0;
        let flow_tiles = |f: &lowered::Flow| {
            let ends: Vec<Tile> = std::iter::once(f.from.0).chain(f.to.iter().map(|t| t.0)).collect();
            ends
        };
        let shims = lowered.shim_channels.values().map(|s| s.0);
        let others = lowered.flows.iter().flat_map(flow_tiles).chain(shims);
        for tile in lowered.tiles.keys().copied().chain(others) {
            if builder.tiles.contains_key(&tile) {
                continue;
            }
            let Some(kind) = device.tile_kind(tile) else {
                builder.problems.push(Problem::NoSuchTile { tile });
                continue;
            };
            builder.tiles.insert(tile, (kind, locks));
            locks += lowered.tiles.get(&tile).map_or(0, |t| t.locks.len() as u32);
        }
        builder
    }

    /// Dense index of a tile; a problem when it is not there.
    pub(super) fn tile(&mut self, tile: Tile, place: impl Fn() -> String) -> Option<usize> {
        let index = self.tiles.get_index_of(&tile);
        if index.is_none() {
            self.problems.push(Problem::TileNotLowered { place: place(), tile });
        }
        index
    }

    /// A lock of a tile; a problem when it is not there.
    pub(super) fn lock(&mut self, tile: Tile, lock: usize, place: impl Fn() -> String) -> Option<LockId> {
        let locks = self.lowered.tiles.get(&tile).map_or(0, |t| t.locks.len());
        match self.tiles.get(&tile) {
            Some(&(_, base)) if lock < locks => Some(LockId(base + lock as u32)),
            _ => {
                self.dangling(place(), "lock", lock as u64);
                None
            }
        }
    }

    /// A buffer of a tile; a problem when it is not there.
    pub(super) fn buffer(
        &mut self,
        tile: Tile,
        buffer: usize,
        place: impl Fn() -> String,
    ) -> Option<&'a lowered::PlacedBuffer> {
        let found = self.lowered.tiles.get(&tile).and_then(|t| t.buffers.get(buffer));
        if found.is_none() {
            self.dangling(place(), "buffer", buffer as u64);
        }
        found
    }

    pub(super) fn dangling(&mut self, place: String, what: &'static str, index: u64) {
        self.problems.push(Problem::Dangling { place, what, index });
    }

    fn host(&mut self, host: &[Vec<u8>]) {
        let buffers = &self.design.sequence.buffers;
        if buffers.len() != host.len() {
            self.problems.push(Problem::HostBufferCount { expected: buffers.len(), got: host.len() });
        }
        for (buffer, bytes) in buffers.iter().zip(host) {
            let (expected_bytes, got_bytes) = (buffer.ty.bytes(), bytes.len() as u64);
            if expected_bytes != got_bytes {
                let name = buffer.name.clone();
                self.problems.push(Problem::HostBufferSize { name, expected_bytes, got_bytes });
            }
        }
    }

    fn channels(&mut self) {
        let lowered = self.lowered;
        for (&tile, content) in &lowered.tiles {
            let Some((index, _, &(kind, _))) = self.tiles.get_full(&tile) else { continue };
            for program in &content.dma {
                let bds: Vec<Option<Bd>> = (0..program.bds.len())
                    .map(|at| {
                        self.bd(tile, content, program.channel, at, &program.bds[at], program.bds.len())
                    })
                    .collect();
                let Some(bds) = bds.into_iter().collect::<Option<Vec<Bd>>>() else { continue };
                let work = ChannelProgram::Static(bds);
                let channel = Channel::new(index as u32, kind, program.channel, work, 0);
                self.channels.insert((tile, program.channel), channel);
            }
        }
        for &(tile, name) in lowered.shim_channels.values() {
            let Some((index, _, &(kind, _))) = self.tiles.get_full(&tile) else { continue };
            let cold = self.timing.task(name.direction).cold;
            let work = ChannelProgram::Queue(Default::default());
            self.channels.insert((tile, name), Channel::new(index as u32, kind, name, work, cold));
        }
    }

    fn bd(
        &mut self,
        tile: Tile,
        content: &LoweredTile,
        channel: lowered::Channel,
        at: usize,
        bd: &lowered::Bd,
        bds: usize,
    ) -> Option<Bd> {
        let place = || format!("tile {tile}, {}, BD {at}", channel_name(channel));
        let before = self.problems.len();
        let mut lock = |used: LockUse| {
            let lock = if used.count == 0 { None } else { self.lock(tile, used.lock, place) };
            lock.map(|lock| LockOp { lock, count: u32::from(used.count) })
        };
        let (acquire, release) = (lock(bd.acquire), lock(bd.release));
        if let Some(next) = bd.next.filter(|&n| n >= bds) {
            self.dangling(place(), "BD", next as u64);
        }
        let Some(buffer) = content.buffers.get(bd.buffer) else {
            self.dangling(place(), "buffer", bd.buffer as u64);
            return None;
        };
        let (start, len) = (bd.offset_bytes as usize, bd.len_bytes as usize);
        let walk = match bd.dims.as_slice() {
            [] => Some(Walk::linear(start, len)),
            dims => Walk::new(start, dims, bd.element_bytes as usize),
        };
        let Some(walk) = walk else {
            self.problems.push(Problem::Dimensions { place: place(), dims: bd.dims.len(), max: MAX_DIMS });
            return None;
        };
        if walk.bytes() != len || len == 0 || !(len as u64).is_multiple_of(WORD_BYTES) {
            let (len_bytes, visited_bytes) = (len as u64, walk.bytes() as u64);
            self.problems.push(Problem::BdLength { tile, channel, bd: at, len_bytes, visited_bytes });
        } else if walk.end() > buffer.bytes as usize {
            let (end, bytes) = (walk.end() as u64, u64::from(buffer.bytes));
            let buffer = buffer.name.clone();
            self.problems.push(Problem::BdOutside { tile, channel, bd: at, buffer, end, bytes });
        }
        let words = len as u64 / WORD_BYTES;
        let bd = Bd { walk: walk.moved(buffer.address as usize), words, acquire, release, next: bd.next };
        (self.problems.len() == before).then_some(bd)
    }

    fn flows(&mut self) {
        let lowered = self.lowered;
        let mut ends: IndexMap<(Tile, lowered::Channel), usize> = IndexMap::new();
        let routing = route(self.device, self.design.columns, &lowered.flows);
        // `verify` has found a way for every flow of a design; a flow of another lowering may have none.
        let switches = |flow: usize, destination: usize| {
            let route = routing.routes.iter().find(|r| r.flow == flow)?;
            route.switches.get(destination).copied()
        };
        for (at, flow) in lowered.flows.iter().enumerate() {
            let mm2s = lowered::Channel { direction: Direction::Mm2s, index: flow.from.1 };
            let source = self.flow_end(at, flow.from.0, mm2s);
            *ends.entry((flow.from.0, mm2s)).or_default() += 1;
            let mut destinations = Vec::new();
            for (to, &(tile, index)) in flow.to.iter().enumerate() {
                let s2mm = lowered::Channel { direction: Direction::S2mm, index };
                *ends.entry((tile, s2mm)).or_default() += 1;
                if let Some(channel) = self.flow_end(at, tile, s2mm) {
                    let latency: Cycles = self.timing.stream.latency(switches(at, to).unwrap_or(1));
                    destinations.push(Destination { channel, latency });
                }
            }
            let Some(source) = source else { continue };
            self.flows.push(Flow { source, destinations, chunk: None });
            self.flow_fifos.push(flow.fifo);
        }
        for &(tile, channel) in self.channels.keys() {
            let flows = ends.get(&(tile, channel)).copied().unwrap_or(0);
            if flows != 1 {
                self.problems.push(Problem::ChannelFlows { tile, channel, flows });
            }
        }
    }

    fn flow_end(&mut self, flow: usize, tile: Tile, channel: lowered::Channel) -> Option<u32> {
        match self.channels.get_full_mut(&(tile, channel)) {
            Some((index, _, found)) => {
                found.flow = self.flows.len() as u32;
                Some(index as u32)
            }
            None => {
                let place = format!("flow {flow}, end {} of tile {tile}", channel_name(channel));
                self.dangling(place, "DMA channel", u64::from(channel.index));
                None
            }
        }
    }

    fn cores(&mut self) {
        for core in &self.lowered.cores {
            let tile = self.tile(core.tile, || format!("core {}", core.tile));
            let program: Option<Program> = program::flatten(self, core);
            if let (Some(_), Some(program)) = (tile, program) {
                self.cores.push(Core::new(core.tile, program));
            }
        }
        for &Cascade { from, to, .. } in &self.design.cascades {
            let core = |tile: Tile| self.cores.iter().position(|c| c.tile == tile);
            match (core(from), core(to)) {
                (Some(writer), Some(reader)) => self.cores[writer].reader = Some(reader as u32),
                (writer, _) => {
                    let idle = if writer.is_none() { from } else { to };
                    self.problems.push(Problem::CascadeEnd { from, to, idle });
                }
            }
        }
    }

    fn commands(&mut self) {
        for (at, command) in self.design.sequence.commands.iter().enumerate() {
            let fifo = match command {
                sequence::Command::Copy { fifo, .. } | sequence::Command::Wait { fifo, .. } => *fifo,
            };
            let shim = self.lowered.shim_channels.get(&fifo);
            let Some(channel) = shim.and_then(|s| self.channels.get_index_of(s)).map(|c| c as u32) else {
                let name = self.design.fifos.get(fifo.index()).map_or(fifo.to_string(), |f| f.name.clone());
                self.problems.push(Problem::NoShimEnd { command: at, fifo: name });
                continue;
            };
            let direction = self.channels[channel as usize].name.direction;
            let command = match command {
                sequence::Command::Wait { .. } => Some(Command::Wait { channel }),
                copy => self.task(at, copy).map(|task| Command::Push { channel, direction, task }),
            };
            self.commands.extend(command);
        }
    }

    fn task(&mut self, at: usize, copy: &sequence::Command) -> Option<Task> {
        let sequence::Command::Copy { buffer, offsets, sizes, strides, issue_token, .. } = copy else {
            return None;
        };
        let Some(host) = self.design.sequence.buffers.get(buffer.index()) else {
            self.dangling(format!("command {at} of the sequence"), "host buffer", u64::from(buffer.0));
            return None;
        };
        let element = host.ty.elem.bytes() as usize;
        let stepped: u64 = (0..3).map(|d| offsets[d] * strides[d]).sum();
        let base = (stepped + offsets[3]) as usize * element;
        let dims = (1..4).map(|d| (sizes[d] as usize, strides[d] as usize));
        let walk = Walk::strided(base, dims, element)?;
        let run_bytes = walk.bytes() as u64;
        if run_bytes == 0 || !run_bytes.is_multiple_of(WORD_BYTES) || sizes[0] == 0 {
            self.problems.push(Problem::CopyLength { command: at, bytes: run_bytes * sizes[0].min(1) });
            return None;
        }
        let run_stride_bytes = strides[0] as usize * element;
        let end = (walk.end() + (sizes[0] as usize - 1) * run_stride_bytes) as u64;
        let bytes = host.ty.bytes();
        if end > bytes {
            let buffer = host.name.clone();
            self.problems.push(Problem::CopyOutside { command: at, buffer, end, bytes });
            return None;
        }
        Some(Task {
            buffer: buffer.0,
            walk,
            run_words: run_bytes / WORD_BYTES,
            runs: u32::try_from(sizes[0]).unwrap_or(u32::MAX),
            run_stride_bytes,
            token: *issue_token,
            command: at as u32,
        })
    }

    fn memory(&mut self, tile: Tile, kind: TileKind) -> Vec<u8> {
        let bytes = self.device.tile_memory_bytes(kind);
        let mut memory = vec![UNINITIALISED; bytes as usize];
        for buffer in self.lowered.tiles.get(&tile).map_or(&[][..], |t| &t.buffers) {
            let (start, size) = (buffer.address as usize, buffer.bytes as usize);
            let Some(place) = memory.get_mut(start..start + size) else {
                self.problems.push(Problem::BufferOutside {
                    tile,
                    buffer: buffer.name.clone(),
                    address: buffer.address,
                    bytes: buffer.bytes,
                    memory_bytes: bytes,
                });
                continue;
            };
            match &buffer.init {
                Some(init) if init.len() == size => place.copy_from_slice(init),
                Some(init) => self.problems.push(Problem::InitSize {
                    tile,
                    buffer: buffer.name.clone(),
                    bytes: buffer.bytes,
                    init_bytes: init.len(),
                }),
                None => {}
            }
        }
        memory
    }

    fn finish(mut self) -> Result<Array, Vec<Problem>> {
        let tiles: Vec<(Tile, TileKind)> = self.tiles.iter().map(|(&t, &(kind, _))| (t, kind)).collect();
        let memories = tiles.iter().map(|&(t, kind)| self.memory(t, kind)).collect();
        let (mut values, mut lock_names) = (Vec::new(), Vec::new());
        for &(tile, _) in &tiles {
            for lock in self.lowered.tiles.get(&tile).map_or(&[][..], |t| &t.locks) {
                if u32::from(lock.init) > self.timing.lock_max {
                    let (name, max_value) = (lock.name.clone(), self.timing.lock_max);
                    self.problems.push(Problem::LockInit { tile, lock: name, init: lock.init, max_value });
                }
                values.push(u32::from(lock.init));
                lock_names.push((tile, lock.name.clone()));
            }
        }
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        Ok(Array {
            tiles: tiles.into_iter().map(|t| t.0).collect(),
            memories: TileMemories::new(memories),
            locks: Locks::new(values, self.timing.lock_max),
            lock_names,
            channels: self.channels.into_values().collect(),
            flows: self.flows,
            flow_fifos: self.flow_fifos,
            cores: self.cores,
            commands: self.commands,
        })
    }
}
