//! Which bank of a tile's memory a byte lies in.

/// The banks of a core's memory: logical ones in a row, each of physical ones that take turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BankMap {
    /// Size of a logical bank.
    pub logical_bytes: u32,
    /// Number of logical banks.
    pub logical: u32,
    /// Number of physical banks, in all.
    pub physical: u32,
    /// The physical banks of a logical one take turns this often: the width of one.
    pub interleave_bytes: u32,
}

impl BankMap {
    /// Logical bank of a byte.
    pub const fn logical_of(&self, address: u32) -> u32 {
        (address / self.logical_bytes) % self.logical
    }

    /// Physical bank of a byte (AM020 chapter 2).
    pub const fn physical_of(&self, address: u32) -> u32 {
        let each = self.physical / self.logical;
        self.logical_of(address) * each + (address / self.interleave_bytes) % each
    }

    /// Bytes after which the physical banks of a logical one repeat.
    pub const fn period_bytes(&self) -> u32 {
        self.interleave_bytes * (self.physical / self.logical)
    }
}
