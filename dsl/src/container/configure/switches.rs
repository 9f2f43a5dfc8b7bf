//! Routes as settings of stream switches, and the shims' multiplexers.

use super::{ConfigureError, Configurer};
use crate::array::Tile;
use crate::array::lowered::{Channel, Direction};
use crate::array::route::{self, Bundle, Connection, route};
use crate::device::fields::{SHIM_DEMUX, SHIM_DMA, SHIM_MUX, switch};
use crate::device::{PortSide, SwitchBundle, SwitchPort, TileKind};
use std::collections::{BTreeMap, BTreeSet};

impl Configurer<'_> {
    /// Switches, tile by tile, then the multiplexers.
    pub(super) fn switches(&mut self) -> Result<(), ConfigureError> {
        let routing = route(self.device, self.design.columns, &self.lowered.flows);
        if let Some(full) = routing.full.first() {
            let (tile, side) = (full.tile, full.side.name());
            return Err(ConfigureError::NoRoute { design: self.name(), tile, side });
        }
        let mut by_tile: BTreeMap<Tile, Vec<Connection>> = BTreeMap::new();
        for connection in routing.routes.iter().flat_map(|r| &r.connections) {
            by_tile.entry(connection.tile).or_default().push(*connection);
        }
        let token_shims = self.token_shims();
        token_shims.iter().for_each(|&tile| {
            by_tile.entry(tile).or_default();
        });
        for (tile, connections) in by_tile {
            for connection in connections {
                self.connect(connection)?;
            }
            if token_shims.contains(&tile) {
                self.token_route(tile)?;
            }
        }
        let channels: BTreeSet<(Tile, Channel)> = self.lowered.shim_channels.values().copied().collect();
        for (tile, channel) in channels {
            self.multiplex(tile, channel)?;
        }
        Ok(())
    }

    fn number(&self, tile: Tile, side: PortSide, port: SwitchPort) -> Result<u32, ConfigureError> {
        let none = || ConfigureError::NoPort {
            design: self.name(),
            tile,
            what: format!("{} {port}", if side == PortSide::Master { "output" } else { "input" }),
        };
        self.device.switch_number(self.kind(tile), side, port).ok_or_else(none)
    }

    fn set(&mut self, tile: Tile, side: PortSide, number: u32, value: u32) {
        let register = self.device.switch_register(self.kind(tile), side, number);
        self.write(tile, register, value);
    }

    /// One input drives one output.
    fn connect(&mut self, Connection { tile, slave, master }: Connection) -> Result<(), ConfigureError> {
        let slave = self.number(tile, PortSide::Slave, port(slave))?;
        let master = self.number(tile, PortSide::Master, port(master))?;
        self.set(tile, PortSide::Master, master, switch::ENABLE.at(1) | switch::SLAVE.at(slave));
        self.set(tile, PortSide::Slave, slave, switch::ENABLE.at(1));
        Ok(())
    }

    /// Shims whose channels the sequence starts: their tokens must reach the controller.
    fn token_shims(&self) -> BTreeSet<Tile> {
        self.lowered.shim_channels.values().map(|&(tile, _)| tile).collect()
    }

    /// Packets of the shim's control port, which carry its tokens, go out to the south.
    fn token_route(&mut self, tile: Tile) -> Result<(), ConfigureError> {
        let i = &self.device.instructions;
        let id = i.token_controller_ids().get(usize::from(tile.row)).copied().unwrap_or(0);
        let (arbiter, selection) = (i.token_arbiter(), i.token_selection());
        let south = u8::try_from(i.token_switch_port()).unwrap_or(u8::MAX);
        let master = SwitchPort { bundle: SwitchBundle::South, index: south };
        let slave = SwitchPort { bundle: SwitchBundle::Control, index: 0 };
        let master = self.number(tile, PortSide::Master, master)?;
        let slave = self.number(tile, PortSide::Slave, slave)?;
        let packets = switch::ENABLE.at(1) | switch::PACKET.at(1);
        let value = packets | switch::ARBITER.at(arbiter) | switch::SELECTIONS.at(1 << selection);
        self.set(tile, PortSide::Master, master, value);
        self.set(tile, PortSide::Slave, slave, packets);
        let slot = switch::SLOT_ID.at(id)
            | switch::SLOT_MASK.mask()
            | switch::SLOT_ENABLE.at(1)
            | switch::SLOT_SELECTION.at(selection)
            | switch::SLOT_ARBITER.at(arbiter);
        self.write(tile, self.device.switch_slot_register(TileKind::Shim, slave, 0), slot);
        Ok(())
    }

    /// Joins a shim's channel to its south port.
    fn multiplex(&mut self, tile: Tile, channel: Channel) -> Result<(), ConfigureError> {
        let (shim, r) = (&self.device.shim, &self.device.registers);
        let (register, fields, ports) = match channel.direction {
            Direction::Mm2s => (r.shim_mux_address(), SHIM_MUX, shim.mm2s_switch_ports()),
            Direction::S2mm => (r.shim_demux_address(), SHIM_DEMUX, shim.s2mm_switch_ports()),
        };
        let port = ports.get(usize::from(channel.index)).copied();
        let field = fields.iter().find(|(south, _)| Some(*south) == port);
        let none = || ConfigureError::NoPort {
            design: self.name(),
            tile,
            what: format!("multiplexer for channel {channel}"),
        };
        let (_, field) = field.ok_or_else(none)?;
        self.mask_write(tile, register, field.mask(), field.at(SHIM_DMA));
        Ok(())
    }
}

/// A port of a route as the switch numbers it.
pub(super) fn port(of: route::Port) -> SwitchPort {
    let bundle = match of.bundle {
        Bundle::Dma => SwitchBundle::Dma,
        Bundle::North => SwitchBundle::North,
        Bundle::South => SwitchBundle::South,
        Bundle::East => SwitchBundle::East,
        Bundle::West => SwitchBundle::West,
    };
    SwitchPort { bundle, index: of.index }
}
