//! What stands at an address of a tile.

use super::addresses::PortSide;
use super::{Device, TileKind};
use crate::array::lowered::{Channel, Direction};

/// What kind of register stands at an address of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Register {
    /// Word `word` of BD `bd`.
    Bd {
        /// Which BD.
        bd: u32,
        /// Which word of it.
        word: u32,
    },
    /// Control of a channel.
    Control(Channel),
    /// Task queue of a channel.
    Queue(Channel),
    /// Value of a lock.
    Lock(u32),
    /// Byte of data memory.
    Data(u32),
    /// Byte of a core's program.
    Program(u32),
    /// Control of a core.
    CoreControl,
    /// Directions of a core's cascade.
    Cascade,
    /// A port of the stream switch, by its number on its side.
    Switch(PortSide, u32),
    /// A slot of a slave of the stream switch.
    Slot {
        /// Number of the slave.
        slave: u32,
        /// Number of the slot.
        slot: u32,
    },
    /// What the south inputs of a shim's switch come from.
    ShimMux,
    /// What the south outputs of a shim's switch go to.
    ShimDemux,
}

/// What stands at an address of a tile of a kind; `None` when it is not a register this crate writes
/// or that streams are known to write.
pub(crate) fn register(device: &Device, kind: TileKind, address: u32) -> Option<Register> {
    let (r, dma, all) = (device.tile_registers(kind), device.tile_dma(kind), &device.registers);
    let nth = |first: u32, step: u32, count: u32| {
        let distance = address.checked_sub(first)?;
        (distance / step < count).then_some((distance / step, distance % step))
    };
    if let Some((bd, byte)) = nth(r.bds_address(), r.bd_step_bytes(), dma.bds()) {
        return (byte / 4 < r.bd_words()).then_some(Register::Bd { bd, word: byte / 4 });
    }
    let both = [
        (Direction::S2mm, r.s2mm_control_address(), dma.s2mm_channels()),
        (Direction::Mm2s, r.mm2s_control_address(), dma.mm2s_channels()),
    ];
    for (direction, first, channels) in both {
        if let Some((index, byte)) = nth(first, r.channel_step_bytes(), channels) {
            let channel = Channel { direction, index: index as u8 };
            return match byte {
                0 => Some(Register::Control(channel)),
                _ if byte == r.task_queue_offset_bytes() => Some(Register::Queue(channel)),
                _ => None,
            };
        }
    }
    if let Some((lock, byte)) = nth(r.locks_address(), r.lock_step_bytes(), dma.locks()) {
        return (byte == 0).then_some(Register::Lock(lock));
    }
    if address < device.tile_memory_bytes(kind) {
        return Some(Register::Data(address));
    }
    if kind == TileKind::Core {
        if let Some((byte, _)) = nth(all.program_memory_address(), 1, device.core.program_memory_bytes()) {
            return Some(Register::Program(byte));
        }
        if address == all.core_control_address() {
            return Some(Register::CoreControl);
        }
        if address == all.core_cascade_address() {
            return Some(Register::Cascade);
        }
    }
    if kind == TileKind::Shim {
        if address == all.shim_mux_address() {
            return Some(Register::ShimMux);
        }
        if address == all.shim_demux_address() {
            return Some(Register::ShimDemux);
        }
    }
    let [masters, slaves] = device.tile_switch(kind).total();
    let step = all.switch_port_step_bytes();
    for (side, count) in [(PortSide::Master, masters), (PortSide::Slave, slaves)] {
        if let Some((number, 0)) = nth(device.switch_register(kind, side, 0), step, count) {
            return Some(Register::Switch(side, number));
        }
    }
    let (slots, step) = (all.switch_slots(), all.switch_slot_step_bytes());
    match nth(device.switch_slot_register(kind, 0, 0), step, slaves * slots) {
        Some((at, 0)) => Some(Register::Slot { slave: at / slots, slot: at % slots }),
        _ => None,
    }
}
