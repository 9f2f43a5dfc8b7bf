//! Calls: every argument against the kernel's parameter.

use super::program::Scope;
use super::{ArrayError, Check, is_flat_bytes};
use crate::array::ir::{Arg, Cascade, Core, KernelId, LocalId, MemType, ObjectId, Port, View};
use crate::kernel::{Kernel, Loc, Param, ParamKind};

/// The bytes that a memory argument names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Object(ObjectId),
    Local(LocalId),
}

struct Range {
    place: Place,
    from: u64,
    to: u64,
    param: usize,
}

/// Where a call is, for messages.
#[derive(Clone, Copy)]
struct At<'a> {
    core: &'a Core,
    kernel: &'a str,
    loc: &'a Loc,
}

impl Check<'_> {
    /// One call.
    pub(super) fn call(&mut self, core: &Core, id: KernelId, args: &[Arg], loc: &Loc, scope: &Scope) {
        let design = self.design;
        if !self.known("kernel", id.0, design.kernels.len(), loc) {
            return;
        }
        let kernel = design.kernel(id);
        let at = At { core, kernel: &kernel.name, loc };
        self.cascade(at, kernel);
        if args.len() != kernel.params.len() {
            self.push(ArrayError::ArgCount {
                tile: core.tile,
                kernel: kernel.name.clone(),
                expected: kernel.params.len(),
                locals: kernel.params.iter().filter(|p| p.kind.is_core_local()).count(),
                got: args.len(),
                loc: loc.clone(),
            });
            return;
        }
        let mut ranges = Vec::new();
        for (position, (param, arg)) in kernel.params.iter().zip(args).enumerate() {
            if let Some((place, from, to)) = self.argument(at, param, arg, scope) {
                ranges.push(Range { place, from, to, param: position });
            }
        }
        self.aliases(at, &kernel.params, &ranges, scope);
    }

    /// A kernel that uses the cascade needs one at its core.
    fn cascade(&mut self, at: At<'_>, kernel: &Kernel) {
        let tile = at.core.tile;
        for (used, out) in [(kernel.reads_cascade(), false), (kernel.writes_cascade(), true)] {
            let leads = |c: &Cascade| if out { c.from == tile } else { c.to == tile };
            if used && !self.design.cascades.iter().any(leads) {
                let (kernel, loc) = (at.kernel.to_owned(), at.loc.clone());
                self.push(ArrayError::NoCascade { tile, kernel, out, loc });
            }
        }
    }

    fn argument(&mut self, at: At<'_>, param: &Param, arg: &Arg, scope: &Scope) -> Option<(Place, u64, u64)> {
        let kind = |expected, got| ArrayError::ArgKind {
            tile: at.core.tile,
            kernel: at.kernel.to_owned(),
            param: param.name.clone(),
            expected,
            got,
            loc: at.loc.clone(),
        };
        match arg {
            Arg::Const(_) if !param.kind.is_memory() => None,
            Arg::Word(word) if !param.kind.is_memory() => {
                self.word(at.core, *word, at.loc, scope);
                None
            }
            Arg::Const(_) | Arg::Word(_) => {
                self.push(kind("memory", "an i32"));
                None
            }
            Arg::Object { .. } | Arg::Local { .. } if !param.kind.is_memory() => {
                self.push(kind("an i32", "memory"));
                None
            }
            Arg::Object { .. } if param.kind.is_core_local() => {
                self.push(kind("a core-local buffer", "an object of a FIFO"));
                None
            }
            Arg::Object { object, view } => {
                let bound = self.held_object(at.core, *object, at.loc, scope)?;
                if param.kind.is_written() && bound.port == Port::Consume {
                    let what = format!("an object consumed from fifo {}", self.fifo_name(bound.fifo));
                    self.written(
                        at,
                        param,
                        what,
                        "written objects are acquired to produce, or are core-local buffers",
                    );
                }
                let ty = self.design.fifos.get(bound.fifo.index())?.object.clone();
                let (from, to) = self.memory(at, param, &ty, view.as_ref());
                Some((Place::Object(*object), from, to))
            }
            Arg::Local { buffer, view } => {
                if !self.known("buffer", buffer.0, self.design.locals.len(), at.loc) {
                    return None;
                }
                self.local(at, param, *buffer);
                let ty = self.design.local(*buffer).ty.clone();
                let (from, to) = self.memory(at, param, &ty, view.as_ref());
                Some((Place::Local(*buffer), from, to))
            }
        }
    }

    fn written(&mut self, at: At<'_>, param: &Param, what: String, help: &'static str) {
        self.push(ArrayError::ArgWritten {
            tile: at.core.tile,
            kernel: at.kernel.to_owned(),
            param: param.name.clone(),
            what,
            help,
            loc: at.loc.clone(),
        });
    }

    fn local(&mut self, at: At<'_>, param: &Param, id: LocalId) {
        let local = self.design.local(id);
        let (tile, kernel, name) = (at.core.tile, at.kernel.to_owned(), param.name.clone());
        let (buffer, loc) = (local.name.clone(), at.loc.clone());
        if local.tile != tile {
            let other = local.tile;
            self.push(ArrayError::LocalElsewhere { tile, kernel, param: name, buffer, other, loc });
            return;
        }
        if let ParamKind::Table(bytes) = &param.kind
            && local.init.as_ref() != Some(bytes)
        {
            self.push(ArrayError::TableInit { tile, kernel, param: name, buffer, loc });
        }
    }

    /// Type and range of a memory argument; returns the bytes it names.
    fn memory(&mut self, at: At<'_>, param: &Param, whole: &MemType, view: Option<&View>) -> (u64, u64) {
        let (tile, kernel, name) = (at.core.tile, at.kernel.to_owned(), param.name.clone());
        let loc = at.loc.clone();
        let (from, ty) = match view {
            None => (0, whole),
            Some(view) => {
                if !is_flat_bytes(whole) {
                    let (kernel, param, loc, of) = (kernel.clone(), name.clone(), loc.clone(), whole.clone());
                    self.push(ArrayError::ViewOf { tile, kernel, param, of, loc });
                }
                let (end, bytes) = (view.byte_offset.saturating_add(view.ty.bytes()), whole.bytes());
                if end > bytes {
                    let (kernel, param, loc) = (kernel.clone(), name.clone(), loc.clone());
                    self.push(ArrayError::ViewOutside { tile, kernel, param, end, bytes, loc });
                }
                (view.byte_offset, &view.ty)
            }
        };
        let elements = u32::try_from(param.layout.elements()).unwrap_or(u32::MAX);
        let expected = MemType::flat(param.elem, elements);
        if *ty != expected {
            self.push(ArrayError::ArgType {
                tile,
                kernel,
                param: name,
                expected_bytes: expected.bytes(),
                expected,
                got_bytes: ty.bytes(),
                got: ty.clone(),
                loc,
            });
        }
        (from, from.saturating_add(ty.bytes()))
    }

    fn aliases(&mut self, at: At<'_>, params: &[Param], ranges: &[Range], scope: &Scope) {
        let place = |r: &Range| match r.place {
            // Two acquires of one window name the same object twice.
            Place::Object(o) => scope.object(o).map(|b| b.identity()),
            Place::Local(_) => None,
        };
        for (i, a) in ranges.iter().enumerate() {
            for b in &ranges[i + 1..] {
                let same = a.place == b.place || (place(a).is_some() && place(a) == place(b));
                let (one, two) = (&params[a.param], &params[b.param]);
                let (written, other) = if one.kind.is_written() { (one, two) } else { (two, one) };
                if same && a.from < b.to && b.from < a.to && written.kind.is_written() {
                    self.push(ArrayError::ArgAlias {
                        tile: at.core.tile,
                        kernel: at.kernel.to_owned(),
                        written: written.name.clone(),
                        other: other.name.clone(),
                        loc: at.loc.clone(),
                    });
                }
            }
        }
    }
}
