//! Where the parameters of a kernel lie in a core's memory.

use kiln_dsl::device::Device;
use kiln_dsl::kernel::{Kernel, Param};

/// Address and size of each parameter, by position.
///
/// As the toolchain places buffers: above the stack, each in the next bank of the four in turn, or in the bank that the
/// kernel asks for. What is larger than any bank has left goes behind everything else. Where that finds no room, all lie
/// one behind the other without regard to banks, largest first.
///
/// # Errors
/// When the memory is too small.
pub(super) fn place(kernel: &Kernel, device: &Device) -> Result<Vec<(u32, u32)>, String> {
    in_banks(kernel, device).map_or_else(|| sequential(kernel, device), Ok)
}

/// In banks; `None` where the last finds no room.
fn in_banks(kernel: &Kernel, device: &Device) -> Option<Vec<(u32, u32)>> {
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
        let fits = |&bank: &usize| bank < free.len() && starts(bank).saturating_add(bytes) <= end(bank);
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
        let past = address.saturating_add(bytes);
        if past > core.data_memory_bytes() {
            return None;
        }
        for (bank, free) in free.iter_mut().enumerate().skip(last) {
            *free = (*free).max(past.min(end(bank)));
        }
        places.push((address, bytes));
    }
    Some(places)
}

/// One behind the other above the stack, largest first.
///
/// # Errors
/// When the memory is too small.
fn sequential(kernel: &Kernel, device: &Device) -> Result<Vec<(u32, u32)>, String> {
    let core = &device.core;
    let stack = core.default_stack_bytes();
    let sizes: Vec<u32> = kernel.params.iter().map(|p| memory_bytes(p).unwrap_or(0)).collect();
    let mut order: Vec<usize> = (0..sizes.len()).filter(|&at| sizes[at] > 0).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(sizes[at]));
    let mut places = vec![(0, 0); sizes.len()];
    let mut end = u64::from(stack);
    for &at in &order {
        let address = end.next_multiple_of(kernel.params[at].align_bytes.max(1).into());
        end = address + u64::from(sizes[at]);
        if end <= core.data_memory_bytes().into() {
            places[at] = (address as u32, sizes[at]);
        }
    }
    if end <= core.data_memory_bytes().into() {
        return Ok(places);
    }
    let each = order.iter().map(|&at| format!("{} {} B", kernel.params[at].name, sizes[at]));
    Err(format!(
        "{} takes {end} B: stack {stack} B, {}; expected at most {} B, the memory of a core\nhelp: smaller sizes",
        kernel.name,
        each.collect::<Vec<_>>().join(", "),
        core.data_memory_bytes()
    ))
}

/// Bytes of a parameter in memory, which may be more than any memory has; `None` for an integer.
fn memory_bytes(param: &Param) -> Option<u32> {
    let bytes = || param.layout.elements().saturating_mul(param.elem.bytes().into());
    param.kind.is_memory().then(|| u32::try_from(bytes()).unwrap_or(u32::MAX))
}
