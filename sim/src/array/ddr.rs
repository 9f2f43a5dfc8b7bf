//! DDR: one bucket of bandwidth that all shim channels share, in exact integer arithmetic.

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

/// Which way a transfer goes, seen from DDR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The array reads: shim MM2S.
    Read,
    /// The array writes: shim S2MM.
    Write,
}

/// The memory behind the shims: who asks first is served first, at the profile's bandwidth.
///
/// Unused bandwidth is not saved up: a request never starts before it is made.
#[derive(Clone, Debug)]
pub struct Ddr {
    bandwidth: Bandwidth,
    /// When all granted requests are served, in units of `1 / bandwidth.bytes` cycles.
    free_at: u128,
    read_bytes: u64,
    write_bytes: u64,
}

impl Ddr {
    /// Idle memory.
    pub fn new(bandwidth: Bandwidth) -> Ddr {
        Ddr { bandwidth, free_at: 0, read_bytes: 0, write_bytes: 0 }
    }

    /// Grants a request made at `start`; returns when its last byte has moved (rounded up).
    pub fn request(&mut self, access: Access, start: Cycles, bytes: u64) -> Cycles {
        match access {
            Access::Read => self.read_bytes += bytes,
            Access::Write => self.write_bytes += bytes,
        }
        let per_cycle = u128::from(self.bandwidth.bytes);
        let from = self.free_at.max(u128::from(start) * per_cycle);
        self.free_at = from + u128::from(bytes) * u128::from(self.bandwidth.cycles);
        self.free_at.div_ceil(per_cycle) as Cycles
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
    use super::{Access, Bandwidth, Ddr};

    #[test]
    fn requests_share_the_bandwidth_exactly() {
        // 47 GB/s at 1.8 GHz: 235 bytes every 9 cycles.
        let bandwidth = Bandwidth::new(47_000_000_000, 1_800_000_000);
        assert_eq!((bandwidth.bytes, bandwidth.cycles), (235, 9));
        let mut ddr = Ddr::new(bandwidth);
        let mut end = 0;
        for _ in 0..235 {
            end = ddr.request(Access::Read, 0, 1000);
        }
        assert_eq!(end, 9000, "235000 bytes at 235 bytes every 9 cycles, with no rounding on the way");
        assert_eq!(ddr.read_bytes(), 235_000);
    }

    #[test]
    fn idle_time_is_not_saved_up() {
        let mut ddr = Ddr::new(Bandwidth::new(8, 1));
        assert_eq!(ddr.request(Access::Write, 1000, 80), 1010);
        assert_eq!(ddr.request(Access::Write, 1005, 80), 1020);
        assert_eq!(ddr.request(Access::Write, 2000, 1), 2001);
    }
}
