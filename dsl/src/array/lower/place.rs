//! Where the toolchain puts the buffers of one tile.
//!
//! Buffers with a bank come first, in it. The others go largest first, each to the next bank in
//! turn that has room, the first bank starting above the stack. When one finds no room, all are
//! laid out again largest first without regard to banks (mlir-aie's bank-aware and basic
//! sequential allocation). No alignment is added.

/// The memory of one tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Size.
    pub bytes: u64,
    /// Number of logical banks.
    pub banks: u32,
    /// Bytes at address 0 that the core's stack takes, and its code where that lies below.
    pub stack_bytes: u64,
}

impl Memory {
    fn bank_bytes(&self) -> u64 {
        self.bytes / u64::from(self.banks.max(1))
    }

    /// Logical bank of an address.
    pub fn bank(&self, address: u64) -> u32 {
        u32::try_from(address / self.bank_bytes().max(1)).unwrap_or(u32::MAX)
    }
}

/// What a buffer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Size.
    pub bytes: u64,
    /// Logical bank.
    pub bank: Option<u8>,
}

/// Where the buffers of a tile went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// First byte of each, in the order of the requests. Past the end of the memory when it is too
    /// small.
    pub addresses: Vec<u64>,
    /// Whether banks were regarded. When not, no buffer is sure of the bank it asked for.
    pub bank_aware: bool,
    /// Requests whose bank had no room.
    pub bank_refused: Vec<usize>,
    /// End of the last buffer.
    pub end: u64,
}

/// Places buffers.
pub(crate) fn place(memory: Memory, requests: &[Request]) -> Placement {
    let mut next: Vec<u64> = (0..memory.banks).map(|b| u64::from(b) * memory.bank_bytes()).collect();
    if let Some(first) = next.first_mut() {
        *first = memory.stack_bytes;
    }
    let room = |next: &[u64], bank: usize, bytes: u64| {
        next.get(bank).is_some_and(|&at| at + bytes <= (bank as u64 + 1) * memory.bank_bytes())
    };
    let mut addresses = vec![0; requests.len()];
    let mut bank_refused = Vec::new();
    let mut free = Vec::new();
    for (at, request) in requests.iter().enumerate() {
        match request.bank.map(usize::from) {
            Some(bank) if room(&next, bank, request.bytes) => {
                addresses[at] = next[bank];
                next[bank] += request.bytes;
            }
            Some(_) => {
                bank_refused.push(at);
                free.push(at);
            }
            None => free.push(at),
        }
    }
    free.sort_by_key(|&at| std::cmp::Reverse(requests[at].bytes));
    let mut turn = 0;
    for &at in &free {
        let bytes = requests[at].bytes;
        let banks = next.len();
        let Some(bank) = (0..banks).map(|i| (turn + i) % banks).find(|&b| room(&next, b, bytes)) else {
            return sequential(memory, requests, bank_refused);
        };
        addresses[at] = next[bank];
        next[bank] += bytes;
        turn = (bank + 1) % banks;
    }
    let end = ends(&addresses, requests).max().unwrap_or(0).max(memory.stack_bytes);
    Placement { addresses, bank_aware: true, bank_refused, end }
}

fn sequential(memory: Memory, requests: &[Request], bank_refused: Vec<usize>) -> Placement {
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(requests[at].bytes));
    let mut addresses = vec![0; requests.len()];
    let mut end = memory.stack_bytes;
    for at in order {
        addresses[at] = end;
        end += requests[at].bytes;
    }
    Placement { addresses, bank_aware: false, bank_refused, end }
}

fn ends<'a>(addresses: &'a [u64], requests: &'a [Request]) -> impl Iterator<Item = u64> + 'a {
    addresses.iter().zip(requests).map(|(a, r)| a + r.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(bytes: &[u64]) -> Vec<Request> {
        bytes.iter().map(|&bytes| Request { bytes, bank: None }).collect()
    }

    #[test]
    fn largest_first_round_the_banks_skipping_full_ones() {
        let memory = Memory { bytes: 65536, banks: 4, stack_bytes: 3328 };
        let placed = place(memory, &requests(&[16384, 4096, 4096, 4096, 4096, 12]));
        assert_eq!(placed.addresses, [16384, 32768, 49152, 3328, 36864, 53248]);
        assert!(placed.bank_aware);
    }

    #[test]
    fn a_buffer_larger_than_a_bank_makes_all_sequential() {
        let memory = Memory { bytes: 65536, banks: 4, stack_bytes: 1024 };
        let placed = place(memory, &requests(&[64, 20000, 64]));
        assert_eq!(placed.addresses, [21024, 1024, 21088]);
        assert!(!placed.bank_aware);
        assert_eq!(placed.end, 21152);
    }

    #[test]
    fn a_full_bank_is_reported_and_the_buffer_goes_elsewhere() {
        let memory = Memory { bytes: 65536, banks: 4, stack_bytes: 1024 };
        let banked = [Request { bytes: 16384, bank: Some(0) }, Request { bytes: 8, bank: Some(3) }];
        let placed = place(memory, &banked);
        assert_eq!(placed.bank_refused, [0]);
        assert_eq!(placed.addresses, [16384, 49152]);
    }
}
