//! Kernels over {reference, interpreter, compiled executor, emitted C++ compiled natively}: bit for bit.
//!
//! Two sets: the catalogue's, which programs list and designs call, and many shapes of every family, the smallest
//! (one row, one step of every size) among them. Data are random, of the types' ends, and one value everywhere: rows
//! all equal, without variance.

mod headers;
mod native;
mod simulated;

use kiln_kernels::case::{Case, Data, Entry};
use kiln_kernels::catalogue::catalogue;
use kiln_kernels::families::FAMILIES;

/// Shapes of each family.
const SHAPES: usize = 20;

/// Kernels with the number of seeds of each kind of data.
struct Set {
    entries: Vec<Entry>,
    seeds: u64,
}

impl Set {
    fn catalogue() -> Set {
        // relu_i8 takes its length at run time: its cases are its shapes.
        Set { entries: catalogue(), seeds: SHAPES.div_ceil(Data::ALL.len()) as u64 }
    }

    fn families() -> Set {
        Set { entries: FAMILIES.iter().flat_map(|family| family.kernels(SHAPES, 1)).collect(), seeds: 2 }
    }

    /// The cases of a kernel, with seed and kind of data.
    fn cases(&self, entry: &Entry) -> Vec<((u64, Data), Case)> {
        let all = Data::ALL.into_iter().flat_map(|data| (0..self.seeds).map(move |seed| (seed, data)));
        all.map(|(seed, data)| ((seed, data), entry.case(seed, data))).collect()
    }
}

/// Holds what a kernel left of a written parameter against the reference.
#[track_caller]
fn same(entry: &Entry, param: usize, at: (u64, Data), got: &[u8], expected: &[u8]) {
    let first = got.iter().zip(expected).position(|(a, b)| a != b);
    let (kernel, param) = (&entry.kernel.name, &entry.kernel.params[param].name);
    assert!(
        first.is_none() && got.len() == expected.len(),
        "{kernel} `{param}` {at:?}: first difference at byte {first:?}"
    );
}

#[test]
fn the_suite_counts() {
    let (catalogue, families) = (Set::catalogue(), Set::families());
    let cases = |set: &Set| set.entries.len() as u64 * set.seeds * Data::ALL.len() as u64;
    println!(
        "conformance: {} kernels of the catalogue ({} cases), {} of {} families ({} cases)",
        catalogue.entries.len(),
        cases(&catalogue),
        families.entries.len(),
        FAMILIES.len(),
        cases(&families)
    );
    assert_eq!(families.entries.len(), SHAPES * FAMILIES.len());
    // Whatever the catalogue lists belongs to a family: a kernel's name begins with that of its family.
    let missing = |e: &&Entry| !FAMILIES.iter().any(|f| e.kernel.name.starts_with(f.name));
    let missing: Vec<&str> =
        catalogue.entries.iter().filter(missing).map(|e| e.kernel.name.as_str()).collect();
    assert!(missing.is_empty(), "kernels without a family: {missing:?}");
}
