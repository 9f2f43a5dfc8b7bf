//! More tasks than a channel queues. Case 12 of `mlir.md` section 4.

use super::*;

#[test]
fn fifth_task_in_a_queue() {
    let many = relu2(|d| {
        let first = d.sequence.commands[0].clone();
        for bd in 2..6 {
            let mut next = first.clone();
            if let Command::Copy { bd_id, .. } = &mut next {
                *bd_id = bd;
            }
            d.sequence.commands.insert(1, next);
        }
    });
    refused(many, &["in_l2", "5 copies unawaited", "holds 4", "drops the next one silently"]);
}
