//! Reads designs at the level of object FIFOs: the subset of MLIR that [`emit_mlir`](super::emit_mlir) writes,
//! and what hand-written designs and IRON add to it (older spellings, tasks instead of copies, values that a core
//! computes itself), into a form that two designs can be compared in. [`design_of_mlir`] makes a design of it.
//!
//! What does not matter is gone: SSA names (values are resolved to what they are), object file names, the bound of
//! an endless loop, `memref.reinterpret_cast` at offset 0 or `memref.view`. What does not matter to the meaning is
//! kept but not compared: the order of declarations, one depth or a list of equal ones.

mod core;
mod cursor;
mod design;
mod import;
mod sequence;

pub use design::{
    MlirBuffer, MlirCascade, MlirCopy, MlirCore, MlirDepths, MlirDesign, MlirFifo, MlirFunction,
    MlirHostBuffer, MlirLine, MlirLink, MlirSequence, MlirStep, MlirStmt, MlirTrips, MlirValue,
};
pub use import::{MlirImportError, design_of_mlir};

use crate::array::{COUNTER_PREFIX, Dim, Tile};
use cursor::Cursor;
use std::collections::BTreeMap;
use thiserror::Error;

/// What the parser met instead of what it knows.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("MLIR line {line}, column {column}: expected {expected}, got `{got}`")]
pub struct MlirParseError {
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
    /// What could have stood there.
    pub expected: String,
    /// The text there.
    pub got: String,
}

/// Parses one module with one device.
///
/// # Errors
/// The first place where the text leaves the subset.
pub fn parse_mlir(text: &str) -> Result<MlirDesign, MlirParseError> {
    let mut parser = Parser { c: Cursor::new(text), design: MlirDesign::default(), values: BTreeMap::new() };
    parser.module()?;
    let mut design = parser.design;
    design.tiles.sort_unstable();
    Ok(design)
}

/// What a name of the device's region stands for.
#[derive(Clone)]
enum Named {
    Tile(Tile),
    Buffer(String),
    Constant(i64),
    Core,
}

struct Parser<'t> {
    c: Cursor<'t>,
    design: MlirDesign,
    values: BTreeMap<String, Named>,
}

type Parsed<T> = Result<T, MlirParseError>;

impl Parser<'_> {
    fn module(&mut self) -> Parsed<()> {
        let wrapped = self.c.eat("module");
        if wrapped {
            if self.c.sees("@") {
                self.c.symbol()?;
            }
            if self.c.eat("attributes") {
                self.attributes()?;
            }
            self.c.expect("{")?;
        }
        self.c.expect("aie.device(")?;
        self.design.device = self.c.word()?.to_owned();
        self.c.expect(")")?;
        if self.c.sees("@") {
            self.c.symbol()?;
        }
        self.c.expect("{")?;
        while !self.c.eat("}") {
            if !self.c.eat("aie.end") {
                self.declaration()?;
            }
        }
        self.attributes()?;
        if wrapped {
            self.c.expect("}")?;
        }
        if self.c.at_end() { Ok(()) } else { Err(self.c.error("end of text")) }
    }

    fn declaration(&mut self) -> Parsed<()> {
        let line = self.c.here();
        if self.c.eat("func.func") {
            self.function(line)
        } else if self.c.eat("aie.objectfifo.link") {
            self.link(line)
        } else if self.c.eat("aie.objectfifo.allocate") {
            self.allocate()
        } else if self.c.eat("aie.objectfifo") {
            self.fifo(line)
        } else if self.c.eat("aie.cascade_flow") {
            let ends = self.c.list("(", ")", |c| c.value().map(str::to_owned))?;
            let tiles: Parsed<Vec<Tile>> = ends.iter().map(|name| self.tile_named(name)).collect();
            match tiles?[..] {
                [from, to] => self.design.cascades.push(MlirCascade { from, to, line }),
                _ => return Err(self.c.error("two tiles before this")),
            }
            Ok(())
        } else if self.c.eat("aie.runtime_sequence") {
            self.sequence()
        } else if self.c.eat("aie.core") {
            self.core(line)
        } else {
            self.definition(line)
        }
    }

    /// `%name = aie.tile | aie.buffer | aie.core | arith.constant`.
    fn definition(&mut self, line: MlirLine) -> Parsed<()> {
        let name = self.c.value()?.to_owned();
        self.c.expect("=")?;
        let named = if self.c.eat("aie.tile") {
            let at = self.c.list("(", ")", Cursor::integer)?;
            let place = |i: usize| at.get(i).and_then(|&v| u8::try_from(v).ok());
            let (Some(col), Some(row)) = (place(0), place(1)) else {
                return Err(self.c.error("a tile before this"));
            };
            self.attributes()?;
            self.design.tiles.push(Tile::new(col, row));
            Named::Tile(Tile::new(col, row))
        } else if self.c.eat("aie.buffer") {
            Named::Buffer(self.buffer(line)?)
        } else if self.c.eat("arith.constant") {
            let value = self.c.integer()?;
            self.c.expect(":")?;
            self.c.ty()?;
            Named::Constant(value)
        } else {
            self.c.expect("aie.core")?;
            self.core(line)?;
            Named::Core
        };
        self.values.insert(name, named);
        Ok(())
    }

    fn tile_named(&mut self, name: &str) -> Parsed<Tile> {
        match self.values.get(name) {
            Some(Named::Tile(tile)) => Ok(*tile),
            _ => Err(self.c.error(format!("before this a tile, not %{name},"))),
        }
    }

    fn tile(&mut self) -> Parsed<Tile> {
        let name = self.c.value()?.to_owned();
        self.tile_named(&name)
    }

    /// `{key = value, ...}`, if there is one.
    fn attributes(&mut self) -> Parsed<BTreeMap<String, String>> {
        if !self.c.sees("{") {
            return Ok(BTreeMap::new());
        }
        let pairs = self.c.list("{", "}", |c| {
            let key = c.word()?.to_owned();
            let value = if c.eat("=") { c.attribute()?.to_owned() } else { String::new() };
            Ok((key, value))
        })?;
        Ok(pairs.into_iter().collect())
    }

    /// The integer of `5 : i32`.
    fn integer_of(&mut self, attribute: &str) -> Parsed<i64> {
        let digits = attribute.split(':').next().unwrap_or("").trim();
        digits.parse().map_err(|_| self.c.error(format!("an integer instead of {attribute} before this")))
    }

    fn function(&mut self, line: MlirLine) -> Parsed<()> {
        self.c.eat("private");
        let name = self.c.symbol()?.to_owned();
        let types = self.c.list("(", ")", |c| {
            if c.sees("%") {
                c.value()?;
                c.expect(":")?;
            }
            c.ty()
        })?;
        if self.c.eat("->") {
            self.c.list("(", ")", Cursor::ty)?;
        }
        let linked = self.c.eat("attributes") && self.attributes()?.contains_key("link_with");
        if self.c.sees("{") {
            self.c.skip_block()?;
        }
        self.design.functions.insert(name, MlirFunction { types, linked, line });
        Ok(())
    }

    fn buffer(&mut self, line: MlirLine) -> Parsed<String> {
        self.c.expect("(")?;
        let tile = self.tile()?;
        self.c.expect(")")?;
        let attributes = self.attributes()?;
        let name = attributes.get("sym_name").map(|n| n.trim_matches('"').to_owned());
        let unnamed = |known: &MlirDesign| {
            known.buffers.keys().filter(|n| n.starts_with(COUNTER_PREFIX)).count().to_string()
        };
        let name = name.unwrap_or_else(|| format!("{COUNTER_PREFIX}{}", unnamed(&self.design)));
        let number = |of: Option<&String>, this: &mut Self| of.map(|v| this.integer_of(v)).transpose();
        let bank = number(attributes.get("mem_bank"), self)?;
        let address = number(attributes.get("address"), self)?;
        self.c.expect(":")?;
        let ty = self.c.ty()?;
        let init = if self.c.eat("=") {
            self.c.expect("dense<")?;
            Some(self.c.angle()?)
        } else {
            None
        };
        self.design.buffers.insert(name.clone(), MlirBuffer { tile, ty, bank, address, init, line });
        Ok(name)
    }

    fn dims(c: &mut Cursor<'_>, keyword: &str) -> Parsed<Vec<Dim>> {
        if c.eat(keyword) { c.list("[", "]", Parser::dim) } else { Ok(Vec::new()) }
    }

    /// `<size = .., stride = ..>`.
    fn dim(c: &mut Cursor<'_>) -> Parsed<Dim> {
        let mut field = |before: &str, after: &str| -> Parsed<u32> {
            c.expect(before)?;
            c.expect("=")?;
            let value = c.integer()?;
            c.expect(after)?;
            u32::try_from(value).map_err(|_| c.error("a size or stride of 32 bits before this"))
        };
        // `<` and the key are separate words.
        let size = field("<size", ",")?;
        let stride = field("stride", ">")?;
        Ok(Dim { size, stride })
    }

    fn fifo(&mut self, line: MlirLine) -> Parsed<()> {
        let name = self.c.symbol()?.to_owned();
        self.c.expect("(")?;
        let producer = self.tile()?;
        let to_stream = Self::dims(&mut self.c, "dimensionsToStream")?;
        self.c.expect(",")?;
        let ends =
            self.c.list("{", "}", |c| Ok((c.value()?.to_owned(), Self::dims(c, "dimensionsFromStream")?)))?;
        let mut consumers = Vec::new();
        let mut from_stream = Vec::new();
        for (tile, dims) in ends {
            consumers.push(self.tile_named(&tile)?);
            from_stream.push(dims);
        }
        self.c.expect(",")?;
        let one_number = !self.c.sees("[");
        let per_end = if one_number {
            let depth = self.c.integer()?;
            self.c.expect(":")?;
            self.c.expect("i32")?;
            vec![depth; consumers.len() + 1]
        } else {
            self.c.list("[", "]", |c| {
                let depth = c.integer()?;
                if c.eat(":") {
                    c.ty()?;
                }
                Ok(depth)
            })?
        };
        let depths = MlirDepths { per_end, one_number };
        self.c.expect(")")?;
        let mut attributes = self.attributes()?;
        let repeat = attributes.remove("repeat_count").map(|v| self.integer_of(&v)).transpose()?;
        let via_dma = attributes.remove("via_DMA").is_some_and(|value| value != "false");
        if let Some((key, _)) = attributes.iter().find(|(_, value)| *value != "false") {
            return Err(self.c.error(format!("a FIFO without `{key}` before this")));
        }
        self.c.expect(":")?;
        let ty = self.c.ty()?;
        let object = ty.strip_prefix("!aie.objectfifo<").and_then(|t| t.strip_suffix('>'));
        let Some(object) = object.map(str::to_owned) else {
            return Err(self.c.error("!aie.objectfifo<..> before this"));
        };
        let init = if self.c.eat("=") { self.c.list("[", "]", Parser::initial_object)? } else { Vec::new() };
        let memory = None;
        let fifo = MlirFifo {
            producer,
            consumers,
            depths,
            object,
            to_stream,
            from_stream,
            repeat,
            via_dma,
            memory,
            init,
            line,
        };
        self.design.fifos.insert(name, fifo);
        Ok(())
    }

    /// `@fifo (%tile)`.
    fn allocate(&mut self) -> Parsed<()> {
        let name = self.c.symbol()?.to_owned();
        self.c.expect("(")?;
        let tile = self.tile()?;
        self.c.expect(")")?;
        match self.design.fifos.get_mut(&name).map(|fifo| fifo.memory.replace(tile)) {
            Some(None) => Ok(()),
            Some(Some(_)) => {
                Err(self.c.error(format!("one allocation of @{name}, not a second before this,")))
            }
            None => Err(self.c.error(format!("the declaration of @{name} before this"))),
        }
    }

    /// `dense<..> : memref<..>`.
    fn initial_object(c: &mut Cursor<'_>) -> Parsed<String> {
        c.expect("dense<")?;
        let text = c.angle()?;
        c.expect(":")?;
        c.ty()?;
        Ok(text)
    }

    fn link(&mut self, line: MlirLine) -> Parsed<()> {
        let c = &mut self.c;
        let sources = c.list("[", "]", |c| c.symbol().map(str::to_owned))?;
        c.expect("->")?;
        let targets = c.list("[", "]", |c| c.symbol().map(str::to_owned))?;
        c.expect("(")?;
        let mut offsets = [Vec::new(), Vec::new()];
        if !c.eat(")") {
            for list in &mut offsets {
                *list = c.list("[", "]", Cursor::integer)?;
            }
            c.expect(")")?;
        }
        let [source_offsets, target_offsets] = offsets;
        let link = MlirLink { sources, targets, source_offsets, target_offsets, line };
        if self.design.links.insert(link) {
            Ok(())
        } else {
            Err(self.c.error("before this a link that is not there yet,"))
        }
    }
}

#[cfg(test)]
mod tests;
