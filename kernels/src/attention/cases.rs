//! Test cases of the kernels of fused attention.

use super::reference::{Attention, Running};
use super::{AttentionShape, KEYS, MASKED, MIN_SHIFT, block, finish, start};
use crate::case::{Arg, Case, Entry, Source, bytes_of};
use crate::fixed::{saturate_i8, saturate_i16};
use crate::layout::STRIP;
use crate::tiles::to_tiles;
use kiln_dsl::kernel::Elem;
use ndarray::{Array2, ArrayView2, Axis, s};

/// What cores keep: strip by strip.
fn strips<T: Copy + bytemuck::Pod>(x: ArrayView2<T>) -> Vec<u8> {
    x.axis_chunks_iter(Axis(1), STRIP as usize).flat_map(tiles).collect()
}

/// Operands and results.
fn tiles<T: Copy + bytemuck::Pod>(x: ArrayView2<T>) -> Vec<u8> {
    bytes_of(&to_tiles(x, [4, 8]))
}

/// One value a row, in each lane of a strip.
fn lanes<T: Copy>(rows: &[T]) -> Array2<T> {
    Array2::from_shape_fn((rows.len(), STRIP as usize), |(r, _)| rows[r])
}

impl Running {
    fn sums(&self) -> Vec<u8> {
        strips(self.o.view())
    }

    fn total(&self) -> Vec<u8> {
        strips(lanes(&self.l).view())
    }

    fn top(&self) -> Vec<u8> {
        strips(lanes(&self.m).view())
    }
}

fn words(first: i32) -> Vec<u8> {
    let mut words = [0; super::HEADER_WORDS as usize];
    words[0] = first;
    bytes_of(&words)
}

/// Integers that a layer might have, and others.
fn integers(source: &mut Source) -> Attention {
    let mut number = |lo, hi| source.number(lo, hi);
    Attention {
        acc_shift: number(0, 8) as u32,
        mult: number(1, 32767) as i16,
        shift: number(MIN_SHIFT.into(), 26) as u32,
        out_mult: number(1, 32767) as i16,
        out_shift: number(10, 25) as u32,
    }
}

/// Some queries, and the state after some blocks of keys.
struct Scene {
    a: Attention,
    q: Array2<i8>,
    running: Running,
    seen: usize,
}

fn bytes(source: &mut Source, rows: u32, dims: u32) -> Array2<i8> {
    source.matrix([rows as usize, dims as usize], [-128, 127])
}

fn scene(source: &mut Source, shape: AttentionShape, least_blocks: i64) -> Scene {
    let (a, q) = (integers(source), bytes(source, shape.rows, shape.dims));
    let mut running = Running::new(shape.rows as usize, shape.dims as usize);
    let blocks = source.number(least_blocks, 3);
    for _ in 0..blocks {
        let (k, v) = (bytes(source, KEYS, shape.dims), bytes(source, KEYS, shape.dims));
        running.step(q.view(), k.view(), v.view(), &a);
    }
    Scene { a, q, running, seen: blocks as usize * KEYS as usize }
}

/// The first kernel with its test cases.
pub fn entry_start(shape: AttentionShape) -> Entry {
    Entry::new(start(shape), move |source| {
        let fresh = Running::new(shape.rows as usize, shape.dims as usize);
        let expected = [fresh.sums(), fresh.total(), fresh.top(), words(0)];
        let mut noise = |len: usize| source.values(len, 0, 255).into_iter().map(|v| v as u8).collect();
        let args = expected.iter().map(|bytes| Arg::Bytes(noise(bytes.len()))).collect();
        Case { args, expected: expected.into_iter().enumerate().collect() }
    })
}

/// The kernel of a block with its test cases: first and later blocks, whole ones and last ones.
pub fn entry_block(shape: AttentionShape) -> Entry {
    Entry::new(block(shape), move |source| {
        let Scene { a, q, mut running, seen } = scene(source, shape, 0);
        let (k, v) = (bytes(source, KEYS, shape.dims), bytes(source, KEYS, shape.dims));
        let here =
            if source.number(0, 1) == 0 { KEYS } else { source.number(1, KEYS.into()) as u32 } as usize;
        let valid = seen + if here == KEYS as usize { source.number(64, 2000) as usize } else { here };
        let mut args = [tiles(q.view()), tiles(k.view()), tiles(v.view())].map(Arg::Bytes).to_vec();
        args.push(Arg::Bytes(bytes_of(&a.header(valid as u32))));
        args.extend([running.sums(), running.total(), running.top(), words(seen as i32)].map(Arg::Bytes));
        let zeros = |len: u32| Arg::Bytes(vec![0; len as usize]);
        args.extend([zeros(2 * shape.scores_len()), zeros(shape.scores_len()), zeros(2 * shape.lanes_len())]);
        args.extend([const { Arg::Local }; 6]);
        running.step(q.view(), k.slice(s![..here, ..]), v.slice(s![..here, ..]), &a);
        let expected = [running.sums(), running.total(), running.top(), words((seen + KEYS as usize) as i32)];
        Case { args, expected: expected.into_iter().enumerate().map(|(i, bytes)| (4 + i, bytes)).collect() }
    })
}

/// The last kernel with its test cases.
pub fn entry_finish(shape: AttentionShape, elem: Elem) -> Entry {
    Entry::new(finish(shape, elem), move |source| {
        let Scene { a, running, .. } = scene(source, shape, 1);
        debug_assert!(running.m.iter().all(|&m| m > MASKED));
        let ctx = running.quotients().mapv(|y| a.context(y));
        let out = match elem {
            Elem::I8 => tiles(ctx.mapv(saturate_i8).view()),
            _ => tiles(ctx.mapv(saturate_i16).view()),
        };
        let zeros = |len: usize| Arg::Bytes(vec![0; len]);
        let working = 2 * shape.lanes_len() as usize;
        let args = vec![
            Arg::Bytes(running.sums()),
            Arg::Bytes(running.total()),
            Arg::Bytes(bytes_of(&a.header(1500))),
            zeros(working),
            zeros(working),
            zeros(out.len()),
            Arg::Local,
        ];
        Case { args, expected: vec![(5, out)] }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Data;
    use crate::code::Code;
    use kiln_dsl::device::{Compiler, Device};
    use kiln_sim::core::{CoreModel, Engine, KernelArg, run_kernel_on};

    fn cycles(entry: &Entry, data: Data, compiler: Compiler) -> u64 {
        let case = entry.case(1, data);
        let argument = |(param, arg): (usize, &Arg)| match arg {
            Arg::Bytes(bytes) => KernelArg::Memory(bytes.clone()),
            Arg::I32(value) => KernelArg::I32(*value),
            Arg::Local => KernelArg::Memory(entry.local_bytes(param)),
        };
        let mut args: Vec<KernelArg> = case.args.iter().enumerate().map(argument).collect();
        let model = CoreModel { compiler, ..Device::npu1().into() };
        let cost = run_kernel_on(&entry.kernel, model, Engine::Compiled, &mut args);
        cost.unwrap_or_else(|e| panic!("{e}")).cycles
    }

    /// Of 64 queries, 64 keys and 64 dimensions: 2048 products of tiles, 4096 exponentials at four a cycle.
    #[test]
    fn a_block_costs_at_most_three_times_its_products_and_lookups() {
        let shape = AttentionShape { rows: 64, dims: 64, code: Code::Fast };
        for compiler in [Compiler::Ideal, Compiler::Peano] {
            let of = |entry, data| cycles(&entry, data, compiler);
            let [flat, random] = [Data::Flat, Data::Random].map(|data| of(entry_block(shape), data));
            let ends = [entry_start(shape), entry_finish(shape, Elem::I8)].map(|e| of(e, Data::Random));
            println!(
                "{compiler:?}: block {flat} cycles, {random} with rising maxima; start, finish {ends:?}"
            );
            assert!((2048 + 1024..3 * (2048 + 1024)).contains(&flat), "{compiler:?}: {flat}");
        }
    }

    #[test]
    fn objects_fit_l1() {
        let l1_bytes = Device::npu1().core.data_memory_bytes();
        for (rows, depth) in [(64, 2), (32, 2), (16, 2)] {
            let objects = AttentionShape { rows, dims: 64, code: Code::Fast }.l1_objects(Elem::I16, depth);
            let total: u32 = objects.iter().map(|o| o.bytes).sum();
            for object in &objects {
                println!("{rows} queries: {:>6} B {}", object.bytes, object.name);
            }
            println!("{rows} queries: {total} B of {l1_bytes}");
            // The stack and the code's own data come on top.
            assert!(total + 2048 < l1_bytes, "{rows} queries: {total} B");
        }
    }
}
