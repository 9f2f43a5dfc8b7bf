//! Test cases of the kernels of attention in bf16.

use super::{KEYS, block, finish, header, power, quotient, reciprocal, start};
use crate::attention::{AttentionShape, HEADER_WORDS};
use crate::case::{Arg, Case, Entry, Source, bytes_of};
use crate::matmul_bf16;
use crate::tiles::to_tiles;
use half::bf16;
use ndarray::{Array2, ArrayView2, concatenate, s};

/// Operands and results.
fn tiles(x: ArrayView2<bf16>) -> Vec<u8> {
    bytes_of(&to_tiles(x, [4, 8]))
}

fn words(first: i32) -> Vec<u8> {
    bytes_of(&header(first as usize)[..HEADER_WORDS as usize])
}

/// Sums of some queries between blocks of keys: O, and l in four more columns.
struct Running(Array2<f32>);

impl Running {
    fn new(shape: AttentionShape) -> Running {
        Running(Array2::zeros((shape.rows as usize, shape.dims as usize + 4)))
    }

    /// Takes keys and values, of which `here` are there.
    fn step(&mut self, q: &Array2<bf16>, k: &Array2<bf16>, v: &Array2<bf16>, here: usize) {
        let mut weights = matmul_bf16::reference(q.view(), k.t(), None).mapv(power);
        weights.slice_mut(s![.., here..]).fill(bf16::ZERO);
        let ones = Array2::from_elem((v.nrows(), 4), bf16::ONE);
        let values = concatenate![ndarray::Axis(1), *v, ones];
        self.0 = matmul_bf16::reference(weights.view(), values.view(), Some(self.0.view()));
    }

    fn sums(&self) -> Vec<u8> {
        bytes_of(&to_tiles(self.0.slice(s![.., ..-4]), [4, 4]))
    }

    fn total(&self) -> Vec<u8> {
        bytes_of(&to_tiles(self.0.slice(s![.., -4..]), [4, 4]))
    }

    fn context(&self) -> Array2<bf16> {
        let (rows, columns) = (self.0.nrows(), self.0.ncols() - 4);
        Array2::from_shape_fn((rows, columns), |(m, n)| {
            quotient(self.0[(m, n)], reciprocal(self.0[(m, columns)]))
        })
    }
}

/// Numbers of a few sizes, with every mantissa; `size` is the logarithm of the largest.
fn numbers(source: &mut Source, rows: u32, dims: u32, size: i64) -> Array2<bf16> {
    let bits = source.matrix::<i16>([rows as usize, dims as usize], [-1024, 1023]);
    bits.mapv(|v| {
        let exponent = 127 + size - i64::from(v >> 7 & 7);
        let value = bf16::from_bits(((i64::from(v < 0)) << 15 | exponent << 7 | i64::from(v & 0x7f)) as u16);
        if v == 0 { bf16::ZERO } else { value }
    })
}

struct Scene {
    q: Array2<bf16>,
    running: Running,
    seen: usize,
    size: i64,
}

fn scene(source: &mut Source, shape: AttentionShape, least_blocks: i64) -> Scene {
    // Scores of less than an octave up to some beyond the ends.
    let size = source.number(-4, 2);
    let q = numbers(source, shape.rows, shape.dims, size);
    let mut running = Running::new(shape);
    let blocks = source.number(least_blocks, 2);
    for _ in 0..blocks {
        let (k, v) = (numbers(source, KEYS, shape.dims, size), numbers(source, KEYS, shape.dims, 3));
        running.step(&q, &k, &v, KEYS as usize);
    }
    Scene { q, running, seen: blocks as usize * KEYS as usize, size }
}

/// The first kernel with its test cases.
pub fn entry_start(shape: AttentionShape) -> Entry {
    Entry::new(start(shape), move |source| {
        let fresh = Running::new(shape);
        let expected = [fresh.sums(), fresh.total(), words(0)];
        let mut noise = |len: usize| source.values(len, 0, 255).into_iter().map(|v| v as u8).collect();
        let args = expected.iter().map(|bytes| Arg::Bytes(noise(bytes.len()))).collect();
        Case { args, expected: expected.into_iter().enumerate().collect() }
    })
}

/// The kernel of a block with its test cases: first and later blocks, whole ones and last ones.
pub fn entry_block(shape: AttentionShape) -> Entry {
    Entry::new(block(shape), move |source| {
        let Scene { q, mut running, seen, size } = scene(source, shape, 0);
        let (k, v) = (numbers(source, KEYS, shape.dims, size), numbers(source, KEYS, shape.dims, 3));
        let whole = source.number(0, 1) == 0;
        let here = if whole { KEYS as usize } else { source.number(1, KEYS.into()) as usize };
        let valid = if whole { seen + source.number(KEYS.into(), 2000) as usize } else { seen + here };
        let mut args = [tiles(q.view()), tiles(k.view()), tiles(v.view())].map(Arg::Bytes).to_vec();
        args.extend(
            [bytes_of(&header(valid)), running.sums(), running.total(), words(seen as i32)].map(Arg::Bytes),
        );
        args.extend([Arg::Bytes(vec![0; 2 * super::weights_len(shape) as usize]), Arg::Local]);
        running.step(&q, &k, &v, here);
        let expected = [running.sums(), running.total(), words((seen + KEYS as usize) as i32)];
        Case { args, expected: expected.into_iter().enumerate().map(|(i, bytes)| (4 + i, bytes)).collect() }
    })
}

/// The last kernel with its test cases.
pub fn entry_finish(shape: AttentionShape) -> Entry {
    Entry::new(finish(shape), move |source| {
        let Scene { running, .. } = scene(source, shape, 1);
        let out = tiles(running.context().view());
        let zeros = |len: usize| Arg::Bytes(vec![0; len]);
        let args = vec![
            Arg::Bytes(running.sums()),
            Arg::Bytes(running.total()),
            zeros(4 * super::total_len(shape) as usize),
            zeros(out.len()),
            Arg::Local,
        ];
        Case { args, expected: vec![(3, out)] }
    })
}
