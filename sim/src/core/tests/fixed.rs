//! Kernels whose results are known from elsewhere.

use super::{Engine, KernelArg, arguments, bytes, kernel, run, run_both, signed, words};
use kiln_dsl::Verified;
use kiln_dsl::kernel::Kernel;
use kiln_dsl::kernel::build::{Acc32, Block2, mmul};

/// C = srs(A x B), tile-major, blocks of 4x2 products; all counts in tiles.
pub(super) fn matmul(m: u32, k_tiles: u32, n: u32) -> Verified<Kernel> {
    kernel(|k| {
        let a = k.input_tiles::<i8, 32>("a", [4, 8], [m, k_tiles]);
        let b = k.input_tiles::<i8, 64>("b", [8, 8], [k_tiles, n]);
        let c = k.output_tiles::<i8, 32>("c", [4, 8], [m, n]);
        let shift = k.param_i32("shift");
        k.for_step(0, m, 4, |i| {
            k.for_step(0, n, 2, |j| {
                let start = [[k.acc_zeros::<Acc32, 32>(); 2]; 4];
                let acc = k.pipelined(1).fold(k_tiles, start, |p, acc| {
                    let av: [_; 4] = std::array::from_fn(|r| a.load(i + r as u32, p));
                    let bv: [_; 2] = std::array::from_fn(|q| b.load(p, j + q as u32));
                    acc.map2(|r, q, acc| k.mac(mmul::I8_I8_4X8X8, acc, av[r], bv[q]))
                });
                acc.each2(|r, q, acc| c.store(i + r as u32, j + q as u32, acc.srs::<i8>(shift)));
            });
        });
    })
}

#[test]
fn a_blocked_matmul_is_the_matrix_product() {
    let (m, k_tiles, n) = (4, 3, 4);
    let kernel = matmul(m, k_tiles, n);
    let args = arguments(&kernel, 7, &[9]);
    let (a, b) = (signed(&args, 0), signed(&args, 1));
    let (result, args) = run_both(&kernel, args);
    let tile = |row: u32, col: u32, rows: u32, columns: u32| {
        (((row / rows) * columns + col / 8) * rows * 8 + (row % rows) * 8 + col % 8) as usize
    };
    let expected = |row: u32, col: u32| {
        let sum: i32 = (0..k_tiles * 8)
            .map(|p| i32::from(a[tile(row, p, 4, k_tiles)]) * i32::from(b[tile(p, col, 8, n)]))
            .sum();
        // To nearest, ties to even, and saturated.
        let scaled = f64::from(sum) / 512.0;
        scaled.round_ties_even().clamp(-128.0, 127.0) as i8
    };
    let c = signed(&args, 2);
    for row in 0..m * 4 {
        for col in 0..n * 8 {
            assert_eq!(c[tile(row, col, 4, n)], expected(row, col), "({row}, {col})");
        }
    }
    assert_eq!(result.map(|cost| cost.macs), Ok(u64::from(m * 4 * k_tiles * 8 * n * 8)));
}

#[test]
fn carried_values_may_swap() {
    let kernel = kernel(|k| {
        let n = k.param_i32("n");
        let y = k.output::<i32>("y", [2]);
        let (a, b) = k.fold(n, (k.constant(0), k.constant(1)), |_, (a, b)| (b, a + b));
        y.set(0, a);
        y.set(1, b);
    });
    for (n, pair) in [(0, [0, 1]), (1, [1, 1]), (10, [55, 89]), (-3, [0, 1])] {
        let (result, args) = run_both(&kernel, arguments(&kernel, 1, &[n]));
        assert!(result.is_ok());
        assert_eq!(words(&args, 1), pair, "{n} trips");
    }
}

#[test]
fn one_initial_value_may_start_two_carried_ones_and_be_used_afterwards() {
    let kernel = kernel(|k| {
        let x = k.input::<i32>("x", [1]);
        let y = k.output::<i32>("y", [8]);
        let start = x.get(0);
        let (a, b) = k.fold(3, (start, start), |i, (a, b)| {
            // The inner loop's bound is a carried value of the outer one, and starts a carried one.
            let c = k.fold(i + 1, a, |j, c| c + b + j);
            (c, b + 1)
        });
        let (c, d, e) = k.fold(4, (a, b, start), |i, (c, d, e)| (d, e, c + i));
        for (i, value) in [a, b, start, c, d, e].into_iter().enumerate() {
            y.set(i as i32, value);
        }
    });
    let mut args = arguments(&kernel, 1, &[]);
    args[0] = KernelArg::Memory(5i32.to_le_bytes().to_vec());
    let (_, args) = run_both(&kernel, args);
    let (mut a, mut b) = (5, 5);
    for i in 0..3 {
        let mut c = a;
        for j in 0..i + 1 {
            c += b + j;
        }
        (a, b) = (c, b + 1);
    }
    let (mut c, mut d, mut e) = (a, b, 5);
    for i in 0..4 {
        (c, d, e) = (d, e, c + i);
    }
    assert_eq!(words(&args, 1)[..6], [a, b, 5, c, d, e]);
}

#[test]
fn loops_count_by_their_step_and_stop_below_the_bound() {
    let kernel = kernel(|k| {
        let (lo, hi) = (k.param_i32("lo"), k.param_i32("hi"));
        let y = k.output::<i32>("y", [2]);
        let (count, last) = k.fold_step(lo, hi, 3, (k.constant(0), k.constant(-1)), |i, (n, _)| (n + 1, i));
        y.set(0, count);
        y.set(1, last);
    });
    let (min, max) = (i32::MIN, i32::MAX);
    for (lo, hi, expected) in [
        (0, 7, [3, 6]),
        (0, 6, [2, 3]),
        (5, 5, [0, -1]),
        (max - 4, max, [2, max - 1]),
        (min, min + 1, [1, min]),
    ] {
        let (_, args) = run_both(&kernel, arguments(&kernel, 1, &[lo, hi]));
        assert_eq!(words(&args, 2), expected, "{lo}..{hi}");
    }
}

#[test]
fn scalars_extend_as_their_type_says() {
    let kernel = kernel(|k| {
        let (a, b) = (k.input::<i8>("a", [4]), k.input::<u8>("b", [4]));
        let (c, d) = (k.input::<i16>("c", [2]), k.output::<i16>("d", [4]));
        d.set(0, a.get(1));
        d.set(1, b.get(1));
        d.set(2, c.get(1));
        d.set(3, c.get(0) * 3);
    });
    let mut args = arguments(&kernel, 1, &[]);
    args[0] = KernelArg::Memory(vec![0, 0x80, 0, 0]);
    args[1] = KernelArg::Memory(vec![0, 0x80, 0, 0]);
    args[2] = KernelArg::Memory(vec![0xff, 0x7f, 0x00, 0x80]);
    let (_, args) = run_both(&kernel, args);
    assert_eq!(bytes(&args, 3), [0x80, 0xff, 0x80, 0, 0, 0x80, 0xfd, 0x7f]);
}

#[test]
fn lookups_clamp_to_the_ends_of_the_table() {
    let kernel = kernel(|k| {
        let x = k.input::<i8>("x", [32]);
        let y = k.output::<i8>("y", [32]);
        let values: Vec<i32> = (0..16).map(|i| i * i - 100).collect();
        let tables = k.lookup_tables::<i8>("t", &values, [1, 2]);
        y.store(0, x.load::<32>(0).lookup::<i8>(tables, 2, 8));
    });
    let mut args = arguments(&kernel, 1, &[]);
    args[0] = KernelArg::Memory((0..32).map(|i| (i * 8 - 128) as u8).collect());
    let (_, args) = run_both(&kernel, args);
    let expected: Vec<i8> =
        (0..32).map(|i| (((i * 8 - 128) >> 2) + 8).clamp(0, 15)).map(|e: i32| (e * e - 100) as i8).collect();
    assert_eq!(signed(&args, 1), expected);
}

#[test]
fn a_kernel_keeps_its_state_between_calls_and_its_constants_too() {
    let kernel = kernel(|k| {
        let state = k.state::<i32>("count", [1]);
        let sum = k.fold(2, k.constant(3), |_, s| s + 4);
        state.set(0, state.get(0) + sum);
    });
    for engine in [Engine::Interpreter, Engine::Compiled] {
        let mut args = vec![KernelArg::Memory(vec![0; 4])];
        for calls in 1..=3 {
            args = run(&kernel, engine, args).1;
            assert_eq!(words(&args, 0), [11 * calls]);
        }
    }
}
