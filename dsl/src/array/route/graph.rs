//! Switches, the links between them, and which input can drive which output.

use super::{Bundle, Port};
use crate::array::ir::Tile;
use crate::array::lowered::Flow;
use crate::device::{Device, SwitchPorts, TileKind};
use indexmap::IndexMap;

/// An output port of a switch, by position in [`Graph::masters`].
pub(super) type NodeId = usize;

/// An output port and where it leads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Master {
    pub tile: Tile,
    pub port: Port,
    /// The input that it drives at a neighbour; `None` where the stream ends in a DMA channel.
    pub leads_to: Option<(Tile, Port)>,
}

/// A flow as the search sees it.
#[derive(Clone, Debug)]
pub(super) struct Net {
    /// Position in the list of flows.
    pub flow: usize,
    /// Where it enters its first switch.
    pub source: (Tile, Port),
    /// The outputs it must reach.
    pub sinks: Vec<NodeId>,
}

/// The switches of the first columns of a device.
pub(super) struct Graph<'d> {
    device: &'d Device,
    columns: u8,
    masters: Vec<Master>,
    by_place: IndexMap<(Tile, Port), NodeId>,
    /// Outputs that each input can drive.
    drives: IndexMap<(Tile, Port), Vec<NodeId>>,
}

impl<'d> Graph<'d> {
    pub fn new(device: &'d Device, columns: u8) -> Graph<'d> {
        let mut graph = Graph {
            device,
            columns,
            masters: Vec::new(),
            by_place: IndexMap::new(),
            drives: IndexMap::new(),
        };
        let tiles: Vec<(Tile, TileKind)> = [TileKind::Shim, TileKind::Mem, TileKind::Core]
            .into_iter()
            .flat_map(|kind| device.tiles(kind).map(move |t| (t, kind)))
            .filter(|(t, _)| t.col < columns)
            .collect();
        for &(tile, kind) in &tiles {
            graph.add_masters(tile, kind);
        }
        for &(tile, kind) in &tiles {
            graph.add_inputs(tile, kind);
        }
        graph
    }

    /// All outputs.
    pub fn masters(&self) -> &[Master] {
        &self.masters
    }

    /// Outputs that an input can drive.
    pub fn driven(&self, input: (Tile, Port)) -> &[NodeId] {
        self.drives.get(&input).map_or(&[], Vec::as_slice)
    }

    /// A flow's ends; `None` when one of its channels does not exist.
    pub fn net(&self, at: usize, flow: &Flow) -> Option<Net> {
        let (tile, channel) = flow.from;
        let source = (tile, self.dma_port(tile, channel, false)?);
        let sink = |&(tile, channel): &(Tile, u8)| {
            let port = self.dma_port(tile, channel, true)?;
            self.by_place.get(&(tile, port)).copied()
        };
        let sinks: Option<Vec<NodeId>> = flow.to.iter().map(sink).collect();
        Some(Net { flow: at, source, sinks: sinks? })
    }

    /// The switch port of a DMA channel. The shim's DMA stands behind a multiplexer at its south side.
    fn dma_port(&self, tile: Tile, channel: u8, into_dma: bool) -> Option<Port> {
        let kind = self.device.tile_kind(tile).filter(|_| tile.col < self.columns)?;
        let dma = self.device.tile_dma(kind);
        let channels = if into_dma { dma.s2mm_channels() } else { dma.mm2s_channels() };
        if u32::from(channel) >= channels {
            return None;
        }
        if kind != TileKind::Shim {
            return Some(Port { bundle: Bundle::Dma, index: channel });
        }
        let shim = &self.device.shim;
        let ports = if into_dma { shim.s2mm_switch_ports() } else { shim.mm2s_switch_ports() };
        let index = ports.get(usize::from(channel)).and_then(|&p| u8::try_from(p).ok())?;
        Some(Port { bundle: Bundle::South, index })
    }

    fn add_masters(&mut self, tile: Tile, kind: TileKind) {
        let switch = self.device.tile_switch(kind);
        for bundle in [Bundle::Dma].into_iter().chain(Bundle::SIDES) {
            let beyond = bundle.opposite().and_then(|side| Some((self.neighbour(tile, bundle)?, side)));
            let outputs = match beyond {
                Some((next, side)) => {
                    let inputs = self.device.tile_kind(next).map_or(0, |k| {
                        let [_, inputs] = ports(self.device.tile_switch(k), side);
                        inputs
                    });
                    ports(switch, bundle)[0].min(inputs)
                }
                // The shim's south side is its DMA; other sides at the edge have nothing beyond.
                None if bundle == Bundle::Dma || (kind == TileKind::Shim && bundle == Bundle::South) => {
                    ports(switch, bundle)[0]
                }
                None => 0,
            };
            for index in 0..u8::try_from(outputs).unwrap_or(u8::MAX) {
                let port = Port { bundle, index };
                let leads_to = beyond.map(|(next, bundle)| (next, Port { bundle, index }));
                self.by_place.insert((tile, port), self.masters.len());
                self.masters.push(Master { tile, port, leads_to });
            }
        }
    }

    fn add_inputs(&mut self, tile: Tile, kind: TileKind) {
        let switch = self.device.tile_switch(kind);
        let here: Vec<NodeId> = (0..self.masters.len()).filter(|&n| self.masters[n].tile == tile).collect();
        for bundle in [Bundle::Dma].into_iter().chain(Bundle::SIDES) {
            for index in 0..u8::try_from(ports(switch, bundle)[1]).unwrap_or(u8::MAX) {
                let slave = Port { bundle, index };
                let driven = here.iter().copied().filter(|&n| connects(kind, slave, self.masters[n].port));
                self.drives.insert((tile, slave), driven.collect());
            }
        }
    }

    /// The tile on a side, inside the columns.
    fn neighbour(&self, tile: Tile, side: Bundle) -> Option<Tile> {
        let next = match side {
            Bundle::Dma => return None,
            Bundle::North => Tile::new(tile.col, tile.row.checked_add(1)?),
            Bundle::South => Tile::new(tile.col, tile.row.checked_sub(1)?),
            Bundle::East => Tile::new(tile.col.checked_add(1)?, tile.row),
            Bundle::West => Tile::new(tile.col.checked_sub(1)?, tile.row),
        };
        self.device.tile_kind(next).filter(|_| next.col < self.columns)?;
        Some(next)
    }
}

/// [masters, slaves] of a bundle.
fn ports(switch: &SwitchPorts, bundle: Bundle) -> [u32; 2] {
    match bundle {
        Bundle::Dma => switch.dma(),
        Bundle::North => switch.north(),
        Bundle::South => switch.south(),
        Bundle::East => switch.east(),
        Bundle::West => switch.west(),
    }
}

/// Whether a switch can connect an input to an output (TM isLegalTileConnection of AIE2).
///
/// A mem tile's switch is no full crossbar: what passes through it, and what goes from its DMA to
/// its DMA, keeps its port number. Cores and shims turn a stream back only on its own number.
fn connects(kind: TileKind, slave: Port, master: Port) -> bool {
    let vertical = |p: Port| matches!(p.bundle, Bundle::North | Bundle::South);
    match kind {
        TileKind::Mem if vertical(slave) && vertical(master) => slave.index == master.index,
        TileKind::Shim if slave.bundle == Bundle::South => true,
        _ if slave.bundle == master.bundle => slave.index == master.index,
        _ => true,
    }
}
