//! The text form of a kernel: `Display` for [`Kernel`].
//!
//! The text is complete and stable: [`super::parse_kernel`] reads it back to the same kernel, and
//! ids print as they are stored. `{:#}` adds where the author wrote each operation.
//!
//! ```text
//! /// c = max(a, 0)
//! kernel @relu rounding(conv_even) saturation(on) {
//!   in a: i8[1024] align 32
//!   out c: i8[1024] align 32
//!   v0 = sconst 0 : i32
//!   v1 = sconst 16 : i32
//!   v2 = zeros : vec<i8x64>
//!   for v3 = v0 to v1 step 1 pipeline min_trips 16 {
//!     v4 = load a[v3*64] : vec<i8x64>
//!     v5 = max v4, v2 : vec<i8x64>
//!     store v5, c[v3*64]
//!     yield
//!   }
//! }
//! ```
//!
//! A layout is `i8[rows, cols]` row-major, or `i8 grid[16, 8] of tile[4, 8]`. A loop with carried
//! values is `v9 = for v4 = v1 to v2 step 1 iter(v5: i32 = v3) : i32 { ... yield v8 }`. Addresses
//! are in bytes: `a[v3*64 + v5*32 - 16]`. An immediate is the last argument: `half v1, 0`,
//! `mmac v1, v2, v3, 4x8x8`, `setrounding conv_even`, `fsplat 0x3f80`.

use super::ir::{Address, BlockId, Imm, Kernel, Layout, OpData, OpId, Param, ParamId, ParamKind, ValueId};
use super::ops::{ImmKind, Opcode, shape_code, shape_from_code};
use super::types::Type;
use crate::num::{Rounding, Saturation};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

/// Loops may nest this deep in text and in verified kernels.
pub(super) const MAX_DEPTH: usize = 64;

/// Bytes of a table on one line.
const TABLE_ROW_BYTES: usize = 32;

/// A kernel's text by lines, with the line of each thing, for messages that quote it.
pub(super) struct Listing {
    /// The text without line ends.
    pub lines: Vec<String>,
    /// Line of the `kernel @name` header.
    pub header: usize,
    /// Line of each parameter.
    pub params: Vec<usize>,
    /// Line of each operation that stands in the text.
    pub ops: BTreeMap<OpId, usize>,
}

impl Listing {
    /// The text of `kernel`; `locs` appends the author's places as comments.
    pub fn new(kernel: &Kernel, locs: bool) -> Listing {
        let mut writer = Writer {
            kernel,
            locs,
            out: Listing { lines: Vec::new(), header: 0, params: Vec::new(), ops: BTreeMap::new() },
            open: BTreeSet::new(),
        };
        writer.kernel();
        writer.out
    }
}

impl Kernel {
    /// The line of IR text of an operation, of a loop its head; `None` when it stands nowhere.
    pub fn op_text(&self, op: OpId) -> Option<String> {
        let mut listing = Listing::new(self, false);
        let line = *listing.ops.get(&op)?;
        let text = listing.lines.get_mut(line)?;
        Some(text.trim().to_string())
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in Listing::new(self, f.alternate()).lines {
            f.write_str(&line)?;
            f.write_char('\n')?;
        }
        Ok(())
    }
}

/// Whether `name` is written bare; other names are quoted.
pub(super) fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn quoted(name: &str) -> String {
    if is_identifier(name) {
        return name.to_string();
    }
    let mut out = String::from("\"");
    for c in name.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn join<T>(items: impl IntoIterator<Item = T>, text: impl Fn(T) -> String) -> String {
    items.into_iter().map(text).collect::<Vec<_>>().join(", ")
}

struct Writer<'k> {
    kernel: &'k Kernel,
    locs: bool,
    out: Listing,
    open: BTreeSet<BlockId>,
}

impl Writer<'_> {
    fn kernel(&mut self) {
        let k = self.kernel;
        if !k.doc.is_empty() {
            for line in k.doc.split('\n') {
                let space = if line.is_empty() { "" } else { " " };
                self.out.lines.push(format!("///{space}{line}"));
            }
        }
        self.out.header = self.out.lines.len();
        self.out.lines.push(format!(
            "kernel @{} rounding({}) saturation({}) {{",
            quoted(&k.name),
            k.rounding.name(),
            k.saturation.name()
        ));
        for param in &k.params {
            self.out.params.push(self.out.lines.len());
            self.param(param);
        }
        if !k.blocks.is_empty() {
            self.block(Kernel::BODY, 1);
        }
        self.out.lines.push("}".to_string());
    }

    fn param(&mut self, p: &Param) {
        let mut line = format!("  {} {}", p.kind.keyword(), quoted(&p.name));
        if p.kind.is_memory() {
            let _ = write!(line, ": {}{} align {}", p.elem, layout_text(&p.layout), p.align_bytes);
            if let Some(bank) = p.bank {
                let _ = write!(line, " bank {bank}");
            }
        }
        if let Some(value) = p.value {
            let _ = write!(line, " -> {value}");
        }
        let ParamKind::Table(bytes) = &p.kind else {
            self.out.lines.push(self.with_loc(line, &p.loc));
            return;
        };
        line.push_str(" = hex\"");
        if bytes.len() <= TABLE_ROW_BYTES {
            line.push_str(&hex(bytes));
            line.push('"');
            self.out.lines.push(self.with_loc(line, &p.loc));
            return;
        }
        self.out.lines.push(line);
        for row in bytes.chunks(TABLE_ROW_BYTES) {
            self.out.lines.push(format!("    {}", hex(row)));
        }
        self.out.lines.push(self.with_loc("  \"".to_string(), &p.loc));
    }

    fn with_loc(&self, mut line: String, loc: &super::ir::Loc) -> String {
        if self.locs {
            let _ = write!(line, "  ; {loc}");
        }
        line
    }

    fn ty(&self, value: ValueId) -> String {
        self.kernel.values.get(value.index()).map_or_else(|| "?".to_string(), Type::to_string)
    }

    fn types(&self, values: &[ValueId]) -> String {
        join(values, |&v| self.ty(v))
    }

    fn param_name(&self, param: ParamId) -> String {
        self.kernel.params.get(param.index()).map_or_else(|| format!("?{param}"), |p| quoted(&p.name))
    }

    /// A block whose id is wrong, or that contains itself, prints as a remark: such kernels exist
    /// only until `verify` has refused them.
    fn block(&mut self, block: BlockId, depth: usize) {
        let indent = "  ".repeat(depth);
        let Some(data) = self.kernel.blocks.get(block.index()) else {
            self.out.lines.push(format!("{indent}; {block} does not exist"));
            return;
        };
        if depth > MAX_DEPTH + 1 || !self.open.insert(block) {
            self.out.lines.push(format!("{indent}; {block} contains itself or is too deep"));
            return;
        }
        for &op in &data.ops {
            self.op(op, depth);
        }
        self.open.remove(&block);
    }

    fn op(&mut self, id: OpId, depth: usize) {
        let indent = "  ".repeat(depth);
        let Some(op) = self.kernel.ops.get(id.index()) else {
            self.out.lines.push(format!("{indent}; {id} does not exist"));
            return;
        };
        let mut line = indent.clone();
        if !op.results.is_empty() {
            let _ = write!(line, "{} = ", join(&op.results, ValueId::to_string));
        }
        line.push_str(op.opcode.mnemonic());
        match self.loop_header(op) {
            Some(header) => line.push_str(&header),
            None => line.push_str(&self.arguments(op)),
        }
        if !op.results.is_empty() {
            let _ = write!(line, " : {}", self.types(&op.results));
        }
        if op.body.is_some() {
            line.push_str(" {");
        }
        self.out.ops.entry(id).or_insert(self.out.lines.len());
        self.out.lines.push(self.with_loc(line, &op.loc));
        if let Some(body) = op.body {
            self.block(body, depth + 1);
            self.out.lines.push(format!("{indent}}}"));
        }
    }

    /// The part of a well-formed loop between `for` and its result types.
    fn loop_header(&self, op: &OpData) -> Option<String> {
        let (Opcode::For, Imm::Loop { step, hint }) = (op.opcode, &op.imm) else { return None };
        let (lo, hi) = (op.operands.first()?, op.operands.get(1)?);
        let (index, carried) = self.kernel.blocks.get(op.body?.index())?.args.split_first()?;
        let inits = &op.operands[2..];
        if carried.len() != inits.len() || op.address.is_some() {
            return None;
        }
        let mut text = format!(" {index}");
        if self.kernel.values.get(index.index()) != Some(&Type::Scalar) {
            let _ = write!(text, ": {}", self.ty(*index));
        }
        let _ = write!(text, " = {lo} to {hi} step {step}");
        if !carried.is_empty() {
            let pairs = join(carried.iter().zip(inits), |(c, i)| format!("{c}: {} = {i}", self.ty(*c)));
            let _ = write!(text, " iter({pairs})");
        }
        if hint.pipeline {
            text.push_str(" pipeline");
        }
        if hint.unroll {
            text.push_str(" unroll");
        }
        if hint.compact {
            text.push_str(" compact");
        }
        if hint.min_trips != 0 {
            let _ = write!(text, " min_trips {}", hint.min_trips);
        }
        Some(text)
    }

    fn arguments(&self, op: &OpData) -> String {
        let mut items: Vec<String> = op.operands.iter().map(ValueId::to_string).collect();
        items.extend(op.address.as_ref().map(|a| self.address(a)));
        if let Imm::Int(value) = op.imm {
            items.push(integer_text(op.opcode.imm_kind(), value));
        }
        let mut text = items.join(", ");
        match &op.imm {
            Imm::None | Imm::Int(_) => {}
            Imm::Lookup { second, step_log2, bias } => {
                let _ =
                    write!(text, " second {} step_log2 {step_log2} bias {bias}", self.param_name(*second));
            }
            Imm::Loop { step, .. } => {
                let _ = write!(text, " step {step}");
            }
        }
        if text.is_empty() { text } else { format!(" {text}") }
    }

    fn address(&self, address: &Address) -> String {
        let mut text = String::new();
        for (value, coefficient) in &address.terms {
            if !text.is_empty() {
                text.push_str(" + ");
            }
            let _ = write!(text, "{value}");
            if *coefficient != 1 {
                let _ = write!(text, "*{coefficient}");
            }
        }
        match address.offset_bytes {
            offset if text.is_empty() => text = offset.to_string(),
            0 => {}
            offset if offset < 0 => {
                let _ = write!(text, " - {}", offset.unsigned_abs());
            }
            offset => {
                let _ = write!(text, " + {offset}");
            }
        }
        format!("{}[{text}]", self.param_name(address.param))
    }
}

fn layout_text(layout: &Layout) -> String {
    let dims = |d: &[u32]| join(d, u32::to_string);
    match layout {
        Layout::RowMajor(shape) => format!("[{}]", dims(shape)),
        Layout::Tiled { tile, grid } => format!(" grid[{}] of tile[{}]", dims(grid), dims(tile)),
    }
}

/// An integer immediate as its kind is best read; the parser takes plain integers for all of them.
fn integer_text(kind: ImmKind, value: i64) -> String {
    let code = u8::try_from(value).ok();
    let named = match kind {
        ImmKind::Rounding => code.and_then(Rounding::from_code).map(|mode| mode.name().to_string()),
        ImmKind::Saturation => code.and_then(Saturation::from_code).map(|mode| mode.name().to_string()),
        // Only a shape that packs back to the same integer.
        ImmKind::Shape => shape_from_code(value)
            .filter(|&[m, k, n]| m > 0 && shape_code([m, k, n]) == value)
            .map(|[m, k, n]| format!("{m}x{k}x{n}")),
        ImmKind::FloatBits if value >= 0 => Some(format!("{value:#x}")),
        _ => None,
    };
    named.unwrap_or_else(|| value.to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}
