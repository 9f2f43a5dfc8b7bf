//! Host memory is shared by all columns at the profile's rate.

use crate::support::*;
use kiln_dsl::array::{DesignBuilder, FifoRef};

/// Every column passes `bytes` through its mem tile on each of its shim's channel pairs.
fn columns(columns: u8, bytes: u32) -> Ready {
    let d = DesignBuilder::new("columns", "All columns at once.");
    d.columns(columns);
    let object = 4096;
    let pairs: Vec<(FifoRef<'_>, FifoRef<'_>)> = (0..columns)
        .flat_map(|col| [(col, 0), (col, 1)])
        .map(|(col, k)| {
            let input = d.fifo(format!("in_{col}_{k}"), shim(col), [mem(col)], i8s(object));
            let output = d.fifo(format!("out_{col}_{k}"), mem(col), [shim(col)], i8s(object));
            d.link([input], [output]);
            (input, output)
        })
        .collect();
    d.sequence(|s| {
        let total = bytes * pairs.len() as u32;
        let (x, y) = (s.buffer("x", i8s(total)), s.buffer("y", i8s(total)));
        for (i, &(input, output)) in pairs.iter().enumerate() {
            let offset = u64::from(bytes) * i as u64;
            s.copy_linear(x, input, offset, u64::from(bytes));
            s.copy_linear(y, output, offset, u64::from(bytes));
        }
        pairs.iter().for_each(|p| s.wait(p.1));
    });
    Ready::new(d.build())
}

fn run(ready: &Ready) -> u64 {
    let total = ready.design.sequence.buffers[0].ty.bytes() as u32;
    let mut host = [ramp(total), vec![0; total as usize]];
    let report = ready.run(&mut host, &[]).unwrap();
    assert_eq!(host[0], host[1]);
    assert_eq!(report.ddr_bytes(), 2 * u64::from(total));
    report.cycles
}

#[test]
fn all_columns_together_get_the_profiles_rate() {
    let (small, large) = (4096 * 64, 4096 * 128);
    for (profile, num, den) in [("phoenix-laptop", 15, 1), ("desktop-8700g", 56_200, 1797)] {
        let cycles = |bytes| {
            let mut ready = columns(4, bytes);
            ready.profile = profile;
            run(&ready)
        };
        // 8 channels each way would move 64 bytes a cycle; the profile allows num / den.
        let more = u64::from(large - small) * 8 * 2;
        let (took, least) = (cycles(large) - cycles(small), more * den / num);
        // Not exact: towards the end some channels are done and the others cannot use all of it.
        assert!(took.abs_diff(least) * 40 < least, "{profile}: {took} cycles, at the full rate {least}");
    }
}

#[test]
fn one_column_is_bound_by_its_channels() {
    // Two channels each way at 4 bytes a cycle: 16 bytes a cycle, of 31.3 that the desktop allows.
    let (small, large) = (4096 * 64, 4096 * 128);
    let cycles = |bytes| {
        let mut ready = columns(1, bytes);
        ready.profile = "desktop-8700g";
        run(&ready)
    };
    // 1024 words of each object, granted 256 at a time at 0.989 words a cycle, and the hole after it.
    assert_eq!(cycles(large) - cycles(small), 64 * (4 * 259 + 1));
}

#[test]
fn the_grain_of_the_grants_does_not_change_the_bandwidth() {
    let cycles = |words| {
        let mut ready = columns(4, 4096 * 64);
        ready.options.ddr_grant_words = words;
        run(&ready)
    };
    let (fine, coarse) = (cycles(64), cycles(1024));
    assert!(fine.abs_diff(coarse) * 50 < fine, "{fine} and {coarse}");
}
