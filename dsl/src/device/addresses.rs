//! Where the registers of tiles are, and how the ports of their switches are numbered.

use super::schema::{SwitchBundle, SwitchPorts, TileRegisters};
use super::{Device, TileKind};
use crate::array::Tile;
use crate::array::lowered::{Channel, Direction};

/// One end of a stream switch: an output or an input of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PortSide {
    /// An output.
    Master,
    /// An input.
    Slave,
}

/// Which way a packet's or circuit's port lies, and its number in its bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SwitchPort {
    /// Its bundle.
    pub bundle: SwitchBundle,
    /// Its number in the bundle.
    pub index: u8,
}

impl std::fmt::Display for SwitchPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.bundle.name(), self.index)
    }
}

impl SwitchPorts {
    /// Ports of a bundle: masters, slaves.
    pub fn of(&self, bundle: SwitchBundle) -> [u32; 2] {
        match bundle {
            SwitchBundle::Core => self.core(),
            SwitchBundle::Dma => self.dma(),
            SwitchBundle::Control => self.control(),
            SwitchBundle::Fifo => self.fifo(),
            SwitchBundle::South => self.south(),
            SwitchBundle::West => self.west(),
            SwitchBundle::North => self.north(),
            SwitchBundle::East => self.east(),
            SwitchBundle::Trace => self.trace(),
        }
    }
}

impl TileRegisters {
    /// Control register of a DMA channel, from the tile's own address; its task queue follows.
    pub(crate) fn control_address(&self, channel: Channel) -> u32 {
        let first = match channel.direction {
            Direction::S2mm => self.s2mm_control_address(),
            Direction::Mm2s => self.mm2s_control_address(),
        };
        first.wrapping_add(u32::from(channel.index).wrapping_mul(self.channel_step_bytes()))
    }
}

impl Device {
    /// Address of a register of a tile.
    pub(crate) fn address(&self, tile: Tile, offset: u32) -> u32 {
        let r = &self.registers;
        u32::from(tile.col) << r.column_shift() | u32::from(tile.row) << r.row_shift() | offset
    }

    /// The tile of an address, and the address in it. The tile need not exist: a row has at most
    /// `column_shift - row_shift` bits and a column those above, 5 and 7 on AIE2; what is wider saturates.
    pub(crate) fn place(&self, address: u32) -> (Tile, u32) {
        let r = &self.registers;
        let rows = (1 << (r.column_shift() - r.row_shift())) - 1;
        let byte = |value: u32| u8::try_from(value).unwrap_or(u8::MAX);
        let tile = Tile::new(byte(address >> r.column_shift()), byte(address >> r.row_shift() & rows));
        (tile, address & ((1 << r.row_shift()) - 1))
    }

    /// Ports of one side of a switch, in the order of their numbers.
    pub(crate) fn switch_ports(&self, kind: TileKind, side: PortSide) -> impl Iterator<Item = SwitchPort> {
        let switch = self.tile_switch(kind);
        self.registers.switch_port_order().iter().flat_map(move |&bundle| {
            let count = switch.of(bundle)[usize::from(side == PortSide::Slave)];
            (0..u8::try_from(count).unwrap_or(u8::MAX)).map(move |index| SwitchPort { bundle, index })
        })
    }

    /// Number of a port among those of its side; `None` where the tile has no such port.
    pub(crate) fn switch_number(&self, kind: TileKind, side: PortSide, port: SwitchPort) -> Option<u32> {
        self.switch_ports(kind, side).position(|p| p == port).map(|n| n as u32)
    }

    /// Configuration register of a port, from the tile's own address.
    pub(crate) fn switch_register(&self, kind: TileKind, side: PortSide, number: u32) -> u32 {
        let r = &self.registers;
        let first = match side {
            PortSide::Master => 0,
            PortSide::Slave => r.switch_slaves_offset_bytes(),
        };
        self.tile_registers(kind).switch_address() + first + number * r.switch_port_step_bytes()
    }

    /// Register of a slot of a slave, from the tile's own address.
    pub(crate) fn switch_slot_register(&self, kind: TileKind, slave: u32, slot: u32) -> u32 {
        let r = &self.registers;
        let at = (slave * r.switch_slots() + slot) * r.switch_slot_step_bytes();
        self.tile_registers(kind).switch_address() + r.switch_slots_offset_bytes() + at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers by hand from aie-rt 1ad203de `xaiemlgbl_params.h`: (register, 0x3F000 or 0xB0000) of named ports.
    #[test]
    fn ports_have_the_registers_of_aie_rt() {
        use SwitchBundle as B;
        use TileKind as K;
        let device = Device::npu1();
        let register = |kind, side, bundle, index| {
            let number = device.switch_number(kind, side, SwitchPort { bundle, index });
            number.map(|n| device.switch_register(kind, side, n))
        };
        let masters = [
            (K::Core, B::Core, 0, 0x3F000),
            (K::Core, B::Dma, 1, 0x3F008),
            (K::Core, B::Control, 0, 0x3F00C),
            (K::Core, B::South, 3, 0x3F020),
            (K::Core, B::West, 0, 0x3F024),
            (K::Core, B::North, 5, 0x3F048),
            (K::Core, B::East, 3, 0x3F058),
            (K::Mem, B::Dma, 5, 0xB0014),
            (K::Mem, B::South, 0, 0xB001C),
            (K::Mem, B::North, 5, 0xB0040),
            (K::Shim, B::Fifo, 0, 0x3F004),
            (K::Shim, B::South, 2, 0x3F010),
            (K::Shim, B::East, 3, 0x3F054),
        ];
        for (kind, bundle, index, address) in masters {
            assert_eq!(register(kind, PortSide::Master, bundle, index), Some(address), "{kind:?} {bundle:?}");
        }
        let slaves = [
            (K::Core, B::South, 5, 0x3F128),
            (K::Core, B::East, 3, 0x3F158),
            (K::Core, B::Trace, 1, 0x3F160),
            (K::Mem, B::South, 5, 0xB0130),
            (K::Mem, B::Trace, 0, 0xB0144),
            (K::Shim, B::South, 7, 0x3F124),
            (K::Shim, B::Trace, 0, 0x3F158),
        ];
        for (kind, bundle, index, address) in slaves {
            assert_eq!(register(kind, PortSide::Slave, bundle, index), Some(address), "{kind:?} {bundle:?}");
        }
        assert_eq!(register(K::Mem, PortSide::Master, B::East, 0), None);
        // STREAM_SWITCH_SLAVE_EAST_3_SLOT3 of a core, and TRACE_SLOT2 of a mem tile.
        assert_eq!(device.switch_slot_register(K::Core, 22, 3), 0x3F36C);
        assert_eq!(device.switch_slot_register(K::Mem, 17, 2), 0xB0318);
    }

    #[test]
    fn addresses_and_places_are_inverse() {
        let device = Device::npu1();
        let tile = Tile::new(3, 5);
        assert_eq!(device.address(tile, 0x3_F108), 0x653_F108);
        assert_eq!(device.place(0x653_F108), (tile, 0x3_F108));
        assert_eq!(device.place(u32::MAX), (Tile::new(127, 31), 0xF_FFFF));
    }
}
