//! Routes of flows through the stream switches: [`route`].
//!
//! Object FIFOs are circuit-switched. An output port (a *master*) of a switch is driven by one
//! input port (a *slave*) for the whole design; a slave may drive several masters, which is how a
//! broadcast forks. A master towards a neighbour is the slave of the same number on the
//! neighbour's side, so routing means giving each flow a tree of masters that no other flow has.
//!
//! The search is negotiated congestion (PathFinder: McMurchie and Ebeling, 1995), as in mlir-aie's
//! `aie-create-pathfinder-flows`: every flow takes its cheapest tree, ports that several want grow
//! dearer from one round to the next, until nobody shares. What remains shared after the last round
//! says which switch is full. Without congestion every destination is reached by a shortest way. The
//! port numbers that the toolchain chooses may differ.

mod graph;
mod search;

use super::ir::Tile;
use super::lowered::Flow;
use crate::device::Device;
use indexmap::IndexMap;
use std::fmt;

/// A bundle of switch ports that flows of object FIFOs use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bundle {
    /// The tile's own DMA channels.
    Dma,
    /// The tile above.
    North,
    /// The tile below; at the shim, its DMA.
    South,
    /// The tile on the right.
    East,
    /// The tile on the left.
    West,
}

impl Bundle {
    /// The bundles to neighbours.
    pub const SIDES: [Bundle; 4] = [Bundle::North, Bundle::South, Bundle::East, Bundle::West];

    /// Lower-case name, as the device description has it.
    pub const fn name(self) -> &'static str {
        match self {
            Bundle::Dma => "dma",
            Bundle::North => "north",
            Bundle::South => "south",
            Bundle::East => "east",
            Bundle::West => "west",
        }
    }

    /// The bundle of the neighbour that a side's masters drive.
    const fn opposite(self) -> Option<Bundle> {
        match self {
            Bundle::Dma => None,
            Bundle::North => Some(Bundle::South),
            Bundle::South => Some(Bundle::North),
            Bundle::East => Some(Bundle::West),
            Bundle::West => Some(Bundle::East),
        }
    }
}

/// One port of a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port {
    /// Its bundle.
    pub bundle: Bundle,
    /// Number in the bundle.
    pub index: u8,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.bundle.name(), self.index)
    }
}

/// One connection inside a switch: `aie.connect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Connection {
    /// Whose switch.
    pub tile: Tile,
    /// The input.
    pub slave: Port,
    /// The output.
    pub master: Port,
}

/// The tree of one flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Position in the list of flows.
    pub flow: usize,
    /// Connections, each after the one that feeds it.
    pub connections: Vec<Connection>,
    /// Switches passed on the way to each destination, the first and last included, in the order of
    /// the flow's destinations.
    pub switches: Vec<u32>,
}

/// A side of a switch that more flows need than it has ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullSwitch {
    /// Whose switch.
    pub tile: Tile,
    /// Which side.
    pub side: Bundle,
    /// Its outputs on that side.
    pub ports: u32,
    /// Flows that need one, by position.
    pub flows: Vec<usize>,
}

/// Where the flows of a design go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing {
    /// A tree for each flow whose channels exist. Where `full` is not empty they share ports.
    pub routes: Vec<Route>,
    /// Switches that lack ports; empty when every flow has ports of its own.
    pub full: Vec<FullSwitch>,
    /// Outputs of every switch in the design's columns.
    outputs: IndexMap<(Tile, Bundle), u32>,
}

impl Routing {
    /// Flows that leave a tile on a side, each counted once a port.
    pub fn used(&self, tile: Tile, side: Bundle) -> u32 {
        let here = |c: &&Connection| (c.tile, c.master.bundle) == (tile, side);
        self.routes.iter().map(|r| r.connections.iter().filter(here).count() as u32).sum()
    }

    /// Outputs that a tile's switch has on a side; none at the edge of the design's columns.
    pub fn ports(&self, tile: Tile, side: Bundle) -> u32 {
        self.outputs.get(&(tile, side)).copied().unwrap_or(0)
    }
}

/// Routes flows within the first `columns` columns of a device.
///
/// Flows with a channel that their tile does not have are left out.
pub fn route(device: &Device, columns: u8, flows: &[Flow]) -> Routing {
    let graph = graph::Graph::new(device, columns);
    let nets = flows.iter().enumerate().filter_map(|(at, flow)| graph.net(at, flow)).collect();
    search::Search::new(&graph, nets).run()
}

#[cfg(test)]
mod tests;
