//! Memory parameters: declarations, loads and stores.

use super::address::{Affine, Index};
use super::typed::{Element, Loadable};
use super::{Builder, Draft, IntoScalar, Scalar, Vector};
use crate::kernel::ir::{Address, Layout, Loc, Param, ParamId, ParamKind};
use crate::kernel::ops::Opcode;
use crate::kernel::types::Type;
use crate::num::lut;
use std::marker::PhantomData;

/// Alignment of every memory parameter: one 256-bit access.
const PARAM_ALIGN_BYTES: u32 = 32;

/// A row-major shape: `[len]`, `[rows, cols]`, ...
pub trait Shape {
    /// The dimensions, outermost first.
    fn dims(self) -> Vec<u32>;
}
impl<const D: usize> Shape for [u32; D] {
    fn dims(self) -> Vec<u32> {
        self.to_vec()
    }
}
impl Shape for Vec<u32> {
    fn dims(self) -> Vec<u32> {
        self
    }
}

/// A memory parameter of elements `E`, addressed by element index.
#[derive(Clone, Copy, Debug)]
pub struct Buf<'k, E: Element> {
    k: &'k Builder,
    pub(super) param: ParamId,
    elem: PhantomData<E>,
}

/// A memory parameter seen as a grid of tiles of `L` lanes, each contiguous.
#[derive(Clone, Copy, Debug)]
pub struct TileBuf<'k, E: Element, const L: usize> {
    buf: Buf<'k, E>,
    /// Tiles in one row of the grid.
    columns: u32,
}

impl Builder {
    fn memory<E: Element>(&self, name: &str, kind: ParamKind, layout: Layout, loc: Loc) -> Buf<'_, E> {
        let param = self.declare(Param {
            name: name.to_string(),
            kind,
            elem: E::ELEM,
            layout,
            align_bytes: PARAM_ALIGN_BYTES,
            bank: None,
            value: None,
            loc,
        });
        Buf { k: self, param, elem: PhantomData }
    }

    /// A parameter that is read.
    #[track_caller]
    pub fn input<E: Element>(&self, name: &str, shape: impl Shape) -> Buf<'_, E> {
        self.memory(name, ParamKind::In, Layout::RowMajor(shape.dims()), Loc::caller())
    }

    /// A parameter that is written.
    #[track_caller]
    pub fn output<E: Element>(&self, name: &str, shape: impl Shape) -> Buf<'_, E> {
        self.memory(name, ParamKind::Out, Layout::RowMajor(shape.dims()), Loc::caller())
    }

    /// A parameter that is read and written.
    #[track_caller]
    pub fn inout<E: Element>(&self, name: &str, shape: impl Shape) -> Buf<'_, E> {
        self.memory(name, ParamKind::InOut, Layout::RowMajor(shape.dims()), Loc::caller())
    }

    /// Core-local memory that keeps its bytes between calls.
    #[track_caller]
    pub fn state<E: Element>(&self, name: &str, shape: impl Shape) -> Buf<'_, E> {
        self.memory(name, ParamKind::State, Layout::RowMajor(shape.dims()), Loc::caller())
    }

    /// Core-local memory for one call.
    #[track_caller]
    pub fn scratch<E: Element>(&self, name: &str, shape: impl Shape) -> Buf<'_, E> {
        self.memory(name, ParamKind::Scratch, Layout::RowMajor(shape.dims()), Loc::caller())
    }

    /// Core-local constants: `bytes` as the core reads them.
    #[track_caller]
    pub fn table<E: Element>(&self, name: &str, bytes: Vec<u8>) -> Buf<'_, E> {
        let len = bytes.len() as u32 / E::ELEM.bytes();
        self.memory(name, ParamKind::Table(bytes), Layout::RowMajor(vec![len]), Loc::caller())
    }

    /// Two copies of a lookup table of `values`, in banks `banks`, packed for the parallel lookup.
    #[track_caller]
    pub fn lookup_tables<E: Element>(&self, name: &str, values: &[i32], banks: [u8; 2]) -> [Buf<'_, E>; 2] {
        let loc = Loc::caller();
        let packed = lut::pack_table(values, E::ELEM);
        ["ab", "cd"].map(|half| {
            let layout = Layout::RowMajor(vec![packed.len() as u32 / E::ELEM.bytes()]);
            let name = format!("{name}_{half}");
            let buf = self.memory(&name, ParamKind::Table(packed.clone()), layout, loc.clone());
            buf.bank(banks[usize::from(half == "cd")])
        })
    }

    /// Two copies of a lookup table of `entries` values, in banks `banks`, that the kernel makes before it looks
    /// anything up: in each copy, lines of 16 bytes of values and the same 16 again, values of 8 bits widened to 16
    /// (`num::lut`).
    #[track_caller]
    pub fn scratch_tables<E: Element>(&self, name: &str, entries: u32, banks: [u8; 2]) -> [Buf<'_, E>; 2] {
        let loc = Loc::caller();
        let lines = entries.div_ceil(lut::values_per_line(E::ELEM));
        let len = lines * lut::LINE_BYTES / E::ELEM.bytes();
        ["ab", "cd"].map(|half| {
            let (name, layout) = (format!("{name}_{half}"), Layout::RowMajor(vec![len]));
            let buf = self.memory(&name, ParamKind::Scratch, layout, loc.clone());
            buf.bank(banks[usize::from(half == "cd")])
        })
    }

    /// Tiles of `rows x cols` elements (`L = rows * cols` lanes), a grid of them, to read.
    #[track_caller]
    pub fn input_tiles<E: Element, const L: usize>(
        &self,
        name: &str,
        tile: [u32; 2],
        grid: [u32; 2],
    ) -> TileBuf<'_, E, L> {
        self.tiles(name, ParamKind::In, tile, grid, Loc::caller())
    }

    /// Tiles to write.
    #[track_caller]
    pub fn output_tiles<E: Element, const L: usize>(
        &self,
        name: &str,
        tile: [u32; 2],
        grid: [u32; 2],
    ) -> TileBuf<'_, E, L> {
        self.tiles(name, ParamKind::Out, tile, grid, Loc::caller())
    }

    /// Tiles to read and write.
    #[track_caller]
    pub fn inout_tiles<E: Element, const L: usize>(
        &self,
        name: &str,
        tile: [u32; 2],
        grid: [u32; 2],
    ) -> TileBuf<'_, E, L> {
        self.tiles(name, ParamKind::InOut, tile, grid, Loc::caller())
    }

    fn tiles<E: Element, const L: usize>(
        &self,
        name: &str,
        kind: ParamKind,
        tile: [u32; 2],
        grid: [u32; 2],
        loc: Loc,
    ) -> TileBuf<'_, E, L> {
        TileBuf { buf: self.memory(name, kind, Layout::Tiled { tile, grid }, loc), columns: grid[1] }
    }
}

impl<'k, E: Element> Buf<'k, E> {
    /// Asks for a logical bank of L1.
    pub fn bank(self, bank: u8) -> Self {
        self.k.with(|s| s.kernel.params[self.param.index()].bank = Some(bank));
        self
    }

    fn address(&self, index: impl Index<'k>) -> Address {
        Scalar::affine_of(self.k, index).address(self.param, E::ELEM.bytes())
    }

    #[track_caller]
    fn load_at<const N: usize>(&self, opcode: Opcode, address: Address) -> Vector<'k, E, N>
    where
        E: Loadable<N>,
    {
        let draft = Draft::new(opcode, &[]).address(address);
        Vector::from_id(self.k, self.k.value(draft, Vector::<E, N>::TYPE, Loc::caller()))
    }

    /// `N` lanes from element `index`, provably aligned.
    #[track_caller]
    pub fn load<const N: usize>(&self, index: impl Index<'k>) -> Vector<'k, E, N>
    where
        E: Loadable<N>,
    {
        self.load_at(Opcode::Load, self.address(index))
    }

    /// `N` lanes from element `index`, at any element.
    #[track_caller]
    pub fn load_unaligned<const N: usize>(&self, index: impl Index<'k>) -> Vector<'k, E, N>
    where
        E: Loadable<N>,
    {
        self.load_at(Opcode::LoadU, self.address(index))
    }

    #[track_caller]
    fn store_at<const N: usize>(&self, opcode: Opcode, address: Address, value: Vector<'k, E, N>) {
        self.k.append(Draft::new(opcode, &[value.id]).address(address), None, Loc::caller());
    }

    /// Stores from element `index`, provably aligned.
    #[track_caller]
    pub fn store<const N: usize>(&self, index: impl Index<'k>, value: Vector<'k, E, N>)
    where
        E: Loadable<N>,
    {
        self.store_at(Opcode::Store, self.address(index), value);
    }

    /// Stores from element `index`, at any element.
    #[track_caller]
    pub fn store_unaligned<const N: usize>(&self, index: impl Index<'k>, value: Vector<'k, E, N>)
    where
        E: Loadable<N>,
    {
        self.store_at(Opcode::StoreU, self.address(index), value);
    }

    /// One element as a scalar, sign- or zero-extended.
    #[track_caller]
    pub fn get(&self, index: impl Index<'k>) -> Scalar<'k> {
        let draft = Draft::new(Opcode::SLoad, &[]).address(self.address(index));
        Scalar::from_id(self.k, self.k.value(draft, Type::Scalar, Loc::caller()))
    }

    /// Stores the low bits of a scalar as one element.
    #[track_caller]
    pub fn set(&self, index: impl Index<'k>, value: impl IntoScalar<'k>) {
        let value = value.into_scalar(self.k);
        let draft = Draft::new(Opcode::SStore, &[value.id]).address(self.address(index));
        self.k.append(draft, None, Loc::caller());
    }
}

impl<'k, E: Element, const L: usize> TileBuf<'k, E, L> {
    /// The memory without its tiles.
    pub fn flat(self) -> Buf<'k, E> {
        self.buf
    }

    /// Asks for a logical bank of L1.
    pub fn bank(self, bank: u8) -> Self {
        self.buf.bank(bank);
        self
    }

    fn address(&self, row: impl Index<'k>, column: impl Index<'k>, lane: i64) -> Address {
        let k = self.buf.k;
        let (row, column) = (Scalar::affine_of(k, row), Scalar::affine_of(k, column));
        let lanes = L as i64;
        Affine::default()
            .plus_scaled(row, i64::from(self.columns) * lanes)
            .plus_scaled(column, lanes)
            .plus_lanes(lane)
            .address(self.buf.param, E::ELEM.bytes())
    }

    /// The tile at a row and column of the grid.
    #[track_caller]
    pub fn load(&self, row: impl Index<'k>, column: impl Index<'k>) -> Vector<'k, E, L>
    where
        E: Loadable<L>,
    {
        self.buf.load_at(Opcode::Load, self.address(row, column, 0))
    }

    /// `P` lanes of a tile from lane `lane`: a part of its rows.
    #[track_caller]
    pub fn load_part<const P: usize>(
        &self,
        row: impl Index<'k>,
        column: impl Index<'k>,
        lane: u32,
    ) -> Vector<'k, E, P>
    where
        E: Loadable<P>,
    {
        self.buf.load_at(Opcode::Load, self.address(row, column, i64::from(lane)))
    }

    /// Stores a tile.
    #[track_caller]
    pub fn store(&self, row: impl Index<'k>, column: impl Index<'k>, value: Vector<'k, E, L>)
    where
        E: Loadable<L>,
    {
        self.buf.store_at(Opcode::Store, self.address(row, column, 0), value);
    }

    /// Stores `P` lanes of a tile from lane `lane`.
    #[track_caller]
    pub fn store_part<const P: usize>(
        &self,
        row: impl Index<'k>,
        column: impl Index<'k>,
        lane: u32,
        value: Vector<'k, E, P>,
    ) where
        E: Loadable<P>,
    {
        self.buf.store_at(Opcode::Store, self.address(row, column, i64::from(lane)), value);
    }
}
