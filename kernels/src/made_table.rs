//! Lookup tables that come with the data: a core packs their values for its parallel lookup before it looks anything up.

use kiln_dsl::kernel::build::{Buf, Builder, Loadable, Vector};

/// Entries of a table: one for each byte.
pub const ENTRIES: u32 = 256;

/// Logical banks of the two copies.
const BANKS: [u8; 2] = [2, 3];

/// Entries that are packed at a time.
const STEP: u32 = 32;

/// Packs 256 values into two scratch copies. `load` gives 32 of them from an entry on, `line` is what a line holds.
fn packed<'k, E: Loadable<LINE>, const LINE: usize>(
    k: &'k Builder,
    name: &str,
    load: impl Fn(u32) -> Vector<'k, i16, 32>,
    line: impl Fn(Vector<'k, i16, 16>) -> Vector<'k, E, LINE>,
) -> [Buf<'k, E>; 2] {
    let copies = k.scratch_tables::<E>(name, ENTRIES, BANKS);
    for entry in (0..ENTRIES).step_by(STEP as usize) {
        let values = load(entry);
        let halves = [values.low::<16>(), values.high::<16>()];
        let eights = halves.iter().flat_map(|half| [half.low::<8>(), half.high::<8>()]);
        for (at, eight) in (entry / 8..).zip(eights) {
            let line = line(eight.concat::<16>(eight));
            copies.iter().for_each(|copy| copy.store(at * LINE as u32, line));
        }
    }
    copies
}

/// Two scratch copies of a table of the 256 bytes of `values`.
pub(crate) fn of_bytes<'k>(k: &'k Builder, name: &str, values: Buf<'k, i8>) -> [Buf<'k, i8>; 2] {
    packed(k, name, |entry| values.load::<32>(entry).unpack(), |line| line.cast::<i8, 32>())
}

/// Two scratch copies of a table of the 256 words of `values`.
pub(crate) fn of_words<'k>(k: &'k Builder, name: &str, values: Buf<'k, i16>) -> [Buf<'k, i16>; 2] {
    packed(k, name, |entry| values.load::<32>(entry), |line| line)
}
