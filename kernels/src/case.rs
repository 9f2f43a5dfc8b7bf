//! Test cases of kernels: arguments and what must come out, for every executor alike.

use kiln_dsl::Verified;
use kiln_dsl::kernel::{Kernel, ParamKind, verify};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// One argument of a case, in the order of the kernel's parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arg {
    /// The bytes of a memory parameter before the call.
    Bytes(Vec<u8>),
    /// A run-time integer.
    I32(i32),
    /// A core-local parameter: a table's own bytes, zeros for state and scratch.
    Local,
}

/// Arguments, and the bytes of written parameters afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// One a parameter.
    pub args: Vec<Arg>,
    /// Position of a written parameter and its bytes after the call.
    pub expected: Vec<(usize, Vec<u8>)>,
}

/// What the data of a case look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// The whole range, evenly.
    Random,
    /// Mostly the type's ends, zero and their neighbours.
    Edges,
    /// One value everywhere.
    Flat,
}

impl Data {
    /// Every kind.
    pub const ALL: [Data; 3] = [Data::Random, Data::Edges, Data::Flat];
}

/// A seeded source of case data.
#[derive(Debug)]
pub struct Source {
    rng: Xoshiro256PlusPlus,
    data: Data,
}

impl Source {
    /// The source of a seed: the same seed and kind give the same data for ever.
    pub fn new(seed: u64, data: Data) -> Source {
        Source { rng: Xoshiro256PlusPlus::seed_from_u64(seed), data }
    }

    /// A number in `lo..=hi`.
    pub fn number(&mut self, lo: i64, hi: i64) -> i64 {
        self.rng.random_range(lo..=hi)
    }

    fn value(&mut self, lo: i64, hi: i64) -> i64 {
        let edges = [lo, lo + 1, -1, 0, 1, hi - 1, hi];
        if self.data == Data::Edges && self.rng.random_range(0..8) != 0 {
            edges[self.rng.random_range(0..edges.len())].clamp(lo, hi)
        } else {
            self.number(lo, hi)
        }
    }

    /// `len` values in `lo..=hi`.
    pub fn values(&mut self, len: usize, lo: i64, hi: i64) -> Vec<i64> {
        if self.data == Data::Flat {
            return vec![self.value(lo, hi); len];
        }
        (0..len).map(|_| self.value(lo, hi)).collect()
    }

    /// A `rows x cols` matrix of values in the range of `T`, or the part of it in `lo..=hi`.
    pub fn matrix<T: TryFrom<i64> + Default>(
        &mut self,
        [rows, cols]: [usize; 2],
        [lo, hi]: [i64; 2],
    ) -> ndarray::Array2<T> {
        let values = self.values(rows * cols, lo, hi).into_iter().map(|v| T::try_from(v).unwrap_or_default());
        ndarray::Array2::from_shape_vec((rows, cols), values.collect()).expect("rows x cols values")
    }
}

/// Little-endian bytes of a slice.
pub fn bytes_of<T: bytemuck::Pod>(values: &[T]) -> Vec<u8> {
    bytemuck::cast_slice(values).to_vec()
}

/// A kernel with the means to test it.
pub struct Entry {
    /// The kernel, verified.
    pub kernel: Verified<Kernel>,
    case: Box<dyn Fn(&mut Source) -> Case + Send + Sync>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("kernel", &self.kernel.name).finish_non_exhaustive()
    }
}

impl Entry {
    /// An entry of the catalogue.
    ///
    /// # Panics
    /// When the kernel does not verify: the catalogue's kernels must.
    pub fn new(kernel: Kernel, case: impl Fn(&mut Source) -> Case + Send + Sync + 'static) -> Entry {
        let kernel = verify(kernel).unwrap_or_else(|errors| panic!("{errors}"));
        Entry { kernel, case: Box::new(case) }
    }

    /// A case from a seed; its arguments fit the kernel's parameters.
    pub fn case(&self, seed: u64, data: Data) -> Case {
        (self.case)(&mut Source::new(seed, data))
    }

    /// The bytes a core-local parameter starts with.
    pub fn local_bytes(&self, param: usize) -> Vec<u8> {
        let param = &self.kernel.params[param];
        match &param.kind {
            ParamKind::Table(bytes) => bytes.clone(),
            _ => vec![0; param.bytes() as usize],
        }
    }
}
