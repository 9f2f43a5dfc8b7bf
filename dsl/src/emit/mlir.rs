//! MLIR of a design, in the subset of the AIE dialects that every mlir-aie main of a known span of
//! time accepts, pretty form.
//!
//! Depths are lists (every end gets exactly what is written), parts and casts of objects are
//! `memref.view`, kernels are private functions with `link_with`, endless loops count to
//! 9223372036854775807. The toolchain's defaults are expected otherwise, among them the dynamic
//! lowering of FIFO accesses.

mod core;

use crate::array::{Design, Dim, Fifo, FifoId, Link, LocalBuffer, MemType, Tile};
use crate::device::Device;
use crate::kernel::{Kernel, Param, ParamKind};
use crate::sequence::{Command, Sequence};
use crate::verified::Verified;
use std::fmt::{self, Write};
use thiserror::Error;

/// First and last mlir-aie main (by date of the commit) that accept what is emitted, all in between
/// included (`reference/mlir.md` 1; releases v1.3.4 to v1.4.2 lie in it).
pub const MLIR_AIE_SPAN: [&str; 2] = ["2026-03-12", "2026-08-14"];

/// Why a design has no MLIR.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MlirError {
    /// The device has no MLIR name for a partition of this width.
    #[error("device {device} has no MLIR device of {columns} columns")]
    NoMlirDevice {
        /// Name of the device.
        device: String,
        /// Columns of the design.
        columns: u8,
    },
}

/// The design as a module of text: one device with its sequence, named `@main` and `@sequence` by
/// the toolchain's defaults. The same design gives the same text.
///
/// # Errors
/// [`MlirError::NoMlirDevice`].
pub fn emit_mlir(design: &Verified<Design>, device: &Device) -> Result<String, MlirError> {
    let name = device.mlir_device(u32::from(design.columns));
    let name =
        name.ok_or_else(|| MlirError::NoMlirDevice { device: device.name.clone(), columns: design.columns })?;
    let mut out = Writer::default();
    out.line(format_args!("// {}: {}", design.name, one_line(&design.doc)));
    let [first, last] = MLIR_AIE_SPAN;
    out.line(format_args!(
        "// kiln {}, for mlir-aie main of {first} to {last} (dynamic object FIFOs)",
        env!("CARGO_PKG_VERSION")
    ));
    out.block("module", |out| {
        out.block(&format!("aie.device({name})"), |out| {
            functions(out, design);
            for tile in tiles(design) {
                out.line(format_args!("{} = aie.tile({}, {})", tile_name(tile), tile.col, tile.row));
            }
            for cascade in &design.cascades {
                let (from, to) = (tile_name(cascade.from), tile_name(cascade.to));
                out.line(format_args!("aie.cascade_flow({from}, {to})"));
            }
            design.locals.iter().for_each(|local| buffer(out, local));
            design.fifos.iter().for_each(|f| fifo(out, f));
            design.links.iter().for_each(|l| link(out, design, l));
            design.cores.iter().for_each(|c| core::core(out, design, c));
            sequence(out, design, &design.sequence);
        });
    });
    Ok(out.text)
}

/// Indented lines.
#[derive(Default)]
struct Writer {
    text: String,
    depth: usize,
}

impl Writer {
    fn line(&mut self, line: fmt::Arguments<'_>) {
        for _ in 0..self.depth {
            self.text.push_str("  ");
        }
        // Writing to a `String` cannot fail.
        let _ = self.text.write_fmt(line);
        self.text.push('\n');
    }

    /// `head { body }`.
    fn block(&mut self, head: &str, body: impl FnOnce(&mut Writer)) {
        self.block_with(head, "", body);
    }

    /// `head { body } tail`.
    fn block_with(&mut self, head: &str, tail: &str, body: impl FnOnce(&mut Writer)) {
        self.line(format_args!("{head} {{"));
        self.depth += 1;
        body(self);
        self.depth -= 1;
        self.line(format_args!("}}{tail}"));
    }
}

fn one_line(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `memref<4096xi8>`: integers are signless in MLIR.
fn memref(ty: &MemType) -> String {
    let shape: String = ty.shape.iter().map(|d| format!("{d}x")).collect();
    format!("memref<{shape}{}>", ty.elem.mlir_name())
}

fn tile_name(tile: Tile) -> String {
    format!("%tile_{}_{}", tile.col, tile.row)
}

/// SSA name of a core-local buffer, apart from all names made here.
fn local_name(local: &LocalBuffer) -> String {
    format!("%local_{}", local.name)
}

/// Every tile of the design once, by column and row.
fn tiles(design: &Design) -> Vec<Tile> {
    crate::array::tiles_used(design)
}

fn list<T>(items: impl IntoIterator<Item = T>, show: impl Fn(T) -> String) -> String {
    items.into_iter().map(show).collect::<Vec<_>>().join(", ")
}

/// The MLIR type of a kernel's parameter: memory is flat, an integer an i32.
fn param_type(param: &Param) -> String {
    match param.kind {
        ParamKind::I32 => "i32".to_owned(),
        _ => {
            let elements = u32::try_from(param.layout.elements()).unwrap_or(u32::MAX);
            memref(&MemType::flat(param.elem, elements))
        }
    }
}

fn param_types(kernel: &Kernel) -> String {
    list(&kernel.params, param_type)
}

/// One private function per kernel symbol, linked with the object file of that name.
fn functions(out: &mut Writer, design: &Design) {
    let mut seen: Vec<&str> = Vec::new();
    for kernel in &design.kernels {
        if !seen.contains(&kernel.name.as_str()) {
            seen.push(&kernel.name);
            let (name, types) = (&kernel.name, param_types(kernel));
            out.line(format_args!(
                "func.func private @{name}({types}) attributes {{link_with = \"{name}.o\"}}"
            ));
        }
    }
}

fn buffer(out: &mut Writer, local: &LocalBuffer) {
    let bank = local.bank.map_or(String::new(), |b| format!(", mem_bank = {b} : i32"));
    let address = local.address.map_or(String::new(), |a| format!(", address = {a} : i32"));
    let init = local.init.as_ref().map_or(String::new(), |bytes| format!(" = {}", dense(&local.ty, bytes)));
    out.line(format_args!(
        "{ssa} = aie.buffer({tile}) {{sym_name = \"{name}\"{bank}{address}}} : {ty}{init}",
        ssa = local_name(local),
        name = local.name,
        tile = tile_name(local.tile),
        ty = memref(&local.ty),
    ));
}

/// A dense attribute: the value if all elements are one integer, else the bytes in hexadecimal,
/// little endian (MLIR reads a string of one element as a splat of it).
fn dense(ty: &MemType, bytes: &[u8]) -> String {
    let width = ty.elem.bytes() as usize;
    let first = &bytes[..width.min(bytes.len())];
    let splat = bytes.chunks(width).all(|c| c == first);
    if splat && !ty.elem.is_float() {
        let mut wide = [if first.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 }; 8];
        wide[..first.len()].copy_from_slice(first);
        return format!("dense<{}>", i64::from_le_bytes(wide));
    }
    let shown = if splat { first } else { bytes };
    let hex: String = shown.iter().map(|b| format!("{b:02X}")).collect();
    format!("dense<\"0x{hex}\">")
}

fn fifo(out: &mut Writer, fifo: &Fifo) {
    let order = |keyword: &str, dims: &[Dim]| match dims {
        [] => String::new(),
        _ => {
            format!(" {keyword} [{}]", list(dims, |d| format!("<size = {}, stride = {}>", d.size, d.stride)))
        }
    };
    let producer = format!("{}{}", tile_name(fifo.producer), order("dimensionsToStream", &fifo.to_stream));
    let consumers = list(fifo.consumers.iter().zip(&fifo.from_stream), |(&tile, dims)| {
        format!("{}{}", tile_name(tile), order("dimensionsFromStream", dims))
    });
    let mut attributes = Vec::new();
    if fifo.repeat != 1 {
        attributes.push(format!("repeat_count = {} : i32", fifo.repeat));
    }
    if fifo.via_dma {
        attributes.push("via_DMA = true".to_owned());
    }
    let attributes =
        if attributes.is_empty() { String::new() } else { format!(" {{{}}}", attributes.join(", ")) };
    let object = memref(&fifo.object);
    let init = match &fifo.init[..] {
        [] => String::new(),
        all => format!(" = [{}]", list(all, |bytes| format!("{} : {object}", dense(&fifo.object, bytes)))),
    };
    out.line(format_args!(
        "aie.objectfifo @{}({producer}, {{{consumers}}}, [{}]){attributes} : !aie.objectfifo<{object}>{init}",
        fifo.name,
        list(&fifo.depths, u32::to_string),
    ));
    if let Some(tile) = fifo.memory {
        out.line(format_args!("aie.objectfifo.allocate @{}({})", fifo.name, tile_name(tile)));
    }
}

fn link(out: &mut Writer, design: &Design, link: &Link) {
    let names = |ids: &[FifoId]| list(ids, |&id| format!("@{}", design.fifo(id).name));
    let offsets = |of: &[u32]| list(of, u32::to_string);
    let target_offsets = match (link.sources.len(), link.targets.len()) {
        (1, 1) => "0".to_owned(),
        _ => offsets(&link.target_offsets),
    };
    out.line(format_args!(
        "aie.objectfifo.link [{}] -> [{}] ([{}] [{target_offsets}])",
        names(&link.sources),
        names(&link.targets),
        if link.sources.len() > 1 { offsets(&link.source_offsets) } else { String::new() }
    ));
}

fn sequence(out: &mut Writer, design: &Design, sequence: &Sequence) {
    let buffers = list(&sequence.buffers, |b| format!("%{} : {}", b.name, memref(&b.ty)));
    let four = |values: &[u64; 4]| list(values, u64::to_string);
    out.block(&format!("aie.runtime_sequence({buffers})"), |out| {
        for command in &sequence.commands {
            match command {
                Command::Copy { buffer, fifo, offsets, sizes, strides, bd_id, issue_token, .. } => {
                    let buffer = &sequence.buffers[buffer.index()];
                    let token = if *issue_token { ", issue_token = true" } else { "" };
                    out.line(format_args!(
                        "aiex.npu.dma_memcpy_nd(%{}[{}][{}][{}]) {{id = {bd_id} : i64, metadata = @{}{token}}} : {}",
                        buffer.name,
                        four(offsets),
                        four(sizes),
                        four(strides),
                        design.fifo(*fifo).name,
                        memref(&buffer.ty)
                    ));
                }
                Command::Wait { fifo, .. } => {
                    out.line(format_args!("aiex.npu.dma_wait {{symbol = @{}}}", design.fifo(*fifo).name));
                }
            }
        }
    });
}

#[cfg(test)]
mod tests;
