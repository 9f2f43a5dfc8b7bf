//! Fused attention on the simulated array against its reference.

use super::runner;
use kiln_dsl::kernel::Elem;
use kiln_kernels::attention::{Attention, reference_i8, reference_i16};
use kiln_kernels::attention_normalised::{Header, reference};
use kiln_kernels::case::{Data, Source, bytes_of};
use kiln_kernels::code::Code;
use kiln_kernels::designs::attention::{AttentionDesign, Blocks, Softmax};
use kiln_kernels::layout::Blocked;
use kiln_kernels::requantise::Requant;
use kiln_kernels::softmax::exponentials;
use ndarray::s;

/// Attention of heads side by side, on matrices with the rows that blocks of `rows` queries need.
fn attention(
    [heads, head_dim, positions, rows]: [u32; 4],
    softmax: Softmax,
    out: Elem,
) -> (AttentionDesign, [usize; 2]) {
    let d = heads * head_dim;
    let design = AttentionDesign {
        name: "attention".into(),
        heads,
        head_dim,
        positions,
        input: Blocked::new(positions, 3 * d),
        softmax,
        out,
        output: Blocked::new(positions, d),
    };
    let needed = design.rows_needed(rows);
    (design.with_rows(needed), [needed as usize, d as usize])
}

/// Runs attention of `positions` with `rows` queries a core, and compares every position of every head.
fn check(sizes: [u32; 4], out: Elem, code: Code) -> u64 {
    let [heads, head_dim, positions, rows] = sizes;
    let (design, [needed, d]) = attention(sizes, Softmax::Running, out);
    // Rows past the positions are noise: masks and blocks must keep them out.
    let x = Source::new(u64::from(positions), Data::Random).matrix::<i8>([needed, 3 * d], [-128, 127]);
    let a = Attention::new(3.0 * 16.0 / (73.3 * 73.3 * 8.0), 3e5, if out == Elem::I8 { 4.0 } else { 900.0 });
    let y = vec![0x77; needed * d * out.bytes() as usize];
    let mut host = [design.header(a.header(design.positions)), bytes_of(&design.input.pack(x.view())), y];
    let blocks = Blocks { rows, keys: 2, code };
    let report = runner::run(&design.design(blocks), &mut host).unwrap_or_else(|e| panic!("{e}"));
    let valid = positions as usize;
    for head in 0..heads as usize {
        let part = |i: usize| {
            let first = i * d + head * head_dim as usize;
            x.slice(s![..valid, first..first + head_dim as usize])
        };
        let columns = s![..valid, head * head_dim as usize..(head + 1) * head_dim as usize];
        let (q, k, v) = (part(0), part(1), part(2));
        if out == Elem::I8 {
            let got = design.output.unpack(bytemuck::cast_slice::<u8, i8>(&host[2]));
            assert!(got.slice(columns) == reference_i8(q, k, v, &a), "head {head}");
        } else {
            let words: Vec<i16> = host[2].chunks_exact(2).map(bytemuck::pod_read_unaligned).collect();
            let got = design.output.unpack(&words);
            assert!(got.slice(columns) == reference_i16(q, k, v, &a), "head {head}");
        }
    }
    assert_eq!(report.cores.len(), 16);
    report.cycles
}

/// The same with a normalised softmax of bytes.
fn check_normalised(heads: u32, head_dim: u32, positions: u32, rows: u32) -> u64 {
    let (design, [needed, d]) = attention([heads, head_dim, positions, rows], Softmax::Normalised, Elem::I8);
    let x = Source::new(u64::from(positions), Data::Random).matrix::<i8>([needed, 3 * d], [-128, 127]);
    let scores = Requant::new(&[127.0 / (4.0 * 73.3 * 73.3 * 8.0)], &[3e5]);
    let context = Requant::new(&[1.0 / 40.0], &[5000.0]);
    let table = &exponentials(0.05);
    let header = Header { keys: positions, scores: &scores, context: &context, table };
    let input = bytes_of(&design.input.pack(x.view()));
    let mut host = [design.normalised_header(&header), input, vec![0x77; needed * d]];
    let blocks = Blocks { rows, keys: 2, code: Code::Fast };
    let report = runner::run(&design.design(blocks), &mut host).unwrap_or_else(|e| panic!("{e}"));
    let got = design.output.unpack(&host[2]);
    let valid = positions as usize;
    for head in 0..heads as usize {
        let columns = |i: usize| {
            let first = i * d + head * head_dim as usize;
            s![..valid, first..first + head_dim as usize]
        };
        let [q, k, v] = [0, 1, 2].map(|i| x.slice(columns(i)));
        let expected = reference(q, k, v, &header);
        assert!(expected.iter().any(|&y| y != 0) && expected.iter().any(|&y| y != expected[(0, 0)]));
        assert!(got.slice(columns(0)).mapv(|y| y as i8) == expected, "head {head}");
    }
    assert_eq!(report.cores.len(), 16);
    report.cycles
}

#[test]
fn a_normalised_softmax_keeps_whole_rows_of_scores() {
    for (heads, head_dim, positions, rows) in
        [(2, 64, 300, 16), (3, 32, 150, 32), (1, 64, 65, 4), (1, 64, 1, 8)]
    {
        let cycles = check_normalised(heads, head_dim, positions, rows);
        println!("attention {heads} x {head_dim}, {positions} positions, {rows} queries: {cycles} cycles");
    }
}

#[test]
fn heads_and_blocks_of_queries_spread_over_sixteen_cores() {
    for (sizes, out, code) in [
        ([2, 64, 300, 64], Elem::I8, Code::Fast),
        ([3, 64, 150, 32], Elem::I16, Code::Fast),
        ([2, 32, 50, 16], Elem::I8, Code::Fast),
        ([1, 64, 64, 16], Elem::I16, Code::Fast),
        ([2, 32, 150, 16], Elem::I16, Code::Compact),
    ] {
        let cycles = check(sizes, out, code);
        let [heads, head_dim, positions, rows] = sizes;
        println!("attention {heads} x {head_dim}, {positions} positions, {rows} queries: {cycles} cycles");
    }
}
