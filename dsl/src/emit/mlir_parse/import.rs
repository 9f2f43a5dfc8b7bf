//! From parsed MLIR to a design that can be verified, lowered and fitted.

use super::{MlirCopy, MlirCore, MlirDesign, MlirLine, MlirStep, MlirStmt, MlirTrips, MlirValue};
use crate::array::{
    Arg, Cascade, Core, Count, Design, Fifo, FifoId, KernelId, Link, LocalBuffer, LocalId, MemType, ObjectId,
    Port, Stmt, Tile, View, WordRef, derived_depths,
};
use crate::device::{Device, TileKind};
use crate::kernel::{Block, Elem, Kernel, Layout, Loc, Param, ParamKind, Type, ValueId};
use crate::num::{Rounding, Saturation};
use crate::sequence::{Command, HostBuffer, HostBufferId, Sequence};
use crate::verified::Verified;
use indexmap::IndexMap;
use std::collections::VecDeque;
use std::sync::Arc;
use thiserror::Error;

/// Why parsed MLIR makes no design.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MlirImportError {
    /// The device has no such array.
    #[error("aie.device({got}): {device} has the arrays {known}")]
    Device {
        /// The name in the text.
        got: String,
        /// The device description.
        device: String,
        /// Names it knows.
        known: String,
    },
    /// A name that nothing declares.
    #[error("{place}: no {kind} is declared as @{name}")]
    Undeclared {
        /// Where it is used.
        place: String,
        /// What it should be.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A type or initial value outside the subset.
    #[error("{place}: expected {expected}, got `{got}`")]
    Unreadable {
        /// Where it stands.
        place: String,
        /// What could have stood there.
        expected: &'static str,
        /// The text there.
        got: String,
    },
    /// A core decides by a value that it computes itself what it acquires or releases.
    #[error(
        "core {tile}: {what} is computed by the core, so that its acquires and releases are not known ({loc})\n  \
         help: read it from a word of an acquired object"
    )]
    Computed {
        /// The core's tile.
        tile: Tile,
        /// What is computed.
        what: &'static str,
        /// Where.
        loc: Loc,
    },
}

type Imported<T> = Result<T, MlirImportError>;
type Kernels = Vec<Arc<Verified<Kernel>>>;

/// The design that parsed MLIR describes, in the order of its declarations.
///
/// It is the array program: tiles, FIFOs, links, buffers, acquires, releases, calls and the sequence. Kernels
/// are signatures without a body, what a core computes itself is left out, and scalar arguments that it
/// computes are 0, so that the result serves `verify`, `lower` and `fit`, and simulation when
/// its kernels are given bodies. A FIFO whose depth
/// is one number gets the depths that the toolchain builds from it. Places in the text are lines of the file
/// `name` with the ending `.mlir`. A copy of `dma_memcpy_nd` that drains has a token, as the toolchain gives it one:
/// [`MlirDesign::tokens_given`] lists them.
///
/// # Errors
/// What the text names without declaring, types outside the subset, or a device without the array.
pub fn design_of_mlir(mlir: &MlirDesign, name: &str, device: &Device) -> Imported<Design> {
    let known = device.geometry.mlir_devices();
    let columns = known.iter().position(|d| *d == mlir.device).map(|at| at + 1);
    let Some(columns) = columns.and_then(|c| u8::try_from(c).ok()) else {
        let (got, device, known) = (mlir.device.clone(), device.name.clone(), known.join(", "));
        return Err(MlirImportError::Device { got, device, known });
    };
    let file = format!("{name}.mlir");
    let import = Import { mlir, file };
    let (kernels, kernel_ids) = import.kernels()?;
    let mut design = Design {
        name: name.to_owned(),
        doc: String::new(),
        columns,
        kernels,
        fifos: import.fifos()?,
        links: import.links()?,
        locals: import.locals()?,
        cascades: mlir
            .cascades
            .iter()
            .map(|c| Cascade { from: c.from, to: c.to, loc: import.loc(c.line) })
            .collect(),
        cores: Vec::new(),
        sequence: Sequence::default(),
    };
    for (&tile, core) in &mlir.cores {
        design.cores.push(import.core(tile, core, &kernel_ids)?);
    }
    design.sequence = import.sequence(&design, device)?;
    for (at, fifo) in mlir.fifos.values().enumerate().filter(|(_, f)| f.depths.one_number) {
        let number = positive(fifo.depths.per_end.first().copied().unwrap_or(0));
        design.fifos[at].depths = derived_depths(&design, device, FifoId(at as u32), number);
    }
    Ok(design)
}

struct Import<'m> {
    mlir: &'m MlirDesign,
    file: String,
}

impl Import<'_> {
    fn loc(&self, line: MlirLine) -> Loc {
        Loc { file: self.file.clone().into(), line: line.0 }
    }

    fn fifo(&self, name: &str, place: &str) -> Imported<FifoId> {
        let name = name.strip_suffix("_shim_alloc").unwrap_or(name);
        let at = self.mlir.fifos.get_index_of(name);
        at.map(|at| FifoId(at as u32)).ok_or_else(|| MlirImportError::Undeclared {
            place: place.to_owned(),
            kind: "object FIFO",
            name: name.to_owned(),
        })
    }

    fn fifos(&self) -> Imported<Vec<Fifo>> {
        let fifo = |(name, f): (&String, &super::MlirFifo)| {
            let place = || format!("{}: fifo {name}", self.loc(f.line));
            let object = mem_type(&f.object, place)?;
            let init: Imported<Vec<Vec<u8>>> =
                f.init.iter().map(|text| initial(text, &object, place)).collect();
            Ok(Fifo {
                name: name.clone(),
                producer: f.producer,
                consumers: f.consumers.clone(),
                depths: f.depths.per_end.iter().map(|&d| positive(d)).collect(),
                repeat: f.repeat.map_or(1, positive),
                init: init?,
                // A repeat count goes through DMAs, that of 1 too.
                via_dma: f.via_dma || f.repeat == Some(1),
                memory: f.memory,
                object,
                to_stream: f.to_stream.clone(),
                from_stream: f.from_stream.clone(),
                loc: self.loc(f.line),
            })
        };
        self.mlir.fifos.iter().map(fifo).collect()
    }

    fn links(&self) -> Imported<Vec<Link>> {
        let ids = |names: &[String], place: &str| {
            names.iter().map(|n| self.fifo(n, place)).collect::<Imported<Vec<_>>>()
        };
        let offsets = |of: &[i64]| of.iter().map(|&o| positive(o)).collect::<Vec<u32>>();
        let link = |link: &super::MlirLink| {
            let place = format!("{}: link", self.loc(link.line));
            let (sources, targets) = (ids(&link.sources, &place)?, ids(&link.targets, &place)?);
            let (joins, splits) = (sources.len() > 1, targets.len() > 1);
            let source_offsets = if joins { offsets(&link.source_offsets) } else { Vec::new() };
            let target_offsets = if splits { offsets(&link.target_offsets) } else { Vec::new() };
            Ok(Link { sources, targets, source_offsets, target_offsets, loc: self.loc(link.line) })
        };
        self.mlir.links.iter().map(link).collect()
    }

    fn locals(&self) -> Imported<Vec<LocalBuffer>> {
        let local = |(name, b): (&String, &super::MlirBuffer)| {
            let place = || format!("{}: buffer {name}", self.loc(b.line));
            let ty = mem_type(&b.ty, place)?;
            let init = b.init.as_ref().map(|text| initial(text, &ty, place)).transpose()?;
            let bank = b.bank.map(|bank| u8::try_from(bank).unwrap_or(u8::MAX));
            let address = b.address.map(positive);
            Ok(LocalBuffer {
                name: name.clone(),
                tile: b.tile,
                ty,
                init,
                bank,
                address,
                loc: self.loc(b.line),
            })
        };
        self.mlir.buffers.iter().map(local).collect()
    }

    /// A kernel without a body for every function that cores call, in the order of the functions.
    fn kernels(&self) -> Imported<(Kernels, IndexMap<String, KernelId>)> {
        let mut consumed: IndexMap<&str, Vec<bool>> = IndexMap::new();
        for core in self.mlir.cores.values() {
            let mut ports = Vec::new();
            each(&core.body, &mut |stmt| match stmt {
                MlirStmt::Acquire { port, .. } => ports.push(port == "Consume"),
                MlirStmt::Call { function, args, .. } => {
                    let flags = consumed.entry(function).or_insert_with(|| vec![false; args.len()]);
                    for (flag, arg) in flags.iter_mut().zip(args) {
                        *flag |= object_of(arg).is_some_and(|(acquire, _)| ports.get(acquire) == Some(&true));
                    }
                }
                _ => {}
            });
        }
        if let Some(name) = consumed.keys().find(|name| !self.mlir.functions.contains_key(**name)) {
            let (place, kind) = (format!("{}: func.call", self.file), "function");
            return Err(MlirImportError::Undeclared { place, kind, name: (*name).to_owned() });
        }
        let (mut kernels, mut ids) = (Vec::new(), IndexMap::new());
        for (name, function) in &self.mlir.functions {
            let Some(consumed) = consumed.get(name.as_str()) else { continue };
            let params = function.types.iter().zip(consumed.iter().copied().chain(std::iter::repeat(false)));
            let params: Imported<Vec<Param>> = params
                .enumerate()
                .map(|(at, (ty, consumed))| param(name, at, ty, consumed, &self.loc(function.line)))
                .collect();
            ids.insert(name.to_owned(), KernelId(kernels.len() as u32));
            kernels.push(Arc::new(signature(name, params?)));
        }
        Ok((kernels, ids))
    }

    fn core(&self, tile: Tile, core: &MlirCore, kernels: &IndexMap<String, KernelId>) -> Imported<Core> {
        let mut body = Body { import: self, tile, kernels, acquires: Vec::new(), objects: 0 };
        let statements = body.block(&core.body)?;
        let stack_bytes = core.stack_bytes.map(positive);
        Ok(Core { tile, body: statements, objects: body.objects, stack_bytes, loc: self.loc(core.line) })
    }

    fn sequence(&self, design: &Design, device: &Device) -> Imported<Sequence> {
        let mut sequence = Sequence::default();
        for buffer in &self.mlir.sequence.buffers {
            let name = buffer.name.clone();
            let ty = mem_type(&buffer.ty, || format!("{}: host buffer {name}", self.file))?;
            sequence.buffers.push(HostBuffer { name, ty });
        }
        let mut busy = Busy::default();
        for step in &self.mlir.sequence.steps {
            match step {
                MlirStep::Copy(copy) => {
                    let loc = self.loc(copy.line);
                    let fifo = self.fifo(&copy.fifo, &format!("{loc}: runtime sequence"))?;
                    let token = copy.token || token_given(copy, design.fifo(fifo), device);
                    let id = busy.start(fifo, shim_end(design.fifo(fifo), device), copy.id, token);
                    sequence.commands.push(command(copy, fifo, id, token, loc));
                }
                MlirStep::Wait { fifo, line } => {
                    let loc = self.loc(*line);
                    let fifo = self.fifo(fifo, &format!("{loc}: runtime sequence"))?;
                    busy.wait(fifo);
                    sequence.commands.push(Command::Wait { fifo, loc });
                }
            }
        }
        Ok(sequence)
    }
}

/// BDs of copies that no wait has covered.
#[derive(Default)]
struct Busy {
    /// Of each FIFO, oldest first: shim, BD, whether there is a token.
    copies: IndexMap<FifoId, VecDeque<(Tile, u8, bool)>>,
    /// How many copies use each BD.
    bds: IndexMap<(Tile, u8), usize>,
}

impl Busy {
    /// A copy starts; returns its BD: as written, or the first that is free, as the toolchain chooses.
    fn start(&mut self, fifo: FifoId, shim: Tile, id: Option<i64>, token: bool) -> u8 {
        let is_free = |id: &u8| self.bds.get(&(shim, *id)).is_none_or(|&copies| copies == 0);
        let id = match id {
            Some(id) => u8::try_from(id).unwrap_or(u8::MAX),
            None => (0..=u8::MAX).find(is_free).unwrap_or(u8::MAX),
        };
        *self.bds.entry((shim, id)).or_default() += 1;
        self.copies.entry(fifo).or_default().push_back((shim, id, token));
        id
    }

    /// A wait covers the copies of a FIFO up to the first with a token.
    fn wait(&mut self, fifo: FifoId) {
        let Some(copies) = self.copies.get_mut(&fifo) else { return };
        while let Some((shim, id, token)) = copies.pop_front() {
            if let Some(copies) = self.bds.get_mut(&(shim, id)) {
                *copies -= 1;
            }
            if token {
                return;
            }
        }
    }
}

fn shim_end(fifo: &Fifo, device: &Device) -> Tile {
    let shim = |tile: &&Tile| device.tile_kind(**tile) == Some(TileKind::Shim);
    let mut ends = std::iter::once(&fifo.producer).chain(&fifo.consumers);
    ends.find(shim).copied().unwrap_or(fifo.producer)
}

/// Whether the toolchain gives a copy a token that it does not ask for: it drains, and is no task.
fn token_given(copy: &MlirCopy, fifo: &Fifo, device: &Device) -> bool {
    copy.id.is_some() && !copy.token && device.tile_kind(fifo.producer) != Some(TileKind::Shim)
}

impl MlirDesign {
    /// Copies that have no `issue_token` and get a token, by line and FIFO: those of `dma_memcpy_nd` that drain.
    pub fn tokens_given(&self, device: &Device) -> Vec<(MlirLine, &str)> {
        let given = self.sequence.steps.iter().filter_map(|step| match step {
            MlirStep::Copy(copy) => {
                let name = copy.fifo.strip_suffix("_shim_alloc").unwrap_or(&copy.fifo);
                let drains = |f: &super::MlirFifo| device.tile_kind(f.producer) != Some(TileKind::Shim);
                let given = copy.id.is_some() && !copy.token && self.fifos.get(name).is_some_and(drains);
                given.then_some((copy.line, name))
            }
            MlirStep::Wait { .. } => None,
        });
        given.collect()
    }
}

impl MlirDesign {
    /// Lines where a core computes something itself, which [`design_of_mlir`] leaves out: operations on memory, what
    /// hangs on a computed condition, and computed arguments of calls, which are 0. In order, each once.
    pub fn left_out(&self) -> Vec<MlirLine> {
        let mut lines = Vec::new();
        for core in self.cores.values() {
            each(&core.body, &mut |stmt| {
                let line = match stmt {
                    MlirStmt::Inline { line, .. } | MlirStmt::If { line, .. } => *line,
                    MlirStmt::For { trips: MlirTrips::Value(MlirValue::Computed(_)), line, .. } => *line,
                    MlirStmt::Switch { on: MlirValue::Computed(_), line, .. } => *line,
                    MlirStmt::Call { args, line, .. }
                        if args.iter().any(|a| matches!(a, MlirValue::Computed(_))) =>
                    {
                        *line
                    }
                    _ => return,
                };
                if !lines.iter().any(|known: &MlirLine| known.0 == line.0) {
                    lines.push(line);
                }
            });
        }
        lines
    }
}

fn command(copy: &MlirCopy, fifo: FifoId, bd_id: u8, issue_token: bool, loc: Loc) -> Command {
    let four = |list: &[i64], with: u64| -> [u64; 4] {
        let missing = 4usize.saturating_sub(list.len());
        std::array::from_fn(|at| {
            at.checked_sub(missing)
                .and_then(|at| list.get(at))
                .map_or(with, |&v| u64::try_from(v).unwrap_or(u64::MAX))
        })
    };
    let [offsets, sizes, strides] = &copy.access;
    Command::Copy {
        buffer: HostBufferId(copy.buffer as u32),
        fifo,
        offsets: four(offsets, 0),
        sizes: four(sizes, 1),
        strides: four(strides, 0),
        bd_id,
        issue_token,
        loc,
    }
}

/// Visits every statement, outer before inner.
fn each<'s>(body: &'s [MlirStmt], visit: &mut impl FnMut(&'s MlirStmt)) {
    for stmt in body {
        visit(stmt);
        match stmt {
            MlirStmt::For { body, .. } => each(body, visit),
            MlirStmt::If { then, otherwise, .. } => {
                each(then, visit);
                each(otherwise, visit);
            }
            MlirStmt::Switch { cases, default, .. } => {
                cases.iter().for_each(|(_, body)| each(body, visit));
                each(default, visit);
            }
            _ => {}
        }
    }
}

/// Acquire and element of the object that a value is or views.
fn object_of(value: &MlirValue) -> Option<(usize, i64)> {
    match value {
        MlirValue::Object { acquire, element } => Some((*acquire, *element)),
        MlirValue::View { of, .. } => object_of(of),
        _ => None,
    }
}

/// The body of a core in the making.
struct Body<'i, 'm> {
    import: &'i Import<'m>,
    tile: Tile,
    kernels: &'i IndexMap<String, KernelId>,
    /// First object and element type of each acquire.
    acquires: Vec<(u32, Elem)>,
    objects: u32,
}

impl Body<'_, '_> {
    fn place(&self) -> String {
        format!("{}: core {}", self.import.file, self.tile)
    }

    fn block(&mut self, body: &[MlirStmt]) -> Imported<Vec<Stmt>> {
        let mut statements = Vec::new();
        for stmt in body {
            statements.extend(self.stmt(stmt)?);
        }
        Ok(statements)
    }

    fn stmt(&mut self, stmt: &MlirStmt) -> Imported<Option<Stmt>> {
        Ok(Some(match stmt {
            MlirStmt::For { trips, line, body } => {
                let count = match trips {
                    MlirTrips::Endless => Count::Forever,
                    MlirTrips::Constant(n) => Count::Const(u64::try_from(*n).unwrap_or(0)),
                    MlirTrips::Value(value) => match self.word(value) {
                        Some(word) => Count::Word(word),
                        None => return self.left_out(body, "the trip count of a loop", *line),
                    },
                };
                Stmt::Loop { count, body: self.block(body)? }
            }
            MlirStmt::Acquire { fifo, port, count, line } => {
                let loc = self.import.loc(*line);
                let fifo = self.import.fifo(fifo, &self.place())?;
                let elem = mem_type(&self.import.mlir.fifos[fifo.index()].object, || self.place())?.elem;
                let count = positive(*count);
                self.acquires.push((self.objects, elem));
                let objects = (self.objects..self.objects + count).map(ObjectId).collect();
                self.objects += count;
                Stmt::Acquire { fifo, port: self.port(port)?, objects, loc }
            }
            MlirStmt::Release { fifo, port, count, line } => {
                let loc = self.import.loc(*line);
                let fifo = self.import.fifo(fifo, &self.place())?;
                Stmt::Release { fifo, port: self.port(port)?, count: positive(*count), loc }
            }
            MlirStmt::Call { function, args, line } => {
                let loc = self.import.loc(*line);
                let args: Imported<Vec<Arg>> = args.iter().map(|arg| self.arg(arg)).collect();
                Stmt::Call { kernel: self.kernels[function], args: args?, loc }
            }
            MlirStmt::Switch { on, line, cases, default } => {
                let Some(on) = self.word(on) else {
                    let all: Vec<MlirStmt> =
                        cases.iter().flat_map(|(_, body)| body).chain(default).cloned().collect();
                    return self.left_out(&all, "what a switch looks at", *line);
                };
                let mut branches = Vec::new();
                for (value, body) in cases {
                    branches.push((*value, self.block(body)?));
                }
                let loc = self.import.loc(*line);
                Stmt::Switch { on, cases: branches, default: self.block(default)?, loc }
            }
            MlirStmt::If { line, then, otherwise, .. } => {
                let all: Vec<MlirStmt> = then.iter().chain(otherwise).cloned().collect();
                return self.left_out(&all, "the condition of an if", *line);
            }
            MlirStmt::Inline { .. } => return Ok(None),
        }))
    }

    /// What hangs on a computed value is left out, unless it moves a FIFO.
    fn left_out(&self, body: &[MlirStmt], what: &'static str, line: MlirLine) -> Imported<Option<Stmt>> {
        let mut moves = false;
        each(body, &mut |s| moves |= matches!(s, MlirStmt::Acquire { .. } | MlirStmt::Release { .. }));
        if moves {
            Err(MlirImportError::Computed { tile: self.tile, what, loc: self.import.loc(line) })
        } else {
            Ok(None)
        }
    }

    fn port(&self, port: &str) -> Imported<Port> {
        match port {
            "Produce" => Ok(Port::Produce),
            "Consume" => Ok(Port::Consume),
            got => Err(MlirImportError::Unreadable {
                place: self.place(),
                expected: "Produce or Consume",
                got: got.to_owned(),
            }),
        }
    }

    /// The object of an acquire's element; past the last, an object that nothing binds, which verify reports.
    fn object(&self, acquire: usize, element: i64) -> ObjectId {
        let first = self.acquires.get(acquire).map_or(u32::MAX, |a| a.0);
        ObjectId(first.saturating_add(positive(element)))
    }

    /// The word of an object that a value is: an element of four bytes, of the object or a view of it.
    fn word(&self, value: &MlirValue) -> Option<WordRef> {
        let MlirValue::Load { of, index } = value else { return None };
        let whole = matches!(**of, MlirValue::Object { .. });
        let (of, first) = match &**of {
            MlirValue::View { of, byte_offset, ty } if ty.ends_with("xi32>") && byte_offset % 4 == 0 => {
                (&**of, byte_offset / 4)
            }
            whole => (whole, 0),
        };
        let MlirValue::Object { acquire, element } = *of else { return None };
        let (_, elem) = self.acquires.get(acquire)?;
        let index = u32::try_from(first.checked_add(*index)?).ok()?;
        (!whole || elem.bytes() == 4).then(|| WordRef { object: self.object(acquire, element), index })
    }

    fn arg(&self, value: &MlirValue) -> Imported<Arg> {
        let view = match value {
            MlirValue::View { byte_offset, ty, .. } => {
                let byte_offset = u64::try_from(*byte_offset).unwrap_or(u64::MAX);
                Some(View { byte_offset, ty: mem_type(ty, || self.place())? })
            }
            _ => None,
        };
        let whole = match value {
            MlirValue::View { of, .. } => of,
            value => value,
        };
        Ok(match whole {
            MlirValue::Object { acquire, element } => {
                Arg::Object { object: self.object(*acquire, *element), view }
            }
            MlirValue::Buffer(name) => {
                let at = self.import.mlir.buffers.get_index_of(name).unwrap_or(usize::MAX);
                Arg::Local { buffer: LocalId(at as u32), view }
            }
            MlirValue::Constant(value) => Arg::Const(*value as i32),
            load @ MlirValue::Load { .. } => self.word(load).map_or(Arg::Const(0), Arg::Word),
            MlirValue::View { .. } => {
                return Err(MlirImportError::Unreadable {
                    place: self.place(),
                    expected: "a view of an object or buffer",
                    got: "a view of a view".to_owned(),
                });
            }
            MlirValue::Computed(_) => Arg::Const(0),
        })
    }
}

/// A parameter of an external function. Nothing says what it does with its memory: what is consumed somewhere
/// counts as read, all else as written.
fn param(kernel: &str, at: usize, ty: &str, consumed: bool, loc: &Loc) -> Imported<Param> {
    let (kind, elem, elements) = if ty.starts_with("memref<") {
        let ty = mem_type(ty, || format!("{loc}: function @{kernel}"))?;
        let elements = u32::try_from(ty.elements()).unwrap_or(u32::MAX);
        (if consumed { ParamKind::In } else { ParamKind::Out }, ty.elem, elements)
    } else {
        (ParamKind::I32, Elem::I32, 1)
    };
    let value = (!kind.is_memory()).then_some(ValueId(0));
    let layout = Layout::RowMajor(vec![elements]);
    let name = format!("p{at}");
    Ok(Param { name, kind, elem, layout, align_bytes: 1, bank: None, value, loc: loc.clone() })
}

/// A kernel without a body.
fn signature(name: &str, mut params: Vec<Param>) -> Verified<Kernel> {
    let scalars = params.iter_mut().filter(|p| !p.kind.is_memory());
    let args: Vec<ValueId> = (0u32..)
        .zip(scalars)
        .map(|(at, param)| {
            param.value = Some(ValueId(at));
            ValueId(at)
        })
        .collect();
    Verified::new(Kernel {
        name: name.to_owned(),
        doc: String::new(),
        rounding: Rounding::ConvEven,
        saturation: Saturation::On,
        params,
        values: vec![Type::Scalar; args.len()],
        ops: Vec::new(),
        blocks: vec![Block { args, ops: Vec::new() }],
    })
}

/// `memref<4x8xi8>` as a block of 32 elements: a call passes a pointer, so that the shape says nothing more.
fn mem_type(text: &str, place: impl Fn() -> String) -> Imported<MemType> {
    let error = || MlirImportError::Unreadable {
        place: place(),
        expected: "a memref of static shape of i8, i16, i32, bf16 or f32",
        got: text.to_owned(),
    };
    let inner = text.strip_prefix("memref<").and_then(|t| t.strip_suffix('>')).ok_or_else(error)?;
    let shape = inner.split(',').next().unwrap_or_default();
    // `memref<i32>` is one element.
    let (dims, elem) = shape.rsplit_once('x').unwrap_or(("1", shape));
    let elem = match elem {
        "i8" | "si8" => Elem::I8,
        "ui8" => Elem::U8,
        "i16" | "si16" | "ui16" => Elem::I16,
        "i32" | "si32" | "ui32" => Elem::I32,
        "bf16" => Elem::Bf16,
        "f32" => Elem::F32,
        _ => return Err(error()),
    };
    let mut elements = 1u32;
    for dim in dims.split('x') {
        let dim: u32 = dim.parse().map_err(|_| error())?;
        elements = elements.checked_mul(dim).ok_or_else(error)?;
    }
    Ok(MemType::flat(elem, elements))
}

/// The bytes of `dense<..>`: one number, a list, or bytes in hexadecimal.
fn initial(text: &str, ty: &MemType, place: impl Fn() -> String) -> Imported<Vec<u8>> {
    let error = || MlirImportError::Unreadable {
        place: place(),
        expected: "an initial value: a number, a list of them, or bytes in hexadecimal",
        got: text.chars().take(40).collect(),
    };
    let (width, total) = (ty.elem.bytes() as usize, ty.bytes() as usize);
    let bytes: Vec<u8> = if let Some(hex) = text.strip_prefix("\"0x").and_then(|t| t.strip_suffix('"')) {
        let digits: Option<Vec<u8>> = hex.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
        let digits = digits.filter(|d| d.len() % 2 == 0).ok_or_else(error)?;
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    } else {
        let mut bytes = Vec::new();
        for number in text.split(['[', ']', ',']).filter(|n| !n.is_empty()) {
            let value = match (ty.elem, number.parse::<i64>()) {
                (Elem::F32 | Elem::Bf16, _) => {
                    let bits = number.parse::<f32>().map_err(|_| error())?.to_bits();
                    if ty.elem == Elem::F32 { u64::from(bits) } else { u64::from(bits >> 16) }
                }
                (_, Ok(value)) => value as u64,
                (_, Err(_)) => return Err(error()),
            };
            bytes.extend_from_slice(&value.to_le_bytes()[..width]);
        }
        bytes
    };
    match bytes.len() {
        one if one == width => Ok(bytes.repeat(total / width.max(1))),
        all if all == total => Ok(bytes),
        _ => Err(error()),
    }
}

/// A count that the IR holds as a `u32`; what is negative or too large becomes what verify refuses.
fn positive(value: i64) -> u32 {
    if value < 0 { 0 } else { u32::try_from(value).unwrap_or(u32::MAX) }
}
