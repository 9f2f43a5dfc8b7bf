//! `gemm_array`: a matrix product on the whole array, after the dataflow of mlir-aie's `whole_array` example.

use super::super::core::gemm_core::GemmCore;
use super::super::names::Dtype;
use super::super::workload::{Conditions, Outcome, Workload};
use super::{Launch, add, run};
use kiln_dsl::array::{Design, DesignBuilder, FifoRef, LowerMode, MemType, Port, Tile, verify};
use kiln_dsl::kernel::{Elem, Kernel, build::Builder, build::Loadable};
use kiln_dsl::num::{Rounding, Saturation};
use serde::Deserialize;

/// Stack that the example gives its cores.
const STACK_BYTES: u32 = 0xd00;

/// Row blocks of C that one group of tasks covers; two groups are under way at a time.
const BLOCKS_OF_GROUP: u32 = 2;

/// `C[M, N] = A[M, K] x B[K, N]`, matrices row-major in host memory.
///
/// Each core keeps a tile `m x n` of C and takes tiles of A, which go along rows of cores, and of B, which go down
/// columns; the mem tile of a column joins C. Mem tiles put the tiles into the order of the core's kernel.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case, reason = "M and m are different sizes, as in the example")]
pub struct GemmArray {
    #[serde(rename = "in")]
    input: Dtype,
    out: Dtype,
    M: u32,
    K: u32,
    N: u32,
    m: u32,
    k: u32,
    n: u32,
    /// 16, or fewer: 8 and 4 are columns of four, 2 and 1 are one column.
    #[serde(default = "all")]
    cores: u32,
    /// Objects of C in a core; two where they fit, if absent.
    c_depth: Option<u32>,
    #[serde(default)]
    launch: Launch,
}

fn all() -> u32 {
    16
}

impl Workload for GemmArray {
    const KIND: &'static str = "gemm_array";
    const QUANTITIES: &'static [&'static str] = &[];

    fn group(&self) -> Option<String> {
        (self.cores == all()).then(|| format!("whole-array GEMM {}", self.input.0))
    }

    fn simulate(&self, conditions: &Conditions) -> Result<Outcome, String> {
        let fits = |depth| Ok::<_, String>(verify(self.design(depth)?, conditions.device).is_ok());
        let c_depth = match self.c_depth {
            Some(depth) => depth,
            None if fits(2)? => 2,
            None => 1,
        };
        let report = run(self.design(c_depth)?, LowerMode::default(), 0, conditions)?;
        let macs = &conditions.device.macs_per_cycle;
        let peak = match self.input.0 {
            Elem::I16 => macs.i16_i16(),
            Elem::Bf16 => macs.bf16_bf16(),
            _ => macs.i8_i8(),
        };
        let [m, k, n] = [self.M, self.K, self.N].map(f64::from);
        Ok(Outcome {
            cycles: report.cycles as f64,
            host_us: self.launch.us(conditions),
            macs: m * k * n,
            peak_macs_per_cycle: f64::from(peak * self.cores),
            ..Outcome::default()
        })
    }
}

impl GemmArray {
    /// Rows and columns of cores.
    fn shape(&self) -> Result<(u32, u32), String> {
        match self.cores {
            1 | 2 => Ok((self.cores, 1)),
            4 | 8 | 12 | 16 => Ok((4, self.cores / 4)),
            got => Err(format!("cores: {got}, expected 1, 2, 4, 8, 12 or 16")),
        }
    }

    fn design(&self, c_depth: u32) -> Result<Design, String> {
        let (rows, cols) = self.shape()?;
        let sizes = [("M", self.M, self.m * rows), ("K", self.K, self.k), ("N", self.N, self.n * cols)];
        for (name, size, of) in sizes {
            if of == 0 || size == 0 || !size.is_multiple_of(of) {
                return Err(format!(
                    "{name}: {size}, expected a multiple of {of}, the tiles of {rows}x{cols} cores"
                ));
            }
        }
        let d = DesignBuilder::new("gemm_array", "A matrix product on many cores.");
        let product = add(&d, GemmCore::plain(self.input, self.out, [self.m, self.k, self.n]).kernel()?)?;
        let zero = add(&d, zero(self.out.0, self.m * self.n)?)?;
        let fifos = self.fifos(&d, rows, cols, c_depth);
        let (row_blocks, col_blocks, depth) =
            (self.M / self.m / rows, self.N / self.n / cols, self.K / self.k);
        for col in 0..cols {
            for row in 0..rows {
                let (a, b) = (fifos.a[row as usize], fifos.b[col as usize]);
                let c = fifos.c[(col * rows + row) as usize];
                d.core(tile(col, 2 + row), |core| {
                    core.stack_bytes(STACK_BYTES);
                    core.forever(|core| {
                        let out = core.produce(c);
                        core.call(zero, (out,));
                        core.repeat(u64::from(depth), |core| {
                            let (x, y) = (core.consume(a), core.consume(b));
                            core.call(product, (x, y, out));
                            core.release(a, Port::Consume, 1);
                            core.release(b, Port::Consume, 1);
                        });
                        core.release(c, Port::Produce, 1);
                    });
                });
            }
        }
        self.sequence(&d, &fifos, [rows, cols], [row_blocks, col_blocks, depth]);
        Ok(d.build())
    }

    fn fifos<'d>(&self, d: &'d DesignBuilder, rows: u32, cols: u32, c_depth: u32) -> Fifos<'d> {
        let of = |elem: Dtype, elements: u32| MemType::flat(elem.0, elements);
        let (m, k, n) = (self.m, self.k, self.n);
        let mut fifos = Fifos::default();
        // A mem tile passes on the A of as many rows as there are for its column.
        let share = rows.div_ceil(cols);
        for col in 0..rows.div_ceil(share) {
            let from =
                d.fifo(format!("a3_{col}"), tile(col, 0), [tile(col, 1)], of(self.input, share * m * k));
            let to: Vec<FifoRef<'d>> = (col * share..(col + 1) * share)
                .map(|row| {
                    let cores = (0..cols).map(|c| tile(c, 2 + row));
                    d.fifo(format!("a_{row}"), tile(col, 1), cores, of(self.input, m * k))
                })
                .collect();
            match to[..] {
                [one] => d.link([from], [one]),
                _ => d.split(from, to.iter().copied().zip((0..share).map(|part| part * m * k))),
            }
            fifos.a3.push(from);
            fifos.a.extend(to);
        }
        for col in 0..cols {
            let mem = tile(col, 1);
            let from = d.fifo(format!("b3_{col}"), tile(col, 0), [mem], of(self.input, k * n));
            let cores = (0..rows).map(|row| tile(col, 2 + row));
            let to = d.fifo(format!("b_{col}"), mem, cores, of(self.input, k * n));
            d.link([from], [to]);
            fifos.b3.push(from);
            fifos.b.push(to);
        }
        for col in 0..cols {
            let mem = tile(col, 1);
            let parts: Vec<FifoRef<'d>> = (0..rows)
                .map(|row| {
                    let name = format!("c_{col}_{row}");
                    d.fifo(name, tile(col, 2 + row), [mem], of(self.out, m * n)).depths([c_depth, 2])
                })
                .collect();
            let whole = d.fifo(format!("c3_{col}"), mem, [tile(col, 0)], of(self.out, rows * m * n));
            match parts[..] {
                [one] => d.link([one], [whole]),
                _ => d.join(parts.iter().copied().zip((0..rows).map(|part| part * m * n)), whole),
            }
            fifos.c.extend(parts);
            fifos.c3.push(whole);
        }
        fifos
    }

    fn sequence(&self, d: &DesignBuilder, fifos: &Fifos<'_>, cores: [u32; 2], blocks: [u32; 3]) {
        let [rows, cols] = cores.map(u64::from);
        let [row_blocks, col_blocks, depth] = blocks.map(u64::from);
        let [m, k, n] = [self.m, self.k, self.n].map(u64::from);
        let (all_k, all_n) = (u64::from(self.K), u64::from(self.N));
        let share = rows.div_ceil(cols);
        d.sequence(|s| {
            let a = s.buffer("A", MemType::flat(self.input.0, self.M * self.K));
            let b = s.buffer("B", MemType::flat(self.input.0, self.K * self.N));
            let c = s.buffer("C", MemType::flat(self.out.0, self.M * self.N));
            s.keep_in_flight(2 * BLOCKS_OF_GROUP as usize);
            let mut at = 0;
            while at < row_blocks {
                let group = u64::from(BLOCKS_OF_GROUP).min(row_blocks - at);
                for (col, &fifo) in (0u64..).zip(&fifos.c3) {
                    let from = at * m * rows * all_n + col * n;
                    let strides = [m * rows * all_n, n * cols, all_n, 1];
                    s.copy(c, fifo, [0, 0, 0, from], [group, col_blocks, m * rows, n], strides);
                }
                for block in at..at + group {
                    for (col, &fifo) in (0u64..).zip(&fifos.a3) {
                        let from = (block * rows + col * share) * m * all_k;
                        let strides = [0, k, all_k, 1];
                        s.copy(a, fifo, [0, 0, 0, from], [col_blocks, depth, share * m, k], strides);
                    }
                    for (col, &fifo) in (0u64..).zip(&fifos.b3) {
                        let strides = [n * cols, k * all_n, all_n, 1];
                        s.copy(b, fifo, [0, 0, 0, col * n], [col_blocks, depth, k, n], strides);
                    }
                }
                at += group;
            }
            fifos.c3.iter().for_each(|&fifo| s.wait(fifo));
        });
    }
}

/// FIFOs by host side, then by cores.
#[derive(Default)]
struct Fifos<'d> {
    a3: Vec<FifoRef<'d>>,
    a: Vec<FifoRef<'d>>,
    b3: Vec<FifoRef<'d>>,
    b: Vec<FifoRef<'d>>,
    c3: Vec<FifoRef<'d>>,
    /// Column by column.
    c: Vec<FifoRef<'d>>,
}

fn tile(col: u32, row: u32) -> Tile {
    Tile::new(col as u8, row as u8)
}

/// Stores zeros, 32 bytes at a time.
fn zero(elem: Elem, len: u32) -> Result<Kernel, String> {
    fn of<E: Loadable<LANES>, const LANES: usize>(len: u32) -> Kernel {
        Kernel::build("zero", Rounding::ConvEven, Saturation::On, |k: &Builder| {
            let c = k.output::<E>("c", [len]);
            let zero = k.zeros::<E, LANES>();
            k.pipelined(1).for_step(0, len, LANES as u32, |i| c.store(i, zero));
        })
    }
    let lanes = 32 / elem.bytes();
    if !len.is_multiple_of(lanes) {
        return Err(format!("m x n: {len} elements, expected a multiple of {lanes}"));
    }
    Ok(match elem {
        Elem::I8 | Elem::U8 => of::<i8, 32>(len),
        Elem::I16 => of::<i16, 16>(len),
        Elem::I32 => of::<i32, 8>(len),
        Elem::Bf16 => of::<half::bf16, 16>(len),
        Elem::F32 => of::<f32, 8>(len),
    })
}
