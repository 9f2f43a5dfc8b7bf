//! `eltwise_array`: one operation on each element, on many cores.

use super::super::core::eltwise::{Eltwise, Op};
use super::super::names::Dtype;
use super::super::workload::{Conditions, Outcome, Workload};
use super::{Launch, add, run};
use kiln_dsl::array::{Design, DesignBuilder, FifoRef, KernelId, LowerMode, MemType, Port, Tile};
use serde::Deserialize;

/// `c[i] = op(a[i])` or `op(a[i], b[i])`, `n` elements of host memory in tiles of `tile` elements.
///
/// Cores are dealt to columns first. A core has FIFOs of its own to and from the shim of its column as long as that
/// has channels; else the mem tile splits what comes and joins what goes. Each core takes a contiguous share of the
/// elements without a mem tile, every so many-th tile with one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EltwiseArray {
    op: Op,
    dtype: Dtype,
    n: u32,
    /// Elements that a core takes at a time.
    #[serde(default = "thousand")]
    tile: u32,
    #[serde(default = "all")]
    cores: u32,
    #[serde(default)]
    launch: Launch,
}

fn thousand() -> u32 {
    1024
}

fn all() -> u32 {
    16
}

/// Columns of the array.
const COLUMNS: u32 = 4;

impl Workload for EltwiseArray {
    const KIND: &'static str = "eltwise_array";
    /// Rate of one operand once it flows, in 10^9 bytes a second: the second half of the elements.
    const QUANTITIES: &'static [&'static str] = &["gb_per_s"];

    fn simulate(&self, conditions: &Conditions) -> Result<Outcome, String> {
        let cycles = |n: u32| {
            let part = EltwiseArray { n, ..self.clone() };
            Ok::<_, String>(run(part.design(conditions)?, LowerMode::default(), 0, conditions)?.cycles)
        };
        let whole = cycles(self.n)?;
        let step = self.tile * self.cores;
        let half = self.n / 2 / step * step;
        let bytes = |n: u32| f64::from(n) * f64::from(self.dtype.0.bytes());
        let mut quantities = Vec::new();
        if half > 0 {
            let seconds = whole.saturating_sub(cycles(half)?) as f64 / conditions.clock_hz();
            quantities.push(("gb_per_s", bytes(self.n - half) / seconds / 1e9));
        }
        Ok(Outcome {
            cycles: whole as f64,
            host_us: self.launch.us(conditions),
            bytes: bytes(self.n) * f64::from(self.op.operands() + 1),
            quantities,
            ..Outcome::default()
        })
    }
}

/// FIFOs of one column, host side and core side: the operands', then the result's.
struct Column<'d> {
    host: Vec<FifoRef<'d>>,
    cores: Vec<Vec<FifoRef<'d>>>,
}

impl EltwiseArray {
    /// Columns, and cores of each.
    fn shape(&self, conditions: &Conditions) -> Result<(u32, u32), String> {
        let rows = match self.cores {
            1..=COLUMNS => return Ok((self.cores, 1)),
            8 | 12 | 16 => self.cores / COLUMNS,
            got => return Err(format!("cores: {got}, expected 1 to 4, 8, 12 or 16")),
        };
        let (operands, channels) = (self.op.operands(), conditions.device.mem.dma.mm2s_channels());
        let wanted = rows * operands + 1;
        if !self.direct(rows, conditions) && wanted > channels {
            let most = (channels - 1) / operands * COLUMNS;
            return Err(format!(
                "cores: {}, expected at most {most} for {operands} operands: a mem tile has {channels} channels out, and \
                 these need {wanted}",
                self.cores
            ));
        }
        Ok((COLUMNS, rows))
    }

    /// Whether the shim of a column has channels for FIFOs of each of its cores.
    fn direct(&self, rows: u32, conditions: &Conditions) -> bool {
        let shim = &conditions.device.shim.dma;
        rows * self.op.operands() <= shim.mm2s_channels() && rows <= shim.s2mm_channels()
    }

    fn design(&self, conditions: &Conditions) -> Result<Design, String> {
        let (columns, rows) = self.shape(conditions)?;
        let step = self.tile.checked_mul(self.cores).unwrap_or(0);
        if step == 0 || self.n == 0 || !self.n.is_multiple_of(step) {
            return Err(format!("n: {}, expected a multiple of {step}, a tile of each core", self.n));
        }
        let lanes = 64 / self.dtype.0.bytes();
        if !self.tile.is_multiple_of(lanes) {
            return Err(format!(
                "tile: {}, expected a multiple of {lanes}, the lanes of a vector",
                self.tile
            ));
        }
        let d = DesignBuilder::new("eltwise_array", "One operation on each element.");
        let kernel = add(&d, Eltwise::on_tile(self.op, self.dtype, self.tile).kernel()?)?;
        let direct = self.direct(rows, conditions);
        let all: Vec<Column<'_>> =
            (0..columns)
                .map(|col| {
                    if direct { self.direct_column(&d, col, rows) } else { self.split_column(&d, col, rows) }
                })
                .collect();
        for (col, column) in (0..columns).zip(&all) {
            for (row, fifos) in (0..rows).zip(&column.cores) {
                self.core(&d, Tile::new(col as u8, 2 + row as u8), kernel, fifos);
            }
        }
        self.sequence(&d, &all, if direct { 1 } else { rows });
        Ok(d.build())
    }

    fn names(&self) -> Vec<char> {
        ('a'..).take(self.op.operands() as usize).chain(['c']).collect()
    }

    fn direct_column<'d>(&self, d: &'d DesignBuilder, col: u32, rows: u32) -> Column<'d> {
        let shim = Tile::new(col as u8, 0);
        let object = MemType::flat(self.dtype.0, self.tile);
        let of_core = |row: u32| {
            let core = Tile::new(col as u8, 2 + row as u8);
            let fifo = |name: char| {
                let (from, to) = if name == 'c' { (core, shim) } else { (shim, core) };
                d.fifo(format!("{name}_{col}_{row}"), from, [to], object.clone())
            };
            self.names().into_iter().map(fifo).collect::<Vec<_>>()
        };
        let cores: Vec<Vec<FifoRef<'d>>> = (0..rows).map(of_core).collect();
        Column { host: cores.concat(), cores }
    }

    fn split_column<'d>(&self, d: &'d DesignBuilder, col: u32, rows: u32) -> Column<'d> {
        let [shim, mem] = [0, 1].map(|row| Tile::new(col as u8, row));
        let part = MemType::flat(self.dtype.0, self.tile);
        let whole = MemType::flat(self.dtype.0, self.tile * rows);
        let mut column = Column { host: Vec::new(), cores: vec![Vec::new(); rows as usize] };
        for name in self.names() {
            let back = name == 'c';
            let (from, to) = if back { (mem, shim) } else { (shim, mem) };
            let host = d.fifo(format!("{name}_{col}"), from, [to], whole.clone());
            let parts: Vec<(FifoRef<'d>, u32)> = (0..rows)
                .map(|row| {
                    let core = Tile::new(col as u8, 2 + row as u8);
                    let (from, to) = if back { (core, mem) } else { (mem, core) };
                    (d.fifo(format!("{name}_{col}_{row}"), from, [to], part.clone()), row * self.tile)
                })
                .collect();
            if back {
                d.join(parts.iter().copied(), host);
            } else {
                d.split(host, parts.iter().copied());
            }
            column.host.push(host);
            column.cores.iter_mut().zip(&parts).for_each(|(of, (part, _))| of.push(*part));
        }
        column
    }

    fn core(&self, d: &DesignBuilder, tile: Tile, kernel: KernelId, fifos: &[FifoRef<'_>]) {
        let [ref operands @ .., result] = *fifos else { return };
        d.core(tile, |c| {
            c.forever(|c| {
                let n = self.tile as i32;
                let out = c.produce(result);
                match *operands {
                    [a, b] => {
                        let (x, y) = (c.consume(a), c.consume(b));
                        c.call(kernel, (5, n, x, y, out));
                    }
                    _ => {
                        let x = c.consume(operands[0]);
                        c.call(kernel, (5, n, x, out));
                    }
                }
                operands.iter().for_each(|&fifo| c.release(fifo, Port::Consume, 1));
                c.release(result, Port::Produce, 1);
            });
        });
    }

    /// One copy for each FIFO of the host, of a contiguous part of its operand.
    fn sequence(&self, d: &DesignBuilder, columns: &[Column<'_>], cores_of_fifo: u32) {
        let names = self.names();
        let share = u64::from(self.n / self.cores * cores_of_fifo);
        d.sequence(|s| {
            let ty = MemType::flat(self.dtype.0, self.n);
            let buffers: Vec<_> = names.iter().map(|name| s.buffer(name.to_string(), ty.clone())).collect();
            let mut results = Vec::new();
            let groups = columns.iter().flat_map(|column| column.host.chunks(names.len()));
            for (at, fifos) in (0u64..).zip(groups) {
                for (&fifo, &buffer) in fifos.iter().zip(&buffers) {
                    s.copy_linear(buffer, fifo, at * share, share);
                }
                results.extend(fifos.last().copied());
            }
            results.into_iter().for_each(|fifo| s.wait(fifo));
        });
    }
}
