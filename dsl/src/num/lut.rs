//! Lookup tables as the parallel lookup instructions read them.
//!
//! `vldb.4x16` and `vldb.4x32` serve four lanes a cycle from four single-port banks: two lanes
//! from each of two identical tables that must lie in different logical banks (`ab` and `cd`),
//! and within one table one lane from each of its two 128-bit halves. So a table is a row of
//! 32-byte lines, each holding the same 16 bytes of values twice:
//!
//! ```text
//! 32-bit values:  0 1 2 3 | 0 1 2 3   4 5 6 7 | 4 5 6 7   ...
//! 16-bit values:  0 ... 7 | 0 ... 7   8 .. 15 | 8 .. 15   ...
//!  8-bit values:  as 16-bit ones, sign- or zero-extended
//! ```
//!
//! Sources (aie_api main): `aie.hpp`, documentation of `aie::lut` (duplication every 128 bits, two
//! copies in two banks) and of `aie::parallel_lookup` (8-bit values are stored as 16-bit ones);
//! `detail/aie2/parallel_lookup.hpp`, `mem_offset` (4 table bytes an entry for 8- and 16-bit
//! values, 8 for 32-bit ones).

use crate::kernel::types::Elem;

/// Bytes of one line: 16 of values and the same 16 again.
pub const LINE_BYTES: u32 = 32;

/// Bytes that one value takes in each copy: 2 for 8- and 16-bit types, 4 for 32-bit ones.
pub const fn slot_bytes(elem: Elem) -> u32 {
    if elem.bytes() == 4 { 4 } else { 2 }
}

/// Values in one line, counted once.
pub const fn values_per_line(elem: Elem) -> u32 {
    LINE_BYTES / 2 / slot_bytes(elem)
}

/// Number of entries in `bytes` bytes of table; a last partial line does not count.
pub const fn entries(bytes: usize, elem: Elem) -> u32 {
    bytes as u32 / LINE_BYTES * values_per_line(elem)
}

/// The bytes of one table (write them twice, in two banks). `values` are integers, or the bits of
/// bf16 and f32 values. A last partial line is filled with the last value, so that an index
/// beyond the end finds it. Empty values give an empty table.
pub fn pack_table(values: &[i32], elem: Elem) -> Vec<u8> {
    let slot = slot_bytes(elem) as usize;
    let mut bytes = Vec::with_capacity(values.len() * slot * 2 + LINE_BYTES as usize);
    for line in values.chunks(values_per_line(elem) as usize) {
        let last = *line.last().expect("chunks are not empty");
        let mut half: Vec<u8> = Vec::with_capacity(16);
        for k in 0..values_per_line(elem) as usize {
            let stored = stored_value(line.get(k).copied().unwrap_or(last), elem);
            half.extend_from_slice(&stored.to_le_bytes()[..slot]);
        }
        bytes.extend_from_slice(&half);
        bytes.extend_from_slice(&half);
    }
    bytes
}

/// Entry `index` of a packed table, as the scalar of its lane: sign-extended but for u8, whose
/// values and the bits of bf16 are zero-extended. Reads the first of the two copies.
///
/// # Panics
/// When `index` is not below [`entries`].
pub fn table_entry(bytes: &[u8], elem: Elem, index: u32) -> i32 {
    let per_line = values_per_line(elem);
    let at = (index / per_line * LINE_BYTES + index % per_line * slot_bytes(elem)) as usize;
    match elem {
        Elem::I8 => i32::from(bytes[at] as i8),
        Elem::U8 => i32::from(bytes[at]),
        Elem::I16 => i32::from(i16::from_le_bytes([bytes[at], bytes[at + 1]])),
        Elem::Bf16 => i32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]])),
        Elem::I32 | Elem::F32 => i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]),
    }
}

/// Whether the line of entry `index` of a packed table holds it twice, as every lane wants to find it.
///
/// # Panics
/// When `index` is not below [`entries`].
pub fn is_twice(bytes: &[u8], elem: Elem, index: u32) -> bool {
    let (per_line, slot) = (values_per_line(elem), slot_bytes(elem));
    let at = (index / per_line * LINE_BYTES + index % per_line * slot) as usize;
    let other = at + LINE_BYTES as usize / 2;
    bytes[at..at + slot as usize] == bytes[other..other + slot as usize]
}

/// Whether both copies of every line agree and whole lines are present, as the hardware needs.
pub fn is_well_formed(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.len().is_multiple_of(LINE_BYTES as usize)
        && bytes.chunks(LINE_BYTES as usize).all(|line| line[..16] == line[16..])
}

/// What a slot holds: 8-bit values are widened by their own signedness.
fn stored_value(value: i32, elem: Elem) -> i32 {
    match elem {
        Elem::I8 => i32::from(value as i8),
        Elem::U8 => i32::from(value as u8),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_of_the_header_for_32_bit_values() {
        let table = pack_table(&[10, 11, 12, 13, 14, 15, 16, 17], Elem::I32);
        let words: Vec<i32> =
            table.chunks(4).map(|w| i32::from_le_bytes(w.try_into().expect("four bytes"))).collect();
        assert_eq!(words, [10, 11, 12, 13, 10, 11, 12, 13, 14, 15, 16, 17, 14, 15, 16, 17]);
    }

    #[test]
    fn eight_bit_values_are_stored_as_16_bit_ones() {
        let table = pack_table(&[-1, 2, -3, 4, -5, 6, -7, 8], Elem::I8);
        assert_eq!(&table[..4], [0xff, 0xff, 2, 0]);
        assert_eq!(table.len(), 32);
        assert_eq!(&pack_table(&[255, 2], Elem::U8)[..4], [0xff, 0, 2, 0]);
    }

    #[test]
    fn every_entry_comes_back_and_the_tail_repeats_the_last() {
        for elem in Elem::ALL {
            let values: Vec<i32> = (0..21).map(|i| if elem == Elem::U8 { i * 12 } else { i * 5 }).collect();
            let table = pack_table(&values, elem);
            assert!(is_well_formed(&table));
            assert_eq!(entries(table.len(), elem), 24);
            for index in 0..24 {
                assert_eq!(
                    table_entry(&table, elem, index),
                    values[index.min(20) as usize],
                    "{elem} {index}"
                );
            }
        }
    }

    #[test]
    fn negative_values_come_back_signed() {
        for elem in [Elem::I8, Elem::I16, Elem::I32] {
            let table = pack_table(&[-7, -100], elem);
            assert_eq!((table_entry(&table, elem, 0), table_entry(&table, elem, 1)), (-7, -100));
        }
        assert_eq!(table_entry(&pack_table(&[0xbf80], Elem::Bf16), Elem::Bf16, 0), 0xbf80);
    }

    #[test]
    fn unequal_copies_are_noticed() {
        let mut table = pack_table(&[1, 2, 3, 4], Elem::I32);
        table[20] ^= 1;
        assert!(!is_well_formed(&table));
    }
}
