//! The builder of one core's program.

use super::DesignBuilder;
use crate::array::ir::{
    Arg, Count, FifoId, KernelId, LocalBuffer, LocalId, MemType, ObjectId, Port, Stmt, Tile, WordRef,
};
use crate::kernel::{Kernel, Loc, ParamKind};
use std::cell::{Cell, RefCell};

/// A local that a call created for a core-local parameter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct AutomaticLocal {
    tile: Tile,
    kernel: KernelId,
    param: usize,
    local: LocalId,
}

/// Builds a core's program; see [`DesignBuilder::core`].
pub struct CoreBuilder<'d> {
    design: &'d DesignBuilder,
    tile: Tile,
    /// Statement lists under construction, innermost last.
    open: RefCell<Vec<Vec<Stmt>>>,
    objects: Cell<u32>,
    stack_bytes: Cell<Option<u32>>,
}

impl<'d> CoreBuilder<'d> {
    pub(super) fn new(design: &'d DesignBuilder, tile: Tile) -> CoreBuilder<'d> {
        CoreBuilder {
            design,
            tile,
            open: RefCell::new(vec![Vec::new()]),
            objects: Cell::new(0),
            stack_bytes: Cell::new(None),
        }
    }

    pub(super) fn finish(self) -> (Vec<Stmt>, u32, Option<u32>) {
        let body = self.open.into_inner().pop().unwrap_or_default();
        (body, self.objects.get(), self.stack_bytes.get())
    }

    /// The tile it runs on.
    pub fn tile(&self) -> Tile {
        self.tile
    }

    /// Bytes of stack, instead of the device's default.
    pub fn stack_bytes(&self, bytes: u32) {
        self.stack_bytes.set(Some(bytes));
    }

    fn push(&self, stmt: Stmt) {
        if let Some(list) = self.open.borrow_mut().last_mut() {
            list.push(stmt);
        }
    }

    fn nested(&self, body: impl FnOnce(&Self)) -> Vec<Stmt> {
        self.open.borrow_mut().push(Vec::new());
        body(self);
        self.open.borrow_mut().pop().unwrap_or_default()
    }

    /// Repeats for ever.
    pub fn forever(&self, body: impl FnOnce(&Self)) {
        let body = self.nested(body);
        self.push(Stmt::Loop { count: Count::Forever, body });
    }

    /// Repeats `trips` times.
    pub fn repeat(&self, trips: u64, body: impl FnOnce(&Self)) {
        let body = self.nested(body);
        self.push(Stmt::Loop { count: Count::Const(trips), body });
    }

    /// Repeats as often as a word of a consumed object says; negative is never.
    pub fn repeat_word(&self, trips: WordRef, body: impl FnOnce(&Self)) {
        let body = self.nested(body);
        self.push(Stmt::Loop { count: Count::Word(trips), body });
    }

    /// Waits until the core holds `count` objects of a FIFO end, oldest first; those it already
    /// holds count.
    #[track_caller]
    pub fn acquire(&self, fifo: impl Into<FifoId>, port: Port, count: u32) -> Vec<ObjectId> {
        let first = self.objects.get();
        self.objects.set(first + count);
        let objects: Vec<ObjectId> = (first..first + count).map(ObjectId).collect();
        self.push(Stmt::Acquire { fifo: fifo.into(), port, objects: objects.clone(), loc: Loc::caller() });
        objects
    }

    /// Waits for one object to read.
    #[track_caller]
    pub fn consume(&self, fifo: impl Into<FifoId>) -> ObjectId {
        let object = ObjectId(self.objects.get());
        self.acquire(fifo, Port::Consume, 1);
        object
    }

    /// Waits for one object to fill.
    #[track_caller]
    pub fn produce(&self, fifo: impl Into<FifoId>) -> ObjectId {
        let object = ObjectId(self.objects.get());
        self.acquire(fifo, Port::Produce, 1);
        object
    }

    /// Gives back the oldest `count` held objects.
    #[track_caller]
    pub fn release(&self, fifo: impl Into<FifoId>, port: Port, count: u32) {
        self.push(Stmt::Release { fifo: fifo.into(), port, count, loc: Loc::caller() });
    }

    /// Calls a kernel. `args` is one per parameter, or one per parameter that is not core-local:
    /// then state, scratch and tables get an `aie.buffer` of this tile, one per kernel instance.
    #[track_caller]
    pub fn call(&self, kernel: KernelId, args: impl IntoArgs) {
        let loc = Loc::caller();
        let args = self.with_automatic_locals(kernel, args.into_args());
        self.push(Stmt::Call { kernel, args, loc });
    }

    /// Branches on a word: `scf.index_switch`. The closure adds cases; without a default, other
    /// values do nothing.
    #[track_caller]
    pub fn switch(&self, word: WordRef, branches: impl FnOnce(&SwitchBuilder<'_, 'd>)) {
        let loc = Loc::caller();
        let builder = SwitchBuilder { core: self, cases: RefCell::default(), default: RefCell::default() };
        branches(&builder);
        let (cases, default) = (builder.cases.into_inner(), builder.default.into_inner());
        self.push(Stmt::Switch { on: word, cases, default, loc });
    }

    fn with_automatic_locals(&self, id: KernelId, given: Vec<Arg>) -> Vec<Arg> {
        let kernel = self.design.state.borrow().kernels.get(id.index()).cloned();
        let Some(kernel) = kernel else { return given };
        let handed = kernel.params.iter().filter(|p| !p.kind.is_core_local()).count();
        if given.len() != handed || handed == kernel.params.len() {
            return given;
        }
        let mut given = given.into_iter();
        let fill = |(at, p): (usize, &crate::kernel::Param)| {
            if p.kind.is_core_local() { Some(self.local_for(id, &kernel, at).into()) } else { given.next() }
        };
        kernel.params.iter().enumerate().filter_map(fill).collect()
    }

    fn local_for(&self, id: KernelId, kernel: &Kernel, at: usize) -> LocalId {
        let made = &self.design.automatic_locals;
        let known =
            made.borrow().iter().find(|a| (a.tile, a.kernel, a.param) == (self.tile, id, at)).copied();
        if let Some(known) = known {
            return known.local;
        }
        let param = &kernel.params[at];
        let base = format!("{}_{}_c{}r{}", kernel.name, param.name, self.tile.col, self.tile.row);
        let name = {
            let design = self.design.state.borrow();
            let taken = |name: &str| design.locals.iter().any(|l| l.name == name);
            let mut name = base.clone();
            let mut copy = 1;
            while taken(&name) {
                copy += 1;
                name = format!("{base}_{copy}");
            }
            name
        };
        let init = match &param.kind {
            ParamKind::Table(bytes) => Some(bytes.clone()),
            _ => None,
        };
        let ty = MemType::flat(param.elem, u32::try_from(param.layout.elements()).unwrap_or(u32::MAX));
        let local = self.design.push_local(LocalBuffer {
            name,
            tile: self.tile,
            ty,
            init,
            bank: param.bank,
            address: None,
            loc: param.loc.clone(),
        });
        made.borrow_mut().push(AutomaticLocal { tile: self.tile, kernel: id, param: at, local });
        local
    }
}

/// Adds the branches of a [`CoreBuilder::switch`].
pub struct SwitchBuilder<'c, 'd> {
    core: &'c CoreBuilder<'d>,
    cases: RefCell<Vec<(i64, Vec<Stmt>)>>,
    default: RefCell<Vec<Stmt>>,
}

impl<'d> SwitchBuilder<'_, 'd> {
    /// What to do for `value`.
    pub fn case(&self, value: i64, body: impl FnOnce(&CoreBuilder<'d>)) -> &Self {
        let body = self.core.nested(body);
        self.cases.borrow_mut().push((value, body));
        self
    }

    /// What to do for any other value.
    pub fn default(&self, body: impl FnOnce(&CoreBuilder<'d>)) {
        let body = self.core.nested(body);
        self.default.borrow_mut().extend(body);
    }
}

/// Arguments of a call: a tuple, array or vector of what converts to [`Arg`].
pub trait IntoArgs {
    /// The arguments, in order.
    fn into_args(self) -> Vec<Arg>;
}

impl IntoArgs for Vec<Arg> {
    fn into_args(self) -> Vec<Arg> {
        self
    }
}

impl<T: Into<Arg>, const N: usize> IntoArgs for [T; N] {
    fn into_args(self) -> Vec<Arg> {
        self.into_iter().map(Into::into).collect()
    }
}

macro_rules! tuple_args {
    ($($name:ident)+) => {
        impl<$($name: Into<Arg>),+> IntoArgs for ($($name,)+) {
            #[allow(non_snake_case)]
            fn into_args(self) -> Vec<Arg> {
                let ($($name,)+) = self;
                vec![$($name.into()),+]
            }
        }
    };
}
tuple_args!(A);
tuple_args!(A B);
tuple_args!(A B C);
tuple_args!(A B C D);
tuple_args!(A B C D E);
tuple_args!(A B C D E F);
tuple_args!(A B C D E F G);
tuple_args!(A B C D E F G H);
tuple_args!(A B C D E F G H I);
tuple_args!(A B C D E F G H I J);
tuple_args!(A B C D E F G H I J K);
tuple_args!(A B C D E F G H I J K L);
