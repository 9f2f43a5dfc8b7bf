//! A call's arguments, checked against the kernel's parameters and bound to bytes.

use super::error::RunError;
use crate::executor::ArgValue;
use kiln_dsl::kernel::{Kernel, ValueId};

/// Where a parameter's bytes lie: all of them are inside memory `memory`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Region {
    /// Dense index of the memory.
    pub memory: usize,
    /// First byte in that memory.
    pub base: usize,
    /// Size; 0 for a run-time integer.
    pub bytes: usize,
}

/// Checks `args` and writes one region a parameter into `regions`.
///
/// # Errors
/// When number, kind, size, alignment or place of an argument is wrong, or a written parameter
/// overlaps another one.
pub(super) fn bind(
    kernel: &Kernel,
    args: &[ArgValue],
    memories: &[Vec<u8>],
    regions: &mut Vec<Region>,
) -> Result<(), RunError> {
    if args.len() != kernel.params.len() {
        return Err(RunError::ArgumentCount {
            kernel: kernel.name.clone(),
            expected: kernel.params.len(),
            got: args.len(),
        });
    }
    regions.clear();
    for (param, arg) in kernel.params.iter().zip(args) {
        let kind = |expected, got| RunError::ArgumentKind {
            kernel: kernel.name.clone(),
            param: param.name.clone(),
            keyword: param.kind.keyword(),
            expected,
            got,
        };
        let region = match *arg {
            ArgValue::I32(_) if param.kind.is_memory() => return Err(kind("memory", "an i32")),
            ArgValue::I32(_) => Region::default(),
            ArgValue::Memory { .. } if !param.kind.is_memory() => return Err(kind("an i32", "memory")),
            ArgValue::Memory { tile, address, bytes } => {
                if u64::from(bytes) != param.bytes() {
                    return Err(RunError::ArgumentSize {
                        kernel: kernel.name.clone(),
                        param: param.name.clone(),
                        expected_bytes: param.bytes(),
                        got_bytes: u64::from(bytes),
                    });
                }
                let memory_bytes = memories.get(tile).map_or(0, Vec::len) as u64;
                let (address, end) = (u64::from(address), u64::from(address) + u64::from(bytes));
                if end > memory_bytes {
                    return Err(RunError::ArgumentOutside {
                        kernel: kernel.name.clone(),
                        param: param.name.clone(),
                        memory: tile,
                        address,
                        end,
                        memory_bytes,
                    });
                }
                if !address.is_multiple_of(u64::from(param.align_bytes.max(1))) {
                    return Err(RunError::ArgumentAlignment {
                        kernel: kernel.name.clone(),
                        param: param.name.clone(),
                        address,
                        align_bytes: param.align_bytes,
                    });
                }
                Region { memory: tile, base: address as usize, bytes: bytes as usize }
            }
        };
        regions.push(region);
    }
    check_overlaps(kernel, regions)
}

fn check_overlaps(kernel: &Kernel, regions: &[Region]) -> Result<(), RunError> {
    let shares = |a: &Region, b: &Region| {
        a.memory == b.memory
            && a.base < b.base + b.bytes
            && b.base < a.base + a.bytes
            && a.bytes > 0
            && b.bytes > 0
    };
    for (i, (param, a)) in kernel.params.iter().zip(regions).enumerate() {
        for (other, b) in kernel.params.iter().zip(regions).skip(i + 1) {
            if (param.kind.is_written() || other.kind.is_written()) && shares(a, b) {
                return Err(RunError::Overlap {
                    kernel: kernel.name.clone(),
                    first: param.name.clone(),
                    second: other.name.clone(),
                    memory: a.memory,
                });
            }
        }
    }
    Ok(())
}

/// The values of the run-time integers among `args`, in order of parameters.
pub(super) fn integers<'a>(
    kernel: &'a Kernel,
    args: &'a [ArgValue],
) -> impl Iterator<Item = (ValueId, i32)> + 'a {
    kernel.params.iter().zip(args).filter_map(|(param, arg)| match (param.value, arg) {
        (Some(value), ArgValue::I32(n)) => Some((value, *n)),
        _ => None,
    })
}
