//! A lowered design as JSON, in the shape in which the toolchain's own lowering can be extracted.

use super::{Bd, ChannelProgram, Lowered, LoweredTile};
use crate::array::ir::{Design, Dim};
use crate::array::lower::LowerMode;
use indexmap::IndexMap;
use serde::Serialize;

/// The whole design.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoweredJson {
    /// `static` or `dynamic`.
    pub mode: &'static str,
    /// Month of the mlir-aie whose lowering this mode follows.
    pub mlir_aie: &'static str,
    /// Content of each tile, by `col,row`.
    pub tiles: IndexMap<String, TileJson>,
    /// Stream connections, one for each destination.
    pub flows: Vec<FlowJson>,
}

/// One tile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TileJson {
    /// Buffers with their places.
    pub buffers: Vec<BufferJson>,
    /// Locks with their initial values.
    pub locks: Vec<LockJson>,
    /// Programs of the DMA channels.
    pub dma: Vec<ChannelJson>,
    /// Stack that the core asks for; none takes the device's default.
    pub stack_bytes: Option<u32>,
}

/// A buffer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BufferJson {
    /// Symbol.
    pub name: String,
    /// First byte.
    pub address: u32,
    /// Logical bank of the first byte.
    pub bank: u8,
    /// Size.
    pub bytes: u32,
}

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LockJson {
    /// Symbol.
    pub name: String,
    /// Number in the tile.
    pub id: u8,
    /// Value at start.
    pub init: u8,
}

/// The program of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelJson {
    /// `S2MM0`, `MM2S1`, ...
    pub channel: String,
    /// Its buffer descriptors, in order.
    pub bds: Vec<BdJson>,
}

/// A buffer descriptor. Offset, length and strides are in elements of the buffer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BdJson {
    /// Symbol of the buffer.
    pub buffer: String,
    /// First element.
    pub offset: u32,
    /// Elements moved.
    pub len: u32,
    /// Sizes of the access, outermost first; none is linear.
    pub sizes: Option<Vec<u32>>,
    /// Strides of the access.
    pub strides: Option<Vec<u32>>,
    /// Number in the tile.
    pub bd_id: u8,
    /// Number of the one that follows.
    pub next: Option<u8>,
}

/// A stream connection to one destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlowJson {
    /// Column and row of the source.
    pub from: [u8; 2],
    /// `DMA0`, ...: its MM2S channel.
    pub port: String,
    /// Column and row of the destination.
    pub to: [u8; 2],
    /// Its S2MM channel.
    pub to_port: String,
}

impl LoweredJson {
    /// Of what `design` lowered to in `mode`.
    pub fn new(design: &Design, lowered: &Lowered, mode: LowerMode) -> LoweredJson {
        let (mode, mlir_aie) = match mode {
            LowerMode::Static => ("static", "2026-08"),
            LowerMode::Dynamic => ("dynamic", "2026-04"),
        };
        let tile = |(tile, content): (&crate::array::Tile, &LoweredTile)| {
            let core = design.cores.iter().find(|c| c.tile == *tile);
            let stack_bytes = core.and_then(|c| c.stack_bytes);
            (format!("{},{}", tile.col, tile.row), TileJson { stack_bytes, ..tile_json(content) })
        };
        let flows = lowered.flows.iter().flat_map(|flow| {
            let (from, port) = flow.from;
            flow.to.iter().map(move |(to, to_port)| FlowJson {
                from: [from.col, from.row],
                port: format!("DMA{port}"),
                to: [to.col, to.row],
                to_port: format!("DMA{to_port}"),
            })
        });
        LoweredJson {
            mode,
            mlir_aie,
            tiles: lowered.tiles.iter().map(tile).collect(),
            flows: flows.collect(),
        }
    }
}

fn tile_json(tile: &LoweredTile) -> TileJson {
    let buffers = tile.buffers.iter().map(|b| BufferJson {
        name: b.name.clone(),
        address: b.address,
        bank: b.bank,
        bytes: b.bytes,
    });
    let locks = tile.locks.iter().map(|l| LockJson { name: l.name.clone(), id: l.id, init: l.init });
    let dma = tile.dma.iter().map(|program| ChannelJson {
        channel: program.channel.to_string(),
        bds: program.bds.iter().map(|bd| bd_json(tile, program, bd)).collect(),
    });
    TileJson { buffers: buffers.collect(), locks: locks.collect(), dma: dma.collect(), stack_bytes: None }
}

fn bd_json(tile: &LoweredTile, program: &ChannelProgram, bd: &Bd) -> BdJson {
    let element = bd.element_bytes.max(1);
    let list = |of: fn(&Dim) -> u32| (!bd.dims.is_empty()).then(|| bd.dims.iter().map(of).collect());
    BdJson {
        buffer: tile.buffers.get(bd.buffer).map_or_else(String::new, |b| b.name.clone()),
        offset: bd.offset_bytes / element,
        len: bd.len_bytes / element,
        sizes: list(|d| d.size),
        strides: list(|d| d.stride),
        bd_id: bd.bd_id,
        next: bd.next.and_then(|next| program.bds.get(next)).map(|next| next.bd_id),
    }
}
