//! An instruction stream in words, for people: one line per operation, with tile and register, and
//! the fields of BDs that are not zero. Register and field names are AM025's.

use super::{HEADER_WORDS, Inst, Insts, InstsHeader};
use crate::array::lowered::{Channel, Direction};
use crate::device::fields::{
    CONTROLLER_ID, Field, QUEUE_BD, QUEUE_BD_MEM, QUEUE_REPEATS, QUEUE_TOKEN, Shown, bd_fields,
};
use crate::device::registers::{Register, register};
use crate::device::{Device, PortSide, TileKind};
use std::fmt;

impl fmt::Display for Insts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let h = &self.header;
        let words = self.encode().len();
        writeln!(
            f,
            "instructions for {h}: {} in {} bytes",
            count(self.ops.len() as u64, "operation"),
            words as u64 * 4
        )?;
        let mut at = HEADER_WORDS;
        let mut one = Vec::new();
        for (i, op) in self.ops.iter().enumerate() {
            write!(f, "{i:>4} @{at:<5} ")?;
            write_op(f, h.device(), op)?;
            one.clear();
            op.encode(&mut one);
            at += one.len();
        }
        Ok(())
    }
}

impl fmt::Display for InstsHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.device() {
            Some(device) => write!(f, "{}", device.name)?,
            None => write!(f, "device generation {}", self.device_generation)?,
        }
        write!(
            f,
            ", format {}.{}, {}, {} ({} of mem tiles)",
            self.format_major,
            self.format_minor,
            count(u64::from(self.columns), "column"),
            count(u64::from(self.rows), "row"),
            self.mem_rows
        )
    }
}

fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn write_op(f: &mut fmt::Formatter<'_>, device: Option<&Device>, op: &Inst) -> fmt::Result {
    let name = |address: u32| match device {
        Some(device) => register_name(device, address),
        None => format!("{address:#010x}"),
    };
    match *op {
        Inst::Write { address, value } => {
            write!(f, "write {} = {value:#010x}", name(address))?;
            let meaning = device.and_then(|d| meaning(d, address, value));
            writeln!(f, "{}", meaning.map_or_else(String::new, |m| format!(": {m}")))
        }
        Inst::BlockWrite { address, ref words, .. } => {
            writeln!(f, "block write of {} at {}", count(words.len() as u64, "word"), name(address))?;
            device.map_or(Ok(()), |device| write_block(f, device, address, words))
        }
        Inst::MaskWrite { address, value, mask } => {
            write!(f, "mask write {} = {value:#010x} in bits {mask:#010x}", name(address))?;
            let whole = CONTROLLER_ID.max() << CONTROLLER_ID.bit;
            let control = device.and_then(|d| named(d, address).2);
            match control {
                Some(Register::Control(_)) if mask == whole => {
                    writeln!(
                        f,
                        ": {} {}",
                        CONTROLLER_ID.name,
                        value >> CONTROLLER_ID.bit & CONTROLLER_ID.max()
                    )
                }
                _ => writeln!(f),
            }
        }
        Inst::MaskPoll { address, value, mask, busy } => {
            let how = if busy { "busy poll" } else { "poll" };
            writeln!(f, "{how} until {} & {mask:#010x} == {value:#010x}", name(address))
        }
        Inst::Noop => writeln!(f, "no operation"),
        Inst::Preempt { level } => writeln!(f, "preemption point of level {level}"),
        Inst::LoadPdi { id, bytes, address } => {
            writeln!(f, "load PDI {id}: {bytes} bytes at {address:#018x}")
        }
        Inst::CreateScratchpad { usage, bytes, address } => {
            writeln!(f, "create scratchpad of usage {usage}: {bytes} bytes at {address:#018x}")
        }
        Inst::UpdateRegister { state, function, argument, address } => writeln!(
            f,
            "update {} from state {state} by function {function} of {argument:#010x}",
            name(address)
        ),
        Inst::Sync { tile, columns, rows, channel } => {
            write!(f, "wait for a token of {} at ", channel_name(channel))?;
            let kind = device.and_then(|d| d.tile_kind(tile)).map_or("tile", kind_name);
            match (columns, rows) {
                (1, 1) => writeln!(f, "{kind} {tile}"),
                _ => writeln!(
                    f,
                    "each of {} x {} from {kind} {tile}",
                    count(u64::from(columns), "column"),
                    count(u64::from(rows), "row")
                ),
            }
        }
        Inst::Patch { address, argument, offset_bytes } => {
            write!(f, "patch {}: the address of argument {argument} ", name(address))?;
            let later = device.and_then(|d| {
                let i = &d.instructions;
                let later = argument >= i.relocated_arguments();
                offset_bytes.checked_sub(i.host_memory_address()).filter(|_| later)
            });
            match (later, device) {
                (Some(offset), Some(device)) => writeln!(
                    f,
                    "+ {} + {:#010x}, where host memory begins",
                    count(u64::from(offset), "byte"),
                    device.instructions.host_memory_address()
                ),
                _ => writeln!(f, "+ {}", count(u64::from(offset_bytes), "byte")),
            }
        }
    }
}

fn kind_name(kind: TileKind) -> &'static str {
    match kind {
        TileKind::Shim => "shim",
        TileKind::Mem => "mem tile",
        TileKind::Core => "core",
    }
}

fn channel_name(channel: Channel) -> String {
    let direction = match channel.direction {
        Direction::S2mm => "S2MM",
        Direction::Mm2s => "MM2S",
    };
    format!("{direction} {}", channel.index)
}

/// The tile, its kind and the register of an address.
fn named(device: &Device, address: u32) -> (crate::array::Tile, Option<TileKind>, Option<Register>) {
    let (tile, offset) = device.place(address);
    let kind = device.tile_kind(tile);
    (tile, kind, kind.and_then(|kind| register(device, kind, offset)))
}

fn register_name(device: &Device, address: u32) -> String {
    let (tile, kind, register) = named(device, address);
    let (_, offset) = device.place(address);
    let queue = if kind == Some(TileKind::Shim) { "Task_Queue" } else { "Start_Queue" };
    let channel = |c: Channel| format!("DMA_{}", channel_name(c).replace(' ', "_"));
    let name = match register {
        Some(Register::Bd { bd, word }) => format!("DMA_BD{bd}_{word}"),
        Some(Register::Control(c)) => format!("{}_Ctrl", channel(c)),
        Some(Register::Queue(c)) => format!("{}_{queue}", channel(c)),
        Some(Register::Lock(lock)) => format!("Lock{lock}_value"),
        Some(Register::Data(byte)) => format!("data memory byte {byte:#x}"),
        Some(Register::Program(byte)) => format!("program memory byte {byte:#x}"),
        Some(Register::CoreControl) => "Core_Control".to_owned(),
        Some(Register::Cascade) => "Accumulator_Control".to_owned(),
        Some(Register::Switch(side, number)) => {
            let port = kind.and_then(|kind| device.switch_ports(kind, side).nth(number as usize));
            let side = if side == PortSide::Master { "Master" } else { "Slave" };
            let port = port.map_or_else(|| number.to_string(), |p| p.to_string().replace(' ', "_"));
            format!("Stream_Switch_{side}_Config_{port}")
        }
        Some(Register::Slot { slave, slot }) => {
            let port = kind.and_then(|kind| device.switch_ports(kind, PortSide::Slave).nth(slave as usize));
            let port = port.map_or_else(|| slave.to_string(), |p| p.to_string().replace(' ', "_"));
            format!("Stream_Switch_Slave_{port}_Slot{slot}")
        }
        Some(Register::ShimMux) => "Mux_Config".to_owned(),
        Some(Register::ShimDemux) => "Demux_Config".to_owned(),
        None => format!("register {offset:#07x}"),
    };
    format!("{} {tile} {name}", kind.map_or("tile", kind_name))
}

/// What a value written to a register makes happen.
fn meaning(device: &Device, address: u32, value: u32) -> Option<String> {
    let (_, kind, register) = named(device, address);
    match register? {
        Register::Queue(_) => {
            let bd = if kind == Some(TileKind::Mem) { QUEUE_BD_MEM } else { QUEUE_BD };
            let runs = u64::from(QUEUE_REPEATS.get(&[value])?) + 1;
            let token = if QUEUE_TOKEN.get(&[value])? == 1 { "a token" } else { "no token" };
            Some(format!("start BD {}, {}, {token}", bd.get(&[value])?, count(runs, "run")))
        }
        Register::CoreControl => {
            let enable = if value & 1 == 1 { "enabled" } else { "disabled" };
            Some(format!("{enable}{}", if value & 2 == 2 { ", in reset" } else { "" }))
        }
        Register::Lock(lock) => Some(format!("lock {lock} becomes {value}")),
        _ => None,
    }
}

/// The words of a block: whole BDs by their fields, the rest by register.
fn write_block(f: &mut fmt::Formatter<'_>, device: &Device, address: u32, words: &[u32]) -> fmt::Result {
    let mut rest = words;
    let mut at = address;
    while let Some((&word, after)) = rest.split_first() {
        let (_, kind, register) = named(device, at);
        let whole = match (kind, register) {
            (Some(kind), Some(Register::Bd { bd, word: 0 })) => {
                let size = device.tile_registers(kind).bd_words() as usize;
                rest.split_at_checked(size).map(|(block, after)| (kind, bd, block, after))
            }
            _ => None,
        };
        let step = match whole {
            Some((kind, bd, block, after)) => {
                let fields: Vec<String> =
                    bd_fields(kind).iter().filter_map(|field| show(device, *field, block)).collect();
                let fields = if fields.is_empty() { "all zero".to_owned() } else { fields.join(", ") };
                writeln!(f, "{:12}BD {bd}: {fields}", "")?;
                rest = after;
                block.len()
            }
            None => {
                writeln!(f, "{:12}{} = {word:#010x}", "", register_name(device, at))?;
                rest = after;
                1
            }
        };
        // A block that leaves its tile is not decoded; one built by hand wraps.
        at = at.wrapping_add(4 * step as u32);
    }
    Ok(())
}

/// A field that is not zero.
fn show(device: &Device, field: Field, words: &[u32]) -> Option<String> {
    let value = field.get(words).filter(|&v| v != 0)?;
    let name = field.name;
    Some(match field.shown {
        Shown::Number => format!("{name} {value}"),
        Shown::Words => format!("{name} {}", count(u64::from(value), "word")),
        Shown::LessOne => format!("{name} {value} (of {})", u64::from(value) + 1),
        Shown::Burst => match device.shim.burst_bytes().get(value as usize) {
            Some(bytes) => format!("{name} {value} ({bytes} bytes)"),
            None => format!("{name} {value}"),
        },
    })
}
