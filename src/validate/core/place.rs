//! Where the parameters of a kernel lie in a core's memory.

use kiln_dsl::device::Device;
use kiln_dsl::kernel::{Kernel, Param};

/// Address and size of each parameter, by position.
///
/// As the toolchain places buffers: above the stack, each in the next bank of the four in turn, or in the bank that the
/// kernel asks for. What is larger than any bank has left goes behind everything else.
///
/// # Errors
/// When the memory is too small.
pub(super) fn place(kernel: &Kernel, device: &Device) -> Result<Vec<(u32, u32)>, String> {
    let core = &device.core;
    let bank_bytes = core.logical_bank_bytes();
    let mut free: Vec<u32> = (0..core.logical_banks()).map(|bank| bank * bank_bytes).collect();
    if let Some(first) = free.first_mut() {
        *first = core.default_stack_bytes();
    }
    let end = |bank: usize| (bank as u32 + 1) * bank_bytes;
    let mut turn = 0;
    let mut places = Vec::new();
    for param in &kernel.params {
        let Some(bytes) = memory_bytes(param) else {
            places.push((0, 0));
            continue;
        };
        let starts = |bank: usize| free[bank].next_multiple_of(param.align_bytes);
        let banks: Vec<usize> = match param.bank {
            Some(bank) => vec![usize::from(bank)],
            None => (0..free.len()).map(|i| (turn + i) % free.len()).collect(),
        };
        let fits = |&bank: &usize| bank < free.len() && starts(bank) + bytes <= end(bank);
        if let Some(bank) = banks.into_iter().find(fits) {
            let address = starts(bank);
            free[bank] = address + bytes;
            turn = bank + 1;
            places.push((address, bytes));
            continue;
        }
        // The last bank with something in it, and all behind it.
        let last = (0..free.len()).rev().find(|&bank| free[bank] > bank as u32 * bank_bytes).unwrap_or(0);
        let address = starts(last);
        let past = address + bytes;
        if past > core.data_memory_bytes() {
            return Err(format!(
                "{} of {} takes {bytes} B from 0x{address:x}, and a core has {} B\nhelp: smaller sizes",
                param.name,
                kernel.name,
                core.data_memory_bytes()
            ));
        }
        for (bank, free) in free.iter_mut().enumerate().skip(last) {
            *free = (*free).max(past.min(end(bank)));
        }
        places.push((address, bytes));
    }
    Ok(places)
}

/// Bytes of a parameter in memory; `None` for an integer.
fn memory_bytes(param: &Param) -> Option<u32> {
    param.kind.is_memory().then(|| (param.layout.elements() * u64::from(param.elem.bytes())) as u32)
}
