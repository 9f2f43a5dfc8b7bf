//! Host memory behind the shims: rates that all channels share, and what the rows of strided accesses cost.
//!
//! A contiguous block streams at the rate of its channel. A row of a strided access is a request of its own: a
//! channel sends one after another with an interval between, however short they are, which hides in rows that
//! take longer to move; and each takes the port of its shim, one port to read and one to write for two
//! channels each way, for a time. Both grow with the stride: address translation walks further through the
//! page table, and memory opens more pages. All in exact integer arithmetic.

use super::engine::Cycles;

/// Bandwidth of a profile as a ratio: `bytes` every `cycles`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bandwidth {
    /// Bytes moved in `cycles`.
    pub bytes: u64,
    /// In how many array cycles.
    pub cycles: u64,
}

impl Bandwidth {
    /// The ratio in lowest terms; at least one byte in some number of cycles.
    pub fn new(bytes: u64, cycles: u64) -> Bandwidth {
        let (bytes, cycles) = (bytes.max(1), cycles.max(1));
        let divisor = gcd(bytes, cycles);
        Bandwidth { bytes: bytes / divisor, cycles: cycles / divisor }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Thousandths of a cycle.
pub type Millicycles = u64;

/// A cost that grows in proportion to a stride, up to `span_bytes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StrideCost {
    /// Of rows next to each other.
    pub near: Millicycles,
    /// What is added at `span_bytes` and beyond.
    pub far: Millicycles,
    /// The stride from which on nothing is added.
    pub span_bytes: u64,
}

impl StrideCost {
    fn of(&self, stride_bytes: u64) -> Millicycles {
        let span = self.span_bytes.max(1);
        self.near + self.far * stride_bytes.min(span) / span
    }
}

/// What host memory costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryCosts {
    /// Rate of all channels.
    pub total: Bandwidth,
    /// Rate of all channels that read.
    pub read: Bandwidth,
    /// Thousandths of a word that a channel moves in a cycle.
    pub channel_milliwords: u64,
    /// Bytes that the port of a shim moves in a cycle.
    pub port_bytes: u64,
    /// Between two rows of a channel.
    pub row: StrideCost,
    /// Time of a row on the port.
    pub port: StrideCost,
}

/// Which way a transfer goes, seen from DDR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The array reads: shim MM2S.
    Read,
    /// The array writes: shim S2MM.
    Write,
}

/// Rows of a strided access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// How many begin.
    pub count: u64,
    /// Distance of two.
    pub stride_bytes: u64,
}

/// Words that a shim channel wants to move.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Which way.
    pub access: Access,
    /// Dense index of the shim tile.
    pub tile: u32,
    /// When.
    pub start: Cycles,
    /// How many words.
    pub words: u64,
    /// Its rows; none of a contiguous block.
    pub rows: Option<Rows>,
}

/// A rate that requests share: who asks first is served first. Unused rate is not saved up: a request never
/// starts before it is made.
#[derive(Clone, Debug)]
struct Bucket {
    rate: Bandwidth,
    /// When all granted requests are served, in units of `1 / rate.bytes` cycles.
    free_at: u128,
}

impl Bucket {
    fn new(rate: Bandwidth) -> Bucket {
        Bucket { rate, free_at: 0 }
    }

    /// When the last byte of a request made at `start` has moved (rounded up).
    fn serve(&mut self, start: Cycles, bytes: u64) -> Cycles {
        let per_cycle = u128::from(self.rate.bytes);
        let from = self.free_at.max(u128::from(start) * per_cycle);
        self.free_at = from + u128::from(bytes) * u128::from(self.rate.cycles);
        self.free_at.div_ceil(per_cycle) as Cycles
    }
}

/// The memory behind the shims.
#[derive(Clone, Debug)]
pub struct Ddr {
    costs: MemoryCosts,
    total: Bucket,
    read: Bucket,
    /// When each port is free: reads and writes of each tile in turn.
    ports: Vec<Millicycles>,
    read_bytes: u64,
    write_bytes: u64,
}

impl Ddr {
    /// Idle memory of an array of `tiles` tiles.
    pub fn new(costs: MemoryCosts, tiles: usize) -> Ddr {
        Ddr {
            costs,
            total: Bucket::new(costs.total),
            read: Bucket::new(costs.read),
            ports: vec![0; 2 * tiles],
            read_bytes: 0,
            write_bytes: 0,
        }
    }

    /// Grants a request; returns when its last word has moved (rounded up).
    pub fn request(&mut self, request: &Request) -> Cycles {
        let Request { access, tile, start, words, rows } = *request;
        let bytes = words * super::dma::WORD_BYTES;
        let mut end = start + (words * 1000).div_ceil(self.costs.channel_milliwords.max(1));
        end = end.max(self.total.serve(start, bytes));
        let write = match access {
            Access::Read => {
                self.read_bytes += bytes;
                end = end.max(self.read.serve(start, bytes));
                0
            }
            Access::Write => {
                self.write_bytes += bytes;
                1
            }
        };
        let mut taken = bytes * 1000 / self.costs.port_bytes.max(1);
        if let Some(rows) = rows {
            end = end.max(start + (rows.count * self.costs.row.of(rows.stride_bytes)).div_ceil(1000));
            taken = taken.max(rows.count * self.costs.port.of(rows.stride_bytes));
        }
        if let Some(free_at) = self.ports.get_mut(2 * tile as usize + write) {
            *free_at = (*free_at).max(start * 1000) + taken;
            end = end.max(free_at.div_ceil(1000));
        }
        end
    }

    /// Bytes read by the array so far.
    pub fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// Bytes written by the array so far.
    pub fn write_bytes(&self) -> u64 {
        self.write_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Bandwidth, Bucket, Ddr, MemoryCosts, Request, Rows, StrideCost};

    #[test]
    fn requests_share_a_rate_exactly() {
        // 47 GB/s at 1.8 GHz: 235 bytes every 9 cycles.
        let rate = Bandwidth::new(47_000_000_000, 1_800_000_000);
        assert_eq!((rate.bytes, rate.cycles), (235, 9));
        let mut bucket = Bucket::new(rate);
        let mut end = 0;
        for _ in 0..235 {
            end = bucket.serve(0, 1000);
        }
        assert_eq!(end, 9000, "235000 bytes at 235 bytes every 9 cycles, with no rounding on the way");
    }

    #[test]
    fn idle_time_is_not_saved_up() {
        let mut bucket = Bucket::new(Bandwidth::new(8, 1));
        assert_eq!(bucket.serve(1000, 80), 1010);
        assert_eq!(bucket.serve(1005, 80), 1020);
        assert_eq!(bucket.serve(2000, 1), 2001);
    }

    const COSTS: MemoryCosts = MemoryCosts {
        total: Bandwidth { bytes: 64, cycles: 1 },
        read: Bandwidth { bytes: 32, cycles: 1 },
        channel_milliwords: 1000,
        port_bytes: 16,
        row: StrideCost { near: 40_000, far: 20_000, span_bytes: 4096 },
        port: StrideCost { near: 15_000, far: 10_000, span_bytes: 2048 },
    };

    fn request(tile: u32, rows: u64, row_words: u64, stride_bytes: u64) -> Request {
        let words = rows * row_words;
        let rows = Some(Rows { count: rows, stride_bytes });
        Request { access: Access::Read, tile, start: 0, words, rows }
    }

    #[test]
    fn short_rows_cost_their_interval_and_long_ones_their_words() {
        let one = |request| Ddr::new(COSTS, 2).request(&request);
        assert_eq!(one(request(0, 10, 8, 0)), 400);
        assert_eq!(one(request(0, 10, 8, 2048)), 500);
        assert_eq!(one(request(0, 10, 8, 1 << 20)), 600);
        assert_eq!(one(request(0, 10, 80, 2048)), 800);
        assert_eq!(one(Request { rows: None, ..request(0, 10, 8, 0) }), 80);
    }

    #[test]
    fn channels_of_a_shim_share_its_port_and_those_of_others_do_not() {
        let mut ddr = Ddr::new(COSTS, 2);
        let rows = request(0, 10, 8, 2048);
        assert_eq!((ddr.request(&rows), ddr.request(&rows), ddr.request(&rows)), (500, 500, 750));
        assert_eq!(ddr.request(&request(1, 10, 8, 2048)), 500);
        assert_eq!(ddr.request(&Request { access: Access::Write, ..rows }), 500);
        assert_eq!((ddr.read_bytes(), ddr.write_bytes()), (4 * 320, 320));
    }
}
