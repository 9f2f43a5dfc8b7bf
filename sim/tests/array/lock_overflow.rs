//! A lock released above what its counter holds.

use crate::support::*;
use kiln_sim::array::SimError;

#[test]
fn a_lock_released_above_its_maximum_is_an_error() {
    let mut ready = one_core(256, 2, 2);
    for lock in &mut ready.lowered.tiles[&core(0, 0)].locks {
        if lock.name == "of_in_cons_cons_lock_0" {
            lock.init = 63;
        }
    }
    // The core takes one and computes for long, while the DMA gives two.
    let error = ready.run(&mut [ramp(512), vec![0; 512]], &[1_000_000]);
    let Err(SimError::LockOverflow { tile, value: 64, max_value: 63, .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!(tile, core(0, 0));
}
