//! Values carried around a loop: handles, and arrays and tuples of them.

use super::typed::{AccElement, Element};
use super::{Accum, Builder, Mask, Scalar, Vector};
use crate::kernel::ir::ValueId;

/// What a `fold` carries: a scalar, vector, accumulator or mask, or arrays, tuples and vectors (of a
/// number known at run time of the Rust program) of them, so that a 4x2 block of accumulators is one
/// value.
pub trait Carried<'k>: Clone {
    /// Appends the ids of all values, in order.
    fn ids(&self, out: &mut Vec<ValueId>);
    /// The same shape over other ids, taken in the same order.
    fn renamed(&self, k: &'k Builder, ids: &mut dyn Iterator<Item = ValueId>) -> Self;
}

fn take(ids: &mut dyn Iterator<Item = ValueId>) -> ValueId {
    ids.next().expect("as many ids as the shape has values")
}

macro_rules! handle {
    ([$($generics:tt)*] $ty:ty, |$k:ident, $id:ident| $make:expr) => {
        impl<'k, $($generics)*> Carried<'k> for $ty {
            fn ids(&self, out: &mut Vec<ValueId>) {
                out.push(self.id);
            }
            fn renamed(&self, $k: &'k Builder, ids: &mut dyn Iterator<Item = ValueId>) -> Self {
                let $id = take(ids);
                $make
            }
        }
    };
}
handle!([] Scalar<'k>, |k, id| Scalar::from_id(k, id));
handle!([E: Element, const N: usize] Vector<'k, E, N>, |k, id| Vector::from_id(k, id));
handle!([A: AccElement, const N: usize] Accum<'k, A, N>, |k, id| Accum::from_id(k, id));
handle!([const N: usize] Mask<'k, N>, |k, id| Mask { k, id });

impl<'k, C: Carried<'k>, const N: usize> Carried<'k> for [C; N] {
    fn ids(&self, out: &mut Vec<ValueId>) {
        self.iter().for_each(|c| c.ids(out));
    }
    fn renamed(&self, k: &'k Builder, ids: &mut dyn Iterator<Item = ValueId>) -> Self {
        std::array::from_fn(|i| self[i].renamed(k, ids))
    }
}

impl<'k, C: Carried<'k>> Carried<'k> for Vec<C> {
    fn ids(&self, out: &mut Vec<ValueId>) {
        self.iter().for_each(|c| c.ids(out));
    }
    fn renamed(&self, k: &'k Builder, ids: &mut dyn Iterator<Item = ValueId>) -> Self {
        self.iter().map(|c| c.renamed(k, ids)).collect()
    }
}

macro_rules! tuple {
    ($($name:ident $index:tt),*) => {
        impl<'k, $($name: Carried<'k>),*> Carried<'k> for ($($name,)*) {
            fn ids(&self, out: &mut Vec<ValueId>) {
                $(self.$index.ids(out);)*
            }
            fn renamed(&self, k: &'k Builder, ids: &mut dyn Iterator<Item = ValueId>) -> Self {
                ($(self.$index.renamed(k, ids),)*)
            }
        }
    };
}
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);

/// A block of `R x C` values, such as the accumulators of a register-blocked matrix product.
pub trait Block2<T: Copy, const R: usize, const C: usize> {
    /// Another block, from each value with its row and column.
    fn map2<U>(self, f: impl FnMut(usize, usize, T) -> U) -> [[U; C]; R];
    /// Visits each value with its row and column, row by row.
    fn each2(self, f: impl FnMut(usize, usize, T));
}

impl<T: Copy, const R: usize, const C: usize> Block2<T, R, C> for [[T; C]; R] {
    fn map2<U>(self, mut f: impl FnMut(usize, usize, T) -> U) -> [[U; C]; R] {
        std::array::from_fn(|r| std::array::from_fn(|c| f(r, c, self[r][c])))
    }

    fn each2(self, mut f: impl FnMut(usize, usize, T)) {
        for (r, row) in self.into_iter().enumerate() {
            for (c, value) in row.into_iter().enumerate() {
                f(r, c, value);
            }
        }
    }
}
