//! Where the toolchain puts the buffers of one tile.
//!
//! Buffers with an address come first, where they ask to be, then those with a bank, in it. The others go
//! largest first, each to the next bank in turn that has room, the first bank starting above the stack. When
//! one finds no room, all without an address are laid out again largest first, without regard to banks
//! (mlir-aie's bank-aware and basic sequential allocation).

/// The memory of one tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Size.
    pub bytes: u64,
    /// Number of logical banks.
    pub banks: u32,
    /// Bytes at address 0 that the core's stack takes, and its code where that lies below.
    pub stack_bytes: u64,
    /// What the toolchain aligns addresses to that it chooses.
    pub align_bytes: u64,
}

impl Memory {
    fn bank_bytes(&self) -> u64 {
        (self.bytes / u64::from(self.banks.max(1))).max(1)
    }

    /// Logical bank of an address.
    pub fn bank(&self, address: u64) -> u32 {
        u32::try_from(address / self.bank_bytes()).unwrap_or(u32::MAX)
    }

    fn aligned(&self, address: u64) -> u64 {
        address.next_multiple_of(self.align_bytes.max(1))
    }
}

/// What a buffer asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// Size.
    pub bytes: u64,
    /// Logical bank.
    pub bank: Option<u8>,
    /// First byte.
    pub address: Option<u64>,
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
    /// Requests whose address is taken, by the stack or by a buffer below.
    pub address_refused: Vec<usize>,
    /// End of the last buffer.
    pub end: u64,
}

/// Places buffers.
pub(crate) fn place(memory: Memory, requests: &[Request]) -> Placement {
    let bank_bytes = memory.bank_bytes();
    let start = |bank: u64| memory.stack_bytes.clamp(bank * bank_bytes, (bank + 1) * bank_bytes);
    let mut next: Vec<u64> = (0..u64::from(memory.banks)).map(start).collect();
    let room = |next: &[u64], bank: usize, bytes: u64| {
        let at = memory.aligned(*next.get(bank)?);
        (at + bytes <= (bank as u64 + 1) * bank_bytes).then_some(at)
    };
    let mut placed = Placement {
        addresses: vec![0; requests.len()],
        bank_aware: true,
        bank_refused: Vec::new(),
        address_refused: Vec::new(),
        end: memory.stack_bytes,
    };
    for (at, address) in fixed(requests) {
        placed.addresses[at] = address;
        match next.get_mut(memory.bank(address) as usize) {
            Some(next) if *next <= address => *next = address + requests[at].bytes,
            _ => placed.address_refused.push(at),
        }
    }
    let mut free = Vec::new();
    for (at, request) in requests.iter().enumerate().filter(|(_, r)| r.address.is_none()) {
        match request.bank.map(usize::from) {
            Some(bank) => match room(&next, bank, request.bytes) {
                Some(address) => {
                    placed.addresses[at] = address;
                    next[bank] = address + request.bytes;
                }
                None => {
                    placed.bank_refused.push(at);
                    free.push(at);
                }
            },
            None => free.push(at),
        }
    }
    free.sort_by_key(|&at| std::cmp::Reverse(requests[at].bytes));
    let mut turn = 0;
    for &at in &free {
        let bytes = requests[at].bytes;
        let banks = next.len();
        let found = (0..banks).map(|i| (turn + i) % banks).find_map(|b| Some((b, room(&next, b, bytes)?)));
        let Some((bank, address)) = found else {
            sequential(memory, requests, &mut placed);
            break;
        };
        placed.addresses[at] = address;
        next[bank] = address + bytes;
        turn = (bank + 1) % banks;
    }
    let ends = placed.addresses.iter().zip(requests).map(|(a, r)| a + r.bytes);
    placed.end = ends.max().unwrap_or(0).max(memory.stack_bytes);
    placed
}

/// Buffers with an address, by address.
fn fixed(requests: &[Request]) -> Vec<(usize, u64)> {
    let mut fixed: Vec<(usize, u64)> =
        requests.iter().enumerate().filter_map(|(at, r)| Some((at, r.address?))).collect();
    fixed.sort_by_key(|&(_, address)| address);
    fixed
}

fn sequential(memory: Memory, requests: &[Request], placed: &mut Placement) {
    placed.bank_aware = false;
    let mut order: Vec<usize> = (0..requests.len()).filter(|&at| requests[at].address.is_none()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(requests[at].bytes));
    let mut fixed = fixed(requests).into_iter().peekable();
    let mut next = memory.stack_bytes;
    for at in order {
        next = memory.aligned(next);
        while let Some((other, address)) = fixed.next_if(|(_, a)| next + requests[at].bytes > *a) {
            next = memory.aligned(address + requests[other].bytes);
        }
        placed.addresses[at] = next;
        next += requests[at].bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(bytes: &[u64]) -> Vec<Request> {
        bytes.iter().map(|&bytes| Request { bytes, ..Request::default() }).collect()
    }

    #[test]
    fn largest_first_round_the_banks_skipping_full_ones() {
        let memory = Memory { bytes: 65536, banks: 4, stack_bytes: 3328, align_bytes: 1 };
        let placed = place(memory, &requests(&[16384, 4096, 4096, 4096, 4096, 12]));
        assert_eq!(placed.addresses, [16384, 32768, 49152, 3328, 36864, 53248]);
        assert!(placed.bank_aware);
    }

    #[test]
    fn a_buffer_larger_than_a_bank_makes_all_sequential() {
        let memory = Memory { bytes: 65536, banks: 4, stack_bytes: 1024, align_bytes: 1 };
        let placed = place(memory, &requests(&[64, 20000, 64]));
        assert_eq!(placed.addresses, [21024, 1024, 21088]);
        assert!(!placed.bank_aware);
        assert_eq!(placed.end, 21152);
    }

    #[test]
    fn a_full_bank_is_reported_and_the_buffer_goes_elsewhere() {
        let memory = Memory { bytes: 65536, banks: 4, stack_bytes: 1024, align_bytes: 1 };
        let in_bank = |bytes, bank| Request { bytes, bank: Some(bank), address: None };
        let banked = [in_bank(16384, 0), in_bank(8, 3)];
        let placed = place(memory, &banked);
        assert_eq!(placed.bank_refused, [0]);
        assert_eq!(placed.addresses, [16384, 49152]);
    }

    #[test]
    fn chosen_addresses_are_aligned_and_given_ones_are_kept() {
        let memory = Memory { bytes: 65536, banks: 4, stack_bytes: 1000, align_bytes: 32 };
        let mut wanted = requests(&[100, 72, 64]);
        assert_eq!(place(memory, &wanted).addresses, [1024, 16384, 32768]);
        // mlir-aie's own case: 144 bytes, then the next multiple of 32.
        wanted = [144, 64].map(|bytes| Request { bytes, bank: Some(0), address: None }).to_vec();
        assert_eq!(place(memory, &wanted).addresses, [1024, 1184]);
        let fixed = Request { bytes: 64, bank: None, address: Some(2000) };
        let placed = place(memory, &[wanted[0], fixed]);
        assert_eq!((placed.addresses, placed.address_refused), (vec![2080, 2000], vec![]));
        // Without regard to banks, what does not fit below an address goes above it.
        let placed = place(memory, &[Request { bytes: 20000, ..Request::default() }, fixed]);
        assert_eq!(placed.addresses, [2080, 2000]);
        let in_stack = Request { bytes: 64, bank: None, address: Some(64) };
        assert_eq!(place(memory, &[in_stack]).address_refused, [0]);
    }

    #[test]
    fn a_stack_of_more_than_a_bank_fills_the_next() {
        let memory = Memory { bytes: 65536, banks: 4, stack_bytes: 20000, align_bytes: 1 };
        assert_eq!(place(memory, &requests(&[8, 8])).addresses, [20000, 32768]);
    }
}
