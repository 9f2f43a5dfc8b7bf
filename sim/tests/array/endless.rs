//! Cores that loop for ever without waiting for anything.

use crate::support::*;
use kiln_dsl::array::Count;
use kiln_dsl::array::lowered::CoreOp;
use kiln_sim::array::SimError;

#[test]
fn a_core_that_never_rests_ends_at_the_limit() {
    let mut ready = one_core(256, 1, 1);
    // Only the call is left: for ever, with no lock to wait for.
    let body = &mut ready.lowered.cores[0].body;
    let CoreOp::Loop { body: inner, .. } = &mut body[0] else { panic!() };
    let call = inner.remove(2);
    inner.truncate(2);
    body.extend([CoreOp::Loop { count: Count::Forever, body: vec![call] }]);
    body.iter_mut().take(1).for_each(|op| {
        if let CoreOp::Loop { count, .. } = op {
            *count = Count::Const(1);
        }
    });
    ready.options.max_cycles = 100_000;
    let error = ready.run(&mut [ramp(256), vec![0; 256]], &[10]).unwrap_err();
    assert_eq!(error, SimError::CycleLimit { limit: 100_000 });
}

#[test]
fn a_loop_that_does_nothing_does_not_hang() {
    let mut ready = one_core(256, 1, 1);
    let empty = |count| CoreOp::Loop { count, body: vec![] };
    let body = &mut ready.lowered.cores[0].body;
    body.insert(0, empty(Count::Const(u64::MAX)));
    let mut host = [ramp(256), vec![0; 256]];
    ready.run(&mut host, &[10]).unwrap();
    assert_eq!(host[0], host[1]);
    ready.lowered.cores[0].body.insert(0, empty(Count::Forever));
    let error = ready.run(&mut host, &[10]).unwrap_err();
    assert!(matches!(error, SimError::Deadlock { .. }), "{error}");
}
