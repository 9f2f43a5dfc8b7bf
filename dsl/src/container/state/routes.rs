//! Ways through the stream switches, followed from port to port.

use super::ArrayState;
use crate::array::Tile;
use crate::array::lowered::{Channel, Direction};
use crate::device::fields::switch;
use crate::device::registers::Register;
use crate::device::{PortSide, SwitchBundle, SwitchPort, TileKind};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Where a way begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// A DMA channel.
    Dma(Tile, Channel),
    /// Another port: of the core, the control port, a trace unit, or the host's side of a shim.
    Port(Tile, SwitchPort),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Dma(tile, channel) => write!(f, "{tile} {channel}"),
            End::Port(tile, port) => write!(f, "{tile} {port}"),
        }
    }
}

/// A way from one place to all that it leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteState {
    /// Where it begins.
    pub from: End,
    /// Id and mask of the packets that take it; `None` is a circuit.
    pub packets: Option<(u32, u32)>,
    /// Where it ends, sorted.
    pub to: Vec<End>,
}

/// The settings of one switch.
#[derive(Default)]
struct Switch {
    masters: BTreeMap<u32, u32>,
    slaves: BTreeMap<u32, u32>,
    slots: BTreeMap<(u32, u32), u32>,
}

impl ArrayState<'_> {
    /// All ways, by where they begin, and what is wrong with the switches: in words.
    ///
    /// An output follows its input only where both are enabled.
    pub fn routes(&self) -> (Vec<RouteState>, Vec<String>) {
        let mut switches: BTreeMap<Tile, Switch> = BTreeMap::new();
        for &tile in self.tiles.keys() {
            let switch = switches.entry(tile).or_default();
            for (r, value) in self.registers(tile) {
                match r {
                    Register::Switch(PortSide::Master, n) if switch::ENABLE.of(value) == 1 => {
                        switch.masters.insert(n, value);
                    }
                    Register::Switch(PortSide::Slave, n) if switch::ENABLE.of(value) == 1 => {
                        switch.slaves.insert(n, value);
                    }
                    Register::Slot { slave, slot } if switch::SLOT_ENABLE.of(value) == 1 => {
                        switch.slots.insert((slave, slot), value);
                    }
                    _ => {}
                }
            }
        }
        let mut wrong = Vec::new();
        let mut routes = Vec::new();
        for (&tile, switch) in &switches {
            self.check(tile, switch, &mut wrong);
            for (&slave, &value) in &switch.slaves {
                let Some(port) = self.port(tile, PortSide::Slave, slave) else { continue };
                let Some(from) = self.begin(tile, port) else { continue };
                if switch::PACKET.of(value) == 0 {
                    routes.push(self.follow(&switches, (tile, slave), from, None));
                    continue;
                }
                for (_, &slot) in switch.slots.range((slave, 0)..=(slave, u32::MAX)) {
                    let packets = (switch::SLOT_ID.of(slot), switch::SLOT_MASK.of(slot));
                    routes.push(self.follow(&switches, (tile, slave), from, Some(packets)));
                }
            }
        }
        routes.sort();
        (routes, wrong)
    }

    fn port(&self, tile: Tile, side: PortSide, number: u32) -> Option<SwitchPort> {
        let kind = self.tile(tile)?.kind;
        self.device.switch_ports(kind, side).nth(number as usize)
    }

    /// Outputs of circuits whose input is not enabled, or is there for packets.
    fn check(&self, tile: Tile, switch: &Switch, wrong: &mut Vec<String>) {
        for (&master, &value) in &switch.masters {
            let output =
                self.port(tile, PortSide::Master, master).map_or_else(String::new, |p| p.to_string());
            if switch::PACKET.of(value) == 1 {
                continue;
            }
            let slave = switch::SLAVE.of(value);
            let input = self
                .port(tile, PortSide::Slave, slave)
                .map_or_else(|| format!("number {slave}"), |p| p.to_string());
            match switch.slaves.get(&slave) {
                None => {
                    wrong.push(format!("{tile}: output {output} takes input {input}, which is not enabled"))
                }
                Some(&s) if switch::PACKET.of(s) == 1 => {
                    wrong.push(format!("{tile}: output {output} takes input {input}, which sorts packets"));
                }
                Some(_) => {}
            }
        }
    }

    /// Where a way through an input begins, when no neighbour's switch drives it.
    fn begin(&self, tile: Tile, port: SwitchPort) -> Option<End> {
        let kind = self.tile(tile)?.kind;
        match port.bundle {
            SwitchBundle::Dma => {
                Some(End::Dma(tile, Channel { direction: Direction::Mm2s, index: port.index }))
            }
            SwitchBundle::South if kind == TileKind::Shim => {
                let channel = self.shim_channel(tile, Direction::Mm2s, port.index);
                Some(channel.map_or(End::Port(tile, port), |c| End::Dma(tile, c)))
            }
            SwitchBundle::South | SwitchBundle::North | SwitchBundle::East | SwitchBundle::West => None,
            SwitchBundle::Core | SwitchBundle::Control | SwitchBundle::Fifo | SwitchBundle::Trace => {
                Some(End::Port(tile, port))
            }
        }
    }

    /// What an output leads to: an end, or an input of a neighbour.
    fn beyond(&self, tile: Tile, port: SwitchPort) -> Result<End, Option<(Tile, SwitchPort)>> {
        let kind = self.tile(tile).map(|t| t.kind);
        let (next, bundle) = match port.bundle {
            SwitchBundle::Dma => {
                return Ok(End::Dma(tile, Channel { direction: Direction::S2mm, index: port.index }));
            }
            SwitchBundle::South if kind == Some(TileKind::Shim) => {
                let channel = self.shim_channel(tile, Direction::S2mm, port.index);
                return Ok(channel.map_or(End::Port(tile, port), |c| End::Dma(tile, c)));
            }
            SwitchBundle::Core | SwitchBundle::Control | SwitchBundle::Fifo | SwitchBundle::Trace => {
                return Ok(End::Port(tile, port));
            }
            SwitchBundle::South => {
                (tile.row.checked_sub(1).map(|row| Tile { row, ..tile }), SwitchBundle::North)
            }
            SwitchBundle::North => {
                (tile.row.checked_add(1).map(|row| Tile { row, ..tile }), SwitchBundle::South)
            }
            SwitchBundle::East => {
                (tile.col.checked_add(1).map(|col| Tile { col, ..tile }), SwitchBundle::West)
            }
            SwitchBundle::West => {
                (tile.col.checked_sub(1).map(|col| Tile { col, ..tile }), SwitchBundle::East)
            }
        };
        Err(next.map(|tile| (tile, SwitchPort { bundle, index: port.index })))
    }

    fn follow(
        &self,
        switches: &BTreeMap<Tile, Switch>,
        start: (Tile, u32),
        from: End,
        packets: Option<(u32, u32)>,
    ) -> RouteState {
        let mut to = BTreeSet::new();
        let mut seen = BTreeSet::from([start]);
        let mut left = vec![start];
        while let Some((tile, slave)) = left.pop() {
            let Some(switch) = switches.get(&tile) else { continue };
            for master in driven(switch, slave, packets) {
                let Some(port) = self.port(tile, PortSide::Master, master) else { continue };
                match self.beyond(tile, port) {
                    Ok(end) => {
                        to.insert(end);
                    }
                    Err(next) => {
                        let input = next.and_then(|(tile, port)| {
                            let kind = self.tile(tile)?.kind;
                            Some((tile, self.device.switch_number(kind, PortSide::Slave, port)?))
                        });
                        // A ring of switches is walked once.
                        left.extend(input.filter(|&i| seen.insert(i)));
                    }
                }
            }
        }
        RouteState { from, packets, to: to.into_iter().collect() }
    }
}

/// Outputs that an input drives, for circuits or for packets of an id.
fn driven(switch: &Switch, slave: u32, packets: Option<(u32, u32)>) -> Vec<u32> {
    let Some(&config) = switch.slaves.get(&slave) else { return Vec::new() };
    let sorts = switch::PACKET.of(config) == 1;
    let mut driven = Vec::new();
    for (&master, &value) in &switch.masters {
        let takes_packets = switch::PACKET.of(value) == 1;
        let drives = match packets {
            _ if sorts != takes_packets => false,
            // Packets pass circuits as anything else does.
            _ if !sorts => switch::SLAVE.of(value) == slave,
            None => false,
            Some((id, _)) => switch.slots.range((slave, 0)..=(slave, u32::MAX)).any(|(_, &slot)| {
                let same = (switch::SLOT_ID.of(slot) ^ id) & switch::SLOT_MASK.of(slot) == 0;
                let selected = switch::SELECTIONS.of(value) >> switch::SLOT_SELECTION.of(slot) & 1 == 1;
                same && selected && switch::ARBITER.of(value) == switch::SLOT_ARBITER.of(slot)
            }),
        };
        if drives {
            driven.push(master);
        }
    }
    driven
}
