//! A kernel that fails inside a core.

use crate::support::*;
use kiln_dsl::array::lowered::CoreOp;
use kiln_sim::array::SimError;

#[test]
fn a_failing_kernel_names_its_core() {
    let mut ready = one_core(256, 1, 1);
    let call = |op: &mut CoreOp| {
        if let CoreOp::Call { args, .. } = op {
            args.clear();
        }
    };
    each_op(&mut ready.lowered.cores[0].body, &call);
    let error = ready.run(&mut [ramp(256), vec![0; 256]], &[1]).unwrap_err();
    assert!(matches!(&error, SimError::Kernel { tile, .. } if *tile == core(0, 0)), "{error}");
    assert!(error.to_string().contains("2 parameters and got 0 arguments"), "{error}");
}
