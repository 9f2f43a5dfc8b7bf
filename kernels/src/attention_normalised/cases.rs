//! Test cases of the kernels of normalised attention.

use super::{HEADER_WORDS, Header, NormalisedShape, finish, mix, normalise, score, start};
use crate::attention::KEYS;
use crate::case::{Arg, Case, Entry, Source, bytes_of};
use crate::fixed::saturate_i8;
use crate::matmul;
use crate::requantise::{self, Requant};
use crate::softmax;
use crate::tiles::to_tiles;
use ndarray::{Array1, Array2, ArrayView2, Axis, s};

fn tiles<T: Copy + bytemuck::Pod>(x: ArrayView2<T>) -> Vec<u8> {
    bytes_of(&to_tiles(x, [4, 8]))
}

/// Scores or weights: four rows a buffer.
fn buffers(x: ArrayView2<i8>) -> Vec<Vec<u8>> {
    x.axis_chunks_iter(Axis(0), 4).map(tiles).collect()
}

fn seen(keys: u32) -> Arg {
    let mut words = [0; HEADER_WORDS as usize];
    words[0] = keys as i32;
    Arg::Bytes(bytes_of(&words))
}

fn words(seen: Arg) -> Vec<u8> {
    match seen {
        Arg::Bytes(bytes) => bytes,
        other => unreachable!("{other:?} is no memory"),
    }
}

fn bytes(source: &mut Source, rows: u32, columns: u32) -> Array2<i8> {
    source.matrix([rows as usize, columns as usize], [-128, 127])
}

/// A requantisation with one multiplier, under which not everything saturates.
fn requant(source: &mut Source) -> Requant {
    let mult = vec![source.number(1, 32767) as i16];
    Requant { acc_shift: source.number(0, 8) as u32, mult, out_shift: source.number(8, 24) as u32 }
}

/// The words of a header with random numbers.
fn header(source: &mut Source, keys: u32) -> ([Requant; 2], Vec<u8>) {
    let [scores, context] = [requant(source), requant(source)];
    let words = Header { keys, scores: &scores, context: &context, table: &[0; 256] }.words();
    ([scores, context], bytes_of(&words))
}

/// Some block of the shape's.
fn block(source: &mut Source, shape: NormalisedShape) -> u32 {
    KEYS * source.number(0, (shape.keys / KEYS - 1).into()) as u32
}

/// [`start`] with its test cases.
pub fn entry_start(shape: NormalisedShape) -> Entry {
    Entry::new(start(shape), move |source| {
        let mut noise = |len: u32| source.values(len as usize, 0, 255).into_iter().map(|v| v as u8).collect();
        let lens = [4 * shape.sums_len(), 4 * HEADER_WORDS];
        let args = lens.map(|len| Arg::Bytes(noise(len))).to_vec();
        Case { args, expected: lens.map(|len| vec![0; len as usize]).into_iter().enumerate().collect() }
    })
}

/// [`score`] with its test cases.
pub fn entry_score(shape: NormalisedShape) -> Entry {
    Entry::new(score(shape), move |source| {
        let (q, keys) = (bytes(source, shape.rows, shape.dims), bytes(source, KEYS, shape.dims));
        let ([scores, _], header) = header(source, shape.keys);
        let mut all = bytes(source, shape.rows, shape.keys);
        let first = block(source, shape);
        let before = buffers(all.view());
        let zero = Array1::zeros(keys.nrows());
        let sums = matmul::reference(q.view(), keys.t(), zero.view());
        let each = Requant { mult: vec![scores.mult[0]; KEYS as usize], ..scores };
        let here = first as usize..(first + KEYS) as usize;
        all.slice_mut(s![.., here]).assign(&requantise::reference_i8(sums.view(), &each));
        let args = [tiles(q.view()), tiles(keys.view()), header].map(Arg::Bytes);
        let args = args.into_iter().chain([seen(first)]).chain(before.into_iter().map(Arg::Bytes)).collect();
        let after = buffers(all.view()).into_iter().enumerate().map(|(i, bytes)| (4 + i, bytes));
        Case { args, expected: [(3, words(seen(first + KEYS)))].into_iter().chain(after).collect() }
    })
}

/// [`normalise`] with its test cases.
pub fn entry_normalise(shape: NormalisedShape) -> Entry {
    Entry::new(normalise(shape), move |source| {
        let t = bytes(source, 4, shape.keys);
        let valid = source.number(1, shape.keys.into()) as u32;
        // From exponentials that are all the same to one that is alone.
        let table = softmax::exponentials([0.0, 0.01, 0.1, 1.0, 20.0][source.number(0, 4) as usize]);
        let mut p = Array2::<i8>::zeros(t.dim());
        let counted = t.slice(s![.., ..valid as usize]).mapv(i16::from);
        let some = softmax::reference_i8(counted.view(), &table).mapv(|p| p as i8);
        p.slice_mut(s![.., ..valid as usize]).assign(&some);
        let (_, header) = header(source, valid);
        let args = [header, bytes_of(&table), vec![0xa5; 4 * HEADER_WORDS as usize], tiles(t.view())];
        let args = args.map(Arg::Bytes).into_iter().chain([const { Arg::Local }; 4]).collect();
        Case { args, expected: vec![(2, words(seen(0))), (3, tiles(p.view()))] }
    })
}

/// [`mix`] with its test cases.
pub fn entry_mix(shape: NormalisedShape) -> Entry {
    Entry::new(mix(shape), move |source| {
        let weights: Array2<i8> = source.matrix([shape.rows as usize, shape.keys as usize], [0, 127]);
        let values = bytes(source, KEYS, shape.dims);
        let before: Array2<i32> =
            source.matrix([shape.rows as usize, shape.dims as usize], [-(1 << 25), 1 << 25]);
        let first = block(source, shape);
        let here = weights.slice(s![.., first as usize..(first + KEYS) as usize]);
        let zero = Array1::zeros(shape.dims as usize);
        let after = &before + &matmul::reference(here, values.view(), zero.view());
        let weights = buffers(weights.view());
        let at = weights.len() + 1;
        let args = weights.into_iter().chain([tiles(values.view()), tiles(before.view())]).map(Arg::Bytes);
        let args = args.chain([seen(first)]).collect();
        Case { args, expected: vec![(at, tiles(after.view())), (at + 1, words(seen(first + KEYS)))] }
    })
}

/// [`finish`] with its test cases.
pub fn entry_finish(shape: NormalisedShape) -> Entry {
    Entry::new(finish(shape), move |source| {
        let sums: Array2<i32> =
            source.matrix([shape.rows as usize, shape.dims as usize], [-(1 << 28), 1 << 28]);
        let ([_, context], header) = header(source, shape.keys);
        let out = sums.mapv(|sum| saturate_i8(context.apply(sum, 0)));
        let args = [tiles(sums.view()), header, vec![0; out.len()]].map(Arg::Bytes).to_vec();
        Case { args, expected: vec![(2, tiles(out.view()))] }
    })
}
